// SPDX-License-Identifier: Apache-2.0
// Opens the tarballs of a merge, hashes them in several threads, lists their members, decides what
// each adds to the merge, and refuses tarballs that contradict each other.
#include "pack/merge_plan.h"
#include "pack/reader.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- the tarballs ----

static int by_name(const void *a, const void *b)
{
    const struct component *x = a, *y = b;
    int c = strcmp(x->name, y->name);
    return c ? c : strcmp(x->path, y->path);
}

// Sorted by name, so that the order of `paths` does not matter.
static int components_open(struct merge_plan *p, const struct strlist *paths, struct error **err)
{
    if (!paths->n)
        return error_user(err, "there is nothing to merge");
    p->components = xcalloc(paths->n, sizeof *p->components);
    p->n = paths->n;
    for (size_t i = 0; i < p->n; i++)
        p->components[i] = (struct component){
            .path = paths->items[i], .name = path_base(paths->items[i]), .fd = -1};
    qsort(p->components, p->n, sizeof *p->components, by_name);
    for (size_t i = 0; i < p->n; i++) {
        struct component *c = &p->components[i];
        c->fd = open(c->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (c->fd < 0 || fstat(c->fd, &c->st) < 0)
            return error_errno(err, errno, "opening %s", c->path);
        if (!S_ISREG(c->st.st_mode))
            return error_user(err, "reading %s: it is not a file", c->path);
    }
    return 0;
}

// ---- digests, several files at a time ----

struct component_hash {
    struct merge_plan *plan;
    _Atomic size_t next;
    struct error **errors; // one for each component
};

static void *hash_some(void *context)
{
    struct component_hash *h = context;
    for (size_t i; (i = atomic_fetch_add(&h->next, 1)) < h->plan->n;) {
        struct component *c = &h->plan->components[i];
        if (!*c->digest)
            digest_fd(c->fd, c->path, c->digest, NULL, &h->errors[i]);
    }
    return NULL;
}

static size_t count_unknown(const struct merge_plan *p)
{
    size_t unknown = 0;
    for (size_t i = 0; i < p->n; i++)
        unknown += !*p->components[i].digest;
    return unknown;
}

static int hash_all(struct merge_plan *p, unsigned threads, struct error **err)
{
    size_t wanted = threads ? threads : processors(), unknown = count_unknown(p);
    cleanup_free struct error **errors = xcalloc(p->n, sizeof(struct error *));
    struct component_hash h = {.plan = p, .errors = errors};
    int result = 0;
    workers_run(unknown < wanted ? unknown : wanted, hash_some, &h);
    for (size_t i = 0; i < p->n; i++) {
        if (!errors[i])
            continue;
        if (!result && err)
            *err = steal(errors[i]);
        error_free(errors[i]);
        result = -1;
    }
    return result;
}

// ---- listings ----

static int list_by_reading(struct component *c, struct error **err)
{
    return list_archive(c->fd, c->path, &c->listing, err);
}

static int list_with_cache(struct component *c, const struct listing_cache *cache,
                           struct error **err)
{
    int found = cache->get(cache->context, c->digest, &c->listing, err);
    if (found)
        return found < 0 ? -1 : 0;
    if (list_by_reading(c, err) < 0)
        return -1;
    return cache->put(cache->context, c->digest, &c->listing, err);
}

// The digests by which the cache knows the tarballs.
static int components_digest(struct merge_plan *p, const struct merge_options *o,
                             struct error **err)
{
    const struct listing_cache *cache = o->cache;
    for (size_t i = 0; cache && !o->rehash && i < p->n; i++) {
        struct component *c = &p->components[i];
        if (cache->known(cache->context, c->fd, c->path, c->digest, err) < 0)
            return -1;
    }
    return cache ? hash_all(p, o->pack.threads, err) : 0;
}

int merge_plan_list(struct merge_plan *p, size_t number, const struct merge_options *o,
                    struct error **err)
{
    struct component *c = &p->components[number];
    return o->cache ? list_with_cache(c, o->cache, err) : list_by_reading(c, err);
}

int components_unchanged(const struct merge_plan *p, struct error **err)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct component *c = &p->components[i];
        struct stat now;
        if (fstat(c->fd, &now) < 0)
            return error_errno(err, errno, "looking at %s", c->path);
        if (now.st_size != c->st.st_size || now.st_mtim.tv_sec != c->st.st_mtim.tv_sec ||
            now.st_mtim.tv_nsec != c->st.st_mtim.tv_nsec)
            return error_user(err, "%s changed while it was being read", c->path);
    }
    return 0;
}

