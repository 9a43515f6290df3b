// SPDX-License-Identifier: Apache-2.0
// Downloads one file over libcurl, try by try: prepares a request, writes its bytes, and decides
// whether to try again after a failure. download.c performs the requests one at a time, downloads.c
// many in parallel.
#include "source/transfer.h"

#include "base/file.h"
#include "base/error.h"
#include "source/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define TRIES_MAX 50             // of one file, with any progress
#define PROGRESS_BYTES (1 << 20) // a try with this progress does not count as failed
#define NO_WAY_TRIES 2           // maximum after a failed connection
#define CONNECT_SECONDS 30L
#define REDIRECTS_MAX 10L

static char *sidecar(const struct transfer *t)
{
    return xasprintf("%s.from", t->d->path);
}

// ---- the version of the bytes ----
static void load_validator(struct transfer *t)
{
    cleanup_free char *path = sidecar(t);
    cleanup_buf struct buf text = {0};
    if (t->have && path_exists(path) && file_read(path, 4096, &text, NULL) == 0 && text.len &&
        !strpbrk(text.data, "\r\n"))
        t->validator = buf_take(&text);
}

static int save_validator(struct transfer *t, struct error **err)
{
    free(t->validator);
    // A weak ETag does not mean the same bytes.
    bool strong = t->etag && t->etag[0] == '"';
    t->validator = strong ? xstrdup(t->etag) : t->modified ? xstrdup(t->modified) : NULL;
    cleanup_free char *path = sidecar(t);
    const char *text = t->validator ? t->validator : "";
    curl_off_t length = -1;
    curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    // A small file is downloaded again faster than it is recorded.
    if (length >= 0 && (uint64_t)length < t->d->worth_resuming) {
        if (unlink(path) < 0 && errno != ENOENT)
            return error_errno(err, errno, "removing %s", path);
        return 0;
    }
    return file_write(path, text, strlen(text), 0600, err);
}

static int restart_file(struct transfer *t, struct error **err)
{
    if (ftruncate(t->fd, 0) < 0 || lseek(t->fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "writing %s", t->d->path);
    t->have = t->start = 0;
    t->old_bytes = false;
    return 0;
}

// ---- callbacks ----
// The value of a header line, to be freed, or NULL if it is another header.
static char *header_value(const char *line, size_t length, const char *name)
{
    size_t n = strlen(name);
    if (length <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
        return NULL;
    const char *start = line + n + 1, *end = line + length;
    while (start < end && (*start == ' ' || *start == '\t'))
        start++;
    while (end > start && strchr(" \t\r\n", end[-1]))
        end--;
    return xstrndup(start, (size_t)(end - start));
}

static void keep(char **field, char *value)
{
    if (!value)
        return;
    free(*field);
    *field = value;
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    size_t length = size * count;
    if (length > 5 && strncmp(line, "HTTP/", 5) == 0) { // the next answer, after a redirect
        free(steal(t->etag));
        free(steal(t->modified));
        t->range_from = UINT64_MAX;
    }
    keep(&t->etag, header_value(line, length, "ETag"));
    keep(&t->modified, header_value(line, length, "Last-Modified"));
    cleanup_free char *range = header_value(line, length, "Content-Range");
    if (range && strncasecmp(range, "bytes ", 6) == 0 && range[6] >= '0' && range[6] <= '9')
        t->range_from = strtoull(range + 6, NULL, 10);
    return length;
}

static time_t seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

// The first bytes of a body: do they continue the file, or are they the whole file?
static int begin_body(struct transfer *t)
{
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    t->begun = true;
    if (status >= 300) // a redirect without a target; libcurl handles the others
        return error_user(&t->failure, "the server answers with status %ld", status);
    if (status == 206 && t->ranged && t->range_from == t->have)
        return 0;
    if (status == 206) {
        t->start_over = true;
        return error_user(&t->failure, "the server sent another range than was asked for");
    }
    if (restart_file(t, &t->failure) < 0)
        return -1;
    return save_validator(t, &t->failure);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    size_t length = size * count;
    if (!t->begun && begin_body(t) < 0)
        return 0;
    if (t->have + length > t->d->max_bytes) {
        error_user(&t->failure, "it is larger than the limit of %llu bytes",
                   (unsigned long long)t->d->max_bytes);
        return 0;
    }
    if (fd_write_all(t->fd, t->d->path, bytes, length, &t->failure) < 0)
        return 0;
    t->have += length;
    return length;
}

static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up_now)
{
    struct transfer *t = context;
    uint64_t before = t->begun ? t->have - (uint64_t)now : 0;
    if (t->d->label && now > 0 && (uint64_t)now <= t->have)
        progress(t->d->label, t->have, total > 0 ? before + (uint64_t)total : 0, "bytes");
    // Called about once a second, also without data.
    t->too_slow = http_is_too_slow((uint64_t)(seconds_now() - t->began), (uint64_t)now);
    return t->too_slow;
}

// ---- one try ----
static void set_protocols(CURL *curl, const char *url)
{
    bool secure = strncasecmp(url, "https:", 6) == 0;
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https,file");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS,
                     (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS | CURLPROTO_FILE));
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS,
                     (long)(secure ? CURLPROTO_HTTPS : CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static int set_options(struct transfer *t, struct error **err)
{
    CURL *c = t->curl;
    curl_easy_reset(c);
    if (http_settings_apply(c, t->d->url, HTTP_FILE, &t->settings, err) < 0)
        return -1;
    set_protocols(c, t->d->url);
    curl_easy_setopt(c, CURLOPT_URL, t->d->url);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "kbuild/" KBUILD_VERSION);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, HTTP_SLOWEST);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME,
                     t->d->idle_seconds ? (long)t->d->idle_seconds : HTTP_IDLE_SECONDS);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->reason);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
    return 0;
}

