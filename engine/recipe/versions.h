// SPDX-License-Identifier: Apache-2.0
// versions.yaml: the components and their versions, in Kata Containers' own schema (any release
// from 3.x on, unchanged); versions.lock: what they were resolved to; and YAML, which recipes are
// written in, too.
//
// Ownership: a document owns its nodes, struct versions its document, a lock its entries. Errors
// are the user's (ERROR_USER), and begin with the place in the file.
#ifndef KBUILD_RECIPE_VERSIONS_H
#define KBUILD_RECIPE_VERSIONS_H

#include "base/error.h"
#include "base/memory.h"

// ---- YAML ----
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

// ---- versions.yaml ----
// Keys of kbuild that upstream's readers ignore, inside any component's map:
//   sha256:  of the archive that url and version name
//   debian:  the distribution package of the source (recipe.h, struct debian_source)

struct versions {
    char *path;
    struct yaml_document *document;
    char *release; // the version of Kata Containers, if the caller knows it; or NULL
};

struct versions *versions_load(const char *path, struct error **err);
void versions_free(struct versions *v);

// The commit that is checked out in the git work tree that the file `path` is in, as git says; to
// be freed. NULL with an error if there is none.
char *versions_commit(const char *path, struct error **err);

// The node at a dotted path. A missing one is an error with the longest existing prefix and the
// most similar key there.
const struct yaml *versions_get(const struct versions *v, const char *path, struct error **err);
// The scalar at a path, "" if it is null. Belongs to v. NULL with an error if missing or no scalar.
const char *versions_text(const struct versions *v, const char *path, struct error **err);

// A value that was filled in.
struct version_value {
    char *path;  // dotted: "externals.kata.version"
    char *text;  // of an address without its login
    size_t line; // in versions.yaml
};
struct version_values {
    struct version_value *items; // each path once
    size_t n, cap;
};
void version_values_free(struct version_values *v);
#define cleanup_version_values __attribute__((cleanup(version_values_free)))
// Adds the value of this node of the document.
void version_values_add(struct version_values *values, const struct versions *v,
                        const struct yaml *node);

// Replaces "{name}" in `text` by the scalar `name` of the map `component`, else of the nearest map
// around it that has one (variants share the url above them), and:
//   {number}  its version without a leading "v" ("6.7")
//   {series}  the part of {number} before the first dot, as in "v6.x": "6"
// "{{" and "}}" are braces. An unknown name is an error. `used` gets the values; it may be NULL.
// The result is to be freed.
char *versions_expand(const struct versions *v, const struct yaml *component, const char *text,
                      struct version_values *used, struct error **err);

// ---- versions.lock ----
// The resolved content of each branch, tag, archive or file. One line an entry,
// sorted, so that it diffs well in git:
//
//   # comment
//   git <url> <ref> commit=<40 or 64 hex> tree=<hex>
//   archive <url> sha256=<64 hex>
//   file <url> sha256=<64 hex>
//
// A file is an entry of a list source without a digest (source/list.h); look-ups by url treat it as
// an archive.
//
// An entry is written once, when a source is first resolved, and checked from then on: a tag that
// moved or an archive that changed is an error until the line is removed. Fields are separated by
// one blank. A url is stored without its login, and found with or without one; blanks, '%' and
// control characters of url and ref are percent-encoded. Empty lines are allowed; anything else is
// an error "FILE:LINE: why".

enum lock_state {
    LOCK_SAVED,   // as in the file
    LOCK_ADDED,   // found by this run, and not in the file when it was read
    LOCK_REPLACED // changed by this run
};

struct lock_entry {
    char *url, *ref;       // ref is NULL for an archive or file
    char *commit, *tree;   // git
    char *sha256;          // archive or file
    bool file;             // written as `file`
    enum lock_state state; // set by lock_put(), which ignores the caller's value
};

struct lock {
    char *path;                 // as given, for messages
    char *file;                 // the file to write: the target of `path` if that is a link
    char *base;                 // a lock below it that is only read, or NULL
    struct lock_entry *entries; // sorted: archives and files, then git; by url, then by ref
    size_t n, cap;
    bool changed;
    char *comments; // the file's comment lines, kept at its top, or NULL
};

// Appends the whole lock as its file would hold it.
void lock_print(const struct lock *l, struct buf *out);
// A file that does not exist is an empty lock.
struct lock *lock_load(const char *path, struct error **err);
// The lock of this versions.yaml: beside it, or, if that place can't be written or is an
// installation for all users, in the user's $XDG_STATE_HOME/kbuild/locks/..., over the one beside
// it.
struct lock *lock_open(const char *versions, bool installed, struct error **err);
// The entry for a git url and ref, or for the url of an archive or file (ref NULL); NULL if there
// is none. It is valid until the next lock_put() or lock_save().
const struct lock_entry *lock_find(const struct lock *l, const char *url, const char *ref);
// Adds or, for the same url and ref, replaces. The strings are copied.
void lock_put(struct lock *l, const struct lock_entry *entry);
// Writes the file atomically if it changed. Entries that another process added meanwhile are kept,
// and entries that it removed are not restored unless this run put them (the directory is locked
// with flock and the file read again first). It is an error if another process recorded another
// value for a source that this run added: its build differs from the file. So is a file of more
// than 16 MiB, which could not be read again.
int lock_save(struct lock *l, struct error **err);
// Removes an unusable line that this run added. A line that has changed since is kept.
int lock_remove(struct lock *l, const char *url, const char *ref, struct error **err);
// Sets the hint that names the line for this source, if there is one. Returns -1.
int lock_hint(const struct lock *l, const char *url, const char *ref, struct error **err);
// The same, appended to an existing hint.
void lock_hint_append(const struct lock *l, const char *url, const char *ref, struct error **err);
void lock_free(struct lock *l);

#endif
