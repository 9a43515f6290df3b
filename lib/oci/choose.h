// SPDX-License-Identifier: Apache-2.0
// The image for one platform, of what a name leads to: a manifest, or an index (image-index.md)
// that may hold indexes.
#ifndef KBUILD_OCI_CHOOSE_H
#define KBUILD_OCI_CHOOSE_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"

#include <jansson.h>
#include <stdint.h>

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

#endif
