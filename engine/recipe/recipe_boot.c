// SPDX-License-Identifier: Apache-2.0
// Reads the maps of a recipe that name parts of tarballs: image, and boot.
#include "recipe/internal.h"

#include "base/file.h"

#include <string.h>

// A kernel command line, which may be empty.
static int read_command_line(struct recipe_reader *r, const struct yaml *node, void *target)
{
    if (node->kind != YAML_SCALAR || !node->quoted || *node->text)
        return read_line(r, node, target);
    *(char **)target = xstrdup("");
    return 0;
}

// "<target>:<path in its tarball>"
static int read_part(struct recipe_reader *r, const struct yaml *node, void *target)
{
    char **out = target;
    if (read_line(r, node, out) < 0)
        return -1;
    const char *colon = strchr(*out, ':');
    cleanup_free char *name = xstrndup(*out, colon ? (size_t)(colon - *out) : 0);
    if (name_is_clean(name) && path_is_clean(colon + 1))
        return 0;
    reader_error(r, node, "'%s' is not <target>:<path in its tarball>", *out);
    return error_hint(r->err,
                      "for example kernel:opt/kata/share/kata-containers/vmlinuz.container");
}

#define AT(member) offsetof(struct recipe_image, member)
static const struct field image_fields[] = {
    {"kernel", read_part, AT(kernel), ANYWHERE, 1},
    {"initrd", read_part, AT(initrd), ANYWHERE, 1},
    {"parameters", read_command_line, AT(parameters), ANYWHERE, 1},
    {"output", read_path, AT(output), ANYWHERE, 1},
};
#undef AT
static const struct schema image_schema = SCHEMA("an image", image_fields);

int read_image(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe *recipe = target;
    recipe->image = xcalloc(1, sizeof *recipe->image);
    return read_map(r, node, &image_schema, 1, recipe->image);
}

void image_free(struct recipe_image *i)
{
    if (!i)
        return;
    free(i->kernel);
    free(i->initrd);
    free(i->parameters);
    free(i->output);
    free(i);
}

// ---- boot ----

// The texts of a machine, with placeholders for numbers that are known at its start.
static int read_machine_text(struct recipe_reader *r, const struct yaml *node, void *target)
{
    static const char *const names[] = {"memory", "cbitpos", NULL};
    if (read_line(r, node, target) < 0)
        return -1;
    if (!template_is_valid(node->text, names))
        return reader_error(r, node, "'%s': the placeholders here are {memory} and {cbitpos}",
                            node->text);
    return 0;
}

#define AT(member) offsetof(struct recipe_machine, member)
static const struct field machine_fields[] = {
    {"firmware", read_part, AT(firmware), ANYWHERE, 0},
    {"machine", read_machine_text, AT(machine), ANYWHERE, 0},
    {"cpu", read_line, AT(cpu), ANYWHERE, 0},
    {"options", read_machine_text, AT(options), ANYWHERE, 0},
    {"expect", read_lines, AT(expect), ANYWHERE, 0},
};
#undef AT
static const struct schema machine_schema = SCHEMA("a confidential machine", machine_fields);

// {snp: {...}}
static int read_confidential(struct recipe_reader *r, const struct yaml *node, void *target)
{
    static const char *const kinds[] = {[CONFIDENTIAL_SNP] = "snp"};
    struct recipe_machine **machines = target;
    if (expect(r, node, YAML_MAP) < 0)
        return -1;
    for (size_t i = 0; i < node->n; i++) {
        size_t kind = 0;
        while (kind < ARRAY_LEN(kinds) && strcmp(kinds[kind], node->keys[i]) != 0)
            kind++;
        reader_enter(r, node, i);
        if (kind == ARRAY_LEN(kinds)) {
            yaml_error_at(r->document, r->key_line, r->key_column, r->err,
                          "unknown kind of confidential guest '%s'", node->keys[i]);
            return error_hint(r->err, "known kinds: snp");
        }
        machines[kind] = xcalloc(1, sizeof *machines[kind]);
        if (read_map(r, node->items[i], &machine_schema, 1, machines[kind]) < 0)
            return -1;
    }
    return 0;
}

// ---- service ----

static int read_arguments(struct recipe_reader *r, const struct yaml *node, void *target)
{
    static const char *const names[] = {"socket", "timeout", NULL};
    if (read_line(r, node, target) < 0)
        return -1;
    if (!template_is_valid(node->text, names))
        return reader_error(r, node, "'%s': the placeholders here are {socket} and {timeout}",
                            node->text);
    return 0;
}

#define AT(member) offsetof(struct recipe_service, member)
static const struct field service_fields[] = {
    {"of", read_lines, AT(of), ANYWHERE, 1},
    {"expect", read_lines, AT(expect), ANYWHERE, 1},
    {"append", read_line, AT(append), ANYWHERE, 0},
    {"beside", read_part, AT(beside), ANYWHERE, 0},
    {"port", read_name, AT(port), ANYWHERE, 1},
    {"client", read_part, AT(client), ANYWHERE, 1},
    {"arguments", read_arguments, AT(arguments), ANYWHERE, 1},
};
#undef AT
static const struct schema service_schema = SCHEMA("a service", service_fields);

static int read_service(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe_service *s = *(struct recipe_service **)target = xcalloc(1, sizeof *s);
    if (read_map(r, node, &service_schema, 1, s) < 0)
        return -1;
    if (!s->of.n || !s->expect.n)
        return yaml_error(r->document, yaml_get(node, s->of.n ? "expect" : "of"), r->err,
                          "%s: the list is empty", s->of.n ? "expect" : "of");
    return 0;
}

