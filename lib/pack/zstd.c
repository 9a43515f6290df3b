// SPDX-License-Identifier: Apache-2.0
// The zstd format (RFC 8878): writes it, and finds the parts of such a file that can be spliced.
#include "pack/internal.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

// ---- writing ----

enum {
    LEVEL = 10, // as upstream (KATA_TARBALL_ZSTD_LEVEL)
    CHUNK = 1 << 18,
    THREAD_MEMORY = 64 << 20 // a little more than level 10 needs for a job
};

static const unsigned char zstd_mark[ZSTD_MARK_SIZE] = "\x5b\x2a\x4d\x18" // magic: skippable, 11
                                                       "\x10\0\0\0"       // 16 bytes follow
                                                       "kbuild: tar end";

struct zstd_out {
    ZSTD_CCtx *context;
    int fd;
    char chunk[CHUNK];
};

static int check(size_t code, struct error **err)
{
    if (!ZSTD_isError(code))
        return 0;
    return error_user(err, "compressing with zstd: %s", ZSTD_getErrorName(code));
}

static int run(struct zstd_out *z, const void *bytes, size_t length, ZSTD_EndDirective what,
               struct error **err)
{
    ZSTD_inBuffer in = {bytes, length, 0};
    size_t left;
    do {
        ZSTD_outBuffer out = {z->chunk, CHUNK, 0};
        left = ZSTD_compressStream2(z->context, &out, &in, what);
        if (check(left, err) < 0 || fd_write_all(z->fd, "the archive", z->chunk, out.pos, err) < 0)
            return -1;
    } while (what == ZSTD_e_end ? left > 0 : in.pos < in.size);
    return 0;
}

static void free_zstd(void *c)
{
    struct zstd_out *z = c;
    if (z)
        ZSTD_freeCCtx(z->context);
    free(z);
}

static void *begin_zstd(int fd, unsigned threads, uint64_t expected, struct error **err)
{
    (void)expected; // zstd divides its work itself, without a loss in size
    struct zstd_out *z = xcalloc(1, sizeof *z);
    z->fd = fd;
    z->context = ZSTD_createCCtx();
    // Workers also for one thread: the bytes differ without workers, but not by their number.
    const struct {
        ZSTD_cParameter parameter;
        int value;
    } settings[] = {
        {ZSTD_c_compressionLevel, LEVEL},
        {ZSTD_c_checksumFlag, 1},
        {ZSTD_c_nbWorkers, (int)threads_that_fit(threads, THREAD_MEMORY)},
    };
    bool good = z->context;
    if (!good)
        error_user(err, "starting zstd: there is not enough memory");
    for (size_t i = 0; good && i < sizeof settings / sizeof *settings; i++)
        good = check(ZSTD_CCtx_setParameter(z->context, settings[i].parameter, settings[i].value),
                     err) == 0;
    if (good)
        return z;
    free_zstd(z);
    return NULL;
}

static int add(void *c, const void *bytes, size_t length, struct error **err)
{
    return run(c, bytes, length, ZSTD_e_continue, err);
}

static int end_data(void *c, struct error **err)
{
    struct zstd_out *z = c;
    if (run(z, NULL, 0, ZSTD_e_end, err) < 0)
        return -1;
    return fd_write_all(z->fd, "the archive", zstd_mark, ZSTD_MARK_SIZE, err);
}

static int finish(void *c, struct error **err)
{
    return run(c, NULL, 0, ZSTD_e_end, err);
}

const struct compressor zstd_compressor = {begin_zstd, add, end_data, finish, free_zstd};

// ---- the parts of a file ----
// Finds the parts of .tar.zst files that were written here (RFC 8878): data frames, a skippable
// frame as mark, and a frame of 1024 zeros. Frames can be concatenated, so a splice needs no other
// bytes.
//
//   frame ... frame | skippable frame: the mark | frame of zeros

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
