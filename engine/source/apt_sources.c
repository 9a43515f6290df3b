// SPDX-License-Identifier: Apache-2.0
// Finds the places of a distribution's packages for apt on this machine: from apt's list of its
// configuration (`apt-get indextargets`), it selects the distribution's suites.
#include "base/file.h"
#include "base/input.h"
#include "source/internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

// The two distributions in versions.yaml: the origin and keys of their archives.
static const struct vendor {
    const char *id, *origin, *keyring;
} vendors[] = {
    {"debian", "Debian", "debian-archive"},
    {"ubuntu", "Ubuntu", "ubuntu-archive"},
};

static const char *const pockets[] = {
    "",         "-updates",          "-security", "-backports", "-backports-sloppy",
    "/updates", "-proposed-updates", "-proposed",
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
    if (!suite || strncmp(suite, codename, n) != 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(pockets); i++)
        if (strcmp(suite + n, pockets[i]) == 0)
            return true;
    return false;
}

static void print_place(const struct apt_place *p, const struct apt_wanted *w,
                        const struct strlist *components, struct buf *out)
{
    cleanup_free char *text = strlist_join(components, " ");
    buf_printf(out, "Types: %s\nURIs: %s\nSuites: %s\nComponents: %s\n",
               w->source ? "deb-src" : "deb", p->uri, p->suite, text);
    if (!w->source)
        buf_printf(out, "Architectures: %s\n", w->arch->debian);
    for (size_t i = 0; i < p->options.n; i++)
        buf_printf(out, "%s\n", p->options.items[i]);
    buf_puts(out, "\n");
}

static bool place_matches(const struct apt_place *p, const struct apt_place *q)
{
    return !strcmp(p->uri, q->uri) && !strcmp(p->suite, q->suite);
}

// Has a private apt fetch and verify the Release files of places that this machine's apt has none
// of, as in an image whose lists were removed.
static int query_mirrors(struct apt_places *all,
                         bool (*asked)(const struct apt_place *, const char *),
                         const struct apt_wanted *w, const char *name, struct error **err)
{
    cleanup_buf struct buf sources = {0};
    const struct apt_wanted binary = {.arch = arch_host()};
    for (size_t i = 0; i < all->n; i++)
        if (!all->items[i].origin && asked(&all->items[i], w->codename))
            print_place(&all->items[i], &binary, &all->items[i].components, &sources);
    if (!sources.len || !w->folder)
        return 0;
    cleanup_free char *folder = xasprintf("%s/%s", w->folder, name);
    if (make_directories(folder, 0700, err) < 0)
        return -1;
    struct apt *a = apt_open(folder, sources.data, arch_host(), err);
    cleanup_apt_places struct apt_places found = {0};
    cleanup_error struct error *ignored = NULL; // the update that follows reports it
    int result = a ? 0 : -1;
    if (a)
        apt_update(a, true, &ignored);
    if (a)
        result = apt_places_list(a, &found, err);
    apt_close(a);
    for (size_t i = 0; i < all->n && !result; i++)
        for (size_t k = 0; k < found.n && !all->items[i].origin; k++)
            if (place_matches(&all->items[i], &found.items[k]))
                apt_place_read_release(&all->items[i], found.items[k].release_path);
    return result;
}

static bool has_usual_name(const struct apt_place *p, const char *codename)
{
    static const char *const aliases[] = {"stable",  "oldstable", "oldoldstable",
                                          "testing", "unstable",  "devel"};
    bool alias = suite_belongs(p->suite, codename);
    for (size_t i = 0; i < ARRAY_LEN(aliases) && !alias; i++)
        alias = suite_belongs(p->suite, aliases[i]);
    return alias;
}

static bool is_any_place(const struct apt_place *p, const char *codename)
{
    return true;
}

// ---- choosing ----

static bool place_belongs(const struct apt_place *p, const char *codename)
{
    return suite_belongs(p->suite, codename) || suite_belongs(p->codename, codename);
}

static const char *signed_by(const struct apt_place *p)
{
    for (size_t i = 0; i < p->options.n; i++)
        if (starts_with(p->options.items[i], "Signed-By:"))
            return p->options.items[i];
    return NULL;
}

