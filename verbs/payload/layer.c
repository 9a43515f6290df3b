// SPDX-License-Identifier: Apache-2.0
// Makes layers in the store from files. Each layer is remembered as an action record, whose key has
// all inputs of its bytes; so an unchanged component is not read again.
#include "pack/libarchive.h"
#include "payload/internal.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/map.h"
#include "pack/pack.h"
#include "pack/reader.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define LAYER_FORMAT "3" // raise it when the same file would give another layer

static const char *const media_types[] = {
    [LAYER_PLAIN] = OCI_LAYER, [LAYER_GZIP] = OCI_LAYER "+gzip", [LAYER_ZSTD] = OCI_LAYER "+zstd"};

// ---- tar ----
// The bytes of a layer (OCI image specification 1.1, layer.md): a pax tar, hashed, and then
// compressed: by several threads (pack/pack.h), or by a second archive of libarchive's raw format,
// which is only its filter.

enum { BLOCK = 1 << 18, PARENT_MODE = 0755 };

enum place { PLACE_DIRECTORY, PLACE_OTHER }; // kind of a written name

struct layer_writer {
    struct archive *tar, *filter; // filter is for zstd
    struct gzip *gzip;            // for gzip
    struct archive_entry *entry;
    struct digest_stream *digest; // of the tar
    struct map places;
    struct error *failure; // of a callback
    bool broken;           // no more output
    int fd;
    int64_t epoch, newest;
};

// ---- output: the callbacks hide failures from libarchive, which would leak otherwise ----

static la_ssize_t on_file(struct archive *a, void *context, const void *bytes, size_t length)
{
    struct layer_writer *l = context;
    if (!l->broken && fd_write_all(l->fd, "a layer", bytes, length, &l->failure) < 0)
        l->broken = true;
    return (la_ssize_t)length;
}

static void record_failure(struct layer_writer *l, struct archive *a)
{
    const char *why = archive_error_string(a);
    if (!l->failure)
        error_user(&l->failure, "compressing a layer: %s", why ? why : "libarchive failed");
    l->broken = true;
}

static la_ssize_t on_tar(struct archive *a, void *context, const void *bytes, size_t length)
{
    struct layer_writer *l = context;
    if (l->broken)
        return (la_ssize_t)length;
    digest_add(l->digest, bytes, length);
    if (l->gzip) {
        if (gzip_add(l->gzip, bytes, length, &l->failure) < 0)
            l->broken = true;
        return (la_ssize_t)length;
    }
    if (!l->filter)
        return on_file(a, l, bytes, length);
    if (archive_write_data(l->filter, bytes, length) != (la_ssize_t)length)
        record_failure(l, l->filter);
    return (la_ssize_t)length;
}

static int check_writer(struct layer_writer *l, bool good, struct error **err)
{
    if (good && !l->broken)
        return 0;
    if (l->failure) {
        if (err)
            *err = steal(l->failure);
        return -1;
    }
    const char *why = archive_error_string(l->tar);
    return error_user(err, "writing a layer: %s", why ? why : "libarchive failed");
}

// ---- opening ----

// NULL is allowed.
static void layer_writer_free(struct layer_writer *l)
{
    if (!l)
        return;
    l->broken = true; // libarchive writes an end that is not needed
    if (l->tar)
        archive_write_free(l->tar);
    if (l->filter)
        archive_write_free(l->filter);
    gzip_free(l->gzip);
    archive_entry_free(l->entry);
    if (l->digest)
        digest_end(l->digest, (char[DIGEST_HEX_SIZE]){0});
    map_free(&l->places);
    error_free(l->failure);
    free(l);
}

static void layer_writer_free_p(struct layer_writer **l)
{
    layer_writer_free(*l);
}
#define cleanup_layer_writer __attribute__((cleanup(layer_writer_free_p)))

