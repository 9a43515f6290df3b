// SPDX-License-Identifier: Apache-2.0
// What the tests of the sealer share: the inputs of the known-answer image (docs/se-image.md, test
// vectors), a temporary folder, and small file helpers. Every failure ends the test.
#ifndef KBUILD_TESTS_SEAL_FIXTURE_H
#define KBUILD_TESTS_SEAL_FIXTURE_H

#include "base/digest.h"
#include "base/file.h"
#include "se/se.h"

#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define KERNEL_SIZE 0x11234u
#define INITRD_SIZE 5000u
#define STAGE3A_SIZE 0x26B8u
#define STAGE3B_SIZE 5860u
#define KNOWN_COMMAND_LINE "console=ttysclp0"

struct fixture {
    char *folder;
    unsigned char header_key[32], header_iv[12], cck[32], xts_key[64], tweaks[4][6];
    unsigned char stage3a[STAGE3A_SIZE], stage3b[STAGE3B_SIZE];
    char *kernel, *initrd;
    struct host_key hosts[2];
    struct se_fixed fixed;
    struct se_input input; // the known-answer image
};

// Turns an error into a failed test that shows it.
#define assert_good(expression)                                                                    \
    do {                                                                                           \
        if ((expression) < 0)                                                                      \
            fail_msg("%s: %s", #expression, err ? err->message : "no message");                    \
    } while (0)

#define assert_message(err, text)                                                                  \
    do {                                                                                           \
        assert_non_null(err);                                                                      \
        if (!strstr((err)->message, text))                                                         \
            fail_msg("\"%s\" is not in \"%s\"", text, (err)->message);                             \
    } while (0)

static inline char *in_folder(const struct fixture *f, const char *name)
{
    return xasprintf("%s/%s", f->folder, name);
}

static inline void put_file(const char *path, const void *bytes, size_t length)
{
    cleanup_error struct error *err = NULL;
    assert_good(file_write(path, bytes, length, 0644, &err));
}

static inline void get_file(const char *path, struct buf *out)
{
    cleanup_error struct error *err = NULL;
    assert_good(file_read(path, (size_t)256 << 20, out, &err));
}

// A P-521 key whose private scalar is 65 times `byte`.
static inline EVP_PKEY *scalar_key(unsigned char byte)
{
    unsigned char scalar[65], point[133], native[65];
    memset(scalar, byte, sizeof scalar);
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_secp521r1);
    EC_POINT *public = EC_POINT_new(group);
    BIGNUM *number = BN_bin2bn(scalar, sizeof scalar, NULL);
    assert_int_equal(EC_POINT_mul(group, public, number, NULL, NULL, NULL), 1);
    assert_int_equal(
        EC_POINT_point2oct(group, public, POINT_CONVERSION_UNCOMPRESSED, point, sizeof point, NULL),
        sizeof point);
    assert_int_equal(BN_bn2nativepad(number, native, sizeof native), sizeof native);
    char curve[] = "secp521r1";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, native, sizeof native),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(context);
    BN_free(number);
    EC_POINT_free(public);
    EC_GROUP_free(group);
    return key;
}

static inline void count_up(unsigned char *out, size_t length, unsigned char first)
{
    for (size_t i = 0; i < length; i++)
        out[i] = (unsigned char)(first + i);
}

static inline void make_inputs(struct fixture *f)
{
    unsigned char kernel[KERNEL_SIZE], initrd[INITRD_SIZE];
    for (size_t i = 0; i < sizeof kernel; i++)
        kernel[i] = (unsigned char)(7 * i + 3);
    for (size_t i = 0; i < sizeof initrd; i++)
        initrd[i] = (unsigned char)(11 * i + 5);
    f->kernel = in_folder(f, "known-kernel");
    f->initrd = in_folder(f, "known-initrd");
    put_file(f->kernel, kernel, sizeof kernel);
    put_file(f->initrd, initrd, sizeof initrd);
    memset(f->stage3a, 0xA5, sizeof f->stage3a - 24);
    memset(f->stage3b, 0x5A, sizeof f->stage3b - 64);
    count_up(f->xts_key, sizeof f->xts_key, 0x00);
    count_up(f->cck, sizeof f->cck, 0x40);
    count_up(f->header_key, sizeof f->header_key, 0x60);
    count_up(f->header_iv, sizeof f->header_iv, 0xA0);
    for (size_t i = 0; i < 4; i++)
        count_up(f->tweaks[i], sizeof f->tweaks[i], (unsigned char)(0x10 * i + 1));
}

static inline int fixture_begin(void **state)
{
    cleanup_error struct error *err = NULL;
    struct fixture *f = xcalloc(1, sizeof *f);
    const char *parent = getenv("TMPDIR");
    f->folder = make_temporary_directory(parent ? parent : "/tmp", "seal-test", &err);
    if (!f->folder)
        return -1;
    make_inputs(f);
    for (size_t i = 0; i < 2; i++) {
        f->hosts[i].path = xasprintf("HKD-known-%zu.crt", i + 1);
        f->hosts[i].key = scalar_key((unsigned char)(0x22 + 0x11 * i));
    }
    f->fixed = (struct se_fixed){.header_iv = f->header_iv,
                                 .tweaks = (const unsigned char(*)[6])f->tweaks,
                                 .customer_key = scalar_key(0x11)};
    f->input = (struct se_input){.kernel = f->kernel,
                                 .initrd = f->initrd,
                                 .command_line = KNOWN_COMMAND_LINE,
                                 .command_line_length = strlen(KNOWN_COMMAND_LINE),
                                 .hosts = f->hosts,
                                 .host_count = 2,
                                 .pcf = SE_PCF_DEFAULT,
                                 .skip_component_checks = true,
                                 .stage3a = f->stage3a,
                                 .stage3a_length = sizeof f->stage3a,
                                 .stage3b = f->stage3b,
                                 .stage3b_length = sizeof f->stage3b,
                                 .keys = {f->header_key, f->cck, f->xts_key},
                                 .fixed = &f->fixed};
    *state = f;
    return 0;
}

static inline int fixture_end(void **state)
{
    struct fixture *f = *state;
    remove_tree(f->folder, NULL);
    for (size_t i = 0; i < 2; i++)
        host_key_free(&f->hosts[i]);
    EVP_PKEY_free(f->fixed.customer_key);
    free(f->kernel);
    free(f->initrd);
    free(f->folder);
    free(f);
    return 0;
}

// Seals into a new file of the folder. The result of se_seal().
static inline int seal_to(const struct se_input *in, const char *path, struct error **err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    int result = se_seal(in, fd, NULL, err);
    close(fd);
    return result;
}

static inline int read_image(const char *path, struct se_image *out, struct error **err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    int result = se_read(fd, path, out, err);
    close(fd);
    return result;
}

static inline void assert_hex(const void *bytes, size_t length, const char *expected)
{
    cleanup_free char *hex = xmalloc(2 * length + 1);
    hex_encode(bytes, length, hex);
    assert_string_equal(hex, expected);
}

#endif
