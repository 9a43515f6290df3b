// SPDX-License-Identifier: Apache-2.0
// Submits the jobs of a plan to an engine, the longest path first, and at any time only a limited
// number of them; polls their states until all have ended; and shows them.
#include "run/follow.h"

#include "base/error.h"
#include "base/process.h"
#include "run/internal.h"

#include <signal.h>
#include <string.h>

struct follow {
    struct build *b;
    struct schedule s; // for the view
    const struct engine *e;
    const struct follow_limits *limits;
    struct job_elsewhere *jobs; // in the order of submission
    size_t n;
    size_t next;                   // the first that was not submitted
    long long began_ms, active_ms; // when a job ran, the last time
    bool said_idle;
    bool stopping, interrupted;
    bool cancelled; // all jobs, after an interrupt
    struct strlist *failed;
    struct error *failure;
};

// ---- the jobs of a plan ----

static int longest_first(const void *a, const void *b)
{
    const struct job_elsewhere *x = a, *y = b;
    if (x->path_ms != y->path_ms)
        return x->path_ms < y->path_ms ? 1 : -1;
    return x->place < y->place ? -1 : 1;
}

static bool is_job(const json_t *line)
{
    return json_is_array(json_object_get(line, "command"));
}

static const char *id_of(const json_t *line)
{
    return json_string_value(json_object_get(line, "node"));
}

static int add_jobs(struct follow *f, const struct plan *p, struct error **err)
{
    size_t lines = json_array_size(p->nodes);
    f->jobs = xcalloc(lines + 1, sizeof *f->jobs);
    for (size_t i = 0; i < lines; i++) {
        const json_t *line = json_array_get(p->nodes, i);
        if (!is_job(line))
            continue;
        struct node *node = graph_find(&f->b->graph, id_of(line));
        if (!node)
            return error_user(err, "the plan has the node %s, and this project does not",
                              id_of(line));
        f->jobs[f->n++] =
            (struct job_elsewhere){.line = line,
                                   .node = node,
                                   .place = i,
                                   .status = -1,
                                   .path_ms = json_integer_value(json_object_get(line, "path_ms"))};
    }
    // A path is at least that of what follows, and the plan has needs first: so they stay first.
    qsort(f->jobs, f->n, sizeof *f->jobs, longest_first);
    return 0;
}

// By the index of a node in the graph: its job, or NULL.
static struct job_elsewhere **jobs_by_node(const struct follow *f)
{
    struct job_elsewhere **of = xcalloc(f->b->graph.n + 1, sizeof(struct job_elsewhere *));
    for (size_t i = 0; i < f->n; i++)
        of[f->jobs[i].node->index] = &f->jobs[i];
    return of;
}

static void connect_jobs(struct follow *f)
{
    cleanup_free struct job_elsewhere **of = jobs_by_node(f);
    for (size_t i = 0; i < f->n; i++) {
        struct job_elsewhere *j = &f->jobs[i];
        const json_t *needs = json_object_get(j->line, "needs");
        j->needs = xcalloc(json_array_size(needs) + 1, sizeof(struct job_elsewhere *));
        for (size_t k = 0; k < json_array_size(needs); k++) {
            const char *id = json_string_value(json_array_get(needs, k));
            const struct node *node = id ? graph_find(&f->b->graph, id) : NULL;
            if (node && of[node->index])
                j->needs[j->need_count++] = of[node->index];
        }
    }
}

// The view counts what the plan has: jobs, and what is there already.
static int open_tasks(struct follow *f, const struct plan *p, struct error **err)
{
    if (schedule_open(&f->s, &f->b->graph, err) < 0)
        return -1;
    for (size_t i = 0; i < json_array_size(p->nodes); i++) {
        const json_t *line = json_array_get(p->nodes, i);
        struct node *node = graph_find(&f->b->graph, id_of(line));
        if (!node)
            continue;
        schedule_task(&f->s, node)->wanted = true;
        node->state = is_job(line) ? NODE_STALE : NODE_CACHED;
    }
    return 0;
}

// ---- states ----

static struct task *task_of(const struct follow *f, const struct job_elsewhere *j)
{
    return schedule_task(&f->s, j->node);
}

static bool has_ended(const struct job_elsewhere *j)
{
    return j->state == JOB_DONE || j->state == JOB_FAILED || j->state == JOB_CANCELLED;
}

