// SPDX-License-Identifier: Apache-2.0
// The decompressor: a thread of its own that runs ahead of the reader, so that decompressing and
// writing files overlap. xz goes through liblzma's multithreaded decoder (blocks in parallel where
// their headers have sizes), everything else through libarchive's filters.
#ifndef KBUILD_PACK_DECODER_H
#define KBUILD_PACK_DECODER_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

// ---- input ----
// The compressed bytes of an archive, from a file or a pipe. A file is read from its start, with
// pread(), so that several passes need no rewinding and the descriptor's offset never changes.

#define MAGIC_SIZE 6

struct input {
    int fd; // not owned
    bool seekable;
    uint64_t size; // of a file; 0 for a pipe
    off_t at;
    unsigned char head[MAGIC_SIZE]; // the first bytes, to tell formats apart
    size_t head_length;
    _Atomic uint64_t done; // bytes read, for progress from another thread
};

int input_open(struct input *in, int fd, struct error **err);
ssize_t input_read(struct input *in, void *bytes, size_t size); // -1 and errno, 0 at the end
bool input_is_xz(const struct input *in);
bool input_is_zip(const struct input *in);

struct decoder;
// Limits the memory of each decoder of this process for decoding xz blocks in parallel; blocks that
// do not fit are decoded one after another, in the memory of their dictionary. 0 (the default): a
// quarter of the machine's memory, at most 1 GiB. Call it before the first decoder is started.
void decoder_bound_memory(uint64_t bytes);
// `in` must outlive it. More than `limit` bytes of output are an error.
struct decoder *decoder_start(struct input *in, uint64_t limit, struct error **err);
// The next bytes: 1 and *bytes, valid until the next call; 0 at the end, when the data was complete
// and the checksums matched; -1 and *why, which belongs to the decoder.
int decoder_next(struct decoder *d, const void **bytes, size_t *length, const char **why);
void decoder_stop(struct decoder *d); // at any time; NULL is allowed

#endif
