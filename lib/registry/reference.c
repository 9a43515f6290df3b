// SPDX-License-Identifier: Apache-2.0
// Parses references as github.com/distribution/reference does (grammar: the comment at the top of
// reference.go; names of docker.io: normalize.go), and makes tags.
#include "base/digest.h"

#include "registry/registry.h"

#include <ctype.h>
#include <string.h>

#define NAME_MAX_LENGTH 255
#define TAG_MAX_LENGTH 128

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_letter_or_digit(char c)
{
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

// host = component *("." component); a component has letters, digits, and "-" between them.
static bool is_host(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool edge = i == 0 || i + 1 == n || s[i - 1] == '.' || s[i + 1] == '.';
        if (!is_letter_or_digit(s[i]) && !(s[i] == '-' && !edge) &&
            !(s[i] == '.' && i && i + 1 < n && s[i - 1] != '.' && s[i - 1] != '-'))
            return false;
    }
    return n > 0;
}

static bool is_ipv6(const char *s, size_t n)
{
    bool colon = false;
    if (n < 4 || s[0] != '[' || s[n - 1] != ']')
        return false;
    for (size_t i = 1; i + 1 < n; i++) {
        colon = colon || s[i] == ':';
        if (!isxdigit((unsigned char)s[i]) && s[i] != ':')
            return false;
    }
    return colon;
}

static bool is_registry(const char *s)
{
    const char *host_end = s[0] == '[' ? strchr(s, ']') : NULL;
    host_end = host_end ? host_end + 1 : s + strcspn(s, ":");
    size_t n = (size_t)(host_end - s);
    if (!is_host(s, n) && !is_ipv6(s, n))
        return false;
    if (!*host_end)
        return true;
    size_t digits = *host_end == ':' ? strspn(host_end + 1, "0123456789") : 0;
    unsigned long port = digits && digits <= 5 ? strtoul(host_end + 1, NULL, 10) : 0;
    return port > 0 && port < 65536 && !host_end[1 + digits];
}

// component = alphanumeric *(separator alphanumeric), separator = "." | "_" | "__" | 1*"-".
static bool is_component(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n) {
        size_t start = i;
        while (i < n && is_lower_or_digit(s[i]))
            i++;
        if (i == start)
            return false;
        if (i == n)
            return true;
        if (s[i] == '-') {
            while (i < n && s[i] == '-')
                i++;
        } else if (s[i] == '_') {
            i += i + 1 < n && s[i + 1] == '_' ? 2 : 1;
        } else if (s[i] == '.') {
            i++;
        } else {
            return false;
        }
    }
    return false; // it was empty, or ended in a separator
}

static bool is_repository(const char *s)
{
    for (;;) {
        size_t n = strcspn(s, "/");
        if (!is_component(s, n))
            return false;
        if (!s[n])
            return true;
        s += n + 1;
    }
}

bool reference_tag_is_valid(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n > TAG_MAX_LENGTH || *s == '.' || *s == '-')
        return false;
    for (; *s; s++)
        if (!is_letter_or_digit(*s) && !strchr("_.-", *s))
            return false;
    return true;
}

// True if the text before the first "/" is a registry and not a part of the repository.
static bool names_registry(const char *first)
{
    if (strpbrk(first, ".:") || !strcmp(first, "localhost"))
        return true;
    for (; *first; first++)
        if (*first >= 'A' && *first <= 'Z') // not allowed in a repository
            return true;
    return false;
}

static int refuse(const char *text, const char *why, struct error **err)
{
    // Text before an '@' without a digest is a login, which must not be shown.
    const char *from = text;
    for (const char *at = strchr(text, '@'); at; at = strchr(at + 1, '@'))
        if (!starts_with(at + 1, "sha"))
            from = at + 1;
    // Untrusted text must be escaped before it reaches a terminal.
    cleanup_free char *shown = xasprintf("%.300s", from);
    for (char *c = shown; *c; c++)
        if (!isprint((unsigned char)*c))
            *c = '?';
    error_user(err, "\"%s\" names no image: %s", shown, why);
    if (from != text)
        return error_hint(err, "a user name and a password are no part of it: log in with `skopeo "
                               "login`, or set ARTEFACT_REGISTRY_USERNAME and "
                               "ARTEFACT_REGISTRY_PASSWORD");
    return error_hint(err, "it is [registry[:port]/]repository[:tag][@sha256:<64 hex digits>]");
}

