// SPDX-License-Identifier: Apache-2.0
// Runs one HTTP exchange with one server, with time limits.
#include "http/http.h"

#include "base/file.h"
#include "registry/internal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <strings.h>

#define CONNECT_SECONDS 15u
#define SLOWEST 1024L            // bytes per second; less is silence
#define WHOLE_SLOWEST (32 << 10) // ... of a whole body, on average
#define ERROR_BODY_MAX ((size_t)64 << 10)
#define BUFFER_SIZE (512L << 10) // the most that curl allows for receiving

// One exchange while curl runs it.
struct exchange {
    struct registry *r;
    const struct http_hop *hop;
    struct response *s;
    uint64_t sent;
    struct error *failure; // of a callback
    bool error_body_full;
    bool head_whole; // the empty line after the headers came
    char reason[CURL_ERROR_SIZE];
};

// ---- callbacks ----
static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct exchange *x = context;
    struct response *s = x->s;
    const struct {
        const char *name;
        char **field;
    } known[] = {
        {"Location", &s->location},
        {"Content-Type", &s->content_type},
        {"Range", &s->range},
        {"Content-Range", &s->content_range},
        {"Docker-Content-Digest", &s->digest},
        {"Link", &s->link},
        {"OCI-Subject", &s->subject},
        {"OCI-Chunk-Min-Length", &s->min_chunk},
    };
    size_t length = size * count;
    const char *colon = memchr(line, ':', length);
    x->head_whole = length && (line[0] == '\r' || line[0] == '\n');
    if (!colon)
        return length;
    size_t n = (size_t)(colon - line);
    const char *start = colon + 1, *end = line + length;
    while (start < end && (*start == ' ' || *start == '\t'))
        start++;
    while (end > start && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r' || end[-1] == '\n'))
        end--;
    cleanup_free char *value = xstrndup(start, (size_t)(end - start));
    if (n == strlen("WWW-Authenticate") && !strncasecmp(line, "WWW-Authenticate", n))
        challenges_add(&s->challenges, value);
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (n == strlen(known[i].name) && !strncasecmp(line, known[i].name, n)) {
            free(*known[i].field);
            *known[i].field = steal(value);
            break;
        }
    return length;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct exchange *x = context;
    struct response *s = x->s;
    const struct request *q = x->hop->q;
    size_t length = size * count;
    curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &s->status);
    bool wanted = s->status == 200 || s->status == 206;
    if (wanted && q->sink)
        return q->sink(q->context, s, bytes, length, &x->failure) < 0 ? 0 : length;
    size_t most = wanted ? MANIFEST_MAX : ERROR_BODY_MAX;
    if (length <= most - s->body.len) {
        buf_add(&s->body, bytes, length);
        return length;
    }
    if (wanted) {
        error_user(&x->failure, "the answer is larger than %zu bytes", most);
        return 0;
    }
    buf_add(&s->body, bytes, most - s->body.len);
    x->error_body_full = true;
    return 0;
}

// Negative after a rewind or a failure.
static void count_sent(struct exchange *x, int64_t n)
{
    if (x->hop->q->counted)
        __atomic_fetch_add(&x->r->moved, (uint64_t)n, __ATOMIC_RELAXED);
}

static size_t on_send(char *out, size_t size, size_t count, void *context)
{
    struct exchange *x = context;
    const struct request *q = x->hop->q;
    size_t room = size * count;
    if (room > q->length - x->sent)
        room = (size_t)(q->length - x->sent);
    if (q->fd <= 0) {
        memcpy(out, (const char *)q->bytes + x->sent, room);
        x->sent += room;
        return room;
    }
    ssize_t n = fd_read_at(q->fd, out, room, q->offset + x->sent);
    if (n < 0 || (n == 0 && room)) {
        if (n < 0)
            error_errno(&x->failure, errno, "reading what is to be sent");
        else
            error_user(&x->failure, "the file to be sent is shorter than it should be");
        return CURL_READFUNC_ABORT;
    }
    x->sent += (uint64_t)n;
    count_sent(x, n);
    return (size_t)n;
}

static int on_seek(void *context, curl_off_t offset, int origin)
{
    struct exchange *x = context;
    // curl resends by itself after a reused connection broke. For an upload the registry may have a
    // part, so its state must be read first.
    if (x->hop->q->fd > 0 && x->sent)
        return CURL_SEEKFUNC_FAIL;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > x->hop->q->length)
        return CURL_SEEKFUNC_FAIL;
    count_sent(x, (int64_t)offset - (int64_t)x->sent);
    x->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

