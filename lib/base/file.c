// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include "base/beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

int fd_read_all(int fd, const char *name, size_t limit, struct buf *out, struct error **err)
{
    size_t total = 0;
    for (;;) {
        char chunk[65536];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "reading %s", name);
        if (n == 0)
            return 0;
        total += (size_t)n;
        if (total > limit)
            return error_user(err, "reading %s: larger than the limit of %zu bytes", name, limit);
        buf_add(out, chunk, (size_t)n);
    }
}

int file_read(const char *path, size_t limit, struct buf *out, struct error **err)
{
    // O_NONBLOCK so that a fifo is refused instead of waited for.
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "reading %s", path);
    if (!S_ISREG(st.st_mode))
        return error_user(err, "reading %s: it is %s, not a file", path,
                          S_ISDIR(st.st_mode) ? "a directory" : "a special file");
    buf_add(out, "", 0);
    return fd_read_all(fd, path, limit, out, err);
}

int fd_write_all(int fd, const char *name, const void *bytes, size_t length, struct error **err)
{
    const char *p = bytes;
    while (length) {
        ssize_t n = write(fd, p, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "writing %s", name);
        p += n;
        length -= (size_t)n;
    }
    return 0;
}

int file_draft_begin(struct file_draft *d, const char *path, struct error **err)
{
    const char *base = path_base(path);
    d->path = xstrdup(path);
    d->temporary = xasprintf("%.*s.%s.XXXXXX", (int)(base - path), path, base);
    d->fd = mkostemp(d->temporary, O_CLOEXEC);
    if (d->fd >= 0)
        return 0;
    error_errno(err, errno, "creating %s", path);
    free(d->path);
    free(d->temporary);
    *d = FILE_DRAFT_NONE;
    return -1;
}

static int commit(struct file_draft *d, mode_t mode, bool sync, struct error **err)
{
    int result = 0;
    if (fchmod(d->fd, mode) < 0 || (sync && fsync(d->fd) < 0))
        result = error_errno(err, errno, "writing %s", d->path);
    if (close(steal_fd(&d->fd)) < 0 && !result)
        result = error_errno(err, errno, "writing %s", d->path);
    if (!result && rename(d->temporary, d->path) < 0)
        result = error_errno(err, errno, "writing %s", d->path);
    if (result)
        unlink(d->temporary);
    free(d->path);
    free(d->temporary);
    *d = FILE_DRAFT_NONE;
    return result;
}

int file_draft_commit(struct file_draft *d, mode_t mode, struct error **err)
{
    return commit(d, mode, true, err);
}

int file_draft_commit_unsynced(struct file_draft *d, mode_t mode, struct error **err)
{
    return commit(d, mode, false, err);
}

void file_draft_abandon(struct file_draft *d)
{
    if (d->fd >= 0)
        close(d->fd);
    if (d->temporary)
        unlink(d->temporary);
    free(d->path);
    free(d->temporary);
    *d = FILE_DRAFT_NONE;
}

int file_write(const char *path, const void *bytes, size_t length, mode_t mode, struct error **err)
{
    cleanup_draft struct file_draft d = FILE_DRAFT_NONE;
    if (file_draft_begin(&d, path, err) < 0 || fd_write_all(d.fd, path, bytes, length, err) < 0)
        return -1;
    return file_draft_commit(&d, mode, err);
}

int make_directories(const char *path, mode_t mode, struct error **err)
{
    cleanup_free char *copy = xstrdup(path);
    for (char *p = copy + (*copy == '/'); *copy; p++) {
        char stop = *p;
        if (stop && stop != '/')
            continue;
        *p = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return error_errno(err, errno, "creating the directory %s", copy);
        *p = stop;
        if (!stop)
            break;
    }
    if (!is_directory(path))
        return error_user(err, "creating the directory %s: a file of that name is in the way", path);
    return 0;
}

int make_parent(const char *path, struct error **err)
{
    const char *base = path_base(path);
    if (base == path)
        return 0;
    cleanup_free char *parent = xstrndup(path, (size_t)(base - path));
    return make_directories(parent, 0777, err);
}

int remove_tree(const char *path, struct error **err)
{
    return beneath_remove(AT_FDCWD, path, path, err);
}

int list_directory(const char *path, struct strlist *out, struct error **err)
{
    DIR *dir = opendir(path);
    if (!dir)
        return error_errno(err, errno, "listing %s", path);
    for (struct dirent *e; (e = readdir(dir));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            strlist_add(out, e->d_name);
    closedir(dir);
    strlist_sort(out);
    return 0;
}

bool path_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *path_absolute(const char *path)
{
    if (*path == '/')
        return xstrdup(path);
    cleanup_free char *here = getcwd(NULL, 0);
    return here ? xasprintf("%s/%s", here, path) : xstrdup(path);
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool path_is_clean(const char *path)
{
    for (const char *p = path;; p++) {
        size_t length = strcspn(p, "/");
        if (length == 0 || (length == 1 && p[0] == '.') ||
            (length == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        p += length;
        if (!*p)
            return true;
    }
}

char *find_program(const char *name)
{
    const char *path = getenv("PATH");
    struct strlist places = {0};
    strlist_split(&places, path ? path : "/usr/local/bin:/usr/bin:/bin", ":");
    char *found = NULL;
    for (size_t i = 0; i < places.n && !found; i++) {
        char *candidate = xasprintf("%s/%s", places.items[i], name);
        struct stat st;
        if (stat(candidate, &st) == 0 && S_ISREG(st.st_mode) && access(candidate, X_OK) == 0)
            found = candidate;
        else
            free(candidate);
    }
    strlist_free(&places);
    return found;
}

char *make_temporary_directory(const char *parent, const char *prefix, struct error **err)
{
    char *path = xasprintf("%s/%s.XXXXXX", parent, prefix);
    if (mkdtemp(path))
        return path;
    error_errno(err, errno, "creating a temporary directory in %s", parent);
    free(path);
    return NULL;
}
