// SPDX-License-Identifier: Apache-2.0
// The verbs about targets: build, list, plan, explain, fetch, log, shell.
#include "kbuild.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

struct build *open_with_targets(struct global_options *g, const struct strlist *targets,
                                struct error **err)
{
    for (size_t i = 0; i < targets->n; i++) {
        if (targets->items[i][0] == '-') {
            error_set(err, ERROR_USAGE, "unknown option %s", targets->items[i]);
            error_hint(err, "`kbuild --help` lists the options");
            return NULL;
        }
    }
    struct build *b = build_open(&g->build, err);
    for (size_t i = 0; b && i < targets->n; i++) {
        if (build_add_targets(b, targets->items[i], NULL, err) < 0) {
            build_close(b);
            return NULL;
        }
    }
    return b;
}

static int need_targets(const char *verb, const struct strlist *words, bool one,
                        struct error **err)
{
    if (!words->n)
        return usage_error(err, verb, "name a target");
    if (one && words->n > 1)
        return usage_error(err, verb, "one target at a time");
    return 0;
}

// build and fetch: everything but the last call is the same.
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
    cleanup_strlist struct strlist storage = {0};
    const char *until = NULL;
    const struct verb_option options[] = {{"--until", NULL, &until, NULL, NULL}};
    if (parse_verb_options("build", words, options, ARRAY_LEN(options), &storage, err) < 0 ||
        need_targets("build", words, until != NULL, err) < 0)
        return -1;
    return until ? run_until(g, words, until, err) : run_targets(g, words, build_run, err);
}

int verb_fetch(struct global_options *g, struct strlist *words, struct error **err)
{
    if (need_targets("fetch", words, false, err) < 0)
        return -1;
    return run_targets(g, words, build_fetch, err);
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

static json_t *list_recipe(const struct recipe *r, struct buf *text)
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
    buf_printf(text, "%-30s %-32s %s\n", r->name, joined, r->description ? r->description : "");
    json_t *item = json_pack("{s:s, s:o, s:s}", "target", r->name, "architectures", architectures,
                             "description", r->description ? r->description : "");
    if (r->action == ACTION_GROUP)
        json_object_set_new(item, "members", list_members(r));
    return item;
}

int verb_list(struct global_options *g, struct strlist *words, struct error **err)
{
    if (words->n)
        return usage_error(err, "list", "it takes no words");
    struct recipe_set *set = recipe_set_open(g->build.recipes, err);
    if (!set)
        return -1;
    cleanup_strlist struct strlist names = {0};
    cleanup_buf struct buf text = {0};
    int result = recipe_names(set, &names, err);
    for (size_t i = 0; i < names.n && !result; i++) {
        const struct recipe *r = recipe_get(set, names.items[i], err);
        if (!r) {
            result = -1;
            break;
        }
        json_t *item = list_recipe(r, &text);
        if (g->json) {
            cleanup_free char *line = json_dumps(item, JSON_COMPACT);
            printf("%s\n", line);
        }
        json_decref(item);
    }
    if (!result && !g->json && text.data)
        fputs(text.data, stdout);
    recipe_set_free(set);
    return result;
}

static const char *state_word(const struct node *node)
{
    static const char *const words[] = {[NODE_UNKNOWN] = "to make", [NODE_CACHED] = "cached",
                                        [NODE_STALE] = "to make"};
    return node->identified ? words[node->state] : "to resolve";
}

int verb_plan(struct global_options *g, struct strlist *words, struct error **err)
{
    if (need_targets("plan", words, false, err) < 0)
        return -1;
    struct build *b = open_with_targets(g, words, err);
    struct node **order = NULL;
    if (b && build_evaluate(b, false, err) == 0)
        order = graph_order(build_graph(b), err);
    for (size_t i = 0; order && i < build_graph(b)->n; i++) {
        const struct node *node = order[i];
        const char *arch = node_arch(node) ? node_arch(node)->name : "";
        if (!g->json) {
            printf("%-10s %-9s %-40s %.12s\n", state_word(node), node_kind_names[node->kind],
                   node->name, node->key);
            continue;
        }
        json_t *needs = json_array();
        for (size_t k = 0; k < node->need_count; k++)
            json_array_append_new(needs, json_string(node->needs[k].node->name));
        json_t *item = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "node", node->name, "kind",
                                 node_kind_names[node->kind], "arch", arch, "state",
                                 state_word(node), "key", node->key, "needs", needs);
        cleanup_free char *line = json_dumps(item, JSON_COMPACT);
        json_decref(item);
        printf("%s\n", line);
    }
    int result = order ? 0 : -1;
    free(order);
    build_close(b);
    return result;
}

static void explain_change(struct build *b, const struct node *node)
{
    cleanup_free char *last = build_last_key_text(b, node);
    cleanup_buf struct buf change = {0};
    if (!last) {
        printf("# never built here\n");
        return;
    }
    if (!node->key_text)
        return;
    graph_explain_change(last, node->key_text, &change);
    if (change.len)
        printf("# changed since the last build:\n%s", change.data);
    else
        printf("# nothing changed since the last build\n");
}

static void explain_node(struct build *b, const struct node *node)
{
    if (node->key_text) {
        printf("%s# key %s, %s\n", node->key_text, node->key,
               node->state == NODE_CACHED ? "cached" : "not in the cache");
    } else {
        printf("# the key is not known before its inputs are made:\n%s",
               node->identity.data ? node->identity.data : "");
        for (size_t i = 0; i < node->need_count; i++)
            printf("# input %s: %s\n", node->needs[i].node->name, state_word(node->needs[i].node));
    }
    explain_change(b, node);
}

int verb_explain(struct global_options *g, struct strlist *words, struct error **err)
{
    if (need_targets("explain", words, true, err) < 0)
        return -1;
    struct build *b = build_open(&g->build, err);
    struct targets found = {0};
    int result = b ? build_add_targets(b, words->items[0], &found, err) : -1;
    if (!result)
        result = build_evaluate(b, false, err);
    for (size_t i = 0; i < found.n && !result; i++) {
        if (found.n > 1)
            printf("%s# %s stands for %s\n", i ? "\n" : "", words->items[0], found.nodes[i]->name);
        explain_node(b, found.nodes[i]);
    }
    free(found.nodes);
    build_close(b);
    return result;
}

int verb_log(struct global_options *g, struct strlist *words, struct error **err)
{
    if (need_targets("log", words, true, err) < 0)
        return -1;
    cleanup_free char *path = build_log_path(&g->build, words->items[0]);
    cleanup_fclose FILE *f = fopen(path, "re");
    if (!f) {
        cleanup_free char *logs = xasprintf("%s/logs", g->build.output);
        cleanup_strlist struct strlist names = {0};
        list_directory(logs, &names, NULL);
        cleanup_free char *all = strlist_join(&names, " ");
        error_errno(err, errno, "opening the log %s", path);
        return error_hint(err, names.n ? "there are: %s" : "nothing was built into %s yet",
                          names.n ? all : g->build.output);
    }
    char chunk[65536];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, f)))
        fwrite(chunk, 1, n, stdout);
    return 0;
}

int verb_shell(struct global_options *g, struct strlist *words, struct error **err)
{
    if (need_targets("shell", words, true, err) < 0)
        return -1;
    struct build *b = build_open(&g->build, err);
    struct node *node = b ? build_add_target(b, words->items[0], err) : NULL;
    int status = 0;
    int result = node && build_evaluate(b, true, err) == 0 ? build_shell(b, node, &status, err) : -1;
    build_close(b);
    return result < 0 ? -1 : status;
}
