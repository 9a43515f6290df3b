// SPDX-License-Identifier: Apache-2.0
// Decides which recipes can be made from the sources that this run may use. A distribution packages
// few projects, so that with --sources=debian many parts of a release lack a source. The keys `any`
// and `optional` in recipes handle this.
#ifndef KBUILD_GRAPH_AVAILABLE_H
#define KBUILD_GRAPH_AVAILABLE_H

#include "recipe/recipe.h"
#include "source/source.h"

// The input of choices between recipes. Borrowed throughout.
struct choosing {
    struct recipe_set *set;
    const struct versions *versions; // NULL: no recipe lacks a source
    const struct source_options *sources;
    const char *prebuilt; // artifacts to take instead of make (prebuilt.h), or NULL
    // Called for each recipe that is left out or replaced because a source is missing; or NULL.
    void (*say)(const char *text, void *context);
    void *context;
};

// The name of the missing source of `r` or of one of its mandatory needs, to be freed; NULL if none
// is missing. A recipe that cannot be read lacks nothing: planning reports its error.
char *recipe_lacks(const struct choosing *c, const struct recipe *r, const struct arch *target);

// The recipe that fills a need of `r` (or a member, of a group): the first that exists, supports
// the architecture and lacks no source. If all lack a source: the first, and planning reports the
// error; NULL without an error if the need is optional: it is left out.
const struct recipe *choose_recipe(const struct choosing *c, const struct recipe *r,
                                   const struct recipe_need *need, const struct arch *target,
                                   struct error **err);
// The architecture that `r` is built for: `wanted`, else this machine's, else its only one.
const struct arch *choose_arch(const struct recipe *r, const struct arch *wanted,
                               struct error **err);

// A struct choosing without a build, for verbs that only read recipes. Zero-initialise it, and
// close it also after an error. versions.yaml is read only if it can matter.
struct build_options;
struct recipes_view {
    struct recipe_set *set;
    struct versions *versions;
    struct source_options sources;
    struct choosing choosing;
};
int recipes_view_open(const struct build_options *o, struct recipes_view *out, struct error **err);
void recipes_view_close(struct recipes_view *v);
#define cleanup_recipes_view __attribute__((cleanup(recipes_view_close)))

// Adds the names of all sources that a target or its alternatives may use.
void source_names(struct recipe_set *set, const struct recipe *r, const struct arch *target,
                  struct strlist *out);

#endif
