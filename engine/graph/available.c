// SPDX-License-Identifier: Apache-2.0
// Checks whether the sources of a recipe and its mandatory needs are available, and chooses between
// alternative recipes.
#include "graph/job.h"

#include "base/map.h"

#include <string.h>

enum { DEPTH_MAX = 64 }; // of needs; a cycle is a separate, later error

static bool is_prebuilt(const struct recipe_selection *c, const struct recipe *r)
{
    cleanup_strlist struct strlist items = {0};
    strlist_split(&items, c->prebuilt ? c->prebuilt : "", ",");
    for (size_t i = 0; i < items.n; i++)
        if (strcspn(items.items[i], "=") == strlen(r->name) && starts_with(items.items[i], r->name))
            return true;
    return false;
}

// What is known of each recipe in one walk: recipes share needs, so that without this the walk
// takes a time that doubles with each level.
struct lack {
    const struct recipe *recipe;
    const char *source; // that it lacks, the recipe set's; NULL: none, or it is being looked at
};
struct lacks_walk {
    const struct recipe_selection *selection;
    const struct arch *target;
    struct lack *known;
    size_t n, cap;
};

static const char *lacks(struct lacks_walk *w, const struct recipe *r, unsigned depth);

// The missing source of the nearest alternative; NULL if some alternative lacks nothing.
static const char *need_missing_source(struct lacks_walk *w, const struct recipe_need *need,
                                       unsigned depth)
{
    struct recipe_set *set = w->selection->set;
    const char *first = NULL;
    for (size_t i = 0; i < need->any.n; i++) {
        const char *name = need->any.items[i];
        const struct recipe *r = recipe_exists(set, name) ? recipe_get(set, name, NULL) : NULL;
        if (!r || !recipe_supports(r, w->target))
            continue;
        const char *one = lacks(w, r, depth);
        if (!one)
            return NULL;
        first = first ? first : one;
    }
    return first;
}

static const char *own_missing_source(const struct lacks_walk *w, const struct recipe *r)
{
    const struct recipe_selection *c = w->selection;
    for (size_t i = 0; i < r->source_count; i++) {
        const struct recipe_source *s = &r->sources[i];
        if (condition_expected(r, &s->condition) && source_applies(r, s, c->versions, c->sources) &&
            !source_available(r, s, c->versions, w->target, c->sources))
            return s->name;
    }
    return NULL;
}

static const char *lacks(struct lacks_walk *w, const struct recipe *r, unsigned depth)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->known[i].recipe == r)
            return w->known[i].source;
    if (depth > DEPTH_MAX || is_prebuilt(w->selection, r))
        return NULL;
    size_t at = w->n;
    w->known = xgrow(w->known, &w->cap, w->n + 1, sizeof *w->known);
    w->known[w->n++] = (struct lack){.recipe = r};
    const char *source = own_missing_source(w, r);
    for (size_t i = 0; i < r->need_count && !source; i++)
        if (!r->needs[i].optional && condition_expected(r, &r->needs[i].when))
            source = need_missing_source(w, &r->needs[i], depth + 1);
    w->known[at].source = source;
    return source;
}

char *recipe_missing_source(const struct recipe_selection *c, const struct recipe *r,
                            const struct arch *target)
{
    struct lacks_walk w = {.selection = c, .target = target};
    const char *source = c->versions ? lacks(&w, r, 0) : NULL;
    free(w.known);
    return source ? xstrdup(source) : NULL;
}

// ---- without a build ----

int recipes_view_open(const struct build_options *o, struct recipes_view *out, struct error **err)
{
    bool matters = o->debian || (o->choices && o->choices->n);
    out->sources = (struct source_options){.debian = o->debian, .choices = o->choices};
    out->set = recipe_set_open(o->recipes, err);
    if (!out->set || (matters && !(out->versions = versions_load(o->versions, err))))
        return -1;
    out->selection = (struct recipe_selection){.set = out->set,
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
                          const struct arch *target, struct map *seen, struct strlist *out);

static void collect(struct recipe_set *set, const char *name, const struct arch *target,
                    struct map *seen, struct strlist *out)
{
    if (map_add(seen, name, 0))
        return;
    const struct recipe *r = recipe_exists(set, name) ? recipe_get(set, name, NULL) : NULL;
    if (!r)
        return;
    for (size_t i = 0; i < r->source_count; i++)
        strlist_add_once(out, r->sources[i].name);
    const struct recipe_needs *members = &r->members[target - arch_table];
    collect_needs(set, r->needs, r->need_count, target, seen, out);
    collect_needs(set, members->list, members->count, target, seen, out);
    for (size_t i = 0; i < r->with.n; i++)
        collect(set, r->with.items[i], target, seen, out);
}

static void collect_needs(struct recipe_set *set, const struct recipe_need *needs, size_t count,
                          const struct arch *target, struct map *seen, struct strlist *out)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < needs[i].any.n; k++)
            collect(set, needs[i].any.items[k], target, seen, out);
}

