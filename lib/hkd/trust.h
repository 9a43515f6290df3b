// SPDX-License-Identifier: Apache-2.0
// Is a host key document genuine, valid and not revoked? (docs/trust.md; the rules are those of
// section 12 of the format.) The chain is root CA <- intermediate CA <- IBM Z signing key <- host
// key document; the signing key is no CA, so its last step is checked by hand.
//
//   trust_load.c         certificates and revocation lists, from files
//   trust_signing_key.c  which certificate is an IBM Z signing key, and the names of its lists
//   trust_chain.c        from the signing key up to a root, over OpenSSL
//   trust_why.c          what OpenSSL found, in words
//   trust_crl.c          the revocation lists of a signing key
//   trust_fetch.c        revocation lists from distribution points
//   trust.c              the host key documents
//   trust_x509.c         certificates in words (trust_text.h)
#ifndef KBUILD_HKD_TRUST_H
#define KBUILD_HKD_TRUST_H

#include "base/buf.h"
#include "hkd/host_key.h"

#include <time.h>

// What host key documents are verified with. Everything is borrowed.
struct trust {
    const struct strlist *certificates; // files: signing keys and intermediate CAs, PEM or DER
    const struct strlist *crls;         // files: revocation lists, PEM (any number) or DER
    const char *root_ca;                // file; NULL: the system's own store
    // Gets what `url` (http or https) points to, at most `limit` bytes; NULL: offline, then all
    // revocation lists must be given. Asked for are the lists that are missing: those of an issuer
    // of which none was given that is valid now.
    int (*fetch)(void *context, const char *url, size_t limit, struct buf *out, struct error **err);
    void *context;
    bool fetch_all; // those that were given, too: what is fetched stands in for them
    // NULL, or gets for each list that was fetched its address and the SHA-256 of its bytes.
    struct strlist *fetched;
    time_t now;           // 0: the clock's
    bool one_signing_key; // more than one is an error, as for genprotimg and pvimg
};

// 0 if all documents are genuine, valid and not revoked. The message says which file broke which
// rule, the hint what to do. Nothing is remembered: the verdict depends on the clock.
int host_keys_verify(const struct host_key *hosts, size_t count, const struct trust *trust,
                     struct error **err);

// The same in steps, for a verdict on each document. `trust` must live as long as the result. Fails
// if a file cannot be read, or there is no signing key (or more than one, if one is wanted).
struct trust_store;
#define TRUST_CRL_BYTES_MAX (64u << 20) // of a revocation list; DigiCert publishes one of 35 MB
struct trust_store *trust_open(const struct trust *trust, struct error **err);
// 0, or why the document is refused; the message does not name it. What is wrong with the chain is
// said here too, for each document.
int trust_check(struct trust_store *s, const struct host_key *host, struct error **err);
void trust_close(struct trust_store *s); // NULL is allowed

#endif
