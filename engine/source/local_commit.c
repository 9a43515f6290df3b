// SPDX-License-Identifier: Apache-2.0
// Compares the files taken from a folder with the tree of the commit that is checked out there:
// kinds, executable bits, and blob ids computed from the taken bytes.
#include "source/git.h"
#include "source/local.h"

#include <stdlib.h>
#include <string.h>

#define EXPECTED_MAX ((size_t)5000000)

struct expecting {
    struct local_tree *tree;
    const char *prefix;
};

static enum tree_kind kind_of(git_filemode_t mode)
{
    switch (mode) {
    case GIT_FILEMODE_BLOB_EXECUTABLE:
        return TREE_EXECUTABLE;
    case GIT_FILEMODE_LINK:
        return TREE_LINK;
    case GIT_FILEMODE_COMMIT:
        return TREE_DIRECTORY;
    default:
        return TREE_FILE;
    }
}

static int expect_entry(const char *folder, const git_tree_entry *entry, void *context)
{
    const struct expecting *x = context;
    struct local_tree *t = x->tree;
    git_filemode_t mode = git_tree_entry_filemode(entry);
    if (++t->visited > EXPECTED_MAX) // a few nested trees can mean any number of files
        return -1;
    if (mode == GIT_FILEMODE_TREE)
        return 0;
    t->expected = xgrow(t->expected, &t->expected_cap, t->expected_n + 1, sizeof *t->expected);
    struct local_expected *e = &t->expected[t->expected_n++];
    *e = (struct local_expected){.kind = kind_of(mode)};
    e->path = xasprintf("%s%s%s", x->prefix, folder, git_tree_entry_name(entry));
    git_oid_tostr(e->id, sizeof e->id, git_tree_entry_id(entry));
    return 0;
}

static int expect_all(struct local_tree *t, const git_tree *tree, const char *prefix,
                      struct error **err)
{
    struct expecting x = {t, prefix};
    int walked = git_tree_walk(tree, GIT_TREEWALK_PRE, expect_entry, &x);
    if (t->visited > EXPECTED_MAX)
        return error_user(err, "the commit that is checked out in %s/%s has more than %zu entries",
                          t->folder, prefix, EXPECTED_MAX);
    if (walked < 0)
        return git_failed(err, "reading the commit that is checked out in %s/%s", t->folder,
                          prefix);
    return 0;
}

int local_expect(struct local_tree *t, const git_tree *tree, const char *below, const char *prefix,
                 struct error **err)
{
    size_t n = strlen(below);
    if (!n)
        return expect_all(t, tree, prefix, err);
    cleanup_free char *path = xstrndup(below, n - 1);
    git_tree_entry *entry = NULL;
    git_object *inner = NULL;
    int result = git_tree_entry_bypath(&entry, tree, path);
    if (result == GIT_ENOTFOUND) // then all files are new
        return 0;
    if (result == 0 && git_tree_entry_type(entry) == GIT_OBJECT_TREE)
        result = git_tree_entry_to_object(&inner, git_tree_owner(tree), entry);
    git_tree_entry_free(entry);
    if (result < 0)
        return git_failed(err, "reading the commit that is checked out in %s", t->folder);
    result = inner ? expect_all(t, (const git_tree *)inner, prefix, err) : 0;
    git_object_free(inner);
    return result;
}

static int compare_expected(const void *a, const void *b)
{
    return path_compare(((const struct local_expected *)a)->path,
                        ((const struct local_expected *)b)->path);
}

void local_expected_sort(struct local_tree *t)
{
    if (t->expected_n)
        qsort(t->expected, t->expected_n, sizeof *t->expected, compare_expected);
}

static bool is_compared(const struct local_tree *t)
{
    return t->git && t->compare && !t->dirty; // one difference is enough
}

static struct local_expected *find(const struct local_tree *t, const char *path)
{
    const struct local_expected key = {.path = (char *)path};
    return t->expected_n ? bsearch(&key, t->expected, t->expected_n, sizeof key, compare_expected)
                         : NULL;
}

bool local_wants_blob(const struct local_tree *t, const char *path, enum tree_kind kind)
{
    const struct local_expected *e = is_compared(t) ? find(t, path) : NULL;
    return e && e->kind == kind;
}

void local_taken(struct local_tree *t, const char *path, enum tree_kind kind, const char *id)
{
    struct local_expected *e = is_compared(t) ? find(t, path) : NULL;
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
