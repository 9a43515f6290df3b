// SPDX-License-Identifier: Apache-2.0
// Where in an image the damage is. Each returns a text to be freed, or NULL if no single bit
// explains it: then more than one was changed, or the key is not the one.
//
// A tag or a digest says only that something changed. But a header has some thousands of bits, and
// OpenSSL checks a million short tags in a second: so each bit is tried.
#ifndef KBUILD_SE_VERIFY_LOCATE_H
#define KBUILD_SE_VERIFY_LOCATE_H

#include "se/format.h"

// The name of the field that byte `offset` of a header with `slots` key slots belongs to ("its IV",
// "the hash in key slot 2"); to be freed.
char *header_field(uint64_t slots, uint64_t offset);
// "byte 0x14010, bit 0x08, in its IV".
char *header_place(const struct se_image *image, uint64_t offset, unsigned char mask);

// The header's tag does not fit, and the key is right.
char *locate_in_header(const struct se_image *image, const unsigned char *header,
                       const unsigned char header_key[static 32]);
// The tag of key slot number `slot` does not fit for this host: the bit is in the slot, or in the
// customer key.
char *locate_in_slot(const struct se_image *image, EVP_PKEY *host, uint64_t slot);
// No slot has this host's hash, but `*slot` opens with its key.
char *locate_in_hash(const struct se_image *image, EVP_PKEY *host,
                     const unsigned char hash[static 32], uint64_t *slot);
// The tweaks in the IPIB do not have the header's digest.
char *locate_in_tweaks(const struct se_image *image);

#endif
