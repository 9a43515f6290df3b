// SPDX-License-Identifier: Apache-2.0
// <output directory>/targets: what is to be there, since it was asked for, whether it could be
// built or not. A merge of the directory wants all of it.
//
//   <SHA-256, or "pending"> <file> <target> <architecture>
//
// one line a tarball, sorted by file. "pending" is what a run was to make and could not: then a
// tarball of that name is one of an earlier run. A run that was interrupted changes nothing. Runs
// add to the file; a line of a target is replaced when that target is built again, and goes only if
// somebody takes it out.
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

// Of a directory that has no such file: nothing.
int wanted_read(const char *directory, struct wanted *out, struct error **err);
void wanted_free(struct wanted *w);
#define cleanup_wanted __attribute__((cleanup(wanted_free)))

// Notes, at the end of a run, which targets the output directory is to hold: these nodes' results
// have been placed there, those of the others are pending. Writes only if something changed.
int wanted_note(struct build *b, struct node **placed, size_t placed_count, struct error **err);

#endif
