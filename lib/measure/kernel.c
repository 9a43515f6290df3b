// SPDX-License-Identifier: Apache-2.0
// Parses the headers of a file that QEMU starts as a kernel: a bzImage, or a unified kernel image
// that holds one.
#include "measure/kernel.h"

#include "measure/x86.h"

#include <stdio.h>
#include <string.h>

#define SECTOR 512u
#define PROTOCOL_EFI 0x20C

enum header_offset {
    HEADER_SETUP_SECTORS = 0x1F1,
    HEADER_BOOT_FLAG = 0x1FE,
    HEADER_MAGIC = 0x202,
    HEADER_PROTOCOL = 0x206,
    HEADER_VERSION = 0x20E,
    HEADER_LOAD_FLAGS = 0x236,
    HEADER_COMMAND_LINE = 0x238
};

static int no_kernel(struct error **err, const char *path, const char *why)
{
    error_user(err, "reading kernel %s: %s", path, why);
    return error_hint(err,
                      "give the bzImage of an x86_64 kernel: arch/x86/boot/bzImage of a kernel "
                      "build, or vmlinuz of `kbuild kernel-confidential --arch=x86_64`");
}

int bzimage_check(const char *path, const unsigned char *head, uint64_t size, uint32_t *limit,
                  struct error **err)
{
    if (size == 0)
        return no_kernel(err, path, "it is empty");
    if (size >= 4 && memcmp(head, "\177ELF", 4) == 0)
        return no_kernel(err, path, "it is an ELF file (vmlinux?), not a bzImage");
    if (size < BZIMAGE_HEAD)
        return no_kernel(err, path, "it is too short for a bzImage");
    if (get_le(head + HEADER_BOOT_FLAG, 2) != 0xAA55 || memcmp(head + HEADER_MAGIC, "HdrS", 4) != 0)
        return no_kernel(err, path, "it is no bzImage (no HdrS at 0x202)");
    if (get_le(head + HEADER_PROTOCOL, 2) < PROTOCOL_EFI)
        return no_kernel(err, path, "it is a kernel so old (before 3.7) that OVMF cannot start it");
    if (!(head[HEADER_LOAD_FLAGS] & 1))
        return no_kernel(err, path, "it is a 32-bit kernel, and confidential guests are 64-bit");
    uint64_t sectors = head[HEADER_SETUP_SECTORS] ? head[HEADER_SETUP_SECTORS] : 4;
    if (size <= (sectors + 1) * SECTOR)
        return no_kernel(err, path, "it ends in its own setup code: it is cut off");
    *limit = (uint32_t)get_le(head + HEADER_COMMAND_LINE, 4);
    return 0;
}

#define PE_PLACE 0x3Cu
#define PE_HEAD 24u
#define PE_SECTION 40u
#define PE_X86_64 0x8664u

// Where the PE header is, 0 if there is none in the first `have` bytes.
static uint64_t find_pe(const unsigned char *head, uint64_t have)
{
    if (have < PE_PLACE + 4 || memcmp(head, "MZ", 2) != 0)
        return 0;
    uint64_t pe = get_le(head + PE_PLACE, 4);
    return pe + PE_HEAD <= have && memcmp(head + pe, "PE\0", 4) == 0 ? pe : 0;
}

bool is_efi_program(const unsigned char *head, uint64_t size)
{
    uint64_t have = size < BZIMAGE_HEAD ? size : BZIMAGE_HEAD;
    return find_pe(head, have) &&
           (have < HEADER_MAGIC + 4 || memcmp(head + HEADER_MAGIC, "HdrS", 4));
}

int uki_find_kernel(const char *path, const unsigned char *head, uint64_t size, uint64_t *place,
                    uint64_t *length, struct error **err)
{
    uint64_t have = size < UKI_HEAD ? size : UKI_HEAD, pe = find_pe(head, have);
    if (!pe || get_le(head + pe + 4, 2) != PE_X86_64)
        return no_kernel(err, path, "it is an EFI program, but not for x86_64");
    uint64_t table = pe + PE_HEAD + get_le(head + pe + 20, 2), count = get_le(head + pe + 6, 2);
    for (uint64_t i = 0; i < count && table + (i + 1) * PE_SECTION <= have; i++) {
        const unsigned char *section = head + table + i * PE_SECTION;
        if (memcmp(section, ".linux\0", 8) != 0)
            continue;
        *place = get_le(section + 20, 4);
        *length = get_le(section + 16, 4);
        return *place <= size && *length <= size - *place
                   ? 0
                   : no_kernel(err, path, "its section .linux lies behind its end: it is cut off");
    }
    return no_kernel(err, path,
                     "it is an EFI program without a kernel in it (no section .linux): what it "
                     "starts would not be measured");
}

bool bzimage_version(const unsigned char *bytes, uint64_t size, unsigned *major, unsigned *minor)
{
    uint64_t place = get_le(bytes + HEADER_VERSION, 2);
    char text[16] = "";
    if (!place || place + SECTOR + sizeof text > size)
        return false;
    memcpy(text, bytes + place + SECTOR, sizeof text - 1);
    return sscanf(text, "%3u.%3u", major, minor) == 2;
}

int bzimage_check_append(const char *path, const char *text, uint32_t limit, struct error **err)
{
    size_t length = text ? strlen(text) : 0;
    if (length <= limit)
        return 0;
    error_user(err, "the command line has %zu bytes; the kernel %s takes at most %u", length, path,
               limit);
    return error_hint(err,
                      "shorten it: it would be measured whole, and the kernel would see only the "
                      "beginning");
}
