// SPDX-License-Identifier: Apache-2.0
// Host key documents: made, read, and refused.
#include "test.h"

#include "se_fixture.h"

#include "base/error.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

struct made {
    char *folder, *document, *key;
};

static int begin(void **state)
{
    struct made *m = xcalloc(1, sizeof *m);
    m->folder = make_temporary_directory("/tmp", "seal-test", NULL);
    cleanup_free char *inner = xasprintf("%s/not/there yet", m->folder);
    *state = m;
    return host_key_make_test(inner, &m->document, &m->key, NULL);
}

static int end(void **state)
{
    struct made *m = *state;
    remove_tree(m->folder, NULL);
    free(m->folder);
    free(m->document);
    free(m->key);
    free(m);
    return 0;
}

ALL_TESTS(begin, end)

TEST(a_test_key_opens_what_its_document_seals)
{
    struct made *m = *state;
    cleanup_error struct error *err = NULL;
    struct host_key host;
    assert_good(host_key_load(m->document, &host, &err));
    assert_true(host.test);
    assert_string_equal(host.path, m->document);
    EVP_PKEY *key = host_private_key_load(m->key, &err);
    assert_non_null(key);
    assert_int_equal(EVP_PKEY_eq(key, host.key), 1);
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(host.document), host.key), 1);
    // The name tells which key it is.
    char hex[9];
    hex_encode(host.hash, 4, hex);
    cleanup_free char *name = xasprintf("HKD-TEST-%s.crt", hex);
    assert_string_equal(path_base(m->document), name);
    assert_string_equal(path_base(m->key), "TEST-host-key.pem");
    EVP_PKEY_free(key);
    host_key_free(&host);
}

