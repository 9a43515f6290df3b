// SPDX-License-Identifier: Apache-2.0
// The images of the store as an OCI image layout, and descriptors.
#include "store/internal.h"

#include "base/digest.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

// ---- descriptors ----
// Makes and reads OCI descriptors.

json_t *oci_descriptor(const char *type, const char *digest, uint64_t size)
{
    cleanup_free char *name = xasprintf("sha256:%s", digest);
    return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", name, "size",
                     (json_int_t)size);
}

const char *oci_digest_hex(const char *digest)
{
    const char *hex = digest && starts_with(digest, "sha256:") ? digest + strlen("sha256:") : NULL;
    return hex && digest_is_hex(hex) ? hex : NULL;
}

const char *oci_descriptor_digest(const json_t *descriptor, uint64_t *size)
{
    const json_t *number = json_object_get(descriptor, "size");
    bool sized = json_is_integer(number) && json_integer_value(number) >= 0;
    if (size)
        *size = sized ? (uint64_t)json_integer_value(number) : 0;
    if (size && !sized)
        return NULL;
    return oci_digest_hex(json_string_value(json_object_get(descriptor, "digest")));
}

// ---- the layout ----
// Finds the blobs of an image in the store, and writes OCI image layouts.

enum { JSON_LIMIT = 1 << 20 };

// ---- reading one ----
static json_t *parse_manifest(const struct buf *text)
{
    json_t *manifest = json_loadb(text->data, text->len, JSON_REJECT_DUPLICATES, NULL);
    const char *type = json_string_value(json_object_get(manifest, "mediaType"));
    if (type && !strcmp(type, OCI_MANIFEST))
        return manifest;
    json_decref(manifest);
    return NULL;
}

static int read_manifest(struct store *s, const char *digest, struct buf *text, json_t **manifest,
                         struct error **err)
{
    cleanup_close int fd = store_open_blob(s, digest, err);
    if (fd < 0 || fd_read_all(fd, digest, JSON_LIMIT, text, err) < 0)
        return -1;
    *manifest = parse_manifest(text);
    return *manifest ? 0 : error_user(err, "the blob %s is not the manifest of an image", digest);
}

static void each_reference(const json_t *manifest, struct strlist *out)
{
    const char *config = oci_descriptor_digest(json_object_get(manifest, "config"), NULL);
    if (config)
        strlist_add(out, config);
    const json_t *layers = json_object_get(manifest, "layers");
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const char *layer = oci_descriptor_digest(json_array_get(layers, i), NULL);
        if (layer)
            strlist_add(out, layer);
    }
}

void oci_references(struct store *s, const char *digest, void (*each)(const char *digest, void *),
                    void *context)
{
    cleanup_free char *path = store_blob_path(s, digest);
    struct stat st;
    if (!path || at_stat(s, path, &st) < 0 || st.st_size > JSON_LIMIT)
        return; // too large for a manifest
    cleanup_buf struct buf text = {0};
    json_t *manifest = NULL;
    if (read_manifest(s, digest, &text, &manifest, NULL) < 0)
        return;
    // Only for manifests made here: an artifact may have any content.
    json_t *tree = json_object_get(json_object_get(manifest, "annotations"), TREE_ANNOTATION);
    cleanup_strlist struct strlist references = {0};
    if (json_is_string(tree))
        each_reference(manifest, &references);
    json_decref(manifest);
    for (size_t i = 0; i < references.n; i++)
        each(references.items[i], context);
}

// ---- the layout ----
int oci_check_name(const char *name, struct error **err)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:@/+";
    if (*name && !name[strspn(name, allowed)] && !strchr("-._:@/+", *name))
        return 0;
    return error_user(err,
                      "\"%s\" can't be the name of an image: letters, digits and -._:@/+ are "
                      "allowed, and a letter or digit comes first",
                      name);
}

// A layout that is being written: its folders, open.
struct image_layout {
    const char *directory; // for messages
    int folder, blobs;
};

static int link_image(struct store *s, const struct image_layout *l, const char *digest,
                      const json_t *manifest, struct error **err)
{
    cleanup_strlist struct strlist blobs = {0};
    each_reference(manifest, &blobs);
    strlist_add(&blobs, digest);
    for (size_t i = 0; i < blobs.n; i++) {
        cleanup_free char *shown = xasprintf("%s/blobs/sha256/%s", l->directory, blobs.items[i]);
        if (store_restore_blob_at(s, blobs.items[i], l->blobs, blobs.items[i], shown, err) < 0)
            return -1;
    }
    return 0;
}

