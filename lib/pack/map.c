// SPDX-License-Identifier: Apache-2.0
// Maps names to numbers, over tsearch().
#include "pack/scan.h"

#include <search.h>
#include <string.h>

struct item {
    size_t value;
    const char *name; // `text` for an item in the map
    char text[];
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

size_t *map_find(const struct map *m, const char *name)
{
    struct item key = {.name = name};
    void *found = tfind(&key, &m->root, compare);
    return found ? &(*(struct item **)found)->value : NULL;
}

void map_put(struct map *m, const char *name, size_t value)
{
    size_t *old = map_find(m, name);
    if (old) {
        *old = value;
        return;
    }
    size_t length = strlen(name) + 1;
    struct item *item = xmalloc(sizeof *item + length);
    memcpy(item->text, name, length);
    item->name = item->text;
    item->value = value;
    if (!tsearch(item, &m->root, compare))
        abort(); // out of memory in a call that cannot say so
}

void map_free(struct map *m)
{
    tdestroy(m->root, free);
    m->root = NULL;
}
