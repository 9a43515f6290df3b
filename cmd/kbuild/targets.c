// SPDX-License-Identifier: Apache-2.0
// Implements the verbs about targets: build, list, plan, explain, why, new, fetch, update, lock,
// log, shell.
#include "kbuild.h"

#include "base/ci_log.h"
#include "base/error.h"
#include "graph/job.h"
#include "new/new.h"
#include "run/run.h"
#include "why/why.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

// Names of a target at upstream and in the output directory: "t-tarball",
// "build/kata-static-t.tar.xz".
static char *target_of_name(const char *word)
{
    static const char *const ends[] = {"-tarball", ".tar.xz", ".tar.zst", ".tar.gz", ".tar"};
    const char *base = path_base(word);
    if (starts_with(base, "kata-static-"))
        base += strlen("kata-static-");
    size_t n = strlen(base);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (ends_with(base, ends[i])) {
            n -= strlen(ends[i]);
            break;
        }
    return xstrndup(base, n);
}

static int unknown_target(struct recipe_set *set, const char *word, bool verb_too,
                          struct error **err)
{
    cleanup_free char *meant = target_of_name(word);
    cleanup_strlist struct strlist targets = {0}, names = {0};
    if (recipe_names(set, &targets, err) < 0)
        return -1;
    for (size_t i = 0; verb_too && i < verb_count; i++) {
        cleanup_free char *verb = xstrndup(verbs[i].name, strcspn(verbs[i].name, " "));
        strlist_add_once(&names, verb);
    }
    strlist_add_all(&names, &targets);
    const char *nearest = strlist_has(&targets, meant) ? meant : nearest_name(word, &names);
    bool is_verb = verb_find(word, NULL) || verb_is_group(word);
    cleanup_error struct error *why = NULL;
    recipe_get(set, word, &why); // also names the recipe with that output
    error_set(err, ERROR_USAGE, verb_too ? "unknown verb or target '%s'" : "unknown target '%s'",
              word);
    if (is_verb)
        return error_hint(err, "write a verb before the targets: kbuild %s ...", word);
    if (nearest)
        return error_hint(err, "did you mean %s? `kbuild list` shows all targets%s", nearest,
                          verb_too ? ", `kbuild help` the verbs" : "");
    return error_hint(err, "%s", why && why->hint ? why->hint : "`kbuild list` shows all targets");
}

int open_recipes(struct global_options *g, bool needed, struct recipe_set **out, struct error **err)
{
    bool must = needed || option_given(g, "--recipes");
    *out = recipe_set_open(&g->recipes, must ? err : NULL);
    return must && !*out ? -1 : 0;
}

int check_targets(struct global_options *g, const struct strlist *words, bool verbs_too,
                  struct error **err)
{
    struct recipe_set *set = recipe_set_open(&g->recipes, err);
    int result = set ? 0 : -1;
    for (size_t i = 0; i < words->n && !result; i++)
        if (!recipe_exists(set, words->items[i]))
            result = unknown_target(set, words->items[i], verbs_too && i == 0, err);
    recipe_set_free(set);
    return result;
}

// build and fetch: they differ only in the last call.
static int run_targets(struct global_options *g, struct strlist *words,
                       int (*what)(struct build *, struct error **), struct error **err)
{
    struct build *b = open_with_targets(g, words, err);
    if (!b)
        return -1;
    int result = build_evaluate(b, true, err) < 0 ? -1 : what(b, err);
    build_close(b);
    return result;
}

static int run_until(struct global_options *g, struct strlist *words, const char *phase,
                     struct error **err)
{
    struct build *b = build_open(&g->build, err);
    struct node *node = b ? build_add_target(b, words->items[0], err) : NULL;
    int result = node && build_evaluate(b, true, err) == 0 ? build_until(b, node, phase, err) : -1;
    build_close(b);
    return result;
}

int verb_build(struct global_options *g, struct strlist *words, struct error **err)
{
    const char *until = option_value(g, "--until");
    if (until && words->n > 1)
        return usage_error(err, "build", "--until works for one target at a time");
    if (until && option_given(g, "--trace"))
        return usage_error(err, "build", "--trace is of whole builds: leave out --until");
    g->build.trace = option_value(g, "--trace");
    return until ? run_until(g, words, until, err) : run_targets(g, words, build_run, err);
}

int verb_fetch(struct global_options *g, struct strlist *words, struct error **err)
{
    g->build.trace = option_value(g, "--trace");
    return run_targets(g, words, build_fetch, err);
}