static bool open_zstd(struct layer_writer *l)
{
    struct archive *a = l->filter = archive_write_new();
    if (!a || archive_write_set_format_raw(a) != ARCHIVE_OK ||
        archive_write_add_filter_zstd(a) != ARCHIVE_OK ||
        archive_write_set_filter_option(a, "zstd", "compression-level", "3") != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(a, BLOCK) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
        archive_write_open(a, l, NULL, on_file, NULL) != ARCHIVE_OK)
        return false;
    archive_entry_clear(l->entry);
    archive_entry_set_pathname(l->entry, "layer");
    archive_entry_set_filetype(l->entry, AE_IFREG);
    return archive_write_header(a, l->entry) == ARCHIVE_OK;
}

static bool open_tar(struct layer_writer *l)
{
    // Names are UTF-8 (the callers set the locale); libarchive marks other names
    // (hdrcharset=BINARY, pax).
    struct archive *a = l->tar = archive_write_new();
    return a && archive_write_set_format_pax_restricted(a) == ARCHIVE_OK &&
           archive_write_set_bytes_per_block(a, BLOCK) == ARCHIVE_OK &&
           archive_write_set_bytes_in_last_block(a, 512) == ARCHIVE_OK &&
           archive_write_open(a, l, NULL, on_tar, NULL) == ARCHIVE_OK;
}

// gzip with `threads` threads, which do not affect the bytes.
static struct layer_writer *layer_writer_open(int fd, enum layer_filter filter, int64_t epoch,
                                              unsigned threads, struct error **err)
{
    struct layer_writer *l = xcalloc(1, sizeof *l);
    l->fd = fd;
    l->epoch = epoch;
    l->digest = digest_begin();
    l->entry = archive_entry_new();
    if (filter == LAYER_GZIP)
        l->gzip = gzip_begin(fd, threads);
    if (l->entry && (filter != LAYER_ZSTD || open_zstd(l)) && open_tar(l))
        return l;
    error_user(err, "this libarchive cannot write a layer");
    layer_writer_free(l);
    return NULL;
}

// ---- members ----

static int write_header(struct layer_writer *l, const char *path, const struct reader_member *m,
                        const char *link, struct error **err)
{
    int64_t time = clamp_time(m->mtime, l->epoch);
    archive_entry_clear(l->entry);
    archive_entry_copy_pathname(l->entry, path);
    archive_entry_set_mode(l->entry, (mode_t)(m->mode & (S_IFMT | 0777)));
    archive_entry_set_mtime(l->entry, time, 0);
    archive_entry_set_size(l->entry, S_ISREG(m->mode) && !m->hardlink ? (la_int64_t)m->size : 0);
    if (m->hardlink)
        archive_entry_copy_hardlink(l->entry, link);
    else if (link)
        archive_entry_copy_symlink(l->entry, link);
    if (m->attributes)
        attributes_to_entry(m->attributes, l->entry);
    if (time > l->newest)
        l->newest = time;
    int r = archive_write_header(l->tar, l->entry);
    return check_writer(l, r == ARCHIVE_OK || r == ARCHIVE_WARN, err);
}

// Writes the missing directories above `path`.
static int write_parents(struct layer_writer *l, const char *path, struct error **err)
{
    static const struct reader_member parent = {.mode = S_IFDIR | PARENT_MODE};
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        cleanup_free char *name = xstrndup(path, (size_t)(slash - path));
        const size_t *place = map_find(&l->places, name);
        if (place && *place == PLACE_DIRECTORY)
            continue;
        if (place)
            return error_user(err, "its path goes through %s, which is not a directory", name);
        map_put(&l->places, name, PLACE_DIRECTORY);
        if (write_header(l, name, &parent, NULL, err) < 0)
            return -1;
    }
    return 0;
}

static int check_member(const struct layer_writer *l, const char *path,
                        const struct reader_member *m, struct error **err)
{
    for (const unsigned char *c = (const unsigned char *)path; *c; c++)
        if (*c < ' ' || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0))
            return error_user(
                err, "its name has a control character, which is not allowed in a payload");
    if (starts_with(path_base(path), ".wh."))
        return error_user(err, "a name that begins with .wh. means the removal of a file in an "
                               "image");
    if (!S_ISREG(m->mode) && !S_ISDIR(m->mode) && !S_ISLNK(m->mode))
        return error_user(err, "devices, fifos and sockets are not allowed in a payload");
    if (S_ISREG(m->mode) && !m->size_known)
        return error_user(
            err, "its size is not known in advance: it is in an archive that is not a tar");
    const size_t *place = map_find(&l->places, path);
    bool again = place && *place == PLACE_DIRECTORY && S_ISDIR(m->mode);
    return !place || again ? 0 : error_user(err, "it exists twice");
}

