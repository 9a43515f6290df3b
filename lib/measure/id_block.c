// SPDX-License-Identifier: Apache-2.0
// Makes the ID block and its authentication for SNP_LAUNCH_FINISH (ABI, section 8.18, tables
// "Structure of the ID Block" and "Structure of the ID Authentication Information"; chapter 10 for
// keys and signatures: numbers little-endian, 72 bytes each).
#include "measure/internal.h"

#include "base/libcrypto.h"
#include "crypto/crypto.h"

#define CURVE "secp384r1"
#define NUMBER 72u // bytes of a coordinate, or of half a signature

enum block_offset {
    BLOCK_DIGEST = 0x00,
    BLOCK_FAMILY = 0x30,
    BLOCK_IMAGE = 0x40,
    BLOCK_VERSION = 0x50,
    BLOCK_SVN = 0x54,
    BLOCK_POLICY = 0x58
};
enum auth_offset {
    AUTH_ID_ALGORITHM = 0x000,
    AUTH_AUTHOR_ALGORITHM = 0x004,
    AUTH_BLOCK_SIGNATURE = 0x040,
    AUTH_ID_KEY = 0x240,
    AUTH_ID_KEY_SIGNATURE = 0x680,
    AUTH_AUTHOR_KEY = 0x880
};
enum key_offset { KEY_CURVE = 0x00, KEY_X = 0x04, KEY_Y = 0x4C };
#define BLOCK_VERSION_1 1u
#define ALGORITHM_P384 1u // ECDSA P-384 with SHA-384
#define CURVE_P384 2u
#define POLICY_ONE ((uint64_t)1 << 17) // must be one (ABI, section 4.3)

struct id_keys {
    EVP_PKEY *id, *author; // author may be NULL
    unsigned char id_public[ID_KEY_SIZE], author_public[ID_KEY_SIZE];
};

// ---- keys ----

static int key_error(struct error **err, const char *path, const char *why)
{
    error_user(err, "reading key %s: %s", path, why);
    return error_hint(err, "make one with `openssl genpkey -algorithm EC -pkeyopt "
                           "ec_paramgen_curve:P-384 -out FILE`");
}

static int check_curve(EVP_PKEY *key, const char *path, struct error **err)
{
    char group[64] = "";
    if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1 ||
        strcmp(group, CURVE) != 0)
        return key_error(
            err, path,
            "it is not a key on the curve P-384, the only one that SNP firmware supports");
    return 0;
}

static EVP_PKEY *load_key(const char *path, struct error **err)
{
    const char *why;
    EVP_PKEY *key = private_key_read(path, &why, err);
    if (why)
        key_error(err, path, why);
    if (key && check_curve(key, path, err) < 0) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

static int put_coordinate(EVP_PKEY *key, const char *which, unsigned char *out)
{
    BIGNUM *n = NULL;
    int good = EVP_PKEY_get_bn_param(key, which, &n) == 1 && BN_bn2lebinpad(n, out, NUMBER) > 0;
    BN_free(n);
    return good ? 0 : -1;
}

static int public_form(EVP_PKEY *key, const char *path, unsigned char out[static ID_KEY_SIZE],
                       struct error **err)
{
    memset(out, 0, ID_KEY_SIZE);
    put_le(out + KEY_CURVE, CURVE_P384, 4);
    if (put_coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X, out + KEY_X) < 0 ||
        put_coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y, out + KEY_Y) < 0)
        return crypto_error(err, "reading key %s", path);
    return 0;
}

struct id_keys *id_keys_load(const char *id_key, const char *author_key, struct error **err)
{
    struct id_keys *k = xcalloc(1, sizeof *k);
    k->id = load_key(id_key, err);
    bool good = k->id && public_form(k->id, id_key, k->id_public, err) == 0;
    if (good && author_key) {
        k->author = load_key(author_key, err);
        good = k->author && public_form(k->author, author_key, k->author_public, err) == 0;
    }
    if (good)
        return k;
    id_keys_free(k);
    return NULL;
}

