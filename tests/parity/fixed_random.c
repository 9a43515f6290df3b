// SPDX-License-Identifier: Apache-2.0
// For LD_PRELOAD: takes the place of OpenSSL's generator in genprotimg, so that what it draws is
// what our test build is given (cmd/kbuild/genprotimg_hooks.c): bytes from the file
// KBUILD_TEST_RANDOM, one after the other, and the key pair in the PEM file KBUILD_TEST_CUSTOMER.
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

static void give_up(const char *what)
{
    fprintf(stderr, "fixed_random: %s\n", what);
    exit(99);
}

static FILE *open_variable(const char *name)
{
    const char *path = getenv(name);
    FILE *f = path ? fopen(path, "rb") : NULL;
    if (!f)
        give_up(name);
    return f;
}

int RAND_bytes(unsigned char *out, int length)
{
    static FILE *f;
    if (!f)
        f = open_variable("KBUILD_TEST_RANDOM");
    if (fread(out, 1, (size_t)length, f) != (size_t)length)
        give_up("KBUILD_TEST_RANDOM is too short");
    return 1;
}

int RAND_priv_bytes(unsigned char *out, int length)
{
    return RAND_bytes(out, length);
}

int EVP_PKEY_keygen(EVP_PKEY_CTX *ctx, EVP_PKEY **out)
{
    FILE *f = open_variable("KBUILD_TEST_CUSTOMER");
    *out = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    if (!*out)
        give_up("KBUILD_TEST_CUSTOMER is no private key");
    return 1;
}
