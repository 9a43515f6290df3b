// SPDX-License-Identifier: Apache-2.0
// Both passes over the layers of an initrd: what is in them, and the content of what was kept.
#ifndef KBUILD_PACK_LAYER_READ_H
#define KBUILD_PACK_LAYER_READ_H

#include "pack/layers.h"
#include "pack/pack.h"

// First pass: adds everything in layer number `number` to the tree.
int layer_read_names(struct layers *l, const struct initrd_layer *layer, size_t number,
                     struct error **err);

// Second pass: calls begin for each kept content of the layer, in order, then data for its bytes.
struct layer_sink {
    int (*begin)(void *context, size_t content, struct error **err);
    int (*data)(void *context, const void *bytes, size_t length, struct error **err);
    void *context;
};
int layer_read_contents(const struct layers *l, const struct initrd_layer *layer, size_t number,
                        const struct layer_sink *sink, struct error **err);

#endif
