// SPDX-License-Identifier: Apache-2.0
// Reads host key documents: X.509 certificates with a P-521 key (section 12).
#include "hkd/hkd.h"

#include "base/file.h"
#include "base/error.h"
#include "base/input.h"
#include "crypto/crypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

// Documents have some 2 KiB.
#define DOCUMENT_MAX (1u << 20)
#define KEY_MAX (64u << 10)

static const char get_one[] =
    "a host key document is a certificate, HKD-<machine>-<serial>.crt, from IBM Resource Link; "
    "`kbuild se test-key DIR` makes one for tests";
static const char private_hint[] =
    "keep private keys secret; give the document that belongs to it, HKD-*.crt";

static void wipe_buf(struct buf *b)
{
    if (b->data)
        OPENSSL_cleanse(b->data, b->cap);
    buf_free(b);
}
#define cleanup_secret_buf __attribute__((cleanup(wipe_buf)))

static void free_x509(X509 **x)
{
    X509_free(*x);
}
#define cleanup_x509 __attribute__((cleanup(free_x509)))

static int refuse_private(struct error **err, const char *path)
{
    error_user(err, "%s: it holds a private key, not a host key document", path);
    return error_hint(err, "%s", private_hint);
}

static X509 *parse_der(const void *bytes, size_t length)
{
    const unsigned char *p = bytes;
    X509 *x = d2i_X509(NULL, &p, (long)length);
    ERR_clear_error();
    return x;
}

// Each kind begins with a number, the version (RFC 5958, 5915, 8017), which is cheap to test.
static bool is_der_private_key(const void *bytes, size_t length)
{
    const unsigned char *p = bytes, *end = p + length;
    long content;
    int tag, class;
    bool sequence = !(ASN1_get_object(&p, &content, &tag, &class, (long)length) & 0x80) &&
                    tag == V_ASN1_SEQUENCE && p < end && *p == V_ASN1_INTEGER;
    ERR_clear_error();
    if (!sequence)
        return false;
    p = bytes;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &p, (long)length);
    ERR_clear_error();
    EVP_PKEY_free(key);
    return key != NULL;
}

// Goes through all blocks of a PEM file: the first certificate counts; a private key is refused
// wherever it is. *blocks gets how many blocks there are; `label` the name of one that is no
// certificate.
static int parse_pem(BIO *bio, const char *path, X509 **out, int *blocks, char label[static 64],
                     struct error **err)
{
    int certificates = 0, result = 0;
    char *name, *header;
    unsigned char *data;
    long length;
    for (*blocks = 0; !result && PEM_read_bio(bio, &name, &header, &data, &length) == 1;
         ++*blocks) {
        if (ends_with(name, "PRIVATE KEY")) {
            result = refuse_private(err, path);
        } else if (!strcmp(name, PEM_STRING_X509) || !strcmp(name, PEM_STRING_X509_OLD)) {
            if (++certificates == 1 && !(*out = parse_der(data, (size_t)length)))
                result = error_user(err, "%s: its certificate is damaged", path);
        } else {
            snprintf(label, 64, "%s", name);
        }
        OPENSSL_clear_free(data, (size_t)length);
        OPENSSL_free(name);
        OPENSSL_free(header);
    }
    ERR_clear_error();
    if (!result && certificates > 1)
        log_warning("%s: it holds %d certificates; only the first one counts", path, certificates);
    return result;
}

static X509 *parse_document(const void *bytes, size_t length, const char *path, struct error **err)
{
    cleanup_x509 X509 *x = NULL;
    int blocks = 0;
    char label[64] = "";
    BIO *bio = BIO_new_mem_buf(bytes, (int)length);
    if (!bio) {
        crypto_error(err, "reading %s", path);
        return NULL;
    }
    int result = parse_pem(bio, path, &x, &blocks, label, err);
    BIO_free(bio);
    if (result == 0 && blocks == 0)
        x = parse_der(bytes, length);
    if (x && result == 0)
        return steal(x);
    if (result == 0 && blocks == 0 && is_der_private_key(bytes, length))
        refuse_private(err, path);
    else if (result == 0 && *label)
        error_user(err, "%s: it holds no certificate, but a %s", path, label);
    else if (result == 0 && length == 0)
        error_user(err, "%s: it is empty", path);
    else if (result == 0)
        error_user(err, "%s: it is not a certificate, neither PEM nor DER", path);
    if (err && *err && !(*err)->hint)
        error_hint(err, "%s", get_one);
    return NULL;
}

