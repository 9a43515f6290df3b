// SPDX-License-Identifier: Apache-2.0
// Reads the maps of a recipe for its root file systems: builder, rootfs, and the layers of an
// initrd or a disk.
#include "recipe/internal.h"

#include "base/file.h"

#include <string.h>

// ---- builder ----

static int read_cross(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_arch_map(r, node, read_packages, target, sizeof(struct strlist));
}

static int read_tools(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct strlist *out = target;
    if (read_lines(r, node, out) < 0)
        return -1;
    for (size_t i = 0; i < out->n; i++)
        if (strpbrk(out->items[i], "/ ") || out->items[i][0] == '-')
            return reader_error(r, node->items[i], "'%s' is not the name of a program",
                                out->items[i]);
    return 0;
}

// [[a, b], [c, d]]: each becomes "a,b", sorted.
static int read_same_version(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct strlist *out = target;
    if (expect(r, node, YAML_LIST) < 0)
        return -1;
    for (size_t i = 0; i < node->n; i++) {
        cleanup_strlist struct strlist names = {0};
        if (read_packages(r, node->items[i], &names) < 0)
            return -1;
        if (names.n < 2)
            return reader_error(r, node->items[i], "a group has two packages or more");
        strlist_sort(&names);
        cleanup_free char *joined = strlist_join(&names, ",");
        strlist_add(out, joined);
    }
    strlist_sort(out);
    return 0;
}

static bool builder_names(const struct recipe_builder *b, const char *package)
{
    bool found = strlist_has(&b->packages, package) || strlist_has(&b->libraries, package);
    for (size_t i = 0; i < ARRAY_LEN(b->cross); i++)
        found = found || strlist_has(&b->cross[i], package);
    return found;
}

static int check_same_version(struct recipe_reader *r, const struct yaml *node,
                              const struct recipe_builder *b)
{
    cleanup_strlist struct strlist names = {0};
    for (size_t i = 0; i < b->same.n; i++)
        strlist_split(&names, b->same.items[i], ",");
    for (size_t i = 0; i < names.n; i++) {
        if (!builder_names(b, names.items[i]))
            return yaml_error(r->document, yaml_get(node, "same-version"), r->err,
                              "same-version: '%s' is in none of packages, cross and libraries",
                              names.items[i]);
        for (size_t k = 0; k < i; k++)
            if (!strcmp(names.items[i], names.items[k]))
                return yaml_error(r->document, yaml_get(node, "same-version"), r->err,
                                  "same-version: '%s' is listed twice", names.items[i]);
    }
    return 0;
}

enum { OF_PACKAGES = 1, OF_IMAGE = 2 };
#define AT(member) offsetof(struct recipe_builder, member)
static const struct field builder_fields[] = {
    {"name", read_name, AT(name), ANYWHERE, 0},
    {"packages", read_packages, AT(packages), ANYWHERE, OF_PACKAGES},
    {"image", read_line, AT(image), ANYWHERE, 0},
    {"cross", read_cross, AT(cross), ANYWHERE, 0},
    {"libraries", read_packages, AT(libraries), ANYWHERE, 0},
    {"same-version", read_same_version, AT(same), ANYWHERE, 0},
    {"setup", read_file, AT(setup), ANYWHERE, 0},
    {"tools", read_tools, AT(tools), ANYWHERE, 0},
};
#undef AT
static const struct schema builder_schema = SCHEMA("a builder", builder_fields);

int read_builder(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe *recipe = target;
    struct recipe_builder *b = recipe->builder = xcalloc(1, sizeof *b);
    if (expect(r, node, YAML_MAP) < 0)
        return -1;
    bool image = yaml_get(node, "image") != NULL;
    if (image &&
        (yaml_get(node, "packages") || yaml_get(node, "cross") || yaml_get(node, "libraries") ||
         yaml_get(node, "same-version") || yaml_get(node, "setup")))
        return reader_error(r, node, "a builder that is an image has no packages and no setup");
    if (read_map(r, node, &builder_schema, image ? OF_IMAGE : OF_PACKAGES, b) < 0 ||
        check_same_version(r, node, b) < 0)
        return -1;
    if (!b->name)
        b->name = xstrdup(recipe->name);
    return 0;
}

void builder_free(struct recipe_builder *b)
{
    if (!b)
        return;
    free(b->name);
    strlist_free(&b->packages);
    strlist_free(&b->libraries);
    strlist_free(&b->same);
    free(b->image);
    for (size_t i = 0; i < ARRAY_LEN(b->cross); i++)
        strlist_free(&b->cross[i]);
    free(b->setup);
    strlist_free(&b->tools);
    free(b);
}

