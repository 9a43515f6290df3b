// SPDX-License-Identifier: Apache-2.0
#include "kbuild.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>

int usage_error(struct error **err, const char *verb, const char *why)
{
    const char *usage = "";
    for (size_t i = 0; i < verb_count; i++)
        if (!strcmp(verbs[i].name, verb))
            usage = verbs[i].usage;
    error_set(err, ERROR_USAGE, "%s: %s", verb, why);
    return error_hint(err, "usage: kbuild %s %s", verb, usage);
}

// ---- options in general ----

// Matches words[i] against one option. Returns how many words it took (0: it is another), -1 on error.
static int match(const struct strlist *words, size_t i, const struct verb_option *o,
                 const char **value, struct error **err)
{
    const char *word = words->items[i];
    size_t n = strlen(o->name);
    bool takes_value = o->value || o->values;
    *value = NULL;
    if (o->short_ && !strncmp(word, o->short_, 2) && word[1] != '-' && word[2] && takes_value) {
        *value = word + 2; // -j4
        return 1;
    }
    if (!strncmp(word, o->name, n) && word[n] == '=') {
        if (!takes_value)
            return error_set(err, ERROR_USAGE, "%s takes no value", o->name);
        *value = word + n + 1;
        return 1;
    }
    if (strcmp(word, o->name) && (!o->short_ || strcmp(word, o->short_)))
        return 0;
    if (!takes_value)
        return 1;
    if (i + 1 >= words->n)
        return error_set(err, ERROR_USAGE, "%s needs a value", word);
    *value = words->items[i + 1];
    return 2;
}

static void store_value(const struct verb_option *o, const char *value, struct strlist *storage)
{
    if (o->flag)
        *o->flag = true;
    if (o->values)
        strlist_add(o->values, value);
    if (o->value) {
        strlist_add(storage, value);
        *o->value = storage->items[storage->n - 1];
    }
}

// Takes the known options out of words. Unknown ones stay when `verb` is NULL.
static int take_options(const char *verb, struct strlist *words, const struct verb_option *options,
                        size_t count, struct strlist *storage, struct error **err)
{
    struct strlist rest = {0};
    bool only_operands = false;
    for (size_t i = 0; i < words->n;) {
        const char *word = words->items[i], *value;
        int took = 0;
        if (!only_operands && !strcmp(word, "--")) {
            only_operands = true;
            if (verb) {
                i++;
                continue;
            }
        }
        for (size_t k = 0; k < count && !took && !only_operands; k++) {
            took = match(words, i, &options[k], &value, err);
            if (took > 0)
                store_value(&options[k], value, storage);
        }
        if (took < 0) {
            strlist_free(&rest);
            return -1;
        }
        if (!took && verb && !only_operands && word[0] == '-' && word[1]) {
            struct strlist names = {0};
            for (size_t k = 0; k < count; k++)
                strlist_add(&names, options[k].name);
            const char *nearest = nearest_name(word, &names);
            error_set(err, ERROR_USAGE, "%s: unknown option %s", verb, word);
            if (nearest)
                error_hint(err, "did you mean %s?", nearest);
            strlist_free(&names);
            strlist_free(&rest);
            return -1;
        }
        if (!took)
            strlist_add(&rest, words->items[i]);
        i += took ? (size_t)took : 1;
    }
    strlist_free(words);
    *words = rest;
    return 0;
}

int parse_verb_options(const char *verb, struct strlist *words, const struct verb_option *options,
                       size_t count, struct strlist *storage, struct error **err)
{
    return take_options(verb, words, options, count, storage, err);
}

// ---- the global ones ----

static unsigned processors(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? (unsigned)n : 1;
}

static int parse_jobs(const char *text, unsigned *out, struct error **err)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || n < 1 || n > 4096)
        return error_set(err, ERROR_USAGE, "-j %s: the number of jobs must be from 1 to 4096", text);
    *out = (unsigned)n;
    return 0;
}

