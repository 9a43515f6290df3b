// SPDX-License-Identifier: Apache-2.0
// Checks reference values of a launch (`kbuild measure -o`): reads how the guest is started, and
// computes each digest again from the files that were handed over.
#include "handover/internal.h"

#include "base/file.h"
#include "base/libcrypto.h"
#include "measure/measure.h"
#include "provenance/provenance.h"

#include <string.h>

bool is_launch_reference(const struct buf *text, json_t **out)
{
    json_auto_t *all = json_loadb(text->data, text->len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_integer(json_object_get(all, "kbuild_launch_reference")))
        return false;
    *out = steal(all);
    return true;
}

// ---- how the guest is started ----

// "0x800f12"; false if it is no number in that form.
static bool read_number(const json_t *all, const char *key, uint64_t *out)
{
    const char *text = provenance_at(all, key);
    char *end;
    if (!starts_with(text, "0x") || hex_digit(text[2]) < 0 || strlen(text) > 18)
        return false;
    *out = strtoull(text + 2, &end, 16);
    return !*end;
}

static int refuse(struct error **err, const char *what)
{
    return error_user(err, "its %s is missing, or is not what kbuild writes", what);
}

static int read_vcpus(const json_t *all, struct launch_inputs *in, struct error **err)
{
    const json_t *list = json_object_get(all, "measurements");
    size_t n = json_array_size(list);
    if (!n || n > LAUNCH_VCPUS_MAX)
        return refuse(err, "list of measurements");
    for (size_t i = 0; launch_kind_has_vcpus(in->kind) && i < n; i++) {
        json_int_t vcpus = json_integer_value(json_object_get(json_array_get(list, i), "vcpus"));
        if (vcpus < 1 || vcpus > (json_int_t)LAUNCH_VCPUS_MAX ||
            (i && vcpus != (json_int_t)in->first_vcpus + (json_int_t)i))
            return refuse(err, "number of vCPUs");
        in->first_vcpus = i ? in->first_vcpus : (unsigned)vcpus;
        in->last_vcpus = (unsigned)vcpus;
    }
    return n > 1 && !launch_kind_has_vcpus(in->kind) ? refuse(err, "list of measurements") : 0;
}

static int read_vmm(const json_t *all, struct launch_inputs *in, struct error **err)
{
    uint64_t signature = 0;
    if (launch_vmm_find(provenance_at(all, "vmm"), &in->vmm, err) < 0)
        return -1;
    if (in->vmm == VMM_QEMU &&
        (!read_number(all, "cpu_signature", &signature) || signature > UINT32_MAX))
        return refuse(err, "cpu_signature");
    in->cpu_signature = (uint32_t)signature;
    return 0;
}

// Of a trust domain with a kernel.
static int read_versions(const json_t *all, struct launch_inputs *in, struct error **err)
{
    unsigned major, minor;
    const char *qemu = provenance_at(all, "qemu"), *edk2 = provenance_at(all, "edk2");
    json_int_t memory = json_integer_value(json_object_get(all, "memory_mib"));
    if (sscanf(qemu, "%3u.%3u", &major, &minor) != 2)
        return refuse(err, "version of QEMU");
    in->qemu_version = QEMU_VERSION(major, minor);
    if (*edk2 && sscanf(edk2, "edk2-stable%6u", &in->edk2_version) != 1)
        return refuse(err, "release of edk2");
    if (memory < 0 || memory > UINT32_MAX)
        return refuse(err, "memory_mib");
    in->memory_mib = (uint64_t)memory;
    return 0;
}

static int read_inputs(const json_t *all, struct launch_inputs *in, struct error **err)
{
    const json_t *inputs = json_object_get(all, "inputs");
    if (json_integer_value(json_object_get(all, "kbuild_launch_reference")) != 1) {
        error_user(err, "they have a format that this kbuild does not know");
        return error_hint(err, "use the kbuild that wrote them, or a later one");
    }
    if (!launch_kind_find(provenance_at(all, "kind"), &in->kind))
        return refuse(err, "kind");
    in->append = json_string_value(json_object_get(inputs, "append"));
    in->two_pass = json_is_true(json_object_get(all, "two_pass"));
    in->legacy_vm_type = json_is_true(json_object_get(all, "legacy_vm_type"));
    if (read_vcpus(all, in, err) < 0 ||
        (launch_kind_has_vcpus(in->kind) && read_vmm(all, in, err) < 0))
        return -1;
    if (in->kind == LAUNCH_SNP && !read_number(all, "guest_features", &in->guest_features))
        return refuse(err, "guest_features");
    return json_object_get(all, "qemu") ? read_versions(all, in, err) : 0;
}

// ---- the files ----

// Those that the values are of, and no others.
static bool check_files(struct check_run *c, const json_t *all, struct launch_inputs *in)
{
    const struct {
        const char *what, *option, *given;
        const char **path;
    } files[] = {{"firmware", "--ovmf", c->r->firmware, &in->firmware},
                 {"kernel", "--kernel", c->r->kernel, &in->kernel},
                 {"initrd", "--initrd", c->r->initrd, &in->initrd}};
    bool complete = true, asked = c->r->firmware || c->r->kernel || c->r->initrd;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        const json_t *of = json_object_get(json_object_get(all, "inputs"), files[i].what);
        const char *name = provenance_at(of, "name"), *sum = provenance_at(of, "sha256");
        *files[i].path = files[i].given;
        if (json_is_object(of) && !files[i].given) {
            finding(c, asked ? CHECK_BAD : CHECK_SKIPPED, "measurement",
                    "not computed again without the %s, %s with the SHA-256 %s: %s=FILE",
                    files[i].what, name, sum, files[i].option);
            complete = false;
        } else if (!json_is_object(of) && files[i].given) {
            finding(c, CHECK_BAD, "measurement", "%s: the values are of a launch without a %s",
                    files[i].given, files[i].what);
            complete = false;
        }
    }
    return complete;
}

