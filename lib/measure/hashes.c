// SPDX-License-Identifier: Apache-2.0
// Makes the table of kernel hashes as QEMU puts it into a guest.
#include "measure/launch_digest.h"

#include "measure/x86.h"

#include <string.h>

#define ENTRY_SIZE (GUID_SIZE + 2u + DIGEST_SIZE)
#define HEAD_SIZE (GUID_SIZE + 2u)

// In the order of the table.
enum { COMMAND_LINE, INITRD, KERNEL, ENTRIES };
static const unsigned char table_guid[GUID_SIZE] =
    GUID(0x9438d606, 0x4f22, 0x4cc9, 0xb4, 0x79, 0xa7, 0x93, 0xd4, 0x11, 0xfd, 0x21);
static const unsigned char entry_guid[ENTRIES][GUID_SIZE] = {
    [COMMAND_LINE] =
        GUID(0x97d02dd8, 0xbd20, 0x4c94, 0xaa, 0x78, 0xe7, 0x71, 0x4d, 0x36, 0xab, 0x2a),
    [INITRD] = GUID(0x44baf731, 0x3a2f, 0x4bd7, 0x9a, 0xf1, 0x41, 0xe2, 0x91, 0x69, 0x78, 0x1d),
    [KERNEL] = GUID(0x4de79437, 0xabd2, 0x427f, 0xb8, 0x35, 0xd5, 0xb1, 0x72, 0xd2, 0x04, 0x5b),
};

void snp_hashes(const struct launch_file *kernel, const struct launch_file *initrd,
                const char *append, unsigned char out[static SNP_HASHES_SIZE])
{
    char hex[ENTRIES][DIGEST_HEX_SIZE];
    const char *line = append ? append : "";
    digest_bytes(line, strlen(line) + 1, hex[COMMAND_LINE]);
    if (initrd->given)
        memcpy(hex[INITRD], initrd->sha256, DIGEST_HEX_SIZE);
    else
        digest_bytes("", 0, hex[INITRD]);
    memcpy(hex[KERNEL], kernel->sha256, DIGEST_HEX_SIZE);

    memset(out, 0, SNP_HASHES_SIZE);
    memcpy(out, table_guid, GUID_SIZE);
    put_le(out + GUID_SIZE, HEAD_SIZE + ENTRIES * ENTRY_SIZE, 2);
    for (size_t i = 0; i < ENTRIES; i++) {
        unsigned char *entry = out + HEAD_SIZE + i * ENTRY_SIZE;
        memcpy(entry, entry_guid[i], GUID_SIZE);
        put_le(entry + GUID_SIZE, ENTRY_SIZE, 2);
        hex_decode(hex[i], entry + GUID_SIZE + 2, DIGEST_SIZE);
    }
}
