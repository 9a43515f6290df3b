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

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "registry/registry.h"
#include "store/store.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct oci_image {
    const char *architecture; // as Go names it: "amd64", "s390x", "arm64", "ppc64le"
    const char *created_by;   // goes to the image's history; says what made it
};
// Makes the image of a tree. A damaged tree (each file is hashed on the way) or a name that means
// something else in a layer (".wh.*") is an error.
int oci_store_rootfs(struct store *s, const char *tree_digest, const struct oci_image *image,
                     char manifest_digest[static DIGEST_HEX_SIZE], struct error **err);

// ---- layer ----

// Writes the layer of a tree as a blob. oci.h says what is in it.
int oci_store_layer(struct store *s, const char *tree_digest, char digest[static DIGEST_HEX_SIZE],
                    uint64_t *size, struct error **err);

// ---- choose ----
// The image for one platform, of what a name leads to: a manifest, or an index (image-index.md)
// that may hold indexes.

// How manifests and configs are read, wherever they are.
struct oci_reader {
    // The bytes of a manifest into *out: of the one named by its digest, or (NULL) of what the name
    // leads to. What comes is what the digest says.
    int (*manifest)(void *context, const char *digest, struct buf *out, struct error **err);
    // The same for a config.
    int (*config)(void *context, const char *digest, uint64_t size, struct buf *out,
                  struct error **err);
    void *context;
};
// The manifest of an image for linux on `architecture` (as Go names it), to be released; NULL on an
// error, also if there is none. An entry of an index that does not say what it is for is looked
// into: an index is searched, an image's config says it. Indexes are followed four deep, and 64
// manifests in all are read. An image that the name leads to itself is taken as it is.
json_t *oci_choose(const struct oci_reader *r, const char *architecture,
                   char digest[static DIGEST_HEX_SIZE], struct error **err);

// An error if the text of a config does not say that its image is for linux and `architecture`.
int oci_check_platform(const struct buf *config, const char *architecture, struct error **err);

// ---- unpack ----
// Layers of an image -> a root file system (OCI image specification 1.1, layer.md). Layers of
// docker (schema 2) are the same thing under other names.

// Unpacks one layer (tar; plain, gzip, zstd, xz or bzip2) from a file over what the layers below it
// left in `folder`. `lowest` says that there are none below, so nothing can be whited out.
//
// ".wh.<name>" removes <name>, ".wh..wh..opq" everything in its directory, of the layers below
// only, wherever in the layer it stands. A file replaces a directory and the other way round. Links
// may lead anywhere, for they are the image's own. A member whose name leads through one goes where
// it points as seen in the image ("lib/x" to usr/lib/x where lib is a link there), and never
// outside the folder; absolute names are names in the image, and ".." is refused. Of the extended
// attributes user.* and file capabilities are kept, as far as this user may set them. Device nodes,
// fifos and sockets are left out: a tree has none. Owners and setuid bits are dropped. max_bytes is
// the limit of the content, 0 for 64 GiB.
int oci_unpack_layer(int fd, const char *name, const char *folder, bool lowest, uint64_t max_bytes,
                     struct error **err);

// A tree that pack_tree() packed: no name in it has a meaning of its own.
int oci_unpack_tree(int fd, const char *name, const char *folder, uint64_t max_bytes,
                    struct error **err);

// ---- pull ----
// An image of a registry, of whoever's making, as a root file system; or found, to be pulled later.

// Pulls the image (of an index: that for linux and `architecture`, as Go names it) and unpacks its
// layers into the existing, empty folder. `digest` gets the manifest's, in hex.
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
