// SPDX-License-Identifier: Apache-2.0
// Reads and writes whole files, makes and lists directories, and inspects paths; errors name the
// path.
#include "base/file.h"

#include "base/beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

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

int fd_write_at(int fd, const char *name, const void *bytes, size_t length, uint64_t offset,
                struct error **err)
{
    const char *p = bytes;
    while (length) {
        ssize_t n = pwrite(fd, p, length, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "writing %s", name);
        p += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
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
    const char *named = getenv("TMPDIR");
    const char *place = folder ? folder : named && *named ? named : "/tmp";
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
