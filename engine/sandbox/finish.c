// SPDX-License-Identifier: Apache-2.0
// Finishes an extracted root file system, natively and from tables, without running its code:
// removes what differs between machines and runs, merges /usr, and does the work of maintainer
// scripts as far as programs need it. Files of packages are never replaced.
#include "sandbox/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

// ---- cleaning ----

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

// "<root>/<path>" for a clean path, to be freed; NULL if a folder above it is a link or no folder,
// so that no change leaves root.
static char *place_below(const char *root, const char *path)
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
    cleanup_free char *full = place_below(root, path);
    return full ? remove_tree(full, err) : 0;
}

// One level, whose folders remove_tree() walks.
static int empty_folder(const char *root, const char *path, struct error **err)
{
    cleanup_free char *full = place_below(root, path);
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

static int remove_unless_licence(const struct beneath_entry *e, void *context, struct error **err)
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
static int remove_documentation_files(const char *root, struct error **err)
{
    cleanup_free char *doc = place_below(root, "usr/share/doc");
    return doc && is_directory(doc) ? rootfs_walk(doc, remove_unless_licence, NULL, err) : 0;
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
    return builder ? remove_documentation_files(root, err) : 0;
}

static int own_entry(const struct beneath_entry *e, void *root, struct error **err)
{
    struct stat st;
    if (e->event == BENEATH_LEAVE)
        return 0;
    if (fstatat(e->directory, e->name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
        return error_errno(err, errno, "looking at %s/%s", (char *)root, e->path);
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return error_user(err, "%s/%s is neither a file, a directory nor a link", (char *)root,
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

// ---- merged /usr ----
// (usr-is-merged): /bin, /sbin and /lib* become links to the same names below /usr. On a Debian
// machine the package usrmerge or debootstrap does that; here none of their code runs.

static const char *const merged_folders[] = {"bin",   "sbin",   "lib",   "lib32",
                                             "lib64", "libx32", "libo32"};

char *merged_path(const char *path)
{
    size_t length = strcspn(path, "/");
    for (size_t i = 0; i < ARRAY_LEN(merged_folders); i++)
        if (strlen(merged_folders[i]) == length && !strncmp(path, merged_folders[i], length))
            return xasprintf("usr/%s", path);
    return xstrdup(path);
}

// The target of a link at the clean path `place` by its text alone: a clean path below the root, as
// after the merge; to be freed. *climbs is set if the text leaves the place's top folder upwards.
static char *link_target(const char *place, const char *text, bool *climbs)
{
    struct strlist parts = {0}, all = {0};
    if (*text != '/') {
        strlist_split(&all, place, "/");
        free(all.items[--all.n]); // the link's own name
        all.items[all.n] = NULL;
    }
    strlist_split(&all, text, "/");
    *climbs = false;
    for (size_t i = 0; i < all.n; i++) {
        if (!strcmp(all.items[i], "."))
            continue;
        if (strcmp(all.items[i], "..") != 0) {
            strlist_add(&parts, all.items[i]);
        } else if (parts.n) {
            free(parts.items[--parts.n]);
            parts.items[parts.n] = NULL;
            *climbs = *climbs || parts.n == 0;
        }
    }
    cleanup_free char *joined = strlist_join(&parts, "/");
    strlist_free(&parts);
    strlist_free(&all);
    return merged_path(joined);
}

// To be freed; NULL if `path` is no link.
static char *read_link_text(const char *path)
{
    char text[4096];
    ssize_t n = readlink(path, text, sizeof text - 1);
    return n < 0 ? NULL : xstrndup(text, (size_t)n);
}

// Moves one file or link; `from` and `to` are clean paths below root.
static int move_file(const char *root, const char *from, const char *to, struct error **err)
{
    cleanup_free char *old = xasprintf("%s/%s", root, from), *new = xasprintf("%s/%s", root, to);
    cleanup_free char *text = read_link_text(old);
    bool climbs = false;
    cleanup_free char *target = text ? link_target(from, text, &climbs) : NULL;
    struct stat st;
    if (lstat(new, &st) == 0) {
        // One of the two may be a link to the other, for programs that use both places.
        cleanup_free char *there = read_link_text(new);
        bool ignored;
        cleanup_free char *back = there ? link_target(to, there, &ignored) : NULL;
        if (target && !strcmp(target, to)) {
            if (unlink(old) < 0)
                return error_errno(err, errno, "removing %s", old);
            return 0;
        }
        if (!back || strcmp(back, to) != 0)
            return error_user(err, "the packages have different files at /%s and /%s", from, to);
    }
    // A link that climbs would have another target from one folder deeper.
    if (!climbs || *text == '/') {
        if (rename(old, new) < 0)
            return error_errno(err, errno, "moving %s to %s", old, new);
        return 0;
    }
    cleanup_free char *absolute = xasprintf("/%s", target);
    if (unlink(old) < 0 || (unlink(new) < 0 && errno != ENOENT) || symlink(absolute, new) < 0)
        return error_errno(err, errno, "moving the link %s to %s", old, new);
    return 0;
}

struct usr_merge {
    const char *root, *from, *to; // folders: clean paths below root
};

static int merge_entry(const struct beneath_entry *e, void *context, struct error **err)
{
    const struct usr_merge *m = context;
    const char *slash = *e->path ? "/" : "";
    cleanup_free char *from = xasprintf("%s%s%s", m->from, slash, e->path);
    cleanup_free char *to = xasprintf("%s%s%s", m->to, slash, e->path);
    cleanup_free char *old = xasprintf("%s/%s", m->root, from);
    cleanup_free char *new = xasprintf("%s/%s", m->root, to);
    if (e->event == BENEATH_OTHER)
        return move_file(m->root, from, to, err);
    if (e->event == BENEATH_ENTER && mkdir(new, 0755) < 0 && errno != EEXIST)
        return error_errno(err, errno, "making %s", new);
    if (e->event == BENEATH_LEAVE && rmdir(old) < 0)
        return error_errno(err, errno, "removing %s", old);
    return 0;
}

static int merge_folder(const char *root, const char *from, const char *to, struct error **err)
{
    struct usr_merge m = {root, from, to};
    cleanup_free char *old = xasprintf("%s/%s", root, from);
    return rootfs_walk(old, merge_entry, &m, err);
}

int rootfs_merge_usr(const char *root, struct error **err)
{
    for (size_t i = 0; i < ARRAY_LEN(merged_folders); i++) {
        cleanup_free char *top = xasprintf("%s/%s", root, merged_folders[i]);
        cleanup_free char *below = xasprintf("usr/%s", merged_folders[i]);
        cleanup_free char *usr = xasprintf("%s/%s", root, below);
        struct stat st;
        bool there = lstat(top, &st) == 0;
        if (there && S_ISDIR(st.st_mode) && merge_folder(root, merged_folders[i], below, err) < 0)
            return error_wrap(err, "merging /%s into /usr", merged_folders[i]);
        if (lstat(top, &st) < 0 && is_directory(usr) && symlink(below, top) < 0)
            return error_errno(err, errno, "making the link %s", top);
    }
    return 0;
}

// ---- the work of maintainer scripts ----

// Links made if the name is free and a target exists; the first existing target is used.
static const struct {
    const char *name;
    const char *targets[3]; // in the same folder as the name, or absolute
} alternatives[] = {
    {"usr/bin/sh", {"dash", "bash"}},
    {"usr/bin/awk", {"gawk", "mawk", "original-awk"}},
    {"usr/bin/nawk", {"gawk", "mawk", "original-awk"}},
    {"usr/bin/which", {"which.debianutils"}},
    {"usr/bin/cc", {"gcc", "clang"}},
    {"usr/bin/c++", {"g++", "clang++"}},
    {"usr/bin/c89", {"c89-gcc"}},
    {"usr/bin/c99", {"c99-gcc"}},
    {"usr/bin/yacc", {"bison.yacc", "byacc"}},
    {"usr/bin/automake", {"automake-1.17", "automake-1.16"}},
    {"usr/bin/aclocal", {"aclocal-1.17", "aclocal-1.16"}},
    {"usr/bin/fakeroot", {"fakeroot-sysv", "fakeroot-tcp"}},
    {"usr/bin/mt", {"mt-gnu"}},
    {"usr/bin/nc", {"nc.openbsd", "nc.traditional"}},
    {"usr/bin/rename", {"file-rename"}},
    {"usr/bin/w", {"w.procps"}},
    {"usr/bin/lzma", {"xz"}},
    {"usr/bin/unlzma", {"unxz"}},
    {"usr/bin/lzcat", {"xzcat"}},
    {"usr/bin/pager", {"less", "more"}},
    {"usr/sbin/rmt", {"rmt-tar"}},
    {"usr/sbin/iptables", {"iptables-nft", "iptables-legacy"}},
    {"usr/sbin/iptables-save", {"iptables-nft-save", "iptables-legacy-save"}},
    {"usr/sbin/iptables-restore", {"iptables-nft-restore", "iptables-legacy-restore"}},
    {"usr/sbin/ip6tables", {"ip6tables-nft", "ip6tables-legacy"}},
    {"usr/sbin/ip6tables-save", {"ip6tables-nft-save", "ip6tables-legacy-save"}},
    {"usr/sbin/ip6tables-restore", {"ip6tables-nft-restore", "ip6tables-legacy-restore"}},
};

// Copied from where a package keeps the original.
static const struct {
    const char *name, *original;
} copies[] = {
    {"etc/passwd", "usr/share/base-passwd/passwd.master"},
    {"etc/group", "usr/share/base-passwd/group.master"},
    {"etc/nsswitch.conf", "usr/share/libc-bin/nsswitch.conf"},
    {"etc/profile", "usr/share/base-files/profile"},
};

static bool name_is_taken(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static int add_alternative(const char *root, size_t i, struct error **err)
{
    cleanup_free char *path = place_below(root, alternatives[i].name);
    if (!path || name_is_taken(path))
        return 0;
    size_t folder = (size_t)(path_base(path) - path);
    for (size_t k = 0; k < ARRAY_LEN(alternatives[i].targets); k++) {
        const char *target = alternatives[i].targets[k];
        if (!target)
            break;
        cleanup_free char *there = xasprintf("%.*s%s", (int)folder, path, target);
        if (!name_is_taken(there))
            continue;
        if (symlink(target, path) < 0)
            return error_errno(err, errno, "making the link %s", path);
        break;
    }
    return 0;
}

// Writes a file of `root` that no package has. Its folder is made if its parent exists.
static int write_new_file(const char *root, const char *name, const char *text, size_t length,
                          struct error **err)
{
    const char *slash = strrchr(name, '/');
    cleanup_free char *folder_name = xstrndup(name, (size_t)(slash - name));
    cleanup_free char *folder = place_below(root, folder_name);
    if (folder && mkdir(folder, 0755) < 0 && errno != EEXIST)
        return error_errno(err, errno, "making %s", folder);
    cleanup_free char *path = place_below(root, name);
    return path && !name_is_taken(path) ? file_write(path, text, length, 0644, err) : 0;
}

static int add_certificate(const struct beneath_entry *e, void *text, struct error **err)
{
    struct buf *bundle = text;
    if (e->type != DT_REG || !ends_with(e->name, ".crt"))
        return 0;
    cleanup_close int fd = beneath_open_file(e->directory, e->name, e->path, err);
    if (fd < 0 || fd_read_all(fd, e->path, (size_t)1 << 20, bundle, err) < 0)
        return -1;
    if (bundle->len && bundle->data[bundle->len - 1] != '\n')
        buf_puts(bundle, "\n");
    return 0;
}

// update-ca-certificates' main result: all certificates of ca-certificates in one file.
static int add_ca_bundle(const char *root, struct error **err)
{
    cleanup_free char *folder = place_below(root, "usr/share/ca-certificates");
    if (!folder || !is_directory(folder))
        return 0;
    cleanup_buf struct buf text = {0};
    if (rootfs_walk(folder, add_certificate, &text, err) < 0)
        return -1;
    return text.len
               ? write_new_file(root, "etc/ssl/certs/ca-certificates.crt", text.data, text.len, err)
               : 0;
}

int rootfs_complete(const char *root, struct error **err)
{
    for (size_t i = 0; i < ARRAY_LEN(alternatives); i++)
        if (add_alternative(root, i, err) < 0)
            return -1;
    for (size_t i = 0; i < ARRAY_LEN(copies); i++) {
        cleanup_free char *original = place_below(root, copies[i].original);
        cleanup_buf struct buf text = {0};
        if (!original || !name_is_taken(original))
            continue;
        if (file_read(original, (size_t)1 << 20, &text, err) < 0 ||
            write_new_file(root, copies[i].name, text.data ? text.data : "", text.len, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < etc_file_count; i++)
        if (write_new_file(root, etc_files[i].path + 1, etc_files[i].text,
                           strlen(etc_files[i].text), err) < 0)
            return -1;
    return add_ca_bundle(root, err);
}

int rootfs_mount_points(const char *root, struct error **err)
{
    static const char *const names[] = {"dev",    "proc",  "sys",  "run",    "tmp",
                                        "root",   "src",   "deps", "recipe", "shared",
                                        "inputs", "build", "out"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        cleanup_free char *path = xasprintf("%s/%s", root, names[i]);
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return error_errno(err, errno, "making the mount point %s", path);
    }
    return 0;
}
