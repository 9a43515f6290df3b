// SPDX-License-Identifier: Apache-2.0
// Packs a list of single files, links and directories, each under a name of its own, as one
// tarball.
#include "pack/names.h"
#include "pack/pack.h"
#include "pack/tar_out.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int by_path(const void *a, const void *b)
{
    const struct pack_member *x = *(struct pack_member *const *)a,
                             *y = *(struct pack_member *const *)b;
    return strcmp(x->path, y->path);
}

static int open_source(const struct pack_member *m, uint64_t *size, struct error **err)
{
    cleanup_close int fd = open(m->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "reading %s", m->source);
    if (!S_ISREG(st.st_mode))
        return error_user(err, "reading %s: it is not a file", m->source);
    *size = (uint64_t)st.st_size;
    return steal_fd(&fd);
}

// The approximate content size. A file without stat is an error later, when it is read.
static uint64_t expected_bytes(const struct pack_member *members, size_t count)
{
    uint64_t total = 0;
    struct stat st;
    for (size_t i = 0; i < count; i++)
        if (members[i].source && !stat(members[i].source, &st))
            total += (uint64_t)st.st_size;
    return total;
}

static int write_member(struct tar_out *t, const struct pack_member *m,
                        const struct pack_options *o, uint64_t *done, struct error **err)
{
    if (tar_out_parents(t, m->path, err) < 0)
        return -1;
    struct tar_entry e = {.path = m->path, .mtime = o->epoch, .link = m->link};
    if (m->link || m->directory) {
        e.mode = m->link ? S_IFLNK | 0777 : S_IFDIR | 0755;
        return tar_out_entry(t, &e, err);
    }
    e.mode = S_IFREG | ((unsigned)m->mode & 0777);
    int fd = open_source(m, &e.size, err);
    if (fd < 0)
        return -1;
    *done += e.size;
    return tar_out_file(t, &e, fd, err);
}

// Each member once, clean, and none below a file or link.
static int check_members(struct pack_member *const *sorted, size_t count, struct error **err)
{
    for (size_t i = 0; i < count; i++) {
        const struct pack_member *m = sorted[i];
        if (!path_is_clean(m->path) || strchr(m->path, '\n') || strlen(m->path) > NAME_LIMIT)
            return error_user(err, "packing \"%s\": it is not a clean relative path", m->path);
        if (!m->link && !m->directory && !m->source)
            return error_user(err, "packing %s: it has no content", m->path);
        for (size_t j = 0; j < i; j++) {
            size_t n = strlen(sorted[j]->path);
            bool below = !strncmp(m->path, sorted[j]->path, n) && m->path[n] == '/';
            if (!strcmp(m->path, sorted[j]->path))
                return error_user(err, "packing %s: it is named twice", m->path);
            if (below && !sorted[j]->directory)
                return error_user(err, "packing %s: %s is not a directory", m->path,
                                  sorted[j]->path);
        }
    }
    return 0;
}

int pack_members(const struct pack_member *members, size_t count, int fd,
                 const struct pack_options *o, struct error **err)
{
    WITH_UTF8_NAMES;
    cleanup_free struct pack_member **sorted = xcalloc(count, sizeof(struct pack_member *));
    for (size_t i = 0; i < count; i++)
        sorted[i] = (struct pack_member *)&members[i];
    qsort(sorted, count, sizeof(struct pack_member *), by_path);
    if (check_members(sorted, count, err) < 0)
        return -1;
    cleanup_tar_out struct tar_out *t =
        tar_out_open(fd, o, count, expected_bytes(members, count), err);
    if (!t)
        return error_wrap(err, "packing");
    uint64_t done = 0;
    if (!count) {
        struct tar_entry root = {.path = "", .mode = S_IFDIR | 0755, .mtime = o->epoch};
        if (tar_out_entry(t, &root, err) < 0)
            return error_wrap(err, "packing");
    }
    for (size_t i = 0; i < count; i++) {
        if (write_member(t, sorted[i], o, &done, err) < 0)
            return error_wrap(err, "packing %s", sorted[i]->path);
        progress("packing", done, 0, "bytes");
    }
    return tar_out_finish(t, err) < 0 ? error_wrap(err, "packing") : 0;
}