// A need that can't be made any more.
static bool is_lost(const struct job_elsewhere *j)
{
    for (size_t i = 0; i < j->need_count; i++)
        if (j->needs[i]->state == JOB_FAILED || j->needs[i]->state == JOB_CANCELLED)
            return true;
    return false;
}

static void began(struct follow *f, struct job_elsewhere *j)
{
    struct task *t = task_of(f, j);
    json_int_t ms =
        json_integer_value(json_object_get(json_object_get(j->line, "resources"), "ms"));
    t->started_ms = now_ms();
    free(t->where);
    t->where = xstrdup(j->where ? j->where : "?");
    free(t->progress);
    t->progress = ms ? xasprintf("on %s, %.0f s the last time", t->where, (double)ms / 1e3)
                     : xasprintf("on %s", t->where);
    j->node->state = NODE_RUNNING;
    view_started(t);
}

// A status that `kbuild run` does not have is of a machine that could not start it: 127.
static enum error_kind kind_of(int status)
{
    return status == ERROR_STEP || status == ERROR_USAGE ? (enum error_kind)status : ERROR_USER;
}

static struct error *why_failed(const struct follow *f, const struct job_elsewhere *j)
{
    struct error *err = NULL;
    const char *where = j->where && *j->where ? j->where : "no machine";
    const char *said = j->said && *j->said ? j->said : NULL;
    if (j->status == ERROR_AGAIN)
        error_set(&err, ERROR_AGAIN, "%s could not be made on %s%s%s", j->node->id, where,
                  said ? ": " : "", said ? said : "");
    else if (j->status > 0)
        error_set(&err, kind_of(j->status), "%s failed on %s with status %d%s%s", j->node->id,
                  where, j->status, said ? ": " : "", said ? said : "");
    else
        error_set(&err, ERROR_STEP, "%s ended on %s without a status: %s cancelled or lost it%s%s",
                  j->node->id, where, f->e->name, said ? ": " : "", said ? said : "");
    // It pushes the log of a step that failed, and before its step there is none.
    if (f->limits->project && j->status == ERROR_STEP)
        error_hint(&err, "kbuild log %s --remote --plan=oci:%s shows all that it said", j->node->id,
                   f->limits->project);
    return err;
}

static void failed(struct follow *f, struct job_elsewhere *j)
{
    struct error *why = why_failed(f, j);
    j->node->state = NODE_FAILED;
    strlist_add(f->failed, j->node->id);
    view_ended(task_of(f, j), why);
    if (f->failure)
        error_free(why);
    else
        f->failure = why;
    if (!f->limits->keep_going)
        f->stopping = true;
}

static void ended(struct follow *f, struct job_elsewhere *j)
{
    struct task *t = task_of(f, j);
    t->took_ms = t->started_ms ? now_ms() - t->started_ms : 0;
    // Somebody else cancelled it.
    if (j->state == JOB_CANCELLED && !f->stopping && !is_lost(j))
        j->state = JOB_FAILED;
    if (j->state == JOB_FAILED) {
        failed(f, j);
        return;
    }
    if (j->state == JOB_CANCELLED) {
        j->node->state = !f->interrupted ? NODE_SKIPPED
                         : t->started_ms ? NODE_INTERRUPTED
                                         : NODE_STALE;
        return;
    }
    j->node->state = NODE_DONE;
    t->outcome.kind = OUTCOME_MADE;
    view_ended(t, NULL);
}

static void waits_again(struct follow *f, struct job_elsewhere *j)
{
    j->node->state = NODE_STALE;
    log_note("%s: %s lost it on %s, and will start it again", node_label(j->node), f->e->name,
             j->where ? j->where : "its machine");
}

// The longest path that is left, if records have the time of each job on it.
static long long time_left(const struct follow *f)
{
    long long longest = 0;
    for (size_t i = 0; i < f->n; i++) {
        const struct job_elsewhere *j = &f->jobs[i];
        const struct task *t = task_of(f, j);
        if (has_ended(j))
            continue;
        if (!json_is_object(json_object_get(j->line, "resources")))
            return 0;
        long long spent = j->state == JOB_RUNNING ? now_ms() - t->started_ms : 0;
        long long left = j->path_ms > spent ? j->path_ms - spent : 0;
        longest = left > longest ? left : longest;
    }
    return longest;
}

