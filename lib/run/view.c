// SPDX-License-Identifier: Apache-2.0
// What a run looks like: a live view on a terminal, plain lines in a pipe, one JSON event a line.
#include "run/internal.h"

#include "base/log.h"
#include "base/visible.h"
#include "run/live.h"

#include <string.h>
#include <time.h>

static struct {
    struct build *b;
    struct node **order;
    size_t count;
    enum view_style style;
    long long opened_ms, ticked_ms;
} view;

long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void format_time(long long ms, char out[static 40])
{
    if (ms < 10000)
        snprintf(out, 40, "%.1f s", (double)ms / 1000);
    else if (ms < 600000)
        snprintf(out, 40, "%lld s", ms / 1000);
    else
        snprintf(out, 40, "%lld min %02lld s", ms / 60000, ms / 1000 % 60);
}

static const char *arch_suffix(const struct node *node)
{
    return node_arch(node) ? node_arch(node)->name : "";
}

// "kernel x86_64"; a label like "rootfs NAME:x86_64" says the architecture itself.
static char *label_with_arch(const struct node *node)
{
    const char *label = node_label(node), *arch = arch_suffix(node);
    return *arch && !strchr(label, ':') ? xasprintf("%s %s", label, arch) : xstrdup(label);
}

// ---- the live part: one line a running step, below the lines that stay ----

struct counts {
    size_t cached, made, pulled, left, running;
};

static struct counts count_nodes(void)
{
    struct counts c = {0};
    for (size_t i = 0; i < view.count; i++) {
        const struct node *node = view.order[i];
        const struct job *job = job_of(node);
        bool pulled = job->pulled || job->prebuilt;
        if (!job->wanted && node->state != NODE_CACHED)
            continue;
        c.cached += node->state == NODE_CACHED && !job->absent;
        c.made += node->state == NODE_DONE && !pulled;
        c.pulled += node->state == NODE_DONE && pulled;
        c.left += job->wanted && (node->state == NODE_UNKNOWN || node->state == NODE_STALE);
        c.running += node->state == NODE_RUNNING;
    }
    return c;
}

static void draw_running(const struct counts *c)
{
    size_t shown = 0;
    for (size_t i = 0; i < view.count && shown < c->running; i++) {
        const struct job *job = job_of(view.order[i]);
        if (view.order[i]->state != NODE_RUNNING)
            continue;
        char took[40];
        format_time(now_ms() - job->started_ms, took);
        cleanup_free char *line =
            xasprintf("  %-34s %10s  %s", job->label, took, job->progress ? job->progress : "");
        if (!live_line(line, false))
            return; // the last line counts them all
        shown++;
    }
}

