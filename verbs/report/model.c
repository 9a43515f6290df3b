// SPDX-License-Identifier: Apache-2.0
// Reads the record of a run. It may have been changed, or be of another machine: every field is
// checked, and what a node needs comes before it, so that nothing here or in the drawing can run in
// a circle.
#include "report/internal.h"

#include "base/digest.h"
#include "store/store.h"

#include <string.h>

#define FORMAT "kbuild run 1"

const char *const fate_names[FATES] = {"made",        "pulled",  "found", "cached",    "failed",
                                       "interrupted", "skipped", "left",  "not needed"};

enum { TIME_MAX = 1 << 30 }; // milliseconds: 12 days

// ---- fields ----

long long report_integer(const json_t *object, const char *name)
{
    const long long value = json_integer_value(json_object_get(object, name));
    return value > 0 ? value : 0;
}

static long long time_field(const json_t *object, const char *name)
{
    const long long value = report_integer(object, name);
    return value < TIME_MAX ? value : TIME_MAX;
}

const char *report_string(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static const json_t *list_field(const json_t *object, const char *name)
{
    const json_t *list = json_object_get(object, name);
    return json_is_array(list) && json_array_size(list) ? list : NULL;
}

static int damaged(const char *name, const char *what, struct error **err)
{
    error_user(err, "%s is not the record of a run: %s", name, what);
    return error_hint(err, "build again, and it is written anew");
}

// ---- nodes ----

static bool read_fate(const json_t *item, struct report_node *node)
{
    const char *state = report_string(item, "state");
    for (size_t i = 0; state && i < FATES; i++)
        if (!strcmp(state, fate_names[i])) {
            node->fate = (enum node_fate)i;
            return true;
        }
    return false;
}

// Each lasts until the next one; the first begins with the process.
static void read_phases(const json_t *item, struct report_node *node)
{
    const json_t *list = list_field(item, "phases");
    node->phases = xcalloc(json_array_size(list) + 1, sizeof *node->phases);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *phase = json_array_get(list, i);
        const char *name = report_string(phase, "name");
        long long begin = time_field(phase, "begin_ms");
        const long long least = i ? node->phases[i - 1].begin_ms : node->begin_ms;
        begin = begin < least ? least : begin > node->end_ms ? node->end_ms : begin;
        if (i)
            node->phases[i - 1].end_ms = begin;
        node->phases[i] = (struct report_phase){name ? name : "", begin, node->end_ms};
    }
    node->phase_count = json_array_size(list);
}

static void read_process(const json_t *item, struct report_node *node)
{
    node->ran = json_is_integer(json_object_get(item, "begin_ms")) &&
                json_is_integer(json_object_get(item, "end_ms"));
    if (!node->ran)
        return;
    node->begin_ms = time_field(item, "begin_ms");
    node->end_ms = time_field(item, "end_ms");
    if (node->end_ms < node->begin_ms)
        node->end_ms = node->begin_ms;
    node->measured = json_is_integer(json_object_get(item, "cpu_ms"));
    node->cpu_ms = time_field(item, "cpu_ms");
    node->peak_kib = report_integer(item, "peak_kib");
    node->made_ms = time_field(json_object_get(item, "cost"), "ms");
    read_phases(item, node);
}

static int read_node(const json_t *item, struct report_node *node)
{
    *node = (struct report_node){.id = report_string(item, "node"),
                                 .kind = report_string(item, "kind"),
                                 .label = report_string(item, "label"),
                                 .arch = report_string(item, "arch"),
                                 .key = report_string(item, "key"),
                                 .recipe = report_string(item, "recipe"),
                                 .local = report_string(item, "local"),
                                 .log = report_string(item, "log"),
                                 .where = report_string(item, "where"),
                                 .why = report_string(item, "why"),
                                 .asked = json_is_true(json_object_get(item, "asked")),
                                 .placed = json_is_true(json_object_get(item, "placed")),
                                 .because = list_field(item, "because"),
                                 .change = list_field(item, "change"),
                                 .outputs = list_field(item, "outputs"),
                                 .before = list_field(item, "before"),
                                 .shown = true};
    if (!node->id || !node->kind || !node->label || !node->arch || !node->key ||
        !read_fate(item, node))
        return -1;
    read_process(item, node);
    return 0;
}

static void read_needs(const json_t *item, const json_t *places, size_t place,
                       struct report_run *run)
{
    struct report_node *node = &run->nodes[place];
    const json_t *list = json_object_get(item, "needs");
    node->needs = xcalloc(json_array_size(list) + 1, sizeof *node->needs);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *id = json_string_value(json_array_get(list, i));
        const json_t *at = id ? json_object_get(places, id) : NULL;
        if (!at || (size_t)json_integer_value(at) >= place)
            continue;
        const size_t need = (size_t)json_integer_value(at);
        node->needs[node->need_count++] = need;
        if (run->nodes[need].ran && run->nodes[need].end_ms > node->ready_ms)
            node->ready_ms = run->nodes[need].end_ms;
    }
}

static int read_nodes(const json_t *list, const json_t *places, const char *name,
                      struct report_run *run, struct error **err)
{
    run->nodes = xcalloc(json_array_size(list) + 1, sizeof *run->nodes);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (read_node(item, &run->nodes[run->n]) < 0)
            return damaged(name, "a node lacks a field", err);
        struct report_node *node = &run->nodes[run->n++];
        node->ready_ms = run->planned_ms;
        read_needs(item, places, i, run);
    }
    return 0;
}

