// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild measure`: the launch digest that a confidential x86 host will report for a
// guest.
#include "kbuild.h"

#include "base/document.h"
#include "base/file.h"
#include "boot/boot.h"
#include "measure/measure.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

struct measure_options {
    const char *firmware, *kernel, *initrd, *append;
    const char *vcpus, *type, *signature, *features, *vmm;
    const char *qemu, *memory, *edk2;
    bool two_pass, build, legacy;
    const char *policy, *family_id, *image_id, *svn, *id_key, *author_key;
    const char *output;
};

// ---- words to values ----

static int number_error(struct error **err, const char *option, const char *text, const char *range)
{
    return error_set(err, ERROR_USAGE, "measure: %s '%s': it must be a number%s, decimal or 0x...",
                     option, text, range);
}

// NULL leaves *out unchanged.
static int parse_number(const char *option, const char *text, uint64_t most, const char *range,
                        uint64_t *out, struct error **err)
{
    char *end = NULL;
    if (!text)
        return 0;
    errno = 0;
    int base = starts_with(text, "0x") ? 16 : 10; // never octal
    unsigned long long n = isdigit((unsigned char)*text) ? strtoull(text, &end, base) : 0;
    if (!end || *end || errno || n > most)
        return number_error(err, option, text, range);
    *out = n;
    return 0;
}

// "N" or "A-B". Errors show the whole text, not only the wrong half.
static int parse_vcpus(const char *text, struct launch_inputs *in, struct error **err)
{
    uint64_t first = 0, last = 0;
    const char *dash = strchr(text, '-');
    cleanup_free char *left = xstrndup(text, dash ? (size_t)(dash - text) : strlen(text));
    const char *right = dash ? dash + 1 : left;
    cleanup_free char *range = xasprintf(" from 1 to %u, or two with a dash", LAUNCH_VCPUS_MAX);
    if (parse_number("", left, LAUNCH_VCPUS_MAX, "", &first, NULL) < 0 ||
        parse_number("", right, LAUNCH_VCPUS_MAX, "", &last, NULL) < 0 || first < 1 || first > last)
        return number_error(err, "--vcpus", text, range);
    in->first_vcpus = (unsigned)first;
    in->last_vcpus = (unsigned)last;
    return 0;
}

// "10.1.2", as `qemu-system-x86_64 --version` prints; only the first two numbers are used.
static int parse_qemu(const char *text, unsigned *out, struct error **err)
{
    unsigned major, minor;
    if (!text)
        return 0;
    if (!isdigit((unsigned char)*text) || sscanf(text, "%3u.%3u", &major, &minor) != 2 || major < 1)
        return error_set(err, ERROR_USAGE, "measure: --qemu-version %s: it must look like 10.1.2",
                         text);
    *out = QEMU_VERSION(major, minor);
    return 0;
}

// "edk2-stable202411", "edk2-stable202411.01" or "202411".
static int parse_edk2(const char *text, unsigned *out, struct error **err)
{
    static const char prefix[] = "edk2-stable";
    unsigned year, month;
    int end = 0;
    if (!text)
        return 0;
    const char *digits = starts_with(text, prefix) ? text + strlen(prefix) : text;
    if (strspn(digits, "0123456789") == 6 && sscanf(digits, "%4u%2u%n", &year, &month, &end) == 2 &&
        end == 6 && (!digits[6] || digits[6] == '.') && year >= 2017 && month >= 1 && month <= 12) {
        *out = year * 100 + month;
        return 0;
    }
    return error_set(err, ERROR_USAGE, "measure: --edk2 %s: it must look like edk2-stable202411",
                     text);
}

static int parse_id(const char *option, const char *text, unsigned char out[static 16],
                    struct error **err)
{
    if (!text || hex_decode(text, out, 16))
        return 0;
    return error_set(err, ERROR_USAGE, "measure: %s %s: it must be 32 hexadecimal digits", option,
                     text);
}