static void draw(void)
{
    if (view.style != VIEW_LIVE)
        return;
    live_erase();
    struct counts c = count_nodes();
    draw_running(&c);
    char total[40];
    format_time(now_ms() - view.opened_ms, total);
    cleanup_free char *shared = c.pulled ? xasprintf("%zu pulled, ", c.pulled) : xstrdup("");
    cleanup_free char *line = xasprintf("  %zu running, %zu cached, %s%zu made, %zu to go, %s",
                                        c.running, c.cached, shared, c.made, c.left, total);
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

void view_open(struct build *b, struct node **order, size_t count)
{
    view.b = b;
    view.order = order;
    view.count = count;
    view.style = b->options.view;
    if (view.style == VIEW_AUTO)
        view.style = live_terminal() ? VIEW_LIVE : VIEW_PLAIN;
    view.opened_ms = now_ms();
    log_redirect(log_line, NULL);
    for (size_t i = 0; i < count; i++)
        if (job_of(order[i])->wanted && order[i]->state == NODE_CACHED && !job_of(order[i])->absent)
            view_ended(order[i], NULL);
}

void view_started(const struct node *node)
{
    if (view.style == VIEW_JSON)
        event(node, "started", json_pack("{s:o}", "log", json_visible(job_of(node)->log_path)));
    else if (view.style == VIEW_PLAIN && !view.b->options.quiet)
        print_to(stderr, "kbuild: %s: started (log: %s)\n", node_label(node),
                 job_of(node)->log_path);
    draw();
}

void view_progress(const struct node *node)
{
    if (view.style == VIEW_JSON && job_of(node)->progress)
        event(node, "progress", json_pack("{s:o}", "text", json_visible(job_of(node)->progress)));
}

// The last lines of a failed step's log, which are the step's text.
static void show_log_tail(const struct job *job)
{
    cleanup_buf struct buf text = {0};
    steplog_tail(job, &text);
    if (!text.len)
        return;
    print_to(stderr, "---- the last lines of %s\n", job->log_path);
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

void view_ended(const struct node *node, const struct error *why)
{
    const struct job *job = job_of(node);
    bool cached = node->state == NODE_CACHED;
    char took[40];
    format_time(job->took_ms, took);
    if (view.style == VIEW_JSON) {
        event(node,
              why      ? "failed"
              : cached ? "cached"
                       : "done",
              why ? json_pack("{s:o, s:o*}", "error", json_visible(why->message), "hint",
                              json_visible(why->hint))
                  : json_pack("{s:s, s:o, s:I, s:I, s:b}", "key", node->key, "outputs",
                              outputs_json(node), "ms", (json_int_t)job->took_ms, "cpu_ms",
                              (json_int_t)job->cpu_ms, "shared", job->pulled));
        return;
    }
    live_erase();
    if (why) {
        print_to(stderr, "kbuild: %s: failed after %s\n", job->label, took);
        show_log_tail(job);
    } else if (!view.b->options.quiet && !cached) {
        cleanup_free char *label = label_with_arch(node);
        print_to(stderr, "kbuild: %s: %s in %s\n", label,
                 job->pulled ? "from the shared cache" : "done", took);
    } else if (!view.b->options.quiet && view.style == VIEW_PLAIN && job->placed) {
        print_to(stderr, "kbuild: %s: cached\n", job->label);
    }
    draw();
}

// ---- the end ----

// What became of a node, in the order of the summary.
enum outcome { MADE, PULLED, CACHED, FAILED, INTERRUPTED, SKIPPED, OUTCOMES };
static const char *const outcome_names[OUTCOMES] = {"made",   "pulled",      "cached",
                                                    "failed", "interrupted", "skipped"};

static enum outcome outcome_of(const struct node *node)
{
    const struct job *job = job_of(node);
    switch (node->state) {
    case NODE_DONE:
        return job->pulled || job->prebuilt ? PULLED : MADE;
    case NODE_CACHED:
        return job->absent ? OUTCOMES : CACHED;
    case NODE_FAILED:
        return job->interrupted ? INTERRUPTED : FAILED;
    case NODE_SKIPPED:
        return SKIPPED;
    default:
        return OUTCOMES; // not reached
    }
}

static int longest_first(const void *a, const void *b)
{
    long long one = job_of(*(struct node *const *)a)->took_ms;
    long long other = job_of(*(struct node *const *)b)->took_ms;
    return one < other ? 1 : one > other ? -1 : 0;
}

// The nodes of this outcome, the longest first; to be freed.
static struct node **nodes_of(enum outcome o, size_t *n)
{
    struct node **list = xcalloc(view.count + 1, sizeof(void *));
    *n = 0;
    for (size_t i = 0; i < view.count; i++)
        if (outcome_of(view.order[i]) == o)
            list[(*n)++] = view.order[i];
    if (o != CACHED && o != SKIPPED)
        qsort(list, *n, sizeof(void *), longest_first);
    return list;
}

enum { SUMMARY_NAMES = 8 }; // more of an outcome are counted

// "made kernel 1 min 58 s, source linux 12 s and 3 more".
static void print_outcome(enum outcome o, struct buf *counts)
{
    size_t n;
    cleanup_free struct node **list = nodes_of(o, &n);
    cleanup_buf struct buf names = {0};
    for (size_t i = 0; i < n && i < SUMMARY_NAMES; i++) {
        char took[40];
        format_time(job_of(list[i])->took_ms, took);
        bool timed = o != CACHED && o != SKIPPED;
        buf_print(&names, "%s%s%s%s", i ? ", " : "", node_label(list[i]), timed ? " " : "",
                  timed ? took : "");
    }
    if (n > SUMMARY_NAMES)
        buf_printf(&names, " and %zu more", n - SUMMARY_NAMES);
    if (n)
        print_to(stderr, "kbuild: %s: %s\n", outcome_names[o], names.data);
    if (n || o == MADE)
        buf_printf(counts, "%s%zu %s", counts->len ? ", " : "", n, outcome_names[o]);
}

static json_t *outcome_json(enum outcome o)
{
    size_t n;
    cleanup_free struct node **list = nodes_of(o, &n);
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct job *job = job_of(list[i]);
        json_t *one = json_pack("{s:s, s:s, s:s}", "node", list[i]->id, "kind",
                                node_kind_names[list[i]->kind], "label", node_label(list[i]));
        if (o != CACHED && o != SKIPPED)
            json_object_update_new(one, json_pack("{s:I, s:I}", "ms", (json_int_t)job->took_ms,
                                                  "cpu_ms", (json_int_t)job->cpu_ms));
        json_array_append_new(all, one);
    }
    return all;
}

static bool is_result(const struct node *node)
{
    return job_of(node)->placed && (node->state == NODE_DONE || node->state == NODE_CACHED);
}

static void summary_event(struct build *b, bool placed)
{
    json_t *e = json_pack("{s:I}", "ms", (json_int_t)(now_ms() - view.opened_ms));
    for (enum outcome o = 0; o < OUTCOMES; o++)
        json_object_set_new(e, outcome_names[o], outcome_json(o));
    json_t *results = json_array();
    for (size_t i = 0; i < view.count && placed; i++)
        for (size_t o = 0; is_result(view.order[i]) && o < view.order[i]->output_count; o++) {
            const struct node_output *output = &view.order[i]->outputs[o];
            cleanup_free char *path = xasprintf("%s/%s", b->options.output, output->name);
            json_array_append_new(results, json_pack("{s:o, s:s, s:I, s:s}", "path",
                                                     json_visible(path), "digest", output->digest,
                                                     "size", (json_int_t)output->size, "arch",
                                                     arch_suffix(view.order[i])));
        }
    json_object_set_new(e, "results", results);
    json_t *notes = json_array();
    for (size_t i = 0; i < b->notes.n; i++)
        json_array_append_new(notes, json_visible(b->notes.items[i]));
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
    for (size_t i = 0; i < view.count; i++) {
        const struct node *node = view.order[i];
        if (!is_result(node))
            continue;
        for (size_t o = 0; o < node->output_count; o++)
            print_result(b, node, &node->outputs[o]);
        if (job_of(node)->summary)
            print_to(stderr, "kbuild: %s: %s\n", job_of(node)->label, job_of(node)->summary);
    }
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
    cleanup_buf struct buf counts = {0};
    char total[40];
    for (enum outcome o = 0; o < OUTCOMES; o++)
        print_outcome(o, &counts);
    format_time(now_ms() - view.opened_ms, total);
    print_to(stderr, "kbuild: %s, in %s\n", counts.data, total);
    for (size_t i = 0; i < b->notes.n; i++)
        print_to(stderr, "kbuild: %s\n", b->notes.items[i]);
    if (placed)
        print_results(b);
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
    view.count = 0;
}