// Unresolved packages are resolved, as in a build.
int verb_lock(struct global_options *g, struct strlist *words, struct error **err)
{
    struct build *b = open_for_several(g, words, err);
    int result = b && build_evaluate(b, true, err) == 0 ? build_lock(b, err) : -1;
    build_close(b);
    return result;
}

int verb_update(struct global_options *g, struct strlist *words, struct error **err)
{
    struct build *b = open_for_several(g, words, err);
    int result = b ? build_update(b, err) : -1;
    build_close(b);
    return result;
}

// {"x86_64": ["kernel", ["agent", "smoke-init"]]}: the inner lists are choices.
static json_t *list_members(const struct recipe *r)
{
    json_t *members = json_object();
    for (size_t i = 0; i < arch_count; i++) {
        json_t *list = json_array();
        for (size_t k = 0; k < r->members[i].count; k++) {
            const struct strlist *any = &r->members[i].list[k].any;
            json_t *choices = json_array();
            for (size_t n = 0; n < any->n; n++)
                json_array_append_new(choices, json_string(any->items[n]));
            json_array_append(list, any->n == 1 ? json_array_get(choices, 0) : choices);
            json_decref(choices);
        }
        if (r->architectures[i])
            json_object_set(members, arch_table[i].name, list);
        json_decref(list);
    }
    return members;
}

// The missing source of a recipe on one of its architectures, to be freed; NULL: none.
static char *missing_source(const struct recipes_view *v, const struct recipe *r,
                            const struct arch *arch)
{
    for (size_t i = 0; i < arch_count; i++) {
        char *source = r->architectures[i] && (!arch || arch == &arch_table[i])
                           ? recipe_missing_source(&v->selection, r, &arch_table[i])
                           : NULL;
        if (source)
            return source;
    }
    return NULL;
}

// Where a recipe is from, for people, if it is not of the first directory, which others add to.
static void print_recipe_origin(const struct recipe_set *set, const char *name, const char *path,
                                const char *replaces, struct buf *text)
{
    if (strcmp(recipe_set_origin(set, name), recipe_set_directories(set)->items[0]) != 0)
        buf_print(text, " [%s%s%s]", path, replaces ? " replaces " : "", replaces ? replaces : "");
}

static json_t *list_recipe(const struct recipe_set *set, const struct recipe *r, const char *lacks,
                           struct buf *text)
{
    cleanup_strlist struct strlist names = {0};
    json_t *architectures = json_array();
    for (size_t i = 0; i < arch_count; i++) {
        if (!r->architectures[i])
            continue;
        strlist_add(&names, arch_table[i].name);
        json_array_append_new(architectures, json_string(arch_table[i].name));
    }
    cleanup_free char *joined = strlist_join(&names, " ");
    cleanup_free char *path = xasprintf("%s/%s", recipe_set_origin(set, r->name), r->name);
    cleanup_free char *replaces = recipe_set_replaces(set, r->name);
    buf_print(text, "%-30s %-32s %s%s%s%s%s", r->name, joined, r->description ? r->description : "",
              r->action == ACTION_GROUP ? " [group]" : "", lacks ? " [no source " : "",
              lacks ? lacks : "", lacks ? "]" : "");
    print_recipe_origin(set, r->name, path, replaces, text);
    buf_print(text, "\n");
    json_t *item = json_pack("{s:s, s:o, s:s, s:s*, s:o, s:o*}", "target", r->name, "architectures",
                             architectures, "description", r->description ? r->description : "",
                             "lacks", lacks, "recipe", json_visible(path), "replaces",
                             replaces ? json_visible(replaces) : NULL);
    if (r->action == ACTION_GROUP)
        json_object_set_new(item, "members", list_members(r));
    return item;
}

