// SPDX-License-Identifier: Apache-2.0
// What the steps of se_verify() share.
#ifndef KBUILD_SE_VERIFY_STEPS_H
#define KBUILD_SE_VERIFY_STEPS_H

#include "se/derive_record.h"
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
    bool intact; // the digests fit: what stage3b says is what was sealed
    struct seal_record record;
    struct secrets secrets;  // if derived
    EVP_CIPHER_CTX *encrypt; // NULL: components are in clear
};

// ---- verify_record.c ----
// Reads the record, and derives with the secret.
int record_prepare(struct verification *v, struct error **err);
// Whether the header is the one that was sealed; its tag fits.
int record_check_header(struct verification *v, const struct opened_header *opened,
                        struct error **err);
// What the record says in clear.
int record_check_image(struct verification *v, struct error **err);
int record_check_whole(struct verification *v, struct error **err);
// Without a key: what the image is said to be made of, by the digests of the record.
int record_check_originals(struct verification *v, struct error **err);

// ---- verify_contents.c ----
// Which part component number `i` is, by its tweak; -1 if it is none that tools make.
int component_part(const struct se_image *image, size_t i);
int contents_check(struct verification *v, struct error **err);

// ---- verify_loader.c ----
// The loader stage3a against our own, or the record's.
int loader_check(struct verification *v, struct error **err);
// The content that the stage3b component should have if it is ours, to be freed; NULL if it is not.
unsigned char *loader_expected(struct verification *v, size_t *length);

#endif
