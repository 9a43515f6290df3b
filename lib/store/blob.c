// SPDX-License-Identifier: Apache-2.0
// Adds, opens and hashes blobs, moves files in and gives blobs to the user's paths; and remembers
// which were verified.
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

// ---- what was verified ----
// Records that a blob was hashed, so that a build with nothing to do hashes nothing.
//
// verified/ab/cdef... holds "<inode> <size> <mtime seconds> <nanoseconds>\n". It is written without
// a sync: if it is lost or incomplete, the blob is hashed again. ctime is left out because a hard
// link to the blob changes it. The file's own mtime is the last use of the blob.

static struct verified describe(const char *digest, const struct stat *st)
{
    struct verified v = {.inode = st->st_ino, .size = st->st_size, .mtime = st->st_mtim};
    memcpy(v.digest, digest, DIGEST_HEX_SIZE);
    return v;
}

static bool same(const struct verified *a, const struct verified *b)
{
    return !strcmp(a->digest, b->digest) && a->inode == b->inode && a->size == b->size &&
           a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

static char *to_text(const struct verified *v)
{
    return xasprintf("%ju %jd %jd %ld\n", (uintmax_t)v->inode, (intmax_t)v->size,
                     (intmax_t)v->mtime.tv_sec, v->mtime.tv_nsec);
}

static void know(struct store *s, const struct verified *v)
{
    for (size_t i = 0; i < s->known_n; i++)
        if (!strcmp(s->known[i].digest, v->digest)) {
            s->known[i] = *v;
            return;
        }
    s->known = xgrow(s->known, &s->known_cap, s->known_n + 1, sizeof *s->known);
    s->known[s->known_n++] = *v;
}

bool verified_matches(struct store *s, const char *digest, const struct stat *st)
{
    struct verified now = describe(digest, st);
    for (size_t i = 0; i < s->known_n; i++)
        if (same(&s->known[i], &now))
            return true;
    cleanup_free char *path = object_path(s, "verified", digest);
    cleanup_close int fd = at_open(s, path, O_RDONLY | O_NONBLOCK, 0);
    char text[128];
    struct stat mine;
    bool ours = fd >= 0 && fstat(fd, &mine) == 0 && S_ISREG(mine.st_mode) && !at_foreign(&mine);
    ssize_t n = ours ? read(fd, text, sizeof text) : -1;
    cleanup_free char *wanted = to_text(&now);
    return n > 0 && (size_t)n == strlen(wanted) && !memcmp(text, wanted, (size_t)n);
}

static void verified_record(struct store *s, const char *digest, const struct stat *st)
{
    struct verified v = describe(digest, st);
    // A write in the same clock tick as the hashing would not change the mtime. Only an older mtime
    // proves that the content is unchanged (blob_commit() sets one).
    if (st->st_mtim.tv_sec >= time(NULL) - 1)
        return;
    cleanup_free char *text = to_text(&v);
    if (write_object(s, "verified", digest, text, strlen(text), false, NULL) < 0)
        know(s, &v);
}

void verified_touch(struct store *s, const char *digest)
{
    cleanup_free char *path = object_path(s, "verified", digest);
    at_touch(s, path);
}

struct timespec verified_last_use(struct store *s, const char *digest)
{
    cleanup_free char *path = object_path(s, "verified", digest);
    struct stat st;
    return at_stat(s, path, &st) == 0 ? st.st_mtim : (struct timespec){0};
}

void verified_forget(struct store *s, const char *digest)
{
    cleanup_free char *path = object_path(s, "verified", digest);
    at_unlink(s, path);
    for (size_t i = 0; i < s->known_n; i++)
        if (!strcmp(s->known[i].digest, digest))
            s->known[i] = s->known[--s->known_n];
}

// ---- blobs ----
// Writes blobs, verifies them, and opens verified ones.

static void damaged(struct store *s, const char *digest, const char *path, const char *why)
{
    cleanup_free char *label = xasprintf("blob-%s", digest);
    move_damaged(s, path, label, why);
    verified_forget(s, digest);
}

static int hash_blob(struct store *s, const char *digest, const char *path, int fd,
                     struct error **err)
{
    char found[DIGEST_HEX_SIZE];
    struct stat before, after;
    cleanup_error struct error *why = NULL;
    if (fstat(fd, &before) < 0)
        return error_errno(err, errno, "reading %s", path);
    if (digest_fd(fd, path, found, NULL, &why) < 0) {
        if (why->errnum != EIO) {
            if (err)
                *err = steal(why);
            return -1;
        }
        damaged(s, digest, path, "the disk cannot read it");
        return 0;
    }
    if (strcmp(found, digest) != 0) {
        if (at_is_named(s, fd, path)) // another process may have put a valid blob there
            damaged(s, digest, path, "its content does not have that SHA-256");
        return 0;
    }
    if (fstat(fd, &after) == 0 && after.st_mtim.tv_sec == before.st_mtim.tv_sec &&
        after.st_mtim.tv_nsec == before.st_mtim.tv_nsec)
        verified_record(s, digest, &after);
    return 1;
}

// 1, and with `out` the open file at its start; 0: missing or damaged; -1: error.
static int check_own_blob(struct store *s, const char *digest, bool always, int *out,
                          struct error **err)
{
    if (check_digest(digest, "the digest of a blob", err) < 0)
        return -1;
    cleanup_free char *path = object_path(s, "sha256", digest);
    struct stat st = {0};
    cleanup_close int fd = at_open(s, path, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0 && errno == ENOENT)
        return 0;
    bool odd = fd < 0 && at_stat(s, path, &st) == 0 && !S_ISREG(st.st_mode);
    if (!odd && (fd < 0 || fstat(fd, &st) < 0))
        return error_errno(err, errno, "reading %s", path);
    // Anybody with write access could change it after it was hashed.
    const char *why = S_ISREG(st.st_mode) ? at_foreign(&st) : "it is not a file";
    if (why) {
        damaged(s, digest, path, why);
        return 0;
    }
    if (!always && verified_matches(s, digest, &st)) {
        verified_touch(s, digest);
    } else {
        int valid = hash_blob(s, digest, path, fd, err);
        if (valid <= 0)
            return valid;
        if (lseek(fd, 0, SEEK_SET) < 0)
            return error_errno(err, errno, "reading %s", path);
    }
    if (out)
        *out = steal_fd(&fd);
    return 1;
}

// Copies a blob from the store that this one lies in. It gets its name from its content, so it is
// what `digest` names if that is there afterwards.
static int copy_from_lasting(struct store *s, const char *digest, struct error **err)
{
    cleanup_free char *path = object_path(s->lasting, "sha256", digest);
    cleanup_close int from = at_open(s->lasting, path, O_RDONLY | O_NONBLOCK, 0);
    struct stat st;
    struct blob_draft d = {.fd = -1};
    char found[DIGEST_HEX_SIZE];
    if (from < 0 || fstat(from, &st) < 0 || !S_ISREG(st.st_mode) || at_foreign(&st))
        return 0;
    if (store_blob_begin(s, &d, err) < 0)
        return -1;
    if (copy_content(from, path, d.fd, d.path, err) < 0) {
        store_blob_abandon(&d);
        return error_wrap(err, "adding a blob to the cache %s", s->directory);
    }
    return store_blob_commit(s, &d, found, NULL, err);
}

static int check_blob(struct store *s, const char *digest, bool always, int *out,
                      struct error **err)
{
    int has = check_own_blob(s, digest, always, out, err);
    if (has || !s->lasting)
        return has;
    return copy_from_lasting(s, digest, err) < 0 ? -1 : check_own_blob(s, digest, always, out, err);
}

int store_has_blob(struct store *s, const char *digest, struct error **err)
{
    return check_blob(s, digest, false, NULL, err);
}

int blob_verify(struct store *s, const char *digest, struct error **err)
{
    return check_blob(s, digest, true, NULL, err);
}

int store_open_blob(struct store *s, const char *digest, struct error **err)
{
    int fd = -1;
    int has = check_blob(s, digest, false, &fd, err);
    if (has == 0) {
        error_user(err, "the cache %s has no valid blob %s", s->directory, digest);
        return error_hint(err, "build again what it is a part of");
    }
    return has < 0 ? -1 : fd;
}

char *store_blob_path(const struct store *s, const char *digest)
{
    return digest && digest_is_hex(digest) ? object_path(s, "sha256", digest) : NULL;
}

int store_blob_begin(struct store *s, struct blob_draft *d, struct error **err)
{
    d->fd = -1;
    d->store = s;
    d->path = session_file(s, "blob", &d->fd, err);
    return d->path ? 0 : -1;
}

void store_blob_abandon(struct blob_draft *d)
{
    if (!d->path)
        return;
    if (d->fd >= 0)
        close(d->fd);
    at_unlink(d->store, d->path);
    free(d->path);
    *d = (struct blob_draft){.fd = -1};
}

// Makes the file read-only, with an mtime in whole seconds, far enough in the past that any later
// write changes it (see above).
static int seal(int fd, const char *path, struct error **err)
{
    struct timespec past = {.tv_sec = time(NULL) - 3};
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, past};
    if (fchmod(fd, 0444) < 0 || futimens(fd, times) < 0 || fsync(fd) < 0)
        return error_errno(err, errno, "writing %s", path);
    return 0;
}

