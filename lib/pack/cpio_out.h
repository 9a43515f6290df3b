// SPDX-License-Identifier: Apache-2.0
// Writes a newc cpio (Linux, Documentation/driver-api/early-userspace/buffer-format.rst), plain or
// gzip -9. Inode numbers count up from 1 in the order of writing.
#ifndef KBUILD_PACK_CPIO_OUT_H
#define KBUILD_PACK_CPIO_OUT_H

#include "pack/pack.h"

struct cpio_out;
struct cpio_out *cpio_out_open(int fd, bool compress, struct error **err);
// One name of an entry, with `size` bytes of content to follow; with `again` it is one more name of
// the file before: only the last one has the content.
int cpio_out_entry(struct cpio_out *c, const char *path, const struct pack_entry *e, uint64_t size,
                   bool again, struct error **err);
int cpio_out_data(struct cpio_out *c, const void *bytes, size_t length, struct error **err);
int cpio_out_finish(struct cpio_out *c, struct error **err);
void cpio_out_free(struct cpio_out *c);

static inline void cpio_out_free_p(struct cpio_out **c)
{
    cpio_out_free(*c);
}
#define cleanup_cpio_out __attribute__((cleanup(cpio_out_free_p)))

#endif
