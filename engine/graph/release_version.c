// SPDX-License-Identifier: Apache-2.0
// Finds the version of the release that the components are of, says where it comes from, and which
// other places contradict it.
#include "graph/job.h"

#include "base/file.h"
#include "base/process.h"
#include "source/source.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

// ---- a folder ----

// The file VERSION in a folder, or NULL.
static char *version_file(const char *folder, char **origin)
{
    cleanup_free char *path = xasprintf("%s/VERSION", folder);
    cleanup_buf struct buf text = {0};
    struct error *ignored = NULL;
    if (path_exists(path) && file_read(path, 4096, &text, &ignored) == 0)
        buf_trim_end(&text);
    error_free(ignored);
    if (text.len)
        *origin = xasprintf("the file %s", path);
    return text.len ? buf_take(&text) : NULL;
}

static char *described(const char *folder, char **origin)
{
    char *const argv[] = {(char *)"git",      (char *)"-C",     (char *)folder,
                          (char *)"describe", (char *)"--tags", NULL};
    struct process p = {.argv = argv, .input = -1};
    cleanup_buf struct buf text = {0};
    struct error *ignored = NULL;
    if (process_run(&p, &text, &ignored) == 0)
        buf_trim_end(&text);
    error_free(ignored);
    if (text.len)
        *origin = xasprintf("`git describe --tags` in %s", folder);
    return text.len ? buf_take(&text) : NULL;
}

// Of a checkout, as upstream does.
static char *checkout_version(const char *folder, bool release, char **origin)
{
    char *version = release ? version_file(folder, origin) : NULL;
    version = version ? version : described(folder, origin);
    return version ? version : version_file(folder, origin);
}

// ---- checkouts ----

static bool has_all(const char *folder, const struct strlist *paths)
{
    for (size_t i = 0; i < paths->n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", folder, paths->items[i]);
        if (!path_exists(path))
            return false;
    }
    return paths->n;
}

// The first source of a recipe for which this holds. Unreadable recipes are skipped.
static const struct recipe_source *find_source(struct recipe_set *set,
                                               bool (*holds)(const struct recipe_source *source,
                                                             const void *context),
                                               const void *context)
{
    cleanup_error struct error *ignored = NULL;
    cleanup_strlist struct strlist names = {0};
    if (!set || recipe_names(set, &names, &ignored) < 0)
        return NULL;
    for (size_t i = 0; i < names.n; i++) {
        const struct recipe *r = recipe_get(set, names.items[i], NULL);
        for (size_t k = 0; r && k < r->source_count; k++)
            if (holds(&r->sources[k], context))
                return &r->sources[k];
    }
    return NULL;
}

// The folder has all files that the `checkout` of the source names.
static bool is_checkout_of(const struct recipe_source *source, const void *folder)
{
    return has_all(folder, &source->checkout);
}

// A folder of the user's takes the place of what `checkout` names.
static bool is_chosen(const struct recipe_source *source, const void *choices)
{
    const struct source_choice *c = source_choice_of(choices, source->name);
    return source->checkout.n && c && c->origin == ORIGIN_FOLDER && !c->fault;
}

static bool is_named(const struct recipe_source *source, const void *name)
{
    return source->checkout.n && !strcmp(source->name, name);
}

bool release_version_reads(struct recipe_set *set, const char *source)
{
    return find_source(set, is_named, source) != NULL;
}

static char *versions_folder(const struct versions *v)
{
    char *folder = path_absolute(v->path);
    size_t n = (size_t)(path_base(folder) - folder);
    folder[n > 1 ? n - 1 : n] = '\0';
    return folder;
}

static bool asks_for_file(void)
{
    const char *release = getenv("RELEASE");
    return release && !strcmp(release, "yes");
}

// ---- all places ----

static char *named_version(const struct versions *v, char **origin)
{
    cleanup_error struct error *none = NULL;
    const char *named = versions_text(v, "externals.kata.version", &none);
    if (!named || !*named)
        return NULL;
    *origin = xasprintf("externals.kata.version of %s", v->path);
    return xstrdup(named);
}

char *release_version(const struct versions *v, struct recipe_set *set, char **origin)
{
    cleanup_free char *folder = versions_folder(v), *from = NULL;
    char *version = v->release ? xstrdup(v->release) : named_version(v, &from);
    if (v->release)
        from = xstrdup("the plan");
    if (!version && asks_for_file())
        version = version_file(folder, &from);
    if (!version && find_source(set, is_checkout_of, folder))
        version = checkout_version(folder, asks_for_file(), &from);
    if (origin)
        *origin = version ? steal(from) : NULL;
    return version;
}

char *release_version_chosen(struct recipe_set *set, const struct source_choices *choices,
                             char **origin)
{
    const struct recipe_source *source = choices ? find_source(set, is_chosen, choices) : NULL;
    const struct source_choice *c = source ? source_choice_of(choices, source->name) : NULL;
    cleanup_free char *from = NULL;
    // A folder without a repository of its own may be in that of another project.
    char *version = c ? checkout_version(c->folder, true, &from) : NULL;
    if (version)
        *origin = xasprintf("%s, where the source %s comes from", from, source->name);
    return version;
}

bool release_version_same(const char *a, const char *b)
{
    a += *a == 'v';
    b += *b == 'v';
    size_t n = 0;
    while (a[n] && a[n] == b[n])
        n++;
    const char *longer = a[n] ? a + n : b + n;
    if (a[n] && b[n])
        return false;
    return !*longer ||
           (longer[0] == '-' && isdigit((unsigned char)longer[1]) && strstr(longer, "-g") != NULL);
}

static void add_other(const char *version, const char *other, const char *origin,
                      struct strlist *out)
{
    cleanup_free char *text = other ? xasprintf("%s is %s", origin, other) : NULL;
    if (other && !release_version_same(version, other))
        strlist_add_once(out, text);
}

void release_version_others(const struct versions *v, struct recipe_set *set, const char *version,
                            struct strlist *out)
{
    cleanup_free char *folder = versions_folder(v), *from = NULL, *from_file = NULL;
    cleanup_free char *named = named_version(v, &from);
    add_other(version, named, from, out);
    // Beside a versions.yaml that is in no checkout, VERSION is that of another project.
    if (!find_source(set, is_checkout_of, folder))
        return;
    cleanup_free char *file = version_file(folder, &from_file);
    add_other(version, file, from_file, out);
}

bool version_before(const char *version, unsigned major, unsigned minor)
{
    unsigned a, b;
    if (sscanf(*version == 'v' ? version + 1 : version, "%u.%u", &a, &b) != 2)
        return false;
    return a < major || (a == major && b < minor);
}
