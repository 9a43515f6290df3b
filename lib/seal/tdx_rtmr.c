// SPDX-License-Identifier: Apache-2.0
#include "seal/tdx_rtmr.h"

#include "base/file.h"
#include "seal/authenticode.h"
#include "seal/crypto.h"
#include "seal/io.h"
#include "seal/snp_bytes.h"

#include <string.h>

#define CHUNK (1u << 20)
#define MIB ((uint64_t)1 << 20)

// ---- registers ----

static int failed(struct error **err)
{
    return crypto_error(err, "computing a run-time measurement");
}

static int extend(unsigned char *rtmr, const unsigned char digest[static RTMR_SIZE],
                  struct error **err)
{
    unsigned char both[2 * RTMR_SIZE];
    memcpy(both, rtmr, RTMR_SIZE);
    memcpy(both + RTMR_SIZE, digest, RTMR_SIZE);
    return EVP_Digest(both, sizeof both, rtmr, NULL, EVP_sha384(), NULL) == 1 ? 0 : failed(err);
}

static int extend_by(unsigned char *rtmr, const void *event, size_t length, struct error **err)
{
    unsigned char digest[RTMR_SIZE];
    if (EVP_Digest(event, length, digest, NULL, EVP_sha384(), NULL) != 1)
        return failed(err);
    return extend(rtmr, digest, err);
}

static int hash_file(int fd, const char *path, uint64_t size, EVP_MD_CTX *c, struct error **err)
{
    cleanup_free unsigned char *chunk = xmalloc(CHUNK);
    for (uint64_t at = 0; at < size; at += CHUNK) {
        size_t n = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
        if (read_at(fd, path, at, chunk, n, err) < 0)
            return -1;
        if (EVP_DigestUpdate(c, chunk, n) != 1)
            return failed(err);
    }
    return 0;
}

static int extend_by_file(unsigned char *rtmr, const char *path, struct error **err)
{
    uint64_t size;
    unsigned char digest[RTMR_SIZE];
    cleanup_close int fd = open_input(path, &size, err);
    if (fd < 0)
        return -1;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    int result = c && EVP_DigestInit_ex(c, EVP_sha384(), NULL) == 1
                     ? hash_file(fd, path, size, c, err)
                     : failed(err);
    if (!result && EVP_DigestFinal_ex(c, digest, NULL) != 1)
        result = failed(err);
    EVP_MD_CTX_free(c);
    return result ? -1 : extend(rtmr, digest, err);
}

// ---- RTMR 1 ----

// Linux, Documentation/arch/x86/boot.rst; the values are those of QEMU's x86_load_linux() for a
// kernel of boot protocol 2.12 or later that is loaded high, on the machine q35.
enum setup_field {
    SETUP_LOADER = 0x210,
    SETUP_FLAGS = 0x211,
    SETUP_INITRD = 0x218,
    SETUP_INITRD_SIZE = 0x21C,
    SETUP_HEAP_END = 0x224,
    SETUP_COMMAND_LINE = 0x228,
    SETUP_INITRD_MAX = 0x22C,
    SETUP_LOAD_FLAGS = 0x236
};
enum { LOADER_QEMU = 0xB0, LOADED_HIGH = 1, CAN_USE_HEAP = 0x80, ABOVE_4G = 2 };
#define REAL_MODE 0x10000u
#define COMMAND_LINE 0x20000u
#define ACPI_DATA 0x28000u           // kept free below the end of low memory
#define LOW_MEMORY (0x80000000u)     // of a guest that has more than
#define LOW_MEMORY_MAX (0xB0000000u) // this

static int place_initrd(const struct launch_inputs *in, unsigned char *kernel, uint64_t size,
                        struct error **err)
{
    uint64_t memory = in->memory_mib * MIB;
    uint64_t end = memory < LOW_MEMORY_MAX ? memory : LOW_MEMORY;
    uint64_t most = get_le(kernel + SETUP_LOAD_FLAGS, 2) & ABOVE_4G
                        ? UINT32_MAX
                        : get_le(kernel + SETUP_INITRD_MAX, 4);
    if (end <= ACPI_DATA)
        most = 0;
    else if (most >= end - ACPI_DATA)
        most = end - ACPI_DATA - 1;
    if (size >= most)
        return error_user(err,
                          "an initrd of %llu bytes has no room in a guest with %llu MiB of memory",
                          (unsigned long long)size, (unsigned long long)in->memory_mib);
    put_le(kernel + SETUP_INITRD, (most - size) & ~UINT64_C(4095), 4);
    put_le(kernel + SETUP_INITRD_SIZE, size, 4);
    return 0;
}

static int write_header(const struct launch_inputs *in, unsigned char *kernel, uint64_t initrd_size,
                        struct error **err)
{
    if (!(kernel[SETUP_FLAGS] & LOADED_HIGH))
        return error_user(err, "reading kernel %s: it is not loaded high (a zImage?)", in->kernel);
    if (in->append && strstr(in->append, "vga=")) {
        error_user(err, "the command line has vga=, which QEMU before 10.2 writes into the kernel");
        return error_hint(err, "leave it out: a guest without a screen has no use for it");
    }
    put_le(kernel + SETUP_COMMAND_LINE, COMMAND_LINE, 4);
    kernel[SETUP_LOADER] = LOADER_QEMU;
    kernel[SETUP_FLAGS] |= CAN_USE_HEAP;
    put_le(kernel + SETUP_HEAP_END, COMMAND_LINE - REAL_MODE - 0x200, 2);
    return in->initrd ? place_initrd(in, kernel, initrd_size, err) : 0;
}

int tdx_rtmr1(const struct launch_inputs *in, unsigned char *kernel, uint64_t size,
              uint64_t initrd_size, unsigned char out[static RTMR_SIZE], struct error **err)
{
    static const struct {
        const char *bytes;
        size_t length;
    } events[] = {
#define EVENT(text) {text, sizeof(text) - 1}
        EVENT("Calling EFI Application from Boot Option"),
        EVENT("\0\0\0\0"),
        EVENT("Exit Boot Services Invocation"),
        EVENT("Exit Boot Services Returned with Success"),
#undef EVENT
    };
    unsigned char digest[AUTHENTICODE_SIZE];
    memset(out, 0, RTMR_SIZE);
    if ((in->qemu_version < QEMU_KEEPS_HEADER && write_header(in, kernel, initrd_size, err) < 0) ||
        authenticode_digest(in->kernel, kernel, size, digest, err) < 0 ||
        extend(out, digest, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        if (extend_by(out, events[i].bytes, events[i].length, err) < 0)
            return -1;
    return 0;
}

// ---- RTMR 2 ----

// As edk2's UnicodeSPrintAsciiFormat() does it: a byte is a character.
static void put_wide(struct buf *out, const char *text)
{
    for (; *text; text++) {
        const char wide[2] = {*text, 0};
        buf_add(out, wide, sizeof wide);
    }
}

int tdx_rtmr2(const struct launch_inputs *in, unsigned char out[static RTMR_SIZE],
              struct error **err)
{
    cleanup_buf struct buf options = {0};
    put_wide(&options, in->append ? in->append : "");
    put_wide(&options, in->initrd ? " initrd=initrd" : "");
    memset(out, 0, RTMR_SIZE);
    if (options.len) { // with none the firmware passes none
        buf_add(&options, "\0", 2);
        if (extend_by(out, options.data, options.len, err) < 0)
            return -1;
    }
    return in->initrd ? extend_by_file(out, in->initrd, err) : 0;
}
