// SPDX-License-Identifier: Apache-2.0
// Speaks git's smart protocol over libcurl: GET info/refs, and a POST for each negotiation round.
#include "http/git_settings.h"
#include "http/http.h"
#include "source/git_transport.h"
#include "source/internal.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#define CONNECT_SECONDS 30L
#define REDIRECTS_MAX 10
#define LOGINS_MAX 2 // the helpers', and once more if they have another
#define PENDING_MAX ((size_t)4 << 20)
#define START_MAX ((size_t)512) // of a body that is not the answer, to identify it
// While it packs, a server sends a few bytes a second as a sign of life.
#define SLOWEST_GIT "10"
#define SLOWEST_GIT_SECONDS "60"

// One connection to one repository.
struct git_link {
    git_smart_subtransport parent; // first: libgit2 hands it back
    struct git_outcome *outcome;
    CURL *curl;
    CURLM *multi;
    char *base;  // the repository's url, without a login; after a redirect the new one
    char *first; // the first value of base
    struct git_login login;
    bool login_by_helper, login_judged;
};

// One request and its answer.
struct git_exchange {
    git_smart_subtransport_stream parent; // first
    struct git_link *link;
    bool post, begun, ended, failed;
    struct buf request;
    struct buf pending; // bytes of the body not yet read by libgit2
    size_t taken;
    struct buf start; // of a body that is not the answer; else the last bytes read
    struct http_settings settings;
    char *content_type, *location;
    long status;
    time_t began;
    bool too_slow, paused, busy; // busy: the handle is in the multi handle
    CURLcode code;
    char reason[CURL_ERROR_SIZE];
};

static time_t seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

bool git_http_is_url(const char *url)
{
    return strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;
}

// ---- libcurl's callbacks ----
static char *header_of(const char *line, size_t length, const char *name)
{
    size_t n = strlen(name);
    if (length <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
        return NULL;
    const char *start = line + n + 1, *end = line + length;
    while (start < end && strchr(" \t", *start))
        start++;
    while (end > start && strchr(" \t\r\n", end[-1]))
        end--;
    return xstrndup(start, (size_t)(end - start));
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct git_exchange *x = context;
    size_t length = size * count;
    cleanup_free char *type = header_of(line, length, "Content-Type");
    cleanup_free char *location = header_of(line, length, "Location");
    if (type) {
        free(x->content_type);
        x->content_type = steal(type);
    }
    if (location) {
        free(x->location);
        x->location = steal(location);
    }
    return length;
}

static bool is_answer(const struct git_exchange *x)
{
    const char *expected = x->post ? "application/x-git-upload-pack-result"
                                   : "application/x-git-upload-pack-advertisement";
    return x->status == 200 && x->content_type &&
           strncasecmp(x->content_type, expected, strlen(expected)) == 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct git_exchange *x = context;
    size_t length = size * count;
    curl_easy_getinfo(x->link->curl, CURLINFO_RESPONSE_CODE, &x->status);
    if (!is_answer(x)) {
        if (x->start.len < START_MAX)
            buf_add(&x->start, bytes, length < START_MAX ? length : START_MAX);
        return x->start.len < START_MAX ? length : 0; // enough to tell
    }
    if (x->pending.len - x->taken > PENDING_MAX) {
        x->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (x->taken == x->pending.len)
        x->taken = x->pending.len = 0;
    buf_add(&x->pending, bytes, length);
    x->begun = true;
    return length;
}

static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up_now)
{
    struct git_exchange *x = context;
    x->too_slow = http_is_too_slow((uint64_t)(seconds_now() - x->began), (uint64_t)now);
    return x->too_slow;
}

// ---- one request ----
static int set_slowest(CURL *c, const char *url, struct error **err)
{
    const char *limit = NULL, *seconds = NULL;
    const char *limit_env = getenv("GIT_HTTP_LOW_SPEED_LIMIT");
    const char *seconds_env = getenv("GIT_HTTP_LOW_SPEED_TIME");
    if (git_setting("http", "lowspeedlimit", url, &limit, err) < 0 ||
        git_setting("http", "lowspeedtime", url, &seconds, err) < 0)
        return -1;
    limit = limit_env ? limit_env : limit ? limit : SLOWEST_GIT;
    seconds = seconds_env ? seconds_env : seconds ? seconds : SLOWEST_GIT_SECONDS;
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, strtol(limit, NULL, 10));
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, strtol(seconds, NULL, 10));
    return 0;
}

static void add_header(struct git_exchange *x, const char *line)
{
    struct curl_slist *longer = curl_slist_append(x->settings.headers, line);
    if (!longer)
        out_of_memory();
    x->settings.headers = longer;
}

