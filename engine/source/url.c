// SPDX-License-Identifier: Apache-2.0
// Checks addresses of sources, resolves those of submodules, and makes the errors for sources that
// may not be fetched.
#include "http/http.h"
#include "source/internal.h"

#include <string.h>
#include <strings.h>

bool url_is_local(const char *url)
{
    if (strncasecmp(url, "file:", 5) == 0)
        return true;
    if (strstr(url, "://"))
        return false;
    // "host:path" is ssh; "/path" and "./path" are files, and so is anything with '/' before ':'.
    size_t before = strcspn(url, ":/");
    return url[before] != ':';
}

// libcurl guesses a missing scheme and host; the address is then ambiguous, and a login in it would
// be kept as a part of the address.
int url_check(const struct source_spec *spec, const char *url, struct error **err)
{
    static const char *const schemes[] = {"http://", "https://", "file://"};
    bool known = spec->kind != SOURCE_ARCHIVE;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        known = known || strncasecmp(url, schemes[i], strlen(schemes[i])) == 0;
    if (known && *url && http_url_is_clear(url))
        return 0;
    cleanup_free char *shown = http_url_shown(url);
    error_user(err, "the url \"%s\" is none that kbuild reads", shown);
    return error_hint(
        err,
        "write https://HOST[:PORT]/PATH, and in a user name or password write `/` as %%2F, `?` "
        "as %%3F, `#` as %%23 and `@` as %%40");
}

static void trim_slashes(char *text)
{
    size_t n = strlen(text);
    while (n > 1 && text[n - 1] == '/')
        text[--n] = '\0';
}

// gitmodules(5): "./" and "../" are relative to the url of the repository itself.
static char *resolve_submodule_url(const char *parent, const char *url, struct error **err)
{
    cleanup_free char *base = xstrdup(parent);
    char *scheme = strstr(base, "://");
    char *floor = scheme ? scheme + 3 : base; // never climb into "https://"
    trim_slashes(base);
    for (;;) {
        if (starts_with(url, "./")) {
            url += 2;
        } else if (starts_with(url, "../")) {
            url += 3;
            char *slash = strrchr(floor, '/'), *colon = scheme ? NULL : strrchr(floor, ':');
            char *cut = slash > colon ? slash : colon;
            if (!cut) {
                cleanup_free char *shown = http_url_shown(parent);
                error_user(err, "its url \"%s\" leads out of %s", url, shown);
                return NULL;
            }
            cut[cut == colon] = '\0';
        } else {
            break;
        }
    }
    size_t n = strlen(base);
    bool joined = n && base[n - 1] == ':';
    return xasprintf("%s%s%s", base, joined ? "" : "/", url);
}

char *url_of_submodule(const char *parent, const char *url, struct error **err)
{
    bool relative = starts_with(url, "./") || starts_with(url, "../");
    cleanup_free char *full = relative ? resolve_submodule_url(parent, url, err) : xstrdup(url);
    if (!full)
        return NULL;
    const char *scheme = strstr(full, "://");
    bool hostile = !*full || *full == '-' || (scheme && scheme[3] == '-');
    for (const unsigned char *p = (const unsigned char *)full; *p; p++)
        hostile = hostile || *p < ' ' || *p == 0x7f;
    if (hostile || !http_url_is_clear(full)) {
        cleanup_free char *shown = http_url_shown(url);
        error_user(err, "its url \"%s\" is none", shown);
        return NULL;
    }
    if (url_is_local(full) && !url_is_local(parent)) {
        error_user(err,
                   "its url \"%s\" is a directory of this machine, which a remote repository may "
                   "not name",
                   url);
        return NULL;
    }
    return steal(full);
}

int hint_other_sources(const struct source_spec *spec, const char *url, struct error **err)
{
    if (url_is_local(url))
        return error_hint(err, "check the url in versions.yaml, and what is there");
    if (spec->debian_too)
        return error_hint(err, "if this machine can't reach it, the distribution's package mirror "
                               "has this source too: --sources=debian (or KBUILD_SOURCES=debian)");
    return error_hint(err, "check the network and the proxy settings (https_proxy); to use a "
                           "mirror, set git's url.<base>.insteadOf or give --versions FILE. "
                           "Targets whose sources are in the distribution build with "
                           "--sources=debian");
}

int refuse_offline(const char *what, struct error **err)
{
    error_user(err, "%s is not in the cache, and --offline forbids downloading it", what);
    return error_hint(err, "run `kbuild fetch` once with the network");
}

int refuse_unlocked(const struct source_options *o, const char *what, struct error **err)
{
    error_user(err, "%s is not in %s, and --locked allows nothing else", what,
               o->lock ? o->lock->path : "the lock");
    return error_hint(err, "run once without --locked, look at what was added, and commit it");
}
