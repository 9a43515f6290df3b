// SPDX-License-Identifier: Apache-2.0
#include "seal/io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

int read_at(int fd, const char *name, uint64_t offset, void *out, size_t length, struct error **err)
{
    unsigned char *p = out;
    while (length) {
        ssize_t n = pread(fd, p, length, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "reading %s", name);
        if (n == 0)
            return error_user(err, "reading %s: it ends at byte %llu, before its contents do", name,
                              (unsigned long long)offset);
        p += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

int write_at(int fd, const char *name, uint64_t offset, const void *bytes, size_t length,
             struct error **err)
{
    const unsigned char *p = bytes;
    while (length) {
        ssize_t n = pwrite(fd, p, length, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "writing %s", name);
        p += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

int open_input(const char *path, uint64_t *size, struct error **err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "opening %s", path);
    if (!S_ISREG(st.st_mode))
        return error_user(err, "opening %s: it is %s, not a file", path,
                          S_ISDIR(st.st_mode) ? "a directory" : "a special file");
    *size = (uint64_t)st.st_size;
    return steal_fd(&fd);
}

bool all_zero(const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i])
            return false;
    return true;
}
