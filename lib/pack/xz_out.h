// SPDX-License-Identifier: Apache-2.0
// The compressor: bytes in, one .xz stream of independent blocks out to a file descriptor.
//
// liblzma's multithreaded encoder, also for one thread: only it writes the sizes into the block
// headers that parallel readers and the splice need, and its bytes do not depend on the number of
// threads. Format: The .xz File Format 1.1.0 (tukaani.org).
#ifndef KBUILD_PACK_XZ_OUT_H
#define KBUILD_PACK_XZ_OUT_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct xz_out;
// `threads` 0: one for each processor, as far as memory allows.
struct xz_out *xz_out_open(int fd, unsigned threads, struct error **err);
int xz_out_add(struct xz_out *x, const void *bytes, size_t length, struct error **err);
// Ends the block here and starts one with a 4 KiB dictionary, which marks the end of the archive.
int xz_out_end_block(struct xz_out *x, struct error **err);
int xz_out_finish(struct xz_out *x, struct error **err);
void xz_out_free(struct xz_out *x); // NULL is allowed

#endif
