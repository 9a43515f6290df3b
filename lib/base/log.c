// SPDX-License-Identifier: Apache-2.0
// Sends notes, warnings and progress to standard error or to the sink that was set.
#include "base/log.h"

#include "base/visible.h"

#include <time.h>

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

bool log_is_quiet(void)
{
    return quiet;
}

void log_print(enum log_level level, const char *line)
{
    if (level == LOG_NOTE && quiet)
        return;
    print_prefixed(stderr, level == LOG_WARNING ? "kbuild: warning: " : "kbuild: ", line);
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
    static struct timespec last;
    if (!progress_to)
        return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long long ms = (now.tv_sec - last.tv_sec) * 1000LL + (now.tv_nsec - last.tv_nsec) / 1000000;
    if (ms < 100 && done != total)
        return;
    last = now;
    progress_to(what, done, total, unit, progress_context);
}