// Nothing happens, and the user has to know why: says it once.
static void say_if_idle(struct follow *f)
{
    const struct job_elsewhere *first = NULL;
    size_t waiting = 0;
    for (size_t i = 0; i < f->next; i++) {
        const struct job_elsewhere *j = &f->jobs[i];
        if (j->state == JOB_RUNNING)
            f->active_ms = now_ms();
        waiting += j->state == JOB_SUBMITTED;
        // Needs first: the first that waits does not wait for another.
        first = !first && j->state == JOB_SUBMITTED ? j : first;
    }
    if (!first || f->said_idle || !f->limits->idle_ms ||
        now_ms() - f->active_ms < f->limits->idle_ms)
        return;
    f->said_idle = true;
    log_note("%s starts none of the %zu jobs that wait%s%s", f->e->name, waiting,
             first->waits ? ": " : "", first->waits ? first->waits : "");
}

static int poll_jobs(struct follow *f, struct error **err)
{
    cleanup_free enum job_state *before = xcalloc(f->n + 1, sizeof *before);
    for (size_t i = 0; i < f->n; i++)
        before[i] = f->jobs[i].state;
    if (f->e->poll(f->e->context, f->jobs, f->n, err) < 0)
        return -1;
    for (size_t i = 0; i < f->n; i++) {
        struct job_elsewhere *j = &f->jobs[i];
        if (j->state == before[i])
            continue;
        if (j->state == JOB_RUNNING || (j->state == JOB_DONE && before[i] != JOB_RUNNING))
            began(f, j);
        else if (j->state == JOB_SUBMITTED && before[i] == JOB_RUNNING)
            waits_again(f, j);
        if (has_ended(j))
            ended(f, j);
    }
    say_if_idle(f);
    view_estimate(time_left(f));
    return 0;
}

// ---- submission ----

static size_t count_open(const struct follow *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->next; i++)
        n += !has_ended(&f->jobs[i]);
    return n;
}

// Between two polls. Hundreds of submissions take some time, in which jobs begin and end.
enum { SUBMIT_JOBS = 20, SUBMIT_MS = 500 };

// 1: more can be submitted after a poll; 0: not now; -1: error.
static int submit_some(struct follow *f, struct error **err)
{
    const long long until = now_ms() + SUBMIT_MS;
    size_t open = count_open(f), submitted = 0;
    for (; f->next < f->n && open < f->limits->window; f->next++) {
        if (!f->interrupted && interrupt_is_pending())
            return 0;
        if (submitted == SUBMIT_JOBS || (submitted && now_ms() > until))
            return 1;
        struct job_elsewhere *j = &f->jobs[f->next];
        if (f->stopping || is_lost(j)) {
            j->state = JOB_CANCELLED;
            ended(f, j);
            continue;
        }
        int later = f->e->submit(f->e->context, j, err);
        if (later < 0)
            return error_wrap(err, "submitting %s to %s", j->node->id, f->e->name);
        if (later)
            return 0;
        j->state = JOB_SUBMITTED;
        open++;
        submitted++;
        view_tick();
    }
    return 0;
}

static void skip_rest(struct follow *f)
{
    for (; f->next < f->n; f->next++) {
        f->jobs[f->next].state = JOB_CANCELLED;
        ended(f, &f->jobs[f->next]);
    }
}

// ---- the loop ----

// True after an ending signal; they are blocked.
static bool wait_ms(unsigned ms)
{
    sigset_t set;
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    ending_signals(&set);
    return sigtimedwait(&set, NULL, &time) > 0;
}

static int cancel(struct follow *f, bool waiting, struct error **err)
{
    int result = f->e->cancel(f->e->context, f->jobs, f->n, waiting, err);
    // A submission that was not answered had succeeded: its end is waited for, too.
    if (f->next < f->n && f->jobs[f->next].state == JOB_SUBMITTED)
        f->next++;
    return result;
}

// After an interrupt, until the engine has heard it: it may be restarting.
static void cancel_all(struct follow *f)
{
    struct error *why = NULL;
    if (cancel(f, false, &why) == 0) {
        f->cancelled = true;
        return;
    }
    log_warning("%s; trying again", why->message);
    error_free(why);
}

enum { TICK_MS = 200, CANCEL_SECONDS = 30, POLL_PART = 50 };

// A small part of the time that all took so far: a short run ends soon after its last job.
static unsigned poll_pause(const struct follow *f)
{
    long long part = (now_ms() - f->began_ms) / POLL_PART;
    long long pause = part > TICK_MS ? part : TICK_MS;
    return pause < f->limits->poll_ms ? (unsigned)pause : f->limits->poll_ms;
}

