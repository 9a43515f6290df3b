// SPDX-License-Identifier: Apache-2.0
// Artifacts that are taken instead of made: artefacts that upstream's pipelines push to a registry
// with `oras push` (kata-artifacts, 4.2), or that kbuild pushed there. docs/shared-cache.md.
//
// Such an artefact does not record its inputs, so it cannot be found under an action key, and it is
// taken only if the user names it: KBUILD_PREBUILT or --prebuilt, "target[=reference],...". Its
// digest is pinned in versions.lock, and the key of the node has this digest. Artifacts made from
// it have keys over its content, as with any other input.
#ifndef KBUILD_RUN_PREBUILT_H
#define KBUILD_RUN_PREBUILT_H

#include "run/internal.h"

// 1: this target is taken, *reference (to be freed) says from where; 0: it is made; -1: the list is
// invalid, or names a target without a recipe.
int prebuilt_find(struct build *b, const char *target, const struct arch *arch, char **reference,
                  struct error **err);
// Pins it and sets the node's identity.
int identify_prebuilt(struct build *b, struct node *node, bool resolve, struct error **err);
// In the child: pulls it, checks its sums and, with KBUILD_TRUSTED_KEYS, its signature.
int make_prebuilt(struct build *b, struct node *node, json_t *record, struct error **err);

// ---- the files of such an artefact ----
struct prebuilt_file {
    const char *title; // a clean file name; belongs to the manifest
    const char *digest;
    uint64_t size;
};
struct prebuilt_files {
    struct prebuilt_file *items;
    size_t n;
};
// The files that a manifest names. A name with a path, or one that occurs twice, is an error.
int prebuilt_files_read(const json_t *manifest, struct prebuilt_files *out, struct error **err);
const struct prebuilt_file *prebuilt_files_find(const struct prebuilt_files *f, const char *title);
// The tarball of an output: "kata-static-<output>.tar.xz" or ".tar.zst"; or NULL.
const struct prebuilt_file *prebuilt_tarball(const struct prebuilt_files *f, const char *output);
// Checks files against the text of a <target>-sha256sum (the format of coreutils' sha256sum; names
// may have folders in front). Every listed file must match, and the target's tarball must be
// listed.
int prebuilt_check_sums(const struct prebuilt_files *f, const char *target, const char *sums,
                        struct error **err);

#endif
