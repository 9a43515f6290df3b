// SPDX-License-Identifier: Apache-2.0
// Looks up names that somebody else chose: openat2(2) for one name, a walk by directory descriptors
// for a tree.
//
// The walk holds the descriptor of the current directory, and device and inode of those above it.
// It goes up by "..", which must be the directory that it came from.
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// ---- one name ----

static int open_resolved(int root, const char *path, int flags, mode_t mode, __u64 resolve)
{
    flags |= O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY);
    struct open_how how = {.flags = (__u64)(unsigned)flags,
                           .mode = (flags & (O_CREAT | __O_TMPFILE)) ? mode : 0,
                           .resolve = resolve};
    int fd;
    do // EAGAIN: something was renamed during the lookup (openat2(2))
        fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    return fd;
}

int beneath_open(int root, const char *path, int flags, mode_t mode)
{
    return open_resolved(root, path, flags | O_NOFOLLOW, mode,
                         RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

int beneath_follow(int root, const char *path, int flags)
{
    return open_resolved(root, path, flags, 0, RESOLVE_BENEATH);
}

int beneath_open_in_root(int root, const char *path, int flags)
{
    return open_resolved(root, path, flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

// Says what is there instead of the expected directory or file.
static int refuse(int root, const char *path, const char *shown, const char *wanted, int errnum,
                  struct error **err)
{
    struct stat st;
    cleanup_close int fd = beneath_open(root, path, O_PATH, 0);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode))
        errnum = ELOOP;
    if (errnum == ELOOP)
        return error_user(err, "%s is a link, or is reached through one: a real %s is required",
                          shown, wanted);
    if (errnum == ENOTDIR || errnum == EISDIR)
        return error_user(err, "%s is not a real %s", shown, wanted);
    return error_errno(err, errnum, "opening the %s %s", wanted, shown);
}

int beneath_open_directory(int root, const char *path, const char *shown, struct error **err)
{
    int fd = beneath_open(root, path, O_RDONLY | O_DIRECTORY, 0);
    return fd < 0 ? refuse(root, path, shown, "directory", errno, err) : fd;
}

int beneath_open_owned(int directory, const char *name)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(directory, name, flags);
    if (fd < 0 && errno == EACCES && beneath_chmod(directory, name, 0700) == 0)
        fd = openat(directory, name, flags);
    return fd;
}

int beneath_open_file(int root, const char *path, const char *shown, struct error **err)
{
    cleanup_close int fd = beneath_open(root, path, O_RDONLY | O_NONBLOCK, 0);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return refuse(root, path, shown, "file", errno, err);
    if (!S_ISREG(st.st_mode))
        return refuse(root, path, shown, "file", EISDIR, err);
    return steal_fd(&fd);
}

int beneath_chmod(int directory, const char *name, mode_t mode)
{
    // fchmodat() follows links, so the mode is changed by descriptor.
    cleanup_close int fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    if (S_ISLNK(st.st_mode)) {
        errno = ELOOP;
        return -1;
    }
    char path[sizeof "/proc/self/fd/" + 3 * sizeof fd];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return chmod(path, mode);
}

// ---- a whole tree ----

struct dir_name {
    unsigned char type;
    char *text;
};
struct dir_names {
    struct dir_name *items;
    size_t n, cap, next;
};
struct dir_level {
    struct dir_names names;
    dev_t device;
    ino_t inode;
    size_t path_length; // of the directory
};
struct dir_walk {
    const struct beneath_walk *options;
    const char *shown;
    int fd; // of the current directory
    struct dir_level *levels;
    size_t depth, cap; // levels[depth - 1] is the current directory
    struct buf path;   // of the current entry
};

static int walk_fail(const struct dir_walk *w, int errnum, const char *doing, struct error **err)
{
    return error_errno(err, errnum, "%s %s%s%s", doing, w->shown, w->path.len ? "/" : "",
                       w->path.data);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct dir_name *)a)->text, ((const struct dir_name *)b)->text);
}

