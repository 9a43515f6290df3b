// SPDX-License-Identifier: Apache-2.0
// The merged tree of the layers of an initrd: names, links and the place of each content, but no
// content. A later layer's entry replaces an earlier one; a name that leads through a link of the
// tree goes where the link points ("bin/foo" to usr/bin when bin is a link to it).
#ifndef KBUILD_PACK_LAYERS_H
#define KBUILD_PACK_LAYERS_H

#include "base/error.h"
#include "pack/pack.h"
#include "pack/scan.h"

#include <stdbool.h>
#include <stdint.h>

#define NO_CONTENT ((size_t)-1)

struct layer_node {
    char *path;    // "" is the root
    unsigned mode; // type and permissions
    int64_t mtime; // clamped
    int64_t uid, gid;
    unsigned major, minor; // of a device
    char *link;            // symlink target
    char *attributes;      // extended ones (attributes.h), or NULL
    size_t content;        // index of a regular file's content; NO_CONTENT: none
    size_t layer;          // that brought it, for messages
    bool implicit;         // a directory that no layer names
};
// One file's content; several nodes have it if there are hard links.
struct content {
    size_t layer, member; // `member`: the number within the layer
    uint64_t size;
    struct layer_node node; // mode, owner and time shared by all names; path is unused
    size_t links;           // nodes with this content; 0: left out
};
struct layers {
    struct layer_node *nodes;
    size_t n, cap;
    struct content *contents; // in the order of layer and member
    size_t content_n, content_cap;
    struct map by_path;
    int64_t epoch;
};

void layers_begin(struct layers *l, int64_t epoch);
// Adds a node; what `n` points to is copied. Parents are made. An existing directory is unchanged.
int layers_add(struct layers *l, const char *path, const struct layer_node *n, struct error **err);
// Follows links in every component: the node's index, or NO_CONTENT if there is nothing.
size_t layers_find(struct layers *l, const char *path);
// The clean path of `path` in the tree with links followed (the last component only if
// follow_last). Missing directories above it are made if `make`. To be freed; NULL on error.
char *layers_place(struct layers *l, const char *path, bool follow_last, bool make,
                   struct error **err);
void layers_free(struct layers *l);

// ---- layer read ----
// Both passes over the layers of an initrd: their names, then the content of the nodes that were
// kept.

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
