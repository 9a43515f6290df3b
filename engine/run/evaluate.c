// SPDX-License-Identifier: Apache-2.0
// Decides what is cached and what must be made: completes the identity of nodes with what
// versions.lock or the network knows (inputs.c), makes their keys, and looks for their records and
// outputs in the store.
#include "run/internal.h"

#include "base/error.h"
#include "share/share.h"

#include <string.h>

// ---- evaluation ----

// 1 if the store has every output, 0 if one is missing.
static int outputs_present(struct build *b, const struct node *node, struct error **err)
{
    for (size_t i = 0; i < node->output_count; i++) {
        const struct node_output *o = &node->outputs[i];
        int has = o->tree ? store_has_tree(b->store, o->digest, false, err)
                          : store_has_blob(b->store, o->digest, err);
        if (has <= 0)
            return has;
    }
    return 1;
}

// Has the shared cache an entry of this key?
static bool is_shared(const struct node *node)
{
    const struct entry *e = job_of(node)->entry;
    return e && !strcmp(e->key, node->key);
}

int evaluate_node(struct build *b, struct node *node, struct error **err)
{
    struct job *job = job_of(node);
    if (!node->identified || !graph_ready(node)) {
        node->state = NODE_UNKNOWN;
        return 0;
    }
    graph_key(node);
    if (b->options.resume && job->asked && checkpoint_resume(b, node, err) < 0)
        return -1;
    node->state = NODE_STALE;
    if (!b->options.use_cache && node->kind == NODE_ARTIFACT && !job->made)
        return 0;
    json_auto_t *record = NULL;
    if (store_action_get(b->store, node->key, &record, err) < 0)
        return -1;
    if (record && !record_trusted(b, node, record)) {
        if (!b->run->warned_untrusted && !(node->kind == NODE_SOURCE && sources_from_origin(b)))
            log_note("%s in the local cache came from a registry, and no key of "
                     "KBUILD_TRUSTED_KEYS signed it: it is not used",
                     node_label(node));
        b->run->warned_untrusted = true;
    } else if (record && list_agrees(b, node, record) && outputs_from_record(node, record)) {
        list_pin(b, node, record);
        int present = b->shared_only ? 0 : outputs_present(b, node, err);
        if (present < 0)
            return -1;
        node->state = present ? NODE_CACHED : is_shared(node) ? NODE_SHARED : NODE_LOST;
    }
    return 0;
}

// ---- the key in a plan ----

static bool has_other_key(const struct node *node)
{
    const char *planned = job_of(node)->planned_key;
    return planned && *node->key && strcmp(planned, node->key) != 0;
}

int check_planned_key(const struct node *node, struct error **err)
{
    if (!has_other_key(node))
        return 0;
    error_set(err, ERROR_USAGE,
              "the plan does not match this machine: the key of %s is %s here, and %s in the plan",
              node->id, node->key, job_of(node)->planned_key);
    for (size_t i = 0; i < node->need_count; i++) {
        const struct node *input = node->needs[i].node;
        if (node->needs[i].input && has_other_key(input))
            return error_hint(err, "its input %s has the key %s here, and %s in the plan",
                              input->id, input->key, job_of(input)->planned_key);
    }
    return error_hint(
        err, "if nothing was changed, either an input was made twice, is not reproducible, "
             "and has other bytes here: plan again, or let a machine make it whose cache "
             "has none of the inputs. Or, with --builder=host, a tool of this machine is "
             "another one: use a machine like the one that planned");
}

// ---- a registry that lost content ----

int forget_lost_content(struct build *b, struct node *node, struct error **err)
{
    int has = node->state == NODE_SHARED ? remote_has_content(b, node, err) : 1;
    if (has)
        return has < 0 ? -1 : 0;
    log_note("%s: the registry has its entry, but not all of its content", node->id);
    entry_forget(job_of(node));
    return evaluate_node(b, node, err) < 0 ? -1 : 1;
}