static void names_free(struct dir_names *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i].text);
    free(l->items);
}

static int read_names(const struct dir_walk *w, struct dir_names *out, struct error **err)
{
    int copy = fcntl(w->fd, F_DUPFD_CLOEXEC, 0);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (!dir) {
        int errnum = errno;
        if (copy >= 0)
            close(copy);
        return walk_fail(w, errnum, "listing", err);
    }
    rewinddir(dir);
    struct dirent *e;
    for (errno = 0; (e = readdir(dir)); errno = 0) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        out->items = xgrow(out->items, &out->cap, out->n + 1, sizeof *out->items);
        out->items[out->n++] = (struct dir_name){e->d_type, xstrdup(e->d_name)};
    }
    int result = errno ? walk_fail(w, errno, "listing", err) : 0;
    closedir(dir);
    if (out->n && w->options->sorted)
        qsort(out->items, out->n, sizeof *out->items, compare_names);
    return result;
}

// A subdirectory of the current directory; -1 with errno.
static int open_below(const struct dir_walk *w, const char *name)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(w->fd, name, flags);
    if (fd < 0 && errno == EACCES && w->options->access && beneath_chmod(w->fd, name, 0700) == 0)
        fd = openat(w->fd, name, flags);
    return fd;
}

// If it was a directory when its name was read and is none now, it was replaced.
static int cannot_open(const struct dir_walk *w, const struct beneath_entry *e, int errnum,
                       struct error **err)
{
    if (w->options->closed)
        return w->options->closed(e, errnum, w->options->context, err);
    if (errnum == ENOTDIR || errnum == ELOOP)
        return error_user(err, "%s/%s was a directory and is none any more", w->shown,
                          w->path.data);
    return walk_fail(w, errnum, "opening the directory", err);
}

// Calls the visitor for the directory `fd`, an entry of the current one, and enters it, or returns
// BENEATH_SKIP.
static int enter_directory(struct dir_walk *w, int fd, const struct beneath_entry *e,
                           struct error **err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return walk_fail(w, errno, "looking at", err);
    if (w->options->access && (st.st_mode & 0700) != 0700 &&
        fchmod(fd, (st.st_mode & 07777) | 0700) < 0)
        return walk_fail(w, errno, "changing the mode of", err);
    if (w->options->depth_limit && e->depth >= w->options->depth_limit)
        return error_user(err,
                          "reading %s/%.200s...: more than %u directories are inside one another",
                          w->shown, w->path.data, w->options->depth_limit);
    int visited = w->options->visit(e, w->options->context, err);
    if (visited)
        return visited;
    w->levels = xgrow(w->levels, &w->cap, w->depth + 1, sizeof *w->levels);
    w->levels[w->depth++] =
        (struct dir_level){.device = st.st_dev, .inode = st.st_ino, .path_length = w->path.len};
    if (w->fd >= 0)
        close(w->fd);
    w->fd = fd;
    return read_names(w, &w->levels[w->depth - 1].names, err);
}

