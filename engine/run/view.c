// SPDX-License-Identifier: Apache-2.0
// Displays a run: a live view on a terminal, plain lines in a pipe, one JSON event a line.
#include "run/internal.h"

#include "base/ci_log.h"
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

// "kernel x86_64"; a label like "rootfs NAME:x86_64" already has the architecture.
static char *label_with_arch(const struct node *node)
{
    const char *label = node_label(node), *arch = node_arch_name(node);
    return *arch && !strchr(label, ':') ? xasprintf("%s %s", label, arch) : xstrdup(label);
}

// ---- the live part: one line a running step, below the permanent lines ----

struct counts {
    size_t cached, made, pulled, left, running;
};

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
            // also what nothing wants any more, since what is made of it is there
            c.pulled += task_was_taken(t);
            c.made += !task_was_taken(t);
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

// The columns of the names: as the longest needs, if there is room for the time, too.
static int name_columns(void)
{
    const size_t least = 10, usual = 34, rest = sizeof "    123.4 min" + 2;
    size_t room = live_columns(), wanted = usual;
    for (size_t i = 0; i < view.s->n; i++)
        if (view.s->tasks[i].node->state == NODE_RUNNING &&
            strlen(node_label(view.s->tasks[i].node)) > wanted)
            wanted = strlen(node_label(view.s->tasks[i].node));
    if (wanted + rest > room)
        wanted = room > rest + least ? room - rest : least;
    return (int)wanted;
}

static void draw_running(const struct counts *c)
{
    const int width = name_columns();
    size_t shown = 0;
    for (size_t i = 0; i < view.s->n && shown < c->running; i++) {
        const struct task *t = &view.s->tasks[i];
        if (t->node->state != NODE_RUNNING)
            continue;
        char took[40];
        format_time(now_ms() - t->started_ms, took);
        cleanup_free char *line = xasprintf("  %-*.*s %10s  %s", width, width, node_label(t->node),
                                            took, t->progress ? t->progress : "");
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
        if (level == LOG_WARNING)
            ci_annotate_warning(line);
        event(NULL, level == LOG_WARNING ? "warning" : "note",
              json_pack("{s:o}", "text", json_visible(line)));
        return;
    }
    live_erase();
    log_print(level, line);
    draw();
}

// The first event.
static void run_event(const struct build *b)
{
    json_t *targets = json_array();
    for (size_t i = 0; i < b->run->targets.n; i++)
        json_array_append_new(targets, json_visible(b->run->targets.items[i]));
    event(NULL, "run",
          json_pack("{s:i, s:s, s:o}", "schema", EVENTS_SCHEMA, "kbuild", KBUILD_VERSION, "targets",
                    targets));
}

// ---- plain lines ----

// A line about a node. In the log of a CI's job these lines are a group.
__attribute__((format(printf, 1, 2))) static void node_line(const char *format, ...)
{
    cleanup_free char *targets = strlist_join(&view.b->run->targets, " ");
    cleanup_free char *title = xasprintf("kbuild %s", targets);
    ci_group_keep(title, false);
    va_list args;
    va_start(args, format);
    cleanup_free char *line = xvasprintf(format, args);
    va_end(args);
    print_to(stderr, "kbuild: %s\n", line);
}

// ---- called by the scheduler ----

void view_open(struct build *b, const struct schedule *schedule)
{
    view.b = b;
    view.s = schedule;
    view.style = b->options.view;
    if (view.style == VIEW_AUTO)
        view.style = live_terminal() ? VIEW_LIVE : VIEW_PLAIN;
    view.opened_ms = b->run->opened_ms; // planning is a part of the run, also in its report
    log_redirect(log_line, NULL);
    if (view.style == VIEW_JSON && !b->options.only_results)
        run_event(b);
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
    else if (view.style == VIEW_PLAIN && !view.b->options.quiet && t->pulled)
        node_line("%s: pulling", node_label(t->node));
    else if (view.style == VIEW_PLAIN && !view.b->options.quiet)
        node_line("%s: started (%s%s)", node_label(t->node), log ? "log: " : "",
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
        node_line("%s: waiting for another kbuild, which makes it", node_label(t->node));
}

enum { CI_LOG_MAX = 4 << 20 }; // bytes of a log in that of a CI's job

// Its path, or what it is, if it goes with the run.
static char *log_name(const struct task *t)
{
    return view.b->options.temporary_output ? xasprintf("the log of %s", node_label(t->node))
                                            : xstrdup(t->log.path);
}

// The machine of a CI's job is gone when somebody looks: there the whole log is kept, too, in a
// group.
static void show_whole_log(const struct task *t, size_t tail)
{
    cleanup_buf struct buf text = {0};
    if (ci_log_runner() == CI_NONE || view.b->options.quiet)
        return;
    bool whole = steplog_end_of(&t->log, CI_LOG_MAX, &text);
    if (text.len <= tail)
        return;
    cleanup_free char *name = log_name(t);
    cleanup_free char *title = xasprintf("%s of %s", whole ? "all" : "the end", name);
    ci_group_begin(title, true);
    print_text(stderr, text.data, text.len);
    ci_group_end();
}

// The last lines of a failed step's log, which are the step's own text.
static void show_log_tail(const struct task *t)
{
    cleanup_buf struct buf text = {0};
    steplog_tail(&t->log, &text);
    if (!text.len)
        return;
    show_whole_log(t, text.len);
    cleanup_free char *name = log_name(t);
    print_to(stderr, "---- the last lines of %s\n", name);
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
    const char *how = t->outcome.kind == OUTCOME_PULLED ? "from the shared cache" : "done";
    char took[40];
    format_time(t->took_ms, took);
    if (view.style == VIEW_JSON) {
        if (why)
            ci_annotate_error(why);
        ended_event(t, why);
        return;
    }
    live_erase();
    if (why) {
        ci_group_end();
        print_to(stderr, "kbuild: %s: failed after %s\n", node_label(node), took);
        show_log_tail(t);
        ci_annotate_error(why);
    } else if (!view.b->options.quiet && !cached) {
        cleanup_free char *label = label_with_arch(node);
        node_line("%s: %s in %s", label, how, took);
    } else if (!view.b->options.quiet && view.style == VIEW_PLAIN && job_of(node)->placed) {
        node_line("%s: cached", node_label(node));
    }
    draw();
}

// ---- the end ----

void view_summary(struct build *b, bool placed, const struct error *why)
{
    const struct run_summary sum = {
        .b = b, .s = view.s, .ms = now_ms() - view.opened_ms, .placed = placed, .why = why};
    ci_group_end();
    if (view.style == VIEW_JSON) {
        event(NULL, "summary", summary_json(&sum));
    } else if (!b->options.quiet) {
        live_erase();
        summary_print(&sum);
    }
    summary_for_job(&sum);
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
    ci_group_end();
    if (view.style == VIEW_LIVE)
        live_erase();
    log_redirect(NULL, NULL);
    view.s = NULL;
}
