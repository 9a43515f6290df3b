// SPDX-License-Identifier: Apache-2.0
// The HTTP client: prepares a libcurl handle for a transfer, runs it alone or beside others, judges
// the result, and says whether another try is worth it.
#include "base/process.h"
#include "http/internal.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

// ---- what a transfer is for ----
enum { HTTP = 1, HTTPS = 2, LOCAL = 4 }; // protocols

static const struct policy {
    const char *agent;
    const char *own_ca; // the hint for a certificate that is not trusted, or NULL
    // So many redirects are followed, and a status of 400 or more is a failure. 0: neither.
    long redirects;
    // A try ends after so many seconds with less than so many bytes a second, ...
    long slowest, idle_seconds;
    long whole_seconds; // ... after so many in all (0: never), ...
    bool average;       // ... and by http_is_too_slow().
    bool downgrade;     // redirects may lead from https to http
    unsigned protocols;
    unsigned connect_seconds;
    unsigned tries_without_answer;
} policies[] = {
    [HTTP_FILE] = {.agent = "kbuild/" KBUILD_VERSION,
                   .protocols = HTTP | HTTPS | LOCAL,
                   .redirects = 10,
                   .connect_seconds = 30,
                   .slowest = 1024,
                   .idle_seconds = 60,
                   .average = true,
                   // Without any connection (a company firewall), people should not wait long.
                   .tries_without_answer = 2,
                   .own_ca = "if its CA is one of your own, let SSL_CERT_FILE name it"},
    // While it packs, a server sends a few bytes a second as a sign of life.
    [HTTP_GIT] = {.agent = "git/2.0 (kbuild " KBUILD_VERSION ")",
                  .protocols = HTTP | HTTPS,
                  .connect_seconds = 30,
                  .slowest = 10,
                  .idle_seconds = 60,
                  .average = true,
                  .tries_without_answer = 2,
                  .own_ca = "if its CA is one of your own, let git's http.sslCAInfo or "
                            "SSL_CERT_FILE name it"},
    [HTTP_REGISTRY] = {.agent = "kbuild/" KBUILD_VERSION,
                       .protocols = HTTP | HTTPS,
                       .connect_seconds = 15,
                       .slowest = 1024,
                       .idle_seconds = 30,
                       .tries_without_answer = 1},
    // The largest revocation lists have tens of MB.
    [HTTP_CRL] = {.agent = "kbuild/" KBUILD_VERSION,
                  .protocols = HTTP | HTTPS,
                  .redirects = 5,
                  .downgrade = true,
                  .connect_seconds = 3,
                  .slowest = 1024,
                  .idle_seconds = 3,
                  .whole_seconds = 180},
};

static void library_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void http_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, library_init);
}

CURL *http_handle(void)
{
    http_begin();
    CURL *c = curl_easy_init();
    if (!c)
        out_of_memory();
    return c;
}

bool http_is_too_slow(uint64_t elapsed_seconds, uint64_t bytes)
{
    return elapsed_seconds > HTTP_GRACE_SECONDS + bytes / HTTP_WHOLE_SLOWEST;
}

// ---- callbacks ----
static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct http_transfer *t = context;
    size_t length = size * count;
    const char *colon = memchr(line, ':', length), *end = line + length;
    bool first = length > 5 && strncmp(line, "HTTP/", 5) == 0;
    if (first)
        t->in_head = true;
    else if (length && (line[0] == '\r' || line[0] == '\n'))
        t->in_head = false;
    if (!t->on_header || (!first && !colon))
        return length;
    if (first) {
        t->on_header(t->context, NULL, NULL);
        return length;
    }
    const char *start = skip_blanks(colon + 1, end);
    while (end > start && strchr(" \t\r\n", end[-1]))
        end--;
    cleanup_free char *name = xstrndup(line, (size_t)(colon - line));
    cleanup_free char *value = xstrndup(start, (size_t)(end - start));
    t->on_header(t->context, name, value);
    return length;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct http_transfer *t = context;
    size_t length = size * count;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &t->status);
    int result = t->on_body(t->context, bytes, length, &t->failure);
    if (result == HTTP_PAUSE)
        return CURL_WRITEFUNC_PAUSE;
    t->enough = result == HTTP_ENOUGH;
    return result ? 0 : length;
}

// Called about once a second, also without data.
static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up_now)
{
    struct http_transfer *t = context;
    uint64_t received = now > 0 ? (uint64_t)now : 0;
    if (t->on_progress && !t->on_progress(t->context, received, total > 0 ? (uint64_t)total : 0))
        return 1;
    uint64_t seconds = (uint64_t)(now_ms() - t->began_ms) / 1000;
    t->too_slow = policies[t->use].average && http_is_too_slow(seconds, received);
    return t->too_slow;
}

