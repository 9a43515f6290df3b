// SPDX-License-Identifier: Apache-2.0
// Makes the sysroot of a cross compiler: packages of another architecture, in a separate root file
// system inside a builder. They are resolved (packages_apt.c) and extracted separately: together,
// `Multi-Arch: same` packages would need the same version for both architectures, which a mirror
// does not always have (security updates reach some architectures later or not at all), and
// packages without that mark exclude each other.
#include "sandbox/internal.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

// Makes an absolute link relative. The sysroot is level 0, its entries are level 1.
static int make_relative(const struct beneath_entry *e, void *context, struct error **err)
{
    char target[PATH_MAX];
    ssize_t n =
        e->type == DT_LNK ? readlinkat(e->directory, e->name, target, sizeof target - 1) : 0;
    if (n <= 0 || *target != '/')
        return n < 0 ? error_errno(err, errno, "reading the link %s", e->path) : 0;
    target[n] = '\0';
    cleanup_buf struct buf relative = {0};
    for (unsigned level = 1; level < e->depth; level++)
        buf_puts(&relative, "../");
    buf_puts(&relative, target + strspn(target, "/"));
    if (!*relative.data)
        buf_puts(&relative, ".");
    if (unlinkat(e->directory, e->name, 0) < 0 ||
        symlinkat(relative.data, e->directory, e->name) < 0)
        return error_errno(err, errno, "making the link %s relative", e->path);
    return 0;
}

int sysroot_relative_links(const char *sysroot, struct error **err)
{
    return rootfs_walk(sysroot, make_relative, NULL, err);
}

static int make_sysroot(const struct rootfs_spec *spec, const char *root, const char *work,
                        struct error **err)
{
    cleanup_free char *folder = xasprintf("%s" SANDBOX_SYSROOT "/%s", root, spec->arch->triplet);
    cleanup_free char *scratch = xasprintf("%s/%s", work, spec->arch->triplet);
    if (make_directories(folder, 0755, err) < 0 || make_directories(scratch, 0700, err) < 0 ||
        rootfs_extract(spec, folder, scratch, false, NULL, err) < 0 ||
        rootfs_clean(folder, true, err) < 0 || sysroot_relative_links(folder, err) < 0)
        return error_wrap(err, "its packages of %s", spec->arch->debian);
    return 0;
}

static bool has_packages_of(const struct package_set *set, const struct arch *arch)
{
    for (size_t i = 0; i < set->n; i++)
        if (!strcmp(set->items[i].of, arch->debian))
            return true;
    return false;
}

int rootfs_sysroots(const struct rootfs_spec *spec, const char *root, const char *work,
                    struct error **err)
{
    for (size_t a = 0; a < arch_count; a++) {
        struct rootfs_spec one = *spec;
        one.arch = &arch_table[a];
        if (one.arch != spec->arch && has_packages_of(spec->set, one.arch) &&
            make_sysroot(&one, root, work, err) < 0)
            return -1;
    }
    return 0;
}
