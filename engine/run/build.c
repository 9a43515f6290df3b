// SPDX-License-Identifier: Apache-2.0
// Opens the state of a run (versions.yaml, recipes, lock, store, shared cache), and closes it.
#include "run/internal.h"

#include "base/input.h"
#include "run/work.h"
#include "share/share.h"
#include "share/vouch.h"
#include "source/packages.h"

#include <string.h>

// Trusted keys are checked even if this run uses no registry: results of earlier ones are in the
// local cache.
static int load_trusted(struct build *b, struct error **err)
{
    const char *path;
    if (security_variables_check(err) < 0 ||
        security_variable("KBUILD_TRUSTED_KEYS", &path, err) < 0)
        return -1;
    if (path && !(b->trusted = trusted_keys_load(path, err)))
        return error_wrap(err, "KBUILD_TRUSTED_KEYS");
    return 0;
}

struct build *build_open(const struct build_options *o, struct error **err)
{
    struct build *b = xcalloc(1, sizeof *b);
    b->options = *o;
    b->mirrors = mirrors_new();
    if (load_trusted(b, err) < 0 || !(b->versions = versions_load(o->versions, err)) ||
        !(b->recipes = recipe_set_open(o->recipes, err)) || check_source_names(b, err) < 0 ||
        !(b->lock = lock_open(o->versions, err)) || !(b->store = store_open(o->cache, err)) ||
        remote_open(b, err) < 0) {
        build_close(b);
        return NULL;
    }
    return b;
}

static void forget(struct node *node)
{
    struct job *job = job_of(node);
    if (!job)
        return;
    entry_forget(job);
    work_free(job->work);
    job_free(job);
}

void build_close(struct build *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->graph.n; i++)
        forget(b->graph.nodes[i]);
    graph_free(&b->graph);
    mirrors_free(b->mirrors); // their folders are in the store
    if (b->store)
        store_close(b->store);
    if (b->lock)
        lock_free(b->lock);
    if (b->recipes)
        recipe_set_free(b->recipes);
    if (b->versions)
        versions_free(b->versions);
    distribution_free(&b->host);
    remote_close(b->remote);
    trusted_keys_free(b->trusted);
    strlist_free(&b->notes);
    strlist_free(&b->asked);
    strlist_free(&b->source_names);
    if (b->output_open)
        close(b->output_fd);
    free(b);
}

struct graph *build_graph(struct build *b)
{
    return &b->graph;
}

struct recipe_set *build_recipes(struct build *b)
{
    return b->recipes;
}

const struct versions *build_versions(const struct build *b)
{
    return b->versions;
}

struct store *build_store(struct build *b)
{
    return b->store;
}

const struct build_options *build_options(const struct build *b)
{
    return &b->options;
}
