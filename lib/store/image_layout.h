// SPDX-License-Identifier: Apache-2.0
// Images of the store as folders: OCI image layouts (image-layout.md) of hard links to its blobs.
#ifndef KBUILD_STORE_IMAGE_LAYOUT_H
#define KBUILD_STORE_IMAGE_LAYOUT_H

#include "store/descriptor.h"
#include "store/store.h"

#define TREE_ANNOTATION "kbuild.tree" // marks our manifests, and names the tree

// Whether an image in a layout may be called so.
int oci_check_name(const char *name, struct error **err);
// Makes `directory` an OCI image layout that has this image (any OCI manifest) under `name`
// (org.opencontainers.image.ref.name), for `skopeo inspect oci:DIRECTORY:NAME`. Blobs are hard
// links to those of the store where that can be. Images of other names that are there stay; one of
// the same name is replaced.
int oci_write_layout(struct store *s, const char *manifest_digest, const char *name,
                     const char *directory, struct error **err);

// The same below <store>/images/<name>, where images are kept under their names until gc takes
// their blobs. A name is one clean path component.
int store_name_image(struct store *s, const char *manifest_digest, const char *name,
                     struct error **err);

// If the blob is a manifest made here, calls `each` for the digests of its config and its layer.
// Anything else, and a blob that is missing or damaged, refers to nothing.
void oci_references(struct store *s, const char *digest, void (*each)(const char *digest, void *),
                    void *context);

#endif