bool http_interrupted(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1);
}

// Called at least once a second, also without data.
static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up_now)
{
    const struct exchange *x = context;
    if (x->hop->q->counted)
        transfer_progress(x->r);
    return __atomic_load_n(&x->r->stop, __ATOMIC_RELAXED) || http_interrupted();
}

static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct exchange *x = context;
    enum address_scope scope = scope_of_address(&a->addr);
    if (scope > x->hop->limit) {
        if (!x->failure)
            error_user(&x->failure,
                       "%s has a private address, and was named by a server that has none",
                       x->hop->to->host);
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

// ---- options ----
static void set_protocols(CURL *c)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(c, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static void set_times(CURL *c, const struct exchange *x)
{
    const struct request *q = x->hop->q;
    unsigned silence = x->r->silence + q->patience;
    unsigned connecting = x->r->silence < CONNECT_SECONDS ? x->r->silence : CONNECT_SECONDS;
    uint64_t whole = 4ull * silence + (q->length + q->expected) / WHOLE_SLOWEST;
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)connecting);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, SLOWEST);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)silence);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)(whole < 1000000 ? whole : 1000000));
}

static void set_callbacks(CURL *c, struct exchange *x)
{
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, x->reason);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, x);
}

static void set_method(CURL *c, struct exchange *x)
{
    const struct request *q = x->hop->q;
    if (!strcmp(q->method, "GET"))
        return;
    if (!strcmp(q->method, "HEAD")) {
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
        return;
    }
    if (q->length == 0) {
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, "");
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, 0L);
    } else {
        curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->length);
        curl_easy_setopt(c, CURLOPT_READFUNCTION, on_send);
        curl_easy_setopt(c, CURLOPT_READDATA, x);
        curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(c, CURLOPT_SEEKDATA, x);
        curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_SIZE);
    }
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
}

// curl's own user options hide the secret from a proxy and from other hosts.
static void set_credentials(CURL *c, const struct http_hop *hop)
{
    if (hop->token) {
        curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, hop->token);
    } else if (hop->basic && hop->basic->user) {
        curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(c, CURLOPT_USERNAME, hop->basic->user);
        curl_easy_setopt(c, CURLOPT_PASSWORD, hop->basic->password ? hop->basic->password : "");
    }
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    if (!value)
        return list;
    cleanup_free char *line = xasprintf("%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(list, line);
    if (!longer)
        out_of_memory();
    return longer;
}

static struct curl_slist *make_headers(const struct request *q)
{
    // Turns off curl's "Expect: 100-continue" and its default type.
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    if (!q->content_type)
        list = curl_slist_append(list, "Content-Type:");
    list = add_header(list, "Content-Type", q->content_type);
    list = add_header(list, "Accept", q->accept);
    list = add_header(list, "Content-Range", q->content_range);
    return add_header(list, "Range", q->range);
}

static void set_certs(CURL *c, const struct certs *certs)
{
    // In addition to the system's CAs: a blob replaces their file, but not their folder.
    struct curl_blob ca = {certs->ca.data, certs->ca.len, CURL_BLOB_COPY};
    if (certs->ca.len)
        curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &ca);
    if (certs->certificate) {
        curl_easy_setopt(c, CURLOPT_SSLCERT, certs->certificate);
        curl_easy_setopt(c, CURLOPT_SSLKEY, certs->key);
    }
}

// ---- judging ----
static int failed(struct exchange *x, CURLcode code, struct error **err)
{
    struct response *s = x->s;
    if (x->failure) {
        *err = steal(x->failure);
        return -1;
    }
    if (http_interrupted())
        return error_set(err, ERROR_INTERRUPT, "interrupted");
    if (__atomic_load_n(&x->r->stop, __ATOMIC_RELAXED))
        return error_user(err, "cancelled, because another transfer failed");
    s->may_pass = http_may_pass(HTTP_REGISTRY, code, s->status);
    s->no_answer = code == CURLE_OPERATION_TIMEDOUT || http_no_way(code);
    cleanup_free char *why = http_failure(x->hop->to->text, HTTP_REGISTRY, code, x->reason);
    error_user(err, "%s", why);
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        error_hint(err,
                   "put the registry's CA as %s/ca.crt below /etc/containers/certs.d or "
                   "~/.config/containers/certs.d",
                   x->hop->to->host);
    else if (code == CURLE_SSL_CONNECT_ERROR)
        error_hint(err, "if %s speaks plain http, that has to be allowed", x->hop->to->host);
    return -1;
}

