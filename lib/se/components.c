// SPDX-License-Identifier: Apache-2.0
// Components as streams: pads, encrypts, writes, hashes and decrypts them, and reads and writes at
// a position. No component is in memory as a whole.
#include "se/internal.h"

#include "base/error.h"
#include "base/file.h"
#include "base/libcrypto.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>

// ---- reads and writes at a position ----

int read_at(int fd, const char *name, uint64_t offset, void *out, size_t length, struct error **err)
{
    ssize_t n = fd_read_at(fd, out, length, offset);
    if (n < 0)
        return error_errno(err, errno, "reading %s", name);
    if ((size_t)n < length)
        return error_user(err, "reading %s: it ends at byte %llu, before its contents do", name,
                          (unsigned long long)offset + (unsigned long long)n);
    return 0;
}

int write_at(int fd, const char *name, uint64_t offset, const void *bytes, size_t length,
             struct error **err)
{
    return fd_write_at(fd, name, bytes, length, offset, err);
}

// ---- digests of pages (section 9) ----

#define RUNS 4

struct page_digests {
    EVP_MD_CTX *pld, *ald, *tld;
    struct ring *runs;
    bool failed; // ald or tld
};

static bool hash_pages(void *pld, const void *bytes, size_t length)
{
    return EVP_DigestUpdate(pld, bytes, length) == 1;
}

static EVP_MD_CTX *sha512_new(void)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (c && EVP_DigestInit_ex(c, EVP_sha512(), NULL) == 1)
        return c;
    EVP_MD_CTX_free(c);
    return NULL;
}

struct page_digests *page_digests_new(struct error **err)
{
    struct page_digests *d = xcalloc(1, sizeof *d);
    d->pld = sha512_new();
    d->ald = sha512_new();
    d->tld = sha512_new();
    if (d->pld && d->ald && d->tld) {
        d->runs = ring_begin(RUNS, PAGE_RUN, hash_pages, d->pld);
        return d;
    }
    page_digests_free(d);
    crypto_error(err, "setting up SHA-512");
    return NULL;
}

// A buffer of PAGE_RUN bytes to fill. It stays readable after page_digests_add(), until the next
// call of this function.
static unsigned char *page_digests_buffer(struct page_digests *d)
{
    return ring_slot(d->runs);
}

// Adds the first `length` bytes (a multiple of the page size) of the buffer: pages at guest address
// `address`, `offset` bytes into a component with this tweak prefix.
static void page_digests_add(struct page_digests *d, size_t length,
                             const unsigned char prefix[static 8], uint64_t offset,
                             uint64_t address)
{
    ring_give(d->runs, length);
    for (size_t i = 0; i < length; i += SE_PAGE) {
        unsigned char where[8], tweak[16];
        put_be64(where, address + i);
        page_tweak(prefix, offset + i, tweak);
        if (EVP_DigestUpdate(d->ald, where, sizeof where) != 1 ||
            EVP_DigestUpdate(d->tld, tweak, sizeof tweak) != 1)
            d->failed = true;
    }
}

int page_digests_end(struct page_digests *d, unsigned char pld[static 64],
                     unsigned char ald[static 64], unsigned char tld[static 64], struct error **err)
{
    if (!ring_end(steal(d->runs)) || d->failed || EVP_DigestFinal_ex(d->pld, pld, NULL) != 1 ||
        EVP_DigestFinal_ex(d->ald, ald, NULL) != 1 || EVP_DigestFinal_ex(d->tld, tld, NULL) != 1)
        return crypto_error(err, "computing SHA-512");
    return 0;
}

void page_digests_free(struct page_digests *d)
{
    if (!d)
        return;
    ring_end(d->runs);
    EVP_MD_CTX_free(d->pld);
    EVP_MD_CTX_free(d->ald);
    EVP_MD_CTX_free(d->tld);
    free(d);
}

// ---- components ----

int component_read(const struct component_source *source, uint64_t at, unsigned char *out,
                   size_t length, struct error **err)
{
    size_t content = at < source->size ? (size_t)smaller(source->size - at, length) : 0;
    memset(out + content, 0, length - content);
    if (!source->bytes)
        return read_at(source->fd, source->name, at, out, content, err);
    if (content)
        memcpy(out, source->bytes + at, content);
    return 0;
}

