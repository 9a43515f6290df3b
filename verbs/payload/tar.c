// SPDX-License-Identifier: Apache-2.0
// The bytes of a layer (OCI image specification 1.1, layer.md): a pax tar, hashed, and then
// compressed: by several threads (gzip.h), or by a second archive of libarchive's raw format, which
// is nothing but its filter.
#include "payload/room.h"

#include "base/digest.h"
#include "base/file.h"
#include "pack/attributes.h"
#include "pack/gzip.h"
#include "pack/map.h"
#include "pack/names.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include <sys/stat.h>

enum { BLOCK = 1 << 18, PARENT_MODE = 0755 };

enum place { PLACE_DIRECTORY, PLACE_OTHER }; // what was written under a name

struct layer_out {
    struct archive *tar, *filter; // filter is for zstd
    struct gzip *gzip;            // for gzip
    struct archive_entry *entry;
    struct digest_stream *digest; // of the tar
    struct map places;
    struct error *failure; // of what a callback does
    bool broken;           // nothing more is written
    int fd;
    int64_t epoch, newest;
};

// ---- output: neither callback tells libarchive of a failure, for then it would leak ----

static la_ssize_t on_file(struct archive *a, void *context, const void *bytes, size_t length)
{
    struct layer_out *l = context;
    if (!l->broken && fd_write_all(l->fd, "a layer", bytes, length, &l->failure) < 0)
        l->broken = true;
    return (la_ssize_t)length;
}

static void failed(struct layer_out *l, struct archive *a)
{
    const char *why = archive_error_string(a);
    if (!l->failure)
        error_user(&l->failure, "compressing a layer: %s", why ? why : "libarchive failed");
    l->broken = true;
}

static la_ssize_t on_tar(struct archive *a, void *context, const void *bytes, size_t length)
{
    struct layer_out *l = context;
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
        failed(l, l->filter);
    return (la_ssize_t)length;
}

static int check(struct layer_out *l, bool good, struct error **err)
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

static bool open_zstd(struct layer_out *l)
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

static bool open_tar(struct layer_out *l)
{
    // Names are UTF-8 (the callers see to the locale); libarchive marks those that are not
    // (hdrcharset=BINARY, pax).
    struct archive *a = l->tar = archive_write_new();
    return a && archive_write_set_format_pax_restricted(a) == ARCHIVE_OK &&
           archive_write_set_bytes_per_block(a, BLOCK) == ARCHIVE_OK &&
           archive_write_set_bytes_in_last_block(a, 512) == ARCHIVE_OK &&
           archive_write_open(a, l, NULL, on_tar, NULL) == ARCHIVE_OK;
}

struct layer_out *payload_layer_open(int fd, enum layer_filter filter, int64_t epoch,
                                     unsigned threads, struct error **err)
{
    struct layer_out *l = xcalloc(1, sizeof *l);
    l->fd = fd;
    l->epoch = epoch;
    l->digest = digest_begin();
    l->entry = archive_entry_new();
    if (filter == LAYER_GZIP)
        l->gzip = gzip_begin(fd, threads);
    if (l->entry && (filter != LAYER_ZSTD || open_zstd(l)) && open_tar(l))
        return l;
    error_user(err, "this libarchive can't write a layer");
    payload_layer_free(l);
    return NULL;
}

// ---- members ----

static int write_header(struct layer_out *l, const char *path, const struct reader_member *m,
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
    return check(l, r == ARCHIVE_OK || r == ARCHIVE_WARN, err);
}

// Writes the directories above `path` that are not there yet.
static int write_parents(struct layer_out *l, const char *path, struct error **err)
{
    static const struct reader_member parent = {.mode = S_IFDIR | PARENT_MODE};
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        cleanup_free char *name = xstrndup(path, (size_t)(slash - path));
        const size_t *place = map_find(&l->places, name);
        if (place && *place == PLACE_DIRECTORY)
            continue;
        if (place)
            return error_user(err, "its name leads through %s, which is no directory", name);
        map_put(&l->places, name, PLACE_DIRECTORY);
        if (write_header(l, name, &parent, NULL, err) < 0)
            return -1;
    }
    return 0;
}

static int check_member(const struct layer_out *l, const char *path, const struct reader_member *m,
                        struct error **err)
{
    for (const unsigned char *c = (const unsigned char *)path; *c; c++)
        if (*c < ' ' || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0))
            return error_user(err, "its name has a control character, which has no place in a "
                                   "payload");
    if (starts_with(path_base(path), ".wh."))
        return error_user(err, "a name that begins with .wh. means the removal of a file in an "
                               "image");
    if (!S_ISREG(m->mode) && !S_ISDIR(m->mode) && !S_ISLNK(m->mode))
        return error_user(err, "it is a device, fifo or socket, which have no place in a payload");
    if (S_ISREG(m->mode) && !m->size_known)
        return error_user(err, "its size is not known beforehand: it is in an archive of another "
                               "kind than tar");
    const size_t *place = map_find(&l->places, path);
    bool again = place && *place == PLACE_DIRECTORY && S_ISDIR(m->mode);
    return !place || again ? 0 : error_user(err, "it is there twice");
}

int payload_layer_member(struct layer_out *l, const char *prefix, const struct reader_member *m,
                         struct error **err)
{
    cleanup_free char *path = *m->path ? xasprintf("%s/%s", prefix, m->path) : xstrdup(prefix);
    cleanup_free char *target = m->hardlink ? xasprintf("%s/%s", prefix, m->link) : NULL;
    if (check_member(l, path, m, err) < 0 || write_parents(l, path, err) < 0)
        return -1;
    if (S_ISDIR(m->mode) && map_find(&l->places, path))
        return 0; // a merged archive has each component's own; the first one decides
    if (m->hardlink) {
        const size_t *place = map_find(&l->places, target);
        if (!place || *place == PLACE_DIRECTORY)
            return error_user(err, "it is a hard link to what is not there: %s", m->link);
    }
    map_put(&l->places, path, S_ISDIR(m->mode) ? PLACE_DIRECTORY : PLACE_OTHER);
    return write_header(l, path, m, target ? target : m->link, err);
}

int payload_layer_data(struct layer_out *l, const void *bytes, size_t length, struct error **err)
{
    la_ssize_t n = archive_write_data(l->tar, bytes, length);
    if (n >= 0 && (size_t)n != length)
        return error_user(err, "it has more bytes than its header says");
    return check(l, n >= 0, err);
}

int payload_layer_finish(struct layer_out *l, char diff_id[static DIGEST_HEX_SIZE], int64_t *newest,
                         struct error **err)
{
    if (check(l, archive_write_close(l->tar) == ARCHIVE_OK, err) < 0)
        return -1;
    if (l->filter && archive_write_close(l->filter) != ARCHIVE_OK)
        failed(l, l->filter);
    if (l->gzip && !l->broken && gzip_end(l->gzip, &l->failure) < 0)
        l->broken = true;
    if (check(l, true, err) < 0)
        return -1;
    digest_end(steal(l->digest), diff_id);
    *newest = l->newest;
    return 0;
}

void payload_layer_free(struct layer_out *l)
{
    if (!l)
        return;
    l->broken = true; // libarchive writes the end of what is no longer wanted
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
