// SPDX-License-Identifier: Apache-2.0
// Implements `kbuild payload index`: joins images of several architectures in a registry to one
// index (OCI image specification 1.1, image-index.md).
#include "payload/internal.h"

#include "base/error.h"
#include "base/file.h"
#include "registry/registry.h"
#include "source/source.h"
#include "store/store.h"

#include <string.h>

struct index_run {
    struct registry *registry;
    struct store *store;
    json_t *manifests;
};

// ---- platform of an image, from its config ----

static int read_image_config(struct index_run *j, const struct image_blob *blob, json_t **out,
                             struct error **err)
{
    struct blob_draft draft = {.fd = -1};
    if (blob->size > OCI_MANIFEST_MAX)
        return error_user(err, "its config has %llu bytes", (unsigned long long)blob->size);
    if (store_blob_begin(j->store, &draft, err) < 0)
        return -1;
    struct registry_blob b = {.digest = blob->digest, .size = blob->size, .fd = draft.fd};
    cleanup_buf struct buf text = {0};
    int result = registry_pull_blobs(j->registry, &b, 1, err);
    if (!result && b.missing)
        result = error_user(err, "the registry does not have its config");
    if (!result && lseek(draft.fd, 0, SEEK_SET) < 0)
        result = error_user(err, "its config cannot be read");
    if (!result)
        result = fd_read_all(draft.fd, "a config", OCI_MANIFEST_MAX, &text, err);
    store_blob_abandon(&draft);
    *out = result ? NULL : payload_json(&text, "its config", err);
    return *out ? 0 : -1;
}

// {"os", "architecture", "variant"} of a config, or NULL.
static json_t *platform_of(const json_t *config, struct error **err)
{
    static const char *const keys[] = {"os", "architecture", "variant"};
    json_t *platform = json_object();
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        json_t *value = json_object_get(config, keys[i]);
        if (json_is_string(value))
            json_object_set(platform, keys[i], value);
    }
    if (json_object_get(platform, "os") && json_object_get(platform, "architecture"))
        return platform;
    json_decref(platform);
    error_user(err, "its config does not name its operating system and architecture");
    return NULL;
}

// ---- joining ----

enum { DEPTH_MAX = 4, IMAGES_MAX = 256 };

// An attestation of buildx beside an image: its provenance and SBOM, with the platform "unknown",
// and the digest of its image in an annotation. There may be one for each image.
static bool is_attestation(const json_t *descriptor)
{
    const json_t *annotations = json_object_get(descriptor, "annotations");
    return !strcmp(payload_text(annotations, "vnd.docker.reference.type"), "attestation-manifest");
}

static int add_descriptor(struct index_run *j, json_t *descriptor, struct error **err)
{
    json_t *platform = json_object_get(descriptor, "platform");
    const char *os = payload_text(platform, "os"),
               *architecture = payload_text(platform, "architecture");
    struct image_blob blob;
    if (descriptor_read(descriptor, &blob, err) < 0)
        return -1;
    if (json_array_size(j->manifests) == IMAGES_MAX)
        return error_user(err, "there are more than %d images", IMAGES_MAX);
    for (size_t i = 0; i < json_array_size(j->manifests); i++) {
        const json_t *other = json_array_get(j->manifests, i);
        bool same = !strcmp(payload_text(other, "digest"), payload_text(descriptor, "digest"));
        if (is_attestation(descriptor) && same)
            return 0;
        if (!is_attestation(descriptor) && !is_attestation(other) &&
            json_equal(json_object_get(other, "platform"), platform))
            return error_user(err, "there are two images for %s/%s", os, architecture);
    }
    json_array_append(j->manifests, descriptor);
    return 0;
}

static int add_image(struct index_run *j, const char *name, unsigned depth, struct error **err);

