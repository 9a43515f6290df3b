// SPDX-License-Identifier: Apache-2.0
// ID blocks as SNP firmware wants them: the layout, and signatures that verify with the keys
// inside.
#include "test.h"

#include "measure_fixture.h"

#include <jansson.h>
#include <openssl/pem.h>

struct id_fixture {
    char *folder, *id_path, *author_path;
};

static char *put_key(const char *folder, const char *name, EVP_PKEY *key, const char *passphrase)
{
    char *path = xasprintf("%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_int_equal(chmod(path, 0600), 0);
    assert_non_null(file);
    assert_non_null(key);
    assert_int_equal(PEM_write_PrivateKey(file, key, passphrase ? EVP_aes_256_cbc() : NULL,
                                          (const unsigned char *)passphrase,
                                          passphrase ? (int)strlen(passphrase) : 0, NULL, NULL),
                     1);
    fclose(file);
    EVP_PKEY_free(key);
    return path;
}

static int begin(void **state)
{
    struct id_fixture *f = xcalloc(1, sizeof *f);
    f->folder = make_temporary_directory("/tmp", "kbuild-id-", NULL);
    assert_non_null(f->folder);
    f->id_path = put_key(f->folder, "TEST-id.pem", EVP_EC_gen("P-384"), NULL);
    f->author_path = put_key(f->folder, "TEST-author.pem", EVP_EC_gen("P-384"), NULL);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct id_fixture *f = *state;
    remove_tree(f->folder, NULL);
    free(f->folder);
    free(f->id_path);
    free(f->author_path);
    free(f);
    return 0;
}

static const struct id_block_values values = {
    .policy = 0xB0000, .family_id = {1, 2, 3}, .image_id = {[15] = 9}, .guest_svn = 0x01020304};

EACH_TEST(begin, end)

TEST(a_block_has_its_fields_where_the_firmware_looks)
{
    (void)state;
    unsigned char digest[LAUNCH_DIGEST_MAX], block[ID_BLOCK_SIZE];
    memset(digest, 0xAB, sizeof digest);
    id_block_make(digest, &values, block);
    assert_memory_equal(block, digest, 48);
    assert_memory_equal(block + 0x30, values.family_id, 16);
    assert_memory_equal(block + 0x40, values.image_id, 16);
    assert_int_equal(get_le(block + 0x50, 4), 1);
    assert_int_equal(get_le(block + 0x54, 4), 0x01020304);
    assert_int_equal(get_le(block + 0x58, 8), 0xB0000);
}

// ---- from the firmware's form back to OpenSSL's ----

static EVP_PKEY *public_key(const unsigned char *form)
{
    unsigned char point[97] = {4};
    for (size_t i = 0; i < 48; i++) {
        point[1 + i] = form[4 + 47 - i];
        point[49 + i] = form[0x4C + 47 - i];
    }
    assert_int_equal(get_le(form, 4), 2); // P-384
    for (size_t i = 0x94; i < ID_KEY_SIZE; i++)
        assert_int_equal(form[i], 0);
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string("group", (char[]){"P-384"}, 0),
                               OSSL_PARAM_construct_octet_string("pub", point, sizeof point),
                               OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;
    assert_int_equal(EVP_PKEY_fromdata_init(c), 1);
    assert_int_equal(EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, parameters), 1);
    EVP_PKEY_CTX_free(c);
    return key;
}

static bool verifies(const unsigned char *key_form, const unsigned char *signature,
                     const void *bytes, size_t length)
{
    ECDSA_SIG *s = ECDSA_SIG_new();
    unsigned char *der = NULL;
    assert_int_equal(
        ECDSA_SIG_set0(s, BN_lebin2bn(signature, 72, NULL), BN_lebin2bn(signature + 72, 72, NULL)),
        1);
    int der_length = i2d_ECDSA_SIG(s, &der);
    EVP_PKEY *key = public_key(key_form);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(c, NULL, EVP_sha384(), NULL, key), 1);
    int good = EVP_DigestVerify(c, der, (size_t)der_length, bytes, length);
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(key);
    ECDSA_SIG_free(s);
    OPENSSL_free(der);
    for (size_t i = 144; i < 512; i++)
        assert_int_equal(signature[i], 0);
    return good == 1;
}

