// SPDX-License-Identifier: Apache-2.0
// Writes a launch measurement and its inputs as JSON: the reference values of a guest.
#include "measure/measure.h"

#include "base/file.h"
#include "base/libcrypto.h"

#include <jansson.h>

static json_t *base64_json(const unsigned char *bytes, size_t length)
{
    cleanup_free char *text = xmalloc(4 * ((length + 2) / 3) + 1);
    EVP_EncodeBlock((unsigned char *)text, bytes, (int)length);
    return json_string(text);
}

static json_t *number_json(uint64_t value)
{
    return json_sprintf("0x%llx", (unsigned long long)value);
}

// Names without folders, so that reference values do not depend on the place of the files.
static void set_file_json(json_t *inputs, const char *what, const char *path,
                          const struct launch_file *f)
{
    json_t *value = json_null();
    if (f->given) {
        json_t *name = json_string(path_base(path)); // NULL: it is not UTF-8
        value = json_pack("{s:o, s:I, s:s}", "name", name ? name : json_null(), "size",
                          (json_int_t)f->size, "sha256", f->sha256);
    }
    json_object_set_new(inputs, what, value);
}

static json_t *inputs_json(const struct launch_inputs *in, const struct launch_measurement *m)
{
    json_t *inputs = json_object();
    set_file_json(inputs, "firmware", in->firmware, &m->firmware);
    set_file_json(inputs, "kernel", in->kernel, &m->kernel);
    set_file_json(inputs, "initrd", in->initrd, &m->initrd);
    json_object_set_new(inputs, "append",
                        in->kernel ? json_string(in->append ? in->append : "") : json_null());
    return inputs;
}

static json_t *id_json(const struct id_block_values *id, const struct id_keys *keys)
{
    unsigned char digest[LAUNCH_DIGEST_MAX];
    json_t *o = json_object();
    json_object_set_new(o, "policy", number_json(id->policy));
    json_object_set_new(o, "family_id", hex_json(id->family_id, sizeof id->family_id));
    json_object_set_new(o, "image_id", hex_json(id->image_id, sizeof id->image_id));
    json_object_set_new(o, "guest_svn", json_integer(id->guest_svn));
    json_object_set_new(o, "signed", json_boolean(keys != NULL));
    if (!keys)
        return o;
    id_key_digest(keys, digest);
    json_object_set_new(o, "id_key_digest", hex_json(digest, sizeof digest));
    if (id_author_digest(keys, digest))
        json_object_set_new(o, "author_key_digest", hex_json(digest, sizeof digest));
    return o;
}

static int set_id_block(json_t *measurement, const unsigned char *digest,
                        const struct id_block_values *id, const struct id_keys *keys,
                        struct error **err)
{
    unsigned char block[ID_BLOCK_SIZE], auth[ID_AUTH_SIZE];
    id_block_make(digest, id, block);
    json_object_set_new(measurement, "snp_id_block", base64_json(block, sizeof block));
    if (!keys)
        return 0;
    if (id_auth_make(block, keys, auth, err) < 0)
        return -1;
    json_object_set_new(measurement, "snp_id_auth", base64_json(auth, sizeof auth));
    return 0;
}

static int set_measurements(json_t *all, const struct launch_inputs *in,
                            const struct launch_measurement *m, const struct id_block_values *id,
                            const struct id_keys *keys, struct error **err)
{
    json_t *list = json_array();
    json_object_set_new(all, "measurements", list);
    for (unsigned i = 0; i < m->count; i++) {
        json_t *one = json_object();
        json_array_append_new(list, one);
        if (launch_kind_has_vcpus(in->kind))
            json_object_set_new(one, "vcpus", json_integer(m->first_vcpus + i));
        json_object_set_new(one, "digest", hex_json(m->digest[i], m->digest_size));
        if (m->has_rtmr1)
            json_object_set_new(one, "rtmr1", hex_json(m->rtmr1, sizeof m->rtmr1));
        if (m->has_rtmr2)
            json_object_set_new(one, "rtmr2", hex_json(m->rtmr2, sizeof m->rtmr2));
        if (id && set_id_block(one, m->digest[i], id, keys, err) < 0)
            return -1;
    }
    return 0;
}

static int fill_reference(json_t *all, const struct launch_inputs *in,
                          const struct launch_measurement *m, const struct id_block_values *id,
                          const struct id_keys *keys, struct error **err)
{
    json_object_set_new(all, "kbuild_launch_reference", json_integer(1));
    json_object_set_new(all, "kbuild", json_string(KBUILD_VERSION));
    json_object_set_new(all, "kind", json_string(launch_kind_names[in->kind]));
    if (launch_kind_has_vcpus(in->kind)) {
        json_object_set_new(all, "vmm", json_string(launch_vmm_names[in->vmm]));
        if (in->vmm == VMM_QEMU)
            json_object_set_new(all, "cpu_signature", number_json(in->cpu_signature));
    }
    if (in->kind == LAUNCH_SNP)
        json_object_set_new(all, "guest_features", number_json(in->guest_features));
    if (m->has_rtmr1) {
        json_object_set_new(
            all, "qemu", json_sprintf("%u.%u", in->qemu_version / 1000, in->qemu_version % 1000));
        if (in->memory_mib)
            json_object_set_new(all, "memory_mib", json_integer((json_int_t)in->memory_mib));
    }
    if (in->legacy_vm_type)
        json_object_set_new(all, "legacy_vm_type", json_true());
    if (in->kind == LAUNCH_TDX && in->two_pass)
        json_object_set_new(all, "two_pass", json_true());
    if (m->has_rtmr1 && in->edk2_version)
        json_object_set_new(all, "edk2", json_sprintf("edk2-stable%u", in->edk2_version));
    json_object_set_new(all, "inputs", inputs_json(in, m));
    if (in->append && !json_is_string(json_object_get(json_object_get(all, "inputs"), "append")))
        return error_user(err, "the command line is not in UTF-8, which a JSON file needs");
    if (id)
        json_object_set_new(all, "id_block", id_json(id, keys));
    return set_measurements(all, in, m, id, keys, err);
}

int launch_reference(const struct launch_inputs *in, const struct launch_measurement *m,
                     const struct id_block_values *id, const struct id_keys *keys, struct buf *json,
                     struct error **err)
{
    json_t *all = json_object();
    int result = fill_reference(all, in, m, id, keys, err);
    cleanup_free char *text = result ? NULL : json_dumps(all, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    json_decref(all);
    if (result)
        return -1;
    if (!text)
        out_of_memory();
    buf_printf(json, "%s\n", text);
    return 0;
}
