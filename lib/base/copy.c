// SPDX-License-Identifier: Apache-2.0
// Copies content, shared where the file system can, and trees by directory descriptors.
#include "base/copy.h"

#include "base/beneath.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

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
