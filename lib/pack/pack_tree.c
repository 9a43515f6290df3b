// SPDX-License-Identifier: Apache-2.0
// Packs a folder, or given members, as a normal tarball. A folder is listed once, by directory
// descriptors; what was listed is opened without following links.
#include "pack/internal.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

// ---- the entries of a folder ----

static char *read_link(int directory, const char *name, struct error **err)
{
    char target[NAME_LIMIT + 2];
    ssize_t n = readlinkat(directory, name, target, sizeof target - 1);
    if (n < 0) {
        error_errno(err, errno, "reading the link");
        return NULL;
    }
    return xstrndup(target, (size_t)n);
}

static const char *special_kind(unsigned mode)
{
    switch (mode & S_IFMT) {
    case S_IFCHR:
    case S_IFBLK:
        return "a device node";
    case S_IFIFO:
        return "a fifo";
    case S_IFSOCK:
        return "a socket";
    default:
        return NULL;
    }
}

// Adds the entry `name` of `directory`.
static int add_entry(struct scan *s, int directory, const char *name, const char *path,
                     struct error **err)
{
    struct scan_entry e = {0};
    cleanup_free char *shown = printable(*path ? path : ".");
    struct stat st;
    const char *special = NULL;
    if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
        return error_errno(err, errno, "looking at %s", shown);
    if (strchr(path, '\n'))
        return error_user(err, "%s cannot be packed: its name contains a newline", shown);
    if (strlen(path) > NAME_LIMIT)
        return error_user(err, "%.200s... cannot be packed: its name is too long", shown);
    if ((special = special_kind(st.st_mode)))
        return error_user(err, "%s cannot be packed: it is %s", shown, special);
    if (S_ISLNK(st.st_mode) && !(e.link = read_link(directory, name, err)))
        return error_wrap(err, "%s", shown);
    e.path = xstrdup(path);
    e.mode = st.st_mode;
    e.size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    e.mtime = st.st_mtim.tv_sec;
    e.device = st.st_dev;
    e.inode = st.st_ino;
    s->entries = xgrow(s->entries, &s->cap, s->n + 1, sizeof *s->entries);
    s->entries[s->n++] = e;
    return 0;
}

static int visit(const struct beneath_entry *e, void *context, struct error **err)
{
    if (e->event == BENEATH_LEAVE)
        return 0;
    // By the directory's own descriptor, so that the listed directory is the one entered.
    return e->fd >= 0 ? add_entry(context, e->fd, "", e->path, err)
                      : add_entry(context, e->directory, e->name, e->path, err);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct scan_entry *)a)->path, ((const struct scan_entry *)b)->path);
}

static int by_file(const void *a, const void *b)
{
    const struct scan_entry *x = *(struct scan_entry *const *)a,
                            *y = *(struct scan_entry *const *)b;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    if (x->inode != y->inode)
        return x->inode < y->inode ? -1 : 1;
    return x < y ? -1 : x > y; // by position, and so by path: the first name is the file
}

static void find_hard_links(struct scan *s)
{
    cleanup_free struct scan_entry **files = xcalloc(s->n, sizeof(struct scan_entry *));
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        s->entries[i].first = i;
        if (S_ISREG(s->entries[i].mode))
            files[n++] = &s->entries[i];
    }
    qsort(files, n, sizeof(struct scan_entry *), by_file);
    for (size_t i = 0; i < n; i++) {
        if (i && files[i]->device == files[i - 1]->device && files[i]->inode == files[i - 1]->inode)
            files[i]->first = files[i - 1]->first;
        else
            s->bytes += files[i]->size;
    }
}

static int scan_directory(int directory, const char *shown, struct scan *out, struct error **err)
{
    *out = SCAN_NONE;
    out->root = fcntl(directory, F_DUPFD_CLOEXEC, 0);
    if (out->root < 0)
        return error_errno(err, errno, "opening the directory %s", shown);
    const struct beneath_walk walk = {
        .visit = visit, .context = out, .depth_limit = DEPTH_LIMIT + 1};
    if (beneath_walk(out->root, shown, &walk, err) < 0)
        return error_wrap(err, "%s", shown);
    qsort(out->entries, out->n, sizeof *out->entries, by_path);
    find_hard_links(out);
    return 0;
}

int scan_folder(const char *folder, struct scan *out, struct error **err)
{
    *out = SCAN_NONE;
    cleanup_close int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "opening the directory %s", folder);
    return scan_directory(fd, folder, out, err);
}