static int parse_cpu(const struct measure_options *w, struct launch_inputs *in, struct error **err)
{
    uint64_t signature = 0;
    if (w->type && w->signature)
        return usage_error(err, "measure", "give only one of --vcpu-type and --vcpu-sig");
    if (w->type)
        return cpu_type_signature(w->type, &in->cpu_signature, err);
    if (parse_number("--vcpu-sig", w->signature, UINT32_MAX, " of 32 bits", &signature, err) < 0)
        return -1;
    in->cpu_signature = (uint32_t)signature;
    if (w->signature || in->vmm != VMM_QEMU)
        return 0;
    error_set(err, ERROR_USAGE,
              "measure: with QEMU the CPU type is measured: --vcpu-type is missing");
    return error_hint(err, "Kata starts SNP guests with --vcpu-type EPYC-v4");
}

// ---- used options ----

// Options without effect are errors: the first matching mode tells which are used. NULL and -1:
// any.
#define FILES "--ovmf --kernel --initrd --append"
#define OUTPUT " --output"
#define ID_BLOCK " --policy --family-id --image-id --guest-svn --id-key --author-key"
#define VCPUS " --vcpus --vmm-type"
#define FEATURES " --guest-features"
#define CPU " --vcpu-type --vcpu-sig"
enum answer { NO, YES, ANY };
static const struct mode {
    const char *name, *uses;
    enum launch_kind kind;
    enum answer kernel, initrd, other_vmm, old_qemu, reference, target;
} modes[] = {
    {"a target", "--append" OUTPUT VCPUS FEATURES CPU ID_BLOCK " --build", LAUNCH_SNP, ANY, ANY,
     ANY, ANY, ANY, YES},
    {"snp on another VMM than QEMU", FILES OUTPUT VCPUS FEATURES ID_BLOCK, LAUNCH_SNP, ANY, ANY,
     YES, ANY, YES, NO},
    {"snp on another VMM than QEMU without -o or --json", FILES OUTPUT VCPUS FEATURES, LAUNCH_SNP,
     ANY, ANY, YES, ANY, NO, NO},
    {"snp", FILES OUTPUT VCPUS FEATURES CPU ID_BLOCK, LAUNCH_SNP, ANY, ANY, ANY, ANY, YES, NO},
    {"snp without -o or --json: it is in reference values only", FILES OUTPUT VCPUS FEATURES CPU,
     LAUNCH_SNP, ANY, ANY, ANY, ANY, NO, NO},
    {"sev-es on another VMM than QEMU", FILES OUTPUT VCPUS, LAUNCH_SEV_ES, ANY, ANY, YES, ANY, ANY,
     NO},
    {"sev-es", FILES OUTPUT VCPUS CPU " --legacy-vm-type", LAUNCH_SEV_ES, ANY, ANY, ANY, ANY, ANY,
     NO},
    {"sev", FILES OUTPUT, LAUNCH_SEV, ANY, ANY, ANY, ANY, ANY, NO},
    {"tdx without a kernel", FILES OUTPUT " --two-pass", LAUNCH_TDX, NO, ANY, ANY, ANY, ANY, NO},
    {"tdx with an initrd and QEMU before 10.2",
     FILES OUTPUT " --two-pass --edk2 --qemu-version --memory", LAUNCH_TDX, YES, YES, ANY, YES, ANY,
     NO},
    {"tdx without an initrd, or with QEMU 10.2 or newer",
     FILES OUTPUT " --two-pass --edk2 --qemu-version", LAUNCH_TDX, YES, ANY, ANY, ANY, ANY, NO},
};

static bool answer_matches(enum answer wanted, bool is)
{
    return wanted == ANY || (wanted == YES) == is;
}

static int check_used_options(const struct global_options *g, enum launch_kind kind, bool target,
                              const struct measure_options *w, struct error **err)
{
    unsigned qemu = 0;
    bool other_vmm = w->vmm && strcmp(w->vmm, "qemu") != 0;
    bool reference = g->json || w->output;
    if (parse_qemu(w->qemu, &qemu, err) < 0)
        return -1;
    for (const struct mode *m = modes; m < modes + ARRAY_LEN(modes); m++)
        if (m->kind == kind && answer_matches(m->kernel, w->kernel) &&
            answer_matches(m->initrd, w->initrd) && answer_matches(m->other_vmm, other_vmm) &&
            answer_matches(m->old_qemu, qemu < QEMU_VERSION(10, 2)) &&
            answer_matches(m->reference, reference) && answer_matches(m->target, target))
            return command_line_mode(&g->line, m->name, m->uses, err);
    return usage_error(err, "measure",
                       "targets are measured for snp only; for other kinds name the files");
}