static int check_service(struct recipe_reader *r, const struct recipe_service *s)
{
    const struct yaml *of = yaml_path(r->document->root, "boot.service.of");
    for (size_t i = 0; s && i < s->of.n; i++)
        if (check_need_or_file(r, of->items[i], s->of.items[i]) < 0)
            return -1;
    return 0;
}

static void service_free(struct recipe_service *s)
{
    if (!s)
        return;
    strlist_free(&s->of);
    strlist_free(&s->expect);
    free(s->append);
    free(s->beside);
    free(s->port);
    free(s->client);
    free(s->arguments);
    free(s);
}

enum {
    LAYERS = 1 << ACTION_INITRD | 1 << ACTION_IMAGE,
    SEALED = 1 << ACTION_SE_IMAGE,
    OPEN = 1 << ACTION_SCRIPT | LAYERS | 1 << ACTION_GROUP,
};
#define AT(member) offsetof(struct recipe_boot, member)
static const struct field boot_fields[] = {
    {"kernel", read_part, AT(kernel), OPEN, OPEN},
    {"initrd", read_part, AT(initrd), OPEN, 0}, // or
    {"disk", read_part, AT(disk), OPEN, 0},
    {"append", read_command_line, AT(append), OPEN | SEALED, 0},
    {"qemu", read_part, AT(qemu), OPEN, 0},
    {"data", read_path, AT(data), OPEN, 0},
    {"firmware", read_part, AT(plain.firmware), OPEN, 0},
    {"machine", read_machine_text, AT(plain.machine), OPEN, 0},
    {"cpu", read_line, AT(plain.cpu), OPEN, 0},
    {"options", read_machine_text, AT(plain.options), OPEN, 0},
    {"expect", read_lines, AT(plain.expect), OPEN, 0},
    {"confidential", read_confidential, AT(confidential), OPEN, 0},
    {"service", read_service, AT(service), LAYERS, 0},
};
#undef AT
static const struct schema boot_schema = SCHEMA("a boot", boot_fields);

int read_boot(struct recipe_reader *r, const struct yaml *node, void *target)
{
    struct recipe *recipe = target;
    recipe->boot = xcalloc(1, sizeof *recipe->boot);
    if (read_map(r, node, &boot_schema, 1 << recipe->action, recipe->boot) < 0)
        return -1;
    const struct recipe_boot *b = recipe->boot;
    static const char *const names[] = {"root", NULL};
    if (recipe->action != ACTION_SE_IMAGE && !b->initrd == !b->disk)
        return yaml_error(r->document, node, r->err, "boot: it needs %s 'initrd' and 'disk'",
                          b->disk ? "only one of" : "one of");
    if (b->disk && b->append && !template_is_valid(b->append, names))
        return yaml_error(r->document, yaml_get(node, "append"), r->err,
                          "append: '%s': the placeholder here is {root}", b->append);
    const struct yaml *data = yaml_get(node, "data");
    return data && !recipe->boot->qemu
               ? yaml_error(r->document, data, r->err, "data: it needs the key 'qemu'")
               : 0;
}

// A part of an image must come from a need of the recipe; a booted part may also come from the
// recipe itself, from a target built along with it, or, for a group, from its members.
static int check_part(struct recipe_reader *r, const char *map, const char *key, const char *part)
{
    const struct recipe *recipe = r->recipe;
    if (!part)
        return 0;
    cleanup_free char *name = xstrndup(part, strcspn(part, ":"));
    cleanup_free char *path = xasprintf("%s.%s", map, key);
    bool boot = starts_with(map, "boot"), group = recipe->action == ACTION_GROUP;
    if (group ? is_member(recipe, name)
              : is_needed(recipe, name) ||
                    (boot && (!strcmp(name, recipe->name) || strlist_has(&recipe->with, name))))
        return 0;
    if (group)
        return yaml_error(r->document, yaml_path(r->document->root, path), r->err,
                          "%s: '%s' is not in 'members'", key, name);
    return yaml_error(r->document, yaml_path(r->document->root, path), r->err,
                      "%s: '%s' is not in 'needs'%s", key, name,
                      boot ? " or 'with', and not this recipe" : "");
}

int check_parts(struct recipe_reader *r)
{
    const struct recipe_image *i = r->recipe->image;
    const struct recipe_boot *b = r->recipe->boot;
    if (i && (check_part(r, "image", "kernel", i->kernel) < 0 ||
              check_part(r, "image", "initrd", i->initrd) < 0))
        return -1;
    if (b &&
        (check_part(r, "boot", "kernel", b->kernel) < 0 ||
         check_part(r, "boot", "initrd", b->initrd) < 0 ||
         check_part(r, "boot", "disk", b->disk) < 0 || check_part(r, "boot", "qemu", b->qemu) < 0 ||
         check_part(r, "boot", "firmware", b->plain.firmware) < 0))
        return -1;
    if (b && check_service(r, b->service) < 0)
        return -1;
    const struct recipe_machine *snp = b ? b->confidential[CONFIDENTIAL_SNP] : NULL;
    return snp ? check_part(r, "boot.confidential.snp", "firmware", snp->firmware) : 0;
}

static void machine_free(struct recipe_machine *m)
{
    free(m->firmware);
    free(m->machine);
    free(m->cpu);
    free(m->options);
    strlist_free(&m->expect);
}

void boot_free(struct recipe_boot *b)
{
    if (!b)
        return;
    free(b->kernel);
    free(b->initrd);
    free(b->disk);
    free(b->append);
    free(b->qemu);
    free(b->data);
    service_free(b->service);
    machine_free(&b->plain);
    for (size_t i = 0; i < CONFIDENTIAL_KINDS; i++) {
        if (b->confidential[i])
            machine_free(b->confidential[i]);
        free(b->confidential[i]);
    }
    free(b);
}
