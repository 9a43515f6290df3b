// SPDX-License-Identifier: Apache-2.0
#include "pack/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static void pop_to(struct beneath *b, size_t n)
{
    while (b->n > n) {
        b->n--;
        close(b->levels[b->n].fd);
        free(b->levels[b->n].name);
    }
}

// The directory that the first `length` bytes of the path lead to, by whatever links.
static int follow(const struct beneath *b, const char *path, size_t length)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    cleanup_free char *prefix = xstrndup(path, length);
    return (int)syscall(SYS_openat2, b->root, prefix, &how, sizeof how);
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
        if (level == DEPTH_LIMIT)
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
