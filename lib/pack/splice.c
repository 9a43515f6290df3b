// SPDX-License-Identifier: Apache-2.0
// Copies compressed segments of several files one after another in a thread, and writes the end of
// the joined file.
#include "pack/internal.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 64 << 20, CHUNK = 1 << 18 };

struct splice_copy {
    int to;
    const atomic_bool *cancelled;
    uint64_t done, total;
    bool by_hand; // the kernel cannot copy between these two files
    char *chunk;
};

static ssize_t copy_by_hand(struct splice_copy *c, int from, off_t *at, size_t size)
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

static ssize_t copy_some(struct splice_copy *c, int from, off_t *at, size_t size)
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

static int copy_span(struct splice_copy *c, int from, struct span s, struct error **err)
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
        if (*c->cancelled)
            return error_user(err, "copying: cancelled");
        s.length -= (uint64_t)n;
        c->done += (uint64_t)n;
        progress("splicing", c->done, c->total, "bytes");
    }
    return 0;
}

// Not workers_run() (base/process.h): one file is written in order. Nor a ring, which starts its
// thread at the second buffer: the first component may be the largest.
struct splice {
    const struct segment_format *format;
    const struct segment *segments;
    struct splice_copy copying;
    pthread_t thread;
    bool threaded;
    pthread_mutex_t lock;
    pthread_cond_t more;
    size_t ready;  // under the lock
    bool complete; // under the lock: no more segments will come
    atomic_bool cancelled;
    struct error *problem;
};

// Waits for the segment with this number; false if there is none.
static bool wait_for(struct splice *s, size_t number)
{
    pthread_mutex_lock(&s->lock);
    while (s->ready <= number && !s->complete)
        pthread_cond_wait(&s->more, &s->lock);
    bool there = s->ready > number;
    pthread_mutex_unlock(&s->lock);
    return there && !s->cancelled;
}

static void *copy_all(void *context)
{
    struct splice *s = context;
    cleanup_buf struct buf head = {0};
    int result = s->format->head(&head, &s->problem);
    if (!result)
        result = fd_write_all(s->copying.to, "the archive", head.data, head.len, &s->problem);
    for (size_t i = 0; !result && wait_for(s, i); i++)
        result = copy_span(&s->copying, s->segments[i].fd, s->segments[i].data, &s->problem);
    return NULL;
}

struct splice *splice_begin(const struct segment_format *format, const struct segment *segments,
                            uint64_t total, int fd)
{
    struct splice *s = xcalloc(1, sizeof *s);
    *s = (struct splice){.format = format, .segments = segments};
    s->copying = (struct splice_copy){.to = fd, .total = total, .cancelled = &s->cancelled};
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->more, NULL);
    s->threaded = thread_start(&s->thread, copy_all, s) == 0;
    return s; // without a thread everything is copied at the end
}

void splice_ready(struct splice *s, size_t ready)
{
    pthread_mutex_lock(&s->lock);
    s->ready = ready;
    pthread_cond_signal(&s->more);
    pthread_mutex_unlock(&s->lock);
}

static void finish_copying(struct splice *s)
{
    pthread_mutex_lock(&s->lock);
    s->complete = true;
    pthread_cond_signal(&s->more);
    pthread_mutex_unlock(&s->lock);
    if (s->threaded)
        pthread_join(s->thread, NULL);
    else
        copy_all(s);
}

static void free_splice(struct splice *s)
{
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->more);
    error_free(s->problem);
    free(s->copying.chunk);
    free(s);
}

static int write_tail(struct splice *s, struct error **err)
{
    cleanup_buf struct buf tail = {0};
    const struct segment *last = &s->segments[s->ready - 1];
    if (copy_span(&s->copying, last->fd, last->end, err) < 0 ||
        s->format->tail(s->segments, s->ready, &tail, err) < 0)
        return -1;
    return fd_write_all(s->copying.to, "the archive", tail.data, tail.len, err);
}

int splice_end(struct splice *s, struct error **err)
{
    finish_copying(s);
    int result = s->problem ? -1 : write_tail(s, err);
    if (s->problem && err)
        *err = steal(s->problem);
    free_splice(s);
    return result;
}

void splice_cancel(struct splice *s)
{
    if (!s)
        return;
    s->cancelled = true;
    finish_copying(s);
    free_splice(s);
}
