// SPDX-License-Identifier: Apache-2.0
// Derives the secret values of an image from a seal secret and the inputs, and writes and reads
// seal records.
#include "se/derive.h"

#include "base/digest.h"
#include "base/input.h"
#include "se/checks.h"

#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/kdf.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>

// The versions in these labels are of the whole construction: raise both when any part changes, so
// that no value is derived in two ways from one secret.
static const char salt[] = "kbuild seal secret 1";
static const char purpose[] = "kbuild seal 1";

#define SCALAR_SIZE (66u + 16u) // 128 bits more than the order of P-521: negligible bias
#define INFO_MAX 192u

static int hkdf(int mode, const unsigned char *key, size_t key_length, const void *bytes,
                size_t length, unsigned char *out, size_t out_length, struct error **err)
{
    char sha512[] = "SHA512";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, sha512, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key, key_length),
        OSSL_PARAM_construct_octet_string(
            mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY ? OSSL_KDF_PARAM_SALT : OSSL_KDF_PARAM_INFO,
            (void *)(uintptr_t)bytes, length),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    bool good = context && EVP_KDF_derive(context, out, out_length, params) == 1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return good ? 0 : crypto_error(err, "deriving with HKDF-SHA-512");
}

int sealer_begin(const unsigned char *secret, size_t length, struct sealer *out, struct error **err)
{
    if (length < SE_SECRET_MIN)
        return error_user(err, "the seal secret has %zu bytes; it must have %u or more", length,
                          SE_SECRET_MIN);
    return hkdf(EVP_KDF_HKDF_MODE_EXTRACT_ONLY, secret, length, salt, sizeof salt - 1, out->prk,
                sizeof out->prk, err);
}

void sealer_wipe(struct sealer *s)
{
    OPENSSL_cleanse(s, sizeof *s);
}

// One value: info is purpose 00 label 00 data.
static int expand(const struct sealer *s, const char *label, const unsigned char *data,
                  size_t data_length, void *out, size_t length, struct error **err)
{
    unsigned char info[INFO_MAX];
    size_t label_length = strlen(label) + 1, n = sizeof purpose + label_length + data_length;
    if (n > sizeof info)
        return error_user(err, "deriving a value: its label is too long");
    memcpy(info, purpose, sizeof purpose);
    memcpy(info + sizeof purpose, label, label_length);
    if (data_length)
        memcpy(info + sizeof purpose + label_length, data, data_length);
    int result =
        hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, s->prk, sizeof s->prk, info, n, out, length, err);
    OPENSSL_cleanse(info, sizeof info);
    return result;
}

int sealer_id(const struct sealer *s, unsigned char id[static SEAL_ID_SIZE], struct error **err)
{
    return expand(s, "secret id", NULL, 0, id, SEAL_ID_SIZE, err);
}

int se_secret_id(const struct secret_memory *s, char id[static 65], struct error **err)
{
    cleanup_sealer struct sealer sealer = {{0}};
    unsigned char bytes[SEAL_ID_SIZE];
    if (sealer_begin(s->bytes, s->length, &sealer, err) < 0 || sealer_id(&sealer, bytes, err) < 0)
        return -1;
    hex_encode(bytes, sizeof bytes, id);
    return 0;
}

int sealer_tag_keys(const struct sealer *s, const struct se_keys *keys, struct seal_inputs *in,
                    struct error **err)
{
    const struct {
        const char *label;
        const unsigned char *bytes;
        size_t length;
    } all[GIVEN_KEYS] = {
        [GIVEN_HEADER_KEY] = {"given header key", keys->header_key, 32},
        [GIVEN_CCK] = {"given cck", keys->cck, 32},
        [GIVEN_COMPONENT_KEY] = {"given component key", keys->xts_key, 64},
    };
    for (size_t i = 0; i < GIVEN_KEYS; i++) {
        in->given[i].given = all[i].bytes != NULL;
        if (all[i].bytes && expand(s, all[i].label, all[i].bytes, all[i].length, in->given[i].tag,
                                   SEAL_TAG_SIZE, err) < 0)
            return -1;
    }
    return 0;
}