TEST(only_the_owner_reads_the_private_key)
{
    struct made *m = *state;
    struct stat st;
    assert_int_equal(stat(m->key, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(m->document, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
}

TEST(the_document_is_signed_by_its_own_key)
{
    struct made *m = *state;
    FILE *file = fopen(m->document, "r");
    assert_non_null(file);
    X509 *x = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    assert_non_null(x);
    assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
    assert_int_equal(X509_cmp_current_time(X509_get0_notBefore(x)), -1);
    assert_int_equal(X509_cmp_current_time(X509_get0_notAfter(x)), 1);
    X509_free(x);
}

TEST(existing_test_keys_are_never_replaced)
{
    struct made *m = *state;
    cleanup_free char *folder =
        xstrndup(m->document, (size_t)(path_base(m->document) - m->document));
    cleanup_free char *moved = xasprintf("%s/moved.crt", m->folder);
    cleanup_buf struct buf before = {0}, after = {0};
    get_file(m->key, &before);
    for (int i = 0; i < 2; i++) {
        cleanup_error struct error *err = NULL;
        assert_int_equal(host_key_make_test(folder, NULL, NULL, &err), -1);
        assert_message(err, "there is a test host key already");
        assert_non_null(err->hint);
        // The second time only the private key is there.
        if (i == 0)
            assert_int_equal(rename(m->document, moved), 0);
    }
    assert_int_equal(rename(moved, m->document), 0);
    get_file(m->key, &after);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    cleanup_strlist struct strlist names = {0};
    assert_int_equal(list_directory(folder, &names, NULL), 0);
    assert_int_equal(names.n, 2); // no temporary file is left
}

TEST(a_document_in_der_form_is_read_too)
{
    struct made *m = *state;
    cleanup_error struct error *err = NULL;
    FILE *file = fopen(m->document, "r");
    X509 *x = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    unsigned char *der = NULL;
    int length = i2d_X509(x, &der);
    cleanup_free char *path = xasprintf("%s/der.crt", m->folder);
    put_file(path, der, (size_t)length);
    struct host_key from_der, from_pem;
    assert_good(host_key_load(path, &from_der, &err));
    assert_good(host_key_load(m->document, &from_pem, &err));
    assert_memory_equal(from_der.hash, from_pem.hash, 32);
    char digest[DIGEST_HEX_SIZE];
    digest_bytes(der, (size_t)length, digest);
    assert_string_equal(from_der.digest, digest); // the file's, not the certificate's
    assert_string_not_equal(from_pem.digest, digest);
    assert_true(from_der.test);
    // Cut off anywhere, it is no document.
    for (int n = 0; n < length; n += 7) {
        cleanup_error struct error *cut = NULL;
        struct host_key none;
        put_file(path, der, (size_t)n);
        assert_int_equal(host_key_load(path, &none, &cut), -1);
        assert_message(cut, path);
    }
    host_key_free(&from_der);
    host_key_free(&from_pem);
    OPENSSL_free(der);
    X509_free(x);
}

// The hash of a key that is known from the known-answer image.
TEST(the_hash_covers_the_padded_coordinates)
{
    struct made *m = *state;
    cleanup_error struct error *err = NULL;
    EVP_PKEY *known = scalar_key(0x22);
    X509 *x = X509_new();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, known);
    assert_true(X509_sign(x, known, EVP_sha512()) > 0);
    cleanup_free char *path = xasprintf("%s/known.crt", m->folder);
    unsigned char *der = NULL;
    int length = i2d_X509(x, &der);
    put_file(path, der, (size_t)length);
    struct host_key host;
    assert_good(host_key_load(path, &host, &err));
    assert_hex(host.hash, 32, "1168c2b30940781f558e9f2a0b466ee5c17226fbe385982e25523069e7672b3e");
    assert_false(host.test); // its subject says nothing
    host_key_free(&host);
    OPENSSL_free(der);
    X509_free(x);
    EVP_PKEY_free(known);
}

static void keep_warning(enum log_level level, const char *line, void *context)
{
    if (level == LOG_WARNING)
        buf_puts(context, line);
}

TEST(only_the_first_certificate_of_a_file_counts)
{
    struct made *m = *state;
    cleanup_error struct error *err = NULL;
    cleanup_buf struct buf twice = {0}, warning = {0};
    get_file(m->document, &twice);
    get_file(m->document, &twice);
    cleanup_free char *path = xasprintf("%s/twice.crt", m->folder);
    put_file(path, twice.data, twice.len);
    log_redirect(keep_warning, &warning);
    struct host_key host;
    int result = host_key_load(path, &host, &err);
    log_redirect(NULL, NULL);
    assert_good(result);
    assert_non_null(strstr(warning.data, "only the first one counts"));
    host_key_free(&host);
}

// ---- bad input ----

// A certificate with any key, in PEM form.
static void put_certificate(const char *path, EVP_PKEY *key)
{
    X509 *x = X509_new();
    X509_set_pubkey(x, key);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_sign(x, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256());
    FILE *file = fopen(path, "w");
    assert_int_equal(PEM_write_X509(file, x), 1);
    fclose(file);
    X509_free(x);
    EVP_PKEY_free(key);
}

static void expect_refusal(const char *path, const char *message)
{
    cleanup_error struct error *err = NULL;
    struct host_key host;
    assert_int_equal(host_key_load(path, &host, &err), -1);
    assert_message(err, message);
    assert_message(err, path);
    assert_non_null(err->hint);
    assert_int_equal(err->kind, ERROR_USER);
    assert_null(strchr(err->message, '\n'));
}

TEST(keys_of_another_type_are_refused)
{
    struct made *m = *state;
    cleanup_free char *path = xasprintf("%s/other.crt", m->folder);
    put_certificate(path, EVP_RSA_gen(2048));
    expect_refusal(path, "its key is of type RSA, not EC on P-521");
    put_certificate(path, EVP_EC_gen("P-256"));
    expect_refusal(path, "its key is on the curve prime256v1, not on P-521");
    put_certificate(path, EVP_EC_gen("P-384"));
    expect_refusal(path, "its key is on the curve secp384r1, not on P-521");
    put_certificate(path, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
    expect_refusal(path, "its key is of type ED25519, not EC on P-521");
}

TEST(private_keys_are_refused_whatever_their_form)
{
    struct made *m = *state;
    cleanup_free char *path = xasprintf("%s/private", m->folder);
    expect_refusal(m->key, "it holds a private key, not a host key document");
    EVP_PKEY *key = host_private_key_load(m->key, NULL);
    unsigned char *der = NULL;
    int length = i2d_PrivateKey(key, &der);
    put_file(path, der, (size_t)length);
    expect_refusal(path, "it holds a private key");
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    // Also beside a good document, on either side of it.
    cleanup_buf struct buf document = {0}, both = {0};
    get_file(m->document, &document);
    get_file(m->key, &both);
    buf_add(&both, document.data, document.len);
    put_file(path, both.data, both.len);
    expect_refusal(path, "it holds a private key");
    get_file(m->key, &document);
    put_file(path, document.data, document.len);
    expect_refusal(path, "it holds a private key");
}

TEST(other_files_are_refused)
{
    struct made *m = *state;
    cleanup_free char *path = xasprintf("%s/garbage", m->folder);
    static const struct {
        const char *content, *message;
    } cases[] = {
        {"", "it is empty"},
        {"garbage", "it is not a certificate, neither PEM nor DER"},
        {"0\x82\x7f\xff", "it is not a certificate"},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
         "its certificate is damaged"},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n", "it is not a certificate"},
        {"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
         "it holds no certificate, but a X509 CRL"},
        {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
         "it holds no certificate, but a PUBLIC KEY"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        put_file(path, cases[i].content, strlen(cases[i].content));
        expect_refusal(path, cases[i].message);
    }
}

TEST(what_cannot_be_read_is_refused)
{
    struct made *m = *state;
    cleanup_free char *path = xasprintf("%s/huge", m->folder);
    cleanup_free char *missing = xasprintf("%s/missing", m->folder);
    cleanup_free char *fifo = xasprintf("%s/fifo", m->folder);
    expect_refusal(m->folder, "it is a directory, not a file");
    expect_refusal(missing, "No such file");
    put_file(path, "", 0);
    assert_int_equal(truncate(path, (off_t)1 << 40), 0);
    expect_refusal(path, "larger than the limit");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    expect_refusal(fifo, "it is a special file");
    assert_int_equal(chmod(m->document, 0), 0);
    if (geteuid() != 0) // root reads it all the same
        expect_refusal(m->document, "Permission denied");
    assert_int_equal(chmod(m->document, 0644), 0);
}

static void expect_key_refusal(const char *path, const char *message)
{
    cleanup_error struct error *err = NULL;
    assert_null(host_private_key_load(path, &err));
    assert_message(err, message);
    assert_message(err, path);
}

TEST(private_keys_that_cannot_open_an_image_are_refused)
{
    struct made *m = *state;
    cleanup_free char *path = xasprintf("%s/key.pem", m->folder);
    expect_key_refusal(m->document, "it is a document (a certificate)");
    expect_key_refusal(m->folder, "it is a directory");
    put_file(path, "garbage", 7);
    expect_key_refusal(path, "it is not a private key in PEM form without a passphrase");
    put_file(path, "", 0);
    expect_key_refusal(path, "it is not a private key");
    EVP_PKEY *other = EVP_EC_gen("P-256");
    FILE *file = fopen(path, "w");
    assert_int_equal(PEM_write_PrivateKey(file, other, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    expect_key_refusal(path, "its key is on the curve prime256v1");
    // With a passphrase: refused, never asked for.
    file = fopen(path, "w");
    assert_int_equal(PEM_write_PrivateKey(file, other, EVP_aes_256_cbc(),
                                          (const unsigned char *)"TEST", 4, NULL, NULL),
                     1);
    fclose(file);
    expect_key_refusal(path, "without a passphrase");
    EVP_PKEY_free(other);
}
