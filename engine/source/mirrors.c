// SPDX-License-Identifier: Apache-2.0
// Keeps the private apts of a run, one for each distribution and architecture, with their indexes.
#include "base/error.h"
#include "source/internal.h"

#include <string.h>

struct mirror_apt {
    char *id, *codename;
    const struct arch *arch;
    bool source;
    char *folder;
    struct apt *apt;
};
struct mirrors {
    struct mirror_apt *items;
    size_t n, cap;
};

struct mirrors *mirrors_new(void)
{
    return xcalloc(1, sizeof(struct mirrors));
}

void mirrors_free(struct mirrors *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n; i++) {
        apt_close(m->items[i].apt);
        remove_tree(m->items[i].folder, NULL);
        free(m->items[i].folder);
        free(m->items[i].id);
        free(m->items[i].codename);
    }
    free(m->items);
    free(m);
}

static struct apt *open_mirror_apt(const struct packages_request *r, const struct arch *arch,
                                   const char *folder, struct error **err)
{
    cleanup_buf struct buf sources = {0};
    cleanup_free char *asking = xasprintf("%s/ask", folder), *own = xasprintf("%s/apt", folder);
    const struct apt_wanted wanted = {.id = r->distribution->id,
                                      .codename = r->distribution->codename,
                                      .arch = arch,
                                      .source = r->kind == PACKAGES_SOURCE,
                                      .folder = asking};
    if (make_directories(asking, 0700, err) < 0 || make_directories(own, 0700, err) < 0 ||
        apt_sources(&wanted, &sources, err) < 0)
        return NULL;
    struct apt *a = apt_open(own, sources.data, arch, err);
    if (a && apt_update(a, false, err) == 0)
        return a;
    apt_close(a);
    return NULL;
}

struct apt *mirror_apt_for(struct mirrors *m, const struct packages_request *r,
                           const struct arch *arch, const struct source_options *o,
                           struct error **err)
{
    bool source = r->kind == PACKAGES_SOURCE;
    for (size_t i = 0; i < m->n; i++) {
        const struct mirror_apt *a = &m->items[i];
        if (a->arch == arch && a->source == source && !strcmp(a->id, r->distribution->id) &&
            !strcmp(a->codename, r->distribution->codename))
            return a->apt;
    }
    log_note("asking the mirrors of %s %s for %s", r->distribution->id, r->distribution->codename,
             source ? "source packages" : arch->debian);
    char *folder = store_temporary(o->store, "apt", err);
    struct apt *apt = folder ? open_mirror_apt(r, arch, folder, err) : NULL;
    if (!apt) {
        if (folder)
            remove_tree(folder, NULL);
        free(folder);
        return NULL;
    }
    m->items = xgrow(m->items, &m->cap, m->n + 1, sizeof *m->items);
    m->items[m->n++] = (struct mirror_apt){.id = xstrdup(r->distribution->id),
                                           .codename = xstrdup(r->distribution->codename),
                                           .arch = arch,
                                           .source = source,
                                           .folder = folder,
                                           .apt = apt};
    return apt;
}
