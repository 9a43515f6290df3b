// SPDX-License-Identifier: Apache-2.0
// What the files of this room share; nobody else includes it.
#ifndef KBUILD_SANDBOX_ROOM_H
#define KBUILD_SANDBOX_ROOM_H

#include "sandbox/sandbox.h"

// Arguments for bwrap and the memory files that they refer to by number.
struct bwrap_arguments {
    struct strlist list;
    int fds[16];
    size_t fd_count;
};
void bwrap_add(struct bwrap_arguments *a, ...) __attribute__((sentinel));
// A read-only file at `path` with this text.
int bwrap_add_text(struct bwrap_arguments *a, const char *path, const char *text,
                   struct error **err);
void bwrap_arguments_free(struct bwrap_arguments *a);
// An anonymous file with these bytes, at offset 0. Returns the fd.
int memory_file(const char *name, const void *bytes, size_t length, struct error **err);

// The files of /etc that programs look into, the same on every machine.
struct etc_file {
    const char *path, *text;
};
extern const struct etc_file etc_files[];
extern const size_t etc_file_count;

// root_host.c: the host's own tools as a root file system.
int bwrap_add_host_root(struct bwrap_arguments *a, struct error **err);

// check.c: the path of bwrap (to be freed), once it is known that it can make a sandbox here.
char *bwrap_check(struct error **err);
// Text that says why user namespaces fail here, by what the kernel's switches and bwrap's message
// say; to be freed. `proc` is the directory of the switches ("/proc/sys").
char *namespace_advice(const char *proc, const char *message);

// ---- root file systems ----
// A package as a .deb says it, and what its files are.
struct deb_file {
    char *path;   // clean, relative; "" for the root
    unsigned mode; // file type and all permission bits
    int64_t uid, gid, mtime;
};
struct deb_files {
    struct deb_file *items;
    size_t n, cap;
};
struct deb_package {
    char *name, *version, *architecture;
};
// Reads the control fields of a .deb, and with `files` also the headers of its content (appended).
int deb_read(const char *path, struct deb_package *out, struct deb_files *files,
             struct error **err);
void deb_package_free(struct deb_package *p);
void deb_files_free(struct deb_files *f);

// apt.c: what this host's apt is told about reaching mirrors, as lines for an apt.conf.
int apt_transport_options(struct buf *out, struct error **err);

// fixup.c: what maintainer scripts would have done, as far as tools need it, and nothing that
// differs between two machines. Works on the extracted tree at `root`.
int rootfs_clean(const char *root, bool builder, struct error **err);
int rootfs_merge_usr(const char *root, struct error **err);
int rootfs_complete(const char *root, struct error **err);
int rootfs_mount_points(const char *root, struct error **err);

#endif
