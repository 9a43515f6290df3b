// SPDX-License-Identifier: Apache-2.0
// The parallel run: which nodes are wanted, who may start, one child process each.
//
// One thread, one loop over poll(): signals (as a signalfd), the children's event pipes, and the
// jobserver when something waits for a token. A node that ends makes its dependants' keys known;
// those are looked up again before anything is made, so that equal outputs stop a rebuild.
#include "run/internal.h"

#include "base/log.h"
#include "base/process.h"
#include "run/remote.h"
#include "run/wanted.h"
#include "run/work.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

struct run {
    struct build *b;
    enum run_what what;
    struct node **order; // only what is in the graph, needs first
    size_t n;
    size_t running;
    int signals; // signalfd
    sigset_t old_mask;
    bool stopping;         // no new steps
    struct error *failure; // the first
};

// ---- what is wanted ----

static bool is_network(const struct node *node)
{
    return node->kind != NODE_ARTIFACT || job_of(node)->prebuilt;
}

static bool is_root(const struct run *r, const struct node *node)
{
    const struct job *job = job_of(node);
    switch (r->what) {
    case RUN_ALL:
        return job->placed || job->used;
    case RUN_NETWORK:
        return is_network(node);
    case RUN_INPUTS:
    case RUN_AGAIN:
        return job->asked;
    }
    return false;
}

// Does this node have to be run itself (and not only looked at)?
static bool to_make(const struct run *r, const struct node *node)
{
    const struct job *job = job_of(node);
    if (!job->wanted || (r->what == RUN_NETWORK && !is_network(node)) ||
        (r->what == RUN_INPUTS && job->asked) || (r->what == RUN_AGAIN && !job->asked))
        return false;
    return node->state == NODE_UNKNOWN || node->state == NODE_STALE ||
           (node->state == NODE_CACHED && job->absent);
}

// Needs last to first: what is wanted and not there wants its inputs too.
static void mark_wanted(struct run *r)
{
    for (size_t i = 0; i < r->n; i++)
        job_of(r->order[i])->wanted = is_root(r, r->order[i]);
    for (size_t i = r->n; i-- > 0;) {
        const struct node *node = r->order[i];
        const struct job *job = job_of(node);
        bool inputs_only = r->what == RUN_INPUTS && job->asked;
        if (!inputs_only && (!to_make(r, node) || job->shared_only))
            continue;
        for (size_t k = 0; k < node->need_count; k++)
            job_of(node->needs[k].node)->wanted = true;
    }
}

// ---- ending ----

static void skip_dependants(struct run *r)
{
    for (size_t i = 0; i < r->n; i++) {
        struct node *node = r->order[i];
        for (size_t k = 0; k < node->need_count && to_make(r, node); k++) {
            enum node_state s = node->needs[k].node->state;
            if (node->needs[k].input && (s == NODE_FAILED || s == NODE_SKIPPED))
                node->state = NODE_SKIPPED;
        }
    }
}

static void fail(struct run *r, struct node *node, struct error *why)
{
    node->state = NODE_FAILED;
    view_ended(node, why);
    if (r->failure)
        error_free(why);
    else
        r->failure = why;
    if (!r->b->options.keep_going)
        r->stopping = true;
    skip_dependants(r);
}

static struct error *error_of_result(const struct node *node, int status)
{
    const struct job *job = job_of(node);
    const json_t *e = json_object_get(job->result, "error");
    struct error *err = NULL;
    if (e) {
        const char *message = json_string_value(json_object_get(e, "message"));
        const char *hint = json_string_value(json_object_get(e, "hint"));
        error_set(&err, (enum error_kind)json_integer_value(json_object_get(e, "kind")), "%s",
                  message ? message : "failed");
        if (hint)
            error_hint(&err, "%s", hint);
        return err;
    }
    cleanup_free char *how = process_status_text(status);
    error_set(&err, ERROR_STEP, "%s ended with %s before it was done", job->label, how);
    error_hint(&err, "see %s", job->log_path);
    return err;
}

