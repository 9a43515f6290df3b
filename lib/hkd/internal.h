// SPDX-License-Identifier: Apache-2.0
// What the files of trust*.c share. Not for others.
#ifndef KBUILD_HKD_INTERNAL_H
#define KBUILD_HKD_INTERNAL_H

#include "base/libcrypto.h"
#include "hkd/hkd.h"

// Strength of keys and digests, in bits (NIST SP 800-57 part 1, table 2): RSA 2048, SHA-224.
#define TRUST_BITS_MIN 112
#define TRUST_DEPTH_MAX 2 // intermediates

struct trust_certificate {
    X509 *x;
    char *file;
};

struct trust_crl {
    X509_CRL *crl;
    char *file;   // or its url
    bool fetched; // then it replaces given ones of the same issuer
    bool warned;
};

// How a revocation list counts for a signing key.
enum crl_status {
    CRL_UNRELATED, // of another issuer
    CRL_REJECTED,  // the name matches, but the signing key did not issue it
    CRL_REVOKES,   // its entries count, but another list is needed as well
    CRL_COUNTS     // a complete list, valid now
};

struct signing_key {
    struct trust_certificate certificate; // owned by the store
    struct error *error;                  // why its chain is refused; NULL: accepted
    bool no_crl;                          // because a revocation list is missing
    // One for each of the store's lists when they were classified.
    enum crl_status *status;
    char **reason; // why it does not count; NULL if it does or is unrelated
    size_t status_count;
};

struct trust_store {
    const struct trust *trust;
    time_t now;
    X509_STORE *roots;
    bool all_roots;                // trust_more_roots() can add nothing more
    struct trust_certificate root; // of the user; empty if this system's store counts
    struct trust_certificate *certificates;
    size_t certificate_count;
    struct trust_crl *crls;
    size_t crl_count;
    struct signing_key *keys;
    size_t key_count;
    struct strlist asked;    // urls, each is fetched once
    struct strlist failures; // "<url>: <why>"
    struct strlist missing; // lists that may not be fetched: "that of '<issuer>' is at <url> <url>"
};

// ---- trust_certificates.c ----
// From bytes, PEM or DER; `name` begins each message and is kept with each result. Revocation lists
// among certificates are taken too.
int trust_parse_certificates(struct trust_store *s, const void *bytes, size_t length,
                             const char *name, struct error **err);
int trust_parse_crls(struct trust_store *s, const void *bytes, size_t length, const char *name,
                     bool fetched, struct error **err);
// Loads all files that the user gave, and the roots.
int trust_load(struct trust_store *s, struct error **err);
void trust_unload(struct trust_store *s);
// This system's store is a directory, in which one root is found at once, and a file with all of
// them, which takes 20 ms to read. This adds the file; false if it was added before, or is not
// used.
bool trust_more_roots(struct trust_store *s);

// Fills s->keys; the store's certificates keep them too.
int find_signing_keys(struct trust_store *s, struct error **err);
bool is_key_of_store(const struct trust_store *s, const X509 *x);
// The names under which a signing key's lists are looked up, in this order. Owned.
#define CRL_NAMES_MAX 4
size_t crl_names(X509 *signing_key, X509_NAME *out[static CRL_NAMES_MAX]);

// ---- trust_chain.c ----
// Fills key->error if the chain is refused.
void verify_chain(struct trust_store *s, struct signing_key *key);

// Adds the lists of x's distribution points: always with fetch_all, else if the list is `missing`.
// Failures, and addresses that may not be fetched, are recorded in the store, not returned.
void fetch_crls(struct trust_store *s, const X509 *x, bool missing);
// The http and https addresses of the distribution points, added to out.
void distribution_points(const X509 *x, struct strlist *out);
// A hint for missing lists: why fetching failed, or the address of each.
void missing_crl_hint(const struct trust_store *s, struct error **err);

// ---- trust.c: revocation lists ----
// Updates each key's status from the lists of the store.
void classify_crls(struct trust_store *s);

// ---- trust_certificates.c: certificates in words, and small checks ----
char *name_text(const X509_NAME *name);   // one line, printable; to be freed
char *time_text(const ASN1_TIME *t);      // "2026-01-31 12:00:00 UTC"; to be freed
char *serial_text(const ASN1_INTEGER *n); // hexadecimal; to be freed
// A digest that is too weak or unknown. RSA-PSS names its digest in its parameters.
bool signature_is_weak(const X509_ALGOR *algorithm);
bool crl_is_weak(const X509_CRL *crl);
// A delta list: only the changes since another list (RFC 5280, section 5.2.4).
bool crl_is_delta(const X509_CRL *crl);
// -1 before, 0 within, 1 after, -2 if a date cannot be read. `to` may be NULL: then it is -2.
int compare_period(const ASN1_TIME *from, const ASN1_TIME *to, time_t now);
// 1 if the authority key id is absent or fits, 0 if not (or if it cannot be read).
int authority_fits(AUTHORITY_KEYID *id, int critical, X509 *issuer);

#endif