// Gives a sealed file its name unless a valid blob has it. The file at `path` is gone afterwards.
static int name_blob(struct store *s, const char *path, int fd, const char *digest,
                     struct error **err)
{
    int has = check_own_blob(s, digest, false, NULL, err);
    // A damaged blob that can't be moved away is replaced; so is a valid one that another process
    // has named since, which is harmless.
    int named = has ? has : publish(s, path, "sha256", digest, false, err);
    if (!has && named == 0)
        named = publish(s, path, "sha256", digest, true, err);
    if (has || named < 0) {
        at_unlink(s, path);
        return named < 0 ? -1 : 0;
    }
    struct stat st;
    if (fstat(fd, &st) == 0)
        verified_record(s, digest, &st);
    return 0;
}

int store_blob_commit(struct store *s, struct blob_draft *d, char digest[static DIGEST_HEX_SIZE],
                      uint64_t *size, struct error **err)
{
    int result = seal(d->fd, d->path, err);
    if (!result && lseek(d->fd, 0, SEEK_SET) < 0)
        result = error_errno(err, errno, "reading %s", d->path);
    if (!result)
        result = digest_fd(d->fd, d->path, digest, size, err);
    if (!result)
        result = name_blob(s, d->path, d->fd, digest, err);
    if (result) {
        error_wrap(err, "adding a blob to the cache %s", s->directory);
        store_blob_abandon(d);
        return -1;
    }
    close(d->fd);
    free(d->path);
    *d = (struct blob_draft){.fd = -1};
    return 0;
}

