// SPDX-License-Identifier: Apache-2.0
// Installs tarballs into a host's tree, optionally with another prefix.
#ifndef KBUILD_PACK_INSTALL_H
#define KBUILD_PACK_INSTALL_H

#include "pack/pack.h"

// A symbolic link that no tarball has; path is below the prefix, target relative to it.
struct install_link {
    const char *path, *target;
};
struct install_options {
    const char *from;   // clean path that the tarballs use: "opt/kata"
    const char *prefix; // absolute path that it becomes: "/usr"
    const char *root;   // the tree: "/"
    bool dry_run;       // write nothing
    const struct install_link *links;
    size_t link_count;
    const struct listing_keeper *keeper; // or NULL
    // Called for each file and link, with its path in the tree ("/usr/bin/x"); or NULL.
    void (*say)(const char *path, void *context);
    void *context;
};

// Whether any member of the tarball is below `from`; tarballs without one are for guests. 1, 0, -1.
int install_concerns(const char *path, const struct install_options *o, struct error **err);
// Installs all tarballs at once. Refuses members that are not below `from`, links that lead out of
// it, what the merge refuses (device nodes, two tarballs that disagree, the host's own files:
// pack.h), and links in o->links that would lead nowhere. Files and links are replaced (staging.h),
// existing folders are unchanged. The owner is the user who runs this; modes and times are the
// tarball's.
int install_archives(const struct strlist *paths, const struct install_options *o,
                     struct error **err);

#endif
