// SPDX-License-Identifier: Apache-2.0
// Reads what a recipe needs of other recipes: needs, and the members of a group.
#include "recipe/internal.h"

#include "base/map.h"

#include <string.h>

// ---- needs ----

static int read_one_name(struct recipe_reader *r, const struct yaml *node, struct strlist *out)
{
    cleanup_free char *name = NULL;
    if (read_name(r, node, &name) < 0)
        return -1;
    strlist_add(out, name);
    return 0;
}

// a | [b, c]
static int read_choice(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct strlist *any = target;
    if (node->kind != YAML_LIST)
        return read_one_name(r, node, any);
    if (read_names(r, node, any) < 0)
        return -1;
    return any->n ? 0 : reader_error(r, node, "the list is empty");
}

static int read_optional(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe_need *need = target;
    need->optional = true;
    return read_choice(r, node, &need->any);
}

#define AT(member) offsetof(struct recipe_need, member)
static const struct field need_fields[] = {
    {"any", read_choice, AT(any), ANYWHERE, 0},
    {"optional", read_optional, 0, ANYWHERE, 0},
    {"when", read_condition, AT(when), ANYWHERE, 0},
};
#undef AT
static const struct schema need_schema = SCHEMA("an entry of needs", need_fields);
#define NEED_RULE "an entry of needs is a name, {any: [names]}, or {optional: name}"

// a | {any: [b, c]} | {optional: d} | {optional: [d, e]}, the maps also with `when`
static int read_need(struct recipe_reader *r, const struct yaml *node, struct recipe_need *need)
{
    need->line = node->line;
    need->column = node->column;
    if (node->kind == YAML_SCALAR)
        return read_one_name(r, node, &need->any);
    bool any = yaml_get(node, "any") != NULL, optional = yaml_get(node, "optional") != NULL;
    if (read_map(r, node, &need_schema, 1, need) < 0)
        return error_hint(r->err, NEED_RULE);
    if (any != optional)
        return 0;
    r->key = NULL;
    reader_error(r, node,
                 any ? "this has both 'any' and 'optional'"
                     : "this has neither 'any' nor 'optional'");
    return error_hint(r->err, NEED_RULE);
}

// A name may be repeated only if no entry before it that has it can apply at the same time.
static int check_repeated(struct recipe_reader *r, const struct yaml *node,
                          const struct recipe_needs *list, const char *name)
{
    const struct recipe_need *need = &list->list[list->count - 1];
    for (const struct recipe_need *before = list->list; before < need; before++)
        if (strlist_has(&before->any, name) && !conditions_exclude(&need->when, &before->when))
            return reader_error(r, node, "'%s' is listed twice", name);
    return 0;
}

static int read_need_list(struct recipe_reader *r, const struct yaml *node, const char *key,
                          struct recipe_needs *out)
{
    if (expect(r, node, YAML_LIST) < 0)
        return -1;
    cleanup_map struct map names = {0};
    out->list = xcalloc(node->n, sizeof *out->list);
    for (size_t i = 0; i < node->n; i++) {
        struct recipe_need *need = &out->list[out->count++];
        r->key = key;
        if (read_need(r, node->items[i], need) < 0)
            return -1;
        r->key = key;
        for (size_t j = 0; j < need->any.n; j++)
            if (map_add(&names, need->any.items[j], 0) &&
                check_repeated(r, node->items[i], out, need->any.items[j]) < 0)
                return -1;
    }
    return 0;
}

int read_needs(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe *recipe = target;
    struct recipe_needs needs = {0};
    int result = read_need_list(r, node, "needs", &needs);
    recipe->needs = needs.list;
    recipe->need_count = needs.count;
    return result;
}

int check_needs(struct recipe_reader *r)
{
    for (size_t i = 0; i < r->recipe->need_count; i++)
        if (check_condition(r, &r->recipe->needs[i].when) < 0)
            return -1;
    return 0;
}

bool is_needed(const struct recipe *recipe, const char *name)
{
    for (size_t i = 0; i < recipe->need_count; i++)
        if (strlist_has(&recipe->needs[i].any, name))
            return true;
    return false;
}

// ---- groups: recipes without outputs that represent other recipes ----

static int read_members_of_arch(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe_needs *of = target;
    if (read_need_list(r, node, r->key, of) < 0)
        return -1;
    return of->count ? 0 : reader_error(r, node, "the list is empty");
}

// [a, b], for every architecture; or {x86_64: [a, b], s390x: [c]}
int read_members(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe *recipe = target;
    if (node->kind != YAML_LIST)
        return read_arch_map(r, node, read_members_of_arch, recipe->members,
                             sizeof *recipe->members);
    for (size_t i = 0; i < arch_count; i++)
        if (read_need_list(r, node, "members", &recipe->members[i]) < 0)
            return -1;
    return node->n ? 0 : reader_error(r, node, "the list is empty");
}

// A group has no variables for a condition.
static int check_member_conditions(struct recipe_reader *r)
{
    for (size_t i = 0; i < arch_count; i++)
        for (size_t k = 0; k < r->recipe->members[i].count; k++)
            if (check_condition(r, &r->recipe->members[i].list[k].when) < 0)
                return -1;
    return 0;
}

int check_members(struct recipe_reader *r)
{
    struct recipe *recipe = r->recipe;
    if (check_member_conditions(r) < 0)
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
