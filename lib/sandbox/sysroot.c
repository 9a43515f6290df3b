// SPDX-License-Identifier: Apache-2.0
// What a cross compiler links against: packages of another architecture, in a root file system of
// their own inside a builder. They are resolved apart from the builder's own packages. Installed
// together, `Multi-Arch: same` packages would need the same version for both architectures, which a
// mirror does not always have (security updates reach some architectures later or not at all), and
// packages that are not marked so exclude each other.
#include "sandbox/room.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

const struct arch *sysroot_arch(const struct rootfs_spec *spec, const char *package)
{
    const char *colon = strchr(package, ':');
    for (size_t i = 0; colon && i < arch_count; i++)
        if (!strcmp(colon + 1, arch_table[i].debian))
            return &arch_table[i] == spec->arch ? NULL : &arch_table[i];
    return NULL;
}

// An absolute link becomes relative. The sysroot is level 0, what lies in it is level 1.
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
                        json_t *packages, struct error **err)
{
    cleanup_free char *folder = xasprintf("%s" SANDBOX_SYSROOT "/%s", root, spec->arch->triplet);
    cleanup_free char *scratch = xasprintf("%s/%s", work, spec->arch->triplet);
    json_t *more = NULL;
    if (make_directories(folder, 0755, err) < 0 || make_directories(scratch, 0700, err) < 0 ||
        rootfs_extract(spec, folder, scratch, false, NULL, &more, err) < 0 ||
        rootfs_clean(folder, true, err) < 0 || sysroot_relative_links(folder, err) < 0) {
        json_decref(more);
        return error_wrap(err, "its packages of %s", spec->arch->debian);
    }
    json_array_extend(packages, more);
    json_decref(more);
    return 0;
}

int rootfs_sysroots(const struct rootfs_spec *spec, const char *root, const char *work,
                    json_t *packages, struct error **err)
{
    int result = 0;
    for (size_t a = 0; a < arch_count && !result; a++) {
        cleanup_strlist struct strlist names = {0};
        for (size_t i = 0; i < spec->packages->n; i++) {
            const char *name = spec->packages->items[i];
            if (sysroot_arch(spec, name) != &arch_table[a])
                continue;
            cleanup_free char *plain = xstrndup(name, strcspn(name, ":"));
            strlist_add(&names, plain);
        }
        const struct rootfs_spec one = {
            .distribution = spec->distribution, .arch = &arch_table[a], .packages = &names};
        if (names.n)
            result = make_sysroot(&one, root, work, packages, err);
    }
    return result;
}
