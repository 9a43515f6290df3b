// SPDX-License-Identifier: Apache-2.0
// Pushes record and outputs as an entry; and completes the registry after a run with
// PUSH_TO_REGISTRY=yes: pushes results that were in the local cache already, and upstream's tags
// for existing entries.
//
// Contents first, then the manifest by its digest, then its signature, and the tags last: a visible
// tag is always complete.
//
// What somebody else pushed under the same key meanwhile stays: others may have made something from
// it. A registry cannot be told to set a tag only if there is none, so the tag is looked at once
// more right before it is set, and what remains is the time between these two requests.
#include "share/internal.h"

#include "base/error.h"
#include "base/process.h"
#include "graph/job.h"
#include "pack/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { RECORD_LIMIT = 3 << 20 }; // registries accept manifests of 4 MiB

struct pushed_entry {
    struct build *b;
    struct node *node;
    const json_t *record;
    bool replaces; // what is there
    bool signs;
    bool differs; // what is there, and stays, from what was made here
    struct registry *registry;
    json_t *layers;
    struct registry_blob *blobs;
    char (*digests)[DIGEST_HEX_SIZE]; // of the blobs
    size_t n;
    json_t *annotations; // of the manifest
    struct entry_documents documents;
};

// Takes fd. The array has a free place for it.
static void add_blob(struct pushed_entry *p, int fd, const char *digest, uint64_t size)
{
    memcpy(p->digests[p->n], digest, DIGEST_HEX_SIZE);
    p->blobs[p->n] = (struct registry_blob){.digest = p->digests[p->n], .size = size, .fd = fd};
    p->n++;
}

static void add_layer(struct pushed_entry *p, const char *type, const char *output,
                      const char *title)
{
    const struct registry_blob *blob = &p->blobs[p->n - 1];
    json_t *layer = oci_descriptor(type, blob->digest, blob->size);
    json_t *annotations = json_object();
    if (output)
        json_object_set_new(annotations, OUTPUT_ANNOTATION, json_string(output));
    if (title)
        json_object_set_new(annotations, OCI_TITLE, json_string(title));
    json_object_set_new(layer, "annotations", annotations);
    json_array_append_new(p->layers, layer);
}

static int temporary_file(const struct build *b, struct error **err)
{
    cleanup_free char *folder = xasprintf("%s/tmp", store_directory(b->store));
    return nameless_file(folder, err);
}

static int add_bytes(struct pushed_entry *p, const char *bytes, size_t length, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    cleanup_close int fd = temporary_file(p->b, err);
    if (fd < 0 || fd_write_all(fd, "a temporary file", bytes, length, err) < 0)
        return -1;
    digest_bytes(bytes, length, digest);
    add_blob(p, steal_fd(&fd), digest, length);
    return 0;
}

static int add_stored(struct pushed_entry *p, const char *digest, struct error **err)
{
    struct stat st;
    cleanup_close int fd = store_open_blob(p->b->store, digest, err);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "reading the blob %s", digest);
    add_blob(p, steal_fd(&fd), digest, (uint64_t)st.st_size);
    return 0;
}

// After the run no step needs the processors, and there is no jobserver.
static unsigned threads_begin(const struct build *b)
{
    return jobserver_is_open() ? pack_threads_acquire() : b->options.jobs;
}

static void threads_end(unsigned threads)
{
    if (jobserver_is_open())
        pack_threads_release(threads);
}

static int add_tree(struct pushed_entry *p, const char *tree, struct error **err)
{
    cleanup_free char *path = store_tree_path(p->b->store, tree);
    cleanup_close int fd = temporary_file(p->b, err);
    if (fd < 0 || !path)
        return -1;
    unsigned threads = threads_begin(p->b);
    struct pack_options o = {.epoch = p->node->epoch, .threads = threads, .format = FORMAT_ZSTD};
    int result = pack_tree(path, fd, &o, err);
    threads_end(threads);
    char digest[DIGEST_HEX_SIZE];
    uint64_t size;
    if (result < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
        digest_fd(fd, "a packed tree", digest, &size, err) < 0)
        return -1;
    add_blob(p, steal_fd(&fd), digest, size);
    return 0;
}

static int add_output(struct pushed_entry *p, const struct node_output *o, struct error **err)
{
    if (entry_derived(p->node, o->name))
        return 0;
    if (o->tree) {
        if (add_tree(p, o->digest, err) < 0)
            return -1;
        add_layer(p, TREE_TYPE, o->name, NULL);
        return 0;
    }
    if (add_stored(p, o->digest, err) < 0)
        return -1;
    add_layer(p, BLOB_TYPE, o->name, o->name);
    return 0;
}

