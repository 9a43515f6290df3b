// SPDX-License-Identifier: Apache-2.0
// What a run leaves for `kbuild report`: <output>/run.json says of each node of the plan what
// became of it, when it ran, in which phases, what it used and why it was made (docs/report.md has
// the format). It is in no key, and nothing that a build does depends on it.
#include "run/internal.h"

#include "base/error.h"
#include "base/file.h"
#include "base/print.h"
#include "graph/reason.h"
#include "share/share.h"

#include <string.h>
#include <time.h>

enum { CHANGE_LINES = 200 }; // of one node

// ---- while it runs ----

// What the results were made of the last time says what a source of another version is compared
// with. That is still there when the source starts: a result is recorded after all that it needs.
static void read_roots(struct last_run *l)
{
    if (l->roots)
        return;
    l->roots = xcalloc(l->s->n + 1, sizeof *l->roots);
    for (size_t i = 0; i < l->s->n; i++) {
        const struct node *node = l->s->tasks[i].node;
        struct last_build *root = &l->roots[l->root_count];
        if (!job_of(node)->placed || !last_build_read(l->b, node, root))
            continue;
        json_decref(root->texts); // those of the need are read
        root->texts = NULL;
        l->root_count++;
    }
}

void last_run_open(struct build *b, struct last_run *l, const struct schedule *s, const char *verb)
{
    *l = (struct last_run){.b = b, .s = s, .verb = verb, .began_ms = now_ms()};
    l->starts = xcalloc(s->n + 1, sizeof *l->starts);
}

void last_run_close(struct last_run *l)
{
    for (size_t i = 0; i < l->s->n; i++) {
        free(l->starts[i].change);
        json_decref(l->starts[i].because);
        json_decref(l->starts[i].before);
    }
    for (size_t i = 0; i < l->root_count; i++)
        last_build_free(&l->roots[i]);
    free(l->roots);
    free(l->starts);
    *l = (struct last_run){0};
}

// Why a node is made, when it is neither known nor in the shared cache. The first that applies.
static const char *reason_of(struct build *b, const struct node *node, const char *last)
{
    if (node->state == NODE_SHARED)
        return NULL;
    if (node->state == NODE_LOST)
        return "lost";
    if (!last)
        return "first";
    if (!node->key_text || strcmp(last, node->key_text) != 0)
        return "changed";
    return b->options.use_cache ? "gone" : "asked";
}

// What it was the last time, by itself or as an input of a result.
static bool read_past(struct last_run *l, const struct node *node, struct last_build *out)
{
    bool found = last_build_read(l->b, node, out);
    if (!found)
        read_roots(l);
    for (size_t i = 0; i < l->root_count && !found; i++)
        found = last_build_read_need(l->b, &l->roots[i], node, out);
    return found;
}

// Files are compared now: when the run ends they may be others, and the texts of the last build are
// replaced by those of this one.
static void keep_change(struct last_run *l, const struct node *node, const struct last_build *past,
                        struct node_start *start)
{
    cleanup_buf struct buf change = {0};
    cleanup_reasons struct reasons reasons = {0};
    graph_explain_change(past->key_text, node->key_text, &change);
    reasons_find(l->b, node, past, &reasons);
    start->change = buf_take(&change);
    start->because = reasons_json(&reasons);
}

void last_run_starts(struct last_run *l, const struct task *t)
{
    struct node_start *start = &l->starts[t - l->s->tasks];
    const struct node *node = t->node;
    cleanup_last_build struct last_build past = {0};
    bool known = read_past(l, node, &past);
    free(start->change);
    json_decref(start->because);
    start->change = NULL;
    start->because = NULL;
    start->reason = reason_of(l->b, node, known ? past.key_text : NULL);
    if (start->reason && !strcmp(start->reason, "changed") && node->key_text)
        keep_change(l, node, &past, start);
    if (!start->before)
        start->before = build_last_outputs(l->b, node);
}

// ---- the chain of nodes that ended last ----

static bool has_run(const struct task *t)
{
    return t->started_ms && t->node->state != NODE_RUNNING;
}

static long long end_of(const struct task *t)
{
    return t->started_ms + t->took_ms;
}

static const struct task *later(const struct task *a, const struct task *b)
{
    return !has_run(b) || (a && end_of(a) >= end_of(b)) ? a : b;
}

