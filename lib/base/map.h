// SPDX-License-Identifier: Apache-2.0
// A map from names, which are copied, to numbers; with any number it is a set of names. Hostile
// names cannot make it slow.
#ifndef KBUILD_BASE_MAP_H
#define KBUILD_BASE_MAP_H

#include "base/memory.h"

#include <stdint.h>

// Zero-initialise.
struct map {
    struct map_slot *slots;
    size_t n, slot_count;
    struct buf names; // one after another, each with its NUL
    uint64_t key[2];  // of the hash
};
// The number, until something else is put into the map; NULL if the name is not there.
size_t *map_find(const struct map *m, const char *name);
// Adds a name: NULL; if it is there already, its number, which stays as it is.
size_t *map_add(struct map *m, const char *name, size_t value);
void map_put(struct map *m, const char *name, size_t value); // replaces
void map_free(struct map *m);
#define cleanup_map __attribute__((cleanup(map_free)))

#endif
