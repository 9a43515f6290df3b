// SPDX-License-Identifier: Apache-2.0
// The tokens of TOML (token.c), for the reader of documents (toml.c). Not for others.
#ifndef KBUILD_TOML_INTERNAL_H
#define KBUILD_TOML_INTERNAL_H

#include "toml/toml.h"

struct toml_reader {
    const char *text;
    size_t length, at;
    unsigned depth;   // arrays and inline tables around this place
    unsigned arrays;  // arrays alone: entries within them are not listed
    size_t anonymous; // inline tables in arrays so far
    struct toml *toml;
    struct error **err;
};

struct toml_key {
    struct strlist parts;
    size_t start, last, end;
};

// Sets "line L, column C: ..." for the byte at `at`. Returns -1.
int toml_fail(struct toml_reader *r, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// The byte `ahead` bytes from here, or -1 after the end.
static inline int toml_peek(const struct toml_reader *r, size_t ahead)
{
    return ahead < r->length - r->at ? (unsigned char)r->text[r->at + ahead] : -1;
}
size_t toml_newline(const struct toml_reader *r); // bytes of the line end here: 0, 1 or 2
void toml_skip_blanks(struct toml_reader *r);
int toml_skip_comment(struct toml_reader *r); // does nothing if there is none
// A printable name for the byte here: "'x'", "the end of the line", ...
const char *toml_here(const struct toml_reader *r, char out[static 32]);

int toml_check_utf8(struct toml_reader *r); // from here to the end; returns to the start
int toml_read_key(struct toml_reader *r, struct toml_key *k);
int toml_read_string(struct toml_reader *r, bool may_span_lines, struct buf *out);
int toml_read_number(struct toml_reader *r, struct toml_value *v); // numbers, dates and times

#endif
