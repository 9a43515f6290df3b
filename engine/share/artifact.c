// SPDX-License-Identifier: Apache-2.0
// Pushes trees of the store as an artifact of their own, and gets them by its digest. Its manifest
// stays in the store, so that a machine that has it all asks no registry.
#include "share/internal.h"

#include "base/error.h"
#include "base/file.h"
#include "oci/oci.h"
#include "pack/pack.h"

#include <string.h>

#define ARTIFACT_TYPE "application/vnd.kbuild.project.v1"
#define NAME_ANNOTATION "kbuild.name"
#define DIGEST_ANNOTATION "kbuild.tree"

enum { TREES_MAX = 64 };

void artifact_add(struct artifact *a, const char *name, const char *digest)
{
    a->trees = xgrow(a->trees, &a->cap, a->n + 1, sizeof *a->trees);
    a->trees[a->n] = (struct artifact_tree){.name = xstrdup(name)};
    memcpy(a->trees[a->n++].digest, digest, DIGEST_HEX_SIZE);
}

const struct artifact_tree *artifact_find(const struct artifact *a, const char *name)
{
    for (size_t i = 0; i < a->n; i++)
        if (!strcmp(a->trees[i].name, name))
            return &a->trees[i];
    return NULL;
}

void artifact_free(struct artifact *a)
{
    for (size_t i = 0; i < a->n; i++)
        free(a->trees[i].name);
    free(a->trees);
    *a = (struct artifact){0};
}

// ---- push ----

struct blobs {
    struct registry_blob items[TREES_MAX + 1];
    char digests[TREES_MAX + 1][DIGEST_HEX_SIZE];
    size_t n;
};

static void close_blobs(struct blobs *b)
{
    for (size_t i = 0; i < b->n; i++)
        close(b->items[i].fd);
}

// Takes fd.
static int add_blob(struct blobs *b, int fd, struct error **err)
{
    cleanup_close int owned = fd;
    uint64_t size;
    if (lseek(fd, 0, SEEK_SET) < 0 || digest_fd(fd, "a layer", b->digests[b->n], &size, err) < 0)
        return -1;
    b->items[b->n] =
        (struct registry_blob){.digest = b->digests[b->n], .size = size, .fd = steal_fd(&owned)};
    b->n++;
    return 0;
}

static int add_tree(struct build *b, struct blobs *out, const char *digest, struct error **err)
{
    cleanup_free char *path = store_tree_path(b->store, digest);
    cleanup_free char *folder = xasprintf("%s/tmp", store_directory(b->store));
    cleanup_close int fd = path ? nameless_file(folder, err) : -1;
    const struct pack_options o = {
        .epoch = GRAPH_EPOCH, .threads = b->options.jobs, .format = FORMAT_ZSTD};
    if (fd < 0 || pack_tree(path, fd, &o, err) < 0)
        return -1;
    return add_blob(out, steal_fd(&fd), err);
}

static json_t *layer_json(const struct blobs *b, const struct artifact_tree *t)
{
    const struct registry_blob *blob = &b->items[b->n - 1];
    json_t *layer = oci_descriptor(TREE_TYPE, blob->digest, blob->size);
    json_object_set_new(
        layer, "annotations",
        json_pack("{s:s, s:s}", NAME_ANNOTATION, t->name, DIGEST_ANNOTATION, t->digest));
    return layer;
}

static json_t *make_manifest(struct build *b, const struct artifact *a, struct blobs *blobs,
                             struct error **err)
{
    json_auto_t *layers = json_array();
    for (size_t i = 0; i < a->n; i++) {
        if (add_tree(b, blobs, a->trees[i].digest, err) < 0)
            return NULL;
        json_array_append_new(layers, layer_json(blobs, &a->trees[i]));
    }
    if (empty_blob_open(&blobs->items[blobs->n], err) < 0)
        return NULL;
    blobs->n++;
    return json_pack("{s:i, s:s, s:s, s:o, s:O}", "schemaVersion", 2, "mediaType", OCI_MANIFEST,
                     "artifactType", ARTIFACT_TYPE, "config", empty_blob_descriptor(), "layers",
                     layers);
}