// Upstream's files beside the tarballs: `oras pull` then gives the files that its pipelines expect.
static int add_side_files(struct pushed_entry *p, struct error **err)
{
    struct buf texts[SIDE_FILES] = {0};
    int result = 0;
    side_file_texts(p->node, texts);
    for (size_t i = 0; i < SIDE_FILES; i++) {
        cleanup_free char *name =
            xasprintf("%s-%s", job_of(p->node)->recipe->name, side_file_names[i]);
        if (!result)
            result = add_bytes(p, texts[i].data ? texts[i].data : "", texts[i].len, err);
        if (!result)
            add_layer(p, BLOB_TYPE, NULL, name);
        buf_free(&texts[i]);
    }
    return result;
}

static int make_annotations(struct pushed_entry *p, struct error **err)
{
    json_auto_t *bare = entry_record(p->record);
    cleanup_free char *text = json_dumps(bare, JSON_COMPACT | JSON_SORT_KEYS);
    p->annotations = json_pack("{s:s, s:s}", RECORD_ANNOTATION, text ? text : "", "kbuild.built-by",
                               p->b->remote->built_by);
    return entry_describe(p->b, p->node, &p->documents, p->annotations, err);
}

static json_t *artefact_manifest(struct pushed_entry *p, struct error **err)
{
    for (size_t i = 0; i < p->node->output_count; i++)
        if (add_output(p, &p->node->outputs[i], err) < 0)
            return NULL;
    if (p->node->kind == NODE_ARTIFACT && add_side_files(p, err) < 0)
        return NULL;
    struct registry_blob config;
    if (empty_blob_open(&config, err) < 0)
        return NULL;
    add_blob(p, config.fd, config.digest, config.size);
    return json_pack("{s:i, s:s, s:s, s:o, s:O, s:O}", "schemaVersion", 2, "mediaType",
                     OCI_MANIFEST, "artifactType", ENTRY_TYPE, "config", empty_blob_descriptor(),
                     "layers", p->layers, "annotations", p->annotations);
}

// A compressed layer of an image. In the store it is plain, since its digest must not depend on a
// compressor; the config has the digest of the plain bytes, so it is the same image.
static int add_image_layer(struct pushed_entry *p, json_t *layer, struct error **err)
{
    const char *plain = oci_descriptor_digest(layer, NULL);
    cleanup_close int from = plain ? store_open_blob(p->b->store, plain, err) : -1;
    cleanup_close int fd = from < 0 ? -1 : temporary_file(p->b, err);
    if (fd < 0)
        return -1;
    unsigned threads = threads_begin(p->b);
    int result = gzip_file(from, "a layer", fd, threads, err);
    threads_end(threads);
    char digest[DIGEST_HEX_SIZE];
    uint64_t size;
    if (result < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
        digest_fd(fd, "a layer", digest, &size, err) < 0)
        return -1;
    add_blob(p, steal_fd(&fd), digest, size);
    json_auto_t *packed = oci_descriptor(OCI_LAYER_GZIP, digest, size);
    json_object_update(layer, packed);
    return 0;
}

// A manifest of an image by kbuild, with the record in addition.
static json_t *image_manifest(struct pushed_entry *p, struct error **err)
{
    const struct node_output *image = node_output(p->node, "image");
    cleanup_buf struct buf text = {0};
    cleanup_close int fd = image ? store_open_blob(p->b->store, image->digest, err) : -1;
    if (fd < 0 || fd_read_all(fd, "the manifest of a builder image", 1 << 20, &text, err) < 0)
        return NULL;
    json_auto_t *manifest = json_loadb(text.data, text.len, 0, NULL);
    const json_t *layers = json_object_get(manifest, "layers");
    const char *config = oci_descriptor_digest(json_object_get(manifest, "config"), NULL);
    int result = config ? add_stored(p, config, err)
                        : error_user(err, "the image of %s is damaged", node_label(p->node));
    for (size_t i = 0; i < json_array_size(layers) && !result; i++)
        result = add_image_layer(p, json_array_get(layers, i), err);
    if (result < 0)
        return NULL;
    json_object_update(json_object_get(manifest, "annotations"), p->annotations);
    return steal(manifest);
}

// ---- tags ----

