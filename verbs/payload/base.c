// SPDX-License-Identifier: Apache-2.0
// Loads the base image from a registry or a layout: its manifest for one architecture, its config,
// its unchanged layers.
#include "payload/internal.h"

#include "base/input.h"
#include "oci/oci.h"
#include "recipe/versions.h"
#include "registry/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

// ---- source: a registry, or an OCI image layout (image-layout.md) ----

struct image_source {
    char *name;      // for messages
    char *directory; // of a layout; else NULL
    char *image;     // its org.opencontainers.image.ref.name, or NULL
    struct reference reference;
    struct registry *registry;
};

static int copy_layout_blob(struct image_source *s, struct store *store, const struct image_blob *b,
                            struct error **err)
{
    cleanup_free char *path = xasprintf("%s/blobs/sha256/%s", s->directory, b->digest);
    char digest[DIGEST_HEX_SIZE];
    uint64_t size;
    // A link could lead to a private file outside the layout.
    struct stat st;
    if (lstat(path, &st) < 0)
        return error_errno(err, errno, "reading %s", path);
    if (!S_ISREG(st.st_mode))
        return error_user(err, "%s is not a file", path);
    if (store_put_file(store, path, digest, &size, err) < 0)
        return -1;
    return strcmp(digest, b->digest) == 0
               ? 0
               : error_user(err, "%s has the digest sha256:%s: the layout is damaged", path,
                            digest);
}

static int pull_blobs(struct image_source *s, struct store *store, const struct image_blob *want,
                      size_t count, struct error **err)
{
    struct registry_blob *blobs = xcalloc(count + 1, sizeof *blobs);
    struct blob_draft *drafts = xcalloc(count + 1, sizeof *drafts);
    int result = 0;
    size_t n = 0;
    for (; n < count && !result; n++) {
        result = store_blob_begin(store, &drafts[n], err);
        blobs[n] = (struct registry_blob){
            .digest = want[n].digest, .size = want[n].size, .fd = drafts[n].fd};
    }
    if (!result && count)
        result = registry_pull_blobs(s->registry, blobs, count, err);
    for (size_t i = 0; i < n; i++) {
        char digest[DIGEST_HEX_SIZE] = "";
        uint64_t size;
        if (!result && blobs[i].missing)
            result = error_user(err, "the registry has no blob sha256:%s", want[i].digest);
        if (result)
            store_blob_abandon(&drafts[i]);
        else
            result = store_blob_commit(store, &drafts[i], digest, &size, err);
        if (!result && strcmp(digest, want[i].digest) != 0)
            result = error_user(err, "the blob sha256:%s was received with the digest sha256:%s",
                                want[i].digest, digest);
    }
    free(blobs);
    free(drafts);
    return result;
}

// Copies blobs into the store, complete and checked; existing ones are skipped.
static int image_source_blobs(struct image_source *s, struct store *store,
                              const struct image_blob *blobs, size_t count, struct error **err)
{
    struct image_blob *missing = xcalloc(count + 1, sizeof *missing);
    size_t n = 0;
    int result = 0;
    for (size_t i = 0; i < count && !result; i++) {
        int has = store_has_blob(store, blobs[i].digest, err);
        if (has < 0)
            result = -1;
        bool twice = false; // an image may contain an empty layer twice
        for (size_t k = 0; k < n; k++)
            twice |= !strcmp(missing[k].digest, blobs[i].digest);
        if (!has && !twice)
            missing[n++] = blobs[i];
    }
    for (size_t i = 0; s->directory && i < n && !result; i++)
        result = copy_layout_blob(s, store, &missing[i], err);
    if (!s->directory && !result)
        result = pull_blobs(s, store, missing, n, err);
    free(missing);
    return result ? error_wrap(err, "%s", s->name) : 0;
}

// ---- manifests ----

static int read_layout_blob(struct image_source *s, const char *digest, struct buf *out,
                            struct error **err)
{
    char found[DIGEST_HEX_SIZE];
    cleanup_free char *path = xasprintf("%s/blobs/sha256/%s", s->directory, digest);
    if (file_read(path, OCI_MANIFEST_MAX, out, err) < 0)
        return -1;
    digest_bytes(out->data ? out->data : "", out->len, found);
    return strcmp(found, digest) == 0
               ? 0
               : error_user(err, "%s has the digest sha256:%s: the layout is damaged", path, found);
}