// ---- rootfs ----

#define AT(member) offsetof(struct recipe_packages, member)
static const struct field packages_fields[] = {
    {"packages", read_packages, AT(packages), ANYWHERE, 1},
    {"when", read_condition, AT(when), ANYWHERE, 1},
};
#undef AT
static const struct schema packages_schema = SCHEMA("packages with a condition", packages_fields);

// [a, b, {packages: [c], when: {variable: NAME, is: VALUE}}]
static int read_rootfs_packages(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe_rootfs *rootfs = target;
    if (expect(r, node, YAML_LIST) < 0)
        return -1;
    rootfs->more = xcalloc(node->n, sizeof *rootfs->more);
    for (size_t i = 0; i < node->n; i++) {
        const struct yaml *item = node->items[i];
        cleanup_free char *name = NULL;
        r->key = "packages";
        if (item->kind == YAML_MAP) {
            if (read_map(r, item, &packages_schema, 1, &rootfs->more[rootfs->more_count++]) < 0)
                return -1;
            continue;
        }
        if (read_package(r, item, &name) < 0)
            return -1;
        if (strlist_has(&rootfs->packages, name))
            return reader_error(r, item, "'%s' is listed twice", name);
        strlist_add(&rootfs->packages, name);
    }
    return 0;
}

static const struct field rootfs_fields[] = {
    {"distribution", read_line, offsetof(struct recipe_rootfs, distribution), ANYWHERE, 1},
    {"packages", read_rootfs_packages, 0, ANYWHERE, 0},
};
static const struct schema rootfs_schema = SCHEMA("a rootfs", rootfs_fields);

int read_rootfs(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe *recipe = target;
    recipe->rootfs = xcalloc(1, sizeof *recipe->rootfs);
    return read_map(r, node, &rootfs_schema, 1, recipe->rootfs);
}

void rootfs_free(struct recipe_rootfs *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->more_count; i++) {
        strlist_free(&f->more[i].packages);
        condition_free(&f->more[i].when);
    }
    free(f->more);
    free(f->distribution);
    strlist_free(&f->packages);
    free(f);
}

// ---- initrd ----

int check_need_or_file(struct recipe_reader *r, const struct yaml *node, const char *name)
{
    const struct recipe *recipe = r->recipe;
    bool known = is_needed(recipe, name);
    for (size_t i = 0; i < recipe->variable_count && !known; i++)
        known =
            recipe->variables[i].type == VARIABLE_FILE && !strcmp(recipe->variables[i].name, name);
    return known ? 0
                 : yaml_error(r->document, node, r->err,
                              "of: '%s' is not in 'needs', and no variable of the type file", name);
}

#define AT(member) offsetof(struct recipe_layer, member)
static const struct field layer_fields[] = {
    {"artifact", read_name, AT(artifact), ANYWHERE, 0},
    {"overlay", read_overlay, 0, ANYWHERE, 0},
    {"variable", read_line, AT(variable), ANYWHERE, 0},
    {"when", read_condition, AT(when), ANYWHERE, 0},
};
#undef AT
static const struct schema layer_schema = SCHEMA("a layer", layer_fields);

// rootfs | {artifact: name} | {overlay: folder} | {variable: NAME}, the maps also with `when`
static int read_layer(struct recipe_reader *r, const struct yaml *node, struct recipe_layer *layer)
{
    if (node->kind == YAML_SCALAR && !strcmp(node->text, "rootfs")) {
        layer->rootfs = true;
        return 0;
    }
    if (node->kind == YAML_MAP && node->n == 1u + (yaml_get(node, "when") != NULL))
        return read_map(r, node, &layer_schema, 1, layer);
    reader_error(r, node, "this is not a layer");
    return error_hint(r->err, "a layer is rootfs, {artifact: name}, {overlay: directory}, or "
                              "{variable: NAME}");
}

static int read_layers(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe_initrd *initrd = target;
    if (expect(r, node, YAML_LIST) < 0)
        return -1;
    if (!node->n)
        return reader_error(r, node, "the list is empty");
    initrd->layers = xcalloc(node->n, sizeof *initrd->layers);
    for (size_t i = 0; i < node->n; i++) {
        r->key = "layers";
        if (read_layer(r, node->items[i], &initrd->layers[initrd->layer_count++]) < 0)
            return -1;
    }
    return 0;
}

