// SPDX-License-Identifier: Apache-2.0
// Walks and makes directories beneath a folder without ever following a link, or (in_root) following
// them as if the folder were "/", which the kernel sees to. The directories of the last path stay
// open, so neighbours in an archive cost no new lookups.
#ifndef KBUILD_PACK_BENEATH_H
#define KBUILD_PACK_BENEATH_H

#include "pack/names.h"

struct beneath {
    int root; // not owned
    bool in_root;
    struct level {
        char *name;
        int fd;
    } levels[DEPTH_LIMIT];
    size_t n;
};

// The directory that the clean path `path` is in, and its last component. Missing directories are
// made (0755). The descriptor belongs to `b` and is valid until the next call.
int beneath_parent(struct beneath *b, const char *path, const char **base, struct error **err);
void beneath_close(struct beneath *b);

#endif