static int apply_record(struct run *r, struct node *node, struct error **err)
{
    struct job *job = job_of(node);
    const json_t *record = json_object_get(job->result, "record");
    if (!outputs_from_record(node, record))
        return error_set(err, ERROR_STEP, "%s: made nothing", job->label);
    node->state = NODE_DONE;
    job->fresh = true;
    job->absent = false;
    if (list_check(r->b, node, record, err) < 0)
        return -1;
    list_pin(r->b, node, record);
    if (lock_save(r->b->lock, err) < 0) // another kbuild may have recorded something else
        return -1;
    const char *from = json_string_value(json_object_get(job->result, "from"));
    job->pulled = from && !strcmp(from, "shared cache");
    job->pushed = !from;
    if (r->what != RUN_AGAIN)
        output_log_keep(r->b, node, !from);
    if (r->what != RUN_AGAIN)
        remember_build(r->b, node);
    return 0;
}

// An input was damaged: make it again, then this node.
static bool retry_damaged(struct run *r, struct node *node)
{
    const char *id = json_string_value(json_object_get(job_of(node)->result, "damaged"));
    struct node *input = id ? graph_find(&r->b->graph, id) : NULL;
    if (!input || input->state == NODE_RUNNING || job_of(input)->fresh)
        return false;
    log_warning("%s in the cache was damaged; it is made again", node_label(input));
    job_of(input)->absent = true;
    if (input->state == NODE_DONE)
        input->state = NODE_CACHED;
    node->state = NODE_STALE;
    mark_wanted(r);
    return true;
}

// The shared cache had the record and has not the outputs: from its inputs, then.
static bool retry_shared_only(struct run *r, struct node *node)
{
    struct job *job = job_of(node);
    if (!json_is_true(json_object_get(job->result, "lost_in_shared_cache")))
        return false;
    job->shared_only = false;
    node->state = NODE_CACHED;
    mark_wanted(r);
    return true;
}

static int reevaluate_dependants(struct run *r, struct error **err)
{
    for (size_t i = 0; i < r->n; i++) {
        struct node *node = r->order[i];
        if (node->state == NODE_UNKNOWN && node->identified && graph_ready(node)) {
            if (evaluate_node(r->b, node, err) < 0)
                return -1;
            if (node->state == NODE_CACHED && !job_of(node)->absent && job_of(node)->wanted)
                view_ended(node, NULL);
        }
    }
    mark_wanted(r);
    return lock_save(r->b->lock, err); // what cached lists pin
}

// The key of a dependant may have changed with an input that was made again.
static void forget_dependants(struct run *r, const struct node *made)
{
    for (size_t i = 0; i < r->n; i++) {
        struct node *node = r->order[i];
        for (size_t k = 0; k < node->need_count; k++)
            if (node->needs[k].node == made && node->needs[k].input &&
                (node->state == NODE_CACHED || node->state == NODE_STALE)) {
                node->state = NODE_UNKNOWN;
                forget_dependants(r, node);
            }
    }
}

static int end(struct run *r, struct node *node, int status, struct error **err)
{
    struct job *job = job_of(node);
    child_drain(node);
    job->took_ms = now_ms() - job->started_ms;
    job->pid = 0;
    r->running--;
    jobserver_give();
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && json_object_get(job->result, "record")) {
        if (apply_record(r, node, err) < 0)
            return -1;
        view_ended(node, NULL);
        forget_dependants(r, node);
        return reevaluate_dependants(r, err);
    }
    if (!r->stopping && (retry_damaged(r, node) || retry_shared_only(r, node)))
        return 0;
    fail(r, node, error_of_result(node, status));
    return 0;
}

static long long milliseconds(const struct timeval *t)
{
    return t->tv_sec * 1000LL + t->tv_usec / 1000;
}

