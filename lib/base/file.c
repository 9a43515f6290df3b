// SPDX-License-Identifier: Apache-2.0
// Reads, writes, copies and lists files and directories, and inspects paths; errors name the path.
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t fd_read(int fd, void *bytes, size_t size)
{
    ssize_t n;
    do
        n = read(fd, bytes, size);
    while (n < 0 && errno == EINTR);
    return n;
}

ssize_t fd_read_at(int fd, void *bytes, size_t size, uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(fd, (char *)bytes + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int fd_read_all(int fd, const char *name, size_t limit, struct buf *out, struct error **err)
{
    size_t total = 0;
    for (;;) {
        char chunk[65536];
        ssize_t n = fd_read(fd, chunk, sizeof chunk);
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

static int read_regular(int fd, const char *path, size_t limit, struct buf *out, struct error **err)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "reading %s", path);
    if (!S_ISREG(st.st_mode))
        return error_user(err, "reading %s: it is %s, not a file", path,
                          S_ISDIR(st.st_mode) ? "a directory" : "a special file");
    buf_add(out, "", 0);
    return fd_read_all(fd, path, limit, out, err);
}

int file_read(const char *path, size_t limit, struct buf *out, struct error **err)
{
    // O_NONBLOCK so that a fifo is refused instead of waited for.
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return read_regular(fd, path, limit, out, err);
}

int file_read_at(int folder, const char *name, const char *shown, size_t limit, struct buf *out,
                 struct error **err)
{
    cleanup_close int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0 && errno == ELOOP)
        return error_user(err, "reading %s: it is a link, and none is followed there", shown);
    return read_regular(fd, shown, limit, out, err);
}

bool same_inode(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

// Whether the open file is a nameless one in TMPDIR (nameless_file()).
static bool is_temporary(int fd, const char *place)
{
    char path[PATH_MAX];
    cleanup_free char *link = xasprintf("/proc/self/fd/%d", fd);
    struct stat file, folder, temporary;
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0 || fstat(fd, &file) < 0 || file.st_nlink)
        return false;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash)
        return false;
    slash[slash == path] = '\0';
    return stat(path, &folder) == 0 && stat(place, &temporary) == 0 &&
           same_inode(&folder, &temporary);
}

static const char *temporary_place(void)
{
    const char *named = getenv("TMPDIR");
    return named && *named ? named : "/tmp";
}

static int write_failed(int fd, const char *name, struct error **err)
{
    const int errnum = errno;
    const char *place = temporary_place();
    error_errno(err, errnum, "writing %s", name);
    if ((errnum == ENOSPC || errnum == EDQUOT) && is_temporary(fd, place))
        error_hint(err,
                   "there is no space left in %s: free some of it, or name another directory for "
                   "temporary files with TMPDIR",
                   place);
    return -1;
}

