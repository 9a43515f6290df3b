// SPDX-License-Identifier: Apache-2.0
// The tarballs of a merge as files: open, their digests, their listings.
#ifndef KBUILD_PACK_COMPONENTS_H
#define KBUILD_PACK_COMPONENTS_H

#include "pack/merge_plan.h"

// Sorted by name, so that the order of `paths` does not matter.
int components_open(struct merge_plan *p, const struct strlist *paths, struct error **err);
// Takes each listing from the keeper if there is one that has it; else the tarball is read.
int components_list(struct merge_plan *p, const struct merge_options *o, struct error **err);
// An error if a file is not any more what it was when it was opened.
int components_unchanged(const struct merge_plan *p, struct error **err);
void components_close(struct merge_plan *p);

#endif
