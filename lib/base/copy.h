// SPDX-License-Identifier: Apache-2.0
// Copying files and trees of them.
#ifndef KBUILD_BASE_COPY_H
#define KBUILD_BASE_COPY_H

#include "base/error.h"

// The content of `from`, from its offset on, into the empty file `to`: shared where the file system
// can, else copied. The names are for messages.
int copy_content(int from, const char *from_name, int to, const char *to_name, struct error **err);

// Copies what is in the directory `from` into the directory `to`, which exists; files of the same
// name there are an error, directories are merged. Keeps content (shared where the file system
// can), permission bits, modification times and links; not owners or hard links. Anything but
// files, directories and links is an error that names it.
int copy_tree(const char *from, const char *to, struct error **err);

#endif