// A private key from a number below 2^656: that, modulo n - 1, plus 1.
static EVP_PKEY *p521_from_bytes(const unsigned char *bytes, size_t length, struct error **err)
{
    unsigned char point[133]; // 04, x, y
    char curve[] = "secp521r1";
    EVP_PKEY *key = NULL;
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_secp521r1);
    BN_CTX *context = BN_CTX_secure_new();
    BIGNUM *d = BN_secure_new(), *order = BN_new();
    EC_POINT *q = group ? EC_POINT_new(group) : NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    bool good = group && context && d && order && q && builder && maker &&
                BN_bin2bn(bytes, (int)length, d) &&
                EC_GROUP_get_order(group, order, context) == 1 && BN_sub_word(order, 1) == 1;
    if (good) {
        BN_set_flags(d, BN_FLG_CONSTTIME);
        good =
            BN_mod(d, d, order, context) == 1 && BN_add_word(d, 1) == 1 &&
            EC_POINT_mul(group, q, d, NULL, NULL, context) == 1 &&
            EC_POINT_point2oct(group, q, POINT_CONVERSION_UNCOMPRESSED, point, sizeof point,
                               context) == sizeof point &&
            OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0) == 1 &&
            OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, d) == 1 &&
            OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point,
                                             sizeof point) == 1 &&
            (params = OSSL_PARAM_BLD_to_param(builder)) && EVP_PKEY_fromdata_init(maker) == 1 &&
            EVP_PKEY_fromdata(maker, &key, EVP_PKEY_KEYPAIR, params) == 1;
    }
    if (!good)
        crypto_error(err, "deriving a P-521 key");
    EVP_PKEY_CTX_free(maker);
    OSSL_PARAM_free(params); // in secure memory, as `d` is
    OSSL_PARAM_BLD_free(builder);
    EC_POINT_free(q);
    BN_free(order);
    BN_clear_free(d);
    BN_CTX_free(context);
    EC_GROUP_free(group);
    return good ? key : NULL;
}

static int derive_customer(const struct sealer *s, const unsigned char digest[static 64],
                           EVP_PKEY **out, struct error **err)
{
    unsigned char scalar[SCALAR_SIZE];
    int result = expand(s, "customer key", digest, 64, scalar, sizeof scalar, err);
    if (!result) {
        *out = p521_from_bytes(scalar, sizeof scalar, err);
        result = *out ? 0 : -1;
    }
    OPENSSL_cleanse(scalar, sizeof scalar);
    return result;
}

int secrets_derive(const struct sealer *s, const struct seal_inputs *in, const struct se_keys *keys,
                   struct secrets *out, struct error **err)
{
    cleanup_buf struct buf text = {0};
    seal_inputs_text(in, &text);
    unsigned char t[64];
    if (EVP_Digest(text.data, text.len, t, NULL, EVP_sha512(), NULL) != 1)
        return crypto_error(err, "computing SHA-512");
    const struct {
        const char *label;
        void *to;
        const unsigned char *given;
        size_t length;
    } values[] = {
        {"header key", out->header_key, keys->header_key, sizeof out->header_key},
        {"header iv", out->header_iv, NULL, sizeof out->header_iv},
        {"cck", out->cck, keys->cck, sizeof out->cck},
        {"component key", out->xts_key, keys->xts_key, sizeof out->xts_key},
        {"tweak kernel", out->tweaks[PART_KERNEL], NULL, sizeof out->tweaks[0]},
        {"tweak command line", out->tweaks[PART_COMMAND_LINE], NULL, sizeof out->tweaks[0]},
        {"tweak initrd", out->tweaks[PART_INITRD], NULL, sizeof out->tweaks[0]},
        {"tweak stage3b", out->tweaks[PART_STAGE3B], NULL, sizeof out->tweaks[0]},
    };
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        if (values[i].given)
            memcpy(values[i].to, values[i].given, values[i].length);
        else if (expand(s, values[i].label, t, sizeof t, values[i].to, values[i].length, err) < 0)
            return -1;
    }
    return derive_customer(s, t, &out->customer, err);
}

