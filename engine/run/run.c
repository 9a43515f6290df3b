// SPDX-License-Identifier: Apache-2.0
// Runs a plan: sets what the run makes, and keeps the results, as the scheduler's actions.
#include "run/internal.h"

#include "run/schedule.h"
#include "run/view.h"
#include "run/wanted.h"
#include "run/work.h"
#include "share/share.h"

// ---- what to make ----

static bool is_network(const struct node *node)
{
    return node->kind != NODE_ARTIFACT || job_of(node)->prebuilt;
}

static void set_purpose(struct task *t, enum run_what what)
{
    const struct job *job = job_of(t->node);
    switch (what) {
    case RUN_ALL:
        t->root = job->placed || job->used;
        break;
    case RUN_NETWORK:
        t->root = is_network(t->node);
        t->left_alone = !t->root;
        break;
    case RUN_INPUTS:
        t->root = t->left_alone = t->only_inputs = job->asked;
        break;
    case RUN_AGAIN:
        t->root = job->asked;
        t->left_alone = !job->asked;
        break;
    }
}

// ---- the scheduler's actions ----

struct running {
    struct build *b;
    enum run_what what;
};

static int look_up(void *context, struct node *node, struct error **err)
{
    struct running *r = context;
    return evaluate_node(r->b, node, err);
}

static int looked_up(void *context, struct error **err)
{
    struct running *r = context;
    return lock_save(r->b->lock, err); // what cached lists pin
}

static int open_log(void *context, struct task *t, struct error **err)
{
    struct running *r = context;
    char *path = build_log_path(&r->b->options, node_label(t->node));
    int file = output_log_open(r->b, path, err);
    if (file < 0) {
        free(path);
        return -1;
    }
    return steplog_open(&t->log, path, file, err);
}

static void place_log(void *context, struct task *t)
{
    struct running *r = context;
    output_log_place(r->b, t->log.path, t->log.file);
}

static void make(void *context, struct node *node, struct outcome *out)
{
    struct running *r = context;
    make_node(r->b, node, out);
}

static int keep(void *context, struct task *t, struct error **err)
{
    struct running *r = context;
    const json_t *record = t->outcome.record;
    if (!outputs_from_record(t->node, record))
        return error_set(err, ERROR_STEP, "%s: made nothing", node_label(t->node));
    if (list_check(r->b, t->node, record, err) < 0)
        return -1;
    job_of(t->node)->made = true;
    list_pin(r->b, t->node, record);
    if (lock_save(r->b->lock, err) < 0) // another kbuild may have recorded something else
        return -1;
    if (r->what == RUN_AGAIN)
        return 0;
    output_log_keep(r->b, t->node, &t->log, t->outcome.kind == OUTCOME_MADE);
    remember_build(r->b, t->node);
    return 0;
}

static void forget_shared(void *context, struct node *node)
{
    entry_forget(job_of(node));
}

static void started(void *context, const struct task *t)
{
    view_started(t);
}

static void progressed(void *context, const struct task *t)
{
    view_progress(t);
}

static void waiting(void *context, const struct task *t)
{
    view_waiting(t);
}

static void ended(void *context, const struct task *t, const struct error *why)
{
    view_ended(t, why);
}

static void tick(void *context)
{
    view_tick();
}

// ---- a run ----

// To run its step again or to enter it, an artifact must be made here.
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

// The nodes of the tasks for which is_one() is true, in order. To be freed.
static struct node **nodes_of(const struct schedule *s, bool (*is_one)(const struct task *),
                              size_t *n)
{
    struct node **nodes = xcalloc(s->n + 1, sizeof(struct node *));
    *n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (is_one(&s->tasks[i]))
            nodes[(*n)++] = s->tasks[i].node;
    return nodes;
}

static bool any_task(const struct task *t)
{
    return true;
}

static bool is_result(const struct task *t)
{
    return job_of(t->node)->placed && node_is_here(t->node);
}

