// SPDX-License-Identifier: Apache-2.0
// Finds the version of a release in versions.yaml, the environment or the checkout around it.
#include "graph/release_version.h"

#include "base/memory.h"
#include "base/file.h"
#include "base/process.h"

#include <string.h>

static void trim(struct buf *text)
{
    while (text->len && strchr("\n ", text->data[text->len - 1]))
        text->data[--text->len] = '\0';
}

// The file VERSION in a folder, or NULL.
static char *version_file(const char *folder)
{
    cleanup_free char *path = xasprintf("%s/VERSION", folder);
    cleanup_buf struct buf text = {0};
    struct error *ignored = NULL;
    if (path_exists(path) && file_read(path, 4096, &text, &ignored) == 0)
        trim(&text);
    error_free(ignored);
    return text.len ? buf_take(&text) : NULL;
}

static bool has_all(const char *folder, const struct strlist *paths)
{
    for (size_t i = 0; i < paths->n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", folder, paths->items[i]);
        if (!path_exists(path))
            return false;
    }
    return paths->n;
}

// The folder has all files that the `checkout` of some recipe names. Unreadable recipes are
// skipped.
static bool is_checkout(struct recipe_set *set, const char *folder)
{
    cleanup_error struct error *ignored = NULL;
    cleanup_strlist struct strlist names = {0};
    if (recipe_names(set, &names, &ignored) < 0)
        return false;
    for (size_t i = 0; i < names.n; i++) {
        const struct recipe *r = recipe_get(set, names.items[i], NULL);
        for (size_t k = 0; r && k < r->source_count; k++)
            if (has_all(folder, &r->sources[k].checkout))
                return true;
    }
    return false;
}

static char *described(const char *folder)
{
    char *const argv[] = {(char *)"git",      (char *)"-C",     (char *)folder,
                          (char *)"describe", (char *)"--tags", NULL};
    struct process p = {.argv = argv, .input = -1};
    cleanup_buf struct buf text = {0};
    struct error *ignored = NULL;
    if (process_run(&p, &text, &ignored) == 0)
        trim(&text);
    error_free(ignored);
    return text.len ? buf_take(&text) : NULL;
}

char *release_version(const struct versions *v, struct recipe_set *set)
{
    const char *release = getenv("RELEASE"), *base = path_base(v->path);
    cleanup_free char *before = xstrndup(v->path, (size_t)(base - v->path));
    cleanup_free char *folder = path_absolute(*before ? before : ".");
    cleanup_error struct error *none = NULL;
    const char *named = versions_text(v, "externals.kata.version", &none);
    char *version = named && *named ? xstrdup(named) : NULL;
    if (!version && release && !strcmp(release, "yes"))
        version = version_file(folder);
    if (!version && set && is_checkout(set, folder)) {
        version = described(folder);
        if (!version)
            version = version_file(folder);
    }
    return version;
}

bool version_before(const char *version, unsigned major, unsigned minor)
{
    unsigned a, b;
    if (sscanf(*version == 'v' ? version + 1 : version, "%u.%u", &a, &b) != 2)
        return false;
    return a < major || (a == major && b < minor);
}
