// SPDX-License-Identifier: Apache-2.0
// Compares two archives, and reports the members that differ and their first different bytes.
#include "pack/internal.h"

#include "base/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINES_MAX = 40, CONTENTS_MAX = 8, CONTEXT = 16, CHUNK = 1 << 16 };

struct comparison {
    const struct compared *side[2];
    struct listing listing[2];
    struct map by_path[2]; // first entry of each path
    void (*report)(void *context, const char *line);
    void *context;
    int differences, contents;
};

__attribute__((format(printf, 2, 3))) static void say(struct comparison *c, const char *format, ...)
{
    va_list args;
    if (c->differences > LINES_MAX)
        return;
    va_start(args, format);
    cleanup_free char *line = xvasprintf(format, args);
    va_end(args);
    cleanup_free char *shown = printable(line);
    c->report(c->context, shown);
}

// ---- contents ----

static int extract(const struct compared *from, const char *path, struct error **err)
{
    cleanup_close int fd = memfd_create("member", MFD_CLOEXEC);
    if (fd < 0)
        return error_errno(err, ENOMEM, "making room for \"%s\"", path);
    return unpack_member(from->fd, from->name, path, fd, NULL, err) < 0 ? -1 : steal_fd(&fd);
}

// The offset of the first byte that differs, or the length of the shorter one.
static uint64_t first_difference(int a, int b)
{
    cleanup_free char *x = xmalloc(CHUNK);
    cleanup_free char *y = xmalloc(CHUNK);
    for (off_t at = 0;;) {
        ssize_t n = pread(a, x, CHUNK, at), m = pread(b, y, CHUNK, at);
        ssize_t both = n < m ? n : m;
        for (ssize_t i = 0; i < both; i++)
            if (x[i] != y[i])
                return (uint64_t)(at + i);
        if (both <= 0 || n != m)
            return (uint64_t)(at + (both > 0 ? both : 0));
        at += both;
    }
}

static void say_bytes(struct comparison *c, const char *called, int fd, uint64_t offset)
{
    uint64_t from = offset < CONTEXT ? 0 : (offset - CONTEXT) / CONTEXT * CONTEXT;
    unsigned char bytes[3 * CONTEXT];
    ssize_t n = pread(fd, bytes, sizeof bytes, (off_t)from);
    for (ssize_t row = 0; row < n; row += CONTEXT) {
        cleanup_buf struct buf line = {0};
        buf_printf(&line, "    %-16s %08" PRIx64 " ", called, from + (uint64_t)row);
        for (ssize_t i = row; i < row + CONTEXT; i++)
            if (i < n)
                buf_printf(&line, " %02x", bytes[i]);
            else
                buf_puts(&line, "   ");
        buf_puts(&line, "  ");
        for (ssize_t i = row; i < row + CONTEXT && i < n; i++)
            buf_printf(&line, "%c", bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '.');
        say(c, "%s", line.data);
    }
}

static int show_content(struct comparison *c, const char *path, struct error **err)
{
    if (c->contents++ >= CONTENTS_MAX)
        return 0;
    cleanup_close int a = extract(c->side[0], path, err);
    cleanup_close int b = a < 0 ? -1 : extract(c->side[1], path, err);
    if (b < 0)
        return -1;
    uint64_t offset = first_difference(a, b);
    say(c, "    from byte %" PRIu64 " on", offset);
    say_bytes(c, c->side[0]->called, a, offset);
    say_bytes(c, c->side[1]->called, b, offset);
    return 0;
}

// ---- members ----

static bool same_or_empty(const char *a, const char *b)
{
    return !strcmp(a ? a : "", b ? b : "");
}

static int compare_entries(struct comparison *c, const struct listing_entry *a,
                           const struct listing_entry *b, struct error **err)
{
    const char *path = *a->path ? a->path : ".";
    if (a->mode != b->mode)
        say(c, "%s: mode %o and %o", path, a->mode, b->mode);
    else if (a->hardlink != b->hardlink || !same_or_empty(a->link, b->link))
        say(c, "%s: it points to \"%s\" and to \"%s\"", path, a->link ? a->link : "",
            b->link ? b->link : "");
    else if (strcmp(a->digest, b->digest) != 0)
        say(c, "%s: its content differs, %" PRIu64 " and %" PRIu64 " bytes", path, a->size,
            b->size);
    else if (a->mtime != b->mtime)
        say(c, "%s: time %" PRId64 " and %" PRId64, path, a->mtime, b->mtime);
    else if (!same_or_empty(a->attributes, b->attributes))
        say(c, "%s: its extended attributes differ", path);
    else
        return 0;
    c->differences++;
    bool content = strcmp(a->digest, b->digest) != 0 && *a->digest && *b->digest;
    return content ? show_content(c, a->path, err) : 0;
}

static void only_in(struct comparison *c, int side, const struct listing_entry *e)
{
    say(c, "%s is only in %s", *e->path ? e->path : ".", c->side[side]->called);
    c->differences++;
}

static void compare_order(struct comparison *c)
{
    for (size_t i = 0; i < c->listing[0].n; i++) {
        const char *a = c->listing[0].entries[i].path, *b = c->listing[1].entries[i].path;
        if (strcmp(a, b) != 0) {
            say(c, "the members are the same, in another order: %s and %s as number %zu", a, b,
                i + 1);
            c->differences++;
            return;
        }
    }
}

static int compare_all(struct comparison *c, struct error **err)
{
    for (int side = 0; side < 2; side++) {
        struct listing *l = &c->listing[side];
        if (list_archive(c->side[side]->fd, c->side[side]->name, l, err) < 0)
            return -1;
        for (size_t i = 0; i < l->n; i++)
            map_put(&c->by_path[side], l->entries[i].path, i);
    }
    for (size_t i = 0; i < c->listing[0].n; i++) {
        const struct listing_entry *e = &c->listing[0].entries[i];
        const size_t *other = map_find(&c->by_path[1], e->path);
        if (!other)
            only_in(c, 0, e);
        else if (compare_entries(c, e, &c->listing[1].entries[*other], err) < 0)
            return -1;
    }
    for (size_t i = 0; i < c->listing[1].n; i++)
        if (!map_find(&c->by_path[0], c->listing[1].entries[i].path))
            only_in(c, 1, &c->listing[1].entries[i]);
    if (!c->differences && c->listing[0].n == c->listing[1].n)
        compare_order(c);
    if (c->differences > LINES_MAX) {
        cleanup_free char *more = xasprintf("and more: %d differences in all", c->differences);
        c->report(c->context, more);
    }
    return c->differences;
}

int compare_archives(const struct compared *a, const struct compared *b,
                     void (*report)(void *context, const char *line), void *context,
                     struct error **err)
{
    struct comparison c = {.side = {a, b}, .report = report, .context = context};
    int result = compare_all(&c, err);
    for (int side = 0; side < 2; side++) {
        listing_free(&c.listing[side]);
        map_free(&c.by_path[side]);
    }
    return result;
}
