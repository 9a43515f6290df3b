// SPDX-License-Identifier: Apache-2.0
// Writes the layers of an initrd as a newc cpio (Linux, Documentation/driver-api/early-userspace/
// buffer-format.rst), plain or gzip -9, over libarchive. Inode numbers count up from 1 in the order
// of writing.
#include "pack/internal.h"
#include "pack/libarchive.h"

#include "base/file.h"

#include <sys/stat.h>

enum { BLOCK = 1 << 16 };

struct cpio_out {
    struct archive *archive;
    struct error *failure; // of the callback
    bool broken;           // nothing more is written
    int fd;
    la_int64_t inode;
};

// Always reports success: libarchive 3.6 leaks memory after a failed write. The failure is kept,
// and later bytes are dropped.
static la_ssize_t on_write(struct archive *a, void *context, const void *bytes, size_t length)
{
    struct cpio_out *c = context;
    if (!c->broken && fd_write_all(c->fd, "the initrd", bytes, length, &c->failure) < 0)
        c->broken = true;
    return (la_ssize_t)length;
}

// The result of a call: the failure of the callback, or that of libarchive.
static int check(struct cpio_out *c, bool good, struct error **err)
{
    if (c->broken && c->failure && err) {
        *err = steal(c->failure);
        return -1;
    }
    const char *why = archive_error_string(c->archive);
    return good && !c->broken ? 0 : error_user(err, "%s", why ? why : "libarchive failed");
}

static bool set_up(struct cpio_out *c, bool compress)
{
    struct archive *a = c->archive;
    if (compress &&
        (archive_write_add_filter_gzip(a) != ARCHIVE_OK ||
         archive_write_set_filter_option(a, "gzip", "compression-level", "9") != ARCHIVE_OK ||
         archive_write_set_filter_option(a, "gzip", "timestamp", NULL) != ARCHIVE_OK))
        return false;
    return archive_write_set_format_cpio_newc(a) == ARCHIVE_OK &&
           archive_write_set_bytes_per_block(a, BLOCK) == ARCHIVE_OK &&
           archive_write_set_bytes_in_last_block(a, 1) == ARCHIVE_OK && // no padding
           archive_write_open(a, c, NULL, on_write, NULL) == ARCHIVE_OK;
}

static void cpio_out_free(struct cpio_out *c)
{
    if (!c)
        return;
    c->broken = true; // libarchive would write an end to an unfinished archive
    archive_write_free(c->archive);
    error_free(c->failure);
    free(c);
}

static void cpio_out_free_p(struct cpio_out **c)
{
    cpio_out_free(*c);
}
#define cleanup_cpio_out __attribute__((cleanup(cpio_out_free_p)))

static struct cpio_out *cpio_out_open(int fd, bool compress, struct error **err)
{
    struct cpio_out *c = xcalloc(1, sizeof *c);
    c->fd = fd;
    c->archive = archive_write_new();
    if (c->archive && set_up(c, compress))
        return c;
    check(c, false, err);
    cpio_out_free(c);
    return NULL;
}

// Writes one name of an entry, with `size` bytes of content to follow; with `again` it is one more
// name of the previous file: only the last name has the content.
static int cpio_out_entry(struct cpio_out *c, const char *path, const struct pack_entry *e,
                          uint64_t size, bool again, struct error **err)
{
    struct archive_entry *entry = archive_entry_new();
    if (!entry)
        return error_user(err, "there is not enough memory");
    if (!again)
        c->inode++;
    archive_entry_copy_pathname(entry, *path ? path : ".");
    archive_entry_set_mode(entry, (mode_t)e->mode);
    archive_entry_set_mtime(entry, e->mtime, 0);
    archive_entry_set_uid(entry, e->uid);
    archive_entry_set_gid(entry, e->gid);
    archive_entry_set_ino64(entry, c->inode);
    archive_entry_set_nlink(entry, S_ISDIR(e->mode) ? 2 : (unsigned)e->name_count);
    archive_entry_set_size(entry, (la_int64_t)size);
    if (S_ISLNK(e->mode))
        archive_entry_copy_symlink(entry, e->link);
    if (S_ISCHR(e->mode) || S_ISBLK(e->mode)) {
        archive_entry_set_rdevmajor(entry, e->major);
        archive_entry_set_rdevminor(entry, e->minor);
    }
    int r = archive_write_header(c->archive, entry);
    archive_entry_free(entry);
    return check(c, r == ARCHIVE_OK || r == ARCHIVE_WARN, err);
}

static int cpio_out_data(struct cpio_out *c, const void *bytes, size_t length, struct error **err)
{
    la_ssize_t n = archive_write_data(c->archive, bytes, length);
    if (n >= 0 && (size_t)n != length)
        return error_user(err, "it has grown while it was being read");
    return check(c, n >= 0, err);
}

static int cpio_out_finish(struct cpio_out *c, struct error **err)
{
    bool good = archive_write_close(c->archive) == ARCHIVE_OK;
    return check(c, good, err);
}

// All names of a file; the last one takes the content (both the kernel and cpio expect it there).
static int add_entry(void *context, const struct pack_entry *e, struct error **err)
{
    for (size_t i = 0; i < e->name_count; i++) {
        bool last = i + 1 == e->name_count;
        if (cpio_out_entry(context, e->names[i], e, last ? e->size : 0, i > 0, err) < 0)
            return error_wrap(err, "%s", e->names[i]);
    }
    return 0;
}

static int add_data(void *context, const void *bytes, size_t length, struct error **err)
{
    return cpio_out_data(context, bytes, length, err);
}

int pack_initrd(const struct initrd_layer *layers, size_t count, int fd,
                const struct initrd_options *o, struct error **err)
{
    const struct layers_options options = {.epoch = o->epoch, .init = "init", .what = "the initrd"};
    cleanup_cpio_out struct cpio_out *out = cpio_out_open(fd, o->compress, err);
    const struct pack_sink sink = {add_entry, add_data, out};
    if (!out || pack_layers(layers, count, &options, &sink, err) < 0 ||
        cpio_out_finish(out, err) < 0)
        return error_wrap(err, "packing the initrd");
    return 0;
}
