// SPDX-License-Identifier: Apache-2.0
// Sends a request, and handles redirects, 401 and transient failures.
#include "registry/internal.h"

#include <errno.h>
#include <string.h>

#define REDIRECTS_MAX 10
#define AUTH_ROUNDS 3     // no token, an expired token, a token
#define NO_ANSWER_TRIES 1 // more tries, after no answer at all

void response_free(struct response *s)
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
    challenges_free(&s->challenges);
    buf_free(&s->body);
    *s = (struct response){0};
}

// ---- one request ----
// Sends it, with authorization if it goes to the registry itself.
static int send_one(struct registry *r, struct http_hop *hop, struct response *s,
                    struct error **err)
{
    const struct request *q = hop->q;
    bool ours = !q->outside && !strcmp(hop->to->origin, r->origin);
    for (int round = 1;; round++) {
        char *token = NULL;
        hop->basic = q->outside ? q->basic : NULL;
        if (ours && auth_prepare(r, q, &token, &hop->basic, err) < 0)
            return -1;
        hop->token = token;
        response_free(s);
        s->token = token;
        s->basic_sent = !token && hop->basic;
        if (http_perform(r, hop, s, err) < 0)
            return -1;
        if (!http_is_denied(s) || !ours || round == AUTH_ROUNDS)
            return 0;
        int again = auth_answer(r, q, s, err);
        if (again <= 0)
            return again;
    }
}

static bool is_redirect(const struct response *s)
{
    return s->location && (s->status == 301 || s->status == 302 || s->status == 303 ||
                           s->status == 307 || s->status == 308);
}

// The target of a redirect, if it is allowed.
static int follow(const struct request *q, const struct url *from, const struct response *s,
                  struct url *to, struct http_hop *hop, struct error **err)
{
    bool reads = !strcmp(q->method, "GET") || !strcmp(q->method, "HEAD");
    if (!reads && s->status < 307)
        return error_user(err, "the answer to %s is a redirect (status %ld)", q->method, s->status);
    if (url_parse(from->text, s->location, to, err) < 0)
        return error_wrap(err, "following a redirect");
    if (from->secure && !to->secure)
        return error_user(err, "a redirect leads from https to http");
    if (to->scope > hop->limit)
        return error_user(err, "a redirect leads to a private address");
    return 0;
}

int http_exchange(struct registry *r, const struct request *q, struct response *s,
                  struct error **err)
{
    cleanup_url struct url at = {0};
    struct http_hop hop = {.q = q, .to = &at, .limit = q->outside ? q->limit : SCOPE_MACHINE};
    if (url_parse(NULL, q->url, &at, err) < 0)
        return -1;
    for (int hops = 0;; hops++) {
        if (send_one(r, &hop, s, err) < 0)
            return -1;
        if (!is_redirect(s)) {
            s->url = xstrdup(at.text);
            return 0;
        }
        if (hops == REDIRECTS_MAX)
            return error_user(err, "there are more than %d redirects", REDIRECTS_MAX);
        if (s->from < hop.limit)
            hop.limit = s->from;
        struct url next;
        if (follow(q, &at, s, &next, &hop, err) < 0) {
            url_free(&next);
            return -1;
        }
        url_free(&at);
        at = next;
    }
}

// ---- retries ----
struct retry retry_begin(const struct registry *r)
{
    return (struct retry){.left = r->tries - 1, .pause_ms = r->pause_ms};
}

static void pause_ms(struct registry *r, unsigned ms)
{
    // In short waits, because another transfer may fail meanwhile.
    for (; ms && !__atomic_load_n(&r->stop, __ATOMIC_RELAXED) && !http_interrupted();
         ms -= ms < 50 ? ms : 50) {
        struct timespec t = {0, (long)(ms < 50 ? ms : 50) * 1000000};
        while (nanosleep(&t, &t) < 0 && errno == EINTR)
            ;
    }
}

bool retry_wait(struct registry *r, struct retry *retry, const struct response *s)
{
    if (s->no_answer && retry->left > NO_ANSWER_TRIES)
        retry->left = NO_ANSWER_TRIES;
    if (!s->may_pass || __atomic_load_n(&r->stop, __ATOMIC_RELAXED) || http_interrupted())
        return false;
    unsigned ms;
    if (!retry_next(retry, s->retry_after, &ms))
        return false;
    pause_ms(r, ms);
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

int http_request(struct registry *r, const struct request *q, struct response *s,
                 struct error **err)
{
    struct retry retry = retry_begin(r);
    for (;;) {
        cleanup_error struct error *why = NULL;
        int result = http_exchange(r, q, s, &why);
        if (result == 0 && q->json && s->status == 200 && !is_json(&s->body)) {
            s->may_pass = true;
            result = error_user(&why, "the answer is not that of a registry");
        }
        if (result == 0 && !s->may_pass)
            return 0;
        if (retry_wait(r, &retry, s))
            continue;
        if (!s->status || s->status == 401)
            __atomic_store_n(&r->down, true, __ATOMIC_RELAXED);
        if (result == 0)
            return http_refused(r, s, err);
        if (err)
            *err = steal(why);
        return -1;
    }
}

void registry_set_wrong(struct registry *r)
{
    __atomic_store_n(&r->wrong, true, __ATOMIC_RELAXED);
}

bool registry_was_wrong(const struct registry *r)
{
    return __atomic_load_n(&r->wrong, __ATOMIC_RELAXED);
}

bool registry_is_down(const struct registry *r)
{
    return __atomic_load_n(&r->down, __ATOMIC_RELAXED);
}

// ---- error messages of the registry ----
// "MANIFEST_INVALID: manifest invalid" of its JSON (distribution, "Error Codes"); to be freed, or
// NULL.
static char *explanation(struct registry *r, const struct response *s)
{
    json_t *all = s->body.len ? json_loadb(s->body.data, s->body.len, 0, NULL) : NULL;
    const json_t *first = json_array_get(json_object_get(all, "errors"), 0);
    const char *code = json_string_value(json_object_get(first, "code"));
    const char *message = json_string_value(json_object_get(first, "message"));
    char *text = NULL;
    // A server may repeat a secret that it was sent; it must not be printed.
    if (code && !auth_is_in(r, code) && !(message && auth_is_in(r, message)))
        text = xasprintf("%.100s%s%.300s", code, message ? ": " : "", message ? message : "");
    for (char *c = text; c && *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    json_decref(all);
    return text;
}

// Harbor answers DENIED, with the reason only in the message text.
static bool is_quota(const struct response *s)
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

int http_refused(struct registry *r, const struct response *s, struct error **err)
{
    cleanup_free char *why = explanation(r, s);
    error_user(err, "the registry answers with status %ld%s%s%s", s->status, why ? " (" : "",
               why ? why : "", why ? ")" : "");
    if (s->status == 401)
        __atomic_store_n(&r->down, true, __ATOMIC_RELAXED);
    if (is_quota(s))
        error_hint(err,
                   "the quota of the project is used up: remove old tags and have the registry "
                   "collect its garbage, or have the quota raised");
    else if (http_is_denied(s))
        error_hint(err,
                   "log in to %s: `skopeo login %s`, or ARTEFACT_REGISTRY_USERNAME and "
                   "ARTEFACT_REGISTRY_PASSWORD",
                   r->name, r->name);
    return -1;
}
