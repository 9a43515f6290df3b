// SPDX-License-Identifier: Apache-2.0
// Computes the measurements of a trust domain: MRTD from the pages in the firmware's TDX metadata,
// as the TDX module does, and RTMR 1 and 2 from their events, in the order of extension.
#include "measure/internal.h"

#include "base/file.h"
#include "base/input.h"
#include "crypto/crypto.h"
#include "se/se.h"

#include <string.h>

// ---- MRTD ----

#define TDVF_HEAD 16u
#define TDVF_SECTION 32u
#define TDVF_SECTIONS_MAX 64u
#define TDVF_MEMORY_MAX ((uint64_t)64 << 20) // of all sections; firmware takes a few MiB
#define RECORD_SIZE 128u
#define RECORD_ADDRESS 16u
#define EXTEND_SIZE 256u

enum tdvf_attribute { MR_EXTEND = 1, PAGE_AUG = 2 };
enum tdvf_type { TD_HOB = 2 };

struct tdvf_section {
    uint64_t offset, raw_size, address, size;
    uint32_t type, attributes;
};

static int add_to_stream(EVP_MD_CTX *c, const void *bytes, size_t length, struct error **err)
{
    if (EVP_DigestUpdate(c, bytes, length) != 1)
        return crypto_error(err, "computing MRTD");
    return 0;
}

static const unsigned char mem_page_add[RECORD_ADDRESS] = "MEM.PAGE.ADD";
static const unsigned char mr_extend[RECORD_ADDRESS] = "MR.EXTEND";

static int add_record(EVP_MD_CTX *c, const unsigned char what[static RECORD_ADDRESS],
                      uint64_t address, struct error **err)
{
    unsigned char bytes[RECORD_SIZE] = {0};
    memcpy(bytes, what, RECORD_ADDRESS);
    put_le(bytes + RECORD_ADDRESS, address, 8);
    return add_to_stream(c, bytes, sizeof bytes, err);
}

static int extend_page(EVP_MD_CTX *c, uint64_t address, const unsigned char *page,
                       struct error **err)
{
    for (unsigned at = 0; at < X86_PAGE; at += EXTEND_SIZE)
        if (add_record(c, mr_extend, address + at, err) < 0 ||
            add_to_stream(c, page + at, EXTEND_SIZE, err) < 0)
            return -1;
    return 0;
}

// Adds the pages of a section, measures their content, or both for each.
static int add_section(EVP_MD_CTX *c, const struct ovmf_image *f, const struct tdvf_section *s,
                       bool add, bool measure, struct error **err)
{
    for (uint64_t at = 0; at < s->size; at += X86_PAGE) {
        unsigned char page[X86_PAGE] = {0};
        uint64_t left = at < s->raw_size ? s->raw_size - at : 0;
        memcpy(page, f->bytes + s->offset + (left ? at : 0), left < X86_PAGE ? left : X86_PAGE);
        if ((add && add_record(c, mem_page_add, s->address + at, err) < 0) ||
            (measure && extend_page(c, s->address + at, page, err) < 0))
            return -1;
    }
    return 0;
}

static int add_section_in_order(EVP_MD_CTX *c, const struct ovmf_image *f,
                                const struct tdvf_section *s, bool two_pass, struct error **err)
{
    bool measured = s->attributes & MR_EXTEND;
    if (!two_pass || !measured)
        return add_section(c, f, s, true, measured, err);
    return add_section(c, f, s, true, false, err) < 0 ? -1 : add_section(c, f, s, false, true, err);
}

