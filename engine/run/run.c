// SPDX-License-Identifier: Apache-2.0
// Opens a build (versions.yaml, recipes, lock, store, shared cache), runs its plan, and closes it:
// sets what the run makes, and keeps the results, as the scheduler's actions.
#include "run/internal.h"

#include "base/input.h"
#include "run/plan_file.h"
#include "share/share.h"

#include <string.h>
#include <sys/stat.h>

// ---- open and close ----

// Trusted keys are checked even if this run uses no registry: results of earlier ones are in the
// local cache.
static int load_trusted(struct build *b, struct error **err)
{
    const char *path;
    if (security_variables_check(err) < 0 ||
        security_variable("KBUILD_TRUSTED_KEYS", &path, err) < 0)
        return -1;
    if (path && !(b->trusted = trusted_keys_load(path, err)))
        return error_wrap(err, "KBUILD_TRUSTED_KEYS");
    return 0;
}

// Everything that the options name, but for the cache, which is made if there is none.
static int open_inputs(struct build *b, struct error **err)
{
    const struct build_options *o = &b->options;
    return load_trusted(b, err) < 0 || !(b->versions = versions_load(o->versions, err)) ||
                   !(b->recipes = recipe_set_open(o->recipes, err)) ||
                   check_source_names(b, err) < 0 || prebuilt_check(b, err) < 0 ||
                   !(b->lock = lock_open(o->versions, o->installed, err)) || remote_open(b, err) < 0
               ? -1
               : 0;
}

static struct build *build_new(const struct build_options *o)
{
    struct build *b = xcalloc(1, sizeof *b);
    b->options = *o;
    b->run = xcalloc(1, sizeof *b->run);
    b->run->opened_ms = now_ms();
    b->run->mirrors = mirrors_new();
    return b;
}

int build_check(const struct build_options *o, struct error **err)
{
    struct build *b = build_new(o);
    int result = open_inputs(b, err) < 0 ? -1 : remote_check(b, err);
    build_close(b);
    return result;
}

struct build *build_open(const struct build_options *o, struct error **err)
{
    struct build *b = build_new(o);
    if (open_inputs(b, err) < 0 || !(b->store = cache_open(o->cache, o->anew, err))) {
        build_close(b);
        return NULL;
    }
    b->versions->release = o->release ? xstrdup(o->release) : NULL;
    return b;
}

static void job_forget(struct node *node)
{
    struct job *job = job_of(node);
    if (!job)
        return;
    entry_forget(job);
    checkpoint_free(job->checkpoint);
    job_free(job);
}

// Before the store is closed, which has the folders of the mirrors.
static void run_state_free(struct run_state *s)
{
    mirrors_free(s->mirrors);
    distribution_free(&s->host);
    strlist_free(&s->targets);
    strlist_free(&s->source_names);
    strlist_free(&s->notes);
    free(s->codec_version);
    if (s->output_open)
        close(s->output_fd);
    free(s);
}

void build_close(struct build *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->graph.n; i++)
        job_forget(b->graph.nodes[i]);
    graph_free(&b->graph);
    run_state_free(b->run);
    if (b->store)
        store_close(b->store);
    if (b->lock)
        lock_free(b->lock);
    if (b->recipes)
        recipe_set_free(b->recipes);
    if (b->versions)
        versions_free(b->versions);
    remote_close(b->remote);
    trusted_keys_free(b->trusted);
    free(b);
}

struct graph *build_graph(struct build *b)
{
    return &b->graph;
}

const struct build_options *build_options(const struct build *b)
{
    return &b->options;
}

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
    case RUN_FOUND:
    case RUN_THERE:
        t->root = job->placed || job->used;
        break;
    case RUN_FOLDERS:
        t->root = node_is_folder(t->node);
        t->excluded_from_run = !t->root;
        break;
    case RUN_NETWORK:
        t->root = is_network(t->node);
        t->excluded_from_run = !t->root;
        break;
    case RUN_INPUTS:
        t->root = t->excluded_from_run = t->only_inputs = job->asked;
        break;
    case RUN_AGAIN:
        t->root = job->asked;
        t->excluded_from_run = !job->asked;
        break;
    }
}

// ---- the scheduler's actions ----

struct run_context {
    struct build *b;
    enum run_what what;
    struct node *one;      // of `kbuild run`; or NULL
    struct last_run *last; // for the report; or NULL
};

static int look_up_node(void *context, struct node *node, struct error **err)
{
    struct run_context *r = context;
    if (evaluate_node(r->b, node, err) < 0)
        return -1;
    return node == r->one ? check_planned_key(node, err) : 0;
}

