// SPDX-License-Identifier: Apache-2.0
// The work of a step that stopped between two phases, in the output directory, for a person to
// change and to resume from:
//
//   <target>/builddir       what the step sees as /build
//   <target>/destdir        what the step sees as /out
//   <target>/builddir.json  which step it is and how far it came (work.c)
//
// Resuming is honest: what a person left there is an input like any other. The key of the result is
// that of the untouched step and lines for the folder's content:
//
//   work after <phase>
//   work builddir <digest>  the tree's (cache/tree.h)
//   work destdir <digest>
//   work times <digest>     of the files' modification times, which decide what make makes again
//
// so it is never taken for what the recipe makes by itself, nor shared.
#ifndef KBUILD_RUN_WORK_H
#define KBUILD_RUN_WORK_H

#include "run/internal.h"

struct work {
    char *builddir, *destdir, *record; // absolute paths
    char *shown;                       // the builddir as messages name it
    size_t reached;                    // so many phases are done
    char *key_text;                    // of the untouched step
    char *content;                     // digest of both folders as kbuild left them; NULL: a run
                                       // that was killed left them
    bool edited;                       // a phase has run over a person's changes
    char *lines;                       // of the key, once work_continue() made them
    char *listing_digest;              // and the content that they stand for
};

// 1: *out is the work of this node's target; 0: there is none; -1: its record cannot be used.
int work_load(struct build *b, const struct node *node, struct work **out, struct error **err);
// New, empty folders for a node whose key is known. What is there already is removed if nobody
// changed it, as far as kbuild can know, else an error.
struct work *work_begin(struct build *b, const struct node *node, struct error **err);
// After a run that did not end well: notes what is there, so that changes by hand are seen later.
void work_settle(struct build *b, const struct node *node);
int work_save(const struct node *node, const struct work *w, struct error **err);
// Whether it is of the step that this key text describes; else an error that says what changed.
int work_check(const struct node *node, const struct work *w, const char *key_text,
               struct error **err);
// beneath_strip() of what a step left in both folders.
int work_strip(const struct work *w, struct error **err);
// The digest of both folders' content.
int work_content(const struct work *w, char **digest, struct error **err);
// With --continue: if the node has such work, its key becomes that of resuming from it, and
// job->work is set.
int work_continue(struct build *b, struct node *node, struct error **err);
// With --continue: an error if no target has such work.
int work_expected(struct build *b, struct error **err);
// Without: says that there is some, and that it is not used.
void work_remind(struct build *b);
// Copies the folders to those of a step.
int work_copy(const struct work *w, const char *builddir, const char *destdir, struct error **err);
void work_free(struct work *w); // NULL is allowed

// An error about what a step left is the step's failure (ERROR_STEP), unless the system is behind
// it: a full disk, say, or an interruption. Returns -1.
int step_fault(struct error **err);

#endif