const struct task **last_run_chain(const struct schedule *s, size_t *n)
{
    const struct task **chain = xcalloc(s->n + 1, sizeof(struct task *));
    const struct task *t = NULL;
    *n = 0;
    for (size_t i = 0; i < s->n; i++)
        t = later(t, &s->tasks[i]);
    while (t) {
        const struct node *node = t->node;
        chain[(*n)++] = t;
        t = NULL;
        for (size_t i = 0; i < node->need_count; i++)
            t = later(t, schedule_task(s, node->needs[i].node));
    }
    for (size_t i = 0; i < *n / 2; i++) {
        const struct task *first = chain[i];
        chain[i] = chain[*n - 1 - i];
        chain[*n - 1 - i] = first;
    }
    return chain;
}

// ---- slots ----

static int by_start(const void *a, const void *b)
{
    const struct task *x = *(const struct task *const *)a, *y = *(const struct task *const *)b;
    if (x->started_ms != y->started_ms)
        return x->started_ms < y->started_ms ? -1 : 1;
    return x < y ? -1 : x > y;
}

unsigned *last_run_slots(const struct schedule *s)
{
    unsigned *slots = xcalloc(s->n + 1, sizeof *slots), used = 0;
    cleanup_free const struct task **ran = xcalloc(s->n + 1, sizeof(struct task *));
    cleanup_free long long *free_at = xcalloc(s->n + 1, sizeof *free_at);
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (has_run(&s->tasks[i]))
            ran[n++] = &s->tasks[i];
    qsort(ran, n, sizeof(struct task *), by_start);
    for (size_t i = 0; i < n; i++) {
        unsigned slot = 0;
        while (slot < used && free_at[slot] > ran[i]->started_ms)
            slot++;
        used = slot == used ? used + 1 : used;
        free_at[slot] = end_of(ran[i]);
        slots[ran[i] - s->tasks] = slot;
    }
    return slots;
}

// ---- run.json ----

const char *last_run_state(const struct task *t)
{
    switch (t->node->state) {
    case NODE_CACHED:
        return "cached";
    case NODE_DONE:
        return job_of(t->node)->prebuilt || t->outcome.kind == OUTCOME_PULLED ? "pulled"
               : t->outcome.kind == OUTCOME_FOUND                             ? "found"
                                                                              : "made";
    case NODE_FAILED:
        return "failed";
    case NODE_INTERRUPTED:
        return "interrupted";
    case NODE_SKIPPED:
        return "skipped";
    default:
        return t->wanted ? "left" : "not needed";
    }
}

static json_t *phases_json(const struct last_run *l, const struct task *t)
{
    json_t *list = json_array();
    for (size_t i = 0; i < t->phase_count; i++)
        json_array_append_new(
            list, json_pack("{s:o, s:I}", "name", json_visible(t->phases[i].name), "begin_ms",
                            (json_int_t)(t->phases[i].began_ms - l->b->run->opened_ms)));
    return list;
}

static json_t *outputs_json(const struct node *node)
{
    json_t *list = json_array();
    for (size_t i = 0; i < node->output_count && node_is_known(node); i++) {
        const struct node_output *o = &node->outputs[i];
        if (!o->side)
            json_array_append_new(list,
                                  json_pack("{s:o, s:s, s:I}", "name", json_visible(o->name),
                                            "digest", o->digest, "size", (json_int_t)o->size));
    }
    return list;
}

static json_t *change_json(const char *change)
{
    json_t *list = json_array();
    for (const char *end; (end = strchr(change, '\n')); change = end + 1) {
        cleanup_buf struct buf line = {0};
        visible_line(&line, change, (size_t)(end - change), VISIBLE_LINE_MAX);
        if (json_array_size(list) == CHANGE_LINES) {
            json_array_append_new(list, json_string("..."));
            break;
        }
        json_array_append_new(list, json_string(line.data));
    }
    return list;
}

