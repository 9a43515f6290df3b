// SPDX-License-Identifier: Apache-2.0
// Completes the registry after a run with PUSH_TO_REGISTRY=yes: pushes results that were in the
// local cache already, and upstream's tags for existing entries.
#include "share/share.h"

#include "base/error.h"

#include <string.h>

// Only local results are signed, never those from elsewhere: else a builder would sign whatever
// somebody put into the registry.
static bool may_sign(const struct remote *r, const json_t *record)
{
    return !r->signing_key || !json_object_get(record, SHARED_MARK);
}

// 1: pushed; 0: it is not in the local cache.
static int push_cached(struct build *b, struct node *node, struct error **err)
{
    if (!node_is_here(node))
        return 0;
    json_t *record = store_action_get(b->store, node->key, err);
    int result = 0;
    if (record && may_sign(b->remote, record))
        result = remote_keep(b, node, record, err) < 0 ? -1 : 1;
    json_decref(record);
    return result;
}

// Moves upstream's tags to the entry, if they are elsewhere.
static int move_tags(struct build *b, const struct node *node, const struct entry *e,
                     struct error **err)
{
    cleanup_strlist struct strlist tags = {0};
    if (node->kind != NODE_ARTIFACT)
        return 0;
    remote_floating_tags(b, node, &tags);
    struct registry *registry = remote_repository(b->remote, node, true, err);
    int result = registry ? 0 : -1;
    for (size_t i = 0; i < tags.n && !result; i++) {
        cleanup_buf struct buf text = {0};
        cleanup_free char *type = NULL;
        char digest[DIGEST_HEX_SIZE];
        int found = registry_get_manifest(registry, tags.items[i], &text, &type, digest, err);
        if (found > 0 && !strcmp(digest, e->digest))
            continue;
        result = found < 0 ? -1
                           : registry_put_manifest(registry, tags.items[i], e->text.data,
                                                   e->text.len, OCI_MANIFEST, digest, err);
    }
    if (registry)
        registry_close(registry);
    return result ? error_wrap(err, "%s", node_label(node)) : 0;
}

static int publish_one(struct build *b, struct lookup *l, size_t *pushed, struct error **err)
{
    struct error *why = NULL;
    if (!remote_usable(b, l->node, REMOTE_WRITE)) // disabled meanwhile
        return 0;
    int there = l->found;
    if (there > 0)
        there = entry_signed(b->remote, l->node, &l->entry, &why);
    else if (there < 0)
        why = steal(l->why);
    if (there == 0) {
        int kept = push_cached(b, l->node, err); // handles a failure itself
        *pushed += kept > 0;
        if (kept)
            return kept < 0 ? -1 : 0;
    }
    if (there >= 0 && l->found > 0)
        there = move_tags(b, l->node, &l->entry, &why);
    if (there >= 0)
        return 0;
    return l->found > 0 ? remote_push_failed(b, false, why, err)
                        : remote_give_up(b, REMOTE_WRITE, why, err);
}

int remote_publish(struct build *b, struct node **order, size_t count, struct error **err)
{
    if (!b->remote || !b->remote->push)
        return 0;
    if (remote_keys(b->remote, err) < 0)
        return -1;
    struct lookup *all = xcalloc(count + 1, sizeof *all);
    struct lookup *unknown = xcalloc(count + 1, sizeof *unknown);
    size_t n = 0, asked = 0, pushed = 0;
    for (size_t i = 0; i < count; i++) {
        struct job *job = job_of(order[i]);
        if (!remote_usable(b, order[i], REMOTE_WRITE))
            continue;
        if (job->entry && !strcmp(job->entry->key, order[i]->key)) { // looked up in this run
            all[n++] = (struct lookup){.node = order[i], .found = 1, .entry = *job->entry};
            *job->entry = (struct entry){0};
        } else {
            unknown[asked++] = (struct lookup){.node = order[i]};
        }
    }
    remote_look_up(b, unknown, asked);
    memcpy(all + n, unknown, asked * sizeof *all);
    n += asked;
    int result = 0;
    for (size_t i = 0; i < n; i++) {
        if (!result)
            result = publish_one(b, &all[i], &pushed, err);
        lookup_free(&all[i]);
    }
    if (pushed)
        log_note("%zu result%s of the local cache pushed", pushed, pushed == 1 ? "" : "s");
    free(all);
    free(unknown);
    return result;
}
