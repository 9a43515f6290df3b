// SPDX-License-Identifier: Apache-2.0
#include "seal/private_key.h"

#include "base/file.h"
#include "seal/io.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#define KEY_FILE_MAX ((uint64_t)64 << 10)

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

EVP_PKEY *private_key_read(const char *path, const char **why, struct error **err)
{
    uint64_t size;
    bool locked;
    *why = NULL;
    cleanup_close int fd = open_input(path, &size, err);
    if (fd < 0)
        return NULL;
    if (size > KEY_FILE_MAX) {
        *why = "it is too large for a key";
        return NULL;
    }
    unsigned char *pem = xmalloc(size + 1); // in one piece, so that there is one copy to wipe
    int result = read_at(fd, path, 0, pem, size, err);
    EVP_PKEY *key = result < 0 ? NULL : private_key_parse(pem, size, &locked);
    OPENSSL_cleanse(pem, size);
    free(pem);
    if (!result && !key)
        *why = locked ? "a passphrase protects it" : "there is no private key in PEM form";
    return key;
}
