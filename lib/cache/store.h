// SPDX-License-Identifier: Apache-2.0
// The content-addressed store, local part. Knows nothing of recipes or graphs.
//
//   <dir>/sha256/ab/cdef...      blobs, mode 0444, named by the SHA-256 of their content
//   <dir>/trees/ab/cdef...       directory trees, named by the SHA-256 of their listing (tree.h)
//   <dir>/actions/ab/cdef...     action records (JSON): action key -> outputs and provenance
//   <dir>/git/                   bare mirrors (lib/source)
//   <dir>/tmp/                   work in progress; swept by gc
//   <dir>/lock                   held shared by every open store, exclusively by gc
//
// Promises: a name appears only when its content is complete and synced (temporary name, fsync,
// rename), so that a kill at any moment leaves the store sound. Any number of processes may use one
// store. What is read is verified: store_open_blob() hashes a blob unless its inode, size and mtime
// are those of the last time it was verified; a blob or tree that fails is moved away
// (<dir>/damaged/), noted with a warning, and treated as missing, so that it is made again.
// The directory is made when it does not exist. A store on a read-only file system can be opened:
// reads work, writes give an error.
#ifndef KBUILD_CACHE_STORE_H
#define KBUILD_CACHE_STORE_H

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"

#include <jansson.h>

struct store;

struct store *store_open(const char *directory, struct error **err);
void store_close(struct store *s);
const char *store_directory(const struct store *s); // absolute

// ---- blobs ----
// A blob being written. Zero-initialise. write to fd; commit hashes what was written (by reading
// it back), syncs, and renames; the same content may exist already. abandon removes it.
struct blob_draft {
    int fd;
    char *path;
};
int store_blob_begin(struct store *s, struct blob_draft *d, struct error **err);
int store_blob_commit(struct store *s, struct blob_draft *d, char digest[static DIGEST_HEX_SIZE],
                      uint64_t *size, struct error **err);
void store_blob_abandon(struct blob_draft *d);
int store_put_bytes(struct store *s, const void *bytes, size_t length,
                    char digest[static DIGEST_HEX_SIZE], struct error **err);
// Moves a file (same file system: rename; else copy) or copies it into the store.
int store_put_file(struct store *s, const char *path, char digest[static DIGEST_HEX_SIZE],
                   uint64_t *size, struct error **err);
// 1: present and sound; 0: missing or damaged (moved away); -1: error. Cheap when nothing changed.
int store_has_blob(struct store *s, const char *digest, struct error **err);
// A read-only fd, verified as above; a missing or damaged blob is an error.
int store_open_blob(struct store *s, const char *digest, struct error **err);
char *store_blob_path(const struct store *s, const char *digest); // to be freed; unverified
// Makes `path` that blob's content: by hard link, else reflink, else copy; replaces in one step; a
// `path` that already is the blob (same inode) is left alone. Verified first.
int store_restore_blob(struct store *s, const char *digest, const char *path, struct error **err);

// ---- trees ----
// Directory for building a tree in (below tmp/), to be freed; pass it to store_put_tree().
char *store_temporary(struct store *s, const char *prefix, struct error **err);
// Lists and hashes the tree at `path` (a directory made by store_temporary()), and moves it into
// the store; an equal tree may exist already. The digest covers names, kinds, the executable bit,
// sizes, contents and link targets; not owners, times or other mode bits.
int store_put_tree(struct store *s, const char *path, char digest[static DIGEST_HEX_SIZE],
                   struct error **err);
// As store_has_blob(). With `deep`, every file is hashed again (once per process and tree), else
// only its presence is tested.
int store_has_tree(struct store *s, const char *digest, bool deep, struct error **err);
char *store_tree_path(const struct store *s, const char *digest); // to be freed

// ---- actions ----
// The record of an action key (64 hex digits), to be released with json_decref(); NULL without an
// error if there is none, or if it is damaged (then it is moved away).
json_t *store_action_get(struct store *s, const char *key, struct error **err);
// Adds "key" and a digest of the record itself, and writes it. Does not take the reference.
int store_action_put(struct store *s, const char *key, json_t *record, struct error **err);
int store_action_remove(struct store *s, const char *key, struct error **err);
// A lock for making the outputs of `key`, so that two processes do not do it twice. Returns a lock
// fd to be closed. If another process holds it, `waiting` (may be NULL) is called once, then this
// waits; an interrupt ends the wait with ERROR_INTERRUPT.
int store_lock(struct store *s, const char *key, void (*waiting)(void *), void *context,
               struct error **err);

// ---- keeping house ----
struct store_info {
    uint64_t blobs, blob_bytes, trees, tree_bytes, actions, damaged;
};
int store_info(struct store *s, struct store_info *out, struct error **err);
// Reads everything. Damaged blobs, trees and records are moved away and reported by callback.
// Records whose outputs are gone are removed. Returns the number of damaged things, or -1.
int store_verify(struct store *s, void (*report)(const char *what, void *), void *context,
                 struct error **err);
// Removes what is oldest by last use until at most max_bytes are left, and everything in tmp/ that
// no process holds. Waits for no one: if another process uses the store, an error says so.
int store_gc(struct store *s, uint64_t max_bytes, struct store_info *removed, struct error **err);

#endif