// Of a node that had a process.
static void add_process(const struct last_run *l, const struct task *t, unsigned slot, json_t *item)
{
    const struct node_start *start = &l->starts[t - l->s->tasks];
    const long long zero = l->b->run->opened_ms;
    json_object_update_new(item, json_pack("{s:I, s:I, s:i, s:o}", "begin_ms",
                                           (json_int_t)(t->started_ms - zero), "end_ms",
                                           (json_int_t)(end_of(t) - zero), "slot", (int)slot,
                                           "phases", phases_json(l, t)));
    if (t->node->state != NODE_INTERRUPTED) // what killed processes used is not known
        json_object_update_new(item, json_pack("{s:I, s:I}", "cpu_ms", (json_int_t)t->cpu_ms,
                                               "peak_kib", (json_int_t)t->peak_kib));
    if (start->where)
        json_object_set_new(item, "where", json_visible(start->where));
    if (t->log.path && t->log.placed)
        json_object_set_new(item, "log", json_visible(path_base(t->log.path)));
    if (start->reason && t->outcome.kind != OUTCOME_PULLED && t->outcome.kind != OUTCOME_FOUND)
        json_object_set_new(item, "why", json_string(start->reason));
    if (start->change)
        json_object_set_new(item, "change", change_json(start->change));
    if (json_array_size(start->because))
        json_object_set(item, "because", start->because);
    if (json_array_size(start->before))
        json_object_set(item, "before", start->before);
    // What making it took, wherever that was.
    json_t *cost = json_object_get(t->outcome.record, "cost");
    if (json_is_object(cost))
        json_object_set(item, "cost", cost);
}

static json_t *node_json(const struct last_run *l, const struct task *t, unsigned slot)
{
    const struct node *node = t->node;
    const struct job *job = job_of(node);
    const struct arch *arch = node_arch(node);
    json_t *needs = json_array();
    for (size_t i = 0; i < node->need_count; i++)
        json_array_append_new(needs, json_string(node->needs[i].node->id));
    json_t *item =
        json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:b, s:b, s:o, s:o}", "node", node->id, "kind",
                  node_kind_names[node->kind], "label", json_visible(node_label(node)), "arch",
                  arch ? arch->name : "", "state", last_run_state(t), "key", node->key, "asked",
                  job->asked, "placed", job->placed, "needs", needs, "outputs", outputs_json(node));
    if (node->kind == NODE_ARTIFACT && job->recipe)
        json_object_set_new(item, "recipe", json_string(job->recipe->name));
    cleanup_free char *local = node_local_text(node);
    if (local)
        json_object_set_new(item, "local", json_visible(local));
    if (has_run(t))
        add_process(l, t, slot, item);
    return item;
}

static json_t *chain_json(const struct schedule *s)
{
    size_t n;
    cleanup_free const struct task **chain = last_run_chain(s, &n);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(chain[i]->node->id));
    return list;
}

static json_t *run_json(const struct last_run *l, const struct error *why)
{
    const struct run_state *run = l->b->run;
    const long long now = now_ms(), zero = run->opened_ms;
    json_t *names = json_array(), *nodes = json_array();
    for (size_t i = 0; i < run->targets.n; i++)
        json_array_append_new(names, json_visible(run->targets.items[i]));
    cleanup_free unsigned *slots = last_run_slots(l->s);
    for (size_t i = 0; i < l->s->n; i++)
        json_array_append_new(nodes, node_json(l, &l->s->tasks[i], slots[i]));
    json_t *all = json_pack(
        "{s:s, s:s, s:s, s:o, s:s, s:I, s:I, s:I, s:I, s:i, s:o, s:o}", "format", LAST_RUN_FORMAT,
        "kbuild", KBUILD_VERSION, "verb", l->verb, "targets", names, "outcome",
        !why                           ? "done"
        : why->kind == ERROR_INTERRUPT ? "interrupted"
                                       : "failed",
        "began", (json_int_t)time(NULL) - (now - zero) / 1000, "planned_ms",
        (json_int_t)(l->began_ms - zero), "made_ms",
        (json_int_t)((l->made_ms ? l->made_ms : now) - zero), "ms", (json_int_t)(now - zero),
        "jobs", (int)l->b->options.jobs, "chain", chain_json(l->s), "nodes", nodes);
    if (why)
        json_object_update_new(all, json_pack("{s:o, s:o*}", "error", json_visible(why->message),
                                              "hint", json_visible(why->hint)));
    return all;
}

// ---- is the record of an earlier run the better one? ----