static int save_lock(void *context, struct error **err)
{
    struct run_context *r = context;
    return lock_save(r->b->lock, err); // what cached lists pin
}

static int open_log(void *context, struct task *t, struct error **err)
{
    struct run_context *r = context;
    if (r->last)
        last_run_starts(r->last, t);
    char *path = build_log_path(&r->b->options, node_label(t->node));
    int file = output_log_open(r->b, path, err);
    if (file < 0) {
        free(path);
        return -1;
    }
    cleanup_free char *command = remote_log_command(&r->b->options, t->node->id);
    free(t->log_hint);
    t->log_hint =
        command ? xasprintf("%s shows all that it said", command) : xasprintf("see %s", path);
    return steplog_open(&t->log, path, file, err);
}

static void place_log(void *context, struct task *t)
{
    struct run_context *r = context;
    output_log_place(r->b, t->log.path, t->log.file);
}

static void make_in_child(void *context, struct node *node, struct outcome *out)
{
    struct run_context *r = context;
    make_node(r->b, node, out);
}

static int keep_result(void *context, struct task *t, struct error **err)
{
    struct run_context *r = context;
    const json_t *record = t->outcome.record;
    if (!outputs_from_record(t->node, record))
        return error_set(err, ERROR_STEP, "%s: made nothing", node_label(t->node));
    if (list_check(r->b, t->node, record, err) < 0)
        return -1;
    job_of(t->node)->made = true;
    job_of(t->node)->made_here = t->outcome.kind == OUTCOME_MADE;
    list_pin(r->b, t->node, record);
    if (lock_save(r->b->lock, err) < 0) // another kbuild may have recorded something else
        return -1;
    if (r->what == RUN_AGAIN)
        return 0;
    output_log_keep(r->b, t->node, &t->log, t->outcome.kind == OUTCOME_MADE);
    record_last_build(r->b, t->node);
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

// Of what `kbuild run` made or could not make, other machines get the log; losing it is no reason
// to fail.
static void share_log(const struct run_context *r, const struct task *t, bool failed)
{
    struct stat st;
    if (!r->one || !r->b->remote || job_of(t->node)->found_only || t->log.file < 0 ||
        fstat(t->log.file, &st) < 0 || !st.st_size)
        return;
    cleanup_error struct error *why = NULL;
    if (remote_log_push(r->b, t->node, t->log.file, failed, &why) < 0)
        log_warning("the log of %s could not be pushed: %s", node_label(t->node), why->message);
}

static void ended(void *context, const struct task *t, const struct error *why)
{
    if (t->outcome.kind == OUTCOME_MADE || why)
        share_log(context, t, why != NULL);
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
    return job_of(t->node)->placed && node_is_stored(t->node);
}

// Results made here have been pushed already.
static bool was_there(const struct task *t)
{
    return node_is_known(t->node) && t->outcome.kind != OUTCOME_MADE;
}

static int place_all(struct build *b, struct node **results, size_t n, size_t *placed,
                     struct error **err)
{
    for (*placed = 0; *placed < n; ++*placed) {
        if (interrupts_check(err) < 0) // what is large takes its time
            return -1;
        if (place_outputs(b, results[*placed], err) < 0)
            return error_wrap(err, "%s", node_label(results[*placed]));
        note_last_build(b, results[*placed]);
    }
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
        return output_targets_note(b, results, placed, err);
    cleanup_error struct error *later = NULL; // the first error is reported
    output_targets_note(b, results, placed, &later);
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

static void leave_missing(struct schedule *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct node *node = s->tasks[i].node;
        s->tasks[i].excluded_from_run = !node_is_stored(node) && node->state != NODE_SHARED;
    }
    schedule_want(s);
}

static struct schedule_actions actions_of(struct run_context *context)
{
    return (struct schedule_actions){
        .context = context,
        .look_up = look_up_node,
        .looked_up = save_lock,
        .open_log = open_log,
        .place_log = place_log,
        .make = make_in_child,
        .keep = keep_result,
        .forget_shared = forget_shared,
        .started = started,
        .progressed = progressed,
        .waiting = waiting,
        .ended = ended,
        .tick = tick,
    };
}

static int make_all(struct build *b, struct schedule *s, struct run_context *context,
                    struct error **failure, struct error **err)
{
    const struct schedule_actions doing = actions_of(context);
    const struct schedule_limits limits = {.jobs = b->options.jobs,
                                           .keep_going = b->options.keep_going};
    if (b->remote && ask_shared_cache(b, s, &doing, err) < 0)
        return -1;
    if (context->what == RUN_THERE)
        leave_missing(s);
    if (codec_hold(b, err) < 0)
        return -1;
    return schedule_run(s, &doing, &limits, failure, err);
}

// A file that cannot be written is found before the work, and not after it.
static int begin_trace(const struct build *b, struct file_draft *trace, struct error **err)
{
    if (!b->options.trace || file_draft_begin(trace, b->options.trace, err) == 0)
        return 0;
    return error_wrap(err, "--trace");
}

// *lost: why there is no trace.
static void keep_for_report(struct last_run *l, struct file_draft *trace, const struct error *why,
                            struct error **lost)
{
    last_run_write(l, why);
    if (l->b->options.trace && trace_write(l, trace, lost) < 0)
        error_wrap(lost, "the trace is lost");
}

// The first error is reported. Takes `lost`.
static int report_lost_trace(struct error *lost, int result, struct error **err)
{
    if (!lost)
        return result;
    if (result < 0 || !err) {
        log_warning("%s", lost->message);
        error_free(lost);
    } else {
        *err = lost;
    }
    return -1;
}

int run_nodes(struct build *b, enum run_what what, struct error **err)
{
    struct last_run last;
    cleanup_draft struct file_draft trace = FILE_DRAFT_NONE;
    struct run_context context = {.b = b, .what = what};
    bool publishes = what == RUN_ALL || what == RUN_NETWORK;
    bool finds = what == RUN_FOUND || what == RUN_THERE;
    bool places = what == RUN_ALL || finds;
    struct schedule s;
    struct error *failure = NULL, *lost = NULL;
    bool remakes = what == RUN_INPUTS || what == RUN_AGAIN;
    for (size_t i = 0; finds && i < b->graph.n; i++)
        job_of(b->graph.nodes[i])->found_only = !node_is_unshared(b->graph.nodes[i]);
    if ((publishes && remote_check(b, err) < 0) || (remakes && refuse_prebuilt(b, err) < 0) ||
        (publishes && begin_trace(b, &trace, err) < 0) || schedule_open(&s, &b->graph, err) < 0)
        return -1;
    for (size_t i = 0; i < s.n; i++)
        set_purpose(&s.tasks[i], what);
    bool missing = schedule_want(&s);
    interrupts_hold(); // from the first event to the last one
    view_open(b, &s);
    last_run_open(b, &last, &s, what == RUN_NETWORK ? "fetch" : "build");
    context.last = publishes ? &last : NULL;
    int result = missing ? make_all(b, &s, &context, &failure, err) : 0;
    last.made_ms = now_ms();
    if (!result)
        result = interrupts_check(err); // then nothing is placed
    if (!result && places)
        result = place_and_note(b, &s, err);
    if (!result && publishes)
        result = publish(b, &s, err);
    if (!result)
        result = interrupts_check(err);
    if (!result && failure) {
        *err = steal(failure);
        result = -1;
    }
    error_free(failure);
    if (publishes)
        keep_for_report(&last, &trace, result && err ? *err : NULL, &lost);
    last_run_close(&last);
    if (publishes || places)
        view_summary(b, !result && places, result && err ? *err : NULL);
    result = report_lost_trace(lost, result, err);
    view_close();
    interrupts_release(result < 0);
    schedule_close(&s);
    return result;
}

// ---- folders of the user ----

int build_copy_folders(struct build *b, struct error **err)
{
    const enum view_style view = b->options.view;
    const bool shared_only = b->shared_only;
    bool missing = false;
    int result = 0;
    b->shared_only = false;
    for (size_t i = 0; i < b->graph.n && !result; i++) {
        struct node *node = b->graph.nodes[i];
        if (!node_is_folder(node) || node_is_stored(node))
            continue;
        result = evaluate_node(b, node, err);
        missing |= !node_is_stored(node);
    }
    b->options.view = VIEW_PLAIN; // standard output is the plan's
    if (!result && missing)
        result = run_nodes(b, RUN_FOLDERS, err);
    b->options.view = view;
    b->shared_only = shared_only;
    return result;
}

// ---- kbuild run: one node ----

// With the grain of artifacts its inputs that are no artifacts are made along.
static bool is_made_along(const struct node *node, const struct node *of, enum plan_grain grain)
{
    if (node_is_unshared(node))
        return true;
    for (size_t i = 0; grain == GRAIN_ARTIFACT && i < of->need_count; i++) {
        const struct node *needed = of->needs[i].node;
        if (needed->kind != NODE_ARTIFACT && (needed == node || is_made_along(node, needed, grain)))
            return true;
    }
    return false;
}

// An input that nobody has made, or that was removed since: another job has to make it.
static int check_inputs(const struct schedule *s, const struct node *node, struct error **err)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct task *t = &s->tasks[i];
        const struct node *input = t->node;
        if (!t->wanted || !job_of(input)->found_only || node_is_stored(input) ||
            input->state == NODE_SHARED)
            continue;
        error_set(err, ERROR_AGAIN, "%s cannot be made yet: its input %s " INPUT_LOST "%s",
                  node->id, input->id,
                  job_of(input)->untrusted ? " (the registry has one that no key of "
                                             "KBUILD_TRUSTED_KEYS signed)"
                                           : "");
        return error_hint(err, "kbuild run %s makes that input", input->id);
    }
    return 0;
}

