// SPDX-License-Identifier: Apache-2.0
// Computes MRTD: the pages in a firmware's TDX metadata, measured as the TDX module does.
#include "measure/tdx.h"

#include "crypto/crypto.h"

#define METADATA_HEAD 16u
#define SECTION_SIZE 32u
#define SECTIONS_MAX 64u
#define MEMORY_MAX ((uint64_t)64 << 20) // of all sections; firmware takes a few MiB
#define RECORD_SIZE 128u
#define RECORD_ADDRESS 16u
#define CHUNK 256u

enum section_attribute { MR_EXTEND = 1, PAGE_AUG = 2 };
enum section_type { TD_HOB = 2 };

struct section {
    uint64_t offset, raw_size, address, size;
    uint32_t type, attributes;
};

static int stream(EVP_MD_CTX *c, const void *bytes, size_t length, struct error **err)
{
    if (EVP_DigestUpdate(c, bytes, length) != 1)
        return crypto_error(err, "computing MRTD");
    return 0;
}

static const unsigned char page_add[RECORD_ADDRESS] = "MEM.PAGE.ADD";
static const unsigned char extend[RECORD_ADDRESS] = "MR.EXTEND";

static int record(EVP_MD_CTX *c, const unsigned char what[static RECORD_ADDRESS], uint64_t address,
                  struct error **err)
{
    unsigned char bytes[RECORD_SIZE] = {0};
    memcpy(bytes, what, RECORD_ADDRESS);
    put_le(bytes + RECORD_ADDRESS, address, 8);
    return stream(c, bytes, sizeof bytes, err);
}

static int extend_page(EVP_MD_CTX *c, uint64_t address, const unsigned char *page,
                       struct error **err)
{
    for (unsigned at = 0; at < X86_PAGE; at += CHUNK)
        if (record(c, extend, address + at, err) < 0 || stream(c, page + at, CHUNK, err) < 0)
            return -1;
    return 0;
}

// Adds the pages of a section, measures their content, or both for each.
static int add_section(EVP_MD_CTX *c, const struct snp_firmware *f, const struct section *s,
                       bool add, bool measure, struct error **err)
{
    for (uint64_t at = 0; at < s->size; at += X86_PAGE) {
        unsigned char page[X86_PAGE] = {0};
        uint64_t left = at < s->raw_size ? s->raw_size - at : 0;
        memcpy(page, f->bytes + s->offset + (left ? at : 0), left < X86_PAGE ? left : X86_PAGE);
        if ((add && record(c, page_add, s->address + at, err) < 0) ||
            (measure && extend_page(c, s->address + at, page, err) < 0))
            return -1;
    }
    return 0;
}

static int add_in_order(EVP_MD_CTX *c, const struct snp_firmware *f, const struct section *s,
                        bool two_pass, struct error **err)
{
    bool measured = s->attributes & MR_EXTEND;
    if (!two_pass || !measured)
        return add_section(c, f, s, true, measured, err);
    return add_section(c, f, s, true, false, err) < 0 ? -1 : add_section(c, f, s, false, true, err);
}

static int check_section(const char *name, const struct snp_firmware *f, const struct section *s,
                         uint64_t *total, struct error **err)
{
    if (s->address % X86_PAGE || s->size % X86_PAGE || s->size == 0 || s->raw_size > s->size ||
        s->offset > f->size || s->raw_size > f->size - s->offset)
        return snp_firmware_error(
            err, name,
            "a section of its TDX metadata (0x%llx bytes at 0x%llx, 0x%llx of "
            "the file from 0x%llx) cannot be",
            (unsigned long long)s->size, (unsigned long long)s->address,
            (unsigned long long)s->raw_size, (unsigned long long)s->offset);
    if (s->type == TD_HOB && (s->attributes & MR_EXTEND))
        return snp_firmware_error(err, name,
                                  "its TDX metadata has the TD HOB measured, which depends "
                                  "on the guest's memory");
    if (s->size > MEMORY_MAX - *total)
        return snp_firmware_error(err, name, "its TDX metadata asks for more than %llu MiB",
                                  (unsigned long long)(MEMORY_MAX >> 20));
    *total += s->size;
    return 0;
}

static int add_all(EVP_MD_CTX *c, const char *name, const struct snp_firmware *f, bool two_pass,
                   struct error **err)
{
    const unsigned char *head = snp_firmware_metadata(name, f, "TDX", f->tdx_distance, err);
    if (!head)
        return -1;
    uint64_t total = 0, length = get_le(head + 4, 4), count = get_le(head + 12, 4);
    if (memcmp(head, "TDVF", 4) != 0)
        return snp_firmware_error(err, name, "its TDX metadata does not begin with TDVF");
    if (get_le(head + 8, 4) != 1 || count > SECTIONS_MAX || length > f->tdx_distance ||
        length < METADATA_HEAD + count * SECTION_SIZE)
        return snp_firmware_error(
            err, name,
            "its TDX metadata has version %llu and %llu sections in %llu bytes, which is not known",
            (unsigned long long)get_le(head + 8, 4), (unsigned long long)count,
            (unsigned long long)length);
    for (uint64_t i = 0; i < count; i++) {
        const unsigned char *p = head + METADATA_HEAD + i * SECTION_SIZE;
        struct section s = {get_le(p, 4),
                            get_le(p + 4, 4),
                            get_le(p + 8, 8),
                            get_le(p + 16, 8),
                            (uint32_t)get_le(p + 24, 4),
                            (uint32_t)get_le(p + 28, 4)};
        if (s.attributes & PAGE_AUG)
            continue;
        if (check_section(name, f, &s, &total, err) < 0 ||
            add_in_order(c, f, &s, two_pass, err) < 0)
            return -1;
    }
    return 0;
}

int tdx_mrtd(const char *name, const struct snp_firmware *f, bool two_pass,
             unsigned char out[static MRTD_SIZE], struct error **err)
{
    if (!f->tdx_distance)
        return snp_firmware_error(
            err, name,
            "it has no TDX metadata (GUID e47a6535-984a-4798-865e-4685a7bf8ec2), "
            "so it cannot start trust domains");
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    int result = c && EVP_DigestInit_ex(c, EVP_sha384(), NULL) == 1
                     ? add_all(c, name, f, two_pass, err)
                     : crypto_error(err, "computing MRTD");
    if (!result && EVP_DigestFinal_ex(c, out, NULL) != 1)
        result = crypto_error(err, "computing MRTD");
    EVP_MD_CTX_free(c);
    return result;
}
