// SPDX-License-Identifier: Apache-2.0
// Decides the value of each setting: of an option, of the environment, of the project's
// kbuild.yaml, of the user's, or the default. docs/settings.md has the order.
#include "kbuild.h"

#include "base/file.h"
#include "base/process.h"
#include "registry/registry.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

// ---- the table ----

enum {
    PLANNED = 1, // a plan says it: with --plan no file does
    DECIDES =
        2,      // it changes keys: on a machine that runs a node the user's own file does not count
    STRICT = 4, // set and empty is a value (security_variable())
    USER_FIRST = 8, // the user's file goes before the project's: who is trusted is not its decision
};
static const struct {
    enum common_option option; // COMMON_OPTIONS: none
    unsigned flags;
} rows[SETTINGS] = {
    [SETTING_SOURCES] = {COMMON_SOURCES, PLANNED | DECIDES},
    [SETTING_SOURCE] = {COMMON_SOURCE, PLANNED | DECIDES},
    [SETTING_PREBUILT] = {COMMON_PREBUILT, PLANNED | DECIDES},
    [SETTING_BUILDER] = {COMMON_BUILDER, PLANNED | DECIDES},
    [SETTING_ARCH] = {COMMON_ARCH, PLANNED | DECIDES},
    [SETTING_JOBS] = {COMMON_JOBS, 0},
    [SETTING_CACHE] = {COMMON_CACHE, 0},
    [SETTING_OUTPUT] = {COMMON_OUTPUT, 0},
    [SETTING_VERSIONS] = {COMMON_VERSIONS, DECIDES},
    [SETTING_RECIPES] = {COMMON_RECIPES, DECIDES},
    [SETTING_REMOTE] = {COMMON_REMOTE, 0},
    [SETTING_REGISTRY] = {COMMON_OPTIONS, PLANNED},
    [SETTING_REPOSITORY] = {COMMON_OPTIONS, PLANNED},
    [SETTING_BUILDER_REGISTRY] = {COMMON_OPTIONS, PLANNED},
    [SETTING_TARGET_BRANCH] = {COMMON_OPTIONS, DECIDES},
    [SETTING_TRUSTED_KEYS] = {COMMON_OPTIONS, STRICT | USER_FIRST},
};

// ---- which files count ----

// Verbs that use no setting need no file, and work whatever is in it.
static bool reads_files(const struct verb *v)
{
    uint32_t all = 0;
    for (size_t i = 0; i < SETTINGS; i++)
        all |= rows[i].option < COMMON_OPTIONS ? BIT(rows[i].option) : 0;
    return v->common & all;
}

static bool has_plan(const struct global_options *g)
{
    for (size_t i = 0; i < g->line.n; i++)
        if (!strcmp(g->line.given[i].option->name, "--plan"))
            return true;
    return false;
}

// An option that the verb does not have has no effect on it, wherever it is said; but for those on
// the project, which all verbs have.
static bool file_counts(const struct global_options *g, enum setting which,
                        enum settings_owner owner)
{
    const struct verb *v = g->line.verb;
    uint32_t bit = rows[which].option < COMMON_OPTIONS ? BIT(rows[which].option) : COMMON_SETTINGS;
    bool node = v->flags & MAKES_NODE || has_plan(g);
    return g->defaults.files[owner].path && (v->common | COMMON_SETTINGS) & bit &&
           !(rows[which].flags & PLANNED && has_plan(g)) &&
           !(rows[which].flags & DECIDES && node && owner == SETTINGS_USER);
}

static const struct settings_file *file_with(const struct global_options *g, enum setting which)
{
    bool user_first = rows[which].flags & USER_FIRST;
    for (unsigned i = 0; i < 2; i++) {
        enum settings_owner owner = (i ^ user_first) ? SETTINGS_USER : SETTINGS_PROJECT;
        const struct settings_file *f = &g->defaults.files[owner];
        if (file_counts(g, which, owner) && f->values[which].items.n)
            return f;
    }
    return NULL;
}

// ---- finding the files ----