// ---- comparing ----

static bool has_hex(const json_t *one, const char *key, const unsigned char *value, size_t size)
{
    char hex[2 * LAUNCH_DIGEST_MAX + 1];
    hex_encode(value, size, hex);
    return !strcmp(provenance_at(one, key), hex);
}

static bool compare_file(struct check_run *c, const json_t *all, const char *what, const char *path,
                         const struct launch_file *f)
{
    const json_t *of = json_object_get(json_object_get(all, "inputs"), what);
    if (!f->given || !strcmp(provenance_at(of, "sha256"), f->sha256))
        return true;
    finding(c, CHECK_BAD, "measurement",
            "%s is not the %s of these values: its SHA-256 is %s, not %s", path, what, f->sha256,
            provenance_at(of, "sha256"));
    return false;
}

static bool read_id_values(const json_t *all, struct id_block_values *id)
{
    const json_t *o = json_object_get(all, "id_block");
    json_int_t svn = json_integer_value(json_object_get(o, "guest_svn"));
    id->guest_svn = (uint32_t)svn;
    return svn >= 0 && svn <= UINT32_MAX && read_number(o, "policy", &id->policy) &&
           hex_decode(provenance_at(o, "family_id"), id->family_id, sizeof id->family_id) &&
           hex_decode(provenance_at(o, "image_id"), id->image_id, sizeof id->image_id);
}

// What the firmware of the processor compares at launch.
static void compare_id_blocks(struct check_run *c, const json_t *all,
                              const struct launch_measurement *m)
{
    struct id_block_values id = {0};
    const json_t *list = json_object_get(all, "measurements");
    bool good = read_id_values(all, &id);
    for (size_t i = 0; good && i < m->count; i++) {
        unsigned char block[ID_BLOCK_SIZE];
        char text[4 * ((ID_BLOCK_SIZE + 2) / 3) + 1];
        id_block_make(m->digest[i], &id, block);
        EVP_EncodeBlock((unsigned char *)text, block, sizeof block);
        good = !strcmp(provenance_at(json_array_get(list, i), "snp_id_block"), text);
    }
    finding(c, good ? CHECK_GOOD : CHECK_BAD, "ID blocks",
            good ? "each has its digest, and the policy and ids that the file states"
                 : "one has another digest, policy or id than the file states");
    if (json_is_true(json_object_get(json_object_get(all, "id_block"), "signed")))
        finding(c, CHECK_SKIPPED, "ID blocks",
                "their signatures: the attestation report of a guest names the key");
}

static void compare_digests(struct check_run *c, const json_t *all, const struct launch_inputs *in,
                            const struct launch_measurement *m)
{
    const json_t *list = json_object_get(all, "measurements");
    size_t wrong = 0, first = 0;
    for (size_t i = 0; i < m->count; i++) {
        const json_t *one = json_array_get(list, i);
        bool same = has_hex(one, "digest", m->digest[i], m->digest_size) &&
                    m->has_rtmr1 == (json_object_get(one, "rtmr1") != NULL) &&
                    m->has_rtmr2 == (json_object_get(one, "rtmr2") != NULL) &&
                    (!m->has_rtmr1 || has_hex(one, "rtmr1", m->rtmr1, sizeof m->rtmr1)) &&
                    (!m->has_rtmr2 || has_hex(one, "rtmr2", m->rtmr2, sizeof m->rtmr2));
        if (!same && !wrong++)
            first = i;
    }
    if (wrong)
        finding(c, CHECK_BAD, "measurement",
                "%zu of %u digests are not those of these files; the first is measurement %zu: "
                "`kbuild measure %s` prints the right one",
                wrong, m->count, first + 1, launch_kind_names[in->kind]);
    else
        finding(c, CHECK_GOOD, "measurement",
                "%s: all %u digests were computed again from the files and are equal",
                launch_kind_names[in->kind], m->count);
    if (!wrong && in->append)
        finding(c, CHECK_STATED, "measurement", "the command line that was measured: %s",
                in->append);
    if (json_object_get(all, "id_block"))
        compare_id_blocks(c, all, m);
}

int check_launch_reference(struct check_run *c, const json_t *reference, struct error **err)
{
    cleanup_measurement struct launch_measurement m = {0};
    struct launch_inputs in = {0};
    struct error *why = NULL;
    if (read_inputs(reference, &in, &why) < 0)
        return finding_of_error(c, "measurement", why, err);
    if (!check_files(c, reference, &in))
        return 0;
    if (launch_measure(&in, &m, &why) < 0)
        return finding_of_error(c, "measurement", why, err);
    bool same = compare_file(c, reference, "firmware", in.firmware, &m.firmware);
    same &= compare_file(c, reference, "kernel", in.kernel, &m.kernel);
    same &= compare_file(c, reference, "initrd", in.initrd, &m.initrd);
    if (same)
        compare_digests(c, reference, &in, &m);
    return 0;
}
