// SPDX-License-Identifier: Apache-2.0
// The entries of a folder, in the order of packing, and a map from names to numbers.
#ifndef KBUILD_PACK_SCAN_H
#define KBUILD_PACK_SCAN_H

#include "base/error.h"
#include "base/memory.h"

#include <stdint.h>
#include <sys/types.h>

struct scan_entry {
    char *path;    // relative; "" is the folder itself
    unsigned mode; // as it is on disk
    uint64_t size;
    int64_t mtime;
    char *link; // symlink target, or NULL
    dev_t device;
    ino_t inode;
    size_t first; // index of the first entry that is the same file (itself without hard links)
};
// Sorted by the bytes of the path, so a directory comes before its entries.
struct scan {
    struct scan_entry *entries;
    size_t n, cap;
    uint64_t bytes; // of all regular files, each once
    int root;       // the folder, for openat()
};

// Devices, fifos, sockets and names with newlines are errors that name the path.
int scan_directory(int directory, const char *shown, struct scan *out, struct error **err);
// The same for a path, whose own last component may be a link.
int scan_folder(const char *folder, struct scan *out, struct error **err);
// Opens a regular file of the scan for reading, without following links; if another file replaced
// it, that is an error.
int scan_open(const struct scan *s, const struct scan_entry *e, struct error **err);
void scan_free(struct scan *s);
#define SCAN_NONE ((struct scan){.root = -1})
#define cleanup_scan __attribute__((cleanup(scan_free)))

// ---- map ----
// A map from names, which are copied, to numbers. Hostile names cannot make it slow.
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
