// SPDX-License-Identifier: Apache-2.0
// The content of a target's release, from recipes alone: nothing is planned, so no variable needs
// to be set.
#ifndef KBUILD_RELEASE_RELEASE_H
#define KBUILD_RELEASE_RELEASE_H

#include "graph/available.h"

struct release_item {
    char *output;      // "kernel": the tarball is kata-static-kernel.tar.*
    const char *maker; // the target that makes it; the recipe set's
};
struct release {
    char *target;
    const struct arch *arch;
    struct release_item *items;
    size_t n, cap;
};

// The outputs that `kbuild TARGET` places in the output directory (of a group: of all members),
// except those for guests only.
int release_of(const struct choosing *c, const char *target, const struct arch *wanted,
               struct release *out, struct error **err);
void release_free(struct release *r);

// Adds to `out` the components for guests, not hosts, from the key `guest` of all recipes: names
// and patterns.
int release_guests(struct recipe_set *set, struct strlist *out, struct error **err);
// Whether this component is one of them.
bool release_is_guest(const struct strlist *guests, const char *component);

#endif