int store_put_bytes(struct store *s, const void *bytes, size_t length,
                    char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    digest_bytes(bytes, length, digest);
    int has = store_has_blob(s, digest, err);
    if (has)
        return has < 0 ? -1 : 0;
    struct blob_draft d = {.fd = -1};
    if (store_blob_begin(s, &d, err) < 0)
        return -1;
    if (fd_write_all(d.fd, d.path, bytes, length, err) < 0) {
        store_blob_abandon(&d);
        return error_wrap(err, "adding a blob to the cache %s", s->directory);
    }
    return store_blob_commit(s, &d, digest, NULL, err);
}

// ---- files of the user ----
// Moves files into the store, and restores blobs to the user's paths.

// True for a file in a temporary folder of this process, without another hard link.
static bool can_be_moved(const struct store *s, const char *path, const struct stat *st)
{
    cleanup_free char *tmp = xasprintf("%s/tmp/", s->directory);
    return starts_with(path, tmp) && path_is_clean(path + strlen(tmp)) && st->st_nlink == 1 &&
           st->st_uid == geteuid();
}

int store_put_file(struct store *s, const char *path, char digest[static DIGEST_HEX_SIZE],
                   uint64_t *size, struct error **err)
{
    cleanup_close int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (from < 0 || fstat(from, &st) < 0)
        return error_errno(err, errno, "reading %s", path);
    if (!S_ISREG(st.st_mode))
        return error_user(err, "reading %s: it is %s, not a file", path,
                          S_ISDIR(st.st_mode) ? "a directory" : "a special file");
    struct blob_draft d = {.fd = -1};
    if (store_blob_begin(s, &d, err) < 0)
        return -1;
    // A symbolic link in tmp/ is not moved: what it points to is copied.
    struct stat named;
    if (can_be_moved(s, path, &st) && lstat(path, &named) == 0 && named.st_ino == st.st_ino &&
        at_rename(s, path, d.path, true) == 0) {
        close(d.fd);
        d.fd = steal_fd(&from);
    } else if (copy_content(from, path, d.fd, d.path, err) < 0) {
        store_blob_abandon(&d);
        return error_wrap(err, "adding a blob to the cache %s", s->directory);
    }
    return store_blob_commit(s, &d, digest, size, err);
}

int store_restore_blob_at(struct store *s, const char *digest, int folder, const char *name,
                          const char *shown, struct error **err)
{
    struct stat blob, there;
    cleanup_close int from = store_open_blob(s, digest, err);
    if (from < 0)
        return error_wrap(err, "writing %s", shown);
    if (fstat(from, &blob) < 0)
        return error_errno(err, errno, "writing %s", shown);
    bool taken = fstatat(folder, name, &there, AT_SYMLINK_NOFOLLOW) == 0;
    if (taken && S_ISDIR(there.st_mode))
        return error_user(err, "writing %s: a directory is in the way", shown);
    if (blob.st_uid == geteuid()) {
        if (taken && same_inode(&there, &blob))
            return 0;
        if (file_link_at(from, folder, name) == 0)
            return 0;
    }
    cleanup_free char *path = object_path(s, "sha256", digest);
    cleanup_draft struct file_draft d = FILE_DRAFT_NONE;
    if (file_draft_begin_at(&d, folder, name, shown, err) < 0 ||
        copy_content(from, path, d.fd, shown, err) < 0)
        return -1;
    return file_draft_commit(&d, 0444, err);
}

int store_restore_blob(struct store *s, const char *digest, const char *path, struct error **err)
{
    const char *base;
    if (make_parent(path, err) < 0)
        return -1;
    cleanup_close int folder = folder_open_parent(path, &base, err);
    if (folder < 0)
        return error_wrap(err, "writing %s", path);
    return store_restore_blob_at(s, digest, folder, base, path, err);
}
