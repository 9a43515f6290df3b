// SPDX-License-Identifier: Apache-2.0
// A local folder in place of a source. Only within this directory.
//
// Files that belong to the source:
//   a git work tree, or a folder in one   what git tracks, and what it neither tracks nor ignores,
//                                         as it is on disk; checked-out submodules (as the recipe
//                                         says) and other repositories inside by the same rule
//   any other folder                      everything
// Never: `.git` of any kind, and kbuild's own files there: versions.lock, and files that git does
// not track in the output folder and the cache.
//
// Their identity is the listing that the store would make of them (store/tree.h); its SHA-256 is
// the pin. Copying makes the listing again, from the bytes that were written, so that the build has
// the content in its key, even if somebody edits a file meanwhile.
//
// To find out whether they are the files of the checked-out commit, the copied bytes are compared
// with the commit's tree. Git's record of files (its index, the times) and its settings
// (assume-unchanged, core.fileMode, line ends) are not used.
#ifndef KBUILD_SOURCE_LOCAL_H
#define KBUILD_SOURCE_LOCAL_H

#include "http/libgit2.h"
#include "source/internal.h"
#include "store/store.h"

struct local_entry {
    char *path;     // below the folder
    bool directory; // it exists even if it is empty
    bool tracked;   // by git
};
// The commit's content at a path.
struct local_expected {
    char *path;          // below the folder
    enum tree_kind kind; // a directory is a submodule's
    char id[GIT_OID_HEXSZ + 1];
    bool seen; // the same content was taken
};
struct local_tree {
    const char *label, *folder;
    enum submodules submodules;
    char *lock;         // path below the folder of versions.lock, or NULL
    struct strlist own; // of folders that kbuild writes to
    struct local_entry *entries;
    size_t n, cap;
    struct local_expected *expected;
    size_t expected_n, expected_cap;
    size_t visited; // entries of the commit's trees
    char *commit;   // checked out, or NULL
    int64_t time;   // of that commit, or SOURCE_TIME_UNKNOWN
    bool git;       // git says which files count
    bool compare;   // find out whether they are those of the commit
    bool dirty;     // they are not; unknown without `compare`
};
// Whether the file is kbuild's own.
bool local_is_own(const struct local_tree *t, const char *path, bool tracked);
void local_tree_add(struct local_tree *t, const char *path, bool directory, bool tracked);
void local_tree_free(struct local_tree *t);
#define cleanup_local_tree __attribute__((cleanup(local_tree_free)))

// ---- local_git.c ----
// 1: the folder is in a work tree, and the entries are there, unsorted; 0: it is not; -1: error.
int local_git_entries(struct local_tree *t, struct error **err);
// An error if the `.git` in the folder is no usable repository.
int local_check_git(const char *folder, struct error **err);

// ---- local_ignore.c: what git ignores ----
// One work tree, and the folder in it that is examined.
struct local_rules {
    git_repository *repository;
    const char *folder; // absolute
    const char *below;  // of the work tree: "", or "src/"
};
// Notes, once for a source, that libgit2 is used because the program git is missing.
void local_ignore_note(const struct local_tree *t);
// The names below the folder that git neither tracks nor ignores, each ended by a NUL byte, those
// of repositories inside with '/' at the end.
int local_untracked(const struct local_rules *r, struct buf *names, struct error **err);
// Whether git ignores a path of the work tree: 1, 0, or -1 with an error. Tracked files are never
// ignored.
int local_ignored(const struct local_rules *r, const char *path, struct error **err);

// ---- local_commit.c: the taken files and the commit's tree ----
// The files of a tree of the repository that are below `below` ("" or "src/") are expected at
// `prefix` ("" or "lib/").
int local_expect(struct local_tree *t, const git_tree *tree, const char *below, const char *prefix,
                 struct error **err);
void local_expected_sort(struct local_tree *t); // after the last one
// Whether the blob id of the file at this path is needed.
bool local_wants_blob(const struct local_tree *t, const char *path, enum tree_kind kind);
// Records a taken file; `id` is its blob's, or NULL if that was not needed.
void local_taken(struct local_tree *t, const char *path, enum tree_kind kind, const char *id);
void local_compare_end(struct local_tree *t); // after the last file

#endif
