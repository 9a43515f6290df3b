// SPDX-License-Identifier: Apache-2.0
// Looks up entries, many in parallel, since each waits for the network; and pulls them: record and
// outputs into the local store.
//
// Before anything is made, the graph is processed in waves: the records of one wave give the keys
// of the next. Content that differs from the record is rejected: blobs by their digest, trees by
// the digest of their listing.
#include "share/internal.h"

#include "base/error.h"
#include "base/process.h"
#include "oci/oci.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

// ---- look-up ----

enum { LOOKUPS_AT_ONCE = 8 };

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
        remote_warn_denied(r, node_label(node), registry_was_denied(registry));
    if (found > 0)
        found = entry_read(node, &e->text, e, err);
    if (found > 0 && !list_agrees(b, node, e->record))
        found = 0;
    if (found > 0)
        found = entry_trusted(r, registry, node, e, err);
    registry_close(registry);
    return found < 0 ? error_wrap(err, "%s", node_label(node)) : found;
}

static void look_up(struct build *b, struct lookup *l)
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

static void *look_up_worker(void *context)
{
    struct lookups *c = context;
    for (size_t i; (i = __atomic_fetch_add(&c->next, 1, __ATOMIC_RELAXED)) < c->n;)
        look_up(c->b, &c->lookups[i]);
    return NULL;
}

void remote_look_up(struct build *b, struct lookup *lookups, size_t n)
{
    struct lookups c = {.b = b, .lookups = lookups, .n = n};
    bool alone = !b->remote->session;
    if (alone)
        b->remote->session = registry_session_open();
    workers_run(n < LOOKUPS_AT_ONCE ? n : LOOKUPS_AT_ONCE, look_up_worker, &c);
    if (alone)
        registry_session_close(steal(b->remote->session));
}

void lookup_free(struct lookup *l)
{
    entry_free(&l->entry);
    error_free(l->why);
    l->why = NULL;
}

// ---- before anything is made ----

// The nodes with known keys that are missing here and were not looked up yet.
static int collect_lookups(struct build *b, struct node **order, size_t count,
                           evaluate_action *evaluate, struct lookup *out, size_t *n,
                           struct error **err)
{
    *n = 0;
    for (size_t i = 0; i < count; i++) {
        struct node *node = order[i];
        struct job *job = job_of(node);
        if (node->state == NODE_UNKNOWN && node->identified && graph_ready(node) &&
            evaluate(b, node, err) < 0)
            return -1;
        bool missing = node->state == NODE_STALE || node->state == NODE_LOST;
        if (!missing || job->shared_queried || !remote_usable(b, node, REMOTE_READ))
            continue;
        job->shared_queried = true;
        out[(*n)++] = (struct lookup){.node = node};
    }
    return 0;
}

// Stores the record; the contents are fetched if they are wanted.
static int store_found_record(struct build *b, struct lookup *l, evaluate_action *evaluate,
                              struct error **err)
{
    struct node *node = l->node;
    struct job *job = job_of(node);
    if (l->found < 0) {
        struct error *why = l->why;
        l->why = NULL;
        return remote_disable(b, REMOTE_READ, why, err);
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
    int result = remote_test_key(b->remote, err);
    b->remote->session = registry_session_open(); // of all waves
    while (!result && !(result = collect_lookups(b, order, count, evaluate, lookups, &n, err)) &&
           n) {
        remote_look_up(b, lookups, n);
        for (size_t i = 0; i < n; i++) {
            if (!result)
                result = store_found_record(b, &lookups[i], evaluate, err);
            lookup_free(&lookups[i]);
        }
    }
    registry_session_close(steal(b->remote->session));
    free(lookups);
    return result;
}

// ---- contents ----

static bool is_output(const struct entry *e, const json_t *layer)
{
    const json_t *outputs = json_object_get(e->record, "outputs");
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(outputs, i), "name"));
        if (name && entry_layer(e, name) == layer)
            return true;
    }
    return false;
}

static int has_layers(struct registry *registry, const struct entry *e, bool only_outputs,
                      struct error **err)
{
    const json_t *layers = json_object_get(e->manifest, "layers");
    int has = 1;
    for (size_t i = 0; i < json_array_size(layers) && has > 0; i++) {
        const json_t *layer = json_array_get(layers, i);
        const char *hex = oci_descriptor_digest(layer, NULL);
        if (!only_outputs || is_output(e, layer))
            has = hex ? registry_has_blob(registry, hex, err) : 0;
    }
    return has;
}

static int has_content(struct build *b, const struct node *node, const struct entry *e,
                       bool only_outputs, struct error **err)
{
    struct error *why = NULL;
    struct registry *registry = remote_repository(b->remote, node, false, err);
    if (!registry)
        return -1;
    int has = has_layers(registry, e, only_outputs, &why);
    registry_close(registry);
    if (has >= 0)
        return has;
    if (why->kind == ERROR_AGAIN || why->kind == ERROR_INTERRUPT) {
        *err = why;
        return error_wrap(err, "%s", node_label(node));
    }
    error_free(why); // some registries refuse HEAD
    return 1;
}

