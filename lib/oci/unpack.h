// SPDX-License-Identifier: Apache-2.0
// Layers of an image -> a root file system (OCI image specification 1.1, layer.md). Layers of
// docker (schema 2) are the same thing under other names.
#ifndef KBUILD_OCI_UNPACK_H
#define KBUILD_OCI_UNPACK_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

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

#endif
