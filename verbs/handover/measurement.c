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

// ---- every field ----
// The file is written again from the given files, and compared field by field, so that it does not
// choose what is checked: what it leaves out is missing, and what it adds is said.

struct field_differences {
    struct strlist wrong, missing, unknown; // "measurements[2].digest"
};

// Which the file alone knows: names of files, and what was signed with a key.
static bool is_unknowable(const char *path)
{
    static const char *const all[] = {"kbuild",
                                      "inputs.firmware.name",
                                      "inputs.kernel.name",
                                      "inputs.initrd.name",
                                      "id_block.signed",
                                      "id_block.id_key_digest",
                                      "id_block.author_key_digest"};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (!strcmp(path, all[i]))
            return true;
    return starts_with(path, "measurements[") && ends_with(path, "].snp_id_auth");
}

static void compare_values(const json_t *file, const json_t *computed, const char *path,
                           struct field_differences *out);

static char *member_path(const char *path, const char *key)
{
    return *path ? xasprintf("%s.%s", path, key) : xstrdup(key);
}

static void compare_objects(const json_t *file, const json_t *computed, const char *path,
                            struct field_differences *out)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)computed, key, value)
    {
        cleanup_free char *own = member_path(path, key);
        const json_t *is = json_object_get(file, key);
        if (is)
            compare_values(is, value, own, out);
        else if (!is_unknowable(own))
            strlist_add(&out->missing, own);
    }
    json_object_foreach((json_t *)file, key, value)
    {
        cleanup_free char *own = member_path(path, key);
        if (!json_object_get(computed, key) && !is_unknowable(own))
            strlist_add(&out->unknown, own);
    }
}

static void compare_values(const json_t *file, const json_t *computed, const char *path,
                           struct field_differences *out)
{
    if (json_is_object(file) && json_is_object(computed)) {
        compare_objects(file, computed, path, out);
    } else if (json_is_array(file) && json_is_array(computed) &&
               json_array_size(file) == json_array_size(computed)) {
        for (size_t i = 0; i < json_array_size(file); i++) {
            cleanup_free char *own = xasprintf("%s[%zu]", path, i);
            compare_values(json_array_get(file, i), json_array_get(computed, i), own, out);
        }
    } else if (!json_equal(file, computed) && !is_unknowable(path)) {
        strlist_add(&out->wrong, path);
    }
}

static void differences_free(struct field_differences *d)
{
    strlist_free(&d->wrong);
    strlist_free(&d->missing);
    strlist_free(&d->unknown);
}

static bool read_id_values(const json_t *all, struct id_block_values *id)
{
    const json_t *o = json_object_get(all, "id_block");
    json_int_t svn = json_integer_value(json_object_get(o, "guest_svn"));
    id->guest_svn = (uint32_t)svn;
    return json_is_integer(json_object_get(o, "guest_svn")) && svn >= 0 && svn <= UINT32_MAX &&
           read_number(o, "policy", &id->policy) &&
           hex_decode(provenance_at(o, "family_id"), id->family_id, sizeof id->family_id) &&
           hex_decode(provenance_at(o, "image_id"), id->image_id, sizeof id->image_id);
}

static size_t count_with(const json_t *all, const char *key)
{
    const json_t *list = json_object_get(all, "measurements");
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(list); i++)
        n += json_object_get(json_array_get(list, i), key) != NULL;
    return n;
}

static bool has_id_blocks(const json_t *all)
{
    return json_object_get(all, "id_block") || count_with(all, "snp_id_block") ||
           count_with(all, "snp_id_auth");
}

// Whether the file says of all that they are signed, or of none.
static void check_signed(struct check_run *c, const json_t *all)
{
    const json_t *o = json_object_get(all, "id_block");
    const size_t n = count_with(all, "snp_id_auth");
    const bool is_signed = json_is_true(json_object_get(o, "signed"));
    const bool keys =
        json_object_get(o, "id_key_digest") || json_object_get(o, "author_key_digest");
    if (!json_is_boolean(json_object_get(o, "signed")) || (is_signed ? !n : n || keys) ||
        (n && n != json_array_size(json_object_get(all, "measurements"))))
        finding(c, CHECK_BAD, "ID blocks",
                "\"signed\" says something else than the blocks: %zu of them have a signature", n);
    if (n || is_signed || keys)
        finding(c, CHECK_SKIPPED, "ID blocks",
                "their signatures (snp_id_auth), and the digests of the keys: the attestation "
                "report of a guest names the key");
}