#define AT(member) offsetof(struct recipe_init, member)
static const struct field init_fields[] = {
    {"of", read_line, AT(of), ANYWHERE, 1},
    {"name", read_line, AT(name), ANYWHERE, 1},
    {"note", read_line, AT(note), ANYWHERE, 0},
};
#undef AT
static const struct schema init_schema = SCHEMA("an init", init_fields);

static int read_inits(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe_initrd *initrd = target;
    if (expect(r, node, YAML_LIST) < 0)
        return -1;
    initrd->inits = xcalloc(node->n, sizeof *initrd->inits);
    for (size_t i = 0; i < node->n; i++)
        if (read_map(r, node->items[i], &init_schema, 1, &initrd->inits[initrd->init_count++]) < 0)
            return -1;
    return 0;
}

static int read_initrd_path(struct recipe_reader *r, const struct yaml *node, void *target)
{
    static const char *const names[] = {"os", "osversion", "arch", NULL};
    if (read_path(r, node, target) < 0)
        return -1;
    if (!template_is_valid(node->text, names))
        return reader_error(r, node, "'%s': the placeholders here are {os}, {osversion} and {arch}",
                            node->text);
    return 0;
}

// ---- keys of a disk only ----

static int read_filesystem(struct recipe_reader *r, const struct yaml *node, void *target)
{
    cleanup_free char *name = NULL;
    if (read_line(r, node, &name) < 0)
        return -1;
    return !strcmp(name, "ext4")
               ? 0
               : reader_error(r, node, "'%s': the file system of an image is ext4", name);
}

enum { ALIGN_MAX = 1 << 16 }; // MiB

static int read_align(struct recipe_reader *r, const struct yaml *node, void *target)
{
    cleanup_free char *text = NULL;
    if (read_line(r, node, &text) < 0)
        return -1;
    size_t digits = strspn(text, "0123456789");
    unsigned long value = digits && digits < 6 && !text[digits] ? strtoul(text, NULL, 10) : 0;
    if (!value || value > ALIGN_MAX)
        return reader_error(r, node, "'%s' is not a number of MiB from 1 to %d", text, ALIGN_MAX);
    *(unsigned *)target = (unsigned)value;
    return 0;
}

static int read_salt(struct recipe_reader *r, const struct yaml *node, void *target)
{
    char **salt = target;
    if (read_line(r, node, salt) < 0)
        return -1;
    size_t n = strlen(*salt);
    if (n % 2 || n > 512 || strspn(*salt, "0123456789abcdef") != n)
        return reader_error(r, node,
                            "a salt is an even number of digits 0-9 a-f, of at most 256 bytes");
    return 0;
}

static const struct field format_fields[] = {
    {"variable", read_line, offsetof(struct recipe_verity, variable), ANYWHERE, 1},
};
static const struct schema format_schema = SCHEMA("a format", format_fields);

// veritysetup | line | {variable: NAME}
static int read_hash_form(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe_verity *v = target;
    if (node->kind == YAML_MAP)
        return read_map(r, node, &format_schema, 1, v);
    if (read_line(r, node, &v->format) < 0)
        return -1;
    return !strcmp(v->format, "line") || !strcmp(v->format, "veritysetup")
               ? 0
               : reader_error(r, node, "'%s' is neither veritysetup nor line", v->format);
}

#define AT(member) offsetof(struct recipe_verity, member)
static const struct field verity_fields[] = {
    {"when", read_condition, AT(when), ANYWHERE, 0},
    {"salt", read_salt, AT(salt), ANYWHERE, 0},
    {"hash", read_path, AT(hash), ANYWHERE, 1},
    {"format", read_hash_form, 0, ANYWHERE, 0},
};
#undef AT
static const struct schema verity_schema = SCHEMA("a verity", verity_fields);

static int read_verity(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_map(r, node, &verity_schema, 1, target);
}

// One table for both: a disk has all keys of an initrd.
enum { OF_INITRD = 1, OF_DISK = 2 };
#define AT(member) offsetof(struct recipe_initrd, member)
static const struct field initrd_fields[] = {
    {"layers", read_layers, 0, ANYWHERE, ANYWHERE},
    {"init", read_inits, 0, ANYWHERE, 0},
    {"exclude", read_lines, AT(exclude), ANYWHERE, 0},
    {"output", read_initrd_path, AT(output), ANYWHERE, ANYWHERE},
    {"link", read_initrd_path, AT(link), ANYWHERE, 0},
    {"filesystem", read_filesystem, 0, OF_DISK, 0},
    {"align", read_align, AT(disk.align), OF_DISK, 0},
    {"dax", read_yes_no, AT(disk.dax), OF_DISK, 0},
    {"verity", read_verity, AT(disk.verity), OF_DISK, 0},
};
#undef AT
static const struct schema initrd_schema = SCHEMA("an initrd", initrd_fields);
static const struct schema disk_schema = SCHEMA("a disk", initrd_fields);

