// SPDX-License-Identifier: Apache-2.0
// Reads private keys in PEM form, and wipes what was read.
#include "crypto/crypto.h"

#include "base/input.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#define KEY_FILE_MAX (64u << 10)

static int no_passphrase(char *buffer, int size, int writing, void *locked)
{
    (void)buffer, (void)size, (void)writing;
    *(bool *)locked = true;
    return -1;
}

EVP_PKEY *private_key_parse(const void *pem, size_t length, bool *locked)
{
    *locked = false;
    BIO *bio = BIO_new_mem_buf(length ? pem : "", (int)length);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, locked) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return key;
}

static int check_mode(const struct stat *st, const char *path, struct error **err)
{
    if (!S_ISREG(st->st_mode) || !(st->st_mode & (S_IROTH | S_IWOTH)))
        return 0;
    error_user(err, "the key %s can be %s by everybody", path,
               st->st_mode & S_IROTH ? "read" : "written");
    return error_hint(err, "chmod 600 %s; if others may have seen it, make a new one", path);
}

EVP_PKEY *private_key_read(const char *path, const char **why, struct error **err)
{
    cleanup_secret_memory struct secret_memory pem = {0};
    struct stat st;
    bool locked;
    *why = NULL;
    if (secret_memory_read(path, KEY_FILE_MAX, &pem, &st, err) < 0 ||
        check_mode(&st, path, err) < 0)
        return NULL;
    EVP_PKEY *key = private_key_parse(pem.bytes, pem.length, &locked);
    if (!key)
        *why = locked ? "a passphrase protects it" : "there is no private key in PEM form";
    return key;
}
