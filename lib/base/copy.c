// SPDX-License-Identifier: Apache-2.0
#include "base/copy.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

int copy_content(int from, const char *from_name, int to, const char *to_name, struct error **err)
{
    if (ioctl(to, FICLONE, from) == 0)
        return 0;
    size_t chunk_size = (size_t)1 << 20;
    cleanup_free char *chunk = xmalloc(chunk_size);
    for (;;) {
        ssize_t n = read(from, chunk, chunk_size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "reading %s", from_name);
        if (n == 0)
            return 0;
        if (fd_write_all(to, to_name, chunk, (size_t)n, err) < 0)
            return -1;
    }
}

static int copy_file(const char *from, const char *to, const struct stat *st, struct error **err)
{
    const struct timespec times[] = {st->st_atim, st->st_mtim};
    cleanup_close int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0)
        return error_errno(err, errno, "reading %s", from);
    cleanup_close int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0)
        return error_errno(err, errno, "creating %s", to);
    if (copy_content(in, from, out, to, err) < 0)
        return -1;
    if (fchmod(out, st->st_mode & 0777) < 0 || futimens(out, times) < 0)
        return error_errno(err, errno, "setting mode and time of %s", to);
    return 0;
}

static int copy_link(const char *from, const char *to, const struct stat *st, struct error **err)
{
    const struct timespec times[] = {st->st_atim, st->st_mtim};
    char target[PATH_MAX + 1];
    ssize_t n = readlink(from, target, sizeof target - 1);
    if (n < 0)
        return error_errno(err, errno, "reading the link %s", from);
    target[n] = '\0';
    if (symlink(target, to) < 0 || utimensat(AT_FDCWD, to, times, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "making the link %s", to);
    return 0;
}

static int copy_directory(const char *from, const char *to, const struct stat *st,
                          struct error **err)
{
    const struct timespec times[] = {st->st_atim, st->st_mtim};
    if (make_directories(to, 0700, err) < 0 || copy_tree(from, to, err) < 0)
        return -1;
    if (chmod(to, st->st_mode & 0777) < 0 || utimensat(AT_FDCWD, to, times, 0) < 0)
        return error_errno(err, errno, "setting mode and time of %s", to);
    return 0;
}

int copy_tree(const char *from, const char *to, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    if (list_directory(from, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        cleanup_free char *source = xasprintf("%s/%s", from, names.items[i]);
        cleanup_free char *target = xasprintf("%s/%s", to, names.items[i]);
        struct stat st;
        int result;
        if (lstat(source, &st) < 0)
            return error_errno(err, errno, "reading %s", source);
        switch (st.st_mode & S_IFMT) {
        case S_IFREG:
            result = copy_file(source, target, &st, err);
            break;
        case S_IFLNK:
            result = copy_link(source, target, &st, err);
            break;
        case S_IFDIR:
            result = copy_directory(source, target, &st, err);
            break;
        default:
            result = error_user(err, "copying %s: it is no file, directory or link", source);
        }
        if (result < 0)
            return -1;
    }
    return 0;
}