TEST(signatures_verify_with_the_keys_inside)
{
    const struct id_fixture *f = *state;
    cleanup_error struct error *err = NULL;
    struct id_keys *keys = id_keys_load(f->id_path, f->author_path, &err);
    assert_non_null(keys);
    unsigned char digest[LAUNCH_DIGEST_MAX] = {7}, block[ID_BLOCK_SIZE], auth[ID_AUTH_SIZE];
    id_block_make(digest, &values, block);
    assert_good(id_auth_make(block, keys, auth, &err));
    assert_int_equal(get_le(auth, 4), 1);
    assert_int_equal(get_le(auth + 4, 4), 1);
    assert_true(verifies(auth + 0x240, auth + 0x40, block, sizeof block));
    assert_true(verifies(auth + 0x880, auth + 0x680, auth + 0x240, ID_KEY_SIZE));
    block[0] ^= 1;
    assert_false(verifies(auth + 0x240, auth + 0x40, block, sizeof block));

    unsigned char expected[LAUNCH_DIGEST_MAX], got[LAUNCH_DIGEST_MAX];
    EVP_Digest(auth + 0x240, ID_KEY_SIZE, expected, NULL, EVP_sha384(), NULL);
    id_key_digest(keys, got);
    assert_memory_equal(got, expected, sizeof got);
    EVP_Digest(auth + 0x880, ID_KEY_SIZE, expected, NULL, EVP_sha384(), NULL);
    assert_true(id_author_digest(keys, got));
    assert_memory_equal(got, expected, sizeof got);
    id_keys_free(keys);
}

TEST(without_an_author_key_its_fields_are_zero)
{
    const struct id_fixture *f = *state;
    cleanup_error struct error *err = NULL;
    struct id_keys *keys = id_keys_load(f->id_path, NULL, &err);
    assert_non_null(keys);
    unsigned char block[ID_BLOCK_SIZE] = {1}, auth[ID_AUTH_SIZE], digest[LAUNCH_DIGEST_MAX];
    assert_good(id_auth_make(block, keys, auth, &err));
    assert_int_equal(get_le(auth + 4, 4), 0);
    for (size_t i = 0x680; i < ID_AUTH_SIZE; i++)
        assert_int_equal(auth[i], 0);
    assert_false(id_author_digest(keys, digest));
    id_keys_free(keys);
}

// ---- refused ----

static void refused_key(const char *id, const char *author, const char *why)
{
    cleanup_error struct error *err = NULL;
    assert_null(id_keys_load(id, author, &err));
    assert_message(err, why);
}

TEST(keys_of_another_kind_are_refused)
{
    const struct id_fixture *f = *state;
    cleanup_free char *p256 = put_key(f->folder, "p256.pem", EVP_EC_gen("P-256"), NULL);
    cleanup_free char *rsa = put_key(f->folder, "rsa.pem", EVP_RSA_gen(2048), NULL);
    cleanup_free char *locked = put_key(f->folder, "locked.pem", EVP_EC_gen("P-384"), "secret");
    cleanup_free char *junk = xasprintf("%s/junk.pem", f->folder);
    put_file(junk, "no key", 6);
    assert_int_equal(chmod(junk, 0600), 0);
    cleanup_free char *large = xasprintf("%s/large.pem", f->folder);
    put_file(large, "", 0);
    assert_int_equal(chmod(large, 0600), 0);
    assert_int_equal(truncate(large, 1 << 20), 0);
    refused_key(p256, NULL, "P-384");
    refused_key(rsa, NULL, "P-384");
    refused_key(locked, NULL, "passphrase");
    refused_key(junk, NULL, "no private key");
    refused_key(large, NULL, "larger than the limit");
    refused_key("/nonexistent", NULL, "No such file");
    refused_key(f->id_path, p256, "p256.pem");
    assert_int_equal(chmod(p256, 0644), 0);
    refused_key(p256, NULL, "can be read by everybody");
    assert_int_equal(chmod(p256, 0602), 0);
    refused_key(p256, NULL, "can be written by everybody");
}

TEST(a_policy_that_the_firmware_refuses_is_refused)
{
    (void)state;
    cleanup_error struct error *err = NULL;
    struct id_block_values v = values;
    assert_int_equal(id_block_check(&v, &err), 0);
    v.policy = 0x10000;
    assert_int_equal(id_block_check(&v, &err), -1);
    assert_message(err, "bit 17");
}

