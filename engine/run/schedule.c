// SPDX-License-Identifier: Apache-2.0
// Runs a graph in parallel. One thread, one loop over poll(): signals (as a signalfd), reports and
// logs of running processes, and the jobserver when a node waits for a token. When a node ends, its
// dependants' keys become known; these are looked up before anything is made, so that equal outputs
// stop a rebuild.
#include "run/schedule.h"

#include "base/error.h"
#include "base/process.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct run {
    struct schedule *s;
    const struct schedule_actions *a;
    const struct schedule_limits *limits;
    struct task **running;
    size_t running_count;
    size_t next; // no earlier task can start
    int signals; // signalfd
    sigset_t old_mask;
    bool stopping; // no new processes
    struct error **failure;
};

// ---- the tasks ----

static void add_dependant(struct task *t, struct task *dependant)
{
    t->dependants =
        xgrow(t->dependants, &t->dependant_cap, t->dependant_count + 1, sizeof(struct task *));
    t->dependants[t->dependant_count++] = dependant;
}

int schedule_open(struct schedule *s, const struct graph *g, struct error **err)
{
    *s = (struct schedule){0};
    cleanup_free struct node **order = graph_order(g, err);
    if (!order)
        return -1;
    s->n = g->n;
    s->tasks = xcalloc(s->n + 1, sizeof *s->tasks);
    s->places = xcalloc(s->n + 1, sizeof *s->places);
    for (size_t i = 0; i < s->n; i++) {
        s->tasks[i] = (struct task){.node = order[i], .events = -1, .log = STEPLOG_NONE};
        s->places[order[i]->index] = i;
    }
    for (size_t i = 0; i < s->n; i++) {
        const struct node *node = order[i];
        for (size_t k = 0; k < node->need_count; k++)
            if (node->needs[k].input) {
                add_dependant(schedule_task(s, node->needs[k].node), &s->tasks[i]);
                s->tasks[i].waits++;
            }
    }
    return 0;
}

struct task *schedule_task(const struct schedule *s, const struct node *node)
{
    return &s->tasks[s->places[node->index]];
}

void schedule_close(struct schedule *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct task *t = &s->tasks[i];
        free(t->dependants);
        free(t->progress);
        free(t->where);
        free(t->log_hint);
        task_forget_phases(t);
        buf_free(&t->pending);
        steplog_close(&t->log);
        outcome_free(&t->outcome);
    }
    free(s->tasks);
    free(s->places);
    *s = (struct schedule){0};
}

// Updates whether the dependants still wait for this task.
static void count_here(struct task *t)
{
    bool here = node_is_stored(t->node);
    if (here == t->counted_as_stored)
        return;
    t->counted_as_stored = here;
    for (size_t i = 0; i < t->dependant_count; i++)
        t->dependants[i]->waits += here ? (size_t)-1 : 1;
}

static void count_all(struct schedule *s)
{
    for (size_t i = 0; i < s->n; i++)
        count_here(&s->tasks[i]);
}

// ---- wanted tasks ----

// Must it be made, if it is wanted?
static bool is_missing(const struct node *node)
{
    switch (node->state) {
    case NODE_UNKNOWN:
    case NODE_STALE:
    case NODE_LOST:
    case NODE_SHARED:
        return true;
    default:
        return false;
    }
}

static bool to_make(const struct task *t)
{
    return t->wanted && !t->excluded_from_run && is_missing(t->node);
}

// From last to first: a node that is wanted and missing makes its inputs wanted.
bool schedule_want(struct schedule *s)
{
    bool any = false;
    for (size_t i = 0; i < s->n; i++)
        s->tasks[i].wanted = s->tasks[i].root;
    for (size_t i = s->n; i-- > 0;) {
        const struct task *t = &s->tasks[i];
        any |= to_make(t);
        if (!t->only_inputs && (!to_make(t) || t->node->state == NODE_SHARED))
            continue;
        for (size_t k = 0; k < t->node->need_count; k++)
            schedule_task(s, t->node->needs[k].node)->wanted = true;
    }
    return any;
}

int schedule_look_up(struct schedule *s, const struct schedule_actions *a, struct error **err)
{
    for (size_t i = 0; i < s->n; i++) {
        struct task *t = &s->tasks[i];
        if (t->node->state != NODE_UNKNOWN || !t->node->identified || !graph_ready(t->node))
            continue;
        if (a->look_up(a->context, t->node, err) < 0)
            return -1;
        if (t->node->state == NODE_CACHED && t->wanted && a->ended)
            a->ended(a->context, t, NULL);
    }
    count_all(s);
    schedule_want(s);
    return a->looked_up ? a->looked_up(a->context, err) : 0;
}

static int look_up(struct run *r, struct error **err)
{
    r->next = 0;
    return schedule_look_up(r->s, r->a, err);
}

