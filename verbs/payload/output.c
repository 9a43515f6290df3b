// SPDX-License-Identifier: Apache-2.0
// Makes config and manifest of the image and delivers it: to an OCI image layout, a layout in a tar
// (oci-archive), or a registry (OCI image specification 1.1: config.md, manifest.md).
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

static void add_layers_to_config(const struct payload_image *i)
{
    json_t *config = i->config;
    const struct payload_layers *layers = &i->layers;
    json_t *diff_ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
    json_t *history = json_object_get(config, "history");
    int64_t newest = 0;
    for (size_t k = 0; k < layers->n; k++) {
        const struct payload_layer *l = &layers->items[k];
        if (l->base)
            continue;
        cleanup_free char *id = xasprintf("sha256:%s", l->diff_id);
        cleanup_free char *when = image_time(l->newest);
        cleanup_free char *how =
            xasprintf("%s: %s", i->maker ? i->maker : "kbuild payload", l->made_of);
        json_array_append_new(diff_ids, json_string(id));
        json_array_append_new(history, json_pack("{s:s, s:s}", "created", when, "created_by", how));
        newest = l->newest > newest ? l->newest : newest;
    }
    cleanup_free char *created = image_time(newest);
    json_object_set_new(config, "created", json_string(created));
}

int payload_image_compose(struct store *s, struct payload_image *i, struct error **err)
{
    add_layers_to_config(i);
    if (oci_put_json(s, i->config, i->config_digest, &i->config_size, err) < 0)
        return -1;
    json_t *layers = json_array();
    for (size_t n = 0; n < i->layers.n; n++) {
        const struct payload_layer *l = &i->layers.items[n];
        json_array_append_new(layers, oci_descriptor(l->media_type, l->digest, l->size));
    }
    json_t *manifest =
        json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType", OCI_MANIFEST, "config",
                  oci_descriptor(OCI_CONFIG, i->config_digest, i->config_size), "layers", layers);
    int result = oci_put_json(s, manifest, i->manifest, &i->manifest_size, err);
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
    if (fd < 0 || fd_read_all(fd, "the manifest", OCI_MANIFEST_MAX, &text, err) < 0)
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

int payload_output_parse(const char *text, char **path, char **name, struct error **err)
{
    const char *colon = strchr(text, ':');
    if (!colon || !colon[1] || (!starts_with(text, "oci:") && !starts_with(text, "oci-archive:"))) {
        error_set(err, ERROR_USAGE, "--output=%s names neither a layout nor an archive", text);
        return error_hint(err, "--output=oci:DIR or --output=oci-archive:FILE");
    }
    *path = xstrdup(colon + 1);
    // At the first colon, as skopeo does: a name may contain more.
    char *end = strchr(*path, ':');
    if (!end)
        return 0;
    *end = '\0';
    *name = xstrdup(end + 1);
    return oci_check_name(*name, err) < 0 ? error_wrap(err, "--output=%s", text) : 0;
}

int payload_deliver(const struct payload_target *t, const struct payload_image *i,
                    struct error **err)
{
    const char *output = t->request->output;
    if (!output)
        return push_to_registry(t, i, err);
    return starts_with(output, "oci:") ? write_to_layout(t, i, t->path, err)
                                       : write_to_archive(t, i, t->path, err);
}
