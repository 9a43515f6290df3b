// SPDX-License-Identifier: Apache-2.0
// Parses URLs that a registry names, and finds the scope of their addresses.
#include "registry/internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

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

bool registry_is_local(const char *registry)
{
    struct in_addr v4;
    const char *end = registry[0] == '[' ? strchr(registry, ']') : NULL;
    size_t n = end ? (size_t)(end + 1 - registry) : strcspn(registry, ":");
    cleanup_free char *host = xstrndup(registry, n);
    if (!strcasecmp(host, "localhost") || !strcmp(host, "[::1]"))
        return true;
    return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

char *url_without_query(const char *url)
{
    return xstrndup(url, strcspn(url, "?#"));
}

static char *part(CURLU *u, CURLUPart which, unsigned flags)
{
    char *text = NULL;
    if (curl_url_get(u, which, &text, flags) != CURLUE_OK)
        return NULL;
    char *copy = xstrdup(text);
    curl_free(text);
    return copy;
}

static int fill(CURLU *u, struct url *out, struct error **err)
{
    cleanup_free char *scheme = part(u, CURLUPART_SCHEME, 0);
    cleanup_free char *host = part(u, CURLUPART_HOST, 0);
    cleanup_free char *port = part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    cleanup_free char *given = part(u, CURLUPART_PORT, 0);
    cleanup_free char *user = part(u, CURLUPART_USER, 0);
    cleanup_free char *password = part(u, CURLUPART_PASSWORD, 0);
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
    out->text = part(u, CURLUPART_URL, 0);
    out->origin = xasprintf("%s://%s:%s", out->secure ? "https" : "http", host, port);
    out->host = given ? xasprintf("%s:%s", host, given) : xstrdup(host);
    out->scope = scope_of_host(host);
    return out->text ? 0 : error_user(err, "the address is none");
}

int url_parse(const char *base, const char *text, struct url *out, struct error **err)
{
    *out = (struct url){0};
    CURLU *u = curl_url();
    if (!u)
        out_of_memory();
    int result = 0;
    if ((base && curl_url_set(u, CURLUPART_URL, base, 0) != CURLUE_OK) ||
        curl_url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
        result = error_user(err, "the address is none");
    else
        result = fill(u, out, err);
    curl_url_cleanup(u);
    if (result < 0)
        url_free(out);
    return result;
}

void url_free(struct url *u)
{
    free(u->text);
    free(u->origin);
    free(u->host);
    *u = (struct url){0};
}
