// SPDX-License-Identifier: Apache-2.0
// Uploads blobs (OCI Distribution 1.1, "Pushing blobs"): checks for each first, mounts it if
// another repository has it, else sends it in one request, which every registry accepts. Bytes
// answered with success count as sent; the upload's state is read only after a failure. If the one
// request is refused or breaks, chunks are tried, then smaller chunks.
#include "registry/internal.h"

#include <inttypes.h>
#include <string.h>

#define FINISH_RATE (4u << 20) // bytes in a second: a registry reads the blob again at the end
#define RESTARTS_MAX 6

// The maximum size of one request, for each way in turn. ghcr.io takes 4 MiB in a chunk.
static const uint64_t way_sizes[] = {UINT64_MAX, (uint64_t)64 << 20, (uint64_t)4 << 20};
#define WAYS ARRAY_LEN(way_sizes)

static char *blob_url(const struct registry *r, const char *digest)
{
    return xasprintf("%s%s/blobs/sha256:%s", r->base, r->repository, digest);
}

// Whether a 200 is about this blob: some front ends answer anything with 200. A registry names the
// digest, and an object store that it redirects to at least the length.
static bool answer_is_about(const struct registry_response *s, const char *digest, uint64_t size)
{
    if (s->digest)
        return starts_with(s->digest, "sha256:") ? !strcmp(s->digest + 7, digest) : true;
    return size && s->length == size;
}

// 1, 0, -1. Before a push a refusal counts as 0: many registries refuse HEAD for a repository that
// the push would make, and some front ends refuse every HEAD. The push itself shows whether it is
// allowed.
static int has_blob(struct registry *r, const char *digest, uint64_t size,
                    enum registry_access access, struct error **err)
{
    cleanup_free char *url = blob_url(r, digest);
    cleanup_registry_response struct registry_response s = {0};
    const struct registry_request q = {.method = "HEAD", .url = url, .access = access};
    if (registry_send(r, &q, &s, err) < 0)
        return -1;
    if (s.status == 200)
        return answer_is_about(&s, digest, size);
    bool refused = s.status == 401 || s.status == 403 || s.status == 405 || s.status == 501;
    if (s.status == 404 || (access == ACCESS_PUSH && refused))
        return 0;
    return access == ACCESS_PULL && response_is_denied(&s) ? auth_denied(r, &s, err)
                                                           : registry_refused(r, &s, err);
}

int registry_has_blob(struct registry *r, const char *digest, struct error **err)
{
    int has = has_blob(r, digest, 0, ACCESS_PULL, err);
    if (has < 0)
        error_wrap(err, "asking %s/%s for sha256:%s", r->name, r->repository, digest);
    return has;
}

// ---- one upload ----
struct upload {
    const struct registry_blob *blob;
    struct upload_place place;
    uint64_t sent;  // bytes answered with success
    uint64_t least; // OCI-Chunk-Min-Length, or 0
    size_t way;     // of way_sizes
    bool mounted, done;
};

int upload_place_update(struct upload_place *p, const char *origin,
                        const struct registry_response *s, struct error **err)
{
    cleanup_http_url struct http_url before = {0}, next = {0};
    if (!s->location)
        return p->url ? 0 : error_user(err, "the registry did not say where to upload to");
    if (http_url_parse(NULL, s->url, &before, err) < 0 ||
        http_url_parse(s->url, s->location, &next, err) < 0)
        return error_wrap(err, "finding where to upload to");
    if (before.secure && !next.secure)
        return error_user(err, "the registry wants the upload to continue without TLS");
    if (!p->limited || s->from < p->limit)
        p->limit = s->from;
    p->limited = strcmp(next.origin, origin) != 0;
    if (p->limited && next.scope > p->limit)
        return error_user(
            err,
            "the registry has a public address, but directs the upload to the private "
            "address %s",
            next.host);
    free(p->url);
    p->url = steal(next.text);
    return 0;
}

static bool is_success(long status)
{
    return status >= 200 && status < 300;
}

// The POST, retried while the answer is not from a registry (quay.io's front end sometimes sends
// 200 "Healthcheck requested").
static int post_upload(struct registry *r, const struct registry_request *q,
                       struct registry_response *s, struct error **err)
{
    struct retry retry = retry_begin(r);
    do {
        registry_response_free(s);
        if (registry_send(r, q, s, err) < 0)
            return -1;
        bool begun = s->status == 202 && s->location;
        s->outcome.transient =
            is_success(s->status) && !begun && !(s->status == 201 && q->mount_from);
    } while (retry_wait(r, &retry, s));
    if (!s->outcome.transient)
        return 0;
    return error_user(err, "the answer to POST (status %ld%s) is not that of a registry", s->status,
                      s->location ? "" : ", without a Location");
}

