// SPDX-License-Identifier: Apache-2.0
// Pads, encrypts and writes the components of an image as streams, and hashes or decrypts them
// again.
#include "se/components.h"

#include "base/error.h"
#include "se/checks.h"

#include <fcntl.h>
#include <openssl/crypto.h>

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static int fill(const struct component_source *s, uint64_t offset, unsigned char *out,
                size_t length, struct error **err)
{
    if (!s->bytes)
        return read_at(s->fd, s->name, offset, out, length, err);
    memcpy(out, s->bytes + offset, length);
    return 0;
}

// A file that grew while it was read would be truncated in the image.
static int check_end(const struct component_source *s, struct error **err)
{
    char more;
    if (!s->bytes && pread(s->fd, &more, 1, (off_t)s->size) == 1)
        return error_user(err, "reading %s: it grew meanwhile", s->name);
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
        size_t content = done < c->size ? (size_t)smaller(c->size - done, run) : 0;
        unsigned char *pages = page_digests_buffer(sink->digests);
        if (fill(source, done, pages, content, err) < 0)
            return -1;
        memset(pages + content, 0, run - content);
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
    return check_end(source, err);
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
