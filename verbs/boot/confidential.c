// SPDX-License-Identifier: Apache-2.0
// Checks this machine for confidential guests, and the proof that a guest was one.

#include "boot/internal.h"

#include "base/digest.h"
#include "measure/measure.h"

#include <string.h>

const char *const confidential_names[] = {[CONFIDENTIAL_SNP] = "SNP"};

// ---- SEV-SNP: the host ----

#define PARAMETER "sys/module/kvm_amd/parameters/sev_snp"

static bool is_snp_host(const struct host *h)
{
    cleanup_buf struct buf text = {0};
    return host_read(h, PARAMETER, &text) && (text.data[0] == 'Y' || text.data[0] == '1');
}

static int require_device(const struct host *h, const char *device, const char *hint,
                          struct error **err)
{
    cleanup_buf struct buf seen = {0};
    if (host_device(h, device, &seen))
        return 0;
    error_user(err, "this machine is an SEV-SNP host, but it cannot be used: %s", seen.data);
    return error_hint(err, "%s; `kbuild doctor snp` checks the rest; --plain boots without SNP",
                      hint);
}

static int find_snp_host(const struct host *h, struct confidential_host *out, struct error **err)
{
    if (!is_snp_host(h))
        return 0;
    if (require_device(h, "/dev/sev", "run this as root, or give yourself access to it", err) < 0 ||
        require_device(h, "/dev/kvm", "run this as root, or join the group kvm", err) < 0)
        return -1;
    cleanup_buf struct buf text = {0};
    const char *ebx = host_command(h, "cpuid-8000001f", &text) ? strstr(text.data, "ebx ") : NULL;
    if (!ebx)
        return error_user(err, "this machine is an SEV-SNP host, but its processor's CPUID "
                               "function 8000001F cannot be read");
    out->cbitpos = (unsigned)strtoul(ebx + strlen("ebx "), NULL, 16) & 0x3f; // EBX, bits 5:0
    return 1;
}

// ---- SEV-SNP: the guest's attestation report (ABI, table 23) ----

enum {
    REPORT_SIZE = 0x4a0,
    AT_VERSION = 0x00,
    AT_POLICY = 0x08,
    AT_VMPL = 0x30,
    AT_REPORT_DATA = 0x50,
    AT_MEASUREMENT = 0x90,
};
// The data that recipes/smoke-init sends; the firmware puts it into the report.
static const char report_data[64] = "kbuild smoke-init";

static int check_report_fields(const unsigned char *report, struct error **err)
{
    uint64_t version = get_le(report + AT_VERSION, 4), vmpl = get_le(report + AT_VMPL, 4);
    if (version < 2)
        return error_set(err, ERROR_STEP,
                         "the attestation report has version %llu; at least 2 is needed",
                         (unsigned long long)version);
    if (memcmp(report + AT_REPORT_DATA, report_data, sizeof report_data) != 0)
        return error_set(err, ERROR_STEP,
                         "the attestation report does not contain the data that init sent");
    if (vmpl != 0)
        return error_set(err, ERROR_STEP,
                         "the attestation report is for privilege level %llu, not 0",
                         (unsigned long long)vmpl);
    return 0;
}

static int compute_expected_digest(const struct confidential_launch *launch,
                                   char hex[static 2 * LAUNCH_DIGEST_MAX + 1], struct error **err)
{
    struct launch_inputs in = {.kind = LAUNCH_SNP,
                               .firmware = launch->firmware,
                               .kernel = launch->kernel,
                               .initrd = launch->initrd,
                               .append = launch->append,
                               .vmm = VMM_QEMU,
                               .first_vcpus = 1,
                               .last_vcpus = 1,
                               .guest_features = SNP_FEATURE_ACTIVE};
    cleanup_measurement struct launch_measurement m = {0};
    if (!launch->firmware)
        return error_user(err, "a confidential guest needs a firmware, but the recipe names none");
    if (cpu_type_signature(launch->cpu, &in.cpu_signature, err) < 0 ||
        launch_measure(&in, &m, err) < 0)
        return error_wrap(err, "computing the expected launch digest");
    hex_encode(m.digest[0], m.digest_size, hex);
    return 0;
}

static int snp_check(const json_t *report, const struct confidential_launch *launch, char **proof,
                     struct error **err)
{
    const json_t *snp = json_object_get(report, "snp");
    const char *text = json_string_value(json_object_get(snp, "report"));
    const char *why = json_string_value(json_object_get(snp, "error"));
    unsigned char bytes[REPORT_SIZE];
    char got[2 * LAUNCH_DIGEST_MAX + 1], expected[2 * LAUNCH_DIGEST_MAX + 1];
    if (!text)
        return error_set(err, ERROR_STEP, "the guest provided no attestation report: %s",
                         why   ? why
                         : snp ? "init gave no reason"
                               : "init found no /dev/sev-guest");
    if (!hex_decode(text, bytes, sizeof bytes))
        return error_set(err, ERROR_STEP, "the guest's attestation report is not %d bytes long",
                         REPORT_SIZE);
    if (check_report_fields(bytes, err) < 0 || compute_expected_digest(launch, expected, err) < 0)
        return -1;
    hex_encode(bytes + AT_MEASUREMENT, LAUNCH_DIGEST_MAX, got);
    if (strcmp(got, expected) != 0) {
        error_set(err, ERROR_STEP, "the guest's launch digest is %s, but %s was expected", got,
                  expected);
        return error_hint(err, "the guest was not started from the built files, or QEMU starts the "
                               "processor in another state than `kbuild measure` assumes");
    }
    *proof = xasprintf(
        "an SNP guest: its attestation report has policy 0x%llx and the expected launch digest %s",
        (unsigned long long)get_le(bytes + AT_POLICY, 8), got);
    return 0;
}

// ---- the kinds ----

static const struct {
    int (*host)(const struct host *h, struct confidential_host *out, struct error **err);
    int (*check)(const json_t *report, const struct confidential_launch *launch, char **proof,
                 struct error **err);
} kinds[] = {[CONFIDENTIAL_SNP] = {find_snp_host, snp_check}};

int confidential_host(const struct host *h, enum recipe_confidential kind,
                      struct confidential_host *out, struct error **err)
{
    return kinds[kind].host(h, out, err);
}

int confidential_check(enum recipe_confidential kind, const json_t *report,
                       const struct confidential_launch *launch, char **proof, struct error **err)
{
    return kinds[kind].check(report, launch, proof, err);
}
