// SPDX-License-Identifier: Apache-2.0
// Computes the launch digest of an SNP guest, page by page.
#include "measure/launch_digest.h"

#include "crypto/crypto.h"

enum page_info {
    INFO_DIGEST = 0x00,
    INFO_CONTENTS = 0x30,
    INFO_LENGTH = 0x60,
    INFO_TYPE = 0x62,
    INFO_ADDRESS = 0x68,
    INFO_SIZE = 0x70
};

static int sha384(const void *bytes, size_t length, unsigned char out[static SHA384_SIZE],
                  struct error **err)
{
    if (EVP_Digest(bytes, length, out, NULL, EVP_sha384(), NULL) != 1)
        return crypto_error(err, "computing a launch digest");
    return 0;
}

static int extend(struct snp_digest *d, enum snp_page_type type, uint64_t address,
                  const unsigned char contents[static SHA384_SIZE], struct error **err)
{
    unsigned char info[INFO_SIZE] = {0};
    memcpy(info + INFO_DIGEST, d->value, SHA384_SIZE);
    memcpy(info + INFO_CONTENTS, contents, SHA384_SIZE);
    put_le(info + INFO_LENGTH, INFO_SIZE, 2);
    info[INFO_TYPE] = (unsigned char)type;
    put_le(info + INFO_ADDRESS, address, 8);
    return sha384(info, sizeof info, d->value, err);
}

int snp_digest_page(struct snp_digest *d, enum snp_page_type type, uint64_t address,
                    const unsigned char page[static X86_PAGE], struct error **err)
{
    unsigned char contents[SHA384_SIZE];
    if (sha384(page, X86_PAGE, contents, err) < 0)
        return -1;
    return extend(d, type, address, contents, err);
}

int snp_digest_range(struct snp_digest *d, enum snp_page_type type, uint64_t address, uint64_t size,
                     struct error **err)
{
    static const unsigned char nothing[SHA384_SIZE];
    for (uint64_t at = 0; at < size; at += X86_PAGE)
        if (extend(d, type, address + at, nothing, err) < 0)
            return -1;
    return 0;
}

int snp_digest_content(struct snp_digest *d, uint64_t address, const unsigned char *bytes,
                       uint64_t size, struct error **err)
{
    for (uint64_t at = 0; at < size; at += X86_PAGE)
        if (snp_digest_page(d, PAGE_NORMAL, address + at, bytes + at, err) < 0)
            return -1;
    return 0;
}
