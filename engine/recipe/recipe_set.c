// SPDX-License-Identifier: Apache-2.0
// Loads the recipes below one directory on first use, and reads how recipes refer to each other:
// needs, members of groups, and `like`.
#include "recipe/internal.h"

#include "base/file.h"

#include <errno.h>
#include <search.h>
#include <string.h>
#include <sys/stat.h>

struct recipe_set {
    char *given; // as the user wrote it, for messages
    char *absolute;
    void *loaded; // tsearch() tree of struct recipe, by name
    struct recipe_ignored_list ignored;
    bool ignored_read;
};

struct recipe_set *recipe_set_open(const char *directory, struct error **err)
{
    struct stat st;
    int failed = stat(directory, &st) < 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    if (failed) {
        error_errno(err, failed, "opening the recipes in %s", directory);
        error_hint(err, "run kbuild where the folder recipes/ is, or give --recipes DIR");
        return NULL;
    }
    struct recipe_set *set = xcalloc(1, sizeof *set);
    set->given = xstrdup(directory);
    for (size_t n = strlen(set->given); n > 1 && set->given[n - 1] == '/'; n--)
        set->given[n - 1] = '\0';
    set->absolute = path_absolute(set->given);
    return set;
}

static void free_loaded(void *recipe)
{
    recipe_free(recipe);
}

void recipe_set_free(struct recipe_set *set)
{
    if (!set)
        return;
    tdestroy(set->loaded, free_loaded);
    ignored_free(&set->ignored);
    free(set->given);
    free(set->absolute);
    free(set);
}

const char *recipe_set_directory(const struct recipe_set *set)
{
    return set->absolute;
}

static int compare_recipes(const void *a, const void *b)
{
    return strcmp(((const struct recipe *)a)->name, ((const struct recipe *)b)->name);
}

static const struct recipe *find_loaded(const struct recipe_set *set, const char *name)
{
    const struct recipe wanted = {.name = (char *)name};
    struct recipe *const *found = tfind(&wanted, &set->loaded, compare_recipes);
    return found ? *found : NULL;
}

bool recipe_exists(const struct recipe_set *set, const char *name)
{
    if (!name_is_clean(name))
        return false;
    if (find_loaded(set, name))
        return true;
    cleanup_free char *file = xasprintf("%s/%s/recipe.yaml", set->given, name);
    return path_exists(file);
}

int recipe_names(const struct recipe_set *set, struct strlist *out, struct error **err)
{
    struct strlist all = {0};
    if (list_directory(set->given, &all, err) < 0)
        return -1;
    for (size_t i = 0; i < all.n; i++)
        if (recipe_exists(set, all.items[i]))
            strlist_add(out, all.items[i]);
    strlist_free(&all);
    return 0;
}

// The recipe with `name` among its outputs, or NULL. Reads all recipes: for messages only.
static const struct recipe *find_by_output(struct recipe_set *set, const char *name,
                                           const struct strlist *names)
{
    for (size_t i = 0; i < names->n; i++) {
        const struct recipe *r = recipe_get(set, names->items[i], NULL);
        if (r && strlist_has(&r->outputs, name))
            return r;
    }
    return NULL;
}

static void unknown_target(struct recipe_set *set, const char *name, struct error **err)
{
    error_user(err, "unknown target '%s'", name);
    if (!err)
        return;
    struct strlist names = {0};
    if (recipe_names(set, &names, NULL) == 0) {
        const struct recipe *maker = find_by_output(set, name, &names);
        const char *nearest = nearest_name(name, &names);
        if (maker)
            error_hint(err, "it is an output of the target %s", maker->name);
        else if (nearest)
            error_hint(err, "did you mean %s? `kbuild list` shows all targets", nearest);
        else
            error_hint(err, "`kbuild list` shows all targets; recipes are read from %s",
                       set->given);
    }
    strlist_free(&names);
}

const struct recipe *recipe_get(struct recipe_set *set, const char *name, struct error **err)
{
    const struct recipe *known = find_loaded(set, name);
    if (known)
        return known;
    if (!recipe_exists(set, name)) {
        unknown_target(set, name, err);
        return NULL;
    }
    cleanup_free char *file = xasprintf("%s/%s/recipe.yaml", set->given, name);
    struct yaml_document *d = yaml_load(file, err);
    struct recipe *r = d ? recipe_read(d, set->absolute, name, err) : NULL;
    if (r && !tsearch(r, &set->loaded, compare_recipes))
        out_of_memory();
    return r;
}

const struct recipe_ignored_list *recipe_set_ignored(struct recipe_set *set, struct error **err)
{
    cleanup_free char *file = xasprintf("%s/ignored.yaml", set->given);
    if (set->ignored_read || !path_exists(file)) // it may be created later
        return &set->ignored;
    struct yaml_document *d = yaml_load(file, err);
    struct recipe_reader r = {.document = d, .err = err, .recipes = set->absolute};
    int result = d ? read_ignored(&r, d->root, &set->ignored) : -1;
    yaml_document_free(d);
    set->ignored_read = !result;
    if (!result)
        return &set->ignored;
    ignored_free(&set->ignored);
    return NULL;
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
    reader_error(r, node,
                 any ? "this has both 'any' and 'optional'"
                     : "this has neither 'any' nor 'optional'");
    return error_hint(r->err, NEED_RULE);
}

