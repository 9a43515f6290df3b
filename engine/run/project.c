// SPDX-License-Identifier: Apache-2.0
// The project of a plan as one artifact, for the machines that make its nodes:
//
//   project           recipes/, versions.yaml, versions.lock, plan, variables/<NAME>/...
//   source/<name>     a folder of the user that is this source, without the recipe's patches
#include "run/plan_file.h"

#include "base/error.h"
#include "base/file.h"
#include "run/internal.h"
#include "share/share.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define REPOSITORY "projects"
#define SOURCE_PREFIX "source/"

enum { PLAN_MAX = 256 << 20 };

// ---- links ----

// Links in a recipe's directory are checked where the recipe names them.
static bool is_of_recipe(const char *path)
{
    const char *name = starts_with(path, "recipes/") ? path + strlen("recipes/") : "";
    const char *rest = strchr(name, '/');
    return rest && strcmp(rest, "/recipe.yaml") != 0;
}

// A link that leads out would make a file of the machine part of the project.
static int check_entry(const struct beneath_entry *e, void *context, struct error **err)
{
    if (e->event != BENEATH_OTHER || e->type != DT_LNK || is_of_recipe(e->path))
        return 0;
    cleanup_close int fd = beneath_follow(*(const int *)context, e->path, O_PATH | O_CLOEXEC);
    if (fd >= 0)
        return 0;
    error_set(err, ERROR_USAGE, "%s of the project is a link that leads out of it, or to nothing",
              e->path);
    return error_hint(err, "a project has all of its files in it");
}

static int check_links(const char *folder, struct error **err)
{
    cleanup_close int root = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0)
        return error_errno(err, errno, "opening the directory %s", folder);
    const struct beneath_walk walk = {.visit = check_entry, .context = &root};
    return beneath_walk(root, folder, &walk, err);
}

// ---- push ----

static int copy_file(const char *from, const char *to, struct error **err)
{
    cleanup_buf struct buf text = {0};
    return make_parent(to, err) < 0 || file_read(from, PLAN_MAX, &text, err) < 0 ||
                   file_write(to, text.data ? text.data : "", text.len, 0644, err) < 0
               ? -1
               : 0;
}

static int copy_variables(const struct plan *p, const char *folder, struct error **err)
{
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(p->header, "variables"), name, value)
    {
        const json_t *files = json_object_get(value, "files");
        const char *type = json_string_value(json_object_get(value, "type"));
        bool directory = type && !strcmp(type, "directory");
        cleanup_free char *inside = xasprintf("%s/variables/%s", folder, name);
        if (directory && make_directories(inside, 0755, err) < 0) // it may be empty
            return error_wrap(err, "%s", name);
        for (size_t i = 0; i < json_array_size(files); i++) {
            const char *path = json_string_value(json_object_get(json_array_get(files, i), "path"));
            cleanup_free char *to = plan_variable_path(folder, name, i, path_base(path), directory);
            if (copy_file(path, to, err) < 0)
                return error_wrap(err, "%s", name);
        }
    }
    return 0;
}

static int write_texts(struct build *b, const struct plan *p, const char *folder,
                       struct error **err)
{
    cleanup_buf struct buf lock = {0}, plan = {0};
    cleanup_free char *lock_path = xasprintf("%s/versions.lock", folder);
    cleanup_free char *plan_path = xasprintf("%s/plan", folder);
    lock_print(b->lock, &lock);
    plan_print(p, &plan);
    return file_write(lock_path, lock.data, lock.len, 0644, err) < 0 ||
                   file_write(plan_path, plan.data, plan.len, 0644, err) < 0
               ? -1
               : 0;
}

static int add_project(struct build *b, const struct plan *p, struct artifact *out,
                       struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *folder = store_temporary(b->store, "project", err);
    if (!folder)
        return -1;
    cleanup_free char *recipes = xasprintf("%s/recipes", folder);
    cleanup_free char *versions = xasprintf("%s/versions.yaml", folder);
    int result = make_directories(recipes, 0755, err);
    if (!result)
        result = recipe_set_copy(b->recipes, recipes, err);
    if (!result)
        result = copy_file(b->versions->path, versions, err);
    if (!result)
        result = write_texts(b, p, folder, err);
    if (!result)
        result = copy_variables(p, folder, err);
    if (!result)
        result = check_links(folder, err);
    if (!result)
        result = store_put_tree(b->store, folder, digest, err);
    remove_tree(folder, NULL);
    if (!result)
        artifact_add(out, "project", digest);
    return result;
}

