// SPDX-License-Identifier: Apache-2.0
// Files into the store, and blobs out of it to where users see them.
#include "cache/internal.h"

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
        rename(path, d.path) == 0) {
        close(d.fd);
        d.fd = steal_fd(&from);
    } else if (copy_content(from, path, d.fd, d.path, err) < 0) {
        store_blob_abandon(&d);
        return error_wrap(err, "adding a blob to the cache %s", s->directory);
    }
    return store_blob_commit(s, &d, digest, size, err);
}

static bool is_the_same_file(int fd, const char *path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && lstat(path, &b) == 0 && a.st_ino == b.st_ino &&
           a.st_dev == b.st_dev;
}

// A hard link under a temporary name beside `path`, then a rename: `path` is the old file or the
// new one at any time. False if there can be no hard link here.
static bool link_into_place(const char *blob, const char *path)
{
    const char *base = path_base(path);
    cleanup_free char *temporary =
        xasprintf("%.*s.%s.%d.link", (int)(base - path), path, base, (int)getpid());
    unlink(temporary); // of a process with our pid that was killed right here
    if (link(blob, temporary) < 0)
        return false;
    bool done = rename(temporary, path) == 0;
    unlink(temporary); // still there if it failed, or if `path` had become the same file meanwhile
    return done;
}

int store_restore_blob(struct store *s, const char *digest, const char *path, struct error **err)
{
    cleanup_close int from = store_open_blob(s, digest, err);
    if (from < 0)
        return error_wrap(err, "writing %s", path);
    if (is_the_same_file(from, path))
        return 0;
    if (is_directory(path))
        return error_user(err, "writing %s: a directory is in the way", path);
    if (make_parent(path, err) < 0)
        return -1;
    cleanup_free char *blob = object_path(s, "sha256", digest);
    if (link_into_place(blob, path))
        return 0;
    cleanup_draft struct file_draft d = FILE_DRAFT_NONE;
    if (file_draft_begin(&d, path, err) < 0 || copy_content(from, blob, d.fd, path, err) < 0)
        return -1;
    return file_draft_commit(&d, 0444, err);
}
