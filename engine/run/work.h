// SPDX-License-Identifier: Apache-2.0
// The work of a step that stopped between two phases. It is kept in the output directory, for a
// person to change and to resume from:
//
//   <target>/builddir       what the step sees as /build
//   <target>/destdir        what the step sees as /out
//   <target>/builddir.json  which step it is and which phases are done (work.c)
//
// Changes by hand are an input like any other. The key of the result is that of the untouched step
// plus lines for the content of the folders:
//
//   work after <phase>
//   work builddir <digest>  the tree's (store/tree.h)
//   work destdir <digest>
//   work times <digest>     of the files' modification times, which decide what make rebuilds
//
// The result is therefore never taken for that of the recipe alone, and never shared.
#ifndef KBUILD_RUN_WORK_H
#define KBUILD_RUN_WORK_H

#include "run/internal.h"

struct work {
    char *builddir, *destdir, *record; // absolute paths
    char *shown;                       // the builddir as messages name it
    size_t reached;                    // number of phases that are done
    char *key_text;                    // of the untouched step
    char *content;                     // digest of both folders as kbuild left them; NULL: a killed
                                       // run left them
    bool edited;                       // a phase has run after changes by hand
    char *lines;                       // key lines, set by work_continue()
    char *listing_digest;              // and the content that they describe
};

// 1: *out is the work of this node's target; 0: there is none; -1: its record cannot be used.
int work_load(struct build *b, const struct node *node, struct work **out, struct error **err);
// New, empty folders for a node whose key is known. Existing folders are removed if they have no
// changes by hand, as far as kbuild can know, else an error.
struct work *work_begin(struct build *b, const struct node *node, struct error **err);
// After a run that failed: records the content, so that changes by hand are detected later.
void work_settle(struct build *b, const struct node *node);
int work_save(const struct node *node, const struct work *w, struct error **err);
// Whether it belongs to the step that this key text describes; else an error that says what
// changed.
int work_check(const struct node *node, const struct work *w, const char *key_text,
               struct error **err);
// Runs beneath_strip() on both folders.
int work_strip(const struct work *w, struct error **err);
// The digest of both folders' content.
int work_content(const struct work *w, char **digest, struct error **err);
// With --continue: if the node has kept work, its key becomes that of resuming it, and job->work is
// set.
int work_continue(struct build *b, struct node *node, struct error **err);
// With --continue: an error if no target has kept work.
int work_expected(struct build *b, struct error **err);
// Without --continue: reports kept work that is not used.
void work_remind(struct build *b);
// Copies both folders to the folders of a step.
int work_copy(const struct work *w, const char *builddir, const char *destdir, struct error **err);
void work_free(struct work *w); // NULL is allowed

#endif
