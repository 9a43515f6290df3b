// SPDX-License-Identifier: Apache-2.0
// Shows the host's own tools as a root file system (--builder=host): the paths in these tables, and
// nothing else of the host.
#include "sandbox/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

// Shown unchanged: a directory read-only, a symbolic link (merged /usr) as a link.
static const char *const trees[] = {
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store", // where such hosts keep the programs that /usr links to
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ssl/openssl.cnf",
    "/etc/perl",
    "/etc/magic",
};

const struct etc_file etc_files[] = {
    {"/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"
                    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
    {"/etc/group", "root:x:0:\nnogroup:x:65534:\n"},
    {"/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"},
    {"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"
                           "services: files\nprotocols: files\n"},
};
const size_t etc_file_count = ARRAY_LEN(etc_files);

static int add_tree(struct bwrap_arguments *a, const char *path, struct error **err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? 0
                   : error_errno(err, errno, "looking at the host's %s", path);
    if (!S_ISLNK(st.st_mode)) {
        bwrap_add(a, "--ro-bind", path, path);
        return 0;
    }
    char target[4096];
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n < 0)
        return error_errno(err, errno, "reading the link %s", path);
    target[n] = '\0';
    bwrap_add(a, "--symlink", target, path);
    return 0;
}

int bwrap_add_host_root(struct bwrap_arguments *a, struct error **err)
{
    bwrap_add(a, "--dir", "/root");
    for (size_t i = 0; i < ARRAY_LEN(trees); i++)
        if (add_tree(a, trees[i], err) < 0)
            return -1;
    for (size_t i = 0; i < etc_file_count; i++)
        if (bwrap_add_text(a, etc_files[i].path, etc_files[i].text, err) < 0)
            return -1;
    return 0;
}