int entry_has_content(struct build *b, const struct node *node, const struct entry *e,
                      struct error **err)
{
    return has_content(b, node, e, false, err);
}

// What a pull needs: no files that an entry has for others beside the outputs. A machine that finds
// all of those does not push the entry again.
int remote_has_content(struct build *b, const struct node *node, struct error **err)
{
    const struct entry *e = job_of(node)->entry;
    return e ? has_content(b, node, e, !entry_is_image(b->remote, node), err) : 0;
}

struct pulled_output {
    const char *output; // NULL: a layer of an image
    bool tree;
    char digest[DIGEST_HEX_SIZE]; // of the output
    struct blob_draft draft;      // where it is written
};

struct pulled_entry {
    struct build *b;
    const struct node *node;
    const struct entry *entry;
    struct pulled_output *transfers;
    struct registry_blob *blobs;
    size_t n;
    bool image;
};

static int is_present(const struct build *b, bool tree, const char *digest, struct error **err)
{
    return tree ? store_has_tree(b->store, digest, false, err)
                : store_has_blob(b->store, digest, err);
}

static int add_transfer(struct pulled_entry *p, const json_t *layer, const json_t *output,
                        struct error **err)
{
    struct pulled_output *t = &p->transfers[p->n];
    const char *hex = oci_descriptor_digest(layer, NULL);
    json_int_t size = json_integer_value(json_object_get(layer, "size"));
    if (!hex || size < 0)
        return error_user(err, "the entry does not say where its contents are");
    if (output) {
        t->output = json_string_value(json_object_get(output, "name"));
        t->tree = !strcmp(json_string_value(json_object_get(output, "kind")), "tree");
        memcpy(t->digest, json_string_value(json_object_get(output, "digest")), DIGEST_HEX_SIZE);
        if (!t->tree && strcmp(hex, t->digest) != 0)
            return error_user(err, "the entry has something else for %s than its record",
                              t->output);
    }
    if (store_blob_begin(p->b->store, &t->draft, err) < 0)
        return -1;
    p->blobs[p->n] =
        (struct registry_blob){.digest = hex, .size = (uint64_t)size, .fd = t->draft.fd};
    p->n++;
    return 0;
}

static int plan_transfers(struct pulled_entry *p, struct error **err)
{
    const json_t *outputs = json_object_get(p->entry->record, "outputs");
    const json_t *layers = json_object_get(p->entry->manifest, "layers");
    size_t most = json_array_size(outputs) + json_array_size(layers) + 1;
    p->transfers = xcalloc(most, sizeof *p->transfers);
    p->blobs = xcalloc(most, sizeof *p->blobs);
    for (size_t i = 0; i < json_array_size(layers) && p->image; i++)
        if (add_transfer(p, json_array_get(layers, i), NULL, err) < 0)
            return -1;
    for (size_t i = 0; i < json_array_size(outputs) && !p->image; i++) {
        const json_t *output = json_array_get(outputs, i);
        const char *name = json_string_value(json_object_get(output, "name"));
        const char *digest = json_string_value(json_object_get(output, "digest"));
        bool tree = !strcmp(json_string_value(json_object_get(output, "kind")), "tree");
        int has = entry_derived(p->node, name) ? 1 : is_present(p->b, tree, digest, err);
        if (has < 0 || (!has && add_transfer(p, entry_layer(p->entry, name), output, err) < 0))
            return -1;
    }
    return 0;
}

// Limits a layer's content: no compressor saves more than a factor of a hundred on these files.
uint64_t layer_content_limit(uint64_t size)
{
    uint64_t limit = (uint64_t)64 << 30;
    return size > limit / 128 ? limit : ((uint64_t)64 << 20) + size * 100;
}

static int store_tree(struct pulled_entry *p, const char *folder, const char *expected,
                      struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    if (store_put_tree(p->b->store, folder, digest, err) < 0)
        return -1;
    if (!strcmp(digest, expected))
        return 0;
    return error_user(err, "the tree in the entry is %s instead of %s", digest, expected);
}

static int unpack_tree(struct pulled_entry *p, const struct pulled_output *t, uint64_t size,
                       struct error **err)
{
    cleanup_free char *folder = store_temporary(p->b->store, "shared", err);
    if (!folder)
        return -1;
    int result =
        oci_unpack_tree(t->draft.fd, node_label(p->node), folder, layer_content_limit(size), err);
    if (!result)
        result = store_tree(p, folder, t->digest, err);
    remove_tree(folder, NULL);
    return result;
}