// By the Origin of its Release file; if that is missing, by its trusted keys.
static bool is_from_vendor(const struct apt_place *p, const struct vendor *vendor)
{
    const char *keys = signed_by(p);
    if (!vendor)
        return true;
    if (p->origin)
        return strcasecmp(p->origin, vendor->origin) == 0;
    return !keys || strstr(keys, vendor->keyring) || strstr(keys, "BEGIN PGP");
}

static bool is_base_suite(const struct apt_place *p, const char *codename)
{
    return !strcmp(p->suite, codename) ||
           (p->codename && !strcmp(p->codename, codename) && !strchr(p->suite, '-'));
}

static bool any_place_belongs(const struct apt_places *all, const char *codename)
{
    for (size_t i = 0; i < all->n; i++)
        if (place_belongs(&all->items[i], codename))
            return true;
    return false;
}

// Third parties also use a distribution's code names as suites, and so does a mirror that signs
// with its own key. Such a place is used only if no place of the distribution has the suite.
static bool vendor_has_suite(const struct apt_places *all, const struct apt_wanted *w)
{
    for (size_t i = 0; i < all->n; i++)
        if (is_base_suite(&all->items[i], w->codename) &&
            is_from_vendor(&all->items[i], vendor_find(w->id)) &&
            (w->source || strlist_has(&all->items[i].architectures, w->arch->debian)))
            return true;
    return false;
}

// A component of a place is printed once, even if the host's files name it several times: apt
// rejects a target that is configured twice with different options.
static void unseen_components(struct strlist *seen, const struct apt_place *p, struct strlist *out)
{
    for (size_t i = 0; i < p->components.n; i++) {
        cleanup_free char *key = xasprintf("%s %s %s", p->uri, p->suite, p->components.items[i]);
        if (strlist_has(seen, key))
            continue;
        strlist_add(seen, key);
        strlist_add(out, p->components.items[i]);
    }
}

static void print_matching(const struct apt_places *all, const struct apt_wanted *w,
                           struct buf *out)
{
    const struct vendor *vendor = vendor_find(w->id);
    bool vendors_only = vendor_has_suite(all, w);
    cleanup_strlist struct strlist seen = {0};
    for (size_t i = 0; i < all->n; i++) {
        const struct apt_place *p = &all->items[i];
        cleanup_strlist struct strlist components = {0};
        if (!place_belongs(p, w->codename) || (vendors_only && !is_from_vendor(p, vendor)) ||
            (!w->source && !strlist_has(&p->architectures, w->arch->debian)))
            continue;
        unseen_components(&seen, p, &components);
        if (components.n)
            print_place(p, w, &components, out);
    }
}

static int find_places(const struct apt_wanted *w, struct apt_places *all, struct error **err)
{
    if (apt_places_list(NULL, all, err) < 0)
        return -1;
    for (size_t i = 0; i < all->n; i++) {
        struct apt_place *p = &all->items[i];
        // A file that only root may read is no source of an ordinary user, for apt neither.
        if (apt_entry_options(p->entry, &p->options, err) < 0)
            return -1;
        apt_place_read_release(p, p->release_path);
    }
    if (query_mirrors(all, has_usual_name, w, "named", err) < 0)
        return -1;
    return any_place_belongs(all, w->codename) ? 0
                                               : query_mirrors(all, is_any_place, w, "any", err);
}

// ---- settings of the environment ----

