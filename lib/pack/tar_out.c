// SPDX-License-Identifier: Apache-2.0
// Writes the headers, contents and padding of a normal tarball.
#include "pack/internal.h"
#include "pack/libarchive.h"

#include "base/digest.h"
#include "base/file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { END_SIZE = 1024, CHUNK = 1 << 18, PER_MEMBER = 768 /* a record, and half of one */ };

struct tar_out {
    struct archive *archive;
    const struct compressor *with;
    void *compressor;
    struct map directories; // written ones
    struct error *failure;  // of the compressor inside the callback
    bool broken;            // nothing more is written
    int64_t epoch;
    uint64_t written; // bytes of tar
    char *chunk;
    struct listing *listing;      // or NULL
    struct digest_stream *digest; // of the file that is being written, with a listing
};

// Always reports success: libarchive 3.6 leaks memory after a failed write. The failure is kept,
// and later bytes are dropped.
static la_ssize_t on_write(struct archive *a, void *context, const void *bytes, size_t length)
{
    struct tar_out *t = context;
    if (!t->broken && t->with->add(t->compressor, bytes, length, &t->failure) < 0)
        t->broken = true;
    t->written += length;
    return (la_ssize_t)length;
}

// The result of a call: the failure of the callback, or that of libarchive.
static int check(struct tar_out *t, bool good, struct error **err)
{
    if (t->broken && t->failure && err) {
        *err = steal(t->failure);
        return -1;
    }
    const char *why = archive_error_string(t->archive);
    return good && !t->broken ? 0 : error_user(err, "%s", why ? why : "libarchive failed");
}

struct tar_out *tar_out_open(int fd, const struct pack_options *o, size_t files, uint64_t bytes,
                             struct error **err)
{
    struct tar_out *t = xcalloc(1, sizeof *t);
    t->epoch = o->epoch;
    t->listing = o->listing;
    if (t->listing)
        *t->listing = (struct listing){.normal = true};
    t->chunk = xmalloc(CHUNK);
    t->with = compressor_for(o->format);
    t->compressor = t->with->open(fd, o->threads, bytes + files * PER_MEMBER, err);
    if (!t->compressor) {
        tar_out_free(t);
        return NULL;
    }
    t->archive = archive_write_new();
    // No blocking factor: the end must be exactly the two zero records.
    if (!t->archive || archive_write_set_format_pax_restricted(t->archive) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(t->archive, 0) != ARCHIVE_OK ||
        archive_write_open(t->archive, t, NULL, on_write, NULL) != ARCHIVE_OK) {
        check(t, false, err);
        tar_out_free(t);
        return NULL;
    }
    return t;
}

static void fill_entry(struct archive_entry *entry, const struct tar_out *t,
                       const struct tar_entry *e)
{
    cleanup_free char *name = xasprintf("./%s", e->path);
    archive_entry_copy_pathname(entry, *e->path ? name : ".");
    archive_entry_set_mode(entry, (mode_t)e->mode);
    archive_entry_set_mtime(entry, clamp_time(e->mtime, t->epoch), 0);
    archive_entry_set_uname(entry, "root");
    archive_entry_set_gname(entry, "root");
    archive_entry_set_size(entry, S_ISREG(e->mode) && !e->hardlink ? (la_int64_t)e->size : 0);
    if (e->hardlink) {
        cleanup_free char *target = xasprintf("./%s", e->link);
        archive_entry_copy_hardlink(entry, target);
    } else if (e->link) {
        archive_entry_copy_symlink(entry, e->link);
    }
    attributes_to_entry(e->attributes, entry);
}

static void end_listed(struct tar_out *t)
{
    if (t->digest)
        digest_end(steal(t->digest), t->listing->entries[t->listing->n - 1].digest);
}

