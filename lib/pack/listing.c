// SPDX-License-Identifier: Apache-2.0
// Lists an archive: each member with its kind, mode, time, and the digest of its content; writes a
// listing as bytes, and reads it back.
#include "pack/pack.h"
#include "pack/reader.h"

#include "base/digest.h"
#include "base/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// Digest and length of a content; the length replaces a size that was unknown.
struct measured {
    struct digest_stream *digest;
    uint64_t size;
    const struct listing_watch *watch; // or NULL
    size_t entry;
};

static int measure(void *context, const void *bytes, size_t length, struct error **err)
{
    struct measured *m = context;
    if (m->watch)
        m->watch->bytes(m->watch->context, m->entry, m->size, bytes, length);
    m->size += length;
    digest_add(m->digest, bytes, length);
    return 0;
}

static int take_content(struct reader *r, const struct listing_watch *watch, size_t entry,
                        struct listing_entry *e, struct error **err)
{
    struct measured m = {.digest = digest_begin(), .watch = watch, .entry = entry};
    int result = reader_content(r, measure, &m, err);
    digest_end(m.digest, e->digest);
    e->size = m.size;
    return result;
}

int list_archive(int fd, const char *name, struct listing *out, struct error **err)
{
    return list_archive_watched(fd, name, NULL, out, err);
}

int list_archive_watched(int fd, const char *name, const struct listing_watch *watch,
                         struct listing *out, struct error **err)
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
        if (content && take_content(reader, watch, out->n - 1, e, err) < 0)
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

// ---- as bytes ----
//   "kbuild listing 1 normal\n" or "kbuild listing 1 other\n"
//   for each entry: mode (octal) size mtime h|- digest|- attributes|- SP path NUL [link NUL]\n
//
// Equal listings have equal bytes, so that a digest can name them.

static const char normal_header[] = "kbuild listing 1 normal\n",
                  other_header[] = "kbuild listing 1 other\n";

void listing_write(const struct listing *l, struct buf *out)
{
    buf_puts(out, l->normal ? normal_header : other_header);
    for (size_t i = 0; i < l->n; i++) {
        const struct listing_entry *e = &l->entries[i];
        buf_printf(out, "%o %" PRIu64 " %" PRId64 " %c %s %s ", e->mode, e->size, e->mtime,
                   e->hardlink ? 'h' : '-', *e->digest ? e->digest : "-",
                   e->attributes ? e->attributes : "-");
        buf_add(out, e->path, strlen(e->path) + 1);
        if (e->link)
            buf_add(out, e->link, strlen(e->link) + 1);
        buf_add(out, "\n", 1);
    }
}

// The bytes that are left to read.
struct cursor {
    char *at, *end;
};

// The text up to the next `stop`, which becomes its NUL; NULL if there is none.
static char *take(struct cursor *c, char stop)
{
    char *found = memchr(c->at, stop, (size_t)(c->end - c->at));
    if (!found || (stop && memchr(c->at, '\0', (size_t)(found - c->at))))
        return NULL;
    char *text = c->at;
    *found = '\0';
    c->at = found + 1;
    return text;
}

// A number as printf() writes it, and nothing else.
static bool number(struct cursor *c, int base, bool negative, int64_t *out)
{
    const char *text = take(c, ' ');
    const char *digits = text && *text == '-' ? text + 1 : text;
    if (!text || !*digits || strlen(text) > 20 || strspn(digits, "0123456789") != strlen(digits))
        return false;
    char *end;
    *out = strtoll(text, &end, base);
    return !*end && (negative || *text != '-') && *out != INT64_MAX;
}

static bool take_digest(struct cursor *c, struct listing_entry *e)
{
    const char *text = take(c, ' ');
    if (!text || (strcmp(text, "-") != 0 && !digest_is_hex(text)))
        return false;
    if (*text != '-')
        memcpy(e->digest, text, sizeof e->digest);
    return true;
}

static bool take_attributes(struct cursor *c, struct listing_entry *e)
{
    char *text = take(c, ' ');
    if (!text || !strcmp(text, "-"))
        return text != NULL;
    e->attributes = text;
    return strspn(text, "0123456789abcdef=,") == strlen(text);
}

static bool take_entry(struct cursor *c, struct listing_entry *e)
{
    int64_t mode, size;
    if (!number(c, 8, false, &mode) || mode > 0177777 || !number(c, 10, false, &size) ||
        !number(c, 10, true, &e->mtime))
        return false;
    e->mode = (unsigned)mode;
    e->size = (uint64_t)size;
    const char *hard = take(c, ' ');
    if (!hard || (strcmp(hard, "h") != 0 && strcmp(hard, "-") != 0))
        return false;
    e->hardlink = *hard == 'h';
    if (!take_digest(c, e) || !take_attributes(c, e) || !(e->path = take(c, '\0')))
        return false;
    if ((e->hardlink || S_ISLNK(e->mode)) && !(e->link = take(c, '\0')))
        return false;
    // A listing has only clean names; others were not written by kbuild.
    bool clean = (!*e->path || path_is_clean(e->path)) && strlen(e->path) <= NAME_LIMIT &&
                 !strchr(e->path, '\n') && (!e->hardlink || path_is_clean(e->link));
    return clean && c->at < c->end && *c->at++ == '\n';
}

int listing_read(const void *bytes, size_t length, struct listing *out, struct error **err)
{
    out->text = xmalloc(length);
    if (length)
        memcpy(out->text, bytes, length);
    struct cursor c = {out->text, out->text + length};
    const char *header = take(&c, '\n');
    size_t n = header ? strlen(header) : 0;
    out->normal = n == sizeof normal_header - 2 && !memcmp(header, normal_header, n);
    bool good = out->normal || (n == sizeof other_header - 2 && !memcmp(header, other_header, n));
    while (good && c.at < c.end) {
        out->entries = xgrow(out->entries, &out->cap, out->n + 1, sizeof *out->entries);
        out->entries[out->n] = (struct listing_entry){0};
        good = take_entry(&c, &out->entries[out->n++]);
    }
    if (good)
        return 0;
    return error_user(err, "entry %zu is no entry of a listing", out->n);
}
