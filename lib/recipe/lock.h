// SPDX-License-Identifier: Apache-2.0
// versions.lock: what each branch, tag or archive of versions.yaml turned out to be. One line an
// entry, sorted, so that it diffs well in git:
//
//   # comment
//   git <url> <ref> commit=<40 or 64 hex> tree=<hex>
//   archive <url> sha256=<64 hex>
//
// An entry is written once, when a source is first resolved, and checked ever after: a tag that
// moved or an archive that changed is an error until the line is removed. Fields are separated by
// one blank; url and ref are percent-encoded for blank, '%' and control characters.
#ifndef KBUILD_RECIPE_LOCK_H
#define KBUILD_RECIPE_LOCK_H

#include "base/buf.h"
#include "base/error.h"

struct lock_entry {
    char *url, *ref;     // ref is NULL for an archive
    char *commit, *tree; // git
    char *sha256;        // archive
};

struct lock {
    char *path;
    struct lock_entry *entries;
    size_t n, cap;
    bool changed;
};

// A file that does not exist is an empty lock.
struct lock *lock_load(const char *path, struct error **err);
// The entry for a git url and ref, or for an archive's url (ref NULL). NULL if there is none.
const struct lock_entry *lock_find(const struct lock *l, const char *url, const char *ref);
// Adds or, for the same url and ref, replaces. The strings are copied.
void lock_put(struct lock *l, const struct lock_entry *entry);
// Writes the file if it changed, in one step. Entries that another process added to the file
// meanwhile are kept (the file is locked and read again first).
int lock_save(struct lock *l, struct error **err);
void lock_free(struct lock *l);

#endif