// The descriptor of the image in index.json: the one with that name, or the only one.
static const json_t *find_image(const struct image_source *s, const json_t *index,
                                struct error **err)
{
    const json_t *list = json_object_get(index, "manifests"), *found = NULL;
    size_t count = json_array_size(list);
    for (size_t i = 0; i < count && !found; i++) {
        const json_t *item = json_array_get(list, i);
        const char *name =
            json_string_value(json_object_get(json_object_get(item, "annotations"), OCI_REF_NAME));
        if (s->image ? name && !strcmp(name, s->image) : count == 1)
            found = item;
    }
    if (found)
        return found;
    if (s->image) {
        error_user(err, "%s has no image called %s", s->directory, s->image);
    } else {
        error_user(err, "%s contains %zu images", s->directory, count);
        error_hint(err, "name one: oci:%s:NAME", s->directory);
    }
    return NULL;
}

static int layout_manifest(struct image_source *s, struct buf *out, struct error **err)
{
    cleanup_free char *path = xasprintf("%s/index.json", s->directory);
    cleanup_buf struct buf text = {0};
    struct image_blob blob;
    if (file_read(path, OCI_MANIFEST_MAX, &text, err) < 0)
        return -1;
    json_t *index = payload_json(&text, path, err);
    const json_t *image = index ? find_image(s, index, err) : NULL;
    int result = image ? descriptor_read(image, &blob, err) : -1;
    if (!result)
        result = read_layout_blob(s, blob.digest, out, err);
    json_decref(index);
    return result;
}

static int registry_manifest(struct image_source *s, const char *digest, struct buf *out,
                             struct error **err)
{
    char found[DIGEST_HEX_SIZE];
    cleanup_free char *named = digest ? xasprintf("sha256:%s", digest) : NULL;
    cleanup_free char *type = NULL;
    const char *what = named                 ? named
                       : s->reference.digest ? s->reference.digest
                       : s->reference.tag    ? s->reference.tag
                                             : "latest";
    int has = registry_get_manifest(s->registry, what, out, &type, found, err);
    if (has == 0)
        error_user(err, "the registry has no such image: %s", what);
    return has > 0 ? 0 : -1;
}

int image_source_manifest(struct image_source *s, const char *digest, struct buf *out,
                          struct error **err)
{
    int result = !s->directory ? registry_manifest(s, digest, out, err)
                 : digest      ? read_layout_blob(s, digest, out, err)
                               : layout_manifest(s, out, err);
    return result ? error_wrap(err, "%s", s->name) : 0;
}

// ---- opening ----

// kbuild cannot check signatures of such images; with keys set, the name must have a digest.
static int check_trust(const struct reference *name, struct error **err)
{
    const char *keys;
    if (security_variable("KBUILD_TRUSTED_KEYS", &keys, err) < 0)
        return -1;
    if (!keys || name->digest)
        return 0;
    error_user(err,
               "KBUILD_TRUSTED_KEYS is set, but the image is named by a tag, which is not signed");
    return error_hint(err, "name it by its digest: %s/%s@sha256:...", name->registry,
                      name->repository);
}

struct image_source *image_source_open(const char *name, bool plain_http, struct error **err)
{
    struct image_source *s = xcalloc(1, sizeof *s);
    s->name = xstrdup(name);
    if (starts_with(name, "oci:")) {
        s->directory = xstrdup(name + 4);
        char *colon = strchr(s->directory, ':'); // the first one, as skopeo does
        if (colon) {
            *colon = '\0';
            s->image = xstrdup(colon + 1);
        }
        return s;
    }
    struct registry_options o = {.plain_http = plain_http};
    if (reference_parse(name, &s->reference, err) == 0 && check_trust(&s->reference, err) == 0 &&
        (s->registry = registry_open(&s->reference, &o, err)))
        return s;
    image_source_close(s);
    return NULL;
}

void image_source_close(struct image_source *s)
{
    if (!s)
        return;
    if (s->registry)
        registry_close(s->registry);
    reference_free(&s->reference);
    free(s->directory);
    free(s->image);
    free(s->name);
    free(s);
}

// ---- the base image ----

enum { LAYERS_MAX = 127 }; // the limit of docker's overlay file systems

// docker's media types for the same bytes.
static const struct {
    const char *docker, *oci;
} layer_types[] = {
    {DOCKER_LAYER ".gzip", OCI_LAYER_GZIP},
    {DOCKER_LAYER, OCI_LAYER},
    {DOCKER_LAYER ".zstd", OCI_LAYER_ZSTD},
    {OCI_LAYER "+gzip", OCI_LAYER "+gzip"},
    {OCI_LAYER, OCI_LAYER},
    {OCI_LAYER "+zstd", OCI_LAYER "+zstd"},
};

