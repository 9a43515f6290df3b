// SPDX-License-Identifier: Apache-2.0
// Reads the common options and the environment, fills in defaults, and opens the build that they
// describe.
#include "kbuild.h"

#include "base/error.h"
#include "base/input.h"
#include "base/process.h"
#include "run/run.h"

#include <errno.h>
#include <limits.h>
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

static bool is_project(const char *folder)
{
    cleanup_free char *versions = xasprintf("%s/versions.yaml", folder);
    cleanup_free char *recipes = xasprintf("%s/recipes", folder);
    return path_exists(versions) && is_directory(recipes);
}

// Finds versions.yaml and recipes/: in the nearest folder above the current one that has both, else
// above the program (a checkout), or in share/kbuild above it (an installation). *installed: it was
// made by `make install`, for all users.
static char *find_project(bool *installed)
{
    cleanup_free char *here = getcwd(NULL, 0);
    char program[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = '\0';
    const char *const starts[] = {here ? here : "/", program};
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        cleanup_free char *folder = xstrdup(starts[i]);
        for (char *end = folder + strlen(folder); end; end = strrchr(folder, '/')) {
            *end = '\0';
            cleanup_free char *shared = xasprintf("%s/share/kbuild", folder);
            *installed = ends_with(folder, "/share/kbuild");
            if (is_project(folder))
                return xstrdup(folder);
            *installed = i == 1 && is_project(shared);
            if (*installed)
                return xstrdup(shared);
        }
    }
    return here ? xstrdup(here) : xstrdup(".");
}

static char *default_cache(const char *project, bool installed)
{
    const char *set = getenv("KBUILD_CACHE");
    if (set && *set)
        return xstrdup(set);
    if (!installed && access(project, W_OK) == 0)
        return xasprintf("%s/cache", project);
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    return cache && *cache ? xasprintf("%s/kbuild", cache)
                           : xasprintf("%s/.cache/kbuild", home ? home : "/tmp");
}

// ARCH and TARGET_ARCH are upstream's, and are used only with CROSS_BUILD, as there.
static int arch_from_environment(const char *option, const struct arch **out, struct error **err)
{
    const char *target = getenv("TARGET_ARCH"), *arch = getenv("ARCH"), *name = option;
    bool cross;
    if (environment_choice("CROSS_BUILD", "false", "true", false, &cross, err) < 0)
        return -1;
    if (!name && cross)
        name = target && *target ? target : arch;
    if (!name || !*name)
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

static const char *environment_or(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

static int parse_sources(const char *option, bool *debian, struct error **err)
{
    const char *text = option ? option : environment_or("KBUILD_SOURCES", "upstream");
    *debian = !strcmp(text, "debian");
    if (*debian || !strcmp(text, "upstream"))
        return 0;
    error_user(err, "KBUILD_SOURCES has the value '%s'", text);
    return error_hint(err, "it can be upstream or debian");
}

// The choices for single sources: options have priority over the environment.
static int parse_choices(struct global_options *g, struct error **err)
{
    const char *set = getenv("KBUILD_SOURCE");
    cleanup_strlist struct strlist texts = {0};
    g->build.choices = &g->choices;
    if (set && source_choices_environment(&g->choices, set, err) < 0)
        return -1;
    option_values(g, "--source", &texts);
    for (size_t i = 0; i < texts.n; i++)
        if (source_choices_add(&g->choices, texts.items[i], false, err) < 0)
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
    return parse_sources(common(g, COMMON_SOURCES), &g->build.debian, err) < 0
               ? -1
               : parse_choices(g, err);
}

// The folders and files of the project.
static void read_places(struct global_options *g)
{
    struct build_options *b = &g->build;
    const char *versions = common(g, COMMON_VERSIONS);
    const char *cache = common(g, COMMON_CACHE), *output = common(g, COMMON_OUTPUT);
    bool installed = false;
    cleanup_free char *project = find_project(&installed);
    g->versions = versions ? xstrdup(versions) : xasprintf("%s/versions.yaml", project);
    command_line_values(&g->line, "--recipes", &g->recipes);
    if (!g->recipes.n)
        strlist_addf(&g->recipes, "%s/recipes", project);
    g->cache = cache ? xstrdup(cache) : default_cache(project, installed);
    b->versions = g->versions;
    b->installed = installed && !versions;
    b->recipes = &g->recipes;
    b->cache = g->cache;
    g->output = expand_output(output ? output : "build", b->arch, &b->output_arch);
    b->output = g->output;
}

// --arch, but for the list of several, which a verb that takes it reads itself.
static const char *single_arch(const struct global_options *g)
{
    const char *text = common(g, COMMON_ARCH);
    bool list = text && (strchr(text, ',') || !strcmp(text, "all"));
    return list && g->line.verb->flags & SEVERAL_ARCHITECTURES ? NULL : text;
}

int global_options_read(struct global_options *g, struct error **err)
{
    struct build_options *b = &g->build;
    const char *jobs = common(g, COMMON_JOBS), *prebuilt = common(g, COMMON_PREBUILT);
    const char *builder = common(g, COMMON_BUILDER);
    g->json = common(g, COMMON_JSON);
    b->offline = common(g, COMMON_OFFLINE);
    b->locked = common(g, COMMON_LOCKED);
    b->keep_going = common(g, COMMON_KEEP_GOING);
    b->resume = common(g, COMMON_CONTINUE);
    b->quiet = common(g, COMMON_QUIET);
    b->host_builder = builder && !strcmp(builder, "host");
    b->remote = remote_use(common(g, COMMON_REMOTE));
    if (b->offline && b->remote == REMOTE_REQUIRE)
        return error_set(err, ERROR_USAGE,
                         "--offline forbids the network, and --remote=require "
                         "asks for a registry: leave one out");
    b->prebuilt = prebuilt ? prebuilt : environment_or("KBUILD_PREBUILT", NULL);
    b->view = g->json ? VIEW_JSON : VIEW_AUTO;
    b->jobs = processors();
    log_set_quiet(b->quiet);
    if ((jobs && parse_jobs(jobs, &b->jobs, err) < 0) || parse_origins(g, err) < 0 ||
        arch_from_environment(single_arch(g), &b->arch, err) < 0)
        return -1;
    read_places(g);
    return environment_yes_no("USE_CACHE", true, &b->use_cache, err);
}

void global_options_free(struct global_options *g)
{
    source_choices_free(&g->choices);
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