static void set_login(CURL *c, struct git_exchange *x)
{
    const struct git_link *k = x->link;
    if (!k->login.user || x->settings.redirected)
        return;
    curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(c, CURLOPT_USERNAME, k->login.user);
    curl_easy_setopt(c, CURLOPT_PASSWORD, k->login.password ? k->login.password : "");
    if (k->login_by_helper) {
        free(x->settings.login_from);
        x->settings.login_from = xstrdup("git's credential helper");
    }
}

static void set_callbacks(CURL *c, struct git_exchange *x)
{
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, x->reason);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
}

static int set_options(struct git_exchange *x, const char *url, struct error **err)
{
    CURL *c = x->link->curl;
    curl_easy_reset(c);
    if (http_settings_apply(c, url, HTTP_GIT, &x->settings, err) < 0 ||
        set_slowest(c, url, err) < 0)
        return -1;
    set_login(c, x);
    set_callbacks(c, x);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(c, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "git/2.0 (kbuild " KBUILD_VERSION ")");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "");
    if (x->post) {
        add_header(x, "Content-Type: application/x-git-upload-pack-request");
        add_header(x, "Accept: application/x-git-upload-pack-result");
        add_header(x, "Expect:");
        curl_easy_setopt(c, CURLOPT_POST, 1L);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, x->request.data ? x->request.data : "");
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->request.len);
    }
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, x->settings.headers);
    return 0;
}

static void request_end(struct git_exchange *x)
{
    if (x->busy)
        curl_multi_remove_handle(x->link->multi, x->link->curl);
    x->busy = false;
    curl_easy_reset(x->link->curl); // it holds pointers to the exchange
    http_settings_free(&x->settings);
}

static int request_begin(struct git_exchange *x, const char *url, struct error **err)
{
    request_end(x);
    free(steal(x->content_type));
    free(steal(x->location));
    x->start.len = 0;
    x->status = 0;
    x->reason[0] = '\0';
    x->ended = x->begun = x->too_slow = x->paused = false;
    x->began = seconds_now();
    x->settings.redirected = !http_same_server(x->link->base, x->link->first);
    if (set_options(x, url, err) < 0)
        return -1;
    if (curl_multi_add_handle(x->link->multi, x->link->curl) != CURLM_OK)
        return error_user(err, "starting libcurl failed");
    x->busy = true;
    return 0;
}

// Runs until there are bytes of the body, or the end.
static void request_run(struct git_exchange *x)
{
    while (!x->ended && x->taken == x->pending.len) {
        int running = 0, left = 0;
        if (x->paused) {
            x->paused = false;
            curl_easy_pause(x->link->curl, CURLPAUSE_CONT);
        }
        CURLMcode code = curl_multi_perform(x->link->multi, &running);
        const CURLMsg *m;
        while ((m = curl_multi_info_read(x->link->multi, &left)))
            if (m->msg == CURLMSG_DONE) {
                x->ended = true;
                x->code = m->data.result;
            }
        if (code != CURLM_OK) {
            x->ended = true;
            x->code = CURLE_FAILED_INIT;
        }
        if (!x->ended && x->taken == x->pending.len)
            curl_multi_poll(x->link->multi, NULL, 0, 200, NULL);
    }
    if (x->ended)
        curl_easy_getinfo(x->link->curl, CURLINFO_RESPONSE_CODE, &x->status);
}

// ---- judging an answer ----
static int transfer_failed(struct git_exchange *x, const char *url, struct error **err)
{
    struct git_outcome *o = x->link->outcome;
    cleanup_free char *why = http_failure(url, HTTP_GIT, x->code, x->reason);
    CURLcode code = x->too_slow ? CURLE_OPERATION_TIMEDOUT : x->code;
    o->may_pass = http_may_pass(HTTP_GIT, code, x->status);
    if (x->too_slow)
        return error_user(err, "the server sends so slowly that it is no use");
    error_user(err, "%s", why);
    if (x->code == CURLE_PEER_FAILED_VERIFICATION)
        error_hint(err, "if its CA is one of your own, let git's http.sslCAInfo or SSL_CERT_FILE "
                        "name it");
    return -1;
}

static int login_missing(const struct git_exchange *x, struct error **err)
{
    if (x->settings.login_from) {
        error_user(err, "it does not accept the login of %s (status %ld)", x->settings.login_from,
                   x->status);
        return error_hint(err, "check what %s says for this host", x->settings.login_from);
    }
    error_user(err, "it asks for a login");
    return error_hint(err, "check the url: hosts ask for a login where a repository does not exist "
                           "or is not public. A login is taken from git's credential.helper, "
                           "http.extraHeader and ~/.netrc");
}

