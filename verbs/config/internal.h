// SPDX-License-Identifier: Apache-2.0
// Declarations shared by the files of `kbuild config`: lines, one edit of a text in TOML, runtime
// classes of containerd. Not for others.
#ifndef KBUILD_CONFIG_INTERNAL_H
#define KBUILD_CONFIG_INTERNAL_H

#include "base/memory.h"
#include "config/config.h"
#include "toml/toml.h"

// ---- lines.c ----
// A text as lines with their original numbers, so that the diff is known without a search.

struct line {
    char *text; // with its line end, if it has one
    size_t length;
    size_t origin; // its number in the original text from 1, or 0 if new
};

// Zero-initialise.
struct lines {
    struct line *items;
    size_t n, cap;
};

void lines_split(struct lines *l, const char *text, size_t length);
// Replaces `count` lines, starting at `at`, by the lines of `text`.
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

// ---- edit.c ----

struct config_change {
    struct strlist path; // parts as toml.h has them
    enum config_operation operation;
    char *value; // TOML, or NULL
    bool fold;   // the reader of the file ignores case in keys (Go's runtime, not runtime-rs)
};

// The entry of a key in a table of a document, or NULL. With `fold` the first part of the table and
// the key match in any case, the exact one first; *count, if not NULL, gets the number of matches.
struct toml_entry *config_find(const struct toml *t, char *const *path, size_t parts, bool fold,
                               size_t *count);

// The elements of a list of one-line strings. Any other value is an error.
int config_list(const struct toml *t, const struct toml_value *v, struct strlist *out,
                struct error **err);

// Makes the edit if necessary, and parses the result again to check it.
int config_apply(struct lines *l, const struct config_change *c, struct error **err);

// ---- kinds.c ----
// A runtime class of containerd that runs Kata: the values for its name, and the requirements on
// containerd's file for adding it.

// The values of the marks in the tables of edits: "@PREFIX@" and so on. `shim` and `configuration`
// are owned.
struct config_marks {
    const char *prefix, *name;
    const char *default_class;  // used by pods without a class, as a part of a path; or NULL
    char *shim, *configuration; // absolute
};

// Kata's own names (kata-deploy, RuntimeClass): the class kata-qemu-se runs the shim of the runtime
// in Go with configuration-qemu-se.toml, one that ends in -runtime-rs that of runtime-rs with its
// own file; "kata" uses configuration.toml. Without a class only the prefix is set. A path that is
// not absolute is an error.
int config_marks_read(const struct config_request *request, const char *default_class,
                      struct config_marks *out, struct error **err);
void config_marks_free(struct config_marks *m);
// The same error, before a file is opened.
int config_paths_check(const struct config_request *request, struct error **err);
// The text with each mark replaced; inside TOML (`quoted`) escaped as for a basic string.
char *config_marks_expand(const struct config_marks *m, const char *text, bool quoted);

// The first missing file of those that the class needs, or NULL; to be freed.
char *config_absent(const struct config_request *request);

// The content of containerd's file: its version, 2 or 3, and the default class ("runc"). Errors:
// another version or none; the plugin of the classes is disabled; its default class neither exists
// nor is being added; the requested class belongs to another runtime.
struct config_containerd {
    unsigned version;
    char *default_class; // a part of a path, as toml.h has them; owned
};
int config_containerd_read(const struct toml *t, const struct config_request *request,
                           struct config_containerd *out, struct error **err);

#endif
