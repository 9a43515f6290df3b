// SPDX-License-Identifier: Apache-2.0
// A text as lines that remember where they came from, so that the difference is known, not
// searched.
#ifndef KBUILD_CONFIG_LINES_H
#define KBUILD_CONFIG_LINES_H

#include "base/buf.h"

struct line {
    char *text; // with its line end, if it has one
    size_t length;
    size_t origin; // its number in the original text from 1, or 0 if it is new
};

// Zero-initialise.
struct lines {
    struct line *items;
    size_t n, cap;
};

void lines_split(struct lines *l, const char *text, size_t length);
// Puts the lines of `text` in the place of `count` lines from `at` on.
void lines_replace(struct lines *l, size_t at, size_t count, const char *text, size_t length);
void lines_join(const struct lines *l, struct buf *out);
size_t lines_find(const struct lines *l, size_t offset);  // the line that holds this byte
size_t lines_offset(const struct lines *l, size_t index); // the first byte of a line
size_t line_end_length(const struct line *line);          // 0, 1 ("\n") or 2 ("\r\n")
// A unified diff from the original text to these lines; nothing if they are the same.
void lines_diff(const char *text, size_t length, const struct lines *edited, const char *label,
                struct buf *out);
void lines_free(struct lines *l);
#define cleanup_lines __attribute__((cleanup(lines_free)))

#endif
