// SPDX-License-Identifier: Apache-2.0
// Decompresses an archive in a thread of its own, ahead of the reader. Its bytes come from a file
// or a pipe.
#include "pack/internal.h"
#include "pack/libarchive.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"

#include <errno.h>
#include <lzma.h>
#include <string.h>
#include <sys/stat.h>

// ---- the compressed bytes ----

static ssize_t raw_read(struct input *in, void *bytes, size_t size)
{
    return in->seekable ? fd_read_at(in->fd, bytes, size, (uint64_t)in->at)
                        : fd_read(in->fd, bytes, size);
}

int input_open(struct input *in, int fd, struct error **err)
{
    *in = (struct input){.fd = fd};
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "reading it");
    if (S_ISDIR(st.st_mode))
        return error_user(err, "it is a directory, not an archive");
    in->seekable = S_ISREG(st.st_mode);
    in->size = in->seekable ? (uint64_t)st.st_size : 0;
    while (in->head_length < MAGIC_SIZE) {
        ssize_t n = raw_read(in, in->head + in->head_length, MAGIC_SIZE - in->head_length);
        if (n < 0)
            return error_errno(err, errno, "reading it");
        if (n == 0)
            break;
        in->head_length += (size_t)n;
        in->at += n;
    }
    in->at = 0;
    return in->head_length ? 0 : error_user(err, "it is empty (0 bytes)");
}

ssize_t input_read(struct input *in, void *bytes, size_t size)
{
    ssize_t n;
    if (!in->seekable && (size_t)in->at < in->head_length) { // a pipe is read only once
        size_t left = in->head_length - (size_t)in->at;
        n = (ssize_t)(size < left ? size : left);
        memcpy(bytes, in->head + in->at, (size_t)n);
    } else {
        n = raw_read(in, bytes, size);
    }
    if (n > 0) {
        in->at += n;
        atomic_fetch_add(&in->done, (uint64_t)n);
    }
    return n;
}

static bool input_is_xz(const struct input *in)
{
    // The .xz File Format 1.1.0, 2.1.1.1
    return in->head_length == MAGIC_SIZE && !memcmp(in->head,
                                                    "\xfd"
                                                    "7zXZ\0",
                                                    MAGIC_SIZE);
}

bool input_is_zip(const struct input *in)
{
    // A local file header, or the end record of an empty zip (APPNOTE 6.3.10, 4.3.7 and 4.3.16)
    return in->head_length >= 4 &&
           (!memcmp(in->head, "PK\3\4", 4) || !memcmp(in->head, "PK\5\6", 4));
}

// ---- the thread ----

enum { SLOTS = 4, SLOT_SIZE = 1 << 20, INPUT_SIZE = 1 << 18, XZ_THREADS_MAX = 16 };
// Dictionaries of up to 64 MiB are usual (xz -9); the format allows 4 GiB, for bombs only.
static const uint64_t xz_memory = (uint64_t)1 << 30;
static uint64_t parallel_memory; // see decoder_bound_memory()

struct decoder_slot {
    char *bytes;
    size_t length;
};

// Not a ring of base/process.h, where the caller fills and the thread takes: libarchive and liblzma
// call for input and hand out what they like, so the thread fills. The reader takes, in calls of
// its own, and may stop before the end.
struct decoder {
    struct input *in;
    uint64_t limit, produced;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    // A ring: slots [taken, filled) hold bytes; the reader works on slot `taken` while `holding`.
    struct decoder_slot slots[SLOTS];
    size_t filled, taken;
    bool holding, ended, stop;
    char *why; // the failure, shown once the ring is empty
    char *input;
};

static bool fail(struct decoder *d, char *why)
{
    pthread_mutex_lock(&d->lock);
    free(d->why);
    d->why = why;
    pthread_mutex_unlock(&d->lock);
    return false;
}

// Waits for an empty slot; NULL when the reader has stopped.
static struct decoder_slot *empty_slot(struct decoder *d)
{
    pthread_mutex_lock(&d->lock);
    while (!d->stop && d->filled - d->taken == SLOTS)
        pthread_cond_wait(&d->changed, &d->lock);
    struct decoder_slot *s = d->stop ? NULL : &d->slots[d->filled % SLOTS];
    pthread_mutex_unlock(&d->lock);
    if (s && !s->bytes) // a small archive needs only one
        s->bytes = xmalloc(SLOT_SIZE);
    return s;
}

static bool push(struct decoder *d, struct decoder_slot *s, size_t length)
{
    d->produced += length;
    if (d->produced > d->limit)
        return fail(d, xasprintf("it unpacks to more than the limit of %llu bytes",
                                 (unsigned long long)d->limit));
    pthread_mutex_lock(&d->lock);
    s->length = length;
    if (length)
        d->filled++;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
    return true;
}

static const struct {
    lzma_ret code;
    const char *why;
} xz_failures[] = {
    {LZMA_BUF_ERROR, "it is truncated"},
    {LZMA_DATA_ERROR, "its compressed data is damaged"},
    {LZMA_FORMAT_ERROR, "what follows its first xz stream is not xz"},
    {LZMA_MEMLIMIT_ERROR, "decompressing it takes more than 1 GiB of memory"},
    {LZMA_OPTIONS_ERROR, "it uses xz features that this liblzma does not know"},
    {LZMA_MEM_ERROR, "there is not enough memory to decompress it"},
};

static char *xz_failure(lzma_ret code)
{
    for (size_t i = 0; i < ARRAY_LEN(xz_failures); i++)
        if (xz_failures[i].code == code)
            return xstrdup(xz_failures[i].why);
    return xasprintf("liblzma failed (%d)", (int)code);
}

