// SPDX-License-Identifier: Apache-2.0
// The numbers of the image format: offsets, sizes, magic values. docs/se-image.md explains them;
// the section numbers there are the ones given here. Everything in an image is big-endian, and a
// file offset is also the guest's absolute address.
#ifndef KBUILD_SE_FORMAT_H
#define KBUILD_SE_FORMAT_H

#include "base/memory.h"
#include "crypto/crypto.h"
#include "se/se.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Section 2: fixed places.
#define SE_LOADER_ADDRESS 0x10000u // stage3a
#define SE_LOADER_ENTRY 0x11000u   // where the short PSW points
#define SE_LOADER_LIMIT 0x13000u   // stage3a ends in the page before this address
#define SE_METADATA_OFFSET 0xC000u // layout P only
#define SE_PSW_MASK 0x0000000180000000u
#define SE_KERNEL_ENTRY 0x10000u
#define SE_ADDRESS_LIMIT 0x80000000u

// Section 4: the short PSW has bit 12 on, and the address in its low 31 bits.
#define SE_SHORT_PSW_BIT12 0x0008000000000000u

// Section 3: the components. The position in this enum is the tweak index in layout G.
enum part { PART_KERNEL, PART_COMMAND_LINE, PART_INITRD, PART_STAGE3B, PARTS };

// Section 5: IPIB.
enum ipib_offset {
    IPIB_LENGTH = 0x00,
    IPIB_FLAGS = 0x04,
    IPIB_LIST_VERSION = 0x07,
    IPIB_BLOCK_LENGTH = 0x08,
    IPIB_BLOCK_TYPE = 0x0C,
    IPIB_LOAD_PARAMETER = 0x10,
    IPIB_PV_VERSION = 0x6F,
    IPIB_COUNT = 0x74,
    IPIB_HEADER_ADDRESS = 0x78,
    IPIB_HEADER_SIZE = 0x80,
    IPIB_COMPONENTS = 0x88
};
#define IPIB_TYPE_PV 5u
#define IPIB_ENTRY_SIZE 24u
#define IPIB_MAX_COMPONENTS ((SE_PAGE - IPIB_COMPONENTS) / IPIB_ENTRY_SIZE)

// Section 6: argument blocks at the end of each loader.
#define STAGE3A_ARGUMENTS 24u
#define STAGE3B_ARGUMENTS 64u

// Section 8: PV header, version 1.
enum header_offset {
    HEADER_MAGIC = 0x000,
    HEADER_VERSION = 0x008,
    HEADER_SIZE = 0x00C,
    HEADER_IV = 0x010,
    HEADER_RESERVED = 0x01C,
    HEADER_SLOTS = 0x020,
    HEADER_ENCRYPTED_SIZE = 0x028,
    HEADER_PAGES = 0x030,
    HEADER_PCF = 0x038,
    HEADER_CUSTOMER_KEY = 0x040,
    HEADER_PLD = 0x0E0,
    HEADER_ALD = 0x120,
    HEADER_TLD = 0x160,
    HEADER_SLOT_LIST = 0x1A0
};
#define HEADER_VERSION_1 0x00000100u
#define HEADER_MAX 8192u

// Section 8.3: the encrypted area.
enum area_offset {
    AREA_CCK = 0x00,
    AREA_XTS_KEY = 0x20,
    AREA_PSW_MASK = 0x60,
    AREA_PSW_ADDRESS = 0x68,
    AREA_SCF = 0x70,
    AREA_ITEMS = 0x78,
    AREA_RESERVED = 0x7C,
    AREA_SIZE = 0x80
};

extern const unsigned char se_header_magic[8]; // "IBMSecEx"

// Rounds up to a page. `n` is at most UINT64_MAX - 4095.
static inline uint64_t page_up(uint64_t n)
{
    return (n + SE_PAGE - 1) / SE_PAGE * SE_PAGE;
}

// What `size` bytes of content take in the image: a component of zero bytes still has one page.
static inline uint64_t padded_size(uint64_t size)
{
    return size ? page_up(size) : SE_PAGE;
}

// Section 8: the size of a header with `slots` key slots (at most SE_MAX_HOST_KEYS).
static inline uint64_t header_size(uint64_t slots)
{
    return HEADER_SLOT_LIST + slots * SLOT_SIZE + AREA_SIZE + TAG_SIZE;
}

#endif
