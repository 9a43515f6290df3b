// SPDX-License-Identifier: Apache-2.0
// Licences of distribution packages, from their copyright files.
#ifndef KBUILD_SANDBOX_LICENCE_H
#define KBUILD_SANDBOX_LICENCE_H

#include "source/packages.h"

// The SPDX expression of all licences that a machine-readable copyright file names for files, to be
// freed; NULL if it is in another form or names none.
char *licence_of_copyright(const char *text);
// Sets the licence of each package of `set` for the architecture `of` from the files extracted at
// `root`. A package without a copyright file gets none.
int rootfs_licences(const char *root, const char *of, struct package_set *set, struct error **err);

#endif
