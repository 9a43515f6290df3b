// SPDX-License-Identifier: Apache-2.0
// The name of an image in a registry -> its digest, resolved once and kept in versions.lock as for
// other references, in a line "archive docker://<reference> sha256=<digest>". A tag that moves
// changes nothing until that line is removed.
#ifndef KBUILD_RUN_IMAGE_PIN_H
#define KBUILD_RUN_IMAGE_PIN_H

#include "run/internal.h"

#include "registry/registry.h"

// 1: `digest` is known: from the name, from the lock, or (with `resolve`) from the registry, and
// then it is in the lock; 0: unknown, and the registry may not be queried; -1: error. *fresh is set
// if this call resolved it.
int image_pin(struct build *b, const char *name, bool resolve, char digest[static DIGEST_HEX_SIZE],
              bool *fresh, struct error **err);
// Handles a failed fetch of the pinned `name`, with the reason in *err: if the pin is `unusable`, a
// line written by this run is removed from the lock; any other line is named in the hint.
void image_unpin(struct build *b, const struct job *job, const char *name, bool unusable,
                 struct error **err);
// The name with only this digest: "registry/repository@sha256:..."; to be freed, or NULL and an
// error.
char *image_pinned_name(const char *name, const char *digest, struct error **err);
// Opens the registry of this name, with upstream's variables for user and password if it is
// $ARTEFACT_REGISTRY.
struct registry *image_registry(const struct reference *name, struct error **err);

// With KBUILD_TRUSTED_KEYS an image must be named by its digest, or be a builder pushed by kbuild
// with a signature of one of these keys. 0: named by digest, or no keys are set; 1: signed, and
// *mark (vouch.h) and the digest of its tree are known; -1.
int image_vouched(struct build *b, const struct node *node, json_t **mark,
                  char tree[static DIGEST_HEX_SIZE], struct error **err);

// Sets the identity of a builder that is an image.
int identify_image(struct build *b, struct node *node, bool resolve, struct error **err);

#endif
