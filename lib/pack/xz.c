// SPDX-License-Identifier: Apache-2.0
// The .xz format (The .xz File Format 1.1.0, tukaani.org): writes it with liblzma's multithreaded
// encoder, and finds the parts of such a file that can be spliced.
#include "pack/internal.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"

#include <errno.h>
#include <lzma.h>
#include <string.h>
#include <unistd.h>

// ---- writing ----

enum {
    PRESET = 6,
    MIB = 1 << 20,
    SINGLE_MAX = 16 * MIB, // up to here one block: two would compress worse
    BLOCK_MAX = 24 * MIB,  // each block loses about its first 8 MiB, the dictionary
    END_DICTIONARY = 4096, // the smallest; no data block has it
    END_SIZE = 1024,       // of the zeros in the last block
    END_LIMIT = 256,       // compressed, at most
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

static void *begin_xz(int fd, unsigned threads, uint64_t expected, struct error **err)
{
    struct xz_out *x = xcalloc(1, sizeof *x);
    x->stream = (lzma_stream)LZMA_STREAM_INIT;
    x->fd = fd;
    lzma_mt mt = {.preset = PRESET, .check = LZMA_CHECK_CRC64};
    mt.block_size = block_size(expected);
    mt.threads = 1;
    mt.threads = threads_that_fit(threads, lzma_stream_encoder_mt_memusage(&mt));
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

const struct compressor xz_compressor = {begin_xz, add, end_data, finish, free_xz};

// ---- the parts of a file ----
// Finds the parts of .xz files that were written here (The .xz File Format 1.1.0): one stream,
// CRC64, and a last block of 1024 zeros with a dictionary of 4 KiB.
//
//   stream header | block ... block | end block | index | stream footer

// An index of a file of 64 GiB in blocks of 16 MiB takes less than a megabyte.
static const uint64_t index_memory = 16 << 20;

// The data blocks of one file, and its end block.
struct blocks {
    lzma_index *index;
    lzma_vli end_unpadded;
};

// Reads the index with liblzma's file-info decoder, which asks for seeks. NULL without an error if
// it is no valid .xz file.
static lzma_index *read_index(int fd, uint64_t size, struct error **err)
{
    lzma_stream s = LZMA_STREAM_INIT;
    lzma_index *index = NULL;
    uint8_t chunk[1 << 16];
    uint64_t at = 0;
    lzma_ret r = lzma_file_info_decoder(&s, &index, index_memory, size);
    while (r == LZMA_OK) {
        if (!s.avail_in) {
            ssize_t n = fd_read_at(fd, chunk, sizeof chunk, at);
            if (n < 0)
                error_errno(err, errno, "reading its index");
            if (n <= 0)
                break;
            s.next_in = chunk;
            s.avail_in = (size_t)n;
            at += (uint64_t)n;
        }
        r = lzma_code(&s, LZMA_RUN);
        if (r == LZMA_SEEK_NEEDED) {
            at = s.seek_pos;
            s.avail_in = 0;
            r = LZMA_OK;
        }
    }
    lzma_end(&s);
    return r == LZMA_STREAM_END ? index : NULL;
}

// Whether these bytes are a block with a 4 KiB dictionary that unpacks to 1024 zeros. Parsed, not
// compared, since the header's size depends on the encoder's block size.
static bool is_end_block(const uint8_t *bytes, size_t length, lzma_check check)
{
    lzma_filter filters[LZMA_FILTERS_MAX + 1];
    lzma_block block = {.version = 1, .check = check, .filters = filters};
    uint8_t out[END_SIZE + 1];
    static const uint8_t zeros[END_SIZE];
    size_t in_at, out_at = 0;
    if (!length || !bytes[0])
        return false;
    in_at = block.header_size = lzma_block_header_size_decode(bytes[0]);
    if (block.header_size > length || lzma_block_header_decode(&block, NULL, bytes) != LZMA_OK)
        return false;
    bool small = filters[0].id == LZMA_FILTER_LZMA2 && filters[1].id == LZMA_VLI_UNKNOWN &&
                 ((const lzma_options_lzma *)filters[0].options)->dict_size == END_DICTIONARY;
    bool good = small &&
                lzma_block_buffer_decode(&block, NULL, bytes, &in_at, length, out, &out_at,
                                         sizeof out) == LZMA_OK &&
                in_at == length && out_at == END_SIZE && !memcmp(out, zeros, END_SIZE);
    for (size_t i = 0; filters[i].id != LZMA_VLI_UNKNOWN; i++)
        free(filters[i].options);
    return good;
}

// The blocks before the last one; *end gets the last one.
static lzma_index *without_end(lzma_index *all, lzma_index_iter *end)
{
    lzma_index *data = lzma_index_init(NULL);
    lzma_index_iter i;
    lzma_index_iter_init(&i, all);
    bool good = data != NULL;
    for (lzma_vli n = lzma_index_block_count(all);
         good && n && !lzma_index_iter_next(&i, LZMA_INDEX_ITER_BLOCK); n--)
        if (n == 1)
            *end = i;
        else
            good = lzma_index_append(data, NULL, i.block.unpadded_size,
                                     i.block.uncompressed_size) == LZMA_OK;
    if (good)
        return data;
    lzma_index_end(data, NULL);
    return NULL;
}

static int open_xz(int fd, uint64_t size, struct segment *out, struct error **err)
{
    *out = (struct segment){.fd = fd};
    lzma_index *all = read_index(fd, size, err);
    if (!all)
        return err && *err ? -1 : 0;
    int result = 0;
    lzma_index_iter end = {0};
    // One stream without padding, so that the blocks lie one after another; whole tar records.
    bool plain = lzma_index_stream_count(all) == 1 && lzma_index_stream_size(all) == size &&
                 lzma_index_checks(all) == 1u << LZMA_CHECK_CRC64 &&
                 lzma_index_block_count(all) > 1 && lzma_index_uncompressed_size(all) % 512 == 0;
    lzma_index *data = plain ? without_end(all, &end) : NULL;
    uint8_t bytes[END_LIMIT];
    if (data && end.block.total_size <= sizeof bytes && end.block.uncompressed_size == END_SIZE) {
        uint64_t at = end.block.compressed_file_offset;
        ssize_t n = fd_read_at(fd, bytes, end.block.total_size, at);
        if (n < 0)
            result = error_errno(err, errno, "reading its last block");
        else if ((uint64_t)n == end.block.total_size &&
                 is_end_block(bytes, (size_t)n, LZMA_CHECK_CRC64)) {
            struct blocks *b = xmalloc(sizeof *b);
            *b = (struct blocks){steal(data), end.block.unpadded_size};
            out->units = b;
            out->data = (struct span){LZMA_STREAM_HEADER_SIZE, at - LZMA_STREAM_HEADER_SIZE};
            out->end = (struct span){at, end.block.total_size};
            result = 1;
        }
    }
    lzma_index_end(data, NULL);
    lzma_index_end(all, NULL);
    return result;
}

static void close_xz(struct segment *s)
{
    struct blocks *b = s->units;
    if (b)
        lzma_index_end(b->index, NULL);
    free(b);
    s->units = NULL;
}

static int failed(struct error **err)
{
    return error_user(err, "writing the index of the .xz file: liblzma failed");
}

static const lzma_stream_flags stream_flags = {.version = 0, .check = LZMA_CHECK_CRC64};

static int head_xz(struct buf *out, struct error **err)
{
    uint8_t header[LZMA_STREAM_HEADER_SIZE];
    if (lzma_stream_header_encode(&stream_flags, header) != LZMA_OK)
        return failed(err);
    buf_add(out, header, sizeof header);
    return 0;
}

// Appends blocks one by one: lzma_index_cat() would make a second stream.
static bool append_all(lzma_index *to, const lzma_index *from)
{
    lzma_index_iter i;
    lzma_index_iter_init(&i, from);
    while (!lzma_index_iter_next(&i, LZMA_INDEX_ITER_BLOCK))
        if (lzma_index_append(to, NULL, i.block.unpadded_size, i.block.uncompressed_size) !=
            LZMA_OK)
            return false;
    return true;
}

static int tail_xz(const struct segment *segments, size_t n, struct buf *out, struct error **err)
{
    lzma_index *index = lzma_index_init(NULL);
    bool good = index != NULL;
    for (size_t i = 0; good && i < n; i++)
        good = append_all(index, ((const struct blocks *)segments[i].units)->index);
    const struct blocks *last = segments[n - 1].units;
    good = good && lzma_index_append(index, NULL, last->end_unpadded, END_SIZE) == LZMA_OK;
    size_t size = good ? lzma_index_size(index) : 0, at = 0;
    cleanup_free uint8_t *bytes = xmalloc(size + 1);
    uint8_t footer[LZMA_STREAM_HEADER_SIZE];
    lzma_stream_flags flags = stream_flags;
    flags.backward_size = size;
    good = good && lzma_index_buffer_encode(index, bytes, &at, size) == LZMA_OK &&
           lzma_stream_footer_encode(&flags, footer) == LZMA_OK;
    lzma_index_end(index, NULL);
    if (!good)
        return failed(err);
    buf_add(out, bytes, at);
    buf_add(out, footer, sizeof footer);
    return 0;
}

const struct segment_format xz_segments = {FORMAT_XZ, open_xz, close_xz, head_xz, tail_xz};
