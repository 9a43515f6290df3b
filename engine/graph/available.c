// SPDX-License-Identifier: Apache-2.0
// Whether the sources of a recipe, and of all that it cannot do without, are to be had.
#include "graph/available.h"

#include "graph/job.h"

#include <string.h>

enum { DEPTH_MAX = 64 }; // of needs: a cycle is an error of its own, later

static bool is_prebuilt(const struct choosing *c, const struct recipe *r)
{
    cleanup_strlist struct strlist items = {0};
    strlist_split(&items, c->prebuilt ? c->prebuilt : "", ",");
    for (size_t i = 0; i < items.n; i++)
        if (strcspn(items.items[i], "=") == strlen(r->name) && starts_with(items.items[i], r->name))
            return true;
    return false;
}

static char *lacks(const struct choosing *c, const struct recipe *r, const struct arch *target,
                   unsigned depth);

// What the nearest of the alternatives lacks; NULL if one of them lacks nothing.
static char *need_lacks(const struct choosing *c, const struct recipe_need *need,
                        const struct arch *target, unsigned depth)
{
    char *first = NULL;
    for (size_t i = 0; i < need->any.n; i++) {
        const char *name = need->any.items[i];
        const struct recipe *r =
            recipe_exists(c->set, name) ? recipe_get(c->set, name, NULL) : NULL;
        if (!r || !recipe_supports(r, target))
            continue;
        char *one = lacks(c, r, target, depth);
        if (!one) {
            free(first);
            return NULL;
        }
        if (first)
            free(one);
        else
            first = one;
    }
    return first;
}

static char *lacks(const struct choosing *c, const struct recipe *r, const struct arch *target,
                   unsigned depth)
{
    if (depth > DEPTH_MAX || is_prebuilt(c, r))
        return NULL;
    for (size_t i = 0; i < r->source_count; i++) {
        const struct recipe_source *s = &r->sources[i];
        if (condition_expected(r, &s->condition) && source_applies(r, s, c->versions, c->sources) &&
            !source_available(r, s, c->versions, target, c->sources))
            return xstrdup(s->name);
    }
    for (size_t i = 0; i < r->need_count; i++) {
        bool needed = !r->needs[i].optional && condition_expected(r, &r->needs[i].when);
        char *one = needed ? need_lacks(c, &r->needs[i], target, depth + 1) : NULL;
        if (one)
            return one;
    }
    return NULL;
}

char *recipe_lacks(const struct choosing *c, const struct recipe *r, const struct arch *target)
{
    return c->versions ? lacks(c, r, target, 0) : NULL;
}

// ---- without a build ----

int recipes_view_open(const struct build_options *o, struct recipes_view *out, struct error **err)
{
    bool matters = o->debian || (o->choices && o->choices->n);
    out->sources = (struct source_options){.debian = o->debian, .choices = o->choices};
    out->set = recipe_set_open(o->recipes, err);
    if (!out->set || (matters && !(out->versions = versions_load(o->versions, err))))
        return -1;
    out->choosing = (struct choosing){.set = out->set,
                                      .versions = out->versions,
                                      .sources = &out->sources,
                                      .prebuilt = o->prebuilt};
    return 0;
}

void recipes_view_close(struct recipes_view *v)
{
    if (v->set)
        recipe_set_free(v->set);
    if (v->versions)
        versions_free(v->versions);
    *v = (struct recipes_view){0};
}

// ---- names ----

static void collect_needs(struct recipe_set *set, const struct recipe_need *needs, size_t count,
                          const struct arch *target, struct strlist *seen, struct strlist *out);

static void collect(struct recipe_set *set, const char *name, const struct arch *target,
                    struct strlist *seen, struct strlist *out)
{
    if (strlist_has(seen, name))
        return;
    strlist_add(seen, name);
    const struct recipe *r = recipe_exists(set, name) ? recipe_get(set, name, NULL) : NULL;
    if (!r)
        return;
    for (size_t i = 0; i < r->source_count; i++)
        if (!strlist_has(out, r->sources[i].name))
            strlist_add(out, r->sources[i].name);
    const struct recipe_needs *members = &r->members[target - arch_table];
    collect_needs(set, r->needs, r->need_count, target, seen, out);
    collect_needs(set, members->list, members->count, target, seen, out);
    for (size_t i = 0; i < r->with.n; i++)
        collect(set, r->with.items[i], target, seen, out);
}

static void collect_needs(struct recipe_set *set, const struct recipe_need *needs, size_t count,
                          const struct arch *target, struct strlist *seen, struct strlist *out)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < needs[i].any.n; k++)
            collect(set, needs[i].any.items[k], target, seen, out);
}

void source_names(struct recipe_set *set, const struct recipe *r, const struct arch *target,
                  struct strlist *out)
{
    cleanup_strlist struct strlist seen = {0};
    collect(set, r->name, target, &seen, out);
}
