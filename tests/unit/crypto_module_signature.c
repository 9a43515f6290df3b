// SPDX-License-Identifier: Apache-2.0
// Signatures of kernel modules: their form, what verifies and what does not, and who may sign.
#include "test.h"

#include "base/file.h"
#include "crypto/crypto.h"

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#define MARK "~Module signature appended~\n"
#define MODULE "\177ELF TEST module"

static char *folder, *certificate, *key;
static X509 *document;
static char digest[DIGEST_HEX_SIZE];

static char *at(const char *name)
{
    return xasprintf("%s/%s", folder, name);
}

static char *put_key(const char *name, EVP_PKEY *k, const char *passphrase)
{
    char *path = at(name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(PEM_write_PrivateKey(f, k, passphrase ? EVP_aes_256_cbc() : NULL,
                                          (const unsigned char *)passphrase,
                                          passphrase ? (int)strlen(passphrase) : 0, NULL, NULL),
                     1);
    fclose(f);
    return path;
}

static X509 *make_certificate(EVP_PKEY *k)
{
    X509 *x = X509_new();
    assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 77);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)"TEST modules", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, k);
    assert_true(X509_sign(x, k, EVP_sha256()) > 0);
    return x;
}

static char *put_certificates(const char *name, X509 *const *list, size_t n)
{
    char *path = at(name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(PEM_write_X509(f, list[i]), 1);
    fclose(f);
    return path;
}

static int begin(void **state)
{
    folder = make_temporary_directory("/tmp", "kbuild-module-", NULL);
    EVP_PKEY *k = EVP_RSA_gen(2048);
    document = make_certificate(k);
    key = put_key("TEST-key.pem", k, NULL);
    certificate = put_certificates("TEST-cert.pem", &document, 1);
    EVP_PKEY_free(k);
    return folder ? 0 : -1;
}

static int end(void **state)
{
    int result = remove_tree(folder, NULL);
    X509_free(document);
    free(folder);
    free(certificate);
    free(key);
    return result;
}

static struct module_signer *load(void)
{
    struct error *err = NULL;
    struct module_signer *s = module_signer_load(certificate, key, digest, &err);
    if (!s)
        fail_msg("%s", err->message);
    return s;
}

static void sign(const struct module_signer *s, struct buf *out)
{
    struct error *err = NULL;
    buf_add(out, MODULE, sizeof MODULE);
    if (module_sign(s, out, &err) < 0)
        fail_msg("%s", err->message);
}

// ---- signatures ----

ALL_TESTS(begin, end)

TEST(a_signed_module_has_the_form_that_the_kernel_reads)
{
    struct module_signer *s = load();
    struct buf m = {0};
    sign(s, &m);
    assert_memory_equal(m.data, MODULE, sizeof MODULE);
    assert_true(module_is_signed(&m));
    const unsigned char *mark = (unsigned char *)m.data + m.len - strlen(MARK), *t = mark - 12;
    assert_memory_equal(mark, MARK, strlen(MARK));
    assert_memory_equal(t, ((unsigned char[]){0, 0, 2, 0, 0, 0, 0, 0, 0, 0}), 10);
    long length = t[10] << 8 | t[11];
    assert_int_equal(sizeof MODULE + (size_t)length + 12 + strlen(MARK), m.len);

    // The message by itself, with OpenSSL: detached, no certificate, no attribute, SHA-512.
    const unsigned char *der = t - length;
    CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &der, length);
    assert_non_null(cms);
    assert_ptr_equal(der, t);
    assert_int_equal(CMS_is_detached(cms), 1);
    assert_null(CMS_get1_certs(cms));
    STACK_OF(CMS_SignerInfo) *signers = CMS_get0_SignerInfos(cms);
    assert_int_equal(sk_CMS_SignerInfo_num(signers), 1);
    CMS_SignerInfo *signer = sk_CMS_SignerInfo_value(signers, 0);
    assert_true(CMS_signed_get_attr_count(signer) <= 0);
    assert_int_equal(CMS_SignerInfo_cert_cmp(signer, document), 0);
    ASN1_OCTET_STRING *id = NULL;
    X509_NAME *issuer = NULL;
    ASN1_INTEGER *serial = NULL;
    assert_int_equal(CMS_SignerInfo_get0_signer_id(signer, &id, &issuer, &serial), 1);
    assert_null(id);
    assert_int_equal(ASN1_INTEGER_get(serial), 77);
    X509_ALGOR *hash = NULL;
    CMS_SignerInfo_get0_algs(signer, NULL, NULL, &hash, NULL);
    assert_int_equal(OBJ_obj2nid(hash->algorithm), NID_sha512);

    // RSA PKCS #1 v1.5 directly over the module's bytes.
    ASN1_OCTET_STRING *value = CMS_SignerInfo_get0_signature(signer);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(c, NULL, EVP_sha512(), NULL, X509_get0_pubkey(document)),
                     1);
    assert_int_equal(EVP_DigestVerify(c, ASN1_STRING_get0_data(value),
                                      (size_t)ASN1_STRING_length(value),
                                      (const unsigned char *)MODULE, sizeof MODULE),
                     1);
    EVP_MD_CTX_free(c);
    CMS_ContentInfo_free(cms);
    buf_free(&m);
    module_signer_free(s);
}

