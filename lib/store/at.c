// SPDX-License-Identifier: Apache-2.0
// Opens all names in the store, beneath the descriptor of its folder, which is opened once, and
// never through a link. Paths are absolute, for messages and child processes; the part up to
// "<store>/" is not looked up again.
#include "store/internal.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>

// "" for the store itself; NULL if the path is not in the store.
static const char *below(const struct store *s, const char *path)
{
    const char *name = path_below(path, s->directory);
    return name && !*name ? "." : name;
}

int at_open(const struct store *s, const char *path, int flags, mode_t mode)
{
    const char *name = below(s, path);
    if (name)
        return beneath_open(s->root, name, flags, mode);
    errno = EXDEV;
    return -1;
}

int at_create_in(const struct store *s, const char *folder, const char *path, mode_t mode)
{
    static const int flags = O_RDWR | O_CREAT | O_EXCL;
    int fd = at_open(s, path, flags, mode);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    if (mkdirat(s->root, folder, 0755) < 0 && errno != EEXIST)
        return -1;
    return at_open(s, path, flags, mode);
}

// The parent folder of the path, to be closed; *base is the name in it.
static int parent_of(const struct store *s, const char *path, const char **base)
{
    *base = path_base(path);
    cleanup_free char *folder = xstrndup(path, *base == path ? 0 : (size_t)(*base - path) - 1);
    return at_open(s, folder, O_PATH | O_DIRECTORY, 0);
}

int at_stat(const struct store *s, const char *path, struct stat *st)
{
    cleanup_close int fd = at_open(s, path, O_PATH, 0);
    return fd < 0 ? -1 : fstat(fd, st);
}

bool at_is_named(const struct store *s, int fd, const char *path)
{
    struct stat mine, named;
    return fstat(fd, &mine) == 0 && at_stat(s, path, &named) == 0 && same_inode(&mine, &named);
}

bool at_exists(const struct store *s, const char *path)
{
    struct stat st;
    return at_stat(s, path, &st) == 0;
}

bool at_is_directory(const struct store *s, const char *path)
{
    struct stat st;
    return at_stat(s, path, &st) == 0 && S_ISDIR(st.st_mode);
}

int at_mkdir(const struct store *s, const char *path, mode_t mode)
{
    const char *base;
    cleanup_close int folder = parent_of(s, path, &base);
    return folder < 0 ? -1 : mkdirat(folder, base, mode);
}

int at_unlink(const struct store *s, const char *path)
{
    const char *base;
    cleanup_close int folder = parent_of(s, path, &base);
    return folder < 0 ? -1 : unlinkat(folder, base, 0);
}

int at_rename(const struct store *s, const char *from, const char *to, bool replace)
{
    const char *old, *new;
    cleanup_close int old_folder = parent_of(s, from, &old);
    cleanup_close int new_folder = parent_of(s, to, &new);
    if (old_folder < 0 || new_folder < 0)
        return -1;
    if (replace)
        return renameat(old_folder, old, new_folder, new);
    if (renameat2(old_folder, old, new_folder, new, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    // A file system without that call needs a separate test.
    if (faccessat(new_folder, new, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return -1;
    }
    return renameat(old_folder, old, new_folder, new);
}

int at_touch(const struct store *s, const char *path)
{
    const char *base;
    cleanup_close int folder = parent_of(s, path, &base);
    return folder < 0 ? -1 : utimensat(folder, base, NULL, AT_SYMLINK_NOFOLLOW);
}

int at_list(const struct store *s, const char *path, struct strlist *names, struct error **err)
{
    cleanup_close int fd = at_open(s, path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return error_errno(err, errno, "listing %s", path);
    return list_directory_at(fd, path, names, err);
}

int at_remove(const struct store *s, const char *path, struct error **err)
{
    const char *base;
    cleanup_close int folder = parent_of(s, path, &base);
    if (folder < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "removing %s", path);
    return beneath_remove(folder, base, path, err);
}

const char *at_foreign(const struct stat *st)
{
    if (!owner_is_trusted(st->st_uid))
        return "it belongs to another user";
    return st->st_mode & 022 ? "others may write to it" : NULL;
}