static int identify_source(struct build *b, struct node *node, bool resolve, struct error **err)
{
    struct job *job = job_of(node);
    struct source_options o = source_options(b);
    o.offline = o.offline || !resolve;
    struct error *why = NULL;
    if (source_resolve(&job->spec, &o, &job->pin, &why) < 0) {
        // An unknown key is a valid answer then, but not for local files.
        if (!resolve && job->spec.kind != SOURCE_LOCAL) {
            error_free(why);
            return 0;
        }
        *err = why;
        return error_wrap(err, "%s", job->label);
    }
    if (source_key_text(&job->spec, &job->pin, &node->identity, err) < 0)
        return -1;
    note_local_source(b, node);
    node->identified = true;
    return 0;
}

// Adds the parts of the identity that only the lock or the network knows.
static int identify(struct build *b, struct node *node, bool resolve, struct error **err)
{
    if (node->kind == NODE_SOURCE)
        return identify_source(b, node, resolve, err);
    if (job_of(node)->prebuilt)
        return identify_prebuilt(b, node, resolve, err);
    if (job_has_packages(node))
        return identify_packages(b, node, resolve, err);
    return job_of(node)->image_name ? identify_image(b, node, resolve, err) : 0;
}

int build_evaluate(struct build *b, bool resolve, struct error **err)
{
    note_replaced_recipes(b);
    if (check_asked_source_names(b, err) < 0 || note_ignored_variables(b, err) < 0)
        return -1;
    plan_labels(&b->graph);
    struct node **order = graph_order(&b->graph, err);
    if (!order)
        return -1;
    int result = 0;
    for (size_t i = 0; i < b->graph.n && !result; i++) {
        struct node *node = order[i];
        if (!node->identified)
            result = identify(b, node, resolve, err);
        if (!result)
            result = evaluate_node(b, node, err);
    }
    free(order);
    if (!result && b->options.resume)
        result = checkpoint_expected(b, err);
    if (!result && resolve && b->lock->changed) // without `resolve` nothing is written
        result = lock_save(b->lock, err);
    return result;
}

// ---- kbuild update, kbuild lock ----

struct packages_query {
    struct build *b;
    struct node *node;
};

static int query_packages(const struct packages_query *q, packages_action *action,
                          char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    const struct source_options o = source_options(q->b);
    const struct packages_request r = packages_request_of(q->node);
    if (job_has_packages(q->node))
        return action(&r, &o, digest, err);
    return debian_source_request(job_of(q->node)->spec.debian, &o, action, digest, err);
}

static int for_packages(struct build *b, packages_action *action, struct error **err)
{
    for (size_t i = 0; i < b->graph.n; i++) {
        const struct packages_query q = {b, b->graph.nodes[i]};
        const struct job *job = job_of(q.node);
        char before[DIGEST_HEX_SIZE] = "", now[DIGEST_HEX_SIZE] = "";
        if (!job_has_packages(q.node) &&
            (q.node->kind != NODE_SOURCE || job->spec.kind != SOURCE_DEBIAN))
            continue;
        if (query_packages(&q, packages_known, before, err) < 0 ||
            query_packages(&q, action, now, err) < 0)
            return error_wrap(err, "%s", job->label);
        log_note("%s: %s, list %.12s", job->label,
                 strcmp(before, now) ? "other packages than before" : "the same packages", now);
    }
    return lock_save(b->lock, err);
}

int build_update(struct build *b, struct error **err)
{
    if (check_asked_source_names(b, err) < 0)
        return -1;
    return for_packages(b, packages_refresh, err);
}

// What a cached list pins is already in the lock.
static bool warn_unknown_lists(struct build *b)
{
    bool warned = false;
    for (size_t i = 0; i < b->graph.n; i++) {
        const struct node *node = b->graph.nodes[i];
        const struct job *job = job_of(node);
        if (!job->list || node_is_known(node))
            continue;
        log_warning("%s was not fetched yet, so it is not known whether it has files that must be "
                    "locked: kbuild fetch %s, then lock again",
                    job->label, job->recipe->name);
        warned = true;
    }
    return warned;
}

int build_lock(struct build *b, struct error **err)
{
    if (for_packages(b, packages_pin, err) < 0)
        return -1;
    if (!warn_unknown_lists(b))
        log_note("%s names all of it; look at the lines, and %s", b->lock->path,
                 b->lock->base ? "keep the file" : "commit them");
    return 0;
}
