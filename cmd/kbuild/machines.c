// SPDX-License-Identifier: Apache-2.0
// The verbs for several machines: plan --remote, run, spread, log --remote.
#include "kbuild.h"

#include "base/document.h"
#include "base/file.h"
#include "run/plan_file.h"
#include "share/share.h"
#include "spread/spread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { PLAN_MAX = 256 << 20 };

static enum plan_grain grain_of(const struct global_options *g)
{
    const char *text = option_value(g, "--grain");
    return text && !strcmp(text, plan_grains[GRAIN_ARTIFACT]) ? GRAIN_ARTIFACT : GRAIN_NODE;
}

// ---- several architectures ----

struct architectures {
    const struct arch **items;
    size_t n, cap;
};

static void add_arch(struct architectures *a, const struct arch *arch)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->items[i] == arch)
            return;
    a->items = xgrow(a->items, &a->cap, a->n + 1, sizeof(const struct arch *));
    a->items[a->n++] = arch;
}

static int read_architectures(const struct global_options *g, struct architectures *out,
                              struct error **err)
{
    const char *text = command_line_common(&g->line, COMMON_ARCH);
    cleanup_strlist struct strlist words = {0};
    if (!text) {
        if (g->build.arch) // of the environment
            add_arch(out, g->build.arch);
        return 0;
    }
    strlist_split(&words, text, ",");
    for (size_t i = 0; i < words.n; i++) {
        if (!strcmp(words.items[i], "all")) {
            for (size_t k = 0; k < arch_count; k++)
                add_arch(out, &arch_table[k]);
            continue;
        }
        const struct arch *arch = arch_find(words.items[i], err);
        if (!arch) {
            (*err)->kind = ERROR_USAGE;
            return error_wrap(err, "--arch");
        }
        add_arch(out, arch);
    }
    return out->n ? 0 : error_set(err, ERROR_USAGE, "--arch names no architecture");
}

static int add_target(struct build *b, const char *word, const struct architectures *all,
                      struct error **err)
{
    if (!all->n)
        return build_add_targets(b, word, NULL, err);
    const struct recipe *r = recipe_get(b->recipes, word, err);
    bool any = false;
    for (size_t i = 0; r && i < all->n; i++) {
        if (all->n > 1 && !recipe_supports(r, all->items[i]))
            continue;
        any = true;
        b->options.arch = all->items[i];
        if (build_add_targets(b, word, NULL, err) < 0)
            return -1;
    }
    return any || !r ? (r ? 0 : -1)
                     : error_user(err, "%s supports none of these architectures", word);
}

struct build *open_for_several(struct global_options *g, const struct strlist *targets,
                               struct error **err)
{
    struct architectures all = {0};
    struct build *b = NULL;
    if (read_architectures(g, &all, err) == 0) {
        g->build.several = all.n > 1;
        b = build_open(&g->build, err);
    }
    for (size_t i = 0; b && i < targets->n; i++)
        if (add_target(b, targets->items[i], &all, err) < 0)
            build_close(steal(b));
    free(all.items);
    return b;
}

// ---- plan --remote ----

static void print_nodes(const struct plan *p)
{
    for (size_t i = 0; i < json_array_size(p->nodes); i++) {
        const json_t *line = json_array_get(p->nodes, i);
        const char *key = json_string_value(json_object_get(line, "key"));
        print("%-10s %-9s %-40s %.12s\n", json_string_value(json_object_get(line, "state")),
              json_string_value(json_object_get(line, "kind")),
              json_string_value(json_object_get(line, "node")), key ? key : "");
    }
}

static int print_plan(struct global_options *g, struct build *b, const struct plan *p,
                      struct error **err)
{
    const char *format = option_value(g, "--format");
    cleanup_free char *project = NULL, *unresolved = plan_unresolved(p);
    cleanup_buf struct buf text = {0};
    bool json = g->json || (format && !strcmp(format, "json"));
    if (unresolved && (option_given(g, "--push") || (format && !json))) {
        error_user(err, "%s does not resolve %s: no other machine could make it", b->lock->path,
                   unresolved);
        return error_hint(err,
                          "run `kbuild lock` with the same targets and options, then plan again");
    }
    if (option_given(g, "--push") && plan_push(b, p, &project, err) < 0)
        return -1;
    if (json)
        plan_print(p, &text);
    else if (format && spread_print(format, p, project, &text, err) < 0)
        return -1;
    else if (!format)
        print_nodes(p);
    if (text.data)
        print_document(stdout, json ? DOCUMENT_JSON : DOCUMENT_TEXT, text.data, text.len);
    if (unresolved)
        log_note("%s does not resolve %s; `kbuild lock` does", b->lock->path, unresolved);
    if (project && (json || !format))
        log_note("the project is %s", project);
    return 0;
}