static void floating_tags(struct build *b, const struct node *node, struct strlist *out)
{
    struct remote *r = b->remote;
    if (node->kind != NODE_ARTIFACT)
        return;
    if (!r->commit) {
        char *commit = versions_commit(b->options.versions, NULL);
        r->commit = commit ? commit : xstrdup(""); // a project without git has no commit
    }
    cleanup_free char *version = r->release ? release_version(b->versions, b->recipes, NULL) : NULL;
    entry_upstream_tags(r, node, version, r->commit, out);
}

static int put_tag(struct pushed_entry *p, const char *tag, const struct buf *text,
                   struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    return registry_put_manifest(p->registry, tag, text->data, text->len, OCI_MANIFEST, digest,
                                 err);
}

// Upstream's tags. All are tried, and the last failure is reported.
static int set_floating_tags(struct pushed_entry *p, const struct buf *text, struct error **err)
{
    cleanup_strlist struct strlist tags = {0};
    floating_tags(p->b, p->node, &tags);
    cleanup_error struct error *last = NULL;
    for (size_t i = 0; i < tags.n && !(last && registry_is_down(p->registry)); i++) {
        struct error *why = NULL;
        if (put_tag(p, tags.items[i], text, &why) == 0)
            continue;
        error_free(last);
        last = why;
    }
    if (!last)
        return 0;
    *err = steal(last);
    return -1;
}

// ---- what somebody else pushed meanwhile ----

// Whether it counts for this machine, with all of its content.
static int entry_counts(struct pushed_entry *p, const struct lookup *l, struct error **err)
{
    if (l->found <= 0 || (p->b->remote->own && !l->entry.mark))
        return 0;
    return entry_has_content(p->b, p->node, &l->entry, err);
}

// 1: there is one, and it stays; 0: none, or one that does not count; -1: the registry is away.
static int keep_theirs(struct pushed_entry *p, struct error **err)
{
    if (p->replaces || !remote_usable(p->b, p->node, REMOTE_READ))
        return 0;
    struct lookup l = {.node = p->node};
    struct error *why = NULL;
    remote_look_up(p->b, &l, 1);
    int there = l.found < 0 ? -1 : entry_counts(p, &l, &why);
    if (l.found < 0)
        why = steal(l.why);
    if (there > 0) {
        p->differs = !records_agree(p->record, l.entry.record);
        if (!p->differs)
            log_note("%s: made elsewhere meanwhile, too: the one in the registry stays",
                     node_label(p->node));
        if (set_floating_tags(p, &l.entry.text, &why) < 0)
            log_warning("%s: upstream's tags of it are not set: %s", node_label(p->node),
                        why->message);
        error_free(steal(why));
    }
    lookup_free(&l);
    if (there < 0 && why->kind != ERROR_AGAIN && why->kind != ERROR_INTERRUPT) {
        error_free(why); // a damaged one is replaced
        return 0;
    }
    if (there < 0)
        *err = why;
    return there;
}

// The tag of the key must succeed.
static int set_tags(struct pushed_entry *p, const struct buf *text, struct error **err)
{
    cleanup_free char *tag = entry_tag(p->b->remote, p->node);
    int theirs = keep_theirs(p, err);
    if (theirs)
        return theirs < 0 ? -1 : 0;
    return put_tag(p, tag, text, err) < 0 ? -1 : set_floating_tags(p, text, err);
}

// ---- media types ----

// GitLab's registry rejects unknown media types of artifacts and layers. Then the entry has the
// type of an image: annotations and the record describe its layers.
static int make_plain(struct pushed_entry *p, json_t *manifest, struct error **err)
{
    if (entry_is_image(p->b->remote, p->node))
        return 0;
    json_auto_t *config =
        json_pack("{s:s, s:s, s:{s:s, s:[]}}", "architecture", job_of(p->node)->target->oci, "os",
                  "linux", "rootfs", "type", "layers", "diff_ids");
    cleanup_free char *text = json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS);
    if (add_bytes(p, text, strlen(text), err) < 0)
        return -1;
    const struct registry_blob *blob = &p->blobs[p->n - 1];
    json_object_del(manifest, "artifactType");
    json_object_set_new(manifest, "config", oci_descriptor(OCI_CONFIG, blob->digest, blob->size));
    size_t i;
    json_t *layer;
    json_array_foreach(p->layers, i, layer)
    {
        const char *type = json_string_value(json_object_get(layer, "mediaType"));
        json_object_set_new(
            layer, "mediaType",
            json_string(type && !strcmp(type, TREE_TYPE) ? OCI_LAYER "+zstd" : OCI_LAYER));
    }
    return 0;
}