void id_keys_free(struct id_keys *k)
{
    if (!k)
        return;
    EVP_PKEY_free(k->id);
    EVP_PKEY_free(k->author);
    free(k);
}

static void key_digest(const unsigned char key[static ID_KEY_SIZE], unsigned char *out)
{
    if (EVP_Digest(key, ID_KEY_SIZE, out, NULL, EVP_sha384(), NULL) != 1)
        out_of_memory();
}

void id_key_digest(const struct id_keys *k, unsigned char out[static LAUNCH_DIGEST_MAX])
{
    key_digest(k->id_public, out);
}

bool id_author_digest(const struct id_keys *k, unsigned char out[static LAUNCH_DIGEST_MAX])
{
    if (k->author)
        key_digest(k->author_public, out);
    return k->author;
}

// ---- blocks ----

int id_block_check(const struct id_block_values *v, struct error **err)
{
    if (v->policy & POLICY_ONE)
        return 0;
    error_set(err, ERROR_USAGE,
              "policy 0x%llx: bit 17 must be one, or the firmware refuses the guest",
              (unsigned long long)v->policy);
    return error_hint(err, "0x%x is QEMU's own: threads of one core may be shared, no debugging",
                      SNP_POLICY_DEFAULT);
}

void id_block_make(const unsigned char digest[static LAUNCH_DIGEST_MAX],
                   const struct id_block_values *v, unsigned char out[static ID_BLOCK_SIZE])
{
    memcpy(out + BLOCK_DIGEST, digest, LAUNCH_DIGEST_MAX);
    memcpy(out + BLOCK_FAMILY, v->family_id, sizeof v->family_id);
    memcpy(out + BLOCK_IMAGE, v->image_id, sizeof v->image_id);
    put_le(out + BLOCK_VERSION, BLOCK_VERSION_1, 4);
    put_le(out + BLOCK_SVN, v->guest_svn, 4);
    put_le(out + BLOCK_POLICY, v->policy, 8);
}

// From OpenSSL's form (DER) to the firmware's.
static int put_signature(const unsigned char *der, size_t length, unsigned char *out)
{
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &der, (long)length);
    int good = s && BN_bn2lebinpad(ECDSA_SIG_get0_r(s), out, NUMBER) > 0 &&
               BN_bn2lebinpad(ECDSA_SIG_get0_s(s), out + NUMBER, NUMBER) > 0;
    ECDSA_SIG_free(s);
    return good ? 0 : -1;
}

static int sign_bytes(EVP_PKEY *key, const void *bytes, size_t length, unsigned char *out,
                      struct error **err)
{
    unsigned char der[256];
    size_t der_length = sizeof der;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool good = c && EVP_DigestSignInit(c, NULL, EVP_sha384(), NULL, key) == 1 &&
                EVP_DigestSign(c, der, &der_length, bytes, length) == 1 &&
                put_signature(der, der_length, out) == 0;
    EVP_MD_CTX_free(c);
    return good ? 0 : crypto_error(err, "signing an ID block");
}

int id_auth_make(const unsigned char block[static ID_BLOCK_SIZE], const struct id_keys *k,
                 unsigned char out[static ID_AUTH_SIZE], struct error **err)
{
    memset(out, 0, ID_AUTH_SIZE);
    put_le(out + AUTH_ID_ALGORITHM, ALGORITHM_P384, 4);
    memcpy(out + AUTH_ID_KEY, k->id_public, ID_KEY_SIZE);
    if (sign_bytes(k->id, block, ID_BLOCK_SIZE, out + AUTH_BLOCK_SIGNATURE, err) < 0)
        return -1;
    if (!k->author)
        return 0;
    put_le(out + AUTH_AUTHOR_ALGORITHM, ALGORITHM_P384, 4);
    memcpy(out + AUTH_AUTHOR_KEY, k->author_public, ID_KEY_SIZE);
    return sign_bytes(k->author, k->id_public, ID_KEY_SIZE, out + AUTH_ID_KEY_SIGNATURE, err);
}