// What machines will run: it must not take for found what the registry has no content of any more.
static bool makes_jobs(const struct global_options *g)
{
    const char *format = option_value(g, "--format");
    return option_given(g, "--push") || (format && strcmp(format, "json") != 0);
}

static int ask_and_plan(struct global_options *g, struct build *b, const struct strlist *words,
                        struct plan *out, struct error **err)
{
    plan_free(out);
    return build_ask_shared(b, err) < 0 ? -1 : plan_make(b, words, grain_of(g), out, err);
}

int plan_for_machines(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_plan struct plan p = {0};
    if (g->json && option_given(g, "--format") && strcmp(option_value(g, "--format"), "json") != 0)
        return usage_error(err, "plan", "--json and --format ask for two formats");
    if (command_line_reject(&g->line,
                            BIT(COMMON_CONTINUE) | BIT(COMMON_OFFLINE) | BIT(COMMON_OUTPUT),
                            "with --remote", err) < 0)
        return -1;
    g->build.from_plan = true;
    struct build *b = open_for_several(g, words, err);
    if (!b)
        return -1;
    b->options.locked = true; // as the machines will read it
    int result = ask_and_plan(g, b, words, &p, err);
    int lost = !result && makes_jobs(g) ? plan_check_content(b, &p, err) : 0;
    if (lost)
        result = lost < 0 ? -1 : ask_and_plan(g, b, words, &p, err);
    if (!result)
        result = print_plan(g, b, &p, err);
    build_close(b);
    return result;
}

// ---- the plan of a node ----

struct chosen_plan {
    struct project project; // with oci:
    struct plan file;       // with a file
    const struct plan *plan;
    char *versions, *output; // of the project
    struct strlist recipes;
};

static void chosen_free(struct chosen_plan *c)
{
    if (c->output)
        remove_tree(c->output, NULL);
    project_close(&c->project);
    plan_free(&c->file);
    free(c->versions);
    strlist_free(&c->recipes);
    free(c->output);
}

static int use_project(struct global_options *g, const char *reference, struct chosen_plan *c,
                       struct error **err)
{
    const uint32_t places = BIT(COMMON_VERSIONS) | BIT(COMMON_RECIPES);
    if (command_line_reject(&g->line, places, "with --plan=oci:, which has its own", err) < 0 ||
        project_open(g->build.cache, reference, &c->project, err) < 0)
        return -1;
    c->plan = &c->project.plan;
    g->build.project = reference;
    c->versions = xasprintf("%s/versions.yaml", c->project.folder);
    strlist_addf(&c->recipes, "%s/recipes", c->project.folder);
    g->build.versions = c->versions;
    g->build.recipes = &c->recipes;
    g->build.foreign_recipes = true;
    // Its logs are pushed and kept in the cache, which also removes what a killed run leaves.
    if (!command_line_common(&g->line, COMMON_OUTPUT)) {
        c->output = store_temporary(c->project.store, "run", err);
        if (!c->output)
            return -1;
        g->build.output = c->output;
        g->build.temporary_output = true;
    }
    return 0;
}

static int read_plan(struct global_options *g, const char *from, struct chosen_plan *c,
                     struct error **err)
{
    const uint32_t planned =
        SOURCES_AND_BUILDER | BIT(COMMON_PREBUILT) | BIT(COMMON_LOCKED) | BIT(COMMON_OFFLINE);
    cleanup_buf struct buf text = {0};
    if (command_line_reject(&g->line, planned, "with --plan, which says it", err) < 0 ||
        plan_check_login(err) < 0)
        return -1;
    if (starts_with(from, "oci:"))
        return use_project(g, from + strlen("oci:"), c, err);
    if (file_read(from, PLAN_MAX, &text, err) < 0 ||
        plan_parse(from, text.data ? text.data : "", text.len, &c->file, err) < 0)
        return -1;
    c->plan = &c->file;
    return 0;
}

// What is wrong here with what a plan says was right where it was planned: they do not match. A
// fault of the machine itself has an errno.
static void blame_plan(struct error **err)
{
    if ((*err)->kind == ERROR_USER && !(*err)->errnum)
        (*err)->kind = ERROR_USAGE;
}

static struct node *open_line(struct global_options *g, const struct chosen_plan *c,
                              const json_t *line, struct build **out, struct error **err)
{
    if (plan_use_registry(c->plan, err) < 0)
        return NULL;
    source_choices_free(&g->choices);
    if (plan_apply(c->plan, line, c->project.folder, &g->build, &g->choices, err) < 0 ||
        (c->project.folder && project_choices(&c->project, &g->choices, err) < 0))
        return NULL;
    if (build_check(&g->build, err) < 0) {
        blame_plan(err);
        return NULL;
    }
    if (!(*out = build_open(&g->build, err)) || plan_check(*out, c->plan, err) < 0)
        return NULL;
    struct node *node = plan_add_node(*out, c->plan, line, err);
    if (!node)
        blame_plan(err);
    return node;
}

