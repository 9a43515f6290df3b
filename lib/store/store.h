// SPDX-License-Identifier: Apache-2.0
// The content-addressed store, local part. Knows nothing of recipes or graphs. docs/cache.md has
// the formats and the reasons.
//
//   <dir>/sha256/ab/cdef...      blobs, mode 0444, named by the SHA-256 of their content
//   <dir>/trees/ab/cdef...       directory trees, named by the SHA-256 of their listing (below);
//                                the listing itself is the blob of that name
//   <dir>/actions/ab/cdef...     action records (JSON): action key -> outputs and provenance
//   <dir>/verified/ab/cdef...    inode, size and mtime of a blob when it was last hashed; the
//                                file's own mtime is the last use. Losing it is harmless.
//   <dir>/locks/                 store_lock()
//   <dir>/images/<name>/         OCI image layouts of builders, hard links to blobs
//   <dir>/logs/ab/cdef...        build logs of actions, by the action key
//   <dir>/memo/ab/cdef...        what was found out about this machine (store_memo_get()); losing
//                                it is harmless
//   <dir>/git/                   bare mirrors (engine/source)
//   <dir>/tmp/                   work in progress, a folder for each process; what a dead process
//                                left there is removed by the next store_open()
//   <dir>/damaged/               what failed verification, for inspection; emptied by gc
//   <dir>/lock                   held shared by every open store, exclusively by gc
//
// A store belongs to one user (or root). Its folder is opened once, and everything in it is opened
// from that descriptor, never through a link. A folder that belongs to somebody else, or that
// others may write to, is an error, and so is a link in place of one of its folders. A file or tree
// in it that somebody else made, or may change, counts as damaged.
//
// Guarantees: a name appears only when its content is complete and synced (temporary name, fsync,
// rename), so that a kill at any moment leaves the store valid. Any number of processes may use one
// store; one struct store belongs to one thread at a time. Reads verify: store_open_blob() hashes a
// blob unless its inode, size and mtime are those of its last verification; a blob or tree that
// fails is moved away with a warning and treated as missing, so that it is made again. The
// directory is made if it does not exist. A store on a read-only file system can be opened: reads
// work, writes fail.
//
// Ownership: paths and records that a function returns are the caller's, with free() and
// json_decref(); descriptors are to be closed.
//
// A digest that is not 64 lower-case hex digits is an error everywhere (a path function returns
// NULL), so that digests from untrusted records cannot form other paths.
#ifndef KBUILD_STORE_STORE_H
#define KBUILD_STORE_STORE_H

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct store;

struct store *store_open(const char *directory, struct error **err);
void store_close(struct store *s);
const char *store_directory(const struct store *s); // absolute
// The name of a directory that kbuild makes in a store ("sha256"), by its number from 0; NULL after
// the last one.
const char *store_folder_name(size_t number);

// A store that has nothing yet, for a build in which nothing that was made earlier counts. It lies
// in tmp/ of the store in `directory`, and is gone after store_close(). Of that store only blobs
// are used, each after it was hashed, whatever is noted there: what was downloaded and has a known
// digest need not be downloaded again. No record, no tree, no memo of it is read.
struct store *store_open_new(const char *directory, struct error **err);
// That other store; the store itself if it is no such one.
struct store *store_lasting(struct store *s);

// ---- blobs ----
// A blob being written. Zero-initialise. Write to fd; commit reads and hashes the content, syncs,
// and renames; the same content may exist already. abandon removes it.
struct blob_draft {
    int fd;
    char *path;
    const struct store *store;
};
int store_blob_begin(struct store *s, struct blob_draft *d, struct error **err);
int store_blob_commit(struct store *s, struct blob_draft *d, char digest[static DIGEST_HEX_SIZE],
                      uint64_t *size, struct error **err);
void store_blob_abandon(struct blob_draft *d);
int store_put_bytes(struct store *s, const void *bytes, size_t length,
                    char digest[static DIGEST_HEX_SIZE], struct error **err);
// A file below a folder made by store_temporary() may be moved into the store: do not use it
// afterwards. Any other file is copied and unchanged.
int store_put_file(struct store *s, const char *path, char digest[static DIGEST_HEX_SIZE],
                   uint64_t *size, struct error **err);
// 1: present and valid; 0: missing or damaged (moved away); -1: error. Cheap if the blob did not
// change.
int store_has_blob(struct store *s, const char *digest, struct error **err);
// A read-only fd, verified as above; a missing or damaged blob is an error.
int store_open_blob(struct store *s, const char *digest, struct error **err);
char *store_blob_path(const struct store *s, const char *digest); // to be freed; unverified
// Makes `path` a file with the blob's content: by hard link, else reflink, else copy; replaces in
// one step; a `path` that already is the blob (same inode) is unchanged. The blob is verified
// first. The file is 0444 in each case, as it may be the blob itself. A blob that belongs to
// another user is copied, never linked.
int store_restore_blob(struct store *s, const char *digest, const char *path, struct error **err);
// The same for a name in an open folder; `shown` is its path for messages.
int store_restore_blob_at(struct store *s, const char *digest, int folder, const char *name,
                          const char *shown, struct error **err);

