// SPDX-License-Identifier: Apache-2.0
// Opens and closes the store, and names and publishes its objects.
#include "base/error.h"
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

static const char *const folders[] = {"sha256", "trees", "actions", "verified", "locks", "tmp"};
// Made at their first use.
static const char *const others[] = {"git", "images", "logs", "damaged"};

static bool only_reading(int errnum)
{
    return errnum == EROFS || errnum == EACCES || errnum == EPERM;
}

// A folder of the store must belong to the user, and be no link.
static int check_folder(struct store *s, const char *name, struct error **err)
{
    cleanup_free char *path = xasprintf("%s/%s", s->directory, name);
    struct stat st;
    if (fstatat(s->root, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "reading %s", path);
    cleanup_close int fd = folder_open_at(s->root, name, path, "folder", FOLDER_CLOSED, err);
    return fd < 0 ? -1 : 0;
}

// Makes missing folders. An existing store that can't be written is no error.
static int open_folders(struct store *s, struct error **err)
{
    struct stat st;
    bool there = stat(s->directory, &st) == 0;
    s->root = folder_open(s->directory, "cache", FOLDER_CLOSED | (there ? 0 : FOLDER_MAKE), err);
    if (s->root < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        if (mkdirat(s->root, folders[i], 0755) < 0 && errno != EEXIST && !only_reading(errno) &&
            errno != ENOSPC && errno != EDQUOT)
            return error_errno(err, errno, "creating the directory %s/%s", s->directory,
                               folders[i]);
        if (check_folder(s, folders[i], err) < 0)
            return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (check_folder(s, others[i], err) < 0)
            return -1;
    return 0;
}

static int open_lock(struct store *s, struct error **err)
{
    cleanup_free char *path = xasprintf("%s/lock", s->directory);
    int flags = O_NONBLOCK;
    struct stat st;
    s->lock = at_open(s, path, flags | O_RDWR | O_CREAT, 0644);
    if (s->lock < 0 && only_reading(errno))
        s->lock = at_open(s, path, flags | O_RDONLY, 0);
    s->lock_errnum = s->lock < 0 ? errno : 0;
    if (s->lock < 0 && (errno == ENOENT || errno == ENOSPC || errno == EDQUOT))
        return 0; // read-only, or full from the start: no gc can run
    if (s->lock < 0 && errno != ELOOP)
        return error_errno(err, errno, "opening %s", path);
    if (s->lock >= 0 && fstat(s->lock, &st) == 0 && S_ISREG(st.st_mode) &&
        owner_is_trusted(st.st_uid))
        return 0;
    error_user(err, "%s is %s, and not a file that kbuild made", path,
               s->lock < 0 ? "a link" : "something else");
    return error_hint(err, "remove it, after a look at who made it and why");
}

static int take_lock(struct store *s, struct error **err)
{
    if (open_lock(s, err) < 0)
        return -1;
    if (s->lock < 0 || flock(s->lock, LOCK_SH | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK)
        return error_errno(err, errno, "locking %s/lock", s->directory);
    log_note("waiting for a garbage collection of %s to end", s->directory);
    while (flock(s->lock, LOCK_SH) < 0)
        if (errno != EINTR)
            return error_errno(err, errno, "locking %s/lock", s->directory);
    return 0;
}

struct store *store_open(const char *directory, struct error **err)
{
    struct store *s = xcalloc(1, sizeof *s);
    s->root = s->lock = s->session_lock = -1;
    s->directory = path_absolute(directory);
    if (open_folders(s, err) < 0 || take_lock(s, err) < 0) {
        store_close(s);
        return NULL;
    }
    session_sweep(s, false);
    // Opened now, not at the first write, so that forked children share it. An unwritable store is
    // reported at the first write.
    session_open(s, NULL);
    return s;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    session_close(s);
    if (s->lock >= 0)
        close(s->lock);
    if (s->root >= 0)
        close(s->root);
    strlist_free(&s->whole);
    free(s->known);
    free(s->directory);
    free(s);
}

const char *store_directory(const struct store *s)
{
    return s->directory;
}

int check_digest(const char *digest, const char *what, struct error **err)
{
    if (digest && digest_is_hex(digest))
        return 0;
    cleanup_buf struct buf shown = {0};
    buf_add(&shown, digest ? digest : "", digest ? strnlen(digest, 80) : 0);
    return error_user(err, "\"%s\" is not %s: 64 lower-case hexadecimal digits are expected",
                      shown.data, what);
}

char *object_path(const struct store *s, const char *kind, const char *digest)
{
    return xasprintf("%s/%s/%.2s/%s", s->directory, kind, digest, digest + 2);
}

int sync_directory(const struct store *s, const char *path, struct error **err)
{
    cleanup_close int fd = at_open(s, path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 || folder_sync(fd) < 0)
        return error_errno(err, errno, "syncing the directory %s", path);
    return 0;
}

// sha256/ab, synced into sha256 when it is new.
static int make_fan_out(const struct store *s, const char *kind, const char *digest,
                        struct error **err)
{
    cleanup_free char *folder = xasprintf("%s/%s", s->directory, kind);
    cleanup_free char *path = xasprintf("%s/%.2s", folder, digest);
    if (at_mkdir(s, path, 0755) == 0)
        return sync_directory(s, folder, err);
    if (errno == ENOENT && at_mkdir(s, folder, 0755) == 0 && at_mkdir(s, path, 0755) == 0)
        return sync_directory(s, folder, err) < 0 ? -1 : sync_directory(s, s->directory, err);
    return errno == EEXIST ? 0 : error_errno(err, errno, "creating the directory %s", path);
}

int publish(struct store *s, const char *from, const char *kind, const char *digest, bool replace,
            struct error **err)
{
    if (make_fan_out(s, kind, digest, err) < 0)
        return -1;
    cleanup_free char *to = object_path(s, kind, digest);
    if (at_rename(s, from, to, replace) < 0) {
        if (!replace && (errno == EEXIST || errno == ENOTEMPTY))
            return 0;
        return error_errno(err, errno, "writing %s", to);
    }
    cleanup_free char *folder = xasprintf("%s/%s/%.2s", s->directory, kind, digest);
    return sync_directory(s, folder, err) < 0 ? -1 : 1;
}

int name_object(struct store *s, const char *path, const char *kind, const char *digest,
                struct error **err)
{
    cleanup_free char *to = object_path(s, kind, digest);
    if (make_fan_out(s, kind, digest, err) < 0)
        return -1;
    return at_rename(s, path, to, true) < 0 ? error_errno(err, errno, "writing %s", to) : 0;
}

int write_object(struct store *s, const char *kind, const char *digest, const void *bytes,
                 size_t length, bool sync, struct error **err)
{
    cleanup_close int fd = -1;
    cleanup_free char *path = session_file(s, kind, &fd, err);
    if (!path)
        return -1;
    int result = fd_write_all(fd, path, bytes, length, err);
    if (!result && (fchmod(fd, 0644) < 0 || (sync && fsync(fd) < 0)))
        result = error_errno(err, errno, "writing %s", path);
    if (!result && sync)
        result = publish(s, path, kind, digest, true, err) < 0 ? -1 : 0;
    else if (!result)
        result = name_object(s, path, kind, digest, err);
    if (result)
        at_unlink(s, path);
    return result;
}

void move_damaged(struct store *s, const char *path, const char *label, const char *why)
{
    cleanup_free char *folder = xasprintf("%s/damaged", s->directory);
    bool made = at_mkdir(s, folder, 0755) == 0 || errno == EEXIST;
    for (unsigned i = 0; made && i < 10000; i++) {
        cleanup_free char *to = xasprintf("%s/%s.%u", folder, label, i);
        if (at_rename(s, path, to, false) == 0) {
            log_warning("cache: %s: %s; moved to %s, it will be made again", path, why, to);
            return;
        }
        if (errno != EEXIST && errno != ENOTEMPTY)
            break;
    }
    int errnum = errno;
    if (at_exists(s, path)) // else another process moved it
        log_warning("cache: %s: %s; it could not be moved away (%s) and is treated as missing",
                    path, why, strerror(errnum));
}
