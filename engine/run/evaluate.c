// SPDX-License-Identifier: Apache-2.0
// Decides what is cached and what must be made: keys, records, and outputs in the store.
#include "base/error.h"
#include "run/image_pin.h"
#include "run/prebuilt.h"
#include "run/work.h"
#include "share/share.h"
#include "share/vouch.h"

#include <string.h>

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
    if (b->options.go_on && job->asked && work_continue(b, node, err) < 0)
        return -1;
    node->state = NODE_STALE;
    if (!b->options.use_cache && node->kind == NODE_ARTIFACT && !job->made)
        return 0;
    struct error *why = NULL;
    json_t *record = store_action_get(b->store, node->key, &why);
    if (why) {
        *err = why;
        return -1;
    }
    if (record && !vouch_holds(b, node, record)) {
        if (!b->told_untrusted && !(node->kind == NODE_SOURCE && sources_from_origin(b)))
            log_note("%s in the local cache came from a registry, and no key of "
                     "KBUILD_TRUSTED_KEYS signed it: it is not used",
                     node_label(node));
        b->told_untrusted = true;
    } else if (record && list_agrees(b, node, record) && outputs_from_record(node, record)) {
        list_pin(b, node, record);
        int present = outputs_present(b, node, err);
        if (present < 0) {
            json_decref(record);
            return -1;
        }
        node->state = present ? NODE_CACHED : is_shared(node) ? NODE_SHARED : NODE_LOST;
    }
    json_decref(record);
    return 0;
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
    say_local(b, node);
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
    if (check_asked_source_names(b, err) < 0 || say_ignored(b, err) < 0)
        return -1;
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
    if (!result && b->options.go_on)
        result = work_expected(b, err);
    if (!result && resolve && b->lock->changed) // without `resolve` nothing is written
        result = lock_save(b->lock, err);
    return result;
}
