// SPDX-License-Identifier: Apache-2.0
// Reads values that name files. They are checked when a recipe is loaded, so that a typing error is
// found before a long build; none may be outside its folder, directly or by links.
#include "recipe/reader.h"

#include "base/file.h"

#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>

// Suggests a similar name for one that is not in its folder.
static void suggest(struct recipe_reader *r, const char *folder, const char *path)
{
    cleanup_free char *parent = xasprintf("%s/%.*s", folder, (int)(path_base(path) - path), path);
    struct strlist names = {0};
    if (list_directory(parent, &names, NULL) == 0) {
        const char *nearest = nearest_name(path_base(path), &names);
        if (nearest)
            error_hint(r->err, "did you mean '%.*s%s'?", (int)(path_base(path) - path), path,
                       nearest);
    }
    strlist_free(&names);
}

// Whether following links from `full` ends inside `folder`.
static bool stays_inside(const char *folder, const char *full)
{
    cleanup_free char *top = realpath(folder, NULL), *end = realpath(full, NULL);
    size_t n = top ? strlen(top) : 0;
    return top && end && !strncmp(end, top, n) && (end[n] == '/' || !end[n]);
}

// `path` is relative to `folder` and clean; it must be a regular file (or a folder).
static int check_inside(struct recipe_reader *r, const struct yaml *node, const char *folder,
                        const char *path, bool want_folder)
{
    const char *what = want_folder ? "folder" : "file";
    cleanup_free char *full = xasprintf("%s/%s", folder, path);
    struct stat st;
    if (lstat(full, &st) < 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            return reader_error(r, node, "'%s': %s", path, strerror(errno));
        reader_error(r, node, "there is no %s '%s' in %s", what, path, folder);
        suggest(r, folder, path);
        return -1;
    }
    // Without a link nothing can lead outside: the usual case, and a quick one.
    if (S_ISLNK(st.st_mode) || strchr(path, '/')) {
        if (!stays_inside(folder, full))
            return reader_error(r, node, "'%s' is a link that leads out of %s, or to nothing", path,
                                folder);
        if (stat(full, &st) < 0)
            return reader_error(r, node, "'%s': %s", path, strerror(errno));
    }
    if (want_folder ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode))
        return reader_error(r, node, "'%s' is not a %s", path, what);
    return 0;
}

int read_file(struct recipe_reader *r, const struct yaml *node, void *target)
{
    char **out = target;
    if (read_path(r, node, out) < 0)
        return -1;
    return check_inside(r, node, r->recipe->folder, *out, false);
}

int read_folder(struct recipe_reader *r, const struct yaml *node, void *target)
{
    char **out = target;
    if (read_path(r, node, out) < 0)
        return -1;
    return check_inside(r, node, r->recipe->folder, *out, true);
}

int read_overlay(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe_layer *layer = target;
    if (read_path(r, node, &layer->overlay) < 0)
        return -1;
    const struct recipe *like = r->recipe->like;
    cleanup_free char *own = xasprintf("%s/%s", r->recipe->folder, layer->overlay);
    const char *folder = like && !path_exists(own) ? like->folder : r->recipe->folder;
    layer->folder = xasprintf("%s/%s", folder, layer->overlay);
    return check_inside(r, node, folder, layer->overlay, true);
}

int read_shared(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct strlist *out = target;
    if (read_names(r, node, out) < 0)
        return -1;
    for (size_t i = 0; i < out->n; i++)
        if (check_inside(r, node->items[i], r->recipes, out->items[i], true) < 0)
            return -1;
    return 0;
}

// The folder of "shared/<name>/<rest>" or of a path of the recipe, to be freed; *rest gets the path
// in it. NULL, with an error, if the folder is not in 'shared'.
static char *folder_of(struct recipe_reader *r, const struct yaml *node, const char *path,
                       const char **rest)
{
    *rest = path;
    if (!starts_with(path, "shared/"))
        return xstrdup(r->recipe->folder);
    const char *name = path + strlen("shared/"), *slash = strchr(name, '/');
    if (!slash) {
        reader_error(r, node, "'%s': a shared script is shared/<folder>/<file>", path);
        return NULL;
    }
    cleanup_free char *shared = xstrndup(name, (size_t)(slash - name));
    *rest = slash + 1;
    // 'shared' may come later in the file, so this reads the document, not the struct.
    const struct yaml *list = yaml_get(r->document->root, "shared");
    bool listed = false;
    for (size_t i = 0; list && list->kind == YAML_LIST && i < list->n; i++)
        listed |= list->items[i]->kind == YAML_SCALAR && !strcmp(list->items[i]->text, shared);
    if (listed)
        return xasprintf("%s/%s", r->recipes, shared);
    reader_error(r, node, "'%s': the folder '%s' is not in 'shared'", path, shared);
    error_hint(r->err, "add the line: shared: [%s]", shared);
    return NULL;
}

