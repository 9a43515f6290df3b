// SPDX-License-Identifier: Apache-2.0
// Writes files and folders that get their name when they are complete, and compares and links
// files. The content of a file goes into a file without a name (O_TMPFILE), which disappears when
// the process ends. A temporary name, ".<name>.kbuild-<N>", is needed for a moment to replace an
// old file, and from the start without O_TMPFILE. Its process holds a lock on the file (flock); a
// file that can be locked was left by a killed process, and the next draft of the same file removes
// it.
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { NAMES = 16 }; // of drafts of one file at a time

static char *temporary_name(const struct file_draft *d, unsigned i)
{
    return xasprintf(".%.200s.kbuild-%u", path_base(d->path), i);
}

// Locks an open file or folder of ours; true if it still has this name afterwards.
static bool lock_named(int fd, int folder, const char *name)
{
    struct stat mine;
    return fstat(fd, &mine) == 0 && mine.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
           fd_has_name(fd, folder, name);
}

// The same for a new file. A file system without locks (NFS) is no failure; only a process that
// removes the file as stale is one.
static bool lock_new(int fd, int folder, const char *name)
{
    return (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) &&
           fd_has_name(fd, folder, name);
}

// True if a killed process left the name, and it is removed now.
static bool remove_stale(int folder, const char *name)
{
    cleanup_close int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && lock_named(fd, folder, name) &&
           unlinkat(folder, name, 0) == 0;
}

// Removes stale files under all names, also those that no draft would try again.
static void sweep(const struct file_draft *d)
{
    for (unsigned i = 0; i < NAMES; i++) {
        cleanup_free char *name = temporary_name(d, i);
        remove_stale(d->folder, name);
    }
}

static int give_name(int fd, int folder, const char *name)
{
    if (linkat(fd, "", folder, name, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != ENOENT && errno != EPERM && errno != EINVAL)
        return -1;
    char path[64]; // without CAP_DAC_READ_SEARCH
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, path, folder, name, AT_SYMLINK_FOLLOW);
}

