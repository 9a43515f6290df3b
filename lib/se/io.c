// SPDX-License-Identifier: Apache-2.0
// Reads and writes at a position, and tests for zeros.
#include "se/checks.h"

#include <errno.h>
#include <string.h>

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

bool all_zero(const unsigned char *bytes, size_t length)
{
    // The first byte is zero, and each equals the one before.
    return !length || (!bytes[0] && !memcmp(bytes, bytes + 1, length - 1));
}
