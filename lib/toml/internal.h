// SPDX-License-Identifier: Apache-2.0
// Shared by the files of lib/toml only.
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

// Classes of bytes.
enum {
    TOML_IS_BARE = 1, // of a bare key
    TOML_IS_DIGIT = 2,
    TOML_IS_HEX = 4,
    TOML_IS_OCTAL = 8,
    TOML_IS_BINARY = 16,
    TOML_IS_CONTROL = 32, // not allowed in comments and strings
};
unsigned toml_class(int byte);

int toml_read_key(struct toml_reader *r, struct toml_key *k);
// `name` is the key whose value it is, or NULL in an array. v->string is the caller's also on
// failure.
int toml_read_value(struct toml_reader *r, struct toml_name *name, struct toml_value *v);
int toml_read_string(struct toml_reader *r, bool may_span_lines, struct buf *out);
int toml_read_number(struct toml_reader *r, struct toml_value *v); // numbers, dates and times
// key = value below `table`.
int toml_read_pair(struct toml_reader *r, struct toml_name *table, bool within);

// Names. Each returns NULL where it is a redefinition, with the reason in *why.
struct toml_name *toml_name_new(struct toml *t, struct toml_name *parent, const char *text,
                                enum toml_name_kind kind);
struct toml_name *toml_open_table(struct toml *t, const struct strlist *parts, bool array,
                                  const char **why);
struct toml_name *toml_define(struct toml *t, struct toml_name *table, const struct strlist *parts,
                              const char **why);
char *toml_part(const char *bytes, size_t length); // the text of a name; to be freed
void toml_free_names(struct toml *t);

#endif
