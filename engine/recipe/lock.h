// SPDX-License-Identifier: Apache-2.0
// versions.lock: the resolved content of each branch, tag, archive or file. One line an entry,
// sorted, so that it diffs well in git:
//
//   # comment
//   git <url> <ref> commit=<40 or 64 hex> tree=<hex>
//   archive <url> sha256=<64 hex>
//   file <url> sha256=<64 hex>
//
// A file is an entry of a list source without a digest (source/list.h); look-ups by url treat it as
// an archive.
//
// An entry is written once, when a source is first resolved, and checked from then on: a tag that
// moved or an archive that changed is an error until the line is removed. Fields are separated by
// one blank. A url is stored without its login, and found with or without one; blanks, '%' and
// control characters of url and ref are percent-encoded. Empty lines are allowed; anything else is
// an error "FILE:LINE: why".
#ifndef KBUILD_RECIPE_LOCK_H
#define KBUILD_RECIPE_LOCK_H

#include "base/memory.h"
#include "base/error.h"

enum lock_state {
    LOCK_SAVED,   // as in the file
    LOCK_ADDED,   // found by this run, and not in the file when it was read
    LOCK_REPLACED // changed by this run
};

struct lock_entry {
    char *url, *ref;       // ref is NULL for an archive or file
    char *commit, *tree;   // git
    char *sha256;          // archive or file
    bool file;             // written as `file`
    enum lock_state state; // set by lock_put(), which ignores the caller's value
};

struct lock {
    char *path;                 // as given, for messages
    char *file;                 // the file to write: the target of `path` if that is a link
    char *base;                 // a lock below it that is only read, or NULL
    struct lock_entry *entries; // sorted: archives and files, then git; by url, then by ref
    size_t n, cap;
    bool changed;
    char *comments; // the file's comment lines, kept at its top, or NULL
};

// A file that does not exist is an empty lock.
struct lock *lock_load(const char *path, struct error **err);
// The lock of this versions.yaml: beside it, or, if that place can't be written (an installation),
// in the user's $XDG_STATE_HOME/kbuild/locks/..., over the one beside it.
struct lock *lock_open(const char *versions, struct error **err);
// The entry for a git url and ref, or for the url of an archive or file (ref NULL); NULL if there
// is none. It is valid until the next lock_put() or lock_save().
const struct lock_entry *lock_find(const struct lock *l, const char *url, const char *ref);
// Adds or, for the same url and ref, replaces. The strings are copied.
void lock_put(struct lock *l, const struct lock_entry *entry);
// Writes the file atomically if it changed. Entries that another process added meanwhile are kept,
// and entries that it removed are not restored unless this run put them (the directory is locked
// with flock and the file read again first). It is an error if another process recorded another
// value for a source that this run added: its build differs from the file. So is a file of more
// than 16 MiB, which could not be read again.
int lock_save(struct lock *l, struct error **err);
// Removes an unusable line that this run added. A line that has changed since is kept.
int lock_withdraw(struct lock *l, const char *url, const char *ref, struct error **err);
// Sets the hint that names the line for this source, if there is one. Returns -1.
int lock_hint(const struct lock *l, const char *url, const char *ref, struct error **err);
// The same, appended to an existing hint.
void lock_hint_too(const struct lock *l, const char *url, const char *ref, struct error **err);
void lock_free(struct lock *l);

#endif