// Makes d->temporary, by linking the open file or by creating it. -1 with errno.
static int make_temporary(struct file_draft *d)
{
    for (unsigned i = 0; i < NAMES; i++) {
        char *name = temporary_name(d, i);
        remove_stale(d->folder, name);
        if (d->fd >= 0 && give_name(d->fd, d->folder, name) == 0) {
            d->temporary = name;
            return 0;
        }
        if (d->fd < 0) {
            int fd =
                openat(d->folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
            if (fd >= 0 && lock_new(fd, d->folder, name)) {
                d->fd = fd;
                d->temporary = name;
                return 0;
            }
            if (fd >= 0) { // another process removes it
                close(fd);
                errno = EEXIST;
            }
        }
        int errnum = errno;
        free(name);
        errno = errnum;
        if (errnum != EEXIST)
            return -1;
    }
    errno = EEXIST;
    return -1;
}

static bool unnamed_files_can_be_named(void)
{
    return access("/proc/self/fd", X_OK) == 0;
}

static int open_draft(struct file_draft *d)
{
    if (unnamed_files_can_be_named())
        d->fd = openat(d->folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (d->fd >= 0) {
        flock(d->fd, LOCK_EX | LOCK_NB); // for the moment in which it has a temporary name
        return 0;
    }
    if (errno == ENOSPC || errno == EDQUOT || errno == EACCES || errno == EROFS)
        return -1;
    sweep(d);
    return make_temporary(d);
}

// A draft replaces a regular file, or a link itself. Any other file, or the target of a link, is
// kept.
static int check_target(const struct file_draft *d, struct error **err)
{
    const char *base = path_base(d->path);
    struct stat st;
    if (!*base)
        return error_errno(err, EISDIR, "creating %s", d->path);
    if (fstatat(d->folder, base, &st, 0) < 0 || S_ISREG(st.st_mode))
        return 0;
    if (S_ISDIR(st.st_mode))
        return error_errno(err, EISDIR, "creating %s", d->path);
    error_user(err, "creating %s: it is a special file, which a result would replace", d->path);
    return error_hint(err, "name a file");
}

int file_draft_begin_at(struct file_draft *d, int folder, const char *name, const char *shown,
                        struct error **err)
{
    *d = FILE_DRAFT_NONE;
    d->folder = fcntl(folder, F_DUPFD_CLOEXEC, 3);
    // Only the name in `shown` is used, and it is the same.
    d->path = !strcmp(path_base(shown), name) ? xstrdup(shown) : xasprintf("%s/%s", shown, name);
    if (d->folder < 0)
        error_errno(err, errno, "creating %s", d->path);
    else if (check_target(d, err) == 0) {
        if (open_draft(d) == 0)
            return 0;
        error_errno(err, errno, "creating %s", d->path);
    }
    file_draft_abandon(d);
    return -1;
}

int file_draft_begin(struct file_draft *d, const char *path, struct error **err)
{
    const char *base;
    *d = FILE_DRAFT_NONE;
    cleanup_close int folder = folder_open_parent(path, &base, err);
    if (folder < 0)
        return error_wrap(err, "creating %s", path);
    return file_draft_begin_at(d, folder, base, path, err);
}

static int name_draft(struct file_draft *d, bool replace)
{
    const char *base = path_base(d->path);
    if (!d->temporary) {
        if (give_name(d->fd, d->folder, base) == 0)
            return 0;
        if (!replace || errno != EEXIST || make_temporary(d) < 0)
            return -1;
    }
    if (!replace)
        return linkat(d->folder, d->temporary, d->folder, base, 0); // abandon removes that
    if (renameat(d->folder, d->temporary, d->folder, base) < 0)
        return -1;
    free(steal(d->temporary));
    return 0;
}

static int commit(struct file_draft *d, mode_t mode, bool sync, bool replace, struct error **err)
{
    int result = 0;
    // NFS reports write errors at close().
    int copy = sync ? -1 : fcntl(d->fd, F_DUPFD_CLOEXEC, 3);
    if (fchmod(d->fd, mode) < 0 || (sync ? fsync(d->fd) : close(copy)) < 0 ||
        name_draft(d, replace) < 0)
        result = error_errno(err, errno, "writing %s", d->path);
    file_draft_abandon(d);
    return result;
}

int file_draft_commit(struct file_draft *d, mode_t mode, struct error **err)
{
    return commit(d, mode, true, true, err);
}

int file_draft_commit_unsynced(struct file_draft *d, mode_t mode, struct error **err)
{
    return commit(d, mode, false, true, err);
}

int file_draft_commit_new(struct file_draft *d, mode_t mode, struct error **err)
{
    return commit(d, mode, true, false, err);
}

void file_draft_abandon(struct file_draft *d)
{
    if (d->temporary)
        unlinkat(d->folder, d->temporary, 0);
    if (d->fd >= 0)
        close(d->fd);
    if (d->folder >= 0)
        close(d->folder);
    free(d->path);
    free(d->temporary);
    *d = FILE_DRAFT_NONE;
}

int file_write(const char *path, const void *bytes, size_t length, mode_t mode, struct error **err)
{
    cleanup_draft struct file_draft d = FILE_DRAFT_NONE;
    if (file_draft_begin(&d, path, err) < 0 || fd_write_all(d.fd, path, bytes, length, err) < 0)
        return -1;
    return file_draft_commit(&d, mode, err);
}

int file_write_at(int folder, const char *name, const char *shown, const void *bytes, size_t length,
                  mode_t mode, struct error **err)
{
    cleanup_draft struct file_draft d = FILE_DRAFT_NONE;
    if (file_draft_begin_at(&d, folder, name, shown, err) < 0 ||
        fd_write_all(d.fd, d.path, bytes, length, err) < 0)
        return -1;
    return file_draft_commit(&d, mode, err);
}

int file_link_at(int fd, int folder, const char *name)
{
    if (give_name(fd, folder, name) == 0)
        return 0;
    if (errno != EEXIST)
        return -1;
    // The same name each time, so that the next call removes what a killed process left.
    cleanup_free char *temporary = xasprintf(".%.200s.kbuild-link", name);
    unlinkat(folder, temporary, 0);
    if (give_name(fd, folder, temporary) < 0)
        return -1;
    int result = renameat(folder, temporary, folder, name);
    int errnum = errno;
    unlinkat(folder, temporary, 0); // if it failed, or if `name` had become the same file meanwhile
    errno = errnum;
    return result;
}

// ---- folders ----

enum { CLEANUP_DONE = 255 }; // beyond all NAMES

static char *folder_name(const struct folder_draft *d, unsigned i)
{
    return xasprintf(".%.200s.kbuild-new-%u", path_base(d->path), i);
}

// Opens and locks a folder draft that nobody holds; -1: no such name, or it is locked.
static int lock_folder(int folder, const char *name)
{
    cleanup_close int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 && lock_named(fd, folder, name) ? steal_fd(&fd) : -1;
}

static void sweep_folders(const struct folder_draft *d)
{
    for (unsigned i = 0; i < NAMES; i++) {
        cleanup_free char *name = folder_name(d, i);
        cleanup_close int fd = lock_folder(d->folder, name);
        if (fd >= 0)
            beneath_remove(d->folder, name, name, NULL);
    }
}

// Sends the cleanup process the next name, or CLEANUP_DONE, before the folder is made, so that a
// process killed at any moment leaves no folder unknown to the cleanup process. A cleanup process
// that was killed is an error (EPIPE), not a signal.
static bool message_cleanup_process(const struct folder_draft *d, unsigned char word)
{
    ssize_t n;
    while ((n = send(d->cleanup, &word, 1, MSG_NOSIGNAL)) < 0 && errno == EINTR)
        ;
    return n == 1;
}

static int make_folder(struct folder_draft *d)
{
    for (unsigned i = 0; i < NAMES; i++) {
        cleanup_free char *name = folder_name(d, i);
        if (!message_cleanup_process(d, (unsigned char)i))
            return -1;
        if (mkdirat(d->folder, name, 0700) < 0) {
            if (errno == EEXIST)
                continue;
            return -1;
        }
        d->fd = lock_folder(d->folder, name);
        if (d->fd < 0)
            continue; // another process removes it
        const char *base = path_base(d->path);
        d->temporary = xasprintf("%.*s%s", (int)(base - d->path), d->path, name);
        return 0;
    }
    errno = EEXIST;
    return -1;
}

// Waits until nobody holds the folder: when a process ends, its socket can close before its lock.
static void remove_left(const struct folder_draft *d, unsigned i)
{
    cleanup_free char *name = folder_name(d, i);
    cleanup_close int fd = openat(d->folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX) == 0 && lock_named(fd, d->folder, name))
        beneath_remove(d->folder, name, "", NULL);
}

// The cleanup process: survives signals to the group, waits until the other end of the socket is
// closed, and removes the folder whose name came last.
_Noreturn static void keep(const struct folder_draft *d, int socket)
{
    unsigned char word;
    int last = -1;
    setsid();
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_IGN);
    // A reader may wait for the end of an inherited pipe.
    for (int fd = 0; fd < 1024; fd++)
        if (fd != socket && fd != d->folder)
            close(fd);
    ssize_t n;
    while ((n = read(socket, &word, 1)) == 1 || (n < 0 && errno == EINTR)) {
        if (n == 1 && word == CLEANUP_DONE)
            _exit(0);
        if (n == 1)
            last = word;
    }
    if (last >= 0)
        remove_left(d, (unsigned)last);
    _exit(0);
}