// A node without a line: with the grain of artifacts it is made along with one that has a line.
static struct node *open_inner(struct global_options *g, const struct chosen_plan *c,
                               const char *id, struct build **out, struct error **first)
{
    for (size_t i = 0; i < json_array_size(c->plan->nodes); i++) {
        cleanup_error struct error *why = NULL;
        const json_t *line = json_array_get(c->plan->nodes, i);
        struct node *node = open_line(g, c, line, out, &why);
        if (!node && !*first)
            *first = steal(why);
        node = node ? graph_find(build_graph(*out), id) : NULL;
        if (node)
            return node;
        if (*out)
            build_close(steal(*out));
    }
    return NULL;
}

// `inner`: also a node that is made along.
static struct node *open_planned(struct global_options *g, const struct chosen_plan *c,
                                 const char *id, bool inner, struct build **out, struct error **err)
{
    const json_t *line = plan_node(c->plan, id);
    if (line)
        return open_line(g, c, line, out, err);
    cleanup_error struct error *why = NULL;
    struct node *node =
        inner && plan_grain_of(c->plan) == GRAIN_ARTIFACT ? open_inner(g, c, id, out, &why) : NULL;
    if (!node && why) {
        *err = steal(why);
    } else if (!node) {
        error_set(err, ERROR_USAGE, "the plan has no node %s", id);
        error_hint(err, "the plan lists what was left to do when it was made");
    }
    return node;
}

static struct build *open_again(void *context, struct error **err)
{
    return build_open(context, err);
}

static struct node *open_node(struct global_options *g, const char *id, bool inner,
                              struct chosen_plan *c, struct build **out, struct error **err)
{
    const char *from = option_value(g, "--plan");
    if (from)
        return read_plan(g, from, c, err) < 0 ? NULL : open_planned(g, c, id, inner, out, err);
    setenv("PUSH_TO_REGISTRY", "yes", 0);
    g->build.from_plan = true;
    return plan_search(open_again, &g->build, id, out, err);
}

// ---- run ----

int verb_run(struct global_options *g, struct strlist *words, struct error **err)
{
    struct chosen_plan c = {0};
    struct build *b = NULL;
    if (option_given(g, "--plan") && option_given(g, "--grain"))
        return usage_error(err, "run",
                           "give only one of --plan and --grain: the plan has its own grain");
    struct node *node = open_node(g, words->items[0], false, &c, &b, err);
    int result = -1;
    if (node && (!c.plan || plan_check_signing(b, c.plan, err) == 0)) {
        bool evaluated = build_evaluate(b, true, err) == 0;
        if (!evaluated && c.plan)
            blame_plan(err);
        if (evaluated)
            result = build_run_node(b, node, c.plan ? plan_grain_of(c.plan) : grain_of(g), err);
    }
    if (b)
        build_close(b);
    chosen_free(&c);
    return result;
}

// ---- log --remote ----

static int no_log(const struct node *node, struct error **err)
{
    if (*node->key)
        error_user(err, "the registry has no log of %s, key %.12s", node->id, node->key);
    else
        error_user(err, "the key of %s is not known yet, and its log has the name of the key",
                   node->id);
    return error_hint(err, "options and variables are part of the key: give those of the run, or "
                           "its --plan; a step that printed nothing has no log");
}

static int print_remote_log(struct build *b, struct node *node, struct error **err)
{
    cleanup_pushed_log struct pushed_log log = {0};
    int found = build_remote_log(b, node, &log, err);
    if (found <= 0)
        return found ? found : no_log(node, err);
    cleanup_fclose FILE *f = fdopen(fcntl(log.fd, F_DUPFD_CLOEXEC, 0), "r");
    if (!f)
        return error_errno(err, errno, "reading the log of %s", node->id);
    log_note("%s", log.about);
    print_stream(stdout, f);
    return ferror(f) ? error_errno(err, errno, "reading the log of %s", node->id) : 0;
}

int log_of_machines(struct global_options *g, const char *id, struct error **err)
{
    struct chosen_plan c = {0};
    struct build *b = NULL;
    g->build.from_plan = true;
    struct node *node = NULL;
    if (strchr(id, ':') || option_given(g, "--plan")) {
        node = open_node(g, id, true, &c, &b, err);
    } else {
        b = build_open(&g->build, err);
        node = b ? build_add_target(b, id, err) : NULL;
    }
    int result = node ? print_remote_log(b, node, err) : -1;
    if (b)
        build_close(b);
    chosen_free(&c);
    return result;
}