// POST, which may also mount it.
static int begin_upload(struct registry *r, struct upload *u, struct error **err)
{
    const struct registry_blob *b = u->blob;
    cleanup_registry_response struct registry_response s = {0};
    cleanup_free char *mount =
        b->mount_from ? xasprintf("?mount=sha256:%s&from=%s", b->digest, b->mount_from) : NULL;
    cleanup_free char *url =
        xasprintf("%s%s/blobs/uploads/%s", r->base, r->repository, mount ? mount : "");
    const struct registry_request q = {
        .method = "POST", .url = url, .access = ACCESS_PUSH, .mount_from = b->mount_from};
    free(u->place.url);
    u->place = (struct upload_place){0};
    __atomic_fetch_sub(&r->moved, u->sent, __ATOMIC_RELAXED);
    u->sent = 0;
    if (post_upload(r, &q, &s, err) < 0)
        return -1;
    if (s.status == 201 && mount) {
        u->mounted = u->done = true;
        return 0;
    }
    if (s.status != 202)
        return registry_refused(r, &s, err);
    uint64_t least = s.min_chunk ? strtoull(s.min_chunk, NULL, 10) : 0;
    u->least = least < (uint64_t)1 << 40 ? least : 0;
    return upload_place_update(&u->place, r->origin, &s, err);
}

// "0-<last>": how much the registry has. Many send "0-0" for nothing, so one byte counts as
// nothing.
static uint64_t range_end(const char *range)
{
    range += starts_with(range, "bytes=") ? 6 : 0;
    const char *dash = strchr(range, '-');
    uint64_t last = dash ? strtoull(dash + 1, NULL, 10) : 0;
    return last && last < (uint64_t)1 << 62 ? last + 1 : 0;
}

// How many bytes the next request has.
static uint64_t part_length(const struct registry *r, const struct upload *u)
{
    uint64_t left = u->blob->size - u->sent, most = way_sizes[u->way];
    if (u->way && r->chunk < most)
        most = r->chunk;
    most = most < u->least ? u->least : most;
    return left < most ? left : most;
}

// PATCH of the next chunk, or the PUT that ends the upload, with the whole rest in the one-request
// way. *length: the bytes of this request.
static int send_upload_part(struct registry *r, struct upload *u, struct registry_response *s,
                            uint64_t *length, struct error **err)
{
    const struct registry_blob *b = u->blob;
    if (!u->place.url)
        return error_user(err, "the registry named no place to upload to");
    uint64_t left = b->size - u->sent;
    *length = part_length(r, u);
    // Chunks end in a PUT without a body, which most registries are tested with.
    bool ends = *length == left && ((u->way == 0 && u->sent == 0) || left == 0);
    char range[48];
    snprintf(range, sizeof range, "%" PRIu64 "-%" PRIu64, u->sent, u->sent + *length - 1);
    cleanup_free char *last = xasprintf("%s%cdigest=sha256:%s", u->place.url,
                                        strchr(u->place.url, '?') ? '&' : '?', b->digest);
    const struct registry_request q = {
        .method = ends ? "PUT" : "PATCH",
        .url = ends ? last : u->place.url,
        .limited = u->place.limited,
        .limit = u->place.limit,
        .access = ACCESS_PUSH,
        .mount_from = b->mount_from,
        .content_type = "application/octet-stream",
        .content_range = *length && !ends ? range : NULL,
        .extra_idle_seconds = ends ? (unsigned)(b->size / FINISH_RATE) : 0,
        .fd = b->fd,
        .offset = u->sent,
        .length = *length,
        .counted = true,
    };
    int result = registry_exchange(r, &q, s, err);
    if (result < 0 || !is_success(s->status))
        return result;
    // A success status outside the protocol: 201 ends an upload, 202 accepts a chunk.
    if (!s->location && !s->range && !s->digest && s->status != (ends ? 201 : 202)) {
        s->outcome.transient = true;
        return error_user(err, "the answer to %s (status %ld) is not that of a registry", q.method,
                          s->status);
    }
    if (ends) {
        u->done = true;
        return 0;
    }
    u->sent += *length; // not by Range: zot's is that of the chunk
    return upload_place_update(&u->place, r->origin, s, err);
}

