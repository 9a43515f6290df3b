// SPDX-License-Identifier: Apache-2.0
// Reads Ed25519 keys, and signs and verifies with them.
#include "share/share.h"

#include "base/file.h"
#include "base/libcrypto.h"
#include "crypto/crypto.h"

#include <errno.h>

#include <string.h>

enum { KEY_FILE_LIMIT = 1 << 20, SIGNATURE_SIZE = 64 };

struct trusted_keys {
    struct trusted_key {
        EVP_PKEY *key;
        char name[DIGEST_HEX_SIZE];
        char *file;
    } * keys;
    size_t n, cap;
};

// For public keys, which have none.
static int no_passphrase(char *out, int size, int writing, void *context)
{
    return -1;
}

static int name_key(EVP_PKEY *key, char name[static DIGEST_HEX_SIZE])
{
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(key, &der);
    if (n <= 0)
        return -1;
    digest_bytes(der, (size_t)n, name);
    OPENSSL_free(der);
    return 0;
}

static int sign(EVP_PKEY *key, const struct buf *text, struct signature *out)
{
    unsigned char value[SIGNATURE_SIZE];
    size_t n = sizeof value;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool good = c && EVP_DigestSignInit(c, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestSign(c, value, &n, (const unsigned char *)text->data, text->len) == 1 &&
                n == sizeof value && name_key(key, out->key) == 0;
    EVP_MD_CTX_free(c);
    if (good)
        hex_encode(value, n, out->value);
    return good ? 0 : -1;
}

int signature_make(const char *key_file, const struct buf *text, struct signature *out,
                   struct error **err)
{
    const char *why;
    EVP_PKEY *key = private_key_read(key_file, &why, err);
    if (!key && !why)
        return error_wrap(err, "reading the signing key");
    int result;
    if (!key || EVP_PKEY_id(key) != EVP_PKEY_ED25519) {
        result = error_user(err, "%s is not an Ed25519 private key (PEM, without a passphrase)",
                            key_file);
        error_hint(err, "openssl genpkey -algorithm ed25519 -out KEY.pem makes one");
    } else {
        result = sign(key, text, out);
        if (result < 0)
            error_user(err, "OpenSSL could not sign with %s", key_file);
    }
    EVP_PKEY_free(key);
    return result;
}

// ---- trusted keys ----

// Anybody who can write there could decide who is trusted.
static int check_mode(const char *path, struct error **err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return error_errno(err, errno, "reading trusted keys: %s", path);
    if (!owner_is_trusted(st.st_uid)) {
        cleanup_free char *owner = owner_name(st.st_uid), *mine = owner_name(geteuid());
        error_user(err, "reading trusted keys: %s belongs to %s, and kbuild is run by %s", path,
                   owner, mine);
        return error_hint(err, "check its content, and copy it: who owns it can change it");
    }
    if (!(st.st_mode & S_IWOTH))
        return 0;
    error_user(err, "reading trusted keys: %s can be written by everybody", path);
    return error_hint(err, "check its content, then: chmod o-w %s", path);
}

static size_t count_blocks(const struct buf *pem)
{
    static const char begin[] = "-----BEGIN ";
    size_t n = 0;
    for (const char *p = pem->data, *end = p + pem->len;
         p && (p = memmem(p, (size_t)(end - p), begin, sizeof begin - 1)); p++)
        n++;
    return n;
}

static int load_file(struct trusted_keys *t, const char *path, struct error **err)
{
    cleanup_buf struct buf pem = {0};
    if (check_mode(path, err) < 0)
        return -1;
    if (file_read(path, KEY_FILE_LIMIT, &pem, err) < 0)
        return error_wrap(err, "reading trusted keys");
    BIO *bio = BIO_new_mem_buf(pem.data ? pem.data : "", (int)pem.len);
    size_t before = t->n;
    int result = 0;
    EVP_PKEY *key;
    while (!result && bio && (key = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL))) {
        t->keys = xgrow(t->keys, &t->cap, t->n + 1, sizeof *t->keys);
        t->keys[t->n].key = key;
        t->keys[t->n].file = xstrdup(path);
        result = EVP_PKEY_id(key) == EVP_PKEY_ED25519 ? name_key(key, t->keys[t->n].name) : -1;
        t->n++;
    }
    BIO_free(bio);
    ERR_clear_error();
    size_t blocks = count_blocks(&pem), taken = t->n - before;
    if (!result && taken && taken != blocks) {
        error_user(err,
                   "%s has %zu blocks of PEM, and %zu of them %s a public key: the others are "
                   "damaged, or something else",
                   path, blocks, taken, taken == 1 ? "is" : "are");
        return error_hint(err, "a list of trusted keys contains only keys; remove the rest");
    }
    if (result || t->n == before) {
        error_user(err, "%s does not hold Ed25519 public keys (PEM)", path);
        return error_hint(err, "openssl pkey -in KEY.pem -pubout makes one of a private key");
    }
    return 0;
}