static void read_chain(const json_t *list, const json_t *places, struct report_run *run)
{
    run->chain = xcalloc(json_array_size(list) + 1, sizeof *run->chain);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *id = json_string_value(json_array_get(list, i));
        const json_t *at = id ? json_object_get(places, id) : NULL;
        struct report_node *node = at ? &run->nodes[json_integer_value(at)] : NULL;
        if (!node || !node->ran || node->in_chain)
            continue;
        node->in_chain = true;
        run->chain[run->chain_count++] = (size_t)json_integer_value(at);
    }
}

static char *join_texts(const json_t *list)
{
    cleanup_strlist struct strlist words = {0};
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text)
            strlist_add(&words, text);
    }
    return strlist_join(&words, " ");
}

// Times beyond the end of the run would be drawn outside.
static void fit_times(struct report_run *run)
{
    for (size_t i = 0; i < run->n; i++)
        if (run->nodes[i].ran && run->nodes[i].end_ms > run->all_ms)
            run->all_ms = run->nodes[i].end_ms;
    if (run->made_ms > run->all_ms)
        run->made_ms = run->all_ms;
    if (run->planned_ms > run->made_ms)
        run->planned_ms = run->made_ms;
}

int report_run_read(const char *text, size_t length, const char *name, struct report_run *out,
                    struct error **err)
{
    json_error_t where;
    *out = (struct report_run){.json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where)};
    const char *format = report_string(out->json, "format");
    if (!out->json)
        return damaged(name, where.text, err);
    if (!format || strcmp(format, FORMAT) != 0)
        return damaged(name,
                       format ? "it has another format, of another version of kbuild"
                              : "it has no format",
                       err);
    out->verb = report_string(out->json, "verb");
    out->outcome = report_string(out->json, "outcome");
    out->version = report_string(out->json, "kbuild");
    out->error = report_string(out->json, "error");
    out->hint = report_string(out->json, "hint");
    out->began = report_integer(out->json, "began");
    out->planned_ms = time_field(out->json, "planned_ms");
    out->made_ms = time_field(out->json, "made_ms");
    out->all_ms = time_field(out->json, "ms");
    out->jobs = report_integer(out->json, "jobs");
    const json_t *nodes = json_object_get(out->json, "nodes");
    if (!out->verb || !out->outcome || !out->version || !json_is_array(nodes))
        return damaged(name, "a field is missing", err);
    json_auto_t *places = json_object();
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const char *id = report_string(json_array_get(nodes, i), "node");
        if (id && !json_object_get(places, id))
            json_object_set_new(places, id, json_integer((json_int_t)i));
    }
    if (read_nodes(nodes, places, name, out, err) < 0)
        return -1;
    read_chain(json_object_get(out->json, "chain"), places, out);
    out->targets = join_texts(json_object_get(out->json, "targets"));
    fit_times(out);
    return 0;
}

void report_run_free(struct report_run *run)
{
    for (size_t i = 0; i < run->n; i++) {
        free(run->nodes[i].needs);
        free(run->nodes[i].phases);
    }
    free(run->nodes);
    free(run->chain);
    free(run->targets);
    json_decref(run->json);
    *run = (struct report_run){0};
}

// ---- targets ----

static bool is_called(const struct report_node *node, const char *target)
{
    return !strcmp(node->id, target) || !strcmp(node->label, target) ||
           (node->recipe && !strcmp(node->recipe, target));
}

static int unknown_target(const struct report_run *run, const char *target, const char *name,
                          struct error **err)
{
    cleanup_strlist struct strlist names = {0};
    for (size_t i = 0; i < run->n; i++)
        if (run->nodes[i].recipe)
            strlist_add(&names, run->nodes[i].recipe);
    const char *nearest = nearest_name(target, &names);
    error_set(err, ERROR_USAGE, "the last run, which %s describes, had no target %s: it was of %s",
              name, target, run->targets);
    return nearest ? error_hint(err, "did you mean %s?", nearest)
                   : error_hint(err, "kbuild %s builds it; then there is a report", target);
}

int report_run_select(struct report_run *run, const struct strlist *targets, const char *name,
                      struct error **err)
{
    for (size_t i = 0; i < run->n && targets->n; i++)
        run->nodes[i].shown = false;
    for (size_t k = 0; k < targets->n; k++) {
        bool any = false;
        for (size_t i = 0; i < run->n; i++)
            if (is_called(&run->nodes[i], targets->items[k]))
                any = run->nodes[i].shown = true;
        if (!any)
            return unknown_target(run, targets->items[k], name, err);
    }
    for (size_t i = run->n; i-- > 0;)
        for (size_t k = 0; run->nodes[i].shown && k < run->nodes[i].need_count; k++)
            run->nodes[run->nodes[i].needs[k]].shown = true;
    if (targets->n) {
        free(run->targets);
        run->targets = strlist_join(targets, " ");
    }
    return 0;
}

size_t report_count(const struct report_run *run, enum node_fate fate)
{
    size_t n = 0;
    for (size_t i = 0; i < run->n; i++)
        n += run->nodes[i].shown && run->nodes[i].fate == fate;
    return n;
}

void report_run_costs(struct report_run *run, struct store *store)
{
    for (size_t i = 0; i < run->n; i++) {
        struct report_node *node = &run->nodes[i];
        json_auto_t *record = NULL;
        if (node->fate != FATE_CACHED || !node->shown || !digest_is_hex(node->key) ||
            store_action_get(store, node->key, &record, NULL) <= 0)
            continue;
        node->made_ms = time_field(json_object_get(record, "cost"), "ms");
    }
}
