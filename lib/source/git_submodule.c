// SPDX-License-Identifier: Apache-2.0
// Where a commit's submodules come from: its file .gitmodules (gitmodules(5)).
#include "source/git.h"

#include <string.h>

#define GITMODULES_MAX ((size_t)1 << 20)

static struct submodule_place *place_named(struct submodule_places *p, struct strlist *names,
                                           const char *name, size_t length)
{
    cleanup_free char *text = xstrndup(name, length);
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->items[i], text) == 0)
            return &p->items[i];
    strlist_add(names, text);
    p->items = xgrow(p->items, &p->cap, p->n + 1, sizeof *p->items);
    p->items[p->n] = (struct submodule_place){0};
    return &p->items[p->n++];
}

struct reading {
    struct submodule_places *places;
    struct strlist names; // in step with places
};

static void replace(char **field, const char *value)
{
    free(*field);
    *field = xstrdup(value);
}

// "submodule.<name>.<variable>"; the name may hold dots.
static int on_entry(const git_config_entry *entry, void *context)
{
    struct reading *r = context;
    static const char section[] = "submodule.";
    const char *dot = strrchr(entry->name, '.');
    if (!starts_with(entry->name, section) || dot < entry->name + sizeof section || !entry->value)
        return 0;
    const char *name = entry->name + strlen(section);
    struct submodule_place *place = place_named(r->places, &r->names, name, (size_t)(dot - name));
    if (strcmp(dot, ".path") == 0)
        replace(&place->path, entry->value);
    else if (strcmp(dot, ".url") == 0)
        replace(&place->url, entry->value);
    else if (strcmp(dot, ".update") == 0)
        place->skip = strcmp(entry->value, "none") == 0;
    return 0;
}

static int parse(const struct mirror *m, const git_blob *blob, const char *temporary,
                 struct submodule_places *out, struct error **err)
{
    size_t length = (size_t)git_blob_rawsize(blob);
    if (length > GITMODULES_MAX)
        return error_user(err, "%s: its .gitmodules is larger than 1 MiB", m->shown);
    // libgit2 reads configuration from files only.
    cleanup_free char *path = xasprintf("%s/gitmodules", temporary);
    if (file_write(path, git_blob_rawcontent(blob), length, 0600, err) < 0)
        return -1;
    git_config *config = NULL;
    struct reading r = {.places = out};
    int result = git_config_open_ondisk(&config, path);
    if (result == 0)
        result = git_config_foreach(config, on_entry, &r);
    if (result < 0)
        git_failed(err, "reading .gitmodules of %s", m->shown);
    git_config_free(config);
    strlist_free(&r.names);
    unlink(path);
    return result < 0 ? -1 : 0;
}

int submodule_places_read(const struct mirror *m, const char *commit, const char *temporary,
                          struct submodule_places *out, struct error **err)
{
    git_oid id;
    git_commit *c = NULL;
    git_tree *tree = NULL;
    git_blob *blob = NULL;
    git_oid_fromstr(&id, commit);
    int result = 0;
    if (git_commit_lookup(&c, m->repository, &id) < 0 || git_commit_tree(&tree, c) < 0)
        result = git_failed(err, "reading commit %s of %s", commit, m->shown);
    const git_tree_entry *entry = tree ? git_tree_entry_byname(tree, ".gitmodules") : NULL;
    // A link or folder of this name is no list of submodules.
    if (entry && (git_tree_entry_filemode(entry) == GIT_FILEMODE_BLOB ||
                  git_tree_entry_filemode(entry) == GIT_FILEMODE_BLOB_EXECUTABLE)) {
        if (git_blob_lookup(&blob, m->repository, git_tree_entry_id(entry)) < 0)
            result = git_failed(err, "reading .gitmodules of %s", m->shown);
        else
            result = parse(m, blob, temporary, out, err);
    }
    git_blob_free(blob);
    git_tree_free(tree);
    git_commit_free(c);
    return result;
}

const struct submodule_place *submodule_place_find(const struct submodule_places *p,
                                                   const char *path)
{
    for (size_t i = 0; i < p->n; i++) {
        const char *known = p->items[i].path;
        size_t n = known ? strlen(known) : 0;
        while (n && known[n - 1] == '/')
            n--;
        if (n && strncmp(known, path, n) == 0 && path[n] == '\0')
            return &p->items[i];
    }
    return NULL;
}

void submodule_places_free(struct submodule_places *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->items[i].path);
        free(p->items[i].url);
    }
    free(p->items);
    *p = (struct submodule_places){0};
}
