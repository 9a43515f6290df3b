// SPDX-License-Identifier: Apache-2.0
// Has apt resolve requests for packages, choose one version for those that need the same one across
// architectures, and download the results.
#include "base/error.h"
#include "source/internal.h"

#include <fnmatch.h>
#include <string.h>

#define APT_HELPER "/usr/lib/apt/apt-helper"

// ---- names ----

static const char name_bytes[] = "abcdefghijklmnopqrstuvwxyz0123456789+-.";

// Debian policy 5.6.1; in a builder it may have an architecture at its end.
static bool name_is_valid(const char *name, bool builder)
{
    size_t n = strspn(name, name_bytes);
    if (!n || !strchr("abcdefghijklmnopqrstuvwxyz0123456789", *name))
        return false;
    return !name[n] ||
           (builder && name[n] == ':' && name[n + 1] &&
            !name[n + 1 + strspn(name + n + 1, "abcdefghijklmnopqrstuvwxyz0123456789")]);
}

int packages_check_names(const struct packages_request *r, struct error **err)
{
    bool builder = r->kind == PACKAGES_BUILDER || r->kind == PACKAGES_ROOTFS;
    for (size_t i = 0; i < r->names->n; i++)
        if (!name_is_valid(r->names->items[i], builder))
            return error_user(err, "'%s' is not the name of a package", r->names->items[i]);
    return r->names->n ? 0 : error_user(err, "no package is named");
}

// The architecture of the root file system that a name belongs to ("libc6-dev:s390x"), and in
// *plain, to be freed, the name there. Other suffixes are left to apt.
static const struct arch *arch_of_name(const struct packages_request *r, const char *name,
                                       char **plain)
{
    const char *colon = strchr(name, ':');
    for (size_t i = 0; colon && i < arch_count; i++)
        if (!strcmp(colon + 1, arch_table[i].debian)) {
            *plain = xstrndup(name, (size_t)(colon - name));
            return &arch_table[i];
        }
    *plain = xstrdup(name);
    return r->arch;
}

// ---- one version for several architectures: the newest that the indexes of all of them have ----

struct package_version {
    char *text;
    int priority; // apt_preferences(5)
};
struct package_versions {
    struct package_version *items;
    size_t n, cap;
};

static void package_versions_free(struct package_versions *v)
{
    for (size_t i = 0; i < v->n; i++)
        free(v->items[i].text);
    free(v->items);
    *v = (struct package_versions){0};
}

// A package of a group for one architecture.
struct group_member {
    const struct arch *of;
    char *name;
    struct package_versions versions; // the newest first
};
struct group_members {
    struct group_member *items;
    size_t n, cap;
};

static void group_members_free(struct group_members *m)
{
    for (size_t i = 0; i < m->n; i++) {
        free(m->items[i].name);
        package_versions_free(&m->items[i].versions);
    }
    free(m->items);
}

// Appends the version table of one package from `apt-cache policy`, the newest first:
// "     1.85.0+dfsg3-1~deb12u3 500", or with "***" before the installed version; lines on the
// origin of a version begin with more blanks.
static void packages_of_policy(const char *text, struct package_versions *out)
{
    cleanup_strlist struct strlist lines = {0};
    strlist_split(&lines, text, "\n");
    bool table = false;
    for (size_t i = 0; i < lines.n; i++) {
        const char *line = lines.items[i];
        if (!table || strlen(line) < 6 || line[4] != ' ' || line[5] == ' ') {
            table = table || strstr(line, "Version table:");
            continue;
        }
        cleanup_strlist struct strlist fields = {0};
        strlist_split(&fields, line + 5, " ");
        if (fields.n != 2)
            continue;
        out->items = xgrow(out->items, &out->cap, out->n + 1, sizeof *out->items);
        out->items[out->n++] = (struct package_version){
            .text = xstrdup(fields.items[0]), .priority = (int)strtol(fields.items[1], NULL, 10)};
    }
}

static int read_versions(struct group_member *m, struct apt *a, struct error **err)
{
    const char *const argv[] = {"apt-cache", "policy", m->name, NULL};
    cleanup_buf struct buf text = {0};
    if (!a || apt_run(a, argv, NULL, &text, err) < 0)
        return -1;
    packages_of_policy(text.data, &m->versions);
    return 0;
}

