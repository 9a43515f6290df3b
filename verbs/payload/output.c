// SPDX-License-Identifier: Apache-2.0
// Makes config and manifest of the image and delivers it: to an OCI image layout, a layout in a tar
// (oci-archive), or a registry. Joins images of several architectures there to one index (OCI image
// specification 1.1: config.md, manifest.md, image-index.md).
#include "pack/libarchive.h"
#include "payload/internal.h"

#include "base/error.h"
#include "registry/registry.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

// ---- config and manifest ----

// A time of the image specification (RFC 3339, UTC); to be freed.
static char *image_time(int64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;
    char text[64];
    if (!gmtime_r(&t, &tm) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
        return xstrdup(OCI_EPOCH);
    return xstrdup(text);
}

int descriptor_read(const json_t *descriptor, struct image_blob *out, struct error **err)
{
    const char *digest = oci_descriptor_digest(descriptor, NULL);
    if (!digest)
        return error_user(err, "a descriptor has no SHA-256 digest");
    if (!oci_descriptor_digest(descriptor, &out->size))
        return error_user(err, "the descriptor of sha256:%s has no size", digest);
    memcpy(out->digest, digest, DIGEST_HEX_SIZE);
    return 0;
}

const char *payload_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

json_t *payload_json(const struct buf *text, const char *what, struct error **err)
{
    json_error_t why;
    json_t *value =
        json_loadb(text->data ? text->data : "", text->len, JSON_REJECT_DUPLICATES, &why);
    if (json_is_object(value))
        return value;
    error_user(err, "%s is not a JSON object%s%s", what, value ? "" : ": ", value ? "" : why.text);
    json_decref(value);
    return NULL;
}

void payload_image_free(struct payload_image *i)
{
    json_decref(i->config);
    payload_layers_free(&i->layers);
    *i = (struct payload_image){0};
}

static void add_layers_to_config(json_t *config, const struct payload_layers *layers)
{
    json_t *diff_ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
    json_t *history = json_object_get(config, "history");
    int64_t newest = 0;
    for (size_t i = 0; i < layers->n; i++) {
        const struct payload_layer *l = &layers->items[i];
        if (l->base)
            continue;
        cleanup_free char *id = xasprintf("sha256:%s", l->diff_id);
        cleanup_free char *when = image_time(l->newest);
        cleanup_free char *how = xasprintf("kbuild payload: %s", l->made_of);
        json_array_append_new(diff_ids, json_string(id));
        json_array_append_new(history, json_pack("{s:s, s:s}", "created", when, "created_by", how));
        newest = l->newest > newest ? l->newest : newest;
    }
    cleanup_free char *created = image_time(newest);
    json_object_set_new(config, "created", json_string(created));
}

// Sorted keys: equal values give equal blobs.
static int store_json(struct store *s, json_t *value, char digest[static DIGEST_HEX_SIZE],
                      uint64_t *size, struct error **err)
{
    cleanup_free char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text)
        return error_user(err, "a name in the image is not UTF-8");
    *size = strlen(text);
    return store_put_bytes(s, text, *size, digest, err);
}

int payload_image_compose(struct store *s, struct payload_image *i, struct error **err)
{
    add_layers_to_config(i->config, &i->layers);
    if (store_json(s, i->config, i->config_digest, &i->config_size, err) < 0)
        return -1;
    json_t *layers = json_array();
    for (size_t n = 0; n < i->layers.n; n++) {
        const struct payload_layer *l = &i->layers.items[n];
        json_array_append_new(layers, oci_descriptor(l->media_type, l->digest, l->size));
    }
    json_t *manifest =
        json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType", OCI_MANIFEST, "config",
                  oci_descriptor(OCI_CONFIG, i->config_digest, i->config_size), "layers", layers);
    int result = store_json(s, manifest, i->manifest, &i->manifest_size, err);
    json_decref(manifest);
    return result;
}

// ---- layout ----

static int write_to_layout(const struct payload_target *t, const struct payload_image *i,
                           const char *directory, struct error **err)
{
    for (size_t k = 0; k < t->tags->n; k++)
        if (oci_write_layout(t->store, i->manifest, t->tags->items[k], directory, err) < 0)
            return -1;
    return 0;
}

