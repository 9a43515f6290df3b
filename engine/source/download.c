// SPDX-License-Identifier: Apache-2.0
// Downloads one file, try by try: prepares a request, writes its bytes, and decides whether to try
// again after a failure. Opens, locks and stores the folders of unfinished downloads.
#include "source/download.h"

#include "base/error.h"
#include "base/file.h"
#include "source/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>

#define TRIES_MAX 50             // of one file, with any progress
#define PROGRESS_BYTES (1 << 20) // a try with this progress does not count as failed

static char *validator_path(const struct download_state *s)
{
    return xasprintf("%s.from", s->d->path);
}

// ---- the version of the bytes ----
static void load_validator(struct download_state *s)
{
    cleanup_free char *path = validator_path(s);
    cleanup_buf struct buf text = {0};
    if (s->have && path_exists(path) && file_read(path, 4096, &text, NULL) == 0 && text.len &&
        !strpbrk(text.data, "\r\n"))
        s->validator = buf_take(&text);
}

static int save_validator(struct download_state *s, struct error **err)
{
    free(s->validator);
    // A weak ETag does not mean the same bytes.
    bool strong = s->etag && s->etag[0] == '"';
    s->validator = strong ? xstrdup(s->etag) : s->modified ? xstrdup(s->modified) : NULL;
    cleanup_free char *path = validator_path(s);
    const char *text = s->validator ? s->validator : "";
    curl_off_t length = -1;
    curl_easy_getinfo(s->http.curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    // A small file is downloaded again faster than it is recorded.
    if (length >= 0 && (uint64_t)length < s->d->worth_resuming) {
        if (unlink(path) < 0 && errno != ENOENT)
            return error_errno(err, errno, "removing %s", path);
        return 0;
    }
    return file_write(path, text, strlen(text), 0600, err);
}

static int restart_file(struct download_state *s, struct error **err)
{
    if (ftruncate(s->fd, 0) < 0 || lseek(s->fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "writing %s", s->d->path);
    s->have = s->start = 0;
    s->old_bytes = false;
    return 0;
}

// ---- callbacks ----
static void keep_header(char **field, const char *value)
{
    free(*field);
    *field = xstrdup(value);
}

static void on_header(void *context, const char *name, const char *value)
{
    struct download_state *s = context;
    if (!name) { // the next answer, after a redirect
        free(steal(s->etag));
        free(steal(s->modified));
        s->range_from = UINT64_MAX;
    } else if (strcasecmp(name, "ETag") == 0) {
        keep_header(&s->etag, value);
    } else if (strcasecmp(name, "Last-Modified") == 0) {
        keep_header(&s->modified, value);
    } else if (strcasecmp(name, "Content-Range") == 0 && strncasecmp(value, "bytes ", 6) == 0 &&
               value[6] >= '0' && value[6] <= '9') {
        s->range_from = strtoull(value + 6, NULL, 10);
    }
}

// The first bytes of a body: do they continue the file, or are they the whole file?
static int begin_body(struct download_state *s, struct error **err)
{
    long status = s->http.status;
    s->begun = true;
    if (status >= 300) // a redirect without a target; libcurl handles the others
        return error_user(err, "the server answers with status %ld", status);
    if (status == 206 && s->ranged && s->range_from == s->have)
        return 0;
    if (status == 206) {
        s->start_over = true;
        return error_user(err, "the server sent another range than was asked for");
    }
    return restart_file(s, err) < 0 ? -1 : save_validator(s, err);
}

static int on_body(void *context, const char *bytes, size_t length, struct error **err)
{
    struct download_state *s = context;
    if (!s->begun && begin_body(s, err) < 0)
        return -1;
    if (s->have + length > s->d->max_bytes)
        return error_user(err, "it is larger than the limit of %llu bytes",
                          (unsigned long long)s->d->max_bytes);
    if (fd_write_all(s->fd, s->d->path, bytes, length, err) < 0)
        return -1;
    s->have += length;
    return 0;
}

static bool on_progress(void *context, uint64_t received, uint64_t total)
{
    const struct download_state *s = context;
    uint64_t before = s->begun ? s->have - received : 0;
    if (s->d->label && received > 0 && received <= s->have)
        progress(s->d->label, s->have, total > 0 ? before + total : 0, "bytes");
    return true;
}

// ---- one try ----
int download_prepare(struct download_state *s, struct error **err)
{
    if (http_prepare(&s->http, err) < 0)
        return error_wrap(err, "downloading %s", s->shown);
    free(steal(s->etag));
    free(steal(s->modified));
    s->begun = s->start_over = false;
    s->range_from = UINT64_MAX;
    s->start = s->have;
    s->tries++;
    // Without a validator the file could have changed: it would mix two versions.
    s->ranged = s->have && s->validator;
    if (s->ranged) {
        char range[32];
        snprintf(range, sizeof range, "%llu-", (unsigned long long)s->have);
        curl_easy_setopt(s->http.curl, CURLOPT_RANGE, range);
        cleanup_free char *condition = xasprintf("If-Range: %s", s->validator);
        http_add_header(&s->http, condition);
    }
    return 0;
}

static int download_failed(struct download_state *s, struct error **err)
{
    CURLcode code = s->http.code;
    long status = s->http.status;
    s->unreachable = s->http.outcome.no_answer ||
                     (code == CURLE_HTTP_RETURNED_ERROR && s->http.outcome.transient);
    bool refused = !s->http.failure && code == CURLE_HTTP_RETURNED_ERROR;
    http_failed(&s->http, err);
    error_wrap(err, "downloading %s", s->shown);
    if (refused && (status == 404 || status == 410))
        error_hint(err, "check the url and the version in versions.yaml");
    if (refused && status == 401)
        error_hint(err, "put the login for its host into ~/.netrc (or a file that NETRC names)");
    return -1;
}

// 1: try again after *wait_ms; 0: no tries left.
static int may_try_again(struct download_state *s, const struct http_outcome *o, unsigned *wait_ms)
{
    return s->tries < TRIES_MAX && http_retry(&s->retry, HTTP_FILE, o, wait_ms);
}

// The server's ranges do not fit the file: downloads it from the start.
static int start_over(struct download_state *s, unsigned *wait_ms, struct error **err)
{
    static const struct http_outcome now = {.transient = true};
    if (restart_file(s, err) < 0 || save_validator(s, err) < 0) // removes the old version
        return -1;
    free(steal(s->validator));
    return may_try_again(s, &now, wait_ms) ? 1 : download_failed(s, err);
}

int download_judge(struct download_state *s, unsigned *wait_ms, struct error **err)
{
    struct http_transfer *t = &s->http;
    s->status = t->status;
    if (t->code == CURLE_OK) {
        // An empty body never called on_body().
        return s->begun ? 0 : begin_body(s, &t->failure) < 0 ? download_failed(s, err) : 0;
    }
    if (s->start_over || (t->status == 416 && s->ranged))
        return start_over(s, wait_ms, err);
    if (s->have >= s->start + PROGRESS_BYTES)
        s->retry = s->d->retry;
    if (!may_try_again(s, &t->outcome, wait_ms))
        return download_failed(s, err);
    cleanup_free char *why = http_reason(t);
    log_note("downloading %s again: %s", s->shown, why);
    return 1;
}

// ---- opening, and all tries ----
// libcurl would read a device without end, wait for a pipe, and find nothing in a folder.
static int check_local(const struct download_state *s, struct error **err)
{
    struct stat st;
    cleanup_free char *path =
        url_is_local(s->d->url) ? http_url_part(s->d->url, CURLUPART_PATH) : NULL;
    if (!path || (stat(path, &st) == 0 && S_ISREG(st.st_mode)))
        return 0;
    if (access(path, F_OK) < 0)
        return error_errno(err, errno, "downloading %s", s->shown);
    return error_user(err, "downloading %s: it is not a regular file", s->shown);
}

static int open_file(struct download_state *s, struct error **err)
{
    s->fd = open(s->d->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    off_t end = s->fd < 0 ? -1 : lseek(s->fd, 0, SEEK_END);
    if (end < 0)
        return error_errno(err, errno, "writing %s", s->d->path);
    s->have = (uint64_t)end;
    load_validator(s);
    s->old_bytes = s->have && s->validator;
    return 0;
}

int download_open(struct download_state *s, const struct download *d, struct error **err)
{
    *s = (struct download_state){.d = d,
                                 .fd = -1,
                                 .shown = http_url_shown(d->url),
                                 .retry = d->retry,
                                 .http = {.use = HTTP_FILE,
                                          .url = d->url,
                                          .curl = http_handle(),
                                          .idle_seconds = d->idle_seconds,
                                          .on_header = on_header,
                                          .on_body = on_body,
                                          .on_progress = on_progress,
                                          .context = s}};
    return open_file(s, err) < 0 ? -1 : check_local(s, err);
}

void download_close(struct download_state *s)
{
    http_release(&s->http);
    if (s->http.curl)
        curl_easy_cleanup(s->http.curl);
    if (s->fd >= 0)
        close(s->fd);
    free(s->shown);
    free(s->validator);
    free(s->etag);
    free(s->modified);
    *s = (struct download_state){.fd = -1};
}

static int download_run(struct download_state *s, struct error **err)
{
    for (;;) {
        unsigned wait_ms = 0;
        if (download_prepare(s, err) < 0)
            return -1;
        http_perform(&s->http);
        int more = download_judge(s, &wait_ms, err);
        if (more <= 0)
            return more;
        http_pause(wait_ms, NULL, NULL);
    }
}

int download_file(const struct download *d, bool *resumed, struct error **err)
{
    struct download_state s;
    int result = download_open(&s, d, err);
    if (result == 0)
        result = download_run(&s, err);
    if (resumed)
        *resumed = s.old_bytes;
    download_close(&s);
    return result;
}

void partial_remove(const struct partial *p)
{
    cleanup_free char *from = xasprintf("%s.from", p->data);
    unlink(p->data);
    unlink(from);
}

void partial_close(struct partial *p)
{
    struct stat st;
    if (p->lock >= 0 && fd_has_name(p->lock, AT_FDCWD, p->folder)) {
        if (lstat(p->data, &st) == 0 && st.st_size == 0)
            partial_remove(p);
        rmdir(p->folder);
    }
    free(p->folder);
    free(p->data);
    if (p->lock >= 0)
        close(p->lock);
    *p = PARTIAL_NONE;
}

// 1: locked; 0: another process has the lock, and `wait` is false.
static int lock_partial(struct partial *p, const char *url, bool wait, struct error **err)
{
    if (make_directories(p->folder, 0777, err) < 0)
        return -1;
    p->lock = open(p->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->lock < 0 && errno == ENOENT) // its owner has just removed it
        return 0;
    if (p->lock < 0)
        return error_errno(err, errno, "opening %s", p->folder);
    if (flock(p->lock, LOCK_EX | LOCK_NB) == 0)
        return 1;
    if (!wait)
        return 0;
    cleanup_free char *shown = http_url_shown(url);
    log_note("waiting for another kbuild that downloads %s", shown);
    while (flock(p->lock, LOCK_EX) < 0)
        if (errno != EINTR)
            return error_errno(err, errno, "locking %s", p->folder);
    return 1;
}

static int open_partial(struct partial *p, struct store *store, const char *url, bool wait,
                        struct error **err)
{
    char hex[DIGEST_HEX_SIZE];
    digest_bytes(url, strlen(url), hex);
    p->folder = xasprintf("%s/tmp/download-%.40s", store_directory(store), hex);
    p->data = xasprintf("%s/data", p->folder);
    for (;;) {
        int locked = lock_partial(p, url, wait, err);
        if (locked > 0 && fd_has_name(p->lock, AT_FDCWD, p->folder))
            return 1;
        if (p->lock >= 0)
            close(steal_fd(&p->lock));
        if (locked < 0 || (!locked && !wait))
            return locked;
    }
}

int partial_open(struct partial *p, struct store *store, const char *url, struct error **err)
{
    *p = PARTIAL_NONE;
    return open_partial(p, store, url, true, err) < 0 ? -1 : 0;
}

int partial_try(struct partial *p, struct store *store, const char *url, struct error **err)
{
    *p = PARTIAL_NONE;
    return open_partial(p, store, url, false, err);
}

// Moves the file into a folder of this process first; the store then takes it without a copy.
int partial_store(const struct partial *p, struct store *store, char digest[static DIGEST_HEX_SIZE],
                  struct error **err)
{
    cleanup_free char *folder = store_temporary(store, "archive", err);
    if (!folder)
        return -1;
    cleanup_free char *path = xasprintf("%s/archive", folder);
    int result = rename(p->data, path) < 0 ? error_errno(err, errno, "moving %s", p->data)
                                           : store_put_file(store, path, digest, NULL, err);
    remove_tree(folder, NULL);
    partial_remove(p);
    rmdir(p->folder);
    return result;
}
