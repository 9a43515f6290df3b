// SPDX-License-Identifier: Apache-2.0
// A host key document in words.
#ifndef KBUILD_HKD_TRUST_TEXT_H
#define KBUILD_HKD_TRUST_TEXT_H

#include "hkd/host_key.h"

// Printable, one line each. Owned.
struct host_key_text {
    char hash[65]; // hexadecimal
    char *subject, *issuer, *serial;
    char *from, *to; // "2026-01-31 12:00:00 UTC"
};
struct host_key_text host_key_text(const struct host_key *host);
void host_key_text_free(struct host_key_text *t);

#endif