int transfer_prepare(struct transfer *t, struct error **err)
{
    http_settings_free(&t->settings);
    if (set_options(t, err) < 0)
        return error_wrap(err, "downloading %s", t->shown);
    free(steal(t->etag));
    free(steal(t->modified));
    t->reason[0] = '\0';
    t->begun = t->start_over = t->too_slow = false;
    t->began = seconds_now();
    t->range_from = UINT64_MAX;
    t->start = t->have;
    t->tries++;
    // Without a validator the file could have changed: it would mix two versions.
    t->ranged = t->have && t->validator;
    if (t->ranged) {
        char range[32];
        snprintf(range, sizeof range, "%llu-", (unsigned long long)t->have);
        curl_easy_setopt(t->curl, CURLOPT_RANGE, range);
        cleanup_free char *condition = xasprintf("If-Range: %s", t->validator);
        struct curl_slist *longer = curl_slist_append(t->settings.headers, condition);
        if (!longer)
            out_of_memory();
        t->settings.headers = longer;
    }
    curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, t->settings.headers);
    return 0;
}

// ---- judging a try ----
static int try_failed(struct transfer *t, CURLcode code, long status, struct error **err)
{
    t->unreachable = http_no_way(code) ||
                     (code == CURLE_HTTP_RETURNED_ERROR && http_may_pass(HTTP_FILE, code, status));
    if (t->failure) {
        *err = steal(t->failure);
        return error_wrap(err, "downloading %s", t->shown);
    }
    if (code == CURLE_HTTP_RETURNED_ERROR) {
        error_user(err, "downloading %s: the server answers with status %ld", t->shown, status);
        if (status == 404 || status == 410)
            error_hint(err, "check the url and the version in versions.yaml");
        if (status == 401)
            error_hint(err, "put the login for its host into ~/.netrc (or a file that NETRC "
                            "names)");
        return -1;
    }
    if (t->too_slow)
        return error_user(err, "downloading %s: the server sends so slowly that it is no use",
                          t->shown);
    cleanup_free char *why = http_failure(t->d->url, HTTP_FILE, code, t->reason);
    error_user(err, "downloading %s: %s", t->shown, why);
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        error_hint(err, "if its CA is one of your own, let SSL_CERT_FILE name it");
    return -1;
}

