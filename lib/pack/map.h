// SPDX-License-Identifier: Apache-2.0
// A map from names to numbers. Balanced (tsearch), so hostile names cannot make it slow.
#ifndef KBUILD_PACK_MAP_H
#define KBUILD_PACK_MAP_H

#include "base/mem.h"

struct map {
    void *root; // zero-initialise
};
size_t *map_find(const struct map *m, const char *name);     // NULL if it is not there
void map_put(struct map *m, const char *name, size_t value); // replaces
void map_free(struct map *m);
#define cleanup_map __attribute__((cleanup(map_free)))

#endif