static int find_members(const struct packages_request *r, const char *group,
                        struct mirrors *mirrors, const struct source_options *o,
                        struct group_members *out, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    strlist_split(&names, group, ",");
    for (size_t i = 0; i < r->names->n; i++) {
        cleanup_free char *plain = NULL;
        const struct arch *of = arch_of_name(r, r->names->items[i], &plain);
        if (!strlist_has(&names, plain))
            continue;
        out->items = xgrow(out->items, &out->cap, out->n + 1, sizeof *out->items);
        struct group_member *m = &out->items[out->n++];
        *m = (struct group_member){.of = of, .name = xstrdup(plain)};
        if (read_versions(m, mirror_apt_for(mirrors, r, of, o, err), err) < 0)
            return -1;
    }
    return 0;
}

// The length of a version without "+b1", the mark of a rebuild by a build machine from the same
// source (Debian Policy, 5.6.12 names the form).
static size_t source_length(const char *version)
{
    size_t n = strlen(version), digits = n;
    while (digits && version[digits - 1] >= '0' && version[digits - 1] <= '9')
        digits--;
    bool again = digits < n && digits > 2 && !strncmp(version + digits - 2, "+b", 2);
    return again ? digits - 2 : n;
}

static bool same_source(const char *a, const char *b)
{
    size_t n = source_length(a);
    return n == source_length(b) && !strncmp(a, b, n);
}

// The newest of its versions from the same source, or NULL.
static const char *version_like(const struct group_member *m, const char *version, int least)
{
    for (size_t i = 0; i < m->versions.n; i++)
        if (m->versions.items[i].priority >= least &&
            same_source(m->versions.items[i].text, version))
            return m->versions.items[i].text;
    return NULL;
}

// Appends "<architecture> <name>=<version>" for each. `least`: the lowest priority that counts.
static bool choose_version(const struct group_members *m, int least, struct strlist *out)
{
    for (size_t i = 0; i < m->items[0].versions.n; i++) {
        const struct package_version *v = &m->items[0].versions.items[i];
        size_t have = 0;
        while (v->priority >= least && have < m->n && version_like(&m->items[have], v->text, least))
            have++;
        if (have < m->n)
            continue;
        for (size_t k = 0; k < m->n; k++)
            strlist_addf(out, "%s %s=%s", m->items[k].of->debian, m->items[k].name,
                         version_like(&m->items[k], v->text, least));
        return true;
    }
    return false;
}

static int no_common_version(const struct packages_request *r, const struct group_members *m,
                             struct error **err)
{
    cleanup_buf struct buf has = {0};
    for (size_t i = 0; i < m->n; i++) {
        buf_printf(&has, "%s%s for %s: ", i ? "; " : "", m->items[i].name, m->items[i].of->debian);
        for (size_t k = 0; k < m->items[i].versions.n; k++)
            buf_printf(&has, "%s%s", k ? ", " : "", m->items[i].versions.items[k].text);
        if (!m->items[i].versions.n)
            buf_puts(&has, "none");
    }
    error_user(err, "%s %s has no version that these packages share: %s", r->distribution->id,
               r->distribution->codename, has.data);
    return error_hint(err,
                      "the recipe requires one version of them (same-version): set REPO_URL to "
                      "a mirror that has it, of another release or of another day");
}

// For each package that r->same binds, "<architecture> <name>=<version>" (Debian's words).
static int choose_same_versions(const struct packages_request *r, struct mirrors *mirrors,
                                const struct source_options *o, struct strlist *out,
                                struct error **err)
{
    // Versions that apt takes by default, then those it takes only on request (backports).
    static const int least[] = {500, 1};
    for (size_t i = 0; r->same && i < r->same->n; i++) {
        struct group_members m = {0};
        bool found = false;
        int result = find_members(r, r->same->items[i], mirrors, o, &m, err);
        for (size_t k = 0; !result && m.n && k < ARRAY_LEN(least) && !found; k++)
            found = choose_version(&m, least[k], out);
        if (!result && m.n && !found)
            result = no_common_version(r, &m, err);
        group_members_free(&m);
        if (result < 0)
            return -1;
    }
    return 0;
}

// ---- resolving ----

