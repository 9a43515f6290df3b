// SPDX-License-Identifier: Apache-2.0
// Extracts one file in two passes: the first reads all names and links, the second writes the file,
// since a link may come before its target and a later member replaces an earlier one.
#include "pack/internal.h"

#include "base/file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { LINKS_MAX = 40 }; // as the kernel has it

struct known {
    unsigned mode;
    char *link;     // of a symlink, or NULL
    size_t content; // number of the member that has, or leads to, the content
};
struct index {
    struct known *members;
    size_t n, cap;
    struct map by_name; // the last member of each name
};

static void index_free(struct index *x)
{
    for (size_t i = 0; i < x->n; i++)
        free(x->members[i].link);
    free(x->members);
    map_free(&x->by_name);
}

// A hard link has the content of its target at this point of the archive. In a cpio the last name
// of a file has the content for all names.
static int add_hard_link(struct index *x, const struct reader_member *m, struct error **err)
{
    const size_t *number = map_find(&x->by_name, m->link);
    if (!number)
        return error_user(err, "it is a hard link to something that did not come before it");
    struct known *target = &x->members[*number];
    struct known *link = &x->members[x->n];
    *link = (struct known){target->mode, target->link ? xstrdup(target->link) : NULL, *number};
    if (m->size)
        target->content = link->content = x->n;
    return 0;
}

static int read_index(int fd, const char *name, struct index *x, struct error **err)
{
    cleanup_reader struct reader *r = reader_open(fd, name, 0, err);
    if (!r)
        return -1;
    struct reader_member m;
    int n;
    while ((n = reader_next(r, &m, err)) > 0) {
        x->members = xgrow(x->members, &x->cap, x->n + 1, sizeof *x->members);
        if (m.hardlink && add_hard_link(x, &m, err) < 0)
            return reader_wrap(r, err);
        if (!m.hardlink)
            x->members[x->n] = (struct known){m.mode, m.link ? xstrdup(m.link) : NULL, x->n};
        map_put(&x->by_name, m.path, x->n++);
        reader_progress(r, "reading");
    }
    return n;
}

// The number of the member that `path` is, with links followed in every component; links are seen
// from the archive's root. `place` gets the member's name. 1, 0 if there is none, -1.
static int find_member(const struct index *x, const char *path, struct buf *place, size_t *found,
                       struct error **err)
{
    cleanup_free char *rest = xstrdup(path);
    for (unsigned links = 0; *rest;) {
        size_t n = strcspn(rest, "/"), old = place->len;
        bool last = !rest[n + strspn(rest + n, "/")];
        cleanup_free char *part = xstrndup(rest, n);
        cleanup_free char *after = xstrdup(rest + n + strspn(rest + n, "/"));
        if (!strcmp(part, "..")) {
            if (!old)
                return error_user(err, "the links of \"%s\" lead out of it", path);
            char *slash = strrchr(place->data, '/');
            place->len = slash ? (size_t)(slash - place->data) : 0;
            place->data[place->len] = '\0';
        } else if (*part && strcmp(part, ".")) {
            buf_printf(place, "%s%s", old ? "/" : "", part);
        }
        const size_t *number = place->len ? map_find(&x->by_name, place->data) : NULL;
        const struct known *k = number ? &x->members[*number] : NULL;
        free(rest);
        rest = steal(after);
        if (!k && last)
            return 0;
        if (!k || !k->link) {
            *found = number ? *number : 0;
            continue;
        }
        if (++links > LINKS_MAX)
            return error_user(err, "the links of \"%s\" go in circles", path);
        // Continue from the link's place, with its target before the rest.
        place->len = *k->link == '/' ? 0 : old;
        place->data[place->len] = '\0';
        char *joined = xasprintf("%s/%s", k->link + strspn(k->link, "/"), rest);
        free(rest);
        rest = joined;
    }
    return 1;
}

static int write_member(int fd, const char *name, size_t number, int out_fd, struct error **err)
{
    cleanup_reader struct reader *r = reader_open(fd, name, 0, err);
    if (!r)
        return -1;
    struct reader_member m;
    int n = 1;
    for (size_t i = 0; n > 0 && i <= number; i++)
        n = reader_next(r, &m, err);
    if (n <= 0)
        return n < 0 ? n : error_user(err, "%s changed while it was being read", name);
    return reader_content_to(r, out_fd, m.path, err) < 0 ? reader_wrap(r, err) : 0;
}

static int unpack_found(int fd, const char *name, const struct index *x, const char *member,
                        int out_fd, char **resolved, struct error **err)
{
    cleanup_buf struct buf wanted = {0}, place = {0};
    size_t number = 0;
    buf_puts(&place, "");
    int found = clean_name(member + strspn(member, "/"), &wanted, err);
    if (!found)
        found = find_member(x, wanted.data, &place, &number, err);
    if (found <= 0)
        return found < 0 ? error_wrap(err, "reading %s", name) : 0;
    if (!place.len || number >= x->n || !S_ISREG(x->members[number].mode))
        return error_user(err, "reading %s: \"%s\" is not a file", name, place.data);
    while (x->members[number].content != number)
        number = x->members[number].content;
    if (write_member(fd, name, number, out_fd, err) < 0)
        return -1;
    if (resolved)
        *resolved = buf_take(&place);
    return 1;
}

static int unpack_counted(int fd, const char *name, const char *member, int out_fd, char **resolved,
                          size_t *members, struct error **err)
{
    WITH_UTF8_NAMES;
    struct index x = {0};
    int result = read_index(fd, name, &x, err);
    if (result == 0)
        result = unpack_found(fd, name, &x, member, out_fd, resolved, err);
    *members = x.n;
    index_free(&x);
    return result;
}

int unpack_member_if(int fd, const char *name, const char *member, int out_fd, char **resolved,
                     struct error **err)
{
    size_t members;
    return unpack_counted(fd, name, member, out_fd, resolved, &members, err);
}

int unpack_member(int fd, const char *name, const char *member, int out_fd, char **resolved,
                  struct error **err)
{
    size_t members;
    int found = unpack_counted(fd, name, member, out_fd, resolved, &members, err);
    if (found)
        return found < 0 ? -1 : 0;
    error_user(err, "reading %s: there is no \"%s\" in it", name, member + strspn(member, "/"));
    return error_hint(err, "it has %zu members: tar -tf lists them", members);
}
