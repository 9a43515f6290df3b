// SPDX-License-Identifier: Apache-2.0
// The package sources of this host's distribution, out of apt's own configuration: sources.list and
// sources.list.d, in the one-line and in the deb822 format (both in sources.list(5)).
#include "source/apt.h"

#include "base/file.h"
#include "base/process.h"
#include "source/apt_entry.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define APT_FILE_MAX ((size_t)1 << 20)

// The two distributions that versions.yaml names: how their own archives sign themselves.
static const struct vendor {
    const char *id, *origin, *keyring;
} vendors[] = {
    {"debian", "Debian", "debian-archive"},
    {"ubuntu", "Ubuntu", "ubuntu-archive"},
};

static const char *const pockets[] = {
    "",          "-updates", "-security", "-backports", "-backports-sloppy", "-proposed-updates",
    "-proposed",
};

static const struct vendor *vendor_find(const char *id)
{
    for (size_t i = 0; i < ARRAY_LEN(vendors); i++)
        if (strcmp(vendors[i].id, id) == 0)
            return &vendors[i];
    return NULL;
}

static bool suite_belongs(const char *suite, const char *codename)
{
    size_t n = strlen(codename);
    if (strncmp(suite, codename, n) != 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(pockets); i++)
        if (strcmp(suite + n, pockets[i]) == 0)
            return true;
    return false;
}

// What apt learnt from Release files it has seen: "<uri>|<suite>|<codename>|<origin>" lines. Empty
// on a machine where apt never fetched an index; then the entries have to speak for themselves.
static void learn_releases(struct strlist *out)
{
    static const char *const argv[] = {
        "apt-get",
        "indextargets",
        "--format",
        "$(REPO_URI)|$(RELEASE)|$(CODENAME)|$(ORIGIN)",
        "Created-By: Packages",
        NULL,
    };
    struct process p = {.argv = (char *const *)argv, .input = -1};
    cleanup_buf struct buf text = {0};
    cleanup_error struct error *ignored = NULL;
    buf_puts(&text, "");
    if (process_run(&p, &text, &ignored) == 0)
        strlist_split(out, text.data, "\n");
}

static bool known_release(const struct strlist *releases, const char *uri, const char *suite,
                          struct strlist *fields)
{
    size_t length = strlen(uri);
    cleanup_free char *prefix =
        xasprintf("%s%s|%s|", uri, length && uri[length - 1] == '/' ? "" : "/", suite);
    for (size_t i = 0; i < releases->n; i++)
        if (starts_with(releases->items[i], prefix)) {
            // An empty field would be lost by strlist_split(); "$(..)" is one that is not known.
            strlist_split(fields, releases->items[i] + strlen(prefix), "|");
            return fields->n == 2 && fields->items[1][0] != '$';
        }
    return false;
}

// Third parties use a distribution's code names as suites too, so the name alone does not decide.
static bool suite_is_ours(const struct apt_entry *e, const char *uri, const char *suite,
                          const char *codename, const struct vendor *vendor,
                          const struct strlist *releases)
{
    cleanup_strlist struct strlist fields = {0};
    if (known_release(releases, uri, suite, &fields))
        return suite_belongs(fields.items[0], codename) &&
               (!vendor || strcasecmp(fields.items[1], vendor->origin) == 0);
    if (!suite_belongs(suite, codename))
        return false;
    return !e->signed_by || !vendor || strstr(e->signed_by, vendor->keyring) ||
           strstr(e->signed_by, "BEGIN PGP");
}

static void print_entry(const struct apt_entry *e, const char *uri, const struct strlist *suites,
                        bool deb_src, struct buf *out)
{
    cleanup_free char *suite_text = strlist_join(suites, " ");
    cleanup_free char *component_text = strlist_join(&e->components, " ");
    buf_printf(out, "Types: deb%s\nURIs: %s\nSuites: %s\nComponents: %s\n",
               deb_src ? " deb-src" : "", uri, suite_text, component_text);
    for (size_t i = 0; i < e->options.n; i++)
        buf_printf(out, "%s\n", e->options.items[i]);
    buf_puts(out, "\n");
}

// A place is printed once for binary packages, however often the host's files name it: apt refuses
// a target that is configured twice with different options.
static bool seen_before(struct strlist *seen, const struct apt_entry *e, const char *uri,
                        const char *suite)
{
    cleanup_free char *components = strlist_join(&e->components, ",");
    size_t length = strlen(uri);
    while (length && uri[length - 1] == '/')
        length--;
    cleanup_free char *key = xasprintf("%.*s %s %s", (int)length, uri, suite, components);
    if (strlist_has(seen, key))
        return true;
    strlist_add(seen, key);
    return false;
}

