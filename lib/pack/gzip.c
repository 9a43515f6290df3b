// SPDX-License-Identifier: Apache-2.0
// Compresses blocks with zlib in several threads, and joins them into one gzip stream.
#include "pack/pack.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

enum { WINDOW = 32 << 10 };

enum block_state { BLOCK_FREE, BLOCK_QUEUED, BLOCK_RUNNING, BLOCK_DONE };
struct block {
    enum block_state state;
    bool last, failed;
    unsigned char *in; // WINDOW bytes for the dictionary, then the block
    size_t dictionary, length;
    unsigned char *out;
    size_t out_size, out_length;
    uint32_t crc;
};

// Its threads are its own: workers_run() (base/process.h) returns when all work is done, but here
// the caller still makes the next blocks, and writes the oldest; a ring has only one thread.
struct gzip {
    int fd;
    bool begun; // the header is written
    struct block *blocks;
    size_t count, filling, writing; // a ring; [writing, filling) are in progress
    uint32_t crc;
    uint64_t total;

    pthread_t *threads;
    size_t thread_count;
    pthread_mutex_t lock; // for the states and the members below
    pthread_cond_t changed;
    bool stop;
};

// ---- one block ----

static void deflate_block(struct block *b)
{
    z_stream z = {0};
    // Raw: the stream has header and trailer.
    b->failed = deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK;
    if (b->failed)
        return;
    if (b->dictionary)
        b->failed =
            deflateSetDictionary(&z, b->in + WINDOW - b->dictionary, (uInt)b->dictionary) != Z_OK;
    z.next_in = b->in + WINDOW;
    z.avail_in = (uInt)b->length;
    z.next_out = b->out;
    z.avail_out = (uInt)b->out_size;
    int r = deflate(&z, b->last ? Z_FINISH : Z_SYNC_FLUSH);
    b->failed |= b->last ? r != Z_STREAM_END : r != Z_OK || z.avail_in || !z.avail_out;
    b->out_length = b->out_size - z.avail_out;
    deflateEnd(&z);
    b->crc = (uint32_t)crc32(0, b->in + WINDOW, (uInt)b->length);
}

static void set_state(struct gzip *g, struct block *b, enum block_state state)
{
    pthread_mutex_lock(&g->lock);
    b->state = state;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static struct block *queued(struct gzip *g)
{
    for (size_t i = 0; i < g->count; i++) { // the oldest first
        struct block *b = &g->blocks[(g->writing + i) % g->count];
        if (b->state == BLOCK_QUEUED)
            return b;
    }
    return NULL;
}

static void *work(void *context)
{
    struct gzip *g = context;
    for (;;) {
        struct block *b = NULL;
        pthread_mutex_lock(&g->lock);
        while (!g->stop && !(b = queued(g)))
            pthread_cond_wait(&g->changed, &g->lock);
        if (b)
            b->state = BLOCK_RUNNING;
        pthread_mutex_unlock(&g->lock);
        if (!b)
            return NULL;
        deflate_block(b);
        set_state(g, b, BLOCK_DONE);
    }
}

// ---- the stream ----

struct gzip *gzip_begin(int fd, unsigned threads)
{
    struct gzip *g = xcalloc(1, sizeof *g);
    g->fd = fd;
    g->count = threads > 1 ? 2 * (size_t)threads : 1;
    g->blocks = xcalloc(g->count, sizeof *g->blocks);
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
    g->threads = xcalloc(threads + 1, sizeof *g->threads);
    while (threads > 1 && g->thread_count < threads &&
           thread_start(&g->threads[g->thread_count], work, g) == 0)
        g->thread_count++;
    return g;
}

void gzip_free(struct gzip *g)
{
    if (!g)
        return;
    pthread_mutex_lock(&g->lock);
    g->stop = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
    for (size_t i = 0; i < g->thread_count; i++)
        pthread_join(g->threads[i], NULL);
    for (size_t i = 0; i < g->count; i++) {
        free(g->blocks[i].in);
        free(g->blocks[i].out);
    }
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->changed);
    free(g->threads);
    free(g->blocks);
    free(g);
}