static int check_tdvf_section(const char *name, const struct ovmf_image *f,
                              const struct tdvf_section *s, uint64_t *total, struct error **err)
{
    if (s->address % X86_PAGE || s->size % X86_PAGE || s->size == 0 || s->raw_size > s->size ||
        s->offset > f->size || s->raw_size > f->size - s->offset)
        return ovmf_error(err, name,
                          "a section of its TDX metadata (0x%llx bytes at 0x%llx, 0x%llx of the "
                          "file from 0x%llx) is invalid",
                          (unsigned long long)s->size, (unsigned long long)s->address,
                          (unsigned long long)s->raw_size, (unsigned long long)s->offset);
    if (s->type == TD_HOB && (s->attributes & MR_EXTEND))
        return ovmf_error(err, name,
                          "its TDX metadata has the TD HOB measured, which depends "
                          "on the guest's memory");
    if (s->size > TDVF_MEMORY_MAX - *total)
        return ovmf_error(err, name, "its TDX metadata asks for more than %llu MiB",
                          (unsigned long long)(TDVF_MEMORY_MAX >> 20));
    *total += s->size;
    return 0;
}

static int add_all_sections(EVP_MD_CTX *c, const char *name, const struct ovmf_image *f,
                            bool two_pass, struct error **err)
{
    const unsigned char *head = ovmf_metadata(name, f, "TDX", f->tdx_distance, err);
    if (!head)
        return -1;
    uint64_t total = 0, length = get_le(head + 4, 4), count = get_le(head + 12, 4);
    if (memcmp(head, "TDVF", 4) != 0)
        return ovmf_error(err, name, "its TDX metadata does not begin with TDVF");
    if (get_le(head + 8, 4) != 1 || count > TDVF_SECTIONS_MAX || length > f->tdx_distance ||
        length < TDVF_HEAD + count * TDVF_SECTION)
        return ovmf_error(
            err, name,
            "its TDX metadata has version %llu and %llu sections in %llu bytes, which is not known",
            (unsigned long long)get_le(head + 8, 4), (unsigned long long)count,
            (unsigned long long)length);
    for (uint64_t i = 0; i < count; i++) {
        const unsigned char *p = head + TDVF_HEAD + i * TDVF_SECTION;
        struct tdvf_section s = {get_le(p, 4),
                                 get_le(p + 4, 4),
                                 get_le(p + 8, 8),
                                 get_le(p + 16, 8),
                                 (uint32_t)get_le(p + 24, 4),
                                 (uint32_t)get_le(p + 28, 4)};
        if (s.attributes & PAGE_AUG)
            continue;
        if (check_tdvf_section(name, f, &s, &total, err) < 0 ||
            add_section_in_order(c, f, &s, two_pass, err) < 0)
            return -1;
    }
    return 0;
}

int tdx_mrtd(const char *name, const struct ovmf_image *f, bool two_pass,
             unsigned char out[static MRTD_SIZE], struct error **err)
{
    if (!f->tdx_distance)
        return ovmf_error(err, name,
                          "it has no TDX metadata (GUID e47a6535-984a-4798-865e-4685a7bf8ec2), "
                          "so it cannot start trust domains");
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    int result = c && EVP_DigestInit_ex(c, EVP_sha384(), NULL) == 1
                     ? add_all_sections(c, name, f, two_pass, err)
                     : crypto_error(err, "computing MRTD");
    if (!result && EVP_DigestFinal_ex(c, out, NULL) != 1)
        result = crypto_error(err, "computing MRTD");
    EVP_MD_CTX_free(c);
    return result;
}

// ---- RTMR 1 and 2: registers ----

#define READ_SIZE (1u << 20)
#define MIB ((uint64_t)1 << 20)

static int rtmr_error(struct error **err)
{
    return crypto_error(err, "computing a run-time measurement");
}

static int extend_rtmr(unsigned char *rtmr, const unsigned char digest[static RTMR_SIZE],
                       struct error **err)
{
    unsigned char both[2 * RTMR_SIZE];
    memcpy(both, rtmr, RTMR_SIZE);
    memcpy(both + RTMR_SIZE, digest, RTMR_SIZE);
    return EVP_Digest(both, sizeof both, rtmr, NULL, EVP_sha384(), NULL) == 1 ? 0 : rtmr_error(err);
}

static int extend_rtmr_by_event(unsigned char *rtmr, const void *event, size_t length,
                                struct error **err)
{
    unsigned char digest[RTMR_SIZE];
    if (EVP_Digest(event, length, digest, NULL, EVP_sha384(), NULL) != 1)
        return rtmr_error(err);
    return extend_rtmr(rtmr, digest, err);
}

