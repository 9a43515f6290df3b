// SPDX-License-Identifier: Apache-2.0
// The SNP launch digest (ABI, section 8.17.2 and its table "Layout of the PAGE_INFO structure"):
// for each page that enters the guest, the new digest is SHA-384 over
//
//   00h  48 bytes  the digest so far (zeros at first)
//   30h  48 bytes  SHA-384 of the page; zeros unless the type is NORMAL or VMSA
//   60h  le16      length of this structure, 70h
//   62h  u8        page type
//   63h  u8        bit 0: the page belongs to an initial migration image; 0 here
//   64h  3 bytes   permissions of VMPL 3, 2, 1; 0 here
//   67h  u8        zero
//   68h  le64      guest physical address
#ifndef KBUILD_MEASURE_LAUNCH_DIGEST_H
#define KBUILD_MEASURE_LAUNCH_DIGEST_H

#include "base/error.h"
#include "measure/x86.h"

#include <openssl/evp.h>

#define SHA384_SIZE 48u

// ABI, section 8.17.1, PAGE_TYPE.
enum snp_page_type {
    PAGE_NORMAL = 1,
    PAGE_VMSA = 2,
    PAGE_ZERO = 3,
    PAGE_UNMEASURED = 4,
    PAGE_SECRETS = 5,
    PAGE_CPUID = 6
};
// Where the firmware records VMSA pages: all ones, as far as an address has bits (ABI, 8.17.2).
#define VMSA_ADDRESS 0xFFFFFFFFF000u

// Zero-initialise. Owns nothing.
struct snp_digest {
    unsigned char value[SHA384_SIZE];
};
// One page with content: PAGE_NORMAL or PAGE_VMSA.
int snp_digest_page(struct snp_digest *d, enum snp_page_type type, uint64_t address,
                    const unsigned char page[static X86_PAGE], struct error **err);
// `size` bytes (whole pages) of any other type.
int snp_digest_range(struct snp_digest *d, enum snp_page_type type, uint64_t address, uint64_t size,
                     struct error **err);
// `size` bytes (whole pages) of PAGE_NORMAL.
int snp_digest_content(struct snp_digest *d, uint64_t address, const unsigned char *bytes,
                       uint64_t size, struct error **err);

#endif