static int write_bytes(struct gzip *g, const void *bytes, size_t length, struct error **err)
{
    return fd_write_all(g->fd, "a compressed file", bytes, length, err);
}

// No name and no time; RFC 1952, 2.3: XFL 0, and the operating system "unknown".
static int write_header(struct gzip *g, struct error **err)
{
    static const unsigned char header[10] = {0x1f, 0x8b, Z_DEFLATED, 0, 0, 0, 0, 0, 0, 255};
    if (g->begun)
        return 0;
    g->begun = true;
    return write_bytes(g, header, sizeof header, err);
}

// Writes the oldest block; waits for it, or (without threads) makes it.
static int write_oldest(struct gzip *g, struct error **err)
{
    struct block *b = &g->blocks[g->writing % g->count];
    if (!g->thread_count) {
        deflate_block(b);
    } else {
        pthread_mutex_lock(&g->lock);
        while (b->state != BLOCK_DONE)
            pthread_cond_wait(&g->changed, &g->lock);
        pthread_mutex_unlock(&g->lock);
    }
    if (b->failed)
        return error_user(err, "zlib could not compress");
    g->crc = (uint32_t)crc32_combine(g->crc, b->crc, (z_off_t)b->length);
    g->total += b->length;
    if (write_header(g, err) < 0 || write_bytes(g, b->out, b->out_length, err) < 0)
        return -1;
    pthread_mutex_lock(&g->lock);
    b->state = BLOCK_FREE;
    g->writing++;
    pthread_mutex_unlock(&g->lock);
    return 0;
}

// The block that is being filled.
static struct block *current(struct gzip *g)
{
    struct block *b = &g->blocks[g->filling % g->count];
    if (!b->in) {
        b->in = xmalloc(WINDOW + GZIP_BLOCK);
        b->out_size = (size_t)compressBound(GZIP_BLOCK) + 64;
        b->out = xmalloc(b->out_size);
    }
    return b;
}

// Submits the current block and begins the next one, with the end of this one as dictionary.
static int submit(struct gzip *g, bool last, struct error **err)
{
    struct block *b = current(g);
    b->last = last;
    set_state(g, b, BLOCK_QUEUED);
    g->filling++;
    while (!last && g->filling - g->writing >= g->count) // the next block must be free
        if (write_oldest(g, err) < 0)
            return -1;
    if (last)
        return 0;
    struct block *next = current(g);
    memmove(next->in, b->in + b->length, WINDOW); // may be the same block
    next->dictionary = WINDOW;
    next->length = 0;
    return 0;
}

int gzip_add(struct gzip *g, const void *bytes, size_t length, struct error **err)
{
    for (const char *from = bytes; length;) {
        struct block *b = current(g);
        size_t n = GZIP_BLOCK - b->length < length ? GZIP_BLOCK - b->length : length;
        memcpy(b->in + WINDOW + b->length, from, n);
        b->length += n;
        from += n;
        length -= n;
        if (b->length == GZIP_BLOCK && submit(g, false, err) < 0)
            return -1;
    }
    return 0;
}

int gzip_end(struct gzip *g, struct error **err)
{
    unsigned char trailer[8];
    if (submit(g, true, err) < 0)
        return -1;
    while (g->writing < g->filling)
        if (write_oldest(g, err) < 0)
            return -1;
    put_le(trailer, g->crc, 4);
    put_le(trailer + 4, (uint32_t)g->total, 4);
    return write_bytes(g, trailer, sizeof trailer, err);
}

int gzip_file(int from, const char *name, int to, unsigned threads, struct error **err)
{
    struct gzip *g = gzip_begin(to, threads);
    char *chunk = xmalloc(GZIP_BLOCK);
    int result = 0;
    for (off_t at = 0; !result;) {
        ssize_t n = fd_read_at(from, chunk, GZIP_BLOCK, (uint64_t)at);
        if (n < 0)
            result = error_errno(err, errno, "reading %s", name);
        if (n <= 0)
            break;
        result = gzip_add(g, chunk, (size_t)n, err);
        at += n;
    }
    if (!result)
        result = gzip_end(g, err);
    free(chunk);
    gzip_free(g);
    return result;
}