static int hash_rtmr_file(int fd, const char *path, uint64_t size, EVP_MD_CTX *c,
                          struct error **err)
{
    cleanup_free unsigned char *chunk = xmalloc(READ_SIZE);
    for (uint64_t at = 0; at < size; at += READ_SIZE) {
        size_t n = size - at < READ_SIZE ? (size_t)(size - at) : READ_SIZE;
        if (read_at(fd, path, at, chunk, n, err) < 0)
            return -1;
        if (EVP_DigestUpdate(c, chunk, n) != 1)
            return rtmr_error(err);
    }
    return 0;
}

static int extend_rtmr_by_file(unsigned char *rtmr, const char *path, struct error **err)
{
    uint64_t size;
    unsigned char digest[RTMR_SIZE];
    cleanup_close int fd = user_file_open(path, &size, err);
    if (fd < 0)
        return -1;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    int result = c && EVP_DigestInit_ex(c, EVP_sha384(), NULL) == 1
                     ? hash_rtmr_file(fd, path, size, c, err)
                     : rtmr_error(err);
    if (!result && EVP_DigestFinal_ex(c, digest, NULL) != 1)
        result = rtmr_error(err);
    EVP_MD_CTX_free(c);
    return result ? -1 : extend_rtmr(rtmr, digest, err);
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
#define COMMAND_LINE_ADDRESS 0x20000u
#define ACPI_DATA_SIZE 0x28000u      // kept free below the end of low memory
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
    if (end <= ACPI_DATA_SIZE)
        most = 0;
    else if (most >= end - ACPI_DATA_SIZE)
        most = end - ACPI_DATA_SIZE - 1;
    if (size >= most)
        return error_user(err,
                          "an initrd of %llu bytes has no room in a guest with %llu MiB of memory",
                          (unsigned long long)size, (unsigned long long)in->memory_mib);
    put_le(kernel + SETUP_INITRD, (most - size) & ~UINT64_C(4095), 4);
    put_le(kernel + SETUP_INITRD_SIZE, size, 4);
    return 0;
}

static int write_setup_header(const struct launch_inputs *in, unsigned char *kernel,
                              uint64_t initrd_size, struct error **err)
{
    if (!(kernel[SETUP_FLAGS] & LOADED_HIGH))
        return error_user(err, "reading kernel %s: it is not loaded high (a zImage?)", in->kernel);
    if (in->append && strstr(in->append, "vga=")) {
        error_user(err, "the command line has vga=, which QEMU before 10.2 writes into the kernel");
        return error_hint(err, "leave it out: a guest without a screen has no use for it");
    }
    put_le(kernel + SETUP_COMMAND_LINE, COMMAND_LINE_ADDRESS, 4);
    kernel[SETUP_LOADER] = LOADER_QEMU;
    kernel[SETUP_FLAGS] |= CAN_USE_HEAP;
    put_le(kernel + SETUP_HEAP_END, COMMAND_LINE_ADDRESS - REAL_MODE - 0x200, 2);
    return in->initrd ? place_initrd(in, kernel, initrd_size, err) : 0;
}

struct rtmr_event {
    const char *bytes;
    size_t length;
};
#define EVENT(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
static const struct rtmr_event event_calling = EVENT("Calling EFI Application from Boot Option");
static const struct rtmr_event event_separator = EVENT("\0\0\0\0");
static const struct rtmr_event event_exit_called = EVENT("Exit Boot Services Invocation");
static const struct rtmr_event event_exit_returned =
    EVENT("Exit Boot Services Returned with Success");