static int no_smart_answer(const struct git_exchange *x, struct error **err)
{
    const char *start = x->start.data ? x->start.data : "";
    size_t hex = strspn(start, "0123456789abcdef");
    const char *type = x->content_type ? x->content_type : "of no type";
    if (!x->post && (hex == 40 || hex == 64) && start[hex] == '\t') {
        error_user(err, "its server speaks git's old \"dumb\" protocol only: it hands out files");
        return error_hint(err, "let the server run `git http-backend`, use another url of the "
                               "repository, or clone it with git and name the clone's folder");
    }
    error_user(err, "there is no git repository: the answer is %s", type);
    return error_hint(err, "check the url; a login page or a proxy's page looks like this, too");
}

static int status_failed(struct git_exchange *x, struct error **err)
{
    struct git_outcome *o = x->link->outcome;
    o->retry_after = http_retry_after(x->link->curl);
    o->may_pass = http_may_pass(HTTP_GIT, CURLE_OK, x->status);
    if (x->status == 401)
        return login_missing(x, err);
    if (x->status == 200)
        return no_smart_answer(x, err);
    error_user(err, "the server answers with status %ld", x->status);
    if (x->status == 404 || x->status == 410)
        error_hint(err, "check the url: there is no such repository, or it is not public");
    return -1;
}

// ---- between a request and its answer ----
static void judge_login(struct git_link *k, bool good)
{
    if (k->login_by_helper && !k->login_judged)
        git_login_judge(&k->login, good);
    k->login_judged = true;
}

// 1: there is an untried login.
static int ask_for_login(struct git_exchange *x, struct error **err)
{
    struct git_link *k = x->link;
    if (x->settings.redirected)
        return 0;
    if (k->login_by_helper)
        judge_login(k, false);
    struct git_login login;
    int found = git_login_fill(k->first, &login, err);
    if (found <= 0)
        return found;
    bool same = k->login_by_helper && k->login.user && strcmp(login.user, k->login.user) == 0 &&
                strcmp(login.password, k->login.password) == 0;
    git_login_free(&k->login);
    k->login = login;
    k->login_by_helper = true;
    k->login_judged = false;
    return same ? 0 : 1;
}

// gitprotocol-http(5): the redirected url of info/refs names the repository from then on.
static int follow(struct git_exchange *x, const char *from, struct error **err)
{
    static const char tail[] = "/info/refs";
    CURLU *u = curl_url();
    char *text = NULL;
    if (u && curl_url_set(u, CURLUPART_URL, from, 0) == CURLUE_OK &&
        curl_url_set(u, CURLUPART_URL, x->location, 0) == CURLUE_OK) {
        curl_url_set(u, CURLUPART_USER, NULL, 0);
        curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
        curl_url_get(u, CURLUPART_URL, &text, 0);
    }
    cleanup_free char *to = text ? xstrdup(text) : NULL;
    curl_free(text);
    curl_url_cleanup(u);
    if (!to || !git_http_is_url(to))
        return error_user(err, "it redirects to \"%s\", which is no http url", x->location);
    if (strncasecmp(from, "https:", 6) == 0 && strncasecmp(to, "https:", 6) != 0)
        return error_user(err, "it redirects from https to http");
    char *end = strstr(to, tail);
    if (!end)
        return error_user(err, "it redirects to %s, which is no repository", to);
    *end = '\0';
    free(x->link->base);
    x->link->base = steal(to);
    return 0;
}

static char *request_url(const struct git_exchange *x)
{
    return x->post ? xasprintf("%s/git-upload-pack", x->link->base)
                   : xasprintf("%s/info/refs?service=git-upload-pack", x->link->base);
}

// Sends the request until its answer begins.
static int exchange_begin(struct git_exchange *x, struct error **err)
{
    unsigned redirects = 0, logins = 0;
    for (;;) {
        cleanup_free char *url = request_url(x);
        if (request_begin(x, url, err) < 0)
            return -1;
        request_run(x);
        if (x->begun || (x->ended && x->code == CURLE_OK && is_answer(x))) {
            judge_login(x->link, true);
            return 0;
        }
        // on_body() cuts off a body that is not the answer.
        bool answered = x->code == CURLE_OK || x->start.len >= START_MAX;
        if (!answered)
            return transfer_failed(x, url, err);
        int login = x->status == 401 && logins++ < LOGINS_MAX ? ask_for_login(x, err) : 0;
        if (login < 0)
            return -1;
        if (login > 0)
            continue;
        bool moved = x->status >= 301 && x->status <= 308 && x->location;
        if (!moved || x->post)
            return status_failed(x, err);
        if (++redirects > REDIRECTS_MAX)
            return error_user(err, "there are more than %d redirects", REDIRECTS_MAX);
        if (follow(x, url, err) < 0)
            return -1;
    }
}

