// SPDX-License-Identifier: Apache-2.0
#include "run/meter.h"

#include "base/log.h"
#include "base/visible.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct timespec last; // when the line was drawn
static bool drawn;

static void show(const char *what, unsigned long long done, unsigned long long total,
                 const char *unit, void *context)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long since = (long)(now.tv_sec - last.tv_sec) * 1000 + (now.tv_nsec - last.tv_nsec) / 1000000;
    if (since < 100)
        return;
    last = now;
    drawn = true;
    if (total)
        print_to(stderr, "\r%s %3llu %% of %.1f MB\x1b[K", what, done * 100 / total,
                (double)total / 1e6);
    else
        print_to(stderr, "\r%s %.1f MB\x1b[K", what, (double)done / 1e6);
    fflush(stderr);
}

static void line(enum log_level level, const char *text, void *context)
{
    if (drawn)
        fputs("\r\x1b[K", stderr);
    drawn = false;
    log_print(level, text);
}

void meter_begin(void)
{
    const char *term = getenv("TERM");
    if (log_is_quiet() || !isatty(STDERR_FILENO) || !term || !strcmp(term, "dumb"))
        return;
    progress_redirect(show, NULL);
    log_redirect(line, NULL);
}

void meter_end(void)
{
    if (drawn)
        fputs("\r\x1b[K", stderr);
    drawn = false;
    progress_redirect(NULL, NULL);
    log_redirect(NULL, NULL);
}