static void add_listed(struct tar_out *t, const struct tar_entry *e)
{
    struct listing *l = t->listing;
    if (!l)
        return;
    end_listed(t);
    l->entries = xgrow(l->entries, &l->cap, l->n + 1, sizeof *l->entries);
    l->entries[l->n++] =
        (struct listing_entry){.path = xstrdup(e->path),
                               .mode = e->hardlink ? S_IFREG | (e->mode & 07777) : e->mode,
                               .size = S_ISREG(e->mode) && !e->hardlink ? e->size : 0,
                               .mtime = clamp_time(e->mtime, t->epoch),
                               .link = e->link ? xstrdup(e->link) : NULL,
                               .hardlink = e->hardlink,
                               .attributes = e->attributes ? xstrdup(e->attributes) : NULL};
    l->normal = l->normal && normal_mode(e->mode) == e->mode;
    if (S_ISREG(e->mode) && !e->hardlink)
        t->digest = digest_begin();
}

int tar_out_entry(struct tar_out *t, const struct tar_entry *e, struct error **err)
{
    add_listed(t, e);
    struct archive_entry *entry = archive_entry_new();
    if (!entry)
        return error_user(err, "there is not enough memory");
    fill_entry(entry, t, e);
    int r = archive_write_header(t->archive, entry);
    archive_entry_free(entry);
    if (S_ISDIR(e->mode))
        map_put(&t->directories, e->path, 0);
    // A warning means a name that is no UTF-8: its bytes are written unchanged.
    return check(t, r == ARCHIVE_OK || r == ARCHIVE_WARN, err);
}

int tar_out_data(struct tar_out *t, const void *bytes, size_t length, struct error **err)
{
    if (t->digest)
        digest_add(t->digest, bytes, length);
    const char *p = bytes;
    while (length) {
        la_ssize_t n = archive_write_data(t->archive, p, length);
        if (check(t, n >= 0, err) < 0)
            return -1;
        if (n == 0)
            return error_user(err, "it has grown while it was being packed");
        p += n;
        length -= (size_t)n;
    }
    return 0;
}

int tar_out_file(struct tar_out *t, const struct tar_entry *e, int source_fd, struct error **err)
{
    cleanup_close int fd = source_fd;
    if (tar_out_entry(t, e, err) < 0)
        return -1;
    uint64_t left = e->size;
    for (;;) {
        ssize_t n = fd_read(fd, t->chunk, CHUNK);
        if (n < 0)
            return error_errno(err, errno, "reading it");
        if (n == 0)
            break;
        if ((uint64_t)n > left)
            return error_user(err, "it has grown while it was being packed");
        if (tar_out_data(t, t->chunk, (size_t)n, err) < 0)
            return -1;
        left -= (uint64_t)n;
    }
    return left ? error_user(err, "it has shrunk while it was being packed") : 0;
}

int tar_out_parents(struct tar_out *t, const char *path, struct error **err)
{
    for (size_t n = 0; *path; n++) {
        if (n && path[n] != '/' && path[n] != '\0')
            continue;
        cleanup_free char *parent = xstrndup(path, n);
        struct tar_entry e = {.path = parent, .mode = S_IFDIR | 0755, .mtime = t->epoch};
        if (path[n] == '\0')
            return 0;
        if (!map_find(&t->directories, parent) && tar_out_entry(t, &e, err) < 0)
            return -1;
    }
    return 0;
}

bool tar_out_has_directory(const struct tar_out *t, const char *path)
{
    return map_find(&t->directories, path) != NULL;
}

int tar_out_finish(struct tar_out *t, struct error **err)
{
    bool good = archive_write_finish_entry(t->archive) == ARCHIVE_OK;
    end_listed(t);
    if (check(t, good, err) < 0 || t->with->end_data(t->compressor, err) < 0)
        return -1;
    uint64_t before = t->written;
    good = archive_write_close(t->archive) == ARCHIVE_OK;
    if (check(t, good, err) < 0)
        return -1;
    if (t->written - before != END_SIZE)
        return error_user(err, "this libarchive ends an archive with %llu bytes instead of 1024",
                          (unsigned long long)(t->written - before));
    return t->with->finish(t->compressor, err);
}

void tar_out_free(struct tar_out *t)
{
    if (!t)
        return;
    // libarchive would write an end to an unfinished archive.
    t->broken = true;
    archive_write_free(t->archive);
    t->with->free(t->compressor);
    map_free(&t->directories);
    if (t->digest)
        digest_end(t->digest, (char[DIGEST_HEX_SIZE]){0});
    error_free(t->failure);
    free(t->chunk);
    free(t);
}
