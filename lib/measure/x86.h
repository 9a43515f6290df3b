// SPDX-License-Identifier: Apache-2.0
// Sizes and GUIDs of x86 firmware.
#ifndef KBUILD_MEASURE_X86_H
#define KBUILD_MEASURE_X86_H

#include "base/memory.h"

#define X86_PAGE 4096u
#define FOUR_GIB ((uint64_t)1 << 32)

// The 16 bytes of the GUID that is written aaaaaaaa-bbbb-cccc-ddee-ffgghhiijjkk: the first three
// groups are little-endian (UEFI specification, appendix A).
#define GUID(a, b, c, d, e, f, g, h, i, j, k)                                                      \
    {                                                                                              \
        (a) & 0xFF, (a) >> 8 & 0xFF, (a) >> 16 & 0xFF, (a) >> 24 & 0xFF, (b)&0xFF,                 \
            (b) >> 8 & 0xFF, (c)&0xFF, (c) >> 8 & 0xFF, d, e, f, g, h, i, j, k                     \
    }
#define GUID_SIZE 16u

#endif
