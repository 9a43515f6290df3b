// SPDX-License-Identifier: Apache-2.0
// Key agreement, key wrapping and encryption of an image; reads private keys in PEM form.
#include "crypto/crypto.h"

#include "base/input.h"
#include "base/libcrypto.h"
#include "base/memory.h"

#define COORDINATE_SIZE 80
#define FIELD_SIZE 66 // bytes of a P-521 coordinate
#define CURVE "secp521r1"

int crypto_error(struct error **err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *what = xvasprintf(format, args);
    va_end(args);
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return error_user(err, "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
}

int random_secret(void *out, size_t length, struct error **err)
{
    secrets_guard();
    if (RAND_priv_bytes(out, (int)length) != 1)
        return crypto_error(err, "drawing random bytes");
    return 0;
}

EVP_PKEY *p521_generate(struct error **err)
{
    secrets_guard();
    EVP_PKEY *key = EVP_EC_gen(CURVE);
    if (!key)
        crypto_error(err, "making a P-521 key");
    return key;
}

char *p521_fault(EVP_PKEY *key)
{
    const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;
    if (!key || !EVP_PKEY_is_a(key, "EC"))
        return xasprintf("its key is of type %s, not EC on P-521", type ? type : "unknown");
    char group[64] = "";
    if (EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1 || strcmp(group, CURVE) != 0)
        return xasprintf("its key is on the curve %s, not on P-521", *group ? group : "unknown");
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    int valid = context ? EVP_PKEY_public_check(context) : 0;
    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
    return valid == 1 ? NULL : xstrdup("its public key is not a valid point of P-521");
}

int point_encode(EVP_PKEY *key, unsigned char out[static POINT_SIZE], struct error **err)
{
    BIGNUM *x = NULL, *y = NULL;
    bool good = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x) == 1 &&
                EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y) == 1 &&
                BN_bn2binpad(x, out, COORDINATE_SIZE) == COORDINATE_SIZE &&
                BN_bn2binpad(y, out + COORDINATE_SIZE, COORDINATE_SIZE) == COORDINATE_SIZE;
    BN_free(x);
    BN_free(y);
    return good ? 0 : crypto_error(err, "reading the coordinates of a public key");
}

EVP_PKEY *point_decode(const unsigned char in[static POINT_SIZE], struct error **err)
{
    const size_t pad = COORDINATE_SIZE - FIELD_SIZE;
    unsigned char point[1 + 2 * FIELD_SIZE] = {POINT_CONVERSION_UNCOMPRESSED};
    memcpy(point + 1, in + pad, FIELD_SIZE);
    memcpy(point + 1 + FIELD_SIZE, in + COORDINATE_SIZE + pad, FIELD_SIZE);
    char curve[] = CURVE;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_end(),
    };
    for (size_t i = 0; i < pad; i++)
        if (in[i] || in[COORDINATE_SIZE + i]) {
            error_user(err, "it is not a point of P-521: a coordinate has more than 66 bytes");
            return NULL;
        }
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        crypto_error(err, "it is not a point of P-521");
        key = NULL;
    }
    EVP_PKEY_CTX_free(context);
    return key;
}

int point_hash(EVP_PKEY *key, unsigned char out[static 32], struct error **err)
{
    unsigned char point[POINT_SIZE];
    if (point_encode(key, point, err) < 0)
        return -1;
    if (EVP_Digest(point, sizeof point, out, NULL, EVP_sha256(), NULL) != 1)
        return crypto_error(err, "hashing a public key");
    return 0;
}

int derive_kek(EVP_PKEY *own, EVP_PKEY *peer, unsigned char kek[static 32], struct error **err)
{
    // Z keeps its leading zeros: OpenSSL gives as many bytes as the field has. The counter of the
    // key derivation follows it.
    unsigned char z[FIELD_SIZE + 4];
    size_t length = FIELD_SIZE;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
    bool good = context && EVP_PKEY_derive_init(context) == 1 &&
                EVP_PKEY_derive_set_peer(context, peer) == 1 &&
                EVP_PKEY_derive(context, z, &length) == 1 && length == FIELD_SIZE;
    EVP_PKEY_CTX_free(context);
    if (good) {
        put_be32(z + FIELD_SIZE, 1);
        good = EVP_Digest(z, sizeof z, kek, NULL, EVP_sha256(), NULL) == 1;
    }
    OPENSSL_cleanse(z, sizeof z);
    return good ? 0 : crypto_error(err, "computing a shared key with a host key");
}

int gcm_encrypt(const struct gcm *g, const unsigned char *plain, size_t length, unsigned char *out,
                unsigned char tag[static TAG_SIZE], struct error **err)
{
    cleanup_cipher EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n;
    if (!c || EVP_EncryptInit_ex2(c, EVP_aes_256_gcm(), g->key, g->iv, NULL) != 1 ||
        (g->aad && EVP_EncryptUpdate(c, NULL, &n, g->aad, (int)g->aad_length) != 1) ||
        EVP_EncryptUpdate(c, out, &n, plain, (int)length) != 1 ||
        EVP_EncryptFinal_ex(c, out + n, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, tag) != 1)
        return crypto_error(err, "encrypting with AES-GCM");
    return 0;
}

