// SPDX-License-Identifier: Apache-2.0
// Opens the store, names and publishes its objects; and gives each process a folder in tmp/ while
// it runs.
#include "store/internal.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>

// ---- sessions ----
// Manages work in progress: each process locks a file tmp/<pid>.XXXXXX.lock while it lives, and so
// owns the folder tmp/<pid>.XXXXXX. The kernel releases the lock when the process dies, so a
// process that gets the lock knows that the folder has no owner. (The pid is for people only: pids
// are reused, and differ between containers.) The folder is made at its first use, since a build
// with nothing to do would spend milliseconds on removing it.
//
// An owner and a sweep can race for a lock file that was just made or is about to be removed: each,
// after locking, checks that the name still leads to the locked file.

// "<start><six letters><end>", as mkstemp(3) would choose it.
static char *random_name(const char *start, const char *end)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char bytes[6] = {0};
    char text[7] = "";
    ssize_t ignored = getrandom(bytes, sizeof bytes, 0);
    (void)ignored;
    for (size_t i = 0; i < sizeof bytes; i++)
        text[i] = letters[bytes[i] % (sizeof letters - 1)];
    return xasprintf("%s%s%s", start, text, end);
}

// Makes the folder s->session.
static int session_folder(struct store *s, struct error **err)
{
    if (session_open(s, err) < 0)
        return -1;
    if (at_mkdir(s, s->session, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "writing into the cache %s", s->directory);
    return 0;
}

int session_open(struct store *s, struct error **err)
{
    if (s->session)
        return 0;
    for (int attempt = 0; attempt < 100; attempt++) {
        cleanup_free char *start = xasprintf("%s/tmp/%d.", s->directory, (int)getpid());
        cleanup_free char *path = random_name(start, ".lock");
        cleanup_close int fd = at_create_in(s, "tmp", path, 0600);
        if (fd < 0 && errno == EEXIST)
            continue;
        if (fd < 0)
            return error_errno(err, errno, "writing into the cache %s", s->directory);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            if (errno == EWOULDBLOCK)
                continue; // a sweep locked it, and removes it
            error_errno(err, errno, "locking %s", path);
            at_unlink(s, path);
            return -1;
        }
        if (!at_is_named(s, fd, path))
            continue;
        s->session = xstrndup(path, strlen(path) - 5);
        s->session_lock = steal_fd(&fd);
        s->owner = getpid();
        return 0;
    }
    return error_user(err, "writing into the cache %s: no temporary directory could be claimed",
                      s->directory);
}

static void session_close(struct store *s)
{
    if (s->session && s->owner == getpid()) {
        cleanup_free char *lock = xasprintf("%s.lock", s->session);
        if (at_remove(s, s->session, NULL) == 0)
            at_unlink(s, lock); // while still locked; a sweep removes the rest
    }
    if (s->session_lock >= 0)
        close(steal_fd(&s->session_lock));
    free(steal(s->session));
}

char *session_file(struct store *s, const char *prefix, int *fd, struct error **err)
{
    if (session_folder(s, err) < 0)
        return NULL;
    cleanup_free char *start = xasprintf("%s/%s.", s->session, prefix);
    do {
        cleanup_free char *path = random_name(start, "");
        *fd = at_open(s, path, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (*fd >= 0)
            return steal(path);
    } while (errno == EEXIST);
    error_errno(err, errno, "writing into the cache %s", s->directory);
    return NULL;
}

char *store_temporary(struct store *s, const char *prefix, struct error **err)
{
    if (session_folder(s, err) < 0)
        return NULL;
    cleanup_free char *start = xasprintf("%s/%s.", s->session, prefix);
    for (char *p = start + strlen(s->session) + 1; *p; p++)
        if (*p == '/')
            *p = '-';
    do {
        cleanup_free char *path = random_name(start, "");
        if (at_mkdir(s, path, 0700) == 0)
            return steal(path);
    } while (errno == EEXIST);
    error_errno(err, errno, "creating a temporary directory in %s", s->session);
    return NULL;
}

static void sweep_session(struct store *s, const char *lock)
{
    cleanup_close int fd = at_open(s, lock, O_RDWR | O_NONBLOCK, 0);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || !at_is_named(s, fd, lock))
        return;
    cleanup_free char *folder = xstrndup(lock, strlen(lock) - 5);
    cleanup_error struct error *why = NULL;
    if (at_remove(s, folder, &why) == 0)
        at_unlink(s, lock);
    else
        log_warning("cache: what a killed kbuild left can't be removed: %s", why->message);
}

