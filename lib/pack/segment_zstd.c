// SPDX-License-Identifier: Apache-2.0
// Finds the parts of .tar.zst files that zstd_out.c wrote (RFC 8878): data frames, a skippable
// frame as mark, and a frame of 1024 zeros. Frames can be concatenated, so a splice needs no other
// bytes.
//
//   frame ... frame | skippable frame: the mark | frame of zeros
#include "base/file.h"
#include "base/memory.h"
#include "pack/compressor.h"
#include "pack/segment.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

enum { END_SIZE = 1024, END_LIMIT = 256, HEADER_LIMIT = 18, BLOCK_HEADER = 3 };
#define SKIPPABLE_MASK 0xFFFFFFF0u

// 1 if all `size` bytes could be read, 0 at the end of the file, -1 with errno.
static int read_at(int fd, uint8_t *bytes, size_t size, uint64_t at)
{
    ssize_t n = fd_read_at(fd, bytes, size, at);
    return n < 0 ? -1 : (size_t)n == size;
}

// RFC 8878, 3.1.1.1: the size of a frame's header from its descriptor, magic number included.
static unsigned header_size(uint8_t descriptor)
{
    static const unsigned content_size[] = {0, 2, 4, 8}, dictionary_id[] = {0, 1, 2, 4};
    bool single = descriptor & 0x20;
    unsigned content = content_size[descriptor >> 6];
    if (single && !content)
        content = 1;
    return 5 + !single + dictionary_id[descriptor & 3] + content;
}

// Walks the blocks of the frame at *at (3.1.1.2) and moves *at behind it. As read_at().
static int skip_frame(int fd, uint64_t *at)
{
    uint8_t head[8];
    int n = read_at(fd, head, sizeof head, *at);
    if (n <= 0)
        return n;
    uint32_t magic = (uint32_t)get_le(head, 4);
    if ((magic & SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START) {
        *at += 8 + (uint64_t)(uint32_t)get_le(head + 4, 4);
        return 1;
    }
    if (magic != ZSTD_MAGICNUMBER)
        return 0;
    *at += header_size(head[4]);
    for (bool last = false; !last;) {
        uint8_t block[BLOCK_HEADER];
        if ((n = read_at(fd, block, sizeof block, *at)) <= 0)
            return n;
        uint32_t value = (uint32_t)block[0] | (uint32_t)block[1] << 8 | (uint32_t)block[2] << 16;
        last = value & 1;
        bool run = (value >> 1 & 3) == 1; // one byte, repeated
        *at += BLOCK_HEADER + (run ? 1 : value >> 3);
    }
    *at += head[4] & 4 ? 4 : 0; // checksum
    return 1;
}

// Where the mark begins if it and a frame of zeros end the file; 0: nowhere.
static uint64_t find_mark(const uint8_t *tail, size_t n, uint64_t size)
{
    for (size_t i = 0; i + ZSTD_MARK_SIZE < n; i++) {
        uint8_t out[END_SIZE + 1];
        static const uint8_t zeros[END_SIZE];
        if (memcmp(tail + i, zstd_mark, ZSTD_MARK_SIZE) != 0)
            continue;
        size_t left = n - i - ZSTD_MARK_SIZE;
        const uint8_t *frame = tail + i + ZSTD_MARK_SIZE;
        if (ZSTD_findFrameCompressedSize(frame, left) == left &&
            ZSTD_decompress(out, sizeof out, frame, left) == END_SIZE &&
            !memcmp(out, zeros, END_SIZE))
            return size - n + i;
    }
    return 0;
}

static int open_zstd(int fd, uint64_t size, struct segment *out, struct error **err)
{
    *out = (struct segment){.fd = fd};
    uint8_t tail[END_LIMIT];
    size_t n = size < sizeof tail ? (size_t)size : sizeof tail;
    int r = read_at(fd, tail, n, size - n);
    uint64_t mark = r > 0 ? find_mark(tail, n, size) : 0, at = 0;
    // The frames before the mark must end at the mark; else its bytes are data.
    for (; r > 0 && mark && at < mark;)
        r = skip_frame(fd, &at);
    if (r < 0)
        return error_errno(err, errno, "reading its frames");
    if (!r || !mark || at != mark)
        return 0;
    out->data = (struct span){0, mark};
    out->end = (struct span){mark, size - mark};
    return 1;
}

static void close_zstd(struct segment *s)
{
}

static int no_head(struct buf *out, struct error **err)
{
    return 0;
}

static int no_tail(const struct segment *segments, size_t n, struct buf *out, struct error **err)
{
    return 0;
}

const struct segment_format zstd_segments = {FORMAT_ZSTD, open_zstd, close_zstd, no_head, no_tail};