static struct registry *open_repository(const struct reference *r, bool transfer,
                                        struct error **err)
{
    const char *artefacts = getenv("ARTEFACT_REGISTRY");
    struct registry_options o = {.tries = transfer ? 4 : 2};
    if (artefacts && !strcmp(artefacts, r->registry))
        registry_login(&o.user, &o.password);
    return registry_open(r, &o, err);
}

static int push_manifest(struct build *b, const struct reference *to, const json_t *manifest,
                         struct blobs *blobs, char digest[static DIGEST_HEX_SIZE],
                         struct error **err)
{
    cleanup_free char *text = json_dumps(manifest, JSON_COMPACT | JSON_SORT_KEYS);
    digest_bytes(text, strlen(text), digest);
    cleanup_free char *name = xasprintf("sha256:%s", digest);
    char pushed[DIGEST_HEX_SIZE];
    struct registry *registry = open_repository(to, true, err);
    if (!registry)
        return -1;
    int result = registry_push_blobs(registry, blobs->items, blobs->n, err);
    if (!result)
        result =
            registry_put_manifest(registry, name, text, strlen(text), OCI_MANIFEST, pushed, err);
    registry_close(registry);
    // So that this machine need not get what it made.
    return result < 0 ? result : store_put_bytes(b->store, text, strlen(text), pushed, err);
}

int remote_artifact_push(struct build *b, const char *folder, const struct artifact *a,
                         char **reference, struct error **err)
{
    if (!b->remote || !b->remote->artefacts)
        return error_user(err, "ARTEFACT_REGISTRY names no registry for it");
    if (a->n > TREES_MAX)
        return error_user(err, "it has more than %d parts", TREES_MAX);
    struct reference to;
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *repository = xasprintf("%s/%s", b->remote->artefacts, folder);
    if (reference_parse(repository, &to, err) < 0)
        return -1;
    struct blobs blobs = {.n = 0};
    json_auto_t *manifest = make_manifest(b, a, &blobs, err);
    int result = manifest ? push_manifest(b, &to, manifest, &blobs, digest, err) : -1;
    if (!result)
        *reference = xasprintf("%s/%s@sha256:%s", to.registry, to.repository, digest);
    close_blobs(&blobs);
    reference_free(&to);
    return result;
}

// ---- pull ----

static int refuse(const char *reference, const char *why, struct error **err)
{
    return error_set(err, ERROR_USAGE, "%s: %s", reference, why);
}

static const char *annotation_of(const json_t *layer, const char *name)
{
    return json_string_value(json_object_get(json_object_get(layer, "annotations"), name));
}

// Is it a tree with a name that no other layer has?
static bool is_named_tree(const json_t *layer, json_t *seen)
{
    const char *name = annotation_of(layer, NAME_ANNOTATION);
    const char *tree = annotation_of(layer, DIGEST_ANNOTATION);
    if (!name || !path_is_clean(name) || !tree || !digest_is_hex(tree) ||
        !oci_descriptor_digest(layer, NULL) || json_object_get(seen, name))
        return false;
    json_object_set_new(seen, name, json_true());
    return true;
}

