// SPDX-License-Identifier: Apache-2.0
// Private keys in PEM form (RFC 7468), for whatever signs or opens something. A passphrase is never
// asked for: nobody sits at a CI job. What was read is wiped; the key is the caller's, to be freed
// with EVP_PKEY_free(), which wipes it too.
#ifndef KBUILD_CRYPTO_PRIVATE_KEY_H
#define KBUILD_CRYPTO_PRIVATE_KEY_H

#include "base/error.h"

#include <openssl/evp.h>
#include <stdbool.h>

// NULL if there is none; *locked says if a passphrase protects it.
EVP_PKEY *private_key_parse(const void *pem, size_t length, bool *locked);
// From a file that the user named, and that is not everybody's to read or write. NULL and *err if
// it cannot be read; NULL and *why, a static text, if it holds no key that can be used.
EVP_PKEY *private_key_read(const char *path, const char **why, struct error **err);

#endif
