// SPDX-License-Identifier: Apache-2.0
// Writes images of the newer tool (layout "P", docs/se-image.md). There is no such tool here: they
// are put together by the description, out of the room's own cryptography.
#ifndef KBUILD_TESTS_SEAL_LAYOUT_P_H
#define KBUILD_TESTS_SEAL_LAYOUT_P_H

#include "se_fixture.h"

#include "se/format.h"

#define HEADER 0x14000u
#define FIRST 0x15000u

// Order and indexes of layout P: kernel, initrd, command line, stage3b.
static const struct {
    enum part part;
    unsigned char index;
} order[PARTS] = {
    {PART_KERNEL, 40}, {PART_INITRD, 50}, {PART_COMMAND_LINE, 60}, {PART_STAGE3B, 70}};

struct builder {
    struct buf image;
    struct se_component components[PARTS];
    EVP_MD_CTX *pld, *ald, *tld;
    EVP_CIPHER_CTX *xts;
};

static inline void digest(EVP_MD_CTX *context, unsigned char out[64])
{
    assert_int_equal(EVP_DigestFinal_ex(context, out, NULL), 1);
    EVP_MD_CTX_free(context);
}

static inline EVP_MD_CTX *sha512(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestInit_ex(context, EVP_sha512(), NULL), 1);
    return context;
}

static inline void add_component(struct builder *b, size_t i, const void *bytes, size_t size)
{
    struct se_component *c = &b->components[i];
    uint64_t padded = padded_size(size);
    cleanup_free unsigned char *pages = xcalloc(1, padded);
    memcpy(pages, bytes, size);
    *c = (struct se_component){.address = b->image.len, .padded = padded, .size = size};
    c->tweak[1] = order[i].index;
    c->tweak[7] = (unsigned char)i;
    assert_int_equal(xts_pages(b->xts, c->tweak, 0, pages, padded, NULL), 0);
    for (uint64_t at = 0; at < padded; at += SE_PAGE) {
        unsigned char where[8], tweak[16];
        put_be64(where, c->address + at);
        page_tweak(c->tweak, at, tweak);
        EVP_DigestUpdate(b->pld, pages + at, SE_PAGE);
        EVP_DigestUpdate(b->ald, where, sizeof where);
        EVP_DigestUpdate(b->tld, tweak, sizeof tweak);
    }
    buf_add(&b->image, pages, padded);
}

static inline void add_all(struct builder *b, const struct fixture *f)
{
    cleanup_buf struct buf kernel = {0}, initrd = {0};
    get_file(f->kernel, &kernel);
    get_file(f->initrd, &initrd);
    add_component(b, 0, kernel.data, kernel.len);
    add_component(b, 1, initrd.data, initrd.len);
    add_component(b, 2, KNOWN_COMMAND_LINE, sizeof KNOWN_COMMAND_LINE);
    unsigned char stage3b[STAGE3B_SIZE];
    struct stage3b_arguments a = {.psw_mask = SE_PSW_MASK, .psw_address = SE_KERNEL_ENTRY};
    for (size_t i = 0; i < 3; i++) {
        a.part[order[i].part].address = b->components[i].address;
        a.part[order[i].part].size = b->components[i].size;
    }
    memcpy(stage3b, f->stage3b, sizeof stage3b);
    stage3b_arguments_put(&a, stage3b + sizeof stage3b - STAGE3B_ARGUMENTS);
    add_component(b, 3, stage3b, sizeof stage3b);
}

static inline void add_ipib(struct builder *b, uint64_t header_bytes)
{
    unsigned char ipib[SE_PAGE];
    const size_t length = IPIB_COMPONENTS + PARTS * IPIB_ENTRY_SIZE;
    ipib_build(b->components, PARTS, header_bytes, ipib);
    put_be32(ipib + IPIB_LENGTH, (uint32_t)length);
    ipib[IPIB_PV_VERSION] = 1;
    put_be64(ipib + IPIB_HEADER_ADDRESS, HEADER);
    buf_add(&b->image, ipib, length);
}

static inline void put_image(const struct fixture *f, const char *path)
{
    struct secrets secrets = {0};
    assert_int_equal(secrets_draw(&secrets, &f->input.keys, &f->fixed, NULL), 0);
    struct builder b = {.pld = sha512(), .ald = sha512(), .tld = sha512()};
    b.xts = xts_new(secrets.xts_key, true, NULL);
    cleanup_free unsigned char *front = xcalloc(1, FIRST);
    buf_add(&b.image, front, FIRST);
    add_all(&b, f);
    struct header_input h = {.secrets = &secrets,
                             .hosts = f->hosts,
                             .host_count = 2,
                             .pages = (b.image.len - FIRST) / SE_PAGE,
                             .pcf = SE_PCF_DEFAULT,
                             .psw_address = b.components[3].address};
    digest(b.pld, h.pld);
    digest(b.ald, h.ald);
    digest(b.tld, h.tld);
    unsigned char *image = (unsigned char *)b.image.data;
    assert_int_equal(header_build(&h, image + HEADER, NULL), 0);
    put_be64(image, short_psw(SE_LOADER_ENTRY));
    static const char magic[8] = {'S', 'e', 'I', 'm', 'g', 'L', 'n', 'x'};
    memcpy(image + SE_METADATA_OFFSET, magic, sizeof magic);
    put_be64(image + SE_METADATA_OFFSET + 8, HEADER);
    put_be32(image + SE_METADATA_OFFSET + 16, 1);
    put_be64(image + SE_METADATA_OFFSET + 20, b.image.len);
    memcpy(image + SE_LOADER_ADDRESS, f->stage3a, STAGE3A_SIZE);
    add_ipib(&b, header_size(2));
    put_file(path, b.image.data, b.image.len);
    buf_free(&b.image);
    EVP_CIPHER_CTX_free(b.xts);
    secrets_wipe(&secrets);
}

#endif
