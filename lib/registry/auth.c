// SPDX-License-Identifier: Apache-2.0
// Authorizes requests, before sending and after a 401: with Basic (RFC 7617), or a token from the
// registry's token service (distribution, "Token Authentication Specification" and "OAuth2").
#include "base/libcrypto.h"
#include "base/process.h"
#include "registry/internal.h"

#include <string.h>
#include <strings.h>

// ---- challenges ----
// WWW-Authenticate: challenge *("," challenge), a challenge being scheme [1*SP (token68 / params)]
// (RFC 9110, sections 5.6 and 11). The header is untrusted.

#define VALUE_MAX 4096 // of a parameter
#define CHALLENGES_MAX 16

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip_space(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

static const char *parse_word(const char *p, char **out)
{
    const char *start = p;
    while (is_token_char(*p))
        p++;
    *out = p > start ? xstrndup(start, (size_t)(p - start)) : NULL;
    return p;
}

// Reads a token or a quoted string. *out stays NULL if there is none.
static const char *parse_challenge_value(const char *p, char **out)
{
    if (*p != '"')
        return parse_word(p, out);
    struct buf value = {0};
    for (p++; *p && *p != '"'; p++) {
        if (*p == '\\' && p[1])
            p++;
        buf_add(&value, p, 1);
    }
    if (*p == '"') {
        p++;
        *out = buf_take(&value);
    }
    buf_free(&value);
    return p;
}

static void set_challenge_parameter(struct challenge *c, const char *name, char *value)
{
    const struct {
        const char *name;
        char **field;
    } known[] = {
        {"realm", &c->realm},
        {"service", &c->service},
        {"scope", &c->scope},
        {"error", &c->error},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (!strcasecmp(known[i].name, name) && !*known[i].field && strlen(value) <= VALUE_MAX) {
            *known[i].field = value;
            return;
        }
    free(value);
}

// The parameters of one challenge, up to the next scheme or the end.
static const char *parse_challenge_parameters(const char *p, struct challenge *c)
{
    for (;;) {
        const char *start = p = skip_space(p);
        cleanup_free char *name = NULL;
        char *value = NULL;
        p = skip_space(parse_word(p, &name));
        if (!name || *p != '=')
            return start;
        p = parse_challenge_value(skip_space(p + 1), &value);
        if (value)
            set_challenge_parameter(c, name, value);
        // The rest up to the comma is no parameter (padding of a token68, for example).
        p += strcspn(p, ",");
        if (!*p)
            return p;
        p++;
    }
}

void challenges_add(struct challenges *list, const char *value)
{
    const char *p = value;
    while (*p && list->n < CHALLENGES_MAX) {
        p = skip_space(p);
        char *scheme = NULL;
        p = parse_word(p, &scheme);
        if (!scheme) {
            p += *p != '\0';
            continue;
        }
        for (char *c = scheme; *c; c++)
            *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
        list->items = xgrow(list->items, &list->cap, list->n + 1, sizeof *list->items);
        list->items[list->n] = (struct challenge){.scheme = scheme};
        p = parse_challenge_parameters(p, &list->items[list->n++]);
    }
}

const struct challenge *challenges_find(const struct challenges *list, const char *scheme)
{
    for (size_t i = 0; i < list->n; i++)
        if (!strcmp(list->items[i].scheme, scheme))
            return &list->items[i];
    return NULL;
}

void challenges_free(struct challenges *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->items[i].scheme);
        free(list->items[i].realm);
        free(list->items[i].service);
        free(list->items[i].scope);
        free(list->items[i].error);
    }
    free(list->items);
    *list = (struct challenges){0};
}

// ---- token services ----
// Requests to a token service, and its answers.

#define SECONDS_DEFAULT 60 // the specification's, for an answer without expires_in
#define SECONDS_MAX 86400
#define TOKEN_MAX (64 << 10)

// Percent-encoded except RFC 3986's unreserved characters.
static void add_form_field(struct buf *out, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    buf_printf(out, "%s%s=", out->len ? "&" : "", name);
    for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                     (*c >= '0' && *c <= '9') || strchr("-._~", *c);
        buf_printf(out, plain ? "%c" : "%%%02X", *c);
    }
}

