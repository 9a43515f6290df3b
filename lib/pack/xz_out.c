// SPDX-License-Identifier: Apache-2.0
// Compresses with liblzma's multithreaded encoder into one .xz stream of independent blocks.
#include "pack/compressor.h"

#include "base/file.h"

#include <lzma.h>

enum {
    PRESET = 6,
    MIB = 1 << 20,
    SINGLE_MAX = 16 * MIB, // up to here one block: two would compress worse
    BLOCK_MAX = 24 * MIB,  // each block loses about its first 8 MiB, the dictionary
    END_DICTIONARY = 4096, // the smallest; no data block has it
    CHUNK = 1 << 18
};

struct xz_out {
    lzma_stream stream;
    int fd;
    uint8_t chunk[CHUNK];
};

static const char *encoder_problem(lzma_ret r)
{
    switch (r) {
    case LZMA_MEM_ERROR:
        return "there is not enough memory";
    case LZMA_OPTIONS_ERROR:
        return "this liblzma does not know the options";
    default:
        return "liblzma failed";
    }
}

static void free_xz(void *c)
{
    struct xz_out *x = c;
    if (!x)
        return;
    lzma_end(&x->stream);
    free(x);
}

// Blocks are as large as possible, equal, and even in number, so that two processors are busy to
// the end in packing and unpacking. More processors need more blocks.
static uint64_t block_size(uint64_t expected)
{
    const uint64_t pair = 2ull * BLOCK_MAX;
    if (expected <= SINGLE_MAX)
        return SINGLE_MAX;
    uint64_t blocks = 2 * ((expected + pair - 1) / pair);
    return (expected / blocks / MIB + 1) * MIB; // `expected` is inexact: avoids a tiny last block
}

static void *open_xz(int fd, unsigned threads, uint64_t expected, struct error **err)
{
    struct xz_out *x = xcalloc(1, sizeof *x);
    x->stream = (lzma_stream)LZMA_STREAM_INIT;
    x->fd = fd;
    lzma_mt mt = {.preset = PRESET, .check = LZMA_CHECK_CRC64};
    mt.block_size = block_size(expected);
    mt.threads = 1;
    mt.threads = compressor_threads(threads, lzma_stream_encoder_mt_memusage(&mt));
    lzma_ret r = lzma_stream_encoder_mt(&x->stream, &mt);
    if (r == LZMA_OK)
        return x;
    free_xz(x);
    error_user(err, "starting the xz compressor: %s", encoder_problem(r));
    return NULL;
}

// Runs the encoder until it has taken all input (LZMA_RUN) or the action is complete.
static int run(struct xz_out *x, lzma_action action, struct error **err)
{
    lzma_stream *s = &x->stream;
    lzma_ret r = LZMA_OK;
    while (action == LZMA_RUN ? s->avail_in > 0 : r != LZMA_STREAM_END) {
        s->next_out = x->chunk;
        s->avail_out = CHUNK;
        r = lzma_code(s, action);
        if (r != LZMA_OK && r != LZMA_STREAM_END)
            return error_user(err, "compressing: %s", encoder_problem(r));
        if (fd_write_all(x->fd, "the archive", x->chunk, CHUNK - s->avail_out, err) < 0)
            return -1;
    }
    return 0;
}

static int add(void *c, const void *bytes, size_t length, struct error **err)
{
    struct xz_out *x = c;
    x->stream.next_in = bytes;
    x->stream.avail_in = length;
    return run(x, LZMA_RUN, err);
}

// Ends the block here and starts one with a 4 KiB dictionary, which marks the end of the archive.
static int end_data(void *c, struct error **err)
{
    struct xz_out *x = c;
    if (run(x, LZMA_FULL_BARRIER, err) < 0)
        return -1;
    lzma_options_lzma options;
    if (lzma_lzma_preset(&options, PRESET))
        return error_user(err, "compressing: this liblzma has no preset 6");
    options.dict_size = END_DICTIONARY;
    lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, NULL}};
    lzma_ret r = lzma_filters_update(&x->stream, filters);
    if (r != LZMA_OK)
        return error_user(err, "compressing the end of the archive: %s", encoder_problem(r));
    return 0;
}

static int finish(void *c, struct error **err)
{
    return run(c, LZMA_FINISH, err);
}

const struct compressor xz_compressor = {open_xz, add, end_data, finish, free_xz};
