// SPDX-License-Identifier: Apache-2.0
// Somebody's own files in the place of a source. Only within lib/source.
//
// Which files count:
//   a git work tree, or a folder in one   what git tracks, and what it neither tracks nor ignores,
//                                         as it is on disk; checked-out submodules (as the recipe
//                                         says) and other repositories inside by the same rule
//   any other folder                      everything
// Never: `.git`, whatever it is, and what kbuild itself writes there: versions.lock, and what git
// does not track in the output folder and the cache.
//
// What they are is said by the listing that the store would make of them (cache/tree.h); its
// SHA-256 is the pin. Copying makes the listing again, of the bytes that were written, so that what
// is built is what the key says, whoever edits meanwhile.
#ifndef KBUILD_SOURCE_LOCAL_H
#define KBUILD_SOURCE_LOCAL_H

#include "source/room.h"

struct local_entry {
    char *path;     // below the folder
    bool directory; // it is there even if nothing is in it
    bool tracked;   // by git
};
struct local_tree {
    const char *label, *folder;
    enum submodules submodules;
    char *lock;         // path below the folder of versions.lock, or NULL
    struct strlist own; // of folders that kbuild writes to
    struct local_entry *entries;
    size_t n, cap;
    char *commit; // that is checked out, or NULL
    int64_t time; // of that commit, or SOURCE_TIME_UNKNOWN
    bool git;     // git says which files count
    bool dirty;   // they are not those of the commit
};
// Whether the file is kbuild's own.
bool local_is_own(const struct local_tree *t, const char *path, bool tracked);
void local_tree_add(struct local_tree *t, const char *path, bool directory, bool tracked);
void local_tree_free(struct local_tree *t);
#define cleanup_local_tree __attribute__((cleanup(local_tree_free)))

// local_git.c: 1: the folder is in a work tree, and the entries are there, unsorted; 0: it is not;
// -1: error.
int local_git_entries(struct local_tree *t, struct error **err);

#endif