// apt writes ':' and '_' of a version as %3a and %5f in the names of files.
static char *unquote_version(const char *text, size_t length)
{
    struct buf out = {0};
    for (size_t i = 0; i < length; i++) {
        int high = text[i] == '%' && i + 2 < length ? hex_digit(text[i + 1]) : -1;
        int low = high < 0 ? -1 : hex_digit(text[i + 2]);
        char c = low < 0 ? text[i] : (char)(high << 4 | low);
        buf_add(&out, &c, 1);
        i += low < 0 ? 0 : 2;
    }
    return buf_take(&out);
}

// "gcc_4%3a12.2.0-3_amd64.deb"
static int parse_deb_name(struct package *p, struct error **err)
{
    const char *first = strchr(p->file, '_'), *second = first ? strchr(first + 1, '_') : NULL;
    if (!second || !ends_with(p->file, ".deb"))
        return error_user(err, "apt calls a package %s, which kbuild does not understand", p->file);
    p->name = xstrndup(p->file, (size_t)(first - p->file));
    p->version = unquote_version(first + 1, (size_t)(second - first - 1));
    p->architecture = xstrndup(second + 1, strlen(second + 1) - strlen(".deb"));
    return 0;
}

// 'http://mirror/pool/main/b/busybox/busybox_1.35.0-4.dsc' busybox_1.35.0-4.dsc 2413 SHA256:<hex>
static int parse_uri_line(const char *line, const char *of, struct package_set *out,
                          struct error **err)
{
    const char *quote = strchr(line + 1, '\'');
    cleanup_strlist struct strlist fields = {0};
    if (quote)
        strlist_split(&fields, quote + 1, " ");
    if (fields.n < 3 || !path_is_clean(fields.items[0]) || strchr(fields.items[0], '/') ||
        !starts_with(fields.items[2], "SHA256:") || !digest_is_hex(fields.items[2] + 7))
        return error_user(err, "apt-get --print-uris says what kbuild does not understand: %s",
                          line);
    out->items = xgrow(out->items, &out->cap, out->n + 1, sizeof *out->items);
    struct package *p = &out->items[out->n++];
    *p = (struct package){.file = xstrdup(fields.items[0]),
                          .uri = xstrndup(line + 1, (size_t)(quote - line - 1))};
    memcpy(p->sha256, fields.items[2] + 7, DIGEST_HEX_SIZE);
    if (!of)
        return 0;
    p->of = xstrdup(of);
    return parse_deb_name(p, err);
}

int packages_of_uris(const char *text, const char *of, struct package_set *out, struct error **err)
{
    cleanup_strlist struct strlist lines = {0};
    strlist_split(&lines, text, "\n");
    for (size_t i = 0; i < lines.n; i++)
        if (lines.items[i][0] == '\'' && parse_uri_line(lines.items[i], of, out, err) < 0)
            return -1;
    return 0;
}

static int list_uris(const struct apt *a, struct strlist *argv, const char *of,
                     struct package_set *out, struct error **err)
{
    cleanup_buf struct buf text = {0};
    if (apt_run(a, (const char *const *)argv->items, NULL, &text, err) < 0)
        return -1;
    return packages_of_uris(text.data ? text.data : "", of, out, err);
}

// "name=version" where one is given, else the name.
static const char *name_with_version(const struct strlist *versions, const struct arch *of,
                                     const char *name)
{
    cleanup_free char *start = xasprintf("%s %s=", of->debian, name);
    for (size_t i = 0; i < versions->n; i++)
        if (starts_with(versions->items[i], start))
            return strchr(versions->items[i], ' ') + 1;
    return name;
}

// Installed together, `Multi-Arch: same` packages would need the same version for two
// architectures, which a mirror does not always have; so each root file system is resolved
// separately. `versions`: the result of choose_same_versions().
static int resolve_installed(const struct packages_request *r, const struct arch *of,
                             const struct strlist *versions, struct mirrors *m,
                             const struct source_options *o, struct package_set *out,
                             struct error **err)
{
    cleanup_strlist struct strlist argv = {0}, names = {0};
    for (size_t i = 0; i < r->names->n; i++) {
        cleanup_free char *plain = NULL;
        if (arch_of_name(r, r->names->items[i], &plain) == of)
            strlist_add(&names, name_with_version(versions, of, plain));
    }
    bool essential = r->kind == PACKAGES_BUILDER && of == r->arch;
    if (!names.n && !essential)
        return 0;
    struct apt *a = mirror_apt_for(m, r, of, o, err);
    if (!a)
        return -1;
    strlist_split(&argv, "apt-get -q -y install --print-uris", " ");
    if (essential)
        strlist_addf(&argv, "?essential?architecture(%s)", of->debian);
    strlist_add_all(&argv, &names);
    if (list_uris(a, &argv, of->debian, out, err) == 0)
        return 0;
    cleanup_free char *joined = strlist_join(&names, " ");
    return error_hint(err, "does %s have these packages for %s: %s? REPO_URL takes another mirror",
                      r->distribution->codename, of->debian, joined);
}

