// SPDX-License-Identifier: Apache-2.0
// A name in a registry -> the digest of what it names, found out once and kept in versions.lock as
// the other references are, in a line "archive docker://<reference> sha256=<digest>". A tag that
// moves changes nothing until that line is removed.
#ifndef KBUILD_RUN_IMAGE_PIN_H
#define KBUILD_RUN_IMAGE_PIN_H

#include "run/internal.h"

#include "registry/registry.h"

// 1: `digest` is known: it stands in the name, or in the lock, or (with `resolve`) the registry was
// asked and the lock has it now; 0: it is not, and nobody may be asked; -1: error.
// *fresh is set if this call found it out.
int image_pin(struct build *b, const char *name, bool resolve, char digest[static DIGEST_HEX_SIZE],
              bool *fresh, struct error **err);
// What `name` is pinned to could not be had, as *err says: if it is `unusable`, a line of this run
// is removed from the lock; any other line is named in the hint.
void image_unpin(struct build *b, const struct job *job, const char *name, bool unusable,
                 struct error **err);
// The name with nothing but this digest behind it: "registry/repository@sha256:..."; to be freed,
// or NULL and an error.
char *image_pinned_name(const char *name, const char *digest, struct error **err);
// How the registry of this name is opened: with upstream's variables for user and password if it is
// the one of $ARTEFACT_REGISTRY.
struct registry *image_registry(const struct reference *name, struct error **err);

// With KBUILD_TRUSTED_KEYS an image is named by its digest, or is one of ours (a builder that was
// pushed to a registry) with a signature of one of these keys. 0: it is named so, or everybody is
// trusted; 1: it is signed, then *mark (vouch.h) and the digest of its tree are known; -1.
int image_vouched(struct build *b, const struct node *node, json_t **mark,
                  char tree[static DIGEST_HEX_SIZE], struct error **err);

// The identity of a builder that is an image.
int identify_image(struct build *b, struct node *node, bool resolve, struct error **err);

#endif