static void set_state(struct run *r, struct task *t, enum node_state state)
{
    t->node->state = state;
    count_here(t);
    r->next = 0;
}

// ---- ending ----

static void skip_dependants(struct run *r, const struct task *t)
{
    for (size_t i = 0; i < t->dependant_count; i++) {
        if (!to_make(t->dependants[i]) || t->dependants[i]->node->state == NODE_SHARED)
            continue;
        set_state(r, t->dependants[i], NODE_SKIPPED);
        skip_dependants(r, t->dependants[i]);
    }
}

static void fail(struct run *r, struct task *t, struct error *why)
{
    set_state(r, t, NODE_FAILED);
    if (r->a->ended)
        r->a->ended(r->a->context, t, why);
    steplog_end(&t->log);
    if (*r->failure)
        error_free(why);
    else
        *r->failure = why;
    if (!r->limits->keep_going)
        r->stopping = true;
    skip_dependants(r, t);
}

static struct error *failure_of(struct task *t, int status)
{
    struct error *err = NULL;
    if (t->outcome.error)
        return steal(t->outcome.error);
    cleanup_free char *how = process_status_text(status);
    error_set(&err, ERROR_STEP, "%s ended with %s before it was done", node_label(t->node), how);
    if (t->log_hint)
        error_hint(&err, "%s", t->log_hint);
    return err;
}

static struct task *find_by_id(const struct schedule *s, const char *id)
{
    for (size_t i = 0; id && i < s->n; i++)
        if (!strcmp(s->tasks[i].node->id, id))
            return &s->tasks[i];
    return NULL;
}

// After a damaged input: makes it again, then this node. Not if this run has made the input
// already.
static bool retry_damaged(struct run *r, struct task *t)
{
    struct task *input = t->outcome.kind == OUTCOME_DAMAGED_INPUT && t->outcome.error
                             ? find_by_id(r->s, t->outcome.error->subject)
                             : NULL;
    if (!input || input->excluded_from_run || input->node->state == NODE_RUNNING ||
        outcome_is_good(&input->outcome))
        return false;
    log_warning("%s in the cache was damaged; it is made again", node_label(input->node));
    if (node_is_known(input->node))
        set_state(r, input, NODE_LOST);
    set_state(r, t, NODE_STALE);
    schedule_want(r->s);
    return true;
}

// The shared cache had the record but not the outputs: makes them from the inputs.
static bool retry_shared(struct run *r, struct task *t)
{
    if (t->outcome.kind != OUTCOME_SHARED_LOST)
        return false;
    if (r->a->forget_shared)
        r->a->forget_shared(r->a->context, t->node);
    set_state(r, t, NODE_LOST);
    schedule_want(r->s);
    return true;
}

// The key of a dependant may have changed with an input that was made again.
static void forget_dependants(struct run *r, const struct task *made)
{
    for (size_t i = 0; i < made->dependant_count; i++) {
        struct task *t = made->dependants[i];
        enum node_state state = t->node->state;
        if (state != NODE_STALE && (state == NODE_DONE || !node_is_known(t->node)))
            continue;
        set_state(r, t, NODE_UNKNOWN);
        forget_dependants(r, t);
    }
}

static int end(struct run *r, struct task *t, int status, struct error **err)
{
    child_drain(t, r->a);
    t->took_ms = now_ms() - t->started_ms;
    t->pid = 0;
    jobserver_give();
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && outcome_is_good(&t->outcome)) {
        if (r->a->keep(r->a->context, t, err) < 0) {
            set_state(r, t, NODE_FAILED);
            return -1;
        }
        set_state(r, t, NODE_DONE);
        if (r->a->ended)
            r->a->ended(r->a->context, t, NULL);
        steplog_end(&t->log);
        forget_dependants(r, t);
        return look_up(r, err);
    }
    if (!r->stopping && (retry_damaged(r, t) || retry_shared(r, t)))
        return 0;
    fail(r, t, failure_of(t, status));
    return 0;
}

static int reap(struct run *r, struct error **err)
{
    for (size_t i = 0; i < r->running_count;) {
        struct task *t = r->running[i];
        struct rusage used;
        int status;
        if (wait4(t->pid, &status, WNOHANG, &used) <= 0) {
            i++;
            continue;
        }
        r->running[i] = r->running[--r->running_count];
        t->cpu_ms = timeval_ms(used.ru_utime) + timeval_ms(used.ru_stime);
        t->peak_kib = used.ru_maxrss;
        if (end(r, t, status, err) < 0)
            return -1;
    }
    return 0;
}

static void stop_all(struct run *r)
{
    for (size_t i = 0; i < r->running_count; i++)
        kill(-r->running[i]->pid, SIGTERM);
    for (size_t i = 0; i < r->running_count; i++) {
        struct task *t = r->running[i];
        process_stop(t->pid, 3000);
        t->pid = 0;
        t->took_ms = now_ms() - t->started_ms;
        child_drain(t, r->a);
        set_state(r, t, NODE_INTERRUPTED);
    }
    r->running_count = 0;
}

