// SPDX-License-Identifier: Apache-2.0
// The IPL information block of type PV (section 5): the list of components that stage3a hands to
// the hypervisor.
#ifndef KBUILD_SE_IPIB_H
#define KBUILD_SE_IPIB_H

#include "se/format.h"

// Layout G: fills a page. The header's address stays 0; stage3a stores it at run time.
void ipib_build(const struct se_component *components, size_t count, uint64_t header_bytes,
                unsigned char out[static SE_PAGE]);
// Reads the block that belongs to image->header_* into image->components and checks it: lengths,
// type, page alignment, order, overlap, and that all lies inside the file of `size` bytes. In
// layout P, image->ipib_offset is given; in layout G it is the page before the header.
int ipib_read(int fd, const char *name, uint64_t size, struct se_image *image, struct error **err);

#endif
