// SPDX-License-Identifier: Apache-2.0
// Lists an archive: each member with its kind, mode, time, and the digest of its content.
#include "pack/names.h"
#include "pack/pack.h"
#include "pack/reader.h"

#include "base/digest.h"

#include <sys/stat.h>

// Digest and length of a content; the length replaces a size that was unknown.
struct measured {
    struct digest_stream *digest;
    uint64_t size;
};

static int measure(void *context, const void *bytes, size_t length, struct error **err)
{
    struct measured *m = context;
    m->size += length;
    digest_add(m->digest, bytes, length);
    return 0;
}

static int take_content(struct reader *r, struct listing_entry *e, struct error **err)
{
    struct measured m = {.digest = digest_begin()};
    int result = reader_content(r, measure, &m, err);
    digest_end(m.digest, e->digest);
    e->size = m.size;
    return result;
}

int list_archive(int fd, const char *name, struct listing *out, struct error **err)
{
    WITH_UTF8_NAMES;
    cleanup_reader struct reader *reader = reader_open(fd, name, 0, err);
    if (!reader)
        return -1;
    struct reader_member m;
    int n;
    out->normal = true;
    while ((n = reader_next(reader, &m, err)) > 0) {
        out->entries = xgrow(out->entries, &out->cap, out->n + 1, sizeof *out->entries);
        struct listing_entry *e = &out->entries[out->n++];
        *e = (struct listing_entry){.path = xstrdup(m.path),
                                    .mode = m.mode,
                                    .mtime = m.mtime,
                                    .link = m.link ? xstrdup(m.link) : NULL,
                                    .hardlink = m.hardlink,
                                    .attributes = m.attributes ? xstrdup(m.attributes) : NULL};
        out->normal = out->normal && m.normal && normal_mode(m.mode) == m.mode;
        // A hard link of tar has no content of its own; its digest is that of its target.
        bool content = S_ISREG(m.mode) && (!m.hardlink || m.size);
        if (content && take_content(reader, e, err) < 0)
            return reader_wrap(reader, err);
        reader_progress(reader, "reading");
    }
    return n;
}

void listing_free(struct listing *l)
{
    for (size_t i = 0; !l->text && i < l->n; i++) {
        free(l->entries[i].path);
        free(l->entries[i].link);
        free(l->entries[i].attributes);
    }
    free(l->entries);
    free(l->text);
    *l = (struct listing){0};
}
