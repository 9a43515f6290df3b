// SPDX-License-Identifier: Apache-2.0
// Provable sealing (docs/provable-sealing.md): the secret values of an image, derived from a seal
// secret and all inputs of the image instead of drawn at random; and seal records.
//
//   PRK   = HKDF-Extract(salt = "kbuild seal secret 1", secret)          RFC 5869, SHA-512
//   T     = SHA-512(text of the inputs)
//   value = HKDF-Expand(PRK, "kbuild seal 1" 00 label 00 T, length)
//
// Any change of an input changes T, and with it every value.
#ifndef KBUILD_SE_DERIVE_H
#define KBUILD_SE_DERIVE_H

#include "base/digest.h"
#include "se/header.h"

#define SEAL_ID_SIZE 32u  // bytes of a secret's public id
#define SEAL_TAG_SIZE 32u // bytes of a keyed digest

// One input, by size and SHA-512.
struct seal_part {
    bool present;
    uint64_t size;
    unsigned char sha512[64];
};

// The keyed digests of keys that the user gave, which are not derived.
struct seal_given {
    bool given;
    unsigned char tag[SEAL_TAG_SIZE];
};
enum given_key { GIVEN_HEADER_KEY, GIVEN_CCK, GIVEN_COMPONENT_KEY, GIVEN_KEYS };
extern const char *const given_key_names[GIVEN_KEYS];

// All inputs of an image except the secret. Nothing in it is secret.
enum seal_part_name {
    SEAL_KERNEL,
    SEAL_COMMAND_LINE,
    SEAL_INITRD,
    SEAL_STAGE3A,
    SEAL_STAGE3B,
    SEAL_PARTS
};
extern const char *const seal_part_names[SEAL_PARTS];
struct seal_inputs {
    // The loaders without their argument blocks, which sealing replaces.
    struct seal_part part[SEAL_PARTS];
    unsigned char (*hosts)[POINT_SIZE]; // in the order of the slots; owned
    size_t host_count;
    uint64_t pcf, scf, psw_address;
    struct seal_given given[GIVEN_KEYS];
};
void seal_inputs_free(struct seal_inputs *in);
#define cleanup_inputs __attribute__((cleanup(seal_inputs_free)))
// The canonical text: a line for each input, so that different inputs have different texts.
void seal_inputs_text(const struct seal_inputs *in, struct buf *out);

// The digest of a part that lies in a file (from its start; `size` bytes) or in memory.
int seal_part_of_file(int fd, const char *name, uint64_t size, struct seal_part *out,
                      struct error **err);
int seal_part_of_bytes(const void *bytes, size_t length, struct seal_part *out, struct error **err);

// The state after HKDF-Extract; wiped by sealer_wipe().
struct sealer {
    unsigned char prk[64];
};
int sealer_begin(const unsigned char *secret, size_t length, struct sealer *out,
                 struct error **err);
void sealer_wipe(struct sealer *s);
#define cleanup_sealer __attribute__((cleanup(sealer_wipe)))
// The public id of the secret: identifies it, and reveals nothing about it.
int sealer_id(const struct sealer *s, unsigned char id[static SEAL_ID_SIZE], struct error **err);
// Sets in->given from the given keys.
int sealer_tag_keys(const struct sealer *s, const struct se_keys *keys, struct seal_inputs *in,
                    struct error **err);
// Sets all of *out, as secrets_draw() does; a key in `keys` is used unchanged.
int secrets_derive(const struct sealer *s, const struct seal_inputs *in, const struct se_keys *keys,
                   struct secrets *out, struct error **err);

// ---- derive record ----
// Seal records: the digests of an image's inputs, as JSON. With the secret a record proves the
// image (docs/provable-sealing.md); without it, it still identifies the parts. Nothing in it is
// secret.
//
//   {"kbuild_seal_record": 1, "kbuild": version, "secret_id": hex or null,
//    "kernel": {"size", "sha512"}, "command-line": ... or null, "initrd": ... or null,
//    "stage3a": ..., "stage3b": ... (without their argument blocks),
//    "host_keys": [{"hash": hex, "public_key": hex}], in the order of the slots,
//    "pcf", "scf", "psw_address": 16 hex digits,
//    "given_keys": {"header-key": keyed digest or null, "cck": ..., "component-key": ...},
//    "image": {"size", "sha256"}}

struct seal_record {
    struct seal_inputs inputs;
    bool provable; // sealed with a secret; `id` is its public id
    unsigned char id[SEAL_ID_SIZE];
    uint64_t image_size;
    char image_sha256[DIGEST_HEX_SIZE];
};
int seal_record_write(const struct seal_record *r, struct buf *out, struct error **err);
int seal_record_read(const char *path, struct seal_record *out, struct error **err);
void seal_record_free(struct seal_record *r);
#define cleanup_record __attribute__((cleanup(seal_record_free)))

#endif
