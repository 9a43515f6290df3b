// SPDX-License-Identifier: Apache-2.0
// Reads the user's variables, the recipe's constants, the ignored variables, and the conditions on
// variables.
#include "recipe/internal.h"

#include <stdio.h>
#include <string.h>

// Every step sets these, so a recipe cannot; or they change how bash starts.
static const char *const reserved_names[] = {
    "ARCH",
    "BASH_ENV",
    "BASHOPTS",
    "CDPATH",
    "CROSS_COMPILE",
    "ENV",
    "HOME",
    "IFS",
    "JOBS",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "LINUX_ARCH",
    "LOGNAME",
    "MAKEFLAGS",
    "MAKELEVEL",
    "MFLAGS",
    "OLDPWD",
    "PATH",
    "PREFIX",
    "PWD",
    "SHELL",
    "SHELLOPTS",
    "SHLVL",
    "SOURCE_DATE_EPOCH",
    "TARGET",
    "TMPDIR",
    "TRIPLET",
    "TZ",
    "USER",
};

bool variable_name_is_reserved(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(reserved_names); i++)
        if (!strcmp(name, reserved_names[i]))
            return true;
    return false;
}

// What the loader, and the programs and libraries that kbuild itself uses, take from the
// environment. A plan sets a variable for all of kbuild, outside every sandbox: LD_AUDIT would run
// its code there.
static bool is_of_the_machine(const char *name)
{
    static const char *const beginnings[] = {"APT_",        "ARTEFACT_",   "BUILDER_REGISTRY",
                                             "CONTAINERS_", "CURL_",       "DOCKER_",
                                             "DPKG_",       "GCONV_",      "GIT_",
                                             "GLIBC_",      "GNUPG",       "KBUILD_",
                                             "LD_",         "LOCPATH",     "MALLOC_",
                                             "OPENSSL",     "PERL",        "PUSH_TO_REGISTRY",
                                             "PYTHON",      "REGISTRY_",   "SSH_",
                                             "SSL_",        "TAR_OPTIONS", "XDG_"};
    for (size_t i = 0; i < ARRAY_LEN(beginnings); i++)
        if (starts_with(name, beginnings[i]))
            return true;
    return ends_with(name, "_PROXY");
}

static int check_variable_name(struct recipe_reader *r, const struct yaml *map, size_t index)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    const char *name = map->keys[index];
    size_t n = strlen(name);
    reader_enter(r, map, index);
    if (!n || n > 100 || (*name >= '0' && *name <= '9') || strspn(name, letters) != n)
        return yaml_error_at(r->document, r->key_line, r->key_column, r->err,
                             "'%s' cannot be the name of a variable: use A-Z 0-9 _", name);
    if (variable_name_is_reserved(name))
        return yaml_error_at(r->document, r->key_line, r->key_column, r->err,
                             "%s is reserved: every step has its own", name);
    return 0;
}

static int read_variable_type(struct recipe_reader *r, const struct yaml *node, void *target)
{
    static const char *const names[] = {[VARIABLE_TEXT] = "text",
                                        [VARIABLE_YES_NO] = "yes-no",
                                        [VARIABLE_FILE] = "file",
                                        [VARIABLE_DIRECTORY] = "directory",
                                        [VARIABLE_SECRET] = "secret"};
    if (expect(r, node, YAML_SCALAR) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(node->text, names[i])) {
            *(enum variable_type *)target = (enum variable_type)i;
            return 0;
        }
    reader_error(r, node, "unknown type '%s'", node->text);
    return error_hint(r->err, "known types: text, yes-no, file, directory, secret");
}

// ---- allowed values ----

#define AT(member) offsetof(struct recipe_by_release, member)
static const struct field by_release_fields[] = {
    {"before", read_line, AT(before), ANYWHERE, 1},
    {"is", read_line, AT(is), ANYWHERE, 1},
    {"else", read_line, AT(otherwise), ANYWHERE, 1},
};
#undef AT
static const struct schema by_release_schema =
    SCHEMA("a default that follows the release", by_release_fields);

// text | {before: "3.27", is: a, else: b}
static int read_default(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe_variable *v = target;
    unsigned major, minor;
    int end = 0;
    if (node->kind != YAML_MAP)
        return read_line(r, node, &v->default_);
    if (read_map(r, node, &by_release_schema, 1, &v->by_release) < 0)
        return -1;
    const char *before = v->by_release.before;
    if (sscanf(before, "%u.%u%n", &major, &minor, &end) != 2 || before[end])
        return yaml_error(r->document, yaml_get(node, "before"), r->err,
                          "before: '%s' is not the first two numbers of a release, as in 3.27",
                          before);
    return 0;
}