// Results made here have been pushed already.
static bool was_there(const struct task *t)
{
    return node_is_known(t->node) && t->outcome.kind != OUTCOME_MADE;
}

static int place_all(struct build *b, struct node **results, size_t n, size_t *placed,
                     struct error **err)
{
    for (*placed = 0; *placed < n; ++*placed)
        if (place_outputs(b, results[*placed], err) < 0)
            return error_wrap(err, "%s", node_label(results[*placed]));
    return 0;
}

// Runs also after a failure: finished results are placed, the others are noted as pending. Not
// earlier: an interrupted or refused run places nothing, and must not block a merge of older
// results.
static int place_and_note(struct build *b, const struct schedule *s, struct error **err)
{
    size_t n, placed;
    cleanup_free struct node **results = nodes_of(s, is_result, &n);
    if (place_all(b, results, n, &placed, err) == 0)
        return wanted_note(b, results, placed, err);
    cleanup_error struct error *later = NULL; // the first error is reported
    wanted_note(b, results, placed, &later);
    return -1;
}

// Queries the shared cache for missing records, needs first.
static int ask_shared_cache(struct build *b, struct schedule *s, const struct schedule_actions *a,
                            struct error **err)
{
    size_t n;
    cleanup_free struct node **order = nodes_of(s, any_task, &n);
    if (remote_prefetch(b, order, n, evaluate_node, err) < 0)
        return -1;
    return schedule_look_up(s, a, err);
}

static int publish(struct build *b, const struct schedule *s, struct error **err)
{
    size_t n;
    cleanup_free struct node **nodes = nodes_of(s, was_there, &n);
    return remote_publish(b, nodes, n, err);
}

static int make_all(struct build *b, struct schedule *s, struct running *running,
                    struct error **failure, struct error **err)
{
    const struct schedule_actions doing = {
        .context = running,
        .look_up = look_up,
        .looked_up = looked_up,
        .open_log = open_log,
        .place_log = place_log,
        .make = make,
        .keep = keep,
        .forget_shared = forget_shared,
        .started = started,
        .progressed = progressed,
        .waiting = waiting,
        .ended = ended,
        .tick = tick,
    };
    const struct schedule_limits limits = {.jobs = b->options.jobs,
                                           .keep_going = b->options.keep_going};
    if (b->remote && ask_shared_cache(b, s, &doing, err) < 0)
        return -1;
    return schedule_run(s, &doing, &limits, failure, err);
}

int run_nodes(struct build *b, enum run_what what, struct error **err)
{
    struct running running = {.b = b, .what = what};
    bool publishes = what == RUN_ALL || what == RUN_NETWORK;
    struct schedule s;
    struct error *failure = NULL;
    if ((publishes && remote_check(b, err) < 0) || (!publishes && refuse_prebuilt(b, err) < 0) ||
        schedule_open(&s, &b->graph, err) < 0)
        return -1;
    for (size_t i = 0; i < s.n; i++)
        set_purpose(&s.tasks[i], what);
    bool missing = schedule_want(&s);
    view_open(b, &s);
    int result = missing ? make_all(b, &s, &running, &failure, err) : 0;
    if (!result && what == RUN_ALL)
        result = place_and_note(b, &s, err);
    if (!result && publishes)
        result = publish(b, &s, err);
    if (!result && failure) {
        *err = steal(failure);
        result = -1;
    }
    error_free(failure);
    if (publishes)
        view_summary(b, !result && what == RUN_ALL);
    view_close();
    schedule_close(&s);
    return result;
}

int build_run(struct build *b, struct error **err)
{
    work_remind(b);
    // Checked now: the results go there after perhaps an hour of work.
    if (output_folder(b, err) < 0)
        return -1;
    return run_nodes(b, RUN_ALL, err);
}

int build_fetch(struct build *b, struct error **err)
{
    return run_nodes(b, RUN_NETWORK, err);
}