static int put_entry(struct pushed_entry *p, struct entry *e, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    buf_free(&e->text);
    cleanup_free char *text = json_dumps(e->manifest, JSON_COMPACT | JSON_SORT_KEYS);
    buf_puts(&e->text, text ? text : "");
    e->size = e->text.len;
    if (e->size > RECORD_LIMIT)
        return error_user(err, "the record is too large for a registry");
    digest_bytes(e->text.data, e->size, e->digest);
    cleanup_free char *what = xasprintf("sha256:%s", e->digest);
    if (registry_push_blobs(p->registry, p->blobs, p->n, err) < 0)
        return -1;
    return registry_put_manifest(p->registry, what, e->text.data, e->size, OCI_MANIFEST, digest,
                                 err);
}

static int put_entry_with_fallback(struct pushed_entry *p, struct entry *e, struct error **err)
{
    static const long type_refusals[] = {400, 406, 415, 422};
    struct error *why = NULL;
    if (put_entry(p, e, &why) == 0)
        return 0;
    bool types = false;
    for (size_t i = 0; i < ARRAY_LEN(type_refusals); i++)
        types = types || registry_manifest_refusal(p->registry) == type_refusals[i];
    if (!types || make_plain(p, e->manifest, NULL) < 0) {
        *err = why;
        return -1;
    }
    error_free(why);
    return put_entry(p, e, err);
}

// ---- pushing an entry ----

// Pushes the referrers of the entry, which is valid without them.
static int push_referrers(struct pushed_entry *p, const struct entry *e, struct error **err)
{
    struct referrers r = {0};
    entry_refer_documents(p->node, &p->documents, &r);
    int result = p->signs ? entry_refer_signature(p->b->remote, p->node, e, &r, err) : 0;
    if (!result)
        result = entry_push_referrers(p->registry, e, &r, err);
    referrers_free(&r);
    return result;
}

static int report_documents_refused(struct pushed_entry *p, struct error *why, struct error **err)
{
    struct remote *r = p->b->remote;
    bool required = p->b->options.remote == REMOTE_REQUIRE && r->signing_key;
    if (required || registry_is_down(p->registry) || why->kind == ERROR_INTERRUPT) {
        *err = why;
        return -1;
    }
    if (!__atomic_exchange_n(&r->state->warned_documents, 1, __ATOMIC_RELAXED))
        log_warning("the registry accepts results, but not their signatures and documents%s: %s",
                    r->signing_key ? " (nobody with KBUILD_TRUSTED_KEYS will use them)" : "",
                    why->message);
    error_free(why);
    return 0;
}

static int push_entry(struct pushed_entry *p, struct error **err)
{
    size_t most = p->node->output_count + SIDE_FILES + 9;
    p->blobs = xcalloc(most, sizeof *p->blobs);
    p->digests = xcalloc(most, sizeof *p->digests);
    p->layers = json_array();
    struct entry e = {.record = entry_record(p->record)};
    struct error *undescribed = NULL;
    if (!make_annotations(p, err))
        e.manifest = entry_is_image(p->b->remote, p->node) ? image_manifest(p, err)
                                                           : artefact_manifest(p, err);
    int result = e.manifest ? put_entry_with_fallback(p, &e, err) : -1;
    if (!result)
        push_referrers(p, &e, &undescribed);
    if (!result)
        result = set_tags(p, &e.text, err);
    if (undescribed && !result)
        result = report_documents_refused(p, steal(undescribed), err);
    error_free(undescribed);
    entry_free(&e);
    return result;
}

// Whether it is signed; says why not.
static int decide_signing(struct pushed_entry *p, struct error **err)
{
    const struct node *which;
    int may = remote_may_sign(p->b, p->node, p->record, &which, err);
    if (may == 0 && which)
        log_warning("%s is pushed, and not signed: %s came from a registry, and this machine's key "
                    "did not sign it. With KBUILD_TRUSTED_KEYS only what you trust is used",
                    node_label(p->node), node_label(which));
    p->signs = may > 0;
    return may < 0 ? -1 : 0;
}

static int push_unless_there(struct pushed_entry *p, struct error **err)
{
    int theirs = keep_theirs(p, err);
    if (theirs)
        return theirs < 0 ? -1 : 0;
    return decide_signing(p, err) < 0 ? -1 : push_entry(p, err);
}

