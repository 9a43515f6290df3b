// SPDX-License-Identifier: Apache-2.0
// Draws lines that stay at the end of a terminal, and erases them.
#include "base/live.h"

#include "base/visible.h"

#include <string.h>
#include <sys/ioctl.h>

enum { LINES_MAX = 64 };

static struct {
    unsigned width[LINES_MAX]; // columns of each line that is on the screen
    unsigned n;
} drawn;

static struct winsize window(void)
{
    struct winsize size = {0};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col || !size.ws_row)
        return (struct winsize){.ws_col = 80, .ws_row = 24};
    return size;
}

bool live_terminal(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

// xterm and screen cut lines when the window shrinks; other current terminals wrap them.
static bool wraps_again(void)
{
    return !getenv("XTERM_VERSION") && !getenv("STY");
}

void live_erase(void)
{
    unsigned rows = 0, columns = window().ws_col;
    for (unsigned i = 0; i < drawn.n; i++) {
        unsigned filled = (drawn.width[i] + columns - 1) / columns;
        rows += filled > 1 && wraps_again() ? filled : 1;
    }
    for (; rows; rows--) // one by one: tmux saves lines cleared together in its history
        fputs("\033[1A\033[2K", stderr);
    drawn.n = 0;
}

bool live_line(const char *text, bool last)
{
    struct winsize size = window();
    // The cursor is in the row below the lines.
    unsigned most = size.ws_row > 2 ? size.ws_row - 1U : 1;
    if (drawn.n + (last ? 0 : 1) >= most || drawn.n == LINES_MAX - (last ? 0 : 1))
        return false;
    cleanup_free char *line = visible_columns(text, size.ws_col - 1U);
    fprintf(stderr, "%s\n", line);
    drawn.width[drawn.n++] = visible_width(line);
    return true;
}