// ---- archive ----

static int add_file(struct archive *a, const char *folder, const char *path, struct error **err)
{
    cleanup_free char *from = xasprintf("%s/%s", folder, path);
    cleanup_close int fd = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "reading %s", from);
    struct archive_entry *entry = archive_entry_new();
    archive_entry_copy_pathname(entry, path);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, st.st_size);
    archive_entry_set_mtime(entry, 0, 0);
    bool good = archive_write_header(a, entry) == ARCHIVE_OK;
    archive_entry_free(entry);
    cleanup_free char *chunk = xmalloc(1 << 18);
    ssize_t n = 0;
    while (good && (n = read(fd, chunk, 1 << 18)) > 0)
        good = archive_write_data(a, chunk, (size_t)n) == n;
    if (n < 0)
        return error_errno(err, errno, "reading %s", from);
    return good ? 0 : error_user(err, "%s", archive_error_string(a));
}

// Readers that are not root need folders: folders that they create themselves can't be root's.
static int add_folder(struct archive *a, const char *path, struct error **err)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_copy_pathname(entry, path);
    archive_entry_set_filetype(entry, AE_IFDIR);
    archive_entry_set_perm(entry, 0755);
    archive_entry_set_mtime(entry, 0, 0);
    bool good = archive_write_header(a, entry) == ARCHIVE_OK;
    archive_entry_free(entry);
    return good ? 0 : error_user(err, "%s", archive_error_string(a));
}

static int add_layout(struct archive *a, const char *folder, struct error **err)
{
    cleanup_strlist struct strlist blobs = {0}, files = {0};
    cleanup_free char *below = xasprintf("%s/blobs/sha256", folder);
    if (list_directory(below, &blobs, err) < 0 || add_folder(a, "blobs", err) < 0 ||
        add_folder(a, "blobs/sha256", err) < 0)
        return -1;
    strlist_add(&files, "oci-layout");
    strlist_add(&files, "index.json");
    for (size_t i = 0; i < blobs.n; i++)
        strlist_addf(&files, "blobs/sha256/%s", blobs.items[i]);
    for (size_t i = 0; i < files.n; i++)
        if (add_file(a, folder, files.items[i], err) < 0)
            return -1;
    return 0;
}

static int write_archive(int fd, const char *folder, struct error **err)
{
    struct archive *a = archive_write_new();
    bool good = a && archive_write_set_format_ustar(a) == ARCHIVE_OK &&
                archive_write_set_bytes_in_last_block(a, 512) == ARCHIVE_OK &&
                archive_write_open_fd(a, fd) == ARCHIVE_OK;
    int result = good ? add_layout(a, folder, err) : error_user(err, "libarchive failed");
    if (!result && archive_write_close(a) != ARCHIVE_OK)
        result = error_user(err, "%s", archive_error_string(a));
    if (result)
        archive_write_fail(a);
    archive_write_free(a);
    return result;
}

static int write_to_archive(const struct payload_target *t, const struct payload_image *i,
                            const char *file, struct error **err)
{
    cleanup_draft struct file_draft draft = FILE_DRAFT_NONE;
    cleanup_free char *folder = store_temporary(t->store, "payload", err);
    if (!folder)
        return -1;
    int result = write_to_layout(t, i, folder, err);
    if (!result)
        result = file_draft_begin(&draft, file, err);
    if (!result)
        result = write_archive(draft.fd, folder, err);
    if (!result)
        result = file_draft_commit_unsynced(&draft, 0644, err);
    remove_tree(folder, NULL);
    return result ? error_wrap(err, "writing %s", file) : 0;
}

// ---- registry ----

// The repository of the base image if it is in the same registry: the registry can mount its
// layers, which need no upload.
static char *base_repository(const struct payload_target *t, const struct reference *to)
{
    struct reference base = {0};
    const char *name = t->request->base;
    struct error *ignored = NULL;
    char *found = NULL;
    if (name && strcmp(name, "scratch") != 0 && !starts_with(name, "oci:") &&
        reference_parse(name, &base, &ignored) == 0 && !strcmp(base.registry, to->registry) &&
        strcmp(base.repository, to->repository) != 0)
        found = xstrdup(base.repository);
    error_free(ignored);
    reference_free(&base);
    return found;
}

