// SPDX-License-Identifier: Apache-2.0
// Host key documents (section 12 of docs/se-image.md), and the private keys of TEST ones.
#ifndef KBUILD_HKD_HOST_KEY_H
#define KBUILD_HKD_HOST_KEY_H

#include "base/digest.h"
#include "base/error.h"

#include <openssl/evp.h>
#include <stdbool.h>

#define SE_TEST_MARK "TEST" // in the subject CN of documents made by se_test_key()

struct host_key {
    char *path;
    X509 *document;               // as it was read, so that what is verified is what is sealed for
    EVP_PKEY *key;                // P-521, checked
    unsigned char hash[32];       // SHA-256 of the 160-byte coordinates
    char digest[DIGEST_HEX_SIZE]; // of the file's bytes as they were read
    bool test;                    // its subject says TEST
};
// Reads one document that was found in a folder, PEM or DER. A private key, an RSA key, another
// curve, a directory, garbage: each gets a message of its own.
int host_key_load(const char *path, struct host_key *out, struct error **err);
// The same for a document that the user named, which may be a pipe (base/user_file.h).
int host_key_input(const char *path, struct host_key *out, struct error **err);
void host_key_free(struct host_key *k);
// Makes DIR/HKD-TEST-<hex>.crt and DIR/TEST-host-key.pem (0600, P-521). Existing ones are an error.
int se_test_key(const char *directory, char **document, char **private_key, struct error **err);
EVP_PKEY *host_private_key_load(const char *path, struct error **err); // PEM, P-521

// host_key_load() after the file was read. Messages begin with `path`.
int host_key_parse(const void *bytes, size_t length, const char *path, struct host_key *out,
                   struct error **err);

#endif
