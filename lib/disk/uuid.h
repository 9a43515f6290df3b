// SPDX-License-Identifier: Apache-2.0
// UUIDs (RFC 9562), and how identities are derived from content, so that an image has no random
// ones.
#ifndef KBUILD_DISK_UUID_H
#define KBUILD_DISK_UUID_H

#include "base/digest.h"

#include <stdbool.h>
#include <stddef.h>

#define UUID_SIZE 16u
#define UUID_TEXT 37u // with the NUL
void uuid_text(const unsigned char uuid[static UUID_SIZE], char out[static UUID_TEXT]);
bool uuid_read(const char *text, unsigned char out[static UUID_SIZE]); // of either case

// The first `size` (at most 32) bytes of SHA-256("kbuild <purpose> <digest>").
void derive(const char digest[static DIGEST_HEX_SIZE], const char *purpose, void *out, size_t size);
// The same as a UUID of version 8.
void uuid_derive(const char digest[static DIGEST_HEX_SIZE], const char *purpose,
                 unsigned char out[static UUID_SIZE]);

#endif
