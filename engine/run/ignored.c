// SPDX-License-Identifier: Apache-2.0
// Warns about variables for a build of upstream's that have no effect here: the result would look
// like one with them.
#include "run/internal.h"

#include <string.h>

static bool is_set(const struct recipe_ignored *one)
{
    const char *text = getenv(one->name);
    return text && *text && (!one->value || strcmp(text, one->value) != 0);
}

// The targets of the plan whose recipes have the same entry for this variable.
static void targets_of(const struct build *b, const struct recipe_ignored *one, struct strlist *out)
{
    for (size_t i = 0; i < b->graph.n; i++) {
        const struct node *node = b->graph.nodes[i];
        const struct recipe *r = job_of(node)->recipe;
        for (size_t k = 0; node->kind == NODE_ARTIFACT && k < r->ignored.count; k++)
            if (!strcmp(r->ignored.list[k].name, one->name) &&
                !strcmp(r->ignored.list[k].why, one->why) && !strlist_has(out, r->name))
                strlist_add(out, r->name);
    }
}

static void say_of_recipe(struct build *b, const struct recipe *r)
{
    for (size_t i = 0; i < r->ignored.count; i++) {
        const struct recipe_ignored *one = &r->ignored.list[i];
        if (!is_set(one))
            continue;
        cleanup_strlist struct strlist names = {0};
        targets_of(b, one, &names);
        cleanup_free char *targets = strlist_join(&names, ", ");
        cleanup_free char *text =
            xasprintf("%s is set and has no effect on %s: %s", one->name, targets, one->why);
        build_say(b, text);
    }
}

int ignored_texts(struct recipe_set *set, struct strlist *out, struct error **err)
{
    const struct recipe_ignored_list *l = recipe_set_ignored(set, err);
    for (size_t i = 0; l && i < l->count; i++)
        if (is_set(&l->list[i]))
            strlist_addf(out, "%s is set and has no effect: %s", l->list[i].name, l->list[i].why);
    return l ? 0 : -1;
}

int say_ignored(struct build *b, struct error **err)
{
    cleanup_strlist struct strlist texts = {0};
    if (ignored_texts(b->recipes, &texts, err) < 0)
        return -1;
    for (size_t i = 0; i < texts.n; i++)
        build_say(b, texts.items[i]);
    for (size_t i = 0; i < b->graph.n; i++)
        if (b->graph.nodes[i]->kind == NODE_ARTIFACT)
            say_of_recipe(b, job_of(b->graph.nodes[i])->recipe);
    return 0;
}