static const char *layer_type(const char *name)
{
    for (size_t i = 0; name && i < ARRAY_LEN(layer_types); i++)
        if (!strcmp(name, layer_types[i].docker))
            return layer_types[i].oci;
    return NULL;
}

struct base_reader {
    struct image_source *from;
    struct store *store;
};

static int read_manifest(void *context, const char *digest, struct buf *out, struct error **err)
{
    return image_source_manifest(((struct base_reader *)context)->from, digest, out, err);
}

static int read_config(void *context, const char *digest, uint64_t size, struct buf *out,
                       struct error **err)
{
    const struct base_reader *b = context;
    struct image_blob blob = {.size = size};
    memcpy(blob.digest, digest, DIGEST_HEX_SIZE);
    if (size > OCI_MANIFEST_MAX)
        return error_user(err, "the config of the base image has %llu bytes",
                          (unsigned long long)size);
    if (image_source_blobs(b->from, b->store, &blob, 1, err) < 0)
        return -1;
    cleanup_close int fd = store_open_blob(b->store, digest, err);
    return fd < 0 ? -1
                  : fd_read_all(fd, "the config of the base image", OCI_MANIFEST_MAX, out, err);
}

static json_t *read_base_manifest(struct store *s, struct image_source *from,
                                  const struct arch *arch, struct error **err)
{
    struct base_reader b = {from, s};
    char digest[DIGEST_HEX_SIZE];
    const struct oci_reader reader = {read_manifest, read_config, &b};
    return oci_choose(&reader, arch->oci, digest, err);
}

static int read_layers(const json_t *manifest, struct payload_layers *out, struct error **err)
{
    const json_t *list = json_object_get(manifest, "layers");
    if (!json_is_array(list))
        return error_user(
            err, "the manifest of the base image has no layers: its kind is not supported");
    if (json_array_size(list) > LAYERS_MAX)
        return error_user(err, "the base image has %zu layers, but runtimes support at most %d",
                          json_array_size(list), LAYERS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *given = payload_text(item, "mediaType"), *type = layer_type(given);
        struct image_blob blob;
        if (!type)
            return error_user(
                err, "the base image has a layer of type \"%s\", which is not supported", given);
        if (descriptor_read(item, &blob, err) < 0)
            return -1;
        struct payload_layer *l = payload_layers_add(out);
        memcpy(l->digest, blob.digest, DIGEST_HEX_SIZE);
        l->size = blob.size;
        l->media_type = xstrdup(type);
        l->base = true;
    }
    return 0;
}

// A history may be missing (config.md: optional), but with too few entries other tools would take
// added layers for the base's: then each layer of the base gets an entry.
static void complete_history(json_t *config, size_t layers)
{
    json_t *history = json_object_get(config, "history");
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(history); i++)
        n += !json_is_true(json_object_get(json_array_get(history, i), "empty_layer"));
    if (json_is_array(history) && n == layers)
        return;
    history = json_array();
    for (size_t i = 0; i < layers; i++)
        json_array_append_new(history, json_pack("{s:s}", "created_by", "base image"));
    json_object_set_new(config, "history", history);
}

static int check_config(json_t *config, const struct arch *arch, size_t layers, struct error **err)
{
    const char *architecture = payload_text(config, "architecture"),
               *os = payload_text(config, "os");
    const json_t *ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
    if (strcmp(os, "linux") != 0 || strcmp(architecture, arch->oci) != 0) {
        error_user(err, "the base image is for %s/%s, but the payload is for linux/%s", os,
                   architecture, arch->oci);
        return error_hint(err, "--arch sets the architecture of the payload");
    }
    if (!json_is_array(ids) || json_array_size(ids) != layers)
        return error_user(err, "the base image has %zu layers, but its config lists %zu", layers,
                          json_array_size(ids));
    complete_history(config, layers);
    return 0;
}

static int load_config(struct store *s, const char *digest, json_t **out, struct error **err)
{
    cleanup_buf struct buf text = {0};
    cleanup_close int fd = store_open_blob(s, digest, err);
    if (fd < 0 || fd_read_all(fd, "the config of the base image", OCI_MANIFEST_MAX, &text, err) < 0)
        return -1;
    *out = payload_json(&text, "the config of the base image", err);
    return *out ? 0 : -1;
}

