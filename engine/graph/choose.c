// SPDX-License-Identifier: Apache-2.0
// What a name in a recipe stands for: the first of the alternatives that can be made here.
#include "graph/available.h"

static void say(const struct choosing *c, const struct recipe *user, const struct recipe *left_out,
                const struct recipe *taken, const char *source)
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

// The next of the alternatives, from *i on, that exists for the architecture; NULL: none, or an
// error.
static const struct recipe *next_recipe(const struct choosing *c, const struct recipe *r,
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
            return NULL;
        }
        if (recipe_supports(found, target))
            return found;
    }
    return NULL;
}

const struct recipe *choose_recipe(const struct choosing *c, const struct recipe *r,
                                   const struct recipe_need *need, const struct arch *target,
                                   struct error **err)
{
    const struct recipe *found, *first = NULL;
    cleanup_free char *source = NULL; // that the first lacks
    struct error *why = NULL;
    for (size_t i = 0; (found = next_recipe(c, r, need, target, &i, &why));
         first = first ? first : found) {
        char *lacking = recipe_lacks(c, found, target);
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
