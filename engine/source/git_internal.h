// SPDX-License-Identifier: Apache-2.0
// What the files of this room that use libgit2 share: mirrors, transports, and local folders.
#ifndef KBUILD_SOURCE_GIT_INTERNAL_H
#define KBUILD_SOURCE_GIT_INTERNAL_H

#include "base/error.h"
#include "base/memory.h"
#include "http/libgit2.h"
#include "source/internal.h"
#include "store/store.h"

#include <stdbool.h>

// ---- mirrors ----
// Bare mirrors in the store, one per url, and operations on them.
//
//   <store>/git/<first 40 hex digits of SHA-256 of the url>.git       the mirror
//   <store>/git/<the same>.lock                                       held while it is written
//
// Refs in a mirror are named refs/kbuild/<kind>/<hash> (git_mirror.c), not as upstream names them,
// so that a branch "a" and a later branch "a/b" never collide. Objects are only added, so reading
// needs no lock.

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

// ---- git_tree.c ----
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

// ---- git_http.c, git_stream.c: transports ----
// The transports of libgit2's smart protocol.
//
//   http, https     git_http.c: libcurl, so that proxies, CAs, logins and slow servers are treated
//                   as for archives (http/http.h)
//   git             git_stream.c: a socket
//   a folder        git_stream.c: `git upload-pack`, so that a folder behaves as a server does:
//                   only objects reachable from the requested ones are sent
//   ssh             libgit2's own

// What a transport reports to its session. Zero-initialise; git_outcome_clear() frees it.
struct git_outcome {
    struct error *failure; // why the last request failed, or NULL
    bool may_pass;         // another try may succeed
    unsigned retry_after;  // seconds that the server asks for, or 0
};
void git_outcome_clear(struct git_outcome *o);
// Takes `why` over and reports it to libgit2. Returns -1.
int git_outcome_fail(struct git_outcome *o, struct error *why);

// Transports for `owner`; `o` must outlive them.
int git_http_transport(git_transport **out, git_remote *owner, struct git_outcome *o);
int git_stream_transport(git_transport **out, git_remote *owner, struct git_outcome *o);
bool git_http_is_url(const char *url);
bool git_stream_is_url(const char *url);
// The folder that a local url names; to be freed.
char *git_folder_of(const char *url);

// gitprotocol-pack(5), "Reference Discovery": a shallow repository is marked after its refs.
// Searches a piece of the advertisement for that; `seen` keeps the end of the last piece.
bool git_advertises_shallow(struct buf *seen, const char *bytes, size_t length);
// An error that says what to do about a shallow repository.
int git_refuse_shallow(struct error **err);

// ---- local.c ----
// A local folder in place of a source.
//
// Files that belong to the source:
//   a git work tree, or a folder in one   what git tracks, and what it neither tracks nor ignores,
//                                         as it is on disk; checked-out submodules (as the recipe
//                                         says) and other repositories inside by the same rule
//   any other folder                      everything
// Never: `.git` of any kind, and kbuild's own files there: versions.lock, and files that git does
// not track in the output folder and the cache.
//
// Their identity is the listing that the store would make of them (store/store.h); its SHA-256 is
// the pin. Copying makes the listing again, from the bytes that were written, so that the build has
// the content in its key, even if somebody edits a file meanwhile.
//
// To find out whether they are the files of the checked-out commit, the copied bytes are compared
// with the commit's tree. Git's record of files (its index, the times) and its settings
// (assume-unchanged, core.fileMode, line ends) are not used.

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
// ---- local_tree.c ----
// Zero-initialise. local_tree_free() frees what it owns, but not `label` and `folder`.
void local_tree_free(struct local_tree *t);
#define cleanup_local_tree __attribute__((cleanup(local_tree_free)))
void local_tree_add(struct local_tree *t, const char *path, bool directory, bool tracked);
// Fills `lock` and `own`. An error if the folder itself is one that kbuild writes to.
int local_tree_own(struct local_tree *t, const struct source_options *o, struct error **err);
// Whether the file is kbuild's own.
bool local_is_own(const struct local_tree *t, const char *path, bool tracked);
// Both lists, in the order of a tree's listing.
void local_tree_sort(struct local_tree *t);
// The taken files are compared with the commit's, after the lists were sorted.
// Whether the blob id of the file at this path is needed.
bool local_wants_blob(const struct local_tree *t, const char *path, enum tree_kind kind);
// Records a taken file; `id` is its blob's, or NULL if that was not needed.
void local_taken(struct local_tree *t, const char *path, enum tree_kind kind, const char *id);
void local_compare_end(struct local_tree *t); // after the last file

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

#endif
