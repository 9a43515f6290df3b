// SPDX-License-Identifier: Apache-2.0
// Declarations shared by the planning files. Not for others.
#ifndef KBUILD_RUN_PLAN_H
#define KBUILD_RUN_PLAN_H

#include "graph/available.h"
#include "run/internal.h"

// ---- plan.c ----
void plan_role(struct node *node, enum role_kind kind, const char *name, struct node *needed);
// A node of this name, or a new one. If the name is used for another node (`same` returns false),
// it gets a suffix, so that two recipes may use one name for different sources.
struct node *plan_node(struct build *b, enum node_kind kind, const char *name,
                       bool (*same)(const struct node *, const void *), const void *what,
                       bool *is_new);
// The key lines for the files of a folder: relative path, execute bit and digest. recipe.yaml is
// left out: its relevant parts are in the key one by one. `inner` is "" for the whole folder.
int plan_folder(const struct job *job, const char *title, const char *folder, const char *inner,
                struct buf *out, struct error **err);
// Whether this source applies with these --sources and variables.
bool plan_source_applies(struct build *b, const struct job *job,
                         const struct recipe_source *source);
// The node of a recipe, with all its needs. A group has no node, and is an error.
struct node *plan_artifact(struct build *b, const struct recipe *r, const struct arch *target,
                           struct error **err);

// ---- plan_list.c ----
// Plans the list sources of an artifact, after its other sources and its builder, which they need.
int plan_lists(struct build *b, struct node *node, struct error **err);

#endif