// ---- the loop ----

static struct task *next_ready(struct run *r)
{
    for (; r->next < r->s->n && !r->stopping; r->next++) {
        struct task *t = &r->s->tasks[r->next];
        if (to_make(t) && t->node->state != NODE_UNKNOWN &&
            (t->node->state == NODE_SHARED || !t->waits))
            return t;
    }
    return NULL;
}

static int start_ready(struct run *r, bool *waiting, struct error **err)
{
    struct task *t;
    *waiting = false;
    while ((t = next_ready(r))) {
        // Tokens that a step kept or added are corrected when nothing runs.
        if (!r->running_count)
            jobserver_refill();
        if (r->running_count >= r->limits->jobs)
            return 0;
        if (!jobserver_take()) {
            *waiting = true;
            return 0;
        }
        struct child_setup setup = {
            .actions = r->a, .mask = interrupts_mask_before(), .signals = r->signals};
        if (child_start(t, &setup, err) < 0)
            return -1;
        t->pulled = t->node->state == NODE_SHARED;
        t->node->state = NODE_RUNNING; // set after the start: the process sees the old state
        r->running[r->running_count++] = t;
        if (r->a->started)
            r->a->started(r->a->context, t);
    }
    return 0;
}

static int on_signal(struct run *r, struct error **err)
{
    struct signalfd_siginfo info;
    if (read(r->signals, &info, sizeof info) != sizeof info)
        return 0;
    if (info.ssi_signo == SIGCHLD)
        return reap(r, err);
    return error_set(err, ERROR_INTERRUPT, "interrupted");
}

static int wait_for_event(struct run *r, bool waiting, struct error **err)
{
    size_t all = 2 * r->running_count + 2, n = 0;
    cleanup_free struct pollfd *fds = xcalloc(all, sizeof *fds);
    cleanup_free struct task **tasks = xcalloc(all, sizeof(struct task *));
    fds[n++] = (struct pollfd){.fd = r->signals, .events = POLLIN};
    for (size_t i = 0; i < r->running_count; i++) {
        const int pipes[] = {r->running[i]->events, r->running[i]->log.pipe};
        for (size_t k = 0; k < ARRAY_LEN(pipes); k++) {
            if (pipes[k] < 0)
                continue;
            tasks[n] = r->running[i];
            fds[n++] = (struct pollfd){.fd = pipes[k], .events = POLLIN};
        }
    }
    if (waiting)
        fds[n++] = (struct pollfd){.fd = jobserver_wait_fd(), .events = POLLIN};
    if (poll(fds, n, 100) < 0) {
        if (errno != EINTR)
            return error_errno(err, errno, "waiting for the running steps");
        n = 0;
    }
    for (size_t i = 1; i < n; i++) {
        if (fds[i].revents && tasks[i] && fds[i].fd == tasks[i]->log.pipe)
            child_copy_log(tasks[i], r->a);
        else if (fds[i].revents && tasks[i])
            child_read(tasks[i], r->a);
    }
    int result = n && fds[0].revents ? on_signal(r, err) : 0;
    if (r->a->tick)
        r->a->tick(r->a->context);
    return result;
}

static int loop(struct run *r, struct error **err)
{
    for (;;) {
        bool waiting;
        if (start_ready(r, &waiting, err) < 0)
            return -1;
        if (!r->running_count)
            return 0;
        if (wait_for_event(r, waiting, err) < 0)
            return -1;
        if (r->stopping && r->running_count)
            stop_all(r);
    }
}

static int open_signals(struct run *r, struct error **err)
{
    sigset_t mask;
    interrupts_hold();
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, &r->old_mask);
    ending_signals(&mask);
    sigaddset(&mask, SIGCHLD);
    r->signals = signalfd(-1, &mask, SFD_CLOEXEC);
    return r->signals < 0 ? error_errno(err, errno, "waiting for signals") : 0;
}

int schedule_run(struct schedule *s, const struct schedule_actions *a,
                 const struct schedule_limits *limits, struct error **failure, struct error **err)
{
    struct run r = {.s = s, .a = a, .limits = limits, .failure = failure, .signals = -1};
    count_all(s);
    schedule_want(s);
    r.running = xcalloc(limits->jobs + 1, sizeof(struct task *));
    int result = open_signals(&r, err);
    if (!result)
        result = jobserver_open(limits->jobs, err);
    if (!result)
        result = loop(&r, err);
    if (result)
        stop_all(&r);
    jobserver_close();
    if (r.signals >= 0)
        close(r.signals);
    sigprocmask(SIG_SETMASK, &r.old_mask, NULL);
    interrupts_release(result < 0);
    free(r.running);
    return result;
}