// ---- preparing a handle ----
static void set_protocols(CURL *c, bool of_redirects, unsigned protocols)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    static const char *const names[] = {[HTTPS] = "https",
                                        [HTTP | HTTPS] = "http,https",
                                        [HTTP | HTTPS | LOCAL] = "http,https,file"};
    curl_easy_setopt(c, of_redirects ? CURLOPT_REDIR_PROTOCOLS_STR : CURLOPT_PROTOCOLS_STR,
                     names[protocols]);
#else
    long bits = (protocols & HTTP ? CURLPROTO_HTTP : 0) |
                (protocols & HTTPS ? CURLPROTO_HTTPS : 0) |
                (protocols & LOCAL ? CURLPROTO_FILE : 0);
    curl_easy_setopt(c, of_redirects ? CURLOPT_REDIR_PROTOCOLS : CURLOPT_PROTOCOLS, bits);
#endif
}

static void set_redirects(CURL *c, const char *url, const struct policy *p)
{
    bool secure = strncasecmp(url, "https:", 6) == 0;
    if (!p->redirects)
        return;
    curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, p->redirects);
    set_protocols(c, true, secure && !p->downgrade ? HTTPS : HTTP | HTTPS);
}

static void set_times(struct http_transfer *t, const struct policy *p)
{
    CURL *c = t->curl;
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT,
                     t->connect_seconds ? (long)t->connect_seconds : (long)p->connect_seconds);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, p->slowest);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME,
                     t->idle_seconds ? (long)t->idle_seconds : p->idle_seconds);
    curl_easy_setopt(c, CURLOPT_TIMEOUT,
                     t->whole_seconds ? (long)t->whole_seconds : p->whole_seconds);
}

static void set_callbacks(struct http_transfer *t)
{
    CURL *c = t->curl;
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->reason);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
}

int http_prepare(struct http_transfer *t, struct error **err)
{
    const struct policy *p = &policies[t->use];
    CURL *c = t->curl;
    http_release(t);
    curl_easy_setopt(c, CURLOPT_URL, t->url);
    curl_easy_setopt(c, CURLOPT_USERAGENT, p->agent);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    set_protocols(c, false, p->protocols);
    set_redirects(c, t->url, p);
    set_times(t, p);
    set_callbacks(t);
    t->began_ms = now_ms();
    return settings_apply(t, err);
}

static void group_remove(struct http_transfer *t)
{
    curl_multi_remove_handle(t->group->multi, t->curl);
    t->group->running--;
    t->group = NULL;
}

void http_release(struct http_transfer *t)
{
    if (t->group)
        group_remove(t);
    if (t->curl)
        curl_easy_reset(t->curl); // it holds pointers to the transfer
    curl_slist_free_all(steal(t->headers));
    free(steal(t->login_from));
    error_free(steal(t->failure));
    t->code = CURLE_OK;
    t->status = 0;
    t->outcome = (struct http_outcome){0};
    t->in_head = t->enough = t->too_slow = false;
    t->reason[0] = '\0';
}

// ---- judging the result ----
bool failure_is_transient(enum http_use use, CURLcode code, long status)
{
    // No name, no connection, a broken connection, damaged bytes.
    static const CURLcode transient[] = {
        CURLE_COULDNT_RESOLVE_PROXY,
        CURLE_COULDNT_RESOLVE_HOST,
        CURLE_COULDNT_CONNECT,
        CURLE_WEIRD_SERVER_REPLY,
        CURLE_PARTIAL_FILE,
        CURLE_OPERATION_TIMEDOUT,
        CURLE_SSL_CONNECT_ERROR,
        CURLE_GOT_NOTHING,
        CURLE_SEND_ERROR,
        CURLE_RECV_ERROR,
        CURLE_BAD_CONTENT_ENCODING,
        CURLE_SEND_FAIL_REWIND,
        CURLE_HTTP2,
        CURLE_HTTP2_STREAM,
    };
    if (code == CURLE_OK || code == CURLE_HTTP_RETURNED_ERROR)
        return status == 408 || status == 429 || status >= 500;
    // The urls of git and of registries are http, and libcurl follows no redirects there: so the
    // cause is a damaged status line ("HTTP/9.1"). For a file, the url or a redirect may lead to a
    // forbidden protocol.
    if (code == CURLE_UNSUPPORTED_PROTOCOL)
        return use == HTTP_GIT || use == HTTP_REGISTRY;
    for (size_t i = 0; i < ARRAY_LEN(transient); i++)
        if (transient[i] == code)
            return true;
    return false;
}

