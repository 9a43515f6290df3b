// SPDX-License-Identifier: Apache-2.0
// `kbuild measure`: the launch digest that a confidential x86 host will report for a guest.
#include "kbuild.h"

#include "base/file.h"
#include "run/launch.h"
#include "seal/snp.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

struct measure_words {
    const char *firmware, *kernel, *initrd, *append;
    const char *vcpus, *type, *signature, *features, *vmm;
    const char *qemu, *memory;
    const char *policy, *family_id, *image_id, *svn, *id_key, *author_key;
    const char *output;
};

// ---- words to values ----

static int bad_number(struct error **err, const char *option, const char *text, const char *range)
{
    return error_set(err, ERROR_USAGE, "measure: %s %s: it must be a number%s, decimal or 0x...",
                     option, text, range);
}

// NULL leaves *out as it is.
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
        return bad_number(err, option, text, range);
    *out = n;
    return 0;
}

// "N" or "A-B".
static int parse_vcpus(const char *text, struct launch_inputs *in, struct error **err)
{
    uint64_t first = 0, last = 0;
    const char *dash = strchr(text, '-');
    cleanup_free char *left = xstrndup(text, dash ? (size_t)(dash - text) : strlen(text));
    const char *right = dash ? dash + 1 : left;
    cleanup_free char *range = xasprintf(" from 1 to %u, or two with a dash", LAUNCH_VCPUS_MAX);
    if (parse_number("--vcpus", left, LAUNCH_VCPUS_MAX, range, &first, err) < 0 ||
        parse_number("--vcpus", right, LAUNCH_VCPUS_MAX, range, &last, err) < 0)
        return -1;
    if (first < 1 || first > last)
        return bad_number(err, "--vcpus", text, range);
    in->first_vcpus = (unsigned)first;
    in->last_vcpus = (unsigned)last;
    return 0;
}

// "10.1.2", as `qemu-system-x86_64 --version` has it; only the first two numbers matter.
static int parse_qemu(const char *text, unsigned *out, struct error **err)
{
    unsigned major, minor;
    if (!text)
        return 0;
    if (!isdigit((unsigned char)*text) || sscanf(text, "%3u.%3u", &major, &minor) != 2 || major < 1)
        return error_set(err, ERROR_USAGE, "measure: --qemu-version %s: it looks like 10.1.2",
                         text);
    *out = QEMU_VERSION(major, minor);
    return 0;
}

static int parse_id(const char *option, const char *text, unsigned char out[static 16],
                    struct error **err)
{
    if (!text || hex_decode(text, out, 16))
        return 0;
    return error_set(err, ERROR_USAGE, "measure: %s %s: it must be 32 hexadecimal digits", option,
                     text);
}