static int reap(struct run *r, struct error **err)
{
    for (size_t i = 0; i < r->n; i++) {
        struct node *node = r->order[i];
        struct rusage used;
        int status;
        if (node->state != NODE_RUNNING || wait4(job_of(node)->pid, &status, WNOHANG, &used) <= 0)
            continue;
        job_of(node)->cpu_ms = milliseconds(&used.ru_utime) + milliseconds(&used.ru_stime);
        if (end(r, node, status, err) < 0)
            return -1;
    }
    return 0;
}

static void stop_all(struct run *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->order[i]->state == NODE_RUNNING)
            kill(-job_of(r->order[i])->pid, SIGTERM);
    for (size_t i = 0; i < r->n; i++) {
        struct node *node = r->order[i];
        if (node->state != NODE_RUNNING)
            continue;
        process_stop(job_of(node)->pid, 3000);
        job_of(node)->pid = 0;
        node->state = NODE_FAILED;
        job_of(node)->interrupted = true;
        job_of(node)->took_ms = now_ms() - job_of(node)->started_ms;
        child_drain(node);
        r->running--;
    }
}

// ---- the loop ----

static struct node *next_ready(struct run *r)
{
    for (size_t i = 0; i < r->n && !r->stopping; i++) {
        struct node *node = r->order[i];
        if (!to_make(r, node) || node->state == NODE_UNKNOWN)
            continue;
        bool ready = true;
        for (size_t k = 0; k < node->need_count && ready; k++) {
            const struct node *need = node->needs[k].node;
            ready = job_of(node)->shared_only || !node->needs[k].input ||
                    need->state == NODE_DONE ||
                    (need->state == NODE_CACHED && !job_of(need)->absent);
        }
        if (ready)
            return node;
    }
    return NULL;
}

static int start_ready(struct run *r, bool *waiting, struct error **err)
{
    struct node *node;
    *waiting = false;
    while ((node = next_ready(r))) {
        // Tokens that a step kept, or made, are set right when nothing runs.
        if (!r->running)
            jobserver_refill();
        if (r->running >= r->b->options.jobs)
            return 0;
        if (!jobserver_take()) {
            *waiting = true;
            return 0;
        }
        struct child_setup setup = {.mask = &r->old_mask, .signals = r->signals};
        if (child_start(r->b, node, &setup, err) < 0)
            return -1;
        r->running++;
        view_started(node);
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

static int wait_for_something(struct run *r, bool waiting, struct error **err)
{
    struct pollfd *fds = xcalloc(2 * r->running + 2, sizeof *fds);
    struct node **nodes = xcalloc(2 * r->running + 2, sizeof(struct node *));
    size_t n = 0;
    fds[n++] = (struct pollfd){.fd = r->signals, .events = POLLIN};
    for (size_t i = 0; i < r->n; i++) {
        const struct job *job = job_of(r->order[i]);
        const int pipes[] = {job->events, job->log_pipe};
        for (size_t k = 0; k < ARRAY_LEN(pipes) && r->order[i]->state == NODE_RUNNING; k++) {
            if (pipes[k] < 0)
                continue;
            nodes[n] = r->order[i];
            fds[n++] = (struct pollfd){.fd = pipes[k], .events = POLLIN};
        }
    }
    if (waiting)
        fds[n++] = (struct pollfd){.fd = jobserver_wait_fd(), .events = POLLIN};
    int result = 0;
    if (poll(fds, n, 100) < 0 && errno != EINTR)
        result = error_errno(err, errno, "waiting for the running steps");
    for (size_t i = 1; i < n && !result; i++) {
        if (fds[i].revents && nodes[i] && fds[i].fd == job_of(nodes[i])->log_pipe)
            steplog_copy(job_of(nodes[i]));
        else if (fds[i].revents && nodes[i])
            child_read(nodes[i]);
    }
    if (!result && fds[0].revents)
        result = on_signal(r, err);
    free(fds);
    free(nodes);
    view_tick();
    return result;
}

static int loop(struct run *r, struct error **err)
{
    for (;;) {
        bool waiting;
        if (start_ready(r, &waiting, err) < 0)
            return -1;
        if (!r->running)
            return 0;
        if (wait_for_something(r, waiting, err) < 0)
            return -1;
        if (r->stopping && r->running)
            stop_all(r);
    }
}

static int place_all(struct run *r, struct error **err)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct node *node = r->order[i];
        struct job *job = job_of(node);
        if (!job->placed || (node->state != NODE_CACHED && node->state != NODE_DONE))
            continue;
        if (place_outputs(r->b, node, err) < 0)
            return error_wrap(err, "%s", node_label(node));
        job->in_place = true;
    }
    return 0;
}

