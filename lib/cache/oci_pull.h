// SPDX-License-Identifier: Apache-2.0
// An image of a registry, of whoever's making, as a root file system.
#ifndef KBUILD_CACHE_OCI_PULL_H
#define KBUILD_CACHE_OCI_PULL_H

#include "cache/registry.h"
#include "cache/store.h"

// Pulls the image (of an index: that for linux and `architecture`, as Go names it) and unpacks its
// layers into the existing, empty folder (oci_unpack.h). `digest` gets the manifest's, in hex.
int oci_pull_rootfs(struct store *s, const char *image, const char *architecture,
                    const char *folder, char digest[static DIGEST_HEX_SIZE], struct error **err);

#endif