bool failure_is_no_connection(CURLcode code)
{
    return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
           code == CURLE_COULDNT_CONNECT;
}

unsigned retry_after_of(CURL *c)
{
    enum { HOUR = 3600 };
    curl_off_t wait = 0;
    curl_easy_getinfo(c, CURLINFO_RETRY_AFTER, &wait);
    return wait <= 0 ? 0 : wait < HOUR ? (unsigned)wait : HOUR;
}

static void judge(struct http_transfer *t, CURLcode code)
{
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &t->status);
    if (t->too_slow)
        code = CURLE_OPERATION_TIMEDOUT;
    else if (t->enough)
        code = CURLE_OK;
    else if (code == CURLE_OK && t->in_head) // libcurl takes headers without an end for an answer
        code = CURLE_PARTIAL_FILE;
    bool late = t->use == HTTP_REGISTRY && code == CURLE_OPERATION_TIMEDOUT;
    // A callback that refused one address of a server has not ended the transfer with another.
    bool refused = t->failure && code != CURLE_OK;
    t->code = code;
    t->outcome = (struct http_outcome){
        .transient = !refused && failure_is_transient(t->use, code, t->status),
        .no_answer = !refused && (late || failure_is_no_connection(code)),
        .retry_after = retry_after_of(t->curl),
    };
}

char *http_reason(const struct http_transfer *t)
{
    if (t->failure)
        return xstrdup(t->failure->message);
    if (t->too_slow)
        return xasprintf("the server sends less than %d bytes a second on average",
                         HTTP_WHOLE_SLOWEST);
    if (t->code == CURLE_HTTP_RETURNED_ERROR)
        return xasprintf("the server answers with status %ld", t->status);
    return failure_text(t->url, t->use, t->code, t->reason);
}

int http_failed(struct http_transfer *t, struct error **err)
{
    const char *hint = policies[t->use].own_ca;
    if (t->failure && err) {
        *err = steal(t->failure);
        return -1;
    }
    cleanup_free char *why = http_reason(t);
    error_set(err, t->outcome.transient ? ERROR_AGAIN : ERROR_USER, "%s", why);
    return t->code == CURLE_PEER_FAILED_VERIFICATION && hint ? error_hint(err, "%s", hint) : -1;
}

// ---- another try ----
#define RETRY_PAUSE_MAX_MS 60000u

// Between half and all of the pause.
static unsigned with_jitter(unsigned ms)
{
    unsigned random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
        random = (unsigned)clock();
    return ms / 2 + random % (ms / 2 + 1);
}

// True, and *ms to wait before the next try; false when no tries are left. The server's Retry-After
// in seconds (0: none) is obeyed up to RETRY_PAUSE_MAX_MS.
static bool retry_next(struct retry *r, unsigned server_seconds, unsigned *ms)
{
    if (r->left == 0)
        return false;
    r->left--;
    *ms = with_jitter(r->pause_ms);
    if (server_seconds > RETRY_PAUSE_MAX_MS / 1000)
        server_seconds = RETRY_PAUSE_MAX_MS / 1000;
    if (server_seconds * 1000 > *ms)
        *ms = server_seconds * 1000;
    r->pause_ms = r->pause_ms < RETRY_PAUSE_MAX_MS / 2 ? r->pause_ms * 2 : RETRY_PAUSE_MAX_MS;
    return true;
}

bool http_retry(struct retry *retry, enum http_use use, const struct http_outcome *o, unsigned *ms)
{
    unsigned most = policies[use].tries_without_answer;
    if (o->no_answer && retry->left > most)
        retry->left = most;
    return o->transient && retry_next(retry, o->retry_after, ms);
}

void http_pause(unsigned ms, bool (*stop)(void *context), void *context)
{
    enum { LOOK_MS = 50 };
    while (ms && !(stop && stop(context))) {
        unsigned now = stop && ms > LOOK_MS ? LOOK_MS : ms;
        struct timespec left = {now / 1000, (long)(now % 1000) * 1000000};
        while (nanosleep(&left, &left) < 0 && errno == EINTR)
            ;
        ms -= now;
    }
}

bool retry_pause(struct retry *r, unsigned server_seconds)
{
    unsigned ms;
    if (!retry_next(r, server_seconds, &ms))
        return false;
    http_pause(ms, NULL, NULL);
    return true;
}

