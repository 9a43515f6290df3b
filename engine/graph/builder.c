// SPDX-License-Identifier: Apache-2.0
// The image of a builder follows from its tree.
#include "graph/job.h"

#include "oci/oci.h"

int builder_image(struct build *b, const struct node *node, const char *tree,
                  char image[static DIGEST_HEX_SIZE], struct error **err)
{
    const struct oci_image about = {.architecture = job_of(node)->target->oci,
                                    .created_by = "kbuild: mmdebstrap"};
    return oci_store_rootfs(b->store, tree, &about, image, err);
}