// "" is the root; to be freed.
static char *image_path(const char *prefix, const char *path)
{
    return *prefix && *path ? xasprintf("%s/%s", prefix, path) : xstrdup(*path ? path : prefix);
}

// A member below `prefix`, owned by root, without setuid, setgid and sticky bits. Missing
// directories above it are added, mode 0755. Rejects members that a payload must not have: devices,
// fifos, sockets, names that mean the removal of a file (".wh.*"), and names that lead through a
// link or a file.
static int layer_writer_member(struct layer_writer *l, const char *prefix,
                               const struct reader_member *m, struct error **err)
{
    if (!*prefix && !*m->path)
        return 0; // the root itself
    cleanup_free char *path = image_path(prefix, m->path);
    cleanup_free char *target = m->hardlink ? image_path(prefix, m->link) : NULL;
    if (check_member(l, path, m, err) < 0 || write_parents(l, path, err) < 0)
        return -1;
    if (S_ISDIR(m->mode) && map_find(&l->places, path))
        return 0; // a merged archive has those of all components; the first one is used
    if (m->hardlink) {
        const size_t *place = map_find(&l->places, target);
        if (!place || *place == PLACE_DIRECTORY)
            return error_user(err, "it is a hard link to a file that does not exist: %s", m->link);
    }
    map_put(&l->places, path, S_ISDIR(m->mode) ? PLACE_DIRECTORY : PLACE_OTHER);
    return write_header(l, path, m, target ? target : m->link, err);
}

static int layer_writer_data(struct layer_writer *l, const void *bytes, size_t length,
                             struct error **err)
{
    la_ssize_t n = archive_write_data(l->tar, bytes, length);
    if (n >= 0 && (size_t)n != length)
        return error_user(err, "it has more bytes than its header announces");
    return check_writer(l, n >= 0, err);
}

// Ends the stream. diff_id is the digest of the uncompressed tar, *newest the newest time in it.
static int layer_writer_finish(struct layer_writer *l, char diff_id[static DIGEST_HEX_SIZE],
                               int64_t *newest, struct error **err)
{
    if (check_writer(l, archive_write_close(l->tar) == ARCHIVE_OK, err) < 0)
        return -1;
    if (l->filter && archive_write_close(l->filter) != ARCHIVE_OK)
        record_failure(l, l->filter);
    if (l->gzip && !l->broken && gzip_end(l->gzip, &l->failure) < 0)
        l->broken = true;
    if (check_writer(l, true, err) < 0)
        return -1;
    digest_end(steal(l->digest), diff_id);
    *newest = l->newest;
    return 0;
}

struct payload_layer *payload_layers_add(struct payload_layers *l)
{
    l->items = xgrow(l->items, &l->cap, l->n + 1, sizeof *l->items);
    l->items[l->n] = (struct payload_layer){0};
    return &l->items[l->n++];
}

void payload_layers_free(struct payload_layers *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->items[i].media_type);
        free(l->items[i].made_of);
    }
    free(l->items);
    *l = (struct payload_layers){0};
}

// ---- records ----

static void layer_key(const struct layer_source *from, enum layer_filter filter, int64_t epoch,
                      char key[static DIGEST_HEX_SIZE])
{
    cleanup_free char *text = xasprintf(
        "kbuild payload layer " LAYER_FORMAT "\ncodec %s%s\nfile %s\nas %s\ntype %s\nepoch %lld\n",
        pack_codec_version(), from->recompress ? " recompressed" : "", from->digest,
        from->path      ? from->path
        : from->at_root ? "/"
                        : "unpacked",
        media_types[filter], (long long)epoch);
    digest_bytes(text, strlen(text), key);
}

