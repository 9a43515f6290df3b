// SPDX-License-Identifier: Apache-2.0
// Records that a blob was hashed, so that a build with nothing to do hashes nothing.
//
// verified/ab/cdef... holds "<inode> <size> <mtime seconds> <nanoseconds>\n". It is written without
// a sync: if it is lost or incomplete, the blob is hashed again. ctime is left out because a hard
// link to the blob changes it. The file's own mtime is the last use of the blob.
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

static struct verified describe(const char *digest, const struct stat *st)
{
    struct verified v = {.inode = st->st_ino, .size = st->st_size, .mtime = st->st_mtim};
    memcpy(v.digest, digest, DIGEST_HEX_SIZE);
    return v;
}

static bool same(const struct verified *a, const struct verified *b)
{
    return !strcmp(a->digest, b->digest) && a->inode == b->inode && a->size == b->size &&
           a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

static char *to_text(const struct verified *v)
{
    return xasprintf("%ju %jd %jd %ld\n", (uintmax_t)v->inode, (intmax_t)v->size,
                     (intmax_t)v->mtime.tv_sec, v->mtime.tv_nsec);
}

static void know(struct store *s, const struct verified *v)
{
    for (size_t i = 0; i < s->known_n; i++)
        if (!strcmp(s->known[i].digest, v->digest)) {
            s->known[i] = *v;
            return;
        }
    s->known = xgrow(s->known, &s->known_cap, s->known_n + 1, sizeof *s->known);
    s->known[s->known_n++] = *v;
}

bool verified_matches(struct store *s, const char *digest, const struct stat *st)
{
    struct verified now = describe(digest, st);
    for (size_t i = 0; i < s->known_n; i++)
        if (same(&s->known[i], &now))
            return true;
    cleanup_free char *path = object_path(s, "verified", digest);
    cleanup_close int fd = at_open(s, path, O_RDONLY | O_NONBLOCK, 0);
    char text[128];
    struct stat mine;
    bool ours = fd >= 0 && fstat(fd, &mine) == 0 && S_ISREG(mine.st_mode) && !at_foreign(&mine);
    ssize_t n = ours ? read(fd, text, sizeof text) : -1;
    cleanup_free char *wanted = to_text(&now);
    return n > 0 && (size_t)n == strlen(wanted) && !memcmp(text, wanted, (size_t)n);
}

void verified_record(struct store *s, const char *digest, const struct stat *st)
{
    struct verified v = describe(digest, st);
    // A write in the same clock tick as the hashing would not change the mtime. Only an older mtime
    // proves that the content is unchanged (blob_commit() sets one).
    if (st->st_mtim.tv_sec >= time(NULL) - 1)
        return;
    cleanup_free char *text = to_text(&v);
    if (write_object(s, "verified", digest, text, strlen(text), false, NULL) < 0)
        know(s, &v);
}

void verified_touch(struct store *s, const char *digest)
{
    cleanup_free char *path = object_path(s, "verified", digest);
    at_touch(s, path);
}

struct timespec verified_last_use(struct store *s, const char *digest)
{
    cleanup_free char *path = object_path(s, "verified", digest);
    struct stat st;
    return at_stat(s, path, &st) == 0 ? st.st_mtim : (struct timespec){0};
}

void verified_forget(struct store *s, const char *digest)
{
    cleanup_free char *path = object_path(s, "verified", digest);
    at_unlink(s, path);
    for (size_t i = 0; i < s->known_n; i++)
        if (!strcmp(s->known[i].digest, digest))
            s->known[i] = s->known[--s->known_n];
}