void decoder_bound_memory(uint64_t bytes)
{
    parallel_memory = bytes;
}

static lzma_ret start_xz(lzma_stream *s)
{
    uint32_t threads = processors();
    uint64_t memory = parallel_memory ? parallel_memory : memory_size() / 4;
    lzma_mt mt = {.flags = LZMA_CONCATENATED,
                  .threads = threads < 1                ? 1
                             : threads > XZ_THREADS_MAX ? XZ_THREADS_MAX
                                                        : threads,
                  .memlimit_threading = memory && memory < xz_memory ? memory : xz_memory,
                  .memlimit_stop = xz_memory};
    return lzma_stream_decoder_mt(s, &mt);
}

// Fills slot after slot. False on failure and when the reader has stopped.
static bool decode_xz(struct decoder *d, lzma_stream *s)
{
    lzma_ret r = start_xz(s);
    lzma_action action = LZMA_RUN;
    for (struct decoder_slot *slot; r != LZMA_STREAM_END;) {
        if (!(slot = empty_slot(d)))
            return false;
        s->next_out = (uint8_t *)slot->bytes;
        s->avail_out = SLOT_SIZE;
        while (r == LZMA_OK && s->avail_out) {
            if (!s->avail_in && action == LZMA_RUN) {
                ssize_t n = input_read(d->in, d->input, INPUT_SIZE);
                if (n < 0)
                    return fail(d, xstrdup(strerror(errno)));
                s->next_in = (uint8_t *)d->input;
                s->avail_in = (size_t)n;
                action = n ? LZMA_RUN : LZMA_FINISH;
            }
            r = lzma_code(s, action);
        }
        if (r != LZMA_OK && r != LZMA_STREAM_END)
            return fail(d, xz_failure(r));
        if (!push(d, slot, SLOT_SIZE - s->avail_out))
            return false;
    }
    return true;
}

static la_ssize_t on_read(struct archive *a, void *context, const void **bytes)
{
    struct decoder *d = context;
    ssize_t n = input_read(d->in, d->input, INPUT_SIZE);
    if (n < 0)
        archive_set_error(a, errno, "%s", strerror(errno));
    *bytes = d->input;
    return n;
}

static bool decode_other(struct decoder *d, struct archive *a)
{
    struct archive_entry *entry;
    if (archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
        archive_read_support_filter_bzip2(a) != ARCHIVE_OK ||
        archive_read_support_filter_zstd(a) != ARCHIVE_OK ||
        archive_read_support_format_raw(a) != ARCHIVE_OK ||
        archive_read_open(a, d, NULL, on_read, NULL) != ARCHIVE_OK ||
        archive_read_next_header(a, &entry) != ARCHIVE_OK)
        return fail(
            d, xstrdup(archive_error_string(a) ? archive_error_string(a) : "libarchive failed"));
    for (;;) {
        const void *bytes;
        size_t length;
        la_int64_t offset;
        int r = archive_read_data_block(a, &bytes, &length, &offset);
        if (r == ARCHIVE_EOF)
            return true;
        if (r != ARCHIVE_OK)
            return fail(d, xstrdup(archive_error_string(a)));
        for (const char *p = bytes; length;) {
            size_t n = length < SLOT_SIZE ? length : SLOT_SIZE;
            struct decoder_slot *slot = empty_slot(d);
            if (!slot)
                return false;
            memcpy(slot->bytes, p, n);
            if (!push(d, slot, n))
                return false;
            p += n;
            length -= n;
        }
    }
}

static void *decode(void *context)
{
    struct decoder *d = context;
    if (input_is_xz(d->in)) {
        lzma_stream s = LZMA_STREAM_INIT;
        decode_xz(d, &s);
        lzma_end(&s);
    } else {
        struct archive *a = archive_read_new();
        if (a)
            decode_other(d, a);
        else
            fail(d, xstrdup("there is not enough memory"));
        archive_read_free(a);
    }
    pthread_mutex_lock(&d->lock);
    d->ended = true;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

static void release(struct decoder *d)
{
    for (size_t i = 0; i < SLOTS; i++)
        free(d->slots[i].bytes);
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->lock);
    free(d->input);
    free(d->why);
    free(d);
}

struct decoder *decoder_start(struct input *in, uint64_t limit, struct error **err)
{
    struct decoder *d = xcalloc(1, sizeof *d);
    d->in = in;
    d->limit = limit;
    d->input = xmalloc(INPUT_SIZE);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->changed, NULL);
    int errnum = thread_start(&d->thread, decode, d);
    if (!errnum)
        return d;
    release(d);
    error_errno(err, errnum, "starting a thread to decompress it");
    return NULL;
}

int decoder_next(struct decoder *d, const void **bytes, size_t *length, const char **why)
{
    pthread_mutex_lock(&d->lock);
    if (d->holding) {
        d->holding = false;
        d->taken++;
        pthread_cond_broadcast(&d->changed);
    }
    while (d->filled == d->taken && !d->ended)
        pthread_cond_wait(&d->changed, &d->lock);
    int result = d->why ? -1 : 0;
    *why = d->why;
    if (d->filled != d->taken) {
        const struct decoder_slot *s = &d->slots[d->taken % SLOTS];
        *bytes = s->bytes;
        *length = s->length;
        d->holding = true;
        result = 1;
    }
    pthread_mutex_unlock(&d->lock);
    return result;
}

void decoder_stop(struct decoder *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL);
    release(d);
}
