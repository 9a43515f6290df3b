// SPDX-License-Identifier: Apache-2.0
// Media types and descriptors of the OCI image specification 1.1 (media-types.md, descriptor.md).
#ifndef KBUILD_STORE_DESCRIPTOR_H
#define KBUILD_STORE_DESCRIPTOR_H

#include <jansson.h>
#include <stdint.h>

#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define OCI_EMPTY "application/vnd.oci.empty.v1+json" // "{}"
#define OCI_LAYER "application/vnd.oci.image.layer.v1.tar"
#define OCI_LAYER_GZIP OCI_LAYER "+gzip"
#define OCI_LAYER_ZSTD OCI_LAYER "+zstd"
#define DOCKER_INDEX "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_LAYER "application/vnd.docker.image.rootfs.diff.tar"
#define OCI_REF_NAME "org.opencontainers.image.ref.name"
#define OCI_TITLE "org.opencontainers.image.title"
#define OCI_EPOCH "1970-01-01T00:00:00Z"

// `digest` is the SHA-256 in hexadecimal.
json_t *oci_descriptor(const char *type, const char *digest, uint64_t size);
// The SHA-256 in hexadecimal that a descriptor names, borrowed from it; NULL: it names none. With
// `size` it must have a size, too.
const char *oci_descriptor_digest(const json_t *descriptor, uint64_t *size);
// The hex part of a digest "sha256:<hex>"; NULL for any other text and for NULL.
const char *oci_digest_hex(const char *digest);

#endif