// ---- trees ----
// A new folder below tmp/; its path is to be freed. For a tree that goes to store_put_tree(), or as
// scratch: then remove_tree() it. store_close() removes it at the latest.
char *store_temporary(struct store *s, const char *prefix, struct error **err);
// Lists and hashes the tree at `path` (a directory made by store_temporary(), or one inside such a
// directory), and moves it into the store; an equal tree may exist already. After a success `path`
// does not exist. The digest covers names, kinds, the owner's executable bit, sizes, contents and
// link targets; not owners, times or other mode bits. A device, fifo or socket is an error that
// names it.
int store_put_tree(struct store *s, const char *path, char digest[static DIGEST_HEX_SIZE],
                   struct error **err);
// As store_has_blob(). With `deep`, every file is hashed again (once per process and tree), else
// only its presence is tested.
int store_has_tree(struct store *s, const char *digest, bool deep, struct error **err);
char *store_tree_path(const struct store *s, const char *digest); // to be freed
// The listing of a tree in the store, appended; made again from the tree if the listing is lost.
// As store_has_blob().
int store_tree_listing(struct store *s, const char *digest, struct buf *out, struct error **err);

// ---- actions ----
// The record of an action key (64 hex digits): 1, with *record to be released with json_decref(); 0
// if there is none, or if it is damaged (then it is moved away); -1. *record is NULL unless 1.
int store_action_get(struct store *s, const char *key, json_t **record, struct error **err);
// Adds "key" and a digest of the record itself, and writes it. Does not take the reference.
int store_action_put(struct store *s, const char *key, json_t *record, struct error **err);
int store_action_remove(struct store *s, const char *key, struct error **err);
// The shape that gc and verify rely on: "outputs" is an array of {"name", "digest", "kind":
// "blob" or "tree", "size"}. An output that is an OCI manifest stands for its config and layers
// too.
//
// A lock for making the outputs of `key`, so that two processes do not do it twice. Returns a lock
// fd to be closed. If another process holds it, `waiting` (may be NULL) is called once, then this
// waits; an interrupt ends the wait with ERROR_INTERRUPT.
int store_lock(struct store *s, const char *key, void (*waiting)(void *), void *context,
               struct error **err);
// The same without waiting: 1 and the lock in *fd; 0 if another holds it; -1: error.
int store_lock_try(struct store *s, const char *key, int *fd, struct error **err);

// ---- logs ----
// Keeps the content of the open file as the log of the action's build (the last 64 MiB).
int store_log_put(struct store *s, const char *key, int from, struct error **err);
// 1: *fd is to be closed, and *made is when it was kept; 0: there is none; -1: error.
int store_log_open(struct store *s, const char *key, int *fd, time_t *made, struct error **err);

// ---- memos ----
// A short text that is quicker to read than to find out again. Whoever reads it checks that it
// still holds. 1: appended to out; 0: there is none, or it cannot be used.
int store_memo_get(struct store *s, const char *name, struct buf *out);
// Written without a sync; a failure is ignored.
void store_memo_put(struct store *s, const char *name, const char *text);

// The digest of a file of this machine. One that was hashed before is hashed again only if device,
// inode, size, mode or one of its times changed (ctime is set by the kernel alone), or if they were
// so new that a later change may have left them the same.
int store_digest_file(struct store *s, const char *path, char digest[static DIGEST_HEX_SIZE],
                      struct error **err);

// ---- verification and garbage collection ----
struct store_info {
    uint64_t blobs, blob_bytes; // without the listings of trees
    uint64_t trees, tree_bytes; // file contents
    uint64_t actions, damaged;
};
int store_info(struct store *s, struct store_info *out, struct error **err);
// Verifies the whole store. Damaged blobs, trees and records are moved away and reported by
// callback. Records with missing outputs are removed. Returns the number of damaged objects, or -1.
int store_verify(struct store *s, void (*report)(const char *what, void *), void *context,
                 struct error **err);
// Removes the least recently used items until at most max_bytes are left, and everything in tmp/
// that no process holds, and everything in damaged/. A record is removed with those of its outputs
// that no other record has; a blob or tree without a record is an item of its own. git/ is neither
// counted nor changed. Does not wait: if another process uses the store, that is an error. *removed
// (may be NULL) gets what was removed.
int store_gc(struct store *s, uint64_t max_bytes, struct store_info *removed, struct error **err);

// ---- image layout ----
// Images of the store as folders: OCI image layouts (image-layout.md) of hard links to its blobs.

#define TREE_ANNOTATION "kbuild.tree" // marks manifests made here, and names the tree

// Checks that the name is valid for an image in a layout.
int oci_check_name(const char *name, struct error **err);
// Makes `directory` an OCI image layout that has this image (any OCI manifest) under `name`
// (org.opencontainers.image.ref.name), for `skopeo inspect oci:DIRECTORY:NAME`. Blobs are hard
// links to those of the store if possible. Images of other names are kept; one of the same name is
// replaced.
int oci_write_layout(struct store *s, const char *manifest_digest, const char *name,
                     const char *directory, struct error **err);

