// SPDX-License-Identifier: Apache-2.0
// Writes the plan as lines of JSON: its header, and the nodes that are left to make, with what a
// scheduler has to know of each. docs/plan.md.
#include "run/plan_file.h"

#include "base/error.h"
#include "base/print.h"
#include "run/internal.h"
#include "share/share.h"

#include <string.h>

static bool is_there(const struct node *node)
{
    return node->state == NODE_SHARED || node->state == NODE_CACHED || node_is_unshared(node);
}

// ---- querying the shared cache ----

int build_ask_shared(struct build *b, struct error **err)
{
    if (!b->remote || !b->remote->artefacts) {
        error_user(err, "a plan for several machines needs a registry, and none is named");
        return error_hint(err, "set ARTEFACT_REGISTRY and ARTEFACT_REPOSITORY");
    }
    if (!b->options.use_cache) {
        error_user(err, "USE_CACHE=no: a plan for several machines is what the registry lacks");
        return error_hint(err, "unset USE_CACHE");
    }
    b->options.remote = REMOTE_REQUIRE;
    b->shared_only = b->needs_remote = true;
    if (build_evaluate(b, false, err) < 0 || build_copy_folders(b, err) < 0)
        return -1;
    struct node **order = graph_order(&b->graph, err);
    int result = order ? remote_prefetch(b, order, b->graph.n, evaluate_node, err) : -1;
    free(order);
    return result;
}

static int failed_input_log(struct build *b, const struct node *node, struct pushed_log *out,
                            struct error **err)
{
    int found = 0;
    for (size_t i = 0; i < node->need_count && !found; i++) {
        const struct node *input = node->needs[i].node;
        if (input->kind == NODE_ARTIFACT || node_is_folder(input) || is_there(input))
            continue;
        found = *input->key ? remote_log_open(b, input, out, err) : 0;
        if (found > 0 && !out->failed) {
            pushed_log_close(out);
            found = 0;
        }
        if (!found)
            found = failed_input_log(b, input, out, err);
    }
    return found;
}

int build_remote_log(struct build *b, struct node *node, struct pushed_log *out, struct error **err)
{
    if (build_ask_shared(b, err) < 0)
        return -1;
    int found = *node->key ? remote_log_open(b, node, out, err) : 0;
    return found ? found : failed_input_log(b, node, out, err);
}

// ---- what the keys depend on ----

// The digest of a folder's listing (store.h).
static int digest_folder(const char *path, char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    cleanup_buf struct buf listing = {0};
    const struct tree_options o = {0};
    if (tree_list(path, &o, &listing, err) < 0)
        return -1;
    digest_bytes(listing.data, listing.len, digest);
    return 0;
}

// Of several directories: of what they are together, as a project has it.
static int digest_recipes(struct build *b, char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    const struct strlist *all = recipe_set_directories(b->recipes);
    if (all->n == 1)
        return digest_folder(all->items[0], digest, err);
    cleanup_free char *folder = store_temporary(b->store, "recipes", err);
    if (!folder)
        return -1;
    int result =
        recipe_set_copy(b->recipes, folder, err) < 0 ? -1 : digest_folder(folder, digest, err);
    remove_tree(folder, NULL);
    return result;
}

static void digest_lock(const struct build *b, char digest[static DIGEST_HEX_SIZE])
{
    cleanup_buf struct buf text = {0};
    lock_print(b->lock, &text);
    digest_bytes(text.data, text.len, digest);
}

static char *distribution_text(void)
{
    struct distribution d = {0};
    char *text = distribution_host(&d, NULL) == 0 ? xasprintf("%s %s", d.id, d.codename)
                                                  : xstrdup("unknown");
    distribution_free(&d);
    return text;
}