#define AT(member) offsetof(struct recipe_refused, member)
static const struct field refused_fields[] = {
    {"is", read_line, AT(is), ANYWHERE, 1},
    {"architectures", read_architectures, AT(architectures), ANYWHERE, 0},
    {"why", read_line, AT(why), ANYWHERE, 1},
};
#undef AT
static const struct schema refused_schema = SCHEMA("a refused value", refused_fields);

static int read_refused(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe_variable *v = target;
    if (expect(r, node, YAML_LIST) < 0)
        return -1;
    v->refused = xcalloc(node->n, sizeof *v->refused);
    for (size_t i = 0; i < node->n; i++)
        if (read_map(r, node->items[i], &refused_schema, 1, &v->refused[v->refused_count++]) < 0)
            return -1;
    return 0;
}

static int check_defaults(struct recipe_reader *r, const struct yaml *node,
                          const struct recipe_variable *v)
{
    const char *const defaults[] = {v->default_, v->by_release.is, v->by_release.otherwise};
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
        const char *text = defaults[i];
        if (text && v->type == VARIABLE_YES_NO && strcmp(text, "yes") != 0 &&
            strcmp(text, "no") != 0)
            return yaml_error(r->document, yaml_get(node, "default"), r->err,
                              "%s: the default must be yes or no", v->name);
        if (text && v->values.n && !strlist_has(&v->values, text))
            return yaml_error(r->document, yaml_get(node, "default"), r->err,
                              "%s: the default '%s' is not in 'values'", v->name, text);
    }
    return 0;
}

#define AT(member) offsetof(struct recipe_variable, member)
static const struct field variable_fields[] = {
    {"type", read_variable_type, AT(type), ANYWHERE, 0},
    {"default", read_default, 0, ANYWHERE, 0},
    {"values", read_lines, AT(values), ANYWHERE, 0},
    {"refused", read_refused, 0, ANYWHERE, 0},
    {"pattern", read_name_pattern, AT(pattern), ANYWHERE, 0},
    {"required", read_line, AT(required), ANYWHERE, 0},
    {"list", read_yes_no, AT(list), ANYWHERE, 0},
};
#undef AT
static const struct schema variable_schema = SCHEMA("a variable", variable_fields);

// Whether the variable is the key of `sign`. Reads the document, since 'variables' may come before
// 'sign'.
static bool sign_names_key(const struct recipe_reader *r, const char *variable)
{
    const struct yaml *sign = yaml_get(r->document->root, "sign");
    const struct yaml *key = sign && sign->kind == YAML_MAP ? yaml_get(sign, "key") : NULL;
    return key && key->kind == YAML_SCALAR && !strcmp(key->text, variable);
}

