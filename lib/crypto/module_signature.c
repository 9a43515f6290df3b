// SPDX-License-Identifier: Apache-2.0
// Signs kernel modules as the kernel's own scripts/sign-file does, and verifies such signatures.
#include "crypto/crypto.h"

#include "base/file.h"
#include "base/libcrypto.h"

#include <errno.h>
#include <string.h>

#define MARK "~Module signature appended~\n"
#define MARK_SIZE (sizeof MARK - 1)
#define TRAILER_SIZE 12u
#define TRAILER_ID_TYPE 2u // offsets in struct module_signature
#define TRAILER_LENGTH 8u
#define PKEY_ID_PKCS7 2u
#define PEM_FILE_MAX ((size_t)1 << 20)

struct module_signer {
    X509 *certificate;
    EVP_PKEY *key;
};

// ---- signer ----

static BIO *new_reader(const struct buf *bytes, size_t length)
{
    BIO *bio = BIO_new_mem_buf(bytes->data ? bytes->data : "", (int)length);
    if (!bio)
        out_of_memory();
    return bio;
}

static int certificate_error(struct error **err, const char *path, const char *why)
{
    error_user(err, "reading certificate %s: %s", path, why);
    return error_hint(err, "it must be a file with one X.509 certificate (PEM) and nothing else");
}

static X509 *load_certificate(const char *path, char digest[static DIGEST_HEX_SIZE],
                              struct error **err)
{
    cleanup_buf struct buf pem = {0};
    if (file_read(path, PEM_FILE_MAX, &pem, err) < 0)
        return NULL;
    digest_bytes(pem.data ? pem.data : "", pem.len, digest);
    bool private_key = pem.data && memmem(pem.data, pem.len, "PRIVATE KEY", 11);
    BIO *bio = new_reader(&pem, pem.len);
    X509 *first = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    X509 *second = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    ERR_clear_error();
    const char *why = private_key ? "it holds a private key, and every step can read it"
                      : !first    ? "there is no certificate in PEM form"
                      : second    ? "it holds several, and the kernel would trust them all"
                                  : NULL;
    if (private_key)
        OPENSSL_cleanse(pem.data, pem.len);
    X509_free(second);
    if (!why)
        return first;
    X509_free(first);
    certificate_error(err, path, why);
    return NULL;
}

static int key_error(struct error **err, const char *path, const char *why)
{
    error_user(err, "reading key %s: %s", path, why);
    return error_hint(err,
                      "make one, and its certificate, with `openssl req -x509 -newkey rsa:4096 "
                      "-nodes -subj /CN=NAME -keyout KEY.pem -out CERT.pem`");
}

// Accepts the sizes that the kernel's own RSA accepts in FIPS mode (crypto/rsa.c).
static int check_rsa_key(EVP_PKEY *key, const char *path, struct error **err)
{
    if (!EVP_PKEY_is_a(key, "RSA"))
        return key_error(err, path,
                         "it is no RSA key; signatures of the other kinds differ each time, or the "
                         "kernel does not know them");
    int bits = EVP_PKEY_get_bits(key);
    if (bits != 2048 && bits != 3072 && bits != 4096)
        return key_error(err, path, "the kernel takes RSA keys of 2048, 3072 or 4096 bits");
    return 0;
}