// A name may be repeated only if the entry before it cannot apply at the same time.
static int check_repeated(struct recipe_reader *r, const struct yaml *node,
                          const struct recipe_need *need, const struct recipe_need *before)
{
    if (conditions_exclude(&need->when, &before->when))
        return 0;
    for (size_t i = 0; i < need->any.n; i++)
        if (strlist_has(&before->any, need->any.items[i]))
            return reader_error(r, node, "'%s' is listed twice", need->any.items[i]);
    return 0;
}

static int read_need_list(struct recipe_reader *r, const struct yaml *node, const char *key,
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
            if (check_repeated(r, node->items[i], need, &out->list[j]) < 0)
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

// [a, b], for every architecture; or {x86_64: [a, b], s390x: [c]}
int read_members(struct recipe_reader *r, const struct yaml *node, void *target)
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
                                 "%s is listed twice", a->name);
        if (read_need_list(r, node->items[i], node->keys[i], of) < 0)
            return -1;
        if (!of->count)
            return reader_error(r, node->items[i], "the list is empty");
    }
    return 0;
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

// ---- like ----
// `like`: an image with the content of an initrd refers to it instead of repeating it. Shared are
// needs, the packages of its root file system, layers, excluded paths, its service (boot.service),
// the variables used by all these, and ignored variables. The recipe's own keys have priority; in
// variables and `rootfs`, each key separately.

// Reads the whole recipe, so that errors in it name its own file.
static struct recipe *open_like(struct recipe_reader *r, const struct yaml *node)
{
    cleanup_free char *name = NULL;
    r->key = "like";
    if (read_name(r, node, &name) < 0)
        return NULL;
    cleanup_free char *file = xasprintf("%s/%s/recipe.yaml", r->recipes, name);
    if (!strcmp(name, r->recipe->name) || !path_exists(file)) {
        reader_error(r, node, "there is no other recipe '%s'", name);
        return NULL;
    }
    struct yaml_document *d = yaml_load(file, r->err);
    const struct yaml *next = d ? yaml_get(d->root, "like") : NULL;
    if (next) {
        reader_error(r, node, "'%s' has the key 'like' itself: name that recipe", name);
        yaml_document_free(d);
        return NULL;
    }
    struct recipe *like = d ? recipe_read(d, r->recipes, name, r->err) : NULL;
    if (like && !like->initrd) {
        reader_error(r, node, "'%s' has no layers", name);
        recipe_free(like);
        return NULL;
    }
    return like;
}

// The keys of `from` that `to` (NULL: an empty map) lacks; all, or those listed.
static const struct yaml *merge_maps(struct yaml_document *d, const struct yaml *to,
                                     const struct yaml *from, const char *const *names)
{
    if (!from || from->kind != YAML_MAP || (to && to->kind != YAML_MAP))
        return to;
    for (size_t i = 0; i < from->n; i++) {
        bool wanted = !names;
        for (size_t k = 0; names && names[k]; k++)
            wanted |= !strcmp(names[k], from->keys[i]);
        if (!wanted || (to && yaml_get(to, from->keys[i])))
            continue;
        static const struct yaml empty = {.kind = YAML_MAP};
        to = yaml_with(d, to ? to : &empty, from->keys[i], from->items[i]);
    }
    return to;
}

// Whether the name is a text anywhere in it.
static bool mentions(const struct yaml *node, const char *name)
{
    if (node->kind == YAML_SCALAR)
        return !strcmp(node->text, name);
    for (size_t i = 0; i < node->n; i++)
        if (mentions(node->items[i], name))
            return true;
    return false;
}

// Unused variables would have no effect.
static const struct yaml *merge_variables(struct yaml_document *d, const struct yaml *root,
                                          const struct yaml *from)
{
    const struct yaml *own = yaml_get(root, "variables"), *to = own;
    for (size_t i = 0; from && from->kind == YAML_MAP && i < from->n; i++) {
        const char *const one[] = {from->keys[i], NULL};
        if (mentions(root, one[0]))
            to = merge_maps(d, to, from, one);
    }
    return to != own ? yaml_with(d, root, "variables", to) : root;
}

int read_like(struct recipe_reader *r)
{
    static const char *const whole[] = {"needs", NULL};
    static const char *const layers[] = {"layers", "init", "exclude", NULL};
    struct yaml_document *d = r->recipe->document;
    const struct yaml *node = yaml_get(d->root, "like"), *root = d->root;
    if (!node)
        return 0;
    struct recipe *like = r->recipe->like = open_like(r, node);
    if (!like)
        return -1;
    const struct yaml *other = like->document->root;
    root = merge_maps(d, root, other, whole);
    const struct yaml *rootfs =
        merge_maps(d, yaml_get(root, "rootfs"), yaml_get(other, "rootfs"), NULL);
    root = rootfs ? yaml_with(d, root, "rootfs", rootfs) : root;
    static const char *const service[] = {"service", NULL};
    const struct yaml *boot =
        merge_maps(d, yaml_get(root, "boot"), yaml_get(other, "boot"), service);
    if (yaml_get(root, "boot"))
        root = yaml_with(d, root, "boot", boot);
    const struct yaml *ignored =
        merge_maps(d, yaml_get(root, "ignored"), yaml_get(other, "ignored"), NULL);
    root = ignored ? yaml_with(d, root, "ignored", ignored) : root;
    const char *section = layers_section(r->recipe);
    const struct yaml *own = yaml_get(root, section);
    const struct yaml *tree = merge_maps(d, own, yaml_get(other, layers_section(like)), layers);
    root = own ? yaml_with(d, root, section, tree) : root;
    d->root = (struct yaml *)merge_variables(d, root, yaml_get(other, "variables"));
    return 0;
}
