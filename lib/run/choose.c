// SPDX-License-Identifier: Apache-2.0
#include "run/plan.h"

const struct recipe *choose_recipe(struct recipe_set *set, const struct recipe *r,
                                   const struct recipe_need *need, const struct arch *target,
                                   struct error **err)
{
    for (size_t i = 0; i < need->any.n; i++) {
        const char *name = need->any.items[i];
        if (!recipe_exists(set, name) && (need->optional || i + 1 < need->any.n))
            continue;
        const struct recipe *found = recipe_get(set, name, err);
        if (!found) {
            error_wrap(err, "%s:%zu:%zu", r->file, need->line, need->column);
            return NULL;
        }
        if (recipe_supports(found, target))
            return found;
    }
    if (!need->optional) {
        cleanup_free char *names = strlist_join(&need->any, ", ");
        error_user(err, "%s:%zu:%zu: %s %s %s, which cannot be built for %s", r->file, need->line,
                   need->column, r->name, r->action == ACTION_GROUP ? "stands for" : "needs", names,
                   target->name);
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
