// SPDX-License-Identifier: Apache-2.0
// The secret values of an image: draws them at random, or derives them from a seal secret; reads
// seal secrets, and refuses those that others can read or guess.
#include "se/internal.h"

#include "base/error.h"
#include "base/libcrypto.h"

#include <math.h>
#include <sys/stat.h>
#include <zlib.h>

// ---- drawn values ----

// Copies a given value, or draws one at random.
static int set_value(void *out, const void *given, size_t length, struct error **err)
{
    if (!given)
        return random_secret(out, length, err);
    memcpy(out, given, length);
    return 0;
}

int secrets_draw(struct secrets *s, const struct se_keys *keys, const struct se_fixed *fixed,
                 struct error **err)
{
    static const struct se_fixed nothing;
    const struct se_fixed *f = fixed ? fixed : &nothing;
    if (set_value(s->xts_key, keys->xts_key, sizeof s->xts_key, err) < 0 ||
        set_value(s->cck, keys->cck, sizeof s->cck, err) < 0 ||
        set_value(s->header_key, keys->header_key, sizeof s->header_key, err) < 0 ||
        set_value(s->header_iv, f->header_iv, sizeof s->header_iv, err) < 0 ||
        set_value(s->tweaks, f->tweaks, sizeof s->tweaks, err) < 0)
        return -1;
    s->customer = f->customer_key;
    if (s->customer && EVP_PKEY_up_ref(s->customer) != 1) {
        s->customer = NULL;
        return crypto_error(err, "using the given customer key");
    }
    if (!s->customer)
        s->customer = p521_generate(err);
    return s->customer ? 0 : -1;
}

void secrets_wipe(struct secrets *s)
{
    EVP_PKEY_free(s->customer); // OpenSSL wipes its private part
    OPENSSL_cleanse(s, sizeof *s);
}

// ---- derived values ----

// The versions in these labels are of the whole construction: raise both when any part changes, so
// that no value is derived in two ways from one secret.
static const char salt[] = "kbuild seal secret 1";
static const char purpose[] = "kbuild seal 1";

#define SCALAR_SIZE (66u + 16u) // 128 bits more than the order of P-521: negligible bias
#define INFO_MAX 192u

static int run_hkdf(int mode, const unsigned char *key, size_t key_length, const void *bytes,
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

int seal_kdf_begin(const unsigned char *secret, size_t length, struct seal_kdf *out,
                   struct error **err)
{
    if (length < SE_SECRET_MIN)
        return error_user(err, "the seal secret has %zu bytes; it must have %u or more", length,
                          SE_SECRET_MIN);
    return run_hkdf(EVP_KDF_HKDF_MODE_EXTRACT_ONLY, secret, length, salt, sizeof salt - 1, out->prk,
                    sizeof out->prk, err);
}

void seal_kdf_wipe(struct seal_kdf *s)
{
    OPENSSL_cleanse(s, sizeof *s);
}

// One value: info is purpose 00 label 00 data.
static int derive_value(const struct seal_kdf *s, const char *label, const unsigned char *data,
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
        run_hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, s->prk, sizeof s->prk, info, n, out, length, err);
    OPENSSL_cleanse(info, sizeof info);
    return result;
}

int seal_kdf_id(const struct seal_kdf *s, unsigned char id[static SEAL_ID_SIZE], struct error **err)
{
    return derive_value(s, "secret id", NULL, 0, id, SEAL_ID_SIZE, err);
}

int se_secret_id(const struct secret_memory *s, char id[static 65], struct error **err)
{
    cleanup_seal_kdf struct seal_kdf kdf = {{0}};
    unsigned char bytes[SEAL_ID_SIZE];
    if (seal_kdf_begin(s->bytes, s->length, &kdf, err) < 0 || seal_kdf_id(&kdf, bytes, err) < 0)
        return -1;
    hex_encode(bytes, sizeof bytes, id);
    return 0;
}

int seal_kdf_tag_keys(const struct seal_kdf *s, const struct se_keys *keys, struct seal_inputs *in,
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
        if (all[i].bytes && derive_value(s, all[i].label, all[i].bytes, all[i].length,
                                         in->given[i].tag, SEAL_TAG_SIZE, err) < 0)
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

static int derive_customer(const struct seal_kdf *s, const unsigned char digest[static 64],
                           EVP_PKEY **out, struct error **err)
{
    unsigned char scalar[SCALAR_SIZE];
    int result = derive_value(s, "customer key", digest, 64, scalar, sizeof scalar, err);
    if (!result) {
        *out = p521_from_bytes(scalar, sizeof scalar, err);
        result = *out ? 0 : -1;
    }
    OPENSSL_cleanse(scalar, sizeof scalar);
    return result;
}

int secrets_derive(const struct seal_kdf *s, const struct seal_inputs *in,
                   const struct se_keys *keys, struct secrets *out, struct error **err)
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
        else if (derive_value(s, values[i].label, t, sizeof t, values[i].to, values[i].length,
                              err) < 0)
            return -1;
    }
    return derive_customer(s, t, &out->customer, err);
}

