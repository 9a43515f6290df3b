// SPDX-License-Identifier: Apache-2.0
// Reads the values of the common options, whatever sets them, and opens the build that they
// describe.
#include "kbuild.h"

#include "base/error.h"
#include "base/input.h"
#include "base/process.h"
#include "run/run.h"

#include <errno.h>
#include <string.h>

static int parse_jobs(const char *text, unsigned *out, struct error **err)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (errno || *end || *text < '0' || *text > '9' || n < 1 || n > 4096)
        return error_set(err, ERROR_USAGE, "-j %s: the number of jobs must be from 1 to 4096",
                         text);
    *out = (unsigned)n;
    return 0;
}

// ARCH and TARGET_ARCH are upstream's, and are used only with CROSS_BUILD, as there.
static int parse_arch(const struct global_options *g, const struct arch **out, struct error **err)
{
    const struct chosen_setting *s = &g->defaults.all[SETTING_ARCH];
    const char *name = setting_text(g, SETTING_ARCH);
    bool cross, option = s->origin == SET_BY_OPTION;
    if (environment_choice("CROSS_BUILD", "false", "true", false, &cross, err) < 0)
        return -1;
    // A list is read by the verbs that take it.
    bool list = option && (strchr(name, ',') || !strcmp(name, "all"));
    if (!name || (list && g->line.verb->flags & SEVERAL_ARCHITECTURES))
        return 0;
    *out = arch_find(name, err);
    if (*out)
        return 0;
    if (option)
        (*err)->kind = ERROR_USAGE;
    return error_wrap(err, "%s", option ? "--arch" : "TARGET_ARCH or ARCH");
}

// The result folder: "{arch}" in it is the target's architecture, this machine's without --arch.
static char *expand_output(const char *output, const struct arch *arch, const struct arch **meant)
{
    if (!arch)
        arch = arch_host();
    if (strstr(output, "{arch}"))
        *meant = arch;
    return arch_expand(output, arch);
}

static int parse_sources(const char *text, bool *debian, struct error **err)
{
    *debian = !strcmp(text, "debian");
    if (*debian || !strcmp(text, "upstream"))
        return 0;
    error_user(err, "KBUILD_SOURCES has the value '%s'", text);
    return error_hint(err, "it can be upstream or debian");
}

static int add_choice(const struct chosen_source *s, void *context, struct error **err)
{
    struct source_choices *all = context;
    cleanup_free char *where = setting_origin_text(&s->from);
    size_t before = all->n;
    if (source_choices_add(all, s->text, where, err) < 0)
        return -1;
    if (all->n > before)
        all->items[before].optional = s->from.file->owner == SETTINGS_USER;
    return 0;
}

// The choices for single sources: options go before the environment, and that before files.
static int parse_choices(struct global_options *g, struct error **err)
{
    const char *set = getenv("KBUILD_SOURCE");
    cleanup_strlist struct strlist texts = {0};
    g->build.choices = &g->choices;
    if (set && source_choices_environment(&g->choices, set, err) < 0)
        return -1;
    if (each_source_of_files(g, add_choice, &g->choices, err) < 0)
        return -1;
    option_values(g, "--source", &texts);
    for (size_t i = 0; i < texts.n; i++)
        if (source_choices_add(&g->choices, texts.items[i], NULL, err) < 0)
            return -1;
    return 0;
}

static enum remote_use remote_use(const char *text)
{
    return !text || !strcmp(text, "auto") ? REMOTE_AUTO
           : !strcmp(text, "off")         ? REMOTE_OFF
                                          : REMOTE_REQUIRE;
}

static const char *common(const struct global_options *g, enum common_option which)
{
    return command_line_common(&g->line, which);
}

// A verb that does not use sources ignores invalid settings for them.
static int parse_origins(struct global_options *g, struct error **err)
{
    if (!(g->line.verb->common & BIT(COMMON_SOURCES)))
        return 0;
    return parse_sources(setting_text(g, SETTING_SOURCES), &g->build.debian, err) < 0
               ? -1
               : parse_choices(g, err);
}

