// SPDX-License-Identifier: Apache-2.0
// Compresses with libzstd into one frame of data, a mark, and one frame with the tar's end.
#include "pack/compressor.h"

#include "base/file.h"
#include "base/memory.h"

#include <zstd.h>

enum {
    LEVEL = 10, // as upstream (KATA_TARBALL_ZSTD_LEVEL)
    CHUNK = 1 << 18,
    THREAD_MEMORY = 64 << 20 // a little more than level 10 needs for a job
};

const unsigned char zstd_mark[ZSTD_MARK_SIZE] = "\x5b\x2a\x4d\x18" // magic: skippable, 11
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

static void *open_zstd(int fd, unsigned threads, uint64_t expected, struct error **err)
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
        {ZSTD_c_nbWorkers, (int)compressor_threads(threads, THREAD_MEMORY)},
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

const struct compressor zstd_compressor = {open_zstd, add, end_data, finish, free_zstd};
