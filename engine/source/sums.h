// SPDX-License-Identifier: Apache-2.0
// A list of SHA-256 sums in the format of sha256sum(1), clear-signed (RFC 9580, section 7) as
// kernel.org's sha256sums.asc is. Only within this directory.
#ifndef KBUILD_SOURCE_SUMS_H
#define KBUILD_SOURCE_SUMS_H

#include "base/memory.h"
#include "base/digest.h"
#include "base/error.h"

// The sum of the file `name`. In a clear-signed text only lines inside the signed block count, and
// only blank lines may precede it. Errors: lines of any other form, a file twice with different
// sums, a missing signature. `list` is for messages.
int sums_find(const char *list, const char *text, const char *name,
              char out[static DIGEST_HEX_SIZE], struct error **err);
// Verifies the signature of the file at `path` with gpgv and the keys in `keyring`; *signed_text
// gets the signed text.
int sums_verify(const char *path, const char *list, const char *keyring, struct buf *signed_text,
                struct error **err);

#endif
