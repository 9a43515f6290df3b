// SPDX-License-Identifier: Apache-2.0
// Blobs up (OCI Distribution 1.1, "Pushing blobs"): asked for first, mounted if another repository
// has it, sent in one piece if small, else in chunks that a broken upload is resumed from.
#include "cache/registry_room.h"

#include <inttypes.h>
#include <string.h>

#define FINISH_RATE (4u << 20) // bytes in a second: a registry reads all of it again at the end
#define RESTARTS_MAX 4

static char *blob_url(const struct registry *r, const char *digest)
{
    return xasprintf("%s%s/blobs/sha256:%s", r->base, r->repository, digest);
}

static int has_blob(struct registry *r, const char *digest, enum registry_access access,
                    struct error **err)
{
    cleanup_free char *url = blob_url(r, digest);
    cleanup_response struct response s = {0};
    const struct request q = {.method = "HEAD", .url = url, .access = access};
    if (http_request(r, &q, &s, err) < 0)
        return -1;
    return s.status == 200 ? 1 : s.status == 404 ? 0 : http_refused(r, &s, err);
}

int registry_has_blob(struct registry *r, const char *digest, struct error **err)
{
    int has = has_blob(r, digest, ACCESS_PULL, err);
    if (has < 0)
        error_wrap(err, "asking %s/%s for sha256:%s", r->name, r->repository, digest);
    return has;
}

// ---- one upload ----
struct upload {
    const struct registry_blob *blob;
    char *url;      // where the next request goes: the last Location
    uint64_t sent;  // what the registry has of it
    uint64_t chunk; // at most so much in a request
    bool done;
};

// Where the upload goes on. An answer without one leaves it where it was.
static int take_location(struct upload *u, const struct response *s, struct error **err)
{
    cleanup_url struct url before = {0}, next = {0};
    if (!s->location)
        return u->url ? 0 : error_user(err, "the registry did not say where to upload to");
    if (url_parse(NULL, s->url, &before, err) < 0 || url_parse(s->url, s->location, &next, err) < 0)
        return error_wrap(err, "finding where to upload to");
    if (before.secure && !next.secure)
        return error_user(err, "the registry wants the upload to go on without TLS");
    free(u->url);
    u->url = steal(next.text);
    return 0;
}

// POST, which may also mount it.
static int begin_upload(struct registry *r, struct upload *u, struct error **err)
{
    const struct registry_blob *b = u->blob;
    cleanup_response struct response s = {0};
    cleanup_free char *mount =
        b->mount_from ? xasprintf("?mount=sha256:%s&from=%s", b->digest, b->mount_from) : NULL;
    cleanup_free char *url =
        xasprintf("%s%s/blobs/uploads/%s", r->base, r->repository, mount ? mount : "");
    const struct request q = {
        .method = "POST", .url = url, .access = ACCESS_PUSH, .mount_from = b->mount_from};
    free(steal(u->url));
    u->sent = 0;
    u->chunk = r->chunk;
    if (http_request(r, &q, &s, err) < 0)
        return -1;
    if (s.status == 201 && mount) {
        u->done = true;
        return 0;
    }
    if (s.status != 202)
        return http_refused(r, &s, err);
    uint64_t least = s.min_chunk ? strtoull(s.min_chunk, NULL, 10) : 0;
    if (least > u->chunk && least < (uint64_t)1 << 40)
        u->chunk = least;
    return take_location(u, &s, err);
}

static bool is_good(long status)
{
    return status >= 200 && status < 300;
}

// "0-<last>": how much the registry has. Many say "0-0" for nothing, so that one byte is nothing.
static uint64_t range_end(const char *range)
{
    range += starts_with(range, "bytes=") ? 6 : 0;
    const char *dash = strchr(range, '-');
    uint64_t last = dash ? strtoull(dash + 1, NULL, 10) : 0;
    return last && last < (uint64_t)1 << 62 ? last + 1 : 0;
}