// Opens the parent of the current directory by "..". It must be the one that the walk came from.
static int open_above(const struct dir_walk *w, struct error **err)
{
    const struct dir_level *above = &w->levels[w->depth - 2];
    cleanup_close int fd = openat(w->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return walk_fail(w, errno, "going up from", err);
    if (st.st_dev != above->device || st.st_ino != above->inode)
        return error_user(err, "%s/%s was moved while it was read", w->shown, w->path.data);
    return steal_fd(&fd);
}

static int leave_directory(struct dir_walk *w, struct error **err)
{
    struct dir_level *l = &w->levels[w->depth - 1];
    w->path.len = l->path_length;
    w->path.data[w->path.len] = '\0';
    cleanup_close int above = w->depth > 1 ? open_above(w, err) : -1;
    if (w->depth > 1 && above < 0)
        return -1;
    const char *slash = strrchr(w->path.data, '/');
    const struct beneath_entry e = {.event = BENEATH_LEAVE,
                                    .type = DT_DIR,
                                    .directory = above >= 0 ? above : w->fd,
                                    .name = slash ? slash + 1 : w->path.data,
                                    .path = w->path.data,
                                    .depth = (unsigned)w->depth - 1,
                                    .fd = w->fd};
    int result = w->options->visit(&e, w->options->context, err);
    names_free(&l->names);
    w->depth--;
    close(w->fd);
    w->fd = steal_fd(&above);
    return result;
}

static int visit_name(struct dir_walk *w, const struct dir_name *name, struct error **err)
{
    size_t above = w->levels[w->depth - 1].path_length;
    w->path.len = above;
    if (above)
        buf_puts(&w->path, "/");
    buf_puts(&w->path, name->text);
    struct beneath_entry e = {.event = BENEATH_OTHER,
                              .type = name->type,
                              .directory = w->fd,
                              .name = name->text,
                              .path = w->path.data,
                              .depth = (unsigned)w->depth,
                              .fd = -1};
    struct stat st;
    if (e.type == DT_UNKNOWN) {
        if (fstatat(w->fd, name->text, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return walk_fail(w, errno, "looking at", err);
        e.type = IFTODT(st.st_mode);
    }
    if (e.type != DT_DIR)
        return w->options->visit(&e, w->options->context, err);
    e.event = BENEATH_ENTER;
    e.fd = open_below(w, name->text);
    if (e.fd < 0)
        return cannot_open(w, &e, errno, err);
    size_t depth = w->depth;
    int result = enter_directory(w, e.fd, &e, err);
    if (w->depth == depth) // not entered
        close(e.fd);
    return result == BENEATH_SKIP ? 0 : result;
}

int beneath_walk(int root, const char *shown, const struct beneath_walk *options,
                 struct error **err)
{
    struct dir_walk w = {.options = options, .shown = shown, .fd = -1};
    buf_puts(&w.path, "");
    cleanup_close int copy = fcntl(root, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        buf_free(&w.path);
        return error_errno(err, errno, "opening the directory %s", shown);
    }
    const struct beneath_entry e = {.event = BENEATH_ENTER,
                                    .type = DT_DIR,
                                    .directory = root,
                                    .name = "",
                                    .path = "",
                                    .fd = root};
    int result = enter_directory(&w, copy, &e, err);
    if (w.depth)
        steal_fd(&copy);
    while (!result && w.depth) {
        struct dir_names *names = &w.levels[w.depth - 1].names;
        result = names->next < names->n ? visit_name(&w, &names->items[names->next++], err)
                                        : leave_directory(&w, err);
    }
    while (w.depth)
        names_free(&w.levels[--w.depth].names);
    if (w.fd >= 0)
        close(w.fd);
    free(w.levels);
    buf_free(&w.path);
    return result == BENEATH_SKIP ? 0 : result;
}

// ---- removing, stripping ----

static int remove_entry(const struct beneath_entry *e, void *shown, struct error **err)
{
    if (e->event == BENEATH_ENTER || !*e->name)
        return 0;
    int flags = e->event == BENEATH_LEAVE ? AT_REMOVEDIR : 0;
    if (unlinkat(e->directory, e->name, flags) < 0 && errno != ENOENT)
        return error_errno(err, errno, "removing %s/%s", (const char *)shown, e->path);
    return 0;
}

int beneath_remove(int directory, const char *name, const char *shown, struct error **err)
{
    if (unlinkat(directory, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM && errno != EACCES)
        return error_errno(err, errno, "removing %s", shown);
    cleanup_close int fd = beneath_open_owned(directory, name);
    if (fd < 0)
        return error_errno(err, errno, "removing %s", shown);
    const struct beneath_walk walk = {
        .visit = remove_entry, .context = (void *)shown, .access = true};
    if (beneath_walk(fd, shown, &walk, err) < 0)
        return -1;
    if (unlinkat(directory, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return error_errno(err, errno, "removing %s", shown);
    return 0;
}

static int strip_entry(const struct beneath_entry *e, void *shown, struct error **err)
{
    struct stat st;
    if (e->event == BENEATH_LEAVE || e->type == DT_LNK)
        return 0;
    if (fstatat(e->directory, e->name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
        return error_errno(err, errno, "looking at %s/%s", (const char *)shown, e->path);
    mode_t mode = (st.st_mode & 0777) | (S_ISREG(st.st_mode) ? 0400 : 0);
    if ((st.st_mode & 07777) == mode || S_ISLNK(st.st_mode))
        return 0;
    int done = e->fd >= 0 ? fchmod(e->fd, mode) : beneath_chmod(e->directory, e->name, mode);
    return done < 0
               ? error_errno(err, errno, "changing the mode of %s/%s", (const char *)shown, e->path)
               : 0;
}

int beneath_strip(int root, const char *shown, struct error **err)
{
    const struct beneath_walk walk = {
        .visit = strip_entry, .context = (void *)shown, .access = true};
    return beneath_walk(root, shown, &walk, err);
}

// ---- the directories of an archive's members ----

static void pop_to(struct beneath *b, size_t n)
{
    while (b->n > n) {
        b->n--;
        close(b->levels[b->n].fd);
        free(b->levels[b->n].name);
    }
}

// Opens the directory that the first `length` bytes of the path lead to, following links.
static int follow(const struct beneath *b, const char *path, size_t length)
{
    cleanup_free char *prefix = xstrndup(path, length);
    return beneath_open_in_root(b->root, prefix, O_RDONLY | O_DIRECTORY);
}

// `length`: of the path up to the end of the name.
static int enter(struct beneath *b, const char *name, const char *path, size_t length,
                 struct error **err)
{
    int above = b->n ? b->levels[b->n - 1].fd : b->root;
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(above, name, flags);
    if (fd < 0 && errno == ENOENT) {
        if (mkdirat(above, name, 0755) < 0)
            return error_errno(err, errno, "creating the directory %s above it", name);
        fd = openat(above, name, flags);
    }
    if (fd < 0 && b->in_root && (errno == ENOTDIR || errno == ELOOP)) {
        fd = follow(b, path, length);
        if (fd < 0 && errno == ENOENT)
            return error_user(err, "%s above it is a link to nothing", name);
        if (fd < 0 && errno == ELOOP)
            return error_user(err, "%s above it is a link that goes in circles", name);
    }
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        return error_user(
            err, "%s above it is a link or a file, and nothing is written through those", name);
    if (fd < 0)
        return error_errno(err, errno, "opening the directory %s above it", name);
    b->levels[b->n].name = xstrdup(name);
    b->levels[b->n].fd = fd;
    b->n++;
    return 0;
}

int beneath_parent(struct beneath *b, const char *path, const char **base, struct error **err)
{
    size_t level = 0;
    const char *p = path;
    for (const char *slash; (slash = strchr(p, '/')); p = slash + 1, level++) {
        if (level == BENEATH_DEPTH)
            return error_user(err, "it is more than 128 directories deep");
        size_t n = (size_t)(slash - p);
        const char *have = level < b->n ? b->levels[level].name : NULL;
        if (have && !strncmp(have, p, n) && have[n] == '\0')
            continue;
        pop_to(b, level);
        cleanup_free char *name = xstrndup(p, n);
        if (enter(b, name, path, (size_t)(slash - path), err) < 0)
            return -1;
    }
    *base = p;
    pop_to(b, level);
    return level ? b->levels[level - 1].fd : b->root;
}

void beneath_close(struct beneath *b)
{
    pop_to(b, 0);
}