// After a run in which nothing ran, people still ask where the time of the build before went: its
// record stays if it has all nodes of this run, under the same keys, and succeeded.
static bool covers(const json_t *old, const struct schedule *s)
{
    const char *format = json_string_value(json_object_get(old, "format"));
    const char *outcome = json_string_value(json_object_get(old, "outcome"));
    const json_t *nodes = json_object_get(old, "nodes");
    if (!format || strcmp(format, LAST_RUN_FORMAT) != 0 || !outcome || strcmp(outcome, "done") != 0)
        return false;
    json_auto_t *keys = json_object();
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        const char *id = json_string_value(json_object_get(node, "node"));
        if (id)
            json_object_set(keys, id, json_object_get(node, "key"));
    }
    for (size_t i = 0; i < s->n; i++) {
        const struct node *node = s->tasks[i].node;
        const char *key = json_string_value(json_object_get(keys, node->id));
        if (!key || strcmp(key, node->key) != 0)
            return false;
    }
    return true;
}

static bool nothing_ran(const struct schedule *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (has_run(&s->tasks[i]))
            return false;
    return true;
}

static bool keeps_old(const struct last_run *l, int folder)
{
    cleanup_buf struct buf text = {0};
    if (!nothing_ran(l->s) ||
        file_read_at(folder, LAST_RUN_FILE, LAST_RUN_FILE, LAST_RUN_MAX, &text, NULL) < 0)
        return false;
    json_auto_t *old = json_loadb(text.data ? text.data : "", text.len, 0, NULL);
    return covers(old, l->s);
}

static int write_json(const struct build *b, int folder, const json_t *all, struct error **err)
{
    cleanup_free char *shown = xasprintf("%s/" LAST_RUN_FILE, b->options.output);
    cleanup_draft struct file_draft draft = FILE_DRAFT_NONE;
    char *text = json_dumps(all, JSON_INDENT(1) | JSON_ENSURE_ASCII);
    if (!text)
        out_of_memory();
    int result = file_draft_begin_at(&draft, folder, LAST_RUN_FILE, shown, err);
    if (!result)
        result = fd_write_all(draft.fd, shown, text, strlen(text), err);
    free(text);
    return result < 0 ? -1 : file_draft_commit_unsynced(&draft, 0644, err);
}

// ---- costs that other machines' records have ----

// Of the last run, if it made these nodes elsewhere.
static void add_costs(struct build *b, json_t *run)
{
    const json_t *nodes = json_object_get(run, "nodes");
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        json_t *item = json_array_get(nodes, i);
        const char *id = json_string_value(json_object_get(item, "node"));
        const char *state = json_string_value(json_object_get(item, "state"));
        struct node *node = id ? graph_find(&b->graph, id) : NULL;
        const struct entry *e = node ? job_of(node)->entry : NULL;
        json_auto_t *cost = e ? record_cost_of(e->record) : NULL;
        if (!cost || !state || strcmp(state, "made") != 0 || !json_object_get(item, "where"))
            continue;
        json_object_set(item, "cpu_ms", json_object_get(cost, "cpu_ms"));
        json_object_set(item, "peak_kib", json_object_get(cost, "peak_kib"));
        json_object_set(item, "cost", cost);
    }
}

static int rewrite_run(struct build *b, struct error **err)
{
    cleanup_buf struct buf text = {0};
    if (output_folder(b, err) < 0 ||
        file_read_at(b->run->output_fd, LAST_RUN_FILE, LAST_RUN_FILE, LAST_RUN_MAX, &text, err) < 0)
        return -1;
    json_auto_t *run = json_loadb(text.data ? text.data : "", text.len, 0, NULL);
    if (!run)
        return error_user(err, LAST_RUN_FILE " is damaged");
    add_costs(b, run);
    return write_json(b, b->run->output_fd, run, err);
}

void build_keep_costs(struct build *b)
{
    cleanup_error struct error *why = NULL;
    for (size_t i = 0; i < b->graph.n; i++) {
        const struct entry *e = job_of(b->graph.nodes[i])->entry;
        if (e)
            record_cost_elsewhere(b, b->graph.nodes[i], e->record);
    }
    if (rewrite_run(b, &why) < 0)
        log_warning("%s; kbuild report will not have what the jobs took", why->message);
}

// ---- after a run ----

void last_run_write(struct last_run *l, const struct error *why)
{
    cleanup_error struct error *failure = NULL;
    // `fetch` with nothing to do needs no output directory.
    int folder = l->b->run->output_open ? l->b->run->output_fd : -1;
    if (folder < 0 || keeps_old(l, folder))
        return;
    json_auto_t *all = run_json(l, why);
    if (write_json(l->b, folder, all, &failure) < 0)
        log_warning("%s; kbuild report will not have this run", failure->message);
}