// Waits; an interrupt cancels all jobs.
static void wait_or_cancel(struct follow *f, unsigned ms)
{
    if (!wait_ms(ms) || f->interrupted)
        return;
    f->interrupted = f->stopping = true;
    log_note("cancelling the jobs");
    cancel_all(f);
}

// Waits until the next poll.
static void pause_following(struct follow *f)
{
    const unsigned pause = poll_pause(f);
    for (unsigned waited = 0; waited < pause; waited += TICK_MS) {
        wait_or_cancel(f, TICK_MS);
        view_tick();
    }
}

// Asks, unless an interrupt ends the question.
static int poll_unless_interrupted(struct follow *f, struct error **err)
{
    struct error *why = NULL;
    wait_or_cancel(f, 0);
    if (poll_jobs(f, &why) == 0)
        return 0;
    if (why->kind == ERROR_INTERRUPT && !f->interrupted) {
        error_free(why);
        wait_or_cancel(f, 0);
        return 0;
    }
    *err = why;
    return -1;
}

static int follow_all(struct follow *f, struct error **err)
{
    bool cancelled = false;
    long long until = 0;
    for (;;) {
        int more = submit_some(f, err);
        if (more < 0 || poll_unless_interrupted(f, err) < 0)
            return -1;
        if (f->stopping) {
            skip_rest(f);
            if (f->interrupted && !f->cancelled)
                cancel_all(f);
            else if (!cancelled && !f->interrupted && cancel(f, true, err) < 0)
                return -1;
            cancelled = true;
        }
        if (f->next == f->n && !count_open(f))
            return 0;
        until = f->interrupted && !until ? now_ms() + CANCEL_SECONDS * 1000LL : until;
        if (until && now_ms() > until)
            return error_set(err, ERROR_INTERRUPT, "interrupted; %s still has %zu jobs", f->e->name,
                             count_open(f));
        if (!more || f->stopping)
            pause_following(f);
    }
}

// After an error no job is left behind.
static int run_jobs(struct follow *f, struct error **err)
{
    int result = follow_all(f, err);
    if (result < 0)
        cancel(f, false, NULL);
    // Ctrl-C that was pressed again must not keep the user from what became of the jobs.
    while (f->interrupted && wait_ms(0))
        ;
    if (!result && f->interrupted)
        result = error_set(err, ERROR_INTERRUPT, "interrupted; its jobs are cancelled");
    return result;
}

static void follow_free(struct follow *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->jobs[i].id);
        free(f->jobs[i].where);
        free(f->jobs[i].said);
        free(f->jobs[i].waits);
        free(f->jobs[i].needs);
    }
    free(f->jobs);
    error_free(f->failure);
    schedule_close(&f->s);
}

// For `kbuild report`. The jobs' phases stay on their machines, and what they used comes later,
// from the registry (build_keep_costs()).
static void keep_for_report(struct follow *f, struct last_run *l, const struct error *why)
{
    if (output_folder(f->b, NULL) < 0)
        return; // placing the results says why
    for (size_t i = 0; i < f->n; i++)
        l->starts[task_of(f, &f->jobs[i]) - f->s.tasks].where = f->jobs[i].where;
    l->made_ms = now_ms();
    last_run_write(l, why);
}

int plan_follow(struct build *b, const struct plan *p, const struct engine *e,
                const struct follow_limits *limits, struct strlist *failed_nodes,
                struct error **err)
{
    struct follow f = {
        .b = b, .e = e, .limits = limits, .failed = failed_nodes, .began_ms = now_ms()};
    f.active_ms = f.began_ms;
    int result = add_jobs(&f, p, err);
    if (!result)
        result = open_tasks(&f, p, err);
    if (!result) {
        struct last_run last;
        connect_jobs(&f);
        last_run_open(b, &last, &f.s, "spread");
        interrupts_hold();
        view_open(b, &f.s);
        result = run_jobs(&f, err);
        keep_for_report(&f, &last, result < 0 && err ? *err : f.failure);
        last_run_close(&last);
        // If no job was submitted, the error says all; but a reader of events waits for the last.
        if (f.next || b->options.view == VIEW_JSON)
            view_summary(b, false, result < 0 && err ? *err : f.failure);
        view_close();
        interrupts_release(result < 0);
    }
    if (!result && f.failure) {
        *err = steal(f.failure);
        result = -1;
    }
    follow_free(&f);
    return result;
}
