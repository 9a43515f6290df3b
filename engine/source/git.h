// SPDX-License-Identifier: Apache-2.0
// Bare mirrors in the store, one per url, and operations on them. Only within this directory.
//
//   <store>/git/<first 40 hex digits of SHA-256 of the url>.git       the mirror
//   <store>/git/<the same>.lock                                       held while it is written
//
// Refs in a mirror are named refs/kbuild/<kind>/<hash> (git_mirror.c), not as upstream names them,
// so that a branch "a" and a later branch "a/b" never collide. Objects are only added, so reading
// needs no lock.
#ifndef KBUILD_SOURCE_GIT_H
#define KBUILD_SOURCE_GIT_H

#include "http/libgit2.h"
#include "source/internal.h"

struct mirror {
    git_repository *repository;
    char *url;   // as the recipe names it, before insteadOf
    char *shown; // for messages
    char *label; // for progress
    char *path;
    int lock; // while it may be written to, else -1
};
#define MIRROR_NONE ((struct mirror){.lock = -1})
#define cleanup_mirror __attribute__((cleanup(mirror_close)))

// An error with libgit2's own reason at its end. Returns -1.
int git_failed(struct error **err, const char *format, ...) __attribute__((format(printf, 2, 3)));

// ---- git_mirror.c ----
void mirror_library_begin(void); // before anything of libgit2; mirror_open() does it
// 1: opened; 0: there is none and `write` is false; -1: error. With `write` it is made if needed,
// and locked until mirror_close().
int mirror_open(struct store *store, const char *url, const char *label, bool write,
                struct mirror *out, struct error **err);
void mirror_close(struct mirror *m);
// Moves a damaged mirror aside.
int mirror_discard(struct store *store, const char *url, struct error **err);
bool mirror_has_commit(const struct mirror *m, const char *commit);
// The commit of a ref when it was last fetched: 1 and *out, or 0.
int mirror_find_ref(const struct mirror *m, const char *ref, git_oid *out);
int mirror_set_ref(struct mirror *m, const char *name, const git_oid *id, struct error **err);
// Removes all refs; the objects stay.
int mirror_forget_refs(struct mirror *m, struct error **err);
// The only commit that begins with these 7 or more hex digits: 1 and *out, or 0.
int mirror_find_prefix(const struct mirror *m, const char *prefix, git_oid *out);
bool is_commit_id(const char *text); // 40 lower-case hex digits

// ---- git_remote.c ----
// Fetches what `ref` names there now. *out gets the commit (annotated tags are peeled).
int remote_fetch_ref(struct mirror *m, const char *ref, git_oid *out, struct error **err);
// Makes sure that the mirror has the commit, to which `ref` (may be NULL) pointed when it was
// locked. A tag that points to another commit now is an error.
int remote_fetch_commit(struct mirror *m, const char *commit, const char *ref, struct error **err);

// ---- git_export.c ----
struct submodule {
    char *path, *commit;
};
struct export
{
    int64_t time;                 // mtime of everything; -1: the time of the first commit exported
    struct submodule *submodules; // found in the tree, in its order
    size_t submodule_count, submodule_cap;
    bool refused;            // it has content that no source may have
    uint64_t entries, bytes; // so far, over all trees of this source
};
// Writes the tree of `commit` into the empty folder open at `folder`: raw contents, no filters, no
// attributes. Nothing is written through links. *tree gets the tree's id. *damaged is set if the
// mirror's objects are damaged. The submodules' folders are made, but left empty.
int git_export(const struct mirror *m, const char *commit, int folder, struct export *e,
               git_oid *tree, bool *damaged, struct error **err);
void export_free(struct export *e);

// ---- git_submodule.c ----
// The text of the file .gitmodules in a commit, or an empty one.
struct submodule_place {
    char *path, *url;
    bool skip; // update = none
};
struct submodule_places {
    struct submodule_place *items;
    size_t n, cap;
};
int submodule_places_read(const struct mirror *m, const char *commit, struct submodule_places *out,
                          struct error **err);
// Parses a text, which is untrusted; `shown` is for messages.
int submodule_places_parse(const char *shown, const char *text, size_t length,
                           struct submodule_places *out, struct error **err);
const struct submodule_place *submodule_place_find(const struct submodule_places *p,
                                                   const char *path);
void submodule_places_free(struct submodule_places *p);

#endif
