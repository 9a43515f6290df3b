// SPDX-License-Identifier: Apache-2.0
// Loads the recipes of a set on first use, and finds them by name or output.
#include "recipe/internal.h"

#include "base/file.h"

#include <search.h>
#include <string.h>

struct recipe_set {
    struct recipe_overlay overlay;
    void *loaded; // tsearch() tree of struct recipe, by name
    struct recipe_ignored_list ignored;
    bool ignored_read;
};

struct recipe_set *recipe_set_open(const struct strlist *directories, struct error **err)
{
    struct recipe_set *set = xcalloc(1, sizeof *set);
    if (overlay_open(&set->overlay, directories, err) == 0)
        return set;
    recipe_set_free(set);
    return NULL;
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
    overlay_free(&set->overlay);
    free(set);
}

// ---- directories ----

const struct strlist *recipe_set_directories(const struct recipe_set *set)
{
    return &set->overlay.given;
}

char *recipe_set_path(const struct recipe_set *set, const char *name)
{
    return overlay_path(&set->overlay, name);
}

const char *recipe_set_origin(const struct recipe_set *set, const char *name)
{
    return set->overlay.given.items[overlay_find(&set->overlay, name)];
}

char *recipe_set_replaces(const struct recipe_set *set, const char *name)
{
    return overlay_replaces(&set->overlay, name);
}

const struct strlist *recipe_set_replaced(const struct recipe_set *set)
{
    return &set->overlay.replaced;
}

int recipe_set_copy(const struct recipe_set *set, const char *to, struct error **err)
{
    return overlay_copy(&set->overlay, to, err);
}

// ---- recipes ----

// As the user wrote it, for messages; to be freed.
static char *given_path(const struct recipe_set *set, const char *path)
{
    return xasprintf("%s/%s", recipe_set_origin(set, path), path);
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

const char *recipe_name_reserved(const char *name)
{
    static const struct {
        const char *name, *what;
    } reserved[] = {
        {"ignored.yaml", "the file beside the recipes with variables that have no effect"},
        {"logs", "the directory of logs among the results"},
        {"run.json", "the record of the last run among the results"},
        {"targets", "the list of what lies among the results"},
        {"report.html", "the report among the results"},
    };
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
        if (!strcmp(name, reserved[i].name))
            return reserved[i].what;
    return NULL;
}

bool recipe_exists(const struct recipe_set *set, const char *name)
{
    if (!name_is_clean(name))
        return false;
    if (find_loaded(set, name))
        return true;
    cleanup_free char *path = xasprintf("%s/recipe.yaml", name);
    cleanup_free char *file = given_path(set, path);
    return path_exists(file);
}

int recipe_names(const struct recipe_set *set, struct strlist *out, struct error **err)
{
    struct strlist all = {0};
    if (overlay_names(&set->overlay, &all, err) < 0)
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
    cleanup_free char *places = strlist_join(&set->overlay.given, " and ");
    if (recipe_names(set, &names, NULL) == 0) {
        const struct recipe *maker = find_by_output(set, name, &names);
        const char *nearest = nearest_name(name, &names);
        if (maker)
            error_hint(err, "it is an output of the target %s", maker->name);
        else if (nearest)
            error_hint(err, "did you mean %s? `kbuild list` shows all targets", nearest);
        else
            error_hint(err, "`kbuild list` shows all targets; recipes are read from %s", places);
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
    cleanup_free char *path = xasprintf("%s/recipe.yaml", name);
    cleanup_free char *file = given_path(set, path);
    struct yaml_document *d = yaml_load(file, err);
    struct recipe *r = d ? recipe_read(d, &set->overlay, name, err) : NULL;
    if (r && !tsearch(r, &set->loaded, compare_recipes))
        out_of_memory();
    return r;
}

const struct recipe_ignored_list *recipe_set_ignored(struct recipe_set *set, struct error **err)
{
    cleanup_free char *file = given_path(set, "ignored.yaml");
    if (set->ignored_read || !path_exists(file)) // it may be created later
        return &set->ignored;
    struct yaml_document *d = yaml_load(file, err);
    struct recipe_reader r = {.document = d, .err = err, .recipes = &set->overlay};
    int result = d ? read_ignored(&r, d->root, &set->ignored) : -1;
    yaml_document_free(d);
    set->ignored_read = !result;
    if (!result)
        return &set->ignored;
    ignored_free(&set->ignored);
    return NULL;
}
