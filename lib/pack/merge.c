// SPDX-License-Identifier: Apache-2.0
// Merges component tarballs: plans, makes each component a segment, and splices the segments. A
// component that cannot be spliced is rewritten in the form of pack_tree().
#include "pack/internal.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

// ---- rewriting a component ----

struct transcoding {
    struct tar_out *out;
    const struct component *component;
    uint64_t done, total;
};

static int add_data(void *context, const void *bytes, size_t length, struct error **err)
{
    struct transcoding *t = context;
    t->done += length;
    progress("recompressing", t->done, t->total, "bytes");
    return tar_out_data(t->out, bytes, length, err);
}

// Writes one member as the listing has it; `source` is at its content.
static int write_member(struct transcoding *t, struct reader *source,
                        const struct reader_member *from, size_t i, struct error **err)
{
    const struct listing *l = &t->component->listing;
    const struct listing_entry *e = &l->entries[i], *same = &l->entries[t->component->same[i]];
    struct tar_entry out = {.path = e->path,
                            .mode = normal_mode(same->mode),
                            .size = e->size,
                            .mtime = from->mtime,
                            .link = S_ISLNK(same->mode) ? same->link : e->link,
                            .hardlink = e->hardlink && !S_ISLNK(same->mode),
                            .attributes = e->attributes};
    if (S_ISDIR(out.mode) && tar_out_has_directory(t->out, e->path))
        return 0;
    if (tar_out_parents(t->out, e->path, err) < 0 || tar_out_entry(t->out, &out, err) < 0)
        return -1;
    if (!S_ISREG(out.mode) || out.hardlink)
        return 0;
    return reader_content(source, add_data, t, err);
}

static int write_members(struct transcoding *t, const struct merge_plan *plan, size_t number,
                         struct reader *r, struct error **err)
{
    const struct component *c = t->component;
    for (size_t i = 0; i < c->listing.n; i++) {
        const struct listing_entry *e = &c->listing.entries[i];
        struct reader_member from;
        int n = reader_next(r, &from, err);
        if (n < 0)
            return n;
        if (n == 0 || strcmp(from.path, e->path) != 0 ||
            (S_ISREG(e->mode) && from.size_known && from.size != e->size))
            return error_user(err, "%s changed while it was being read", c->path);
        if (merge_plan_writes(plan, e->path, number, i) && write_member(t, r, &from, i, err) < 0)
            return reader_wrap(r, err);
    }
    return 0;
}

// Writes to fd the entries of component `number` that no earlier component has.
static int transcode_component(const struct merge_plan *plan, size_t number, int fd,
                               const struct pack_options *o, struct error **err)
{
    const struct component *c = &plan->components[number];
    struct transcoding t = {.component = c};
    for (size_t i = 0; i < c->listing.n; i++)
        t.total += c->listing.entries[i].size;
    cleanup_reader struct reader *r = reader_open(c->fd, c->path, 0, err);
    cleanup_tar_out struct tar_out *out =
        r ? tar_out_open(fd, o, c->listing.n, t.total, err) : NULL;
    t.out = out;
    const struct tar_entry root = {.path = "", .mode = S_IFDIR | 0755, .mtime = o->epoch};
    if (!out || tar_out_entry(out, &root, err) < 0 || write_members(&t, plan, number, r, err) < 0)
        return -1;
    return tar_out_finish(out, err);
}

// ---- the merge ----

struct merge {
    struct merge_plan plan;
    struct merge_options o;
    const struct segment_format *format;
    struct segment *segments; // of each component, then of the merge's own files
    size_t n;
    size_t listed;         // components
    struct splice *splice; // running, or NULL
};

static int open_segment(struct merge *m, int fd, struct error **err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "looking at it");
    int found = m->format->open(fd, (uint64_t)st.st_size, &m->segments[m->n], err);
    m->n += found > 0;
    return found;
}

// Takes fd.
static int open_written(struct merge *m, int fd, struct error **err)
{
    int found = open_segment(m, fd, err);
    if (found > 0)
        return 0;
    close(fd);
    return found < 0 ? -1 : error_user(err, "what was just written cannot be spliced");
}

// 1: the component is a segment; 0: it must be rewritten.
static int open_component(struct merge *m, size_t number, struct error **err)
{
    const struct component *c = &m->plan.components[number];
    int found = c->listing.normal ? open_segment(m, c->fd, err) : 0;
    return found < 0 ? error_wrap(err, "reading %s", c->path) : found;
}

static int rewrite_component(struct merge *m, size_t number, struct error **err)
{
    const struct component *c = &m->plan.components[number];
    log_note("%s cannot be spliced, since kbuild did not pack it as %s: it is recompressed",
             c->name, pack_format_extension(m->o.pack.format));
    cleanup_close int fd = nameless_file(m->o.scratch, err);
    if (fd < 0 || transcode_component(&m->plan, number, fd, &m->o.pack, err) < 0)
        return error_wrap(err, "recompressing %s", c->path);
    return open_written(m, steal_fd(&fd), err);
}

// ---- what the merge itself adds ----

static int write_version(struct tar_out *out, const char *path, const struct merge_options *o,
                         struct error **err)
{
    cleanup_free char *text = xasprintf("%s\n", o->version);
    struct tar_entry e = {
        .path = path, .mode = S_IFREG | 0644, .size = strlen(text), .mtime = o->pack.epoch};
    if (tar_out_parents(out, path, err) < 0 || tar_out_entry(out, &e, err) < 0)
        return -1;
    return tar_out_data(out, text, strlen(text), err);
}

