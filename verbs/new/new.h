// SPDX-License-Identifier: Apache-2.0
// `kbuild new`: writes the folder of a recipe that builds at once, to be changed from there: a
// small one with a comment a key, or a copy of another recipe under a new name.
#ifndef KBUILD_NEW_NEW_H
#define KBUILD_NEW_NEW_H

#include "base/error.h"
#include "base/memory.h"
#include "recipe/recipe.h"

struct new_request {
    const char *recipes;    // the folder for it, made if it does not exist
    struct recipe_set *set; // existing recipes; or NULL: there are none yet
    const char *name;
    const char *like; // the recipe to copy; or NULL
};
// The folder appears complete or not at all; one of that name is an error, and so is a name that a
// target or an output has already. `files` gets the paths that were written.
int new_recipe(const struct new_request *r, struct strlist *files, struct error **err);

#endif
