// SPDX-License-Identifier: Apache-2.0
// Writes files into a tree that is in use, such as a host's: each beside its place; when all are
// complete, one rename each gives them their names. Until then the old files are unchanged.
//
// Links in the tree are followed as if the tree were "/" (openat2(2), RESOLVE_IN_ROOT), so nothing
// is written outside.
#ifndef KBUILD_PACK_STAGING_H
#define KBUILD_PACK_STAGING_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct staged {
    char *folder, *temporary, *base;
};
struct staging {
    int root;
    struct staged *items;
    size_t n, cap;
    char *folder; // the last one that was opened
    int folder_fd;
};
#define STAGING_NONE ((struct staging){.root = -1, .folder_fd = -1})

// `root` is made if it does not exist. Paths below are clean and relative to it.
int staging_open(struct staging *s, const char *root, struct error **err);
// Makes a directory and its parents (0755); existing ones are unchanged.
int staging_directory(struct staging *s, const char *path, struct error **err);
// A new file, to be written; its folder is made. The caller closes it. -1: error.
int staging_file(struct staging *s, const char *path, struct error **err);
int staging_link(struct staging *s, const char *path, const char *target, struct error **err);
// Another name for item `index` (in staging order, from 0).
int staging_hard_link(struct staging *s, const char *path, size_t index, struct error **err);
int staging_commit(struct staging *s, struct error **err);
// Removes what was not committed, and closes.
void staging_close(struct staging *s);
#define cleanup_staging __attribute__((cleanup(staging_close)))

#endif
