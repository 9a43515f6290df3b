// SPDX-License-Identifier: Apache-2.0
// Downloads many files in one loop, into the store. A lane downloads one file after the other, each
// from its first address to its last.
#include "source/download.h"
#include "source/list.h"

#include "base/digest.h"
#include "base/error.h"
#include "base/process.h"
#include "source/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { LANES = 16, BUSY_MS = 200, POLL_MS = 500 };
#define WORTH_RESUMING ((uint64_t)1 << 20)

enum lane_state { LANE_IDLE, LANE_RUNNING, LANE_PAUSED };

struct lane {
    enum lane_state state;
    struct download_item *item;
    size_t url;
    struct partial partial;
    struct download download;
    struct download_state file;
    bool open;        // the file
    bool fresh;       // it has no bytes of an earlier call
    long long due_ms; // when paused
};

struct download_run {
    const struct downloads *d;
    struct http_group group;
    struct lane lanes[LANES];
    struct download_item **queue; // not started; those of other processes come back at the end
    size_t first, waiting;        // of `queue`, a ring of d->n
    size_t busy;                  // consecutive ones of other processes
    long long busy_until;
    bool told_busy;
    struct strlist dead; // an address of each server that cannot be reached
    size_t done, failed;
    uint64_t bytes; // of the finished ones
    bool stopped;   // no more are started
};

// ---- the queue ----

static void queue_put(struct download_run *r, struct download_item *p)
{
    r->queue[(r->first + r->waiting++) % r->d->n] = p;
}

static struct download_item *queue_take(struct download_run *r)
{
    struct download_item *p = r->queue[r->first];
    r->first = (r->first + 1) % r->d->n;
    r->waiting--;
    return p;
}

// ---- a lane ----

static void lane_close(struct lane *l)
{
    if (l->open)
        download_close(&l->file);
    l->open = false;
    partial_close(&l->partial);
    l->state = LANE_IDLE;
}

static void lane_finish(struct download_run *r, struct lane *l, const char *digest)
{
    memcpy(l->item->digest, digest, DIGEST_HEX_SIZE);
    error_free(steal(l->item->why)); // of a mirror
    r->done++;
    lane_close(l);
}

static bool server_is_unreachable(const struct download_run *r, const char *url)
{
    for (size_t i = 0; i < r->dead.n; i++)
        if (http_same_server(r->dead.items[i], url))
            return true;
    return false;
}

// Appends the reason for a failed address to earlier ones; takes `why` over.
static void add_failure(struct download_item *p, struct error *why)
{
    struct error *before = p->why;
    p->why = why;
    if (!before)
        return;
    error_wrap(&p->why, "%s; then", before->message);
    if (before->hint && !p->why->hint)
        error_hint(&p->why, "%s", before->hint);
    error_free(before);
}

static int lane_begin_url(struct download_run *r, struct lane *l, struct error **err);

// The lane's address failed. 0: the next one is tried, or that was the last; -1: error.
static int lane_next_url(struct download_run *r, struct lane *l, struct error *why,
                         struct error **err)
{
    const char *url = l->item->urls[l->url];
    bool unreachable = l->open && l->file.unreachable;
    long status = l->open ? l->file.status : 0;
    bool absent = status == 404 || status == 410;
    bool last = l->url + 1 == l->item->url_count;
    if (unreachable && !server_is_unreachable(r, url)) {
        strlist_add(&r->dead, url);
        if (!last)
            log_warning("%s; this run asks the next mirrors instead", why->message);
    }
    l->item->status = status;
    l->item->missing = absent && (l->url == 0 || l->item->missing);
    add_failure(l->item, why);
    lane_close(l);
    if (!last) {
        l->url++;
        return lane_begin_url(r, l, err);
    }
    r->failed++;
    r->stopped |= unreachable || r->failed >= DOWNLOADS_FAILURES_MAX;
    return 0;
}