// The folders and files of the project.
static void read_places(struct global_options *g)
{
    struct build_options *b = &g->build;
    const struct defaults *d = &g->defaults;
    g->versions = xstrdup(setting_text(g, SETTING_VERSIONS));
    g->cache = xstrdup(setting_text(g, SETTING_CACHE));
    strlist_add_all(&g->recipes, &d->all[SETTING_RECIPES].values);
    b->versions = g->versions;
    b->installed = d->places.installed && d->all[SETTING_VERSIONS].origin == SET_BY_DEFAULT;
    b->recipes = &g->recipes;
    b->cache = g->cache;
    g->output = expand_output(setting_text(g, SETTING_OUTPUT), b->arch, &b->output_arch);
    b->output = g->output;
}

// Whether what the verb uses of the project was not named otherwise.
static bool uses_project(const struct global_options *g)
{
    const struct defaults *d = &g->defaults;
    uint32_t used = g->line.verb->common;
    return (used & BIT(COMMON_RECIPES) && d->project_recipes) ||
           (used & BIT(COMMON_VERSIONS) && d->all[SETTING_VERSIONS].origin == SET_BY_DEFAULT);
}

// The options that only say yes.
static void read_flags(struct global_options *g)
{
    struct build_options *b = &g->build;
    g->json = common(g, COMMON_JSON);
    b->offline = common(g, COMMON_OFFLINE);
    b->locked = common(g, COMMON_LOCKED);
    b->keep_going = common(g, COMMON_KEEP_GOING);
    b->resume = common(g, COMMON_CONTINUE);
    b->quiet = common(g, COMMON_QUIET);
    b->view = g->json ? VIEW_JSON : VIEW_AUTO;
    log_set_quiet(b->quiet);
}

// --offline goes before a file's `remote`.
static int read_remote(struct global_options *g, struct error **err)
{
    struct build_options *b = &g->build;
    bool option = g->defaults.all[SETTING_REMOTE].origin == SET_BY_OPTION;
    b->remote = remote_use(setting_text(g, SETTING_REMOTE));
    if (b->offline && b->remote == REMOTE_REQUIRE && option)
        return error_set(err, ERROR_USAGE,
                         "--offline forbids the network, and --remote=require "
                         "asks for a registry: leave one out");
    if (b->offline && b->remote == REMOTE_REQUIRE)
        b->remote = REMOTE_AUTO;
    return 0;
}

static int take_fault(struct error **fault, struct error **err)
{
    *err = steal(*fault);
    return -1;
}

int global_options_read(struct global_options *g, struct error **err)
{
    struct build_options *b = &g->build;
    struct defaults *d = &g->defaults;
    read_flags(g);
    defaults_find(g);
    if (d->fault)
        return take_fault(&d->fault, err);
    if (d->places.project_fault && uses_project(g))
        return take_fault(&d->places.project_fault, err);
    if (read_remote(g, err) < 0)
        return -1;
    b->host_builder = !strcmp(setting_text(g, SETTING_BUILDER), "host");
    b->prebuilt = setting_text(g, SETTING_PREBUILT);
    b->jobs = processors();
    bool counted = d->all[SETTING_JOBS].origin == SET_BY_DEFAULT; // whatever the machine has
    if ((!counted && parse_jobs(setting_text(g, SETTING_JOBS), &b->jobs, err) < 0) ||
        parse_origins(g, err) < 0 || parse_arch(g, &b->arch, err) < 0)
        return -1;
    read_places(g);
    return defaults_apply(g, err) < 0 ? -1
                                      : environment_yes_no("USE_CACHE", true, &b->use_cache, err);
}

void global_options_free(struct global_options *g)
{
    source_choices_free(&g->choices);
    defaults_free(&g->defaults);
    free(g->versions);
    strlist_free(&g->recipes);
    free(g->cache);
    free(g->output);
    command_line_free(&g->line);
}

const char *option_value(const struct global_options *g, const char *name)
{
    return command_line_value(&g->line, name);
}

bool option_given(const struct global_options *g, const char *name)
{
    return command_line_given(&g->line, name);
}

void option_values(const struct global_options *g, const char *name, struct strlist *out)
{
    command_line_values(&g->line, name, out);
}

struct build *open_with_targets(struct global_options *g, const struct strlist *targets,
                                struct error **err)
{
    struct build *b = build_open(&g->build, err);
    for (size_t i = 0; b && i < targets->n; i++) {
        if (build_add_targets(b, targets->items[i], NULL, err) < 0) {
            build_close(b);
            return NULL;
        }
    }
    return b;
}
