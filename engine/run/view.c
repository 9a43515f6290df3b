// SPDX-License-Identifier: Apache-2.0
// Displays a run: a live view on a terminal, plain lines in a pipe, one JSON event a line.
#include "run/internal.h"

#include "base/error.h"
#include "base/print.h"
#include "base/process.h"

#include <string.h>
#include <time.h>

static struct {
    struct build *b;
    const struct schedule *s;
    enum view_style style;
    long long opened_ms, ticked_ms;
    long long left_ms; // the time that is left, as far as it is known; else 0
} view;

static const char *arch_suffix(const struct node *node)
{
    return node_arch(node) ? node_arch(node)->name : "";
}

// "kernel x86_64"; a label like "rootfs NAME:x86_64" already has the architecture.
static char *label_with_arch(const struct node *node)
{
    const char *label = node_label(node), *arch = arch_suffix(node);
    return *arch && !strchr(label, ':') ? xasprintf("%s %s", label, arch) : xstrdup(label);
}

// ---- the live part: one line a running step, below the permanent lines ----

struct counts {
    size_t cached, made, pulled, left, running;
};

static bool is_taken(const struct task *t)
{
    return t->outcome.kind == OUTCOME_PULLED || job_of(t->node)->prebuilt;
}

static struct counts count_nodes(void)
{
    struct counts c = {0};
    for (size_t i = 0; i < view.s->n; i++) {
        const struct task *t = &view.s->tasks[i];
        switch (t->node->state) {
        case NODE_CACHED:
            c.cached++;
            break;
        case NODE_DONE:
            c.pulled += t->wanted && is_taken(t);
            c.made += t->wanted && !is_taken(t);
            break;
        case NODE_RUNNING:
            c.running++;
            break;
        case NODE_UNKNOWN:
        case NODE_STALE:
        case NODE_LOST:
        case NODE_SHARED:
            c.left += t->wanted;
            break;
        default:
            break;
        }
    }
    return c;
}

static void draw_running(const struct counts *c)
{
    size_t shown = 0;
    for (size_t i = 0; i < view.s->n && shown < c->running; i++) {
        const struct task *t = &view.s->tasks[i];
        if (t->node->state != NODE_RUNNING)
            continue;
        char took[40];
        format_time(now_ms() - t->started_ms, took);
        cleanup_free char *line = xasprintf("  %-34s %10s  %s", node_label(t->node), took,
                                            t->progress ? t->progress : "");
        if (!live_line(line, false))
            return; // the last line counts them all
        shown++;
    }
}

static void draw(void)
{
    if (view.style != VIEW_LIVE || view.b->options.only_results)
        return;
    live_erase();
    struct counts c = count_nodes();
    draw_running(&c);
    char total[40];
    format_time(now_ms() - view.opened_ms, total);
    cleanup_free char *shared = c.pulled ? xasprintf("%zu pulled, ", c.pulled) : xstrdup("");
    char left[40] = "";
    if (view.left_ms)
        format_time(view.left_ms, left);
    cleanup_free char *line = xasprintf(
        "  %zu running, %zu cached, %s%zu made, %zu to go, %s%s%s%s", c.running, c.cached, shared,
        c.made, c.left, total, *left ? ", about " : "", left, *left ? " left" : "");
    live_line(line, true);
    fflush(stderr);
}

// ---- JSON ----

static void event(const struct node *node, const char *what, json_t *more)
{
    json_t *e = json_pack("{s:s}", "event", what);
    if (node)
        json_object_update_new(e,
                               json_pack("{s:s, s:s, s:s}", "node", node->id, "kind",
                                         node_kind_names[node->kind], "label", node_label(node)));
    if (more)
        json_object_update_new(e, more);
    print_json(stdout, e, JSON_COMPACT);
    json_decref(e);
    fflush(stdout);
}

static void log_line(enum log_level level, const char *line, void *context)
{
    if (view.style == VIEW_JSON) {
        event(NULL, level == LOG_WARNING ? "warning" : "note",
              json_pack("{s:o}", "text", json_visible(line)));
        return;
    }
    live_erase();
    log_print(level, line);
    draw();
}

// ---- called by the scheduler ----

