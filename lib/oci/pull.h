// SPDX-License-Identifier: Apache-2.0
// An image of a registry, of whoever's making, as a root file system; or found, to be pulled later.
#ifndef KBUILD_OCI_PULL_H
#define KBUILD_OCI_PULL_H

#include "registry/registry.h"
#include "store/store.h"

// Pulls the image (of an index: that for linux and `architecture`, as Go names it) and unpacks its
// layers into the existing, empty folder (unpack.h). `digest` gets the manifest's, in hex.
// *unusable says of a failure that it is the image's: it is lost, what came is not what its
// manifest says, or it cannot be unpacked. Of a failure of the network, the registry or this
// machine nothing is known.
int oci_pull_rootfs(struct store *s, const char *image, const char *architecture,
                    const char *folder, char digest[static DIGEST_HEX_SIZE], bool *unusable,
                    struct error **err);

// The digest of the manifest, in hex, of the image for linux and `architecture` that a name leads
// to. The image's own config has to say that it is for that platform.
int oci_find_image(const char *image, const char *architecture, char digest[static DIGEST_HEX_SIZE],
                   struct error **err);

// Pulls the image with this manifest ("registry/repository@sha256:..."), for that platform: layers
// and *unusable as above, and its config, as it is, into `config`.
int oci_pull_image(struct store *s, const char *image, const char *architecture, const char *folder,
                   struct buf *config, bool *unusable, struct error **err);

#endif