int verb_list(struct global_options *g, struct strlist *words, struct error **err)
{
    const struct arch *arch = option_given(g, "--arch") ? g->build.arch : NULL;
    cleanup_recipes_view struct recipes_view v = {0};
    if (recipes_view_open(&g->build, &v, err) < 0 ||
        (!v.versions && command_line_reject(&g->line, BIT(COMMON_VERSIONS),
                                            "without --sources=debian or --source", err) < 0))
        return -1;
    cleanup_strlist struct strlist names = {0};
    cleanup_buf struct buf text = {0};
    int result = recipe_names(v.set, &names, err);
    bool listed = result == 0;
    for (size_t i = 0; i < names.n && listed; i++) {
        struct error *why = NULL;
        const struct recipe *r = recipe_get(v.set, names.items[i], &why);
        if (!r) { // the others are still shown
            if (*err)
                log_warning("%s", (*err)->message);
            error_free(*err);
            *err = why;
            result = -1;
            continue;
        }
        if (arch && !recipe_supports(r, arch))
            continue;
        cleanup_free char *lacks = missing_source(&v, r, arch);
        json_t *item = list_recipe(v.set, r, lacks, &text);
        if (g->json)
            print_json(stdout, item, JSON_COMPACT);
        json_decref(item);
    }
    if (listed && !g->json && text.data)
        output_write(stdout, text.data, text.len);
    return result;
}

static const char *state_word(const struct node *node)
{
    if (!node->identified)
        return "to resolve";
    if (node->state == NODE_LOST)
        return "lost"; // known by a record, but not in the store
    return node_is_stored(node) ? "cached" : "to make";
}

static void print_expected(const struct expected_time *e)
{
    char all[40], chain[40], likely[40];
    fflush(stdout); // it is the last line, also where both are one pipe
    if (!e->to_make) {
        print_to(stderr, "kbuild: nothing to do: all of it is cached\n");
        return;
    }
    format_time(e->all_ms, all);
    format_time(e->chain_ms, chain);
    format_time(e->likely_ms, likely);
    if (e->unknown == e->to_make)
        print_to(stderr,
                 "kbuild: %zu to make; none of it was made here before, so that the time it takes "
                 "is not known\n",
                 e->to_make);
    else if (e->unknown)
        print_to(stderr,
                 "kbuild: %zu to make; %zu of them %s not made here before, and how long is not "
                 "known; the others take about %s\n",
                 e->to_make, e->unknown, e->unknown > 1 ? "were" : "was", likely);
    else
        print_to(stderr,
                 "kbuild: %zu to make: about %s (the longest chain takes %s, all of it one after "
                 "the other %s)\n",
                 e->to_make, likely, chain, all);
}

int verb_plan(struct global_options *g, struct strlist *words, struct error **err)
{
    if (option_given(g, "--remote"))
        return plan_for_machines(g, words, err);
    static const char *const remote_only[] = {"--grain", "--format", "--push"};
    for (size_t i = 0; i < ARRAY_LEN(remote_only); i++)
        if (option_given(g, remote_only[i])) {
            cleanup_free char *why = xasprintf("%s works with --remote only", remote_only[i]);
            return usage_error(err, "plan", why);
        }
    struct build *b = open_for_several(g, words, err);
    struct node **order = NULL;
    if (b && build_evaluate(b, false, err) == 0)
        order = graph_order(build_graph(b), err);
    struct expected_time expected = {0};
    if (order)
        build_expected_time(b, order, &expected);
    for (size_t i = 0; order && i < build_graph(b)->n; i++) {
        const struct node *node = order[i];
        const char *arch = node_arch(node) ? node_arch(node)->name : "";
        cleanup_free char *local = node_local_text(node);
        json_auto_t *cost = build_expected_cost(b, node);
        if (!g->json) {
            char took[40] = "";
            if (cost && !node_is_stored(node))
                format_time(json_integer_value(json_object_get(cost, "ms")), took);
            print("%-10s %-9s %-40s %-12.12s%s%s%s%s\n", state_word(node),
                  node_kind_names[node->kind], node->id, node->key, *took ? "  about " : "", took,
                  local ? "  " : "", local ? local : "");
            continue;
        }
        json_t *needs = json_array();
        for (size_t k = 0; k < node->need_count; k++)
            json_array_append_new(needs, json_string(node->needs[k].node->id));
        json_t *item = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o*, s:O?}", "node", node->id,
                                 "kind", node_kind_names[node->kind], "arch", arch, "state",
                                 state_word(node), "key", node->key, "needs", needs, "local",
                                 local ? json_visible(local) : NULL, "resources", cost);
        print_json(stdout, item, JSON_COMPACT);
        json_decref(item);
    }
    if (order && !g->json)
        print_expected(&expected);
    int result = order ? 0 : -1;
    free(order);
    build_close(b);
    return result;
}