// What differs between machines and checkouts: name -> text.
json_t *plan_depends(struct build *b, struct error **err)
{
    char recipes[DIGEST_HEX_SIZE], versions[DIGEST_HEX_SIZE], lock[DIGEST_HEX_SIZE];
    if (digest_recipes(b, recipes, err) < 0 ||
        digest_file(b->versions->path, versions, NULL, err) < 0)
        return NULL;
    digest_lock(b, lock);
    cleanup_free char *distribution = distribution_text();
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "format", RUN_FORMAT, "codec",
                     plan_codec_version(b), "host", arch_host()->name, "distribution", distribution,
                     "recipes", recipes, "versions.yaml", versions, "versions.lock", lock);
}

// ---- the header ----

// The variable's value for other machines; NULL: it is not set, or secret.
static json_t *variable_json(const struct variable_value *v)
{
    const struct recipe_variable *declared = v->variable;
    const char *set = variable_value(declared->name);
    if (!set || !*set || declared->type == VARIABLE_SECRET ||
        (declared->type == VARIABLE_FILE && !v->files.n)) // a list of none
        return NULL;
    if (declared->type == VARIABLE_TEXT || declared->type == VARIABLE_YES_NO)
        return json_pack("{s:s}", "text", v->text);
    json_t *files = json_array();
    for (size_t i = 0; i < v->files.n; i++)
        json_array_append_new(files, json_pack("{s:s, s:s}", "path", v->files.items[i], "sha256",
                                               v->digests.items[i]));
    if (declared->type == VARIABLE_FILE)
        return json_pack("{s:s, s:s, s:o}", "type", "file", "text", v->text, "files", files);
    cleanup_free char *directory = path_absolute(v->text); // it may have no file to say where it is
    return json_pack("{s:s, s:s, s:o}", "type", "directory", "text", directory, "files", files);
}

static json_t *variables_json(const struct build *b)
{
    json_t *all = json_object();
    for (size_t i = 0; i < b->graph.n; i++) {
        const struct job *job = job_of(b->graph.nodes[i]);
        for (size_t k = 0; k < job->value_count; k++) {
            json_t *value = variable_json(&job->values[k]);
            if (value)
                json_object_set_new(all, job->values[k].variable->name, value);
        }
        // Upstream's variable that names an image to build in.
        cleanup_free char *image = job->image_name && job->recipe->builder
                                       ? builder_image_variable(job->recipe->builder)
                                       : NULL;
        const char *set = image ? variable_value(image) : NULL;
        if (set && *set)
            json_object_set_new(all, image, json_pack("{s:s}", "text", set));
    }
    return all;
}

// The choices for single sources, but for folders, which are in the project.
static json_t *choices_json(const struct build *b)
{
    const struct source_choices *c = b->options.choices;
    json_t *all = json_object();
    for (size_t i = 0; c && i < c->n; i++)
        if (c->items[i].origin != ORIGIN_FOLDER &&
            (!c->items[i].optional || strlist_has(&b->run->source_names, c->items[i].name)))
            json_object_set_new(
                all, c->items[i].name,
                json_string(c->items[i].origin == ORIGIN_DEBIAN ? "debian" : "upstream"));
    return all;
}

// Time, commit and state of the folders that are sources, which their copies in the project lack.
// NULL: there are none.
static json_t *folders_json(const struct build *b)
{
    json_t *all = json_object();
    for (size_t i = 0; i < b->graph.n; i++) {
        const struct node *node = b->graph.nodes[i];
        const struct source_pin *pin = &job_of(node)->pin;
        if (node_is_folder(node))
            json_object_set_new(all, node->name + strlen("source:"),
                                json_pack("{s:I, s:s*, s:b}", "time", (json_int_t)pin->time,
                                          "commit", pin->commit, "changed", pin->dirty));
    }
    if (json_object_size(all))
        return all;
    json_decref(all);
    return NULL;
}

// The keys whose signatures the planner trusts; NULL: results need no signature.
static json_t *keys_json(const struct build *b)
{
    cleanup_strlist struct strlist names = {0};
    if (!b->trusted)
        return NULL;
    trusted_keys_names(b->trusted, &names);
    json_t *keys = json_array();
    for (size_t i = 0; i < names.n; i++)
        json_array_append_new(keys, json_string(names.items[i]));
    return keys;
}