static int store_outputs(struct pulled_entry *p, struct error **err)
{
    for (size_t i = 0; i < p->n; i++) {
        struct pulled_output *t = &p->transfers[i];
        char digest[DIGEST_HEX_SIZE];
        if (t->tree) {
            if (unpack_tree(p, t, p->blobs[i].size, err) < 0)
                return -1;
            continue;
        }
        if (store_blob_commit(p->b->store, &t->draft, digest, NULL, err) < 0)
            return -1;
        if (strcmp(digest, t->digest) != 0)
            return error_user(err, "%s in the entry is %s instead of %s", t->output, digest,
                              t->digest);
    }
    return 0;
}

static const char *output_digest(const json_t *record, const char *name)
{
    const json_t *list = json_object_get(record, "outputs");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        if (!strcmp(json_string_value(json_object_get(o, "name")), name))
            return json_string_value(json_object_get(o, "digest"));
    }
    return NULL;
}

static int unpack_image(struct pulled_entry *p, struct error **err)
{
    const char *expected = output_digest(p->entry->record, "root");
    cleanup_free char *folder = store_temporary(p->b->store, "builder", err);
    if (!folder)
        return -1;
    int result = expected ? 0 : error_user(err, "the record names no root file system");
    for (size_t i = 0; i < p->n && !result; i++)
        result = oci_unpack_layer(p->transfers[i].draft.fd, node_label(p->node), folder, i == 0,
                                  layer_content_limit(p->blobs[i].size), err);
    if (!result && expected)
        result = store_tree(p, folder, expected, err);
    remove_tree(folder, NULL);
    return result;
}

// The image of a builder follows from its tree, so it was not pushed.
static int derive_image(struct pulled_entry *p, struct error **err)
{
    const struct job *job = job_of(p->node);
    const char *root = output_digest(p->entry->record, "root");
    const char *expected = output_digest(p->entry->record, "image");
    if (!root || !expected)
        return 0;
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *name =
        xasprintf("%s-%.9s-%s", job->recipe->builder->name, p->node->key, job->target->name);
    if (builder_image(p->b, p->node, root, digest, err) < 0)
        return -1;
    if (strcmp(digest, expected) != 0)
        return error_user(err, "the image of the root file system is %s instead of %s", digest,
                          expected);
    return store_name_image(p->b->store, digest, name, err);
}

static bool any_missing(const struct pulled_entry *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->blobs[i].missing)
            return true;
    return false;
}

// 1: complete; 0: the registry lost parts, as after a garbage collection; -1: error.
static int pull_contents(struct pulled_entry *p, struct error **err)
{
    if (plan_transfers(p, err) < 0)
        return -1;
    phase("downloading");
    struct registry *registry = remote_repository(p->b->remote, p->node, true, err);
    int result = registry ? registry_pull_blobs(registry, p->blobs, p->n, err) : -1;
    if (registry)
        registry_close(registry);
    if (!result && any_missing(p))
        return 0;
    if (!result)
        phase("unpacking");
    if (!result)
        result = p->image ? unpack_image(p, err) : store_outputs(p, err);
    if (!result && p->node->kind == NODE_BUILDER)
        result = derive_image(p, err);
    return result < 0 ? error_wrap(err, "%s", node_label(p->node)) : 1;
}

static int entry_pull(struct build *b, const struct node *node, const struct entry *e,
                      struct error **err)
{
    struct pulled_entry p = {
        .b = b, .node = node, .entry = e, .image = entry_is_image(b->remote, node)};
    int result = pull_contents(&p, err);
    for (size_t i = 0; i < p.n; i++)
        store_blob_abandon(&p.transfers[i].draft);
    free(p.transfers);
    free(p.blobs);
    return result;
}

// ---- the pull of one node ----

static int look_up_one(struct build *b, struct node *node, struct entry *out, struct error **err)
{
    struct lookup l = {.node = node};
    look_up(b, &l);
    *out = l.entry;
    if (l.found < 0)
        *err = l.why;
    return l.found;
}

// Entries found before the child began are not looked up again, unless the key changed.
static int find_and_pull(struct build *b, struct node *node, json_t **out, struct error **err)
{
    struct entry own = {0};
    struct entry *e = job_of(node)->entry;
    int found = 1;
    if (!e || strcmp(e->key, node->key) != 0) {
        e = &own;
        found = look_up_one(b, node, e, err);
    }
    if (found > 0)
        found = entry_pull(b, node, e, err);
    if (found > 0) {
        entry_mark(e, e->record);
        *out = json_incref(e->record);
    }
    entry_free(&own);
    return found;
}

int remote_pull(struct build *b, struct node *node, json_t **out, struct error **err)
{
    *out = NULL;
    if (!remote_usable(b, node, REMOTE_READ))
        return 0;
    if (remote_test_key(b->remote, err) < 0)
        return -1;
    phase("asking the shared cache");
    struct error *why = NULL;
    if (find_and_pull(b, node, out, &why) < 0)
        return remote_disable(b, REMOTE_READ, why, err);
    if (*out && (!outputs_from_record(node, *out) ||
                 store_action_put(b->store, node->key, *out, err) < 0)) {
        json_decref(*out);
        *out = NULL;
        return -1;
    }
    return 0;
}