// 1 if the store has this layer.
static int find_known_layer(struct store *s, const char *key, struct payload_layer *out,
                            struct error **err)
{
    json_auto_t *record = NULL;
    if (store_action_get(s, key, &record, err) < 0)
        return -1;
    const json_t *layer = json_array_get(json_object_get(record, "outputs"), 0);
    const char *digest = json_string_value(json_object_get(layer, "digest"));
    const char *diff_id = json_string_value(json_object_get(record, "diff_id"));
    int has = digest && diff_id && digest_is_hex(digest) && digest_is_hex(diff_id)
                  ? store_has_blob(s, digest, err)
                  : 0;
    if (has > 0) {
        memcpy(out->digest, digest, DIGEST_HEX_SIZE);
        memcpy(out->diff_id, diff_id, DIGEST_HEX_SIZE);
        out->size = (uint64_t)json_integer_value(json_object_get(layer, "size"));
        out->newest = json_integer_value(json_object_get(record, "newest"));
    }
    return has;
}

static int record_layer(struct store *s, const char *key, const struct layer_source *from,
                        const struct payload_layer *l, struct error **err)
{
    json_t *record = json_pack("{s:s, s:s, s:s, s:I, s:[{s:s, s:s, s:s, s:I}]}", "node",
                               "payload layer", "file", from->digest, "diff_id", l->diff_id,
                               "newest", (json_int_t)l->newest, "outputs", "name", "layer",
                               "digest", l->digest, "kind", "blob", "size", (json_int_t)l->size);
    int result = store_action_put(s, key, record, err);
    json_decref(record);
    return result;
}

// ---- making a layer ----

static int add_content(void *context, const void *bytes, size_t length, struct error **err)
{
    return layer_writer_data(context, bytes, length, err);
}

static int copy_members(struct layer_writer *l, const struct layer_source *from, struct error **err)
{
    WITH_UTF8_NAMES;
    cleanup_reader struct reader *reader = reader_open(from->fd, from->name, from->max_bytes, err);
    if (!reader)
        return -1;
    struct reader_member m;
    int more;
    while ((more = reader_next(reader, &m, err)) > 0) {
        bool content = S_ISREG(m.mode) && !m.hardlink;
        if (layer_writer_member(l, from->at_root ? "" : PAYLOAD_ROOT, &m, err) < 0 ||
            (content && reader_content(reader, add_content, l, err) < 0))
            return reader_wrap(reader, err);
        reader_progress(reader, "making a layer");
    }
    return more;
}

// The file's time is that of its build, and no property of its content: it is not written.
static int copy_file(struct layer_writer *l, const struct layer_source *from, struct error **err)
{
    struct stat st;
    if (fstat(from->fd, &st) < 0)
        return error_errno(err, errno, "reading %s", from->name);
    struct reader_member m = {.path = from->path,
                              .mode = S_IFREG | 0644,
                              .size = (uint64_t)st.st_size,
                              .size_known = true};
    if (layer_writer_member(l, PAYLOAD_ROOT, &m, err) < 0)
        return error_wrap(err, "%s", from->name);
    cleanup_free char *chunk = xmalloc(1 << 18);
    for (off_t at = 0;;) {
        ssize_t n = fd_read_at(from->fd, chunk, 1 << 18, (uint64_t)at);
        if (n < 0)
            return error_errno(err, errno, "reading %s", from->name);
        if (n == 0)
            return at == st.st_size ? 0
                                    : error_user(err, "%s changed while it was read", from->name);
        at += n;
        if (layer_writer_data(l, chunk, (size_t)n, err) < 0)
            return error_wrap(err, "%s", from->name);
    }
}

// The same of the tarball as .tar.zst, which is made in a file without a name.
static int copy_recompressed(struct layer_writer *l, const struct layer_source *from,
                             struct error **err)
{
    const struct pack_options o = {.threads = from->threads, .format = FORMAT_ZSTD};
    cleanup_close int fd = nameless_file(NULL, err);
    struct stat open_file, named;
    if (fd < 0 || recompress_archive(from->recompress, fd, &o, err) < 0)
        return -1;
    // The layer is remembered under the digest of what was open.
    if (fstat(from->fd, &open_file) < 0 || stat(from->recompress, &named) < 0 ||
        !same_inode(&open_file, &named))
        return error_user(err, "%s was replaced while it was read", from->recompress);
    struct layer_source again = *from;
    again.fd = fd;
    return copy_file(l, &again, err);
}