// First what changed, then the key.
static void explain_change(struct build *b, const struct node *node)
{
    cleanup_free char *last = build_last_key_text(b, node);
    cleanup_buf struct buf change = {0};
    cleanup_why struct why why = {0};
    why_of(b, node, &why);
    cleanup_free char *sentence = why_sentence(&why.nodes[0]);
    print("# %s\n", sentence);
    if (!last || !node->key_text)
        return;
    graph_explain_change(last, node->key_text, &change);
    print("# %s since the last build%s\n", change.len ? "changed" : "nothing changed",
          change.len ? ":" : "");
    if (change.len)
        print_text(stdout, change.data, change.len);
}

static void explain_node(struct build *b, const struct node *node)
{
    explain_change(b, node);
    print("#\n");
    if (node->key_text) {
        print_text(stdout, node->key_text, strlen(node->key_text));
        cleanup_free char *cost = build_cost_text(b, node);
        print("# key %s, %s\n", node->key, node_is_stored(node) ? "cached" : "not in the cache");
        if (cost)
            print("# making it took %s\n", cost);
    } else {
        print("# the key is not known before its inputs are made:\n");
        print_text(stdout, node->identity.data ? node->identity.data : "", node->identity.len);
        for (size_t i = 0; i < node->need_count; i++)
            print("# input %s: %s\n", node->needs[i].node->id, state_word(node->needs[i].node));
    }
    for (size_t i = 0; i < node->need_count; i++) {
        cleanup_free char *local = node_local_text(node->needs[i].node);
        if (local)
            print("# input %s is %s\n", node->needs[i].node->id, local);
    }
}

int verb_why(struct global_options *g, struct strlist *words, struct error **err)
{
    struct build *b = open_with_targets(g, words, err);
    int result = b ? build_evaluate(b, false, err) : -1;
    cleanup_why struct why why = {0};
    cleanup_buf struct buf text = {0};
    if (!result)
        why_find(b, &why);
    for (size_t i = 0; i < why.n && g->json; i++) {
        json_auto_t *item = why_json(&why.nodes[i]);
        print_json(stdout, item, JSON_COMPACT);
    }
    why_print(&why, &text);
    if (!g->json && text.data)
        output_write(stdout, text.data, text.len);
    why_free(&why);
    build_close(b);
    return result;
}

int verb_explain(struct global_options *g, struct strlist *words, struct error **err)
{
    struct build *b = build_open(&g->build, err);
    struct targets found = {0};
    int result = b ? build_add_targets(b, words->items[0], &found, err) : -1;
    if (!result)
        result = build_evaluate(b, false, err);
    for (size_t i = 0; i < found.n && !result; i++) {
        if (found.n > 1)
            print("%s# %s stands for %s\n", i ? "\n" : "", words->items[0], found.nodes[i]->name);
        explain_node(b, found.nodes[i]);
    }
    free(found.nodes);
    build_close(b);
    return result;
}

// With the directories, if they are those of the command line only.
static void note_how_to_build(struct global_options *g, const char *name)
{
    cleanup_strlist struct strlist words = {0}, directories = {0};
    option_values(g, "--recipes", &directories);
    strlist_add(&words, "kbuild");
    for (size_t i = 0; i < directories.n; i++)
        strlist_addf(&words, "--recipes %s", directories.items[i]);
    strlist_add(&words, name);
    cleanup_free char *command = strlist_join(&words, " ");
    log_note("`%s` builds it; docs/recipes.md has all keys", command);
}

// Those that `make install` wrote: the next installation removes whatever else is among them.
static int refuse_installed(const struct global_options *g, const char *recipes, struct error **err)
{
    const struct places *p = &g->defaults.places;
    cleanup_free char *installed = xasprintf("%s/recipes", p->project);
    if (!p->installed || strcmp(recipes, installed) != 0)
        return 0;
    error_user(err, "%s has the installed recipes, which the next installation replaces", recipes);
    return error_hint(err, "recipes of your own go into a directory of yours: --recipes default "
                           "--recipes DIR (docs/settings.md)");
}

