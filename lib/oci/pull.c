// SPDX-License-Identifier: Apache-2.0
// Finds an image by its name, downloads its layers from a registry and unpacks them as a root file
// system.
//
// Of an index, the image for one platform is taken: first the entries that name their platform are
// tried, those for every processor of the architecture before others, then those that do not name
// it, depth first.
#include "oci/oci.h"

#include "base/file.h"
#include "pack/pack.h"
#include "store/store.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// ---- the image for a platform ----
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

// The pass in which an entry is tried. image-index.md, "Platform Variants": no variant means the
// first one of the architecture.
static enum pass pass_of(const json_t *platform)
{
    const char *variant = json_string_value(json_object_get(platform, "variant"));
    bool first = !variant || !*variant || !strcmp(variant, "v1") || !strcmp(variant, "v8");
    return !json_is_object(platform) ? UNNAMED : first ? EVERY_PROCESSOR : SOME_PROCESSORS;
}

static json_t *load_manifest(struct choice *c, const char *digest, struct error **err)
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

static int search_index(struct choice *c, const json_t *index, unsigned depth, json_t **out,
                        struct error **err);

// Tries an entry: 1 and *out, 0, -1. `named`: the entry names the platform.
static int try_entry(struct choice *c, const json_t *item, bool named, unsigned depth, json_t **out,
                     struct error **err)
{
    const char *digest = oci_descriptor_digest(item, NULL);
    json_t *manifest = digest ? load_manifest(c, digest, err) : NULL;
    if (!manifest)
        return digest ? -1 : 0;
    int result;
    if (is_index(manifest))
        result = search_index(c, manifest, depth + 1, out, err);
    else
        result = named ? 1 : config_fits(c, manifest, err);
    if (result > 0 && !*out)
        *out = json_incref(manifest);
    json_decref(manifest);
    return result;
}

static int search_index(struct choice *c, const json_t *index, unsigned depth, json_t **out,
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
    json_t *manifest = load_manifest(&c, NULL, err), *out = NULL;
    if (!manifest)
        return NULL;
    if (!is_index(manifest)) {
        memcpy(digest, c.digest, DIGEST_HEX_SIZE);
        return manifest;
    }
    int found = search_index(&c, manifest, 1, &out, err);
    json_decref(manifest);
    if (found == 0)
        error_user(err, "it has no image for linux/%s", architecture);
    memcpy(digest, c.digest, DIGEST_HEX_SIZE); // the image was read last
    return out;
}

static int check_platform(const struct buf *config, const char *architecture, struct error **err)
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

// ---- reading from a registry ----
enum { LAYER_LIMIT = 256, CONFIG_LIMIT = 4 << 20 };

struct image_pull {
    struct registry *registry;
    const char *what; // tag or digest
    bool unanswered;  // the registry or this machine failed before anything was known of the image
};

// Records what a failed registry call means.
static int call_failed(struct image_pull *p)
{
    p->unanswered = p->unanswered || !registry_was_wrong(p->registry);
    return -1;
}

static int read_manifest(void *context, const char *digest, struct buf *out, struct error **err)
{
    struct image_pull *p = context;
    cleanup_free char *type = NULL, *by_digest = digest ? xasprintf("sha256:%s", digest) : NULL;
    char own[DIGEST_HEX_SIZE];
    const char *what = by_digest ? by_digest : p->what;
    int found = registry_get_manifest(p->registry, what, out, &type, own, err);
    if (found < 0)
        return call_failed(p);
    if (found > 0)
        return 0;
    // Many registries answer so for an image that needs a login.
    p->unanswered = registry_was_denied(p->registry) != NOT_DENIED;
    return error_user(err, "the registry has no %s there", what);
}

static int read_config(void *context, const char *digest, uint64_t size, struct buf *out,
                       struct error **err)
{
    struct image_pull *p = context;
    cleanup_close int fd = memfd_create("config", MFD_CLOEXEC);
    struct registry_blob b = {.digest = digest, .size = size, .fd = fd};
    if (size > CONFIG_LIMIT)
        return error_user(err, "its config has %ju bytes", (uintmax_t)size);
    if (fd < 0)
        return error_errno(err, errno, "making room for a config");
    if (registry_pull_blobs(p->registry, &b, 1, err) < 0)
        return call_failed(p);
    if (b.missing)
        return error_user(err, "the registry has lost its config sha256:%s", digest);
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "reading a config");
    return fd_read_all(fd, "a config", CONFIG_LIMIT, out, err);
}

static int check_layers(const json_t *layers, struct error **err)
{
    size_t n = json_array_size(layers);
    uint64_t size;
    if (n == 0 || n > LAYER_LIMIT)
        return error_user(err, "it has %zu layers, which makes no image", n);
    for (size_t i = 0; i < n; i++)
        if (!oci_descriptor_digest(json_array_get(layers, i), &size))
            return error_user(err, "its manifest does not say where layer %zu is", i + 1);
    return 0;
}

