// SPDX-License-Identifier: Apache-2.0
#include "pack/merge_plan.h"
#include "pack/names.h"
#include "pack/pack.h"
#include "pack/reader.h"
#include "pack/tar_out.h"

#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct merging {
    struct merge_plan plan;
    struct tar_out *out;
    uint64_t done, total;
};

static int add_data(void *context, const void *bytes, size_t length, struct error **err)
{
    struct merging *m = context;
    m->done += length;
    progress("merging", m->done, m->total, "bytes");
    return tar_out_data(m->out, bytes, length, err);
}

// Writes one member as the listing has it; `source` is at its content.
static int write_member(struct merging *m, struct reader *source, const struct reader_member *from,
                        const struct component *c, size_t i, struct error **err)
{
    const struct listing_entry *e = &c->listing.entries[i], *same = &c->listing.entries[c->same[i]];
    struct tar_entry out = {.path = e->path,
                            .mode = normal_mode(same->mode),
                            .size = e->size,
                            .mtime = from->mtime,
                            .link = S_ISLNK(same->mode) ? same->link : e->link,
                            .hardlink = e->hardlink && !S_ISLNK(same->mode)};
    if (S_ISDIR(out.mode) && tar_out_has_directory(m->out, e->path))
        return 0;
    if (tar_out_parents(m->out, e->path, err) < 0 || tar_out_entry(m->out, &out, err) < 0)
        return -1;
    if (!S_ISREG(out.mode) || out.hardlink)
        return 0;
    return reader_content(source, add_data, m, err);
}

static int write_component(struct merging *m, size_t number, struct error **err)
{
    const struct component *c = &m->plan.components[number];
    cleanup_close int fd = open(c->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "opening %s", c->path);
    cleanup_reader struct reader *r = reader_open(fd, c->path, 0, err);
    if (!r)
        return -1;
    for (size_t i = 0; i < c->listing.n; i++) {
        const struct listing_entry *e = &c->listing.entries[i];
        struct reader_member from;
        int n = reader_next(r, &from, err);
        if (n < 0)
            return n;
        if (n == 0 || strcmp(from.path, e->path) != 0 ||
            (S_ISREG(e->mode) && from.size_known && from.size != e->size))
            return error_user(err, "%s changed while it was being read", c->path);
        if (merge_plan_writes(&m->plan, e->path, number, i) &&
            write_member(m, r, &from, c, i, err) < 0)
            return reader_wrap(r, err);
    }
    return 0;
}

static int write_version(struct merging *m, const char *path, const struct merge_options *o,
                         struct error **err)
{
    cleanup_free char *text = xasprintf("%s\n", o->version);
    struct tar_entry e = {
        .path = path, .mode = S_IFREG | 0644, .size = strlen(text), .mtime = o->pack.epoch};
    if (tar_out_parents(m->out, path, err) < 0 || tar_out_entry(m->out, &e, err) < 0)
        return -1;
    return tar_out_data(m->out, text, strlen(text), err);
}

static int write_versions_yaml(struct merging *m, const char *path, const struct merge_options *o,
                               struct error **err)
{
    cleanup_close int fd = open(o->versions_yaml, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "reading %s", o->versions_yaml);
    if (!S_ISREG(st.st_mode))
        return error_user(err, "reading %s: it is not a file", o->versions_yaml);
    struct tar_entry e = {
        .path = path, .mode = S_IFREG | 0644, .size = (uint64_t)st.st_size, .mtime = o->pack.epoch};
    if (tar_out_parents(m->out, path, err) < 0)
        return -1;
    return tar_out_file(m->out, &e, steal_fd(&fd), err) < 0
               ? error_wrap(err, "%s", o->versions_yaml)
               : 0;
}

static void count_bytes(struct merging *m)
{
    for (size_t i = 0; i < m->plan.claim_n; i++) {
        const struct claim *c = &m->plan.claims[i];
        m->total += m->plan.components[c->component].listing.entries[c->entry].size;
    }
}

static int write_all(struct merging *m, const struct merge_options *o, struct error **err)
{
    const char *between = *o->prefix ? "/" : "";
    cleanup_free char *version = xasprintf("%s%sVERSION", o->prefix, between);
    cleanup_free char *yaml = xasprintf("%s%sversions.yaml", o->prefix, between);
    const struct tar_entry root = {.path = "", .mode = S_IFDIR | 0755, .mtime = o->pack.epoch};
    if ((o->version && merge_plan_reserve(&m->plan, version, err) < 0) ||
        (o->versions_yaml && merge_plan_reserve(&m->plan, yaml, err) < 0) ||
        tar_out_entry(m->out, &root, err) < 0)
        return -1;
    count_bytes(m);
    for (size_t i = 0; i < m->plan.n; i++)
        if (write_component(m, i, err) < 0)
            return -1;
    if ((o->version && write_version(m, version, o, err) < 0) ||
        (o->versions_yaml && write_versions_yaml(m, yaml, o, err) < 0))
        return -1;
    return tar_out_finish(m->out, err);
}

static int64_t newest_time(const struct merge_plan *plan)
{
    int64_t newest = 0;
    for (size_t i = 0; i < plan->n; i++) {
        const struct listing *l = &plan->components[i].listing;
        for (size_t k = 0; k < l->n; k++)
            if (l->entries[k].mtime > newest)
                newest = l->entries[k].mtime;
    }
    return newest;
}

int merge_archives(const struct strlist *paths, int fd, const struct merge_options *o,
                   struct error **err)
{
    WITH_UTF8_NAMES;
    struct merging m = {0};
    int result = -1;
    if (*o->prefix && !path_is_clean(o->prefix))
        return error_user(err, "merging: the prefix \"%s\" is not a clean relative path",
                          o->prefix);
    if (merge_plan_make(&m.plan, paths, err) == 0) {
        struct merge_options options = *o;
        if (!options.pack.epoch)
            options.pack.epoch = newest_time(&m.plan);
        cleanup_tar_out struct tar_out *out = m.out = tar_out_open(fd, &options.pack, err);
        if (out)
            result = write_all(&m, &options, err);
    }
    merge_plan_free(&m.plan);
    return result < 0 ? error_wrap(err, "merging") : 0;
}
