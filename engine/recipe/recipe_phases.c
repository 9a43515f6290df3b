// SPDX-License-Identifier: Apache-2.0
// What a script recipe runs, and what `kbuild install` adds to what came of it.
#include "recipe/reader.h"

#include "base/file.h"

#include <string.h>

static struct recipe_phase *add_phase(struct recipe *recipe, const char *name)
{
    struct recipe_phase *p = &recipe->phases[recipe->phase_count++];
    p->name = xstrdup(name);
    return p;
}

// One script is one phase.
int read_run(struct reader *r, const struct yaml *node, void *target)
{
    struct recipe *recipe = target;
    if (recipe->phases)
        return reader_error(r, node, "'phases' says already what runs");
    recipe->phases = xcalloc(1, sizeof *recipe->phases);
    return read_script(r, node, &add_phase(recipe, "build")->script);
}

// {<name>: <script>, ...} in the order in which they run
int read_phases(struct reader *r, const struct yaml *node, void *target)
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

int check_phases(struct reader *r)
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

static int read_links(struct reader *r, const struct yaml *node, void *target)
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

int read_install(struct reader *r, const struct yaml *node, void *target)
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