static int lane_begin_try(struct download_run *r, struct lane *l, struct error **err)
{
    struct http_transfer *t = &l->file.http;
    if (download_prepare(&l->file, err) < 0)
        return -1;
    curl_easy_setopt(t->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(t->curl, CURLOPT_PIPEWAIT, 1L);
    if (http_group_add(&r->group, t, err) < 0)
        return -1;
    l->state = LANE_RUNNING;
    return 0;
}

static int lane_begin_download(struct download_run *r, struct lane *l, struct error **err)
{
    l->download = (struct download){.url = l->item->urls[l->url],
                                    .path = l->partial.data,
                                    .max_bytes = l->item->max_bytes,
                                    .retry = RETRY_DOWNLOAD,
                                    .worth_resuming = WORTH_RESUMING};
    struct error *why = NULL;
    l->open = true;
    if (download_open(&l->file, &l->download, &why) == 0 && lane_begin_try(r, l, &why) == 0)
        return 0;
    return lane_next_url(r, l, why, err); // a setting or a local file that cannot be used
}

// Is another lane downloading it? A list may name one address twice.
static bool other_lane_has(const struct download_run *r, const struct lane *l)
{
    for (size_t i = 0; i < LANES; i++)
        if (&r->lanes[i] != l && r->lanes[i].partial.folder &&
            !strcmp(r->lanes[i].partial.folder, l->partial.folder))
            return true;
    return false;
}

// Another process is downloading the file.
static void lane_postpone(struct download_run *r, struct lane *l)
{
    if (!r->told_busy && !other_lane_has(r, l)) {
        log_note("%s: waiting for another kbuild that downloads some of it", r->d->label);
        r->told_busy = true;
    }
    r->busy++;
    r->busy_until = now_ms() + BUSY_MS;
    queue_put(r, l->item);
    lane_close(l);
}

static int lane_begin_url(struct download_run *r, struct lane *l, struct error **err)
{
    while (l->url + 1 < l->item->url_count && server_is_unreachable(r, l->item->urls[l->url]))
        l->url++;
    l->fresh = false;
    int mine = partial_try(&l->partial, r->d->store, l->item->urls[l->url], err);
    if (mine < 0)
        return -1;
    if (!mine) {
        lane_postpone(r, l);
        return 0;
    }
    // Another process may have downloaded it.
    int has = l->item->sha256 ? store_has_blob(r->d->store, l->item->sha256, err) : 0;
    if (has > 0)
        lane_finish(r, l, l->item->sha256);
    return has ? has < 0 ? -1 : 0 : lane_begin_download(r, l, err);
}

// ---- finished downloads ----

static struct error *wrong_digest_error(const struct lane *l, const char *is)
{
    struct error *why = NULL;
    error_user(&why, "%s has the SHA-256 %s, but %s is expected", l->file.shown, is,
               l->item->sha256);
    error_hint(&why, "the download was discarded: the list and the server differ. If it came "
                     "from a mirror, check that; else compare with what upstream publishes");
    return why;
}

// All files have the same time, whenever they were downloaded: a step may see it.
static int lane_store_file(struct download_run *r, struct lane *l, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    static const struct timespec times[2] = {{.tv_sec = LIST_FILE_TIME},
                                             {.tv_sec = LIST_FILE_TIME}};
    if (utimensat(AT_FDCWD, l->partial.data, times, 0) < 0)
        return error_errno(err, errno, "setting the time of %s", l->partial.data);
    r->bytes += l->file.have;
    if (partial_store(&l->partial, r->d->store, digest, err) < 0)
        return -1;
    lane_finish(r, l, digest);
    return 0;
}

static int lane_take_file(struct download_run *r, struct lane *l, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    if (digest_file(l->partial.data, digest, NULL, err) < 0)
        return -1;
    if (!l->item->sha256 || !strcmp(l->item->sha256, digest))
        return lane_store_file(r, l, err);
    bool resumed = l->file.old_bytes && !l->fresh;
    struct error *why = resumed ? NULL : wrong_digest_error(l, digest);
    partial_remove(&l->partial);
    if (!resumed)
        return lane_next_url(r, l, why, err);
    download_close(&l->file); // perhaps mixed from two versions: once more
    l->fresh = true;
    return lane_begin_download(r, l, err);
}

static int lane_end_try(struct download_run *r, struct lane *l, struct error **err)
{
    unsigned wait_ms = 0;
    struct error *why = NULL;
    l->state = LANE_PAUSED;
    int more = download_judge(&l->file, &wait_ms, &why);
    if (more > 0) {
        l->due_ms = now_ms() + wait_ms;
        return 0;
    }
    if (more == 0)
        return lane_take_file(r, l, err);
    if (why->errnum) { // a full disk
        *err = why;
        return -1;
    }
    return lane_next_url(r, l, why, err);
}

// ---- the loop ----

static void show_progress(const struct download_run *r)
{
    uint64_t bytes = r->bytes;
    for (size_t i = 0; i < LANES; i++)
        if (r->lanes[i].state != LANE_IDLE)
            bytes += r->lanes[i].file.have;
    cleanup_free char *what = xasprintf("%zu/%zu files,", r->done, r->d->n);
    progress(what, bytes, 0, "bytes");
}

static int lane_begin_item(struct download_run *r, struct lane *l, struct error **err)
{
    l->item = queue_take(r);
    l->url = 0;
    size_t busy = r->busy;
    if (lane_begin_url(r, l, err) < 0)
        return -1;
    if (r->busy == busy)
        r->busy = 0;
    return 0;
}

static bool may_begin_item(struct download_run *r)
{
    if (!r->waiting || r->stopped)
        return false;
    if (r->busy < r->waiting)
        return true;
    if (now_ms() < r->busy_until) // other processes have all that is left: retry soon
        return false;
    r->busy = 0;
    return true;
}

// *active gets the number of lanes with work.
static int feed_lanes(struct download_run *r, size_t *active, struct error **err)
{
    *active = 0;
    for (size_t i = 0; i < LANES; i++) {
        struct lane *l = &r->lanes[i];
        struct error *why = NULL;
        while (l->state == LANE_IDLE && may_begin_item(r))
            if (lane_begin_item(r, l, err) < 0)
                return -1;
        if (l->state == LANE_PAUSED && now_ms() >= l->due_ms && lane_begin_try(r, l, &why) < 0 &&
            lane_next_url(r, l, why, err) < 0)
            return -1;
        *active += l->state != LANE_IDLE;
    }
    return 0;
}

static int on_ended(void *context, struct http_transfer *t, struct error **err)
{
    struct download_run *r = context;
    size_t i = 0;
    while (&r->lanes[i].file.http != t)
        i++;
    return lane_end_try(r, &r->lanes[i], err);
}

static int run_lanes(struct download_run *r, struct error **err)
{
    for (;;) {
        size_t active;
        if (feed_lanes(r, &active, err) < 0)
            return -1;
        if (!active && (!r->waiting || r->stopped))
            return 0;
        int ended = http_group_run(&r->group, on_ended, r, err);
        unsigned ms = r->group.running ? POLL_MS : BUSY_MS / 2;
        if (ended < 0 || (!ended && http_group_wait(&r->group, ms, err) < 0))
            return -1;
        show_progress(r);
    }
}

int downloads_run(const struct downloads *d, struct error **err)
{
    struct download_run r = {.d = d};
    http_group_open(&r.group);
    r.queue = xcalloc(d->n + 1, sizeof(struct download_item *));
    for (size_t i = 0; i < d->n; i++)
        queue_put(&r, &d->items[i]);
    for (size_t i = 0; i < LANES; i++) {
        r.lanes[i].partial = PARTIAL_NONE;
        r.lanes[i].file.fd = -1;
    }
    int result = d->n ? run_lanes(&r, err) : 0;
    for (size_t i = 0; i < LANES; i++)
        lane_close(&r.lanes[i]);
    http_group_close(&r.group);
    strlist_free(&r.dead);
    free(r.queue);
    return result < 0 ? error_wrap(err, "%s", d->label) : 0;
}
