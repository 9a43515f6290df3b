// SPDX-License-Identifier: Apache-2.0
// Computes the digest of each kind of launch, in the order of the measurements.
#include "measure/internal.h"

#include "base/error.h"
#include "crypto/crypto.h"

#define SHA256_SIZE 32u

// ---- the digest of an SNP guest, page by page ----
// ABI, section 8.17.2 and its table "Layout of the PAGE_INFO structure": for each page that enters
// the guest, the new digest is SHA-384 over
//
//   00h  48 bytes  the digest so far (zeros at first)
//   30h  48 bytes  SHA-384 of the page; zeros unless the type is NORMAL or VMSA
//   60h  le16      length of this structure, 70h
//   62h  u8        page type
//   63h  u8        bit 0: the page belongs to an initial migration image; 0 here
//   64h  3 bytes   permissions of VMPL 3, 2, 1; 0 here
//   67h  u8        zero
//   68h  le64      guest physical address

enum page_info_offset {
    INFO_DIGEST = 0x00,
    INFO_CONTENTS = 0x30,
    INFO_LENGTH = 0x60,
    INFO_TYPE = 0x62,
    INFO_ADDRESS = 0x68,
    INFO_SIZE = 0x70
};

static int sha384_digest(const void *bytes, size_t length, unsigned char out[static SHA384_SIZE],
                         struct error **err)
{
    if (EVP_Digest(bytes, length, out, NULL, EVP_sha384(), NULL) != 1)
        return crypto_error(err, "computing a launch digest");
    return 0;
}

static int extend_snp_digest(struct snp_digest *d, enum snp_page_type type, uint64_t address,
                             const unsigned char contents[static SHA384_SIZE], struct error **err)
{
    unsigned char info[INFO_SIZE] = {0};
    memcpy(info + INFO_DIGEST, d->value, SHA384_SIZE);
    memcpy(info + INFO_CONTENTS, contents, SHA384_SIZE);
    put_le(info + INFO_LENGTH, INFO_SIZE, 2);
    info[INFO_TYPE] = (unsigned char)type;
    put_le(info + INFO_ADDRESS, address, 8);
    return sha384_digest(info, sizeof info, d->value, err);
}

int snp_digest_page(struct snp_digest *d, enum snp_page_type type, uint64_t address,
                    const unsigned char page[static X86_PAGE], struct error **err)
{
    unsigned char contents[SHA384_SIZE];
    if (sha384_digest(page, X86_PAGE, contents, err) < 0)
        return -1;
    return extend_snp_digest(d, type, address, contents, err);
}

int snp_digest_range(struct snp_digest *d, enum snp_page_type type, uint64_t address, uint64_t size,
                     struct error **err)
{
    static const unsigned char nothing[SHA384_SIZE];
    for (uint64_t at = 0; at < size; at += X86_PAGE)
        if (extend_snp_digest(d, type, address + at, nothing, err) < 0)
            return -1;
    return 0;
}

// `size` bytes (whole pages) of PAGE_NORMAL.
static int snp_digest_content(struct snp_digest *d, uint64_t address, const unsigned char *bytes,
                              uint64_t size, struct error **err)
{
    for (uint64_t at = 0; at < size; at += X86_PAGE)
        if (snp_digest_page(d, PAGE_NORMAL, address + at, bytes + at, err) < 0)
            return -1;
    return 0;
}

// A launch under measurement.
struct launch {
    const struct launch_inputs *in;
    struct launch_measurement *out;
    struct ovmf_image firmware;
    unsigned char hashes[SNP_HASHES_SIZE]; // if there is a kernel
};

// ---- SEV and SEV-ES: SHA-256 over all launch data (SEV API, section 6.5, GCTX.LD) ----

static int sha256_add(EVP_MD_CTX *c, const void *bytes, size_t length, struct error **err)
{
    if (EVP_DigestUpdate(c, bytes, length) != 1)
        return crypto_error(err, "computing a launch digest");
    return 0;
}