static int push_result(struct build *b, struct node *node, const json_t *record, bool replaces,
                       struct error **err)
{
    if (!remote_usable(b, node, REMOTE_WRITE))
        return 0;
    struct error *why = NULL;
    struct pushed_entry p = {.b = b, .node = node, .record = record, .replaces = replaces};
    phase("pushing");
    p.registry = remote_repository(b->remote, node, true, &why);
    int result = p.registry && outputs_from_record(node, record) ? push_unless_there(&p, &why) : -1;
    bool down = p.registry && registry_is_down(p.registry);
    for (size_t i = 0; i < p.n; i++)
        close(p.blobs[i].fd);
    free(p.blobs);
    free(p.digests);
    json_decref(p.layers);
    json_decref(p.annotations);
    entry_documents_free(&p.documents);
    if (p.registry)
        registry_close(p.registry);
    if (!result) {
        __atomic_store_n(&b->remote->state->refused, 0, __ATOMIC_RELAXED);
        return p.differs;
    }
    if (why)
        error_wrap(&why, "%s", node_label(node));
    else
        error_user(&why, "%s could not be pushed", node_label(node));
    return remote_push_failed(b, down, why, err);
}

int remote_push(struct build *b, struct node *node, const json_t *record, struct error **err)
{
    return push_result(b, node, record, false, err);
}

// ---- after the run ----

// 1: pushed; 0: it is not in the local cache, or there is nothing to add to what is `published`. A
// builder with a key pushes nothing that is from elsewhere: it would not sign what somebody put
// into the registry.
static int push_cached(struct build *b, struct node *node, bool found, bool published,
                       struct error **err)
{
    if (!node_is_stored(node))
        return 0;
    json_auto_t *record = NULL;
    int stored = store_action_get(b->store, node->key, &record, err);
    if (stored <= 0)
        return stored;
    const struct node *which;
    int may = remote_may_sign(b, node, record, &which, err);
    if (may < 0 || (!may && which && (which == node || published)))
        return may < 0 ? -1 : 0;
    int other = push_result(b, node, record, found, err);
    if (other > 0)
        log_warning("%s: the registry has it meanwhile, with other bytes than the local cache",
                    node_label(node));
    return other < 0 ? -1 : 1;
}

// Moves upstream's tags to the entry, if they are elsewhere.
static int move_tags(struct build *b, const struct node *node, const struct entry *e,
                     struct error **err)
{
    cleanup_strlist struct strlist tags = {0};
    if (node->kind != NODE_ARTIFACT)
        return 0;
    floating_tags(b, node, &tags);
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

// Does the registry have the result? 1; 0: no, or not its content; -1.
static int is_published(struct build *b, struct lookup *l, struct error **err)
{
    if (l->found < 0) {
        *err = steal(l->why);
        return -1;
    }
    if (!l->found || !b->needs_remote || !node_is_stored(l->node))
        return l->found;
    return entry_has_content(b, l->node, &l->entry, err);
}

static int publish_entry(struct build *b, struct lookup *l, size_t *pushed, struct error **err)
{
    struct error *why = NULL;
    if (!remote_usable(b, l->node, REMOTE_WRITE)) // disabled meanwhile
        return 0;
    int published = is_published(b, l, &why), there = published;
    if (there > 0)
        there = entry_signed(b->remote, l->node, &l->entry, &why);
    if (there == 0) {
        // Handles a failure itself.
        int kept = push_cached(b, l->node, l->found > 0, published > 0, err);
        *pushed += kept > 0;
        if (kept)
            return kept < 0 ? -1 : 0;
        job_of(l->node)->unpushed = !published && node_is_stored(l->node);
    }
    if (there >= 0 && l->found > 0)
        there = move_tags(b, l->node, &l->entry, &why);
    if (there >= 0)
        return 0;
    return l->found > 0 ? remote_push_failed(b, false, why, err)
                        : remote_disable(b, REMOTE_WRITE, why, err);
}

int remote_publish(struct build *b, struct node **order, size_t count, struct error **err)
{
    if (!b->remote || !b->remote->push)
        return 0;
    if (remote_test_key(b->remote, err) < 0)
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
            result = publish_entry(b, &all[i], &pushed, err);
        lookup_free(&all[i]);
    }
    if (pushed)
        log_note("%zu result%s of the local cache pushed", pushed, pushed == 1 ? "" : "s");
    free(all);
    free(unknown);
    return result;
}
