// SPDX-License-Identifier: Apache-2.0
// A root file system of the store as an OCI image (OCI image specification 1.0: manifest.md,
// config.md, layer.md, image-layout.md): one layer, a config and a manifest, all of them blobs of
// the store, so that an image is named by the digest of its manifest.
//
// The layer is an uncompressed tar. Its bytes follow from the tree's digest alone: the same tree
// gives the same manifest digest on every machine, which a compressed layer would not (its bytes
// depend on the version of the compressor), and keys are made of that digest. It also costs no more
// than writing it, and tools that push an image compress on the way (skopeo copy --dest-compress).
// Everything is owned by 0:0, modified at 0, mode 0755 or 0644 by the executable bit; /tmp and
// /var/tmp are 1777.
#ifndef KBUILD_OCI_OCI_H
#define KBUILD_OCI_OCI_H

#include "store/store.h"

struct oci_image {
    const char *architecture; // as Go names it: "amd64", "s390x", "arm64", "ppc64le"
    const char *created_by;   // goes to the image's history; says what made it
};
// Makes the image of a tree. A damaged tree (each file is hashed on the way) or a name that means
// something else in a layer (".wh.*") is an error.
int oci_store_rootfs(struct store *s, const char *tree_digest, const struct oci_image *image,
                     char manifest_digest[static DIGEST_HEX_SIZE], struct error **err);

#endif
