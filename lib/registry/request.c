// SPDX-License-Identifier: Apache-2.0
// Sends requests to a registry: one exchange with one server by the common client (http/http.h),
// then redirects, 401, and other tries after transient failures; and makes the error of an answer
// that refuses.
#include "registry/internal.h"

#include "base/file.h"
#include "base/libcrypto.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define REDIRECTS_MAX 10
#define AUTH_ROUNDS 3 // no token, an expired token, a token
#define CONNECT_SECONDS 15u
#define WHOLE_SLOWEST (32 << 10) // bytes per second of a whole body, on average
#define ERROR_BODY_MAX ((size_t)64 << 10)
#define BUFFER_SIZE (512L << 10) // the most that curl allows for receiving

// One exchange with one server: no redirect, no retry. `token`: Bearer; `basic`; or neither.
struct hop {
    const struct registry_request *q;
    const struct http_url *to;
    const struct credentials *basic;
    const char *token;
    enum address_scope limit; // refuses to connect to a narrower scope
};

// It, while curl runs it.
struct exchange {
    struct registry *r;
    const struct hop *hop;
    struct registry_response *s;
    uint64_t sent;
    struct http_transfer transfer;
};

void registry_response_free(struct registry_response *s)
{
    free(s->location);
    free(s->content_type);
    free(s->range);
    free(s->content_range);
    free(s->digest);
    free(s->link);
    free(s->subject);
    free(s->min_chunk);
    free(s->url);
    secret_free(s->token);
    strlist_free(&s->challenges);
    buf_free(&s->body);
    *s = (struct registry_response){0};
}

// ---- callbacks of an exchange ----
static void on_header(void *context, const char *name, const char *value)
{
    struct exchange *x = context;
    struct registry_response *s = x->s;
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
    if (!name)
        return;
    if (!strcasecmp(name, "WWW-Authenticate"))
        strlist_add(&s->challenges, value);
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (!strcasecmp(name, known[i].name)) {
            free(*known[i].field);
            *known[i].field = xstrdup(value);
            return;
        }
}

