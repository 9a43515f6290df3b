// SPDX-License-Identifier: Apache-2.0
// Writes files beside their places in a tree that is in use, then gives them their names by
// renaming.
#include "pack/staging.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int staging_open(struct staging *s, const char *root, struct error **err)
{
    if (make_directories(root, 0755, err) < 0)
        return -1;
    s->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->root < 0)
        return error_errno(err, errno, "opening %s", root);
    // One process at a time, so that an existing temporary name was left by a killed process.
    if (flock(s->root, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return error_errno(err, errno, "locking %s", root);
        error_user(err, "another kbuild is installing into %s", root);
        return error_hint(err, "try again when it has ended");
    }
    return 0;
}

// ---- folders ----

static int look_up(const struct staging *s, const char *path)
{
    return beneath_open_in_root(s->root, *path ? path : ".", O_RDONLY | O_DIRECTORY);
}

// Opens the folder, and makes missing parts.
static int open_folder(const struct staging *s, const char *path, struct error **err)
{
    int fd = look_up(s, path);
    if (fd >= 0)
        return fd;
    if (errno == ENOSYS)
        return error_user(err, "this needs Linux 5.6 or newer (openat2)");
    if (errno != ENOENT || !*path)
        return error_errno(err, errno, "opening the folder /%s", path);
    const char *base = path_base(path);
    cleanup_free char *above = xstrndup(path, base == path ? 0 : (size_t)(base - path) - 1);
    cleanup_close int parent = open_folder(s, above, err);
    if (parent < 0)
        return -1;
    if (mkdirat(parent, base, 0755) < 0 && errno != EEXIST)
        return error_errno(err, errno, "making the folder /%s", path);
    fd = look_up(s, path);
    if (fd < 0 && errno == ENOENT)
        return error_user(err, "the folder /%s is a link that leads nowhere", path);
    return fd < 0 ? error_errno(err, errno, "opening the folder /%s", path) : fd;
}

// The same, and keeps the folder open until the next call.
static int enter(struct staging *s, const char *path, struct error **err)
{
    if (s->folder && !strcmp(s->folder, path))
        return s->folder_fd;
    int fd = open_folder(s, path, err);
    if (fd < 0)
        return -1;
    if (s->folder_fd >= 0)
        close(s->folder_fd);
    free(s->folder);
    s->folder = xstrdup(path);
    s->folder_fd = fd;
    return fd;
}

int staging_directory(struct staging *s, const char *path, struct error **err)
{
    return enter(s, path, err) < 0 ? -1 : 0;
}

// ---- files and links ----

// The next item, with a name for its temporary; *folder gets its folder, open.
static struct staged *add(struct staging *s, const char *path, int *folder, struct error **err)
{
    const char *base = path_base(path);
    cleanup_free char *above = xstrndup(path, base == path ? 0 : (size_t)(base - path) - 1);
    struct stat st;
    *folder = enter(s, above, err);
    if (*folder < 0)
        return NULL;
    if (fstatat(*folder, base, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) {
        error_user(err, "/%s is a directory", path);
        return NULL;
    }
    s->items = xgrow(s->items, &s->cap, s->n + 1, sizeof *s->items);
    struct staged *item = &s->items[s->n];
    *item = (struct staged){.folder = xstrdup(above),
                            .temporary = xasprintf(".%.200s.kbuild-new", base),
                            .base = xstrdup(base)};
    s->n++;
    unlinkat(*folder, item->temporary, 0); // left by a killed process (see the lock)
    return item;
}

int staging_file(struct staging *s, const char *path, struct error **err)
{
    int folder;
    const struct staged *item = add(s, path, &folder, err);
    if (!item)
        return -1;
    int fd =
        openat(folder, item->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? error_errno(err, errno, "writing /%s", path) : fd;
}

int staging_link(struct staging *s, const char *path, const char *target, struct error **err)
{
    int folder;
    const struct staged *item = add(s, path, &folder, err);
    if (!item)
        return -1;
    return symlinkat(target, folder, item->temporary) < 0
               ? error_errno(err, errno, "making the link /%s", path)
               : 0;
}

int staging_hard_link(struct staging *s, const char *path, size_t index, struct error **err)
{
    int folder;
    const struct staged *item = add(s, path, &folder, err);
    if (!item)
        return -1;
    const struct staged *first = &s->items[index];
    cleanup_close int from = open_folder(s, first->folder, err);
    if (from < 0)
        return -1;
    return linkat(from, first->temporary, folder, item->temporary, 0) < 0
               ? error_errno(err, errno, "making the link /%s", path)
               : 0;
}

// ---- commit ----

static void free_item(struct staged *item)
{
    free(item->folder);
    free(item->temporary);
    free(item->base);
}

int staging_commit(struct staging *s, struct error **err)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct staged *item = &s->items[i];
        int folder = enter(s, item->folder, err);
        if (folder < 0)
            return -1;
        if (renameat(folder, item->temporary, folder, item->base) < 0)
            return error_errno(err, errno, "replacing /%s/%s", item->folder, item->base);
        // rename() does nothing if both are names of one file.
        unlinkat(folder, item->temporary, 0);
    }
    for (size_t i = 0; i < s->n; i++)
        free_item(&s->items[i]);
    s->n = 0;
    return 0;
}

void staging_close(struct staging *s)
{
    for (size_t i = 0; i < s->n; i++) {
        int folder = enter(s, s->items[i].folder, NULL);
        if (folder >= 0)
            unlinkat(folder, s->items[i].temporary, 0);
        free_item(&s->items[i]);
    }
    free(s->items);
    free(s->folder);
    if (s->folder_fd >= 0)
        close(s->folder_fd);
    if (s->root >= 0)
        close(s->root);
    *s = STAGING_NONE;
}
