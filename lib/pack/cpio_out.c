// SPDX-License-Identifier: Apache-2.0
// Writes a newc cpio over libarchive, and keeps the errors of failed writes.
#include "pack/tar_out.h"

#include "base/file.h"

#include <archive.h>
#include <archive_entry.h>
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

struct cpio_out *cpio_out_open(int fd, bool compress, struct error **err)
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

int cpio_out_entry(struct cpio_out *c, const char *path, const struct pack_entry *e, uint64_t size,
                   bool again, struct error **err)
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

int cpio_out_data(struct cpio_out *c, const void *bytes, size_t length, struct error **err)
{
    la_ssize_t n = archive_write_data(c->archive, bytes, length);
    if (n >= 0 && (size_t)n != length)
        return error_user(err, "it has grown while it was being read");
    return check(c, n >= 0, err);
}

int cpio_out_finish(struct cpio_out *c, struct error **err)
{
    bool good = archive_write_close(c->archive) == ARCHIVE_OK;
    return check(c, good, err);
}

void cpio_out_free(struct cpio_out *c)
{
    if (!c)
        return;
    c->broken = true; // libarchive would write an end to an unfinished archive
    archive_write_free(c->archive);
    error_free(c->failure);
    free(c);
}
