// SPDX-License-Identifier: Apache-2.0
// Tells the runner of a CI what it can show better than lines: groups, and annotations at the place
// of an error.
#include "base/ci_log.h"

#include "base/file.h"
#include "base/print.h"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
    enum ci_runner runner;
    bool open;             // a group
    unsigned groups;       // so far
    struct strlist errors; // messages that were annotated
    struct buf end;        // the line that ends the open group
    pid_t owner;           // of it
} ci;

// ---- which runner ----

static bool is_true(const char *name)
{
    const char *value = getenv(name);
    return value && !strcmp(value, "true");
}

static int choose_runner(enum ci_runner *out, struct error **err)
{
    const char *said = getenv("KBUILD_CI_LOG");
    if (!said || !*said)
        *out = is_true("GITHUB_ACTIONS") ? CI_GITHUB : is_true("GITLAB_CI") ? CI_GITLAB : CI_NONE;
    else if (!strcmp(said, "github") || !strcmp(said, "gitlab"))
        *out = !strcmp(said, "github") ? CI_GITHUB : CI_GITLAB;
    else if (!strcmp(said, "no"))
        *out = CI_NONE;
    else {
        error_user(err, "KBUILD_CI_LOG has the value '%s'", said);
        return error_hint(err, "it can be github, gitlab or no");
    }
    return 0;
}

int ci_log_open(struct error **err)
{
    if (choose_runner(&ci.runner, err) < 0)
        return -1;
    if (isatty(STDERR_FILENO))
        ci.runner = CI_NONE;
    output_read_by_runner(ci.runner != CI_NONE);
    output_guard(ci.runner == CI_GITHUB);
    // Whole lines, in the order in which they are printed on both: no part of one stands alone.
    static char buffer[1 << 16];
    if (output_is_read(stdout))
        setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
    return 0;
}

enum ci_runner ci_log_runner(void)
{
    return ci.runner;
}

// ---- GitHub's commands: ::NAME PROPERTY=VALUE,PROPERTY=VALUE::DATA ----

static void add_escaped(struct buf *out, const char *text, const char *characters)
{
    for (const char *p = text; *p; p++)
        if (strchr(characters, *p))
            buf_printf(out, "%%%02X", (unsigned char)*p);
        else
            buf_add(out, p, 1);
}

static void add_data(struct buf *out, const char *text)
{
    cleanup_buf struct buf shown = {0};
    visible_text(&shown, text, strlen(text), VISIBLE_LINE_MAX);
    add_escaped(out, shown.data, "%\r\n");
}

static void add_property(struct buf *out, const char *text)
{
    cleanup_buf struct buf shown = {0};
    visible_line(&shown, text, strlen(text), VISIBLE_LINE_MAX);
    add_escaped(out, shown.data, "%\r\n:,");
}

// In one write, so that no other process of the job can come between.
static void write_line(struct buf *line)
{
    buf_puts(line, "\n");
    fflush(stdout);
    fwrite(line->data, 1, line->len, stderr);
}

// Without links and "..", if there is such a file. To be freed.
static char *real_path(const char *path)
{
    char *real = realpath(path, NULL);
    return real ? real : path_absolute(path);
}

// The runner knows files by their paths in the repository.
static char *path_in_workspace(const char *path)
{
    const char *variable = getenv("GITHUB_WORKSPACE");
    cleanup_free char *workspace = real_path(variable && *variable ? variable : "/");
    char *file = real_path(path);
    const char *below = path_below(file, workspace);
    if (strcmp(workspace, "/") != 0 && below && *below)
        memmove(file, below, strlen(below) + 1);
    return file;
}

static void annotate(const char *command, const struct error *place, const char *message,
                     const char *hint)
{
    cleanup_buf struct buf line = {0};
    if (ci.runner != CI_GITHUB)
        return;
    buf_printf(&line, "::%s title=kbuild", command);
    if (place && place->file) {
        cleanup_free char *file = path_in_workspace(place->file);
        buf_puts(&line, ",file=");
        add_property(&line, file);
        if (place->line)
            buf_printf(&line, ",line=%zu", place->line);
        if (place->column)
            buf_printf(&line, ",col=%zu", place->column);
    }
    buf_puts(&line, "::");
    add_data(&line, message);
    if (hint) {
        buf_puts(&line, "%0A");
        add_data(&line, hint);
    }
    write_line(&line);
}

void ci_annotate_error(const struct error *err)
{
    if (ci.runner != CI_GITHUB || err->kind == ERROR_INTERRUPT ||
        strlist_has(&ci.errors, err->message))
        return;
    strlist_add(&ci.errors, err->message);
    annotate("error", err, err->message, err->hint);
}

void ci_annotate_warning(const char *line)
{
    annotate("warning", NULL, line, NULL);
}

// ---- groups ----

// GitLab's section names are unique in a job, whose processes may be many.
static void add_section(struct buf *line, const char *what, bool folded)
{
    buf_printf(line, "\033[0Ksection_%s:%lld:kbuild_%ld_%u%s\r\033[0K", what, (long long)time(NULL),
               (long)getpid(), ci.groups, folded ? "[collapsed=true]" : "");
}

static void add_end(struct buf *line)
{
    if (ci.runner == CI_GITHUB)
        buf_puts(line, "::endgroup::");
    else
        add_section(line, "end", false);
}

// A signal that ends this process at once (Ctrl-\, or one that a run does not wait for) ends the
// group before, so that the lines of others are not in it; to GitLab it seems to have taken no
// time. Children end only themselves.
static void end_group_and_die(int signal_number)
{
    if (getpid() == ci.owner) {
        ssize_t ignored = write(STDERR_FILENO, ci.end.data, ci.end.len);
        (void)ignored;
    }
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static const int deadly[] = {SIGQUIT, SIGINT, SIGTERM, SIGHUP};

// Replaces a handler by another one, and no other disposition (ignored: nohup).
static void replace_handlers(void (*from)(int), void (*to)(int))
{
    for (size_t i = 0; i < ARRAY_LEN(deadly); i++) {
        struct sigaction now;
        if (sigaction(deadly[i], NULL, &now) == 0 && now.sa_handler == from)
            signal(deadly[i], to);
    }
}

void ci_group_begin(const char *title, bool folded)
{
    cleanup_buf struct buf line = {0};
    ci_group_end();
    if (ci.runner == CI_NONE)
        return;
    ci.open = true;
    ci.groups++;
    ci.owner = getpid();
    add_end(&ci.end);
    buf_puts(&ci.end, "\n");
    replace_handlers(SIG_DFL, end_group_and_die);
    if (ci.runner == CI_GITHUB) {
        buf_puts(&line, "::group::");
        add_data(&line, title);
    } else {
        add_section(&line, "start", folded);
        visible_line(&line, title, strlen(title), VISIBLE_LINE_MAX);
    }
    write_line(&line);
}

void ci_group_keep(const char *title, bool folded)
{
    if (!ci.open)
        ci_group_begin(title, folded);
}

void ci_group_end(void)
{
    cleanup_buf struct buf line = {0};
    if (!ci.open)
        return;
    ci.open = false;
    replace_handlers(end_group_and_die, SIG_DFL);
    buf_free(&ci.end);
    add_end(&line);
    write_line(&line);
}
