// SPDX-License-Identifier: Apache-2.0
#include "run/internal.h"

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
        distribution_host(&b->host, err) < 0 || !(b->store = store_open(o->cache, err))) {
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

const char *node_label(const struct node *node)
{
    return job_of(node)->label;
}

const struct arch *node_arch(const struct node *node)
{
    return job_of(node)->target;
}

bool node_is_target(const struct node *node)
{
    return job_of(node)->asked;
}

char *build_log_path(const struct build_options *o, const char *label)
{
    char *path = xasprintf("%s/logs/%s.log", o->output, label);
    for (char *p = path + strlen(o->output) + strlen("/logs/"); *p; p++)
        if (*p == ' ' || *p == '/' || *p == ':')
            *p = '-';
    return path;
}

// The last build of a node is remembered as an action record of its own, whose key is the digest of
// the node's name.
static void last_key(const struct node *node, char key[static DIGEST_HEX_SIZE])
{
    cleanup_free char *text = xasprintf("last build of %s", node->name);
    digest_bytes(text, strlen(text), key);
}

void remember_build(struct build *b, const struct node *node)
{
    char key[DIGEST_HEX_SIZE];
    last_key(node, key);
    json_t *record = json_pack("{s:s, s:s, s:[]}", "node", node->name, "key_text", node->key_text,
                               "outputs");
    for (size_t i = 0; i < node->output_count; i++)
        record_output(record, node->outputs[i].name, node->outputs[i].digest,
                      node->outputs[i].tree, node->outputs[i].size);
    store_action_put(b->store, key, record, NULL); // explaining is a comfort, no more
    json_decref(record);
}

char *build_last_key_text(struct build *b, const struct node *node)
{
    char key[DIGEST_HEX_SIZE];
    last_key(node, key);
    json_t *record = store_action_get(b->store, key, NULL);
    const char *text = json_string_value(json_object_get(record, "key_text"));
    char *copy = text ? xstrdup(text) : NULL;
    json_decref(record);
    return copy;
}
