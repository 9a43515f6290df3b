// SPDX-License-Identifier: Apache-2.0
// Reads maps of known keys, and the values that do not depend on recipes.
#include "recipe/reader.h"

#include "base/file.h"

#include <string.h>

int reader_error(struct recipe_reader *r, const struct yaml *node, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *why = xvasprintf(format, args);
    va_end(args);
    // An empty value has no useful position.
    bool at_key = r->key && yaml_is_null(node);
    return yaml_error_at(r->document, at_key ? r->key_line : node->line,
                         at_key ? r->key_column : node->column, r->err, "%s%s%s",
                         r->key ? r->key : "", r->key ? ": " : "", why);
}

void reader_enter(struct recipe_reader *r, const struct yaml *map, size_t index)
{
    r->key = map->keys[index];
    r->key_line = map->key_lines[index];
    r->key_column = map->key_columns[index];
}

int expect(struct recipe_reader *r, const struct yaml *node, enum yaml_kind kind)
{
    if (!yaml_is_null(node) && node->kind == kind)
        return 0;
    const struct yaml wanted = {.kind = kind, .quoted = true};
    const char *is = yaml_kind_name(node);
    return reader_error(r, node, "%s is expected here, but this is %s", yaml_kind_name(&wanted),
                        is);
}

const struct arch *reader_arch(struct recipe_reader *r, size_t line, size_t column,
                               const char *name)
{
    struct error *why = NULL;
    const struct arch *a = arch_find(name, &why);
    if (a)
        return a;
    yaml_error_at(r->document, line, column, r->err, "%s", why->message);
    error_hint(r->err, "%s", why->hint);
    error_free(why);
    return NULL;
}

// ---- maps ----

static const struct field *find_field(const struct schema *s, const char *key)
{
    for (size_t i = 0; i < s->count; i++)
        if (!strcmp(s->fields[i].key, key))
            return &s->fields[i];
    return NULL;
}

static int unknown_key(struct recipe_reader *r, const struct yaml *map, size_t index,
                       const struct schema *s, int mode)
{
    const char *key = map->keys[index];
    yaml_error_at(r->document, map->key_lines[index], map->key_columns[index], r->err,
                  "unknown key '%s' in %s", key, s->kind);
    struct strlist known = {0};
    for (size_t i = 0; i < s->count; i++)
        if (s->fields[i].allowed & mode)
            strlist_add(&known, s->fields[i].key);
    const char *nearest = nearest_name(key, &known);
    cleanup_free char *all = strlist_join(&known, ", ");
    if (nearest)
        error_hint(r->err, "did you mean '%s'?", nearest);
    else
        error_hint(r->err, "known keys: %s", all);
    strlist_free(&known);
    return -1;
}

static int check_required(struct recipe_reader *r, const struct yaml *map, const struct schema *s,
                          int mode)
{
    for (size_t i = 0; i < s->count; i++)
        if ((s->fields[i].required & mode) && !yaml_get(map, s->fields[i].key))
            return yaml_error(r->document, map, r->err, "%s needs the key '%s'", s->kind,
                              s->fields[i].key);
    return 0;
}

int read_map(struct recipe_reader *r, const struct yaml *node, const struct schema *s, int mode,
             void *base)
{
    if (expect(r, node, YAML_MAP) < 0)
        return -1;
    for (size_t i = 0; i < node->n; i++) {
        const struct field *f = find_field(s, node->keys[i]);
        if (!f)
            return unknown_key(r, node, i, s, mode);
        reader_enter(r, node, i);
        if (!(f->allowed & mode))
            return yaml_error_at(r->document, r->key_line, r->key_column, r->err,
                                 "the key '%s' has no meaning in %s", f->key, s->kind);
        if (f->read(r, node->items[i], (char *)base + f->offset) < 0)
            return -1;
    }
    return check_required(r, node, s, mode);
}

// ---- texts ----