// The digest so far; the context can be continued.
static int sha256_intermediate(const EVP_MD_CTX *c, unsigned char *out, struct error **err)
{
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    bool good =
        copy && EVP_MD_CTX_copy_ex(copy, c) == 1 && EVP_DigestFinal_ex(copy, out, NULL) == 1;
    EVP_MD_CTX_free(copy);
    return good ? 0 : crypto_error(err, "computing a launch digest");
}

static int add_sev_vcpus(struct launch *l, EVP_MD_CTX *c, struct error **err)
{
    const struct launch_inputs *in = l->in;
    unsigned char page[X86_PAGE];
    for (unsigned n = 1; n <= in->last_vcpus; n++) {
        snp_vmsa(in->vmm, n == 1 ? VMSA_RESET_VECTOR : l->firmware.reset_address, in->cpu_signature,
                 0, page);
        if (in->legacy_vm_type)
            snp_vmsa_without_fpu(page);
        if (sha256_add(c, page, sizeof page, err) < 0 ||
            (n >= in->first_vcpus &&
             sha256_intermediate(c, l->out->digest[n - in->first_vcpus], err) < 0))
            return -1;
    }
    return 0;
}

static int add_sev_contents(struct launch *l, EVP_MD_CTX *c, struct error **err)
{
    if (EVP_DigestInit_ex(c, EVP_sha256(), NULL) != 1)
        return crypto_error(err, "computing a launch digest");
    if (sha256_add(c, l->firmware.bytes, l->firmware.size, err) < 0)
        return -1;
    return l->in->kernel ? sha256_add(c, l->hashes, sizeof l->hashes, err) : 0;
}

static int measure_sev(struct launch *l, struct error **err)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    int result = c ? add_sev_contents(l, c, err) : crypto_error(err, "computing a launch digest");
    if (!result && launch_kind_has_vcpus(l->in->kind))
        result = add_sev_vcpus(l, c, err);
    else if (!result)
        result = sha256_intermediate(c, l->out->digest[0], err);
    EVP_MD_CTX_free(c);
    return result;
}

// ---- SNP: a chain of SHA-384 over pages ----

// As in QEMU's snp_populate_metadata_pages().
static const enum snp_page_type page_types[] = {
    [SNP_SEC_MEM] = PAGE_ZERO,       [SNP_SECRETS] = PAGE_SECRETS,
    [SNP_CPUID] = PAGE_CPUID,        [SNP_SVSM_CAA] = PAGE_ZERO,
    [SNP_KERNEL_HASHES] = PAGE_ZERO, // without a kernel
};

static int add_snp_section(struct launch *l, const struct snp_section *s, struct snp_digest *d,
                           struct error **err)
{
    unsigned char page[X86_PAGE] = {0};
    if (s->type == SNP_KERNEL_HASHES && l->in->kernel) {
        memcpy(page + l->firmware.hashes_address % X86_PAGE, l->hashes, sizeof l->hashes);
        return snp_digest_page(d, PAGE_NORMAL, s->address, page, err);
    }
    enum snp_page_type type = page_types[s->type];
    if (s->type == SNP_SEC_MEM && l->in->vmm == VMM_GCE)
        type = PAGE_UNMEASURED;
    return snp_digest_range(d, type, s->address, s->size, err);
}

// EC2 adds the CPUID page after all others.
static int add_snp_sections(struct launch *l, struct snp_digest *d, struct error **err)
{
    const struct ovmf_image *f = &l->firmware;
    bool late = l->in->vmm == VMM_EC2;
    for (size_t i = 0; i < f->sections; i++)
        if (!(late && f->section[i].type == SNP_CPUID) &&
            add_snp_section(l, &f->section[i], d, err) < 0)
            return -1;
    for (size_t i = 0; i < f->sections; i++)
        if (late && f->section[i].type == SNP_CPUID &&
            add_snp_section(l, &f->section[i], d, err) < 0)
            return -1;
    return 0;
}

