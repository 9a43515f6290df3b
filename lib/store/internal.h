// SPDX-License-Identifier: Apache-2.0
// Shared by the files of lib/store only.
#ifndef KBUILD_STORE_INTERNAL_H
#define KBUILD_STORE_INTERNAL_H

#include "base/file.h"
#include "base/memory.h"
#include "store/store.h"

#include <sys/stat.h>
#include <time.h>

// A blob's inode when its content was last verified.
struct verified {
    char digest[DIGEST_HEX_SIZE];
    ino_t inode;
    off_t size;
    struct timespec mtime;
};

struct store {
    char *directory; // absolute; its entries are opened from `root`
    int root;
    int lock;        // fd of <dir>/lock; -1 on a read-only or full store that never had one
    int lock_errnum; // why there is no lock

    // tmp/<pid>.XXXXXX, and the lock on tmp/<pid>.XXXXXX.lock while its owner lives. A forked child
    // inherits both, but only `owner` removes the folder.
    char *session;
    int session_lock;
    pid_t owner;

    struct verified *known; // verified by this process; needed if verified/ can't be written
    size_t known_n, known_cap;
    struct strlist whole; // trees of which this process hashed every file

    struct store *lasting; // of store_open_new(): the store that this one lies in; else NULL
};

// ---- at.c ----
// As the system calls of those names; -1 with errno. The path begins with the store's directory.
// ELOOP: the path has a link; none is followed.
int at_open(const struct store *s, const char *path, int flags, mode_t mode);
// A new file (O_EXCL) in a folder of the store, which is made if that failed when the store was
// opened.
int at_create_in(const struct store *s, const char *folder, const char *path, mode_t mode);
// Whether the path still is that of the open file.
bool at_is_named(const struct store *s, int fd, const char *path);
int at_stat(const struct store *s, const char *path, struct stat *st); // of a link itself
bool at_exists(const struct store *s, const char *path);
bool at_is_directory(const struct store *s, const char *path);
int at_mkdir(const struct store *s, const char *path, mode_t mode);
int at_unlink(const struct store *s, const char *path);
int at_rename(const struct store *s, const char *from, const char *to, bool replace);
int at_touch(const struct store *s, const char *path);
int at_list(const struct store *s, const char *path, struct strlist *names, struct error **err);
int at_remove(const struct store *s, const char *path, struct error **err); // rm -rf
// Why a file that somebody else made, or may change, is not trusted; NULL: it is trusted.
const char *at_foreign(const struct stat *st);

// ---- store.c ----
int check_digest(const char *digest, const char *what, struct error **err);
// <dir>/<kind>/ab/cdef...; to be freed. The digest is checked by the caller.
char *object_path(const struct store *s, const char *kind, const char *digest);
// Gives a complete and synced file or folder its name, and syncs the name. 1: done; 0: the name
// exists already, and `from` is unchanged; -1: error. With `replace` an old file is replaced.
int publish(struct store *s, const char *from, const char *kind, const char *digest, bool replace,
            struct error **err);
// Writes <dir>/<kind>/ab/cdef... in one step, replacing it.
int write_object(struct store *s, const char *kind, const char *digest, const void *bytes,
                 size_t length, bool sync, struct error **err);
// Gives a written file that name, replacing an old one, without a sync.
int name_object(struct store *s, const char *path, const char *kind, const char *digest,
                struct error **err);
// Moves an object to damaged/, with a warning that has the reason `why`. If that fails (a read-only
// store) the warning says so, and the caller still treats the object as missing.
void move_damaged(struct store *s, const char *path, const char *label, const char *why);

// ---- action.c ----
int logs_sweep(struct store *s, struct error **err); // drops those without a record

// ---- image_layout.c ----
int images_sweep(struct store *s, struct error **err); // drops names of removed images

int session_open(struct store *s, struct error **err); // does nothing if there is one
char *session_file(struct store *s, const char *prefix, int *fd, struct error **err);
// Removes files of dead processes in tmp/. With `all` (gc holds the exclusive lock) also files
// without a session.
void session_sweep(struct store *s, bool all);

// ---- blob.c ----
bool verified_matches(struct store *s, const char *digest, const struct stat *st);
void verified_touch(struct store *s, const char *digest);
struct timespec verified_last_use(struct store *s, const char *digest); // 0 if unknown
void verified_forget(struct store *s, const char *digest);
// Hashes the blob in any case. As store_has_blob().
int blob_verify(struct store *s, const char *digest, struct error **err);

// ---- tree.c ----
// Hashes the tree in any case. As store_has_tree().
int tree_verify(struct store *s, const char *digest, struct error **err);

// ---- gc.c ----
enum object_kind { OBJECT_BLOB, OBJECT_TREE, OBJECT_ACTION };

// Calls `each` for every output of a record, and for config and layers of those that are OCI
// manifests. Invalid items are skipped.
void record_outputs(struct store *s, const json_t *record,
                    void (*each)(enum object_kind kind, const char *digest, void *), void *context);
// ---- action.c ----
// As store_action_get(), without counting as a use of the record.
int action_read(struct store *s, const char *key, json_t **record, struct error **err);
// The record in the text of such a file; NULL and *wrong, a static text, if it is damaged.
json_t *action_parse(const struct buf *text, const char *key, const char **wrong);

#endif