void view_open(struct build *b, const struct schedule *schedule)
{
    view.b = b;
    view.s = schedule;
    view.style = b->options.view;
    if (view.style == VIEW_AUTO)
        view.style = live_terminal() ? VIEW_LIVE : VIEW_PLAIN;
    view.opened_ms = now_ms();
    log_redirect(log_line, NULL);
    for (size_t i = 0; i < schedule->n; i++)
        if (schedule->tasks[i].wanted && schedule->tasks[i].node->state == NODE_CACHED)
            view_ended(&schedule->tasks[i], NULL);
}

void view_started(const struct task *t)
{
    if (view.b->options.only_results)
        return;
    // On another machine it has no log here.
    const char *log = t->log.path;
    if (view.style == VIEW_JSON)
        event(t->node, "started",
              json_pack("{s:o*}", log ? "log" : "where", json_visible(log ? log : t->where)));
    else if (view.style == VIEW_PLAIN && !view.b->options.quiet)
        print_to(stderr, "kbuild: %s: started (%s%s)\n", node_label(t->node), log ? "log: " : "",
                 log           ? log
                 : t->progress ? t->progress
                               : "");
    draw();
}

void view_progress(const struct task *t)
{
    if (view.b->options.only_results)
        return;
    if (view.style == VIEW_JSON && t->progress)
        event(t->node, "progress", json_pack("{s:o}", "text", json_visible(t->progress)));
}

void view_waiting(const struct task *t)
{
    if (view.b->options.only_results)
        return;
    view_progress(t);
    if (view.style == VIEW_PLAIN && !view.b->options.quiet)
        print_to(stderr, "kbuild: %s: waiting for another kbuild, which makes it\n",
                 node_label(t->node));
}

// The last lines of a failed step's log, which are the step's own text.
static void show_log_tail(const struct task *t)
{
    cleanup_buf struct buf text = {0};
    steplog_tail(&t->log, &text);
    if (!text.len)
        return;
    print_to(stderr, "---- the last lines of %s\n", t->log.path);
    print_text(stderr, text.data, text.len);
    print_to(stderr, "----\n");
}

static json_t *outputs_json(const struct node *node)
{
    json_t *list = json_array();
    for (size_t i = 0; i < node->output_count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "name", node->outputs[i].name,
                                              "digest", node->outputs[i].digest, "size",
                                              (json_int_t)node->outputs[i].size));
    return list;
}

static void ended_event(const struct task *t, const struct error *why)
{
    const struct node *node = t->node;
    if (why)
        event(node, "failed",
              json_pack("{s:o, s:o*}", "error", json_visible(why->message), "hint",
                        json_visible(why->hint)));
    else
        event(node, node->state == NODE_CACHED ? "cached" : "done",
              json_pack("{s:s, s:o, s:I, s:I, s:b}", "key", node->key, "outputs",
                        outputs_json(node), "ms", (json_int_t)t->took_ms, "cpu_ms",
                        (json_int_t)t->cpu_ms, "shared", t->outcome.kind == OUTCOME_PULLED));
}

void view_ended(const struct task *t, const struct error *why)
{
    if (view.b->options.only_results && !why)
        return;
    const struct node *node = t->node;
    bool cached = node->state == NODE_CACHED;
    char took[40];
    format_time(t->took_ms, took);
    if (view.style == VIEW_JSON) {
        ended_event(t, why);
        return;
    }
    live_erase();
    if (why) {
        print_to(stderr, "kbuild: %s: failed after %s\n", node_label(node), took);
        show_log_tail(t);
    } else if (!view.b->options.quiet && !cached) {
        cleanup_free char *label = label_with_arch(node);
        print_to(stderr, "kbuild: %s: %s in %s\n", label,
                 t->outcome.kind == OUTCOME_PULLED ? "from the shared cache" : "done", took);
    } else if (!view.b->options.quiet && view.style == VIEW_PLAIN && job_of(node)->placed) {
        print_to(stderr, "kbuild: %s: cached\n", node_label(node));
    }
    draw();
}

// ---- the end ----