static int parse_cpu(const struct measure_words *w, struct launch_inputs *in, struct error **err)
{
    uint64_t signature = 0;
    if (w->type && w->signature)
        return usage_error(err, "measure", "--vcpu-type and --vcpu-sig: one of them is enough");
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

// Options that would have no effect are mistakes, not noise.
static int check_applicable(enum launch_kind kind, const struct measure_words *w,
                            struct error **err)
{
    const struct {
        const char *option, *value;
        bool applies;
    } given[] = {
        {"--vcpus", w->vcpus, launch_kind_has_vcpus(kind)},
        {"--vcpu-type", w->type, launch_kind_has_vcpus(kind)},
        {"--vcpu-sig", w->signature, launch_kind_has_vcpus(kind)},
        {"--vmm-type", w->vmm, launch_kind_has_vcpus(kind)},
        {"--guest-features", w->features, kind == LAUNCH_SNP},
        {"--policy", w->policy, kind == LAUNCH_SNP},
        {"--family-id", w->family_id, kind == LAUNCH_SNP},
        {"--image-id", w->image_id, kind == LAUNCH_SNP},
        {"--guest-svn", w->svn, kind == LAUNCH_SNP},
        {"--id-key", w->id_key, kind == LAUNCH_SNP},
        {"--author-key", w->author_key, kind == LAUNCH_SNP},
        {"--qemu-version", w->qemu, kind == LAUNCH_TDX && w->kernel},
        {"--memory", w->memory, kind == LAUNCH_TDX && w->kernel},
    };
    for (size_t i = 0; i < ARRAY_LEN(given); i++)
        if (given[i].value && !given[i].applies)
            return error_set(err, ERROR_USAGE, "measure: %s does not matter to %s%s",
                             given[i].option, launch_kind_names[kind],
                             kind == LAUNCH_TDX && !w->kernel ? " without a kernel" : "");
    if (w->author_key && !w->id_key)
        return usage_error(err, "measure", "--author-key signs the ID key: --id-key is missing");
    return 0;
}

static int parse_inputs(const struct measure_words *w, struct launch_inputs *in, struct error **err)
{
    if (check_applicable(in->kind, w, err) < 0)
        return -1;
    if (!w->firmware)
        return usage_error(err, "measure", "--ovmf is missing");
    in->firmware = w->firmware;
    in->kernel = w->kernel;
    in->initrd = w->initrd;
    in->append = w->append;
    in->guest_features = SNP_FEATURE_ACTIVE;
    if (parse_qemu(w->qemu, &in->qemu_version, err) < 0 ||
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

static int parse_id_values(const struct measure_words *w, struct id_block_values *id,
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

static void print_register(const char *name, const unsigned char *value)
{
    char hex[2 * LAUNCH_DIGEST_MAX + 1];
    hex_encode(value, LAUNCH_DIGEST_MAX, hex);
    printf("%s %s\n", name, hex);
}

static void print_digests(const struct launch_measurement *m)
{
    if (m->has_rtmr1) {
        print_register("mrtd", m->digest[0]);
        print_register("rtmr1", m->rtmr1);
        if (m->has_rtmr2)
            print_register("rtmr2", m->rtmr2);
        return;
    }
    for (unsigned i = 0; i < m->count; i++) {
        char hex[2 * LAUNCH_DIGEST_MAX + 1];
        hex_encode(m->digest[i], m->digest_size, hex);
        if (m->count > 1)
            printf("%u %s\n", m->first_vcpus + i, hex);
        else
            puts(hex);
    }
}

static int write_reference(const struct launch_inputs *in, const char *output,
                           const struct buf *json, struct error **err)
{
    cleanup_free char *path = is_directory(output) ? xasprintf("%s/kata-%s-reference.json", output,
                                                               launch_kind_names[in->kind])
                                                   : xstrdup(output);
    return file_write(path, json->data, json->len, 0644, err);
}

static int measure(const struct launch_inputs *in, const struct id_block_values *id,
                   const struct id_keys *keys, const char *output, bool as_json, struct error **err)
{
    cleanup_measurement struct launch_measurement m = {0};
    cleanup_buf struct buf json = {0};
    if (launch_measure(in, &m, err) < 0 ||
        ((output || as_json) && launch_reference(in, &m, id, keys, &json, err) < 0) ||
        (output && write_reference(in, output, &json, err) < 0))
        return -1;
    if (as_json)
        fputs(json.data, stdout);
    else
        print_digests(&m);
    return 0;
}

// ---- a target instead of files ----

// What its boot section starts; only the command line may be given in its place, since a runtime
// adds to it.
static int take_target(struct build *b, const char *target, enum launch_kind kind,
                       struct measure_words *w, struct launch_parts *parts, struct error **err)
{
    if (kind != LAUNCH_SNP)
        return usage_error(err, "measure", "targets are measured for SNP only; name the files");
    if (w->firmware || w->kernel || w->initrd)
        return usage_error(err, "measure", "give a target or files, not both");
    if (launch_parts_take(b, target, CONFIDENTIAL_SNP, parts, err) < 0)
        return -1;
    w->firmware = parts->firmware;
    w->kernel = parts->kernel;
    w->initrd = parts->initrd;
    w->append = w->append ? w->append : parts->append;
    w->vcpus = w->vcpus ? w->vcpus : "1-64";
    w->type = w->type || w->signature || w->vmm ? w->type : parts->cpu;
    w->output = w->output ? w->output : build_options(b)->output;
    return 0;
}

static int measure_words(const struct measure_words *w, enum launch_kind kind, bool as_json,
                         struct error **err)
{
    struct launch_inputs in = {.kind = kind};
    struct id_block_values id = {0};
    if (parse_inputs(w, &in, err) < 0 || parse_id_values(w, &id, err) < 0)
        return -1;
    struct id_keys *keys = w->id_key ? id_keys_load(w->id_key, w->author_key, err) : NULL;
    if (w->id_key && !keys)
        return -1;
    int result = measure(&in, kind == LAUNCH_SNP ? &id : NULL, keys, w->output, as_json, err);
    id_keys_free(keys);
    return result;
}

static int measure_target(struct global_options *g, const char *target, enum launch_kind kind,
                          struct measure_words *w, struct error **err)
{
    struct launch_parts parts = {0};
    struct build *b = build_open(&g->build, err);
    int result = b ? take_target(b, target, kind, w, &parts, err) : -1;
    if (!result)
        result = measure_words(w, kind, g->json, err);
    launch_parts_free(&parts);
    build_close(b);
    return result;
}

int verb_measure(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_strlist struct strlist storage = {0};
    struct measure_words w = {0};
    const struct verb_option options[] = {
        {"--ovmf", NULL, &w.firmware, NULL, NULL},
        {"--kernel", NULL, &w.kernel, NULL, NULL},
        {"--initrd", NULL, &w.initrd, NULL, NULL},
        {"--append", NULL, &w.append, NULL, NULL},
        {"--vcpus", NULL, &w.vcpus, NULL, NULL},
        {"--vcpu-type", NULL, &w.type, NULL, NULL},
        {"--vcpu-sig", NULL, &w.signature, NULL, NULL},
        {"--guest-features", NULL, &w.features, NULL, NULL},
        {"--vmm-type", NULL, &w.vmm, NULL, NULL},
        {"--qemu-version", NULL, &w.qemu, NULL, NULL},
        {"--memory", NULL, &w.memory, NULL, NULL},
        {"--policy", NULL, &w.policy, NULL, NULL},
        {"--family-id", NULL, &w.family_id, NULL, NULL},
        {"--image-id", NULL, &w.image_id, NULL, NULL},
        {"--guest-svn", NULL, &w.svn, NULL, NULL},
        {"--id-key", NULL, &w.id_key, NULL, NULL},
        {"--author-key", NULL, &w.author_key, NULL, NULL},
        {"--output", "-o", &w.output, NULL, NULL},
    };
    enum launch_kind kind;
    if (parse_verb_options("measure", words, options, ARRAY_LEN(options), &storage, err) < 0)
        return -1;
    if (words->n < 1 || words->n > 2 || !launch_kind_find(words->items[0], &kind))
        return usage_error(err, "measure", "expected: snp|sev-es|sev|tdx, and perhaps a target");
    return words->n == 2 ? measure_target(g, words->items[1], kind, &w, err)
                         : measure_words(&w, kind, g->json, err);
}