// The manifests of an existing index.json, without the one called `name`.
static int other_images(const struct image_layout *l, const char *name, json_t *out,
                        struct error **err)
{
    cleanup_buf struct buf text = {0};
    cleanup_free char *path = xasprintf("%s/index.json", l->directory);
    if (faccessat(l->folder, "index.json", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (file_read_at(l->folder, "index.json", path, JSON_LIMIT, &text, err) < 0)
        return -1;
    json_t *index = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    json_t *list = json_object_get(index, "manifests");
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *item = json_array_get(list, i);
        const char *its =
            json_string_value(json_object_get(json_object_get(item, "annotations"), OCI_REF_NAME));
        if (!its || strcmp(its, name) != 0)
            json_array_append(out, item);
    }
    bool valid = json_is_array(list);
    json_decref(index);
    if (valid)
        return 0;
    error_user(err, "%s is not the index of an OCI image layout", path);
    return error_hint(err, "remove it, or use another directory");
}

static int write_index(const struct image_layout *l, const char *name, const char *digest,
                       size_t size, struct error **err)
{
    cleanup_free char *path = xasprintf("%s/index.json", l->directory);
    json_t *images = json_array();
    if (other_images(l, name, images, err) < 0) {
        json_decref(images);
        return -1;
    }
    json_t *image = oci_descriptor(OCI_MANIFEST, digest, size);
    json_object_set_new(image, "annotations", json_pack("{s:s}", OCI_REF_NAME, name));
    json_array_append_new(images, image);
    json_t *index = json_pack("{s:i, s:o}", "schemaVersion", 2, "manifests", images);
    cleanup_free char *text = json_dumps(index, JSON_INDENT(2) | JSON_SORT_KEYS);
    json_decref(index);
    return file_write_at(l->folder, "index.json", path, text, strlen(text), 0644, err);
}

static int open_layout(struct image_layout *l, struct error **err)
{
    static const int rules = FOLDER_MAKE | FOLDER_TRUSTED_OWNER;
    cleanup_free char *shown = xasprintf("%s/blobs/sha256", l->directory);
    cleanup_free char *above = xasprintf("%s/blobs", l->directory);
    l->folder = folder_open(l->directory, "image layout", rules, err);
    cleanup_close int blobs =
        l->folder < 0 ? -1 : folder_open_at(l->folder, "blobs", above, "directory", rules, err);
    if (blobs >= 0)
        l->blobs = folder_open_at(blobs, "sha256", shown, "directory", rules, err);
    return l->blobs < 0 ? -1 : 0;
}

static int write_layout(struct store *s, const char *digest, const json_t *manifest, size_t size,
                        const char *name, const struct image_layout *l, struct error **err)
{
    static const char version[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
    cleanup_free char *marker = xasprintf("%s/oci-layout", l->directory);
    // One writer at a time, since the index is read and rewritten.
    if (flock(l->folder, LOCK_EX) < 0)
        return error_errno(err, errno, "locking %s", l->directory);
    if (link_image(s, l, digest, manifest, err) < 0 ||
        file_write_at(l->folder, "oci-layout", marker, version, sizeof version - 1, 0644, err) < 0)
        return -1;
    return write_index(l, name, digest, size, err);
}

int oci_write_layout(struct store *s, const char *manifest_digest, const char *name,
                     const char *directory, struct error **err)
{
    cleanup_buf struct buf text = {0};
    json_t *manifest = NULL;
    if (oci_check_name(name, err) < 0)
        return -1;
    int result = read_manifest(s, manifest_digest, &text, &manifest, err);
    struct image_layout layout = {.directory = directory, .folder = -1, .blobs = -1};
    if (!result)
        result = open_layout(&layout, err);
    if (!result)
        result = write_layout(s, manifest_digest, manifest, text.len, name, &layout, err);
    if (layout.blobs >= 0)
        close(layout.blobs);
    if (layout.folder >= 0)
        close(layout.folder);
    json_decref(manifest);
    return result ? error_wrap(err, "writing the image %s to %s", name, directory) : 0;
}

// ---- images ----
// <dir>/images/<name>: OCI image layouts of root file systems under their names, hard links to
// blobs.

int store_name_image(struct store *s, const char *manifest_digest, const char *name,
                     struct error **err)
{
    cleanup_free char *images = xasprintf("%s/images", s->directory);
    cleanup_free char *folder = xasprintf("%s/%s", images, name);
    if (!path_is_clean(name) || strchr(name, '/'))
        return error_user(err, "'%s' is no name for an image", name);
    if (at_mkdir(s, images, 0755) < 0 && errno != EEXIST)
        return error_errno(err, errno, "creating the directory %s", images);
    return oci_write_layout(s, manifest_digest, name, folder, err);
}

// Whether the image's manifest still is a blob of the store.
static bool image_is_kept(const struct store *s, const char *folder)
{
    cleanup_free char *path = xasprintf("%s/index.json", folder);
    cleanup_close int fd = at_open(s, path, O_RDONLY | O_NONBLOCK, 0);
    json_t *index = fd < 0 ? NULL : json_loadfd(fd, 0, NULL);
    const json_t *first = json_array_get(json_object_get(index, "manifests"), 0);
    const char *digest = oci_descriptor_digest(first, NULL);
    cleanup_free char *blob = digest ? store_blob_path(s, digest) : NULL;
    bool kept = blob && at_exists(s, blob);
    json_decref(index);
    return kept;
}

int images_sweep(struct store *s, struct error **err)
{
    cleanup_free char *images = xasprintf("%s/images", s->directory);
    cleanup_strlist struct strlist names = {0};
    if (!at_is_directory(s, images))
        return 0;
    if (at_list(s, images, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        cleanup_free char *folder = xasprintf("%s/%s", images, names.items[i]);
        if (!image_is_kept(s, folder) && at_remove(s, folder, err) < 0)
            return -1;
    }
    return 0;
}

int oci_put_json(struct store *s, const json_t *value, char digest[static DIGEST_HEX_SIZE],
                 uint64_t *size, struct error **err)
{
    cleanup_free char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (!text)
        return error_user(err, "a name in the image is not UTF-8");
    *size = strlen(text);
    return store_put_bytes(s, text, *size, digest, err);
}
