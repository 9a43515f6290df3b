// SPDX-License-Identifier: Apache-2.0
// Searches an index for the image of one platform: first the entries that name their platform,
// those for every processor of the architecture before others, then those that do not, depth first.
#include "oci/oci.h"

#include "store/store.h"

#include <string.h>

enum { DEPTH_MAX = 4, READ_MAX = 64 };
enum pass { EVERY_PROCESSOR, SOME_PROCESSORS, UNNAMED, PASSES };

struct choice {
    const struct oci_reader *reader;
    const char *architecture;
    unsigned read;                // manifests so far
    char digest[DIGEST_HEX_SIZE]; // of the last manifest read
};

static bool is_index(const json_t *manifest)
{
    return json_is_array(json_object_get(manifest, "manifests"));
}

static bool is_for(const json_t *platform, const char *architecture)
{
    const char *os = json_string_value(json_object_get(platform, "os"));
    const char *its = json_string_value(json_object_get(platform, "architecture"));
    return os && its && !strcmp(os, "linux") && !strcmp(its, architecture);
}

// The pass in which an entry is tried. OCI image-spec, image-index.md, "Platform Variants": no
// variant means the first one of the architecture.
static enum pass pass_of(const json_t *platform)
{
    const char *variant = json_string_value(json_object_get(platform, "variant"));
    bool first = !variant || !*variant || !strcmp(variant, "v1") || !strcmp(variant, "v8");
    return !json_is_object(platform) ? UNNAMED : first ? EVERY_PROCESSOR : SOME_PROCESSORS;
}

static json_t *read_manifest(struct choice *c, const char *digest, struct error **err)
{
    cleanup_buf struct buf text = {0};
    if (++c->read > READ_MAX) {
        error_user(err, "it leads to more than %d manifests", READ_MAX);
        return NULL;
    }
    if (c->reader->manifest(c->reader->context, digest, &text, err) < 0)
        return NULL;
    json_t *manifest =
        json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(manifest)) {
        json_decref(manifest);
        error_user(err, "its manifest is no JSON object");
        return NULL;
    }
    digest_bytes(text.data, text.len, c->digest);
    return manifest;
}

// 1: its config says linux and the architecture; 0: something else; -1.
static int config_fits(struct choice *c, const json_t *manifest, struct error **err)
{
    const json_t *descriptor = json_object_get(manifest, "config");
    const char *digest = oci_descriptor_digest(descriptor, NULL);
    json_int_t size = json_integer_value(json_object_get(descriptor, "size"));
    cleanup_buf struct buf text = {0};
    if (!digest || size < 0)
        return 0;
    if (c->reader->config(c->reader->context, digest, (uint64_t)size, &text, err) < 0)
        return -1;
    json_t *config = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, NULL);
    int fits = is_for(config, c->architecture);
    json_decref(config);
    return fits;
}

static int search(struct choice *c, const json_t *index, unsigned depth, json_t **out,
                  struct error **err);

// Tries an entry: 1 and *out, 0, -1. `named`: the entry names the platform.
static int try_entry(struct choice *c, const json_t *item, bool named, unsigned depth, json_t **out,
                     struct error **err)
{
    const char *digest = oci_descriptor_digest(item, NULL);
    json_t *manifest = digest ? read_manifest(c, digest, err) : NULL;
    if (!manifest)
        return digest ? -1 : 0;
    int result;
    if (is_index(manifest))
        result = search(c, manifest, depth + 1, out, err);
    else
        result = named ? 1 : config_fits(c, manifest, err);
    if (result > 0 && !*out)
        *out = json_incref(manifest);
    json_decref(manifest);
    return result;
}

static int search(struct choice *c, const json_t *index, unsigned depth, json_t **out,
                  struct error **err)
{
    const json_t *list = json_object_get(index, "manifests");
    if (depth > DEPTH_MAX)
        return error_user(err, "it is an index of indexes without end (more than %d deep)",
                          DEPTH_MAX);
    for (enum pass pass = 0; pass < PASSES; pass++)
        for (size_t i = 0; i < json_array_size(list); i++) {
            const json_t *item = json_array_get(list, i), *p = json_object_get(item, "platform");
            bool named = pass != UNNAMED;
            if (pass_of(p) != pass || (named && !is_for(p, c->architecture)))
                continue;
            int result = try_entry(c, item, named, depth, out, err);
            if (result)
                return result;
        }
    return 0;
}

json_t *oci_choose(const struct oci_reader *r, const char *architecture,
                   char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    struct choice c = {.reader = r, .architecture = architecture};
    json_t *manifest = read_manifest(&c, NULL, err), *out = NULL;
    if (!manifest)
        return NULL;
    if (!is_index(manifest)) {
        memcpy(digest, c.digest, DIGEST_HEX_SIZE);
        return manifest;
    }
    int found = search(&c, manifest, 1, &out, err);
    json_decref(manifest);
    if (found == 0)
        error_user(err, "it has no image for linux/%s", architecture);
    memcpy(digest, c.digest, DIGEST_HEX_SIZE); // the image was read last
    return out;
}

int oci_check_platform(const struct buf *config, const char *architecture, struct error **err)
{
    json_t *c =
        json_loadb(config->data ? config->data : "", config->len, JSON_REJECT_DUPLICATES, NULL);
    const char *os = json_string_value(json_object_get(c, "os"));
    const char *its = json_string_value(json_object_get(c, "architecture"));
    int result = 0;
    if (!json_is_object(c))
        result = error_user(err, "its config is no JSON object");
    else if (!is_for(c, architecture))
        result = error_user(err, "its config says that it is for %s/%s, not linux/%s",
                            os ? os : "?", its ? its : "?", architecture);
    json_decref(c);
    return result;
}
