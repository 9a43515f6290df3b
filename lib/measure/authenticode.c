// SPDX-License-Identifier: Apache-2.0
// Computes the Authenticode digest of a PE/COFF image.
#include "measure/kernel.h"

#include "crypto/crypto.h"
#include "measure/x86.h"

#include <stdlib.h>
#include <string.h>

#define DOS_PE_OFFSET 0x3Cu
#define COFF_SIZE 24u // with the signature
#define SECTION_SIZE 40u
#define DIRECTORY_SIZE 8u
#define SIGNATURES 4u // the index of their directory
#define PE32_PLUS 0x20Bu
#define PE32 0x10Bu

struct byte_range {
    uint64_t offset, size;
};

struct image {
    const char *name;
    const unsigned char *bytes;
    uint64_t size;
    uint64_t checksum, headers; // offset of the checksum; end of the headers
    uint64_t directory;         // of the signatures; 0: there is none
    uint64_t sections;          // the table
    unsigned count;
};

static int bad_image(struct error **err, const struct image *i, const char *why)
{
    error_user(err, "reading %s as a PE/COFF image: %s", i->name, why);
    return error_hint(err, "firmware starts and measures only kernels that were built with "
                           "CONFIG_EFI_STUB");
}

static int read_headers(struct image *i, struct error **err)
{
    if (i->size < DOS_PE_OFFSET + 4)
        return bad_image(err, i, "it is too short");
    uint64_t pe = get_le(i->bytes + DOS_PE_OFFSET, 4);
    if (pe + COFF_SIZE + 2 > i->size || memcmp(i->bytes + pe, "PE\0", 4) != 0)
        return bad_image(err, i, "it has no PE header");
    uint64_t optional = pe + COFF_SIZE;
    uint64_t magic = get_le(i->bytes + optional, 2);
    if (magic != PE32 && magic != PE32_PLUS)
        return bad_image(err, i, "its optional header is of no known kind");
    uint64_t directories = optional + (magic == PE32_PLUS ? 112 : 96);
    i->checksum = optional + 64;
    i->count = (unsigned)get_le(i->bytes + pe + 6, 2);
    i->sections = optional + get_le(i->bytes + pe + 20, 2);
    if (directories > i->size || i->sections + (uint64_t)i->count * SECTION_SIZE > i->size)
        return bad_image(err, i, "it ends in its headers");
    i->headers = get_le(i->bytes + optional + 60, 4);
    if (get_le(i->bytes + directories - 4, 4) > SIGNATURES)
        i->directory = directories + (uint64_t)SIGNATURES * DIRECTORY_SIZE;
    uint64_t least = i->directory ? i->directory + DIRECTORY_SIZE : i->checksum + 4;
    if (i->headers > i->size || i->headers < least)
        return bad_image(err, i, "the size of its headers cannot be");
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct byte_range *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

// Lists the hashed ranges, in order; returns their number.
static unsigned list_parts(const struct image *i, struct byte_range *parts, struct error **err)
{
    unsigned n = 0;
    uint64_t from = i->checksum + 4, signatures = 0;
    parts[n++] = (struct byte_range){0, i->checksum};
    if (i->directory) {
        parts[n++] = (struct byte_range){from, i->directory - from};
        from = i->directory + DIRECTORY_SIZE;
        signatures = get_le(i->bytes + i->directory + 4, 4);
    }
    parts[n++] = (struct byte_range){from, i->headers - from};
    unsigned first = n;
    uint64_t hashed = i->headers;
    for (unsigned k = 0; k < i->count; k++) {
        const unsigned char *section = i->bytes + i->sections + (uint64_t)k * SECTION_SIZE;
        struct byte_range p = {get_le(section + 20, 4), get_le(section + 16, 4)};
        if (!p.size)
            continue;
        if (p.offset > i->size || p.size > i->size - p.offset) {
            bad_image(err, i, "one of its sections lies behind its end");
            return 0;
        }
        parts[n++] = p;
        hashed += p.size;
    }
    qsort(parts + first, n - first, sizeof *parts, by_place);
    if (i->size > hashed && i->size < hashed + signatures) {
        bad_image(err, i, "its signatures are longer than the place for them");
        return 0;
    }
    if (i->size > hashed + signatures)
        parts[n++] = (struct byte_range){hashed, i->size - signatures - hashed};
    return n;
}

int authenticode_digest(const char *name, const unsigned char *bytes, uint64_t size,
                        unsigned char out[static AUTHENTICODE_SIZE], struct error **err)
{
    struct image i = {.name = name, .bytes = bytes, .size = size};
    if (read_headers(&i, err) < 0)
        return -1;
    cleanup_free struct byte_range *parts = xcalloc((size_t)i.count + 4, sizeof *parts);
    unsigned n = list_parts(&i, parts, err);
    if (!n)
        return -1;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool good = c && EVP_DigestInit_ex(c, EVP_sha384(), NULL) == 1;
    for (unsigned k = 0; good && k < n; k++)
        good = EVP_DigestUpdate(c, bytes + parts[k].offset, parts[k].size) == 1;
    good = good && EVP_DigestFinal_ex(c, out, NULL) == 1;
    EVP_MD_CTX_free(c);
    return good ? 0 : crypto_error(err, "computing an Authenticode digest");
}