// True if a common name of the subject says TEST.
static bool is_test(X509 *x)
{
    X509_NAME *subject = X509_get_subject_name(x);
    bool found = false;
    for (int i = -1; (i = X509_NAME_get_index_by_NID(subject, NID_commonName, i)) >= 0;) {
        unsigned char *text = NULL;
        ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i));
        int length = ASN1_STRING_to_UTF8(&text, value);
        if (length > 0)
            found |= memmem(text, (size_t)length, SE_TEST_MARK, strlen(SE_TEST_MARK)) != NULL;
        OPENSSL_free(text);
    }
    ERR_clear_error();
    return found;
}

int host_key_parse(const void *bytes, size_t length, const char *path, struct host_key *out,
                   struct error **err)
{
    cleanup_x509 X509 *x = parse_document(bytes, length, path, err);
    if (!x)
        return -1;
    cleanup_pkey EVP_PKEY *key = X509_get_pubkey(x);
    ERR_clear_error();
    cleanup_free char *complaint = p521_complaint(key);
    if (complaint) {
        error_user(err, "%s: this is no host key document: %s", path, complaint);
        return error_hint(err, "%s", get_one);
    }
    struct host_key k = {.test = is_test(x)};
    if (point_hash(key, k.hash, err) < 0)
        return error_wrap(err, "%s", path);
    digest_bytes(bytes, length, k.digest);
    k.path = xstrdup(path);
    k.key = steal(key);
    k.document = steal(x);
    *out = k;
    return 0;
}

static int load_with(int (*read)(const char *, size_t, struct buf *, struct error **),
                     const char *path, struct host_key *out, struct error **err)
{
    cleanup_secret_buf struct buf bytes = {0}; // secret, should it be a private key
    if (read(path, DOCUMENT_MAX, &bytes, err) < 0) {
        if (err && !(*err)->hint)
            error_hint(err, "%s", get_one);
        return error_wrap(err, "host key document");
    }
    if (host_key_parse(bytes.data, bytes.len, path, out, err) < 0)
        return error_wrap(err, "host key document");
    return 0;
}

int host_key_load(const char *path, struct host_key *out, struct error **err)
{
    return load_with(file_read, path, out, err);
}

int host_key_input(const char *path, struct host_key *out, struct error **err)
{
    return load_with(user_file_read, path, out, err);
}

void host_key_free(struct host_key *k)
{
    free(k->path);
    X509_free(k->document);
    EVP_PKEY_free(k->key);
    *k = (struct host_key){0};
}

EVP_PKEY *host_private_key_load(const char *path, struct error **err)
{
    cleanup_secret_memory struct secret_memory bytes = {0};
    if (secret_memory_read(path, KEY_MAX, &bytes, NULL, err) < 0) {
        error_wrap(err, "host private key");
        return NULL;
    }
    bool locked;
    cleanup_pkey EVP_PKEY *key = private_key_parse(bytes.bytes, bytes.length, &locked);
    if (!key) {
        bool document = memmem(bytes.bytes, bytes.length, "BEGIN CERTIFICATE", 17) != NULL;
        error_user(err, "host private key: %s: %s", path,
                   document ? "it is a document (a certificate), which holds the public key only"
                            : "it is not a private key in PEM form without a passphrase");
        error_hint(err, "give the key file that `kbuild se test-key` made: TEST-host-key.pem");
        return NULL;
    }
    cleanup_free char *complaint = p521_complaint(key);
    if (complaint) {
        error_user(err, "host private key: %s: %s", path, complaint);
        return NULL;
    }
    return steal(key);
}