static int read_tree(struct recipe_reader *r, const struct yaml *node, const struct schema *schema,
                     int mode)
{
    struct recipe_initrd *i = r->recipe->initrd = xcalloc(1, sizeof *i);
    i->disk.align = 1;
    if (read_map(r, node, schema, mode, i) < 0)
        return -1;
    size_t folder = (size_t)(path_base(i->output) - i->output);
    if (i->link && ((size_t)(path_base(i->link) - i->link) != folder ||
                    strncmp(i->link, i->output, folder) != 0))
        return yaml_error(r->document, yaml_get(node, "link"), r->err,
                          "link: '%s' must be in the same directory as the output '%s'", i->link,
                          i->output);
    return 0;
}

int read_initrd(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_tree(r, node, &initrd_schema, OF_INITRD);
}

int read_disk(struct recipe_reader *r, const struct yaml *node, void *target)
{
    return read_tree(r, node, &disk_schema, OF_DISK);
}

const char *layers_section(const struct recipe *recipe)
{
    return recipe->action == ACTION_IMAGE ? "disk" : "initrd";
}

static int check_layer(struct recipe_reader *r, const struct yaml *node,
                       const struct recipe_layer *layer)
{
    const struct recipe *recipe = r->recipe;
    if (check_condition(r, &layer->when) < 0)
        return -1;
    if (layer->rootfs && !recipe->rootfs)
        return yaml_error(r->document, node, r->err,
                          "the layer 'rootfs' needs the key 'rootfs' in the recipe");
    if (layer->artifact && !is_needed(recipe, layer->artifact))
        return yaml_error(r->document, node, r->err, "the artifact '%s' is not in 'needs'",
                          layer->artifact);
    if (!layer->variable)
        return 0;
    for (size_t i = 0; i < recipe->variable_count; i++)
        if (!strcmp(recipe->variables[i].name, layer->variable))
            return recipe->variables[i].type == VARIABLE_FILE
                       ? 0
                       : yaml_error(r->document, node, r->err, "%s is not of the type file",
                                    layer->variable);
    return yaml_error(r->document, node, r->err, "%s is not in 'variables'", layer->variable);
}

int check_layers(struct recipe_reader *r)
{
    for (size_t i = 0; r->recipe->rootfs && i < r->recipe->rootfs->more_count; i++)
        if (check_condition(r, &r->recipe->rootfs->more[i].when) < 0)
            return -1;
    const struct yaml *section = yaml_get(r->document->root, layers_section(r->recipe));
    const struct yaml *layers = yaml_get(section, "layers"), *inits = yaml_get(section, "init");
    const struct recipe_initrd *initrd = r->recipe->initrd;
    for (size_t i = 0; initrd && i < initrd->init_count; i++)
        if (check_need_or_file(r, yaml_get(inits->items[i], "of"), initrd->inits[i].of) < 0)
            return -1;
    for (size_t i = 0; initrd && i < initrd->layer_count; i++)
        if (check_layer(r, layers->items[i], &initrd->layers[i]) < 0)
            return -1;
    char *line[] = {(char *)"line"};
    const struct recipe_condition format = {.variable =
                                                initrd ? initrd->disk.verity.variable : NULL,
                                            .is = {.items = line, .n = 1},
                                            .line = section ? section->line : 0,
                                            .column = section ? section->column : 0};
    return initrd && (check_condition(r, &initrd->disk.verity.when) < 0 ||
                      check_comparison(r, &format) < 0)
               ? -1
               : 0;
}

void initrd_free(struct recipe_initrd *i)
{
    if (!i)
        return;
    for (size_t k = 0; k < i->layer_count; k++) {
        free(i->layers[k].artifact);
        free(i->layers[k].overlay);
        free(i->layers[k].folder);
        free(i->layers[k].variable);
        condition_free(&i->layers[k].when);
    }
    for (size_t k = 0; k < i->init_count; k++) {
        free(i->inits[k].of);
        free(i->inits[k].name);
        free(i->inits[k].note);
    }
    free(i->inits);
    free(i->layers);
    condition_free(&i->disk.verity.when);
    free(i->disk.verity.salt);
    free(i->disk.verity.hash);
    free(i->disk.verity.format);
    free(i->disk.verity.variable);
    strlist_free(&i->exclude);
    free(i->output);
    free(i->link);
    free(i);
}
