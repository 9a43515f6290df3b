// SPDX-License-Identifier: Apache-2.0
#include "cache/oci_pull.h"

#include "cache/oci_unpack.h"

#include <string.h>

enum { LAYER_LIMIT = 256 };

// What a layer may unpack to: no file system that is worth it compresses better, and 256 small
// bombs do not fill a disk.
#define CONTENT_FREE ((uint64_t)256 << 20)
#define CONTENT_RATIO 100
#define CONTENT_MAX ((uint64_t)64 << 30)

static uint64_t most_content(uint64_t size)
{
    return size > CONTENT_MAX / 128 ? CONTENT_MAX : CONTENT_FREE + size * CONTENT_RATIO;
}

static const char *hex_of(const json_t *descriptor)
{
    const char *digest = json_string_value(json_object_get(descriptor, "digest"));
    bool sound = digest && starts_with(digest, "sha256:") && digest_is_hex(digest + 7);
    return sound ? digest + 7 : NULL;
}

static json_t *get(struct registry *r, const char *what, char digest[static DIGEST_HEX_SIZE],
                   struct error **err)
{
    cleanup_buf struct buf text = {0};
    cleanup_free char *type = NULL;
    int found = registry_get_manifest(r, what, &text, &type, digest, err);
    if (found == 0)
        error_user(err, "the registry has no %s there", what);
    json_t *manifest =
        found > 0 ? json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (found > 0 && !manifest)
        error_user(err, "its manifest is no JSON");
    return manifest;
}

static const char *of_platform(const json_t *index, const char *architecture)
{
    const json_t *list = json_object_get(index, "manifests");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i), *p = json_object_get(item, "platform");
        const char *os = json_string_value(json_object_get(p, "os"));
        const char *its = json_string_value(json_object_get(p, "architecture"));
        if (os && its && !strcmp(os, "linux") && !strcmp(its, architecture))
            return hex_of(item);
    }
    return NULL;
}

// The manifest of one image; an index leads to one, and no further.
static json_t *image_manifest(struct registry *r, const char *what, const char *architecture,
                              char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    json_t *manifest = get(r, what, digest, err);
    if (manifest && json_object_get(manifest, "manifests")) {
        const char *hex = of_platform(manifest, architecture);
        cleanup_free char *chosen = hex ? xasprintf("sha256:%s", hex) : NULL;
        json_decref(manifest);
        if (!chosen)
            error_user(err, "it has no image for linux/%s", architecture);
        manifest = chosen ? get(r, chosen, digest, err) : NULL;
    }
    size_t layers = json_array_size(json_object_get(manifest, "layers"));
    if (manifest && json_object_get(manifest, "manifests")) {
        error_user(err, "it is an index in an index, which is not followed");
        json_decref(manifest);
        manifest = NULL;
    } else if (manifest && (layers == 0 || layers > LAYER_LIMIT)) {
        error_user(err, "it has %zu layers, which makes no image", layers);
        json_decref(manifest);
        manifest = NULL;
    }
    return manifest;
}

static int pull_layers(struct registry *r, struct store *s, const json_t *layers,
                       struct blob_draft *drafts, struct registry_blob *blobs, struct error **err)
{
    size_t n = json_array_size(layers);
    for (size_t i = 0; i < n; i++) {
        const json_t *layer = json_array_get(layers, i);
        json_int_t size = json_integer_value(json_object_get(layer, "size"));
        const char *hex = hex_of(layer);
        if (!hex || size < 0)
            return error_user(err, "its manifest does not say where layer %zu is", i + 1);
        if (store_blob_begin(s, &drafts[i], err) < 0)
            return -1;
        blobs[i] =
            (struct registry_blob){.digest = hex, .size = (uint64_t)size, .fd = drafts[i].fd};
    }
    if (registry_pull_blobs(r, blobs, n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (blobs[i].missing)
            return error_user(err, "the registry has lost its layer sha256:%s", blobs[i].digest);
    return 0;
}

static int pull_and_unpack(struct registry *r, struct store *s, const char *image,
                           const json_t *layers, const char *folder, struct error **err)
{
    size_t n = json_array_size(layers);
    cleanup_free struct blob_draft *drafts = xcalloc(n, sizeof *drafts);
    cleanup_free struct registry_blob *blobs = xcalloc(n, sizeof *blobs);
    int result = pull_layers(r, s, layers, drafts, blobs, err);
    for (size_t i = 0; i < n && !result; i++)
        result =
            oci_unpack_layer(drafts[i].fd, image, folder, i == 0, most_content(blobs[i].size), err);
    for (size_t i = 0; i < n; i++)
        if (drafts[i].path)
            store_blob_abandon(&drafts[i]);
    return result;
}

int oci_pull_rootfs(struct store *s, const char *image, const char *architecture,
                    const char *folder, char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    struct reference name;
    if (reference_parse(image, &name, err) < 0)
        return -1;
    struct registry *r = registry_open(&name, NULL, err);
    const char *what = name.digest ? name.digest : name.tag ? name.tag : "latest";
    json_t *manifest = r ? image_manifest(r, what, architecture, digest, err) : NULL;
    int result =
        manifest ? pull_and_unpack(r, s, image, json_object_get(manifest, "layers"), folder, err)
                 : -1;
    json_decref(manifest);
    if (r)
        registry_close(r);
    reference_free(&name);
    return result < 0 ? error_wrap(err, "pulling %s", image) : 0;
}
