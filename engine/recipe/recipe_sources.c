// SPDX-License-Identifier: Apache-2.0
// Reads the sources of a recipe: git, archives, images, distribution packages, and lists of files.
#include "recipe/internal.h"

#include "base/file.h"

#include <string.h>

// ---- distribution packages ----

// host | target
static int read_package_architecture(struct recipe_reader *r, const struct yaml *node, void *target)
{
    cleanup_free char *word = NULL;
    if (read_line(r, node, &word) < 0)
        return -1;
    *(bool *)target = !strcmp(word, "target");
    return *(bool *)target || !strcmp(word, "host")
               ? 0
               : reader_error(r, node, "'%s' is neither host nor target", word);
}

// What a name of a package is made of, and '*' and '?'.
static int read_package_pattern(struct recipe_reader *r, const struct yaml *node, void *target)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789+.-*?";
    if (read_line(r, node, target) < 0)
        return -1;
    return node->text[strspn(node->text, letters)]
               ? reader_error(r, node, "'%s' cannot be a pattern of names of packages", node->text)
               : 0;
}

#define AT(member) offsetof(struct debian_source, member)
static const struct field debian_fields[] = {
    {"packages", read_packages, AT(packages), ANYWHERE, 0},
    {"architecture", read_package_architecture, AT(of_target), ANYWHERE, 0},
    {"dependency", read_package_pattern, AT(dependency), ANYWHERE, 0},
    {"file", read_path, AT(file), ANYWHERE, 0},
    {"source", read_package, AT(source), ANYWHERE, 0},
};
#undef AT
static const struct schema debian_schema = SCHEMA("a debian source", debian_fields);

void debian_source_free(struct debian_source *s)
{
    if (!s)
        return;
    strlist_free(&s->packages);
    free(s->file);
    free(s->source);
    free(s->dependency);
    free(s);
}

static int read_debian(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct debian_source *s = *(struct debian_source **)target = xcalloc(1, sizeof *s);
    if (read_map(r, node, &debian_schema, 1, s) < 0)
        return -1;
    if (!s->packages.n == !s->source)
        return yaml_error(r->document, node, r->err,
                          "a debian source has either 'packages' or 'source'");
    if (s->file && s->source)
        return yaml_error(r->document, yaml_get(node, "file"), r->err,
                          "'file' is only for 'packages'; a source package is unpacked as a whole");
    static const char *const of_binary[] = {"architecture", "dependency"};
    for (size_t i = 0; s->source && i < ARRAY_LEN(of_binary); i++)
        if (yaml_get(node, of_binary[i]))
            return yaml_error(r->document, yaml_get(node, of_binary[i]), r->err,
                              "'%s' is only for 'packages'; a source package has neither",
                              of_binary[i]);
    return 0;
}

struct debian_source *debian_source_parse(const struct yaml_document *d, const struct yaml *node,
                                          struct error **err)
{
    struct recipe_reader r = {.document = d, .err = err, .key = NULL};
    struct debian_source *s = NULL;
    if (read_debian(&r, node, &s) == 0)
        return s;
    debian_source_free(s);
    return NULL;
}

// ---- lists ----
// The script, its source, its arguments, and the parts of the user's configuration that it may
// read.

// The list of the source that is being read, or a new one.
static struct recipe_list *list_of(void *target)
{
    struct recipe_source *source = target;
    if (!source->list)
        source->list = xcalloc(1, sizeof *source->list);
    return source->list;
}

static int read_list_script(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_script(r, node, &list_of(target)->script);
}

static int read_list_of(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_name(r, node, &list_of(target)->of);
}

static int read_list_arguments(struct recipe_reader *r, const struct yaml *node, void *target)
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

static int read_user_files(struct recipe_reader *r, const struct yaml *node, void *target)
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

static int read_user_environment(struct recipe_reader *r, const struct yaml *node, void *target)
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

static int read_list_configuration(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_map(r, node, &configuration_schema, 1, &list_of(target)->configuration);
}

static void list_free(struct recipe_list *l)
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

// ---- sources ----

static int read_when_sources(struct recipe_reader *r, const struct yaml *node, void *target)
{
    char **when = target;
    if (read_line(r, node, when) < 0)
        return -1;
    if (!strcmp(*when, "upstream") || !strcmp(*when, "debian"))
        return 0;
    reader_error(r, node, "'%s' is neither upstream nor debian", *when);
    return error_hint(r->err, "it limits the source to --sources=upstream or to --sources=debian");
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
        return reader_error(r, node, "'%s' is not an SPDX licence expression", *text);
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
                              "the source '%s' is a list, for which '%s' has no meaning", s->name,
                              not_of_lists[i]);
    bool debian = s->when && !strcmp(s->when, "debian");
    if (s->when && (debian ? !s->debian || upstream : !upstream && !s->list))
        return yaml_error(r->document, yaml_get(node, "when"), r->err,
                          "the source '%s' is only for %s sources, so it needs %s", s->name,
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

void source_free(struct recipe_source *s)
{
    free(s->name);
    free(s->version);
    free(s->git);
    free(s->ref);
    free(s->archive);
    free(s->image);
    free(s->licence);
    free(s->sums);
    free(s->when);
    condition_free(&s->condition);
    list_free(s->list);
    debian_source_free(s->debian);
    strlist_free(&s->patches);
    strlist_free(&s->checkout);
    strlist_free(&s->replaced);
    strlist_free(&s->replacements);
}

// ---- checks between sources ----

static const struct recipe_source *source_named(const struct recipe *recipe, const char *name)
{
    for (size_t i = 0; i < recipe->source_count; i++)
        if (!strcmp(recipe->sources[i].name, name))
            return &recipe->sources[i];
    return NULL;
}

static int unknown_source(struct recipe_reader *r, const struct recipe_source *s)
{
    cleanup_strlist struct strlist names = {0};
    for (size_t i = 0; i < r->recipe->source_count; i++)
        if (&r->recipe->sources[i] != s)
            strlist_add(&names, r->recipe->sources[i].name);
    yaml_error_at(r->document, s->line, s->column, r->err,
                  "the source '%s' is of '%s', which is not another source of this recipe", s->name,
                  s->list->of);
    const char *nearest = nearest_name(s->list->of, &names);
    return nearest ? error_hint(r->err, "did you mean '%s'?", nearest) : -1;
}

static int check_list(struct recipe_reader *r, const struct recipe_source *s)
{
    const struct recipe_source *at = s;
    for (size_t hops = 0; at->list && at->list->of; hops++) {
        const struct recipe_source *next = source_named(r->recipe, at->list->of);
        if (!next || next == at)
            return unknown_source(r, at);
        if (hops > r->recipe->source_count)
            return yaml_error_at(r->document, s->line, s->column, r->err,
                                 "the source '%s' depends on itself", s->name);
        at = next;
    }
    return 0;
}

int check_sources(struct recipe_reader *r)
{
    for (size_t i = 0; i < r->recipe->source_count; i++) {
        const struct recipe_source *s = &r->recipe->sources[i];
        if (check_condition(r, &s->condition) < 0 || check_list(r, s) < 0)
            return -1;
    }
    return 0;
}