// The result of a node, in the order of the summary.
enum ending { MADE, PULLED, CACHED, FAILED, INTERRUPTED, SKIPPED, ENDINGS };
static const char *const ending_names[ENDINGS] = {"made",   "pulled",      "cached",
                                                  "failed", "interrupted", "skipped"};

static enum ending ending_of(const struct task *t)
{
    switch (t->node->state) {
    case NODE_DONE:
        return is_taken(t) ? PULLED : MADE;
    case NODE_CACHED:
        return CACHED;
    case NODE_FAILED:
        return FAILED;
    case NODE_INTERRUPTED:
        return INTERRUPTED;
    case NODE_SKIPPED:
        return SKIPPED;
    default:
        return ENDINGS; // not reached
    }
}

static int longest_first(const void *a, const void *b)
{
    const struct task *one = *(const struct task *const *)a;
    const struct task *other = *(const struct task *const *)b;
    return one->took_ms < other->took_ms ? 1 : one->took_ms > other->took_ms ? -1 : 0;
}

// The tasks with this ending, the longest first; to be freed.
static const struct task **tasks_of(enum ending e, size_t *n)
{
    const struct task **list = xcalloc(view.s->n + 1, sizeof(struct task *));
    *n = 0;
    for (size_t i = 0; i < view.s->n; i++)
        if (ending_of(&view.s->tasks[i]) == e)
            list[(*n)++] = &view.s->tasks[i];
    if (e != CACHED && e != SKIPPED)
        qsort(list, *n, sizeof(struct task *), longest_first);
    return list;
}

enum { SUMMARY_NAMES = 8 }; // names shown of an ending; the rest is counted

// "made kernel 1 min 58 s, source linux 12 s and 3 more".
static void print_ending(enum ending e, struct buf *counts)
{
    size_t n;
    cleanup_free const struct task **list = tasks_of(e, &n);
    cleanup_buf struct buf names = {0};
    for (size_t i = 0; i < n && i < SUMMARY_NAMES; i++) {
        char took[40];
        format_time(list[i]->took_ms, took);
        bool timed = e != CACHED && e != SKIPPED;
        buf_print(&names, "%s%s%s%s", i ? ", " : "", node_label(list[i]->node), timed ? " " : "",
                  timed ? took : "");
    }
    if (n > SUMMARY_NAMES)
        buf_printf(&names, " and %zu more", n - SUMMARY_NAMES);
    if (n)
        print_to(stderr, "kbuild: %s: %s\n", ending_names[e], names.data);
    if (n || e == MADE)
        buf_printf(counts, "%s%zu %s", counts->len ? ", " : "", n, ending_names[e]);
}

// The chain that decided when the run ended: "the longest chain took 4 min 50 s of 5 min 02 s:
// source linux 40 s, kernel 4 min 10 s". Of one node alone the line above says as much.
static void print_chain(void)
{
    size_t n, shown = 0;
    cleanup_free const struct task **chain = last_run_chain(view.s, &n);
    if (n < 2)
        return;
    const long long chain_ms =
        chain[n - 1]->started_ms + chain[n - 1]->took_ms - chain[0]->started_ms;
    cleanup_buf struct buf names = {0};
    char took[40], total[40];
    for (size_t i = 0; i < n && shown < SUMMARY_NAMES; i++) {
        if (n > SUMMARY_NAMES / 2 && chain[i]->took_ms < chain_ms / 50)
            continue; // the rest is counted
        format_time(chain[i]->took_ms, took);
        buf_print(&names, "%s%s %s", shown++ ? ", " : "", node_label(chain[i]->node), took);
    }
    if (shown < n)
        buf_printf(&names, " and %zu more", n - shown);
    format_time(chain_ms, took);
    format_time(now_ms() - view.opened_ms, total);
    print_to(stderr, "kbuild: the longest chain took %s of %s: %s\n", took, total, names.data);
}

static json_t *chain_json(void)
{
    size_t n;
    cleanup_free const struct task **chain = last_run_chain(view.s, &n);
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(all, json_pack("{s:s, s:s, s:I}", "node", chain[i]->node->id, "label",
                                             node_label(chain[i]->node), "ms",
                                             (json_int_t)chain[i]->took_ms));
    return all;
}