static int parse_inputs(const struct measure_options *w, struct launch_inputs *in,
                        struct error **err)
{
    if (!w->firmware)
        return usage_error(err, "measure", "--ovmf is missing");
    if (w->author_key && !w->id_key)
        return usage_error(err, "measure", "--author-key signs the ID key: --id-key is missing");
    in->firmware = w->firmware;
    in->kernel = w->kernel;
    in->initrd = w->initrd;
    in->append = w->append;
    in->two_pass = w->two_pass;
    in->legacy_vm_type = w->legacy;
    in->guest_features = in->kind == LAUNCH_SNP ? SNP_FEATURE_ACTIVE : 0;
    if (parse_qemu(w->qemu, &in->qemu_version, err) < 0 ||
        parse_edk2(w->edk2, &in->edk2_version, err) < 0 ||
        parse_number("--memory", w->memory, UINT32_MAX, " of MiB", &in->memory_mib, err) < 0)
        return -1;
    if (!launch_kind_has_vcpus(in->kind))
        return 0;
    if (!w->vcpus)
        return usage_error(err, "measure", "every vCPU is measured: --vcpus is missing");
    if ((w->vmm && launch_vmm_find(w->vmm, &in->vmm, err) < 0) ||
        parse_vcpus(w->vcpus, in, err) < 0 || parse_cpu(w, in, err) < 0)
        return -1;
    return parse_number("--guest-features", w->features, UINT64_MAX, "", &in->guest_features, err);
}

static int parse_id_values(const struct measure_options *w, struct id_block_values *id,
                           struct error **err)
{
    uint64_t svn = 0;
    *id = (struct id_block_values){.policy = SNP_POLICY_DEFAULT};
    if (parse_number("--policy", w->policy, UINT64_MAX, "", &id->policy, err) < 0 ||
        parse_number("--guest-svn", w->svn, UINT32_MAX, " of 32 bits", &svn, err) < 0 ||
        parse_id("--family-id", w->family_id, id->family_id, err) < 0 ||
        parse_id("--image-id", w->image_id, id->image_id, err) < 0)
        return -1;
    id->guest_svn = (uint32_t)svn;
    return id_block_check(id, err);
}

// ---- results ----

static void print_hex(const char *name, const unsigned char *value)
{
    char hex[2 * LAUNCH_DIGEST_MAX + 1];
    hex_encode(value, LAUNCH_DIGEST_MAX, hex);
    print("%s %s\n", name, hex);
}

static void print_digests(const struct launch_measurement *m)
{
    if (m->has_rtmr1) {
        print_hex("mrtd", m->digest[0]);
        print_hex("rtmr1", m->rtmr1);
        if (m->has_rtmr2)
            print_hex("rtmr2", m->rtmr2);
        return;
    }
    for (unsigned i = 0; i < m->count; i++) {
        char hex[2 * LAUNCH_DIGEST_MAX + 1];
        hex_encode(m->digest[i], m->digest_size, hex);
        if (m->count > 1)
            print("%u %s\n", m->first_vcpus + i, hex);
        else
            print("%s\n", hex);
    }
}

static int write_reference(const struct launch_inputs *in, const char *output,
                           const struct buf *json, struct error **err)
{
    cleanup_free char *name = xasprintf("kata-%s-reference.json", launch_kind_names[in->kind]);
    cleanup_free char *path = document_path(output, name);
    return document_write(path, DOCUMENT_JSON, json->data, json->len, err);
}

static int print_measurement(const struct launch_inputs *in, const struct id_block_values *id,
                             const struct id_keys *keys, const char *output, bool as_json,
                             struct error **err)
{
    cleanup_measurement struct launch_measurement m = {0};
    cleanup_buf struct buf json = {0};
    if (launch_measure(in, &m, err) < 0 ||
        ((output || as_json) && launch_reference(in, &m, id, keys, &json, err) < 0) ||
        (output && write_reference(in, output, &json, err) < 0))
        return -1;
    bool printed = output && is_standard_output(output);
    if (as_json && !printed)
        print_document(stdout, DOCUMENT_JSON, json.data, json.len);
    else if (!printed)
        print_digests(&m);
    return 0;
}

