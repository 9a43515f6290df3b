// SPDX-License-Identifier: Apache-2.0
// Is a host key document genuine? (docs/trust.md; the rules are those of section 12 of the format.)
// The chain is root CA <- intermediate CA <- IBM Z signing key <- host key document; the signing key
// is no CA, so its last step is checked by hand.
#ifndef KBUILD_SEAL_TRUST_H
#define KBUILD_SEAL_TRUST_H

#include "seal/seal.h"

#include <time.h>

// What host key documents are verified with. Everything is borrowed.
struct trust {
    const struct strlist *certificates; // files: signing keys and intermediate CAs, PEM or DER
    const struct strlist *crls;         // files: revocation lists, PEM (any number) or DER
    const char *root_ca;                // file; NULL: the system's own store
    // Gets what `url` (http or https) points to, at most `limit` bytes; NULL: offline, then all
    // revocation lists must be given.
    int (*fetch)(void *context, const char *url, size_t limit, struct buf *out, struct error **err);
    void *context;
    time_t now; // 0: the clock's
};

// 0 if all documents are genuine, valid and not revoked. The message says which file broke which rule.
int host_keys_verify(const struct host_key *hosts, size_t count, const struct trust *trust,
                     struct error **err);

#endif
