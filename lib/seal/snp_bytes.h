// SPDX-License-Identifier: Apache-2.0
// Little-endian numbers and GUIDs, as x86 firmware stores them.
#ifndef KBUILD_SEAL_SNP_BYTES_H
#define KBUILD_SEAL_SNP_BYTES_H

#include <stddef.h>
#include <stdint.h>

#define X86_PAGE 4096u
#define FOUR_GIB ((uint64_t)1 << 32)

static inline void put_le(unsigned char *p, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++, value >>= 8)
        p[i] = (unsigned char)value;
}

static inline uint64_t get_le(const unsigned char *p, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = bytes; i-- > 0;)
        value = value << 8 | p[i];
    return value;
}

// The 16 bytes of the GUID that is written aaaaaaaa-bbbb-cccc-ddee-ffgghhiijjkk: the first three
// groups are little-endian (UEFI specification, appendix A).
#define GUID(a, b, c, d, e, f, g, h, i, j, k)                                                      \
    {                                                                                              \
        (a) & 0xFF, (a) >> 8 & 0xFF, (a) >> 16 & 0xFF, (a) >> 24 & 0xFF, (b)&0xFF,                 \
            (b) >> 8 & 0xFF, (c)&0xFF, (c) >> 8 & 0xFF, d, e, f, g, h, i, j, k                     \
    }
#define GUID_SIZE 16u

#endif
