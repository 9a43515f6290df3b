// SPDX-License-Identifier: Apache-2.0
// Signatures of results in the local cache. A result from a registry has a mark in its local
// record: the checked statement and the signature. Each run decides by today's keys whether the
// result counts as cached; local results need no signature.
#ifndef KBUILD_SHARE_VOUCH_H
#define KBUILD_SHARE_VOUCH_H

#include "base/memory.h"
#include "base/digest.h"
#include "base/error.h"
#include "graph/job.h"

#include <stdbool.h>

// ---- signature ----
// Ed25519 signatures (RFC 8032) over OpenSSL, with keys as PEM files: private ones as `openssl
// genpkey -algorithm ed25519` writes them (PKCS #8), public ones as `openssl pkey -pubout` does
// (SPKI). A key is named by the SHA-256 of its public part as DER (SPKI).

struct signature {
    char key[DIGEST_HEX_SIZE]; // who signed
    char value[2 * 64 + 1];    // the signer
};

// Signs with the private key in the file. No message contains the key.
int signature_make(const char *key_file, const struct buf *text, struct signature *out,
                   struct error **err);

// Public keys: all of a PEM file, or of every *.pem of a directory. An empty set is an error, so
// that a wrong path never means that all are trusted, or none.
struct trusted_keys;
struct trusted_keys *trusted_keys_load(const char *path, struct error **err);
void trusted_keys_free(struct trusted_keys *t);
// Is this a signature of the text by one of the keys?
bool trusted_keys_accept(const struct trusted_keys *t, const struct signature *s,
                         const struct buf *text);

// In a local record; never pushed. An object {"statement", "key", "value"}, which is empty if no
// signature was required (`true` in records of older versions).
#define SHARED_MARK "shared"

// `by` NULL: not required. To be put into a record.
json_t *vouch_mark(const struct buf *statement, const struct signature *by);
// Whether a local record may be used: if it came from a registry, it is signed by one of today's
// keys (if there are any), has only files that its recipe allows, and is no source that must come
// from its origin.
bool vouch_holds(const struct build *b, const struct node *node, const json_t *record);

// Whether the node may have this output. Names become files in the output directory, so a record
// from elsewhere may only have names that the recipe itself would produce.
struct output_claim {
    const char *name, *kind; // kind: "tree", "blob"
    bool side;               // beside the tarballs
};
bool output_allowed(const struct node *node, const struct output_claim *o);
// The same for all outputs of a record: each once, and all with a digest.
bool outputs_allowed(const struct node *node, const json_t *record);

#endif