TEST(the_same_module_gets_the_same_signature)
{
    struct module_signer *s = load(), *again = load();
    struct buf a = {0}, b = {0};
    sign(s, &a);
    sign(again, &b);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    buf_free(&a);
    buf_free(&b);
    module_signer_free(s);
    module_signer_free(again);
}

TEST(a_changed_byte_of_module_or_signature_is_noticed)
{
    struct module_signer *s = load();
    struct error *err = NULL;
    struct buf m = {0};
    sign(s, &m);
    assert_int_equal(module_verify(s, &m, &err), 1);
    const size_t places[] = {0,
                             sizeof MODULE - 1,
                             m.len - strlen(MARK) - 13,
                             m.len - strlen(MARK) - 1,
                             m.len - strlen(MARK) - 10,
                             m.len - 2};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        m.data[places[i]] ^= 1;
        assert_int_equal(module_verify(s, &m, &err), 0);
        m.data[places[i]] ^= 1;
    }
    // Whatever else is changed, there is an answer, and nothing is lost on the way to it (OpenSSL's
    // copy of the content was, for a digest that it does not know).
    for (size_t i = sizeof MODULE; i < m.len; i++) {
        m.data[i] ^= 0x40;
        assert_in_range(module_verify(s, &m, &err), 0, 1);
        m.data[i] ^= 0x40;
    }
    // A length beyond the file, and nothing but a mark.
    memset(m.data + m.len - strlen(MARK) - 4, 0x7f, 4);
    assert_int_equal(module_verify(s, &m, &err), 0);
    struct buf mark = {0};
    buf_puts(&mark, MARK);
    assert_int_equal(module_verify(s, &mark, &err), 0);
    buf_free(&mark);
    buf_free(&m);
    module_signer_free(s);
}

TEST(a_signed_module_is_not_signed_again)
{
    struct module_signer *s = load();
    cleanup_error struct error *err = NULL;
    struct buf m = {0};
    sign(s, &m);
    size_t before = m.len;
    assert_int_equal(module_sign(s, &m, &err), -1);
    assert_non_null(strstr(err->message, "signed already"));
    assert_int_equal(m.len, before);
    buf_free(&m);
    module_signer_free(s);
}

// ---- who may sign ----

static void expect_refused(const char *cert, const char *private_key, const char *why)
{
    cleanup_error struct error *err = NULL;
    assert_null(module_signer_load(cert, private_key, digest, &err));
    if (!strstr(err->message, why))
        fail_msg("'%s' is not in '%s'", why, err->message);
}

TEST(keys_that_cannot_sign_are_refused)
{
    EVP_PKEY *ec = EVP_EC_gen("P-256"), *small = EVP_RSA_gen(1024), *other = EVP_RSA_gen(2048);
    struct {
        char *path;
        const char *why;
    } cases[] = {
        {put_key("TEST-ec.pem", ec, NULL), "no RSA key"},
        {put_key("TEST-small.pem", small, NULL), "2048, 3072 or 4096"},
        {put_key("TEST-other.pem", other, NULL), "is not the one of the certificate"},
        {put_key("TEST-locked.pem", other, "TEST"), "a passphrase protects it"},
        {xstrdup(certificate), "can be read by everybody"},
        {at("TEST-none.pem"), "TEST-none.pem"},
    };
    assert_int_equal(chmod(certificate, 0644), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect_refused(certificate, cases[i].path, cases[i].why);
        free(cases[i].path);
    }
    EVP_PKEY_free(ec);
    EVP_PKEY_free(small);
    EVP_PKEY_free(other);
}

TEST(a_certificate_file_holds_one_certificate_and_no_key)
{
    X509 *const twice[] = {document, document};
    cleanup_free char *several = put_certificates("TEST-two.pem", twice, 2);
    cleanup_free char *none = put_certificates("TEST-empty.pem", NULL, 0);
    cleanup_free char *both = put_certificates("TEST-both.pem", &document, 1);
    struct buf text = {0};
    assert_int_equal(file_read(both, 1 << 20, &text, NULL), 0);
    assert_int_equal(file_read(key, 1 << 20, &text, NULL), 0);
    assert_int_equal(file_write(both, text.data, text.len, 0600, NULL), 0);
    buf_free(&text);
    expect_refused(several, key, "it holds several");
    expect_refused(none, key, "there is no certificate");
    expect_refused(both, key, "it holds a private key");
}

TEST(the_digest_is_that_of_the_certificates_file)
{
    char expected[DIGEST_HEX_SIZE];
    assert_int_equal(digest_file(certificate, expected, NULL, NULL), 0);
    module_signer_free(load());
    assert_string_equal(digest, expected);
}
