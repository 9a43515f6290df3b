// SPDX-License-Identifier: Apache-2.0
// Speaks git's smart protocol over libcurl: GET info/refs, and a POST for each negotiation round.
#include "http/http.h"
#include "source/git_internal.h"
#include "source/internal.h"

#include <string.h>
#include <strings.h>

#define REDIRECTS_MAX 10
#define LOGINS_MAX 2 // the helpers', and once more if they have another
#define PENDING_MAX ((size_t)4 << 20)
#define START_MAX ((size_t)512) // of a body that is not the answer, to identify it

// One connection to one repository.
struct git_link {
    git_smart_subtransport parent; // first: libgit2 hands it back
    struct git_outcome *outcome;
    CURL *curl;
    struct http_group group;
    char *base;  // the repository's url, without a login; after a redirect the new one
    char *first; // the first value of base
    struct git_login login;
    bool login_by_helper, login_judged;
};

// One request and its answer.
struct git_exchange {
    git_smart_subtransport_stream parent; // first
    struct git_link *link;
    bool post, sent, begun, ended, failed;
    struct buf request;
    struct buf pending; // bytes of the body not yet read by libgit2
    size_t taken;
    struct buf start; // of a body that is not the answer; else the last bytes read
    char *content_type, *location;
    bool paused;
    char *url;
    struct http_transfer http;
};

bool git_http_is_url(const char *url)
{
    return strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;
}

// ---- callbacks ----
static void on_header(void *context, const char *name, const char *value)
{
    struct git_exchange *x = context;
    char **field = !name                                   ? NULL
                   : strcasecmp(name, "Content-Type") == 0 ? &x->content_type
                   : strcasecmp(name, "Location") == 0     ? &x->location
                                                           : NULL;
    if (!field)
        return;
    free(*field);
    *field = xstrdup(value);
}

static bool is_answer(const struct git_exchange *x)
{
    const char *expected = x->post ? "application/x-git-upload-pack-result"
                                   : "application/x-git-upload-pack-advertisement";
    return x->http.status == 200 && x->content_type &&
           strncasecmp(x->content_type, expected, strlen(expected)) == 0;
}

static int on_body(void *context, const char *bytes, size_t length, struct error **err)
{
    struct git_exchange *x = context;
    if (!is_answer(x)) {
        if (x->start.len < START_MAX)
            buf_add(&x->start, bytes, length < START_MAX ? length : START_MAX);
        return x->start.len < START_MAX ? 0 : HTTP_ENOUGH; // to tell what it is
    }
    if (x->pending.len - x->taken > PENDING_MAX) {
        x->paused = true;
        return HTTP_PAUSE;
    }
    if (x->taken == x->pending.len)
        x->taken = x->pending.len = 0;
    buf_add(&x->pending, bytes, length);
    x->begun = true;
    return 0;
}

// ---- one request ----
static void set_login(struct git_exchange *x)
{
    const struct git_link *k = x->link;
    if (!k->login.user || x->http.redirected)
        return;
    http_set_login(&x->http, k->login.user, k->login.password);
    if (k->login_by_helper) {
        free(x->http.login_from);
        x->http.login_from = xstrdup("git's credential helper");
    }
}

static void set_post(struct git_exchange *x)
{
    CURL *c = x->link->curl;
    http_add_header(&x->http, "Content-Type: application/x-git-upload-pack-request");
    http_add_header(&x->http, "Accept: application/x-git-upload-pack-result");
    http_add_header(&x->http, "Expect:");
    curl_easy_setopt(c, CURLOPT_POST, 1L);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, x->request.data ? x->request.data : "");
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->request.len);
}

static int request_begin(struct git_exchange *x, struct error **err)
{
    const struct git_link *k = x->link;
    free(x->url);
    x->url = x->post ? xasprintf("%s/git-upload-pack", k->base)
                     : xasprintf("%s/info/refs?service=git-upload-pack", k->base);
    free(steal(x->content_type));
    free(steal(x->location));
    x->start.len = 0;
    x->ended = x->begun = x->paused = false;
    x->http.url = x->url;
    x->http.redirected = !http_same_server(k->base, k->first);
    if (http_prepare(&x->http, err) < 0)
        return -1;
    set_login(x);
    curl_easy_setopt(k->curl, CURLOPT_ACCEPT_ENCODING, "");
    if (x->post)
        set_post(x);
    x->sent = true;
    return http_group_add(&x->link->group, &x->http, err);
}

static int on_ended(void *context, struct http_transfer *t, struct error **err)
{
    struct git_exchange *x = context;
    x->ended = true;
    return 0;
}

// Runs until there are bytes of the body, or the end.
static void request_run(struct git_exchange *x)
{
    struct http_group *group = &x->link->group;
    struct error **why = &x->http.failure;
    while (!x->ended && x->taken == x->pending.len) {
        if (x->paused) {
            x->paused = false;
            curl_easy_pause(x->link->curl, CURLPAUSE_CONT);
        }
        int result = http_group_run(group, on_ended, x, why);
        if (result >= 0 && !x->ended && x->taken == x->pending.len)
            result = http_group_wait(group, 200, why);
        if (result < 0) {
            x->ended = true;
            x->http.code = CURLE_FAILED_INIT;
        }
    }
}