int fd_write_all(int fd, const char *name, const void *bytes, size_t length, struct error **err)
{
    const char *p = bytes;
    while (length) {
        ssize_t n = write(fd, p, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return write_failed(fd, name, err);
        p += n;
        length -= (size_t)n;
    }
    return 0;
}

int fd_write_at(int fd, const char *name, const void *bytes, size_t length, uint64_t offset,
                struct error **err)
{
    const char *p = bytes;
    while (length) {
        ssize_t n = pwrite(fd, p, length, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return write_failed(fd, name, err);
        p += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

int remove_tree(const char *path, struct error **err)
{
    return beneath_remove(AT_FDCWD, path, path, err);
}

int list_directory(const char *path, struct strlist *out, struct error **err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "listing %s", path);
    return list_directory_at(fd, path, out, err);
}

int list_directory_at(int fd, const char *shown, struct strlist *out, struct error **err)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (!dir) {
        error_errno(err, errno, "listing %s", shown);
        if (copy >= 0)
            close(copy);
        return -1;
    }
    struct dirent *e;
    // Only errno distinguishes the end from an error.
    for (errno = 0; (e = readdir(dir)); errno = 0)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            strlist_add(out, e->d_name);
    int result = errno ? error_errno(err, errno, "listing %s", shown) : 0;
    closedir(dir);
    strlist_sort(out);
    return result;
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

bool is_regular_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
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

const char *path_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    if (strncmp(path, folder, n) != 0 || (path[n] && path[n] != '/'))
        return NULL;
    return path + n + (path[n] == '/');
}

int path_compare(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    int x = *a == '/' ? 1 : *a ? (unsigned char)*a + 1 : 0;
    int y = *b == '/' ? 1 : *b ? (unsigned char)*b + 1 : 0;
    return x - y;
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

int nameless_file(const char *folder, struct error **err)
{
    const char *place = folder ? folder : temporary_place();
    int fd = open(place, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    cleanup_free char *name = xasprintf("%s/.kbuild.XXXXXX", place); // without O_TMPFILE
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        unlink(name);
    else if (!folder)
        fd = memfd_create("kbuild", MFD_CLOEXEC);
    return fd < 0 ? error_errno(err, errno, "creating a temporary file in %s", place) : fd;
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

// ---- copying ----
// Content is shared where the file system can; trees are copied by directory descriptors.

int copy_content(int from, const char *from_name, int to, const char *to_name, struct error **err)
{
    if (ioctl(to, FICLONE, from) == 0)
        return 0;
    size_t chunk_size = (size_t)1 << 20;
    cleanup_free char *chunk = xmalloc(chunk_size);
    for (;;) {
        ssize_t n = fd_read(from, chunk, chunk_size);
        if (n < 0)
            return error_errno(err, errno, "reading %s", from_name);
        if (n == 0)
            return 0;
        if (fd_write_all(to, to_name, chunk, (size_t)n, err) < 0)
            return -1;
    }
}

// The state of a copy. In the target, too, only the current directory is open; those above it are
// known by device and inode, so that ".." leads nowhere else.
struct tree_copy {
    const char *from, *to; // for messages
    int target;
    struct {
        dev_t device;
        ino_t inode;
    } * above;
    size_t depth, cap;
};

static int copy_fail(const struct tree_copy *c, const char *doing, const struct beneath_entry *e,
                     struct error **err)
{
    return error_errno(err, errno, "%s %s/%s", doing, c->to, e->path);
}

static int copy_file(const struct tree_copy *c, const struct beneath_entry *e, struct error **err)
{
    struct stat st;
    cleanup_close int in =
        openat(e->directory, e->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (in < 0 || fstat(in, &st) < 0)
        return error_errno(err, errno, "reading %s/%s", c->from, e->path);
    if (!S_ISREG(st.st_mode))
        return error_user(err, "%s/%s was a file and is none any more", c->from, e->path);
    cleanup_close int out =
        openat(c->target, e->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0)
        return copy_fail(c, "creating", e, err);
    if (copy_content(in, e->path, out, e->path, err) < 0)
        return error_wrap(err, "copying %s to %s", c->from, c->to);
    const struct timespec times[] = {st.st_atim, st.st_mtim};
    if (fchmod(out, st.st_mode & 0777) < 0 || futimens(out, times) < 0)
        return copy_fail(c, "setting mode and time of", e, err);
    return 0;
}

static int copy_link(const struct tree_copy *c, const struct beneath_entry *e, struct error **err)
{
    struct stat st;
    char target[PATH_MAX + 1];
    ssize_t n = readlinkat(e->directory, e->name, target, sizeof target - 1);
    if (n < 0 || fstatat(e->directory, e->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "reading the link %s/%s", c->from, e->path);
    target[n] = '\0';
    const struct timespec times[] = {st.st_atim, st.st_mtim};
    if (symlinkat(target, c->target, e->name) < 0 ||
        utimensat(c->target, e->name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return copy_fail(c, "making the link", e, err);
    return 0;
}

static int enter_copy(struct tree_copy *c, const struct beneath_entry *e, struct error **err)
{
    struct stat st;
    if (e->depth == 0)
        return 0;
    if (fstat(c->target, &st) < 0 || (mkdirat(c->target, e->name, 0700) < 0 && errno != EEXIST))
        return copy_fail(c, "creating the directory", e, err);
    int below = openat(c->target, e->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below < 0)
        return copy_fail(c, "creating the directory", e, err);
    c->above = xgrow(c->above, &c->cap, c->depth + 1, sizeof *c->above);
    c->above[c->depth].device = st.st_dev;
    c->above[c->depth++].inode = st.st_ino;
    close(c->target);
    c->target = below;
    return 0;
}

static int leave_copy(struct tree_copy *c, const struct beneath_entry *e, struct error **err)
{
    struct stat st, above;
    if (e->depth == 0)
        return 0;
    if (fstat(e->fd, &st) < 0)
        return error_errno(err, errno, "reading %s/%s", c->from, e->path);
    const struct timespec times[] = {st.st_atim, st.st_mtim};
    cleanup_close int up = openat(c->target, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (up < 0 || fstat(up, &above) < 0 || fchmod(c->target, st.st_mode & 0777) < 0 ||
        futimens(c->target, times) < 0)
        return copy_fail(c, "setting mode and time of", e, err);
    c->depth--;
    if (above.st_dev != c->above[c->depth].device || above.st_ino != c->above[c->depth].inode)
        return error_user(err, "%s/%s was moved while it was written", c->to, e->path);
    close(c->target);
    c->target = steal_fd(&up);
    return 0;
}

static int copy_entry(const struct beneath_entry *e, void *context, struct error **err)
{
    struct tree_copy *c = context;
    switch (e->event) {
    case BENEATH_ENTER:
        return enter_copy(c, e, err);
    case BENEATH_LEAVE:
        return leave_copy(c, e, err);
    case BENEATH_OTHER:
        break;
    }
    if (e->type == DT_REG)
        return copy_file(c, e, err);
    if (e->type == DT_LNK)
        return copy_link(c, e, err);
    return error_user(err, "copying %s/%s: it is no file, directory or link", c->from, e->path);
}

int copy_tree(const char *from, const char *to, struct error **err)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    struct tree_copy c = {.from = from, .to = to, .target = -1};
    cleanup_close int source = open(from, flags);
    if (source < 0)
        return error_errno(err, errno, "reading %s", from);
    c.target = open(to, flags);
    if (c.target < 0)
        return error_errno(err, errno, "opening the directory %s", to);
    const struct beneath_walk walk = {.visit = copy_entry, .context = &c, .sorted = true};
    int result = beneath_walk(source, from, &walk, err);
    close(c.target);
    free(c.above);
    return result;
}

// ---- locks ----

int file_lock_parent(const char *path, struct error **err)
{
    cleanup_free char *absolute = path_absolute(path);
    absolute[path_base(absolute) - absolute] = '\0';
    cleanup_close int fd = open(absolute, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "opening the directory %s", absolute);
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return error_errno(err, errno, "locking the directory %s", absolute);
    return steal_fd(&fd);
}
