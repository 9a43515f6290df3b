// SPDX-License-Identifier: Apache-2.0
// Getting at what a header protects, with a host's private key (section 16, unsealer).
#ifndef KBUILD_SEAL_UNLOCK_H
#define KBUILD_SEAL_UNLOCK_H

#include "seal/crypto.h"

// An image that was read, checked, and unlocked. Zero-initialise with .fd = -1.
struct unlocked {
    int fd;
    const char *path;
    struct se_image image;
    EVP_CIPHER_CTX *xts; // NULL if the components are in clear (pcf bit 35)
};
int unlock(const char *path, EVP_PKEY *host_key, struct unlocked *out, struct error **err);
// Decrypts a small component (at most 1 MiB, padding included) into memory: its padded bytes, to be
// freed. NULL on failure.
unsigned char *unlocked_load(const struct unlocked *u, int index, struct error **err);
void unlocked_free(struct unlocked *u);
#define cleanup_unlocked __attribute__((cleanup(unlocked_free)))

#endif
