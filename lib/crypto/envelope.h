// SPDX-License-Identifier: Apache-2.0
// DSSE envelopes (Dead Simple Signing Envelope, protocol 1.0.0): a payload with its type, and
// signatures over both, as one JSON object:
//
//   {"payload": base64, "payloadType": TYPE, "signatures": [{"keyid": ID, "sig": base64}]}
//
// A signature is over the pre-authentication encoding, "DSSEv1 LEN(TYPE) TYPE LEN(PAYLOAD)
// PAYLOAD", so none over anything else that a key signed is one over an envelope. Nothing here
// knows keys: who signed is decided by the caller, over the bytes of envelope_signed_text().
//
// Input is untrusted. An envelope owns its parts: envelope_free().
#ifndef KBUILD_CRYPTO_ENVELOPE_H
#define KBUILD_CRYPTO_ENVELOPE_H

#include "base/memory.h"

#define ENVELOPE_SIGNATURES_MAX 64u
#define ENVELOPE_SIGNATURE_MAX 4096u // bytes of one

struct envelope_signature {
    char *key_id; // a hint that nobody vouches for; "" if there is none
    struct buf value;
};
// Zero-initialise.
struct envelope {
    char *type;
    struct buf payload;
    struct envelope_signature signatures[ENVELOPE_SIGNATURES_MAX];
    size_t n;
};

// Reads one. False and *why, a static text, if it is none.
bool envelope_parse(const char *text, size_t length, struct envelope *out, const char **why);
void envelope_add_signature(struct envelope *e, const char *key_id, const void *value,
                            size_t length);
// Appends it as one line of JSON, with its line feed.
void envelope_write(const struct envelope *e, struct buf *out);
// Appends what is signed.
void envelope_signed_text(const struct envelope *e, struct buf *out);
void envelope_free(struct envelope *e);
#define cleanup_envelope __attribute__((cleanup(envelope_free)))

#endif