// What the firmware of the processor compares at launch. Their bytes are among the fields.
static void check_id_blocks(struct check_run *c, const json_t *all, bool stated, bool good)
{
    if (!stated)
        finding(c, CHECK_BAD, "ID blocks",
                "the file has some, but does not state their policy and ids (id_block) as kbuild "
                "writes them: what they should be is not known");
    else if (good)
        finding(c, CHECK_GOOD, "ID blocks",
                "each has its digest, and the policy and ids that the file states");
    else
        finding(c, CHECK_BAD, "ID blocks",
                "one has another digest, policy or id than the file states");
    check_signed(c, all);
}

// Takes the fields of ID blocks out: they have findings of their own.
static bool take_id_fields(struct strlist *fields)
{
    size_t kept = 0, n = fields->n;
    for (size_t i = 0; i < n; i++) {
        char *path = fields->items[i];
        if (starts_with(path, "id_block") || ends_with(path, "].snp_id_block"))
            free(path);
        else
            fields->items[kept++] = path;
    }
    fields->n = kept;
    return kept != n;
}

static bool is_digest(const char *path)
{
    return ends_with(path, "].digest") || ends_with(path, "].rtmr1") || ends_with(path, "].rtmr2");
}

static size_t count_digests(const struct strlist *fields)
{
    size_t n = 0;
    for (size_t i = 0; i < fields->n; i++)
        n += is_digest(fields->items[i]);
    return n;
}

static void report_fields(struct check_run *c, const struct launch_inputs *in,
                          const struct launch_measurement *m, struct field_differences *d)
{
    const size_t digests = count_digests(&d->wrong) + count_digests(&d->missing);
    cleanup_free char *wrong = strlist_join(&d->wrong, ", ");
    cleanup_free char *missing = strlist_join(&d->missing, ", ");
    cleanup_free char *unknown = strlist_join(&d->unknown, ", ");
    if (digests)
        finding(c, CHECK_BAD, "measurement",
                "%zu of %u digests are not those of these files: `kbuild measure %s` prints the "
                "right ones",
                digests, m->count, launch_kind_names[in->kind]);
    if (d->wrong.n)
        finding(c, CHECK_BAD, "measurement", "not what these files give: %s", wrong);
    if (d->missing.n)
        finding(c, CHECK_BAD, "measurement", "missing in the file: %s", missing);
    if (!d->wrong.n && !d->missing.n)
        finding(c, CHECK_GOOD, "measurement",
                "%s: all %u digests were computed again from the files and are equal",
                launch_kind_names[in->kind], m->count);
    if (d->unknown.n)
        finding(c, CHECK_SKIPPED, "measurement",
                "what kbuild does not write there, and nothing is known of: %s", unknown);
}

static int compare_all(struct check_run *c, const json_t *all, const struct launch_inputs *in,
                       const struct launch_measurement *m, struct error **err)
{
    struct id_block_values id = {0};
    struct field_differences d = {0};
    cleanup_buf struct buf text = {0};
    const bool blocks = has_id_blocks(all);
    const bool stated = in->kind == LAUNCH_SNP && read_id_values(all, &id);
    if (launch_reference(in, m, blocks && stated ? &id : NULL, NULL, &text, err) < 0)
        return -1;
    json_auto_t *computed = json_loadb(text.data, text.len, 0, NULL);
    compare_objects(all, computed, "", &d);
    bool bad_ids = take_id_fields(&d.wrong);
    bad_ids |= take_id_fields(&d.missing);
    const bool unknown_ids = take_id_fields(&d.unknown);
    report_fields(c, in, m, &d);
    if (!d.wrong.n && !d.missing.n && in->append)
        finding(c, CHECK_STATED, "measurement", "the command line that was measured: %s",
                in->append);
    if (blocks)
        check_id_blocks(c, all, stated, !bad_ids && !unknown_ids);
    differences_free(&d);
    return 0;
}

int check_launch_reference(struct check_run *c, const json_t *reference, struct error **err)
{
    cleanup_measurement struct launch_measurement m = {0};
    struct launch_inputs in = {0};
    struct error *why = NULL;
    if (read_inputs(reference, &in, &why) < 0)
        return finding_of_error(c, "measurement", why, err);
    if (!check_files(c, reference, &in)) {
        if (has_id_blocks(reference))
            finding(c, CHECK_SKIPPED, "ID blocks",
                    "they are of digests that were not computed again");
        return 0;
    }
    if (launch_measure(&in, &m, &why) < 0)
        return finding_of_error(c, "measurement", why, err);
    bool same = compare_file(c, reference, "firmware", in.firmware, &m.firmware);
    same &= compare_file(c, reference, "kernel", in.kernel, &m.kernel);
    same &= compare_file(c, reference, "initrd", in.initrd, &m.initrd);
    if (same && compare_all(c, reference, &in, &m, &why) < 0)
        return finding_of_error(c, "measurement", why, err);
    return 0;
}