static int write_versions_yaml(struct tar_out *out, const char *path, const struct merge_options *o,
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
    if (tar_out_parents(out, path, err) < 0)
        return -1;
    return tar_out_file(out, &e, steal_fd(&fd), err) < 0 ? error_wrap(err, "%s", o->versions_yaml)
                                                         : 0;
}

static int add_own(struct merge *m, struct error **err)
{
    const struct merge_options *o = &m->o;
    const char *between = *o->prefix ? "/" : "";
    cleanup_free char *version = xasprintf("%s%sVERSION", o->prefix, between);
    cleanup_free char *yaml = xasprintf("%s%sversions.yaml", o->prefix, between);
    cleanup_close int fd = nameless_file(m->o.scratch, err);
    cleanup_tar_out struct tar_out *out = fd < 0 ? NULL : tar_out_open(fd, &o->pack, 0, 0, err);
    const struct tar_entry root = {.path = "", .mode = S_IFDIR | 0755, .mtime = o->pack.epoch};
    if (!out || (o->version && merge_plan_reserve(&m->plan, version, err) < 0) ||
        (o->versions_yaml && merge_plan_reserve(&m->plan, yaml, err) < 0) ||
        tar_out_entry(out, &root, err) < 0 ||
        (o->version && write_version(out, version, o, err) < 0) ||
        (o->versions_yaml && write_versions_yaml(out, yaml, o, err) < 0) ||
        tar_out_finish(out, err) < 0)
        return -1;
    return open_written(m, steal_fd(&fd), err);
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

// Opens listed components as segments, up to the first that must be rewritten.
static int cut_components(struct merge *m, struct error **err)
{
    int found = 1;
    while (m->n < m->listed && found > 0)
        found = open_component(m, m->n, err);
    splice_ready(m->splice, m->n);
    return found;
}

static uint64_t total_size(const struct merge_plan *plan)
{
    uint64_t total = 0;
    for (size_t i = 0; i < plan->n; i++)
        total += (uint64_t)plan->components[i].st.st_size;
    return total;
}

static int list_components(struct merge *m, struct error **err)
{
    int found = 1;
    while (m->listed < m->plan.n) {
        if (merge_plan_list(&m->plan, m->listed, &m->o, err) < 0)
            return -1;
        m->listed++;
        if (found > 0)
            found = cut_components(m, err);
        if (found < 0)
            return -1;
    }
    return 0;
}

// Copying starts as soon as the first component is listed; meanwhile the others are, the plan is
// checked, and components that cannot be spliced are rewritten.
static int merge(struct merge *m, const struct strlist *paths, int fd, struct error **err)
{
    if (merge_plan_open(&m->plan, paths, &m->o, err) < 0)
        return -1;
    m->segments = xcalloc(m->plan.n + 1, sizeof *m->segments);
    m->splice = splice_begin(m->format, m->segments, total_size(&m->plan), fd);
    if (list_components(m, err) < 0)
        return -1;
    if (!m->o.pack.epoch)
        m->o.pack.epoch = newest_time(&m->plan);
    if (merge_plan_check(&m->plan, err) < 0)
        return -1;
    while (m->n < m->plan.n)
        if (rewrite_component(m, m->n, err) < 0 || cut_components(m, err) < 0)
            return -1;
    if (add_own(m, err) < 0)
        return -1;
    splice_ready(m->splice, m->n);
    return splice_end(steal(m->splice), err) < 0 ? -1 : components_unchanged(&m->plan, err);
}

int merge_archives(const struct strlist *paths, int fd, const struct merge_options *o,
                   struct error **err)
{
    WITH_UTF8_NAMES;
    if (*o->prefix && !path_is_clean(o->prefix))
        return error_user(err, "merging: the prefix \"%s\" is not a clean relative path",
                          o->prefix);
    struct merge m = {.o = *o, .format = segment_format(o->pack.format)};
    m.o.pack.listing = NULL;
    int result = merge(&m, paths, fd, err);
    splice_cancel(m.splice);
    for (size_t i = 0; i < m.n; i++) {
        bool own = i >= m.plan.n || m.segments[i].fd != m.plan.components[i].fd;
        m.format->close(&m.segments[i]);
        if (own)
            close(m.segments[i].fd);
    }
    free(m.segments);
    merge_plan_free(&m.plan);
    return result < 0 ? error_wrap(err, "merging") : 0;
}

// ---- one tarball in another format ----

int recompress_archive(const char *path, int fd, const struct pack_options *o, struct error **err)
{
    struct merge_plan plan = {0};
    struct strlist paths = {.items = (char **)&path, .n = 1};
    const struct merge_options of_one = {.prefix = "", .pack = *o};
    struct pack_options pack = *o;
    int result = merge_plan_make(&plan, &paths, &of_one, err);
    if (!result) {
        pack.epoch = pack.epoch ? pack.epoch : newest_time(&plan);
        result = transcode_component(&plan, 0, fd, &pack, err);
    }
    if (!result)
        result = components_unchanged(&plan, err);
    merge_plan_free(&plan);
    return result ? error_wrap(err, "recompressing %s", path) : 0;
}
