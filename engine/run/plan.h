// SPDX-License-Identifier: Apache-2.0
// Planning, between the files that do it. Not for other rooms.
#ifndef KBUILD_RUN_PLAN_H
#define KBUILD_RUN_PLAN_H

#include "graph/available.h"
#include "run/internal.h"

// ---- plan.c ----
void plan_role(struct node *node, enum role_kind kind, const char *name, struct node *needed);
// A node of this name, or a new one; a name that is taken by something else (`same` says no) gets a
// suffix, so that two recipes may call different sources the same.
struct node *plan_node(struct build *b, enum node_kind kind, const char *name,
                       bool (*same)(const struct node *, const void *), const void *what,
                       bool *is_new);
// The lines of a key for the files of a folder: relative path, execute bit and digest. recipe.yaml
// itself is left out, since what counts of it is named piece by piece. `inner` is "" for the whole
// folder.
int plan_folder(const struct job *job, const char *title, const char *folder, const char *inner,
                struct buf *out, struct error **err);
// Whether there is this source with these --sources and variables.
bool plan_source_applies(struct build *b, const struct job *job,
                         const struct recipe_source *source);
// The node of a recipe, with all it needs. A group has none, and is an error.
struct node *plan_artifact(struct build *b, const struct recipe *r, const struct arch *target,
                           struct error **err);

// ---- plan_list.c ----
// The sources of an artifact that are lists: after its other sources and its builder, which they
// need.
int plan_lists(struct build *b, struct node *node, struct error **err);

#endif
