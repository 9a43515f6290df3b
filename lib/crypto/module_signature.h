// SPDX-License-Identifier: Apache-2.0
// Signatures of Linux kernel modules (Documentation/admin-guide/module-signing.rst), as the
// kernel's scripts/sign-file makes them:
//
//   the module's bytes
//   the signature: CMS SignedData (RFC 5652), DER; detached, without certificates, without signed
//     attributes; SHA-512; the signer named by issuer and serial number
//   struct module_signature, 12 bytes (include/linux/module_signature.h): algo 0, hash 0, id_type 2
//     (PKCS #7), signer_len 0, key_id_len 0, 3 zeros, the signature's length (32 bits, big-endian)
//   "~Module signature appended~\n"
//
// RSA PKCS #1 v1.5 over such a message draws nothing at random: the same module and key give the
// same bytes, so the certificate stands for the key. Other kinds of keys are refused.
#ifndef KBUILD_CRYPTO_MODULE_SIGNATURE_H
#define KBUILD_CRYPTO_MODULE_SIGNATURE_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"

// Who signs: an X.509 certificate (PEM, the only thing in its file: the kernel would trust every
// other certificate there too, and a private key has no place in a public file) and its private RSA
// key (PEM, without a passphrase, not readable by everybody).
struct module_signer;
// *digest gets the SHA-256 of the certificate's file as it was read. No message holds anything of
// the key.
struct module_signer *module_signer_load(const char *certificate, const char *private_key,
                                         char digest[static DIGEST_HEX_SIZE], struct error **err);
void module_signer_free(struct module_signer *s); // NULL is allowed

bool module_is_signed(const struct buf *module);
// Appends the signature to the module's bytes, and checks it with the certificate. A module that is
// signed already is an error: the kernel reads one signature only. On failure the bytes are as
// before.
int module_sign(const struct module_signer *s, struct buf *module, struct error **err);
// 1 if it is signed by this signer, 0 if not, -1 on other failures.
int module_verify(const struct module_signer *s, const struct buf *module, struct error **err);

#endif
