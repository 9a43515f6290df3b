// SPDX-License-Identifier: Apache-2.0
// Planning, between the files that do it. Not for other rooms.
#ifndef KBUILD_RUN_PLAN_H
#define KBUILD_RUN_PLAN_H

#include "run/internal.h"

// ---- choose.c: what a name stands for ----
// The recipe that fills a need of `r` (or a member, of a group) on this architecture, or NULL: an
// error, unless the need is optional.
const struct recipe *choose_recipe(struct recipe_set *set, const struct recipe *r,
                                   const struct recipe_need *need, const struct arch *target,
                                   struct error **err);
// The architecture that `r` is built for: `wanted`, else this machine's, else its only one.
const struct arch *choose_arch(const struct recipe *r, const struct arch *wanted,
                               struct error **err);

// ---- plan.c ----
// The node of a recipe, with all it needs. A group has none, and is an error.
struct node *plan_artifact(struct build *b, const struct recipe *r, const struct arch *target,
                           struct error **err);

#endif
