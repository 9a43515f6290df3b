// SPDX-License-Identifier: Apache-2.0
// Reads host key documents (X.509 certificates with a P-521 key) and private host keys, and makes
// TEST ones: a key and a self-signed certificate.
#include "hkd/hkd.h"

#include "base/error.h"
#include "base/file.h"
#include "base/input.h"
#include "base/libcrypto.h"
#include "crypto/crypto.h"

#include <errno.h>
#include <sys/stat.h>

// Documents have some 2 KiB.
#define DOCUMENT_MAX (1u << 20)
#define KEY_FILE_MAX (64u << 10)

static const char document_hint[] =
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

static int private_key_error(struct error **err, const char *path)
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
            result = private_key_error(err, path);
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
        private_key_error(err, path);
    else if (result == 0 && *label)
        error_user(err, "%s: it holds no certificate, but a %s", path, label);
    else if (result == 0 && length == 0)
        error_user(err, "%s: it is empty", path);
    else if (result == 0)
        error_user(err, "%s: it is not a certificate, neither PEM nor DER", path);
    if (err && *err && !(*err)->hint)
        error_hint(err, "%s", document_hint);
    return NULL;
}

// True if a common name of the subject contains TEST.
static bool is_test_document(X509 *x)
{
    X509_NAME *subject = X509_get_subject_name(x);
    bool found = false;
    for (int i = -1; (i = X509_NAME_get_index_by_NID(subject, NID_commonName, i)) >= 0;) {
        unsigned char *text = NULL;
        ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i));
        int length = ASN1_STRING_to_UTF8(&text, value);
        if (length > 0)
            found |= memmem(text, (size_t)length, HOST_KEY_TEST_MARK, strlen(HOST_KEY_TEST_MARK)) !=
                     NULL;
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
    cleanup_free char *complaint = p521_fault(key);
    if (complaint) {
        error_user(err, "%s: this is no host key document: %s", path, complaint);
        return error_hint(err, "%s", document_hint);
    }
    struct host_key k = {.test = is_test_document(x)};
    if (point_hash(key, k.hash, err) < 0)
        return error_wrap(err, "%s", path);
    digest_bytes(bytes, length, k.digest);
    k.path = xstrdup(path);
    k.key = steal(key);
    k.document = steal(x);
    *out = k;
    return 0;
}

static int load_document(int (*read)(const char *, size_t, struct buf *, struct error **),
                         const char *path, struct host_key *out, struct error **err)
{
    cleanup_secret_buf struct buf bytes = {0}; // secret, should it be a private key
    if (read(path, DOCUMENT_MAX, &bytes, err) < 0) {
        if (err && !(*err)->hint)
            error_hint(err, "%s", document_hint);
        return error_wrap(err, "host key document");
    }
    if (host_key_parse(bytes.data, bytes.len, path, out, err) < 0)
        return error_wrap(err, "host key document");
    return 0;
}

int host_key_load(const char *path, struct host_key *out, struct error **err)
{
    return load_document(file_read, path, out, err);
}

int host_key_input(const char *path, struct host_key *out, struct error **err)
{
    return load_document(user_file_read, path, out, err);
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
    if (secret_memory_read(path, KEY_FILE_MAX, &bytes, NULL, err) < 0) {
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
    cleanup_free char *complaint = p521_fault(key);
    if (complaint) {
        error_user(err, "host private key: %s: %s", path, complaint);
        return NULL;
    }
    return steal(key);
}

// ---- TEST documents ----

#define TEST_DOCUMENT_PREFIX "HKD-TEST-"
#define TEST_KEY_NAME "TEST-host-key.pem"
#define TEST_VALID_DAYS 3650

// Gives new content the name `path`, unless there is such a file already.
static int write_new_file(const char *path, const void *bytes, size_t length, mode_t mode,
                          struct error **err)
{
    cleanup_draft struct file_draft d = FILE_DRAFT_NONE;
    if (file_draft_begin(&d, path, err) < 0 || fd_write_all(d.fd, path, bytes, length, err) < 0)
        return -1;
    return file_draft_commit_new(&d, mode, err);
}

static int check_no_test_key(const char *directory, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    if (list_directory(directory, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (!strcmp(names.items[i], TEST_KEY_NAME) ||
            starts_with(names.items[i], TEST_DOCUMENT_PREFIX)) {
            error_user(err, "%s/%s: there is a test host key already", directory, names.items[i]);
            return error_hint(err, "use that one, name another directory, or remove it first");
        }
    return 0;
}

static bool set_test_name(X509 *x, const char *hex)
{
    cleanup_free char *cn =
        xasprintf(HOST_KEY_TEST_MARK " host key %s, made by kbuild, not for production", hex);
    X509_NAME *name = X509_get_subject_name(x);
    return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)"kbuild", -1,
                                      -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (unsigned char *)cn, -1, -1, 0) ==
               1 &&
           X509_set_issuer_name(x, name) == 1;
}

static X509 *make_test_document(EVP_PKEY *key, const char *hex, struct error **err)
{
    X509 *x = X509_new();
    uint64_t serial;
    // An hour earlier, since the clocks of machines differ.
    if (x && random_secret(&serial, sizeof serial, err) == 0 &&
        X509_set_version(x, X509_VERSION_3) == 1 &&
        ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial >> 1) == 1 &&
        X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
        X509_time_adj_ex(X509_getm_notAfter(x), TEST_VALID_DAYS, 0, NULL) &&
        set_test_name(x, hex) && X509_set_pubkey(x, key) == 1 &&
        X509_sign(x, key, EVP_sha512()) > 0)
        return x;
    if (!err || !*err)
        crypto_error(err, "making a test host key document");
    X509_free(x);
    return NULL;
}

// Runs one PEM writer into memory and puts the result into a new file.
static int write_pem(const char *path, EVP_PKEY *key, X509 *document, mode_t mode,
                     struct error **err)
{
    BIO *bio = BIO_new(BIO_s_secmem()); // wiped when freed
    int good = 0;
    if (bio && key)
        good = PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    else if (bio)
        good = PEM_write_bio_X509(bio, document);
    char *text = NULL;
    long length = good == 1 ? BIO_get_mem_data(bio, &text) : 0;
    int result = length > 0 ? write_new_file(path, text, (size_t)length, mode, err)
                            : crypto_error(err, "writing %s", path);
    BIO_free(bio);
    return result;
}

int host_key_make_test(const char *directory, char **document, char **private_key,
                       struct error **err)
{
    unsigned char hash[32];
    char hex[2 * 4 + 1];
    if (make_directories(directory, 0777, err) < 0 || check_no_test_key(directory, err) < 0)
        return -1;
    cleanup_pkey EVP_PKEY *key = p521_generate(err);
    if (!key || point_hash(key, hash, err) < 0)
        return -1;
    hex_encode(hash, 4, hex);
    X509 *x = make_test_document(key, hex, err);
    if (!x)
        return -1;
    cleanup_free char *key_path = xasprintf("%s/" TEST_KEY_NAME, directory);
    cleanup_free char *document_path =
        xasprintf("%s/" TEST_DOCUMENT_PREFIX "%s.crt", directory, hex);
    int result = write_pem(key_path, key, NULL, 0600, err);
    if (result == 0) {
        result = write_pem(document_path, NULL, x, 0644, err);
        if (result < 0)
            unlink(key_path);
    }
    X509_free(x);
    if (result < 0)
        return -1;
    if (document)
        *document = steal(document_path);
    if (private_key)
        *private_key = steal(key_path);
    return 0;
}
