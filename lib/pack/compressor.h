// SPDX-License-Identifier: Apache-2.0
// A compressor: bytes of a tar in, a file that a splice can cut out. One implementation a format;
// tar_out.c knows only this.
#ifndef KBUILD_PACK_COMPRESSOR_H
#define KBUILD_PACK_COMPRESSOR_H

#include "base/error.h"
#include "pack/pack.h"

#include <stddef.h>

struct compressor {
    // Writes to fd. `threads` 0: one for each processor, as far as memory allows. The bytes do not
    // depend on it. `expected` is about how many bytes of tar will come; the bytes do depend on
    // that, so it must follow from the content alone. NULL with an error.
    void *(*open)(int fd, unsigned threads, uint64_t expected, struct error **err);
    int (*add)(void *c, const void *bytes, size_t length, struct error **err);
    // What is added from now on is the end of the archive, to be marked as such (segment.h).
    int (*end_data)(void *c, struct error **err);
    int (*finish)(void *c, struct error **err);
    void (*free)(void *c); // NULL is allowed
};
const struct compressor *compressor_for(enum pack_format format);
// As many threads as `per_thread` bytes each leave room for in a quarter of the memory; `wanted` if
// that is not 0.
unsigned compressor_threads(unsigned wanted, uint64_t per_thread);

// ---- xz out ----
// The xz compressor (The .xz File Format 1.1.0, tukaani.org): one stream of independent blocks.
//
// liblzma's multithreaded encoder, also for one thread: only it writes the sizes into the block
// headers that parallel readers and the splice need, and its bytes do not depend on the number of
// threads.

extern const struct compressor xz_compressor;

// ---- zstd out ----
// The zstd compressor (RFC 8878): one frame of data, the mark, one frame with the tar's end.

extern const struct compressor zstd_compressor;

// A skippable frame (3.1.2) whose content says what follows.
#define ZSTD_MARK_SIZE 24
extern const unsigned char zstd_mark[ZSTD_MARK_SIZE];

#endif
