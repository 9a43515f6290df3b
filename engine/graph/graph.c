// SPDX-License-Identifier: Apache-2.0
// Adds nodes, orders them by their needs, makes key texts and digests, and compares key texts.
#include "graph/graph.h"

#include <string.h>

const char *const node_kind_names[] = {"source", "builder", "rootfs", "artifact"};

static size_t hash_name(const char *name)
{
    size_t h = 14695981039346656037u; // FNV-1a
    while (*name)
        h = (h ^ (unsigned char)*name++) * 1099511628211u;
    return h;
}

static void place(struct graph *g, struct node *node)
{
    size_t i = hash_name(node->id) & (g->bucket_count - 1);
    while (g->buckets[i])
        i = (i + 1) & (g->bucket_count - 1);
    g->buckets[i] = node;
}

struct node *graph_add(struct graph *g, enum node_kind kind, const char *name, const char *id)
{
    struct node *node = xcalloc(1, sizeof *node);
    node->kind = kind;
    node->name = xstrdup(name);
    node->id = xstrdup(id);
    node->epoch = GRAPH_EPOCH;
    node->index = g->n;
    g->nodes = xgrow(g->nodes, &g->cap, g->n + 1, sizeof(struct node *));
    g->nodes[g->n++] = node;
    if (g->n * 2 > g->bucket_count) {
        free(g->buckets);
        g->bucket_count = g->bucket_count ? g->bucket_count * 4 : 64;
        g->buckets = xcalloc(g->bucket_count, sizeof(struct node *));
        for (size_t i = 0; i < g->n; i++)
            place(g, g->nodes[i]);
    } else {
        place(g, node);
    }
    return node;
}

struct node *graph_find(const struct graph *g, const char *id)
{
    if (!g->bucket_count)
        return NULL;
    for (size_t i = hash_name(id);; i++) {
        struct node *node = g->buckets[i & (g->bucket_count - 1)];
        if (!node || !strcmp(node->id, id))
            return node;
    }
}

void graph_need(struct node *node, struct node *needed, bool input)
{
    for (size_t i = 0; i < node->need_count; i++) {
        if (node->needs[i].node == needed) {
            node->needs[i].input |= input;
            return;
        }
    }
    node->needs = xgrow(node->needs, &node->need_cap, node->need_count + 1, sizeof *node->needs);
    node->needs[node->need_count++] = (struct node_need){needed, input};
}

// ---- order: depth first, with an explicit stack, since a chain may be as long as the graph ----

struct visit {
    struct node *node;
    size_t next; // index of the next need
};

enum mark { MARK_NEW, MARK_OPEN, MARK_DONE };

static struct node **cycle_error(const struct visit *stack, size_t depth, const struct node *again,
                                 struct error **err)
{
    struct buf text = {0};
    size_t i = 0;
    while (stack[i].node != again)
        i++;
    for (; i < depth; i++)
        buf_printf(&text, "%s -> ", stack[i].node->id);
    buf_puts(&text, again->id);
    error_user(err, "the needs of these targets form a cycle: %s", text.data);
    error_hint(err, "remove one of these from the needs of its recipe");
    buf_free(&text);
    return NULL;
}

struct node **graph_order(const struct graph *g, struct error **err)
{
    struct node **order = xcalloc(g->n + 1, sizeof(struct node *));
    struct visit *stack = xcalloc(g->n + 1, sizeof *stack);
    unsigned char *marks = xcalloc(g->n + 1, 1);
    size_t done = 0, depth = 0;
    for (size_t root = 0; root < g->n && order; root++) {
        if (marks[root] == MARK_NEW) {
            marks[root] = MARK_OPEN;
            stack[depth++] = (struct visit){g->nodes[root], 0};
        }
        while (depth && order) {
            struct visit *v = &stack[depth - 1];
            if (v->next == v->node->need_count) {
                marks[v->node->index] = MARK_DONE;
                order[done++] = v->node;
                depth--;
                continue;
            }
            struct node *need = v->node->needs[v->next++].node;
            if (marks[need->index] == MARK_NEW) {
                marks[need->index] = MARK_OPEN;
                stack[depth++] = (struct visit){need, 0};
            } else if (marks[need->index] == MARK_OPEN) {
                free(order);
                order = cycle_error(stack, depth, need, err);
            }
        }
    }
    free(stack);
    free(marks);
    return order;
}

// ---- keys ----

const char *node_label(const struct node *node)
{
    return node->label ? node->label : node->name;
}

bool node_is_stored(const struct node *node)
{
    return node->state == NODE_CACHED || node->state == NODE_DONE;
}

bool node_is_known(const struct node *node)
{
    return node_is_stored(node) || node->state == NODE_LOST || node->state == NODE_SHARED;
}

