// SPDX-License-Identifier: Apache-2.0
// Writes and reads seal records as JSON.
#include "se/derive_record.h"

#include "base/user_file.h"

#include <jansson.h>

#define RECORD_VERSION 1
#define RECORD_MAX (1u << 20)

static json_t *hex_json(const void *bytes, size_t length)
{
    cleanup_free char *text = xmalloc(2 * length + 1);
    hex_encode(bytes, length, text);
    return json_string(text);
}

static json_t *number_json(uint64_t value)
{
    return json_sprintf("%016llx", (unsigned long long)value);
}

static json_t *part_json(const struct seal_part *p)
{
    if (!p->present)
        return json_null();
    return json_pack("{s:I, s:o}", "size", (json_int_t)p->size, "sha512",
                     hex_json(p->sha512, sizeof p->sha512));
}

static int hosts_json(const struct seal_inputs *in, json_t *list, struct error **err)
{
    for (size_t i = 0; i < in->host_count; i++) {
        unsigned char hash[32];
        if (EVP_Digest(in->hosts[i], POINT_SIZE, hash, NULL, EVP_sha256(), NULL) != 1)
            return crypto_error(err, "hashing a public key");
        json_array_append_new(list, json_pack("{s:o, s:o}", "hash", hex_json(hash, sizeof hash),
                                              "public_key", hex_json(in->hosts[i], POINT_SIZE)));
    }
    return 0;
}

int seal_record_write(const struct seal_record *r, struct buf *out, struct error **err)
{
    const struct seal_inputs *in = &r->inputs;
    json_t *hosts = json_array(), *given = json_object(), *all = json_object();
    int result = hosts_json(in, hosts, err);
    for (size_t i = 0; i < GIVEN_KEYS; i++)
        json_object_set_new(given, given_key_names[i],
                            in->given[i].given ? hex_json(in->given[i].tag, SEAL_TAG_SIZE)
                                               : json_null());
    json_object_set_new(all, "kbuild_seal_record", json_integer(RECORD_VERSION));
    json_object_set_new(all, "kbuild", json_string(KBUILD_VERSION));
    json_object_set_new(all, "secret_id",
                        r->provable ? hex_json(r->id, sizeof r->id) : json_null());
    for (size_t i = 0; i < SEAL_PARTS; i++)
        json_object_set_new(all, seal_part_names[i], part_json(&in->part[i]));
    json_object_set_new(all, "host_keys", hosts);
    json_object_set_new(all, "pcf", number_json(in->pcf));
    json_object_set_new(all, "scf", number_json(in->scf));
    json_object_set_new(all, "psw_address", number_json(in->psw_address));
    json_object_set_new(all, "given_keys", given);
    json_object_set_new(
        all, "image",
        json_pack("{s:I, s:s}", "size", (json_int_t)r->image_size, "sha256", r->image_sha256));
    cleanup_free char *text = json_dumps(all, JSON_INDENT(2));
    json_decref(all);
    if (!result && !text)
        out_of_memory();
    if (!result)
        buf_printf(out, "%s\n", text);
    return result;
}

// ---- reading: the first thing that is wrong is in *wrong ----

static void take_hex(const json_t *value, void *out, size_t length, const char *what,
                     const char **wrong)
{
    const char *text = json_string_value(value);
    if (!*wrong && (!text || !hex_decode(text, out, length)))
        *wrong = what;
}

static uint64_t take_number(const json_t *all, const char *name, const char **wrong)
{
    unsigned char bytes[8] = {0};
    take_hex(json_object_get(all, name), bytes, sizeof bytes, name, wrong);
    return get_be64(bytes);
}

static uint64_t take_size(const json_t *object, const char *what, const char **wrong)
{
    const json_t *size = json_object_get(object, "size");
    if (!*wrong && (!json_is_integer(size) || json_integer_value(size) < 0))
        *wrong = what;
    return (uint64_t)json_integer_value(size);
}

