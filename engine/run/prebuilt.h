// SPDX-License-Identifier: Apache-2.0
// Artifacts that are taken instead of made: what upstream's pipelines leave in a registry with
// `oras push` (kata-artifacts, 4.2), or what kbuild pushed there. docs/shared-cache.md.
//
// Nothing in such an artefact says what it was made from, so there is no action key that it could
// be found under, and it is never taken unless the user names it: KBUILD_PREBUILT or --prebuilt,
// "target[=reference],...". Its digest is pinned in versions.lock, and the key of the node names
// this digest. What is made of it has keys over its content, as with any other input.
#ifndef KBUILD_RUN_PREBUILT_H
#define KBUILD_RUN_PREBUILT_H

#include "run/internal.h"

// 1: this target is taken, *reference (to be freed) says from where; 0: it is made; -1: the list
// makes no sense, or names what no recipe makes.
int prebuilt_find(struct build *b, const char *target, const struct arch *arch, char **reference,
                  struct error **err);
// Pins it and sets the node's identity.
int identify_prebuilt(struct build *b, struct node *node, bool resolve, struct error **err);
// In the child: pulls it, checks its sums and, with KBUILD_TRUSTED_KEYS, its signature.
int make_prebuilt(struct build *b, struct node *node, json_t *record, struct error **err);

// ---- what is in such an artefact ----
struct prebuilt_file {
    const char *title; // a clean file name; belongs to the manifest
    const char *digest;
    uint64_t size;
};
struct prebuilt_files {
    struct prebuilt_file *items;
    size_t n;
};
// The files that a manifest names. A name that leads elsewhere, or that is there twice, is an
// error.
int prebuilt_files_read(const json_t *manifest, struct prebuilt_files *out, struct error **err);
const struct prebuilt_file *prebuilt_files_find(const struct prebuilt_files *f, const char *title);
// The tarball of an output: "kata-static-<output>.tar.xz" or ".tar.zst"; or NULL.
const struct prebuilt_file *prebuilt_tarball(const struct prebuilt_files *f, const char *output);
// Checks files against the text of a <target>-sha256sum (the format of coreutils' sha256sum; names
// may have folders in front). Every file that it names has to be as it says, and the tarball of the
// target has to be named.
int prebuilt_check_sums(const struct prebuilt_files *f, const char *target, const char *sums,
                        struct error **err);

#endif
