// SPDX-License-Identifier: Apache-2.0
// Runs many transfers in one loop over a libcurl multi handle. A lane downloads one parcel after
// the other, each from its first address to its last.
#include "source/list.h"
#include "source/transfer.h"

#include "base/process.h"
#include "base/digest.h"
#include "base/error.h"
#include "source/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { LANES = 16, BUSY_MS = 200, POLL_MS = 500 };
#define WORTH_RESUMING ((uint64_t)1 << 20)

enum lane_state { LANE_IDLE, LANE_RUNNING, LANE_PAUSED };

struct lane {
    enum lane_state state;
    struct parcel *parcel;
    size_t url;
    struct partial partial;
    struct download download;
    struct transfer transfer;
    bool open;        // the transfer
    bool fresh;       // it has no bytes of an earlier call
    long long due_ms; // when paused
};

struct download_run {
    const struct downloads *d;
    CURLM *multi;
    struct lane lanes[LANES];
    struct parcel **queue; // not started; those of other processes come back at the end
    size_t first, waiting; // of `queue`, a ring of d->n
    size_t busy;           // consecutive ones of other processes
    long long busy_until;
    bool told_busy;
    struct strlist dead; // an address of each server that cannot be reached
    size_t done, failed;
    uint64_t bytes; // of the finished ones
    bool stopped;   // no more are started
};

// ---- the queue ----

static void put_back(struct download_run *r, struct parcel *p)
{
    r->queue[(r->first + r->waiting++) % r->d->n] = p;
}

static struct parcel *take_next(struct download_run *r)
{
    struct parcel *p = r->queue[r->first];
    r->first = (r->first + 1) % r->d->n;
    r->waiting--;
    return p;
}

// ---- a lane ----

static void lane_close(struct download_run *r, struct lane *l)
{
    if (l->open) {
        if (l->state == LANE_RUNNING)
            curl_multi_remove_handle(r->multi, l->transfer.curl);
        transfer_close(&l->transfer);
    }
    l->open = false;
    partial_close(&l->partial);
    l->state = LANE_IDLE;
}

static void finish(struct download_run *r, struct lane *l, const char *digest)
{
    memcpy(l->parcel->digest, digest, DIGEST_HEX_SIZE);
    error_free(steal(l->parcel->why)); // of a mirror
    r->done++;
    lane_close(r, l);
}

static bool is_dead(const struct download_run *r, const char *url)
{
    for (size_t i = 0; i < r->dead.n; i++)
        if (http_same_server(r->dead.items[i], url))
            return true;
    return false;
}

// Appends the reason for a failed address to earlier ones; takes `why` over.
static void add_reason(struct parcel *p, struct error *why)
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

static int begin_address(struct download_run *r, struct lane *l, struct error **err);

// The lane's address failed. 0: the next one is tried, or that was the last; -1: error.
static int next_address(struct download_run *r, struct lane *l, struct error *why,
                        struct error **err)
{
    const char *url = l->parcel->urls[l->url];
    bool unreachable = l->open && l->transfer.unreachable;
    long status = l->open ? l->transfer.status : 0;
    bool absent = status == 404 || status == 410;
    bool last = l->url + 1 == l->parcel->url_count;
    if (unreachable && !is_dead(r, url)) {
        strlist_add(&r->dead, url);
        if (!last)
            log_warning("%s; from now on its files come from elsewhere", why->message);
    }
    l->parcel->status = status;
    l->parcel->missing = absent && (l->url == 0 || l->parcel->missing);
    add_reason(l->parcel, why);
    lane_close(r, l);
    if (!last) {
        l->url++;
        return begin_address(r, l, err);
    }
    r->failed++;
    r->stopped |= unreachable || r->failed >= DOWNLOADS_FAULTS_MAX;
    return 0;
}