json_t *artifact_manifest(const struct buf *text, struct error **err)
{
    json_auto_t *manifest = json_loadb(text->data, text->len, JSON_REJECT_DUPLICATES, NULL);
    json_auto_t *seen = json_object();
    const char *type = json_string_value(json_object_get(manifest, "artifactType"));
    const json_t *layers = json_object_get(manifest, "layers");
    size_t n = json_array_size(layers);
    if (!type || strcmp(type, ARTIFACT_TYPE) != 0 || !n || n > TREES_MAX) {
        error_set(err, ERROR_USAGE, "it is no project of kbuild");
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        if (!is_named_tree(json_array_get(layers, i), seen)) {
            error_set(err, ERROR_USAGE, "a layer of it is not a tree with a name of its own");
            return NULL;
        }
    return json_incref(manifest);
}

// The text of the manifest: the store's, or the registry's, which is kept.
static int get_manifest(struct store *s, const char *hex, struct registry *registry,
                        struct buf *out, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    int has = store_has_blob(s, hex, err);
    if (has < 0)
        return -1;
    if (has) {
        cleanup_close int fd = store_open_blob(s, hex, err);
        return fd < 0 ? -1 : fd_read_all(fd, "a manifest", 4 << 20, out, err);
    }
    cleanup_free char *type = NULL, *name = xasprintf("sha256:%s", hex);
    int found = registry_get_manifest(registry, name, out, &type, digest, err);
    if (found < 0)
        return -1;
    if (!found && registry_was_denied(registry) != NOT_DENIED) {
        error_user(err, "the registry denies access to it, or does not have it");
        return error_hint(err, "log in (`skopeo login`, or ARTEFACT_REGISTRY_USERNAME and "
                               "ARTEFACT_REGISTRY_PASSWORD)");
    }
    if (!found)
        return error_set(err, ERROR_AGAIN, "it " INPUT_LOST ": the registry does not have it");
    return store_put_bytes(s, out->data, out->len, digest, err);
}

static int unpack_into_store(struct store *s, const struct registry_blob *blob,
                             const struct artifact_tree *t, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *folder = store_temporary(s, "project", err);
    if (!folder)
        return -1;
    int result = oci_unpack_tree(blob->fd, t->name, folder, layer_content_limit(blob->size), err);
    if (!result)
        result = store_put_tree(s, folder, digest, err);
    remove_tree(folder, NULL);
    if (!result && strcmp(digest, t->digest) != 0)
        result = error_user(err, "%s is the tree %s instead of %s", t->name, digest, t->digest);
    return result;
}

static int get_tree(struct store *s, struct registry *registry, const json_t *layer,
                    struct artifact *out, struct error **err)
{
    const char *name = annotation_of(layer, NAME_ANNOTATION);
    const char *tree = annotation_of(layer, DIGEST_ANNOTATION);
    uint64_t size = 0;
    const char *hex = oci_descriptor_digest(layer, &size);
    artifact_add(out, name, tree);
    int has = store_has_tree(s, tree, false, err);
    if (has)
        return has < 0 ? -1 : 0;
    cleanup_free char *folder = xasprintf("%s/tmp", store_directory(s));
    cleanup_close int fd = nameless_file(folder, err);
    struct registry_blob blob = {.digest = hex, .size = size, .fd = fd};
    if (fd < 0 || registry_pull_blobs(registry, &blob, 1, err) < 0)
        return -1;
    if (blob.missing)
        return error_set(err, ERROR_AGAIN, "its layer %s " INPUT_LOST ": the registry lost it",
                         name);
    return unpack_into_store(s, &blob, &out->trees[out->n - 1], err);
}

static int pull(struct store *s, const struct reference *r, struct artifact *out,
                struct error **err)
{
    cleanup_buf struct buf text = {0};
    struct registry *registry = open_repository(r, false, err);
    if (!registry)
        return -1;
    int result = get_manifest(s, r->digest + strlen("sha256:"), registry, &text, err);
    json_auto_t *manifest = result ? NULL : artifact_manifest(&text, err);
    const json_t *layers = json_object_get(manifest, "layers");
    if (!manifest)
        result = -1;
    for (size_t i = 0; i < json_array_size(layers) && !result; i++)
        result = get_tree(s, registry, json_array_get(layers, i), out, err);
    registry_close(registry);
    return result;
}

int artifact_pull(struct store *s, const char *reference, struct artifact *out, struct error **err)
{
    struct reference r;
    if (reference_parse(reference, &r, err) < 0) {
        (*err)->kind = ERROR_USAGE;
        return -1;
    }
    int result = r.digest ? pull(s, &r, out, err)
                          : refuse(reference, "it names no digest (...@sha256:...)", err);
    reference_free(&r);
    if (result < 0) {
        artifact_free(out);
        return error_wrap(err, "getting the project %s", reference);
    }
    return 0;
}
