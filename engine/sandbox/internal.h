// SPDX-License-Identifier: Apache-2.0
// Shared by the files of this room, and by their tests.
#ifndef KBUILD_SANDBOX_INTERNAL_H
#define KBUILD_SANDBOX_INTERNAL_H

#include "base/file.h"
#include "sandbox/sandbox.h"

// ---- bwrap.c ----
// The path of bwrap (to be freed), if it can make a sandbox here.
char *bwrap_check(struct error **err);
// A text on why user namespaces fail here, from the kernel's switches and bwrap's message; to be
// freed, or NULL. `proc` is the directory of the switches ("/proc/sys").
char *namespace_advice(const char *proc, const char *message);
// Arguments for bwrap and the memory files that they refer to by number.
struct bwrap_arguments {
    struct strlist list;
    int fds[16];
    size_t fd_count;
};
void bwrap_add_all(struct bwrap_arguments *a, const char *const *texts);
#define bwrap_add(a, ...) bwrap_add_all(a, (const char *const[]){__VA_ARGS__, NULL})
// A read-only file at `path` with this text.
int bwrap_add_text(struct bwrap_arguments *a, const char *path, const char *text,
                   struct error **err);
void bwrap_arguments_free(struct bwrap_arguments *a);
// An anonymous file with these bytes, at offset 0. Returns the fd.
int memory_file(const char *name, const void *bytes, size_t length, struct error **err);

// The files of /etc that programs read, the same on every machine.
struct etc_file {
    const char *path, *text;
};
extern const struct etc_file etc_files[];
extern const size_t etc_file_count;

// host.c: the host's own tools as a root file system.
int bwrap_add_host_root(struct bwrap_arguments *a, struct error **err);

// filter.c: adds a seccomp filter with the refused system calls.
int bwrap_add_filter(struct bwrap_arguments *a, struct error **err);

// ---- root file systems ----
// A package with the data of its .deb, and its files.
struct deb_file {
    char *path;    // clean, relative; "" for the root
    unsigned mode; // file type and all permission bits
    int64_t uid, gid, mtime;
};
struct deb_files {
    struct deb_file *items;
    size_t n, cap;
};
struct deb_package {
    char *name, *version, *architecture;
    char *control; // the whole paragraph with these fields
};
// Reads the control fields of a .deb, and with `files` also the headers of its content (appended).
int deb_read(const char *path, struct deb_package *out, struct deb_files *files,
             struct error **err);
void deb_package_free(struct deb_package *p);
void deb_files_free(struct deb_files *f);

// rootfs.c: makes absolute links relative, so that a linker that follows them stays in the
// sysroot.
int sysroot_relative_links(const char *sysroot, struct error **err);

// ---- finish.c ----
// Makes /bin, /sbin and /lib* links into /usr. Packages of releases whose package manager
// merges them still have files in both places.
int rootfs_merge_usr(const char *root, struct error **err);
// "bin/sh" -> "usr/bin/sh", to be freed: a path after the merge.
char *merged_path(const char *path);

// Removes files that differ between machines or runs, and files that no step needs.
int rootfs_clean(const char *root, bool builder, struct error **err);
// Sets owner to the current user, removes setuid and setgid bits, makes directories searchable.
int rootfs_own(const char *root, struct error **err);

// Does the work of maintainer scripts, as far as programs need it.
int rootfs_complete(const char *root, struct error **err);
// Makes the mount points of a step.
int rootfs_mount_points(const char *root, struct error **err);
// A walk (base/file.h) through the root file system `root`: depth first, names sorted by bytes.
int rootfs_walk(const char *root, beneath_visit *visit, void *context, struct error **err);

// root_tar.c: writes the tree as a tar stream with the owners, modes and times in `files`.
int rootfs_write_tar(const char *root, struct deb_files *files, int fd, struct error **err);

// ---- licence.c ----
// The SPDX expression of all licences that a machine-readable copyright file names for files, to be
// freed; NULL if it is in another form or names none.
char *licence_of_copyright(const char *text);
// Sets the licence of each package of `set` for the architecture `of` from the files extracted at
// `root`. A package without a copyright file gets none.
int rootfs_licences(const char *root, const char *of, struct package_set *set, struct error **err);

#endif
