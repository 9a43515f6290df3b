// SPDX-License-Identifier: Apache-2.0
// Takes urls apart: hides logins, compares servers, parses what a server names, and finds the scope
// of an address.
#include "http/internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

char *url_part(CURLU *u, CURLUPart part, unsigned flags)
{
    char *text = NULL;
    if (curl_url_get(u, part, &text, flags) != CURLUE_OK)
        return NULL;
    char *copy = xstrdup(text);
    curl_free(text);
    return copy;
}

char *http_url_part(const char *url, CURLUPart part)
{
    CURLU *u = curl_url();
    char *text = NULL;
    if (u && curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME | CURLU_DEFAULT_SCHEME) ==
                 CURLUE_OK)
        text = url_part(u, part, CURLU_URLDECODE);
    curl_url_cleanup(u);
    return text;
}

static bool same_part(const char *a, const char *b, CURLUPart part, unsigned flags)
{
    char *texts[2] = {NULL, NULL};
    const char *const urls[2] = {a, b};
    for (size_t i = 0; i < 2; i++) {
        CURLU *u = curl_url();
        if (u && curl_url_set(u, CURLUPART_URL, urls[i], CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK)
            texts[i] = url_part(u, part, flags);
        curl_url_cleanup(u);
    }
    bool same = texts[0] && texts[1] && strcasecmp(texts[0], texts[1]) == 0;
    free(texts[0]);
    free(texts[1]);
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

char *http_text_shown(const char *text)
{
    const char *start = strstr(text, ":/"), *at = NULL;
    for (const char *p = start; p && (p = strchr(p, '@')); p++)
        at = starts_with(p, "@sha256:") ? at : p;
    if (!at || http_prefix(text))
        return http_url_shown(text);
    start += 1 + strspn(start + 1, "/");
    return xasprintf("%.*s%s", (int)(start - text), text, at + 1);
}

char *http_url_kept(const char *url)
{
    const char *start, *at = login_end(url, &start);
    if (!at)
        return xstrdup(url);
    const char *colon = memchr(start, ':', (size_t)(at - start));
    if (http_prefix(url))
        return http_url_shown(url);
    const char *user_end = colon ? colon : at;
    return xasprintf("%.*s%s", (int)(user_end - url), url, at);
}

// ---- scopes of addresses ----
// RFC 6890's tables, as far as they matter here.
static enum address_scope scope_v4(uint32_t a)
{
    static const struct {
        uint32_t network, mask;
        enum address_scope scope;
    } table[] = {
        {0x00000000, 0xff000000, SCOPE_MACHINE}, // "this host"
        {0x7f000000, 0xff000000, SCOPE_MACHINE}, // loopback
        {0xa9fe0000, 0xffff0000, SCOPE_MACHINE}, // link-local, where clouds keep their secrets
        {0x0a000000, 0xff000000, SCOPE_SITE},    // private
        {0xac100000, 0xfff00000, SCOPE_SITE},    {0xc0a80000, 0xffff0000, SCOPE_SITE},
        {0x64400000, 0xffc00000, SCOPE_SITE}, // shared address space
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if ((a & table[i].mask) == table[i].network)
            return table[i].scope;
    return SCOPE_WORLD;
}

static enum address_scope scope_v6(const struct in6_addr *a)
{
    const uint8_t *b = a->s6_addr;
    uint32_t last = (uint32_t)b[12] << 24 | (uint32_t)b[13] << 16 | (uint32_t)b[14] << 8 | b[15];
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b}; // 64:ff9b::/96, RFC 6052
    if (IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a) || IN6_IS_ADDR_LINKLOCAL(a))
        return SCOPE_MACHINE;
    if (IN6_IS_ADDR_V4MAPPED(a) || !memcmp(b, nat64, sizeof nat64))
        return scope_v4(last);
    return (b[0] & 0xfe) == 0xfc ? SCOPE_SITE : SCOPE_WORLD; // fc00::/7, RFC 4193
}

enum address_scope scope_of_address(const struct sockaddr *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof v4);
        return scope_v4(ntohl(v4.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        memcpy(&v6, address, sizeof v6);
        return scope_v6(&v6.sin6_addr);
    }
    return SCOPE_MACHINE;
}

enum address_scope scope_of_host(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    size_t n = strlen(host);
    bool bracketed = n > 2 && host[0] == '[' && host[n - 1] == ']';
    cleanup_free char *bare = bracketed ? xstrndup(host + 1, n - 2) : xstrdup(host);
    if (!strcasecmp(bare, "localhost") || (n > 10 && !strcasecmp(bare + n - 10, ".localhost")))
        return SCOPE_MACHINE;
    if (inet_aton(bare, &v4)) // all the forms that a resolver takes: 127.1, 0x7f000001
        return scope_v4(ntohl(v4.s_addr));
    return inet_pton(AF_INET6, bare, &v6) == 1 ? scope_v6(&v6) : SCOPE_WORLD;
}

bool http_host_is_local(const char *text)
{
    struct in_addr v4;
    const char *end = text[0] == '[' ? strchr(text, ']') : NULL;
    size_t n = end ? (size_t)(end + 1 - text) : strcspn(text, ":");
    cleanup_free char *host = xstrndup(text, n);
    if (!strcasecmp(host, "localhost") || !strcmp(host, "[::1]"))
        return true;
    return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

// ---- urls that a server names ----
char *http_url_join(const char *base, const char *location)
{
    CURLU *u = curl_url();
    char *text = NULL;
    if (u && curl_url_set(u, CURLUPART_URL, base, 0) == CURLUE_OK &&
        curl_url_set(u, CURLUPART_URL, location, 0) == CURLUE_OK) {
        curl_url_set(u, CURLUPART_USER, NULL, 0);
        curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
        text = url_part(u, CURLUPART_URL, 0);
    }
    curl_url_cleanup(u);
    return text;
}

static int read_url_parts(CURLU *u, struct http_url *out, struct error **err)
{
    cleanup_free char *scheme = url_part(u, CURLUPART_SCHEME, 0);
    cleanup_free char *host = url_part(u, CURLUPART_HOST, 0);
    cleanup_free char *port = url_part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    cleanup_free char *given = url_part(u, CURLUPART_PORT, 0);
    cleanup_free char *user = url_part(u, CURLUPART_USER, 0);
    cleanup_free char *password = url_part(u, CURLUPART_PASSWORD, 0);
    if (!scheme || (strcasecmp(scheme, "https") && strcasecmp(scheme, "http")))
        return error_user(err, "the address is not one of http or https");
    if (!host || !*host || !port)
        return error_user(err, "the address names no host");
    if (user || password)
        return error_user(err, "the address holds a user name or a password");
    curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
    out->secure = !strcasecmp(scheme, "https");
    for (char *c = host; *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
    out->text = url_part(u, CURLUPART_URL, 0);
    out->origin = xasprintf("%s://%s:%s", out->secure ? "https" : "http", host, port);
    out->host = given ? xasprintf("%s:%s", host, given) : xstrdup(host);
    out->scope = scope_of_host(host);
    return out->text ? 0 : error_user(err, "the address is none");
}

int http_url_parse(const char *base, const char *text, struct http_url *out, struct error **err)
{
    *out = (struct http_url){0};
    CURLU *u = curl_url();
    if (!u)
        out_of_memory();
    int result = 0;
    if ((base && curl_url_set(u, CURLUPART_URL, base, 0) != CURLUE_OK) ||
        curl_url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
        result = error_user(err, "the address is none");
    else
        result = read_url_parts(u, out, err);
    curl_url_cleanup(u);
    if (result < 0)
        http_url_free(out);
    return result;
}

void http_url_free(struct http_url *u)
{
    free(u->text);
    free(u->origin);
    free(u->host);
    *u = (struct http_url){0};
}
