// SPDX-License-Identifier: Apache-2.0
// Which recipes can be made at all from the sources that this run may use. A distribution has no
// package of most projects, so that with --sources=debian much of a release has no source. `any`
// and `optional` in recipes are for just that.
#ifndef KBUILD_GRAPH_AVAILABLE_H
#define KBUILD_GRAPH_AVAILABLE_H

#include "recipe/recipe.h"
#include "source/source.h"

// What choices between recipes are made from. Nothing is owned.
struct choosing {
    struct recipe_set *set;
    const struct versions *versions; // NULL: nothing lacks a source
    const struct source_options *sources;
    const char *prebuilt; // list of artifacts that are taken as they are (prebuilt.h), or NULL
    // Called for each recipe that is left out, or replaced by another, because of a source; or
    // NULL.
    void (*say)(const char *text, void *context);
    void *context;
};

// The name of the source that `r`, or something that it cannot do without, lacks, to be
// freed; NULL if all are there. Recipes that cannot be read lack nothing: planning says why.
char *recipe_lacks(const struct choosing *c, const struct recipe *r, const struct arch *target);

// The recipe that fills a need of `r` (or a member, of a group): the first that exists, supports
// the architecture and lacks no source. If each lacks one, the first, unless the need is optional:
// planning it says what to do. NULL without an error: it is left out.
const struct recipe *choose_recipe(const struct choosing *c, const struct recipe *r,
                                   const struct recipe_need *need, const struct arch *target,
                                   struct error **err);
// The architecture that `r` is built for: `wanted`, else this machine's, else its only one.
const struct arch *choose_arch(const struct recipe *r, const struct arch *wanted,
                               struct error **err);

// The same without a build: for verbs that look at recipes alone. Zero-initialise; to be closed
// also after an error. versions.yaml is read only if it can matter.
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

// Adds the names of all sources that may matter to a target, of its alternatives, too.
void source_names(struct recipe_set *set, const struct recipe *r, const struct arch *target,
                  struct strlist *out);

#endif
