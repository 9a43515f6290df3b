// SPDX-License-Identifier: Apache-2.0
// Walks the nodes of a build from its targets down, and answers for each why it is made.
#include "why/why.h"

#include "base/print.h"
#include "share/share.h"

#include <string.h>

const char *const why_state_names[] = {"cached", "changed", "new", "again"};

struct walk {
    struct build *b;
    struct why *out;
    const struct last_build *root; // of the target that is looked at; or NULL
    bool *seen;                    // by index in the graph
    bool *changed;                 // its outputs are others than those that a node was made from
    bool only_one;
};

// The newest time in its sources changed, and nothing else: an input has the same bytes and another
// time.
static void mark_other_keys(struct walk *w, const struct node *node)
{
    for (size_t i = 0; w->root && i < node->need_count; i++) {
        const struct node *need = node->needs[i].node;
        const char *then = last_build_key_of(w->root, need);
        if (node->needs[i].input && then && strcmp(then, need->key) != 0)
            w->changed[need->index] = true;
    }
}

static void add_changes(struct walk *w, const struct node *node, const struct last_build *past,
                        struct why_node *n)
{
    bool own = reasons_find(w->b, node, past, &n->reasons);
    for (size_t i = 0; i < n->reasons.n; i++) {
        const struct reason *r = &n->reasons.items[i];
        if (r->input && r->change == INPUT_CHANGED)
            w->changed[r->input->index] = true;
        n->expected |= r->input && r->change == INPUT_UNKNOWN;
    }
    if (past && !own)
        mark_other_keys(w, node);
}

// Nothing of the key changed.
static void add_lack(struct build *b, const struct node *node, struct reasons *out)
{
    json_auto_t *record = NULL;
    if (*node->key)
        store_action_get(b->store, node->key, &record, NULL);
    if (!b->options.use_cache && node->kind == NODE_ARTIFACT)
        reasons_add_text(out, "asked", "USE_CACHE=no says so");
    else if (record && !record_trusted(b, node, record))
        reasons_add_text(
            out, "distrusted",
            "its result in the cache came from a registry, and no key of KBUILD_TRUSTED_KEYS "
            "signed it");
    else if (record && !list_agrees(b, node, record))
        reasons_add_text(out, "lock",
                         "versions.lock names other files than its result in the cache");
    else
        reasons_add_text(out, "lost", "its result is no longer in the cache");
}

// The part of its identity that versions.lock or the network knows.
static void add_unresolved(const struct node *node, struct reasons *out)
{
    if (job_has_packages(node) || job_of(node)->spec.kind == SOURCE_DEBIAN)
        reasons_add_text(out, "unresolved", "its packages are not resolved yet");
    else
        reasons_add_text(out, "unresolved", "versions.lock has no line for it yet");
}

// ---- the walk ----

static struct why_node *add_node(struct walk *w, const struct node *node, enum why_state state)
{
    struct why *out = w->out;
    out->nodes = xgrow(out->nodes, &out->cap, out->n + 1, sizeof *out->nodes);
    out->nodes[out->n] = (struct why_node){.node = node, .state = state};
    return &out->nodes[out->n++];
}

static void answer_cached(struct walk *w, const struct node *node)
{
    cleanup_last_build struct last_build past = {0};
    bool changed =
        w->changed[node->index] && w->root && last_build_read_need(w->b, w->root, node, &past);
    struct why_node *n = add_node(w, node, changed ? WHY_CHANGED : WHY_CACHED);
    if (!changed)
        return;
    add_changes(w, node, &past, n);
    if (!n->reasons.n)
        reasons_add_text(&n->reasons, "random", "it was made again, and came out with other bytes");
}

static void answer_made(struct walk *w, const struct node *node)
{
    cleanup_last_build struct last_build past = {0};
    bool known = last_build_read(w->b, node, &past) ||
                 (w->root && last_build_read_need(w->b, w->root, node, &past));
    struct why_node *n = add_node(w, node, known ? WHY_AGAIN : WHY_NEW);
    if (!node->identified) {
        reasons_add_versions(w->b, node, past.texts, &n->reasons);
        add_unresolved(node, &n->reasons);
    } else {
        add_changes(w, node, known ? &past : NULL, n);
    }
    if (known && !n->reasons.n)
        add_lack(w->b, node, &n->reasons);
}

// Down to what is cached and as before. The graph has no cycles, and is as deep as recipes are.
static void visit(struct walk *w, const struct node *node)
{
    if (w->seen[node->index])
        return;
    w->seen[node->index] = true;
    bool stored = node_is_stored(node);
    if (stored)
        answer_cached(w, node);
    else
        answer_made(w, node);
    if (w->only_one || (stored && !w->changed[node->index]))
        return;
    for (size_t i = 0; i < node->need_count; i++) {
        const struct node *need = node->needs[i].node;
        if (!stored || w->changed[need->index])
            visit(w, need);
    }
}

