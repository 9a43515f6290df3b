// SPDX-License-Identifier: Apache-2.0
// Plans the targets that the user names, and marks their nodes.
#include "run/plan.h"

static int add_companions(struct build *b, struct node *node, struct error **err)
{
    const struct recipe *r = job_of(node)->recipe;
    for (size_t i = 0; i < r->with.n; i++) {
        const struct recipe *other = recipe_get(b->recipes, r->with.items[i], err);
        if (!other)
            return error_wrap(err, "%s: with", r->file);
        if (!recipe_supports(other, job_of(node)->target))
            continue;
        struct node *along = plan_artifact(b, other, job_of(node)->target, err);
        if (!along)
            return -1;
        job_of(along)->placed = true;
    }
    return 0;
}

static int ask_for(struct build *b, const struct recipe *r, const struct arch *target,
                   struct targets *out, struct error **err)
{
    struct node *node = plan_artifact(b, r, target, err);
    if (!node || add_companions(b, node, err) < 0)
        return -1;
    job_of(node)->asked = job_of(node)->placed = true;
    if (out) {
        out->nodes = xgrow(out->nodes, &out->cap, out->n + 1, sizeof(struct node *));
        out->nodes[out->n++] = node;
    }
    return 0;
}

static int ask_for_members(struct build *b, const struct recipe *group, const struct arch *target,
                           struct targets *out, struct error **err)
{
    const struct recipe_needs *members = &group->members[target - arch_table];
    struct source_options o;
    const struct choosing c = choosing_of(b, &o);
    for (size_t i = 0; i < members->count; i++) {
        struct error *why = NULL;
        const struct recipe *r = choose_recipe(&c, group, &members->list[i], target, &why);
        if (why) {
            *err = why;
            return -1;
        }
        if (r && ask_for(b, r, target, out, err) < 0)
            return -1;
    }
    return 0;
}

int build_add_targets(struct build *b, const char *name, struct targets *out, struct error **err)
{
    const struct recipe *r = recipe_get(b->recipes, name, err);
    const struct arch *target = r ? choose_arch(r, b->options.arch, err) : NULL;
    if (target)
        note_source_names(b, r, target);
    if (!target || (r->action == ACTION_GROUP ? ask_for_members(b, r, target, out, err)
                                              : ask_for(b, r, target, out, err)) < 0)
        return -1;
    struct node **order = graph_order(&b->graph, err);
    if (!order)
        return -1;
    free(order);
    return place_check(b, err);
}

struct node *build_add_target(struct build *b, const char *name, struct error **err)
{
    const struct recipe *r = recipe_get(b->recipes, name, err);
    if (!r)
        return NULL;
    if (r->action == ACTION_GROUP) {
        error_user(err, "%s is a group of targets, and makes nothing itself", name);
        error_hint(err, "name one of its members; %s lists them", r->file);
        return NULL;
    }
    struct targets found = {0};
    int result = build_add_targets(b, name, &found, err);
    struct node *node = result < 0 || !found.n ? NULL : found.nodes[0];
    free(found.nodes);
    return node;
}
