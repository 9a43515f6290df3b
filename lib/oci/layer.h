// SPDX-License-Identifier: Apache-2.0
#ifndef KBUILD_OCI_LAYER_H
#define KBUILD_OCI_LAYER_H

#include "store/store.h"

// Writes the layer of a tree as a blob. oci.h says what is in it.
int oci_store_layer(struct store *s, const char *tree_digest, char digest[static DIGEST_HEX_SIZE],
                    uint64_t *size, struct error **err);

#endif
