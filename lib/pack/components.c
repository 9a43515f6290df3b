// SPDX-License-Identifier: Apache-2.0
// Opens the tarballs of a merge, hashes them in several threads, and lists their members.
#include "pack/merge_plan.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static int by_name(const void *a, const void *b)
{
    const struct component *x = a, *y = b;
    int c = strcmp(x->name, y->name);
    return c ? c : strcmp(x->path, y->path);
}

int components_open(struct merge_plan *p, const struct strlist *paths, struct error **err)
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

struct component_hashing {
    struct merge_plan *plan;
    _Atomic size_t next;
    struct error **errors; // one for each component
};

static void *hash_some(void *context)
{
    struct component_hashing *h = context;
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
    size_t wanted = threads ? threads : (size_t)sysconf(_SC_NPROCESSORS_ONLN),
           unknown = count_unknown(p);
    cleanup_free struct error **errors = xcalloc(p->n, sizeof(struct error *));
    struct component_hashing h = {.plan = p, .errors = errors};
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

static int list_with_keeper(struct component *c, const struct listing_keeper *keeper,
                            struct error **err)
{
    int found = keeper->get(keeper->context, c->digest, &c->listing, err);
    if (found)
        return found < 0 ? -1 : 0;
    if (list_by_reading(c, err) < 0)
        return -1;
    return keeper->put(keeper->context, c->digest, &c->listing, err);
}

int components_list(struct merge_plan *p, const struct merge_options *o, struct error **err)
{
    const struct listing_keeper *keeper = o->keeper;
    for (size_t i = 0; keeper && !o->rehash && i < p->n; i++) {
        struct component *c = &p->components[i];
        if (keeper->known(keeper->context, c->fd, c->path, c->digest, err) < 0)
            return -1;
    }
    if (keeper && hash_all(p, o->pack.threads, err) < 0)
        return -1;
    for (size_t i = 0; i < p->n; i++)
        if ((keeper ? list_with_keeper(&p->components[i], keeper, err)
                    : list_by_reading(&p->components[i], err)) < 0)
            return -1;
    return 0;
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

void components_close(struct merge_plan *p)
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