// A file that grew while it was read would be truncated in the image.
static int check_source_end(const struct component_source *s, struct error **err)
{
    char more;
    if (!s->bytes && pread(s->fd, &more, 1, (off_t)s->size) == 1)
        return error_user(err, "reading %s: it grew while it was read", s->name);
    return 0;
}

// Starts writing to the disk during hashing, so that the sync at the end is short. Only a hint: a
// failure costs only time.
static void start_writing_back(int fd, uint64_t from, uint64_t to)
{
    enum { STRIDE = 4 << 20 };
    uint64_t end = to / STRIDE * STRIDE;
    if (end > from && end >= STRIDE)
        sync_file_range(fd, (off_t)(end - STRIDE), STRIDE, SYNC_FILE_RANGE_WRITE);
}

int component_write(struct component_sink *sink, const struct component_source *source,
                    struct se_component *c, struct error **err)
{
    c->address = sink->address;
    c->size = source->size;
    // Checked before the addition: a sparse file may claim any size.
    if (c->size >= SE_ADDRESS_LIMIT || padded_size(c->size) > SE_ADDRESS_LIMIT - sink->address)
        return error_user(err, "%s: the image would be larger than 2 GiB", source->name);
    c->padded = padded_size(c->size);
    for (uint64_t done = 0; done < c->padded;) {
        size_t run = (size_t)smaller(c->padded - done, PAGE_RUN);
        unsigned char *pages = page_digests_buffer(sink->digests);
        if (component_read(source, done, pages, run, err) < 0)
            return -1;
        if (sink->xts && xts_pages(sink->xts, c->tweak, done, pages, run, err) < 0)
            return -1;
        page_digests_add(sink->digests, run, c->tweak, done, c->address + done);
        if (write_at(sink->fd, "the image", c->address + done, pages, run, err) < 0)
            return -1;
        start_writing_back(sink->fd, c->address + done, c->address + done + run);
        done += run;
        progress("sealing", done, c->padded, "bytes");
    }
    sink->address += c->padded;
    sink->pages += c->padded / SE_PAGE;
    return check_source_end(source, err);
}

int components_digest(int fd, const char *name, const struct se_image *image,
                      unsigned char pld[static 64], unsigned char ald[static 64],
                      unsigned char tld[static 64], struct error **err)
{
    cleanup_digests struct page_digests *d = page_digests_new(err);
    if (!d)
        return -1;
    for (size_t i = 0; i < image->component_count; i++) {
        const struct se_component *c = &image->components[i];
        for (uint64_t done = 0; done < c->padded;) {
            size_t run = (size_t)smaller(c->padded - done, PAGE_RUN);
            if (read_at(fd, name, c->address + done, page_digests_buffer(d), run, err) < 0)
                return -1;
            page_digests_add(d, run, c->tweak, done, c->address + done);
            done += run;
        }
    }
    return page_digests_end(d, pld, ald, tld, err);
}

int component_decrypt(int fd, const char *name, const struct se_component *c, EVP_CIPHER_CTX *xts,
                      const struct component_target *out, struct error **err)
{
    size_t size = (size_t)smaller(c->padded, PAGE_RUN);
    cleanup_free unsigned char *pages = xmalloc(size);
    int result = 0;
    for (uint64_t done = 0; !result && done < c->padded;) {
        size_t run = (size_t)smaller(c->padded - done, PAGE_RUN);
        size_t keep = done < out->keep ? (size_t)smaller(out->keep - done, run) : 0;
        if (read_at(fd, name, c->address + done, pages, run, err) < 0 ||
            (xts && xts_pages(xts, c->tweak, done, pages, run, err) < 0) ||
            write_at(out->fd, out->name, out->at + done, pages, keep, err) < 0)
            result = -1;
        else if (out->zero_tail && !all_zero(pages + keep, run - keep))
            result = error_user(err, "%s: the padding of the component at 0x%llx is not zero", name,
                                (unsigned long long)c->address);
        done += run;
    }
    OPENSSL_cleanse(pages, size);
    return result;
}
