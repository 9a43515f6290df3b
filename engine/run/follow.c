// SPDX-License-Identifier: Apache-2.0
// Submits the jobs of a plan to an engine, the longest path first, and at any time only a limited
// number of them; polls their states until all have ended; and shows them.
#include "run/follow.h"

#include "base/error.h"
#include "base/process.h"
#include "run/internal.h"
#include "share/share.h"

#include <signal.h>
#include <string.h>

struct follow {
    struct build *b;
    struct schedule s; // for the view
    const struct engine *e;
    const struct follow_limits *limits;
    struct job_elsewhere *jobs; // in the order of submission
    size_t n;
    bool submitted;                // any
    long long began_ms, active_ms; // when a job ran, the last time
    bool said_idle;
    bool stopping, interrupted;
    bool cancelled; // all jobs, after an interrupt
    bool failed;    // a job did
    struct follow_history *history;
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
        error_set(&err, ERROR_USER, "%s ended on %s without a status: %s cancelled or lost it%s%s",
                  j->node->id, where, f->e->name, said ? ": " : "", said ? said : "");
    // It pushes the log of a step that failed, and before its step there is none.
    if (f->limits->project && j->status == ERROR_STEP)
        error_hint(&err, "kbuild log %s --remote --plan=oci:%s shows all that it said", j->node->id,
                   f->limits->project);
    return err;
}

static void take_back(struct job_elsewhere *j)
{
    free(j->id);
    free(j->said);
    free(j->waits);
    free(j->where);
    j->id = j->said = j->waits = j->where = NULL;
    j->state = JOB_WAITING;
    j->status = -1;
    j->unseen_ms = j->nowhere_ms = 0;
    j->submissions++;
    j->replan = j->found = false;
    j->seen = j->stuck = j->unsure = j->orphan = j->nowhere = false;
    j->node->state = NODE_STALE;
}

// The engine cancels those that need it, sooner or later, and they are submitted again. A job
// stands before all that need it.
static void orphan_dependants(struct follow *f, const struct job_elsewhere *of)
{
    for (struct job_elsewhere *j = f->jobs; j < f->jobs + f->n; j++)
        for (size_t i = 0; i < j->need_count && j->id && !j->orphan; i++)
            j->orphan = j->needs[i] == of || j->needs[i]->orphan;
}

// A death by signal may be that of a machine whose memory was full. With an input that is missing,
// every machine fails.
static bool may_be_of_machine(const struct job_elsewhere *j)
{
    return j->status > 0 && j->status != ERROR_STEP && !j->replan && j->where && *j->where &&
           !(j->said && strstr(j->said, INPUT_LOST));
}

// Whether another try on the same machine may succeed.
static bool may_pass(int status)
{
    return status == ERROR_AGAIN || status > 128;
}

static void keep_from(struct job_elsewhere *j, const char *machine)
{
    if (*machine && !j->anywhere && !strlist_has(&j->not_on, machine))
        strlist_add(&j->not_on, machine);
}

// No job gets it from now on, if the engine knows how.
static void avoid_machine(struct follow *f, const char *machine)
{
    cleanup_free struct job_elsewhere **waiting = xcalloc(f->n + 1, sizeof(struct job_elsewhere *));
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        struct job_elsewhere *j = &f->jobs[i];
        // One that failed in an earlier round has a list of its own.
        if (j->state != JOB_SUBMITTED || j->tries || j->anywhere || j->orphan ||
            json_object_get(f->history->tries, j->node->id))
            continue;
        keep_from(j, machine);
        waiting[n++] = j;
    }
    if (n && f->e->avoid)
        f->e->avoid(f->e->context, waiting, n);
}

static void count_fault(struct follow *f, const struct job_elsewhere *j, const struct error *why)
{
    const json_t *row = history_add_fault(f->history, j->node->id, j->where);
    if (!row)
        return;
    log_warning("%s gets no more jobs: %s and %s failed there in a row, the last since %s",
                j->where, plan_item(row, 0), plan_item(row, 1), why->message);
    avoid_machine(f, j->where);
}