static json_t *make_header(struct build *b, const struct strlist *targets, enum plan_grain grain,
                           struct error **err)
{
    json_t *on = plan_depends(b, err);
    if (!on)
        return NULL;
    json_t *words = json_array();
    for (size_t i = 0; i < targets->n; i++)
        json_array_append_new(words, json_string(targets->items[i]));
    cleanup_free char *release = release_version(b->versions, b->recipes, NULL);
    return json_pack(
        "{s:i, s:s, s:o, s:s, s:o, s:s, s:s, s:o, s:s*, s:s*, s:o, s:{s:s*, s:s*}, s:o*, s:o*}",
        "plan", PLAN_VERSION, "kbuild", KBUILD_VERSION, "targets", words, "grain",
        plan_grains[grain], "depends", on, "sources", b->options.debian ? "debian" : "upstream",
        "builder", b->options.host_builder ? "host" : "image", "source", choices_json(b),
        "prebuilt", b->options.prebuilt, "release", release, "variables", variables_json(b),
        "registry", "artefacts", b->remote ? b->remote->artefacts : NULL, "builders",
        b->remote ? b->remote->builders : NULL, "folders", folders_json(b), "trusted_keys",
        keys_json(b));
}

// ---- the nodes ----

struct planned {
    struct build *b;
    struct schedule s;
    enum plan_grain grain;
    json_t *costs; // by id
    long long *path_ms;
};

// `unresolved`: the lock does not resolve an input that is made with the node.
static const char *plan_state(const struct node *node, bool unresolved)
{
    if (!node->identified || (unresolved && !is_there(node)))
        return "to resolve";
    return node_is_folder(node)     ? "project"
           : job_of(node)->prebuilt ? "prebuilt"
           : is_there(node)         ? "found"
                                    : "to make";
}

// A source is fetched, the packages of builders and root file systems are downloaded, an artifact
// that is taken comes from a registry, and what was fetched to check an input is fetched again.
static bool needs_network(const struct node *node)
{
    const struct job *job = job_of(node);
    if (node->kind == NODE_ARTIFACT)
        return job->prebuilt || job->fetched.n;
    return !node_is_folder(node);
}

// The architectures that a machine must have to make it; empty: any.
static void add_hosts(const struct node *node, json_t *out)
{
    bool source = node->kind == NODE_SOURCE && !job_of(node)->list;
    if (!source && !job_of(node)->prebuilt && json_array_size(out) == 0)
        json_array_append_new(out, json_string(arch_host()->name));
}

static void add_secrets(const struct node *node, json_t *out)
{
    const struct job *job = job_of(node);
    for (size_t i = 0; i < job->value_count; i++)
        if (job->values[i].variable->type == VARIABLE_SECRET && job->values[i].files.n)
            json_array_append_new(out, json_string(job->values[i].variable->name));
}

// The artifact through which `run` finds the node: the first that needs it.
static const struct node *artifact_for(const struct planned *p, const struct node *node)
{
    while (node->kind != NODE_ARTIFACT) {
        const struct task *t = schedule_task(&p->s, node);
        if (!t->dependant_count)
            return NULL;
        node = t->dependants[0]->node;
    }
    return node;
}

static void add_cost(json_t *sum, const json_t *cost)
{
    static const char *const parts[] = {"ms", "cpu_ms"};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        json_object_set_new(sum, parts[i],
                            json_integer(json_integer_value(json_object_get(sum, parts[i])) +
                                         json_integer_value(json_object_get(cost, parts[i]))));
    json_int_t a = json_integer_value(json_object_get(sum, "peak_kib"));
    json_int_t c = json_integer_value(json_object_get(cost, "peak_kib"));
    json_object_set_new(sum, "peak_kib", json_integer(a > c ? a : c));
}

// The needs of a job. As the grain says, inputs that are no artifacts are part of it.
struct job_needs {
    struct planned *p;
    json_t *seen; // ids of inputs
    json_t *needs, *build_on, *secrets, *cost;
    bool network, any_cost, unresolved;
};

