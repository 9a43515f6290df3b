// SPDX-License-Identifier: Apache-2.0
// Unpacks Debian packages and source packages, and finds their age.
#include "source/packages.h"

#include "base/file.h"
#include "base/process.h"
#include "pack/pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>

#define DEPTH_MAX 64

static int unpack_archive(const char *path, const char *folder, int64_t *newest, struct error **err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return error_errno(err, errno, "opening %s", path);
    struct unpack_options o = {.strip_first = true};
    return unpack(fd, path_base(path), folder, &o, newest, err);
}

// The newest mtime of a file below `path`. Directories don't count: unpacking changes theirs.
static int newest_file(const char *path, unsigned depth, int64_t *newest, struct error **err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return error_errno(err, errno, "reading %s", path);
    if (!S_ISDIR(st.st_mode)) {
        if (st.st_mtim.tv_sec > *newest)
            *newest = st.st_mtim.tv_sec;
        return 0;
    }
    cleanup_strlist struct strlist names = {0};
    if (depth > DEPTH_MAX)
        return error_user(err, "%s: folders are nested too deep", path);
    if (list_directory(path, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        cleanup_free char *inside = xasprintf("%s/%s", path, names.items[i]);
        if (newest_file(inside, depth + 1, newest, err) < 0)
            return -1;
    }
    return 0;
}

// Run by root, dpkg-deb makes whatever a package contains: devices, and setuid programs. A source
// has neither. Until they are removed nobody else can reach them: the folders above, in the cache's
// tmp, are 0700.
static int refuse_special(const struct beneath_entry *e, void *context, struct error **err)
{
    if (e->type == DT_DIR || e->type == DT_REG || e->type == DT_LNK)
        return 0;
    return error_user(err, "it holds a device, fifo or socket: %s", e->path);
}

static int make_harmless(const char *folder, struct error **err)
{
    cleanup_close int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "reading %s", folder);
    const struct beneath_walk walk = {.visit = refuse_special, .access = true};
    return beneath_walk(fd, folder, &walk, err) < 0 ? -1 : beneath_strip(fd, folder, err);
}

int deb_unpack(const char *deb, const char *folder, int64_t *newest, struct error **err)
{
    // Packages, unlike other archives, may hold links to absolute paths (Debian policy 10.5).
    const char *const argv[] = {"dpkg-deb", "--extract", deb, folder, NULL};
    struct process p = {.argv = (char *const *)argv, .input = -1};
    *newest = 0;
    if (process_run(&p, NULL, err) < 0 || make_harmless(folder, err) < 0)
        return error_wrap(err, "unpacking %s", path_base(deb));
    return newest_file(folder, 0, newest, err);
}

static int collect_matches(const char *root, const char *below, const char *glob,
                           struct strlist *out, unsigned depth, struct error **err)
{
    cleanup_free char *path = xasprintf("%s/%s", root, below);
    cleanup_strlist struct strlist names = {0};
    if (list_directory(path, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        cleanup_free char *name = xasprintf("%s%s%s", below, *below ? "/" : "", names.items[i]);
        cleanup_free char *full = xasprintf("%s/%s", root, name);
        struct stat st;
        if (lstat(full, &st) < 0)
            return error_errno(err, errno, "reading %s", full);
        if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
            if (collect_matches(root, name, glob, out, depth + 1, err) < 0)
                return -1;
        } else if (S_ISREG(st.st_mode) && fnmatch(glob, name, FNM_PATHNAME) == 0) {
            strlist_add(out, name);
        }
    }
    return 0;
}

int deb_unpack_inside(const char *folder, const char *glob, const char *destination,
                      int64_t *newest, struct error **err)
{
    cleanup_strlist struct strlist found = {0};
    while (*glob == '/')
        glob++;
    if (collect_matches(folder, "", glob, &found, 0, err) < 0)
        return -1;
    if (found.n == 0)
        return error_user(err, "the package has no file %s", glob);
    if (found.n > 1)
        return error_user(err, "more than one file of the package matches %s: %s and %s", glob,
                          found.items[0], found.items[1]);
    cleanup_free char *path = xasprintf("%s/%s", folder, found.items[0]);
    return unpack_archive(path, destination, newest, err);
}

static int changelog_time(const char *folder, int64_t *when, struct error **err)
{
    cleanup_free char *changelog = xasprintf("%s/debian/changelog", folder);
    const char *const argv[] = {"dpkg-parsechangelog", "-l", changelog, "-S", "Timestamp", NULL};
    struct process p = {.argv = (char *const *)argv, .input = -1};
    cleanup_buf struct buf text = {0};
    buf_puts(&text, "");
    if (process_run(&p, &text, err) < 0)
        return -1;
    *when = strtoll(text.data, NULL, 10);
    return 0;
}

int dsc_unpack(const char *dsc, const char *destination, int64_t *when, struct error **err)
{
    // apt has checked the files against its signed indexes; the signature inside the .dsc is the
    // uploader's, whose key most machines lack.
    const char *const argv[] = {"dpkg-source", "--no-check", "--no-copy", "--extract",
                                dsc,           destination,  NULL};
    struct process p = {.argv = (char *const *)argv, .input = -1};
    cleanup_buf struct buf said = {0};
    cleanup_free char *tool = find_program("dpkg-source");
    if (!tool) {
        error_user(err, "unpacking a Debian source package needs dpkg-source");
        return error_hint(err, "apt-get install dpkg-dev (or: make deps)");
    }
    if (rmdir(destination) < 0) // dpkg-source makes it
        return error_errno(err, errno, "replacing the folder %s", destination);
    if (process_run(&p, &said, err) < 0) {
        make_directories(destination, 0755, NULL);
        return error_wrap(err, "unpacking %s", path_base(dsc));
    }
    return changelog_time(destination, when, err);
}