static void components_close(struct merge_plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        listing_free(&p->components[i].listing);
        free(p->components[i].same);
        if (p->components[i].fd >= 0)
            close(p->components[i].fd);
    }
    free(p->components);
    p->components = NULL;
    p->n = 0;
}

// ---- the plan ----

// Paths reserved for a container or a host: kata-artifacts, 2.4 (upstream's host-safe check).
static const struct {
    const char *path;
    bool below; // and everything below it
} host_paths[] = {
    {".dockerenv", false},      {"etc/hostname", false}, {"etc/hosts", false}, {"etc/mtab", false},
    {"etc/resolv.conf", false}, {"dev", true},           {"proc", true},       {"sys", true},
};

bool merge_host_path(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(host_paths); i++) {
        if (*path != *host_paths[i].path) // most paths
            continue;
        size_t n = strlen(host_paths[i].path);
        if (!strncmp(path, host_paths[i].path, n) &&
            (!path[n] || (host_paths[i].below && path[n] == '/')))
            return true;
    }
    return false;
}

static const struct listing_entry *entry_of(const struct merge_plan *p, const struct claim *c)
{
    const struct component *from = &p->components[c->component];
    return &from->listing.entries[from->same[c->entry]];
}

static const char *kind_name(unsigned mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "directory";
    case S_IFLNK:
        return "link";
    default:
        return NULL;
    }
}

// What differs between two entries of one path, or NULL.
static const char *difference(const struct listing_entry *a, const struct listing_entry *b)
{
    if ((a->mode & S_IFMT) != (b->mode & S_IFMT))
        return "kind";
    if (S_ISLNK(a->mode) && strcmp(a->link, b->link) != 0)
        return "target";
    if (S_ISREG(a->mode) && strcmp(a->digest, b->digest) != 0)
        return "content";
    if (S_ISREG(a->mode) &&
        strcmp(a->attributes ? a->attributes : "", b->attributes ? b->attributes : ""))
        return "extended attributes";
    return normal_mode(a->mode) == normal_mode(b->mode) ? NULL : "mode";
}

static int claim(struct merge_plan *p, size_t component, size_t entry, struct error **err)
{
    const struct claim mine = {component, entry};
    const char *path = p->components[component].listing.entries[entry].path;
    const size_t *taken = map_add(&p->by_path, path, p->claim_n);
    if (!taken) {
        p->claims = xgrow(p->claims, &p->claim_cap, p->claim_n + 1, sizeof *p->claims);
        p->claims[p->claim_n++] = mine;
        return 0;
    }
    const struct claim *first = &p->claims[*taken];
    const char *differs = difference(entry_of(p, first), entry_of(p, &mine));
    if (!differs)
        return 0;
    const char *one = p->components[first->component].name, *two = p->components[component].name;
    if (first->component == component)
        return error_user(err, "%s has \"%s\" twice, with another %s", one, path, differs);
    error_user(err, "%s and %s disagree about \"%s\": its %s differs", one, two, path, differs);
    return error_hint(err, "build both anew from the same sources, or leave one of them out");
}

// No file or link may be where another entry needs a directory.
static int check_above(const struct merge_plan *p, const char *path, const char *who,
                       struct error **err)
{
    cleanup_free char *above = xstrdup(path);
    for (char *slash; (slash = strrchr(above, '/'));) {
        *slash = '\0';
        const size_t *i = map_find(&p->by_path, above);
        const struct listing_entry *e = i ? entry_of(p, &p->claims[*i]) : NULL;
        if (e && !S_ISDIR(e->mode))
            return error_user(err, "%s has \"%s\", but \"%s\" is a %s in %s", who, path, above,
                              kind_name(e->mode), p->components[p->claims[*i].component].name);
    }
    return 0;
}

