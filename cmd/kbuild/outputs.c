// SPDX-License-Identifier: Apache-2.0
// Looks at everything that a verb is told to write, before it works: no result takes the place of
// an input of the project, of a file that the verb reads, or of the directory of results, and "-"
// is standard output where a result is one document, and an error elsewhere.
#include "kbuild.h"

#include "base/document.h"
#include "base/file.h"
#include "recipe/recipe.h"
#include "recipe/versions.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

// ---- what a verb writes ----

// Operands that are results.
static const struct {
    const char *verb;
    size_t operand;
    unsigned flags;
} written_operands[] = {
    {"pack", 1, WRITES_FILE}, {"unpack", 1, WRITES_FOLDER}, {"se test-key", 0, WRITES_FOLDER}};

// ---- the inputs of a project ----

// What of the path is below the input, "" if it is the input itself; to be freed. NULL: it is
// elsewhere. Neither need exist; links and ".." are followed in what exists.
static char *part_below(const char *path, const char *input)
{
    char real[PATH_MAX], top[PATH_MAX];
    if (same_file(path, input))
        return xstrdup("");
    if (!is_directory(input) || !realpath(input, top))
        return NULL;
    cleanup_free char *whole = path_absolute(path);
    cleanup_free char *rest = xstrdup(whole);
    for (char *slash; !realpath(rest, real); *slash = '\0')
        if (!(slash = strrchr(rest, '/')) || slash == rest)
            return NULL;
    cleanup_free char *all = xasprintf("%s%s", real, whole + strlen(rest));
    const char *below = path_below(all, top);
    return below ? xstrdup(below) : NULL;
}

struct output {
    const char *shown; // "--trace FILE"
    const char *path;
    unsigned flags;
    struct error **err;
};

static int refuse_output(const struct output *o, const char *what, const char *input)
{
    error_set(o->err, ERROR_USAGE, "%s: that is %s (%s), which kbuild reads", o->shown, what,
              input);
    return error_hint(o->err, "its content would be lost or mixed with results: name another %s",
                      o->flags & WRITES_FOLDER ? "directory" : "file");
}

// `what` is the input: "versions.yaml", "a file of the cache".
static int check_input(const struct output *o, const char *what, const char *input)
{
    cleanup_free char *below = input ? part_below(o->path, input) : NULL;
    return below ? refuse_output(o, what, input) : 0;
}

// Recipes may lie around the directory of results (--recipes .). Then what is in no recipe, and no
// file yet, is nothing that a build reads.
static int check_recipes(const struct output *o, const struct global_options *g,
                         const char *recipes)
{
    cleanup_free char *below = part_below(o->path, recipes);
    if (!below)
        return 0;
    cleanup_free char *recipe =
        xasprintf("%s/%.*s/recipe.yaml", recipes, (int)strcspn(below, "/"), below);
    cleanup_free char *result = part_below(o->path, g->output);
    bool replaces = !(o->flags & WRITES_FOLDER) && path_exists(o->path) && !result;
    return !*below || !strcmp(below, "ignored.yaml") || path_exists(recipe) || replaces
               ? refuse_output(o, "part of the recipes", recipes)
               : 0;
}

static int check_variable(const struct output *o, const char *name)
{
    const char *value = getenv(name);
    cleanup_strlist struct strlist files = {0};
    cleanup_free char *what = xasprintf("an input that %s names", name);
    if (!value || !*value)
        return 0;
    strlist_split(&files, value, ",");
    strlist_add(&files, value);
    for (size_t i = 0; i < files.n; i++)
        if (check_input(o, what, files.items[i]) < 0)
            return -1;
    return 0;
}

// A recipe that is wrong is an error of the verbs that need it. What is not there yet is no input,
// and no recipe has to be read for it.
static int check_recipe_variables(const struct output *o, const struct global_options *g)
{
    cleanup_strlist struct strlist names = {0};
    cleanup_error struct error *why = NULL;
    if (!path_exists(o->path))
        return 0;
    struct recipe_set *set = recipe_set_open(&g->recipes, &why);
    int result = set && recipe_names(set, &names, &why) == 0 ? 0 : -1;
    if (result < 0 && why->errnum == ENOENT) // there are none
        result = 0;
    if (result < 0) {
        *o->err = steal(why);
        error_wrap(o->err, "%s: looking whether a recipe reads it", o->shown);
    }
    for (size_t i = 0; i < names.n && !result; i++) {
        const struct recipe *r = recipe_get(set, names.items[i], NULL);
        for (size_t k = 0; r && k < r->variable_count && !result; k++) {
            enum variable_type type = r->variables[k].type;
            if (type == VARIABLE_FILE || type == VARIABLE_DIRECTORY || type == VARIABLE_SECRET)
                result = check_variable(o, r->variables[k].name);
        }
    }
    recipe_set_free(set);
    return result;
}

