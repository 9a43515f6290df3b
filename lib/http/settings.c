// SPDX-License-Identifier: Apache-2.0
// Applies the machine's network settings to a libcurl handle, parses urls, and describes failures.
#include "http/git_settings.h"
#include "http/internal.h"

#include <pthread.h>
#include <string.h>
#include <strings.h>

static void library_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void http_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, library_init);
}

void http_wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

// ---- urls ----
char *http_url_part(const char *url, CURLUPart part)
{
    CURLU *u = curl_url();
    char *text = NULL, *copy = NULL;
    if (u &&
        curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME | CURLU_DEFAULT_SCHEME) ==
            CURLUE_OK &&
        curl_url_get(u, part, &text, CURLU_URLDECODE) == CURLUE_OK) {
        copy = xstrdup(text);
        curl_free(text);
    }
    curl_url_cleanup(u);
    return copy;
}

static bool same_part(const char *a, const char *b, CURLUPart part, unsigned flags)
{
    char *texts[2] = {NULL, NULL};
    const char *const urls[2] = {a, b};
    for (size_t i = 0; i < 2; i++) {
        CURLU *u = curl_url();
        if (u && curl_url_set(u, CURLUPART_URL, urls[i], CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK)
            curl_url_get(u, part, &texts[i], flags);
        curl_url_cleanup(u);
    }
    bool same = texts[0] && texts[1] && strcasecmp(texts[0], texts[1]) == 0;
    curl_free(texts[0]);
    curl_free(texts[1]);
    return same;
}

bool http_same_server(const char *a, const char *b)
{
    return same_part(a, b, CURLUPART_SCHEME, 0) && same_part(a, b, CURLUPART_HOST, 0) &&
           same_part(a, b, CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

// Where the part before the host ends ('@'), or NULL.
static const char *login_end(const char *url, const char **start)
{
    const char *scheme = strstr(url, "://");
    if (!scheme)
        return NULL;
    *start = scheme + 3;
    const char *end = *start + strcspn(*start, "/?#"), *at = NULL;
    for (const char *p = *start; p < end; p++)
        if (*p == '@')
            at = p;
    return at;
}

// The length of "http:" or "https:" at the start of the url, or 0.
static size_t http_prefix(const char *url)
{
    return strncasecmp(url, "https:", 6) == 0 ? 6 : strncasecmp(url, "http:", 5) == 0 ? 5 : 0;
}

// After the login: a name, or an IPv6 address in brackets, and a port of digits.
static bool is_host(const char *host, size_t length)
{
    const char *end = host + length, *bracket = memchr(host, ']', length);
    const char *from = *host == '[' && bracket ? bracket : host;
    const char *colon = memchr(from, ':', (size_t)(end - from));
    size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
    return length && colon != host && (!colon || colon + 1 + digits == end);
}

bool http_url_is_clear(const char *url)
{
    size_t prefix = http_prefix(url);
    if (!prefix) { // "user:password@host/path"
        const char *colon = url + strcspn(url, ":/@");
        return *colon != ':' || colon[strcspn(colon, "/@")] != '@';
    }
    if (strncmp(url + prefix, "//", 2) != 0)
        return false;
    const char *start = url + prefix + 2, *at = login_end(url, &start);
    const char *host = at ? at + 1 : start;
    return is_host(host, strcspn(host, "/?#"));
}

char *http_url_shown(const char *url)
{
    const char *start, *at = strrchr(url, '@');
    if (at && !http_url_is_clear(url)) {
        size_t prefix = http_prefix(url);
        return xasprintf("%.*s%s%s", (int)prefix, url, prefix ? "//" : "", at + 1);
    }
    at = login_end(url, &start);
    return at ? xasprintf("%.*s%s", (int)(start - url), url, at + 1) : xstrdup(url);
}

char *http_url_kept(const char *url)
{
    const char *start, *at = login_end(url, &start);
    if (!at)
        return xstrdup(url);
    bool http = strncasecmp(url, "http:", 5) == 0 || strncasecmp(url, "https:", 6) == 0;
    const char *colon = memchr(start, ':', (size_t)(at - start));
    if (http)
        return http_url_shown(url);
    const char *user_end = colon ? colon : at;
    return xasprintf("%.*s%s", (int)(user_end - url), url, at);
}

// ---- proxies ----
// Which setting names the proxy for `url`, as libcurl looks for them, or NULL. *value belongs to
// the environment or to git's settings.
static const char *proxy_setting(const char *url, enum http_use use, const char **value)
{
    bool secure = strncasecmp(url, "https:", 6) == 0;
    const char *const names[] = {secure ? "https_proxy" : "http_proxy",
                                 secure ? "HTTPS_PROXY" : "all_proxy", "all_proxy", "ALL_PROXY"};
    cleanup_error struct error *ignored = NULL; // http_settings_apply() reported it
    if (use == HTTP_GIT && git_setting("http", "proxy", url, value, &ignored) == 0 && *value)
        return "git's http.proxy";
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        *value = getenv(names[i]);
        if (*value && **value)
            return names[i];
    }
    return NULL;
}

// The login in the proxy's text, to be freed; NULL if there is none.
static char *proxy_login(const char *value)
{
    const char *start = strstr(value, "://"), *at = strrchr(value, '@');
    start = start ? start + 3 : value;
    return at && at > start ? xstrndup(start, (size_t)(at - start)) : NULL;
}

char *http_failure(const char *url, enum http_use use, CURLcode code, const char *reason)
{
    const char *value = NULL, *name = proxy_setting(url, use, &value);
    const char *text = reason && *reason ? reason : curl_easy_strerror(code);
    if (!name || !*value)
        return xstrdup(text);
    cleanup_free char *login = proxy_login(value), *host = http_url_part(value, CURLUPART_HOST);
    bool tells = login && (strstr(text, value) || strstr(text, login));
    const char *bare = host && *host == '[' ? host + 1 : host; // an IPv6 address: "::1 port 3128"
    cleanup_free char *named = bare ? xstrndup(bare, strcspn(bare, "]")) : NULL;
    if (tells)
        return xasprintf("the proxy that %s names cannot be used: its scheme or its form is none "
                         "that libcurl knows",
                         name);
    bool proxy_at_fault = code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_PROXY ||
                          strstr(text, "CONNECT") || strcasestr(text, "proxy") ||
                          (code == CURLE_COULDNT_CONNECT && named && strstr(text, named));
    return proxy_at_fault ? xasprintf("%s (the proxy is the one that %s names)", text, name)
                          : xstrdup(text);
}

// ---- git ----
static int git_apply(CURL *c, const char *url, struct http_settings *out, struct error **err)
{
    const char *value = NULL;
    if (git_setting("http", "proxy", url, &value, err) < 0)
        return -1;
    if (value) // empty: no proxy, whatever the environment says
        curl_easy_setopt(c, CURLOPT_PROXY, value);
    if (git_setting("http", "sslcert", url, &value, err) < 0)
        return -1;
    if (value && *value)
        curl_easy_setopt(c, CURLOPT_SSLCERT, value);
    if (git_setting("http", "sslkey", url, &value, err) < 0)
        return -1;
    if (value && *value)
        curl_easy_setopt(c, CURLOPT_SSLKEY, value);
    cleanup_strlist struct strlist headers = {0}, general = {0};
    if (git_setting_list("http", "extraheader", url, &headers, err) < 0 ||
        git_setting_list("http", "extraheader", "http://none.invalid", &general, err) < 0)
        return -1;
    for (size_t i = 0; i < headers.n; i++) {
        if (out->redirected && strlist_has(&general, headers.items[i]))
            continue;
        struct curl_slist *longer = curl_slist_append(out->headers, headers.items[i]);
        if (!longer)
            out_of_memory();
        out->headers = longer;
        if (strncasecmp(headers.items[i], "authorization:", 14) == 0) {
            free(out->login_from);
            out->login_from = xstrdup("git's http.extraHeader");
        }
    }
    return 0;
}

// Without the check, anybody on the network path could replace what is built.
static int refuse_unchecked(const char *url, struct error **err)
{
    const char *value = NULL, *name = NULL;
    if (strncasecmp(url, "https:", 6) != 0)
        return 0;
    if (git_setting("http", "sslverify", url, &value, err) < 0)
        return -1;
    if (getenv("GIT_SSL_NO_VERIFY"))
        name = "GIT_SSL_NO_VERIFY is set";
    else if (value && !git_setting_is_true(value))
        name = "git's http.sslVerify is false";
    if (!name)
        return 0;
    error_user(err,
               "%s: kbuild does not fetch from a server whose certificate is not checked, because "
               "anybody on the way could change what is built",
               name);
    return error_hint(err,
                      "let git's http.sslCAInfo or SSL_CERT_FILE name the CA of the server, "
                      "and %s",
                      getenv("GIT_SSL_NO_VERIFY") ? "unset GIT_SSL_NO_VERIFY"
                                                  : "unset http.sslVerify");
}

static int login_apply(CURL *c, const char *url, struct http_settings *out, struct error **err)
{
    cleanup_free char *host = http_url_part(url, CURLUPART_HOST);
    cleanup_free char *wanted = http_url_part(url, CURLUPART_USER);
    cleanup_free char *given = http_url_part(url, CURLUPART_PASSWORD);
    cleanup_free char *file = NULL;
    char *user = NULL, *password = NULL;
    if (given && !out->login_from)
        out->login_from = xstrdup("the url");
    if (!host || given || out->login_from || out->redirected)
        return 0;
    int found = netrc_find(host, wanted, &user, &password, &file, err);
    if (found > 0) {
        curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(c, CURLOPT_USERNAME, user);
        curl_easy_setopt(c, CURLOPT_PASSWORD, password);
        out->login_from = steal(file);
    }
    http_wipe(user);
    http_wipe(password);
    return found < 0 ? -1 : 0;
}

int http_settings_apply(CURL *c, const char *url, enum http_use use, struct http_settings *out,
                        struct error **err)
{
    bool http = strncasecmp(url, "http:", 5) == 0, https = strncasecmp(url, "https:", 6) == 0;
    if (!http && !https)
        return 0;
    if (https && ca_apply(c, url, err) < 0)
        return -1;
    if (use == HTTP_GIT && (refuse_unchecked(url, err) < 0 || git_apply(c, url, out, err) < 0))
        return -1;
    return use == HTTP_REGISTRY || use == HTTP_CRL ? 0 : login_apply(c, url, out, err);
}

void http_settings_free(struct http_settings *s)
{
    curl_slist_free_all(s->headers);
    free(s->login_from);
    *s = (struct http_settings){0};
}

bool http_is_too_slow(uint64_t elapsed_seconds, uint64_t bytes)
{
    return elapsed_seconds > HTTP_GRACE_SECONDS + bytes / HTTP_WHOLE_SLOWEST;
}
