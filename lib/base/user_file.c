// SPDX-License-Identifier: Apache-2.0
// Reads files, pipes and devices that the user named, all in the same way.
#include "base/user_file.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode) ? "a directory" : S_ISBLK(mode) ? "a block device" : "a socket";
}

int user_file_stream(const char *path, struct stat *st, struct error **err)
{
    // Opening a fifo waits for a writer, as intended when the user names one.
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, st) < 0)
        return error_errno(err, errno, "reading %s", path);
    if (!S_ISREG(st->st_mode) && !S_ISFIFO(st->st_mode) && !S_ISCHR(st->st_mode))
        return error_user(err, "reading %s: it is %s, not a file", path, kind_of(st->st_mode));
    return steal_fd(&fd);
}

int user_file_read(const char *path, size_t limit, struct buf *out, struct error **err)
{
    struct stat st = {0};
    cleanup_close int fd = user_file_stream(path, &st, err);
    if (fd < 0)
        return -1;
    buf_add(out, "", 0);
    return fd_read_all(fd, path, limit, out, err);
}

static int spool(int fd, const char *name, uint64_t limit, uint64_t *size, struct error **err)
{
    static const size_t run = 256u << 10;
    cleanup_close int copy = nameless_file(NULL, err);
    if (copy < 0)
        return -1;
    cleanup_free unsigned char *bytes = xmalloc(run);
    for (*size = 0;;) {
        ssize_t n = fd_read(fd, bytes, run);
        if (n < 0)
            return error_errno(err, errno, "reading %s", name);
        if (n == 0)
            break;
        *size += (uint64_t)n;
        if (*size > limit)
            return error_user(err, "reading %s: it has more than %llu bytes", name,
                              (unsigned long long)limit);
        if (fd_write_all(copy, "a temporary file", bytes, (size_t)n, err) < 0)
            return -1;
    }
    if (lseek(copy, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "reading a temporary file");
    return steal_fd(&copy);
}

int user_file_spool(int fd, const char *name, uint64_t *size, struct error **err)
{
    return spool(fd, name, USER_FILE_SPOOL_MAX, size, err);
}

int user_file_open(const char *path, uint64_t *size, struct error **err)
{
    struct stat st = {0};
    cleanup_close int fd = user_file_stream(path, &st, err);
    if (fd < 0)
        return -1;
    if (!S_ISREG(st.st_mode))
        return spool(fd, path, S_ISCHR(st.st_mode) ? USER_FILE_DEVICE_MAX : USER_FILE_SPOOL_MAX,
                     size, err);
    *size = (uint64_t)st.st_size;
    return steal_fd(&fd);
}
