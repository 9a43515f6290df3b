// SPDX-License-Identifier: Apache-2.0
// Shared by the steps of se_verify().
#ifndef KBUILD_SE_VERIFY_STEPS_H
#define KBUILD_SE_VERIFY_STEPS_H

#include "se/components.h"
#include "se/derive.h"
#include "se/format.h"
#include "se/unlock.h"
#include "se/verify.h"

struct verification {
    const char *name; // of the image
    const struct se_proof *proof;
    const struct se_originals *originals;
    struct strlist *done;
    struct unlocked u; // .fd is the caller's
    unsigned char *header;
    bool has_record, derived, unlocked;
    bool intact; // the digests match, so stage3b's arguments are as sealed
    struct seal_record record;
    struct secrets secrets;  // if derived
    EVP_CIPHER_CTX *encrypt; // NULL: components are in clear
};

// ---- the seal record ----
// Reads the record, and derives the values with the secret.
int record_prepare(struct verification *v, struct error **err);
// Checks that the header, whose tag matches, is the one that was sealed.
int record_check_header(struct verification *v, const struct opened_header *opened,
                        struct error **err);
// Checks the clear values of the record.
int record_check_image(struct verification *v, struct error **err);
int record_check_whole(struct verification *v, struct error **err);
// Without a key: compares the originals with the digests of the record.
int record_check_originals(struct verification *v, struct error **err);

// ---- verify_contents.c ----
// The part that component number `i` is, by its tweak; -1 for a tweak that no tool makes.
int component_part(const struct se_image *image, size_t i);
int contents_check(struct verification *v, struct error **err);

// ---- the loader ----
// Compares the loader stage3a with the built-in one, or the record's.
int loader_check(struct verification *v, struct error **err);
// The expected content of the stage3b component if it is the built-in loader, to be freed; else
// NULL.
unsigned char *loader_expected(struct verification *v, size_t *length);

// ---- verify pages ----
// Compares a component, page by page, with its original.

// The differences between a component and its re-encrypted content.
struct page_difference {
    uint64_t pages;      // how many; 0: they are the same
    uint64_t first_page; // counted from 0 within the component
    uint64_t first_byte; // its offset in the image
    unsigned char mask;  // the bits of that byte
    uint64_t bytes;      // different bytes on the first page
};
// `source` is the expected content, without padding. `xts` encrypts; NULL: in clear. Only pages
// that both have are compared.
int pages_compare(int fd, const char *name, const struct se_component *c, EVP_CIPHER_CTX *xts,
                  const struct component_source *source, struct page_difference *out,
                  struct error **err);

// ---- verify locate ----
// Locates damage in an image. Each returns a text to be freed, or NULL if no single bit explains
// it: then more bits were changed, or the key is another one.
//
// A tag or a digest shows only that something changed. But a header has a few thousand bits, and
// OpenSSL checks a million short tags in a second: so each bit is tried.

// The name of the field that byte `offset` of a header with `slots` key slots belongs to ("its IV",
// "the hash in key slot 2"); to be freed.
char *header_field(uint64_t slots, uint64_t offset);
// "byte 0x14010, bit 0x08, in its IV".
char *header_place(const struct se_image *image, uint64_t offset, unsigned char mask);

// For a wrong tag of the header with the right key.
char *locate_in_header(const struct se_image *image, const unsigned char *header,
                       const unsigned char header_key[static 32]);
// For a wrong tag of key slot number `slot` of this host: the bit is in the slot, or in the
// customer key.
char *locate_in_slot(const struct se_image *image, EVP_PKEY *host, uint64_t slot);
// For an image without this host's hash, if `*slot` opens with its key.
char *locate_in_hash(const struct se_image *image, EVP_PKEY *host,
                     const unsigned char hash[static 32], uint64_t *slot);
// For tweaks in the IPIB that do not match the header's digest.
char *locate_in_tweaks(const struct se_image *image);

#endif
