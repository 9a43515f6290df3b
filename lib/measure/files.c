// SPDX-License-Identifier: Apache-2.0
// The files of a launch: checks firmware, kernels (bzImages and unified kernel images) and initrds,
// and computes their digests, the Authenticode digest and the table of kernel hashes.
#include "measure/internal.h"

#include "base/input.h"
#include "crypto/crypto.h"
#include "se/se.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- kernel headers ----

#define SETUP_SECTOR 512u
#define PROTOCOL_EFI 0x20C

enum setup_offset {
    SETUP_SECTORS = 0x1F1,
    SETUP_BOOT_FLAG = 0x1FE,
    SETUP_MAGIC = 0x202,
    SETUP_PROTOCOL = 0x206,
    SETUP_VERSION = 0x20E,
    SETUP_XLOAD_FLAGS = 0x236,
    SETUP_COMMAND_LINE_MAX = 0x238
};

static int kernel_error(struct error **err, const char *path, const char *why)
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
        return kernel_error(err, path, "it is empty");
    if (size >= 4 && memcmp(head, "\177ELF", 4) == 0)
        return kernel_error(err, path, "it is an ELF file (vmlinux?), not a bzImage");
    if (size < BZIMAGE_HEAD)
        return kernel_error(err, path, "it is too short for a bzImage");
    if (get_le(head + SETUP_BOOT_FLAG, 2) != 0xAA55 || memcmp(head + SETUP_MAGIC, "HdrS", 4) != 0)
        return kernel_error(err, path, "it is no bzImage (no HdrS at 0x202)");
    if (get_le(head + SETUP_PROTOCOL, 2) < PROTOCOL_EFI)
        return kernel_error(err, path, "it is a kernel from before 3.7, which OVMF cannot start");
    if (!(head[SETUP_XLOAD_FLAGS] & 1))
        return kernel_error(err, path, "it is a 32-bit kernel, and confidential guests are 64-bit");
    uint64_t sectors = head[SETUP_SECTORS] ? head[SETUP_SECTORS] : 4;
    if (size <= (sectors + 1) * SETUP_SECTOR)
        return kernel_error(err, path, "it ends in its own setup code: it is cut off");
    *limit = (uint32_t)get_le(head + SETUP_COMMAND_LINE_MAX, 4);
    return 0;
}

#define PE_POINTER 0x3Cu
#define PE_HEAD 24u
#define PE_SECTION 40u
#define PE_X86_64 0x8664u

// Where the PE header is, 0 if there is none in the first `have` bytes.
static uint64_t pe_header_offset(const unsigned char *head, uint64_t have)
{
    if (have < PE_POINTER + 4 || memcmp(head, "MZ", 2) != 0)
        return 0;
    uint64_t pe = get_le(head + PE_POINTER, 4);
    return pe + PE_HEAD <= have && memcmp(head + pe, "PE\0", 4) == 0 ? pe : 0;
}

// Whether it is a program for EFI and not a bzImage.
static bool is_efi_program(const unsigned char *head, uint64_t size)
{
    uint64_t have = size < BZIMAGE_HEAD ? size : BZIMAGE_HEAD;
    return pe_header_offset(head, have) &&
           (have < SETUP_MAGIC + 4 || memcmp(head + SETUP_MAGIC, "HdrS", 4));
}

// A unified kernel image (UAPI Group Specifications, UKI) is a PE/COFF program for EFI with a
// kernel in its section ".linux":
//
//   03Ch  le32   where "PE\0\0" is; behind it at 4 le16 machine (8664h), at 6 le16 number of
//                sections, at 20 le16 size of the optional header, which begins at 24; then 40
//                bytes for each section: name (8), at 16 le32 size, at 20 le32 place in the file

#define UKI_HEAD 0x4000u // bytes that the search looks at

// Where the kernel in a unified kernel image lies; `head` is the beginning of the file, of
// min(size, UKI_HEAD) bytes. Errors: there is none, or it lies outside the file.
static int uki_find_kernel(const char *path, const unsigned char *head, uint64_t size,
                           uint64_t *place, uint64_t *length, struct error **err)
{
    uint64_t have = size < UKI_HEAD ? size : UKI_HEAD, pe = pe_header_offset(head, have);
    if (!pe || get_le(head + pe + 4, 2) != PE_X86_64)
        return kernel_error(err, path, "it is an EFI program, but not for x86_64");
    uint64_t table = pe + PE_HEAD + get_le(head + pe + 20, 2), count = get_le(head + pe + 6, 2);
    for (uint64_t i = 0; i < count && table + (i + 1) * PE_SECTION <= have; i++) {
        const unsigned char *section = head + table + i * PE_SECTION;
        if (memcmp(section, ".linux\0", 8) != 0)
            continue;
        *place = get_le(section + 20, 4);
        *length = get_le(section + 16, 4);
        return *place <= size && *length <= size - *place
                   ? 0
                   : kernel_error(err, path,
                                  "its section .linux lies beyond its end: it is cut off");
    }
    return kernel_error(err, path,
                        "it is an EFI program without a kernel in it (no section .linux): what it "
                        "starts would not be measured");
}