static int load_directory(struct trusted_keys *t, const char *path, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    if (check_mode(path, err) < 0 || list_directory(path, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        cleanup_free char *file = xasprintf("%s/%s", path, names.items[i]);
        if (ends_with(file, ".pem") && load_file(t, file, err) < 0)
            return -1;
    }
    return t->n ? 0 : error_user(err, "there is no *.pem in %s", path);
}

struct trusted_keys *trusted_keys_load(const char *path, struct error **err)
{
    struct trusted_keys *t = xcalloc(1, sizeof *t);
    if ((is_directory(path) ? load_directory(t, path, err) : load_file(t, path, err)) == 0)
        return t;
    trusted_keys_free(t);
    return NULL;
}

struct trusted_keys *trusted_keys_own(const char *key_file, struct error **err)
{
    const char *why = NULL;
    EVP_PKEY *key = private_key_read(key_file, &why, err);
    if (!key && !why) {
        error_wrap(err, "reading the signing key");
        return NULL;
    }
    struct trusted_keys *t = xcalloc(1, sizeof *t);
    t->keys = xgrow(t->keys, &t->cap, 1, sizeof *t->keys);
    t->keys[0] = (struct trusted_key){.key = key, .file = xstrdup(key_file)};
    t->n = 1;
    if (key && EVP_PKEY_id(key) == EVP_PKEY_ED25519 && name_key(key, t->keys[0].name) == 0)
        return t;
    error_user(err, "%s is not an Ed25519 private key (PEM, without a passphrase)", key_file);
    trusted_keys_free(t);
    return NULL;
}

void trusted_keys_free(struct trusted_keys *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++) {
        EVP_PKEY_free(t->keys[i].key);
        free(t->keys[i].file);
    }
    free(t->keys);
    free(t);
}

static bool verify(EVP_PKEY *key, const unsigned char *value, const struct buf *text)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool good = c && EVP_DigestVerifyInit(c, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(c, value, SIGNATURE_SIZE, (const unsigned char *)text->data,
                                 text->len) == 1;
    EVP_MD_CTX_free(c);
    return good;
}

bool trusted_keys_accept(const struct trusted_keys *t, const struct signature *s,
                         const struct buf *text)
{
    unsigned char value[SIGNATURE_SIZE];
    if (!hex_decode(s->value, value, sizeof value))
        return false;
    for (size_t i = 0; i < t->n; i++)
        if (!strcmp(t->keys[i].name, s->key) && verify(t->keys[i].key, value, text))
            return true;
    return false;
}

bool trusted_keys_signer(const struct trusted_keys *t, const struct buf *value,
                         const struct buf *text, struct trusted_signer *out)
{
    for (size_t i = 0; value->len == SIGNATURE_SIZE && i < t->n; i++)
        if (verify(t->keys[i].key, (const unsigned char *)value->data, text)) {
            *out = (struct trusted_signer){t->keys[i].name, t->keys[i].file};
            return true;
        }
    return false;
}

void trusted_keys_names(const struct trusted_keys *t, struct strlist *out)
{
    for (size_t i = 0; i < t->n; i++)
        strlist_add(out, t->keys[i].name);
}