// ---- a target instead of files ----

// The files of its boot section; only the command line may be replaced, since a runtime extends it.
static int extract_target(struct build *b, const char *target, struct measure_options *w,
                          struct launch_parts *parts, struct error **err)
{
    if (launch_parts_extract(b, target, CONFIDENTIAL_SNP, w->build, parts, err) < 0)
        return -1;
    w->firmware = parts->firmware;
    w->kernel = parts->kernel;
    w->initrd = parts->initrd;
    w->append = w->append ? w->append : parts->append;
    w->vcpus = w->vcpus ? w->vcpus : "1-64";
    w->type = w->type || w->signature || w->vmm ? w->type : parts->cpu;
    if (w->output)
        return 0;
    w->output = build_options(b)->output;
    return make_directories(w->output, 0777, err);
}

static int measure_files(const struct measure_options *w, const struct id_block_values *id,
                         enum launch_kind kind, bool as_json, struct error **err)
{
    struct launch_inputs in = {.kind = kind};
    if (parse_inputs(w, &in, err) < 0)
        return -1;
    struct id_keys *keys = w->id_key ? id_keys_load(w->id_key, w->author_key, err) : NULL;
    if (w->id_key && !keys)
        return -1;
    int result =
        print_measurement(&in, kind == LAUNCH_SNP ? id : NULL, keys, w->output, as_json, err);
    id_keys_free(keys);
    return result;
}

static int measure_target(struct global_options *g, const char *target, struct measure_options *w,
                          const struct id_block_values *id, struct error **err)
{
    struct launch_parts parts = {0};
    struct build *b = build_open(&g->build, err);
    int result = b ? extract_target(b, target, w, &parts, err) : -1;
    if (!result)
        result = measure_files(w, id, LAUNCH_SNP, g->json, err);
    launch_parts_free(&parts);
    build_close(b);
    return result;
}

int verb_measure(struct global_options *g, struct strlist *words, struct error **err)
{
    struct measure_options w = {
        .firmware = option_value(g, "--ovmf"),
        .kernel = option_value(g, "--kernel"),
        .initrd = option_value(g, "--initrd"),
        .append = option_value(g, "--append"),
        .vcpus = option_value(g, "--vcpus"),
        .type = option_value(g, "--vcpu-type"),
        .signature = option_value(g, "--vcpu-sig"),
        .features = option_value(g, "--guest-features"),
        .vmm = option_value(g, "--vmm-type"),
        .qemu = option_value(g, "--qemu-version"),
        .memory = option_value(g, "--memory"),
        .edk2 = option_value(g, "--edk2"),
        .two_pass = option_given(g, "--two-pass"),
        .legacy = option_given(g, "--legacy-vm-type"),
        .build = option_given(g, "--build"),
        .policy = option_value(g, "--policy"),
        .family_id = option_value(g, "--family-id"),
        .image_id = option_value(g, "--image-id"),
        .svn = option_value(g, "--guest-svn"),
        .id_key = option_value(g, "--id-key"),
        .author_key = option_value(g, "--author-key"),
        .output = option_value(g, "--output"),
    };
    enum launch_kind kind;
    struct id_block_values id;
    if (!launch_kind_find(words->items[0], &kind))
        return usage_error(err, "measure", "expected: snp|sev-es|sev|tdx [TARGET]");
    if (parse_id_values(&w, &id, err) < 0 ||
        check_used_options(g, kind, words->n == 2, &w, err) < 0)
        return -1;
    if (words->n == 2) {
        struct strlist target = {.items = &words->items[1], .n = 1};
        if (check_targets(g, &target, false, err) < 0)
            return -1;
    } else if (command_line_reject(&g->line, ~(BIT(COMMON_JSON) | BIT(COMMON_QUIET)),
                                   "without a target", err) < 0) {
        return -1;
    }
    return words->n == 2 ? measure_target(g, words->items[1], &w, &id, err)
                         : measure_files(&w, &id, kind, g->json, err);
}