static int begin_try(struct download_run *r, struct lane *l, struct error **err)
{
    if (transfer_prepare(&l->transfer, err) < 0)
        return -1;
    curl_easy_setopt(l->transfer.curl, CURLOPT_PRIVATE, (char *)l);
    curl_easy_setopt(l->transfer.curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(l->transfer.curl, CURLOPT_PIPEWAIT, 1L);
    if (curl_multi_add_handle(r->multi, l->transfer.curl) != CURLM_OK)
        return error_user(err, "starting a request of libcurl failed");
    l->state = LANE_RUNNING;
    return 0;
}

static int begin_transfer(struct download_run *r, struct lane *l, struct error **err)
{
    l->download = (struct download){.url = l->parcel->urls[l->url],
                                    .path = l->partial.data,
                                    .max_bytes = l->parcel->max_bytes,
                                    .retry = RETRY_DOWNLOAD,
                                    .worth_resuming = WORTH_RESUMING};
    struct error *why = NULL;
    l->open = true;
    if (transfer_open(&l->transfer, &l->download, &why) == 0 && begin_try(r, l, &why) == 0)
        return 0;
    return next_address(r, l, why, err); // a setting or a local file that cannot be used
}

// Is another lane downloading it? A list may name one address twice.
static bool is_ours(const struct download_run *r, const struct lane *l)
{
    for (size_t i = 0; i < LANES; i++)
        if (&r->lanes[i] != l && r->lanes[i].partial.folder &&
            !strcmp(r->lanes[i].partial.folder, l->partial.folder))
            return true;
    return false;
}

// Another process is downloading the file.
static void leave_to_others(struct download_run *r, struct lane *l)
{
    if (!r->told_busy && !is_ours(r, l)) {
        log_note("%s: waiting for another kbuild that downloads some of it", r->d->label);
        r->told_busy = true;
    }
    r->busy++;
    r->busy_until = now_ms() + BUSY_MS;
    put_back(r, l->parcel);
    lane_close(r, l);
}

static int begin_address(struct download_run *r, struct lane *l, struct error **err)
{
    while (l->url + 1 < l->parcel->url_count && is_dead(r, l->parcel->urls[l->url]))
        l->url++;
    l->fresh = false;
    int mine = partial_try(&l->partial, r->d->store, l->parcel->urls[l->url], err);
    if (mine < 0)
        return -1;
    if (!mine) {
        leave_to_others(r, l);
        return 0;
    }
    // Another process may have downloaded it.
    int has = l->parcel->sha256 ? store_has_blob(r->d->store, l->parcel->sha256, err) : 0;
    if (has > 0)
        finish(r, l, l->parcel->sha256);
    return has ? has < 0 ? -1 : 0 : begin_transfer(r, l, err);
}

// ---- finished downloads ----

static struct error *wrong_digest(const struct lane *l, const char *is)
{
    struct error *why = NULL;
    error_user(&why, "%s has the SHA-256 %s, but %s is expected", l->transfer.shown, is,
               l->parcel->sha256);
    error_hint(&why,
               "nothing of it was kept: what the list says and what the server has differ. If a "
               "mirror is between, look there; else compare with what upstream publishes");
    return why;
}

// All files have the same time, whenever they were downloaded: a step may see it.
static int store_parcel(struct download_run *r, struct lane *l, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    static const struct timespec times[2] = {{.tv_sec = LIST_FILE_TIME},
                                             {.tv_sec = LIST_FILE_TIME}};
    if (utimensat(AT_FDCWD, l->partial.data, times, 0) < 0)
        return error_errno(err, errno, "setting the time of %s", l->partial.data);
    r->bytes += l->transfer.have;
    if (partial_store(&l->partial, r->d->store, digest, err) < 0)
        return -1;
    finish(r, l, digest);
    return 0;
}

static int take_file(struct download_run *r, struct lane *l, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    if (digest_file(l->partial.data, digest, NULL, err) < 0)
        return -1;
    if (!l->parcel->sha256 || !strcmp(l->parcel->sha256, digest))
        return store_parcel(r, l, err);
    bool resumed = l->transfer.old_bytes && !l->fresh;
    struct error *why = resumed ? NULL : wrong_digest(l, digest);
    partial_remove(&l->partial);
    if (!resumed)
        return next_address(r, l, why, err);
    transfer_close(&l->transfer); // perhaps mixed from two versions: once more
    l->fresh = true;
    return begin_transfer(r, l, err);
}

static int ended(struct download_run *r, struct lane *l, CURLcode code, struct error **err)
{
    unsigned wait_ms = 0;
    struct error *why = NULL;
    curl_multi_remove_handle(r->multi, l->transfer.curl);
    l->state = LANE_PAUSED;
    int again = transfer_judge(&l->transfer, code, &wait_ms, &why);
    if (again > 0) {
        l->due_ms = now_ms() + wait_ms;
        return 0;
    }
    if (again == 0)
        return take_file(r, l, err);
    if (why->errnum) { // a full disk
        *err = why;
        return -1;
    }
    return next_address(r, l, why, err);
}

// ---- the loop ----

static void show_progress(const struct download_run *r)
{
    uint64_t bytes = r->bytes;
    for (size_t i = 0; i < LANES; i++)
        if (r->lanes[i].state != LANE_IDLE)
            bytes += r->lanes[i].transfer.have;
    cleanup_free char *what = xasprintf("%zu/%zu files,", r->done, r->d->n);
    progress(what, bytes, 0, "bytes");
}

static int begin_parcel(struct download_run *r, struct lane *l, struct error **err)
{
    l->parcel = take_next(r);
    l->url = 0;
    size_t busy = r->busy;
    if (begin_address(r, l, err) < 0)
        return -1;
    if (r->busy == busy)
        r->busy = 0;
    return 0;
}

static bool may_begin(struct download_run *r)
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
        while (l->state == LANE_IDLE && may_begin(r))
            if (begin_parcel(r, l, err) < 0)
                return -1;
        if (l->state == LANE_PAUSED && now_ms() >= l->due_ms && begin_try(r, l, &why) < 0 &&
            next_address(r, l, why, err) < 0)
            return -1;
        *active += l->state != LANE_IDLE;
    }
    return 0;
}

