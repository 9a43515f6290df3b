// SPDX-License-Identifier: Apache-2.0
// Finds an image in a registry, downloads its layers and unpacks them as a root file system.
#include "cache/oci_pull.h"

#include "base/file.h"
#include "cache/oci_choose.h"
#include "cache/oci_unpack.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LAYER_LIMIT = 256, CONFIG_LIMIT = 4 << 20 };

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
    bool valid = digest && starts_with(digest, "sha256:") && digest_is_hex(digest + 7);
    return valid ? digest + 7 : NULL;
}

// ---- which ----

struct named {
    struct registry *registry;
    const char *what; // tag or digest
};

static int read_manifest(void *context, const char *digest, struct buf *out, struct error **err)
{
    const struct named *n = context;
    cleanup_free char *type = NULL, *by_digest = digest ? xasprintf("sha256:%s", digest) : NULL;
    char own[DIGEST_HEX_SIZE];
    const char *what = by_digest ? by_digest : n->what;
    int found = registry_get_manifest(n->registry, what, out, &type, own, err);
    if (found == 0)
        error_user(err, "the registry has no %s there", what);
    return found > 0 ? 0 : -1;
}

static int read_config(void *context, const char *digest, uint64_t size, struct buf *out,
                       struct error **err)
{
    const struct named *n = context;
    cleanup_close int fd = memfd_create("config", MFD_CLOEXEC);
    struct registry_blob b = {.digest = digest, .size = size, .fd = fd};
    if (size > CONFIG_LIMIT)
        return error_user(err, "its config has %ju bytes", (uintmax_t)size);
    if (fd < 0)
        return error_errno(err, errno, "making room for a config");
    if (registry_pull_blobs(n->registry, &b, 1, err) < 0)
        return -1;
    if (b.missing)
        return error_user(err, "the registry has lost its config sha256:%s", digest);
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "reading a config");
    return fd_read_all(fd, "a config", CONFIG_LIMIT, out, err);
}

static json_t *image_manifest(struct registry *r, const char *what, const char *architecture,
                              char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    struct named n = {r, what};
    const struct oci_reader reader = {read_manifest, read_config, &n};
    json_t *manifest = oci_choose(&reader, architecture, digest, err);
    size_t layers = json_array_size(json_object_get(manifest, "layers"));
    if (manifest && (layers == 0 || layers > LAYER_LIMIT)) {
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

// *unusable is set if the layers came, and cannot be unpacked.
static int pull_and_unpack(struct registry *r, struct store *s, const char *image,
                           const json_t *layers, const char *folder, bool *unusable,
                           struct error **err)
{
    size_t n = json_array_size(layers);
    cleanup_free struct blob_draft *drafts = xcalloc(n, sizeof *drafts);
    cleanup_free struct registry_blob *blobs = xcalloc(n, sizeof *blobs);
    int result = pull_layers(r, s, layers, drafts, blobs, err);
    for (size_t i = 0; i < n && !result; i++) {
        result =
            oci_unpack_layer(drafts[i].fd, image, folder, i == 0, most_content(blobs[i].size), err);
        *unusable |= result < 0;
    }
    for (size_t i = 0; i < n; i++)
        if (drafts[i].path)
            store_blob_abandon(&drafts[i]);
    return result;
}

// ---- one image, with its config ----

// The manifest that a name leads to for the platform, and its config.
static json_t *image_of_platform(struct registry *r, const struct reference *name,
                                 const char *architecture, char digest[static DIGEST_HEX_SIZE],
                                 struct buf *config, struct error **err)
{
    const char *what = name->digest ? name->digest : name->tag ? name->tag : "latest";
    json_t *manifest = image_manifest(r, what, architecture, digest, err);
    const json_t *descriptor = json_object_get(manifest, "config");
    json_int_t size = json_integer_value(json_object_get(descriptor, "size"));
    const char *hex = hex_of(descriptor);
    struct named n = {r, what};
    int result = manifest ? 0 : -1;
    if (!result && (!hex || size < 0))
        result = error_user(err, "its manifest does not say where its config is");
    if (!result)
        result = read_config(&n, hex, (uint64_t)size, config, err);
    if (!result)
        result = oci_check_platform(config, architecture, err);
    if (result < 0) {
        json_decref(manifest);
        return NULL;
    }
    return manifest;
}

int oci_find_image(const char *image, const char *architecture, char digest[static DIGEST_HEX_SIZE],
                   struct error **err)
{
    struct reference name;
    cleanup_buf struct buf config = {0};
    if (reference_parse(image, &name, err) < 0)
        return -1;
    struct registry *r = registry_open(&name, NULL, err);
    json_t *manifest = r ? image_of_platform(r, &name, architecture, digest, &config, err) : NULL;
    int result = manifest ? 0 : -1;
    json_decref(manifest);
    if (r)
        registry_close(r);
    reference_free(&name);
    return result;
}

int oci_pull_image(struct store *s, const char *image, const char *architecture, const char *folder,
                   struct buf *config, bool *unusable, struct error **err)
{
    struct reference name;
    char digest[DIGEST_HEX_SIZE];
    if (reference_parse(image, &name, err) < 0)
        return -1;
    struct registry *r = registry_open(&name, NULL, err);
    json_t *manifest = r ? image_of_platform(r, &name, architecture, digest, config, err) : NULL;
    int result = manifest ? pull_and_unpack(r, s, image, json_object_get(manifest, "layers"),
                                            folder, unusable, err)
                          : -1;
    json_decref(manifest);
    if (r)
        registry_close(r);
    reference_free(&name);
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
    bool unusable = false;
    int result = manifest ? pull_and_unpack(r, s, image, json_object_get(manifest, "layers"),
                                            folder, &unusable, err)
                          : -1;
    json_decref(manifest);
    if (r)
        registry_close(r);
    reference_free(&name);
    return result < 0 ? error_wrap(err, "pulling %s", image) : 0;
}