static void gather(struct job_needs *g, const struct node *node, bool own)
{
    struct planned *p = g->p;
    bool inner = own || (p->grain == GRAIN_ARTIFACT && node->kind != NODE_ARTIFACT);
    if (!own && json_object_get(g->seen, node->id))
        return;
    json_object_set_new(g->seen, node->id, json_true());
    if (!inner)
        json_array_append_new(g->needs, json_string(node->id));
    if (!inner || (!own && is_there(node)))
        return;
    g->network |= needs_network(node);
    g->unresolved |= !node->identified;
    add_hosts(node, g->build_on);
    add_secrets(node, g->secrets);
    const json_t *cost = json_object_get(p->costs, node->id);
    if (cost) {
        add_cost(g->cost, cost);
        g->any_cost = true;
    }
    for (size_t i = 0; i < node->need_count; i++)
        if (node->needs[i].input)
            gather(g, node->needs[i].node, false);
}

static json_t *node_json(struct planned *p, const struct task *t)
{
    const struct node *node = t->node, *target = artifact_for(p, node);
    struct job_needs g = {.p = p,
                          .seen = json_object(),
                          .needs = json_array(),
                          .build_on = json_array(),
                          .secrets = json_array(),
                          .cost = json_object()};
    bool to_do = !is_there(node); // else it waits for nothing, and no job makes it
    if (to_do)
        gather(&g, node, true);
    json_decref(g.seen);
    const char *state = plan_state(node, g.unresolved);
    json_t *command = to_do ? json_pack("[s, s, s]", "kbuild", "run", node->id) : NULL;
    json_t *line = json_pack("{s:s, s:s, s:s, s:s, s:s*, s:s, s:o, s:o*, s:b, s:o, s:o, s:I, s:o*}",
                             "node", node->id, "kind", node_kind_names[node->kind], "label",
                             node_label(node), "arch", node_arch(node) ? node_arch(node)->name : "",
                             "target", target ? target->id : NULL, "state", state, "needs", g.needs,
                             "key", *node->key ? json_string(node->key) : NULL, "network",
                             g.network, "build_on", g.build_on, "secrets", g.secrets, "path_ms",
                             (json_int_t)p->path_ms[p->s.places[node->index]], "command", command);
    json_object_set_new(line, "resources", g.any_cost ? g.cost : json_null());
    if (!g.any_cost)
        json_decref(g.cost);
    return line;
}

// Is it a line of the plan: wanted, and to be made or an input of a node that is?
static bool is_planned(const struct planned *p, const struct task *t)
{
    if (!t->wanted || (p->grain == GRAIN_ARTIFACT && t->node->kind != NODE_ARTIFACT))
        return false;
    if (!is_there(t->node))
        return true;
    for (size_t i = 0; i < t->dependant_count; i++)
        if (t->dependants[i]->wanted && !is_there(t->dependants[i]->node))
            return true;
    return false;
}

enum { UNKNOWN_COST_MS = 1000 }; // so that a longer chain of unknown ones comes first

// The time from the beginning of a node to the end of all that needs it.
static void find_paths(struct planned *p)
{
    p->path_ms = xcalloc(p->s.n + 1, sizeof *p->path_ms);
    for (size_t i = p->s.n; i-- > 0;) {
        const struct task *t = &p->s.tasks[i];
        const json_t *cost = json_object_get(p->costs, t->node->id);
        long long own =
            cost ? 1 + json_integer_value(json_object_get(cost, "ms")) : UNKNOWN_COST_MS;
        long long after = 0;
        for (size_t k = 0; k < t->dependant_count; k++) {
            long long one = p->path_ms[p->s.places[t->dependants[k]->node->index]];
            after = t->dependants[k]->wanted && one > after ? one : after;
        }
        p->path_ms[i] = after + (t->wanted && !is_there(t->node) ? own : 0);
    }
}

