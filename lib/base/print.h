// SPDX-License-Identifier: Apache-2.0
// The one printer for text that comes from outside: logs of steps, names in archives, answers of
// servers, certificates, urls, files of the user.
//
// Whatever could move the cursor, change colours, reorder text or forge a line is shown as an
// escape:
//
//   control characters (C0, DEL)                        \x1b
//   C1 controls, bidirectional controls, line and
//   paragraph separators, invisible characters          \u009b \u202e \u2028
//   bytes that are not UTF-8 (RFC 3629)                 \xff
//
// Other UTF-8 is unchanged, the backslash too. Nothing but this file writes to a terminal: cmd/ and
// the views use print(), print_text() and print_prefixed(); tests/run-lint looks for others. JSON
// goes through print_json(). All of it is written by output_write() (ci_log.h).
#ifndef KBUILD_BASE_PRINT_H
#define KBUILD_BASE_PRINT_H

#include "base/memory.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

// The longest line shown of a message, a name or the end of a log. Longer ones are cut and marked.
enum { VISIBLE_LINE_MAX = 4096 };

// Appends one line: a newline becomes \n, a tab \t. Beyond `limit` bytes the rest is only counted:
// "... (1234 more bytes)".
void visible_line(struct buf *out, const char *text, size_t length, size_t limit);
// Appends text of several lines: newlines and tabs stay, each line has the limit.
void visible_text(struct buf *out, const char *text, size_t length, size_t limit);
// A line that fits `columns` of a terminal, cut between characters; to be freed.
char *visible_columns(const char *text, unsigned columns);
// The columns that such a line takes.
unsigned visible_width(const char *text);

// As printf(), but every %s and %c is shown as visible_line() does; the format itself is not
// escaped. Knows d i u x X o c s f g %, the lengths l ll z, and widths and precisions with '*'.
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_to(FILE *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_print(struct buf *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
// A duration for people: "9.9 s", "599 s", "10 min 00 s".
void format_time(long long ms, char out[static 40]);
// A line, for callbacks that get one.
void print_line(const char *line, void *context);
// Text of several lines, of any length. A missing last newline is added.
void print_text(FILE *to, const char *text, size_t length);
// The rest of `from`, to its end or an error of it: to a terminal, or where the runner of a CI
// reads it, line by line as print_text(), to anything else unchanged.
void print_stream(FILE *to, FILE *from);
// "PREFIX TEXT" for messages: the lines after the first are indented, so that none can look like a
// message of its own.
void print_prefixed(FILE *to, const char *prefix, const char *text);
// One value on a line, in ASCII only. The value stays the caller's; it may be NULL (nothing
// printed).
void print_json(FILE *to, const json_t *value, size_t flags);
// Appends JSON text as another spelling of the same value: in its strings, characters that steer a
// terminal and "##[", a command of a CI's runner, are escapes.
void visible_json(struct buf *out, const char *text, size_t length);
// A JSON string of any bytes: what is not UTF-8 is shown as visible_line() does.
json_t *json_visible(const char *text);

// ---- lines that stay at the end of a terminal (standard error) ----

// Whether standard error is a terminal that can move its cursor.
bool live_terminal(void);
// Erases the drawn lines. The window may have been resized since: most terminals rewrap lines, so
// that one line can fill several rows.
void live_erase(void);
// The columns that a line can fill.
unsigned live_columns(void);
// Draws one line below the others, cut to the window, control characters visible. False if the
// window is full but for one row; that row is for the line drawn with `last`.
bool live_line(const char *text, bool last);

// ---- the progress of this process's own work ----
// One line on a terminal: "splicing 45 % of 188.0 MB". Nothing where standard error is no terminal,
// or with TERM=dumb.

void meter_begin(void);
void meter_end(void); // wipes the line

#endif
