// SPDX-License-Identifier: Apache-2.0
// Host key documents (docs/se-image.md, section 12): reading, verifying, describing, and making
// TEST ones with their private keys.
//
// In: files that the user named or that were found in a folder. Out: struct host_key and texts,
// each owned by the caller and released by the function named beside it. Over OpenSSL.
#ifndef KBUILD_HKD_HKD_H
#define KBUILD_HKD_HKD_H

#include "base/digest.h"
#include "base/error.h"
#include "base/libcrypto.h"
#include "base/memory.h"

#include <stdbool.h>
#include <time.h>

#define HOST_KEY_TEST_MARK "TEST" // in the subject CN of documents made by host_key_make_test()

struct host_key {
    char *path;
    X509 *document;               // as read: the verified document is the one sealed for
    EVP_PKEY *key;                // P-521, checked
    unsigned char hash[32];       // SHA-256 of the 160-byte coordinates
    char digest[DIGEST_HEX_SIZE]; // of the file's bytes as they were read
    bool test;                    // its subject contains TEST
};
// Reads one document that was found in a folder, PEM or DER. A private key, an RSA key, another
// curve, a directory and garbage each get a message of their own.
int host_key_load(const char *path, struct host_key *out, struct error **err);
// The same for a document that the user named, which may be a pipe (base/input.h).
int host_key_input(const char *path, struct host_key *out, struct error **err);
void host_key_free(struct host_key *k);
// Makes DIR/HKD-TEST-<hex>.crt and DIR/TEST-host-key.pem (0600, P-521). Existing ones are an error.
int host_key_make_test(const char *directory, char **document, char **private_key,
                       struct error **err);
EVP_PKEY *host_private_key_load(const char *path, struct error **err); // PEM, P-521

// host_key_load() after the file was read. Messages begin with `path`.
int host_key_parse(const void *bytes, size_t length, const char *path, struct host_key *out,
                   struct error **err);

// ---- trust ----
// Is a host key document genuine, valid and not revoked? docs/trust.md has the rules. The chain is
// root CA <- intermediate CA <- IBM Z signing key <- host key document; the signing key is no CA,
// so the last link is checked here, not by OpenSSL.
//
//   trust_certificates.c  certificates and lists from files, signing keys, certificates in words
//   trust_chain.c         from the signing key up to a root, over OpenSSL, and its failures in
//   words trust.c               the documents, and the revocation lists of a signing key

// The input for verifying host key documents. Everything is borrowed.
struct trust {
    const struct strlist *certificates; // files: signing keys and intermediate CAs, PEM or DER
    const struct strlist *crls;         // files: revocation lists, PEM (any number) or DER
    const char *root_ca;                // file; NULL: the system's own store
    // Downloads `url` (http or https), at most `limit` bytes; NULL: offline, then all revocation
    // lists must be given. Called for missing lists: those of an issuer without a given list that
    // is valid now.
    int (*fetch)(void *context, const char *url, size_t limit, struct buf *out, struct error **err);
    void *context;
    bool fetch_all; // also given lists; fetched ones replace them
    // NULL, or gets for each list that was fetched its address and the SHA-256 of its bytes.
    struct strlist *fetched;
    time_t now;           // 0: the clock's
    bool one_signing_key; // more than one is an error, as for genprotimg and pvimg
};

// 0 if all documents are genuine, valid and not revoked. The message says which file broke which
// rule, the hint what to do. No verdict is kept: it depends on the clock.
int host_keys_verify(const struct host_key *hosts, size_t count, const struct trust *trust,
                     struct error **err);

// The same in steps, for a verdict on each document. `trust` must live as long as the result. Fails
// if a file cannot be read, or there is no signing key (or more than one, if one is wanted).
struct trust_store;
#define TRUST_CRL_BYTES_MAX (64u << 20) // of a revocation list; DigiCert publishes one of 35 MB
struct trust_store *trust_open(const struct trust *trust, struct error **err);
// 0, or why the document is refused; the message does not name it. Faults of the chain are reported
// here too, for each document.
int trust_check(struct trust_store *s, const struct host_key *host, struct error **err);
void trust_close(struct trust_store *s); // NULL is allowed

// ---- trust text ----
// A host key document in words.

// Printable, one line each. Owned.
struct host_key_text {
    char hash[65]; // hexadecimal
    char *subject, *issuer, *serial;
    char *from, *to; // "2026-01-31 12:00:00 UTC"
};
struct host_key_text host_key_text(const struct host_key *host);
void host_key_text_free(struct host_key_text *t);

#endif