static void find_costs(struct planned *p)
{
    p->costs = json_object();
    for (size_t i = 0; i < p->s.n; i++) {
        const struct task *t = &p->s.tasks[i];
        json_t *cost = t->wanted && !is_there(t->node) ? build_expected_cost(p->b, t->node) : NULL;
        if (cost)
            json_object_set_new(p->costs, t->node->id, cost);
    }
}

int plan_make(struct build *b, const struct strlist *targets, enum plan_grain grain,
              struct plan *out, struct error **err)
{
    struct planned p = {.b = b, .grain = grain};
    *out = (struct plan){0};
    if (schedule_open(&p.s, &b->graph, err) < 0)
        return -1;
    for (size_t i = 0; i < p.s.n; i++) {
        const struct job *job = job_of(p.s.tasks[i].node);
        p.s.tasks[i].root = job->placed || job->used;
    }
    schedule_want(&p.s);
    find_costs(&p);
    find_paths(&p);
    out->header = make_header(b, targets, grain, err);
    out->nodes = json_array();
    for (size_t i = 0; i < p.s.n && out->header; i++)
        if (is_planned(&p, &p.s.tasks[i]))
            json_array_append_new(out->nodes, node_json(&p, &p.s.tasks[i]));
    free(p.path_ms);
    json_decref(p.costs);
    schedule_close(&p.s);
    if (out->header)
        return 0;
    plan_free(out);
    return -1;
}

static void print_json_line(const json_t *line, struct buf *out)
{
    cleanup_free char *text = json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII);
    buf_printf(out, "%s\n", text ? text : "{}");
}

void plan_print(const struct plan *p, struct buf *out)
{
    print_json_line(p->header, out);
    for (size_t i = 0; i < json_array_size(p->nodes); i++)
        print_json_line(json_array_get(p->nodes, i), out);
}

char *plan_unresolved(const struct plan *p)
{
    const char *first = NULL;
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(p->nodes); i++) {
        const json_t *line = json_array_get(p->nodes, i);
        if (strcmp(json_string_value(json_object_get(line, "state")), "to resolve") != 0)
            continue;
        first = first ? first : json_string_value(json_object_get(line, "node"));
        n++;
    }
    return !n ? NULL : n == 1 ? xstrdup(first) : xasprintf("%s and %zu more", first, n - 1);
}

// ---- what only this machine has ----

int plan_publish(struct build *b, const struct plan *p, struct error **err)
{
    size_t n = 0, lines = json_array_size(p->nodes);
    cleanup_free struct node **nodes = xcalloc(lines + 1, sizeof(struct node *));
    int result = 0;
    b->shared_only = false;
    for (size_t i = 0; i < lines && !result; i++) {
        const char *id = json_string_value(json_object_get(json_array_get(p->nodes, i), "node"));
        struct node *node = id ? graph_find(&b->graph, id) : NULL;
        if (!node || node->state != NODE_LOST || node_is_folder(node))
            continue;
        result = evaluate_node(b, node, err);
        if (node_is_stored(node))
            nodes[n++] = node;
    }
    if (!result && n)
        result = remote_publish(b, nodes, n, err);
    b->shared_only = true;
    for (size_t i = 0; i < n && !result; i++) {
        job_of(nodes[i])->shared_queried = job_of(nodes[i])->unpushed; // else ask again
        result = evaluate_node(b, nodes[i], err);
    }
    return result < 0 ? -1 : (int)n;
}

// ---- what the registry lost ----

int plan_check_content(struct build *b, const struct plan *p, struct error **err)
{
    int lost = 0;
    for (size_t i = 0; i < json_array_size(p->nodes); i++) {
        const char *id = json_string_value(json_object_get(json_array_get(p->nodes, i), "node"));
        struct node *node = graph_find(&b->graph, id);
        int one = node ? forget_lost_content(b, node, err) : 0;
        if (one < 0)
            return -1;
        lost += one;
    }
    for (size_t i = 0; i < b->graph.n; i++) {
        int one =
            job_of(b->graph.nodes[i])->placed ? forget_lost_content(b, b->graph.nodes[i], err) : 0;
        if (one < 0)
            return -1;
        lost += one;
    }
    return lost;
}
