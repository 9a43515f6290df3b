// SPDX-License-Identifier: Apache-2.0
// Makes an extracted root file system the same on every machine and for every user.
#include "sandbox/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

// Left by apt, dpkg and mmdebstrap, or a copy of the host's own.
static const char *const traces[] = {
    "var/lib/apt",
    "var/lib/dpkg",
    "var/cache/apt",
    "var/cache/debconf",
    "var/cache/ldconfig",
    "var/log/apt",
    "etc/hostname",
    "etc/fstab",
    "etc/resolv.conf",
    "etc/machine-id",
    "etc/apt/sources.list",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/apt/apt.conf.d/00mmdebstrap",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "var/log/alternatives.log",
    "var/log/dpkg.log",
    "var/log/bootstrap.log",
};
// Emptied: their content belongs to the kernel, the host, or a run.
static const char *const emptied[] = {"dev", "proc", "sys", "run", "tmp", "etc/apt/sources.list.d"};

// Removed from a builder: thousands of files that no compiler reads. The licences are kept.
static const char *const documentation[] = {
    "usr/share/man",     "usr/share/info", "usr/share/locale",   "usr/share/lintian",
    "usr/share/gtk-doc", "usr/share/bug",  "usr/share/doc-base",
};

char *path_below(const char *root, const char *path)
{
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        cleanup_free char *folder = xasprintf("%s/%.*s", root, (int)(slash - path), path);
        struct stat st;
        if (lstat(folder, &st) < 0 || !S_ISDIR(st.st_mode))
            return NULL;
    }
    return xasprintf("%s/%s", root, path);
}

static int remove_below(const char *root, const char *path, struct error **err)
{
    cleanup_free char *full = path_below(root, path);
    return full ? remove_tree(full, err) : 0;
}

static int empty_folder(const char *root, const char *path, struct error **err)
{
    cleanup_free char *full = path_below(root, path);
    struct strlist names = {0};
    struct stat st;
    if (!full || lstat(full, &st) < 0 || !S_ISDIR(st.st_mode))
        return 0;
    int result = list_directory(full, &names, err);
    for (size_t i = 0; !result && i < names.n; i++)
        result = remove_below(full, names.items[i], err);
    strlist_free(&names);
    return result;
}

static int keep_licence(const struct beneath_entry *e, void *context, struct error **err)
{
    if (e->type == DT_REG && strcmp(e->name, "copyright") != 0 &&
        unlinkat(e->directory, e->name, 0) < 0)
        return error_errno(err, errno, "removing %s", e->path);
    if (e->event == BENEATH_LEAVE && e->depth > 0 &&
        unlinkat(e->directory, e->name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY && errno != EEXIST)
        return error_errno(err, errno, "removing %s", e->path);
    return 0;
}

// Leaves only files that are called "copyright", and links.
static int keep_licences(const char *root, struct error **err)
{
    cleanup_free char *doc = path_below(root, "usr/share/doc");
    return doc && is_directory(doc) ? rootfs_walk(doc, keep_licence, NULL, err) : 0;
}

int rootfs_clean(const char *root, bool builder, struct error **err)
{
    for (size_t i = 0; i < ARRAY_LEN(traces); i++)
        if (remove_below(root, traces[i], err) < 0)
            return -1;
    for (size_t i = 0; i < ARRAY_LEN(emptied); i++)
        if (empty_folder(root, emptied[i], err) < 0)
            return -1;
    // mmdebstrap makes these folders whether apt is among the packages or not.
    cleanup_free char *apt = xasprintf("%s/usr/bin/apt-get", root);
    if (!path_exists(apt) && remove_below(root, "etc/apt", err) < 0)
        return -1;
    for (size_t i = 0; builder && i < ARRAY_LEN(documentation); i++)
        if (remove_below(root, documentation[i], err) < 0)
            return -1;
    return builder ? keep_licences(root, err) : 0;
}

static int own_entry(const struct beneath_entry *e, void *root, struct error **err)
{
    struct stat st;
    if (e->event == BENEATH_LEAVE)
        return 0;
    if (fstatat(e->directory, e->name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
        return error_errno(err, errno, "looking at %s/%s", (char *)root, e->path);
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return error_user(err, "%s/%s is neither a file, a folder nor a link", (char *)root,
                          e->path);
    if (geteuid() == 0 && (st.st_uid || st.st_gid) &&
        fchownat(e->directory, e->name, 0, 0, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
        return error_errno(err, errno, "changing the owner of %s/%s", (char *)root, e->path);
    // Directories: open to all, so that another user can use the tree. Files: by the execute bit.
    mode_t mode = S_ISDIR(st.st_mode) || (st.st_mode & 0111) ? 0755 : 0644;
    if (S_ISLNK(st.st_mode) || (st.st_mode & 07777) == mode)
        return 0;
    if ((e->fd >= 0 ? fchmod(e->fd, mode) : beneath_chmod(e->directory, e->name, mode)) < 0)
        return error_errno(err, errno, "changing the mode of %s/%s", (char *)root, e->path);
    return 0;
}

int rootfs_walk(const char *root, beneath_visit *visit, void *context, struct error **err)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    cleanup_close int fd = open(root, flags);
    if (fd < 0 && errno == EACCES && beneath_chmod(AT_FDCWD, root, 0755) == 0)
        fd = open(root, flags);
    if (fd < 0)
        return error_errno(err, errno, "reading %s", root);
    const struct beneath_walk walk = {
        .visit = visit, .context = context, .sorted = true, .access = true};
    return beneath_walk(fd, root, &walk, err);
}

int rootfs_own(const char *root, struct error **err)
{
    return rootfs_walk(root, own_entry, (void *)root, err);
}
