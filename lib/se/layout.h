// SPDX-License-Identifier: Apache-2.0
// The places of the parts in an image of layout "G" (section 3.1), the short PSW (4) and the
// argument blocks of the loaders (6).
#ifndef KBUILD_SE_LAYOUT_H
#define KBUILD_SE_LAYOUT_H

#include "se/format.h"

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

#endif
