// SPDX-License-Identifier: Apache-2.0
// Opens all names in the store, beneath the descriptor of its folder, which is opened once, and
// never through a link; and moves files in and blobs out. Paths are absolute, for messages and
// child processes; the part up to "<store>/" is not looked up again.
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

// ---- file ----
// Moves files into the store, and restores blobs to the user's paths.

// True for a file in a temporary folder of this process, without another hard link.
static bool can_be_moved(const struct store *s, const char *path, const struct stat *st)
{
    cleanup_free char *tmp = xasprintf("%s/tmp/", s->directory);
    return starts_with(path, tmp) && path_is_clean(path + strlen(tmp)) && st->st_nlink == 1 &&
           st->st_uid == geteuid();
}

int store_put_file(struct store *s, const char *path, char digest[static DIGEST_HEX_SIZE],
                   uint64_t *size, struct error **err)
{
    cleanup_close int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (from < 0 || fstat(from, &st) < 0)
        return error_errno(err, errno, "reading %s", path);
    if (!S_ISREG(st.st_mode))
        return error_user(err, "reading %s: it is %s, not a file", path,
                          S_ISDIR(st.st_mode) ? "a directory" : "a special file");
    struct blob_draft d = {.fd = -1};
    if (store_blob_begin(s, &d, err) < 0)
        return -1;
    // A symbolic link in tmp/ is not moved: what it points to is copied.
    struct stat named;
    if (can_be_moved(s, path, &st) && lstat(path, &named) == 0 && named.st_ino == st.st_ino &&
        at_rename(s, path, d.path, true) == 0) {
        close(d.fd);
        d.fd = steal_fd(&from);
    } else if (copy_content(from, path, d.fd, d.path, err) < 0) {
        store_blob_abandon(&d);
        return error_wrap(err, "adding a blob to the cache %s", s->directory);
    }
    return store_blob_commit(s, &d, digest, size, err);
}

int store_restore_blob_at(struct store *s, const char *digest, int folder, const char *name,
                          const char *shown, struct error **err)
{
    struct stat blob, there;
    cleanup_close int from = store_open_blob(s, digest, err);
    if (from < 0)
        return error_wrap(err, "writing %s", shown);
    if (fstat(from, &blob) < 0)
        return error_errno(err, errno, "writing %s", shown);
    bool taken = fstatat(folder, name, &there, AT_SYMLINK_NOFOLLOW) == 0;
    if (taken && S_ISDIR(there.st_mode))
        return error_user(err, "writing %s: a directory is in the way", shown);
    if (blob.st_uid == geteuid()) {
        if (taken && same_inode(&there, &blob))
            return 0;
        if (file_link_at(from, folder, name) == 0)
            return 0;
    }
    cleanup_free char *path = object_path(s, "sha256", digest);
    cleanup_draft struct file_draft d = FILE_DRAFT_NONE;
    if (file_draft_begin_at(&d, folder, name, shown, err) < 0 ||
        copy_content(from, path, d.fd, shown, err) < 0)
        return -1;
    return file_draft_commit(&d, 0444, err);
}

int store_restore_blob(struct store *s, const char *digest, const char *path, struct error **err)
{
    const char *base;
    if (make_parent(path, err) < 0)
        return -1;
    cleanup_close int folder = folder_open_parent(path, &base, err);
    if (folder < 0)
        return error_wrap(err, "writing %s", path);
    return store_restore_blob_at(s, digest, folder, base, path, err);
}