// 1: try again after *wait_ms; 0: no tries left.
static int may_try_again(struct transfer *t, unsigned server_seconds, unsigned *wait_ms)
{
    return t->tries < TRIES_MAX && retry_next(&t->retry, server_seconds, wait_ms);
}

// The server's ranges do not fit the file: downloads it from the start.
static int start_over(struct transfer *t, CURLcode code, long status, unsigned *wait_ms,
                      struct error **err)
{
    if (restart_file(t, err) < 0 || save_validator(t, err) < 0) // removes the old version
        return -1;
    free(steal(t->validator));
    if (!may_try_again(t, 0, wait_ms))
        return try_failed(t, code, status, err);
    error_free(steal(t->failure));
    return 1;
}

int transfer_judge(struct transfer *t, CURLcode code, unsigned *wait_ms, struct error **err)
{
    long status = 0;
    if (t->too_slow)
        code = CURLE_OPERATION_TIMEDOUT;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    t->status = status;
    if (code == CURLE_OK) {
        // An empty body never called on_body().
        return t->begun ? 0 : begin_body(t) < 0 ? try_failed(t, code, status, err) : 0;
    }
    if (t->start_over || (status == 416 && t->ranged))
        return start_over(t, code, status, wait_ms, err);
    bool may_pass = !t->failure && http_may_pass(HTTP_FILE, code, status);
    if (t->have >= t->start + PROGRESS_BYTES)
        t->retry = t->d->retry;
    // Without any connection (a company firewall), people should not wait long.
    if (http_no_way(code) && t->retry.left > NO_WAY_TRIES)
        t->retry.left = NO_WAY_TRIES;
    if (!may_pass || !may_try_again(t, http_retry_after(t->curl), wait_ms))
        return try_failed(t, code, status, err);
    cleanup_free char *why = http_failure(t->d->url, HTTP_FILE, code, t->reason);
    log_note("downloading %s again: %s", t->shown, why);
    return 1;
}

// libcurl would read a device without end, wait for a pipe, and find nothing in a folder.
static int check_local(const struct transfer *t, struct error **err)
{
    struct stat st;
    cleanup_free char *path =
        url_is_local(t->d->url) ? http_url_part(t->d->url, CURLUPART_PATH) : NULL;
    if (!path || (stat(path, &st) == 0 && S_ISREG(st.st_mode)))
        return 0;
    if (access(path, F_OK) < 0)
        return error_errno(err, errno, "downloading %s", t->shown);
    return error_user(err, "downloading %s: it is not a regular file", t->shown);
}

static int open_file(struct transfer *t, struct error **err)
{
    t->fd = open(t->d->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    off_t end = t->fd < 0 ? -1 : lseek(t->fd, 0, SEEK_END);
    if (end < 0)
        return error_errno(err, errno, "writing %s", t->d->path);
    t->have = (uint64_t)end;
    load_validator(t);
    t->old_bytes = t->have && t->validator;
    return 0;
}

int transfer_open(struct transfer *t, const struct download *d, struct error **err)
{
    http_begin();
    *t = (struct transfer){
        .d = d, .fd = -1, .shown = url_shown(d->url), .curl = curl_easy_init(), .retry = d->retry};
    if (!t->curl)
        return error_user(err, "starting libcurl failed");
    return open_file(t, err) < 0 ? -1 : check_local(t, err);
}

void transfer_close(struct transfer *t)
{
    if (t->curl)
        curl_easy_cleanup(t->curl);
    http_settings_free(&t->settings);
    if (t->fd >= 0)
        close(t->fd);
    error_free(t->failure);
    free(t->shown);
    free(t->validator);
    free(t->etag);
    free(t->modified);
    *t = (struct transfer){.fd = -1};
}
