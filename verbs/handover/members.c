// SPDX-License-Identifier: Apache-2.0
// Looks for what an archive that was handed over must not have: members that could write elsewhere,
// gain rights, or mean different things to different readers.
#include "handover/internal.h"

#include "base/digest.h"
#include "base/map.h"
#include "pack/reader.h"

#include <string.h>
#include <sys/stat.h>

// Each fault is said with its first member.
enum member_fault {
    FAULT_NODE,
    FAULT_SETUID,
    FAULT_CAPABILITY,
    FAULT_LINK,
    FAULT_HARDLINK,
    FAULT_THROUGH,
    FAULT_TWICE,
    FAULTS
};
static const char *const fault_names[FAULTS] = {
    [FAULT_NODE] = "device nodes, fifos or sockets",
    [FAULT_SETUID] = "set-user-ID or set-group-ID programs",
    [FAULT_CAPABILITY] = "programs with capabilities",
    [FAULT_LINK] = "links that lead out of the archive",
    [FAULT_HARDLINK] = "hard links to what is no file before them",
    [FAULT_THROUGH] = "names that lead through a link or a file",
    [FAULT_TWICE] = "names that are there twice, so that readers may differ"};

struct members {
    const struct listing *list;
    struct map first; // the number of the first entry with this name
};

static const struct listing_entry *find_first(const struct members *m, const char *path)
{
    const size_t *i = map_find(&m->first, path);
    return i ? &m->list->entries[*i] : NULL;
}

static bool has_capability(const struct listing_entry *e)
{
    static const char name[] = "security.capability";
    char hex[2 * sizeof name + 1];
    hex_encode(name, sizeof name - 1, hex);
    cleanup_free char *text = xasprintf("%s=", hex);
    return e->attributes && strstr(e->attributes, text);
}

// Whether a directory of the name is something else in this archive.
static bool leads_through(const struct members *m, const char *path)
{
    cleanup_free char *parent = xstrdup(path);
    for (char *slash; (slash = strrchr(parent, '/'));) {
        *slash = '\0';
        const struct listing_entry *e = find_first(m, parent);
        if (e && !S_ISDIR(e->mode))
            return true;
    }
    return false;
}

// Whether ".." in the target comes after the name of another link, whose parent is elsewhere than
// the text says. The target does not climb above the root by its text.
static bool climbs_from_link(const struct members *m, const struct listing_entry *e)
{
    const char *slash = strrchr(e->path, '/');
    cleanup_buf struct buf at = {0};
    buf_add(&at, e->path, slash ? (size_t)(slash - e->path) : 0);
    for (const char *p = e->link; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            const struct listing_entry *here = find_first(m, at.data);
            if (here && S_ISLNK(here->mode))
                return true;
            char *last = strrchr(at.data, '/');
            at.len = last ? (size_t)(last - at.data) : 0;
            at.data[at.len] = '\0';
        } else if (n && !(n == 1 && *p == '.')) {
            buf_printf(&at, "%s%.*s", at.len ? "/" : "", (int)n, p);
            if (leads_through(m, at.data))
                return true;
        }
        p += n + (p[n] == '/');
    }
    return false;
}

static bool leads_out(const struct members *m, const struct listing_entry *e)
{
    enum link_reach reach = link_reach(e->path, e->link);
    return reach == LINK_OUTSIDE || (reach == LINK_UNDECIDED && climbs_from_link(m, e));
}

static bool is_twice(const struct members *m, const struct listing_entry *e)
{
    const struct listing_entry *first = find_first(m, e->path);
    return first != e && !(S_ISDIR(first->mode) && S_ISDIR(e->mode));
}

static bool has_fault(const struct members *m, const struct listing_entry *e,
                      enum member_fault fault)
{
    const struct listing_entry *target = e->hardlink ? find_first(m, e->link) : NULL;
    switch (fault) {
    case FAULT_NODE:
        return !S_ISLNK(e->mode) && !S_ISDIR(e->mode) && !S_ISREG(e->mode);
    case FAULT_SETUID:
        return S_ISREG(e->mode) && e->mode & (S_ISUID | S_ISGID);
    case FAULT_CAPABILITY:
        return has_capability(e);
    case FAULT_LINK:
        return S_ISLNK(e->mode) && leads_out(m, e);
    case FAULT_HARDLINK:
        return e->hardlink && (!target || target >= e || !S_ISREG(target->mode));
    case FAULT_THROUGH:
        return leads_through(m, e->path);
    default:
        return is_twice(m, e);
    }
}

static void report_totals(struct check_run *c, const struct listing *l)
{
    size_t files = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < l->n; i++) {
        files += S_ISREG(l->entries[i].mode);
        bytes += l->entries[i].size;
    }
    finding(c, CHECK_GOOD, "contents",
            "an archive of %zu members, %zu of them files, with %llu bytes; no other kinds than "
            "directories and links that stay inside, no name that leads out or is there twice",
            l->n, files, (unsigned long long)bytes);
}

void check_archive_members(struct check_run *c, const struct listing *l)
{
    struct members m = {.list = l};
    int before = c->bad;
    for (size_t i = 0; i < l->n; i++)
        map_add(&m.first, l->entries[i].path, i);
    for (enum member_fault fault = 0; fault < FAULTS; fault++) {
        size_t n = 0;
        const char *first = NULL;
        for (size_t i = 0; i < l->n; i++)
            if (has_fault(&m, &l->entries[i], fault) && !n++)
                first = l->entries[i].path;
        if (n)
            finding(c, CHECK_BAD, "contents", "%s: %zu, the first is %s", fault_names[fault], n,
                    first);
    }
    map_free(&m.first);
    if (c->bad == before)
        report_totals(c, l);
}