// ---- libgit2's side ----
static int exchange_failed(struct git_exchange *x, struct error *why)
{
    x->failed = true;
    return git_outcome_fail(x->link->outcome, why);
}

static int exchange_read(git_smart_subtransport_stream *stream, char *buffer, size_t size,
                         size_t *got)
{
    struct git_exchange *x = (struct git_exchange *)stream;
    struct error *why = NULL;
    *got = 0;
    if (x->failed)
        return -1;
    if (!x->busy && exchange_begin(x, &why) < 0)
        return exchange_failed(x, why);
    request_run(x);
    size_t there = x->pending.len - x->taken;
    if (!there && x->code != CURLE_OK) {
        cleanup_free char *url = request_url(x);
        transfer_failed(x, url, &why);
        return exchange_failed(x, why);
    }
    const char *bytes = there ? x->pending.data + x->taken : "";
    *got = there < size ? there : size;
    if (!x->post && git_says_shallow(&x->start, bytes, *got)) {
        git_refuse_shallow(&why);
        return exchange_failed(x, why);
    }
    if (*got)
        memcpy(buffer, bytes, *got);
    x->taken += *got;
    return 0;
}

static int exchange_write(git_smart_subtransport_stream *stream, const char *bytes, size_t length)
{
    struct git_exchange *x = (struct git_exchange *)stream;
    buf_add(&x->request, bytes, length);
    return 0;
}

static void exchange_free(git_smart_subtransport_stream *stream)
{
    struct git_exchange *x = (struct git_exchange *)stream;
    request_end(x);
    buf_free(&x->request);
    buf_free(&x->pending);
    buf_free(&x->start);
    free(x->content_type);
    free(x->location);
    free(x);
}

// A login in the url is tried first.
static void link_open(struct git_link *k, const char *url)
{
    size_t n = strlen(url);
    cleanup_free char *trimmed = xstrndup(url, n && url[n - 1] == '/' ? n - 1 : n);
    free(k->base);
    free(k->first);
    k->base = http_url_shown(trimmed);
    k->first = xstrdup(trimmed);
    git_login_free(&k->login);
    k->login.user = http_url_part(url, CURLUPART_USER);
    k->login.password = http_url_part(url, CURLUPART_PASSWORD);
    k->login_by_helper = k->login_judged = false;
}

static int link_action(git_smart_subtransport_stream **out, git_smart_subtransport *transport,
                       const char *url, git_smart_service_t action)
{
    struct git_link *k = (struct git_link *)transport;
    if (action != GIT_SERVICE_UPLOADPACK_LS && action != GIT_SERVICE_UPLOADPACK) {
        struct error *why = NULL;
        error_user(&why, "only fetching is possible");
        return git_outcome_fail(k->outcome, why);
    }
    if (!k->base || action == GIT_SERVICE_UPLOADPACK_LS)
        link_open(k, url);
    struct git_exchange *x = xcalloc(1, sizeof *x);
    x->parent.subtransport = transport;
    x->parent.read = exchange_read;
    x->parent.write = exchange_write;
    x->parent.free = exchange_free;
    x->link = k;
    x->post = action == GIT_SERVICE_UPLOADPACK;
    *out = &x->parent;
    return 0;
}

static int link_close(git_smart_subtransport *transport)
{
    return 0; // the connection is kept for the next action
}

static void link_free(git_smart_subtransport *transport)
{
    struct git_link *k = (struct git_link *)transport;
    curl_easy_cleanup(k->curl);
    curl_multi_cleanup(k->multi);
    free(k->base);
    free(k->first);
    git_login_free(&k->login);
    free(k);
}

static int link_new(git_smart_subtransport **out, git_transport *owner, void *outcome)
{
    http_begin();
    struct git_link *k = xcalloc(1, sizeof *k);
    k->parent.action = link_action;
    k->parent.close = link_close;
    k->parent.free = link_free;
    k->outcome = outcome;
    k->curl = curl_easy_init();
    k->multi = curl_multi_init();
    if (!k->curl || !k->multi)
        out_of_memory();
    *out = &k->parent;
    return 0;
}

int git_http_transport(git_transport **out, git_remote *owner, struct git_outcome *o)
{
    git_smart_subtransport_definition definition = {.callback = link_new, .rpc = 1, .param = o};
    return git_transport_smart(out, owner, &definition);
}