// ---- derive inputs ----
// The inputs of an image, as the text that its secret values are derived from.

#define READ_RUN (128u << 10)

const char *const seal_part_names[SEAL_PARTS] = {
    [SEAL_KERNEL] = "kernel",   [SEAL_COMMAND_LINE] = "command-line", [SEAL_INITRD] = "initrd",
    [SEAL_STAGE3A] = "stage3a", [SEAL_STAGE3B] = "stage3b",
};
const char *const given_key_names[GIVEN_KEYS] = {
    [GIVEN_HEADER_KEY] = "header-key",
    [GIVEN_CCK] = "cck",
    [GIVEN_COMPONENT_KEY] = "component-key",
};

int seal_part_of_file(int fd, const char *name, uint64_t size, struct seal_part *out,
                      struct error **err)
{
    cleanup_free unsigned char *bytes = xmalloc(READ_RUN);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestInit_ex(context, EVP_sha512(), NULL) == 1;
    int result = 0;
    for (uint64_t done = 0; good && !result && done < size;) {
        size_t n = size - done < READ_RUN ? (size_t)(size - done) : READ_RUN;
        result = read_at(fd, name, done, bytes, n, err);
        good = result || EVP_DigestUpdate(context, bytes, n) == 1;
        done += n;
    }
    if (good && !result)
        good = EVP_DigestFinal_ex(context, out->sha512, NULL) == 1;
    EVP_MD_CTX_free(context);
    if (!good)
        return crypto_error(err, "computing SHA-512");
    out->present = true;
    out->size = size;
    return result;
}

int seal_part_of_bytes(const void *bytes, size_t length, struct seal_part *out, struct error **err)
{
    if (EVP_Digest(bytes, length, out->sha512, NULL, EVP_sha512(), NULL) != 1)
        return crypto_error(err, "computing SHA-512");
    out->present = true;
    out->size = length;
    return 0;
}

void seal_inputs_text(const struct seal_inputs *in, struct buf *out)
{
    char hex[2 * POINT_SIZE + 1];
    buf_puts(out, "kbuild seal inputs 1\n");
    for (size_t i = 0; i < SEAL_PARTS; i++) {
        const struct seal_part *p = &in->part[i];
        hex_encode(p->sha512, sizeof p->sha512, hex);
        if (p->present)
            buf_printf(out, "%s %llu %s\n", seal_part_names[i], (unsigned long long)p->size, hex);
        else
            buf_printf(out, "%s absent\n", seal_part_names[i]);
    }
    buf_printf(out, "host-keys %zu\n", in->host_count);
    for (size_t i = 0; i < in->host_count; i++) {
        hex_encode(in->hosts[i], POINT_SIZE, hex);
        buf_printf(out, "host-key %s\n", hex);
    }
    buf_printf(out, "pcf %016llx\nscf %016llx\npsw-address %016llx\n", (unsigned long long)in->pcf,
               (unsigned long long)in->scf, (unsigned long long)in->psw_address);
    for (size_t i = 0; i < GIVEN_KEYS; i++) {
        hex_encode(in->given[i].tag, SEAL_TAG_SIZE, hex);
        buf_printf(out, "%s %s\n", given_key_names[i], in->given[i].given ? hex : "derived");
    }
}

void seal_inputs_free(struct seal_inputs *in)
{
    free(in->hosts);
    *in = (struct seal_inputs){0};
}

// ---- derive record ----
// Writes and reads seal records as JSON.

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

// ---- reading: *wrong gets the first fault ----

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
