// SPDX-License-Identifier: Apache-2.0
// What changed between two key texts (docs/keys.md), fact by fact, and what is known of the last
// build of a node, which one of the two is usually from. reason.h says what a change means for
// people.
//
// Ownership: changes borrow from both texts' copies, which their list owns; a struct last_build
// owns what it points to.
#ifndef KBUILD_GRAPH_CHANGE_H
#define KBUILD_GRAPH_CHANGE_H

#include "graph/job.h"

// ---- two key texts ----

enum change_kind {
    CHANGE_FILE,     // of the recipe: `subject` is "recipe/build.sh", as in struct key_line
    CHANGE_RECIPE,   // a key of recipe.yaml: "environment"
    CHANGE_VARIABLE, // "FLAVOUR"; for a file of it "HKD_PATH HKD-1.crt"
    CHANGE_INPUT,    // "source:linux tree": name of the node, and the output
    CHANGE_FACT,     // any other: the words that name the fact, "tool gcc", "git-commit"
};
struct key_change {
    enum change_kind kind;
    const char *subject;
    const char *before, *now; // the rest of the line; NULL: it was added, or removed
};
struct key_changes {
    struct key_change *items; // in the order of the new text, then what was removed
    size_t n, cap;
    struct strlist texts; // that they point to
};
// Facts that are equal in both are left out. One that has no value but its own words ("package
// bash") is added or removed.
void key_changes_find(const char *before, const char *now, struct key_changes *out);
void key_changes_free(struct key_changes *c);
#define cleanup_key_changes __attribute__((cleanup(key_changes_free)))

// ---- the last build of a node here ----
// It is an action record of its own, whose key is the digest of the node's id:
//
//   {"node", "key_text", "outputs", "needs": [{"id", "name", "key"}], "texts": digest}
//
// The needs are all that it was made of, over all levels. The texts are a blob, also among the
// outputs so that it stays as long as the record: {name: text} of the recipe's small files
// ("recipe/build.sh", "setup" of a builder's), of the keys of recipe.yaml that decide ("recipe
// environment"), in the form that their digest is of, and of the values of versions.yaml that were
// filled in ("versions externals.kata.version"), without logins. With these the changed line can be
// named.

// Longer files, those that are not UTF-8 or hold a NUL, and what is beyond the sum are not kept.
#define LAST_TEXT_MAX ((size_t)64 << 10)
#define LAST_TEXTS_MAX ((size_t)1 << 20)

struct last_build {
    char *key_text;
    json_t *needs; // or NULL: it was made by a kbuild that did not keep them
    json_t *texts; // or NULL
};
// False: the node was never built here. An unreadable record counts as none.
bool last_build_read(struct build *b, const struct node *node, struct last_build *out);
// `need` as the last build of `root` had it, by its id, else by its name if only one node had that.
// False: it was no need, or that is not known any more.
bool last_build_read_need(struct build *b, const struct last_build *root, const struct node *need,
                          struct last_build *out);
void last_build_free(struct last_build *l);
#define cleanup_last_build __attribute__((cleanup(last_build_free)))

// The key that `need` had then, found in the same way; or NULL.
const char *last_build_key_of(const struct last_build *l, const struct node *need);
// The path of a file in a key line ("shared/common/lib.sh", "setup"); to be freed, or NULL.
char *key_file_path(const struct build *b, const struct node *node, const char *name);
// Reads a file of which the key has this digest. False: it is another one by now, or one of those
// that are not kept.
bool last_text_read(const char *path, const char *digest, struct buf *out);

#endif