static bool is_project(const char *folder)
{
    cleanup_free char *versions = xasprintf("%s/versions.yaml", folder);
    cleanup_free char *recipes = xasprintf("%s/recipes", folder);
    return path_exists(versions) && is_directory(recipes);
}

// Where versions.yaml and recipes/ are: the nearest folder above the current one that has both, else
// above the program (a checkout), or in share/kbuild above it (an installation).
static char *find_project(void)
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
            cleanup_free char *installed = xasprintf("%s/share/kbuild", folder);
            if (is_project(folder))
                return xstrdup(folder);
            if (i == 1 && is_project(installed))
                return xstrdup(installed);
        }
    }
    return here ? xstrdup(here) : xstrdup(".");
}

static char *default_cache(const char *project)
{
    const char *set = getenv("KBUILD_CACHE");
    if (set && *set)
        return xstrdup(set);
    if (access(project, W_OK) == 0)
        return xasprintf("%s/cache", project);
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    return cache && *cache ? xasprintf("%s/kbuild", cache)
                           : xasprintf("%s/.cache/kbuild", home ? home : "/tmp");
}

// ARCH and TARGET_ARCH are upstream's, and count only when CROSS_BUILD says so, as there.
static int arch_from_environment(const char *option, const struct arch **out, struct error **err)
{
    const char *cross = getenv("CROSS_BUILD"), *target = getenv("TARGET_ARCH"), *arch = getenv("ARCH");
    const char *name = option;
    if (!name && cross && !strcmp(cross, "true"))
        name = target && *target ? target : arch;
    if (!name || !*name)
        return 0;
    *out = arch_find(name, err);
    return *out ? 0 : error_wrap(err, "%s", option ? "--arch" : "TARGET_ARCH or ARCH");
}

static int parse_choice(const char *option, const char *text, const char *no, const char *yes,
                        bool *out, struct error **err)
{
    if (strcmp(text, no) && strcmp(text, yes)) {
        error_set(err, ERROR_USAGE, "%s is '%s'", option, text);
        return error_hint(err, "it can be %s or %s", no, yes);
    }
    *out = !strcmp(text, yes);
    return 0;
}

static int parse_remote(const char *text, enum remote_use *out, struct error **err)
{
    static const char *const names[] = {
        [REMOTE_AUTO] = "auto", [REMOTE_OFF] = "off", [REMOTE_REQUIRE] = "require"};
    for (size_t i = 0; text && i < ARRAY_LEN(names); i++) {
        if (!strcmp(text, names[i])) {
            *out = (enum remote_use)i;
            return 0;
        }
    }
    if (!text)
        return 0;
    error_set(err, ERROR_USAGE, "--remote is '%s'", text);
    return error_hint(err, "it can be auto, off or require");
}