// A copy of the folder as it is, without the recipe's patches: whoever makes the source applies
// them, and sees that the copy is what the key says.
static int add_folder(struct build *b, const struct node *node, struct artifact *out,
                      struct error **err)
{
    const struct job *job = job_of(node);
    char digest[DIGEST_HEX_SIZE];
    struct source_spec spec = job->spec;
    const struct source_options o = source_options(b);
    spec.patches = (struct strlist){0};
    cleanup_free char *name = xasprintf(SOURCE_PREFIX "%s", node->name + strlen("source:"));
    if (artifact_find(out, name)) // another request, with other patches
        return 0;
    cleanup_free char *folder = store_temporary(b->store, "project", err);
    if (!folder)
        return -1;
    int result = source_fetch(&spec, &job->pin, &o, folder, NULL, err);
    if (!result)
        result = store_put_tree(b->store, folder, digest, err);
    remove_tree(folder, NULL);
    if (!result)
        artifact_add(out, name, digest);
    return result;
}

static int add_sources(struct build *b, struct artifact *out, struct error **err)
{
    for (size_t i = 0; i < b->graph.n; i++)
        if (node_is_folder(b->graph.nodes[i]) && add_folder(b, b->graph.nodes[i], out, err) < 0)
            return error_wrap(err, "%s", node_label(b->graph.nodes[i]));
    return 0;
}

int plan_push(struct build *b, const struct plan *p, char **reference, struct error **err)
{
    cleanup_artifact struct artifact a = {0};
    return add_project(b, p, &a, err) < 0 || add_sources(b, &a, err) < 0 ||
                   remote_artifact_push(b, REPOSITORY, &a, reference, err) < 0
               ? error_wrap(err, "pushing the project of the plan")
               : 0;
}

// ---- pull ----

static int read_plan(struct project *p, struct error **err)
{
    cleanup_buf struct buf text = {0};
    cleanup_free char *path = xasprintf("%s/plan", p->folder);
    return file_read(path, PLAN_MAX, &text, err) < 0 ||
                   plan_parse(path, text.data ? text.data : "", text.len, &p->plan, err) < 0
               ? -1
               : 0;
}

int project_open(const char *cache, const char *reference, struct project *out, struct error **err)
{
    *out = (struct project){.store = cache_open(cache, false, err)};
    out->sources = xcalloc(1, sizeof *out->sources);
    if (out->store && artifact_pull(out->store, reference, out->sources, err) == 0) {
        const struct artifact_tree *tree = artifact_find(out->sources, "project");
        out->folder = tree ? store_tree_path(out->store, tree->digest) : NULL;
        if (!out->folder)
            error_set(err, ERROR_USAGE, "%s has no project in it", reference);
        else if (check_links(out->folder, err) == 0 && read_plan(out, err) == 0)
            return 0;
    }
    project_close(out);
    return -1;
}

static int add_choice(const struct project *p, const struct artifact_tree *t,
                      struct source_choices *out, struct error **err)
{
    const char *name = t->name + strlen(SOURCE_PREFIX);
    const json_t *folder = json_object_get(json_object_get(p->plan.header, "folders"), name);
    cleanup_free char *path = store_tree_path(p->store, t->digest);
    cleanup_free char *text = xasprintf("%s=%s", name, path);
    if (source_choices_add(out, text, NULL, err) < 0)
        return -1;
    struct source_choice *c = &out->items[out->n - 1];
    const char *commit = json_string_value(json_object_get(folder, "commit"));
    c->planned = true;
    c->time = json_integer_value(json_object_get(folder, "time"));
    c->dirty = json_is_true(json_object_get(folder, "changed"));
    c->commit = commit ? xstrdup(commit) : NULL;
    return 0;
}

int project_choices(const struct project *p, struct source_choices *out, struct error **err)
{
    for (size_t i = 0; i < p->sources->n; i++)
        if (starts_with(p->sources->trees[i].name, SOURCE_PREFIX) &&
            add_choice(p, &p->sources->trees[i], out, err) < 0)
            return -1;
    return 0;
}

void project_close(struct project *p)
{
    if (p->sources)
        artifact_free(p->sources);
    free(p->sources);
    free(p->folder);
    plan_free(&p->plan);
    if (p->store)
        store_close(p->store);
    *p = (struct project){0};
}
