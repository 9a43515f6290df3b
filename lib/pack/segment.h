// SPDX-License-Identifier: Apache-2.0
// The anatomy of a compressed tarball that can be spliced: a head, the data, and an end.
//
//   data   compressed members, in units that decompress by themselves (xz blocks, zstd frames)
//   end    the two zero records that end a tar, in a unit of their own that only our packer
//          writes, so that it can be told from data that happens to be zeros
//
// A splice is the data of each input, one after another, then the end of the last one, then
// whatever the format wants around it. Nothing is decompressed. docs/packing.md, "Splicing".
#ifndef KBUILD_PACK_SEGMENT_H
#define KBUILD_PACK_SEGMENT_H

#include "base/error.h"
#include "pack/pack.h"

#include <stdbool.h>
#include <stdint.h>

struct span {
    uint64_t offset, length; // bytes of a file
};

struct segment {
    int fd; // not owned
    struct span data, end;
    void *units; // the format's own account of both, owned
};

// What a format must know. One row a format; segment_formats[] has all.
struct segment_format {
    enum pack_format format;
    // 1: *out is the anatomy of this file; 0: it is of this format but not ours to cut, or of
    // another one; -1: it cannot be read. Reads a few hundred bytes and the index, no data.
    int (*open)(int fd, uint64_t size, struct segment *out, struct error **err);
    void (*close)(struct segment *s);
    // The bytes before the first and after the last unit of a file that consists of the data of
    // all `n` segments and the end of the last one.
    int (*head)(struct buf *out, struct error **err);
    int (*tail)(const struct segment *segments, size_t n, struct buf *out, struct error **err);
};
extern const struct segment_format xz_segments, zstd_segments;
const struct segment_format *segment_format(enum pack_format format);

// A splice under way. The data is copied in a thread of its own, so that a caller can find out
// meanwhile whether the splice is to be, and make what is not ready yet.
//
// `segments` and fd are the caller's and stay until splice_end(); `total` is what all data is
// expected to be, in bytes, for the progress. Nothing else may write to fd meanwhile.
struct splice;
struct splice *splice_begin(const struct segment_format *format, const struct segment *segments,
                            uint64_t total, int fd);
// From now on the first `ready` segments are complete and may be copied.
void splice_ready(struct splice *s, size_t ready);
// Waits until all that is ready is copied, and writes the end of the last segment and whatever the
// format wants after it. Frees s.
int splice_end(struct splice *s, struct error **err);
// Gives up: what was written so far is useless. Frees s; NULL is fine.
void splice_cancel(struct splice *s);

#endif