#define PUSH_TOLD ((uint64_t)16 << 20) // upload size that gets a message

struct image_push {
    struct registry_blob *blobs;
    size_t n;
};

static int add_blob(struct image_push *p, struct store *s, const char *digest, uint64_t size,
                    const char *mount_from, struct error **err)
{
    for (size_t i = 0; i < p->n; i++)
        if (!strcmp(p->blobs[i].digest, digest))
            return 0;
    int fd = store_open_blob(s, digest, err);
    if (fd < 0)
        return -1;
    p->blobs[p->n++] =
        (struct registry_blob){.digest = digest, .size = size, .fd = fd, .mount_from = mount_from};
    return 0;
}

static int push_all(const struct payload_target *t, const struct payload_image *i,
                    struct registry *to, const char *mount_from, struct error **err)
{
    struct image_push p = {xcalloc(i->layers.n + 1, sizeof *p.blobs), 0};
    int result = 0;
    for (size_t k = 0; k < i->layers.n && !result; k++) {
        const struct payload_layer *l = &i->layers.items[k];
        result = add_blob(&p, t->store, l->digest, l->size, l->base ? mount_from : NULL, err);
    }
    if (!result)
        result = add_blob(&p, t->store, i->config_digest, i->config_size, NULL, err);
    uint64_t total = 0;
    for (size_t k = 0; k < p.n; k++)
        total += p.blobs[k].size;
    if (!result && total >= PUSH_TOLD)
        log_note("pushing %zu blobs with %.1f MB to %s", p.n, (double)total / 1e6,
                 t->request->repository);
    if (!result)
        result = registry_push_blobs(to, p.blobs, p.n, err);
    for (size_t k = 0; k < p.n; k++)
        close(p.blobs[k].fd);
    free(p.blobs);
    return result;
}

static int put_manifest(const struct payload_target *t, const struct payload_image *i,
                        struct registry *to, struct error **err)
{
    cleanup_buf struct buf text = {0};
    cleanup_close int fd = store_open_blob(t->store, i->manifest, err);
    if (fd < 0 || fd_read_all(fd, "the manifest", MANIFEST_LIMIT, &text, err) < 0)
        return -1;
    for (size_t k = 0; k < t->tags->n; k++) {
        char digest[DIGEST_HEX_SIZE];
        if (registry_put_manifest(to, t->tags->items[k], text.data, text.len, OCI_MANIFEST, digest,
                                  err) < 0)
            return -1;
    }
    return 0;
}

static int push_to_registry(const struct payload_target *t, const struct payload_image *i,
                            struct error **err)
{
    struct reference to = {0};
    struct registry_options o = {.plain_http = t->request->plain_http};
    if (reference_parse(t->request->repository, &to, err) < 0)
        return -1;
    cleanup_free char *mount_from = base_repository(t, &to);
    struct registry *r = registry_open(&to, &o, err);
    int result = r ? push_all(t, i, r, mount_from, err) : -1;
    if (!result)
        result = put_manifest(t, i, r, err);
    if (r)
        registry_close(r);
    reference_free(&to);
    return result ? error_wrap(err, "pushing to %s", t->request->repository) : 0;
}

// ---- selection ----

int payload_deliver(const struct payload_target *t, const struct payload_image *i,
                    struct error **err)
{
    const char *output = t->request->output;
    if (!output)
        return push_to_registry(t, i, err);
    return starts_with(output, "oci:") ? write_to_layout(t, i, t->path, err)
                                       : write_to_archive(t, i, t->path, err);
}

// ---- an index ----

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
    if (blob->size > MANIFEST_LIMIT)
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
        result = fd_read_all(draft.fd, "a config", MANIFEST_LIMIT, &text, err);
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
        (!(j.registry = registry_open(&to, &o, err)) || !(j.store = store_open(cache, err))))
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