// The engine has no machine but those that it must not get: those that get no more jobs have to
// take it, if it has not failed yet; a machine where it failed, if that may pass.
static bool try_anywhere(struct follow *f, struct job_elsewhere *j)
{
    if (j->tries && !may_pass(j->last_status))
        return false;
    j->anywhere = true;
    strlist_free(&j->not_on);
    orphan_dependants(f, j);
    take_back(j);
    return true;
}

// Counts the try. Whether there may be another.
static bool has_tries(struct follow *f, const struct job_elsewhere *j, const struct error *why)
{
    if (!may_be_of_machine(j))
        return false;
    size_t tries = history_add_try(f->history, j->node->id, j->where);
    count_fault(f, j, why);
    return tries < f->limits->tries;
}

// Takes the error.
static void try_again(struct follow *f, struct job_elsewhere *j, struct error *why)
{
    log_warning("%s; trying again, on another machine if there is one", why->message);
    error_free(j->last);
    j->last = why;
    j->last_status = j->status;
    j->tries++;
    j->anywhere = false;
    orphan_dependants(f, j);
    take_back(j);
}

// Takes the error. `again`: not for good, as another plan may have it.
static void failed(struct follow *f, struct job_elsewhere *j, bool again, struct error *why)
{
    f->failed = true;
    j->node->state = NODE_FAILED;
    view_ended(task_of(f, j), why);
    history_add_failure(f->history, j->node->id, again, why);
    if (!f->limits->keep_going)
        f->stopping = true;
}

static void ended_badly(struct follow *f, struct job_elsewhere *j)
{
    if (j->nowhere && try_anywhere(f, j))
        return;
    if (j->nowhere && j->last) {
        failed(f, j, false, steal(j->last));
        return;
    }
    if (j->status == ERROR_STEP)
        history_clear_faults(f->history, j->where);
    struct error *why = why_failed(f, j);
    const bool another = has_tries(f, j, why);
    if (another && !f->stopping)
        try_again(f, j, why);
    else
        failed(f, j, another || (why->kind == ERROR_AGAIN && !may_be_of_machine(j)), why);
}

