// SPDX-License-Identifier: Apache-2.0
// What a run looks like: a live view on a terminal, plain lines in a pipe, one JSON event a line.
#include "run/internal.h"

#include "base/log.h"
#include "base/visible.h"

#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

static struct {
    struct build *b;
    struct node **order;
    size_t count;
    enum view_style style;
    unsigned drawn; // lines of the live part on the screen
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
    return job_of(node)->target ? job_of(node)->target->name : "";
}

// ---- the live part: one line a running step, below the lines that stay ----

static void erase(void)
{
    for (; view.drawn; view.drawn--)
        fputs("\033[1A\033[2K", stderr);
}

static unsigned columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

static void draw(void)
{
    if (view.style != VIEW_LIVE)
        return;
    erase();
    unsigned width = columns();
    size_t cached = 0, done = 0, pulled = 0, left = 0;
    for (size_t i = 0; i < view.count; i++) {
        const struct node *node = view.order[i];
        const struct job *job = job_of(node);
        if (!job->wanted && node->state != NODE_CACHED)
            continue;
        cached += node->state == NODE_CACHED && !job->absent;
        done += node->state == NODE_DONE && !job->pulled;
        pulled += node->state == NODE_DONE && job->pulled;
        left += job->wanted && (node->state == NODE_UNKNOWN || node->state == NODE_STALE);
        if (node->state != NODE_RUNNING)
            continue;
        char took[40];
        format_time(now_ms() - job->started_ms, took);
        cleanup_free char *line =
            xasprintf("  %-34s %10s  %s", job->label, took, job->progress ? job->progress : "");
        fprintf(stderr, "%.*s\n", (int)width - 1, line);
        view.drawn++;
    }
    char total[40];
    format_time(now_ms() - view.opened_ms, total);
    cleanup_free char *shared = pulled ? xasprintf("%zu from the shared cache, ", pulled) : NULL;
    cleanup_free char *line = xasprintf("  %zu cached, %s%zu made, %zu to go, %s", cached,
                                        shared ? shared : "", done, left, total);
    fprintf(stderr, "%.*s\n", (int)width - 1, line);
    view.drawn++;
    fflush(stderr);
}

// ---- JSON ----

static void event(const struct node *node, const char *what, json_t *more)
{
    json_t *e = json_pack("{s:s}", "event", what);
    if (node)
        json_object_update_new(e,
                               json_pack("{s:s, s:s, s:s}", "node", node->name, "kind",
                                         node_kind_names[node->kind], "label", node_label(node)));
    if (more)
        json_object_update_new(e, more);
    char *line = json_dumps(e, JSON_COMPACT);
    json_decref(e);
    if (line)
        printf("%s\n", line);
    free(line);
    fflush(stdout);
}

static void log_line(enum log_level level, const char *line, void *context)
{
    if (view.style == VIEW_JSON) {
        event(NULL, level == LOG_WARNING ? "warning" : "note", json_pack("{s:s}", "text", line));
        return;
    }
    erase();
    fprintf(stderr, "kbuild: %s%s\n", level == LOG_WARNING ? "warning: " : "", line);
    draw();
}

// ---- called by the scheduler ----

void view_open(struct build *b, struct node **order, size_t count)
{
    view.b = b;
    view.order = order;
    view.count = count;
    view.style = b->options.view;
    if (view.style == VIEW_AUTO) {
        const char *term = getenv("TERM");
        view.style = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") ? VIEW_LIVE : VIEW_PLAIN;
    }
    view.drawn = 0;
    view.opened_ms = now_ms();
    log_redirect(log_line, NULL);
    for (size_t i = 0; i < count; i++)
        if (job_of(order[i])->wanted && order[i]->state == NODE_CACHED && !job_of(order[i])->absent)
            view_ended(order[i], NULL);
}

void view_started(const struct node *node)
{
    if (view.style == VIEW_JSON)
        event(node, "started", json_pack("{s:s}", "log", job_of(node)->log_path));
    else if (view.style == VIEW_PLAIN && !view.b->options.quiet)
        fprintf(stderr, "kbuild: %s: started (log: %s)\n", node_label(node),
                job_of(node)->log_path);
    draw();
}

void view_progress(const struct node *node)
{
    if (view.style == VIEW_JSON && job_of(node)->progress)
        event(node, "progress", json_pack("{s:s}", "text", job_of(node)->progress));
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
              why ? json_pack("{s:s, s:s*}", "error", why->message, "hint", why->hint)
                  : json_pack("{s:s, s:o, s:I, s:I, s:b}", "key", node->key, "outputs",
                              outputs_json(node), "ms", (json_int_t)job->took_ms, "cpu_ms",
                              (json_int_t)job->cpu_ms, "shared", job->pulled));
        return;
    }
    erase();
    if (why) {
        fprintf(stderr, "kbuild: %s: failed after %s\n", job->label, took);
        show_log_tail(job);
    } else if (!view.b->options.quiet && !cached) {
        fprintf(stderr, "kbuild: %s%s%s: %s in %s\n", job->label, *arch_suffix(node) ? " " : "",
                arch_suffix(node), job->pulled ? "from the shared cache" : "done", took);
    } else if (!view.b->options.quiet && view.style == VIEW_PLAIN && job->placed) {
        fprintf(stderr, "kbuild: %s: cached\n", job->label);
    }
    draw();
}

void view_summary(struct build *b)
{
    if (view.style == VIEW_JSON || b->options.quiet)
        return;
    erase();
    for (size_t i = 0; i < view.count; i++) {
        const struct node *node = view.order[i];
        if (!job_of(node)->placed || (node->state != NODE_DONE && node->state != NODE_CACHED))
            continue;
        for (size_t o = 0; o < node->output_count; o++)
            fprintf(stderr, "kbuild: %s/%s  %.1f MB  %s\n", b->options.output,
                    node->outputs[o].name, (double)node->outputs[o].size / 1e6, arch_suffix(node));
        if (job_of(node)->summary)
            fprintf(stderr, "kbuild: %s: %s\n", job_of(node)->label, job_of(node)->summary);
    }
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
        erase();
    log_redirect(NULL, NULL);
    view.count = 0;
}