static void walk_from(struct walk *w, const struct node *node)
{
    cleanup_last_build struct last_build root = {0};
    w->root = last_build_read(w->b, node, &root) ? &root : NULL;
    visit(w, node);
    w->root = NULL;
}

static void walk_build(struct build *b, const struct node *only, struct why *out)
{
    const struct graph *g = build_graph(b);
    cleanup_free bool *seen = xcalloc(g->n + 1, sizeof *seen);
    cleanup_free bool *changed = xcalloc(g->n + 1, sizeof *changed);
    struct walk w = {.b = b, .out = out, .seen = seen, .changed = changed, .only_one = only};
    if (only)
        walk_from(&w, only);
    for (int asked = 1; asked >= 0 && !only; asked--)
        for (size_t i = 0; i < g->n; i++)
            if (job_of(g->nodes[i])->asked == asked && job_of(g->nodes[i])->placed)
                walk_from(&w, g->nodes[i]);
}

void why_find(struct build *b, struct why *out)
{
    walk_build(b, NULL, out);
}

void why_of(struct build *b, const struct node *node, struct why *out)
{
    walk_build(b, node, out);
}

void why_free(struct why *w)
{
    for (size_t i = 0; i < w->n; i++)
        reasons_free(&w->nodes[i].reasons);
    free(w->nodes);
    *w = (struct why){0};
}

// ---- sentences ----

enum { REASONS_SHOWN = 3 };

// "initrd is made again because its input kernel is": the verb once.
static bool only_input_made(const struct why_node *n)
{
    const struct reason *r = n->reasons.n == 1 ? n->reasons.items : NULL;
    return r && r->input && r->change == INPUT_UNKNOWN && ends_with(r->text, " made again") &&
           !strcmp(made_word(n->node), "made");
}

static void add_because(const struct why_node *n, struct buf *out)
{
    const struct reasons *r = &n->reasons;
    size_t shown = r->n > REASONS_SHOWN + 1 ? REASONS_SHOWN : r->n;
    for (size_t i = 0; i < shown; i++)
        buf_printf(out, "%s%s",
                   !i                                ? " because "
                   : i + 1 == shown && shown == r->n ? " and "
                                                     : ", ",
                   r->items[i].text);
    if (only_input_made(n)) {
        out->len -= strlen(" made again");
        out->data[out->len] = '\0';
    }
    if (shown < r->n)
        buf_printf(out, ", and for %zu more reasons", r->n - shown);
}

char *why_sentence(const struct why_node *n)
{
    struct buf out = {0};
    const char *label = node_label(n->node), *made = made_word(n->node);
    switch (n->state) {
    case WHY_CACHED:
        buf_printf(&out, "%s is cached", label);
        break;
    case WHY_CHANGED:
        buf_printf(&out, "%s is cached, and is another one than then", label);
        add_because(n, &out);
        break;
    case WHY_NEW:
        buf_printf(&out, "%s is %s: it was never %s here", label, made,
                   strcmp(made, "made") ? made : "built");
        break;
    case WHY_AGAIN:
        buf_printf(&out, "%s is %s again", label, made);
        add_because(n, &out);
        break;
    }
    return buf_take(&out);
}

json_t *why_json(const struct why_node *n)
{
    const struct arch *arch = node_arch(n->node);
    cleanup_free char *text = why_sentence(n);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:o}", "node", n->node->id, "label",
                     node_label(n->node), "kind", node_kind_names[n->node->kind], "arch",
                     arch ? arch->name : "", "state", why_state_names[n->state], "key",
                     n->node->key, "expected", n->expected, "because", reasons_json(&n->reasons),
                     "text", json_visible(text));
}

void why_print(const struct why *w, struct buf *out)
{
    cleanup_strlist struct strlist cached = {0};
    bool expected = false;
    for (size_t i = 0; i < w->n; i++) {
        cleanup_free char *text = why_sentence(&w->nodes[i]);
        expected |= w->nodes[i].expected && w->nodes[i].state == WHY_AGAIN;
        if (w->nodes[i].state == WHY_CACHED)
            strlist_add(&cached, node_label(w->nodes[i].node));
        else
            buf_print(out, "%s\n", text);
    }
    for (size_t i = 0; i < cached.n; i++)
        buf_print(out, "%s%s", !i ? "" : i + 1 == cached.n ? " and " : ", ", cached.items[i]);
    if (cached.n)
        buf_print(out, " %s cached\n", cached.n == 1 ? "is" : "are");
    if (expected)
        buf_puts(out, "What is made again because of an input is taken from the cache after all if "
                      "the input comes out with the same bytes.\n");
}