// PATCH of the next chunk, or the PUT that ends the upload, with all bytes if they are few.
static int send_part(struct registry *r, struct upload *u, struct response *s, struct error **err)
{
    const struct registry_blob *b = u->blob;
    if (!u->url)
        return error_user(err, "the registry named no place to upload to");
    uint64_t left = b->size - u->sent, length = left < u->chunk ? left : u->chunk;
    bool ends = length == left && (u->sent == 0 || left == 0);
    char range[48];
    snprintf(range, sizeof range, "%" PRIu64 "-%" PRIu64, u->sent, u->sent + length - 1);
    cleanup_free char *last =
        xasprintf("%s%cdigest=sha256:%s", u->url, strchr(u->url, '?') ? '&' : '?', b->digest);
    const struct request q = {
        .method = ends ? "PUT" : "PATCH",
        .url = ends ? last : u->url,
        .access = ACCESS_PUSH,
        .mount_from = b->mount_from,
        .content_type = "application/octet-stream",
        .content_range = length && !ends ? range : NULL,
        .patience = ends ? (unsigned)(b->size / FINISH_RATE) : 0,
        .fd = b->fd,
        .offset = u->sent,
        .length = length,
    };
    int result = http_exchange(r, &q, s, err);
    if (result < 0 || !is_good(s->status))
        return result;
    if (ends) {
        u->done = true;
        return 0;
    }
    uint64_t got = s->range ? range_end(s->range) : u->sent + length;
    if (got > b->size || got < u->sent)
        return error_user(err, "the registry says that it has %" PRIu64 " bytes of it", got);
    u->sent = got;
    return take_location(u, s, err);
}

// After a failure: how far did it get? 1: known; 0: the upload is gone; -1: cannot be told.
static int ask_status(struct registry *r, struct upload *u, struct error **err)
{
    cleanup_response struct response s = {0};
    const struct request q = {
        .method = "GET", .url = u->url, .access = ACCESS_PUSH, .mount_from = u->blob->mount_from};
    if (http_request(r, &q, &s, err) < 0)
        return -1;
    uint64_t got = s.range ? range_end(s.range) : 0;
    if (!is_good(s.status) || !s.range || got > u->blob->size || take_location(u, &s, NULL) < 0)
        return 0;
    u->sent = got;
    return 1;
}

// Whether a part that failed may be sent again, and from where. As ask_status(), and 0 for "not".
static int recover(struct registry *r, struct upload *u, struct retry *retry,
                   const struct response *s, bool *gone, struct error **err)
{
    // 400, 404, 416: it is not there any more, or is elsewhere than we think.
    bool lost = s->status == 400 || s->status == 404 || s->status == 416;
    struct response judged = {
        .may_pass = s->may_pass || lost, .no_answer = s->no_answer, .retry_after = s->retry_after};
    if (!retry_wait(r, retry, &judged))
        return 0;
    int has = has_blob(r, u->blob->digest, ACCESS_PUSH, err); // the last answer may have got lost
    if (has < 0)
        return -1;
    u->done = has;
    int known = has ? 1 : ask_status(r, u, err);
    *gone = known == 0;
    return known < 0 ? -1 : 1;
}

static int send_all(struct registry *r, struct upload *u, struct error **err)
{
    struct retry retry = retry_begin(r);
    int restarts = 0;
    if (begin_upload(r, u, err) < 0)
        return -1;
    while (!u->done) {
        cleanup_error struct error *why = NULL;
        cleanup_response struct response s = {0};
        uint64_t before = u->sent;
        bool gone = false;
        int result = send_part(r, u, &s, &why);
        if (result == 0 && is_good(s.status)) {
            if (u->sent > before)
                retry = retry_begin(r);
            continue;
        }
        int again = recover(r, u, &retry, &s, &gone, err);
        if (again < 0)
            return -1;
        if (again == 0 && result == 0)
            return http_refused(r, &s, err);
        if (again == 0) {
            *err = steal(why);
            return -1;
        }
        if (gone && ++restarts > RESTARTS_MAX)
            return result == 0 ? http_refused(r, &s, err)
                               : error_user(err, "%s, time and again", why->message);
        if (gone && begin_upload(r, u, err) < 0)
            return -1;
    }
    return 0;
}

static int push_one(struct registry *r, void *item, struct error **err)
{
    struct registry_blob *b = item;
    struct upload u = {.blob = b};
    int has = has_blob(r, b->digest, ACCESS_PUSH, err);
    b->skipped = has == 1;
    int result = has ? has : send_all(r, &u, err);
    free(u.url);
    if (result < 0)
        return error_wrap(err, "pushing sha256:%s to %s/%s", b->digest, r->name, r->repository);
    return 0;
}

int registry_push_blobs(struct registry *r, struct registry_blob *blobs, size_t count,
                        struct error **err)
{
    return transfer_all(r, blobs, count, sizeof *blobs, push_one, err);
}