static void take_parts(const json_t *all, struct seal_inputs *in, const char **wrong)
{
    for (size_t i = 0; i < SEAL_PARTS; i++) {
        const json_t *value = json_object_get(all, seal_part_names[i]);
        bool optional = i == SEAL_COMMAND_LINE || i == SEAL_INITRD;
        if (optional && json_is_null(value))
            continue;
        struct seal_part *p = &in->part[i];
        p->present = true;
        p->size = take_size(value, seal_part_names[i], wrong);
        take_hex(json_object_get(value, "sha512"), p->sha512, sizeof p->sha512, seal_part_names[i],
                 wrong);
    }
}

static void take_hosts(const json_t *all, struct seal_inputs *in, const char **wrong)
{
    const json_t *list = json_object_get(all, "host_keys");
    size_t count = json_array_size(list);
    if (!*wrong && (count == 0 || count > SE_MAX_HOST_KEYS))
        *wrong = "host_keys";
    if (*wrong)
        return;
    in->hosts = xcalloc(count, POINT_SIZE);
    in->host_count = count;
    for (size_t i = 0; i < count; i++)
        take_hex(json_object_get(json_array_get(list, i), "public_key"), in->hosts[i], POINT_SIZE,
                 "host_keys", wrong);
}

static const char *take_record(const json_t *all, struct seal_record *r)
{
    const char *wrong = NULL;
    const json_t *id = json_object_get(all, "secret_id"),
                 *given = json_object_get(all, "given_keys"),
                 *image = json_object_get(all, "image");
    struct seal_inputs *in = &r->inputs;
    r->provable = !json_is_null(id);
    if (r->provable)
        take_hex(id, r->id, sizeof r->id, "secret_id", &wrong);
    take_parts(all, in, &wrong);
    take_hosts(all, in, &wrong);
    in->pcf = take_number(all, "pcf", &wrong);
    in->scf = take_number(all, "scf", &wrong);
    in->psw_address = take_number(all, "psw_address", &wrong);
    for (size_t i = 0; i < GIVEN_KEYS; i++) {
        const json_t *tag = json_object_get(given, given_key_names[i]);
        in->given[i].given = !json_is_null(tag);
        if (in->given[i].given)
            take_hex(tag, in->given[i].tag, SEAL_TAG_SIZE, "given_keys", &wrong);
    }
    r->image_size = take_size(image, "image", &wrong);
    const char *sha256 = json_string_value(json_object_get(image, "sha256"));
    if (!wrong && (!sha256 || !digest_is_hex(sha256)))
        wrong = "image";
    if (!wrong)
        memcpy(r->image_sha256, sha256, DIGEST_HEX_SIZE);
    return wrong;
}

int seal_record_read(const char *path, struct seal_record *out, struct error **err)
{
    cleanup_buf struct buf text = {0};
    if (user_file_read(path, RECORD_MAX, &text, err) < 0)
        return error_wrap(err, "the seal record");
    json_error_t why;
    json_t *all = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, &why);
    struct seal_record r = {0};
    int result = 0;
    if (!all) {
        result = error_user(err, "the seal record %s: line %d: %s", path, why.line, why.text);
    } else if (json_integer_value(json_object_get(all, "kbuild_seal_record")) != RECORD_VERSION) {
        result = error_user(err, "%s: this is no seal record of version %d", path, RECORD_VERSION);
        error_hint(err, "give what `kbuild se seal --seal-record FILE` wrote");
    } else {
        const char *wrong = take_record(all, &r);
        if (wrong)
            result = error_user(err, "the seal record %s: '%s' is missing or wrong", path, wrong);
    }
    json_decref(all);
    if (result < 0)
        seal_record_free(&r);
    else
        *out = r;
    return result;
}

void seal_record_free(struct seal_record *r)
{
    seal_inputs_free(&r->inputs);
}