static int take_ended(struct download_run *r, struct error **err)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(r->multi, &left));) {
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode code = m->data.result;
        char *lane = NULL;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &lane);
        if (ended(r, (struct lane *)(void *)lane, code, err) < 0)
            return -1;
    }
    return 0;
}

static int loop(struct download_run *r, struct error **err)
{
    for (;;) {
        size_t active;
        int running;
        if (feed_lanes(r, &active, err) < 0)
            return -1;
        if (!active && (!r->waiting || r->stopped))
            return 0;
        CURLMcode code = curl_multi_perform(r->multi, &running);
        if (code == CURLM_OK)
            code = curl_multi_poll(r->multi, NULL, 0, running ? POLL_MS : BUSY_MS / 2, NULL);
        if (code != CURLM_OK)
            return error_user(err, "%s: libcurl: %s", r->d->label, curl_multi_strerror(code));
        if (take_ended(r, err) < 0)
            return -1;
        show_progress(r);
    }
}

int downloads_run(const struct downloads *d, struct error **err)
{
    http_begin();
    struct download_run r = {.d = d, .multi = curl_multi_init()};
    if (!r.multi)
        return error_user(err, "starting libcurl failed");
    r.queue = xcalloc(d->n + 1, sizeof(struct parcel *));
    for (size_t i = 0; i < d->n; i++)
        put_back(&r, &d->parcels[i]);
    for (size_t i = 0; i < LANES; i++) {
        r.lanes[i].partial = PARTIAL_NONE;
        r.lanes[i].transfer.fd = -1;
    }
    int result = d->n ? loop(&r, err) : 0;
    for (size_t i = 0; i < LANES; i++)
        lane_close(&r, &r.lanes[i]);
    curl_multi_cleanup(r.multi);
    strlist_free(&r.dead);
    free(r.queue);
    return result < 0 ? error_wrap(err, "%s", d->label) : 0;
}
