// SPDX-License-Identifier: Apache-2.0
// Walks the nodes of a build from its targets down, and answers for each why it is made.
#include "why/internal.h"

#include "share/share.h"

#include <string.h>

const char *const why_state_names[] = {"cached", "changed", "new", "again"};

// ---- what a node was ----

// A node as of the last build of the requested target, or of its own last build.
struct past {
    char *key_text; // NULL: unknown
    json_t *texts;  // of its own last build, if that is the one; or NULL
};

static void past_free(struct past *p)
{
    free(p->key_text);
    json_decref(p->texts);
}
#define cleanup_past __attribute__((cleanup(past_free)))

// False: what is asked for was made without it, or its record is gone.
static bool past_of_need(struct build *b, const struct last_build *root, const struct node *node,
                         struct past *out)
{
    const char *key = root ? last_build_key_of(root, node) : NULL;
    json_auto_t *record = NULL;
    if (!key || store_action_get(b->store, key, &record, NULL) <= 0)
        return false;
    const char *text = json_string_value(json_object_get(record, "key_text"));
    out->key_text = text ? xstrdup(text) : NULL;
    return text;
}

static bool past_of_own(struct build *b, const struct node *node, struct past *out)
{
    cleanup_last_build struct last_build l = {0};
    if (!last_build_read(b, node, &l))
        return false;
    out->key_text = steal(l.key_text);
    out->texts = steal(l.texts);
    return true;
}

// ---- reasons ----

static struct why_reason *add_reason(struct why_node *n)
{
    n->reasons = xgrow(n->reasons, &n->cap, n->n + 1, sizeof *n->reasons);
    n->reasons[n->n] = (struct why_reason){0};
    return &n->reasons[n->n++];
}

static void add_text(struct why_node *n, const char *what, const char *text)
{
    struct why_reason *r = add_reason(n);
    r->text = xstrdup(text);
    r->facts = json_pack("{s:s, s:o}", "what", what, "text", json_visible(text));
}

static const struct node *find_need(const struct node *node, const char *name, size_t length)
{
    for (size_t i = 0; i < node->need_count; i++) {
        const struct node *need = node->needs[i].node;
        if (node->needs[i].input && strlen(need->name) == length &&
            !strncmp(need->name, name, length))
            return need;
    }
    return NULL;
}

static void add_input(struct why_node *n, const char *name, const char *change, const char *format)
{
    for (size_t i = 0; i < n->n; i++) {
        const char *known = json_string_value(json_object_get(n->reasons[i].facts, "name"));
        const char *what = json_string_value(json_object_get(n->reasons[i].facts, "what"));
        if (known && !strcmp(what, "input") && !strcmp(known, name))
            return; // another output of it
    }
    struct why_reason *r = add_reason(n);
    const struct placeholder input = {"{input}", name};
    r->text = placeholders_expand(format, &input, 1);
    r->facts = json_pack("{s:s, s:o, s:s, s:o}", "what", "input", "name", json_visible(name),
                         "change", change, "text", json_visible(r->text));
}

struct walk {
    struct build *b;
    struct why *out;
    const struct last_build *root; // of the target that is looked at; or NULL
    bool *seen;                    // by index in the graph
    bool *changed;                 // its outputs are others than those that a node was made from
    bool only_one;
};

static void input_change(struct walk *w, const struct node *node, const struct key_change *c,
                         struct why_node *n)
{
    const char *end = strrchr(c->subject, ' ');
    size_t length = end ? (size_t)(end - c->subject) : strlen(c->subject);
    cleanup_free char *name = xstrndup(c->subject, length);
    const struct node *need = find_need(node, name, length);
    if (need && !node_is_known(need))
        return; // it is made again, which add_needs() says
    if (need && c->before) {
        w->changed[need->index] = true;
        add_input(n, node_label(need), "changed", "its input {input} changed");
    } else if (need) {
        add_input(n, node_label(need), "added", "{input} is a new input");
    } else {
        add_input(n, name, "removed", "{input} is no longer an input");
    }
}

static const char *made_word(const struct node *node)
{
    return node->kind == NODE_SOURCE && !job_of(node)->list ? "fetched" : "made";
}

// Inputs that are still to be made: the key of the node is not known before.
static void add_needs(const struct node *node, struct why_node *n)
{
    for (size_t i = 0; i < node->need_count; i++) {
        const struct node *need = node->needs[i].node;
        if (!node->needs[i].input || node_is_known(need))
            continue;
        n->expected = true;
        cleanup_free char *format = xasprintf("its input {input} is %s again", made_word(need));
        add_input(n, node_label(need), "made", format);
    }
}

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