static int measure_snp(struct launch *l, struct error **err)
{
    const struct launch_inputs *in = l->in;
    const struct ovmf_image *f = &l->firmware;
    struct snp_digest d = {0};
    unsigned char page[X86_PAGE];
    if (snp_digest_content(&d, f->address, f->bytes, f->size, err) < 0 ||
        add_snp_sections(l, &d, err) < 0)
        return -1;
    for (unsigned n = 1; n <= in->last_vcpus; n++) {
        snp_vmsa(in->vmm, n == 1 ? VMSA_RESET_VECTOR : f->reset_address, in->cpu_signature,
                 in->guest_features, page);
        if (snp_digest_page(&d, PAGE_VMSA, VMSA_ADDRESS, page, err) < 0)
            return -1;
        if (n >= in->first_vcpus)
            memcpy(l->out->digest[n - in->first_vcpus], d.value, sizeof d.value);
    }
    return 0;
}

// ---- TDX ----

// A register that the kernel's EFI stub does not extend is left out of the result.
static int measure_rtmr2(struct launch *l, const struct tdx_order *order,
                         const unsigned char *kernel, struct error **err)
{
    unsigned major, minor;
    if (!bzimage_version(kernel, l->out->kernel.size, &major, &minor)) {
        error_user(err, "reading kernel %s: it does not say which version of Linux it is",
                   l->in->kernel);
        return error_hint(err, "Linux 6.9 and later measure command line and initrd; whether this "
                               "kernel does is unknown");
    }
    if (major < 6 || (major == 6 && minor < 9)) {
        log_warning("%s is Linux %u.%u, which measures neither command line nor initrd on TDX (6.9 "
                    "and later do): there is no RTMR 2 to expect",
                    l->in->kernel, major, minor);
        return 0;
    }
    l->out->has_rtmr2 = true;
    return tdx_rtmr2(l->in, order, l->out->rtmr2, err);
}

static int hint_firmware(enum launch_kind kind, struct error **err);

static int measure_rtmrs(struct launch *l, struct error **err)
{
    const struct launch_inputs *in = l->in;
    struct ovmf_facts facts;
    struct tdx_order order;
    cleanup_free unsigned char *kernel = NULL;
    if (ovmf_read_facts(in->firmware, l->firmware.bytes, l->firmware.size, &facts, err) < 0)
        return hint_firmware(LAUNCH_TDX, err);
    if (tdx_find_order(in, &facts, &order, err) < 0 ||
        launch_read_kernel(in, &kernel, &l->out->kernel, err) < 0 ||
        measure_rtmr2(l, &order, kernel, err) < 0)
        return -1;
    l->out->has_rtmr1 = true;
    return tdx_rtmr1(in, &order, kernel, l->out->kernel.size, l->out->initrd.size, l->out->rtmr1,
                     err);
}

static int measure_tdx(struct launch *l, struct error **err)
{
    const struct launch_inputs *in = l->in;
    if (tdx_mrtd(in->firmware, &l->firmware, in->two_pass, l->out->digest[0], err) < 0)
        return hint_firmware(LAUNCH_TDX, err);
    return in->kernel ? measure_rtmrs(l, err) : 0;
}

// ---- the kinds ----

const char *const launch_kind_names[LAUNCH_KINDS] = {
    [LAUNCH_SEV] = "sev", [LAUNCH_SEV_ES] = "sev-es", [LAUNCH_SNP] = "snp", [LAUNCH_TDX] = "tdx"};

#define SEV_FIRMWARE_HINT                                                                          \
    "give an OVMF.fd for confidential guests, whole: `kbuild ovmf-sev` builds OVMF's AmdSev "      \
    "platform"
#define TDX_FIRMWARE_HINT                                                                          \
    "give an OVMF.fd for trust domains, whole: `kbuild ovmf-tdx` builds OVMF's IntelTdx platform"

