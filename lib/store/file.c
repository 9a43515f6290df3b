// SPDX-License-Identifier: Apache-2.0
// Files into the store, and blobs out of it to where users see them.
#include "store/room.h"

#include "base/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

// True for a file of our own temporary folders that nobody else can hold by another name.
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
        if (taken && there.st_ino == blob.st_ino && there.st_dev == blob.st_dev)
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
    cleanup_close int folder = folder_of(path, &base, err);
    if (folder < 0)
        return error_wrap(err, "writing %s", path);
    return store_restore_blob_at(s, digest, folder, base, path, err);
}