static void ended(struct follow *f, struct job_elsewhere *j)
{
    struct task *t = task_of(f, j);
    t->took_ms = t->started_ms ? now_ms() - t->started_ms : 0;
    if (j->orphan && j->replan && !f->stopping) {
        take_back(j);
        return;
    }
    if ((j->orphan && j->replan) || (j->nowhere && f->stopping))
        j->state = JOB_CANCELLED;
    // Somebody else cancelled it.
    if (j->state == JOB_CANCELLED && !f->stopping && !is_lost(j))
        j->state = JOB_FAILED;
    if (j->state == JOB_FAILED) {
        ended_badly(f, j);
        return;
    }
    if (j->state == JOB_CANCELLED) {
        j->node->state = !f->interrupted ? NODE_SKIPPED
                         : t->started_ms ? NODE_INTERRUPTED
                                         : NODE_STALE;
        return;
    }
    history_clear_faults(f->history, j->where);
    j->node->state = NODE_DONE;
    t->outcome.kind = j->found && !j->tries ? OUTCOME_PULLED : OUTCOME_MADE;
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
    for (size_t i = 0; i < f->n; i++) {
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
    // Also what an engine saw before it failed.
    int result = f->e->poll(f->e->context, f->jobs, f->n, err);
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
    if (result < 0)
        return -1;
    say_if_idle(f);
    view_estimate(time_left(f));
    return 0;
}

// ---- submission ----

static bool is_open(const struct job_elsewhere *j)
{
    return j->state == JOB_SUBMITTED || j->state == JOB_RUNNING;
}

static size_t count_open(const struct follow *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        n += is_open(&f->jobs[i]);
    return n;
}

static bool all_ended(const struct follow *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (!has_ended(&f->jobs[i]))
            return false;
    return true;
}

// One of them may be about to be submitted again.
static bool needs_wait(const struct job_elsewhere *j)
{
    for (size_t i = 0; i < j->need_count; i++)
        if (j->needs[i]->state == JOB_WAITING || j->needs[i]->orphan)
            return true;
    return false;
}

static int submit_job(struct follow *f, struct job_elsewhere *j, struct error **err)
{
    const json_t *failed_on = json_object_get(f->history->tries, j->node->id);
    for (size_t i = 0; i < json_array_size(failed_on); i++)
        keep_from(j, plan_item(failed_on, i));
    for (size_t i = 0; i < f->history->avoided.n; i++)
        keep_from(j, f->history->avoided.items[i]);
    int later = f->e->submit(f->e->context, j, err);
    if (later < 0)
        return error_wrap(err, "submitting %s to %s", j->node->id, f->e->name);
    if (later == 2) {
        j->state = JOB_FAILED;
        j->nowhere = true;
        ended(f, j);
    }
    if (later)
        return later;
    j->state = JOB_SUBMITTED;
    f->submitted = true;
    return 0;
}

// Between two polls. Hundreds of submissions take some time, in which jobs begin and end.
enum { SUBMIT_JOBS = 20, SUBMIT_MS = 500 };

// 1: more can be submitted after a poll; 0: not now; -1: error.
static int submit_some(struct follow *f, struct error **err)
{
    const long long until = now_ms() + SUBMIT_MS;
    size_t open = count_open(f), submitted = 0;
    for (size_t i = 0; i < f->n && open < f->limits->window; i++) {
        struct job_elsewhere *j = &f->jobs[i];
        if (j->state != JOB_WAITING)
            continue;
        if (!f->interrupted && interrupt_is_pending())
            return 0;
        if (submitted == SUBMIT_JOBS || (submitted && now_ms() > until))
            return 1;
        if (f->stopping || is_lost(j)) {
            j->state = JOB_CANCELLED;
            ended(f, j);
            continue;
        }
        if (needs_wait(j))
            continue;
        int later = submit_job(f, j, err);
        if (later)
            return later == 2 ? 1 : later < 0 ? -1 : 0;
        open++;
        submitted++;
        view_tick();
    }
    return 0;
}

static void skip_rest(struct follow *f)
{
    for (size_t i = 0; i < f->n; i++) {
        if (f->jobs[i].state != JOB_WAITING)
            continue;
        f->jobs[i].state = JOB_CANCELLED;
        ended(f, &f->jobs[i]);
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
    return f->e->cancel(f->e->context, f->jobs, f->n, waiting, err);
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
        if (all_ended(f))
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
    cleanup_error struct error *left = NULL;
    int result = follow_all(f, err);
    if (result < 0 && cancel(f, false, &left) < 0)
        log_warning("jobs of this run may be left: %s", left->message);
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
        strlist_free(&f->jobs[i].not_on);
        error_free(f->jobs[i].last);
    }
    free(f->jobs);
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

// They are not tried again, nor is what needs them.
static void skip_failed(struct follow *f)
{
    for (size_t i = 0; i < f->n; i++) {
        struct job_elsewhere *j = &f->jobs[i];
        if (!strlist_has(&f->history->failed, j->node->id))
            continue;
        j->state = JOB_FAILED;
        j->node->state = NODE_FAILED;
        f->failed = true;
    }
}

int plan_follow(struct build *b, const struct plan *p, const struct engine *e,
                const struct follow_limits *limits, struct follow_history *history,
                struct error **err)
{
    struct follow f = {.b = b, .e = e, .limits = limits, .history = history, .began_ms = now_ms()};
    f.active_ms = f.began_ms;
    error_free(steal(history->again));
    int result = add_jobs(&f, p, err);
    if (!result)
        result = open_tasks(&f, p, err);
    if (!result) {
        struct last_run last;
        connect_jobs(&f);
        skip_failed(&f);
        last_run_open(b, &last, &f.s, "spread");
        interrupts_hold();
        view_open(b, &f.s);
        result = run_jobs(&f, err);
        const struct error *why = result < 0 && err ? *err
                                  : f.failed        ? history_failure(history)
                                                    : NULL;
        keep_for_report(&f, &last, why);
        last_run_close(&last);
        // If no job was submitted, the error says all; but a reader of events waits for the last.
        if (f.submitted || b->options.view == VIEW_JSON)
            view_summary(b, false, why);
        view_close();
        interrupts_release(result < 0);
    }
    if (!result && f.failed)
        result = 1;
    follow_free(&f);
    return result;
}
