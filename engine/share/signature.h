// SPDX-License-Identifier: Apache-2.0
// Ed25519 signatures (RFC 8032) over OpenSSL, with keys as PEM files: private ones as `openssl
// genpkey -algorithm ed25519` writes them (PKCS #8), public ones as `openssl pkey -pubout` does
// (SPKI). A key is named by the SHA-256 of its public part as DER (SPKI).
#ifndef KBUILD_SHARE_SIGNATURE_H
#define KBUILD_SHARE_SIGNATURE_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"

#include <stdbool.h>

struct signature {
    char key[DIGEST_HEX_SIZE]; // who signed
    char value[2 * 64 + 1];    // in hex
};

// Signs with the private key in the file. Its content is in no message.
int signature_make(const char *key_file, const struct buf *text, struct signature *out,
                   struct error **err);

// Public keys: all of a PEM file, or of every *.pem of a directory. None at all is an error, so
// that a wrong path never means that everybody is trusted, or nobody.
struct trusted_keys;
struct trusted_keys *trusted_keys_load(const char *path, struct error **err);
void trusted_keys_free(struct trusted_keys *t);
// Is this a signature of the text by one of the keys?
bool trusted_keys_accept(const struct trusted_keys *t, const struct signature *s,
                         const struct buf *text);

#endif