static const struct launch_kind_row {
    bool vcpus, features, sections; // what is measured
    bool hashes;                    // a kernel is measured by its hash, in the firmware's table
    size_t digest_size;
    int (*measure)(struct launch *l, struct error **err);
    const char *firmware; // the hint for those who gave another one
} launch_kinds[LAUNCH_KINDS] = {
    [LAUNCH_SEV] = {false, false, false, true, SHA256_SIZE, measure_sev, SEV_FIRMWARE_HINT},
    [LAUNCH_SEV_ES] = {true, false, false, true, SHA256_SIZE, measure_sev, SEV_FIRMWARE_HINT},
    [LAUNCH_SNP] = {true, true, true, true, SHA384_SIZE, measure_snp, SEV_FIRMWARE_HINT},
    [LAUNCH_TDX] = {false, false, false, false, SHA384_SIZE, measure_tdx, TDX_FIRMWARE_HINT},
};

static int hint_firmware(enum launch_kind kind, struct error **err)
{
    if (err && *err && !(*err)->hint)
        error_hint(err, "%s", launch_kinds[kind].firmware);
    return -1;
}

bool launch_kind_find(const char *name, enum launch_kind *out)
{
    for (size_t i = 0; i < LAUNCH_KINDS; i++) {
        if (strcmp(launch_kind_names[i], name) != 0)
            continue;
        *out = (enum launch_kind)i;
        return true;
    }
    return false;
}

bool launch_kind_has_vcpus(enum launch_kind kind)
{
    return launch_kinds[kind].vcpus;
}

const char *const launch_vmm_names[VMMS] = {
    [VMM_QEMU] = "qemu", [VMM_EC2] = "ec2", [VMM_GCE] = "gce"};

int launch_vmm_find(const char *name, enum launch_vmm *out, struct error **err)
{
    for (size_t i = 0; i < VMMS; i++) {
        if (strcmp(launch_vmm_names[i], name) != 0)
            continue;
        *out = (enum launch_vmm)i;
        return 0;
    }
    error_set(err, ERROR_USAGE, "there is no VMM '%s'", name);
    return error_hint(err, "it can be qemu, ec2 or gce");
}

// ---- checks before the measurement ----

static int check_vcpus(const struct launch_inputs *in, struct error **err)
{
    if (in->first_vcpus >= 1 && in->first_vcpus <= in->last_vcpus &&
        in->last_vcpus <= LAUNCH_VCPUS_MAX)
        return 0;
    return error_set(err, ERROR_USAGE, "%u to %u vCPUs: a guest has from 1 to %u", in->first_vcpus,
                     in->last_vcpus, LAUNCH_VCPUS_MAX);
}

static int check_qemu(const struct launch_inputs *in, struct error **err)
{
    if (!in->qemu_version) {
        error_set(err, ERROR_USAGE,
                  "QEMU's version is missing (--qemu-version): RTMR 1 depends on it");
        return error_hint(err, "before 10.2 it writes into the kernel's header, which is measured");
    }
    if (in->initrd && in->qemu_version < QEMU_KEEPS_HEADER && !in->memory_mib)
        return error_set(
            err, ERROR_USAGE,
            "QEMU before 10.2 writes the initrd's address into the kernel: give the guest's "
            "memory in MiB (--memory), on which it depends");
    return 0;
}

static int check_inputs(const struct launch_inputs *in, struct error **err)
{
    const struct launch_kind_row *k = &launch_kinds[in->kind];
    if (k->vcpus && check_vcpus(in, err) < 0)
        return -1;
    if (k->features && !(in->guest_features & SNP_FEATURE_ACTIVE)) {
        error_set(err, ERROR_USAGE, "guest features 0x%llx: bit 0 (SNP is active) must be set",
                  (unsigned long long)in->guest_features);
        return error_hint(err, "0x1 is what KVM starts guests with");
    }
    if (!in->kernel && (in->initrd || in->append))
        return error_set(err, ERROR_USAGE,
                         "an initrd and a command line are measured with a kernel: "
                         "give the kernel, too");
    return in->kernel && in->kind == LAUNCH_TDX ? check_qemu(in, err) : 0;
}

static int check_reset(const struct launch *l, struct error **err)
{
    if (!l->firmware.has_reset)
        return ovmf_error(err, l->in->firmware,
                          "it has no SEV-ES reset block, so only plain SEV guests can start");
    if (l->firmware.reset_address == 0)
        return ovmf_error(err, l->in->firmware, "the address in its SEV-ES reset block is 0");
    return 0;
}