static json_t *ending_json(enum ending e)
{
    size_t n;
    cleanup_free const struct task **list = tasks_of(e, &n);
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct node *node = list[i]->node;
        json_t *one = json_pack("{s:s, s:s, s:s}", "node", node->id, "kind",
                                node_kind_names[node->kind], "label", node_label(node));
        if (e != CACHED && e != SKIPPED)
            json_object_update_new(one, json_pack("{s:I, s:I}", "ms", (json_int_t)list[i]->took_ms,
                                                  "cpu_ms", (json_int_t)list[i]->cpu_ms));
        json_array_append_new(all, one);
    }
    return all;
}

// The node, if its tarballs were requested and are in the store; else NULL.
static const struct node *result_at(size_t i)
{
    const struct node *node = view.s->tasks[i].node;
    return job_of(node)->placed && node_is_stored(node) ? node : NULL;
}

static void summary_event(struct build *b, bool placed)
{
    json_t *e = json_pack("{s:I}", "ms", (json_int_t)(now_ms() - view.opened_ms));
    for (enum ending k = 0; k < ENDINGS; k++)
        json_object_set_new(e, ending_names[k], ending_json(k));
    json_object_set_new(e, "chain", chain_json());
    json_t *results = json_array();
    for (size_t i = 0; i < view.s->n && placed; i++) {
        const struct node *node = result_at(i);
        for (size_t o = 0; node && o < node->output_count; o++) {
            const struct node_output *output = &node->outputs[o];
            cleanup_free char *path = xasprintf("%s/%s", b->options.output, output->name);
            json_array_append_new(results,
                                  json_pack("{s:o, s:s, s:I, s:s}", "path", json_visible(path),
                                            "digest", output->digest, "size",
                                            (json_int_t)output->size, "arch", arch_suffix(node)));
        }
    }
    json_object_set_new(e, "results", results);
    json_t *notes = json_array();
    for (size_t i = 0; i < b->run->notes.n; i++)
        json_array_append_new(notes, json_visible(b->run->notes.items[i]));
    json_object_set_new(e, "notes", notes);
    event(NULL, "summary", e);
}

static void print_result(const struct build *b, const struct node *node,
                         const struct node_output *o)
{
    bool small = o->size < 1000000;
    print_to(stderr, "kbuild: %s/%s  %.1f %s  %s\n", b->options.output, o->name,
             (double)o->size / (small ? 1e3 : 1e6), small ? "kB" : "MB", arch_suffix(node));
}

static void print_results(struct build *b)
{
    for (size_t i = 0; i < view.s->n; i++) {
        const struct node *node = result_at(i);
        if (!node)
            continue;
        for (size_t o = 0; o < node->output_count; o++)
            print_result(b, node, &node->outputs[o]);
        if (job_of(node)->summary)
            print_to(stderr, "kbuild: %s: %s\n", job_of(node)->label, job_of(node)->summary);
    }
}

static void print_counts(void)
{
    cleanup_buf struct buf counts = {0};
    char total[40];
    for (enum ending e = 0; e < ENDINGS; e++)
        print_ending(e, &counts);
    print_chain();
    format_time(now_ms() - view.opened_ms, total);
    print_to(stderr, "kbuild: %s, in %s\n", counts.data, total);
}

void view_summary(struct build *b, bool placed)
{
    if (view.style == VIEW_JSON) {
        summary_event(b, placed);
        return;
    }
    if (b->options.quiet)
        return;
    live_erase();
    if (!b->options.only_results)
        print_counts();
    for (size_t i = 0; i < b->run->notes.n; i++)
        print_to(stderr, "kbuild: %s\n", b->run->notes.items[i]);
    if (placed)
        print_results(b);
}

void view_estimate(long long left_ms)
{
    view.left_ms = left_ms;
}

void view_tick(void)
{
    long long now = now_ms();
    if (view.style != VIEW_LIVE || now - view.ticked_ms < 100)
        return;
    view.ticked_ms = now;
    draw();
}

void view_close(void)
{
    if (view.style == VIEW_LIVE)
        live_erase();
    log_redirect(NULL, NULL);
    view.s = NULL;
}