static int parse(const char *text, struct reference *out, struct error **err)
{
    cleanup_free char *rest = xstrdup(text);
    char *at = strchr(rest, '@');
    if (at) {
        *at++ = '\0';
        if (!starts_with(at, "sha256:") || !digest_is_hex(at + 7))
            return refuse(text, "after \"@\" there must be \"sha256:\" and 64 hex digits", err);
        out->digest = xstrdup(at);
    }
    char *slash = strrchr(rest, '/'), *colon = strrchr(rest, ':');
    if (colon && (!slash || colon > slash)) {
        *colon++ = '\0';
        if (!reference_tag_is_valid(colon))
            return refuse(text, "a tag has 1 to 128 of [A-Za-z0-9_.-], and starts with none of .-",
                          err);
        out->tag = xstrdup(colon);
    }
    const char *repository = rest;
    slash = strchr(rest, '/');
    if (slash)
        *slash = '\0';
    if (slash && names_registry(rest)) {
        out->registry = xstrdup(strcmp(rest, "index.docker.io") ? rest : "docker.io");
        repository = slash + 1;
    } else {
        out->registry = xstrdup("docker.io");
        if (slash)
            *slash = '/';
    }
    if (!is_registry(out->registry))
        return refuse(text, "its registry is no host or host:port", err);
    if (!is_repository(repository))
        return refuse(text,
                      "a repository has lower-case letters and digits, with one of . _ __ or "
                      "dashes between them, in components parted by \"/\"",
                      err);
    if (!slash && digest_is_hex(repository))
        return refuse(text, "a repository of 64 hex digits would look like a digest", err);
    bool official = !strcmp(out->registry, "docker.io") && !strchr(repository, '/');
    out->repository = xasprintf("%s%s", official ? "library/" : "", repository);
    if (strlen(out->registry) + 1 + strlen(out->repository) > NAME_MAX_LENGTH)
        return refuse(text, "registry and repository have more than 255 characters", err);
    return 0;
}

int reference_parse(const char *text, struct reference *out, struct error **err)
{
    *out = (struct reference){0};
    int result = parse(text, out, err);
    if (result < 0)
        reference_free(out);
    return result;
}

char *reference_text(const struct reference *r)
{
    return xasprintf("%s/%s%s%s%s%s", r->registry, r->repository, r->tag ? ":" : "",
                     r->tag ? r->tag : "", r->digest ? "@" : "", r->digest ? r->digest : "");
}

void reference_free(struct reference *r)
{
    free(r->registry);
    free(r->repository);
    free(r->tag);
    free(r->digest);
    *r = (struct reference){0};
}

bool reference_is_pinned(const char *name)
{
    struct reference r;
    if (reference_parse(name, &r, NULL) < 0)
        return false;
    bool pinned = r.digest;
    reference_free(&r);
    return pinned;
}

// ---- tag ----
// Upstream's rule for tags, so that its pipelines and kbuild find each other's artifacts.

#define TAG_LENGTH 127 // with the suffix

char *registry_tag(const char *text, const char *suffix)
{
    size_t rest = strlen(suffix) + 1, n = 0;
    size_t most = rest < TAG_LENGTH ? TAG_LENGTH - rest : 0;
    cleanup_free char *tag = xmalloc(most + 1);
    for (; *text && n < most; text++) {
        unsigned char c = (unsigned char)*text;
        // As `tr -cd '[:print:]'` does: byte by byte, so that no UTF-8 is left.
        if (c < ' ' || c > '~')
            continue;
        bool legal = isalnum(c) || c == '_' || c == '.' || c == '-';
        // Upstream lets a tag begin with "." or "-", which every registry then refuses.
        if (n == 0 && !isalnum(c))
            legal = false;
        tag[n++] = legal ? (char)c : '_';
    }
    tag[n] = '\0';
    return xasprintf("%s-%s", tag, suffix);
}
