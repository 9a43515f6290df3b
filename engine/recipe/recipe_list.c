// SPDX-License-Identifier: Apache-2.0
// Sources that are lists: the script, what it is of, its arguments, and what of the user's
// configuration it may read. And what must hold between the sources of a recipe.
#include "recipe/reader.h"

#include "base/file.h"

#include <string.h>

// The list of the source that is being read, or a new one.
static struct recipe_list *list_of(void *target)
{
    struct recipe_source *source = target;
    if (!source->list)
        source->list = xcalloc(1, sizeof *source->list);
    return source->list;
}

int read_list_script(struct reader *r, const struct yaml *node, void *target)
{
    return read_script(r, node, &list_of(target)->script);
}

int read_list_of(struct reader *r, const struct yaml *node, void *target)
{
    return read_name(r, node, &list_of(target)->of);
}

int read_list_arguments(struct reader *r, const struct yaml *node, void *target)
{
    struct recipe_list *list = list_of(target);
    if (expect(r, node, YAML_LIST) < 0)
        return -1;
    for (size_t i = 0; i < node->n; i++) {
        cleanup_free char *text = NULL;
        if (read_template(r, node->items[i], &text) < 0)
            return -1;
        strlist_add(&list->arguments, text);
    }
    return 0;
}

// ---- configuration ----

static bool is_variable_name(const char *name, size_t length)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    return length && length <= 100 && !(*name >= '0' && *name <= '9') &&
           strspn(name, letters) >= length;
}

// "~/<path>" or "$<NAME>/<path>"
static bool is_user_path(const char *text)
{
    size_t folder = strcspn(text, "/");
    return text[folder] && path_is_clean(text + folder + 1) &&
           ((folder == 1 && *text == '~') ||
            (*text == '$' && is_variable_name(text + 1, folder - 1)));
}

static int read_user_files(struct reader *r, const struct yaml *node, void *target)
{
    struct strlist *out = target;
    if (read_lines(r, node, out) < 0)
        return -1;
    for (size_t i = 0; i < out->n; i++)
        if (!is_user_path(out->items[i]))
            return reader_error(r, node->items[i],
                                "'%s': a file of the user's configuration is ~/PATH or $NAME/PATH",
                                out->items[i]);
    return 0;
}

static int read_user_environment(struct reader *r, const struct yaml *node, void *target)
{
    struct strlist *out = target;
    if (read_lines(r, node, out) < 0)
        return -1;
    for (size_t i = 0; i < out->n; i++) {
        const char *name = out->items[i];
        if (!is_variable_name(name, strlen(name)))
            return reader_error(r, node->items[i],
                                "'%s' cannot be the name of a variable: use A-Z 0-9 _", name);
        if (variable_name_is_reserved(name))
            return reader_error(r, node->items[i], "%s is reserved: every step has its own", name);
    }
    return 0;
}

#define AT(member) offsetof(struct recipe_configuration, member)
static const struct field configuration_fields[] = {
    {"files", read_user_files, AT(files), ANYWHERE, 0},
    {"environment", read_user_environment, AT(environment), ANYWHERE, 0},
};
#undef AT
static const struct schema configuration_schema = SCHEMA("configuration", configuration_fields);

int read_list_configuration(struct reader *r, const struct yaml *node, void *target)
{
    return read_map(r, node, &configuration_schema, 1, &list_of(target)->configuration);
}

void list_free(struct recipe_list *l)
{
    if (!l)
        return;
    free(l->script);
    free(l->of);
    strlist_free(&l->arguments);
    strlist_free(&l->configuration.files);
    strlist_free(&l->configuration.environment);
    free(l);
}

// ---- between the sources ----

static const struct recipe_source *source_named(const struct recipe *recipe, const char *name)
{
    for (size_t i = 0; i < recipe->source_count; i++)
        if (!strcmp(recipe->sources[i].name, name))
            return &recipe->sources[i];
    return NULL;
}

static int unknown_source(struct reader *r, const struct recipe_source *s)
{
    cleanup_strlist struct strlist names = {0};
    for (size_t i = 0; i < r->recipe->source_count; i++)
        if (&r->recipe->sources[i] != s)
            strlist_add(&names, r->recipe->sources[i].name);
    yaml_error_at(r->document, s->line, s->column, r->err,
                  "the source '%s' is of '%s', which is no other source of this recipe", s->name,
                  s->list->of);
    const char *nearest = nearest_name(s->list->of, &names);
    return nearest ? error_hint(r->err, "did you mean '%s'?", nearest) : -1;
}

static int check_list(struct reader *r, const struct recipe_source *s)
{
    const struct recipe_source *at = s;
    for (size_t hops = 0; at->list && at->list->of; hops++) {
        const struct recipe_source *next = source_named(r->recipe, at->list->of);
        if (!next || next == at)
            return unknown_source(r, at);
        if (hops > r->recipe->source_count)
            return yaml_error_at(r->document, s->line, s->column, r->err,
                                 "the source '%s' is of itself in the end", s->name);
        at = next;
    }
    return 0;
}

int check_sources(struct reader *r)
{
    for (size_t i = 0; i < r->recipe->source_count; i++) {
        const struct recipe_source *s = &r->recipe->sources[i];
        if (check_condition(r, &s->condition) < 0 || check_list(r, s) < 0)
            return -1;
    }
    return 0;
}