bool name_is_clean(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t n = strlen(name);
    return n && n <= 100 && !strchr("._-", name[0]) && strspn(name, letters) == n;
}

static bool is_line(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p < ' ' || *p == 0x7f)
            return false;
    return true;
}

static bool is_package(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789+.-:";
    size_t n = strlen(text);
    return n > 1 && !strchr("+.-:", text[0]) && strspn(text, letters) == n;
}

static bool name_pattern_is_clean(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-*?") == strlen(text);
}

bool template_is_valid(const char *text, const char *const *names)
{
    for (const char *p = text; *(p += strcspn(p, "{}"));) {
        if (p[1] == *p && !names) {
            p += 2;
            continue;
        }
        size_t n = strcspn(p + 1, "{}");
        if (*p == '}' || !n || p[1 + n] != '}')
            return false;
        const char *const *known = names;
        while (known && *known && (strncmp(*known, p + 1, n) != 0 || (*known)[n]))
            known++;
        if (known && !*known)
            return false;
        p += n + 2;
    }
    return true;
}

// The allowed form of a text, and its name for messages.
struct form {
    bool (*fits)(const char *text);
    const char *rule;
};
static bool any_template(const char *text)
{
    return is_line(text) && template_is_valid(text, NULL);
}
static const struct form form_line = {is_line, "a text of one line is expected"};
static const struct form form_template = {any_template, TEMPLATE_RULE};
static const struct form form_name = {
    name_is_clean, "a name is made of a-z 0-9 . _ - and begins with a letter or digit"};
static const struct form form_name_pattern = {name_pattern_is_clean,
                                              "a name or pattern is made of a-z 0-9 . _ - * ?"};
static const struct form form_package = {is_package, "this cannot be the name of a package"};
static const struct form form_path = {
    path_is_clean, "a path must be relative and without empty, '.' or '..' parts"};

static int read_form(struct recipe_reader *r, const struct yaml *node, const struct form *form,
                     char **out)
{
    if (expect(r, node, YAML_SCALAR) < 0)
        return -1;
    if (!*node->text)
        return reader_error(r, node, "the text is empty");
    if (form && (!form->fits(node->text) || !is_line(node->text)))
        return reader_error(r, node, "'%s': %s", node->text, form->rule);
    *out = xstrdup(node->text);
    return 0;
}

int read_text(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_form(r, node, NULL, target);
}

int read_line(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_form(r, node, &form_line, target);
}

int read_template(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_form(r, node, &form_template, target);
}

int read_name(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_form(r, node, &form_name, target);
}

int read_package(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_form(r, node, &form_package, target);
}

int read_path(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_form(r, node, &form_path, target);
}

int read_yes_no(struct recipe_reader *r, const struct yaml *node, void *target)
{
    static const char *const words[] = {"no", "yes", "false", "true"};
    if (expect(r, node, YAML_SCALAR) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (!strcmp(node->text, words[i])) {
            *(bool *)target = i & 1;
            return 0;
        }
    return reader_error(r, node, "'%s': yes or no is expected", node->text);
}

// ---- lists of texts ----

static int read_forms(struct recipe_reader *r, const struct yaml *node, const struct form *form,
                      struct strlist *out)
{
    if (expect(r, node, YAML_LIST) < 0)
        return -1;
    for (size_t i = 0; i < node->n; i++) {
        cleanup_free char *text = NULL;
        if (read_form(r, node->items[i], form, &text) < 0)
            return -1;
        if (strlist_has(out, text))
            return reader_error(r, node->items[i], "'%s' is there twice", text);
        strlist_add(out, text);
    }
    return 0;
}

int read_lines(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_forms(r, node, &form_line, target);
}

int read_names(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_forms(r, node, &form_name, target);
}

int read_name_patterns(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_forms(r, node, &form_name_pattern, target);
}

int read_packages(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_forms(r, node, &form_package, target);
}