void source_names(struct recipe_set *set, const struct recipe *r, const struct arch *target,
                  struct strlist *out)
{
    cleanup_map struct map seen = {0};
    collect(set, r->name, target, &seen, out);
}

// ---- choose ----
// Chooses among the alternatives of a name in a recipe: the first that can be made here.

static void say(const struct recipe_selection *c, const struct recipe *user,
                const struct recipe *left_out, const struct recipe *taken, const char *source)
{
    if (!c->say)
        return;
    cleanup_free char *instead =
        taken ? xasprintf("takes %s instead of %s", taken->name, left_out->name)
              : xasprintf("is made without %s", left_out->name);
    cleanup_free char *text =
        xasprintf("%s %s: no distribution package has its source %s (--source %s=upstream, or "
                  "--source %s=DIR)",
                  user->name, instead, source, source, source);
    c->say(text, c->context);
}

// The next alternative at or after *i that exists for the architecture; NULL: none, or an error.
static const struct recipe *next_recipe(const struct recipe_selection *c, const struct recipe *r,
                                        const struct recipe_need *need, const struct arch *target,
                                        size_t *i, struct error **err)
{
    while (*i < need->any.n) {
        const char *name = need->any.items[(*i)++];
        if (!recipe_exists(c->set, name) && (need->optional || *i < need->any.n))
            continue;
        const struct recipe *found = recipe_get(c->set, name, err);
        if (!found) {
            error_wrap(err, "%s:%zu:%zu", r->file, need->line, need->column);
            error_place(err, r->file, need->line, need->column);
            return NULL;
        }
        if (recipe_supports(found, target))
            return found;
    }
    return NULL;
}

const struct recipe *choose_recipe(const struct recipe_selection *c, const struct recipe *r,
                                   const struct recipe_need *need, const struct arch *target,
                                   struct error **err)
{
    const struct recipe *found, *first = NULL;
    cleanup_free char *source = NULL; // that the first lacks
    struct error *why = NULL;
    for (size_t i = 0; (found = next_recipe(c, r, need, target, &i, &why));
         first = first ? first : found) {
        bool only = need->any.n == 1 && !need->optional; // taken whatever it lacks
        char *lacking = only ? NULL : recipe_missing_source(c, found, target);
        if (!lacking)
            break;
        if (first)
            free(lacking);
        else
            source = lacking;
    }
    if (why && !first) {
        *err = why;
        return NULL;
    }
    error_free(why); // of a last alternative that does not exist
    if (first && (found || need->optional))
        say(c, r, first, found, source);
    if (found || (first && !need->optional))
        return found ? found : first;
    if (!need->optional) {
        cleanup_free char *names = strlist_join(&need->any, ", ");
        error_user(err, "%s:%zu:%zu: %s %s %s, which cannot be built for %s", r->file, need->line,
                   need->column, r->name, r->action == ACTION_GROUP ? "stands for" : "needs", names,
                   target->name);
        error_place(err, r->file, need->line, need->column);
    }
    return NULL;
}

const struct arch *choose_arch(const struct recipe *r, const struct arch *wanted,
                               struct error **err)
{
    const struct arch *only = NULL, *chosen = wanted ? wanted : arch_host();
    cleanup_strlist struct strlist names = {0};
    for (size_t i = 0; i < arch_count; i++) {
        if (r->architectures[i]) {
            only = &arch_table[i];
            strlist_add(&names, only->name);
        }
    }
    if (recipe_supports(r, chosen))
        return chosen;
    if (!wanted && names.n == 1)
        return only;
    cleanup_free char *all = strlist_join(&names, ", ");
    error_user(err, "%s cannot be built for %s", r->name, chosen->name);
    error_hint(err, "it can be built for: %s (--arch ARCH)", all);
    return NULL;
}