// Neighbours are mostly in the same folder, and then have the same parents.
static bool same_folder(const char *a, const char *b)
{
    size_t n = (size_t)(path_base(a) - a);
    return n == (size_t)(path_base(b) - b) && !memcmp(a, b, n);
}

static bool has_hard_links(const struct listing *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->entries[i].hardlink)
            return true;
    return false;
}

// Resolves hard links, and refuses entries that no component may have.
static int check_entries(struct component *c, struct buf *offenders, struct error **err)
{
    struct map by_path = {0}; // only if it is needed
    bool links = has_hard_links(&c->listing);
    int result = 0;
    c->same = xcalloc(c->listing.n, sizeof *c->same);
    for (size_t i = 0; i < c->listing.n && !result; i++) {
        const struct listing_entry *e = &c->listing.entries[i];
        const size_t *target = e->hardlink ? map_find(&by_path, e->link) : NULL;
        c->same[i] = target ? c->same[*target] : i;
        if (e->hardlink && (!target || e->size || S_ISDIR(c->listing.entries[*target].mode)))
            result = error_user(err, "%s: \"%s\" is a hard link to no file that came before it",
                                c->name, e->path);
        else if (!kind_name(e->mode))
            result =
                error_user(err, "%s: \"%s\" is a device node, fifo or socket", c->name, e->path);
        if (merge_host_path(e->path))
            buf_printf(offenders, "%s\"%s\" in %s", offenders->len ? ", " : "", e->path, c->name);
        if (links)
            map_put(&by_path, e->path, i);
    }
    map_free(&by_path);
    return result;
}

int merge_plan_open(struct merge_plan *p, const struct strlist *paths,
                    const struct merge_options *o, struct error **err)
{
    return components_open(p, paths, err) < 0 ? -1 : components_digest(p, o, err);
}

int merge_plan_check(struct merge_plan *p, struct error **err)
{
    cleanup_buf struct buf offenders = {0};
    for (size_t i = 0; i < p->n; i++)
        if (check_entries(&p->components[i], &offenders, err) < 0)
            return -1;
    if (offenders.len) {
        error_user(err, "unpacked at / these would overwrite the host's own files: %s",
                   offenders.data);
        return error_hint(err, "build those components without them, or leave them out");
    }
    for (size_t i = 0; i < p->n; i++)
        for (size_t j = 0; j < p->components[i].listing.n; j++)
            if (claim(p, i, j, err) < 0)
                return -1;
    const char *last = "";
    for (size_t i = 0; i < p->claim_n; i++) {
        const struct component *c = &p->components[p->claims[i].component];
        const char *path = c->listing.entries[p->claims[i].entry].path;
        if (!same_folder(path, last) && check_above(p, path, c->name, err) < 0)
            return -1;
        last = path;
    }
    return 0;
}

int merge_plan_make(struct merge_plan *p, const struct strlist *paths,
                    const struct merge_options *o, struct error **err)
{
    if (merge_plan_open(p, paths, o, err) < 0)
        return -1;
    for (size_t i = 0; i < p->n; i++)
        if (merge_plan_list(p, i, o, err) < 0)
            return -1;
    return merge_plan_check(p, err);
}

int merge_plan_reserve(const struct merge_plan *p, const char *path, struct error **err)
{
    const size_t *i = map_find(&p->by_path, path);
    if (i)
        return error_user(err, "%s already has \"%s\", which the merge adds",
                          p->components[p->claims[*i].component].name, path);
    return check_above(p, path, "the merge", err);
}

bool merge_plan_writes(const struct merge_plan *p, const char *path, size_t component, size_t entry)
{
    const size_t *i = map_find(&p->by_path, path);
    return i && p->claims[*i].component == component && p->claims[*i].entry == entry;
}

void merge_plan_free(struct merge_plan *p)
{
    components_close(p);
    free(p->claims);
    map_free(&p->by_path);
}