static void print_matching(const struct apt_entries *all, const char *codename,
                           const struct vendor *vendor, bool deb_src, struct buf *out)
{
    cleanup_strlist struct strlist releases = {0}, seen = {0};
    learn_releases(&releases);
    for (size_t i = 0; i < all->n; i++) {
        const struct apt_entry *e = &all->items[i];
        if (!e->deb)
            continue;
        for (size_t u = 0; u < e->uris.n; u++) {
            cleanup_strlist struct strlist suites = {0};
            const char *uri = e->uris.items[u];
            for (size_t s = 0; s < e->suites.n; s++)
                if (suite_is_ours(e, uri, e->suites.items[s], codename, vendor, &releases) &&
                    !seen_before(&seen, e, uri, e->suites.items[s]))
                    strlist_add(&suites, e->suites.items[s]);
            if (suites.n)
                print_entry(e, uri, &suites, deb_src, out);
        }
    }
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static int check_url(const char *name, const char *url, struct error **err)
{
    if (strpbrk(url, " \t\r\n") || !strstr(url, ":/"))
        return error_user(err, "%s=\"%s\" is not the URL of a package mirror", name, url);
    return 0;
}

static void print_override(const char *url, const char *codename, const char *architectures,
                           const struct vendor *vendor, bool deb_src, struct buf *out)
{
    const char *components = environment("REPO_COMPONENTS");
    buf_printf(out, "Types: deb%s\nURIs: %s\nSuites: %s\nComponents: %s\n",
               deb_src ? " deb-src" : "", url, codename, components ? components : "main");
    if (architectures)
        buf_printf(out, "Architectures: %s\n", architectures);
    if (vendor) {
        cleanup_free char *keyring =
            xasprintf("/usr/share/keyrings/%s-keyring.gpg", vendor->keyring);
        if (path_exists(keyring))
            buf_printf(out, "Signed-By: %s\n", keyring);
    }
    buf_puts(out, "\n");
}

// 1: the environment decided; 0: it is silent.
static int print_overrides(const char *codename, const struct vendor *vendor, bool deb_src,
                           struct buf *out, struct error **err)
{
    const char *all = environment("REPO_URL"), *x86 = environment("REPO_URL_X86_64");
    const char *components = environment("REPO_COMPONENTS");
    if ((all && check_url("REPO_URL", all, err) < 0) ||
        (x86 && check_url("REPO_URL_X86_64", x86, err) < 0))
        return -1;
    if (components && strpbrk(components, "\r\n"))
        return error_user(err, "REPO_COMPONENTS must be one line");
    if (!all && !x86)
        return 0;
    if (x86)
        print_override(x86, codename, "amd64", vendor, deb_src, out);
    if (all)
        print_override(all, codename, x86 ? "arm64 ppc64el s390x" : NULL, vendor, deb_src && !x86,
                       out);
    return 1;
}

static int is_sources_name(const char *name)
{
    return name[strspn(name,
                       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")] ==
               '\0' &&
           name[0] != '.' && (ends_with(name, ".list") || ends_with(name, ".sources"));
}

static int read_file(const char *path, struct apt_entries *out, struct error **err)
{
    cleanup_buf struct buf text = {0};
    if (file_read(path, APT_FILE_MAX, &text, err) < 0)
        return -1;
    if (ends_with(path, ".sources"))
        apt_entries_parse_deb822(out, text.data);
    else
        apt_entries_parse_lines(out, text.data);
    return 0;
}

static int read_configuration(struct apt_entries *out, struct error **err)
{
    cleanup_free char *file = NULL, *folder = NULL;
    if (apt_config_path("Dir::Etc::sourcelist/f", &file, err) < 0 ||
        apt_config_path("Dir::Etc::sourceparts/d", &folder, err) < 0)
        return -1;
    if (path_exists(file) && !is_directory(file) && strcmp(file, "/dev/null") != 0 &&
        read_file(file, out, err) < 0)
        return -1;
    cleanup_strlist struct strlist names = {0};
    if (is_directory(folder) && list_directory(folder, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", folder, names.items[i]);
        // A file that only root may read is none of an ordinary user's sources.
        if (is_sources_name(names.items[i]) && access(path, R_OK) == 0 &&
            read_file(path, out, err) < 0)
            return -1;
    }
    return 0;
}

int apt_sources(const char *id, const char *codename, bool deb_src, struct buf *out,
                struct error **err)
{
    const struct vendor *vendor = vendor_find(id);
    int overridden = print_overrides(codename, vendor, deb_src, out, err);
    if (overridden)
        return overridden < 0 ? -1 : 0;
    struct apt_entries all = {0};
    size_t before = out->len;
    int result = read_configuration(&all, err);
    if (result == 0)
        print_matching(&all, codename, vendor, deb_src, out);
    apt_entries_free(&all);
    if (result < 0)
        return error_wrap(err, "looking for the package sources of %s %s", id, codename);
    if (out->len == before) {
        error_user(err, "apt on this machine is not configured with any package source of %s %s",
                   id, codename);
        return error_hint(err,
                          "add one to /etc/apt/sources.list.d, or set REPO_URL (and "
                          "REPO_COMPONENTS) to a mirror of %s",
                          id);
    }
    return 0;
}
