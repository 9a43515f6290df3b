// SPDX-License-Identifier: Apache-2.0
// Computes the content of a release: its version, the outputs of its targets, and the components
// for guests only.
#include "release/release.h"

#include "graph/job.h"

#include <fnmatch.h>
#include <string.h>

int release_guests(struct recipe_set *set, struct strlist *out, struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    if (recipe_names(set, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        const struct recipe *r = recipe_get(set, names.items[i], err);
        if (!r)
            return error_wrap(err, "what goes into guests is read from all recipes");
        for (size_t k = 0; k < r->guest.n; k++)
            if (!strlist_has(out, r->guest.items[k]))
                strlist_add(out, r->guest.items[k]);
    }
    return 0;
}

bool release_is_guest(const struct strlist *guests, const char *component)
{
    for (size_t i = 0; i < guests->n; i++)
        if (!fnmatch(guests->items[i], component, 0))
            return true;
    return false;
}

// ---- what belongs to it ----

struct release_walk {
    const struct choosing *choosing;
    struct recipe_set *set;
    struct release *out;
    struct strlist seen, released; // targets
    struct strlist guests;
};

static void release_outputs(struct release_walk *w, const struct recipe *r)
{
    struct release *out = w->out;
    if (strlist_has(&w->released, r->name))
        return;
    strlist_add(&w->released, r->name);
    for (size_t i = 0; i < r->outputs.n; i++) {
        if (release_is_guest(&w->guests, r->outputs.items[i]))
            continue;
        out->items = xgrow(out->items, &out->cap, out->n + 1, sizeof *out->items);
        out->items[out->n++] =
            (struct release_item){.output = xstrdup(r->outputs.items[i]), .maker = r->name};
    }
}

// Follows the planner: a need is released unless its recipe forbids it; requested targets and their
// companions always are.
static int walk_recipe(struct release_walk *w, const struct recipe *r, bool placed,
                       struct error **err)
{
    if (r->action == ACTION_GROUP)
        return error_user(err, "%s is a group of targets, and cannot go into anything", r->name);
    bool again = strlist_has(&w->seen, r->name);
    strlist_add(&w->seen, r->name);
    for (size_t i = 0; i < r->need_count && !again; i++) {
        struct error *why = NULL;
        if (!condition_expected(r, &r->needs[i].when))
            continue;
        const struct recipe *chosen =
            choose_recipe(w->choosing, r, &r->needs[i], w->out->arch, &why);
        if (why) {
            *err = why;
            return -1;
        }
        if (chosen && walk_recipe(w, chosen, false, err) < 0)
            return -1;
    }
    if (placed || r->release)
        release_outputs(w, r);
    return 0;
}

static int walk_target(struct release_walk *w, const struct recipe *r, struct error **err)
{
    if (walk_recipe(w, r, true, err) < 0)
        return -1;
    for (size_t i = 0; i < r->with.n; i++) {
        const struct recipe *other = recipe_get(w->set, r->with.items[i], err);
        if (!other)
            return error_wrap(err, "%s: with", r->file);
        if (recipe_supports(other, w->out->arch) && walk_recipe(w, other, true, err) < 0)
            return -1;
    }
    return 0;
}

static int walk_group(struct release_walk *w, const struct recipe *group, struct error **err)
{
    const struct recipe_needs *members = &group->members[w->out->arch - arch_table];
    for (size_t i = 0; i < members->count; i++) {
        struct error *why = NULL;
        const struct recipe *r =
            choose_recipe(w->choosing, group, &members->list[i], w->out->arch, &why);
        if (why) {
            *err = why;
            return -1;
        }
        if (r && walk_target(w, r, err) < 0)
            return -1;
    }
    return 0;
}

int release_of(const struct choosing *c, const char *target, const struct arch *wanted,
               struct release *out, struct error **err)
{
    const struct recipe *r = recipe_get(c->set, target, err);
    struct release_walk w = {.choosing = c, .set = c->set, .out = out};
    *out =
        (struct release){.target = xstrdup(target), .arch = r ? choose_arch(r, wanted, err) : NULL};
    int result = !r || !out->arch || release_guests(c->set, &w.guests, err) < 0 ? -1
                 : r->action == ACTION_GROUP ? walk_group(&w, r, err)
                                             : walk_target(&w, r, err);
    strlist_free(&w.seen);
    strlist_free(&w.released);
    strlist_free(&w.guests);
    return result;
}

void release_free(struct release *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->items[i].output);
    free(r->items);
    free(r->target);
    *r = (struct release){0};
}
