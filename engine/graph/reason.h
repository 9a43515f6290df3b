// SPDX-License-Identifier: Apache-2.0
// Why the key of a node is another one than that of an earlier build: each change of the key text
// in a sentence for people and as facts for programs, down to the changed line where the texts of
// that build were kept (change.h). `kbuild why`, `kbuild explain` and the record of a run
// (run.json) all have it from here.
//
// No text of a variable's file and no secret is in a reason: of these the names only. Addresses in
// lines of files and in values of versions.yaml are without logins.
//
// Ownership: struct reasons owns its texts and facts; nodes belong to the graph.
#ifndef KBUILD_GRAPH_REASON_H
#define KBUILD_GRAPH_REASON_H

#include "graph/change.h"

enum input_change { INPUT_CHANGED, INPUT_ADDED, INPUT_REMOVED, INPUT_UNKNOWN };
struct reason {
    char *text;               // "recipes/one/build.sh line 3 changed: `a` -> `b`"
    json_t *facts;            // the same: docs/why.md
    const struct node *input; // that is the reason; NULL: it is no input, or none of this graph
    enum input_change change; // of the input; unknown: it is still to be made
};
struct reasons {
    struct reason *items; // the node's own changes first, then inputs
    size_t n, cap;
};

// Adds why the key differs from the one of `past` (NULL: only inputs that are still to be made are
// a reason then). False: it has no reason of its own and no input with other content; what was
// added only follows from changes elsewhere (the newest time in its sources), or nothing was.
bool reasons_find(struct build *b, const struct node *node, const struct last_build *past,
                  struct reasons *out);
// Adds the values of versions.yaml that are others than then, which is all that can be said of a
// source whose key is not known yet.
void reasons_add_versions(struct build *b, const struct node *node, const json_t *texts,
                          struct reasons *out);
// Adds a reason that is not in a key: `what` names it for programs.
void reasons_add_text(struct reasons *out, const char *what, const char *text);
// The facts of all, bounded: of those beyond it only the number is said.
json_t *reasons_json(const struct reasons *r);
void reasons_free(struct reasons *r);
#define cleanup_reasons __attribute__((cleanup(reasons_free)))

// "fetched" of a source, "made" of all else.
const char *made_word(const struct node *node);

#endif
