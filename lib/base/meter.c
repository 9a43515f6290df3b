// SPDX-License-Identifier: Apache-2.0
// Shows the progress of long work, for verbs without a view of their own.
#include "base/meter.h"

#include "base/live.h"
#include "base/log.h"
#include "base/visible.h"

#include <string.h>
#include <time.h>

#define LINE_SECONDS 10

static struct timespec drawn_at;

static void show(const char *what, unsigned long long done, unsigned long long total,
                 const char *unit, void *context)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long since =
        (long)(now.tv_sec - drawn_at.tv_sec) * 1000 + (now.tv_nsec - drawn_at.tv_nsec) / 1000000;
    if (since < 100)
        return;
    drawn_at = now;
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
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - drawn_at.tv_sec < LINE_SECONDS || !total || strcmp(unit, "bytes") != 0)
        return;
    drawn_at = now;
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
        clock_gettime(CLOCK_MONOTONIC, &drawn_at);
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
