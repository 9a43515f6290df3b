// SPDX-License-Identifier: Apache-2.0
#include "pack/scan.h"

#include "pack/names.h"

#include <dirent.h>
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

// Adds what is called `name` in `directory`; `path` is taken over.
static int add_entry(struct scan *s, int directory, const char *name, char *path,
                     struct error **err)
{
    struct scan_entry e = {.path = path};
    cleanup_free char *shown = printable(*path ? path : ".");
    struct stat st;
    const char *special = NULL;
    int result = 0;
    if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
        result = error_errno(err, errno, "looking at %s", shown);
    else if (strchr(path, '\n'))
        result = error_user(err, "%s cannot be packed: its name contains a newline", shown);
    else if (strlen(path) > NAME_LIMIT)
        result = error_user(err, "%.200s... cannot be packed: its name is too long", shown);
    else if ((special = special_kind(st.st_mode)))
        result = error_user(err, "%s cannot be packed: it is %s", shown, special);
    else if (S_ISLNK(st.st_mode) && !(e.link = read_link(directory, name, err)))
        result = error_wrap(err, "%s", shown);
    if (result < 0) {
        free(path);
        return result;
    }
    e.mode = st.st_mode;
    e.size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    e.mtime = st.st_mtim.tv_sec;
    e.device = st.st_dev;
    e.inode = st.st_ino;
    s->entries = xgrow(s->entries, &s->cap, s->n + 1, sizeof *s->entries);
    s->entries[s->n++] = e;
    return 0;
}

// Adds everything in the directory fd (which is closed) whose path is `path`.
static int add_directory(struct scan *s, int fd, const char *path, unsigned depth,
                         struct error **err)
{
    DIR *dir = depth > DEPTH_LIMIT ? NULL : fdopendir(fd);
    if (!dir) {
        int errnum = depth > DEPTH_LIMIT ? ELOOP : errno;
        close(fd);
        return error_errno(err, errnum, "listing %s", path);
    }
    int result = 0;
    struct dirent *e;
    for (errno = 0; !result && (e = readdir(dir)); errno = 0) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        char *inner = *path ? xasprintf("%s/%s", path, e->d_name) : xstrdup(e->d_name);
        result = add_entry(s, fd, e->d_name, inner, err);
        if (result < 0 || !S_ISDIR(s->entries[s->n - 1].mode))
            continue;
        int below = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        // The array may move while what is below is added: keep the path, which does not.
        result = below < 0 ? error_errno(err, errno, "opening the directory %s", inner)
                           : add_directory(s, below, inner, depth + 1, err);
    }
    if (!result && errno)
        result = error_errno(err, errno, "listing %s", path);
    closedir(dir);
    return result;
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
    return x < y ? -1 : x > y; // position, and so path: the first name is the file
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

int scan_folder(const char *folder, struct scan *out, struct error **err)
{
    *out = SCAN_NONE;
    out->root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (out->root < 0)
        return error_errno(err, errno, "opening the folder %s", folder);
    int top = openat(out->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (top < 0)
        return error_errno(err, errno, "opening the folder %s", folder);
    if (add_entry(out, out->root, "", xstrdup(""), err) < 0) {
        close(top);
        return error_wrap(err, "%s", folder);
    }
    if (add_directory(out, top, "", 0, err) < 0)
        return error_wrap(err, "%s", folder);
    qsort(out->entries, out->n, sizeof *out->entries, by_path);
    find_hard_links(out);
    return 0;
}

int scan_open(const struct scan *s, const struct scan_entry *e, struct error **err)
{
    int fd = openat(s->root, e->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd < 0 ? error_errno(err, errno, "opening it") : fd;
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
