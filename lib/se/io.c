// SPDX-License-Identifier: Apache-2.0
// Reads and writes at a position, and tests for zeros.
#include "se/checks.h"

#include "base/file.h"

#include <errno.h>
#include <string.h>

int read_at(int fd, const char *name, uint64_t offset, void *out, size_t length, struct error **err)
{
    ssize_t n = fd_read_at(fd, out, length, offset);
    if (n < 0)
        return error_errno(err, errno, "reading %s", name);
    return (size_t)n == length
               ? 0
               : error_user(err, "reading %s: it ends at byte %llu, before its contents do", name,
                            (unsigned long long)offset + (unsigned long long)n);
}

int write_at(int fd, const char *name, uint64_t offset, const void *bytes, size_t length,
             struct error **err)
{
    return fd_write_at(fd, name, bytes, length, offset, err);
}

bool all_zero(const unsigned char *bytes, size_t length)
{
    // The first byte is zero, and each equals the one before.
    return !length || (!bytes[0] && !memcmp(bytes, bytes + 1, length - 1));
}
