// SPDX-License-Identifier: Apache-2.0
// Makes the image of a root file system: its layer, its config and its manifest.
#include "oci/oci.h"
#include "pack/libarchive.h"

#include "pack/reader.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

// ---- the layer ----
// A pax tar written along the listing of the tree, with libarchive.

enum { CHUNK_SIZE = 1 << 18 };

struct layer {
    struct archive *archive;
    struct archive_entry *entry;
    int root;  // fd of the tree
    int out;   // fd of the blob
    bool lost; // the layer failed: nothing more is written
    struct error *why;
    char *chunk;
};

// libarchive's output. Failures are hidden from it: after one it would not free its buffers, and
// closed within a file it would pad the file with zeros.
static la_ssize_t write_out(struct archive *a, void *context, const void *bytes, size_t length)
{
    struct layer *l = context;
    if (!l->lost && fd_write_all(l->out, "a layer", bytes, length, &l->why) < 0)
        l->lost = true;
    return (la_ssize_t)length;
}

static int archive_failed(struct layer *l, struct error **err)
{
    const char *why = archive_error_string(l->archive);
    return error_user(err, "writing a layer: %s", why ? why : "libarchive failed");
}

static int mode_of(const struct tree_entry *e)
{
    if (e->kind == TREE_LINK)
        return 0777;
    if (e->kind == TREE_DIRECTORY && (!strcmp(e->path, "tmp") || !strcmp(e->path, "var/tmp")))
        return 01777;
    return e->kind == TREE_FILE ? 0644 : 0755;
}

static int write_header(struct layer *l, const struct tree_entry *e, struct error **err)
{
    static const mode_t types[] = {
        ['d'] = AE_IFDIR, ['f'] = AE_IFREG, ['x'] = AE_IFREG, ['l'] = AE_IFLNK};
    archive_entry_clear(l->entry);
    archive_entry_set_pathname(l->entry, e->path);
    archive_entry_set_filetype(l->entry, types[e->kind]);
    archive_entry_set_perm(l->entry, (mode_t)mode_of(e));
    archive_entry_set_size(l->entry, (la_int64_t)e->size);
    archive_entry_set_mtime(l->entry, 0, 0);
    if (e->target)
        archive_entry_set_symlink(l->entry, e->target);
    int r = archive_write_header(l->archive, l->entry); // ARCHIVE_WARN: the name is no UTF-8
    return r == ARCHIVE_OK || r == ARCHIVE_WARN ? 0 : archive_failed(l, err);
}

// Copies a file, at most the size that the header says, and hashes what it copies.
static int copy_file(struct layer *l, const struct tree_entry *e, int fd, uint64_t *copied,
                     char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    struct digest_stream *d = digest_begin();
    int result = 0;
    *copied = 0;
    while (!result) {
        ssize_t n = fd_read(fd, l->chunk, CHUNK_SIZE);
        if (n < 0)
            result = error_errno(err, errno, "reading %s", e->path);
        if (n <= 0)
            break;
        *copied += (uint64_t)n;
        if (*copied > e->size)
            break;
        digest_add(d, l->chunk, (size_t)n);
        if (archive_write_data(l->archive, l->chunk, (size_t)n) != n)
            result = archive_failed(l, err);
    }
    digest_end(d, digest);
    return result;
}