void session_sweep(struct store *s, bool all)
{
    cleanup_free char *folder = xasprintf("%s/tmp", s->directory);
    cleanup_strlist struct strlist names = {0};
    cleanup_error struct error *why = NULL;
    if (at_list(s, folder, &names, &why) < 0) {
        if (why->errnum != ENOENT) // a read-only store may have no tmp/
            log_warning("cache: what a killed kbuild left can't be found: %s", why->message);
        return;
    }
    const char *mine = s->session ? path_base(s->session) : "";
    for (size_t i = 0; i < names.n; i++) {
        const char *name = names.items[i];
        cleanup_free char *path = xasprintf("%s/%s", folder, name);
        if (*mine && starts_with(name, mine))
            continue;
        if (ends_with(name, ".lock"))
            sweep_session(s, path);
        else if (all)
            at_remove(s, path, NULL);
    }
}

// ---- the store ----

// Opens and closes the store, and names and publishes its objects.

static const char *const folders[] = {"sha256", "trees", "actions", "verified", "locks", "tmp"};
// Made at their first use.
static const char *const others[] = {"git", "images", "logs", "memo", "damaged"};

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
    cleanup_close int fd =
        folder_open_at(s->root, name, path, "directory", FOLDER_OWNER_WRITABLE, err);
    return fd < 0 ? -1 : 0;
}

// 1: there is something in it; 0: no, or it is no directory, which check_folder() refuses; -1.
static int has_content(const struct store *s, const char *name, struct error **err)
{
    cleanup_free char *path = xasprintf("%s/%s", s->directory, name);
    cleanup_strlist struct strlist names = {0};
    cleanup_close int fd =
        openat(s->root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return 0;
    return list_directory_at(fd, path, &names, err) < 0 ? -1 : names.n > 0;
}

// Whether kbuild made it: all folders are there before one of them has something in it.
static bool is_store(const struct store *s)
{
    struct stat st;
    bool all = true;
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        all &= fstatat(s->root, folders[i], &st, AT_SYMLINK_NOFOLLOW) == 0;
    return all || fstatat(s->root, "lock", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

// A directory of somebody's that happens to have a tmp/ would lose what is in it.
static int refuse_directories_of_others(const struct store *s, struct error **err)
{
    const char *name = NULL;
    for (size_t i = 0; !name && i < ARRAY_LEN(folders) + ARRAY_LEN(others); i++) {
        const char *one = i < ARRAY_LEN(folders) ? folders[i] : others[i - ARRAY_LEN(folders)];
        int used = has_content(s, one, err);
        if (used < 0)
            return -1;
        name = used ? one : NULL;
    }
    if (!name || is_store(s))
        return 0;
    error_user(err, "%s is no cache of kbuild: its directory %s is not one that kbuild made",
               s->directory, name);
    return error_hint(err,
                      "kbuild removes what it does not need from there: name a new or an empty "
                      "directory as the cache");
}

// Makes missing folders. An existing store that can't be written is no error.
static int open_folders(struct store *s, struct error **err)
{
    struct stat st;
    bool there = stat(s->directory, &st) == 0;
    s->root =
        folder_open(s->directory, "cache", FOLDER_OWNER_WRITABLE | (there ? 0 : FOLDER_MAKE), err);
    if (s->root < 0 || refuse_directories_of_others(s, err) < 0)
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

struct store *store_open_new(const char *directory, struct error **err)
{
    struct store *lasting = store_open(directory, err), *s = NULL;
    cleanup_free char *path = lasting ? store_temporary(lasting, "new", err) : NULL;
    if (path)
        s = store_open(path, err);
    if (s)
        s->lasting = lasting;
    else
        store_close(lasting);
    return s;
}

struct store *store_lasting(struct store *s)
{
    return s->lasting ? s->lasting : s;
}

const char *store_folder_name(size_t number)
{
    if (number < ARRAY_LEN(folders))
        return folders[number];
    number -= ARRAY_LEN(folders);
    return number < ARRAY_LEN(others) ? others[number] : NULL;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    struct store *lasting = s->lasting;
    session_close(s);
    if (s->lock >= 0)
        close(s->lock);
    if (s->root >= 0)
        close(s->root);
    strlist_free(&s->whole);
    free(s->known);
    free(s->directory);
    free(s);
    store_close(lasting); // and what lies in its tmp/, this one among it
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

static int sync_directory(const struct store *s, const char *path, struct error **err)
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
