// SPDX-License-Identifier: Apache-2.0
// <output directory>/targets: the requested files of the directory, whether their build succeeded
// or not. A merge of the directory requires all of them.
//
//   <SHA-256, or "pending"> <file> <target> <architecture>
//
// one line a tarball, sorted by file. "pending" is a file that a run was to make and could not: a
// tarball of that name is then from an earlier run. An interrupted run changes nothing. Runs add to
// the file; a line is replaced when its target is built again, and is removed only by hand.
#ifndef KBUILD_RUN_WANTED_H
#define KBUILD_RUN_WANTED_H

#include "run/run.h"

struct wanted_item {
    char digest[DIGEST_HEX_SIZE]; // "" if it is pending
    char *file, *target, *arch;
};
struct wanted {
    struct wanted_item *items;
    size_t n, cap;
};

// A directory without this file: an empty result.
int wanted_read(const char *directory, struct wanted *out, struct error **err);
void wanted_free(struct wanted *w);
#define cleanup_wanted __attribute__((cleanup(wanted_free)))

// Updates the file at the end of a run: the results of these nodes have been placed, those of the
// other targets are pending. Writes only if something changed.
int wanted_note(struct build *b, struct node **placed, size_t placed_count, struct error **err);

#endif