// The scope of the peer's address; only after success.
static enum address_scope scope_of_peer(CURL *c)
{
    char *ip = NULL;
    if (curl_easy_getinfo(c, CURLINFO_PRIMARY_IP, &ip) != CURLE_OK || !ip)
        return SCOPE_WORLD;
    return scope_of_host(ip);
}

// The machine's CA settings; the registry's own certs.d takes precedence.
static int machine_settings(struct registry *r, const struct http_hop *hop, struct response *s,
                            struct error **err)
{
    struct http_settings none = {0};
    int result = http_settings_apply(s->curl, hop->to->text, HTTP_REGISTRY, &none, err);
    http_settings_free(&none);
    if (result < 0)
        pool_give(r, steal(s->curl));
    return result;
}

int http_perform(struct registry *r, const struct http_hop *hop, struct response *s,
                 struct error **err)
{
    struct exchange x = {.r = r, .hop = hop, .s = s};
    struct certs certs = {0};
    if (hop->to->secure && certs_find(hop->to->host, &certs, err) < 0)
        return -1;
    CURL *c = s->curl = pool_take(r);
    if (machine_settings(r, hop, s, err) < 0) {
        certs_free(&certs);
        return -1;
    }
    struct curl_slist *headers = make_headers(hop->q);
    set_protocols(c);
    set_times(c, &x);
    set_callbacks(c, &x);
    set_method(c, &x);
    set_credentials(c, hop);
    set_certs(c, &certs);
    // Also for a token service on the same host, for no other host.
    if (r->unchecked && !strcmp(hop->to->host, r->name)) {
        curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    curl_easy_setopt(c, CURLOPT_URL, hop->to->text);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "kbuild/" KBUILD_VERSION);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    // Requests to this machine do not go through a proxy.
    if (registry_is_local(hop->to->host))
        curl_easy_setopt(c, CURLOPT_PROXY, "");
    // A reused connection, made under another limit, would bypass the check of the address.
    curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, hop->limit < SCOPE_MACHINE ? 1L : 0L);
    CURLcode code = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &s->status);
    s->retry_after = http_retry_after(c);
    curl_off_t announced = -1;
    curl_easy_getinfo(c, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    s->length = announced > 0 ? (uint64_t)announced : 0;
    s->from = hop->to->scope;
    if (scope_of_peer(c) > s->from)
        s->from = scope_of_peer(c);
    // curl takes a connection that ends within the headers for a complete answer.
    if (code == CURLE_OK && !x.head_whole)
        code = CURLE_PARTIAL_FILE;
    bool answered = code == CURLE_OK || x.error_body_full;
    int result = answered ? 0 : failed(&x, code, err);
    if (result < 0 || s->status >= 300)
        count_sent(&x, -(int64_t)x.sent);
    error_free(x.failure);
    curl_slist_free_all(headers);
    certs_free(&certs);
    s->curl = NULL;
    pool_give(r, c);
    if (answered && http_may_pass(HTTP_REGISTRY, CURLE_OK, s->status))
        s->may_pass = true;
    return result;
}

// ---- pool ----
// libcurl handles of one registry, reused since each keeps its connections.

CURL *pool_take(struct registry *r)
{
    http_begin();
    pthread_mutex_lock(&r->pool_lock);
    CURL *c = r->pool_n ? r->pool[--r->pool_n] : NULL;
    pthread_mutex_unlock(&r->pool_lock);
    if (!c)
        c = curl_easy_init();
    if (!c)
        out_of_memory();
    curl_easy_reset(c);
    return c;
}

void pool_give(struct registry *r, CURL *c)
{
    curl_easy_reset(c); // it holds pointers to the exchange
    pthread_mutex_lock(&r->pool_lock);
    r->pool = xgrow(r->pool, &r->pool_cap, r->pool_n + 1, sizeof(CURL *));
    r->pool[r->pool_n++] = c;
    pthread_mutex_unlock(&r->pool_lock);
}

void pool_close(struct registry *r)
{
    for (size_t i = 0; i < r->pool_n; i++)
        curl_easy_cleanup(r->pool[i]);
    free(r->pool);
}