// ---- reference values ----

static json_t *refer(const struct launch_inputs *in, const struct id_block_values *id,
                     const struct id_keys *keys)
{
    cleanup_error struct error *err = NULL;
    cleanup_measurement struct launch_measurement m = {0};
    cleanup_buf struct buf text = {0};
    assert_good(launch_measure(in, &m, &err));
    assert_good(launch_reference(in, &m, id, keys, &text, &err));
    json_t *all = json_loads(text.data, 0, NULL);
    assert_non_null(all);
    return all;
}

static size_t decode(const json_t *object, const char *name, unsigned char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(object, name));
    assert_non_null(text);
    size_t length = strlen(text);
    assert_true(length % 4 == 0 && length / 4 * 3 <= size);
    int n = EVP_DecodeBlock(out, (const unsigned char *)text, (int)length);
    assert_true(n > 0);
    return (size_t)n - (ends_with(text, "==") ? 2 : ends_with(text, "=") ? 1 : 0);
}

TEST(reference_values_hold_signed_blocks)
{
    struct id_fixture *f;
    struct snp_fixture *s;
    assert_int_equal(snp_setup((void **)&s), 0);
    f = *state;
    struct id_keys *keys = id_keys_load(f->id_path, NULL, NULL);
    struct launch_inputs in = s->in;
    in.last_vcpus = 3;
    json_t *all = refer(&in, &values, keys);
    const json_t *list = json_object_get(all, "measurements");
    assert_int_equal(json_array_size(list), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *one = json_array_get(list, i);
        unsigned char block[ID_BLOCK_SIZE + 3], auth[ID_AUTH_SIZE + 3], digest[LAUNCH_DIGEST_MAX];
        assert_int_equal(json_integer_value(json_object_get(one, "vcpus")), i + 1);
        assert_true(hex_decode(json_string_value(json_object_get(one, "digest")), digest, 48));
        assert_int_equal(decode(one, "snp_id_block", block, sizeof block), ID_BLOCK_SIZE);
        assert_int_equal(decode(one, "snp_id_auth", auth, sizeof auth), ID_AUTH_SIZE);
        assert_memory_equal(block, digest, 48);
        assert_true(verifies(auth + 0x240, auth + 0x40, block, ID_BLOCK_SIZE));
    }
    assert_true(json_is_true(json_object_get(json_object_get(all, "id_block"), "signed")));
    json_decref(all);
    id_keys_free(keys);
    snp_teardown((void **)&s);
}

TEST(without_keys_blocks_are_unsigned_and_say_so)
{
    struct snp_fixture *s;
    (void)state;
    assert_int_equal(snp_setup((void **)&s), 0);
    json_t *all = refer(&s->in, &values, NULL);
    const json_t *one = json_array_get(json_object_get(all, "measurements"), 0);
    assert_non_null(json_object_get(one, "snp_id_block"));
    assert_null(json_object_get(one, "snp_id_auth"));
    assert_true(json_is_false(json_object_get(json_object_get(all, "id_block"), "signed")));
    json_decref(all);
    snp_teardown((void **)&s);
}

TEST(reference_values_do_not_tell_where_files_lay)
{
    struct snp_fixture *s;
    (void)state;
    assert_int_equal(snp_setup((void **)&s), 0);
    json_t *all = refer(&s->in, NULL, NULL);
    char *text = json_dumps(all, 0);
    assert_null(strstr(text, s->folder));
    assert_non_null(strstr(text, "\"vmlinuz\""));
    assert_null(json_object_get(all, "id_block"));
    free(text);
    json_decref(all);
    snp_teardown((void **)&s);
}

TEST(a_command_line_that_json_cannot_hold_is_refused)
{
    struct snp_fixture *s;
    cleanup_error struct error *err = NULL;
    cleanup_measurement struct launch_measurement m = {0};
    cleanup_buf struct buf text = {0};
    (void)state;
    assert_int_equal(snp_setup((void **)&s), 0);
    s->in.append = "quiet \xFF";
    assert_good(launch_measure(&s->in, &m, &err));
    assert_int_equal(launch_reference(&s->in, &m, NULL, NULL, &text, &err), -1);
    assert_message(err, "UTF-8");
    snp_teardown((void **)&s);
}