static const char *environment_or(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

static bool was_given(const struct verb_option *o)
{
    return (o->value && *o->value) || (o->values && o->values->n) || (o->flag && *o->flag);
}

int check_mode(const char *verb, const char *mode, const char *uses,
               const struct verb_option *options, size_t count, struct error **err)
{
    cleanup_strlist struct strlist used = {0};
    strlist_split(&used, uses, " ");
    for (size_t i = 0; i < count; i++) {
        if (!was_given(&options[i]) || strlist_has(&used, options[i].name))
            continue;
        error_set(err, ERROR_USAGE, "%s: %s does not matter to %s", verb, options[i].name, mode);
        if (used.n)
            return error_hint(err, "options that do: %s", uses);
        return error_hint(err, "leave it out");
    }
    return 0;
}

// The place of the first word that is neither an option nor the value of one; words->n: there is none.
static size_t first_operand(const struct strlist *words, const struct verb_option *options,
                            size_t count)
{
    for (size_t i = 0; i < words->n; i++) {
        const char *word = words->items[i];
        if (*word != '-')
            return i;
        for (size_t k = 0; k < count; k++)
            if (!options[k].flag && (!strcmp(word, options[k].name) ||
                                     (options[k].short_ && !strcmp(word, options[k].short_)))) {
                i++;
                break;
            }
    }
    return words->n;
}

int parse_global_options(int argc, char **argv, struct global_options *g, struct strlist *words,
                         struct error **err)
{
    struct build_options *b = &g->build;
    const char *output = NULL, *arch = NULL, *jobs = NULL, *sources = NULL, *builder = NULL,
               *cache = NULL, *versions = NULL, *recipes = NULL, *remote = NULL,
               *prebuilt = NULL;
    const struct verb_option options[] = {
        // The first OWN_OPTIONS are those that a verb may take for itself.
        {"--output", "-o", &output, NULL, NULL},
        {"--keep-going", "-k", NULL, NULL, &b->keep_going},
        {"--quiet", "-q", NULL, NULL, &b->quiet},
        {"--arch", NULL, &arch, NULL, NULL},
        {"--jobs", "-j", &jobs, NULL, NULL},
        {"--sources", NULL, &sources, NULL, NULL},
        {"--builder", NULL, &builder, NULL, NULL},
        {"--cache", NULL, &cache, NULL, NULL},
        {"--versions", NULL, &versions, NULL, NULL},
        {"--recipes", NULL, &recipes, NULL, NULL},
        {"--remote", NULL, &remote, NULL, NULL},
        {"--prebuilt", NULL, &prebuilt, NULL, NULL},
        {"--offline", NULL, NULL, NULL, &b->offline},
        {"--continue", NULL, NULL, NULL, &b->go_on},
        {"--locked", NULL, NULL, NULL, &b->locked},
        {"--json", NULL, NULL, NULL, &g->json},
    };
    enum { OWN_OPTIONS = 3 };
    static struct strlist storage; // as long as the process, like argv
    // Before the verb all options are global; a verb may give some of them another meaning behind it.
    cleanup_strlist struct strlist all = {0}, before = {0}, behind = {0};
    for (int i = 1; i < argc; i++)
        strlist_add(&all, argv[i]);
    size_t at = first_operand(&all, options, ARRAY_LEN(options));
    for (size_t i = 0; i < all.n; i++)
        strlist_add(i < at ? &before : &behind, all.items[i]);
    const struct verb *verb = at < all.n ? find_verb(all.items[at]) : NULL;
    size_t shared = verb && verb->own_options ? OWN_OPTIONS : 0;
    if (take_options(NULL, &before, options, ARRAY_LEN(options), &storage, err) < 0 ||
        take_options(NULL, &behind, options + shared, ARRAY_LEN(options) - shared, &storage, err) < 0)
        return -1;
    strlist_add_all(words, &before);
    strlist_add_all(words, &behind);
    b->jobs = processors();
    if (jobs && parse_jobs(jobs, &b->jobs, err) < 0)
        return -1;
    if (parse_choice(sources ? "--sources" : "KBUILD_SOURCES",
                     sources ? sources : environment_or("KBUILD_SOURCES", "upstream"), "upstream",
                     "debian", &b->debian, err) < 0 ||
        parse_choice("--builder", builder ? builder : "image", "image", "host", &b->host_builder,
                     err) < 0 ||
        parse_remote(remote, &b->remote, err) < 0 ||
        arch_from_environment(arch, &b->arch, err) < 0)
        return -1;
    cleanup_free char *project = find_project();
    g->versions = versions ? xstrdup(versions) : xasprintf("%s/versions.yaml", project);
    g->recipes = recipes ? xstrdup(recipes) : xasprintf("%s/recipes", project);
    g->cache = cache ? xstrdup(cache) : default_cache(project);
    b->versions = g->versions;
    b->recipes = g->recipes;
    b->cache = g->cache;
    b->prebuilt = prebuilt ? prebuilt : environment_or("KBUILD_PREBUILT", NULL);
    b->output = output ? output : "build";
    b->use_cache = !strcmp(environment_or("USE_CACHE", "yes"), "yes");
    b->view = g->json ? VIEW_JSON : VIEW_AUTO;
    return 0;
}

void free_global_options(struct global_options *g)
{
    free(g->versions);
    free(g->recipes);
    free(g->cache);
}
