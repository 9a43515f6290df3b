// SPDX-License-Identifier: Apache-2.0
// Derives the secret values of an image from a seal secret and from what the image is made of.
#include "se/derive.h"

#include "base/digest.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/kdf.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>

// The versions in these labels stand for the construction as a whole: raise both when any of it
// changes, so that no value is derived in two ways from one secret.
static const char salt[] = "kbuild seal secret 1";
static const char purpose[] = "kbuild seal 1";

#define SCALAR_SIZE (66u + 16u) // 128 bits more than the order of P-521 has: no bias to speak of
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