// ---- the file of a seal secret ----

#define SECRET_FILE_MAX (64u << 10)

static const char secret_hint[] =
    "make one from random bytes: (umask 077; head -c 64 /dev/urandom >FILE)";

static int check_secret_access(const char *path, const struct stat *st, struct error **err)
{
    if (st->st_uid != geteuid() && st->st_uid != 0) {
        error_user(err, "the seal secret %s belongs to another user (uid %u)", path,
                   (unsigned)st->st_uid);
        return error_hint(err, "who owns it has read it, or can change it: %s", secret_hint);
    }
    if (!(st->st_mode & 077))
        return 0;
    error_user(err, "the seal secret %s can be %s by %s", path,
               st->st_mode & 044   ? "read"
               : st->st_mode & 022 ? "written"
                                   : "run",
               st->st_mode & 07 ? "everybody" : "its group");
    return error_hint(err, "chmod 600 %s; if others may have seen it, make a new one", path);
}

// ---- entropy estimates ----

// Shannon's entropy by the counts of byte values, times the number of bytes.
static double bits_of_counts(const unsigned char *bytes, size_t n)
{
    size_t count[256] = {0};
    double bits = 0;
    for (size_t i = 0; i < n; i++)
        count[bytes[i]]++;
    for (size_t i = 0; i < 256; i++)
        if (count[i])
            bits -= (double)count[i] * log2((double)count[i] / (double)n);
    OPENSSL_cleanse(count, sizeof count);
    return bits;
}

// The size after Deflate, which removes repetitions. Random bytes get no shorter.
static double bits_of_deflate(const unsigned char *bytes, size_t n)
{
    unsigned char out[2 * SE_SECRET_MAX];
    z_stream z = {.next_in = (unsigned char *)bytes,
                  .avail_in = (unsigned)n,
                  .next_out = out,
                  .avail_out = sizeof out};
    if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        out_of_memory();
    deflate(&z, Z_FINISH);
    double bits = 8 * (double)z.total_out;
    deflateEnd(&z);
    OPENSSL_cleanse(out, sizeof out);
    return bits;
}

// Random bytes are not periodic; typed ones may be.
static double bits_of_period(const unsigned char *bytes, size_t n)
{
    size_t period = 1;
    while (period < n && memcmp(bytes, bytes + period, n - period) != 0)
        period++;
    return period > n / 2 ? 8 * (double)n : 0;
}

static double least_bits(const unsigned char *bytes, size_t n)
{
    return fmin(bits_of_period(bytes, n),
                fmin(bits_of_counts(bytes, n), bits_of_deflate(bytes, n)));
}

// The least of several estimates, each of which has a gap: a count does not see repetitions, and
// neither sees "0123456789abcdef", whose differences repeat. Random bytes of the minimum length are
// far above SE_SECRET_BITS_MIN in each.
static double secret_bits(const unsigned char *bytes, size_t n)
{
    unsigned char differences[SE_SECRET_MAX];
    for (size_t i = 0; i < n; i++)
        differences[i] = (unsigned char)(bytes[i] - (i ? bytes[i - 1] : 0));
    double bits = fmin(least_bits(bytes, n), least_bits(differences, n));
    OPENSSL_cleanse(differences, sizeof differences);
    return bits;
}

static bool is_text_line(const unsigned char *bytes, size_t n)
{
    if (bytes[n - 1] != '\n')
        return false;
    for (size_t i = 0; i + 1 < n; i++)
        if ((bytes[i] < ' ' && bytes[i] != '\t' && bytes[i] != '\r') || bytes[i] > '~')
            return false;
    return true;
}

static int check_secret_content(const char *path, const struct secret_memory *s, struct error **err)
{
    if (s->length < SE_SECRET_MIN || s->length > SE_SECRET_MAX) {
        error_user(err, "the seal secret %s has %zu bytes; it must have %u to %u", path, s->length,
                   SE_SECRET_MIN, SE_SECRET_MAX);
        return error_hint(err, "%s", secret_hint);
    }
    if (secret_bits(s->bytes, s->length) < SE_SECRET_BITS_MIN) {
        error_user(
            err,
            "the seal secret %s can be guessed: its bytes repeat or follow a pattern, and are "
            "worth less than %u random bits",
            path, SE_SECRET_BITS_MIN);
        return error_hint(err, "%s", secret_hint);
    }
    if (is_text_line(s->bytes, s->length))
        log_warning("the seal secret %s is a text that ends in a line feed, which is part of the "
                    "secret: without it the image is another one",
                    path);
    return 0;
}

int se_secret_load(const char *path, struct secret_memory *out, struct error **err)
{
    struct stat st;
    struct secret_memory s = {0};
    if (secret_memory_read(path, SECRET_FILE_MAX, &s, &st, err) < 0)
        return error_wrap(err, "the seal secret");
    if (check_secret_access(path, &st, err) < 0 || check_secret_content(path, &s, err) < 0) {
        secret_memory_free(&s);
        return -1;
    }
    *out = s;
    return 0;
}
