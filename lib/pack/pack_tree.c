// SPDX-License-Identifier: Apache-2.0
// Packs a folder as one tarball, with everything in it normalised.
#include "pack/attributes.h"
#include "pack/names.h"
#include "pack/pack.h"
#include "pack/reader.h"
#include "pack/scan.h"
#include "pack/tar_out.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static int write_entry(struct tar_out *t, const struct scan *s, size_t i, struct error **err)
{
    const struct scan_entry *e = &s->entries[i];
    struct tar_entry out = {.path = e->path,
                            .mode = normal_mode(e->mode),
                            .size = e->size,
                            .mtime = e->mtime,
                            .link = e->link};
    if (e->first != i) {
        out.hardlink = true;
        out.link = s->entries[e->first].path;
    }
    if (!S_ISREG(e->mode) || out.hardlink)
        return tar_out_entry(t, &out, err);
    cleanup_close int fd = scan_open(s, e, err);
    cleanup_free char *attributes = NULL;
    if (fd < 0 || attributes_of_file(fd, &attributes, err) < 0)
        return -1;
    out.attributes = attributes;
    return tar_out_file(t, &out, steal_fd(&fd), err);
}

// Refuses an entry that unpack() would refuse.
static int check_entry(const struct scan *s, const struct scan_entry *e, struct error **err)
{
    if (!e->link || *e->link == '/')
        return 0;
    enum link_reach reach = link_reach(e->path, e->link);
    if (reach == LINK_DOUBTFUL) {
        cleanup_close int fd = beneath_follow(s->root, e->path, O_PATH);
        if (fd < 0 && errno == EXDEV)
            reach = LINK_OUTSIDE;
    }
    if (reach != LINK_OUTSIDE)
        return 0;
    cleanup_free char *shown = printable(e->path), *target = printable(e->link);
    error_user(err, "%s cannot be packed: it is a link that leads out: %s", shown, target);
    return error_hint(
        err, "make it absolute if it is to lead to a file of the machine where it will be");
}

static int check_entries(const struct scan *s, struct error **err)
{
    if (s->bytes > READER_MAX_BYTES)
        return error_user(err, "its files have more than %llu GiB together",
                          (unsigned long long)(READER_MAX_BYTES >> 30));
    if (s->n > READER_MAX_MEMBERS)
        return error_user(err, "it has more than %d files and directories", READER_MAX_MEMBERS);
    for (size_t i = 0; i < s->n; i++)
        if (check_entry(s, &s->entries[i], err) < 0)
            return -1;
    return 0;
}

int pack_directory(int directory, const char *folder, int fd, const struct pack_options *o,
                   struct error **err)
{
    WITH_UTF8_NAMES;
    cleanup_scan struct scan scan = SCAN_NONE;
    if (scan_directory(directory, folder, &scan, err) < 0)
        return error_wrap(err, "packing");
    if (check_entries(&scan, err) < 0)
        return error_wrap(err, "packing %s", folder);
    cleanup_tar_out struct tar_out *t = tar_out_open(fd, o, scan.n, scan.bytes, err);
    if (!t)
        return error_wrap(err, "packing %s", folder);
    uint64_t done = 0;
    for (size_t i = 0; i < scan.n; i++) {
        if (write_entry(t, &scan, i, err) < 0) {
            cleanup_free char *shown = printable(scan.entries[i].path);
            return error_wrap(err, "packing %s/%s", folder, shown);
        }
        if (scan.entries[i].first == i)
            done += scan.entries[i].size;
        progress("packing", done, scan.bytes, "bytes");
    }
    if (tar_out_finish(t, err) < 0)
        return error_wrap(err, "packing %s", folder);
    return 0;
}

int pack_tree(const char *folder, int fd, const struct pack_options *o, struct error **err)
{
    cleanup_close int directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return error_errno(err, errno, "packing: opening the folder %s", folder);
    return pack_directory(directory, folder, fd, o, err);
}
