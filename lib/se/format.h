// SPDX-License-Identifier: Apache-2.0
// The image format: offsets, sizes, magic values, and building, parsing and finding its structures.
// docs/se-image.md explains them; the section numbers there are the ones given here. Everything in
// an image is big-endian, and a file offset is also the guest's absolute address.
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

// ---- layout and argument blocks ----
// The places of the parts in an image of layout "G" (section 3.1), the short PSW (4) and the
// argument blocks of the loaders (6).

struct layout {
    uint64_t arguments;  // of stage3a: the last 24 bytes of the blob
    uint64_t ipib;       // one page
    uint64_t header;     // always 0x14000, where readers expect it
    uint64_t components; // the first one
};
// Refuses a stage3a whose size does not put the header at 0x14000, and a number of hosts outside
// 1..95.
int layout_plan(size_t stage3a_length, size_t hosts, struct layout *out, struct error **err);

// The value of the short PSW for an entry below 2 GiB.
uint64_t short_psw(uint64_t entry);

void stage3a_arguments(const struct layout *l, uint64_t header_bytes,
                       unsigned char out[static STAGE3A_ARGUMENTS]);
// Looks for the argument block that leads to this header and IPIB in `bytes`, which lie at
// `address`. Returns its address, or 0 if there is none.
uint64_t stage3a_arguments_find(const unsigned char *bytes, size_t length, uint64_t address,
                                uint64_t header, uint64_t header_bytes, uint64_t ipib);

// The arguments of stage3b. Address and size of an absent part are 0.
struct stage3b_arguments {
    struct {
        uint64_t address, size; // size without padding; that of the command line counts its NUL
    } part[3];                  // PART_KERNEL, PART_COMMAND_LINE, PART_INITRD
    uint64_t psw_mask, psw_address;
};
void stage3b_arguments_put(const struct stage3b_arguments *a,
                           unsigned char out[static STAGE3B_ARGUMENTS]);
// Finds the argument block in a decrypted stage3b component. Its end is not recorded, so it is the
// block near the last nonzero byte that matches the components. index[] gets which component is
// which part (-1: absent). Returns the offset behind the block, or 0.
size_t stage3b_arguments_find(const unsigned char *stage3b, size_t length,
                              const struct se_component *components, size_t count,
                              struct stage3b_arguments *out, int index[static 3]);

// ---- PV header, version 1 (section 8) ----

// All secret values of an image. Zero-initialise; secrets_wipe() at the end.
struct secrets {
    unsigned char header_key[32], header_iv[12], cck[32], xts_key[64];
    unsigned char tweaks[PARTS][6];
    EVP_PKEY *customer; // owned
};
// Draws at random the values that neither `keys` nor `fixed` (may be NULL) gives.
int secrets_draw(struct secrets *s, const struct se_keys *keys, const struct se_fixed *fixed,
                 struct error **err);
void secrets_wipe(struct secrets *s);
#define cleanup_secrets __attribute__((cleanup(secrets_wipe)))

struct header_input {
    const struct secrets *secrets;
    const struct host_key *hosts;
    size_t host_count;
    uint64_t pages, pcf, scf, psw_address;
    unsigned char pld[64], ald[64], tld[64];
};
// Builds the whole header, encrypted: header_size(host_count) bytes.
int header_build(const struct header_input *in, unsigned char *out, struct error **err);

// Reads a header from a file, checks what needs no key, and parses it. *bytes (to be freed) gets
// image->header_size bytes if it is not NULL. image->header_offset is given; the header's fields in
// `image` are set.
int header_read(int fd, const char *name, uint64_t size, struct se_image *image,
                unsigned char **bytes, struct error **err);

// ---- IPIB (section 5) ----
// The IPL information block of type PV: the list of components that stage3a hands to
// the hypervisor.

// Layout G: fills a page. The header's address stays 0; stage3a stores it at run time.
void ipib_build(const struct se_component *components, size_t count, uint64_t header_bytes,
                unsigned char out[static SE_PAGE]);
// Reads the block that belongs to image->header_* into image->components and checks it: lengths,
// type, page alignment, order, overlap, and that all lies inside the file of `size` bytes. In
// layout P, image->ipib_offset is given; in layout G it is the page before the header.
int ipib_read(int fd, const char *name, uint64_t size, struct se_image *image, struct error **err);

#endif
