// SPDX-License-Identifier: Apache-2.0
// The plan of a merge: which tarball supplies each path, decided from the listings before anything
// is written.
//
// The plan owns its components and their descriptors, until merge_plan_free(). Units and errors are
// as in pack.h. The rules are in docs/packing.md, "Merging".
#ifndef KBUILD_PACK_MERGE_PLAN_H
#define KBUILD_PACK_MERGE_PLAN_H

#include "base/map.h"
#include "pack/pack.h"
#include "pack/reader.h"

#include <sys/stat.h>

struct component {
    const char *path; // not owned
    const char *name; // its last component, for messages
    int fd;
    struct stat st;  // when it was opened
    char digest[65]; // of the whole file; "" if not computed
    struct listing listing;
    size_t *same; // for each entry the one with its kind and content (hard links), or itself
};
struct claim {
    size_t component, entry;
};
struct merge_plan {
    struct component *components; // sorted by name
    size_t n;
    struct claim *claims; // each path once: the first component that has it writes it
    size_t claim_n, claim_cap;
    struct map by_path;
};

// Opens every tarball, and hashes those whose digest the cache does not know. Zero-initialise, and
// free also after an error.
int merge_plan_open(struct merge_plan *p, const struct strlist *paths,
                    const struct merge_options *o, struct error **err);
// Then lists one: out of the cache if that has its listing, else by reading the tarball.
int merge_plan_list(struct merge_plan *p, size_t number, const struct merge_options *o,
                    struct error **err);
// With all listed, checks that they do not contradict each other and are safe to unpack at "/".
int merge_plan_check(struct merge_plan *p, struct error **err);
// All of these.
int merge_plan_make(struct merge_plan *p, const struct strlist *paths,
                    const struct merge_options *o, struct error **err);
// Checks that `path` is free and has only directories above it: for files that the merge itself
// adds.
int merge_plan_reserve(const struct merge_plan *p, const char *path, struct error **err);
// Whether this entry is the first of its path.
bool merge_plan_writes(const struct merge_plan *p, const char *path, size_t component,
                       size_t entry);
// An error if a file changed after it was opened.
int components_unchanged(const struct merge_plan *p, struct error **err);
void merge_plan_free(struct merge_plan *p);
// Whether a clean path is reserved for the host.
bool merge_host_path(const char *path);

#endif
