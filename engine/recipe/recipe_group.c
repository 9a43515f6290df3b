// SPDX-License-Identifier: Apache-2.0
// Groups: recipes that make nothing themselves and stand for others.
#include "recipe/reader.h"

#include <string.h>

// [a, b], for every architecture; or {x86_64: [a, b], s390x: [c]}
int read_members(struct reader *r, const struct yaml *node, void *target)
{
    struct recipe *recipe = target;
    if (node->kind == YAML_LIST) {
        for (size_t i = 0; i < arch_count; i++)
            if (read_need_list(r, node, "members", &recipe->members[i]) < 0)
                return -1;
        return node->n ? 0 : reader_error(r, node, "the list is empty");
    }
    if (expect(r, node, YAML_MAP) < 0)
        return -1;
    for (size_t i = 0; i < node->n; i++) {
        reader_enter(r, node, i);
        const struct arch *a = reader_arch(r, r->key_line, r->key_column, node->keys[i]);
        if (!a)
            return -1;
        struct recipe_needs *of = &recipe->members[a - arch_table];
        if (of->count)
            return yaml_error_at(r->document, r->key_line, r->key_column, r->err,
                                 "%s is there twice", a->name);
        if (read_need_list(r, node->items[i], node->keys[i], of) < 0)
            return -1;
        if (!of->count)
            return reader_error(r, node->items[i], "the list is empty");
    }
    return 0;
}

// A group has no variables that a condition could be about.
static int refuse_conditions(struct reader *r)
{
    for (size_t i = 0; i < arch_count; i++)
        for (size_t k = 0; k < r->recipe->members[i].count; k++)
            if (check_condition(r, &r->recipe->members[i].list[k].when) < 0)
                return -1;
    return 0;
}

int check_members(struct reader *r)
{
    struct recipe *recipe = r->recipe;
    if (refuse_conditions(r) < 0)
        return -1;
    const struct yaml *members = yaml_get(r->document->root, "members");
    const struct yaml *given = yaml_get(r->document->root, "architectures");
    if (!members || members->kind != YAML_MAP)
        return 0;
    for (size_t i = 0; i < arch_count; i++) {
        bool has = recipe->members[i].count > 0;
        if (!given)
            recipe->architectures[i] = has;
        else if (has != recipe->architectures[i])
            return yaml_error(r->document, has ? members : given, r->err,
                              has ? "members: %s is not in 'architectures'"
                                  : "architectures: the group has no members for %s",
                              arch_table[i].name);
    }
    return 0;
}

bool is_member(const struct recipe *recipe, const char *name)
{
    for (size_t i = 0; i < arch_count; i++)
        for (size_t k = 0; k < recipe->members[i].count; k++)
            if (strlist_has(&recipe->members[i].list[k].any, name))
                return true;
    return false;
}

void needs_free(struct recipe_needs *n)
{
    for (size_t i = 0; i < n->count; i++) {
        strlist_free(&n->list[i].any);
        condition_free(&n->list[i].when);
    }
    free(n->list);
}
