// SPDX-License-Identifier: Apache-2.0
// recipe.yaml from anyone, in a folder that holds a script, a patch, an overlay and links that lead
// out. What is accepted must be as recipe.h says.
// Seeds: tests/fuzz/seeds/recipe/.
#include "recipe/internal.h"

#include "base/file.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *recipes; // the folder, made once
static const struct recipe_overlay overlay = {.given = {.items = &recipes, .n = 1},
                                              .absolute = {.items = &recipes, .n = 1}};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void remove_folder(void)
{
    remove_tree(recipes, NULL);
    free(recipes);
}

static void make_folder(void)
{
    static const char *const files[] = {"r/build.sh", "r/a.patch", "r/b.patch", "r/overlay/x",
                                        "kernel-common/build.sh"};
    recipes = make_temporary_directory("/tmp", "kbuild-fuzz", NULL);
    require(recipes != NULL);
    atexit(remove_folder);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        cleanup_free char *path = xasprintf("%s/%s", recipes, files[i]);
        require(make_parent(path, NULL) == 0 && file_write(path, "", 0, 0644, NULL) == 0);
    }
    cleanup_free char *out = xasprintf("%s/r/out", recipes),
                      *loop = xasprintf("%s/r/loop", recipes);
    require(symlink("/etc", out) == 0 && symlink("loop", loop) == 0);
}

static void require_inside(const char *path)
{
    require(!path || (path_is_clean(path) && !starts_with(path, "out") && strcmp(path, "loop")));
}

static void check(const struct recipe *r)
{
    require(r->description && *r->description && r->outputs.n);
    for (size_t i = 0; i < r->outputs.n; i++)
        require(name_is_clean(r->outputs.items[i]));
    for (size_t i = 0; i < r->need_count; i++)
        require(r->needs[i].any.n > 0);
    for (size_t i = 0; i < r->source_count; i++) {
        const struct recipe_source *s = &r->sources[i];
        require(name_is_clean(s->name) && !(s->git && s->archive));
        require((s->version && (s->git || s->archive)) || s->debian);
        for (size_t k = 0; k < s->patches.n; k++)
            require_inside(s->patches.items[k]);
    }
    for (size_t i = 0; i < r->environment.n; i++)
        require(!starts_with(r->environment.items[i], "PATH=") &&
                strchr(r->environment.items[i], '='));
    require((r->action == ACTION_SCRIPT) == (r->phase_count > 0));
    require((r->action == ACTION_INITRD) == (r->initrd != NULL));
    require((r->action == ACTION_SE_IMAGE) == (r->image != NULL));
    require((r->action == ACTION_SCRIPT) == (r->builder != NULL));
    for (size_t i = 0; i < r->phase_count; i++) {
        require(name_is_clean(r->phases[i].name));
        require_inside(r->phases[i].script);
    }
    for (size_t i = 0; i < r->link_count; i++)
        require(path_is_clean(r->links[i].path) && path_is_clean(r->links[i].target));
    if (r->builder) {
        require(r->builder->name != NULL);
        require_inside(r->builder->setup);
    }
    for (size_t i = 0; r->initrd && i < r->initrd->layer_count; i++) {
        const struct recipe_layer *l = &r->initrd->layers[i];
        require(l->rootfs + !!l->artifact + !!l->overlay + !!l->variable == 1);
        require_inside(l->overlay);
    }
    if (r->initrd)
        require(path_is_clean(r->initrd->output));
    if (r->image)
        require(path_is_clean(r->image->output) && strchr(r->image->kernel, ':'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!recipes)
        make_folder();
    struct error *err = NULL;
    struct yaml_document *d = yaml_parse("fuzz", (const char *)data, size, &err);
    struct recipe *r = d ? recipe_read(d, &overlay, "r", &err) : NULL;
    require(!r == !!err);
    if (r)
        check(r);
    recipe_free(r);
    error_free(err);
    return 0;
}