// ---- judging an answer ----
static int request_failed(struct git_exchange *x, struct error **err)
{
    x->link->outcome->may_pass = x->http.outcome.transient;
    return http_failed(&x->http, err);
}

static int login_missing(const struct git_exchange *x, struct error **err)
{
    if (x->http.login_from) {
        error_user(err, "it does not accept the login of %s (status %ld)", x->http.login_from,
                   x->http.status);
        return error_hint(err, "check what %s says for this host", x->http.login_from);
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
        error_user(err, "its server has only git's old \"dumb\" protocol, which is plain files");
        return error_hint(err, "let the server run `git http-backend`, use another url of the "
                               "repository, or clone it with git and name the clone's directory");
    }
    error_user(err, "there is no git repository: the answer is %s", type);
    return error_hint(err, "check the url; a login page or a proxy's page looks like this, too");
}

static int status_failed(struct git_exchange *x, struct error **err)
{
    struct git_outcome *o = x->link->outcome;
    o->retry_after = x->http.outcome.retry_after;
    o->may_pass = x->http.outcome.transient;
    if (x->http.status == 401)
        return login_missing(x, err);
    if (x->http.status == 200)
        return no_smart_answer(x, err);
    error_user(err, "the server answers with status %ld", x->http.status);
    if (x->http.status == 404 || x->http.status == 410)
        error_hint(err, "check the url: there is no such repository, or it is not public");
    return -1;
}

// ---- between a request and its answer ----
static void judge_login(struct git_link *k, bool good)
{
    if (k->login_by_helper && !k->login_judged)
        git_login_report(&k->login, good);
    k->login_judged = true;
}

// 1: there is an untried login.
static int ask_for_login(struct git_exchange *x, struct error **err)
{
    struct git_link *k = x->link;
    if (x->http.redirected)
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
static int follow_redirect(struct git_exchange *x, struct error **err)
{
    static const char tail[] = "/info/refs";
    cleanup_free char *to = http_url_join(x->url, x->location);
    if (!to || !git_http_is_url(to))
        return error_user(err, "it redirects to \"%s\", which is no http url", x->location);
    if (strncasecmp(x->url, "https:", 6) == 0 && strncasecmp(to, "https:", 6) != 0)
        return error_user(err, "it redirects from https to http");
    char *end = strstr(to, tail);
    if (!end)
        return error_user(err, "it redirects to %s, which is no repository", to);
    *end = '\0';
    free(x->link->base);
    x->link->base = steal(to);
    return 0;
}

// Sends the request until its answer begins.
static int exchange_begin(struct git_exchange *x, struct error **err)
{
    unsigned redirects = 0, logins = 0;
    for (;;) {
        if (request_begin(x, err) < 0)
            return -1;
        request_run(x);
        if (x->begun || (x->ended && x->http.code == CURLE_OK && is_answer(x))) {
            judge_login(x->link, true);
            return 0;
        }
        if (x->http.code != CURLE_OK)
            return request_failed(x, err);
        int login = x->http.status == 401 && logins++ < LOGINS_MAX ? ask_for_login(x, err) : 0;
        if (login < 0)
            return -1;
        if (login > 0)
            continue;
        bool moved = x->http.status >= 301 && x->http.status <= 308 && x->location;
        if (!moved || x->post)
            return status_failed(x, err);
        if (++redirects > REDIRECTS_MAX)
            return error_user(err, "there are more than %d redirects", REDIRECTS_MAX);
        if (follow_redirect(x, err) < 0)
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
    if (!x->sent && exchange_begin(x, &why) < 0)
        return exchange_failed(x, why);
    request_run(x);
    size_t there = x->pending.len - x->taken;
    if (!there && x->http.code != CURLE_OK) {
        request_failed(x, &why);
        return exchange_failed(x, why);
    }
    const char *bytes = there ? x->pending.data + x->taken : "";
    *got = there < size ? there : size;
    if (!x->post && git_advertises_shallow(&x->start, bytes, *got)) {
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
    http_release(&x->http);
    free(x->url);
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
    x->http = (struct http_transfer){
        .use = HTTP_GIT, .curl = k->curl, .on_header = on_header, .on_body = on_body, .context = x};
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
    http_group_close(&k->group);
    free(k->base);
    free(k->first);
    git_login_free(&k->login);
    free(k);
}

static int link_new(git_smart_subtransport **out, git_transport *owner, void *outcome)
{
    struct git_link *k = xcalloc(1, sizeof *k);
    k->parent.action = link_action;
    k->parent.close = link_close;
    k->parent.free = link_free;
    k->outcome = outcome;
    k->curl = http_handle();
    http_group_open(&k->group);
    *out = &k->parent;
    return 0;
}

int git_http_transport(git_transport **out, git_remote *owner, struct git_outcome *o)
{
    git_smart_subtransport_definition definition = {.callback = link_new, .rpc = 1, .param = o};
    return git_transport_smart(out, owner, &definition);
}