int scan_open(const struct scan *s, const struct scan_entry *e, struct error **err)
{
    cleanup_close int fd = beneath_open(s->root, e->path, O_RDONLY | O_NONBLOCK, 0);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "opening it");
    if (st.st_dev != e->device || st.st_ino != e->inode)
        return error_user(err, "it was exchanged while the directory was read");
    return steal_fd(&fd);
}

void scan_free(struct scan *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->entries[i].path);
        free(s->entries[i].link);
    }
    free(s->entries);
    if (s->root >= 0)
        close(s->root);
    *s = SCAN_NONE;
}

// ---- a folder ----

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
    if (reach == LINK_UNDECIDED) {
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
        return error_errno(err, errno, "packing: opening the directory %s", folder);
    return pack_directory(directory, folder, fd, o, err);
}

// ---- given members ----

static int by_member_path(const void *a, const void *b)
{
    const struct pack_member *x = *(struct pack_member *const *)a,
                             *y = *(struct pack_member *const *)b;
    return strcmp(x->path, y->path);
}

static int open_source(const struct pack_member *m, uint64_t *size, struct error **err)
{
    cleanup_close int fd = open(m->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "reading %s", m->source);
    if (!S_ISREG(st.st_mode))
        return error_user(err, "reading %s: it is not a file", m->source);
    *size = (uint64_t)st.st_size;
    return steal_fd(&fd);
}

// The approximate content size. A file without stat is an error later, when it is read.
static uint64_t expected_bytes(const struct pack_member *members, size_t count)
{
    uint64_t total = 0;
    struct stat st;
    for (size_t i = 0; i < count; i++)
        if (members[i].source && !stat(members[i].source, &st))
            total += (uint64_t)st.st_size;
    return total;
}

static int write_member(struct tar_out *t, const struct pack_member *m,
                        const struct pack_options *o, uint64_t *done, struct error **err)
{
    if (tar_out_parents(t, m->path, err) < 0)
        return -1;
    struct tar_entry e = {.path = m->path, .mtime = o->epoch, .link = m->link};
    if (m->link || m->directory) {
        e.mode = m->link ? S_IFLNK | 0777 : S_IFDIR | 0755;
        return tar_out_entry(t, &e, err);
    }
    e.mode = S_IFREG | ((unsigned)m->mode & 0777);
    int fd = open_source(m, &e.size, err);
    if (fd < 0)
        return -1;
    *done += e.size;
    return tar_out_file(t, &e, fd, err);
}

// Each member once, clean, and none below a file or link.
static int check_members(struct pack_member *const *sorted, size_t count, struct error **err)
{
    for (size_t i = 0; i < count; i++) {
        const struct pack_member *m = sorted[i];
        if (!path_is_clean(m->path) || strchr(m->path, '\n') || strlen(m->path) > NAME_LIMIT)
            return error_user(err, "packing \"%s\": it is not a clean relative path", m->path);
        if (!m->link && !m->directory && !m->source)
            return error_user(err, "packing %s: it has no content", m->path);
        for (size_t j = 0; j < i; j++) {
            size_t n = strlen(sorted[j]->path);
            bool below = !strncmp(m->path, sorted[j]->path, n) && m->path[n] == '/';
            if (!strcmp(m->path, sorted[j]->path))
                return error_user(err, "packing %s: it is named twice", m->path);
            if (below && !sorted[j]->directory)
                return error_user(err, "packing %s: %s is not a directory", m->path,
                                  sorted[j]->path);
        }
    }
    return 0;
}

int pack_members(const struct pack_member *members, size_t count, int fd,
                 const struct pack_options *o, struct error **err)
{
    WITH_UTF8_NAMES;
    cleanup_free struct pack_member **sorted = xcalloc(count, sizeof(struct pack_member *));
    for (size_t i = 0; i < count; i++)
        sorted[i] = (struct pack_member *)&members[i];
    qsort(sorted, count, sizeof(struct pack_member *), by_member_path);
    if (check_members(sorted, count, err) < 0)
        return -1;
    cleanup_tar_out struct tar_out *t =
        tar_out_open(fd, o, count, expected_bytes(members, count), err);
    if (!t)
        return error_wrap(err, "packing");
    uint64_t done = 0;
    if (!count) {
        struct tar_entry root = {.path = "", .mode = S_IFDIR | 0755, .mtime = o->epoch};
        if (tar_out_entry(t, &root, err) < 0)
            return error_wrap(err, "packing");
    }
    for (size_t i = 0; i < count; i++) {
        if (write_member(t, sorted[i], o, &done, err) < 0)
            return error_wrap(err, "packing %s", sorted[i]->path);
        progress("packing", done, 0, "bytes");
    }
    return tar_out_finish(t, err) < 0 ? error_wrap(err, "packing") : 0;
}
