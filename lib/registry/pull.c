// SPDX-License-Identifier: Apache-2.0
// Downloads blobs, hashes them as they arrive, and resumes broken transfers; runs transfers in
// parallel.
#include "registry/internal.h"

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

// ---- SHA-256 beside the transfer ----
// SHA-256 in a thread of its own beside the one that receives. With one processor, or without a
// thread, it is no slower than hashing in place.

#define HASH_APART ((uint64_t)4 << 20) // below this a thread costs more than it saves
#define SLOT_SIZE ((size_t)256 << 10)
#define SLOTS 4

struct blob_hasher {
    struct digest_stream *digest;
    struct ring *ring; // NULL: hashed in place
    char *slot;        // the one being filled, NULL if none is
    size_t filled;
};

static bool hash_slot(void *digest, const void *bytes, size_t length)
{
    digest_add(digest, bytes, length);
    return true;
}

static struct blob_hasher *hasher_begin(uint64_t size)
{
    struct blob_hasher *h = xcalloc(1, sizeof *h);
    h->digest = digest_begin();
    if (size >= HASH_APART)
        h->ring = ring_begin(SLOTS, SLOT_SIZE, hash_slot, h->digest);
    return h;
}

static void hasher_add(struct blob_hasher *h, const void *bytes, size_t length)
{
    if (!h->ring) {
        digest_add(h->digest, bytes, length);
        return;
    }
    for (const char *p = bytes; length;) {
        if (!h->slot)
            h->slot = ring_slot(h->ring);
        size_t n = SLOT_SIZE - h->filled < length ? SLOT_SIZE - h->filled : length;
        memcpy(h->slot + h->filled, p, n);
        h->filled += n;
        p += n;
        length -= n;
        if (h->filled == SLOT_SIZE) {
            ring_give(h->ring, h->filled);
            h->slot = NULL;
            h->filled = 0;
        }
    }
}

static void hasher_end(struct blob_hasher *h, char hex[static DIGEST_HEX_SIZE])
{
    if (h->filled)
        ring_give(h->ring, h->filled);
    ring_end(h->ring);
    digest_end(h->digest, hex);
    free(h);
}

// ---- several transfers at a time ----
// One thread each, since they mostly wait for the network.

struct transfers {
    struct registry *r;
    char *items;
    size_t count, size;
    transfer_one *one;
    pthread_mutex_t lock; // for what follows
    size_t next;
    struct error *first; // failure
};

static void *next_transfer(struct transfers *c)
{
    pthread_mutex_lock(&c->lock);
    void *item = c->next < c->count && !c->first ? c->items + c->size * c->next++ : NULL;
    pthread_mutex_unlock(&c->lock);
    return item;
}

static void *run_transfers(void *context)
{
    struct transfers *c = context;
    for (void *item; (item = next_transfer(c));) {
        struct error *err = NULL;
        if (c->one(c->r, item, &err) == 0)
            continue;
        pthread_mutex_lock(&c->lock);
        if (!c->first)
            c->first = steal(err);
        __atomic_store_n(&c->r->stop, true, __ATOMIC_RELAXED);
        pthread_mutex_unlock(&c->lock);
        error_free(err);
    }
    return NULL;
}

int transfer_all(struct registry *r, void *items, size_t count, size_t size, transfer_one *one,
                 struct error **err)
{
    struct transfers c = {.r = r, .items = items, .count = count, .size = size, .one = one};
    pthread_mutex_init(&c.lock, NULL);
    workers_run(count < r->parallel ? count : r->parallel, run_transfers, &c);
    pthread_mutex_destroy(&c.lock);
    r->stop = false;
    if (!c.first)
        return 0;
    if (err)
        *err = c.first;
    else
        error_free(c.first);
    return -1;
}

// ---- one blob ----
struct blob_pull {
    struct registry *r;
    struct registry_blob *blob;
    struct blob_hasher *hash;
    uint64_t have;   // bytes in the file and in the hash
    bool begun;      // the body of this answer
    unsigned pieces; // answers that brought bytes
    bool second;     // the pieces did not match: downloaded once more in one
};

static int restart_pull(struct blob_pull *p, struct error **err)
{
    char dropped[DIGEST_HEX_SIZE];
    if (p->hash)
        hasher_end(p->hash, dropped);
    p->hash = hasher_begin(p->blob->size);
    p->have = 0;
    p->pieces = 0;
    if (ftruncate(p->blob->fd, 0) < 0)
        return error_errno(err, errno, "emptying the file for a blob");
    return 0;
}

// At the first bytes of a body: checks that they continue the file.
static int begin_pull_body(struct blob_pull *p, const struct registry_response *s,
                           struct error **err)
{
    p->begun = true;
    char expected[32];
    snprintf(expected, sizeof expected, "bytes %" PRIu64 "-", p->have);
    bool continues =
        s->status == 206 && s->content_range && starts_with(s->content_range, expected);
    if (s->status == 206 && !continues)
        return error_user(err, "the registry sent another range than was asked for");
    if (s->status == 200 && p->have && restart_pull(p, err) < 0)
        return -1;
    p->pieces++;
    return 0;
}