static int check_variable(struct recipe_reader *r, const struct yaml *node,
                          const struct recipe_variable *v)
{
    // The types for each key.
    static const struct {
        const char *key, *types;
        unsigned allowed;
    } rules[] = {
        {"default", "text and yes-no", 1u << VARIABLE_TEXT | 1u << VARIABLE_YES_NO},
        {"values", "text", 1u << VARIABLE_TEXT},
        {"refused", "text and yes-no", 1u << VARIABLE_TEXT | 1u << VARIABLE_YES_NO},
        {"pattern", "directory", 1u << VARIABLE_DIRECTORY},
        {"list", "file", 1u << VARIABLE_FILE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        const struct yaml *value = yaml_get(node, rules[i].key);
        if (value && !(rules[i].allowed & 1u << v->type))
            return yaml_error(r->document, value, r->err, "%s: '%s' is only for the type %s",
                              v->name, rules[i].key, rules[i].types);
    }
    if (v->type == VARIABLE_SECRET && r->recipe->action == ACTION_SCRIPT &&
        !sign_names_key(r, v->name)) {
        yaml_error(r->document, yaml_get(node, "type"), r->err,
                   "%s: a script never gets a secret: its outputs could contain it", v->name);
        return error_hint(r->err, "secrets are for the action se-image, or the key of 'sign'");
    }
    if (check_defaults(r, node, v) < 0)
        return -1;
    if (v->required && (v->default_ || v->by_release.before))
        return yaml_error(r->document, yaml_get(node, "required"), r->err,
                          "%s: a variable with a default is never missing, so 'required' has no "
                          "meaning",
                          v->name);
    return 0;
}

int read_variables(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe *recipe = target;
    if (expect(r, node, YAML_MAP) < 0)
        return -1;
    recipe->variables = xcalloc(node->n, sizeof *recipe->variables);
    for (size_t i = 0; i < node->n; i++) {
        struct recipe_variable *v = &recipe->variables[recipe->variable_count++];
        *v = (struct recipe_variable){.name = xstrdup(node->keys[i]),
                                      .line = node->key_lines[i],
                                      .column = node->key_columns[i]};
        if (check_variable_name(r, node, i) < 0)
            return -1;
        if (is_of_the_machine(v->name))
            return yaml_error_at(r->document, r->key_line, r->key_column, r->err,
                                 "%s is reserved: it sets up this machine", v->name);
        if (yaml_is_null(node->items[i])) // "NAME:" is a text without a default
            continue;
        if (read_map(r, node->items[i], &variable_schema, 1, v) < 0 ||
            check_variable(r, node->items[i], v) < 0)
            return -1;
    }
    return 0;
}

int read_environment(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe *recipe = target;
    if (expect(r, node, YAML_MAP) < 0)
        return -1;
    for (size_t i = 0; i < node->n; i++) {
        const struct yaml *value = node->items[i];
        if (check_variable_name(r, node, i) < 0)
            return -1;
        if (value->kind != YAML_SCALAR)
            return expect(r, value, YAML_SCALAR);
        cleanup_free char *template = arch_expand(value->text, &arch_table[0]);
        if (!template_is_valid(template, NULL))
            return reader_error(r, value, "'%s': " TEMPLATE_RULE, value->text);
        strlist_addf(&recipe->environment, "%s=%s", node->keys[i], value->text);
    }
    return 0;
}

void variable_free(struct recipe_variable *v)
{
    for (size_t i = 0; i < v->refused_count; i++) {
        free(v->refused[i].is);
        free(v->refused[i].why);
    }
    free(v->refused);
    free(v->name);
    free(v->default_);
    free(v->by_release.before);
    free(v->by_release.is);
    free(v->by_release.otherwise);
    strlist_free(&v->values);
    free(v->pattern);
    free(v->required);
}

// ---- variables without an effect ----

#define AT(member) offsetof(struct recipe_ignored, member)
static const struct field ignored_fields[] = {
    {"value", read_line, AT(value), ANYWHERE, 0},
    {"why", read_line, AT(why), ANYWHERE, 1},
};
#undef AT
static const struct schema ignored_schema = SCHEMA("a variable without an effect", ignored_fields);

// {NAME: why} | {NAME: {value: what is made anyway, why: why}}
int read_ignored(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe_ignored_list *l = target;
    if (expect(r, node, YAML_MAP) < 0)
        return -1;
    l->list = xcalloc(node->n, sizeof *l->list);
    for (size_t i = 0; i < node->n; i++) {
        struct recipe_ignored *one = &l->list[l->count++];
        if (check_variable_name(r, node, i) < 0)
            return -1;
        one->name = xstrdup(node->keys[i]);
        if ((node->items[i]->kind == YAML_MAP ? read_map(r, node->items[i], &ignored_schema, 1, one)
                                              : read_line(r, node->items[i], &one->why)) < 0)
            return -1;
    }
    return 0;
}

int check_ignored(struct recipe_reader *r)
{
    const struct yaml *node = yaml_get(r->document->root, "ignored");
    for (size_t i = 0; node && i < node->n; i++)
        for (size_t k = 0; k < r->recipe->variable_count; k++)
            if (!strcmp(node->keys[i], r->recipe->variables[k].name))
                return yaml_error_at(r->document, node->key_lines[i], node->key_columns[i], r->err,
                                     "%s is in 'ignored' and in 'variables'", node->keys[i]);
    return 0;
}

void ignored_free(struct recipe_ignored_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->list[i].name);
        free(l->list[i].why);
        free(l->list[i].value);
    }
    free(l->list);
    *l = (struct recipe_ignored_list){0};
}

// ---- conditions ----
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
        reader_error(r, node, "'%s' is listed twice", text);
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
                             "when: the default of %s follows the release, and no part can "
                             "depend on one of its values",
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