// Two passes: what only follows from other changes counts if there are none.
static void add_changes(struct walk *w, const struct node *node, const struct past *past,
                        struct why_node *n)
{
    cleanup_key_changes struct key_changes changes = {0};
    cleanup_free char *now = graph_known_key_text(node);
    key_changes_find(past->key_text, now, &changes);
    for (size_t i = 0; i < changes.n; i++) {
        struct why_reason reason = {0};
        if (!change_is_weak(&changes.items[i]) &&
            reason_of_change(w->b, node, &changes.items[i], past->texts, &reason))
            *add_reason(n) = reason;
    }
    for (size_t i = 0; i < changes.n; i++)
        if (changes.items[i].kind == CHANGE_INPUT)
            input_change(w, node, &changes.items[i], n);
    add_needs(node, n);
    if (n->n)
        return;
    mark_other_keys(w, node);
    for (size_t i = 0; i < changes.n; i++) {
        struct why_reason reason = {0};
        if (reason_of_change(w->b, node, &changes.items[i], past->texts, &reason))
            *add_reason(n) = reason;
    }
}

// Nothing of the key changed.
static void add_lack(struct build *b, const struct node *node, struct why_node *n)
{
    json_auto_t *record = NULL;
    if (*node->key)
        store_action_get(b->store, node->key, &record, NULL);
    if (!b->options.use_cache && node->kind == NODE_ARTIFACT)
        add_text(n, "asked", "USE_CACHE=no says so");
    else if (record && !record_trusted(b, node, record))
        add_text(n, "distrusted",
                 "its result in the cache came from a registry, and no key of KBUILD_TRUSTED_KEYS "
                 "signed it");
    else if (record && !list_agrees(b, node, record))
        add_text(n, "lock", "versions.lock names other files than its result in the cache");
    else
        add_text(n, "lost", "its result is no longer in the cache");
}

// The part of its identity that versions.lock or the network knows.
static void add_unresolved(const struct node *node, struct why_node *n)
{
    if (job_has_packages(node) || job_of(node)->spec.kind == SOURCE_DEBIAN)
        add_text(n, "unresolved", "its packages are not resolved yet");
    else
        add_text(n, "unresolved", "versions.lock has no line for it yet");
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
    cleanup_past struct past past = {0};
    bool changed = w->changed[node->index] && past_of_need(w->b, w->root, node, &past);
    struct why_node *n = add_node(w, node, changed ? WHY_CHANGED : WHY_CACHED);
    if (!changed)
        return;
    add_changes(w, node, &past, n);
    if (!n->n)
        add_text(n, "random", "it was made again, and came out with other bytes");
}

static void answer_made(struct walk *w, const struct node *node)
{
    cleanup_past struct past past = {0};
    bool known = past_of_own(w->b, node, &past) || past_of_need(w->b, w->root, node, &past);
    struct why_node *n = add_node(w, node, known ? WHY_AGAIN : WHY_NEW);
    if (!node->identified)
        add_unresolved(node, n);
    else if (known)
        add_changes(w, node, &past, n);
    else
        add_needs(node, n);
    if (known && !n->n)
        add_lack(w->b, node, n);
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
    for (size_t i = 0; i < w->n; i++) {
        for (size_t k = 0; k < w->nodes[i].n; k++) {
            free(w->nodes[i].reasons[k].text);
            json_decref(w->nodes[i].reasons[k].facts);
        }
        free(w->nodes[i].reasons);
    }
    free(w->nodes);
    *w = (struct why){0};
}

// ---- sentences ----

enum { REASONS_SHOWN = 3 };

// "initrd is made again because its input kernel is": the verb once.
static bool only_input_made(const struct why_node *n)
{
    const json_t *facts = n->n == 1 ? n->reasons[0].facts : NULL;
    const char *change = json_string_value(json_object_get(facts, "change"));
    return change && !strcmp(change, "made") && ends_with(n->reasons[0].text, " made again") &&
           !strcmp(made_word(n->node), "made");
}

static void add_because(const struct why_node *n, struct buf *out)
{
    size_t shown = n->n > REASONS_SHOWN + 1 ? REASONS_SHOWN : n->n;
    for (size_t i = 0; i < shown; i++)
        buf_printf(out, "%s%s",
                   !i                                ? " because "
                   : i + 1 == shown && shown == n->n ? " and "
                                                     : ", ",
                   n->reasons[i].text);
    if (only_input_made(n)) {
        out->len -= strlen(" made again");
        out->data[out->len] = '\0';
    }
    if (shown < n->n)
        buf_printf(out, ", and for %zu more reasons", n->n - shown);
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
    json_t *because = json_array();
    const struct arch *arch = node_arch(n->node);
    for (size_t i = 0; i < n->n; i++)
        json_array_append(because, n->reasons[i].facts);
    cleanup_free char *text = why_sentence(n);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:o}", "node", n->node->id, "label",
                     node_label(n->node), "kind", node_kind_names[n->node->kind], "arch",
                     arch ? arch->name : "", "state", why_state_names[n->state], "key",
                     n->node->key, "expected", n->expected, "because", because, "text",
                     json_visible(text));
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
