// SPDX-License-Identifier: Apache-2.0
// The parts of a compressed tarball that can be spliced (a head, the data, an end), and splicing.
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

// The functions of a format. segment_formats[] has one row for each.
struct segment_format {
    enum pack_format format;
    // 1: *out has the parts of this file; 0: a file of this format that kbuild did not write, or
    // another format; -1: it cannot be read. Reads a few hundred bytes and the index, no data.
    int (*open)(int fd, uint64_t size, struct segment *out, struct error **err);
    void (*close)(struct segment *s);
    // The bytes before the first and after the last unit of a file that consists of the data of
    // all `n` segments and the end of the last one.
    int (*head)(struct buf *out, struct error **err);
    int (*tail)(const struct segment *segments, size_t n, struct buf *out, struct error **err);
};
extern const struct segment_format xz_segments, zstd_segments;
const struct segment_format *segment_format(enum pack_format format);

// A running splice. A thread of its own copies the data, so that the caller can meanwhile check
// whether the splice is valid, and make the missing segments.
//
// `segments` and fd are the caller's and must stay until splice_end(); `total` is the expected size
// of all data in bytes, for the progress. Nothing else may write to fd meanwhile.
struct splice;
struct splice *splice_begin(const struct segment_format *format, const struct segment *segments,
                            uint64_t total, int fd);
// Says that the first `ready` segments are complete and may be copied.
void splice_ready(struct splice *s, size_t ready);
// Waits until all ready segments are copied, then writes the end of the last segment and the bytes
// that the format needs after it. Frees s.
int splice_end(struct splice *s, struct error **err);
// Cancels: the bytes written so far are useless. Frees s; NULL is allowed.
void splice_cancel(struct splice *s);

#endif
