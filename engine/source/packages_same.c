// SPDX-License-Identifier: Apache-2.0
// Finds one version for packages that need the same version across several architectures: the
// newest that the indexes of all architectures have.
#include "source/apt.h"
#include "source/packages_internal.h"

#include <string.h>

// A package of a group for one architecture.
struct member {
    const struct arch *of;
    char *name;
    struct package_versions versions; // the newest first
};
struct members {
    struct member *items;
    size_t n, cap;
};

static void free_members(struct members *m)
{
    for (size_t i = 0; i < m->n; i++) {
        free(m->items[i].name);
        package_versions_free(&m->items[i].versions);
    }
    free(m->items);
}

void package_versions_free(struct package_versions *v)
{
    for (size_t i = 0; i < v->n; i++)
        free(v->items[i].text);
    free(v->items);
    *v = (struct package_versions){0};
}

// "     1.85.0+dfsg3-1~deb12u3 500", or with "***" before the installed version; lines on the
// origin of a version begin with more blanks.
void packages_of_policy(const char *text, struct package_versions *out)
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

static int ask_versions(struct member *m, struct apt *a, struct error **err)
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
                        struct members *out, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    strlist_split(&names, group, ",");
    for (size_t i = 0; i < r->names->n; i++) {
        cleanup_free char *plain = NULL;
        const struct arch *of = packages_arch_of(r, r->names->items[i], &plain);
        if (!strlist_has(&names, plain))
            continue;
        out->items = xgrow(out->items, &out->cap, out->n + 1, sizeof *out->items);
        struct member *m = &out->items[out->n++];
        *m = (struct member){.of = of, .name = xstrdup(plain)};
        if (ask_versions(m, packages_apt(mirrors, r, of, o, err), err) < 0)
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
static const char *version_like(const struct member *m, const char *version, int least)
{
    for (size_t i = 0; i < m->versions.n; i++)
        if (m->versions.items[i].priority >= least &&
            same_source(m->versions.items[i].text, version))
            return m->versions.items[i].text;
    return NULL;
}

// Appends "<architecture> <name>=<version>" for each. `least`: the lowest priority that counts.
static bool choose_version(const struct members *m, int least, struct strlist *out)
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

static int no_version(const struct packages_request *r, const struct members *m, struct error **err)
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
    return error_hint(err, "they have to be of one version (same-version in the recipe's builder); "
                           "REPO_URL names a mirror that has one for all of them: of another "
                           "release, or of another day");
}

int packages_same_versions(const struct packages_request *r, struct mirrors *mirrors,
                           const struct source_options *o, struct strlist *out, struct error **err)
{
    // Versions that apt takes by default, then those it takes only on request (backports).
    static const int least[] = {500, 1};
    for (size_t i = 0; r->same && i < r->same->n; i++) {
        struct members m = {0};
        bool found = false;
        int result = find_members(r, r->same->items[i], mirrors, o, &m, err);
        for (size_t k = 0; !result && m.n && k < ARRAY_LEN(least) && !found; k++)
            found = choose_version(&m, least[k], out);
        if (!result && m.n && !found)
            result = no_version(r, &m, err);
        free_members(&m);
        if (result < 0)
            return -1;
    }
    return 0;
}
