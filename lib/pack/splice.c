// SPDX-License-Identifier: Apache-2.0
#include "pack/segment.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 64 << 20, CHUNK = 1 << 18 };

struct copying {
    int to;
    uint64_t done, total;
    bool by_hand; // the kernel cannot copy between these two files
    char *chunk;
};

static ssize_t copy_by_hand(struct copying *c, int from, off_t *at, size_t size)
{
    if (!c->chunk)
        c->chunk = xmalloc(CHUNK);
    ssize_t n = pread(from, c->chunk, size < CHUNK ? size : CHUNK, *at);
    if (n <= 0)
        return n;
    *at += n;
    for (ssize_t out = 0, w; out < n; out += w)
        if ((w = write(c->to, c->chunk + out, (size_t)(n - out))) < 0) {
            if (errno != EINTR)
                return -1;
            w = 0;
        }
    return n;
}

static ssize_t copy_some(struct copying *c, int from, off_t *at, size_t size)
{
    if (!c->by_hand) {
        ssize_t n = copy_file_range(from, at, c->to, NULL, size, 0);
        if (n > 0 ||
            (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EINTR)))
            return n;
        c->by_hand = true; // between file systems, onto a pipe, in an old kernel
    }
    return copy_by_hand(c, from, at, size);
}

static int copy_span(struct copying *c, int from, struct span s, struct error **err)
{
    off_t at = (off_t)s.offset;
    while (s.length) {
        ssize_t n = copy_some(c, from, &at, s.length < PIECE ? (size_t)s.length : PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "copying");
        if (n == 0)
            return error_user(err, "copying: the file became shorter meanwhile");
        s.length -= (uint64_t)n;
        c->done += (uint64_t)n;
        progress("splicing", c->done, c->total, "bytes");
    }
    return 0;
}

int splice_write(const struct segment_format *format, const struct segment *segments, size_t n,
                 int fd, struct error **err)
{
    cleanup_buf struct buf around = {0};
    struct copying c = {.to = fd};
    for (size_t i = 0; i < n; i++)
        c.total += segments[i].data.length;
    int result = format->head(&around, err);
    if (!result)
        result = fd_write_all(fd, "the archive", around.data, around.len, err);
    for (size_t i = 0; i < n && !result; i++)
        result = copy_span(&c, segments[i].fd, segments[i].data, err);
    if (!result)
        result = copy_span(&c, segments[n - 1].fd, segments[n - 1].end, err);
    around.len = 0;
    if (!result)
        result = format->tail(segments, n, &around, err);
    if (!result)
        result = fd_write_all(fd, "the archive", around.data, around.len, err);
    free(c.chunk);
    return result;
}
