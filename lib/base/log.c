// SPDX-License-Identifier: Apache-2.0
// Tells the user: notes and warnings, phases and progress, and lines that stay at the end of a
// terminal.
#include "base/ci_log.h"
#include "base/error.h"
#include "base/print.h"
#include "base/process.h"

#include <string.h>
#include <sys/ioctl.h>

static bool quiet;
static log_sink *sink;
static void *sink_context;
static phase_sink *phase_to;
static progress_sink *progress_to;
static void *progress_context;

void log_set_quiet(bool on)
{
    quiet = on;
}

static bool log_is_quiet(void)
{
    return quiet;
}

void log_print(enum log_level level, const char *line)
{
    if (level == LOG_NOTE && quiet)
        return;
    print_prefixed(stderr, level == LOG_WARNING ? "kbuild: warning: " : "kbuild: ", line);
    if (level == LOG_WARNING)
        ci_annotate_warning(line);
}

__attribute__((format(printf, 2, 0))) static void emit(enum log_level level, const char *format,
                                                       va_list args)
{
    cleanup_free char *line = xvasprintf(format, args);
    if (sink)
        sink(level, line, sink_context);
    else
        log_print(level, line);
}

void log_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    emit(LOG_NOTE, format, args);
    va_end(args);
}

void log_warning(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    emit(LOG_WARNING, format, args);
    va_end(args);
}

void log_redirect(log_sink *to, void *context)
{
    sink = to;
    sink_context = context;
}

void phase_redirect(phase_sink *to)
{
    phase_to = to;
}

void phase(const char *name)
{
    if (phase_to)
        phase_to(name);
}

void progress_redirect(progress_sink *to, void *context)
{
    progress_to = to;
    progress_context = context;
}

void progress(const char *what, unsigned long long done, unsigned long long total, const char *unit)
{
    static long long last;
    if (!progress_to)
        return;
    long long now = now_ms();
    if (now - last < 100 && done != total)
        return;
    last = now;
    progress_to(what, done, total, unit, progress_context);
}

// ---- lines that stay at the end of a terminal ----

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

unsigned live_columns(void)
{
    return window().ws_col - 1U;
}

bool live_line(const char *text, bool last)
{
    struct winsize size = window();
    // The cursor is in the row below the lines.
    unsigned most = size.ws_row > 2 ? size.ws_row - 1U : 1;
    if (drawn.n + (last ? 0 : 1) >= most || drawn.n == LINES_MAX - (last ? 0 : 1))
        return false;
    cleanup_free char *line = visible_columns(text, live_columns());
    fprintf(stderr, "%s\n", line);
    drawn.width[drawn.n++] = visible_width(line);
    return true;
}

// ---- the progress of long work, for verbs without a view of their own ----

#define LINE_MS 10000

static long long drawn_ms;

static void show(const char *what, unsigned long long done, unsigned long long total,
                 const char *unit, void *context)
{
    long long now = now_ms();
    if (now - drawn_ms < 100)
        return;
    drawn_ms = now;
    cleanup_free char *text =
        total ? xasprintf("%s %3llu %% of %.1f MB", what, done * 100 / total, (double)total / 1e6)
              : xasprintf("%s %.1f MB", what, (double)done / 1e6);
    live_erase();
    live_line(text, true);
    fflush(stderr);
}

// Without a terminal, prints a line at intervals to show progress.
static void show_lines(const char *what, unsigned long long done, unsigned long long total,
                       const char *unit, void *context)
{
    long long now = now_ms();
    if (now - drawn_ms < LINE_MS || !total || strcmp(unit, "bytes") != 0)
        return;
    drawn_ms = now;
    log_note("%s: %.1f of %.1f MB", what, (double)done / 1e6, (double)total / 1e6);
}

static void line(enum log_level level, const char *text, void *context)
{
    live_erase();
    log_print(level, text);
}

void meter_begin(void)
{
    if (log_is_quiet())
        return;
    if (!live_terminal()) {
        drawn_ms = now_ms();
        progress_redirect(show_lines, NULL);
        return;
    }
    progress_redirect(show, NULL);
    log_redirect(line, NULL);
}

void meter_end(void)
{
    live_erase();
    progress_redirect(NULL, NULL);
    log_redirect(NULL, NULL);
}
