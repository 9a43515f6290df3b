// SPDX-License-Identifier: Apache-2.0
// Root file systems as OCI images, and OCI images of registries as root file systems, by the OCI
// Image Format Specification 1.1, whose pages are cited by name. An image made here (manifest.md,
// config.md, layer.md) is one layer, a config and a manifest, all blobs of the store, and named by
// the digest of its manifest. It uses nothing that 1.0 does not have.
//
// The layer is an uncompressed tar. Its bytes follow from the tree's digest alone: the same tree
// gives the same manifest digest on every machine, and keys are made of that digest; compressed
// bytes would depend on the compressor's version. Tools that push an image can compress it (skopeo
// copy --dest-compress). Everything is owned by 0:0, modified at 0, mode 0755 or 0644 by the
// executable bit; /tmp and /var/tmp are 1777.
//
// In: trees of the store, names of images. Out: digests in the store; texts are the caller's.
#ifndef KBUILD_OCI_OCI_H
#define KBUILD_OCI_OCI_H

#include "base/digest.h"
#include "base/error.h"
#include "base/memory.h"
#include "registry/registry.h"
#include "store/store.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct oci_image {
    const char *architecture; // as Go names it: "amd64", "s390x", "arm64", "ppc64le"
    const char *created_by;   // goes to the image's history; says what made it
};
// Makes the image of a tree. A damaged tree (each file is hashed) or a name with a meaning in
// layers (".wh.*") is an error.
int oci_store_rootfs(struct store *s, const char *tree_digest, const struct oci_image *image,
                     char manifest_digest[static DIGEST_HEX_SIZE], struct error **err);

// ---- the image for a platform ----
// Finds the image for one platform below a name: the name is of a manifest, or of an index
// (image-index.md) that may hold indexes.

// Callbacks that read manifests and configs.
struct oci_reader {
    // Reads into *out the manifest with this digest, or (NULL) the one that the name leads to. The
    // bytes must match the digest.
    int (*manifest)(void *context, const char *digest, struct buf *out, struct error **err);
    // The same for a config.
    int (*config)(void *context, const char *digest, uint64_t size, struct buf *out,
                  struct error **err);
    void *context;
};
// The manifest of an image for linux on `architecture` (as Go names it), to be released; NULL on an
// error, also if there is none. An index entry without a platform is opened: a nested index is
// searched, an image's config has the platform. At most four levels of indexes and 64 manifests are
// read. If the name leads to an image itself, it is used unchecked.
json_t *oci_choose(const struct oci_reader *r, const char *architecture,
                   char digest[static DIGEST_HEX_SIZE], struct error **err);

// ---- unpack ----
// Layers of an image -> a root file system (layer.md). Docker layers (schema 2) differ only in
// their media types.

// Unpacks one layer (tar; plain, gzip, zstd, xz or bzip2) from a file into `folder`, over the
// layers below it. `lowest`: no layer is below, so there is nothing to white out.
//
// ".wh.<name>" removes <name>, ".wh..wh..opq" everything in its directory, but only what lower
// layers brought, at any position in the layer. A file replaces a directory and vice versa. Links
// may have any target. A member's path through a link is resolved within the image ("lib/x" is
// usr/lib/x if lib is a link to it), never outside the folder; absolute names are names in the
// image, and ".." is refused. Of the extended attributes user.* and file capabilities are kept, as
// far as this user may set them. Device nodes, fifos and sockets are left out: a tree has none.
// Owners and setuid bits are dropped. max_bytes is the limit of the content, 0 for 64 GiB.
int oci_unpack_layer(int fd, const char *name, const char *folder, bool lowest, uint64_t max_bytes,
                     struct error **err);

// Unpacks a tree that pack_tree() packed: no name in it is special.
int oci_unpack_tree(int fd, const char *name, const char *folder, uint64_t max_bytes,
                    struct error **err);

// ---- pull ----
// Pulls an image from a registry as a root file system, or finds it, to be pulled later.

// Pulls the image (of an index: that for linux and `architecture`, as Go names it) and unpacks its
// layers into the existing, empty folder. `digest` gets the manifest's, in hex.
// *unusable: the image caused the failure: it is missing, its content does not match its manifest,
// or it cannot be unpacked. After a failure of the network, the registry or this machine it is
// false.
int oci_pull_rootfs(struct store *s, const char *image, const char *architecture,
                    const char *folder, char digest[static DIGEST_HEX_SIZE], bool *unusable,
                    struct error **err);

// The digest of the manifest, in hex, of the image for linux and `architecture` that a name leads
// to. The image's own config has to say that it is for that platform.
int oci_find_image(const char *image, const char *architecture, char digest[static DIGEST_HEX_SIZE],
                   struct error **err);

// Pulls the image with this manifest ("registry/repository@sha256:..."), for that platform: layers
// and *unusable as above, and the unchanged config into `config`.
int oci_pull_image(struct store *s, const char *image, const char *architecture, const char *folder,
                   struct buf *config, bool *unusable, struct error **err);

#endif