static int on_pull_bytes(void *context, const struct registry_response *s, const char *bytes,
                         size_t n, struct error **err)
{
    struct blob_pull *p = context;
    if (!p->begun && begin_pull_body(p, s, err) < 0)
        return -1;
    if (n > p->blob->size - p->have) {
        registry_set_wrong(p->r);
        return error_user(err, "it has more than the %" PRIu64 " bytes that it should have",
                          p->blob->size);
    }
    if (fd_write_at(p->blob->fd, "a blob", bytes, n, p->have, err) < 0)
        return -1;
    hasher_add(p->hash, bytes, n);
    p->have += n;
    return 0;
}

static int send_pull(struct registry *r, struct blob_pull *p, const char *url,
                     struct registry_response *s, struct error **err)
{
    char range[32];
    snprintf(range, sizeof range, "bytes=%" PRIu64 "-", p->have);
    const struct registry_request q = {.method = "GET",
                                       .url = url,
                                       .range = p->have ? range : NULL,
                                       .expected = p->blob->size,
                                       .sink = on_pull_bytes,
                                       .context = p};
    p->begun = false;
    int result = registry_exchange(r, &q, s, err);
    // A body that ended early without an error (no Content-Length) is resumed as well.
    if (result == 0 && (s->status == 200 || s->status == 206) && p->have < p->blob->size) {
        s->outcome.transient = true;
        if (s->status == 200 && s->length == p->have) // a complete body
            registry_set_wrong(r);
        return error_user(err, "only %" PRIu64 " of %" PRIu64 " bytes came", p->have,
                          p->blob->size);
    }
    return result;
}

// Gets all bytes, unchecked. 0 also if the registry has none (blob->missing).
static int pull_bytes(struct registry *r, struct blob_pull *p, const char *url, struct error **err)
{
    struct retry retry = retry_begin(r);
    while (p->have < p->blob->size || !p->pieces) {
        cleanup_error struct error *why = NULL;
        cleanup_registry_response struct registry_response s = {0};
        uint64_t before = p->have;
        int result = send_pull(r, p, url, &s, &why);
        if (result == 0 && (s.status == 200 || s.status == 206))
            return 0;
        if (result == 0 && s.status == 404) {
            p->blob->missing = true;
            return 0;
        }
        // The range is refused: start again from 0.
        if (result == 0 && s.status == 416 && p->have) {
            if (restart_pull(p, err) < 0)
                return -1;
            s.outcome.transient = true;
        }
        if (p->have > before + (1 << 20))
            retry = retry_begin(r); // there is progress
        if (retry_wait(r, &retry, &s))
            continue;
        if (result == 0)
            return registry_refused(r, &s, err);
        if (err)
            *err = steal(why);
        return -1;
    }
    return 0;
}

// 1: valid; 0: invalid, but one more download in one piece may help; -1: invalid.
static int check_pulled(struct blob_pull *p, struct error **err)
{
    char found[DIGEST_HEX_SIZE];
    hasher_end(p->hash, found);
    p->hash = NULL;
    if (!strcmp(found, p->blob->digest))
        return 1;
    if (p->pieces > 1 && !p->second)
        return 0;
    registry_set_wrong(p->r);
    return error_user(err, "its digest is sha256:%s and not sha256:%s", found, p->blob->digest);
}

static int pull_checked(struct registry *r, struct blob_pull *p, struct error **err)
{
    cleanup_free char *url =
        xasprintf("%s%s/blobs/sha256:%s", r->base, r->repository, p->blob->digest);
    for (;;) {
        if (restart_pull(p, err) < 0 || pull_bytes(r, p, url, err) < 0)
            return -1;
        if (p->blob->missing)
            return 0;
        int valid = check_pulled(p, err);
        if (valid)
            return valid < 0 ? -1 : 0;
        p->second = true;
    }
}

static int pull_blob_from(struct registry *r, struct registry_blob *blob, struct error **err)
{
    struct blob_pull p = {.r = r, .blob = blob};
    p.blob->missing = false;
    int result = pull_checked(r, &p, err);
    char dropped[DIGEST_HEX_SIZE];
    if (p.hash)
        hasher_end(p.hash, dropped);
    if (result == 0 && !p.blob->missing)
        return 0;
    // Unverified bytes must not stay in the file.
    if (ftruncate(p.blob->fd, 0) < 0 && result == 0)
        result = error_errno(err, errno, "emptying the file for a blob");
    if (result < 0)
        error_wrap(err, "pulling sha256:%s from %s/%s", p.blob->digest, r->name, r->repository);
    return result;
}

static int pull_blob(struct registry *r, void *item, struct error **err)
{
    struct registry_blob *blob = item;
    for (size_t i = 0; i < r->mirror_n; i++) {
        struct registry *m = registry_mirror(r, i, true);
        struct error *why = NULL;
        if (!m)
            continue;
        int result = pull_blob_from(m, blob, &why);
        if (result == 0 && !blob->missing)
            return 0;
        if (why && why->kind == ERROR_INTERRUPT) {
            *err = why;
            return -1;
        }
        error_free(why);
    }
    return pull_blob_from(r, blob, err);
}

int registry_pull_blobs(struct registry *r, struct registry_blob *blobs, size_t count,
                        struct error **err)
{
    return transfer_all(r, blobs, count, sizeof *blobs, pull_blob, err);
}