// Also after a failure: what is done is done, and what could not be placed is pending. Not before:
// a run that is interrupted or refused places nothing, and must not stop a merge of what is there.
static int place_and_note(struct run *r, struct error **err)
{
    if (place_all(r, err) == 0)
        return wanted_note(r->b, err);
    struct error *ignored = NULL; // the first one counts
    wanted_note(r->b, &ignored);
    error_free(ignored);
    return -1;
}

static void block_signals(struct run *r)
{
    // A blocked signal would arrive even if it is ignored (nohup).
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP};
    sigset_t mask;
    sigemptyset(&mask);
    for (size_t i = 0; i < ARRAY_LEN(ending); i++)
        if (!signal_ignored_on_entry(ending[i]))
            sigaddset(&mask, ending[i]);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, &r->old_mask);
    r->signals = signalfd(-1, &mask, SFD_CLOEXEC);
}

// Asks the shared cache for the records of what is missing, needs first.
static int ask_shared_cache(struct run *r, struct error **err)
{
    if (remote_prefetch(r->b, r->order, r->n, err) < 0)
        return -1;
    return reevaluate_dependants(r, err);
}

static bool anything_to_make(const struct run *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (to_make(r, r->order[i]))
            return true;
    return false;
}

// To look into its step, or to make it again, an artifact has to be one that is made here.
static int refuse_prebuilt(const struct build *b, struct error **err)
{
    for (size_t i = 0; i < b->graph.n; i++) {
        const struct job *job = job_of(b->graph.nodes[i]);
        if (!job->asked || !job->prebuilt)
            continue;
        error_user(err, "%s is not made here: it is taken from %s", job->label, job->prebuilt);
        return error_hint(err, "leave it out of KBUILD_PREBUILT");
    }
    return 0;
}

int schedule(struct build *b, enum run_what what, struct error **err)
{
    struct run r = {.b = b, .what = what, .n = b->graph.n, .signals = -1};
    bool publishes = what == RUN_ALL || what == RUN_NETWORK;
    if ((publishes && remote_check(b, err) < 0) || (!publishes && refuse_prebuilt(b, err) < 0))
        return -1;
    r.order = graph_order(&b->graph, err);
    if (!r.order)
        return -1;
    mark_wanted(&r);
    int result = 0;
    view_open(b, r.order, r.n);
    if (anything_to_make(&r)) {
        if (b->remote)
            result = ask_shared_cache(&r, err);
        block_signals(&r);
        if (!result)
            result = jobserver_open(b->options.jobs, err);
        if (!result)
            result = loop(&r, err);
        if (result)
            stop_all(&r);
        jobserver_close();
        close(r.signals);
        sigprocmask(SIG_SETMASK, &r.old_mask, NULL);
    }
    if (!result && what == RUN_ALL)
        result = place_and_note(&r, err);
    if (!result && publishes)
        result = remote_publish(b, r.order, r.n, err);
    if (!result && r.failure) {
        *err = r.failure;
        r.failure = NULL;
        result = -1;
    }
    error_free(r.failure);
    if (publishes)
        view_summary(b, !result && what == RUN_ALL);
    view_close();
    free(r.order);
    return result;
}

int build_run(struct build *b, struct error **err)
{
    work_remind(b);
    // Results go there in the end: an hour of work must not be over before that is tried.
    if (output_folder(b, err) < 0)
        return -1;
    return schedule(b, RUN_ALL, err);
}

int build_fetch(struct build *b, struct error **err)
{
    return schedule(b, RUN_NETWORK, err);
}