static json_t *image_manifest(struct image_pull *p, const char *architecture,
                              char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    const struct oci_reader reader = {read_manifest, read_config, p};
    json_t *manifest = oci_choose(&reader, architecture, digest, err);
    if (!manifest || check_layers(json_object_get(manifest, "layers"), err) == 0)
        return manifest;
    json_decref(manifest);
    return NULL;
}

static int pull_layers(struct image_pull *p, struct store *s, const json_t *layers,
                       struct blob_draft *drafts, struct registry_blob *blobs, struct error **err)
{
    size_t n = json_array_size(layers);
    for (size_t i = 0; i < n; i++) {
        blobs[i].digest = oci_descriptor_digest(json_array_get(layers, i), &blobs[i].size);
        if (store_blob_begin(s, &drafts[i], err) < 0) {
            p->unanswered = true;
            return -1;
        }
        blobs[i].fd = drafts[i].fd;
    }
    if (registry_pull_blobs(p->registry, blobs, n, err) < 0)
        return call_failed(p);
    for (size_t i = 0; i < n; i++)
        if (blobs[i].missing)
            return error_user(err, "the registry has lost its layer sha256:%s", blobs[i].digest);
    return 0;
}

static int pull_and_unpack(struct image_pull *p, struct store *s, const char *image,
                           const json_t *layers, const char *folder, struct error **err)
{
    size_t n = json_array_size(layers);
    cleanup_free struct blob_draft *drafts = xcalloc(n, sizeof *drafts);
    cleanup_free struct registry_blob *blobs = xcalloc(n, sizeof *blobs);
    int result = pull_layers(p, s, layers, drafts, blobs, err);
    for (size_t i = 0; i < n && !result; i++)
        result =
            oci_unpack_layer(drafts[i].fd, image, folder, i == 0, unpack_limit(blobs[i].size), err);
    for (size_t i = 0; i < n; i++)
        if (drafts[i].path)
            store_blob_abandon(&drafts[i]);
    return result;
}

// ---- one image, with its config ----

// The manifest that the name leads to for the platform, and its config.
static json_t *image_of_platform(struct image_pull *p, const char *architecture,
                                 char digest[static DIGEST_HEX_SIZE], struct buf *config,
                                 struct error **err)
{
    json_t *manifest = image_manifest(p, architecture, digest, err);
    uint64_t size;
    const char *hex = oci_descriptor_digest(json_object_get(manifest, "config"), &size);
    int result = manifest ? 0 : -1;
    if (!result && !hex)
        result = error_user(err, "its manifest does not say where its config is");
    if (!result)
        result = read_config(p, hex, size, config, err);
    if (!result)
        result = check_platform(config, architecture, err);
    if (result < 0) {
        json_decref(manifest);
        return NULL;
    }
    return manifest;
}

// What to pull, and its destinations: all but the first are optional.
struct image_wanted {
    const char *architecture;
    struct buf *config; // checked, too
    struct store *store;
    const char *folder; // for the layers
};

static int pull_named(const char *image, const struct reference *name, const struct image_wanted *w,
                      char digest[static DIGEST_HEX_SIZE], bool *unusable, struct error **err)
{
    struct image_pull p = {.registry = registry_open(name, NULL, err)};
    if (!p.registry)
        return -1;
    p.what = name->digest ? name->digest : name->tag ? name->tag : "latest";
    json_t *manifest = w->config ? image_of_platform(&p, w->architecture, digest, w->config, err)
                                 : image_manifest(&p, w->architecture, digest, err);
    int result = manifest ? 0 : -1;
    if (!result && w->folder)
        result = pull_and_unpack(&p, w->store, image, json_object_get(manifest, "layers"),
                                 w->folder, err);
    *unusable = result < 0 && !p.unanswered && (!err || error_may_blame_content(*err));
    json_decref(manifest);
    registry_close(p.registry);
    return result;
}

static int pull_image(const char *image, const struct image_wanted *w,
                      char digest[static DIGEST_HEX_SIZE], bool *unusable, struct error **err)
{
    struct reference name;
    *unusable = false;
    if (reference_parse(image, &name, err) < 0)
        return -1;
    int result = pull_named(image, &name, w, digest, unusable, err);
    reference_free(&name);
    return result;
}

int oci_find_image(const char *image, const char *architecture, char digest[static DIGEST_HEX_SIZE],
                   struct error **err)
{
    cleanup_buf struct buf config = {0};
    const struct image_wanted w = {.architecture = architecture, .config = &config};
    bool unusable;
    return pull_image(image, &w, digest, &unusable, err);
}

int oci_pull_image(struct store *s, const char *image, const char *architecture, const char *folder,
                   struct buf *config, bool *unusable, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    const struct image_wanted w = {architecture, config, s, folder};
    return pull_image(image, &w, digest, unusable, err);
}

int oci_pull_rootfs(struct store *s, const char *image, const char *architecture,
                    const char *folder, char digest[static DIGEST_HEX_SIZE], bool *unusable,
                    struct error **err)
{
    const struct image_wanted w = {.architecture = architecture, .store = s, .folder = folder};
    int result = pull_image(image, &w, digest, unusable, err);
    return result < 0 ? error_wrap(err, "pulling %s", image) : 0;
}
