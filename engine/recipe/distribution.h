// SPDX-License-Identifier: Apache-2.0
// Which distribution: the one that packages come from.
#ifndef KBUILD_RECIPE_DISTRIBUTION_H
#define KBUILD_RECIPE_DISTRIBUTION_H

#include "base/error.h"

struct distribution {    // owned strings
    char *id, *codename; // "debian", "bookworm"
};

// This host's, from os-release(5). For a derivative (Mint, Pop!_OS, LMDE: ID_LIKE), the
// distribution whose packages it installs, by UBUNTU_CODENAME, DEBIAN_CODENAME or
// /etc/debian_version. One without a code name is an error.
int distribution_host(struct distribution *out, struct error **err);
// The same from given files, of which the second need not exist.
int distribution_read(const char *path, const char *debian_version, struct distribution *out,
                      struct error **err);
void distribution_free(struct distribution *d);

#endif
