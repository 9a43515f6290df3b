// SPDX-License-Identifier: Apache-2.0
// Lines that are drawn again: nothing stale is left when the window has another size by then.
#include "test.h"

#include "base/print.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

static int master;

static void resize(unsigned short columns, unsigned short rows)
{
    const struct winsize size = {.ws_col = columns, .ws_row = rows};
    assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
}

// What was written to the terminal since the last call.
static char *written(void)
{
    struct buf out = {0};
    char chunk[4096];
    fflush(stderr);
    for (ssize_t n; (n = read(master, chunk, sizeof chunk)) > 0;)
        buf_add(&out, chunk, (size_t)n);
    return buf_take(&out);
}

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
        n++;
    return n;
}

static unsigned erased(void)
{
    live_erase();
    cleanup_free char *out = written();
    return count(out, "\033[1A\033[2K");
}

static void draw(const char *text, size_t lines)
{
    for (size_t i = 0; i < lines; i++)
        live_line(text, i + 1 == lines);
    free(written());
}

TEST(every_row_of_a_wrapped_line_is_erased)
{
    cleanup_free char *ninety = xasprintf("%90s", "x");
    static const struct {
        unsigned short columns;
        unsigned rows;
    } cases[] = {{100, 2}, {90, 2}, {89, 4}, {40, 6}, {30, 6}, {29, 8}, {200, 2}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        resize(100, 30);
        draw(ninety, 2);
        resize(cases[i].columns, 30);
        assert_int_equal(erased(), cases[i].rows);
        assert_int_equal(erased(), 0);
    }
    setenv("XTERM_VERSION", "XTerm(379)", 1); // cuts, and does not wrap
    resize(100, 30);
    draw(ninety, 2);
    resize(40, 30);
    assert_int_equal(erased(), 2);
    unsetenv("XTERM_VERSION");
}

TEST(there_are_never_more_lines_than_rows)
{
    resize(80, 5);
    for (int i = 0; i < 3; i++)
        assert_true(live_line("one", false));
    assert_false(live_line("one too many", false));
    assert_true(live_line("the last", true));
    assert_false(live_line("behind it", true));
    cleanup_free char *out = written();
    assert_null(strstr(out, "many"));
    assert_int_equal(erased(), 4);
}

TEST(a_line_is_cut_and_harmless)
{
    resize(20, 10);
    live_line("\033[2J 0123456789abcdef", true);
    cleanup_free char *out = written();
    assert_string_equal(out, "\\x1b[2J 0123456789a\r\n");
    assert_int_equal(erased(), 1);
}

static int open_terminal(void **state)
{
    master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        return -1;
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    unsetenv("XTERM_VERSION");
    unsetenv("STY");
    return dup2(terminal, STDERR_FILENO) < 0 ? -1 : 0;
}

ALL_TESTS(open_terminal, NULL)
