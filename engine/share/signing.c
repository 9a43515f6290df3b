// SPDX-License-Identifier: Apache-2.0
// Decides what this machine may sign: what was made here, if all that went into it was made here,
// too, or is signed by a key that the signer trusts. Else a builder would sign what somebody put
// into the registry, or what it made of that.
#include "share/internal.h"

#include <string.h>

static const json_t *output_named(const json_t *record, const char *name)
{
    const json_t *list = json_object_get(record, "outputs");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        if (!strcmp(json_string_value(json_object_get(o, "name")), name))
            return o;
    }
    return NULL;
}

bool records_agree(const json_t *one, const json_t *other)
{
    const json_t *list = json_object_get(one, "outputs");
    bool same = json_array_size(list) == json_array_size(json_object_get(other, "outputs"));
    for (size_t i = 0; i < json_array_size(list) && same; i++) {
        const json_t *o = json_array_get(list, i);
        const json_t *of = output_named(other, json_string_value(json_object_get(o, "name")));
        same = of && json_equal(json_object_get(o, "digest"), json_object_get(of, "digest"));
    }
    return same;
}

// What was pulled by a run that did not sign has no signature in its record: the registry may.
static int registry_has_own(struct build *b, struct node *node, const json_t *record,
                            struct error **err)
{
    struct lookup l = {.node = node};
    if (job_of(node)->prebuilt || job_of(node)->image_name || !remote_usable(b, node, REMOTE_READ))
        return 0;
    remote_look_up(b, &l, 1);
    int own = l.found > 0 ? l.entry.mark && records_agree(record, l.entry.record) : l.found;
    if (own < 0)
        *err = steal(l.why);
    lookup_free(&l);
    return own;
}

struct inputs_search {
    struct build *b;
    bool *seen; // by the index of a node
};

static int is_own(struct inputs_search *s, struct node *node, const struct node **which,
                  struct error **err);

// 1: all that went into the node was made here, or is signed by the own key; 0: *which was not.
static int inputs_are_own(struct inputs_search *s, const struct node *node,
                          const struct node **which, struct error **err)
{
    for (size_t i = 0; i < node->need_count; i++) {
        struct node *input = node->needs[i].node;
        if (!node->needs[i].input || s->seen[input->index])
            continue;
        s->seen[input->index] = true;
        int own = is_own(s, input, which, err);
        if (own <= 0)
            return own;
    }
    return 1;
}

static int is_own(struct inputs_search *s, struct node *node, const struct node **which,
                  struct error **err)
{
    json_auto_t *record = NULL;
    if (store_action_get(s->b->store, node->key, &record, err) < 0)
        return -1;
    if (record && !record_from_registry(node, record))
        return inputs_are_own(s, node, which, err);
    if (record && record_signed(s->b->remote->own, node, record))
        return 1;
    int own = record ? registry_has_own(s->b, node, record, err) : 0;
    if (!own)
        *which = node;
    return own;
}

int remote_may_sign(struct build *b, const struct node *node, const json_t *record,
                    const struct node **which, struct error **err)
{
    const struct remote *r = b->remote;
    *which = NULL;
    if (!r->signing_key)
        return 0;
    if (json_object_get(record, SHARED_MARK)) {
        *which = node;
        return 0;
    }
    if (!r->own) // KBUILD_TRUSTED_KEYS decided what this run took
        return 1;
    struct inputs_search s = {.b = b, .seen = xcalloc(b->graph.n + 1, sizeof *s.seen)};
    int result = inputs_are_own(&s, node, which, err);
    free(s.seen);
    return result;
}
