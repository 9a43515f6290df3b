// SPDX-License-Identifier: Apache-2.0
// versions.lock: what each branch, tag, archive or file turned out to be. One line an
// entry, sorted, so that it diffs well in git:
//
//   # comment
//   git <url> <ref> commit=<40 or 64 hex> tree=<hex>
//   archive <url> sha256=<64 hex>
//   file <url> sha256=<64 hex>
//
// A file is what a list source names without a digest (source/list.h); to whoever looks for a url
// it is the same as an archive.
//
// An entry is written once, when a source is first resolved, and checked ever after: a tag that
// moved or an archive that changed is an error until the line is removed. Fields are separated by
// one blank. A url is kept without its login, and found with or without one; url and ref are
// percent-encoded for blank, '%' and control characters. Empty lines are allowed; anything else is
// an error "FILE:LINE: why".
#ifndef KBUILD_RECIPE_LOCK_H
#define KBUILD_RECIPE_LOCK_H

#include "base/buf.h"
#include "base/error.h"

enum lock_state {
    LOCK_SAVED,   // as in the file
    LOCK_ADDED,   // found by this run; there was none when the file was read
    LOCK_REPLACED // this run changed what the file said
};

struct lock_entry {
    char *url, *ref;       // ref is NULL for an archive or file
    char *commit, *tree;   // git
    char *sha256;          // archive or file
    bool file;             // written as one
    enum lock_state state; // lock_put() sets it; what a caller has there does not matter
};

struct lock {
    char *path;                 // as it was named, for messages
    char *file;                 // what is written: where `path` leads if it is a link
    char *base;                 // a lock that is only read, or NULL
    struct lock_entry *entries; // sorted: archives and files, then git; by url, then by ref
    size_t n, cap;
    bool changed;
    char *comments; // the file's comment lines, kept at its top, or NULL
};

// A file that does not exist is an empty lock.
struct lock *lock_load(const char *path, struct error **err);
// The lock of this versions.yaml: beside it, or, where that can't be written (an installation), the
// user's own, $XDG_STATE_HOME/kbuild/locks/..., on top of what lies beside it.
struct lock *lock_open(const char *versions, struct error **err);
// The entry for a git url and ref, or for an archive's or file's url (ref NULL). NULL if there is
// none. It is valid until the next lock_put() or lock_save().
const struct lock_entry *lock_find(const struct lock *l, const char *url, const char *ref);
// Adds or, for the same url and ref, replaces. The strings are copied.
void lock_put(struct lock *l, const struct lock_entry *entry);
// Writes the file if it changed, in one step. Entries that another process added to the file
// meanwhile are kept, and what it removed stays away unless this run put it (the directory is
// locked with flock and the file read again first). If another process recorded something else for
// a source that this run added, that is an error: its build used what the file does not say. So is
// a file of more than 16 MiB, which nobody would read again.
int lock_save(struct lock *l, struct error **err);
// Removes a line again that this run added and that turned out to be of no use. A file that says
// something else by now is left alone.
int lock_withdraw(struct lock *l, const char *url, const char *ref, struct error **err);
// Sets the hint that names the line which pins this source, if there is one. Returns -1.
int lock_hint(const struct lock *l, const char *url, const char *ref, struct error **err);
// The same, behind the hint that is there.
void lock_hint_too(const struct lock *l, const char *url, const char *ref, struct error **err);
void lock_free(struct lock *l);

#endif
