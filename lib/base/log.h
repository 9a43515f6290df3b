// SPDX-License-Identifier: Apache-2.0
// What the user is told besides results and errors: notes and warnings.
//
// By default a line goes to standard error ("kbuild: ..."). Whoever owns the terminal (the live
// view of engine/run) can take them over, so that lines never tear it.
#ifndef KBUILD_BASE_LOG_H
#define KBUILD_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_NOTE, LOG_WARNING };

void log_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Prints a line as that is done without a sink: control characters visible (visible.h), and no
// notes with --quiet.
void log_print(enum log_level level, const char *line);

// After this, notes that nobody took over are not printed, and no meter is drawn (--quiet).
void log_set_quiet(bool quiet);
bool log_is_quiet(void);

typedef void log_sink(enum log_level level, const char *line, void *context);
void log_redirect(log_sink *sink, void *context); // NULL goes back to standard error

// Which part of the running piece of work begins ("unpacking", "packing"), for a view to show.
typedef void phase_sink(const char *name);
void phase_redirect(phase_sink *sink); // without one nobody hears of it
void phase(const char *name);

// Progress of the running piece of work, for a view to show: what, how far, and of how much
// (0 if unknown), in `unit` ("bytes", "objects"). Cheap: most calls are dropped.
typedef void progress_sink(const char *what, unsigned long long done, unsigned long long total,
                           const char *unit, void *context);
void progress_redirect(progress_sink *sink, void *context);
void progress(const char *what, unsigned long long done, unsigned long long total,
              const char *unit);

#endif
