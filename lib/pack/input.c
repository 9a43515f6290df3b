// SPDX-License-Identifier: Apache-2.0
// Reads the compressed bytes of an archive from a file or a pipe.
#include "pack/decoder.h"

#include "base/file.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static ssize_t raw_read(struct input *in, void *bytes, size_t size)
{
    return in->seekable ? fd_read_at(in->fd, bytes, size, (uint64_t)in->at)
                        : fd_read(in->fd, bytes, size);
}

int input_open(struct input *in, int fd, struct error **err)
{
    *in = (struct input){.fd = fd};
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "reading it");
    if (S_ISDIR(st.st_mode))
        return error_user(err, "it is a directory, not an archive");
    in->seekable = S_ISREG(st.st_mode);
    in->size = in->seekable ? (uint64_t)st.st_size : 0;
    while (in->head_length < MAGIC_SIZE) {
        ssize_t n = raw_read(in, in->head + in->head_length, MAGIC_SIZE - in->head_length);
        if (n < 0)
            return error_errno(err, errno, "reading it");
        if (n == 0)
            break;
        in->head_length += (size_t)n;
        in->at += n;
    }
    in->at = 0;
    return in->head_length ? 0 : error_user(err, "it is empty (0 bytes)");
}

ssize_t input_read(struct input *in, void *bytes, size_t size)
{
    ssize_t n;
    if (!in->seekable && (size_t)in->at < in->head_length) { // a pipe is read only once
        size_t left = in->head_length - (size_t)in->at;
        n = (ssize_t)(size < left ? size : left);
        memcpy(bytes, in->head + in->at, (size_t)n);
    } else {
        n = raw_read(in, bytes, size);
    }
    if (n > 0) {
        in->at += n;
        atomic_fetch_add(&in->done, (uint64_t)n);
    }
    return n;
}

bool input_is_xz(const struct input *in)
{
    // The .xz File Format 1.1.0, 2.1.1.1
    return in->head_length == MAGIC_SIZE && !memcmp(in->head,
                                                    "\xfd"
                                                    "7zXZ\0",
                                                    MAGIC_SIZE);
}

bool input_is_zip(const struct input *in)
{
    // A local file header, or the end record of an empty zip (APPNOTE 6.3.10, 4.3.7 and 4.3.16)
    return in->head_length >= 4 &&
           (!memcmp(in->head, "PK\3\4", 4) || !memcmp(in->head, "PK\5\6", 4));
}