static int add_file(struct layer *l, const struct tree_entry *e, struct error **err)
{
    cleanup_close int fd = openat(l->root, e->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return error_errno(err, errno, "reading %s", e->path);
    char digest[DIGEST_HEX_SIZE];
    uint64_t copied;
    if (copy_file(l, e, fd, &copied, digest, err) < 0)
        return -1;
    if (copied == e->size && !strcmp(digest, e->digest))
        return 0;
    error_user(err, "%s is not what it was when the tree was stored", e->path);
    return error_hint(err, "kbuild cache verify finds what is damaged; it is made again then");
}

static int add_entry(struct layer *l, const struct tree_entry *e, struct error **err)
{
    if (starts_with(path_base(e->path), ".wh."))
        return error_user(err,
                          "%s: a name that begins with .wh. means the removal of a file in an "
                          "OCI image",
                          e->path);
    if (write_header(l, e, err) < 0)
        return -1;
    if (e->digest[0] && add_file(l, e, err) < 0)
        return -1;
    return l->lost ? -1 : 0;
}

static int write_entries(struct layer *l, const struct buf *listing, struct error **err)
{
    // Names are UTF-8, whatever the locale; libarchive marks those that are not (hdrcharset=BINARY,
    // pax).
    WITH_UTF8_NAMES;
    if (archive_write_set_format_pax_restricted(l->archive) != ARCHIVE_OK ||
        archive_write_add_filter_none(l->archive) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(l->archive, CHUNK_SIZE) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(l->archive, 512) != ARCHIVE_OK ||
        archive_write_open(l->archive, l, NULL, write_out, NULL) != ARCHIVE_OK)
        return archive_failed(l, err);
    cleanup_tree_reader struct tree_reader r = {.text = listing->data, .length = listing->len};
    int more;
    while ((more = tree_next(&r, err)) > 0)
        if (add_entry(l, &r.entry, err) < 0)
            return -1;
    if (more < 0)
        return -1;
    return archive_write_close(l->archive) == ARCHIVE_OK ? 0 : archive_failed(l, err);
}

static int write_layer(int root, const struct buf *listing, int out, struct error **err)
{
    struct layer l = {.root = root, .out = out};
    struct error *why = NULL;
    l.archive = archive_write_new();
    l.entry = archive_entry_new();
    l.chunk = xmalloc(CHUNK_SIZE);
    int result = write_entries(&l, listing, &why);
    l.lost |= result < 0; // before libarchive writes its last buffers
    archive_write_free(l.archive);
    archive_entry_free(l.entry);
    free(l.chunk);
    if (l.why) { // the first cause, if there are two
        error_free(why);
        why = l.why;
    }
    if (!why)
        return 0;
    if (err)
        *err = why;
    else
        error_free(why);
    return -1;
}

static int store_layer(struct store *s, const char *tree_digest,
                       char digest[static DIGEST_HEX_SIZE], uint64_t *size, struct error **err)
{
    cleanup_buf struct buf listing = {0};
    int has = store_tree_listing(s, tree_digest, &listing, err);
    if (has <= 0)
        return has < 0 ? -1 : error_user(err, "the cache has no such tree");
    cleanup_free char *path = store_tree_path(s, tree_digest);
    cleanup_close int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return error_errno(err, errno, "reading %s", path);
    struct blob_draft d = {.fd = -1};
    if (store_blob_begin(s, &d, err) < 0)
        return -1;
    if (write_layer(root, &listing, d.fd, err) < 0) {
        store_blob_abandon(&d);
        return -1;
    }
    return store_blob_commit(s, &d, digest, size, err);
}

static json_t *image_config(const struct oci_image *image, const char *layer)
{
    cleanup_free char *diff_id = xasprintf("sha256:%s", layer);
    return json_pack("{s:s, s:s, s:s, s:{}, s:{s:s, s:[s]}, s:[{s:s, s:s}]}", "architecture",
                     image->architecture, "os", "linux", "created", OCI_EPOCH, "config", "rootfs",
                     "type", "layers", "diff_ids", diff_id, "history", "created", OCI_EPOCH,
                     "created_by", image->created_by);
}

int oci_store_rootfs(struct store *s, const char *tree_digest, const struct oci_image *image,
                     char manifest_digest[static DIGEST_HEX_SIZE], struct error **err)
{
    char layer[DIGEST_HEX_SIZE], config[DIGEST_HEX_SIZE];
    uint64_t layer_size = 0, config_size = 0, manifest_size;
    if (store_layer(s, tree_digest, layer, &layer_size, err) < 0)
        return error_wrap(err, "making an OCI image of the tree %s", tree_digest);
    json_auto_t *configuration = image_config(image, layer);
    if (oci_put_json(s, configuration, config, &config_size, err) < 0)
        return error_wrap(err, "making an OCI image of the tree %s", tree_digest);
    cleanup_free char *tree = xasprintf("sha256:%s", tree_digest);
    json_auto_t *manifest = json_pack(
        "{s:i, s:s, s:o, s:[o], s:{s:s}}", "schemaVersion", 2, "mediaType", OCI_MANIFEST, "config",
        oci_descriptor(OCI_CONFIG, config, config_size), "layers",
        oci_descriptor(OCI_LAYER, layer, layer_size), "annotations", TREE_ANNOTATION, tree);
    if (oci_put_json(s, manifest, manifest_digest, &manifest_size, err) < 0)
        return error_wrap(err, "making an OCI image of the tree %s", tree_digest);
    return 0;
}
