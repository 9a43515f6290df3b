// SPDX-License-Identifier: Apache-2.0
// Loads the recipes below one directory on first use, and finds them by name or output.
#include "recipe/internal.h"

#include "base/file.h"

#include <errno.h>
#include <search.h>
#include <string.h>
#include <sys/stat.h>

struct recipe_set {
    char *given; // as the user wrote it, for messages
    char *absolute;
    void *loaded; // tsearch() tree of struct recipe, by name
    struct recipe_ignored_list ignored;
    bool ignored_read;
};

struct recipe_set *recipe_set_open(const char *directory, struct error **err)
{
    struct stat st;
    int failed = stat(directory, &st) < 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    if (failed) {
        error_errno(err, failed, "opening the recipes in %s", directory);
        error_hint(err, "run kbuild where the directory recipes/ is, or give --recipes DIR");
        return NULL;
    }
    struct recipe_set *set = xcalloc(1, sizeof *set);
    set->given = xstrdup(directory);
    for (size_t n = strlen(set->given); n > 1 && set->given[n - 1] == '/'; n--)
        set->given[n - 1] = '\0';
    set->absolute = path_absolute(set->given);
    return set;
}

static void free_loaded(void *recipe)
{
    recipe_free(recipe);
}

void recipe_set_free(struct recipe_set *set)
{
    if (!set)
        return;
    tdestroy(set->loaded, free_loaded);
    ignored_free(&set->ignored);
    free(set->given);
    free(set->absolute);
    free(set);
}

const char *recipe_set_directory(const struct recipe_set *set)
{
    return set->absolute;
}

static int compare_recipes(const void *a, const void *b)
{
    return strcmp(((const struct recipe *)a)->name, ((const struct recipe *)b)->name);
}

static const struct recipe *find_loaded(const struct recipe_set *set, const char *name)
{
    const struct recipe wanted = {.name = (char *)name};
    struct recipe *const *found = tfind(&wanted, &set->loaded, compare_recipes);
    return found ? *found : NULL;
}

bool recipe_name_is_valid(const char *name)
{
    return name_is_clean(name);
}

bool recipe_exists(const struct recipe_set *set, const char *name)
{
    if (!name_is_clean(name))
        return false;
    if (find_loaded(set, name))
        return true;
    cleanup_free char *file = xasprintf("%s/%s/recipe.yaml", set->given, name);
    return path_exists(file);
}

int recipe_names(const struct recipe_set *set, struct strlist *out, struct error **err)
{
    struct strlist all = {0};
    if (list_directory(set->given, &all, err) < 0)
        return -1;
    for (size_t i = 0; i < all.n; i++)
        if (recipe_exists(set, all.items[i]))
            strlist_add(out, all.items[i]);
    strlist_free(&all);
    return 0;
}

// The recipe with `name` among its outputs, or NULL. Reads all recipes: for messages only.
static const struct recipe *find_by_output(struct recipe_set *set, const char *name,
                                           const struct strlist *names)
{
    for (size_t i = 0; i < names->n; i++) {
        const struct recipe *r = recipe_get(set, names->items[i], NULL);
        if (r && strlist_has(&r->outputs, name))
            return r;
    }
    return NULL;
}

static void unknown_target(struct recipe_set *set, const char *name, struct error **err)
{
    error_user(err, "unknown target '%s'", name);
    if (!err)
        return;
    struct strlist names = {0};
    if (recipe_names(set, &names, NULL) == 0) {
        const struct recipe *maker = find_by_output(set, name, &names);
        const char *nearest = nearest_name(name, &names);
        if (maker)
            error_hint(err, "it is an output of the target %s", maker->name);
        else if (nearest)
            error_hint(err, "did you mean %s? `kbuild list` shows all targets", nearest);
        else
            error_hint(err, "`kbuild list` shows all targets; recipes are read from %s",
                       set->given);
    }
    strlist_free(&names);
}

const struct recipe *recipe_get(struct recipe_set *set, const char *name, struct error **err)
{
    const struct recipe *known = find_loaded(set, name);
    if (known)
        return known;
    if (!recipe_exists(set, name)) {
        unknown_target(set, name, err);
        return NULL;
    }
    cleanup_free char *file = xasprintf("%s/%s/recipe.yaml", set->given, name);
    struct yaml_document *d = yaml_load(file, err);
    struct recipe *r = d ? recipe_read(d, set->absolute, name, err) : NULL;
    if (r && !tsearch(r, &set->loaded, compare_recipes))
        out_of_memory();
    return r;
}

const struct recipe_ignored_list *recipe_set_ignored(struct recipe_set *set, struct error **err)
{
    cleanup_free char *file = xasprintf("%s/ignored.yaml", set->given);
    if (set->ignored_read || !path_exists(file)) // it may be created later
        return &set->ignored;
    struct yaml_document *d = yaml_load(file, err);
    struct recipe_reader r = {.document = d, .err = err, .recipes = set->absolute};
    int result = d ? read_ignored(&r, d->root, &set->ignored) : -1;
    yaml_document_free(d);
    set->ignored_read = !result;
    if (!result)
        return &set->ignored;
    ignored_free(&set->ignored);
    return NULL;
}
