// SPDX-License-Identifier: Apache-2.0
// What a release of a target holds, from recipes alone: nothing is planned, so that no variable has
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

// The outputs that `kbuild TARGET` puts into the output directory (of a group: of all its members),
// but for what goes into guests only.
int release_of(const struct choosing *c, const char *target, const struct arch *wanted,
               struct release *out, struct error **err);
void release_free(struct release *r);

// The components that go into guests, not onto hosts, as the key `guest` of all recipes says: names and patterns, in `out`.
int release_guests(struct recipe_set *set, struct strlist *out, struct error **err);
// Whether the component of this name is one of them.
bool release_is_guest(const struct strlist *guests, const char *component);

#endif