// ---- running ----
void http_perform(struct http_transfer *t)
{
    curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, t->headers);
    judge(t, curl_easy_perform(t->curl));
}

void http_group_open(struct http_group *g)
{
    http_begin();
    *g = (struct http_group){.multi = curl_multi_init()};
    if (!g->multi)
        out_of_memory();
}

void http_group_close(struct http_group *g)
{
    curl_multi_cleanup(g->multi);
    *g = (struct http_group){0};
}

int http_group_add(struct http_group *g, struct http_transfer *t, struct error **err)
{
    curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(t->curl, CURLOPT_PRIVATE, (char *)t);
    CURLMcode code = curl_multi_add_handle(g->multi, t->curl);
    if (code != CURLM_OK)
        return error_user(err, "starting a request of libcurl: %s", curl_multi_strerror(code));
    t->group = g;
    g->running++;
    return 0;
}

static int multi_failed(CURLMcode code, struct error **err)
{
    return error_user(err, "libcurl: %s", curl_multi_strerror(code));
}

int http_group_run(struct http_group *g,
                   int (*ended)(void *context, struct http_transfer *t, struct error **err),
                   void *context, struct error **err)
{
    int running, left, count = 0;
    CURLMcode code = curl_multi_perform(g->multi, &running);
    if (code != CURLM_OK)
        return multi_failed(code, err);
    for (const CURLMsg *m; (m = curl_multi_info_read(g->multi, &left));) {
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode result = m->data.result; // the message ends with the removal
        char *transfer = NULL;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &transfer);
        struct http_transfer *t = (struct http_transfer *)(void *)transfer;
        group_remove(t);
        judge(t, result);
        count++;
        if (ended && ended(context, t, err) < 0)
            return -1;
    }
    return count;
}

int http_group_wait(struct http_group *g, unsigned ms, struct error **err)
{
    CURLMcode code = curl_multi_poll(g->multi, NULL, 0, (int)ms, NULL);
    return code == CURLM_OK ? 0 : multi_failed(code, err);
}

// ---- a pool of idle handles ----
void http_pool_open(struct http_pool *p)
{
    *p = (struct http_pool){0};
    pthread_mutex_init(&p->lock, NULL);
}

void http_pool_close(struct http_pool *p)
{
    for (size_t i = 0; i < p->n; i++)
        curl_easy_cleanup(p->idle[i]);
    free(p->idle);
    pthread_mutex_destroy(&p->lock);
}

CURL *http_pool_take(struct http_pool *p)
{
    pthread_mutex_lock(&p->lock);
    CURL *c = p->n ? p->idle[--p->n] : NULL;
    pthread_mutex_unlock(&p->lock);
    return c ? c : http_handle();
}

void http_pool_give(struct http_pool *p, CURL *c)
{
    pthread_mutex_lock(&p->lock);
    p->idle = xgrow(p->idle, &p->cap, p->n + 1, sizeof(CURL *));
    p->idle[p->n++] = c;
    pthread_mutex_unlock(&p->lock);
}

// ---- a small file, in memory ----
struct fetch {
    struct buf *out;
    size_t most; // of out->len
    size_t limit;
};

static int fetch_too_large(const struct fetch *f, struct error **err)
{
    return error_user(err, "it is larger than the limit of %zu bytes", f->limit);
}

static int fetch_body(void *context, const char *bytes, size_t length, struct error **err)
{
    struct fetch *f = context;
    if (length > f->most - f->out->len)
        return fetch_too_large(f, err);
    buf_add(f->out, bytes, length);
    return 0;
}

static int fetch_run(struct http_transfer *t, const struct fetch *f, struct error **err)
{
    if (http_prepare(t, err) < 0)
        return -1;
    curl_easy_setopt(t->curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)f->limit);
    http_perform(t);
    if (t->code == CURLE_OK)
        return 0;
    return t->code == CURLE_FILESIZE_EXCEEDED ? fetch_too_large(f, err) : http_failed(t, err);
}

int http_fetch(void *context, const char *url, size_t limit, struct buf *out, struct error **err)
{
    struct fetch f = {.out = out, .most = out->len + limit, .limit = limit};
    struct http_transfer t = {
        .use = HTTP_CRL, .url = url, .curl = http_handle(), .on_body = fetch_body, .context = &f};
    cleanup_free char *shown = http_url_shown(url);
    int result = fetch_run(&t, &f, err);
    http_release(&t);
    curl_easy_cleanup(t.curl);
    return result < 0 ? error_wrap(err, "%s", shown) : 0;
}