static bool is_madison_line(const char *line, const char *name, bool source)
{
    // "linux-source-6.1 | 6.1.147-1 | http://... bookworm/main amd64 Packages"
    const char *start = line + strspn(line, " ");
    size_t n = strlen(name);
    return !strncmp(start, name, n) && (start[n] == ' ' || start[n] == '|') &&
           ends_with(line, source ? " Sources" : " Packages");
}

// 1: the distribution has it.
static int package_exists(const struct apt *a, const char *name, bool source, struct error **err)
{
    const char *const argv[] = {"apt-cache", "madison", name, NULL};
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist lines = {0};
    if (apt_run(a, argv, NULL, &text, err) < 0)
        return -1;
    strlist_split(&lines, text.data, "\n");
    for (size_t i = 0; i < lines.n; i++)
        if (is_madison_line(lines.items[i], name, source))
            return 1;
    return 0;
}

// "  Depends: linux-image-6.1.0-50-s390x", " |Depends: a" for one of several, "  PreDepends: <b>"
// for a name that several packages provide. To be freed, or NULL.
static char *dependency_in_line(const char *line)
{
    const char *const kinds[] = {"Depends: ", "PreDepends: "};
    const char *text = line + strspn(line, " |");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (text > line && starts_with(text, kinds[i]) && text[strlen(kinds[i])] != '<')
            return xstrdup(text + strlen(kinds[i]));
    return NULL;
}

// The one package with such a name that the package depends on; to be freed.
static char *follow_dependency(const struct apt *a, const char *name, const char *pattern,
                               struct error **err)
{
    const char *const argv[] = {"apt-cache", "depends", name, NULL};
    cleanup_buf struct buf text = {0};
    cleanup_strlist struct strlist lines = {0}, found = {0};
    if (apt_run(a, argv, NULL, &text, err) < 0)
        return NULL;
    strlist_split(&lines, text.data ? text.data : "", "\n");
    for (size_t i = 0; i < lines.n; i++) {
        cleanup_free char *needed = dependency_in_line(lines.items[i]);
        if (needed && !fnmatch(pattern, needed, 0) && !strlist_has(&found, needed))
            strlist_add(&found, needed);
    }
    if (found.n == 1 && name_is_valid(found.items[0], false))
        return xstrdup(found.items[0]);
    strlist_sort(&found);
    cleanup_free char *names = strlist_join(&found, " ");
    if (found.n)
        error_user(err, "%s depends on %s, and only one package %s can be the source", name, names,
                   pattern);
    else
        error_user(err, "%s depends on no package %s, which would be the source", name, pattern);
    error_hint(err, "change `dependency` or `packages` of this source's `debian:` in the recipe or "
                    "in versions.yaml");
    return NULL;
}

static int list_files(const struct packages_request *r, const struct apt *a, const char *name,
                      struct package_set *out, struct error **err)
{
    cleanup_strlist struct strlist argv = {0};
    out->chosen = r->dependency ? follow_dependency(a, name, r->dependency, err) : xstrdup(name);
    if (!out->chosen)
        return -1;
    strlist_split(&argv,
                  r->kind == PACKAGES_SOURCE ? "apt-get -q source --only-source --print-uris"
                                             : "apt-get -q download --print-uris",
                  " ");
    strlist_add(&argv, out->chosen);
    return list_uris(a, &argv, NULL, out, err);
}