int gcm_decrypt(const struct gcm *g, const unsigned char *cipher, size_t length, unsigned char *out,
                const unsigned char tag[static TAG_SIZE], struct error **err)
{
    cleanup_cipher EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n;
    unsigned char expected[TAG_SIZE]; // the interface takes a pointer to non-const
    memcpy(expected, tag, TAG_SIZE);
    if (!c || EVP_DecryptInit_ex2(c, EVP_aes_256_gcm(), g->key, g->iv, NULL) != 1 ||
        (g->aad && EVP_DecryptUpdate(c, NULL, &n, g->aad, (int)g->aad_length) != 1) ||
        EVP_DecryptUpdate(c, out, &n, cipher, (int)length) != 1 ||
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, expected) != 1)
        return crypto_error(err, "decrypting with AES-GCM");
    if (EVP_DecryptFinal_ex(c, out + n, &n) == 1)
        return 1;
    ERR_clear_error();
    OPENSSL_cleanse(out, length);
    return 0;
}

// The IV of a slot is all zeros: its key is used for nothing else.
static const unsigned char slot_iv[12];

int slot_wrap(EVP_PKEY *customer, EVP_PKEY *host, const unsigned char header_key[static 32],
              unsigned char slot[static SLOT_SIZE], struct error **err)
{
    unsigned char kek[32];
    if (point_hash(host, slot + SLOT_HASH, err) < 0 || derive_kek(customer, host, kek, err) < 0)
        return -1;
    struct gcm g = {.key = kek, .iv = slot_iv};
    int result = gcm_encrypt(&g, header_key, 32, slot + SLOT_WRAPPED, slot + SLOT_TAG, err);
    OPENSSL_cleanse(kek, sizeof kek);
    return result;
}

int slot_unwrap(EVP_PKEY *host, EVP_PKEY *customer, const unsigned char slot[static SLOT_SIZE],
                unsigned char header_key[static 32], struct error **err)
{
    unsigned char kek[32];
    if (derive_kek(host, customer, kek, err) < 0)
        return -1;
    struct gcm g = {.key = kek, .iv = slot_iv};
    int result = gcm_decrypt(&g, slot + SLOT_WRAPPED, 32, header_key, slot + SLOT_TAG, err);
    OPENSSL_cleanse(kek, sizeof kek);
    return result;
}

EVP_CIPHER_CTX *xts_new(const unsigned char key[static 64], bool encrypt, struct error **err)
{
    // OpenSSL refuses this only when it encrypts; an image made elsewhere must not pass either.
    if (CRYPTO_memcmp(key, key + 32, 32) == 0) {
        error_user(err, "the two halves of the component key are equal");
        return NULL;
    }
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (c && EVP_CipherInit_ex2(c, EVP_aes_256_xts(), key, NULL, encrypt, NULL) == 1)
        return c;
    crypto_error(err, "setting up AES-XTS");
    EVP_CIPHER_CTX_free(c);
    return NULL;
}

int xts_pages(EVP_CIPHER_CTX *xts, const unsigned char prefix[static 8], uint64_t offset,
              unsigned char *pages, size_t length, struct error **err)
{
    for (size_t i = 0; i < length; i += XTS_PAGE) {
        unsigned char tweak[16];
        int n;
        page_tweak(prefix, offset + i, tweak);
        if (EVP_CipherInit_ex2(xts, NULL, NULL, tweak, -1, NULL) != 1 ||
            EVP_CipherUpdate(xts, pages + i, &n, pages + i, XTS_PAGE) != 1)
            return crypto_error(err, "running AES-XTS");
    }
    return 0;
}

// ---- private keys ----

#define KEY_FILE_MAX (64u << 10)

static int refuse_passphrase(char *buffer, int size, int writing, void *locked)
{
    (void)buffer, (void)size, (void)writing;
    *(bool *)locked = true;
    return -1;
}

EVP_PKEY *private_key_parse(const void *pem, size_t length, bool *locked)
{
    *locked = false;
    BIO *bio = BIO_new_mem_buf(length ? pem : "", (int)length);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, locked) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return key;
}

static int check_key_file_mode(const struct stat *st, const char *path, struct error **err)
{
    if (!S_ISREG(st->st_mode) || !(st->st_mode & (S_IROTH | S_IWOTH)))
        return 0;
    error_user(err, "the key %s can be %s by everybody", path,
               st->st_mode & S_IROTH ? "read" : "written");
    return error_hint(err, "chmod 600 %s; if others may have seen it, make a new one", path);
}

EVP_PKEY *private_key_read(const char *path, const char **why, struct error **err)
{
    cleanup_secret_memory struct secret_memory pem = {0};
    struct stat st;
    bool locked;
    *why = NULL;
    if (secret_memory_read(path, KEY_FILE_MAX, &pem, &st, err) < 0 ||
        check_key_file_mode(&st, path, err) < 0)
        return NULL;
    EVP_PKEY *key = private_key_parse(pem.bytes, pem.length, &locked);
    if (!key)
        *why = locked ? "a passphrase protects it" : "there is no private key in PEM form";
    return key;
}
