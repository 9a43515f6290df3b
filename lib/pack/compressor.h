// SPDX-License-Identifier: Apache-2.0
// A compressor: bytes of a tar in, a file that can be spliced out. One implementation for each
// format; tar_out.c uses only this interface.
#ifndef KBUILD_PACK_COMPRESSOR_H
#define KBUILD_PACK_COMPRESSOR_H

#include "base/error.h"
#include "pack/pack.h"

#include <stddef.h>

struct compressor {
    // Writes to fd. `threads` 0: one for each processor, as far as memory allows. The bytes do not
    // depend on it. `expected` is the approximate size of the tar; the bytes do depend on it, so it
    // must follow from the content alone. NULL with an error.
    void *(*open)(int fd, unsigned threads, uint64_t expected, struct error **err);
    int (*add)(void *c, const void *bytes, size_t length, struct error **err);
    // What is added after this call is the end of the archive, which is marked (segment.h).
    int (*end_data)(void *c, struct error **err);
    int (*finish)(void *c, struct error **err);
    void (*free)(void *c); // NULL is allowed
};
const struct compressor *compressor_for(enum pack_format format);
// The number of threads whose `per_thread` bytes fit into a quarter of the memory; `wanted` if that
// is not 0.
unsigned compressor_threads(unsigned wanted, uint64_t per_thread);

// ---- xz out ----
// The xz compressor (The .xz File Format 1.1.0, tukaani.org): one stream of independent blocks.
//
// liblzma's multithreaded encoder, also for one thread: only this encoder writes sizes into block
// headers, which parallel readers and splicing need, and its bytes do not depend on the number of
// threads.

extern const struct compressor xz_compressor;

// ---- zstd out ----
// The zstd compressor (RFC 8878): one frame of data, the mark, one frame with the tar's end.

extern const struct compressor zstd_compressor;

// A skippable frame (3.1.2) whose content says what follows.
#define ZSTD_MARK_SIZE 24
extern const unsigned char zstd_mark[ZSTD_MARK_SIZE];

#endif