static const char *repo_setting(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static int check_mirror_url(const char *name, const char *url, struct error **err)
{
    if (url && (strpbrk(url, " \t\r\n") || !strstr(url, ":/")))
        return error_user(err, "%s=\"%s\" is not the URL of a package mirror", name, url);
    return 0;
}

static int add_keyring(const char *path, struct strlist *out, struct error **err)
{
    if (strpbrk(path, " \t\r\n,"))
        return error_user(err, "apt takes no key file whose name holds a blank or a comma: %s",
                          path);
    strlist_add(out, path);
    return 0;
}

// The keys that apt trusts by default, and the distribution's own.
static int usual_keyrings(const struct vendor *vendor, struct strlist *out, struct error **err)
{
    cleanup_free char *file = NULL, *folder = NULL;
    cleanup_strlist struct strlist names = {0};
    if (apt_setting_path("Dir::Etc::trusted/f", &file, err) < 0 ||
        apt_setting_path("Dir::Etc::trustedparts/d", &folder, err) < 0 ||
        (folder && is_directory(folder) && list_directory(folder, &names, err) < 0))
        return -1;
    if (file && path_exists(file) && add_keyring(file, out, err) < 0)
        return -1;
    size_t n = folder ? strlen(folder) : 0;
    while (n && folder[n - 1] == '/')
        folder[--n] = '\0';
    for (size_t i = 0; i < names.n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", folder, names.items[i]);
        bool key = ends_with(path, ".gpg") || ends_with(path, ".asc");
        if (key && access(path, R_OK) == 0 && !strpbrk(path, " \t,"))
            strlist_add(out, path);
    }
    cleanup_free char *own =
        vendor ? xasprintf("/usr/share/keyrings/%s-keyring.gpg", vendor->keyring) : NULL;
    return own && path_exists(own) ? add_keyring(own, out, err) : 0;
}

static int override_keyrings(const struct vendor *vendor, struct strlist *out, struct error **err)
{
    const char *named;
    if (security_variable("REPO_KEYRING", &named, err) < 0)
        return -1;
    if (!named)
        return usual_keyrings(vendor, out, err);
    cleanup_free char *path = path_absolute(named);
    if (access(path, R_OK) < 0) {
        error_errno(err, errno, "reading REPO_KEYRING, %s", path);
        return error_hint(err, "it names a file of OpenPGP keys, as `gpg --export` writes it");
    }
    return add_keyring(path, out, err);
}

// 1: the environment decided; 0: it has no setting.
static int print_override(const struct apt_wanted *w, struct buf *out, struct error **err)
{
    const char *all = repo_setting("REPO_URL"), *x86 = repo_setting("REPO_URL_X86_64");
    const char *components = repo_setting("REPO_COMPONENTS");
    if (check_mirror_url("REPO_URL", all, err) < 0 ||
        check_mirror_url("REPO_URL_X86_64", x86, err) < 0)
        return -1;
    if (components && strpbrk(components, "\r\n"))
        return error_user(err, "REPO_COMPONENTS must be one line");
    bool amd64 = !w->source && !strcmp(w->arch->debian, "amd64");
    const char *url = amd64 && x86 ? x86 : w->source && !all ? x86 : all;
    if (!url)
        return 0;
    cleanup_strlist struct strlist keyrings = {0};
    if (override_keyrings(vendor_find(w->id), &keyrings, err) < 0)
        return -1;
    struct apt_place p = {.uri = apt_readable_uri(url), .suite = xstrdup(w->codename)};
    strlist_split(&p.components, components ? components : "main", " \t,");
    cleanup_free char *keys = strlist_join(&keyrings, ",");
    if (keyrings.n)
        strlist_addf(&p.options, "Signed-By: %s", keys);
    print_place(&p, w, &p.components, out);
    free(p.uri);
    free(p.suite);
    strlist_free(&p.components);
    strlist_free(&p.options);
    return 1;
}

int apt_sources(const struct apt_wanted *w, struct buf *out, struct error **err)
{
    int overridden = print_override(w, out, err);
    if (overridden)
        return overridden < 0 ? -1 : 0;
    cleanup_apt_places struct apt_places all = {0};
    size_t before = out->len;
    if (find_places(w, &all, err) < 0)
        return error_wrap(err, "looking for the package sources of %s %s", w->id, w->codename);
    print_matching(&all, w, out);
    if (out->len != before)
        return 0;
    bool other = any_place_belongs(&all, w->codename);
    error_user(err, "apt on this machine is not configured with any package source of %s %s%s%s",
               w->id, w->codename, other ? " for " : "", other ? w->arch->debian : "");
    return error_hint(err,
                      "add one to /etc/apt/sources.list.d, or set REPO_URL (and REPO_COMPONENTS, "
                      "REPO_KEYRING) to a mirror of %s",
                      w->id);
}
