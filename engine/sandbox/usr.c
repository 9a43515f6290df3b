// SPDX-License-Identifier: Apache-2.0
// Merges /usr (usr-is-merged): /bin, /sbin and /lib* become links to the same names below /usr. On
// a Debian machine the package usrmerge or debootstrap does that; here none of their code runs.
#include "sandbox/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static const char *const merged[] = {"bin", "sbin", "lib", "lib32", "lib64", "libx32", "libo32"};

char *merged_path(const char *path)
{
    size_t length = strcspn(path, "/");
    for (size_t i = 0; i < ARRAY_LEN(merged); i++)
        if (strlen(merged[i]) == length && !strncmp(path, merged[i], length))
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

char *read_link(const char *path)
{
    char text[4096];
    ssize_t n = readlink(path, text, sizeof text - 1);
    return n < 0 ? NULL : xstrndup(text, (size_t)n);
}

// Moves one file or link; `from` and `to` are clean paths below root.
static int move(const char *root, const char *from, const char *to, struct error **err)
{
    cleanup_free char *old = xasprintf("%s/%s", root, from), *new = xasprintf("%s/%s", root, to);
    cleanup_free char *text = read_link(old);
    bool climbs = false;
    cleanup_free char *target = text ? link_target(from, text, &climbs) : NULL;
    struct stat st;
    if (lstat(new, &st) == 0) {
        // One of the two may be a link to the other, for programs that use both places.
        cleanup_free char *there = read_link(new);
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

static int merge_folder(const char *root, const char *from, const char *to, struct error **err)
{
    cleanup_free char *old = xasprintf("%s/%s", root, from), *new = xasprintf("%s/%s", root, to);
    if (mkdir(new, 0755) < 0 && errno != EEXIST)
        return error_errno(err, errno, "making %s", new);
    struct strlist names = {0};
    int result = list_directory(old, &names, err);
    for (size_t i = 0; !result && i < names.n; i++) {
        cleanup_free char *source = xasprintf("%s/%s", from, names.items[i]);
        cleanup_free char *destination = xasprintf("%s/%s", to, names.items[i]);
        cleanup_free char *path = xasprintf("%s/%s", root, source);
        struct stat st;
        if (lstat(path, &st) < 0)
            result = error_errno(err, errno, "looking at %s", path);
        else if (S_ISDIR(st.st_mode))
            result = merge_folder(root, source, destination, err);
        else
            result = move(root, source, destination, err);
    }
    strlist_free(&names);
    if (!result && rmdir(old) < 0)
        result = error_errno(err, errno, "removing %s", old);
    return result;
}

int rootfs_merge_usr(const char *root, struct error **err)
{
    for (size_t i = 0; i < ARRAY_LEN(merged); i++) {
        cleanup_free char *top = xasprintf("%s/%s", root, merged[i]);
        cleanup_free char *below = xasprintf("usr/%s", merged[i]);
        cleanup_free char *usr = xasprintf("%s/%s", root, below);
        struct stat st;
        bool there = lstat(top, &st) == 0;
        if (there && S_ISDIR(st.st_mode) && merge_folder(root, merged[i], below, err) < 0)
            return error_wrap(err, "merging /%s into /usr", merged[i]);
        if (lstat(top, &st) < 0 && is_directory(usr) && symlink(below, top) < 0)
            return error_errno(err, errno, "making the link %s", top);
    }
    return 0;
}
