// SPDX-License-Identifier: Apache-2.0
// Reads the lists and named maps of a recipe: needs, sources, architectures, conditions, phases,
// links.
#include "base/file.h"

#include "recipe/reader.h"

#include <string.h>

int read_architectures(struct recipe_reader *r, const struct yaml *node, void *target)
{
    bool *architectures = target;
    struct strlist names = {0};
    int result = read_names(r, node, &names);
    if (!result && !names.n)
        result = reader_error(r, node, "the list is empty");
    for (size_t i = 0; i < names.n && !result; i++) {
        const struct arch *a =
            reader_arch(r, node->items[i]->line, node->items[i]->column, names.items[i]);
        if (!a)
            result = -1;
        else if (architectures[a - arch_table])
            result = reader_error(r, node->items[i], "%s is there twice", a->name);
        else
            architectures[a - arch_table] = true;
    }
    strlist_free(&names);
    return result;
}

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
    reader_error(r, node, any ? "this has both 'any' and 'optional'" : "this names nothing");
    return error_hint(r->err, NEED_RULE);
}

// A name may be repeated only if the entry before it cannot apply at the same time.
static int check_again(struct recipe_reader *r, const struct yaml *node,
                       const struct recipe_need *need, const struct recipe_need *before)
{
    if (conditions_exclude(&need->when, &before->when))
        return 0;
    for (size_t i = 0; i < need->any.n; i++)
        if (strlist_has(&before->any, need->any.items[i]))
            return reader_error(r, node, "'%s' is there twice", need->any.items[i]);
    return 0;
}

