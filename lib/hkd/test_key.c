// SPDX-License-Identifier: Apache-2.0
// Makes host keys for tests: a P-521 key and a self-signed certificate.
#include "base/digest.h"
#include "base/file.h"
#include "crypto/crypto.h"
#include "hkd/hkd.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#define DOCUMENT_PREFIX "HKD-TEST-"
#define KEY_NAME "TEST-host-key.pem"
#define VALID_DAYS 3650

// Gives new content the name `path`, unless there is such a file already.
static int write_new(const char *path, const void *bytes, size_t length, mode_t mode,
                     struct error **err)
{
    cleanup_draft struct file_draft d = FILE_DRAFT_NONE;
    if (file_draft_begin(&d, path, err) < 0 || fd_write_all(d.fd, path, bytes, length, err) < 0)
        return -1;
    return file_draft_commit_new(&d, mode, err);
}

static int refuse_existing(const char *directory, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    if (list_directory(directory, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (!strcmp(names.items[i], KEY_NAME) || starts_with(names.items[i], DOCUMENT_PREFIX)) {
            error_user(err, "%s/%s: there is a test host key already", directory, names.items[i]);
            return error_hint(err, "use that one, name another directory, or remove it first");
        }
    return 0;
}

static bool name_it(X509 *x, const char *hex)
{
    cleanup_free char *cn =
        xasprintf(SE_TEST_MARK " host key %s, made by kbuild, not for production", hex);
    X509_NAME *name = X509_get_subject_name(x);
    return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)"kbuild", -1,
                                      -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (unsigned char *)cn, -1, -1, 0) ==
               1 &&
           X509_set_issuer_name(x, name) == 1;
}

static X509 *make_document(EVP_PKEY *key, const char *hex, struct error **err)
{
    X509 *x = X509_new();
    uint64_t serial;
    // An hour earlier, since the clocks of machines differ.
    if (x && random_secret(&serial, sizeof serial, err) == 0 &&
        X509_set_version(x, X509_VERSION_3) == 1 &&
        ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial >> 1) == 1 &&
        X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
        X509_time_adj_ex(X509_getm_notAfter(x), VALID_DAYS, 0, NULL) && name_it(x, hex) &&
        X509_set_pubkey(x, key) == 1 && X509_sign(x, key, EVP_sha512()) > 0)
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
    int result = length > 0 ? write_new(path, text, (size_t)length, mode, err)
                            : crypto_error(err, "writing %s", path);
    BIO_free(bio);
    return result;
}

int se_test_key(const char *directory, char **document, char **private_key, struct error **err)
{
    unsigned char hash[32];
    char hex[2 * 4 + 1];
    if (make_directories(directory, 0777, err) < 0 || refuse_existing(directory, err) < 0)
        return -1;
    cleanup_pkey EVP_PKEY *key = p521_generate(err);
    if (!key || point_hash(key, hash, err) < 0)
        return -1;
    hex_encode(hash, 4, hex);
    X509 *x = make_document(key, hex, err);
    if (!x)
        return -1;
    cleanup_free char *key_path = xasprintf("%s/" KEY_NAME, directory);
    cleanup_free char *document_path = xasprintf("%s/" DOCUMENT_PREFIX "%s.crt", directory, hex);
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
