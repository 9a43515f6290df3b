// SPDX-License-Identifier: Apache-2.0
// Which distribution: the one that packages come from.
#ifndef KBUILD_RECIPE_DISTRIBUTION_H
#define KBUILD_RECIPE_DISTRIBUTION_H

#include "base/error.h"

struct distribution { // owned strings
    char *id, *codename; // "debian", "bookworm"
};

// This host's, from os-release(5). One without a code name is an error.
int distribution_host(struct distribution *out, struct error **err);
// The same from a given file.
int distribution_read(const char *path, struct distribution *out, struct error **err);
void distribution_free(struct distribution *d);

#endif
