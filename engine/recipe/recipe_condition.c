// SPDX-License-Identifier: Apache-2.0
// `when: {variable: NAME, is: VALUE}`, or `is: [VALUE, ...]`: what of a recipe is there only when a
// variable of it has the value, or one of them.
#include "recipe/reader.h"

#include <string.h>

// A value may be empty: that of a variable which is not set.
static int read_value_text(struct reader *r, const struct yaml *node, struct strlist *out)
{
    char *text = NULL;
    if (node->kind != YAML_SCALAR || !node->quoted || *node->text) {
        if (read_line(r, node, &text) < 0)
            return -1;
    }
    if (text && strlist_has(out, text)) {
        reader_error(r, node, "'%s' is there twice", text);
        free(text);
        return -1;
    }
    strlist_add(out, text ? text : "");
    free(text);
    return 0;
}

static int read_value_texts(struct reader *r, const struct yaml *node, void *target)
{
    struct strlist *out = target;
    if (node->kind != YAML_LIST)
        return read_value_text(r, node, out);
    for (size_t i = 0; i < node->n; i++)
        if (read_value_text(r, node->items[i], out) < 0)
            return -1;
    return out->n ? 0 : reader_error(r, node, "the list is empty");
}

#define AT(member) offsetof(struct recipe_condition, member)
static const struct field condition_fields[] = {
    {"variable", read_line, AT(variable), ANYWHERE, 1},
    {"is", read_value_texts, AT(is), ANYWHERE, 1},
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

static int check_value(struct reader *r, const struct recipe_condition *c,
                       const struct recipe_variable *v, const char *is)
{
    if (v->type == VARIABLE_YES_NO && strcmp(is, "yes") != 0 && strcmp(is, "no") != 0)
        return yaml_error_at(r->document, c->line, c->column, r->err,
                             "when: %s is yes or no, and never '%s'", c->variable, is);
    if (v->values.n && *is && !strlist_has(&v->values, is)) {
        cleanup_free char *all = strlist_join(&v->values, ", ");
        yaml_error_at(r->document, c->line, c->column, r->err, "when: %s is never '%s'",
                      c->variable, is);
        return error_hint(r->err, "it is one of %s", all);
    }
    if (v->type != VARIABLE_YES_NO && v->type != VARIABLE_TEXT && *is) {
        yaml_error_at(r->document, c->line, c->column, r->err,
                      "when: %s names files, which have no value to compare with", c->variable);
        return error_hint(r->err, "'is: \"\"' says that the variable is not set");
    }
    return 0;
}

int check_comparison(struct reader *r, const struct recipe_condition *c)
{
    if (!c->variable)
        return 0;
    const struct recipe_variable *v = find_variable(r->recipe, c->variable);
    if (!v)
        return yaml_error_at(r->document, c->line, c->column, r->err,
                             "when: %s is not in 'variables'", c->variable);
    for (size_t i = 0; i < c->is.n; i++)
        if (check_value(r, c, v, c->is.items[i]) < 0)
            return -1;
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
    if (!a->variable || !b->variable || strcmp(a->variable, b->variable) != 0)
        return false;
    for (size_t i = 0; i < a->is.n; i++)
        if (strlist_has(&b->is, a->is.items[i]))
            return false;
    return true;
}

void condition_free(struct recipe_condition *c)
{
    free(c->variable);
    strlist_free(&c->is);
    *c = (struct recipe_condition){0};
}
