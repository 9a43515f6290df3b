// SPDX-License-Identifier: Apache-2.0
// Decides what is cached and what must be made: completes the identity of nodes with what
// versions.lock or the network knows (packages, images, commits), makes their keys, and looks for
// their records and outputs in the store.
//
// Packages of builders and root file systems are resolved to a list of files with their digests,
// since names say nothing about content; the list is part of the key. Names of images are resolved
// to digests; a tag that moves changes nothing until its line in versions.lock is removed.
#include "run/internal.h"

#include "base/error.h"
#include "share/share.h"

#include <string.h>

// ---- packages ----

struct source_options source_options(struct build *b)
{
    return (struct source_options){.store = b->store,
                                   .lock = b->lock,
                                   .debian = b->options.debian,
                                   .choices = b->options.choices,
                                   .output = b->options.output,
                                   .offline = b->options.offline,
                                   .locked = b->options.locked,
                                   .mirrors = b->run->mirrors};
}

static struct packages_request request_of(const struct node *node)
{
    const struct job *job = job_of(node);
    return (struct packages_request){.kind = node->kind == NODE_BUILDER ? PACKAGES_BUILDER
                                                                        : PACKAGES_ROOTFS,
                                     .distribution = &job->distribution,
                                     .arch = job->target,
                                     .names = &job->packages,
                                     .same = &job->same};
}

static int identify_packages(struct build *b, struct node *node, bool resolve, struct error **err)
{
    struct job *job = job_of(node);
    const struct source_options o = source_options(b);
    const struct packages_request r = request_of(node);
    int known = resolve ? packages_resolve(&r, &o, job->package_list, err)
                        : packages_known(&r, &o, job->package_list, err);
    if (known < 0)
        return error_wrap(err, "%s", job->label);
    if (!resolve && !known)
        return 0;
    buf_printf(&node->identity, "packages sha256:%s\n", job->package_list);
    node->identified = true;
    return 0;
}

int open_packages(struct build *b, const struct node *node, struct package_set *out,
                  struct error **err)
{
    const struct source_options o = source_options(b);
    const struct packages_request r = request_of(node);
    return packages_open(&r, &o, job_of(node)->package_list, out, err);
}

// ---- images: names -> digests, and who signed them ----

struct registry *image_registry(const struct reference *name, struct error **err)
{
    const char *ours = getenv("ARTEFACT_REGISTRY");
    struct registry_options o = {0};
    if (ours && !strcmp(ours, name->registry))
        registry_login(&o.user, &o.password);
    return registry_open(name, &o, err);
}

char *image_pinned_name(const char *name, const char *digest, struct error **err)
{
    struct reference r;
    if (reference_parse(name, &r, err) < 0)
        return NULL;
    char *out = xasprintf("%s/%s@sha256:%s", r.registry, r.repository, digest);
    reference_free(&r);
    return out;
}

static int query_registry(const struct reference *name, char digest[static DIGEST_HEX_SIZE],
                          struct error **err)
{
    cleanup_buf struct buf text = {0};
    cleanup_free char *type = NULL;
    struct registry *r = image_registry(name, err);
    int found =
        r ? registry_get_manifest(r, name->tag ? name->tag : "latest", &text, &type, digest, err)
          : -1;
    if (r)
        registry_close(r);
    if (found == 0)
        error_user(err, "the registry has no such tag");
    return found > 0 ? 1 : -1;
}

static int resolve_image(struct build *b, const struct reference *name, const char *text,
                         bool resolve, char digest[static DIGEST_HEX_SIZE], bool *fresh,
                         struct error **err)
{
    if (name->digest) {
        memcpy(digest, name->digest + strlen("sha256:"), DIGEST_HEX_SIZE);
        return 1;
    }
    cleanup_free char *url = xasprintf("docker://%s", text);
    const struct lock_entry *known = lock_find(b->lock, url, NULL);
    if (known) {
        memcpy(digest, known->sha256, DIGEST_HEX_SIZE);
        return 1;
    }
    if (!resolve)
        return 0;
    if (b->options.locked) {
        error_user(err, "it is not in %s, and --locked allows nothing else", b->lock->path);
        return error_hint(err, "run once without --locked, look at what was added, and commit it");
    }
    if (b->options.offline) {
        error_user(err, "it is not in %s, and --offline forbids to ask", b->lock->path);
        return error_hint(err, "run `kbuild fetch` once with the network");
    }
    if (query_registry(name, digest, err) < 0)
        return -1;
    *fresh = true;
    lock_put(b->lock, &(struct lock_entry){.url = url, .sha256 = digest});
    return 1;
}

