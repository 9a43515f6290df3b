// SPDX-License-Identifier: Apache-2.0
// Unpacks a layer in two passes: the first removes (whiteouts, and entries of another kind), the
// second unpacks. So a whiteout never removes a member of its own layer, in any order.
#include "oci/oci.h"

#include "base/file.h"
#include "pack/pack.h"
#include "pack/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"

// ---- first pass ----

// Removes the entry `base` of the open directory, with its content, never through a link.
static int remove_at(int parent, const char *base, struct error **err)
{
    if (unlinkat(parent, base, 0) == 0 || errno == ENOENT)
        return 0;
    cleanup_free char *path = xasprintf("/proc/self/fd/%d/%s", parent, base);
    return remove_tree(path, err);
}

static int empty_directory(int fd, struct error **err)
{
    cleanup_free char *path = xasprintf("/proc/self/fd/%d", fd);
    cleanup_strlist struct strlist names = {0};
    if (list_directory(path, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (remove_at(fd, names.items[i], err) < 0)
            return -1;
    return 0;
}

static int apply_whiteout(int parent, const char *base, struct error **err)
{
    if (!strcmp(base, OPAQUE))
        return empty_directory(parent, err);
    const char *name = base + strlen(WHITEOUT);
    if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
        return error_user(err, "it is a whiteout of no file");
    return starts_with(name, WHITEOUT) ? 0 : remove_at(parent, name, err); // aufs' own names
}

static int remove_covered_by(struct beneath *b, const struct reader_member *m, struct error **err)
{
    const char *base;
    struct stat st;
    int parent = beneath_parent(b, m->path, &base, err);
    if (parent < 0)
        return -1;
    if (starts_with(base, WHITEOUT))
        return apply_whiteout(parent, base, err);
    if (fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    return S_ISDIR(st.st_mode) == S_ISDIR(m->mode) ? 0 : remove_at(parent, base, err);
}

static int remove_covered(int fd, const char *name, const char *folder, uint64_t max_bytes,
                          struct error **err)
{
    WITH_UTF8_NAMES;
    cleanup_close int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return error_errno(err, errno, "unpacking %s into %s", name, folder);
    cleanup_reader struct reader *reader = reader_open(fd, name, max_bytes, err);
    if (!reader)
        return -1;
    reader_accept_absolute(reader);
    struct beneath beneath = {.root = root, .in_root = true};
    struct reader_member m;
    int n;
    while ((n = reader_next(reader, &m, err)) > 0) {
        if (*m.path && remove_covered_by(&beneath, &m, err) < 0) {
            n = reader_wrap(reader, err);
            break;
        }
    }
    beneath_close(&beneath);
    return n;
}

// ---- second pass ----

static bool is_special(const char *path, unsigned mode)
{
    return !S_ISREG(mode) && !S_ISDIR(mode) && !S_ISLNK(mode);
}

static bool not_of_a_tree(const char *path, unsigned mode)
{
    return starts_with(path_base(path), WHITEOUT) || is_special(path, mode);
}

int oci_unpack_layer(int fd, const char *name, const char *folder, bool lowest, uint64_t max_bytes,
                     struct error **err)
{
    const struct unpack_options o = {.max_bytes = max_bytes,
                                     .attributes = true,
                                     .root = true,
                                     .follow = true,
                                     .skip = not_of_a_tree};
    if (!lowest && remove_covered(fd, name, folder, max_bytes, err) < 0)
        return -1;
    return unpack(fd, name, folder, &o, NULL, err);
}

int oci_unpack_tree(int fd, const char *name, const char *folder, uint64_t max_bytes,
                    struct error **err)
{
    const struct unpack_options o = {.max_bytes = max_bytes, .root = true};
    return unpack(fd, name, folder, &o, NULL, err);
}