typedef int fill_layer(struct layer_writer *l, const void *context, struct error **err);

static int make_layer(struct store *s, fill_layer *fill, const void *context,
                      enum layer_filter filter, int64_t epoch, unsigned threads,
                      struct payload_layer *out, struct error **err)
{
    struct blob_draft draft = {.fd = -1};
    if (store_blob_begin(s, &draft, err) < 0)
        return -1;
    cleanup_layer_writer struct layer_writer *l =
        layer_writer_open(draft.fd, filter, epoch, threads, err);
    if (!l || fill(l, context, err) < 0 ||
        layer_writer_finish(l, out->diff_id, &out->newest, err) < 0) {
        store_blob_abandon(&draft);
        return -1;
    }
    return store_blob_commit(s, &draft, out->digest, &out->size, err);
}

static int fill_from(struct layer_writer *l, const void *context, struct error **err)
{
    const struct layer_source *from = context;
    return from->recompress ? copy_recompressed(l, from, err)
           : from->path     ? copy_file(l, from, err)
                            : copy_members(l, from, err);
}

int payload_layer_make(struct store *s, const struct layer_source *from, enum layer_filter filter,
                       int64_t epoch, struct payload_layer *out, struct error **err)
{
    char key[DIGEST_HEX_SIZE];
    layer_key(from, filter, epoch, key);
    int known = find_known_layer(s, key, out, err);
    if (known < 0)
        return -1;
    if (!known && (make_layer(s, fill_from, from, filter, epoch, from->threads, out, err) < 0 ||
                   record_layer(s, key, from, out, err) < 0))
        return -1;
    out->media_type = xstrdup(media_types[filter]);
    out->made_of = xstrdup(from->name);
    return 0;
}

// ---- texts ----

struct texts {
    const struct layer_text *items;
    size_t n;
};

static int fill_texts(struct layer_writer *l, const void *context, struct error **err)
{
    WITH_UTF8_NAMES;
    const struct texts *t = context;
    for (size_t i = 0; i < t->n; i++) {
        const struct layer_text *text = &t->items[i];
        struct reader_member m = {
            .path = text->path, .mode = S_IFREG | 0644, .size = text->length, .size_known = true};
        if (layer_writer_member(l, PAYLOAD_ROOT, &m, err) < 0 ||
            (text->length && layer_writer_data(l, text->bytes, text->length, err) < 0))
            return -1;
    }
    return 0;
}

int payload_layer_make_texts(struct store *s, const struct layer_text *texts, size_t count,
                             const char *made_of, enum layer_filter filter,
                             struct payload_layer *out, struct error **err)
{
    struct texts t = {texts, count};
    if (make_layer(s, fill_texts, &t, filter, INT64_MAX, 1, out, err) < 0)
        return -1;
    out->media_type = xstrdup(media_types[filter]);
    out->made_of = xstrdup(made_of);
    return 0;
}

// ---- removals ----

static int fill_removal(struct layer_writer *l, const void *context, struct error **err)
{
    static const struct reader_member empty = {.mode = S_IFREG | 0644, .size_known = true};
    const char *path = context;
    return write_parents(l, path, err) < 0 ? -1 : write_header(l, path, &empty, NULL, err);
}

int payload_layer_make_removal(struct store *s, const char *path, struct payload_layer *out,
                               struct error **err)
{
    cleanup_free char *target = xasprintf(PAYLOAD_ROOT "/%s", path);
    const char *base = path_base(target);
    cleanup_free char *mark = xasprintf("%.*s.wh.%s", (int)(base - target), target, base);
    if (make_layer(s, fill_removal, mark, LAYER_GZIP, INT64_MAX, 1, out, err) < 0)
        return -1;
    out->media_type = xstrdup(media_types[LAYER_GZIP]);
    out->made_of = xasprintf("removal of the base's /%s", target);
    return 0;
}