int verb_new(struct global_options *g, struct strlist *words, struct error **err)
{
    struct new_request r = {.recipes = g->recipes.items[g->recipes.n - 1],
                            .name = words->items[0],
                            .like = option_value(g, "--like")};
    if (verb_find(r.name, NULL) || verb_is_group(r.name)) {
        error_set(err, ERROR_USAGE, "'%s' is a verb: `kbuild %s` would not build it", r.name,
                  r.name);
        return error_hint(err, "choose another name");
    }
    if (refuse_installed(g, r.recipes, err) < 0)
        return -1;
    cleanup_strlist struct strlist files = {0}, existing = {0};
    for (size_t i = 0; i < g->recipes.n; i++)
        if (i + 1 < g->recipes.n || path_exists(r.recipes))
            strlist_add(&existing, g->recipes.items[i]);
    if (existing.n && !(r.set = recipe_set_open(&existing, err)))
        return -1;
    int result = new_recipe(&r, &files, err);
    recipe_set_free(r.set);
    for (size_t i = 0; i < files.n; i++)
        print("%s\n", files.items[i]);
    fflush(stdout);
    if (!result)
        note_how_to_build(g, r.name);
    return result;
}

// Why there is no log: nothing was built yet, or the word is no target.
static int explain_missing_log(struct global_options *g, const char *word, const char *path,
                               int errnum, struct error **err)
{
    cleanup_free char *folder = xasprintf("%s/logs", g->build.output);
    cleanup_strlist struct strlist files = {0}, names = {0};
    list_directory(folder, &files, NULL);
    for (size_t i = 0; i < files.n; i++)
        strlist_addf(&names, "%.*s", (int)strcspn(files.items[i], "."), files.items[i]);
    cleanup_free char *all = strlist_join(&names, " ");
    struct recipe_set *set = recipe_set_open(&g->recipes, NULL);
    bool target = set && recipe_exists(set, word);
    if (set)
        recipe_names(set, &names, NULL);
    recipe_set_free(set);
    if (errnum != ENOENT || target) {
        error_errno(err, errnum, "opening the log %s", path);
        return error_hint(err, files.n ? "there are: %s" : "nothing was built in %s yet",
                          files.n ? all : g->build.output);
    }
    const char *nearest = nearest_name(word, &names);
    error_set(err, ERROR_USAGE, "there is no log of '%s' in %s, and no target of that name", word,
              folder);
    return nearest ? error_hint(err, "did you mean %s?", nearest)
                   : error_hint(err, files.n ? "there are: %s" : "nothing was built in %s yet",
                                files.n ? all : g->build.output);
}

// With --arch: an error if the log is known to be of another architecture.
static int check_log_arch(const struct global_options *g, const char *target, struct error **err)
{
    cleanup_output_targets struct output_targets all = {0};
    if (!g->build.arch || !option_given(g, "--arch"))
        return 0;
    if (output_targets_read(g->build.output, &all, err) < 0)
        return -1;
    for (size_t i = 0; i < all.n; i++)
        if (!strcmp(all.items[i].target, target) &&
            strcmp(all.items[i].arch, g->build.arch->name) != 0)
            return error_user(err, "the log of %s in %s is that of its build for %s", target,
                              g->build.output, all.items[i].arch);
    return 0;
}

int verb_log(struct global_options *g, struct strlist *words, struct error **err)
{
    cleanup_error struct error *why = NULL;
    if (option_given(g, "--remote"))
        return log_of_machines(g, words->items[0], err);
    if (option_given(g, "--plan"))
        return usage_error(err, "log", "--plan works with --remote only");
    if (check_log_arch(g, words->items[0], err) < 0)
        return -1;
    struct build *b = build_open(&g->build, err);
    if (!b)
        return -1;
    cleanup_close int fd = build_log_open(b, words->items[0], &why);
    build_close(b);
    if (fd < 0 && why->errnum == ENOENT) {
        cleanup_free char *path = build_log_path(&g->build, words->items[0]);
        return explain_missing_log(g, words->items[0], path, ENOENT, err);
    }
    if (fd < 0) {
        *err = steal(why);
        return -1;
    }
    cleanup_fclose FILE *f = fdopen(fd, "r");
    if (!f)
        out_of_memory();
    struct stat st;
    if (!fstat(fd, &st) && !st.st_size)
        log_note("it is empty: nothing was printed");
    steal_fd(&fd);
    print_stream(stdout, f);
    if (ferror(f))
        return error_errno(err, errno, "reading the log of %s", words->items[0]);
    return 0;
}

int verb_shell(struct global_options *g, struct strlist *words, struct error **err)
{
    struct build *b = build_open(&g->build, err);
    struct node *node = b ? build_add_target(b, words->items[0], err) : NULL;
    int status = 0;
    int result =
        node && build_evaluate(b, true, err) == 0 ? build_shell(b, node, &status, err) : -1;
    build_close(b);
    return result < 0 ? -1 : status;
}