int tdx_rtmr1(const struct launch_inputs *in, const struct tdx_order *order, unsigned char *kernel,
              uint64_t size, uint64_t initrd_size, unsigned char out[static RTMR_SIZE],
              struct error **err)
{
    const struct rtmr_event *const events[] = {&event_calling,
                                               order->separator_in_rtmr1 ? &event_separator : NULL,
                                               &event_exit_called, &event_exit_returned};
    unsigned char digest[AUTHENTICODE_SIZE];
    memset(out, 0, RTMR_SIZE);
    if ((in->qemu_version < QEMU_KEEPS_HEADER &&
         write_setup_header(in, kernel, initrd_size, err) < 0) ||
        authenticode_digest(in->kernel, kernel, size, digest, err) < 0 ||
        extend_rtmr(out, digest, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        if (events[i] && extend_rtmr_by_event(out, events[i]->bytes, events[i]->length, err) < 0)
            return -1;
    return 0;
}

// ---- RTMR 2 ----

// As in edk2's UnicodeSPrintAsciiFormat(): a byte is a character.
static void put_utf16(struct buf *out, const char *text)
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
    put_utf16(&options, in->initrd && order->initrd_before ? "initrd=initrd " : "");
    put_utf16(&options, in->append ? in->append : "");
    put_utf16(&options, in->initrd && !order->initrd_before ? " initrd=initrd" : "");
    memset(out, 0, RTMR_SIZE);
    if (options.len) { // without options the firmware passes none
        buf_add(&options, "\0", 2);
        if (extend_rtmr_by_event(out, options.data, options.len, err) < 0)
            return -1;
    }
    return in->initrd ? extend_rtmr_by_file(out, in->initrd, err) : 0;
}

// ---- the firmware's release ----

#define EDK2_SEPARATOR 202411u // efaf8931bb: separator in RTMR 1; earlier: a second one in RTMR 0
#define EDK2_SHIM 202502u      // 4b507b4966, 3da39f2cb6: QemuLoadImageLib knows -shim
#define EDK2_INITRD 202508u    // a2ac0fea49: initrd=initrd goes before the command line

static int edk2_missing_error(const struct launch_inputs *in, const char *why, struct error **err)
{
    error_user(err, "reading firmware %s: %s", in->firmware, why);
    return error_hint(err, "say which release of edk2 it was built from: --edk2 edk2-stable202408");
}

// Facts from the file must agree with the release that the user names.
static int check_edk2_version(const struct launch_inputs *in, const struct ovmf_facts *f,
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

static int find_initrd_order(const struct launch_inputs *in, const struct ovmf_facts *f,
                             struct tdx_order *out, struct error **err)
{
    out->initrd_before = f->initrd_before;
    if (!in->initrd || f->initrd_before != f->initrd_behind)
        return 0;
    if (f->initrd_before)
        return edk2_missing_error(in, "it holds two ways to name the initrd on the command line",
                                  err);
    if (!in->edk2_version)
        return edk2_missing_error(in, "how it names the initrd on the command line cannot be read",
                                  err);
    out->initrd_before = in->edk2_version >= EDK2_INITRD;
    return 0;
}

static int unmeasured_error(const struct launch_inputs *in, const struct ovmf_facts *f,
                            struct error **err)
{
    if (!f->modules)
        error_user(err,
                   "reading firmware %s: no program in it can be read, so it is unknown whether it "
                   "measures a kernel",
                   in->firmware);
    else
        error_user(err,
                   "reading firmware %s: it has no TdTcg2Dxe, so nothing extends RTMR 1 and 2, and "
                   "no kernel is measured",
                   in->firmware);
    return error_hint(err, "give firmware of OVMF's IntelTdx platform: `kbuild ovmf-tdx` builds "
                           "it; or leave --kernel out, for MRTD alone");
}

int tdx_find_order(const struct launch_inputs *in, const struct ovmf_facts *f,
                   struct tdx_order *out, struct error **err)
{
    *out = (struct tdx_order){0};
    if (!f->measures)
        return unmeasured_error(in, f, err);
    if (check_edk2_version(in, f, err) < 0 || find_initrd_order(in, f, out, err) < 0)
        return -1;
    bool newer = f->initrd_before || f->shim;
    if (!newer && !in->edk2_version)
        return edk2_missing_error(
            in,
            "whether it was built from edk2-stable202411 or later cannot be read, "
            "and RTMR 1 depends on it",
            err);
    out->separator_in_rtmr1 = newer || in->edk2_version >= EDK2_SEPARATOR;
    return 0;
}