static int check_settings_files(const struct output *o, const struct global_options *g)
{
    const struct defaults *d = &g->defaults;
    cleanup_free char *here = xstrdup("kbuild.yaml"), *own = settings_user_path();
    cleanup_free char *top = xasprintf("%s/kbuild.yaml", d->places.project);
    const char *const paths[] = {
        here, top, own, d->places.settings, d->files[0].path, d->files[1].path};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (check_input(o, "the file with settings", paths[i]) < 0)
            return -1;
    return 0;
}

static int check_project_inputs(const struct output *o, const struct global_options *g)
{
    static const char *const variables[] = {"KBUILD_SIGNING_KEY", "KBUILD_KERNEL_KEYRING",
                                            "REPO_KEYRING"};
    size_t n = strlen(g->versions) - (ends_with(g->versions, ".yaml") ? strlen(".yaml") : 0);
    cleanup_free char *lock = xasprintf("%.*s.lock", (int)n, g->versions);
    if (check_input(o, "versions.yaml", g->versions) < 0 ||
        check_input(o, "versions.lock", lock) < 0 || check_settings_files(o, g) < 0 ||
        check_input(o, "what names the trusted keys", setting_text(g, SETTING_TRUSTED_KEYS)) < 0)
        return -1;
    for (size_t i = 0; i < g->recipes.n; i++)
        if (check_recipes(o, g, g->recipes.items[i]) < 0)
            return -1;
    if (o->flags & WRITES_FOLDER) // files get names of results in it
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        if (check_variable(o, variables[i]) < 0)
            return -1;
    return check_recipe_variables(o, g);
}

// ---- one result ----

static int refuse_standard_output(const struct output *o, const char *verb)
{
    bool folder = o->flags & WRITES_FOLDER;
    error_set(o->err, ERROR_USAGE, "%s: %s: %s cannot be written to standard output", verb,
              o->shown, folder ? "the files of a directory" : "this file");
    return error_hint(o->err, "name a %s; one that is called so is ./-",
                      folder ? "directory" : "file");
}

int output_check(const struct global_options *g, const char *shown, const char *path,
                 unsigned flags, struct error **err)
{
    const struct output o = {shown, path, flags, err};
    if (is_standard_output(path))
        return flags & WRITES_DOCUMENT ? 0 : refuse_standard_output(&o, g->line.verb->name);
    if (check_project_inputs(&o, g) < 0)
        return -1;
    if (flags & WRITES_FOLDER)
        return 0;
    if (g->line.verb->common & BIT(COMMON_OUTPUT) && !is_directory(g->output) &&
        same_file(path, g->output)) {
        error_set(err, ERROR_USAGE, "%s: results of builds go to a directory of this name", shown);
        return error_hint(err, "name a file, for example %s.out", path);
    }
    return is_directory(g->cache) ? check_input(&o, "part of the cache", g->cache) : 0;
}

// ---- all of a command line ----

// The directory of results, whatever names it, and that of the logs in it.
static int check_results(const struct global_options *g, struct error **err)
{
    cleanup_free char *origin = setting_origin_text(&g->defaults.all[SETTING_OUTPUT]);
    cleanup_free char *shown = xasprintf("%s %s", origin, g->output);
    cleanup_free char *logs = xasprintf("%s/logs", g->output);
    if (!(g->line.verb->common & BIT(COMMON_OUTPUT)))
        return 0;
    return output_check(g, shown, g->output, WRITES_FOLDER, err) < 0 ||
                   (path_exists(logs) && output_check(g, shown, logs, WRITES_FOLDER, err) < 0)
               ? -1
               : 0;
}

int outputs_check(const struct global_options *g, struct error **err)
{
    const struct command_line *c = &g->line;
    for (size_t i = 0; i < c->n; i++) {
        const struct option *o = c->given[i].option;
        if (!(o->flags & WRITES) || o == &common_options[COMMON_OUTPUT])
            continue;
        cleanup_free char *shown = xasprintf("%s %s", o->name, c->given[i].value);
        if (output_check(g, shown, output_path(o, c->given[i].value), o->flags, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(written_operands); i++)
        if (!strcmp(written_operands[i].verb, c->verb->name) &&
            output_check(g, c->operands.items[written_operands[i].operand],
                         c->operands.items[written_operands[i].operand], written_operands[i].flags,
                         err) < 0)
            return -1;
    return check_results(g, err);
}
