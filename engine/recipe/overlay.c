// SPDX-License-Identifier: Apache-2.0
// Lays directories of recipes over one another: of entries with one name, that of the last
// directory counts, and the others are not seen.
#include "recipe/internal.h"

#include "base/file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int add_directory(struct recipe_overlay *o, const char *directory, struct error **err)
{
    struct stat st;
    int failed = stat(directory, &st) < 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    if (failed) {
        error_errno(err, failed, "opening the recipes in %s", directory);
        return error_hint(err, "run kbuild where the directory recipes/ is, or give --recipes DIR");
    }
    strlist_add(&o->given, directory);
    char *given = o->given.items[o->given.n - 1];
    for (size_t n = strlen(given); n > 1 && given[n - 1] == '/'; n--)
        given[n - 1] = '\0';
    cleanup_free char *absolute = path_absolute(given);
    strlist_add(&o->absolute, absolute);
    return 0;
}

static bool has_entry(const char *directory, const char *name, size_t length)
{
    struct stat st;
    cleanup_free char *path = xasprintf("%s/%.*s", directory, (int)length, name);
    return lstat(path, &st) == 0;
}

// The last of the first `n` directories with this entry; `n` if there is none.
static size_t find_below(const struct recipe_overlay *o, size_t n, const char *name)
{
    for (size_t i = n; i-- > 0;)
        if (has_entry(o->absolute.items[i], name, strcspn(name, "/")))
            return i;
    return n;
}

size_t overlay_find(const struct recipe_overlay *o, const char *name)
{
    size_t found = o->given.n > 1 ? find_below(o, o->given.n, name) : 0;
    return found < o->given.n ? found : 0;
}

char *overlay_path(const struct recipe_overlay *o, const char *name)
{
    return xasprintf("%s/%s", o->absolute.items[overlay_find(o, name)], name);
}

char *overlay_replaces(const struct recipe_overlay *o, const char *name)
{
    size_t found = overlay_find(o, name), before = find_below(o, found, name);
    return before < found ? xasprintf("%s/%s", o->given.items[before], name) : NULL;
}

static bool is_recipe(const char *directory, const char *name)
{
    cleanup_free char *file = xasprintf("%s/%s/recipe.yaml", directory, name);
    return path_exists(file);
}

// Notes what the entry of the i-th directory replaces. A directory that is no recipe would hide
// one.
static int note_replaced(struct recipe_overlay *o, size_t i, const char *name, struct error **err)
{
    size_t before = find_below(o, i, name);
    if (before == i || *name == '.')
        return 0;
    const char *own = o->given.items[i], *other = o->given.items[before];
    if (is_recipe(other, name) && !is_recipe(own, name)) {
        error_user(err, "%s/%s has no recipe.yaml, and would hide the recipe %s/%s", own, name,
                   other, name);
        return error_hint(err,
                          "a recipe is replaced as a whole: copy it (kbuild new %s --like %s), "
                          "or call the directory otherwise",
                          name, name);
    }
    cleanup_free char *path = xasprintf("%s/%s", own, name);
    if (is_directory(path) || !strcmp(name, "ignored.yaml")) // others mean nothing
        strlist_addf(&o->replaced, "%s/%s replaces %s/%s", own, name, other, name);
    return 0;
}

int overlay_open(struct recipe_overlay *o, const struct strlist *directories, struct error **err)
{
    for (size_t i = 0; i < directories->n; i++)
        if (add_directory(o, directories->items[i], err) < 0)
            return -1;
    for (size_t i = 1; i < o->given.n; i++) {
        cleanup_strlist struct strlist names = {0};
        if (list_directory(o->given.items[i], &names, err) < 0)
            return -1;
        for (size_t k = 0; k < names.n; k++)
            if (note_replaced(o, i, names.items[k], err) < 0)
                return -1;
    }
    return 0;
}

int overlay_names(const struct recipe_overlay *o, struct strlist *out, struct error **err)
{
    cleanup_strlist struct strlist all = {0};
    for (size_t i = 0; i < o->given.n; i++)
        if (list_directory(o->given.items[i], &all, err) < 0)
            return -1;
    strlist_sort(&all);
    for (size_t i = 0; i < all.n; i++)
        if (!i || strcmp(all.items[i - 1], all.items[i]) != 0)
            strlist_add(out, all.items[i]);
    return 0;
}

// What earlier directories had of these names makes way.
static int remove_entries(const char *to, const struct strlist *names, struct error **err)
{
    for (size_t i = 0; i < names->n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", to, names->items[i]);
        if (remove_tree(path, err) < 0)
            return -1;
    }
    return 0;
}

int overlay_copy(const struct recipe_overlay *o, const char *to, struct error **err)
{
    for (size_t i = 0; i < o->absolute.n; i++) {
        cleanup_strlist struct strlist names = {0};
        if ((i && list_directory(o->absolute.items[i], &names, err) < 0) ||
            remove_entries(to, &names, err) < 0 || copy_tree(o->absolute.items[i], to, err) < 0)
            return -1;
    }
    return 0;
}

void overlay_free(struct recipe_overlay *o)
{
    strlist_free(&o->given);
    strlist_free(&o->absolute);
    strlist_free(&o->replaced);
}
