// SPDX-License-Identifier: Apache-2.0
// Copying a tree of files.
#ifndef KBUILD_BASE_COPY_H
#define KBUILD_BASE_COPY_H

#include "base/error.h"

// Copies what is in the directory `from` into the directory `to`, which exists; files of the same
// name there are an error, directories are filled. Kept are content (shared where the file system
// can), permission bits, modification times, and links as they are; not owners, nor which files are
// hard links of each other. Anything but files, directories and links is an error that names it.
int copy_tree(const char *from, const char *to, struct error **err);

#endif