// The URL-encoded form or query of a token request; to be freed.
static char *token_query(const char *service, const struct strlist *scopes,
                         const char *identity_token)
{
    struct buf out = {0};
    add_form_field(&out, "service", service);
    if (identity_token) {
        cleanup_free char *all = strlist_join(scopes, " ");
        add_form_field(&out, "client_id", "kbuild");
        add_form_field(&out, "grant_type", "refresh_token");
        add_form_field(&out, "scope", all);
        add_form_field(&out, "refresh_token", identity_token);
    } else {
        for (size_t i = 0; i < scopes->n; i++)
            add_form_field(&out, "scope", scopes->items[i]);
    }
    return buf_take(&out);
}

int token_parse(const char *text, size_t length, char **token, long *seconds, struct error **err)
{
    json_t *all = length ? json_loadb(text, length, 0, NULL) : NULL;
    const char *found = json_string_value(json_object_get(all, "token"));
    if (!found || !*found)
        found = json_string_value(json_object_get(all, "access_token"));
    bool clean = found && *found && strlen(found) <= TOKEN_MAX;
    for (const char *c = found; clean && *c; c++)
        clean = *c > ' ' && *c < 0x7f; // it goes into a header
    if (clean) {
        json_int_t given = json_integer_value(json_object_get(all, "expires_in"));
        *seconds = given <= 0 ? SECONDS_DEFAULT : given < SECONDS_MAX ? (long)given : SECONDS_MAX;
        *token = xstrdup(found);
    }
    json_decref(all);
    return clean ? 0 : error_user(err, "the token service's answer holds no token");
}

// ---- authorizing requests ----
#define REFRESH_EARLY 10L  // seconds before a token ends
#define DENIED_SECONDS 60L // no new request after a refused token

static long long monotonic_seconds(void)
{
    return now_ms() / 1000;
}

// The key of a cached token: "pull,push a/b".
static char *token_key(const struct registry_request *q)
{
    return xasprintf("%s %s", q->access == ACCESS_PUSH ? "pull,push" : "pull",
                     q->mount_from ? q->mount_from : "");
}

static struct registry_token *find_token(struct registry *r, const char *key)
{
    for (size_t i = 0; i < r->token_n; i++)
        if (!strcmp(r->tokens[i].scope, key))
            return &r->tokens[i];
    r->tokens = xgrow(r->tokens, &r->token_cap, r->token_n + 1, sizeof *r->tokens);
    r->tokens[r->token_n] = (struct registry_token){.scope = xstrdup(key)};
    return &r->tokens[r->token_n++];
}

static int look_up_credentials(struct registry *r, struct error **err)
{
    if (r->not_found)
        return error_user(err, "%s", r->not_found);
    if (!r->looked_up && credentials_find(r->name, r->repository, &r->credentials, err) < 0) {
        r->not_found = xstrdup((*err)->message); // so a helper runs only once
        return -1;
    }
    r->looked_up = true;
    return 0;
}

static void collect_scopes(const struct registry *r, const struct registry_request *q,
                           struct strlist *out)
{
    strlist_addf(out, "repository:%s:%s", r->repository,
                 q->access == ACCESS_PUSH ? "pull,push" : "pull");
    if (q->mount_from)
        strlist_addf(out, "repository:%s:pull", q->mount_from);
    // The scope from the registry, if it has another name for this repository.
    cleanup_free char *own = xasprintf("repository:%s:", r->repository);
    if (r->asked_scope && *r->asked_scope && !starts_with(r->asked_scope, own) &&
        !strlist_has(out, r->asked_scope))
        strlist_add(out, r->asked_scope);
}

// The registry, which may get the credentials anyway, names the realm; but they must not go from
// TLS to plain text, nor to a place that only this machine or network can reach.
static int check_realm(const struct registry *r, struct http_url *realm, struct error **err)
{
    if (http_url_parse(NULL, r->realm, realm, err) < 0)
        return error_wrap(err, "finding the token service of %s", r->name);
    if (!realm->secure && !r->insecure)
        return error_user(err, "the token service of %s is without TLS", r->name);
    if (realm->scope > r->realm_limit)
        return error_user(err, "the token service of %s has a private address", r->name);
    return 0;
}

