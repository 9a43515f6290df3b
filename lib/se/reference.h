// SPDX-License-Identifier: Apache-2.0
// Reference values of an image for the verifier of a Secure Execution attestation.
//
//   {"kbuild": version,
//    "reference_values": {"se.version", "se.tag", "se.image_phkh", "se.attestation_phkh"},
//    "header": {"size", "sha256", "pld", "ald", "tld"}, of hdr.bin
//    "image": {"size", "sha256"},
//    "kernel", "initrd", "command_line": {"size", "sha256"}, as far as they are known}
//
// The names in "reference_values" are the claims of Trustee's verifier for this platform; each has
// the list of allowed values (docs/se-image.md, reference values).
#ifndef KBUILD_SE_REFERENCE_H
#define KBUILD_SE_REFERENCE_H

#include "se/verify.h"

// Appends the JSON text to `json`, and to `header` the bytes of the PV header (hdr.bin). Either may
// be NULL. `originals` are not compared with the image: se_verify() does that.
int se_reference(int fd, const char *name, const struct se_originals *originals, struct buf *json,
                 struct buf *header, struct error **err);

#endif
