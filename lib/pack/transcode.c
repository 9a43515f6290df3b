// SPDX-License-Identifier: Apache-2.0
// Rewrites a component that cannot be spliced, in the form of pack_tree().
#include "pack/merge_plan.h"

#include "pack/names.h"
#include "pack/reader.h"
#include "pack/tar_out.h"

#include "base/error.h"

#include <string.h>
#include <sys/stat.h>

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

int transcode_component(const struct merge_plan *plan, size_t number, int fd,
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
