// SPDX-License-Identifier: Apache-2.0
// YAML 1.1 documents (https://yaml.org/spec/1.1/) as trees that record positions, over libyaml.
//
// Anchors and aliases are expanded by sharing: an alias is the same node again, so a tree is really
// a graph without cycles. Errors: a document of more than 4 MiB, deeper than 64 (aliases followed),
// with more than 200,000 nodes, or whose aliases would expand to more than 1,000,000 nodes (a "YAML
// bomb"); a key twice in one map, a key that is no text, more than one document, a recursive alias,
// a NUL in a text, a merge key (<<), any tag but !!str, !!map and !!seq. Scalars are texts: nothing
// is converted to numbers, dates or booleans.
// Errors read "FILE:LINE:COLUMN: why".
//
// Ownership: everything belongs to the document and lives until yaml_document_free().
#ifndef KBUILD_RECIPE_YAML_H
#define KBUILD_RECIPE_YAML_H

#include "base/memory.h"
#include "base/error.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml {
    enum yaml_kind kind;
    char *text;          // of a scalar, as parsed (folded, unescaped); NULL otherwise
    bool quoted;         // a scalar that was not plain: "null" or "yes" is then text
    size_t line, column; // counted from 1
    size_t n;            // children
    struct yaml **items; // values: of a list, or of a map, in the order of the file
    char **keys;         // of a map: n names
    size_t *key_lines, *key_columns;
};

struct yaml_document {
    char *file;        // for messages
    struct yaml *root; // an empty document is an empty map
    void *arena;
};

struct yaml_document *yaml_load(const char *path, struct error **err);
struct yaml_document *yaml_parse(const char *name, const char *text, size_t length,
                                 struct error **err);
// (Not yaml_free: libyaml exports that name, and this one would replace it inside libyaml.)
void yaml_document_free(struct yaml_document *d);

// The value of `key` in a map, or NULL (also when node is not a map).
const struct yaml *yaml_get(const struct yaml *node, const char *key);
// The node at a dotted path ("assets.kernel.version"); NULL if there is none. A key that itself
// holds dots can be written in double quotes: a."b.c".d  In a list, names are numbers from 0.
const struct yaml *yaml_path(const struct yaml *node, const char *path);
// Takes the next name of a dotted path: *name and *length are the name, *path is the rest. False if
// the path is malformed there (an empty name, an open quote).
bool yaml_path_next(const char **path, const char **name, size_t *length);
// The child of a map or list with this name in a path, or NULL.
const struct yaml *yaml_child(const struct yaml *node, const char *name, size_t length);
// The same map with another value for `key`, which is added if missing. `d` owns the map; the owner
// of the value is unchanged.
struct yaml *yaml_with(struct yaml_document *d, const struct yaml *map, const char *key,
                       const struct yaml *value);
bool yaml_is_null(const struct yaml *node);          // NULL, plain null, ~ or empty
const char *yaml_kind_name(const struct yaml *node); // for messages: "a text", "a list", "empty"
// An error that begins with the node's place (NULL: the file only). Control characters in the
// message are replaced. Returns -1.
int yaml_error(const struct yaml_document *d, const struct yaml *node, struct error **err,
               const char *format, ...) __attribute__((format(printf, 4, 5)));
// The same for any place, such as that of a key.
int yaml_error_at(const struct yaml_document *d, size_t line, size_t column, struct error **err,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));
// Appends `node` as `yq` (the one in Go) prints it, with a newline at the end: a scalar as its text
// ("null" if it is null), a map or list in block style, aliases expanded.
void yaml_print(const struct yaml *node, struct buf *out);

#endif
