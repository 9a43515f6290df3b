// SPDX-License-Identifier: Apache-2.0
// Seal records: what an image was made of, by digest, as JSON. With the secret they prove the image
// (docs/provable-sealing.md); without, they still tell its parts. Nothing in one is secret.
//
//   {"kbuild_seal_record": 1, "kbuild": version, "secret_id": hex or null,
//    "kernel": {"size", "sha512"}, "command-line": ... or null, "initrd": ... or null,
//    "stage3a": ..., "stage3b": ... (without their argument blocks),
//    "host_keys": [{"hash": hex, "public_key": hex}], in the order of the slots,
//    "pcf", "scf", "psw_address": 16 hex digits,
//    "given_keys": {"header-key": keyed digest or null, "cck": ..., "component-key": ...},
//    "image": {"size", "sha256"}}
#ifndef KBUILD_SE_DERIVE_RECORD_H
#define KBUILD_SE_DERIVE_RECORD_H

#include "base/digest.h"
#include "se/derive.h"

struct seal_record {
    struct seal_inputs inputs;
    bool provable; // sealed with a secret, whose public name `id` is
    unsigned char id[SEAL_ID_SIZE];
    uint64_t image_size;
    char image_sha256[DIGEST_HEX_SIZE];
};
int seal_record_write(const struct seal_record *r, struct buf *out, struct error **err);
int seal_record_read(const char *path, struct seal_record *out, struct error **err);
void seal_record_free(struct seal_record *r);
#define cleanup_record __attribute__((cleanup(seal_record_free)))

#endif