// The table must fit into its area, and with SNP the area into its page.
static int check_hashes(const struct launch *l, struct error **err)
{
    const struct ovmf_image *f = &l->firmware;
    const char *name = l->in->firmware;
    bool snp = l->in->kind == LAUNCH_SNP;
    const struct snp_section *s = ovmf_sev_section(f, SNP_KERNEL_HASHES);
    if (!f->has_hashes) {
        ovmf_error(err, name, "it has no area for the hashes of a kernel");
        return error_hint(err, "measured direct boot needs OVMF's AmdSev platform "
                               "(OvmfPkg/AmdSev/AmdSevX64.dsc): `kbuild ovmf-sev` builds it");
    }
    if (snp && !s) {
        ovmf_error(err, name,
                   "its SEV metadata has no page for the hashes of a kernel (no section "
                   "SNP_KERNEL_HASHES), so SNP would not measure them");
        return error_hint(err,
                          "build OVMF's AmdSev platform from a newer edk2: edk2-stable202411 has "
                          "this section, edk2-stable202211 has not");
    }
    uint64_t end = (uint64_t)f->hashes_address + SNP_HASHES_SIZE;
    if (f->hashes_size < SNP_HASHES_SIZE ||
        (snp && (f->hashes_address < s->address || end > (uint64_t)s->address + s->size)))
        return ovmf_error(
            err, name, "its area for the hashes of a kernel (0x%x bytes at 0x%x) cannot hold them",
            f->hashes_size, f->hashes_address);
    return 0;
}

static int check_firmware(struct launch *l, struct error **err)
{
    const struct launch_kind_row *k = &launch_kinds[l->in->kind];
    if (k->sections && ovmf_read_sev_sections(l->in->firmware, &l->firmware, err) < 0)
        return -1;
    if (k->vcpus && check_reset(l, err) < 0)
        return -1;
    return l->in->kernel && k->hashes ? check_hashes(l, err) : 0;
}

// ---- the whole measurement ----

static int read_firmware(struct launch *l, unsigned char **bytes, struct error **err)
{
    const char *path = l->in->firmware;
    struct launch_file *file = &l->out->firmware;
    if (launch_read_firmware(path, bytes, file, err) < 0 ||
        ovmf_parse(path, *bytes, file->size, &l->firmware, err) < 0 || check_firmware(l, err) < 0)
        return hint_firmware(l->in->kind, err);
    return 0;
}

static int measure_launch(const struct launch_inputs *in, unsigned char **bytes,
                          struct launch_measurement *out, struct error **err)
{
    const struct launch_kind_row *k = &launch_kinds[in->kind];
    struct launch l = {.in = in, .out = out};
    if (check_inputs(in, err) < 0 || read_firmware(&l, bytes, err) < 0)
        return -1;
    // TDX needs the kernel's bytes, and reads them once, when it is measured.
    if ((in->kernel && k->hashes && launch_hash_kernel(in, &out->kernel, err) < 0) ||
        (in->initrd && launch_hash_initrd(in->initrd, &out->initrd, err) < 0))
        return -1;
    if (in->kernel && k->hashes)
        snp_hashes(&out->kernel, &out->initrd, in->append, l.hashes);
    out->digest_size = k->digest_size;
    out->first_vcpus = k->vcpus ? in->first_vcpus : 0;
    out->count = k->vcpus ? in->last_vcpus - in->first_vcpus + 1 : 1;
    out->digest = xcalloc(out->count, sizeof *out->digest);
    return k->measure(&l, err);
}

int launch_measure(const struct launch_inputs *in, struct launch_measurement *out,
                   struct error **err)
{
    cleanup_free unsigned char *bytes = NULL;
    *out = (struct launch_measurement){0};
    int result = measure_launch(in, &bytes, out, err);
    if (result < 0)
        launch_measurement_free(out);
    return result;
}

void launch_measurement_free(struct launch_measurement *m)
{
    free(m->digest);
    *m = (struct launch_measurement){0};
}
