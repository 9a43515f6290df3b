// SPDX-License-Identifier: Apache-2.0
// A reader of TOML 1.0.0 (https://toml.io/en/v1.0.0) that keeps the position of every item, so that
// an edit of a file leaves everything else unchanged: comments, order, blanks and line ends.
//
// It accepts what the specification accepts, and refuses the rest, with line and column. Where the
// specification allows a choice it is as strict as Python's tomllib: no year 0, no second 60, no
// byte-order mark. Integers must fit 64 bits. Bounds: TOML_SIZE bytes, TOML_DEPTH levels. It keeps
// positions and names, not a tree of values: the text is the only copy of the data.
//
// It reads the whole language, and not only lines with an edited key, because registries.conf is
// read with it as well (lib/registry: arrays over several lines, inline tables, quoted keys), and
// because a file that its own reader would refuse must not be edited.
//
// Ownership: everything belongs to struct toml until toml_free(); the text is the caller's.
#ifndef KBUILD_TOML_TOML_H
#define KBUILD_TOML_TOML_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>

#define TOML_SIZE (4u << 20) // bytes of a document
#define TOML_DEPTH 64        // parts of a key; arrays and inline tables within each other

enum toml_kind {
    TOML_STRING,
    TOML_INTEGER,
    TOML_FLOAT,
    TOML_BOOLEAN,
    TOML_TIME, // any of the four kinds of date and time
    TOML_ARRAY,
    TOML_INLINE_TABLE,
};

struct toml_value {
    enum toml_kind kind;
    size_t start, end; // bytes of the text: [start, end)
    struct buf string; // a string's value, escapes resolved; may hold NULs
    int64_t integer;
    bool boolean;
};

// A key, a table, or an element of an array of tables. `text` is one part of the path: bare if it
// can be, else quoted with escapes; "[0]" for an element.
struct toml_name {
    struct toml_name *parent; // NULL for the root table
    char *text;
    enum toml_name_kind {
        TOML_NAME_IMPLICIT, // a table that only headers below it name
        TOML_NAME_HEADER,   // [table]
        TOML_NAME_DOTTED,   // a table made by a dotted key
        TOML_NAME_VALUE,    // key = value
        TOML_NAME_ARRAY,    // [[array]]
    } kind;
    size_t count;             // elements of an array of tables
    struct toml_name *last;   // its newest element
    struct toml_entry *entry; // key = value; NULL for tables and for keys within arrays
};

// key = value. Pairs within arrays are checked but not listed.
struct toml_entry {
    struct toml_name *name;
    size_t key, last, key_end; // where the key starts, its last part starts, and it ends
    bool within;               // it is in an inline table
    struct toml_value value;
};

// [table] or [[array]].
struct toml_header {
    struct toml_name *name; // of an array: the element
    size_t start, end;      // from '[' to after ']'
};

struct toml {
    const char *text; // not owned: must outlive this
    size_t length;
    struct toml_entry **entries; // in the order of the text
    struct toml_header *headers;
    size_t entry_count, entry_cap, header_count, header_cap;
    struct toml_name *root;
    struct toml_name **names;
    size_t name_count, name_cap;
    void *index;
};

// Reads a document. NULL with "line L, column C: ..." if it is none; columns count characters.
struct toml *toml_parse(const char *text, size_t length, struct error **err);
void toml_free(struct toml *t); // NULL is allowed

// Reads one value that is the whole text, with nothing around it. Release v->string.
int toml_value_parse(const char *text, size_t length, struct toml_value *v, struct error **err);
// Reads a dotted key that is the whole text into its parts.
int toml_key_parse(const char *text, struct strlist *parts, struct error **err);

// The child of a table, or NULL.
struct toml_name *toml_child(const struct toml *t, const struct toml_name *parent,
                             const char *part);
// The name at a path of `count` parts from the root, or NULL.
struct toml_name *toml_find(const struct toml *t, char *const *parts, size_t count);
// "hypervisor.qemu.kernel", "array[2].key"; empty for the root. To be freed.
char *toml_path(const struct toml_name *name);
// True if both values are equal. Anything but strings, integers and booleans is compared by its
// text.
bool toml_same_value(const struct toml *a, const struct toml_value *x, const struct toml *b,
                     const struct toml_value *y);
// A basic string with the value `text`, to be freed. `text` must be UTF-8.
char *toml_quote(const char *text);

#endif
