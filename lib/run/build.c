// SPDX-License-Identifier: Apache-2.0
#include "run/internal.h"

#include "run/remote.h"

#include <string.h>

static char *lock_path(const char *versions)
{
    size_t n = strlen(versions);
    if (ends_with(versions, ".yaml"))
        n -= strlen(".yaml");
    return xasprintf("%.*s.lock", (int)n, versions);
}

struct build *build_open(const struct build_options *o, struct error **err)
{
    struct build *b = xcalloc(1, sizeof *b);
    b->options = *o;
    cleanup_free char *lock = lock_path(o->versions);
    if (!(b->versions = versions_load(o->versions, err)) ||
        !(b->recipes = recipe_set_open(o->recipes, err)) || !(b->lock = lock_load(lock, err)) ||
        !(b->store = store_open(o->cache, err)) || remote_open(b, err) < 0) {
        build_close(b);
        return NULL;
    }
    return b;
}

void build_close(struct build *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->graph.n; i++)
        if (b->graph.nodes[i]->data)
            job_free(job_of(b->graph.nodes[i]));
    graph_free(&b->graph);
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