static int on_body(void *context, const char *bytes, size_t length, struct error **err)
{
    struct exchange *x = context;
    struct registry_response *s = x->s;
    const struct registry_request *q = x->hop->q;
    s->status = x->transfer.status;
    bool wanted = s->status == 200 || s->status == 206;
    if (wanted && q->sink)
        return q->sink(q->context, s, bytes, length, err);
    size_t most = wanted ? OCI_MANIFEST_MAX : ERROR_BODY_MAX;
    bool fits = length <= most - s->body.len;
    if (!fits && wanted)
        return error_user(err, "the answer is larger than %zu bytes", most);
    buf_add(&s->body, bytes, fits ? length : most - s->body.len);
    return fits ? 0 : HTTP_ENOUGH;
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
    const struct registry_request *q = x->hop->q;
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
            error_errno(&x->transfer.failure, errno, "reading what is to be sent");
        else
            error_user(&x->transfer.failure, "the file to be sent is shorter than it should be");
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

// Whether a transfer is to end: another one failed, or an interrupt is pending.
static bool is_stopped(void *registry)
{
    const struct registry *r = registry;
    return __atomic_load_n(&r->stop, __ATOMIC_RELAXED) || interrupt_is_pending();
}

void transfer_progress(struct registry *r)
{
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    uint64_t moved = __atomic_load_n(&r->moved, __ATOMIC_RELAXED);
    if (!r->total)
        return;
    pthread_mutex_lock(&one);
    progress("pushing", moved < r->total ? moved : r->total, r->total, "bytes");
    pthread_mutex_unlock(&one);
}

static bool on_progress(void *context, uint64_t received, uint64_t total)
{
    const struct exchange *x = context;
    if (x->hop->q->counted)
        transfer_progress(x->r);
    return !is_stopped(x->r);
}

static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct exchange *x = context;
    enum address_scope scope = scope_of_address(&a->addr);
    if (scope > x->hop->limit) {
        if (!x->transfer.failure)
            error_user(&x->transfer.failure,
                       "%s has a private address, and was named by a server that has none",
                       x->hop->to->host);
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

// ---- options of an exchange ----
static void set_times(struct exchange *x)
{
    const struct registry_request *q = x->hop->q;
    unsigned silence = x->r->silence + q->extra_idle_seconds;
    uint64_t whole = 4ull * silence + (q->length + q->expected) / WHOLE_SLOWEST;
    x->transfer.connect_seconds = x->r->silence < CONNECT_SECONDS ? x->r->silence : CONNECT_SECONDS;
    x->transfer.idle_seconds = silence;
    x->transfer.whole_seconds = whole < 1000000 ? (unsigned)whole : 1000000;
}

static void set_method(CURL *c, struct exchange *x)
{
    const struct registry_request *q = x->hop->q;
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
static void set_credentials(struct http_transfer *t, const struct hop *hop)
{
    if (hop->token) {
        curl_easy_setopt(t->curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(t->curl, CURLOPT_XOAUTH2_BEARER, hop->token);
    } else if (hop->basic && hop->basic->user) {
        http_set_login(t, hop->basic->user, hop->basic->password);
    }
}

static void add_header(struct http_transfer *t, const char *name, const char *value)
{
    if (!value)
        return;
    cleanup_free char *line = xasprintf("%s: %s", name, value);
    http_add_header(t, line);
}

static void add_headers(struct http_transfer *t, const struct registry_request *q)
{
    // Turns off curl's "Expect: 100-continue" and its default type.
    http_add_header(t, "Expect:");
    if (!q->content_type)
        http_add_header(t, "Content-Type:");
    add_header(t, "Content-Type", q->content_type);
    add_header(t, "Accept", q->accept);
    add_header(t, "Content-Range", q->content_range);
    add_header(t, "Range", q->range);
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

static int prepare_exchange(struct exchange *x, const struct certs *certs, struct error **err)
{
    const struct hop *hop = x->hop;
    CURL *c = x->transfer.curl;
    set_times(x);
    if (http_prepare(&x->transfer, err) < 0)
        return -1;
    add_headers(&x->transfer, hop->q);
    set_method(c, x);
    set_credentials(&x->transfer, hop);
    set_certs(c, certs); // the registry's own take precedence over the machine's CAs
    // Also for a token service on the same host, for no other host.
    if (x->r->unchecked && !strcmp(hop->to->host, x->r->name)) {
        curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    curl_easy_setopt(c, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    // Requests to this machine do not go through a proxy.
    if (http_host_is_local(hop->to->host))
        curl_easy_setopt(c, CURLOPT_PROXY, "");
    // A reused connection, made under another limit, would bypass the check of the address.
    curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, hop->limit < SCOPE_MACHINE ? 1L : 0L);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, x);
    return 0;
}

// ---- the result of an exchange ----
static int exchange_failed(struct exchange *x, struct error **err)
{
    const char *host = x->hop->to->host;
    CURLcode code = x->transfer.code;
    if (!x->transfer.failure && is_stopped(x->r)) {
        x->s->outcome = (struct http_outcome){0};
        return interrupt_is_pending()
                   ? error_set(err, ERROR_INTERRUPT, "interrupted")
                   : error_user(err, "cancelled, because another transfer failed");
    }
    bool refused = x->transfer.failure != NULL; // by a callback, whose words are enough
    http_failed(&x->transfer, err);
    if (refused)
        return -1;
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        error_hint(err,
                   "put the registry's CA as %s/ca.crt below /etc/containers/certs.d or "
                   "~/.config/containers/certs.d",
                   host);
    else if (code == CURLE_SSL_CONNECT_ERROR)
        error_hint(err, "if %s speaks plain http, that has to be allowed", host);
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

static int run_exchange(struct exchange *x, struct error **err)
{
    struct registry_response *s = x->s;
    struct http_transfer *t = &x->transfer;
    http_perform(t);
    s->status = t->status;
    s->outcome = t->outcome;
    curl_off_t announced = -1;
    curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    s->length = announced > 0 ? (uint64_t)announced : 0;
    s->from = x->hop->to->scope;
    if (scope_of_peer(t->curl) > s->from)
        s->from = scope_of_peer(t->curl);
    int result = t->code == CURLE_OK ? 0 : exchange_failed(x, err);
    if (result < 0 || s->status >= 300)
        count_sent(x, -(int64_t)x->sent);
    return result;
}

static int perform_exchange(struct registry *r, const struct hop *hop, struct registry_response *s,
                            struct error **err)
{
    struct certs certs = {0};
    if (hop->to->secure && certs_find(hop->to->host, &certs, err) < 0)
        return -1;
    struct exchange x = {.r = r,
                         .hop = hop,
                         .s = s,
                         .transfer = {.use = HTTP_REGISTRY,
                                      .url = hop->to->text,
                                      .curl = http_pool_take(r->pool),
                                      .on_header = on_header,
                                      .on_body = on_body,
                                      .on_progress = on_progress}};
    x.transfer.context = &x;
    int result = prepare_exchange(&x, &certs, err);
    if (result == 0)
        result = run_exchange(&x, err);
    http_release(&x.transfer);
    http_pool_give(r->pool, x.transfer.curl);
    certs_free(&certs);
    return result;
}

// ---- one request, with its redirects ----
// Sends it, with authorization if it goes to the registry itself.
static int send_authorized(struct registry *r, struct hop *hop, struct registry_response *s,
                           struct error **err)
{
    const struct registry_request *q = hop->q;
    bool ours = !q->outside && !strcmp(hop->to->origin, r->origin);
    for (int round = 1;; round++) {
        char *token = NULL;
        hop->basic = q->outside ? q->basic : NULL;
        if (ours && r->auth->prepare(r, q, &token, &hop->basic, err) < 0)
            return -1;
        hop->token = token;
        registry_response_free(s);
        s->token = token;
        s->basic_sent = !token && hop->basic;
        if (perform_exchange(r, hop, s, err) < 0)
            return -1;
        if (!response_is_denied(s) || !ours || round == AUTH_ROUNDS)
            return 0;
        int again = r->auth->answer(r, q, s, err);
        if (again <= 0)
            return again;
    }
}

static bool is_redirect(const struct registry_response *s)
{
    return s->location && (s->status == 301 || s->status == 302 || s->status == 303 ||
                           s->status == 307 || s->status == 308);
}

// The target of a redirect, if it is allowed.
static int redirect_target(const struct registry_request *q, const struct http_url *from,
                           const struct registry_response *s, struct http_url *to, struct hop *hop,
                           struct error **err)
{
    bool reads = !strcmp(q->method, "GET") || !strcmp(q->method, "HEAD");
    if (!reads && s->status < 307)
        return error_user(err, "the answer to %s is a redirect (status %ld)", q->method, s->status);
    if (http_url_parse(from->text, s->location, to, err) < 0)
        return error_wrap(err, "following a redirect");
    if (from->secure && !to->secure)
        return error_user(err, "a redirect leads from https to http");
    if (to->scope > hop->limit)
        return error_user(err, "a redirect leads to a private address");
    return 0;
}

int registry_exchange(struct registry *r, const struct registry_request *q,
                      struct registry_response *s, struct error **err)
{
    cleanup_http_url struct http_url at = {0};
    struct hop hop = {
        .q = q, .to = &at, .limit = q->outside || q->limited ? q->limit : SCOPE_MACHINE};
    if (http_url_parse(NULL, q->url, &at, err) < 0)
        return -1;
    for (int hops = 0;; hops++) {
        if (send_authorized(r, &hop, s, err) < 0)
            return -1;
        if (!is_redirect(s)) {
            s->url = xstrdup(at.text);
            return 0;
        }
        if (hops == REDIRECTS_MAX)
            return error_user(err, "there are more than %d redirects", REDIRECTS_MAX);
        if (s->from < hop.limit)
            hop.limit = s->from;
        struct http_url next;
        if (redirect_target(q, &at, s, &next, &hop, err) < 0) {
            http_url_free(&next);
            return -1;
        }
        http_url_free(&at);
        at = next;
    }
}

// ---- retries ----
struct retry retry_begin(const struct registry *r)
{
    return (struct retry){.left = r->tries - 1, .pause_ms = r->pause_ms};
}

bool retry_wait(struct registry *r, struct retry *retry, const struct registry_response *s)
{
    unsigned ms;
    if (is_stopped(r) || !http_retry(retry, HTTP_REGISTRY, &s->outcome, &ms))
        return false;
    http_pause(ms, is_stopped, r); // another transfer may fail meanwhile
    return true;
}

// A front end that answers instead of the registry sends text or HTML.
static bool is_json(const struct buf *body)
{
    size_t i = 0;
    while (i < body->len && strchr(" \t\r\n", body->data[i]))
        i++;
    return i < body->len && (body->data[i] == '{' || body->data[i] == '[');
}

int registry_send(struct registry *r, const struct registry_request *q, struct registry_response *s,
                  struct error **err)
{
    struct retry retry = retry_begin(r);
    for (;;) {
        cleanup_error struct error *why = NULL;
        int result = registry_exchange(r, q, s, &why);
        if (result == 0 && q->json && s->status == 200 && !is_json(&s->body)) {
            s->outcome.transient = true;
            result = error_user(&why, "the answer is not that of a registry");
        }
        if (result == 0 && !s->outcome.transient)
            return 0;
        if (retry_wait(r, &retry, s))
            continue;
        if (!s->status || s->status == 401)
            __atomic_store_n(&r->down, true, __ATOMIC_RELAXED);
        if (result == 0)
            return registry_refused(r, s, err);
        if (err)
            *err = steal(why);
        return -1;
    }
}

// ---- error messages of the registry ----
static bool text_holds(const char *text, const char *secret)
{
    return secret && *secret && strstr(text, secret);
}

static bool text_holds_basic(const struct credentials *c, const char *text)
{
    if (!c->user || !c->password)
        return false;
    char *pair = xasprintf("%s:%s", c->user, c->password);
    size_t n = strlen(pair);
    char *encoded = xmalloc(4 * (n / 3 + 1) + 1);
    EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)pair, (int)n);
    bool found = strstr(text, encoded);
    secret_free(pair);
    secret_free(encoded);
    return found;
}

// Whether the text holds a password or token.
static bool holds_secret(const struct registry *r, const char *text)
{
    const struct credentials *c = &r->credentials;
    bool found = text_holds(text, c->password) || text_holds(text, c->identity_token) ||
                 text_holds_basic(c, text);
    for (size_t i = 0; i < r->token_n; i++)
        found = found || text_holds(text, r->tokens[i].text);
    return found;
}

// "MANIFEST_INVALID: manifest invalid" of its JSON (distribution, "Error Codes"); to be freed, or
// NULL.
static char *explanation(struct registry *r, const struct registry_response *s)
{
    json_t *all = s->body.len ? json_loadb(s->body.data, s->body.len, 0, NULL) : NULL;
    const json_t *first = json_array_get(json_object_get(all, "errors"), 0);
    const char *code = json_string_value(json_object_get(first, "code"));
    const char *message = json_string_value(json_object_get(first, "message"));
    char *text = NULL;
    // A server may repeat a secret that it was sent; it must not be printed.
    if (code && !holds_secret(r, code) && !(message && holds_secret(r, message)))
        text = xasprintf("%.100s%s%.300s", code, message ? ": " : "", message ? message : "");
    for (char *c = text; c && *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    json_decref(all);
    return text;
}

// Harbor answers DENIED, with the reason only in the message text.
static bool is_quota(const struct registry_response *s)
{
    static const char *const words[] = {"quota", "storage resource", "configured upper limit",
                                        "storage limit"};
    if (s->status == 507)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(words) && s->status >= 400 && s->body.len; i++)
        if (memmem(s->body.data, s->body.len, words[i], strlen(words[i])))
            return true;
    return false;
}

int registry_refused(struct registry *r, const struct registry_response *s, struct error **err)
{
    cleanup_free char *why = explanation(r, s);
    bool again = (s->status >= 500 && s->status != 507) || s->status == 429 || s->status == 408;
    error_set(err, again ? ERROR_AGAIN : ERROR_USER, "the registry answers with status %ld%s%s%s",
              s->status, why ? " (" : "", why ? why : "", why ? ")" : "");
    if (s->status == 401)
        __atomic_store_n(&r->down, true, __ATOMIC_RELAXED);
    if (is_quota(s))
        error_hint(err,
                   "the quota of the project is used up: remove old tags and have the registry "
                   "collect its garbage, or have the quota raised");
    else if (response_is_denied(s))
        error_hint(err,
                   "log in to %s: `skopeo login %s`, or ARTEFACT_REGISTRY_USERNAME and "
                   "ARTEFACT_REGISTRY_PASSWORD",
                   r->name, r->name);
    return -1;
}