// 1: the registry has the node, now; 0: to be made; -1.
static int find_one(struct build *b, struct schedule *s, struct node *node, struct error **err)
{
    int lost = forget_lost_content(b, node, err);
    if (lost < 0)
        return -1;
    if (lost)
        schedule_want(s);
    if (node->state != NODE_SHARED && !node_is_stored(node))
        return 0;
    if (remote_publish(b, &node, 1, err) < 0)
        return -1;
    if (!job_of(node)->unpushed) {
        log_note("%s: found, key %.12s", node->id, node->key);
        return 1;
    }
    log_note("%s: the registry lost it, and the one in the cache is of another machine", node->id);
    node->state = NODE_STALE;
    schedule_want(s);
    return 0;
}

static int run_one(struct build *b, struct schedule *s, struct run_context *context,
                   struct error **failure, struct error **err)
{
    const struct schedule_actions doing = actions_of(context);
    const struct schedule_limits limits = {.jobs = b->options.jobs};
    if ((b->remote && ask_shared_cache(b, s, &doing, err) < 0) ||
        check_planned_key(context->one, err) < 0)
        return -1;
    int found = find_one(b, s, context->one, err);
    if (found)
        return found < 0 ? -1 : 0;
    if (check_inputs(s, context->one, err) < 0 || codec_hold(b, err) < 0)
        return -1;
    return schedule_run(s, &doing, &limits, failure, err);
}