// "shared/<name>/<file>" is a file of a shared folder; others are the recipe's own.
int read_script(struct recipe_reader *r, const struct yaml *node, void *target)
{
    char **out = target;
    const char *rest;
    if (read_path(r, node, out) < 0)
        return -1;
    cleanup_free char *folder = folder_of(r, node, *out, &rest);
    return folder ? check_inside(r, node, folder, rest, false) : -1;
}

// ---- only ----
static struct recipe_only *only_named(struct recipe *recipe, const char *path)
{
    for (size_t i = 0; i < recipe->only_count; i++)
        if (!strcmp(recipe->only[i].path, path))
            return &recipe->only[i];
    recipe->only = xrealloc(recipe->only, (recipe->only_count + 1) * sizeof *recipe->only);
    recipe->only[recipe->only_count] = (struct recipe_only){.path = xstrdup(path)};
    return &recipe->only[recipe->only_count++];
}

static int read_only_path(struct recipe_reader *r, const struct yaml *node, const struct arch *a)
{
    cleanup_free char *path = NULL;
    const char *rest;
    struct stat st;
    if (read_path(r, node, &path) < 0)
        return -1;
    cleanup_free char *folder = folder_of(r, node, path, &rest);
    if (!folder)
        return -1;
    cleanup_free char *full = xasprintf("%s/%s", folder, rest);
    if (check_inside(r, node, folder, rest, lstat(full, &st) == 0 && S_ISDIR(st.st_mode)) < 0)
        return -1;
    only_named(r->recipe, path)->architectures[a - arch_table] = true;
    return 0;
}

// {x86_64: [path, ...], ...}
int read_only(struct recipe_reader *r, const struct yaml *node, void *target)
{
    if (expect(r, node, YAML_MAP) < 0)
        return -1;
    for (size_t i = 0; i < node->n; i++) {
        const struct arch *a =
            reader_arch(r, node->key_lines[i], node->key_columns[i], node->keys[i]);
        reader_enter(r, node, i);
        if (!a || expect(r, node->items[i], YAML_LIST) < 0)
            return -1;
        for (size_t k = 0; k < node->items[i]->n; k++)
            if (read_only_path(r, node->items[i]->items[k], a) < 0)
                return -1;
    }
    return 0;
}

bool recipe_hides(const struct recipe *r, const struct arch *a, const char *path)
{
    for (size_t i = 0; i < r->only_count; i++) {
        size_t n = strlen(r->only[i].path);
        if (!r->only[i].architectures[a - arch_table] && !strncmp(r->only[i].path, path, n) &&
            (path[n] == '/' || !path[n]))
            return true;
    }
    return false;
}

// ---- patches ----

// The pattern below the folder, whose own name must not act as a pattern.
static char *absolute_pattern(const char *folder, const char *pattern)
{
    struct buf b = {0};
    for (const char *p = folder; *p; p++) {
        if (strchr("*?[\\", *p))
            buf_puts(&b, "\\");
        buf_add(&b, p, 1);
    }
    buf_printf(&b, "/%s", pattern);
    return buf_take(&b);
}

static int check_pattern(struct recipe_reader *r, const struct yaml *node, const char *pattern)
{
    const char *folder = r->recipe->folder;
    cleanup_free char *absolute = absolute_pattern(folder, pattern);
    glob_t found = {0};
    int status = glob(absolute, 0, NULL, &found);
    if (status == GLOB_NOSPACE)
        out_of_memory();
    int result = 0;
    if (!found.gl_pathc)
        result = reader_error(r, node, "no file matches '%s' in %s", pattern, folder);
    for (size_t i = 0; i < found.gl_pathc && !result; i++)
        result = check_inside(r, node, folder, found.gl_pathv[i] + strlen(folder) + 1, false);
    globfree(&found);
    return result;
}

static int check_patch(struct recipe_reader *r, const struct yaml *node, const char *pattern)
{
    if (!path_is_clean(pattern))
        return reader_error(r, node, "'%s' must be relative and without '..'", pattern);
    if (strpbrk(pattern, "{}")) // the files depend on versions.yaml
        return template_is_valid(pattern, NULL)
                   ? 0
                   : reader_error(r, node, "'%s': a placeholder is {name}", pattern);
    if (strpbrk(pattern, "*?[\\"))
        return check_pattern(r, node, pattern);
    return check_inside(r, node, r->recipe->folder, pattern, false);
}

int read_patches(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct strlist *out = target;
    if (read_lines(r, node, out) < 0)
        return -1;
    for (size_t i = 0; i < out->n; i++)
        if (check_patch(r, node->items[i], out->items[i]) < 0)
            return -1;
    return 0;
}