// After a failure, reads how much the registry has: at least the bytes answered with success, at
// most the bytes sent. 1: known; 0: the upload is gone; -1: unknown.
static int read_upload_status(struct registry *r, struct upload *u, uint64_t tried,
                              struct error **err)
{
    cleanup_registry_response struct registry_response s = {0};
    const struct registry_request q = {.method = "GET",
                                       .url = u->place.url,
                                       .limited = u->place.limited,
                                       .limit = u->place.limit,
                                       .access = ACCESS_PUSH,
                                       .mount_from = u->blob->mount_from};
    if (!u->place.url)
        return 0;
    if (registry_send(r, &q, &s, err) < 0)
        return -1;
    uint64_t got = s.range ? range_end(s.range) : 0;
    if (!is_success(s.status) || !s.range || got < u->sent || got > u->sent + tried ||
        upload_place_update(&u->place, r->origin, &s, NULL) < 0)
        return 0;
    u->sent = got;
    return 1;
}

// Whether the status refuses the size or the way of the request.
static bool is_refusal(long status, size_t way)
{
    static const long ways[] = {400, 405, 411, 415, 501};
    for (size_t i = 0; i < ARRAY_LEN(ways) && way == 0; i++)
        if (ways[i] == status)
            return true;
    return status == 413 || status == 416;
}

// Whether a part that failed may be sent again, and from where. As read_upload_status(); 0: not.
static int recover_upload(struct registry *r, struct upload *u, struct retry *retry, uint64_t tried,
                          const struct registry_response *s, bool *gone, struct error **err)
{
    // The upload is gone, or has another size than expected.
    bool lost = s->status == 400 || s->status == 404 || s->status == 416;
    bool refused = is_refusal(s->status, u->way);
    bool broken = (!s->status && !s->outcome.no_answer) || s->status == 502 || s->status == 504;
    bool smaller = u->way + 1 < WAYS && (refused || broken);
    struct registry_response judged = {.outcome = s->outcome};
    judged.outcome.transient |= lost || (refused && smaller);
    if (refused && smaller)
        *retry = retry_begin(r); // the next way has its own tries
    else if (!retry_wait(r, retry, &judged))
        return 0;
    int has = has_blob(r, u->blob->digest, u->blob->size, ACCESS_PUSH, err);
    if (has < 0) // the last answer may be lost
        return -1;
    u->done = has;
    // After a refusal of the size the upload begins again: registries differ in its state.
    int known = has ? 1 : refused ? 0 : read_upload_status(r, u, tried, err);
    u->way += smaller && !has;
    *gone = known == 0;
    return known < 0 ? -1 : 1;
}

static int send_blob(struct registry *r, struct upload *u, struct error **err)
{
    struct retry retry = retry_begin(r);
    int restarts = 0;
    if (begin_upload(r, u, err) < 0)
        return -1;
    while (!u->done) {
        cleanup_error struct error *why = NULL;
        cleanup_registry_response struct registry_response s = {0};
        uint64_t before = u->sent, tried = 0;
        bool gone = false;
        int result = send_upload_part(r, u, &s, &tried, &why);
        if (result == 0 && is_success(s.status)) {
            if (u->sent > before)
                retry = retry_begin(r);
            continue;
        }
        int again = recover_upload(r, u, &retry, tried, &s, &gone, err);
        if (again < 0)
            return -1;
        if (again == 0 && result == 0)
            return registry_refused(r, &s, err);
        if (again == 0) {
            *err = steal(why);
            return -1;
        }
        if (gone && ++restarts > RESTARTS_MAX)
            return result == 0 ? registry_refused(r, &s, err)
                               : error_user(err, "%s, in each of %d uploads", why->message,
                                            RESTARTS_MAX + 1);
        if (gone && begin_upload(r, u, err) < 0)
            return -1;
    }
    return 0;
}

static int push_blob(struct registry *r, void *item, struct error **err)
{
    struct registry_blob *b = item;
    struct upload u = {.blob = b};
    int has = has_blob(r, b->digest, b->size, ACCESS_PUSH, err);
    b->skipped = has == 1;
    int result = has ? has : send_blob(r, &u, err);
    free(u.place.url);
    if (b->skipped || u.mounted)
        __atomic_fetch_add(&r->moved, b->size, __ATOMIC_RELAXED);
    if (result < 0)
        return error_wrap(err, "pushing sha256:%s to %s/%s", b->digest, r->name, r->repository);
    return 0;
}

int registry_push_blobs(struct registry *r, struct registry_blob *blobs, size_t count,
                        struct error **err)
{
    r->moved = r->total = 0;
    for (size_t i = 0; i < count; i++)
        r->total += blobs[i].size;
    int result = transfer_all(r, blobs, count, sizeof *blobs, push_blob, err);
    transfer_progress(r);
    return result;
}
