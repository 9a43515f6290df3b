// SPDX-License-Identifier: Apache-2.0
// The decompressor: a thread of its own that runs ahead of whoever reads, so that decompression and
// the writing of files overlap. xz goes through liblzma's multithreaded decoder (blocks in
// parallel where their headers have sizes), everything else through libarchive's filters.
#ifndef KBUILD_PACK_DECODER_H
#define KBUILD_PACK_DECODER_H

#include "pack/input.h"

struct decoder;
// The memory that each decoder of this process may take to decode xz blocks in parallel; where it
// is not enough they are decoded one after the other, in what their dictionary takes. 0, as it is
// without a call: a quarter of the machine's, at most 1 GiB. Call it before the first is started.
void decoder_bound_memory(uint64_t bytes);
// `in` must outlive it. More than `limit` bytes of output are an error.
struct decoder *decoder_start(struct input *in, uint64_t limit, struct error **err);
// The next bytes: 1 and *bytes, valid until the next call; 0 at the end, when everything was
// complete and its checksums were right; -1 and *why, which belongs to the decoder.
int decoder_next(struct decoder *d, const void **bytes, size_t *length, const char **why);
void decoder_stop(struct decoder *d); // at any time; NULL is allowed

#endif
