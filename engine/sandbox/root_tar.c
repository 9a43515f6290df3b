// SPDX-License-Identifier: Apache-2.0
// Writes a root file system as a tar stream, depth first, sorted by names. Content comes from the
// tree; owners, modes and times from the packages' headers, so that they are right even if an
// ordinary user unpacked them.
#include "pack/libarchive.h"
#include "sandbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct hard_link {
    dev_t device;
    ino_t inode;
    char *path;
};

struct root_tar {
    const char *root;
    const struct deb_files *files; // sorted by path, one each
    struct archive *archive;
    int64_t newest; // time of files that no package has
    struct hard_link *links;
    size_t link_count, link_cap;
};

static int compare_deb_files(const void *a, const void *b)
{
    return strcmp(((const struct deb_file *)a)->path, ((const struct deb_file *)b)->path);
}

// Moves the paths as the merge of /usr did, sorts, and joins several for one path: packages share
// folders, and the newest time is taken.
static void index_deb_files(struct deb_files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        struct deb_file *f = &files->items[i];
        // A merged release has the link /bin itself in a package.
        char *path =
            S_ISLNK(f->mode) && !strchr(f->path, '/') ? xstrdup(f->path) : merged_path(f->path);
        free(f->path);
        f->path = path;
    }
    if (files->n)
        qsort(files->items, files->n, sizeof *files->items, compare_deb_files);
    size_t kept = 0;
    for (size_t i = 0; i < files->n; i++) {
        struct deb_file *f = &files->items[i], *last = kept ? &files->items[kept - 1] : NULL;
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed lies behind `kept`
        if (!last || strcmp(last->path, f->path) != 0) {
            files->items[kept++] = *f;
            continue;
        }
        // qsort is not stable: the choice may depend on the values only.
        if (f->mtime > last->mtime)
            last->mtime = f->mtime;
        if (f->mode > last->mode)
            last->mode = f->mode;
        if (f->uid > last->uid)
            last->uid = f->uid;
        if (f->gid > last->gid)
            last->gid = f->gid;
        free(f->path);
    }
    files->n = kept;
}

static int tar_failed(struct root_tar *t, const char *path, struct error **err)
{
    const char *why = archive_error_string(t->archive);
    return error_errno(err, archive_errno(t->archive), "writing %s to the archive (%s)", path,
                       why ? why : "unknown");
}

// The path that this file was written under before, or NULL.
static const char *earlier_link_path(struct root_tar *t, const struct stat *st, const char *path)
{
    for (size_t i = 0; i < t->link_count; i++)
        if (t->links[i].device == st->st_dev && t->links[i].inode == st->st_ino)
            return t->links[i].path;
    t->links = xgrow(t->links, &t->link_cap, t->link_count + 1, sizeof *t->links);
    t->links[t->link_count++] = (struct hard_link){st->st_dev, st->st_ino, xstrdup(path)};
    return NULL;
}

static void describe_entry(struct root_tar *t, struct archive_entry *e, const char *path,
                           const struct stat *st)
{
    struct deb_file wanted = {.path = (char *)path}, *found = NULL;
    if (t->files->n)
        found = bsearch(&wanted, t->files->items, t->files->n, sizeof wanted, compare_deb_files);
    if (found && (found->mode & S_IFMT) != (st->st_mode & S_IFMT))
        found = NULL;
    unsigned mode = S_ISDIR(st->st_mode) || (st->st_mode & 0111) ? 0755 : 0644;
    cleanup_free char *name = xasprintf(*path ? "./%s" : ".%s/", path);
    archive_entry_set_pathname(e, name);
    archive_entry_set_mode(e, (st->st_mode & S_IFMT) | (found                  ? found->mode & 07777
                                                        : S_ISLNK(st->st_mode) ? 0777
                                                                               : mode));
    archive_entry_set_uid(e, found ? found->uid : 0);
    archive_entry_set_gid(e, found ? found->gid : 0);
    archive_entry_set_mtime(e, found ? found->mtime : t->newest, 0);
}

static int write_content(struct root_tar *t, const struct beneath_entry *from, const char *full,
                         uint64_t size, struct error **err)
{
    cleanup_close int fd = openat(from->directory, from->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return error_errno(err, errno, "reading %s", full);
    char chunk[65536];
    uint64_t done = 0;
    for (ssize_t n; (n = fd_read(fd, chunk, sizeof chunk)) != 0;) {
        if (n < 0)
            return error_errno(err, errno, "reading %s", full);
        if (archive_write_data(t->archive, chunk, (size_t)n) < 0)
            return tar_failed(t, full, err);
        done += (uint64_t)n;
    }
    return done == size ? 0 : error_user(err, "%s changed while it was read", full);
}

static int write_entry(struct root_tar *t, const struct beneath_entry *from, const char *full,
                       const struct stat *st, struct error **err)
{
    struct archive_entry *e = archive_entry_new();
    describe_entry(t, e, from->path, st);
    const char *first = NULL;
    int result = 0;
    if (S_ISLNK(st->st_mode)) {
        char target[4096];
        ssize_t n = readlinkat(from->directory, from->name, target, sizeof target - 1);
        if (n < 0)
            result = error_errno(err, errno, "reading the link %s", full);
        target[n > 0 ? n : 0] = '\0';
        archive_entry_set_symlink(e, target);
    } else if (S_ISREG(st->st_mode)) {
        first = st->st_nlink > 1 ? earlier_link_path(t, st, from->path) : NULL;
        cleanup_free char *link = first ? xasprintf("./%s", first) : NULL;
        if (link)
            archive_entry_set_hardlink(e, link);
        archive_entry_set_size(e, first ? 0 : st->st_size);
    }
    if (!result && archive_write_header(t->archive, e) != ARCHIVE_OK)
        result = tar_failed(t, full, err);
    if (!result && S_ISREG(st->st_mode) && !first)
        result = write_content(t, from, full, (uint64_t)st->st_size, err);
    archive_entry_free(e);
    return result;
}

static int visit_entry(const struct beneath_entry *e, void *context, struct error **err)
{
    struct root_tar *t = context;
    cleanup_free char *full = xasprintf("%s/%s", t->root, e->path);
    struct stat st;
    if (e->event == BENEATH_LEAVE)
        return 0;
    if (fstatat(e->directory, e->name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
        return error_errno(err, errno, "looking at %s", full);
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return error_user(err, "%s is neither a file, a directory nor a link", full);
    return write_entry(t, e, full, &st, err);
}

int rootfs_write_tar(const char *root, struct deb_files *files, int fd, struct error **err)
{
    index_deb_files(files);
    struct root_tar t = {.root = root, .files = files, .archive = archive_write_new()};
    for (size_t i = 0; i < files->n; i++)
        if (files->items[i].mtime > t.newest)
            t.newest = files->items[i].mtime;
    // GNU's format keeps names as the bytes that they are; pax would convert them by the user's
    // locale.
    archive_write_set_format_gnutar(t.archive);
    int result = 0;
    if (archive_write_open_fd(t.archive, fd) != ARCHIVE_OK)
        result = tar_failed(&t, root, err);
    if (!result)
        result = rootfs_walk(root, visit_entry, &t, err);
    if (!result && archive_write_close(t.archive) != ARCHIVE_OK)
        result = tar_failed(&t, root, err);
    archive_write_free(t.archive);
    for (size_t i = 0; i < t.link_count; i++)
        free(t.links[i].path);
    free(t.links);
    return result;
}