// Asks the token service for these scopes; without scopes it only checks the login.
static int ask_token_service(struct registry *r, const struct http_url *realm,
                             const struct strlist *scopes, struct registry_response *s,
                             struct error **err)
{
    const struct credentials *c = &r->credentials;
    char *query = token_query(r->service, scopes, c->identity_token);
    const char *join = *query ? strchr(realm->text, '?') ? "&" : "?" : "";
    cleanup_free char *url = xasprintf("%s%s%s", realm->text, c->identity_token ? "" : join,
                                       c->identity_token ? "" : query);
    struct registry_request ask = {
        .method = c->identity_token ? "POST" : "GET",
        .url = url,
        .outside = true,
        .json = true,
        .limit = r->realm_limit, // also for the resolved address
        .basic = c->identity_token || !c->user ? NULL : c,
    };
    if (c->identity_token) {
        ask.content_type = "application/x-www-form-urlencoded";
        ask.bytes = query;
        ask.length = strlen(query);
    }
    int result = registry_send(r, &ask, s, err);
    secret_free(query);
    return result;
}

static bool is_anonymous(const struct registry *r)
{
    return !r->credentials.user && !r->credentials.identity_token;
}

static void wipe_response_body(struct registry_response *s)
{
    if (s->body.data)
        explicit_bzero(s->body.data, s->body.len);
}

// After a refused token. 1: because of the repository, which need not exist; -1: because of the
// login.
static int judge_refused_token(struct registry *r, const struct http_url *realm,
                               const struct registry_response *denied, struct error **err)
{
    static const struct strlist nothing;
    cleanup_registry_response struct registry_response s = {0};
    if (is_anonymous(r) || r->login_good)
        return 1;
    int result = ask_token_service(r, realm, &nothing, &s, err);
    wipe_response_body(&s);
    if (result < 0)
        return -1;
    r->login_good = s.status == 200;
    if (r->login_good)
        return 1;
    __atomic_store_n(&r->down, true, __ATOMIC_RELAXED);
    return registry_refused(r, denied, err);
}

// 0: t is renewed; 1: there is none for this repository; -1.
static int fetch_token(struct registry *r, const struct registry_request *q,
                       struct registry_token *t, struct error **err)
{
    cleanup_http_url struct http_url realm = {0};
    if (look_up_credentials(r, err) < 0 || check_realm(r, &realm, err) < 0)
        return -1;
    cleanup_strlist struct strlist scopes = {0};
    collect_scopes(r, q, &scopes);
    cleanup_registry_response struct registry_response s = {0};
    long seconds = 0;
    char *text = NULL;
    int result = ask_token_service(r, &realm, &scopes, &s, err);
    if (result == 0 && response_is_denied(&s))
        result = judge_refused_token(r, &realm, &s, err);
    else if (result == 0 && s.status != 200)
        result = registry_refused(r, &s, err);
    else if (result == 0)
        result = token_parse(s.body.data, s.body.len, &text, &seconds, err);
    wipe_response_body(&s);
    if (result < 0)
        return error_wrap(err, "getting a token for %s/%s", r->name, r->repository);
    secret_free(t->text);
    t->text = text;
    t->denied = result == 1;
    r->login_good = r->login_good || (!result && !is_anonymous(r));
    if (t->denied)
        seconds = DENIED_SECONDS;
    t->refresh =
        monotonic_seconds() + (seconds > 2 * REFRESH_EARLY ? seconds - REFRESH_EARLY : seconds / 2);
    return result;
}

static int prepare_auth(struct registry *r, const struct registry_request *q, char **token,
                        const struct credentials **basic, struct error **err)
{
    if (r->basic) {
        *basic = &r->credentials; // which no longer change
        return 0;
    }
    if (!r->realm)
        return 0; // nothing was required so far
    cleanup_free char *key = token_key(q);
    struct registry_token *t = find_token(r, key);
    bool known = t->text || t->denied;
    if ((!known || monotonic_seconds() >= t->refresh) && fetch_token(r, q, t, err) < 0)
        return -1;
    *token = t->text ? xstrdup(t->text) : NULL;
    return 0;
}

static int auth_prepare(struct registry *r, const struct registry_request *q, char **token,
                        const struct credentials **basic, struct error **err)
{
    pthread_mutex_lock(&r->auth_lock);
    int result = prepare_auth(r, q, token, basic, err);
    pthread_mutex_unlock(&r->auth_lock);
    return result;
}

