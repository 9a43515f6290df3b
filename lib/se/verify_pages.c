// SPDX-License-Identifier: Apache-2.0
// Compares a component, page by page, with the file that it was made of.
#include "se/verify_pages.h"

#include "se/io.h"

#include <openssl/crypto.h>

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static int expected_run(const struct component_source *s, uint64_t at, unsigned char *out,
                        size_t run, struct error **err)
{
    size_t n = at < s->size ? (size_t)smaller(s->size - at, run) : 0;
    memset(out + n, 0, run - n);
    if (!s->bytes)
        return read_at(s->fd, s->name, at, out, n, err);
    if (n)
        memcpy(out, s->bytes + at, n);
    return 0;
}

static void note_page(const unsigned char *found, const unsigned char *expected, uint64_t page,
                      uint64_t address, struct page_difference *d)
{
    if (memcmp(found, expected, SE_PAGE) == 0)
        return;
    if (d->pages++)
        return;
    d->first_page = page;
    for (size_t i = SE_PAGE; i-- > 0;)
        if (found[i] != expected[i]) {
            d->first_byte = address + i;
            d->mask = found[i] ^ expected[i];
            d->bytes++;
        }
}

int pages_compare(int fd, const char *name, const struct se_component *c, EVP_CIPHER_CTX *xts,
                  const struct component_source *source, struct page_difference *out,
                  struct error **err)
{
    cleanup_free unsigned char *found = xmalloc(PAGE_RUN);
    cleanup_free unsigned char *expected = xmalloc(PAGE_RUN);
    uint64_t end = smaller(c->padded, padded_size(source->size));
    int result = 0;
    *out = (struct page_difference){0};
    for (uint64_t at = 0; !result && at < end;) {
        size_t run = (size_t)smaller(end - at, PAGE_RUN);
        if (read_at(fd, name, c->address + at, found, run, err) < 0 ||
            expected_run(source, at, expected, run, err) < 0 ||
            (xts && xts_pages(xts, c->tweak, at, expected, run, err) < 0))
            result = -1;
        for (size_t i = 0; !result && i < run; i += SE_PAGE)
            note_page(found + i, expected + i, (at + i) / SE_PAGE, c->address + at + i, out);
        at += run;
    }
    OPENSSL_cleanse(expected, PAGE_RUN);
    return result;
}
