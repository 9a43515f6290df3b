// SPDX-License-Identifier: Apache-2.0
// Notes and warnings for the user, and the progress of the current work.
//
// By default a line goes to standard error ("kbuild: ..."). The owner of the terminal (the live
// view of engine/run) can redirect lines, so that they do not break its display.
#ifndef KBUILD_BASE_LOG_H
#define KBUILD_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_NOTE, LOG_WARNING };

void log_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Prints a line as without a sink: control characters visible (visible.h), and no notes with
// --quiet.
void log_print(enum log_level level, const char *line);

// After this, notes without a sink are not printed, and no meter is drawn (--quiet).
void log_set_quiet(bool quiet);
bool log_is_quiet(void);

typedef void log_sink(enum log_level level, const char *line, void *context);
void log_redirect(log_sink *sink, void *context); // NULL: standard error again

// The phase of the current work that begins ("unpacking", "packing"), for a view.
typedef void phase_sink(const char *name);
void phase_redirect(phase_sink *sink); // without a sink phases are dropped
void phase(const char *name);

// Progress of the current work, for a view: what, how much is done, and the total (0 if unknown),
// in `unit` ("bytes", "objects"). Cheap: most calls are dropped.
typedef void progress_sink(const char *what, unsigned long long done, unsigned long long total,
                           const char *unit, void *context);
void progress_redirect(progress_sink *sink, void *context);
void progress(const char *what, unsigned long long done, unsigned long long total,
              const char *unit);

#endif