static void set_text(char **field, const char *value)
{
    char *copy = value ? xstrdup(value) : NULL;
    free(*field);
    *field = copy;
}

// Some registries send a challenge only at /v2/, and refuse other requests without one. 1: the way
// to log in is known now.
static int ask_for_challenge(struct registry *r, const struct registry_response *s,
                             struct error **err)
{
    cleanup_registry_response struct registry_response answer = {0};
    const struct registry_request q = {.method = "GET", .url = r->base};
    if (r->pinged || s->token || s->basic_sent)
        return 0;
    r->pinged = true;
    if (look_up_credentials(r, err) < 0)
        return -1;
    if (is_anonymous(r))
        return 0;
    if (registry_exchange(r, &q, &answer, err) < 0)
        return -1;
    return r->basic || r->realm;
}

static int answer_challenge(struct registry *r, const struct registry_request *q,
                            const struct registry_response *s, struct error **err)
{
    cleanup_challenges struct challenges challenges = {0};
    for (size_t i = 0; i < s->challenges.n; i++)
        challenges_add(&challenges, s->challenges.items[i]);
    const struct challenge *bearer = challenges_find(&challenges, "bearer");
    const struct challenge *basic = challenges_find(&challenges, "basic");
    if (s->status == 403 && (s->token || s->basic_sent))
        return 0; // the login was accepted
    if (bearer && bearer->realm) {
        cleanup_free char *key = token_key(q);
        struct registry_token *t = find_token(r, key);
        // Another thread may have renewed it.
        if (t->text && (!s->token || strcmp(t->text, s->token) != 0))
            return 1;
        if (t->denied && monotonic_seconds() < t->refresh)
            return 0;
        set_text(&r->realm, bearer->realm);
        set_text(&r->service, bearer->service);
        set_text(&r->asked_scope, bearer->scope);
        r->realm_limit = s->from;
        int result = fetch_token(r, q, t, err);
        return result < 0 ? -1 : !result;
    }
    if (!basic)
        return ask_for_challenge(r, s, err);
    // A second challenge means that the credentials are wrong.
    if (look_up_credentials(r, err) < 0)
        return -1;
    bool first = !s->basic_sent && r->credentials.user;
    r->basic = r->basic || first;
    return first;
}

static int auth_answer(struct registry *r, const struct registry_request *q,
                       const struct registry_response *s, struct error **err)
{
    pthread_mutex_lock(&r->auth_lock);
    int result = answer_challenge(r, q, s, err);
    pthread_mutex_unlock(&r->auth_lock);
    return result;
}

const struct registry_auth registry_auth = {.prepare = auth_prepare, .answer = auth_answer};

// ---- denied access ----

// Whether /v2/ accepts the login, which is all that it checks.
static int check_login(struct registry *r, const struct registry_response *denied,
                       struct error **err)
{
    cleanup_registry_response struct registry_response s = {0};
    const struct registry_request q = {.method = "GET", .url = r->base};
    if (registry_send(r, &q, &s, err) < 0)
        return -1;
    r->login_good = s.status == 200;
    if (r->login_good)
        return 0;
    if (!response_is_denied(&s))
        return registry_refused(r, denied, err);
    __atomic_store_n(&r->down, true, __ATOMIC_RELAXED);
    registry_refused(r, &s, err);
    return error_wrap(err, "the user name or password for %s is wrong", r->name);
}

int auth_denied(struct registry *r, const struct registry_response *s, struct error **err)
{
    pthread_mutex_lock(&r->auth_lock);
    int result = look_up_credentials(r, err);
    if (!result && !is_anonymous(r) && !r->login_good)
        result = check_login(r, s, err);
    if (!result)
        r->denied = is_anonymous(r) ? DENIED_ANONYMOUS : DENIED_USER;
    pthread_mutex_unlock(&r->auth_lock);
    return result;
}

enum registry_denial registry_was_denied(const struct registry *r)
{
    return r->denied;
}

void auth_close(struct registry *r)
{
    for (size_t i = 0; i < r->token_n; i++) {
        free(r->tokens[i].scope);
        secret_free(r->tokens[i].text);
    }
    free(r->tokens);
    free(r->realm);
    free(r->service);
    free(r->asked_scope);
    free(r->not_found);
    credentials_free(&r->credentials);
}
