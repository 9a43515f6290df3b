// SPDX-License-Identifier: Apache-2.0
// The error convention of the whole program; and what is told while it runs.
//
// A function that can fail takes `struct error **err` as its last argument and returns a negative
// number or NULL on failure, with *err set; on success *err is untouched. *err is NULL on entry.
// The function that fails makes the message: what was being done, to what, and why it failed;
// callers add context with error_wrap(). The hint says what to do next. The command line prints the
// chain once and exits with the kind. Nothing outside cmd/ exits or prints errors,
// but for out_of_memory() and library_load(), which end the process.
//
// Ownership: whoever receives an error frees it with error_free() or passes it on.
#ifndef KBUILD_BASE_ERROR_H
#define KBUILD_BASE_ERROR_H

#include "base/memory.h"

#include <stdbool.h>

// The values are the exit statuses that README.md lists.
enum error_kind {
    ERROR_USER = 1,       // bad input, bad environment, a refused certificate, a full disk
    ERROR_USAGE = 2,      // a wrong command line
    ERROR_STEP = 3,       // a build step failed
    ERROR_AGAIN = 75,     // another try may succeed: no answer, an overloaded server, an input that
                          // a cache lost. EX_TEMPFAIL of sysexits.h. Verbs that engines call exit
                          // with it, the others with 1
    ERROR_INTERRUPT = 130 // SIGINT, SIGTERM or SIGHUP
};

struct error {
    enum error_kind kind;
    int errnum;    // the errno behind it, or 0
    char *message; // "context: context: cause", without a trailing newline
    char *hint;    // what to do next, or NULL
    char *subject; // the name of the faulty object, for a caller that can repair it; or NULL
    // The place of the cause in a file of the user, which the message names, too; or NULL, 0.
    char *file;
    size_t line, column; // 0: not known
};

// Each sets *err (which must be NULL; err itself may be NULL to discard) and returns -1.
int error_set(struct error **err, enum error_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// A user error.
int error_user(struct error **err, const char *format, ...) __attribute__((format(printf, 2, 3)));
// A user error that ends in ": <strerror(errnum)>". A full disk, a read-only file system and a
// lack of permission get a hint of their own.
int error_errno(struct error **err, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Puts "<context>: " before the message of *err. Returns -1.
int error_wrap(struct error **err, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Sets the hint of *err, replacing one that is there. Returns -1.
int error_hint(struct error **err, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Sets the subject of *err. Returns -1.
int error_subject(struct error **err, const char *name);

// Sets the place of *err, if it has none: the innermost is that of the cause. Returns -1.
int error_place(struct error **err, const char *file, size_t line, size_t column);

// Whether the content that was read or unpacked can be the cause: there is no errno, or one that a
// name or link in the content causes. A full disk or an interrupt is not caused by content.
bool error_may_blame_content(const struct error *err);

void error_free(struct error *err); // NULL is allowed
static inline void cleanup_error_p(struct error **err)
{
    error_free(*err);
}
#define cleanup_error __attribute__((cleanup(cleanup_error_p)))

// ---- notes, warnings and progress ----
// By default a line goes to standard error ("kbuild: ..."). The owner of the terminal (the live
// view of engine/run) can redirect lines, so that they do not break its display.

enum log_level { LOG_NOTE, LOG_WARNING };

void log_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Prints a line as without a sink: control characters visible (print.h), and no notes with
// --quiet.
void log_print(enum log_level level, const char *line);

// After this, notes without a sink are not printed, and no meter is drawn (--quiet).
void log_set_quiet(bool quiet);

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