// The same below <store>/images/<name>, where images are kept under their names until gc takes
// their blobs. A name is one clean path component.
int store_name_image(struct store *s, const char *manifest_digest, const char *name,
                     struct error **err);

// If the blob is a manifest made here, calls `each` for the digests of its config and its layer.
// Anything else, and a blob that is missing or damaged, refers to nothing.
void oci_references(struct store *s, const char *digest, void (*each)(const char *digest, void *),
                    void *context);

// ---- listings of trees ----
// The canonical listing of a directory tree. Its SHA-256 is the tree's digest.
//
//   kbuild-tree 1
//   d <name>
//   f <size> <sha256> <name>
//   x <size> <sha256> <name>
//   l <target> <name>
//
// One line for each entry below the root, each ended by a newline: directory, file, executable file
// (owner's x bit), symbolic link. Fields are divided by one space. Size is decimal, in bytes. A
// name is the path from the root, components joined by '/'; a directory comes before what is in it,
// and the entries of a directory are sorted by the bytes of their names. In names and targets each
// byte outside 0x21..0x7e, and the backslash, is written \xHH with lower-case digits, so a listing
// is printable ASCII whatever the names are, and two different trees never have the same listing.
// Owners, times, other mode bits, extended attributes and whether two files are hard links of each
// other are not part of it.

#define TREE_DEPTH_MAX 256 // directories inside one another; deeper is an error

struct tree_options {
    bool adopt; // the tree will be kept: add missing owner access, remove setuid, setgid
                // and sticky bits, and sync it to disk
};
// Appends the listing of the directory `path` to `listing`, hashing every file. Links are not
// followed. A device, fifo, socket, or name that cannot be read is an error that names it.
int tree_list(const char *path, const struct tree_options *o, struct buf *listing,
              struct error **err);

enum tree_kind { TREE_DIRECTORY = 'd', TREE_FILE = 'f', TREE_EXECUTABLE = 'x', TREE_LINK = 'l' };
struct tree_entry {
    enum tree_kind kind;
    uint64_t size;                // of a file
    char digest[DIGEST_HEX_SIZE]; // of a file, else ""
    char *path;                   // raw bytes; belongs to the reader, as does target
    char *target;                 // of a link, else NULL
};
// Reads a listing line by line. Zero-initialise, set text and length.
struct tree_reader {
    const char *text;
    size_t length, offset;
    struct tree_entry entry; // filled by tree_next()
};
// 1: r->entry is the next one; 0: the end; -1: not a listing. Paths are clean (path_is_clean()).
int tree_next(struct tree_reader *r, struct error **err);
void tree_reader_free(struct tree_reader *r);
#define cleanup_tree_reader __attribute__((cleanup(tree_reader_free)))

// Sum of the sizes of the files in a listing.
int tree_bytes(const char *text, size_t length, uint64_t *bytes, struct error **err);
// The first difference of two listings, as text for a message ("usr/bin/gcc: content differs"); to
// be freed; NULL if they are equal.
char *tree_difference(const struct buf *expected, const struct buf *found);
// The path with unprintable bytes escaped as in a listing, for messages; appended.
void tree_escape(struct buf *out, const char *path);

// ---- media types and descriptors ----
// Of the OCI image specification 1.1 (media-types.md, descriptor.md).

#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define OCI_EMPTY "application/vnd.oci.empty.v1+json" // "{}"
#define OCI_LAYER "application/vnd.oci.image.layer.v1.tar"
#define OCI_LAYER_GZIP OCI_LAYER "+gzip"
#define OCI_LAYER_ZSTD OCI_LAYER "+zstd"
#define DOCKER_INDEX "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_LAYER "application/vnd.docker.image.rootfs.diff.tar"
// What a registry takes at least (OCI Distribution 1.1, "Pushing Manifests"), and kbuild reads.
#define OCI_MANIFEST_MAX ((size_t)4 << 20)
#define OCI_REF_NAME "org.opencontainers.image.ref.name"
#define OCI_TITLE "org.opencontainers.image.title"
#define OCI_EPOCH "1970-01-01T00:00:00Z"

// `digest` is the SHA-256 in hexadecimal.
json_t *oci_descriptor(const char *type, const char *digest, uint64_t size);
// The SHA-256 in hexadecimal that a descriptor names, borrowed from it; NULL: it names none. With
// `size` it must have a size, too.
const char *oci_descriptor_digest(const json_t *descriptor, uint64_t *size);
// Adds a config or manifest as a blob, with sorted keys, so that equal values are equal blobs. Text
// that is not UTF-8 is an error, and so is NULL, which json_pack() returns for it.
int oci_put_json(struct store *s, const json_t *value, char digest[static DIGEST_HEX_SIZE],
                 uint64_t *size, struct error **err);
// The hex part of a digest "sha256:<hex>"; NULL for any other text and for NULL.
const char *oci_digest_hex(const char *digest);

#endif