bool bzimage_version(const unsigned char *bytes, uint64_t size, unsigned *major, unsigned *minor)
{
    uint64_t place = get_le(bytes + SETUP_VERSION, 2);
    char text[16] = "";
    if (!place || place + SETUP_SECTOR + sizeof text > size)
        return false;
    memcpy(text, bytes + place + SETUP_SECTOR, sizeof text - 1);
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

// ---- Authenticode ----

#define DIRECTORY_SIZE 8u
#define SIGNATURE_DIRECTORY 4u // the index of their directory
#define PE32_PLUS 0x20Bu
#define PE32 0x10Bu

struct byte_range {
    uint64_t offset, size;
};

struct pe_image {
    const char *name;
    const unsigned char *bytes;
    uint64_t size;
    uint64_t checksum, headers; // offset of the checksum; end of the headers
    uint64_t directory;         // of the signatures; 0: there is none
    uint64_t sections;          // the table
    unsigned count;
};

static int pe_error(struct error **err, const struct pe_image *i, const char *why)
{
    error_user(err, "reading %s as a PE/COFF image: %s", i->name, why);
    return error_hint(err, "firmware starts and measures only kernels that were built with "
                           "CONFIG_EFI_STUB");
}

static int read_pe_headers(struct pe_image *i, struct error **err)
{
    if (i->size < PE_POINTER + 4)
        return pe_error(err, i, "it is too short");
    uint64_t pe = get_le(i->bytes + PE_POINTER, 4);
    if (pe + PE_HEAD + 2 > i->size || memcmp(i->bytes + pe, "PE\0", 4) != 0)
        return pe_error(err, i, "it has no PE header");
    uint64_t optional = pe + PE_HEAD;
    uint64_t magic = get_le(i->bytes + optional, 2);
    if (magic != PE32 && magic != PE32_PLUS)
        return pe_error(err, i, "its optional header is of no known kind");
    uint64_t directories = optional + (magic == PE32_PLUS ? 112 : 96);
    i->checksum = optional + 64;
    i->count = (unsigned)get_le(i->bytes + pe + 6, 2);
    i->sections = optional + get_le(i->bytes + pe + 20, 2);
    if (directories > i->size || i->sections + (uint64_t)i->count * PE_SECTION > i->size)
        return pe_error(err, i, "it ends in its headers");
    i->headers = get_le(i->bytes + optional + 60, 4);
    if (get_le(i->bytes + directories - 4, 4) > SIGNATURE_DIRECTORY)
        i->directory = directories + (uint64_t)SIGNATURE_DIRECTORY * DIRECTORY_SIZE;
    uint64_t least = i->directory ? i->directory + DIRECTORY_SIZE : i->checksum + 4;
    if (i->headers > i->size || i->headers < least)
        return pe_error(err, i, "the size of its headers is invalid");
    return 0;
}

static int compare_offsets(const void *a, const void *b)
{
    const struct byte_range *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

// Lists the hashed ranges, in order; returns their number.
static unsigned list_hashed_ranges(const struct pe_image *i, struct byte_range *ranges,
                                   struct error **err)
{
    unsigned n = 0;
    uint64_t from = i->checksum + 4, signatures = 0;
    ranges[n++] = (struct byte_range){0, i->checksum};
    if (i->directory) {
        ranges[n++] = (struct byte_range){from, i->directory - from};
        from = i->directory + DIRECTORY_SIZE;
        signatures = get_le(i->bytes + i->directory + 4, 4);
    }
    ranges[n++] = (struct byte_range){from, i->headers - from};
    unsigned first = n;
    uint64_t hashed = i->headers;
    for (unsigned k = 0; k < i->count; k++) {
        const unsigned char *section = i->bytes + i->sections + (uint64_t)k * PE_SECTION;
        struct byte_range p = {get_le(section + 20, 4), get_le(section + 16, 4)};
        if (!p.size)
            continue;
        if (p.offset > i->size || p.size > i->size - p.offset) {
            pe_error(err, i, "one of its sections lies beyond its end");
            return 0;
        }
        ranges[n++] = p;
        hashed += p.size;
    }
    qsort(ranges + first, n - first, sizeof *ranges, compare_offsets);
    if (i->size > hashed && i->size < hashed + signatures) {
        pe_error(err, i, "its signatures are longer than the space for them");
        return 0;
    }
    if (i->size > hashed + signatures)
        ranges[n++] = (struct byte_range){hashed, i->size - signatures - hashed};
    return n;
}

int authenticode_digest(const char *name, const unsigned char *bytes, uint64_t size,
                        unsigned char out[static AUTHENTICODE_SIZE], struct error **err)
{
    struct pe_image i = {.name = name, .bytes = bytes, .size = size};
    if (read_pe_headers(&i, err) < 0)
        return -1;
    cleanup_free struct byte_range *ranges = xcalloc((size_t)i.count + 4, sizeof *ranges);
    unsigned n = list_hashed_ranges(&i, ranges, err);
    if (!n)
        return -1;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool good = c && EVP_DigestInit_ex(c, EVP_sha384(), NULL) == 1;
    for (unsigned k = 0; good && k < n; k++)
        good = EVP_DigestUpdate(c, bytes + ranges[k].offset, ranges[k].size) == 1;
    good = good && EVP_DigestFinal_ex(c, out, NULL) == 1;
    EVP_MD_CTX_free(c);
    return good ? 0 : crypto_error(err, "computing an Authenticode digest");
}

// ---- the table of kernel hashes ----

#define HASHES_ENTRY (GUID_SIZE + 2u + DIGEST_SIZE)
#define HASHES_HEAD (GUID_SIZE + 2u)

// In the order of the table.
enum { HASH_COMMAND_LINE, HASH_INITRD, HASH_KERNEL, HASHES };
static const unsigned char hashes_guid[GUID_SIZE] =
    GUID(0x9438d606, 0x4f22, 0x4cc9, 0xb4, 0x79, 0xa7, 0x93, 0xd4, 0x11, 0xfd, 0x21);
static const unsigned char hash_guids[HASHES][GUID_SIZE] = {
    [HASH_COMMAND_LINE] =
        GUID(0x97d02dd8, 0xbd20, 0x4c94, 0xaa, 0x78, 0xe7, 0x71, 0x4d, 0x36, 0xab, 0x2a),
    [HASH_INITRD] =
        GUID(0x44baf731, 0x3a2f, 0x4bd7, 0x9a, 0xf1, 0x41, 0xe2, 0x91, 0x69, 0x78, 0x1d),
    [HASH_KERNEL] =
        GUID(0x4de79437, 0xabd2, 0x427f, 0xb8, 0x35, 0xd5, 0xb1, 0x72, 0xd2, 0x04, 0x5b),
};

void snp_hashes(const struct launch_file *kernel, const struct launch_file *initrd,
                const char *append, unsigned char out[static SNP_HASHES_SIZE])
{
    char hex[HASHES][DIGEST_HEX_SIZE];
    const char *line = append ? append : "";
    digest_bytes(line, strlen(line) + 1, hex[HASH_COMMAND_LINE]);
    if (initrd->given)
        memcpy(hex[HASH_INITRD], initrd->sha256, DIGEST_HEX_SIZE);
    else
        digest_bytes("", 0, hex[HASH_INITRD]);
    memcpy(hex[HASH_KERNEL], kernel->sha256, DIGEST_HEX_SIZE);

    memset(out, 0, SNP_HASHES_SIZE);
    memcpy(out, hashes_guid, GUID_SIZE);
    put_le(out + GUID_SIZE, HASHES_HEAD + HASHES * HASHES_ENTRY, 2);
    for (size_t i = 0; i < HASHES; i++) {
        unsigned char *entry = out + HASHES_HEAD + i * HASHES_ENTRY;
        memcpy(entry, hash_guids[i], GUID_SIZE);
        put_le(entry + GUID_SIZE, HASHES_ENTRY, 2);
        hex_decode(hex[i], entry + GUID_SIZE + 2, DIGEST_SIZE);
    }
}

// ---- files ----

static int hash_opened_file(int fd, const char *path, uint64_t size, struct launch_file *out,
                            struct error **err)
{
    uint64_t hashed;
    if (digest_fd(fd, path, out->sha256, &hashed, err) < 0)
        return -1;
    if (hashed != size)
        return error_user(err, "reading %s: it changed while it was read", path);
    out->given = true;
    out->size = size;
    return 0;
}

static int read_opened_file(int fd, const char *path, uint64_t size, unsigned char **bytes,
                            struct launch_file *out, struct error **err)
{
    *bytes = xmalloc(size ? size : 1);
    if (read_at(fd, path, 0, *bytes, size, err) < 0)
        return -1;
    digest_bytes(*bytes, size, out->sha256);
    out->given = true;
    out->size = size;
    return 0;
}

static int check_kernel_head(const struct launch_inputs *in, const unsigned char *head,
                             uint64_t size, struct error **err)
{
    uint32_t limit = 0;
    if (bzimage_check(in->kernel, head, size, &limit, err) < 0)
        return -1;
    return bzimage_check_append(in->kernel, in->append, limit, err);
}

// QEMU passes a unified kernel image unchanged to the firmware, without initrd and command line
// (x86_load_linux(): a kernel without "HdrS" is too old for an initrd).
static int check_uki(const struct launch_inputs *in, int fd, uint64_t size, struct error **err)
{
    unsigned char outer[UKI_HEAD] = {0}, inner[BZIMAGE_HEAD] = {0};
    uint64_t place = 0, length = 0;
    uint32_t limit = 0;
    if (in->initrd) {
        error_user(err, "the kernel %s is a unified kernel image, and QEMU gives those no initrd",
                   in->kernel);
        return error_hint(err, "leave --initrd out: the one in the image is what starts");
    }
    if (read_at(fd, in->kernel, 0, outer, size < sizeof outer ? size : sizeof outer, err) < 0 ||
        uki_find_kernel(in->kernel, outer, size, &place, &length, err) < 0 ||
        read_at(fd, in->kernel, place, inner, length < sizeof inner ? length : sizeof inner, err) <
            0)
        return -1;
    cleanup_free char *name = xasprintf("%s, section .linux", in->kernel);
    if (bzimage_check(name, inner, length, &limit, err) < 0)
        return -1;
    return bzimage_check_append(name, in->append, limit, err);
}

int launch_hash_kernel(const struct launch_inputs *in, struct launch_file *out, struct error **err)
{
    uint64_t size;
    unsigned char head[BZIMAGE_HEAD] = {0};
    cleanup_close int fd = user_file_open(in->kernel, &size, err);
    if (fd < 0 ||
        read_at(fd, in->kernel, 0, head, size < sizeof head ? size : sizeof head, err) < 0)
        return -1;
    if ((is_efi_program(head, size) ? check_uki(in, fd, size, err)
                                    : check_kernel_head(in, head, size, err)) < 0)
        return -1;
    return hash_opened_file(fd, in->kernel, size, out, err);
}

int launch_read_kernel(const struct launch_inputs *in, unsigned char **bytes,
                       struct launch_file *out, struct error **err)
{
    uint64_t size;
    cleanup_close int fd = user_file_open(in->kernel, &size, err);
    if (fd < 0)
        return -1;
    if (size > LAUNCH_KERNEL_MAX)
        return error_user(err, "reading kernel %s: it has %llu bytes, more than any kernel",
                          in->kernel, (unsigned long long)size);
    if (read_opened_file(fd, in->kernel, size, bytes, out, err) < 0)
        return -1;
    if (is_efi_program(*bytes, size)) {
        error_user(err,
                   "reading kernel %s: it is an EFI program around a kernel, as unified kernel "
                   "images are: what such a program measures by itself is unknown",
                   in->kernel);
        return error_hint(err, "give the bzImage in it: objcopy -O binary --only-section=.linux "
                               "FILE KERNEL takes it out of a unified kernel image");
    }
    return check_kernel_head(in, *bytes, size, err);
}

int launch_hash_initrd(const char *path, struct launch_file *out, struct error **err)
{
    uint64_t size;
    cleanup_close int fd = user_file_open(path, &size, err);
    if (fd < 0 || check_initrd(path, size, err) < 0)
        return -1;
    return hash_opened_file(fd, path, size, out, err);
}

int launch_read_firmware(const char *path, unsigned char **bytes, struct launch_file *out,
                         struct error **err)
{
    uint64_t size;
    cleanup_close int fd = user_file_open(path, &size, err);
    if (fd < 0)
        return -1;
    if (size > LAUNCH_FIRMWARE_MAX)
        return ovmf_error(err, path, "it has %llu bytes, more than any firmware",
                          (unsigned long long)size);
    return read_opened_file(fd, path, size, bytes, out, err);
}
