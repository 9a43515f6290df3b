// SPDX-License-Identifier: Apache-2.0
// Hashes all pages of all components: contents in a thread, addresses and tweaks in the caller.
#include "se/checks.h"

#include "base/process.h"
#include "crypto/crypto.h"

#define RUNS 4

struct page_digests {
    EVP_MD_CTX *pld, *ald, *tld;
    struct ring *runs;
    bool failed; // ald or tld
};

static bool hash_run(void *pld, const void *bytes, size_t length)
{
    return EVP_DigestUpdate(pld, bytes, length) == 1;
}

static EVP_MD_CTX *sha512(void)
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
    d->pld = sha512();
    d->ald = sha512();
    d->tld = sha512();
    if (d->pld && d->ald && d->tld) {
        d->runs = ring_begin(RUNS, PAGE_RUN, hash_run, d->pld);
        return d;
    }
    page_digests_free(d);
    crypto_error(err, "setting up SHA-512");
    return NULL;
}

unsigned char *page_digests_buffer(struct page_digests *d)
{
    return ring_slot(d->runs);
}

void page_digests_add(struct page_digests *d, size_t length, const unsigned char prefix[static 8],
                      uint64_t offset, uint64_t address)
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
