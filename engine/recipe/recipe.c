// SPDX-License-Identifier: Apache-2.0
// Reads a whole recipe: its table of keys, the short maps (scripts, links, signed files), what it
// takes from the recipe that it is `like`, the checks between its parts, and freeing it.
#include "recipe/internal.h"

#include "base/file.h"

#include <string.h>

// ---- scripts ----

static struct recipe_phase *add_phase(struct recipe *recipe, const char *name)
{
    struct recipe_phase *p = &recipe->phases[recipe->phase_count++];
    p->name = xstrdup(name);
    return p;
}

// One script is one phase.
static int read_run(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe *recipe = target;
    if (recipe->phases)
        return reader_error(r, node, "there is 'phases' already");
    recipe->phases = xcalloc(1, sizeof *recipe->phases);
    return read_script(r, node, &add_phase(recipe, "build")->script);
}

// {<name>: <script>, ...} in the order in which they run
static int read_phases(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe *recipe = target;
    if (recipe->phases)
        return reader_error(r, node, "there is 'run' already");
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

static int check_phases(struct recipe_reader *r)
{
    if (r->recipe->action != ACTION_SCRIPT || r->recipe->phase_count)
        return 0;
    yaml_error(r->document, r->document->root, r->err,
               "a recipe with the action script needs the key 'run'");
    return error_hint(r->err, "or 'phases', if it runs in several");
}

// ---- links that `kbuild install` adds ----

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

static int read_install(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_map(r, node, &install_schema, 1, target);
}

static void phases_free(struct recipe *recipe)
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

// ---- files that kbuild signs after a script, and the variables for it ----

#define AT(member) offsetof(struct recipe_sign, member)
static const struct field sign_fields[] = {
    {"key", read_line, AT(key), ANYWHERE, ANYWHERE},
    {"certificate", read_line, AT(certificate), ANYWHERE, ANYWHERE},
    {"files", read_name_pattern, AT(files), ANYWHERE, ANYWHERE},
};
#undef AT
static const struct schema sign_schema = SCHEMA("sign", sign_fields);

static int read_sign(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe *recipe = target;
    recipe->sign = xcalloc(1, sizeof *recipe->sign);
    return read_map(r, node, &sign_schema, 1, recipe->sign);
}

static int check_sign_variable(struct recipe_reader *r, const char *key, const char *name,
                               enum variable_type type, const char *type_name)
{
    const struct yaml *place = yaml_get(yaml_get(r->document->root, "sign"), key);
    for (size_t i = 0; i < r->recipe->variable_count; i++) {
        const struct recipe_variable *v = &r->recipe->variables[i];
        if (strcmp(v->name, name) != 0)
            continue;
        return v->type == type && !v->list
                   ? 0
                   : yaml_error(r->document, place, r->err, "sign: %s: %s must be of the type %s%s",
                                key, name, type_name, v->list ? ", and no list" : "");
    }
    yaml_error(r->document, place, r->err, "sign: %s: %s is not in 'variables'", key, name);
    return error_hint(r->err, "add it there: %s: {type: %s}", name, type_name);
}

static int check_sign(struct recipe_reader *r)
{
    const struct recipe_sign *s = r->recipe->sign;
    return !s || (check_sign_variable(r, "key", s->key, VARIABLE_SECRET, "secret") == 0 &&
                  check_sign_variable(r, "certificate", s->certificate, VARIABLE_FILE, "file") == 0)
               ? 0
               : -1;
}

static void sign_free(struct recipe_sign *s)
{
    if (!s)
        return;
    free(s->key);
    free(s->certificate);
    free(s->files);
    free(s);
}

// ---- the keys ----

enum {
    SCRIPT = 1 << ACTION_SCRIPT,
    INITRD = 1 << ACTION_INITRD,
    IMAGE = 1 << ACTION_IMAGE,
    LAYERS = INITRD | IMAGE,
    SE_IMAGE = 1 << ACTION_SE_IMAGE,
    GROUP = 1 << ACTION_GROUP,
    MAKES = SCRIPT | INITRD | IMAGE | SE_IMAGE, // their own outputs
};

static const char *const action_names[] = {[ACTION_SCRIPT] = "script",
                                           [ACTION_INITRD] = "initrd",
                                           [ACTION_IMAGE] = "image",
                                           [ACTION_SE_IMAGE] = "se-image",
                                           [ACTION_GROUP] = "group"};

static int read_action(struct recipe_reader *r, const struct yaml *node, void *target)
{
    if (expect(r, node, YAML_SCALAR) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(action_names); i++)
        if (!strcmp(node->text, action_names[i])) {
            *(enum recipe_action *)target = (enum recipe_action)i;
            return 0;
        }
    reader_error(r, node, "unknown action '%s'", node->text);
    return error_hint(r->err, "known actions: script, initrd, image, se-image, group");
}

// yes: all outputs, which check_outputs() adds; no: none; or a list of components.
static int read_guest(struct recipe_reader *r, const struct yaml *node, void *target)
{
    bool ignored;
    return node->kind == YAML_LIST ? read_name_patterns(r, node, target)
                                   : read_yes_no(r, node, &ignored);
}

#define AT(member) offsetof(struct recipe, member)
static const struct field fields[] = {
    {"description", read_line, AT(description), ANYWHERE, ANYWHERE},
    {"action", read_action, AT(action), ANYWHERE, 0},
    {"architectures", read_architectures, AT(architectures), ANYWHERE, 0},
    {"members", read_members, 0, GROUP, GROUP},
    {"needs", read_needs, 0, MAKES, SE_IMAGE},
    {"with", read_names, AT(with), MAKES, 0},
    {"sources", read_sources, 0, SCRIPT, 0},
    {"shared", read_shared, AT(shared), SCRIPT, 0},
    {"only", read_only, 0, SCRIPT, 0},
    {"builder", read_builder, 0, SCRIPT | IMAGE, SCRIPT | IMAGE}, // the tools must be in the key
    {"like", read_name, AT(like_name), LAYERS, 0},
    {"rootfs", read_rootfs, 0, LAYERS, 0},
    {"variables", read_variables, 0, MAKES, 0},
    {"ignored", read_ignored, AT(ignored), MAKES, 0},
    {"environment", read_environment, 0, SCRIPT, 0},
    {"run", read_run, 0, SCRIPT, 0}, // or
    {"phases", read_phases, 0, SCRIPT, 0},
    {"sign", read_sign, 0, SCRIPT, 0},
    {"install", read_install, 0, MAKES, 0},
    {"outputs", read_names, AT(outputs), MAKES, 0},
    {"guest", read_guest, AT(guest), ANYWHERE, 0},
    {"release", read_yes_no, AT(release), MAKES, 0},
    {"initrd", read_initrd, 0, INITRD, INITRD},
    {"disk", read_disk, 0, IMAGE, IMAGE},
    {"image", read_image, 0, SE_IMAGE, SE_IMAGE},
    {"boot", read_boot, 0, ANYWHERE, 0},
};
#undef AT
// One for each action, so that messages can name it.
static const struct schema schemas[] = {
    [ACTION_SCRIPT] = SCHEMA("a recipe with the action script", fields),
    [ACTION_INITRD] = SCHEMA("a recipe with the action initrd", fields),
    [ACTION_IMAGE] = SCHEMA("a recipe with the action image", fields),
    [ACTION_SE_IMAGE] = SCHEMA("a recipe with the action se-image", fields),
    [ACTION_GROUP] = SCHEMA("a recipe with the action group", fields),
};

// A name as a constant and as a user's variable would be ambiguous.
static int check_environment(struct recipe_reader *r)
{
    const struct yaml *constants = yaml_get(r->document->root, "environment");
    for (size_t i = 0; constants && i < constants->n; i++)
        for (size_t j = 0; j < r->recipe->variable_count; j++)
            if (!strcmp(constants->keys[i], r->recipe->variables[j].name))
                return yaml_error_at(
                    r->document, constants->key_lines[i], constants->key_columns[i], r->err,
                    "%s is in 'environment' and in 'variables'", constants->keys[i]);
    return 0;
}

// Expands `guest: yes`.
static int check_guest(struct recipe_reader *r)
{
    struct recipe *recipe = r->recipe;
    const struct yaml *guest = yaml_get(r->document->root, "guest");
    bool all = false;
    if (guest && guest->kind == YAML_SCALAR && read_yes_no(r, guest, &all) < 0)
        return -1;
    if (all && recipe->action == ACTION_GROUP)
        return yaml_error(r->document, guest, r->err,
                          "guest: a group makes nothing itself: name the components");
    for (size_t i = 0; all && i < recipe->outputs.n; i++)
        strlist_add(&recipe->guest, recipe->outputs.items[i]);
    return 0;
}

static int check_outputs(struct recipe_reader *r)
{
    struct recipe *recipe = r->recipe;
    const struct yaml *outputs = yaml_get(r->document->root, "outputs");
    if (recipe->action == ACTION_GROUP)
        return check_guest(r);
    if (!outputs)
        strlist_add(&recipe->outputs, recipe->name);
    if (!recipe->outputs.n)
        return yaml_error(r->document, outputs, r->err, "outputs: the list is empty");
    if (outputs && recipe->action != ACTION_SCRIPT && outputs->n > 1)
        return yaml_error(r->document, outputs->items[1], r->err,
                          "outputs: the action %s makes one output", action_names[recipe->action]);
    return check_guest(r);
}

// No list of architectures means all of them.
static void default_architectures(struct recipe *recipe)
{
    for (size_t i = 0; i < arch_count; i++)
        if (recipe->architectures[i])
            return;
    for (size_t i = 0; i < arch_count; i++)
        recipe->architectures[i] = true;
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
    cleanup_free char *folder = overlay_path(r->recipes, name);
    cleanup_free char *file = xasprintf("%s/recipe.yaml", folder);
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

static int read_like(struct recipe_reader *r)
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

// ---- a whole recipe ----

static int read_recipe(struct recipe_reader *r)
{
    const struct yaml *root = r->document->root, *action = yaml_get(root, "action");
    if (expect(r, root, YAML_MAP) < 0)
        return -1;
    // The action decides which keys are allowed, wherever in the file it is.
    if (action) {
        r->key = "action";
        r->key_line = action->line;
        r->key_column = action->column;
        if (read_action(r, action, &r->recipe->action) < 0)
            return -1;
    }
    enum recipe_action a = r->recipe->action;
    if ((1 << a & LAYERS && read_like(r) < 0) ||
        read_map(r, r->document->root, &schemas[a], 1 << a, r->recipe) < 0)
        return -1;
    if (check_members(r) < 0)
        return -1;
    default_architectures(r->recipe);
    return check_phases(r) < 0 || check_sources(r) < 0 || check_needs(r) < 0 ||
                   check_environment(r) < 0 || check_ignored(r) < 0 || check_outputs(r) < 0 ||
                   check_layers(r) < 0 || check_parts(r) < 0 || check_sign(r) < 0
               ? -1
               : 0;
}

struct recipe *recipe_read(struct yaml_document *d, const struct recipe_overlay *recipes,
                           const char *name, struct error **err)
{
    struct recipe *recipe = xcalloc(1, sizeof *recipe);
    recipe->document = d;
    recipe->name = xstrdup(name);
    recipe->folder = overlay_path(recipes, name);
    recipe->file = xstrdup(d->file);
    recipe->release = true;
    struct recipe_reader r = {.document = d, .err = err, .recipe = recipe, .recipes = recipes};
    if (read_recipe(&r) == 0)
        return recipe;
    recipe_free(recipe);
    return NULL;
}

bool recipe_supports(const struct recipe *r, const struct arch *a)
{
    return r->architectures[a - arch_table];
}

// ---- freeing ----

void recipe_free(struct recipe *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->only_count; i++)
        free(r->only[i].path);
    free(r->only);
    needs_free(&(struct recipe_needs){r->needs, r->need_count});
    for (size_t i = 0; i < ARRAY_LEN(r->members); i++)
        needs_free(&r->members[i]);
    for (size_t i = 0; i < r->source_count; i++)
        source_free(&r->sources[i]);
    for (size_t i = 0; i < r->variable_count; i++)
        variable_free(&r->variables[i]);
    ignored_free(&r->ignored);
    phases_free(r);
    builder_free(r->builder);
    initrd_free(r->initrd);
    image_free(r->image);
    sign_free(r->sign);
    boot_free(r->boot);
    strlist_free(&r->with);
    strlist_free(&r->shared);
    strlist_free(&r->environment);
    strlist_free(&r->outputs);
    strlist_free(&r->guest);
    rootfs_free(r->rootfs);
    free(r->sources);
    free(r->variables);
    free(r->name);
    free(r->folder);
    free(r->file);
    free(r->description);
    free(r->like_name);
    recipe_free(r->like);
    yaml_document_free(r->document);
    free(r);
}