static int add_index(struct index_run *j, const json_t *index, unsigned depth, struct error **err)
{
    json_t *list = json_object_get(index, "manifests");
    if (depth == DEPTH_MAX)
        return error_user(err, "it is an index of indexes with more than %d levels", DEPTH_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *item = json_array_get(list, i);
        const json_t *platform = json_object_get(item, "platform");
        const char *type = payload_text(item, "mediaType"), *digest = payload_text(item, "digest");
        bool index_too = !strcmp(type, OCI_INDEX) || !strcmp(type, DOCKER_INDEX);
        bool says_what = *payload_text(platform, "os") && *payload_text(platform, "architecture");
        // Without a platform in the descriptor it is read: an index has entries with platforms, an
        // image a config.
        bool ask = index_too || (!says_what && !is_attestation(item));
        if (ask ? add_image(j, digest, depth + 1, err) < 0 : add_descriptor(j, item, err) < 0)
            return *digest ? error_wrap(err, "%s", digest) : -1;
    }
    return 0;
}

static int add_manifest(struct index_run *j, const json_t *manifest, const char *type,
                        const char *digest, size_t size, struct error **err)
{
    struct image_blob blob = {0};
    json_t *config = NULL;
    if (descriptor_read(json_object_get(manifest, "config"), &blob, err) < 0 ||
        read_image_config(j, &blob, &config, err) < 0)
        return -1;
    json_t *platform = platform_of(config, err);
    json_decref(config);
    if (!platform)
        return -1;
    json_t *descriptor = oci_descriptor(type, digest, size);
    json_object_set_new(descriptor, "platform", platform);
    int result = add_descriptor(j, descriptor, err);
    json_decref(descriptor);
    return result;
}

// `name` is a tag or a digest.
static int add_image(struct index_run *j, const char *name, unsigned depth, struct error **err)
{
    cleanup_buf struct buf text = {0};
    cleanup_free char *type = NULL;
    char digest[DIGEST_HEX_SIZE];
    int has = registry_get_manifest(j->registry, name, &text, &type, digest, err);
    if (has == 0) {
        error_user(err, "the registry has no such image");
        if (!depth)
            error_hint(err, "push it first: kbuild payload push FILE REGISTRY/REPOSITORY %s", name);
    }
    json_t *manifest = has > 0 ? payload_json(&text, "its manifest", err) : NULL;
    if (!manifest)
        return -1;
    const char *named = json_string_value(json_object_get(manifest, "mediaType"));
    const char *what = named ? named : type ? type : OCI_MANIFEST;
    int result = json_is_array(json_object_get(manifest, "manifests"))
                     ? add_index(j, manifest, depth, err)
                     : add_manifest(j, manifest, what, digest, text.len, err);
    json_decref(manifest);
    return result;
}

static int put_index(struct index_run *j, const char *tag, payload_print *print, void *context,
                     struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    json_t *index = json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType", OCI_INDEX,
                              "manifests", j->manifests);
    cleanup_free char *text = json_dumps(index, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(index);
    if (registry_put_manifest(j->registry, tag, text, strlen(text), OCI_INDEX, digest, err) < 0)
        return -1;
    cleanup_free char *line =
        xasprintf("%s: digest: sha256:%s size: %zu", tag, digest, strlen(text));
    print(line, context);
    return 0;
}

int payload_index(const char *reference, char *const images[], size_t count, bool plain_http,
                  const char *cache, payload_print *print, void *context, struct error **err)
{
    struct reference to = {0};
    struct registry_options o = {.plain_http = plain_http};
    if (reference_parse(reference, &to, err) < 0)
        return -1;
    struct index_run j = {0};
    int result = 0;
    if (!to.tag || to.digest) {
        result = error_set(err, ERROR_USAGE, "%s does not name the tag of the index", reference);
        error_hint(err, "REGISTRY/REPOSITORY:TAG");
    }
    if (!result &&
        (!(j.registry = registry_open(&to, &o, err)) || !(j.store = cache_open(cache, false, err))))
        result = -1;
    j.manifests = json_array();
    for (size_t i = 0; i < count && !result; i++)
        if ((result = add_image(&j, images[i], 0, err)) < 0)
            error_wrap(err, "%s", images[i]);
    if (!result)
        result = put_index(&j, to.tag, print, context, err);
    json_decref(j.manifests);
    store_close(j.store);
    if (j.registry)
        registry_close(j.registry);
    reference_free(&to);
    return result ? error_wrap(err, "making the index %s", reference) : 0;
}