int read_need_list(struct recipe_reader *r, const struct yaml *node, const char *key,
                   struct recipe_needs *out)
{
    if (expect(r, node, YAML_LIST) < 0)
        return -1;
    out->list = xcalloc(node->n, sizeof *out->list);
    for (size_t i = 0; i < node->n; i++) {
        struct recipe_need *need = &out->list[out->count++];
        r->key = key;
        if (read_need(r, node->items[i], need) < 0)
            return -1;
        r->key = key;
        for (size_t j = 0; j < i; j++)
            if (check_again(r, node->items[i], need, &out->list[j]) < 0)
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

// ---- sources ----

static int read_when_sources(struct recipe_reader *r, const struct yaml *node, void *target)
{
    char **when = target;
    if (read_line(r, node, when) < 0)
        return -1;
    if (!strcmp(*when, "upstream") || !strcmp(*when, "debian"))
        return 0;
    reader_error(r, node, "'%s' is neither upstream nor debian", *when);
    return error_hint(r->err,
                      "it says with which --sources there is this source; without it, always");
}

// upstream | debian | {variable: NAME, is: VALUE}
static int read_when(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe_source *source = target;
    return node->kind == YAML_MAP ? read_condition(r, node, &source->condition)
                                  : read_when_sources(r, node, &source->when);
}

const char *const submodules_words[] = {"no", "direct", "yes", NULL};

static int read_submodules(struct recipe_reader *r, const struct yaml *node, void *target)
{
    cleanup_free char *word = NULL;
    if (read_line(r, node, &word) < 0)
        return -1;
    for (int i = 0; submodules_words[i]; i++)
        if (!strcmp(word, submodules_words[i])) {
            *(enum submodules *)target = (enum submodules)i;
            return 0;
        }
    return reader_error(r, node, "'%s' is none of yes, direct and no", word);
}

// {"text": "template", ...}
static int read_replace(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe_source *source = target;
    if (expect(r, node, YAML_MAP) < 0)
        return -1;
    for (size_t i = 0; i < node->n; i++) {
        cleanup_free char *text = NULL;
        reader_enter(r, node, i);
        if (read_template(r, node->items[i], &text) < 0)
            return -1;
        if (!*node->keys[i])
            return reader_error(r, node, "there is no text to be replaced");
        strlist_add(&source->replaced, node->keys[i]);
        strlist_add(&source->replacements, text);
    }
    return 0;
}

static int read_checkout(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct strlist *paths = target;
    if (read_lines(r, node, paths) < 0)
        return -1;
    for (size_t i = 0; i < paths->n; i++)
        if (!path_is_clean(paths->items[i]))
            return reader_error(r, node->items[i], "'%s' is not a relative path", paths->items[i]);
    return paths->n ? 0 : reader_error(r, node, "the list is empty");
}

// An expression of SPDX 2.3, annex D, as far as its letters go.
static int read_licence(struct recipe_reader *r, const struct yaml *node, void *target)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.+() ";
    char **text = target;
    if (read_line(r, node, target) < 0)
        return -1;
    if ((*text)[strspn(*text, letters)])
        return reader_error(r, node, "'%s' is no SPDX licence expression", *text);
    return 0;
}

#define AT(member) offsetof(struct recipe_source, member)
static const struct field source_fields[] = {
    {"version", read_line, AT(version), ANYWHERE, 0},
    {"git", read_template, AT(git), ANYWHERE, 0},
    {"ref", read_template, AT(ref), ANYWHERE, 0},
    {"submodules", read_submodules, AT(submodules), ANYWHERE, 0},
    {"archive", read_template, AT(archive), ANYWHERE, 0},
    {"sums", read_template, AT(sums), ANYWHERE, 0},
    {"image", read_template, AT(image), ANYWHERE, 0},
    {"replace", read_replace, 0, ANYWHERE, 0},
    {"debian", read_debian, AT(debian), ANYWHERE, 0},
    {"checkout", read_checkout, AT(checkout), ANYWHERE, 0},
    {"licence", read_licence, AT(licence), ANYWHERE, 0},
    {"patches", read_patches, AT(patches), ANYWHERE, 0},
    {"list", read_list_script, 0, ANYWHERE, 0},
    {"of", read_list_of, 0, ANYWHERE, 0},
    {"arguments", read_list_arguments, 0, ANYWHERE, 0},
    {"configuration", read_list_configuration, 0, ANYWHERE, 0},
    {"when", read_when, 0, ANYWHERE, 0},
};
#undef AT
static const struct schema source_schema = SCHEMA("a source", source_fields);

// Keys that require another key.
static const struct {
    const char *key, *with;
} source_pairs[] = {
    {"git", "ref"},      {"ref", "git"},        {"submodules", "git"},
    {"sums", "archive"}, {"git", "version"},    {"archive", "version"},
    {"of", "list"},      {"arguments", "list"}, {"configuration", "list"},
    {"checkout", "git"}, {"image", "version"},
};

static const char *const not_of_lists[] = {"git",    "archive", "image",
                                           "debian", "patches", "replace"};

static int check_source(struct recipe_reader *r, const struct yaml *node,
                        const struct recipe_source *s)
{
    static const char *const origins[] = {"git", "archive", "image"};
    const char *upstream = NULL;
    for (size_t i = 0; i < ARRAY_LEN(origins); i++) {
        if (!yaml_get(node, origins[i]))
            continue;
        if (upstream)
            return yaml_error(r->document, node, r->err, "the source '%s' has both '%s' and '%s'",
                              s->name, upstream, origins[i]);
        upstream = origins[i];
    }
    if (!upstream && !s->debian && !yaml_get(node, "list"))
        return yaml_error(
            r->document, node, r->err,
            "the source '%s' needs one of 'git', 'archive', 'image', 'list' and 'debian'", s->name);
    for (size_t i = 0; i < ARRAY_LEN(not_of_lists) && yaml_get(node, "list"); i++)
        if (yaml_get(node, not_of_lists[i]))
            return yaml_error(r->document, yaml_get(node, not_of_lists[i]), r->err,
                              "the source '%s' is a list, and with that '%s' has no meaning",
                              s->name, not_of_lists[i]);
    bool debian = s->when && !strcmp(s->when, "debian");
    if (s->when && (debian ? !s->debian || upstream : !upstream && !s->list))
        return yaml_error(r->document, yaml_get(node, "when"), r->err,
                          "the source '%s' is there only with %s sources, so it needs %s", s->name,
                          s->when,
                          debian ? "'debian' alone" : "'git', 'archive', 'image' or 'list'");
    for (size_t i = 0; i < ARRAY_LEN(source_pairs); i++)
        if (yaml_get(node, source_pairs[i].key) && !yaml_get(node, source_pairs[i].with))
            return yaml_error(r->document, node, r->err,
                              "the source '%s' has '%s', which needs '%s' beside it", s->name,
                              source_pairs[i].key, source_pairs[i].with);
    return 0;
}

int read_sources(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe *recipe = target;
    if (expect(r, node, YAML_MAP) < 0)
        return -1;
    recipe->sources = xcalloc(node->n, sizeof *recipe->sources);
    for (size_t i = 0; i < node->n; i++) {
        struct recipe_source *s = &recipe->sources[recipe->source_count++];
        *s = (struct recipe_source){.name = xstrdup(node->keys[i]),
                                    .submodules = SUBMODULES_YES,
                                    .line = node->key_lines[i],
                                    .column = node->key_columns[i]};
        reader_enter(r, node, i);
        if (!name_is_clean(s->name))
            return yaml_error_at(r->document, s->line, s->column, r->err,
                                 "'%s' cannot be the name of a source: use a-z 0-9 . _ -", s->name);
        if (read_map(r, node->items[i], &source_schema, 1, s) < 0 ||
            check_source(r, node->items[i], s) < 0)
            return -1;
    }
    return 0;
}

// ---- recipe condition ----
// `when: {variable: NAME, is: VALUE}`, or `is: [VALUE, ...]`: a part that applies only if a
// variable of the recipe has the value, or one of them.

// A value may be empty: the variable is not set.
static int read_value_text(struct recipe_reader *r, const struct yaml *node, struct strlist *out)
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

static int read_value_texts(struct recipe_reader *r, const struct yaml *node, void *target)
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

int read_condition(struct recipe_reader *r, const struct yaml *node, void *target)
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

static int check_value(struct recipe_reader *r, const struct recipe_condition *c,
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

int check_comparison(struct recipe_reader *r, const struct recipe_condition *c)
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

int check_condition(struct recipe_reader *r, const struct recipe_condition *c)
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

// ---- recipe phases ----
// The scripts of a recipe, and the links that `kbuild install` adds.

static struct recipe_phase *add_phase(struct recipe *recipe, const char *name)
{
    struct recipe_phase *p = &recipe->phases[recipe->phase_count++];
    p->name = xstrdup(name);
    return p;
}

// One script is one phase.
int read_run(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe *recipe = target;
    if (recipe->phases)
        return reader_error(r, node, "'phases' says already what runs");
    recipe->phases = xcalloc(1, sizeof *recipe->phases);
    return read_script(r, node, &add_phase(recipe, "build")->script);
}

// {<name>: <script>, ...} in the order in which they run
int read_phases(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe *recipe = target;
    if (recipe->phases)
        return reader_error(r, node, "'run' says already what runs");
    if (expect(r, node, YAML_MAP) < 0)
        return -1;
    if (!node->n)
        return reader_error(r, node, "there is none");
    recipe->phases = xcalloc(node->n, sizeof *recipe->phases);
    for (size_t i = 0; i < node->n; i++) {
        reader_enter(r, node, i);
        if (!name_is_clean(node->keys[i]))
            return yaml_error_at(r->document, r->key_line, r->key_column, r->err,
                                 "phases: '%s': a name is made of a-z 0-9 . _ -", node->keys[i]);
        if (read_script(r, node->items[i], &add_phase(recipe, node->keys[i])->script) < 0)
            return -1;
    }
    return 0;
}

int check_phases(struct recipe_reader *r)
{
    if (r->recipe->action != ACTION_SCRIPT || r->recipe->phase_count)
        return 0;
    yaml_error(r->document, r->document->root, r->err,
               "a recipe with the action script needs the key 'run'");
    return error_hint(r->err, "or 'phases', if it runs in several");
}

// ---- install ----

#define AT(member) offsetof(struct recipe_link, member)
static const struct field link_fields[] = {
    {"path", read_path, AT(path), ANYWHERE, ANYWHERE},
    {"target", read_path, AT(target), ANYWHERE, ANYWHERE},
    {"architectures", read_architectures, AT(architectures), ANYWHERE, 0},
};
#undef AT
static const struct schema link_schema = SCHEMA("a link", link_fields);

static int read_links(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe *recipe = target;
    if (expect(r, node, YAML_LIST) < 0)
        return -1;
    recipe->links = xcalloc(node->n, sizeof *recipe->links);
    for (size_t i = 0; i < node->n; i++) {
        struct recipe_link *link = &recipe->links[recipe->link_count++];
        if (read_map(r, node->items[i], &link_schema, 1, link) < 0)
            return -1;
        if (!yaml_get(node->items[i], "architectures")) // all
            memset(link->architectures, true, sizeof link->architectures);
    }
    return 0;
}

static const struct field install_fields[] = {{"links", read_links, 0, ANYWHERE, ANYWHERE}};
static const struct schema install_schema = SCHEMA("install", install_fields);

int read_install(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_map(r, node, &install_schema, 1, target);
}

void phases_free(struct recipe *recipe)
{
    for (size_t i = 0; i < recipe->phase_count; i++) {
        free(recipe->phases[i].name);
        free(recipe->phases[i].script);
    }
    for (size_t i = 0; i < recipe->link_count; i++) {
        free(recipe->links[i].path);
        free(recipe->links[i].target);
    }
    free(recipe->phases);
    free(recipe->links);
}