bool graph_ready(const struct node *node)
{
    for (size_t i = 0; i < node->need_count; i++)
        if (node->needs[i].input && !node_is_known(node->needs[i].node))
            return false;
    return true;
}

// The lines of the inputs whose outputs are known.
static void input_lines(const struct node *node, struct strlist *out)
{
    for (size_t i = 0; i < node->need_count; i++) {
        const struct node *need = node->needs[i].node;
        if (!node->needs[i].input || !node_is_known(need))
            continue;
        for (size_t o = 0; o < need->output_count; o++)
            if (!need->outputs[o].side)
                strlist_addf(out, "input %s %s %s", need->name, need->outputs[o].name,
                             need->outputs[o].digest);
    }
    strlist_sort(out);
}

static int64_t newest_epoch(const struct node *node)
{
    int64_t epoch = GRAPH_EPOCH;
    for (size_t i = 0; i < node->need_count; i++)
        if (node->needs[i].input && node->needs[i].node->epoch > epoch)
            epoch = node->needs[i].node->epoch;
    return epoch;
}

char *graph_known_key_text(const struct node *node)
{
    cleanup_strlist struct strlist inputs = {0};
    struct buf text = {0};
    input_lines(node, &inputs);
    buf_printf(&text, "kbuild key 1\nnode %s %s\n", node_kind_names[node->kind], node->name);
    buf_add(&text, node->identity.data, node->identity.len);
    buf_printf(&text, "epoch %lld\n", (long long)newest_epoch(node));
    for (size_t i = 0; i < inputs.n; i++)
        buf_printf(&text, "%s\n", inputs.items[i]);
    return buf_take(&text);
}

void graph_key(struct node *node)
{
    node->epoch = newest_epoch(node); // a record of the node may have set another one since
    free(node->key_text);
    node->key_text = graph_known_key_text(node);
    digest_bytes(node->key_text, strlen(node->key_text), node->key);
}

static void free_outputs(struct node *node)
{
    for (size_t i = 0; i < node->output_count; i++)
        free(node->outputs[i].name);
    free(node->outputs);
    node->outputs = NULL;
    node->output_count = 0;
}

void graph_set_outputs(struct node *node, struct node_output *outputs, size_t count)
{
    free_outputs(node);
    node->outputs = outputs;
    node->output_count = count;
}

const struct node_output *node_output(const struct node *node, const char *name)
{
    for (size_t i = 0; i < node->output_count; i++)
        if (!strcmp(node->outputs[i].name, name))
            return &node->outputs[i];
    return NULL;
}

void graph_free(struct graph *g)
{
    for (size_t i = 0; i < g->n; i++) {
        struct node *node = g->nodes[i];
        free_outputs(node);
        free(node->name);
        free(node->id);
        free(node->label);
        buf_free(&node->identity);
        free(node->needs);
        free(node->key_text);
        free(node);
    }
    free(g->nodes);
    free(g->buckets);
    *g = (struct graph){0};
}

// ---- explain ----
// What changed between two key texts.

// Appends the lines of `lines` that `others` lacks.
static void only_in(const struct strlist *lines, const struct strlist *others, struct strlist *out)
{
    for (size_t i = 0; i < lines->n; i++)
        if (!strlist_has(others, lines->items[i]))
            strlist_add(out, lines->items[i]);
}

// The length of a line without its last word, for pairing lines about the same thing.
static size_t subject_length(const char *line)
{
    const char *blank = strrchr(line, ' ');
    return blank ? (size_t)(blank - line) : strlen(line);
}

static bool same_subject(const char *a, const char *b)
{
    size_t n = subject_length(a);
    return n == subject_length(b) && !strncmp(a, b, n);
}

void graph_explain_change(const char *old_text, const char *new_text, struct buf *out)
{
    struct strlist old_lines = {0}, new_lines = {0}, gone = {0}, came = {0};
    strlist_split(&old_lines, old_text, "\n");
    strlist_split(&new_lines, new_text, "\n");
    only_in(&old_lines, &new_lines, &gone);
    only_in(&new_lines, &old_lines, &came);
    for (size_t i = 0; i < gone.n; i++) {
        buf_printf(out, "- %s\n", gone.items[i]);
        for (size_t j = 0; j < came.n; j++) {
            if (came.items[j][0] && same_subject(gone.items[i], came.items[j])) {
                buf_printf(out, "+ %s\n", came.items[j]);
                came.items[j][0] = '\0'; // already shown
                break;
            }
        }
    }
    for (size_t j = 0; j < came.n; j++)
        if (came.items[j][0])
            buf_printf(out, "+ %s\n", came.items[j]);
    strlist_free(&old_lines);
    strlist_free(&new_lines);
    strlist_free(&gone);
    strlist_free(&came);
}
