// SPDX-License-Identifier: Apache-2.0
// `like`: an image that holds what an initrd holds says so instead of saying it again. What it
// shares is needs, the packages of its root file system, layers, what is left out, what serves in
// it (boot.service), the variables that all these name, and those that are ignored. What it says
// itself counts: of variables and of `rootfs` each key for itself.
#include "recipe/reader.h"

#include "base/file.h"

#include <string.h>

// The recipe is read as a whole, so that what is wrong with it is said with its own file.
static struct recipe *open_like(struct reader *r, const struct yaml *node)
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
        reader_error(r, node, "'%s' is itself like another recipe: name that one", name);
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

// The keys of `from` that `to` (NULL: an empty map) does not have; all, or those named.
static const struct yaml *join(struct yaml_document *d, const struct yaml *to,
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

// Whether a text somewhere in it is the name.
static bool mentions(const struct yaml *node, const char *name)
{
    if (node->kind == YAML_SCALAR)
        return !strcmp(node->text, name);
    for (size_t i = 0; i < node->n; i++)
        if (mentions(node->items[i], name))
            return true;
    return false;
}

// Those that nothing names would be read, and change nothing.
static const struct yaml *join_variables(struct yaml_document *d, const struct yaml *root,
                                         const struct yaml *from)
{
    const struct yaml *own = yaml_get(root, "variables"), *to = own;
    for (size_t i = 0; from && from->kind == YAML_MAP && i < from->n; i++) {
        const char *const one[] = {from->keys[i], NULL};
        if (mentions(root, one[0]))
            to = join(d, to, from, one);
    }
    return to != own ? yaml_with(d, root, "variables", to) : root;
}

int read_like(struct reader *r)
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
    root = join(d, root, other, whole);
    const struct yaml *rootfs = join(d, yaml_get(root, "rootfs"), yaml_get(other, "rootfs"), NULL);
    root = rootfs ? yaml_with(d, root, "rootfs", rootfs) : root;
    static const char *const service[] = {"service", NULL};
    const struct yaml *boot = join(d, yaml_get(root, "boot"), yaml_get(other, "boot"), service);
    if (yaml_get(root, "boot"))
        root = yaml_with(d, root, "boot", boot);
    const struct yaml *ignored =
        join(d, yaml_get(root, "ignored"), yaml_get(other, "ignored"), NULL);
    root = ignored ? yaml_with(d, root, "ignored", ignored) : root;
    const char *section = layers_section(r->recipe);
    const struct yaml *own = yaml_get(root, section);
    const struct yaml *tree = join(d, own, yaml_get(other, layers_section(like)), layers);
    root = own ? yaml_with(d, root, section, tree) : root;
    d->root = (struct yaml *)join_variables(d, root, yaml_get(other, "variables"));
    return 0;
}