static int check_pushes(const struct build *b, const struct node *node, struct error **err)
{
    if (!b->remote)
        return 0;
    if (!b->remote->artefacts && node->kind != NODE_BUILDER) {
        error_user(err, "BUILDER_REGISTRY has builders only: other machines could not get %s",
                   node->id);
        return error_hint(err, "set ARTEFACT_REGISTRY and ARTEFACT_REPOSITORY");
    }
    if (b->remote->push)
        return 0;
    error_user(err, "PUSH_TO_REGISTRY=no: other machines could not get the result");
    return error_hint(err, "unset PUSH_TO_REGISTRY, or name no registry");
}

int build_run_node(struct build *b, struct node *node, enum plan_grain grain, struct error **err)
{
    struct run_context context = {.b = b, .what = RUN_ALL, .one = node};
    struct schedule s;
    struct error *failure = NULL;
    if (b->remote) {
        b->options.remote = REMOTE_REQUIRE;
        b->needs_remote = true;
    }
    for (size_t i = 0; i < b->graph.n; i++)
        job_of(b->graph.nodes[i])->found_only =
            b->graph.nodes[i] != node && !is_made_along(b->graph.nodes[i], node, grain);
    if (check_pushes(b, node, err) < 0 || output_folder(b, err) < 0 ||
        build_copy_folders(b, err) < 0 || schedule_open(&s, &b->graph, err) < 0)
        return -1;
    schedule_task(&s, node)->root = true;
    schedule_want(&s);
    interrupts_hold();
    view_open(b, &s);
    int result = run_one(b, &s, &context, &failure, err);
    if (!result)
        result = interrupts_check(err);
    if (!result && failure) {
        *err = steal(failure);
        result = -1;
    }
    error_free(failure);
    if (!result && node->state == NODE_SHARED)
        node->state = NODE_CACHED; // it was there, and nobody here needs it
    view_summary(b, false, result && err ? *err : NULL);
    view_close();
    interrupts_release(result < 0);
    schedule_close(&s);
    return result;
}

int build_run(struct build *b, struct error **err)
{
    checkpoint_report_unused(b);
    // Checked now: the results go there after perhaps an hour of work.
    if (output_folder(b, err) < 0)
        return -1;
    return run_nodes(b, RUN_ALL, err);
}

int build_check_output(struct build *b, struct error **err)
{
    return output_folder(b, err) < 0 ? -1 : 0;
}

int build_place(struct build *b, struct error **err)
{
    return output_folder(b, err) < 0 ? -1 : run_nodes(b, RUN_FOUND, err);
}

int build_place_made(struct build *b, struct error **err)
{
    return output_folder(b, err) < 0 ? -1 : run_nodes(b, RUN_THERE, err);
}

int build_fetch(struct build *b, struct error **err)
{
    return run_nodes(b, RUN_NETWORK, err);
}
