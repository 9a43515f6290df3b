// SPDX-License-Identifier: Apache-2.0
// The cryptography of a Secure Execution image (docs/se-image.md, sections 8 and 9), private keys,
// and signatures of kernel modules, over OpenSSL's EVP.
//
// Keys and contexts that a function returns are the caller's, to be freed with OpenSSL's function.
// Key material is passed in and out through the caller's memory; the caller wipes it. No message
// made here contains any of it.
#ifndef KBUILD_CRYPTO_CRYPTO_H
#define KBUILD_CRYPTO_CRYPTO_H

#include "base/digest.h"
#include "base/error.h"
#include "base/libcrypto.h"
#include "base/memory.h"

#include <stdbool.h>
#include <string.h>

#define POINT_SIZE 160u // x and y of a P-521 point, 80 bytes each
#define TAG_SIZE 16u
#define XTS_PAGE 4096u // each has a tweak of its own
// A key slot of a header (section 8.2).
#define SLOT_SIZE 80u
#define SLOT_HASH 0x00u
#define SLOT_WRAPPED 0x20u
#define SLOT_TAG 0x40u

// Sets a user error that ends in OpenSSL's own reason, if it has one, and clears OpenSSL's queue.
int crypto_error(struct error **err, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Random bytes from OpenSSL's generator for private values.
int random_secret(void *out, size_t length, struct error **err);

EVP_PKEY *p521_generate(struct error **err);
// NULL if `key` is an EC key on P-521 with a valid point; else the reason ("it is an RSA key"), to
// be freed.
char *p521_fault(EVP_PKEY *key);
// K(P): both coordinates, each left-padded to 80 bytes.
int point_encode(EVP_PKEY *key, unsigned char out[static POINT_SIZE], struct error **err);
// The inverse; a point that is not on the curve is an error. NULL on failure.
EVP_PKEY *point_decode(const unsigned char in[static POINT_SIZE], struct error **err);
// PHKH: SHA-256 over K(P).
int point_hash(EVP_PKEY *key, unsigned char out[static 32], struct error **err);

// ECDH, then KEK = SHA-256(Z || 00 00 00 01).
int derive_kek(EVP_PKEY *own, EVP_PKEY *peer, unsigned char kek[static 32], struct error **err);

// AES-256-GCM. `aad` may be NULL. The lengths are those of the plain text.
struct gcm {
    const unsigned char *key, *iv; // 32 and 12 bytes
    const unsigned char *aad;
    size_t aad_length;
};
int gcm_encrypt(const struct gcm *g, const unsigned char *plain, size_t length, unsigned char *out,
                unsigned char tag[static TAG_SIZE], struct error **err);
// 1 if the tag fits, 0 if not (then `out` is wiped and *err untouched), -1 on other failures.
int gcm_decrypt(const struct gcm *g, const unsigned char *cipher, size_t length, unsigned char *out,
                const unsigned char tag[static TAG_SIZE], struct error **err);

// Key slots (section 8.2): the header key, wrapped for one host.
int slot_wrap(EVP_PKEY *customer, EVP_PKEY *host, const unsigned char header_key[static 32],
              unsigned char slot[static SLOT_SIZE], struct error **err);
// As gcm_decrypt.
int slot_unwrap(EVP_PKEY *host, EVP_PKEY *customer, const unsigned char slot[static SLOT_SIZE],
                unsigned char header_key[static 32], struct error **err);

// AES-256-XTS over pages. Equal halves of the key are an error.
EVP_CIPHER_CTX *xts_new(const unsigned char key[static 64], bool encrypt, struct error **err);
// The tweak of the page at byte `offset` of a component.
static inline void page_tweak(const unsigned char prefix[8], uint64_t offset,
                              unsigned char tweak[16])
{
    memcpy(tweak, prefix, 8);
    put_be64(tweak + 8, offset);
}

// In place; `length` is a multiple of the page size, `offset` that of the first page in its
// component.
int xts_pages(EVP_CIPHER_CTX *xts, const unsigned char prefix[static 8], uint64_t offset,
              unsigned char *pages, size_t length, struct error **err);

static inline void cleanup_pkey_p(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}
static inline void cleanup_cipher_p(EVP_CIPHER_CTX **c)
{
    EVP_CIPHER_CTX_free(*c); // wipes its keys
}
#define cleanup_pkey __attribute__((cleanup(cleanup_pkey_p)))
#define cleanup_cipher __attribute__((cleanup(cleanup_cipher_p)))

// ---- private keys ----
// Private keys in PEM form (RFC 7468), for signing and for opening images. No passphrase is asked
// for: a CI job cannot answer. The bytes read are wiped; the key is the caller's, to be freed with
// EVP_PKEY_free(), which wipes it too.

// NULL if there is none; *locked is set if a passphrase protects it.
EVP_PKEY *private_key_parse(const void *pem, size_t length, bool *locked);
// From a file that the user named, and that others can neither read nor write. NULL and *err if it
// cannot be read; NULL and *why, a static text, if it holds no key that can be used.
EVP_PKEY *private_key_read(const char *path, const char **why, struct error **err);

// ---- signatures of kernel modules ----
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
// RSA PKCS #1 v1.5 over such a message uses no random numbers: the same module and key give the
// same bytes, so the certificate identifies the key. Other kinds of keys are refused.

// The signer: an X.509 certificate (PEM, alone in its file: the kernel would trust every other
// certificate there too, and a private key must not be in a public file) and its private RSA key
// (PEM, without a passphrase, not readable by everybody).
struct module_signer;
// *digest gets the SHA-256 of the certificate's file as it was read. No message contains any part
// of the key.
struct module_signer *module_signer_load(const char *certificate, const char *private_key,
                                         char digest[static DIGEST_HEX_SIZE], struct error **err);
void module_signer_free(struct module_signer *s); // NULL is allowed

bool module_is_signed(const struct buf *module);
// Appends the signature to the module's bytes, and checks it with the certificate. A module that is
// signed already is an error: the kernel reads one signature only. On failure the bytes are
// unchanged.
int module_sign(const struct module_signer *s, struct buf *module, struct error **err);
// 1 if it is signed by this signer, 0 if not, -1 on other failures.
int module_verify(const struct module_signer *s, const struct buf *module, struct error **err);

#endif