static int start_cleanup_process(struct folder_draft *d)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    d->cleanup_pid = fork();
    if (d->cleanup_pid == 0) {
        close(ends[1]);
        keep(d, ends[0]);
    }
    int errnum = errno;
    close(ends[0]);
    if (d->cleanup_pid > 0)
        d->cleanup = ends[1];
    else
        close(ends[1]);
    errno = errnum;
    return d->cleanup_pid < 0 ? -1 : 0;
}

int folder_draft_begin(struct folder_draft *d, const char *path, struct error **err)
{
    const char *base;
    *d = FOLDER_DRAFT_NONE;
    d->path = xstrdup(path);
    d->folder = folder_open_parent(path, &base, err);
    if (d->folder < 0) {
        folder_draft_abandon(d);
        return error_wrap(err, "creating %s", path);
    }
    sweep_folders(d);
    if (start_cleanup_process(d) == 0 && make_folder(d) == 0)
        return 0;
    error_errno(err, errno, "creating %s", path);
    folder_draft_abandon(d);
    return -1;
}

int folder_draft_commit(struct folder_draft *d, mode_t mode, struct error **err)
{
    int result = 0;
    if (fchmod(d->fd, mode) < 0 ||
        renameat(d->folder, path_base(d->temporary), d->folder, path_base(d->path)) < 0)
        result = error_errno(err, errno, "writing %s", d->path);
    else
        free(steal(d->temporary));
    folder_draft_abandon(d);
    return result;
}

void folder_draft_abandon(struct folder_draft *d)
{
    if (d->temporary)
        beneath_remove(d->folder, path_base(d->temporary), d->path, NULL);
    if (d->cleanup >= 0) {
        message_cleanup_process(d, CLEANUP_DONE);
        close(d->cleanup);
        if (d->cleanup_pid > 0) // it ends by CLEANUP_DONE, or was killed
            waitpid(d->cleanup_pid, NULL, 0);
    }
    if (d->fd >= 0)
        close(d->fd);
    if (d->folder >= 0)
        close(d->folder);
    free(d->path);
    free(d->temporary);
    *d = FOLDER_DRAFT_NONE;
}

// ---- one file twice ----

bool fd_has_name(int fd, int folder, const char *name)
{
    struct stat mine, named;
    return fstat(fd, &mine) == 0 && fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           same_inode(&mine, &named);
}

// The folder that a new file of this path would be in, and its name there; -1 if there is none.
static int place_of(const char *path, struct stat *folder)
{
    const char *base = path_base(path);
    cleanup_free char *above = base == path ? xstrdup(".") : xstrndup(path, (size_t)(base - path));
    return stat(above, folder);
}

bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    bool there = stat(a, &x) == 0, too = stat(b, &y) == 0;
    if (!there && !too &&
        (strcmp(path_base(a), path_base(b)) != 0 || place_of(a, &x) < 0 || place_of(b, &y) < 0))
        return false;
    return there == too && same_inode(&x, &y);
}
