// SPDX-License-Identifier: Apache-2.0
// Does the work of maintainer scripts natively and from tables: links of the alternatives system, a
// few configuration files, the CA bundle. Files of packages are never replaced.
#include "sandbox/internal.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

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
    cleanup_free char *path = path_below(root, alternatives[i].name);
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
static int write_new(const char *root, const char *name, const char *text, size_t length,
                     struct error **err)
{
    const char *slash = strrchr(name, '/');
    cleanup_free char *folder_name = xstrndup(name, (size_t)(slash - name));
    cleanup_free char *folder = path_below(root, folder_name);
    if (folder && mkdir(folder, 0755) < 0 && errno != EEXIST)
        return error_errno(err, errno, "making %s", folder);
    cleanup_free char *path = path_below(root, name);
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
    cleanup_free char *folder = path_below(root, "usr/share/ca-certificates");
    if (!folder || !is_directory(folder))
        return 0;
    cleanup_buf struct buf text = {0};
    if (rootfs_walk(folder, add_certificate, &text, err) < 0)
        return -1;
    return text.len ? write_new(root, "etc/ssl/certs/ca-certificates.crt", text.data, text.len, err)
                    : 0;
}

int rootfs_complete(const char *root, struct error **err)
{
    for (size_t i = 0; i < ARRAY_LEN(alternatives); i++)
        if (add_alternative(root, i, err) < 0)
            return -1;
    for (size_t i = 0; i < ARRAY_LEN(copies); i++) {
        cleanup_free char *original = path_below(root, copies[i].original);
        cleanup_buf struct buf text = {0};
        if (!original || !name_is_taken(original))
            continue;
        if (file_read(original, (size_t)1 << 20, &text, err) < 0 ||
            write_new(root, copies[i].name, text.data ? text.data : "", text.len, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < etc_file_count; i++)
        if (write_new(root, etc_files[i].path + 1, etc_files[i].text, strlen(etc_files[i].text),
                      err) < 0)
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