static int resolve_files(const struct packages_request *r, struct mirrors *m,
                         const struct source_options *o, struct package_set *out,
                         struct error **err)
{
    bool source = r->kind == PACKAGES_SOURCE;
    struct apt *a = mirror_apt_for(m, r, r->arch, o, err);
    for (size_t i = 0; a && i < r->names->n; i++) {
        const char *name = r->names->items[i];
        int found = package_exists(a, name, source, err);
        if (found)
            return found < 0 ? -1 : list_files(r, a, name, out, err);
    }
    if (!a)
        return -1;
    cleanup_free char *names = strlist_join(r->names, " ");
    error_user(err, "%s %s has none of these packages: %s", r->distribution->id,
               r->distribution->codename, names);
    return error_hint(err, r->upstream_too
                               ? "name another package under `debian:` in versions.yaml, or get "
                                 "the source with --sources=upstream"
                               : "name another package under `debian:` of the source, in its "
                                 "recipe or in versions.yaml");
}

static int resolve_request(const struct packages_request *r, struct mirrors *m,
                           const struct source_options *o, struct package_set *out,
                           struct error **err)
{
    int result = 0;
    if (r->kind == PACKAGES_FIRST || r->kind == PACKAGES_SOURCE)
        result = resolve_files(r, m, o, out, err);
    else {
        cleanup_strlist struct strlist versions = {0};
        result = choose_same_versions(r, m, o, &versions, err);
        for (size_t i = 0; i < arch_count && !result; i++)
            result = resolve_installed(r, &arch_table[i], &versions, m, o, out, err);
    }
    return !result && !out->n ? error_user(err, "apt-get names no files") : result;
}

static int compare_packages(const void *a, const void *b)
{
    const struct package *x = a, *y = b;
    int order = strcmp(x->of ? x->of : "", y->of ? y->of : "");
    return order ? order : strcmp(x->file, y->file);
}

int packages_query(const struct packages_request *r, const struct source_options *o,
                   struct package_set *out, struct error **err)
{
    struct mirrors *m = o->mirrors ? o->mirrors : mirrors_new();
    int result = resolve_request(r, m, o, out, err);
    if (m != o->mirrors)
        mirrors_free(m);
    if (out->n)
        qsort(out->items, out->n, sizeof *out->items, compare_packages);
    return result;
}

// ---- downloading ----

static bool package_is_wanted(const struct package *p, const char *of)
{
    return !of || (p->of && !strcmp(p->of, of));
}

static int check_downloads(const struct package_set *set, const char *of, const char *folder,
                           struct error **err)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct package *p = &set->items[i];
        cleanup_free char *path = xasprintf("%s/%s", folder, p->file);
        char digest[DIGEST_HEX_SIZE];
        if (!package_is_wanted(p, of))
            continue;
        if (digest_file(path, digest, NULL, err) < 0)
            return -1;
        if (strcmp(digest, p->sha256) != 0)
            return error_user(err, "%s has the SHA-256 %s, but the distribution's index says %s",
                              p->file, digest, p->sha256);
    }
    return 0;
}

static int download_files(const struct package_set *set, const char *of, const char *private,
                          const char *folder, struct error **err)
{
    cleanup_strlist struct strlist argv = {0};
    strlist_add(&argv, APT_HELPER);
    strlist_add(&argv, "download-file");
    for (size_t i = 0; i < set->n; i++) {
        const struct package *p = &set->items[i];
        cleanup_free char *path = xasprintf("%s/%s", folder, p->file);
        if (!package_is_wanted(p, of) || path_exists(path))
            continue;
        strlist_add(&argv, p->uri);
        strlist_add(&argv, path);
        strlist_addf(&argv, "SHA256:%s", p->sha256);
    }
    if (argv.n == 2)
        return 0;
    struct apt *a = apt_open(private, "", arch_host(), err);
    int result = a ? apt_run(a, (const char *const *)argv.items, folder, NULL, err) : -1;
    apt_close(a);
    return result;
}

int packages_download(const struct package_set *set, const char *of, const struct source_options *o,
                      const char *folder, struct error **err)
{
    cleanup_free char *absolute = path_absolute(folder);
    cleanup_free char *private = store_temporary(o->store, "apt", err);
    if (!private)
        return -1;
    progress("downloading packages", 0, 0, "bytes");
    int result = download_files(set, of, private, absolute, err);
    remove_tree(private, NULL);
    if (!result)
        return check_downloads(set, of, absolute, err);
    error_wrap(err, "downloading packages of the distribution");
    if (err && ((*err)->hint || (*err)->kind == ERROR_INTERRUPT))
        return -1;
    return error_hint(err, "if the mirror has newer versions by now, `kbuild update TARGET` takes "
                           "those");
}
