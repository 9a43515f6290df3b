// SPDX-License-Identifier: Apache-2.0
// Sums up a run: what became of each node, how long it took, where the results are. As lines for
// people, as the last event of --json (docs/events.md), and as tables on the page of a GitHub
// Actions job.
#include "run/internal.h"

#include "base/ci_log.h"
#include "base/error.h"
#include "base/file.h"
#include "base/print.h"
#include "base/process.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *node_arch_name(const struct node *node)
{
    return node_arch(node) ? node_arch(node)->name : "";
}

bool task_was_taken(const struct task *t)
{
    return t->outcome.kind == OUTCOME_PULLED || job_of(t->node)->prebuilt;
}

// ---- what became of the nodes ----

// The result of a node, in the order of the summary.
enum ending { MADE, PULLED, CACHED, FAILED, INTERRUPTED, SKIPPED, ENDINGS };
static const char *const ending_names[ENDINGS] = {"made",   "pulled",      "cached",
                                                  "failed", "interrupted", "skipped"};

static enum ending ending_of(const struct task *t)
{
    switch (t->node->state) {
    case NODE_DONE:
        return task_was_taken(t) ? PULLED : MADE;
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

static const char *ending_name(enum ending e)
{
    return e < ENDINGS ? ending_names[e] : "";
}

// Whether the nodes have a time.
static bool is_timed(enum ending e)
{
    return e != CACHED && e != SKIPPED;
}

static int longest_first(const void *a, const void *b)
{
    const struct task *one = *(const struct task *const *)a;
    const struct task *other = *(const struct task *const *)b;
    return one->took_ms < other->took_ms ? 1 : one->took_ms > other->took_ms ? -1 : 0;
}

// The tasks with this ending, the longest first; to be freed.
static const struct task **tasks_of(const struct run_summary *sum, enum ending e, size_t *n)
{
    const struct task **list = xcalloc(sum->s->n + 1, sizeof(struct task *));
    *n = 0;
    for (size_t i = 0; i < sum->s->n; i++)
        if (ending_of(&sum->s->tasks[i]) == e)
            list[(*n)++] = &sum->s->tasks[i];
    if (is_timed(e))
        qsort(list, *n, sizeof(struct task *), longest_first);
    return list;
}

// The node, if its tarballs were requested and are in the store; else NULL.
static const struct node *result_at(const struct run_summary *sum, size_t i)
{
    const struct node *node = sum->s->tasks[i].node;
    return job_of(node)->placed && node_is_stored(node) ? node : NULL;
}

static const char *outcome_of(const struct run_summary *sum)
{
    return !sum->why ? "done" : sum->why->kind == ERROR_INTERRUPT ? "interrupted" : "failed";
}

// "3 made, 12 cached".
static void add_counts(const struct run_summary *sum, struct buf *out)
{
    for (enum ending e = 0; e < ENDINGS; e++) {
        size_t n;
        free(tasks_of(sum, e, &n));
        if (n || e == MADE)
            buf_printf(out, "%s%zu %s", e == MADE ? "" : ", ", n, ending_name(e));
    }
}

// ---- lines for people ----

enum { SUMMARY_NAMES = 8 }; // names shown of an ending; the rest is counted

// "made kernel 1 min 58 s, source linux 12 s and 3 more".
static void print_ending(const struct run_summary *sum, enum ending e)
{
    size_t n;
    cleanup_free const struct task **list = tasks_of(sum, e, &n);
    cleanup_buf struct buf names = {0};
    for (size_t i = 0; i < n && i < SUMMARY_NAMES; i++) {
        char took[40];
        format_time(list[i]->took_ms, took);
        buf_print(&names, "%s%s%s%s", i ? ", " : "", node_label(list[i]->node),
                  is_timed(e) ? " " : "", is_timed(e) ? took : "");
    }
    if (n > SUMMARY_NAMES)
        buf_printf(&names, " and %zu more", n - SUMMARY_NAMES);
    if (n)
        print_to(stderr, "kbuild: %s: %s\n", ending_name(e), names.data);
}

// The chain that decided when the run ended: "the longest chain took 4 min 50 s of 5 min 02 s:
// source linux 40 s, kernel 4 min 10 s". Of one node alone the list of nodes says as much: "".
static void add_chain(const struct run_summary *sum, struct buf *out)
{
    size_t n, shown = 0;
    cleanup_free const struct task **chain = last_run_chain(sum->s, &n);
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
    format_time(sum->ms, total);
    buf_print(out, "the longest chain took %s of %s: %s", took, total, names.data);
}

static void print_result(const struct run_summary *sum, const struct node *node,
                         const struct node_output *o)
{
    bool small = o->size < 1000000;
    print_to(stderr, "kbuild: %s/%s  %.1f %s  %s\n", sum->b->options.output, o->name,
             (double)o->size / (small ? 1e3 : 1e6), small ? "kB" : "MB", node_arch_name(node));
}

static void print_results(const struct run_summary *sum)
{
    for (size_t i = 0; i < sum->s->n; i++) {
        const struct node *node = result_at(sum, i);
        if (!node)
            continue;
        for (size_t o = 0; o < node->output_count; o++)
            print_result(sum, node, &node->outputs[o]);
        if (job_of(node)->summary)
            print_to(stderr, "kbuild: %s: %s\n", job_of(node)->label, job_of(node)->summary);
    }
}

static void print_counts(const struct run_summary *sum)
{
    cleanup_buf struct buf chain = {0}, counts = {0};
    char total[40];
    for (enum ending e = 0; e < ENDINGS; e++)
        print_ending(sum, e);
    add_chain(sum, &chain);
    if (chain.len)
        print_to(stderr, "kbuild: %s\n", chain.data);
    add_counts(sum, &counts);
    format_time(sum->ms, total);
    print_to(stderr, "kbuild: %s, in %s\n", counts.data, total);
}

void summary_print(const struct run_summary *sum)
{
    if (!sum->b->options.only_results)
        print_counts(sum);
    for (size_t i = 0; i < sum->b->run->notes.n; i++)
        print_to(stderr, "kbuild: %s\n", sum->b->run->notes.items[i]);
    if (sum->placed)
        print_results(sum);
}

// ---- the last event ----

static json_t *chain_json(const struct run_summary *sum)
{
    size_t n;
    cleanup_free const struct task **chain = last_run_chain(sum->s, &n);
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(all, json_pack("{s:s, s:s, s:I}", "node", chain[i]->node->id, "label",
                                             node_label(chain[i]->node), "ms",
                                             (json_int_t)chain[i]->took_ms));
    return all;
}

static json_t *ending_json(const struct run_summary *sum, enum ending e)
{
    size_t n;
    cleanup_free const struct task **list = tasks_of(sum, e, &n);
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct node *node = list[i]->node;
        json_t *one = json_pack("{s:s, s:s, s:s}", "node", node->id, "kind",
                                node_kind_names[node->kind], "label", node_label(node));
        if (is_timed(e))
            json_object_update_new(one, json_pack("{s:I, s:I}", "ms", (json_int_t)list[i]->took_ms,
                                                  "cpu_ms", (json_int_t)list[i]->cpu_ms));
        json_array_append_new(all, one);
    }
    return all;
}

static json_t *results_json(const struct run_summary *sum)
{
    json_t *results = json_array();
    for (size_t i = 0; i < sum->s->n && sum->placed; i++) {
        const struct node *node = result_at(sum, i);
        for (size_t o = 0; node && o < node->output_count; o++) {
            const struct node_output *output = &node->outputs[o];
            cleanup_free char *path = xasprintf("%s/%s", sum->b->options.output, output->name);
            json_array_append_new(results, json_pack("{s:o, s:s, s:I, s:s}", "path",
                                                     json_visible(path), "digest", output->digest,
                                                     "size", (json_int_t)output->size, "arch",
                                                     node_arch_name(node)));
        }
    }
    return results;
}

json_t *summary_json(const struct run_summary *sum)
{
    json_t *e = json_pack("{s:i, s:s, s:I}", "schema", EVENTS_SCHEMA, "outcome", outcome_of(sum),
                          "ms", (json_int_t)sum->ms);
    if (sum->why)
        json_object_update_new(e, json_pack("{s:o, s:o*}", "error", json_visible(sum->why->message),
                                            "hint", json_visible(sum->why->hint)));
    for (enum ending k = 0; k < ENDINGS; k++)
        json_object_set_new(e, ending_names[k], ending_json(sum, k));
    json_object_set_new(e, "chain", chain_json(sum));
    json_object_set_new(e, "results", results_json(sum));
    json_t *notes = json_array();
    for (size_t i = 0; i < sum->b->run->notes.n; i++)
        json_array_append_new(notes, json_visible(sum->b->run->notes.items[i]));
    json_object_set_new(e, "notes", notes);
    return e;
}

// ---- the page of a job ----

enum {
    ROWS_MAX = 100,            // of an ending; the rest is counted
    JOB_SUMMARY_MAX = 1 << 20, // bytes of the file; GitHub refuses a larger one whole
};

// Text that is no markup: whatever could be a part of Markdown or HTML becomes a reference to its
// character. A newline is a line break.
static void add_markdown(struct buf *out, const char *text)
{
    cleanup_buf struct buf shown = {0};
    visible_text(&shown, text, strlen(text), VISIBLE_LINE_MAX);
    for (const char *p = shown.data; *p; p++) {
        const bool within_word = *p == '_' && p > shown.data && isalnum((unsigned char)p[-1]) &&
                                 isalnum((unsigned char)p[1]);
        if (*p == '\n')
            buf_puts(out, "<br>");
        else if ((unsigned char)*p >= 0x80 || isalnum((unsigned char)*p) || within_word ||
                 strchr(" -./:,", *p))
            buf_add(out, p, 1);
        else
            buf_printf(out, "&#%d;", (unsigned char)*p);
    }
}

static void add_code(struct buf *out, const char *text)
{
    buf_puts(out, "<code>");
    add_markdown(out, text);
    buf_puts(out, "</code>");
}

static void add_time(struct buf *out, long long ms)
{
    char text[40];
    format_time(ms, text);
    buf_puts(out, text);
}

// A row for each node; those that took no time share one.
static void add_ending_rows(const struct run_summary *sum, enum ending e, struct buf *out)
{
    size_t n, shown = 0;
    cleanup_free const struct task **list = tasks_of(sum, e, &n);
    for (; shown < n && shown < (is_timed(e) ? ROWS_MAX : SUMMARY_NAMES); shown++) {
        if (is_timed(e) || !shown)
            buf_printf(out, "| %s | ", ending_name(e));
        else
            buf_puts(out, ", ");
        add_code(out, node_label(list[shown]->node));
        if (!is_timed(e))
            continue;
        buf_puts(out, " | ");
        add_time(out, list[shown]->took_ms);
        buf_puts(out, " | ");
        add_time(out, list[shown]->cpu_ms);
        buf_puts(out, " |\n");
    }
    if (shown < n && is_timed(e))
        buf_printf(out, "| %s | and %zu more | | |\n", ending_name(e), n - shown);
    else if (shown < n)
        buf_printf(out, " and %zu more", n - shown);
    if (n && !is_timed(e))
        buf_puts(out, " | | |\n");
}

static void add_result_rows(const struct run_summary *sum, struct buf *out)
{
    bool any = false;
    for (size_t i = 0; i < sum->s->n && sum->placed; i++) {
        const struct node *node = result_at(sum, i);
        for (size_t o = 0; node && o < node->output_count; o++) {
            const struct node_output *output = &node->outputs[o];
            cleanup_free char *path = xasprintf("%s/%s", sum->b->options.output, output->name);
            if (!any)
                buf_puts(out, "\n| result | architecture | bytes | SHA-256 |\n"
                              "| --- | --- | ---: | --- |\n");
            any = true;
            buf_puts(out, "| ");
            add_code(out, path);
            buf_printf(out, " | %s | %llu | ", node_arch_name(node),
                       (unsigned long long)output->size);
            add_code(out, output->digest);
            buf_puts(out, " |\n");
        }
    }
}

static void add_heading(const struct run_summary *sum, struct buf *out)
{
    cleanup_free char *targets = strlist_join(&sum->b->run->targets, " ");
    buf_puts(out, "### kbuild ");
    add_code(out, targets);
    buf_printf(out, ": %s%s", outcome_of(sum), sum->why ? " after " : " in ");
    add_time(out, sum->ms);
    buf_puts(out, "\n\n");
    if (sum->why) {
        add_code(out, sum->why->message);
        if (sum->why->hint) {
            buf_puts(out, "<br>");
            add_markdown(out, sum->why->hint);
        }
        buf_puts(out, "\n\n");
    }
}

static void add_nodes(const struct run_summary *sum, struct buf *out)
{
    cleanup_buf struct buf chain = {0};
    add_counts(sum, out);
    add_chain(sum, &chain);
    if (chain.len) {
        buf_puts(out, "; ");
        add_markdown(out, chain.data);
    }
    buf_puts(out, ".\n\n| | node | time | processor time |\n| --- | --- | ---: | ---: |\n");
    for (enum ending e = 0; e < ENDINGS; e++)
        add_ending_rows(sum, e, out);
}

void summary_markdown(const struct run_summary *sum, struct buf *out)
{
    if (!sum->b->options.only_results) {
        add_heading(sum, out);
        add_nodes(sum, out);
    }
    add_result_rows(sum, out);
    for (size_t i = 0; i < sum->b->run->notes.n && !sum->b->options.only_results; i++) {
        buf_puts(out, i ? "- " : "\n- ");
        add_markdown(out, sum->b->run->notes.items[i]);
        buf_puts(out, "\n");
    }
    buf_puts(out, "\n");
}

// Other steps, and other runs of this step, have written to it before.
static int append(const char *path, const struct buf *text, struct error **err)
{
    struct stat st;
    cleanup_close int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "opening %s", path);
    if (!S_ISREG(st.st_mode))
        return error_user(err, "%s is not a file", path);
    if (st.st_size + (off_t)text->len > JOB_SUMMARY_MAX)
        return error_user(err, "%s would have more than %d bytes, which GitHub refuses", path,
                          JOB_SUMMARY_MAX);
    if (fd_write_all(fd, path, text->data, text->len, err) == 0)
        return 0;
    // A part of a table would spoil what the next one writes.
    if (ftruncate(fd, st.st_size) < 0)
        log_warning("%s ends with a part of a summary: %s", path, strerror(errno));
    return -1;
}

void summary_for_job(const struct run_summary *sum)
{
    const char *path = getenv("GITHUB_STEP_SUMMARY");
    cleanup_buf struct buf text = {0};
    cleanup_error struct error *why = NULL;
    if (ci_log_runner() != CI_GITHUB || !path || !*path)
        return;
    summary_markdown(sum, &text);
    if (append(path, &text, &why) < 0)
        log_warning("the summary of the job (GITHUB_STEP_SUMMARY) lacks this run: %s",
                    why->message);
}