int image_pin(struct build *b, const char *name, bool resolve, char digest[static DIGEST_HEX_SIZE],
              bool *fresh, struct error **err)
{
    struct reference r;
    if (reference_parse(name, &r, err) < 0)
        return -1;
    if (!r.tag && !r.digest)
        r.tag = xstrdup("latest");
    cleanup_free char *text = reference_text(&r);
    int found = resolve_image(b, &r, text, resolve, digest, fresh, err);
    reference_free(&r);
    return found < 0 ? error_wrap(err, "%s", name) : found;
}

void image_unpin(struct build *b, const struct job *job, const char *name, bool unusable,
                 struct error **err)
{
    struct reference r;
    cleanup_error struct error *why = NULL;
    if ((*err)->kind == ERROR_INTERRUPT || reference_parse(name, &r, &why) < 0)
        return;
    if (!r.tag && !r.digest)
        r.tag = xstrdup("latest");
    cleanup_free char *text = reference_text(&r);
    cleanup_free char *url = xasprintf("docker://%s", text);
    reference_free(&r);
    if (!unusable || !job->pin_fresh)
        lock_hint_append(b->lock, url, NULL, err);
    else if (lock_remove(b->lock, url, NULL, &why) < 0)
        log_warning("%s", why->message);
}

// Gets the entry of the image, if kbuild pushed it.
static int get_image_entry(const struct job *job, struct registry *registry, struct entry *e,
                           struct error **err)
{
    cleanup_free char *what = xasprintf("sha256:%s", job->image_digest);
    cleanup_free char *type = NULL;
    int found = registry_get_manifest(registry, what, &e->text, &type, e->digest, err);
    if (found > 0)
        e->manifest = json_loadb(e->text.data, e->text.len, JSON_REJECT_DUPLICATES, NULL);
    e->size = e->text.len;
    return found < 0 ? -1 : 0;
}

static bool take_tree(const struct entry *e, char tree[static DIGEST_HEX_SIZE])
{
    const json_t *list = json_object_get(e->record, "outputs");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(o, "name"));
        const char *digest = json_string_value(json_object_get(o, "digest"));
        if (!name || !digest || strcmp(name, "root") != 0 || !digest_is_hex(digest))
            continue;
        memcpy(tree, digest, DIGEST_HEX_SIZE);
        return true;
    }
    return false;
}

int image_vouched(struct build *b, const struct node *node, json_t **mark,
                  char tree[static DIGEST_HEX_SIZE], struct error **err)
{
    const struct job *job = job_of(node);
    if (!b->trusted || reference_is_pinned(job->image_name))
        return 0;
    struct reference name;
    struct entry e = {0};
    if (reference_parse(job->image_name, &name, err) < 0)
        return -1;
    struct registry *registry = image_registry(&name, err);
    int result = registry ? get_image_entry(job, registry, &e, err) : -1;
    if (!result)
        result = entry_signed_by(b->trusted, registry, &e, err);
    if (result > 0 && take_tree(&e, tree)) {
        *mark = json_incref(e.mark);
    } else if (result >= 0) {
        error_user(err, "no key of KBUILD_TRUSTED_KEYS signed the image %s", job->image_name);
        result = error_hint(err, "name it by its digest: %s/%s@sha256:%s", name.registry,
                            name.repository, job->image_digest);
    }
    entry_free(&e);
    if (registry)
        registry_close(registry);
    reference_free(&name);
    return result;
}

static int identify_image(struct build *b, struct node *node, bool resolve, struct error **err)
{
    struct job *job = job_of(node);
    int found = image_pin(b, job->image_name, resolve, job->image_digest, &job->pin_fresh, err);
    if (found <= 0)
        return found;
    // The content and not the name: the same image elsewhere gives the same results.
    buf_printf(&node->identity, "format %s\nimage sha256:%s\narchitecture %s\n", RUN_FORMAT,
               job->image_digest, job->target->name);
    node->identified = true;
    return 0;
}

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
    struct error *why = NULL;
    json_t *record = store_action_get(b->store, node->key, &why);
    if (why) {
        *err = why;
        return -1;
    }
    if (record && !record_trusted(b, node, record)) {
        if (!b->run->warned_untrusted && !(node->kind == NODE_SOURCE && sources_from_origin(b)))
            log_note("%s in the local cache came from a registry, and no key of "
                     "KBUILD_TRUSTED_KEYS signed it: it is not used",
                     node_label(node));
        b->run->warned_untrusted = true;
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
    if (check_asked_source_names(b, err) < 0 || note_ignored_variables(b, err) < 0)
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
    const struct packages_request r = request_of(q->node);
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
        log_note("%s names all of it; look at the lines, and commit them", b->lock->path);
    return 0;
}