static int load_image(struct store *s, struct image_source *from, const struct arch *arch,
                      const json_t *manifest, struct payload_image *out, struct error **err)
{
    struct image_blob config;
    if (descriptor_read(json_object_get(manifest, "config"), &config, err) < 0 ||
        read_layers(manifest, &out->layers, err) < 0)
        return -1;
    if (config.size > OCI_MANIFEST_MAX)
        return error_user(err, "the config of the base image has %llu bytes",
                          (unsigned long long)config.size);
    size_t n = out->layers.n;
    struct image_blob *blobs = xcalloc(n + 1, sizeof *blobs);
    for (size_t i = 0; i < n; i++) {
        memcpy(blobs[i].digest, out->layers.items[i].digest, DIGEST_HEX_SIZE);
        blobs[i].size = out->layers.items[i].size;
    }
    // The config first: an unsuitable base is then rejected early.
    int result = image_source_blobs(from, s, &config, 1, err);
    if (!result)
        result = load_config(s, config.digest, &out->config, err);
    if (!result)
        result = check_config(out->config, arch, n, err);
    if (!result)
        result = image_source_blobs(from, s, blobs, n, err);
    free(blobs);
    return result;
}

int payload_base_load(struct store *s, const char *base, const struct arch *arch, bool plain_http,
                      struct payload_image *out, struct error **err)
{
    if (!base || !strcmp(base, "scratch")) {
        out->config =
            json_pack("{s:s, s:s, s:{}, s:{s:s, s:[]}, s:[]}", "architecture", arch->oci, "os",
                      "linux", "config", "rootfs", "type", "layers", "diff_ids", "history");
        return 0;
    }
    struct image_source *from = image_source_open(base, plain_http, err);
    json_t *manifest = from ? read_base_manifest(s, from, arch, err) : NULL;
    int result = manifest ? load_image(s, from, arch, manifest, out, err) : -1;
    json_decref(manifest);
    image_source_close(from);
    return result ? error_wrap(err, "reading the base image") : 0;
}

// ---- the default base ----

#define UPSTREAM_IMAGE "quay.io/kata-containers/kata-deploy"

// "3.20.0", "4.0.0-rc0": what upstream publishes images of. A later commit ("3.20.0-45-gc0ffee")
// has none.
static bool is_published(const char *version)
{
    unsigned numbers[3];
    int n = 0;
    if (sscanf(version, "%3u.%3u.%3u%n", &numbers[0], &numbers[1], &numbers[2], &n) != 3)
        return false;
    const char *rest = version + n;
    return !*rest ||
           (starts_with(rest, "-rc") && strspn(rest + 3, "0123456789") == strlen(rest + 3));
}

static int resolve_base(const char *name, bool plain_http, char digest[static DIGEST_HEX_SIZE],
                        struct error **err)
{
    cleanup_buf struct buf manifest = {0};
    struct image_source *from = image_source_open(name, plain_http, err);
    int result = from ? image_source_manifest(from, NULL, &manifest, err) : -1;
    image_source_close(from);
    if (!result)
        digest_bytes(manifest.data, manifest.len, digest);
    return result;
}

char *payload_base_default(const char *version, const char *versions_yaml, bool installed,
                           bool plain_http, struct error **err)
{
    const char *number = version + (*version == 'v');
    char digest[DIGEST_HEX_SIZE];
    if (!is_published(number)) {
        error_user(err, "there is no published kata-deploy of version %s to put the files on",
                   version);
        error_hint(err, "--base=IMAGE names a base with kata-deploy in it; --base=scratch makes an "
                        "image of the files alone, from which nothing installs them");
        return NULL;
    }
    cleanup_free char *name = xasprintf(UPSTREAM_IMAGE ":%s", number);
    cleanup_free char *url = xasprintf("docker://%s", name);
    struct reference tagged = {0};
    int trusted = reference_parse(name, &tagged, err) < 0 ? -1 : check_trust(&tagged, err);
    reference_free(&tagged);
    if (trusted < 0)
        return NULL;
    struct lock *lock = lock_open(versions_yaml, installed, err);
    const struct lock_entry *known = lock ? lock_find(lock, url, NULL) : NULL;
    int result = lock ? 0 : -1;
    if (known) {
        memcpy(digest, known->sha256, DIGEST_HEX_SIZE);
    } else if (lock) {
        result = resolve_base(name, plain_http, digest, err);
        if (!result) {
            lock_put(lock, &(struct lock_entry){.url = url, .sha256 = digest});
            result = lock_save(lock, err);
        }
    }
    if (result && err && *err && !(*err)->hint)
        error_hint(err, "--base=IMAGE names another base with kata-deploy in it");
    lock_free(lock);
    if (result)
        return NULL;
    log_note("the base is upstream's kata-deploy of this release: %s, sha256:%s", name, digest);
    return xasprintf(UPSTREAM_IMAGE "@sha256:%s", digest);
}
