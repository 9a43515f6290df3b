// SPDX-License-Identifier: Apache-2.0
// Computes RTMR 1 and 2 of a trust domain from their events, in the order of extension.
#include "measure/tdx.h"

#include "base/file.h"
#include "crypto/crypto.h"
#include "measure/kernel.h"
#include "measure/x86.h"
#include "se/checks.h"

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
    cleanup_close int fd = user_file_open(path, &size, err);
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
#define LOW_MEMORY (0x80000000u)     // low memory of a guest with more
#define LOW_MEMORY_MAX (0xB0000000u) // than this

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

struct event {
    const char *bytes;
    size_t length;
};
#define EVENT(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
static const struct event calling = EVENT("Calling EFI Application from Boot Option");
static const struct event separator = EVENT("\0\0\0\0");
static const struct event leaving = EVENT("Exit Boot Services Invocation");
static const struct event left = EVENT("Exit Boot Services Returned with Success");

int tdx_rtmr1(const struct launch_inputs *in, const struct tdx_order *order, unsigned char *kernel,
              uint64_t size, uint64_t initrd_size, unsigned char out[static RTMR_SIZE],
              struct error **err)
{
    const struct event *const events[] = {&calling, order->separator_in_rtmr1 ? &separator : NULL,
                                          &leaving, &left};
    unsigned char digest[AUTHENTICODE_SIZE];
    memset(out, 0, RTMR_SIZE);
    if ((in->qemu_version < QEMU_KEEPS_HEADER && write_header(in, kernel, initrd_size, err) < 0) ||
        authenticode_digest(in->kernel, kernel, size, digest, err) < 0 ||
        extend(out, digest, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        if (events[i] && extend_by(out, events[i]->bytes, events[i]->length, err) < 0)
            return -1;
    return 0;
}

// ---- RTMR 2 ----

// As in edk2's UnicodeSPrintAsciiFormat(): a byte is a character.
static void put_wide(struct buf *out, const char *text)
{
    for (; *text; text++) {
        const char wide[2] = {*text, 0};
        buf_add(out, wide, sizeof wide);
    }
}

int tdx_rtmr2(const struct launch_inputs *in, const struct tdx_order *order,
              unsigned char out[static RTMR_SIZE], struct error **err)
{
    cleanup_buf struct buf options = {0};
    put_wide(&options, in->initrd && order->initrd_before ? "initrd=initrd " : "");
    put_wide(&options, in->append ? in->append : "");
    put_wide(&options, in->initrd && !order->initrd_before ? " initrd=initrd" : "");
    memset(out, 0, RTMR_SIZE);
    if (options.len) { // without options the firmware passes none
        buf_add(&options, "\0", 2);
        if (extend_by(out, options.data, options.len, err) < 0)
            return -1;
    }
    return in->initrd ? extend_by_file(out, in->initrd, err) : 0;
}

// ---- the firmware's release ----

#define EDK2_SEPARATOR 202411u // efaf8931bb: separator in RTMR 1; earlier: a second one in RTMR 0
#define EDK2_SHIM 202502u      // 4b507b4966, 3da39f2cb6: QemuLoadImageLib knows -shim
#define EDK2_INITRD 202508u    // a2ac0fea49: initrd=initrd goes before the command line

static int ask_for_edk2(const struct launch_inputs *in, const char *why, struct error **err)
{
    error_user(err, "reading firmware %s: %s", in->firmware, why);
    return error_hint(err, "say which release of edk2 it was built from: --edk2 edk2-stable202408");
}

// Facts from the file must agree with the release that the user names.
static int check_claim(const struct launch_inputs *in, const struct firmware_facts *f,
                       struct error **err)
{
    unsigned least = f->initrd_before ? EDK2_INITRD : f->shim ? EDK2_SHIM : 0;
    unsigned said = in->edk2_version;
    if (!said || (said >= least && !(f->initrd_behind && said >= EDK2_INITRD)))
        return 0;
    error_user(err, "reading firmware %s: it was not built from edk2-stable%u: %s", in->firmware,
               said, said < least ? "it holds what came later" : "it lacks what that release has");
    return error_hint(err, "leave --edk2 out, or name the release that it was built from");
}

static int find_initrd_order(const struct launch_inputs *in, const struct firmware_facts *f,
                             struct tdx_order *out, struct error **err)
{
    out->initrd_before = f->initrd_before;
    if (!in->initrd || f->initrd_before != f->initrd_behind)
        return 0;
    if (f->initrd_before)
        return ask_for_edk2(in, "it holds two ways to name the initrd on the command line", err);
    if (!in->edk2_version)
        return ask_for_edk2(in, "how it names the initrd on the command line cannot be read", err);
    out->initrd_before = in->edk2_version >= EDK2_INITRD;
    return 0;
}

static int no_modules(const struct launch_inputs *in, const struct firmware_facts *f,
                      struct error **err)
{
    if (!f->modules)
        error_user(err,
                   "reading firmware %s: no program in it can be read, so whether it measures a "
                   "kernel cannot be told",
                   in->firmware);
    else
        error_user(err,
                   "reading firmware %s: it has no TdTcg2Dxe, so nothing extends RTMR 1 and 2, and "
                   "no kernel is measured",
                   in->firmware);
    return error_hint(err, "give firmware of OVMF's IntelTdx platform: `kbuild ovmf-tdx` builds "
                           "it; or leave --kernel out, for MRTD alone");
}

int tdx_find_order(const struct launch_inputs *in, const struct firmware_facts *f,
                   struct tdx_order *out, struct error **err)
{
    *out = (struct tdx_order){0};
    if (!f->measures)
        return no_modules(in, f, err);
    if (check_claim(in, f, err) < 0 || find_initrd_order(in, f, out, err) < 0)
        return -1;
    bool newer = f->initrd_before || f->shim;
    if (!newer && !in->edk2_version)
        return ask_for_edk2(in,
                            "whether it was built from edk2-stable202411 or later cannot be read, "
                            "and RTMR 1 depends on it",
                            err);
    out->separator_in_rtmr1 = newer || in->edk2_version >= EDK2_SEPARATOR;
    return 0;
}
