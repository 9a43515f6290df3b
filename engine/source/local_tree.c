// SPDX-License-Identifier: Apache-2.0
// The list of a local folder's files: which of them are kbuild's own, and whether those that were
// taken are the files of the commit that is checked out there.
#include "source/git_internal.h"

#include "base/error.h"
#include "base/file.h"
#include "store/store.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

void local_tree_add(struct local_tree *t, const char *path, bool directory, bool tracked)
{
    t->entries = xgrow(t->entries, &t->cap, t->n + 1, sizeof *t->entries);
    t->entries[t->n++] = (struct local_entry){xstrdup(path), directory, tracked};
}

void local_tree_free(struct local_tree *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->entries[i].path);
    free(t->entries);
    free(t->lock);
    for (size_t i = 0; i < t->expected_n; i++)
        free(t->expected[i].path);
    free(t->expected);
    strlist_free(&t->own);
    free(t->commit);
    *t = (struct local_tree){0};
}

bool local_is_own(const struct local_tree *t, const char *path, bool tracked)
{
    if (t->lock && !strcmp(path, t->lock))
        return true;
    for (size_t i = 0; i < t->own.n && !tracked; i++)
        if (path_below(path, t->own.items[i]))
            return true;
    return false;
}

// The path in the folder of a file that kbuild writes, to be freed; NULL: it is outside.
static char *path_in_folder(const struct local_tree *t, const char *path)
{
    char real[PATH_MAX];
    cleanup_free char *absolute = path_absolute(path);
    const char *base = path_base(absolute);
    cleanup_free char *folder = xstrndup(absolute, (size_t)(base - absolute));
    cleanup_free char *whole = NULL;
    if (realpath(absolute, real)) // it may not be there yet
        whole = xstrdup(real);
    else if (realpath(folder, real))
        whole = xasprintf("%s/%s", real, base);
    const char *inside = whole ? path_below(whole, t->folder) : NULL;
    return inside && *inside ? xstrdup(inside) : NULL;
}

// Files that change with every run of kbuild cannot be a source.
static int refuse_own_folder(const struct local_tree *t, const char *folder, const char *what,
                             struct error **err)
{
    char real[PATH_MAX];
    if (!realpath(folder, real) || strcmp(real, t->folder) != 0)
        return 0;
    error_user(err, "%s is %s, where kbuild writes", t->folder, what);
    return error_hint(err, "use another directory as the source");
}

int local_tree_own(struct local_tree *t, const struct source_options *o, struct error **err)
{
    const char *const folders[] = {o->output,
                                   o->store ? store_directory(store_lasting(o->store)) : NULL};
    static const char *const words[] = {"the output directory", "the cache"};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        if (folders[i] && refuse_own_folder(t, folders[i], words[i], err) < 0)
            return -1;
        cleanup_free char *path = folders[i] ? path_in_folder(t, folders[i]) : NULL;
        if (path)
            strlist_add(&t->own, path);
    }
    if (o->lock)
        t->lock = path_in_folder(t, o->lock->file);
    return 0;
}

// ---- the taken files and those of the commit ----

// In the order of a tree's listing.
static int compare_entries(const void *a, const void *b)
{
    return path_compare(((const struct local_entry *)a)->path,
                        ((const struct local_entry *)b)->path);
}

static int compare_expected(const void *a, const void *b)
{
    return path_compare(((const struct local_expected *)a)->path,
                        ((const struct local_expected *)b)->path);
}

void local_tree_sort(struct local_tree *t)
{
    if (t->n)
        qsort(t->entries, t->n, sizeof *t->entries, compare_entries);
    if (t->expected_n)
        qsort(t->expected, t->expected_n, sizeof *t->expected, compare_expected);
}

static bool is_compared(const struct local_tree *t)
{
    return t->git && t->compare && !t->dirty; // one difference is enough
}

static struct local_expected *find_expected(const struct local_tree *t, const char *path)
{
    const struct local_expected key = {.path = (char *)path};
    return t->expected_n ? bsearch(&key, t->expected, t->expected_n, sizeof key, compare_expected)
                         : NULL;
}

bool local_wants_blob(const struct local_tree *t, const char *path, enum tree_kind kind)
{
    const struct local_expected *e = is_compared(t) ? find_expected(t, path) : NULL;
    return e && e->kind == kind;
}

void local_taken(struct local_tree *t, const char *path, enum tree_kind kind, const char *id)
{
    struct local_expected *e = is_compared(t) ? find_expected(t, path) : NULL;
    bool same = e && e->kind == kind && (kind == TREE_DIRECTORY || (id && !strcmp(e->id, id)));
    if (same)
        e->seen = true;
    else if (is_compared(t))
        t->dirty = true;
}

void local_compare_end(struct local_tree *t)
{
    for (size_t i = 0; is_compared(t) && i < t->expected_n; i++)
        if (!t->expected[i].seen && !local_is_own(t, t->expected[i].path, true))
            t->dirty = true;
}