static EVP_PKEY *load_rsa_key(const char *path, struct error **err)
{
    const char *why;
    EVP_PKEY *key = private_key_read(path, &why, err);
    if (why)
        key_error(err, path, why);
    if (key && check_rsa_key(key, path, err) < 0) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

struct module_signer *module_signer_load(const char *certificate, const char *private_key,
                                         char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    struct module_signer *s = xcalloc(1, sizeof *s);
    s->certificate = load_certificate(certificate, digest, err);
    s->key = s->certificate ? load_rsa_key(private_key, err) : NULL;
    if (s->key && X509_check_private_key(s->certificate, s->key) == 1)
        return s;
    if (s->key) {
        ERR_clear_error();
        error_user(err, "the key %s is not the one of the certificate %s", private_key,
                   certificate);
        error_hint(err, "give the two files that were made together");
    }
    module_signer_free(s);
    return NULL;
}

void module_signer_free(struct module_signer *s)
{
    if (!s)
        return;
    X509_free(s->certificate);
    EVP_PKEY_free(s->key); // wipes it
    free(s);
}

// ---- signatures ----

bool module_is_signed(const struct buf *module)
{
    return module->len >= MARK_SIZE &&
           !memcmp(module->data + module->len - MARK_SIZE, MARK, MARK_SIZE);
}

// The message as DER, to be freed with OPENSSL_free(); its length, or -1.
static int make_signature(const struct module_signer *s, const struct buf *module,
                          unsigned char **der)
{
    const unsigned flags = CMS_NOCERTS | CMS_BINARY | CMS_DETACHED;
    BIO *content = new_reader(module, module->len);
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, flags | CMS_PARTIAL | CMS_STREAM);
    bool good = cms &&
                CMS_add1_signer(cms, s->certificate, s->key, EVP_sha512(),
                                flags | CMS_NOSMIMECAP | CMS_NOATTR) &&
                CMS_final(cms, content, NULL, flags) == 1;
    int length = good ? i2d_CMS_ContentInfo(cms, der) : -1;
    CMS_ContentInfo_free(cms);
    BIO_free(content);
    return length > 0 ? length : -1;
}

// The length of the signature message of a signed module, or 0 if it is not of this form.
static uint32_t signature_length(const struct buf *module)
{
    static const unsigned char expected[TRAILER_LENGTH] = {[TRAILER_ID_TYPE] = PKEY_ID_PKCS7};
    if (!module_is_signed(module) || module->len < MARK_SIZE + TRAILER_SIZE)
        return 0;
    const unsigned char *trailer =
        (const unsigned char *)module->data + module->len - MARK_SIZE - TRAILER_SIZE;
    uint32_t length = get_be32(trailer + TRAILER_LENGTH);
    bool good = !memcmp(trailer, expected, sizeof expected) && length <= INT32_MAX &&
                length <= module->len - MARK_SIZE - TRAILER_SIZE;
    return good ? length : 0;
}

int module_verify(const struct module_signer *s, const struct buf *module, struct error **err)
{
    uint32_t length = signature_length(module);
    if (!length)
        return 0;
    size_t size = module->len - MARK_SIZE - TRAILER_SIZE - length;
    if (size > INT32_MAX)
        return error_user(err, "a module of %zu bytes is too large", size);
    const unsigned char *der = (const unsigned char *)module->data + size;
    CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &der, (long)length);
    // CMS_verify() copies a BIO that is plain memory, and leaks the copy where it can't begin (an
    // unknown digest).
    BIO *filter = BIO_new(BIO_f_null());
    if (!filter)
        out_of_memory();
    BIO *content = BIO_push(filter, new_reader(module, size));
    STACK_OF(X509) *certificates = sk_X509_new_null();
    if (!certificates || !sk_X509_push(certificates, s->certificate))
        out_of_memory();
    // Whether the certificate itself is trusted is decided by the kernel that has it built in.
    bool good = cms && CMS_verify(cms, certificates, NULL, content, NULL,
                                  CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY | CMS_NOINTERN) == 1;
    ERR_clear_error();
    sk_X509_free(certificates);
    BIO_free_all(content);
    CMS_ContentInfo_free(cms);
    return good;
}

int module_sign(const struct module_signer *s, struct buf *module, struct error **err)
{
    if (module_is_signed(module)) {
        error_user(err, "it is signed already");
        return error_hint(err, "kbuild signs after the script: leave CONFIG_MODULE_SIG_ALL off");
    }
    if (module->len > INT32_MAX)
        return error_user(err, "a module of %zu bytes is too large", module->len);
    unsigned char *der = NULL;
    int length = make_signature(s, module, &der);
    if (length < 0)
        return crypto_error(err, "signing");
    size_t before = module->len;
    unsigned char trailer[TRAILER_SIZE] = {[TRAILER_ID_TYPE] = PKEY_ID_PKCS7};
    put_be32(trailer + TRAILER_LENGTH, (uint32_t)length);
    buf_add(module, der, (size_t)length);
    buf_add(module, trailer, sizeof trailer);
    buf_add(module, MARK, MARK_SIZE);
    OPENSSL_free(der);
    int good = module_verify(s, module, err);
    if (good == 1)
        return 0;
    module->len = before;
    module->data[before] = '\0';
    return good < 0 ? -1 : error_user(err, "its new signature does not verify");
}
