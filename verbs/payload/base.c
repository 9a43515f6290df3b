// SPDX-License-Identifier: Apache-2.0
// The base image: its manifest for one architecture, its config, and its layers as they are.
#include "payload/room.h"

#include "oci/choose.h"

#include <string.h>

enum { LAYERS_MAX = 127 }; // 127: what overlay file systems of docker take

// docker's names for the same bytes.
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

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

struct base {
    struct image_source *from;
    struct store *store;
};

static int read_manifest(void *context, const char *digest, struct buf *out, struct error **err)
{
    return image_source_manifest(((struct base *)context)->from, digest, out, err);
}

static int read_config(void *context, const char *digest, uint64_t size, struct buf *out,
                       struct error **err)
{
    const struct base *b = context;
    struct image_blob blob = {.size = size};
    memcpy(blob.digest, digest, DIGEST_HEX_SIZE);
    if (size > MANIFEST_LIMIT)
        return error_user(err, "the config of the base image has %llu bytes",
                          (unsigned long long)size);
    if (image_source_blobs(b->from, b->store, &blob, 1, err) < 0)
        return -1;
    cleanup_close int fd = store_open_blob(b->store, digest, err);
    return fd < 0 ? -1 : fd_read_all(fd, "the config of the base image", MANIFEST_LIMIT, out, err);
}

static json_t *load_manifest(struct store *s, struct image_source *from, const struct arch *arch,
                             struct error **err)
{
    struct base b = {from, s};
    char digest[DIGEST_HEX_SIZE];
    const struct oci_reader reader = {read_manifest, read_config, &b};
    return oci_choose(&reader, arch->oci, digest, err);
}

static int take_layers(const json_t *manifest, struct payload_layers *out, struct error **err)
{
    const json_t *list = json_object_get(manifest, "layers");
    if (!json_is_array(list))
        return error_user(err, "the manifest of the base image has no layers: it is of a kind that "
                               "is not known");
    if (json_array_size(list) > LAYERS_MAX)
        return error_user(err, "the base image has %zu layers; no runtime takes more than %d",
                          json_array_size(list), LAYERS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *given = text_at(item, "mediaType"), *type = layer_type(given);
        struct image_blob blob;
        if (!type)
            return error_user(err, "the base image has a layer of type \"%s\", which is not known",
                              given);
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

// A history may be missing (config.md: optional), but one that does not have an entry for each
// layer makes others take our layers for the base's: then each of the base's gets one that says
// just that.
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
    const char *architecture = text_at(config, "architecture"), *os = text_at(config, "os");
    const json_t *ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
    if (strcmp(os, "linux") != 0 || strcmp(architecture, arch->oci) != 0) {
        error_user(err, "the base image is for %s/%s, the payload for linux/%s", os, architecture,
                   arch->oci);
        return error_hint(err, "--arch says what the payload is for");
    }
    if (!json_is_array(ids) || json_array_size(ids) != layers)
        return error_user(err, "the base image has %zu layers, and its config lists %zu", layers,
                          json_array_size(ids));
    complete_history(config, layers);
    return 0;
}

static int load_config(struct store *s, const char *digest, json_t **out, struct error **err)
{
    cleanup_buf struct buf text = {0};
    cleanup_close int fd = store_open_blob(s, digest, err);
    if (fd < 0 || fd_read_all(fd, "the config of the base image", MANIFEST_LIMIT, &text, err) < 0)
        return -1;
    *out = payload_json(&text, "the config of the base image", err);
    return *out ? 0 : -1;
}

static int load(struct store *s, struct image_source *from, const struct arch *arch,
                const json_t *manifest, struct payload_image *out, struct error **err)
{
    struct image_blob config;
    if (descriptor_read(json_object_get(manifest, "config"), &config, err) < 0 ||
        take_layers(manifest, &out->layers, err) < 0)
        return -1;
    if (config.size > MANIFEST_LIMIT)
        return error_user(err, "the config of the base image has %llu bytes",
                          (unsigned long long)config.size);
    size_t n = out->layers.n;
    struct image_blob *blobs = xcalloc(n + 1, sizeof *blobs);
    for (size_t i = 0; i < n; i++) {
        memcpy(blobs[i].digest, out->layers.items[i].digest, DIGEST_HEX_SIZE);
        blobs[i].size = out->layers.items[i].size;
    }
    // The config first: a base that does not fit costs no more.
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
    json_t *manifest = from ? load_manifest(s, from, arch, err) : NULL;
    int result = manifest ? load(s, from, arch, manifest, out, err) : -1;
    json_decref(manifest);
    image_source_close(from);
    return result ? error_wrap(err, "reading the base image") : 0;
}
