// SPDX-License-Identifier: Apache-2.0
// Lists a folder once, by directory descriptors, and opens what was listed without following links.
#include "pack/scan.h"

#include "base/file.h"
#include "pack/names.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

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

int scan_directory(int directory, const char *shown, struct scan *out, struct error **err)
{
    *out = SCAN_NONE;
    out->root = fcntl(directory, F_DUPFD_CLOEXEC, 0);
    if (out->root < 0)
        return error_errno(err, errno, "opening the folder %s", shown);
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
        return error_errno(err, errno, "opening the folder %s", folder);
    return scan_directory(fd, folder, out, err);
}

int scan_open(const struct scan *s, const struct scan_entry *e, struct error **err)
{
    cleanup_close int fd = beneath_open(s->root, e->path, O_RDONLY | O_NONBLOCK, 0);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "opening it");
    if (st.st_dev != e->device || st.st_ino != e->inode)
        return error_user(err, "it was exchanged while the folder was read");
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
