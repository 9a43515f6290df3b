// SPDX-License-Identifier: Apache-2.0
// Little-endian numbers in bytes. For this room.
#ifndef KBUILD_DISK_BYTES_H
#define KBUILD_DISK_BYTES_H

#include <stdint.h>

static inline void put_le(unsigned char *p, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (unsigned char)(value >> 8 * i);
}

static inline uint64_t get_le(const unsigned char *p, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)p[i] << 8 * i;
    return value;
}

#endif