static void read_file(struct defaults *d, const char *path, enum settings_owner owner, bool named)
{
    struct stat st;
    if (!named && lstat(path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR))
        return;
    struct error *why = NULL;
    if (settings_read(path, owner, named, &d->files[owner], &why) == 0)
        return;
    if (named)
        error_wrap(&why, "--settings or KBUILD_SETTINGS");
    if (d->fault)
        error_free(why);
    else
        d->fault = why;
}

static void find_files(struct global_options *g)
{
    struct defaults *d = &g->defaults;
    const char *named = command_line_common(&g->line, COMMON_FILE);
    const char *set = getenv("KBUILD_SETTINGS");
    if (!named && set && *set)
        named = set;
    if (named && !strcmp(named, "none"))
        return;
    cleanup_free char *own = settings_user_path();
    if (!named && d->places.settings_fault)
        d->fault = steal(d->places.settings_fault);
    else if (named || d->places.settings)
        read_file(d, named ? named : d->places.settings, SETTINGS_PROJECT, named);
    if (own)
        read_file(d, own, SETTINGS_USER, false);
}

// ---- choosing ----

// CROSS_BUILD itself is checked where its value is used.
static const char *variable_of(enum setting which, const char **name)
{
    const char *cross = getenv("CROSS_BUILD");
    *name = setting_names[which].variable;
    if (which == SETTING_ARCH && cross && !strcmp(cross, "true")) {
        const char *target = getenv("TARGET_ARCH");
        *name = target && *target ? "TARGET_ARCH" : "ARCH";
    }
    const char *value = *name ? getenv(*name) : NULL;
    return value && (*value || rows[which].flags & STRICT) ? value : NULL;
}

static void set_default(const struct global_options *g, enum setting which, struct strlist *out)
{
    const struct places *p = &g->defaults.places;
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    switch (which) {
    case SETTING_SOURCES:
        strlist_add(out, "upstream");
        break;
    case SETTING_BUILDER:
        strlist_add(out, "image");
        break;
    case SETTING_JOBS:
        strlist_addf(out, "%u", processors());
        break;
    case SETTING_OUTPUT:
        strlist_add(out, "build");
        break;
    case SETTING_REMOTE:
        strlist_add(out, "auto");
        break;
    case SETTING_VERSIONS:
        strlist_addf(out, "%s/versions.yaml", p->project);
        break;
    case SETTING_RECIPES:
        strlist_addf(out, "%s/recipes", p->project);
        break;
    case SETTING_CACHE:
        if (!p->installed && !p->project_fault && access(p->project, W_OK) == 0)
            strlist_addf(out, "%s/cache", p->project);
        else if (cache && *cache)
            strlist_addf(out, "%s/kbuild", cache);
        else
            strlist_addf(out, "%s/.cache/kbuild", home ? home : "/tmp");
        break;
    default: // none
        break;
    }
}

static void choose(const struct global_options *g, enum setting which, struct chosen_setting *out)
{
    const char *name, *set = variable_of(which, &name);
    const struct settings_file *f = file_with(g, which);
    if (rows[which].option < COMMON_OPTIONS && command_line_common(&g->line, rows[which].option)) {
        out->origin = SET_BY_OPTION;
        out->name = common_options[rows[which].option].name;
        for (size_t i = 0; i < g->line.n; i++)
            if (g->line.given[i].option == &common_options[rows[which].option])
                strlist_add(&out->values, g->line.given[i].value);
    } else if (set) {
        out->origin = SET_BY_ENVIRONMENT;
        out->name = name;
        strlist_add(&out->values, set);
    } else if (f) {
        out->origin = SET_BY_FILE;
        out->file = f;
        out->line = f->values[which].lines[0];
        strlist_add_all(&out->values, &f->values[which].items);
    } else {
        out->origin = SET_BY_DEFAULT;
        set_default(g, which, &out->values);
    }
}

// The word for those that are used without the setting.
static void expand_recipes(struct global_options *g, struct chosen_setting *s)
{
    struct strlist all = {0}, *values = &s->values;
    g->defaults.project_recipes = s->origin == SET_BY_DEFAULT;
    for (size_t i = 0; i < values->n; i++)
        if (!strcmp(values->items[i], RECIPES_DEFAULT)) {
            set_default(g, SETTING_RECIPES, &all);
            g->defaults.project_recipes = true;
        } else {
            strlist_add(&all, values->items[i]);
        }
    strlist_free(values);
    *values = all;
}