// ---- spread ----

struct spread_context {
    struct global_options *g;
    const struct strlist *words;
    const struct architectures *all;
    const char *output; // as given, with {arch}
};

static struct build *open_spread(void *context, struct error **err)
{
    const struct spread_context *s = context;
    s->g->build.from_plan = true;
    return open_for_several(s->g, s->words, err);
}

// The words that an architecture supports.
static int words_for(const struct spread_context *s, const struct arch *arch, struct strlist *out,
                     struct error **err)
{
    struct recipe_set *set = recipe_set_open(s->g->build.recipes, err);
    int result = set ? 0 : -1;
    for (size_t i = 0; i < s->words->n && !result; i++) {
        const struct recipe *r = recipe_get(set, s->words->items[i], err);
        if (r && (!arch || recipe_supports(r, arch)))
            strlist_add(out, s->words->items[i]);
        result = r ? 0 : -1;
    }
    recipe_set_free(set);
    return result;
}

typedef int place_action(struct build *b, struct error **err);

// Opened without targets: nothing is evaluated.
static int check_place(const struct spread_context *s, const struct arch *arch, struct error **err)
{
    struct build_options o = s->g->build;
    cleanup_free char *output = arch_expand(s->output, arch ? arch : arch_host());
    o.output = output;
    struct build *b = build_open(&o, err);
    int result = b ? build_check_output(b, err) : -1;
    if (b)
        build_close(b);
    return result;
}

static int check_places(void *context, struct error **err)
{
    const struct spread_context *s = context;
    int result = s->all->n ? 0 : check_place(s, NULL, err);
    for (size_t i = 0; i < s->all->n && !result; i++)
        result = check_place(s, s->all->items[i], err);
    return result;
}

static int place_for(const struct spread_context *s, const struct arch *arch, place_action *place,
                     bool only_results, struct error **err)
{
    cleanup_strlist struct strlist words = {0};
    if (words_for(s, arch, &words, err) < 0)
        return -1;
    struct build_options *o = &s->g->build;
    cleanup_free char *output = arch_expand(s->output, arch ? arch : arch_host());
    o->arch = arch;
    o->output = output;
    o->output_arch = arch && strcmp(output, s->output) != 0 ? arch : NULL;
    o->several = false;
    o->remote = REMOTE_REQUIRE;
    o->only_results = only_results;
    struct build *b = words.n ? open_with_targets(s->g, &words, err) : NULL;
    if (b)
        b->options.locked = true;
    int result = !words.n ? 0 : b && build_evaluate(b, false, err) == 0 ? place(b, err) : -1;
    if (b)
        build_close(b);
    o->output = s->g->output;
    o->only_results = false;
    return result;
}

static int place_each(const struct spread_context *s, place_action *place, bool only_results,
                      struct error **err)
{
    if (!s->all->n)
        return place_for(s, NULL, place, only_results, err);
    for (size_t i = 0; i < s->all->n; i++)
        if (place_for(s, s->all->items[i], place, only_results, err) < 0)
            return -1;
    return 0;
}

static int place_all(void *context, bool after_jobs, struct error **err)
{
    return place_each(context, build_place, after_jobs, err);
}

static int place_made(void *context, struct error **err)
{
    return place_each(context, build_place_made, true, err);
}

static int spread(struct global_options *g, const struct strlist *words,
                  const struct architectures *all, struct error **err)
{
    bool given = g->defaults.all[SETTING_OUTPUT].origin != SET_BY_DEFAULT;
    const char *output = given ? setting_text(g, SETTING_OUTPUT) : NULL;
    if (all->n > 1 && output && !strstr(output, "{arch}"))
        return usage_error(err, "spread",
                           "several architectures need a directory each: -o "
                           "DIR/{arch}");
    struct spread_context s = {
        .g = g,
        .words = words,
        .all = all,
        .output = output       ? output
                  : all->n > 1 ? "build/{arch}"
                               : "build",
    };
    const struct spread_request r = {.targets = words,
                                     .grain = grain_of(g),
                                     .keep_going = g->build.keep_going,
                                     .open = open_spread,
                                     .check_places = check_places,
                                     .place = place_all,
                                     .place_made = place_made,
                                     .context = &s};
    setenv("PUSH_TO_REGISTRY", "yes", 0);
    return spread_run(&r, err);
}

int verb_spread(struct global_options *g, struct strlist *words, struct error **err)
{
    struct architectures all = {0};
    if (!option_given(g, "--with"))
        return usage_error(err, "spread", "--with=slurm says which engine runs the jobs");
    int result = read_architectures(g, &all, err);
    if (!result)
        result = spread(g, words, &all, err);
    free(all.items);
    return result;
}
