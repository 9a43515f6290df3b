// SPDX-License-Identifier: Apache-2.0
// Looks up entries, many in parallel, since each waits for the network. Before anything is made,
// the graph is processed in waves: the records of one wave give the keys of the next.
#include "base/process.h"
#include "share/share.h"

enum { ASKING_AT_ONCE = 8 };

// 1: found and trusted; 0: there is none; -1: error.
static int entry_fetch(struct build *b, const struct node *node, struct entry *e,
                       struct error **err)
{
    struct remote *r = b->remote;
    cleanup_free char *tag = entry_tag(r, node);
    cleanup_free char *type = NULL;
    struct registry *registry = remote_repository(r, node, false, err);
    if (!registry)
        return -1;
    int found = registry_get_manifest(registry, tag, &e->text, &type, e->digest, err);
    if (!found)
        remote_tell_denied(r, node_label(node), registry_was_denied(registry));
    if (found > 0)
        found = entry_read(node, &e->text, e, err);
    if (found > 0 && !list_agrees(b, node, e->record))
        found = 0;
    if (found > 0)
        found = entry_trusted(r, registry, node, e, err);
    registry_close(registry);
    return found < 0 ? error_wrap(err, "%s", node_label(node)) : found;
}

static void ask(struct build *b, struct lookup *l)
{
    l->found = entry_fetch(b, l->node, &l->entry, &l->why);
    if (l->found <= 0)
        entry_free(&l->entry);
}

struct lookups {
    struct build *b;
    struct lookup *lookups;
    size_t n, next; // atomic
};

static void *work(void *context)
{
    struct lookups *c = context;
    for (size_t i; (i = __atomic_fetch_add(&c->next, 1, __ATOMIC_RELAXED)) < c->n;)
        ask(c->b, &c->lookups[i]);
    return NULL;
}

void remote_look_up(struct build *b, struct lookup *lookups, size_t n)
{
    struct lookups c = {.b = b, .lookups = lookups, .n = n};
    workers_run(n < ASKING_AT_ONCE ? n : ASKING_AT_ONCE, work, &c);
}

void lookup_free(struct lookup *l)
{
    entry_free(&l->entry);
    error_free(l->why);
    l->why = NULL;
}

int remote_ask(struct build *b, struct node *node, struct entry *out, struct error **err)
{
    struct lookup l = {.node = node};
    ask(b, &l);
    *out = l.entry;
    if (l.found < 0)
        *err = l.why;
    return l.found;
}

// ---- before anything is made ----

// The nodes with known keys that are missing here and were not queried yet.
static int collect(struct build *b, struct node **order, size_t count, evaluate_action *evaluate,
                   struct lookup *out, size_t *n, struct error **err)
{
    *n = 0;
    for (size_t i = 0; i < count; i++) {
        struct node *node = order[i];
        struct job *job = job_of(node);
        if (node->state == NODE_UNKNOWN && node->identified && graph_ready(node) &&
            evaluate(b, node, err) < 0)
            return -1;
        bool missing = node->state == NODE_STALE || node->state == NODE_LOST;
        if (!missing || job->asked_shared || !remote_usable(b, node, REMOTE_READ))
            continue;
        job->asked_shared = true;
        out[(*n)++] = (struct lookup){.node = node};
    }
    return 0;
}

// Stores the record; the contents are fetched if they are wanted.
static int keep_found_record(struct build *b, struct lookup *l, evaluate_action *evaluate,
                             struct error **err)
{
    struct node *node = l->node;
    struct job *job = job_of(node);
    if (l->found < 0) {
        struct error *why = l->why;
        l->why = NULL;
        return remote_give_up(b, REMOTE_READ, why, err);
    }
    if (!l->found)
        return 0;
    entry_mark(&l->entry, l->entry.record);
    if (store_action_put(b->store, node->key, l->entry.record, err) < 0)
        return -1;
    job->entry = xmalloc(sizeof *job->entry);
    *job->entry = l->entry;
    l->entry = (struct entry){0};
    return evaluate(b, node, err); // NODE_SHARED, if its outputs are not here
}

int remote_prefetch(struct build *b, struct node **order, size_t count, evaluate_action *evaluate,
                    struct error **err)
{
    struct lookup *lookups = xcalloc(count + 1, sizeof *lookups);
    size_t n;
    int result = remote_keys(b->remote, err);
    while (!result && !(result = collect(b, order, count, evaluate, lookups, &n, err)) && n) {
        remote_look_up(b, lookups, n);
        for (size_t i = 0; i < n; i++) {
            if (!result)
                result = keep_found_record(b, &lookups[i], evaluate, err);
            lookup_free(&lookups[i]);
        }
    }
    free(lookups);
    return result;
}