// A list is one option, between commas.
static void join_prebuilt(struct strlist *values)
{
    cleanup_free char *text = strlist_join(values, ",");
    strlist_free(values);
    *values = (struct strlist){0};
    strlist_add(values, text);
}

void defaults_find(struct global_options *g)
{
    struct defaults *d = &g->defaults;
    places_find(&d->places);
    if (reads_files(g->line.verb))
        find_files(g);
    for (enum setting i = 0; i < SETTINGS; i++)
        choose(g, i, &d->all[i]);
    expand_recipes(g, &d->all[SETTING_RECIPES]);
    if (d->all[SETTING_PREBUILT].origin == SET_BY_FILE)
        join_prebuilt(&d->all[SETTING_PREBUILT].values);
}

void defaults_free(struct defaults *d)
{
    for (size_t i = 0; i < SETTINGS; i++)
        strlist_free(&d->all[i].values);
    settings_file_free(&d->files[SETTINGS_PROJECT]);
    settings_file_free(&d->files[SETTINGS_USER]);
    places_free(&d->places);
    error_free(d->fault);
}

const char *setting_text(const struct global_options *g, enum setting which)
{
    const struct strlist *values = &g->defaults.all[which].values;
    return values->n ? values->items[0] : NULL;
}

// ---- origins ----

char *setting_origin_text(const struct chosen_setting *s)
{
    cleanup_free char *here = getcwd(NULL, 0);
    const char *below;
    switch (s->origin) {
    case SET_BY_OPTION:
        return xstrdup(s->name);
    case SET_BY_ENVIRONMENT:
        return xasprintf("environment %s", s->name);
    case SET_BY_FILE:
        below = here ? path_below(s->file->path, here) : NULL;
        return xasprintf("%s:%zu", below && *below ? below : s->file->path, s->line);
    default:
        return xstrdup("default");
    }
}

int each_source_of_files(const struct global_options *g,
                         int (*each)(const struct chosen_source *s, void *context,
                                     struct error **err),
                         void *context, struct error **err)
{
    for (enum settings_owner owner = SETTINGS_PROJECT; owner <= SETTINGS_USER; owner++) {
        const struct settings_file *f = &g->defaults.files[owner];
        const struct setting_value *v = &f->values[SETTING_SOURCE];
        for (size_t i = 0; file_counts(g, SETTING_SOURCE, owner) && i < v->items.n; i++) {
            const struct chosen_source s = {
                .text = v->items.items[i],
                .from = {.origin = SET_BY_FILE, .file = f, .line = v->lines[i]}};
            if (each(&s, context, err) < 0)
                return -1;
        }
    }
    return 0;
}

// ---- applying ----

// The login of the environment is for the registry that this user named.
static int check_login(const struct global_options *g, struct error **err)
{
    const struct chosen_setting *s = &g->defaults.all[SETTING_REGISTRY];
    const char *user = NULL, *password = NULL;
    if (s->origin != SET_BY_FILE || s->file->owner != SETTINGS_PROJECT)
        return 0;
    registry_login(&user, &password);
    if (!user)
        return 0;
    cleanup_free char *place = setting_origin_text(s), *own = settings_user_path();
    error_user(err,
               "%s: registry: a project cannot say who gets the login in "
               "ARTEFACT_REGISTRY_USERNAME and ARTEFACT_REGISTRY_PASSWORD",
               place);
    return error_hint(err,
                      "set ARTEFACT_REGISTRY beside them, or name the registry in your own file, "
                      "%s; `skopeo login` keeps a login for one registry only",
                      own ? own : "~/.config/kbuild/kbuild.yaml");
}

int defaults_apply(const struct global_options *g, struct error **err)
{
    static const enum setting variables[] = {SETTING_REGISTRY, SETTING_REPOSITORY,
                                             SETTING_BUILDER_REGISTRY, SETTING_TARGET_BRANCH,
                                             SETTING_TRUSTED_KEYS};
    if (check_login(g, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        if (g->defaults.all[variables[i]].origin == SET_BY_FILE)
            setenv(setting_names[variables[i]].variable, setting_text(g, variables[i]), 1);
    return 0;
}
