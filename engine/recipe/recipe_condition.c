// SPDX-License-Identifier: Apache-2.0
// `when: {variable: NAME, is: VALUE}`: what of a recipe is there only when a variable of it has the
// value.
#include "recipe/reader.h"

#include <string.h>

// A value may be empty: that of a variable which is not set.
static int read_value_text(struct reader *r, const struct yaml *node, void *target)
{
    if (node->kind != YAML_SCALAR || !node->quoted || *node->text)
        return read_line(r, node, target);
    *(char **)target = xstrdup("");
    return 0;
}

#define AT(member) offsetof(struct recipe_condition, member)
static const struct field condition_fields[] = {
    {"variable", read_line, AT(variable), ANYWHERE, 1},
    {"is", read_value_text, AT(is), ANYWHERE, 1},
};
#undef AT
static const struct schema condition_schema = SCHEMA("a condition", condition_fields);

int read_condition(struct reader *r, const struct yaml *node, void *target)
{
    struct recipe_condition *c = target;
    if (read_map(r, node, &condition_schema, 1, c) < 0)
        return -1;
    c->line = node->line;
    c->column = node->column;
    return 0;
}

static const struct recipe_variable *find_variable(const struct recipe *recipe, const char *name)
{
    for (size_t i = 0; i < recipe->variable_count; i++)
        if (!strcmp(recipe->variables[i].name, name))
            return &recipe->variables[i];
    return NULL;
}

int check_comparison(struct reader *r, const struct recipe_condition *c)
{
    if (!c->variable)
        return 0;
    const struct recipe_variable *v = find_variable(r->recipe, c->variable);
    if (!v)
        return yaml_error_at(r->document, c->line, c->column, r->err,
                             "when: %s is not in 'variables'", c->variable);
    if (v->type == VARIABLE_YES_NO && strcmp(c->is, "yes") != 0 && strcmp(c->is, "no") != 0)
        return yaml_error_at(r->document, c->line, c->column, r->err,
                             "when: %s is yes or no, and never '%s'", c->variable, c->is);
    if (v->values.n && *c->is && !strlist_has(&v->values, c->is)) {
        cleanup_free char *all = strlist_join(&v->values, ", ");
        yaml_error_at(r->document, c->line, c->column, r->err, "when: %s is never '%s'",
                      c->variable, c->is);
        return error_hint(r->err, "it is one of %s", all);
    }
    if (v->type != VARIABLE_YES_NO && v->type != VARIABLE_TEXT && *c->is) {
        yaml_error_at(r->document, c->line, c->column, r->err,
                      "when: %s names files, which have no value to compare with", c->variable);
        return error_hint(r->err, "'is: \"\"' says that the variable is not set");
    }
    return 0;
}

int check_condition(struct reader *r, const struct recipe_condition *c)
{
    if (check_comparison(r, c) < 0)
        return -1;
    if (c->variable && find_variable(r->recipe, c->variable)->by_release.before)
        return yaml_error_at(r->document, c->line, c->column, r->err,
                             "when: the default of %s follows the release, and nothing can be "
                             "there only with one of its values",
                             c->variable);
    return 0;
}

bool conditions_exclude(const struct recipe_condition *a, const struct recipe_condition *b)
{
    return a->variable && b->variable && !strcmp(a->variable, b->variable) &&
           strcmp(a->is, b->is) != 0;
}

void condition_free(struct recipe_condition *c)
{
    free(c->variable);
    free(c->is);
    *c = (struct recipe_condition){0};
}
