// SPDX-License-Identifier: Apache-2.0
// The scheduler, with made-up actions: what is made, in which order, and what every kind of outcome
// leads to.
#include "test.h"

#include "run/report.h"
#include "run/schedule.h"

#include "base/file.h"
#include "base/error.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { NODES = 300, TRIES = 4 };

// How the process of a node behaves, try by try.
enum act {
    ACT_MAKE, // its content is the node's `makes`
    ACT_PULL,
    ACT_FAIL,
    ACT_VANISH,  // it dies without a word
    ACT_DAMAGED, // says that its input `damaged` is
    ACT_SHARED_LOST,
    ACT_WAIT,          // says that it waits for another process, and then finds what it made
    ACT_INTERRUPT,     // interrupts the scheduler, and sleeps until it is ended
    ACT_SLEEP_FOREVER, // until it is ended
    ACT_FAIL_LATER     // when something sleeps
};

struct plan_of_node {
    enum act acts[TRIES];
    const char *makes, *damaged;
    int tries;             // so far; written by its processes
    bool inputs_were_here; // when it last began
};

// What all processes see.
struct shared {
    struct plan_of_node nodes[NODES];
    int running, most_running, sleeping;
    size_t begun;
    size_t order[NODES * TRIES]; // indexes, as they began
};

// The store of this world: contents by key.
struct entry {
    char key[DIGEST_HEX_SIZE], *content;
};

struct desk {
    struct graph g;
    struct schedule s;
    struct shared *shared;
    struct entry entries[NODES * TRIES];
    size_t entry_count;
    char said[8192];         // "started a", "ended a", "failed a", a line each
    pid_t interrupt;         // who is to be interrupted when the first node has started
    const char *shared_name; // a node that the shared cache has, or NULL
};

// ---- actions ----

static void content_becomes_output(struct node *node, const char *content)
{
    struct node_output *o = xcalloc(1, sizeof *o);
    o->name = xstrdup("tarball");
    digest_bytes(content, strlen(content), o->digest);
    graph_set_outputs(node, o, 1);
}

static int look_up(void *context, struct node *node, struct error **err)
{
    struct desk *d = context;
    graph_key(node);
    node->state = NODE_STALE;
    for (size_t i = 0; i < d->entry_count; i++)
        if (!strcmp(d->entries[i].key, node->key)) {
            content_becomes_output(node, d->entries[i].content);
            node->state = NODE_CACHED;
        }
    if (d->shared_name && !strcmp(d->shared_name, node->name)) {
        content_becomes_output(node, d->shared->nodes[node->index].makes);
        node->state = NODE_SHARED;
    }
    return 0;
}

static void forget_shared(void *context, struct node *node)
{
    ((struct desk *)context)->shared_name = NULL;
}

static int open_log(void *context, struct task *t, struct error **err)
{
    return open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static bool inputs_are_here(const struct node *node)
{
    bool all = true;
    for (size_t i = 0; i < node->need_count; i++)
        all &= !node->needs[i].input || node_is_here(node->needs[i].node);
    return all;
}

static void make(void *context, struct node *node, struct outcome *out)
{
    struct desk *d = context;
    struct plan_of_node *p = &d->shared->nodes[node->index];
    enum act act = p->acts[p->tries < TRIES ? p->tries : TRIES - 1];
    __atomic_add_fetch(&p->tries, 1, __ATOMIC_SEQ_CST);
    p->inputs_were_here = inputs_are_here(node);
    d->shared->order[__atomic_fetch_add(&d->shared->begun, 1, __ATOMIC_SEQ_CST)] = node->index;
    int running = __atomic_add_fetch(&d->shared->running, 1, __ATOMIC_SEQ_CST);
    if (running > d->shared->most_running)
        d->shared->most_running = running;
    if (act != ACT_WAIT)
        phase("working");
    usleep(2000);
    __atomic_sub_fetch(&d->shared->running, 1, __ATOMIC_SEQ_CST);
    const struct node *damaged = p->damaged ? graph_find(&d->g, p->damaged) : NULL;
    switch (act) {
    case ACT_MAKE:
    case ACT_PULL:
        out->kind = act == ACT_PULL ? OUTCOME_PULLED : OUTCOME_MADE;
        out->record = json_pack("{s:s}", "content", p->makes);
        return;
    case ACT_FAIL:
        out->kind = OUTCOME_FAILED;
        error_set(&out->error, ERROR_STEP, "%s failed", node->name);
        error_hint(&out->error, "try another");
        return;
    case ACT_VANISH:
        _exit(7);
    case ACT_DAMAGED:
        out->kind = OUTCOME_DAMAGED_INPUT;
        input_damaged(damaged, &out->error);
        return;
    case ACT_SHARED_LOST:
        out->kind = OUTCOME_SHARED_LOST;
        error_user(&out->error, "gone");
        return;
    case ACT_WAIT:
        report_waiting("for another");
        out->kind = OUTCOME_FOUND;
        out->record = json_pack("{s:s}", "content", p->makes);
        return;
    case ACT_INTERRUPT:
        kill(d->interrupt, SIGTERM);
        // fall through
    case ACT_SLEEP_FOREVER:
        __atomic_add_fetch(&d->shared->sleeping, 1, __ATOMIC_SEQ_CST);
        for (;;)
            pause();
    case ACT_FAIL_LATER:
        while (!__atomic_load_n(&d->shared->sleeping, __ATOMIC_SEQ_CST))
            usleep(1000);
        out->kind = OUTCOME_FAILED;
        error_set(&out->error, ERROR_STEP, "%s failed", node->name);
        return;
    }
}

static int keep(void *context, struct task *t, struct error **err)
{
    struct desk *d = context;
    const char *content = json_string_value(json_object_get(t->outcome.record, "content"));
    if (!strcmp(content, "refused"))
        return error_user(err, "%s is refused", t->node->name);
    content_becomes_output(t->node, content);
    struct entry *e = &d->entries[d->entry_count++];
    memcpy(e->key, t->node->key, DIGEST_HEX_SIZE);
    e->content = xstrdup(content);
    return 0;
}

static void say(struct desk *d, const char *what, const struct task *t)
{
    size_t used = strlen(d->said);
    snprintf(d->said + used, sizeof d->said - used, "%s %s\n", what, t->node->name);
}

static void started(void *context, const struct task *t)
{
    say(context, "started", t);
}

static void waiting(void *context, const struct task *t)
{
    say(context, "waiting", t);
}

static void place_log(void *context, struct task *t)
{
    say(context, "log", t);
}

static void ended(void *context, const struct task *t, const struct error *why)
{
    say(context, why ? "failed" : t->node->state == NODE_CACHED ? "found" : "ended", t);
}

// ---- a world ----

static void desk_open(struct desk *d)
{
    *d = (struct desk){.interrupt = getpid()};
    d->shared =
        mmap(NULL, sizeof *d->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(d->shared != MAP_FAILED);
}

static void desk_close(struct desk *d)
{
    schedule_close(&d->s);
    graph_free(&d->g);
    for (size_t i = 0; i < d->entry_count; i++)
        free(d->entries[i].content);
    munmap(d->shared, sizeof *d->shared);
}

// A node of this name whose content is its name, and the nodes that it needs.
static struct node *add(struct desk *d, const char *name, const char *needs)
{
    struct node *node = graph_add(&d->g, NODE_ARTIFACT, name, name);
    buf_printf(&node->identity, "%s\n", name);
    node->identified = true;
    d->shared->nodes[node->index].makes = node->name;
    cleanup_strlist struct strlist words = {0};
    strlist_split(&words, needs, " ");
    for (size_t i = 0; i < words.n; i++)
        graph_need(node, graph_find(&d->g, words.items[i]), true);
    return node;
}

static struct plan_of_node *plan_of(struct desk *d, const char *name)
{
    return &d->shared->nodes[graph_find(&d->g, name)->index];
}

static struct task *task_of(struct desk *d, const char *name)
{
    return schedule_task(&d->s, graph_find(&d->g, name));
}

static enum node_state state_of(struct desk *d, const char *name)
{
    return graph_find(&d->g, name)->state;
}

// Opens a run, and looks up what is there; roots: names.
static void open_run(struct desk *d, const char *roots)
{
    schedule_close(&d->s);
    assert_int_equal(schedule_open(&d->s, &d->g, NULL), 0);
    cleanup_strlist struct strlist words = {0};
    strlist_split(&words, roots, " ");
    for (size_t i = 0; i < words.n; i++)
        task_of(d, words.items[i])->root = true;
}

static const struct schedule_actions *actions_of(struct desk *d)
{
    static struct schedule_actions a;
    a = (struct schedule_actions){.context = d,
                                  .look_up = look_up,
                                  .open_log = open_log,
                                  .make = make,
                                  .keep = keep,
                                  .forget_shared = forget_shared,
                                  .place_log = place_log,
                                  .waiting = waiting,
                                  .started = started,
                                  .ended = ended};
    return &a;
}

static int run_limited(struct desk *d, unsigned jobs, bool keep_going, struct error **failure,
                       struct error **err)
{
    const struct schedule_limits limits = {.jobs = jobs, .keep_going = keep_going};
    *d->said = '\0';
    if (schedule_look_up(&d->s, actions_of(d), err) < 0)
        return -1;
    return schedule_run(&d->s, actions_of(d), &limits, failure, err);
}

static void run_well(struct desk *d, const char *roots)
{
    struct error *failure = NULL, *err = NULL;
    open_run(d, roots);
    assert_int_equal(run_limited(d, 4, false, &failure, &err), 0);
    assert_null(failure);
    assert_null(err);
}

// As if a later process began with the same store.
static void forget_states(struct desk *d)
{
    for (size_t i = 0; i < d->g.n; i++) {
        d->g.nodes[i]->state = NODE_UNKNOWN;
        d->shared->nodes[i].tries = 0;
    }
    d->shared->begun = 0;
    d->shared->most_running = 0;
}

// ---- tests ----

static void quiet(enum log_level level, const char *line, void *context)
{
}

static int be_quiet(void **state)
{
    log_redirect(quiet, NULL);
    return 0;
}

ALL_TESTS(be_quiet, NULL)

TEST(what_is_wanted_is_made_once_and_after_what_it_needs)
{
    struct desk d;
    desk_open(&d);
    add(&d, "source", "");
    add(&d, "left", "source");
    add(&d, "right", "source");
    add(&d, "top", "left right");
    add(&d, "other", "source");
    run_well(&d, "top");
    assert_int_equal(d.shared->begun, 4);
    assert_int_equal(plan_of(&d, "source")->tries, 1);
    assert_int_equal(plan_of(&d, "other")->tries, 0);
    assert_int_equal(state_of(&d, "other"), NODE_STALE);
    for (size_t i = 0; i < d.g.n; i++)
        assert_int_equal(d.shared->nodes[i].inputs_were_here, d.shared->nodes[i].tries > 0);
    assert_int_equal(task_of(&d, "top")->outcome.kind, OUTCOME_MADE);
    assert_string_equal(task_of(&d, "top")->progress, "working");
    // Again: nothing.
    forget_states(&d);
    run_well(&d, "top");
    assert_int_equal(d.shared->begun, 0);
    assert_int_equal(state_of(&d, "top"), NODE_CACHED);
    desk_close(&d);
}

TEST(an_equal_output_stops_a_rebuild)
{
    struct desk d;
    desk_open(&d);
    add(&d, "source", "");
    add(&d, "middle", "source");
    add(&d, "helper", "");
    add(&d, "top", "middle helper");
    plan_of(&d, "middle")->makes = "the same";
    run_well(&d, "top");
    forget_states(&d);
    // Another source, of which the middle makes the same: the top is found, and the helper is not
    // wanted.
    buf_puts(&graph_find(&d.g, "source")->identity, "new\n");
    plan_of(&d, "source")->makes = "new";
    run_well(&d, "top");
    assert_int_equal(d.shared->begun, 2);
    assert_int_equal(plan_of(&d, "top")->tries, 0);
    assert_int_equal(state_of(&d, "top"), NODE_CACHED);
    assert_non_null(strstr(d.said, "found top"));
    desk_close(&d);
}

TEST(a_failure_ends_the_run_and_skips_what_depends_on_it)
{
    struct desk d;
    struct error *failure = NULL, *err = NULL;
    desk_open(&d);
    add(&d, "bad", "");
    add(&d, "over", "bad");
    add(&d, "further", "over");
    add(&d, "good", "");
    add(&d, "fine", "good");
    plan_of(&d, "bad")->acts[0] = ACT_FAIL;
    open_run(&d, "further fine");
    assert_int_equal(run_limited(&d, 1, false, &failure, &err), 0);
    assert_non_null(failure);
    assert_string_equal(failure->message, "bad failed");
    assert_string_equal(failure->hint, "try another");
    assert_int_equal(failure->kind, ERROR_STEP);
    error_free(steal(failure));
    assert_int_equal(state_of(&d, "bad"), NODE_FAILED);
    assert_int_equal(state_of(&d, "over"), NODE_SKIPPED);
    assert_int_equal(state_of(&d, "further"), NODE_SKIPPED);
    assert_int_equal(plan_of(&d, "good")->tries, 0);
    // With --keep-going what does not depend on it is made.
    forget_states(&d);
    open_run(&d, "further fine");
    assert_int_equal(run_limited(&d, 1, true, &failure, &err), 0);
    assert_non_null(failure);
    error_free(failure);
    assert_int_equal(state_of(&d, "further"), NODE_SKIPPED);
    assert_int_equal(state_of(&d, "fine"), NODE_DONE);
    assert_non_null(strstr(d.said, "failed bad"));
    desk_close(&d);
}

TEST(a_failure_interrupts_what_runs_beside_it)
{
    struct desk d;
    struct error *failure = NULL, *err = NULL;
    desk_open(&d);
    add(&d, "slow", "");
    add(&d, "bad", "");
    plan_of(&d, "slow")->acts[0] = ACT_SLEEP_FOREVER;
    plan_of(&d, "bad")->acts[0] = ACT_FAIL_LATER;
    open_run(&d, "slow bad");
    assert_int_equal(run_limited(&d, 2, false, &failure, &err), 0);
    assert_string_equal(failure->message, "bad failed");
    error_free(failure);
    assert_int_equal(state_of(&d, "bad"), NODE_FAILED);
    assert_int_equal(state_of(&d, "slow"), NODE_INTERRUPTED);
    assert_int_equal(task_of(&d, "slow")->outcome.kind, OUTCOME_NONE);
    desk_close(&d);
}

TEST(a_process_that_dies_without_a_word_is_a_failure)
{
    struct desk d;
    struct error *failure = NULL, *err = NULL;
    desk_open(&d);
    add(&d, "gone", "");
    plan_of(&d, "gone")->acts[0] = ACT_VANISH;
    open_run(&d, "gone");
    assert_int_equal(run_limited(&d, 1, false, &failure, &err), 0);
    assert_non_null(failure);
    assert_non_null(strstr(failure->message, "gone ended with"));
    error_free(failure);
    assert_int_equal(task_of(&d, "gone")->outcome.kind, OUTCOME_NONE);
    desk_close(&d);
}

TEST(a_damaged_input_is_made_again_and_then_its_dependant)
{
    struct desk d;
    desk_open(&d);
    add(&d, "deep", "");
    add(&d, "input", "deep");
    add(&d, "top", "input");
    run_well(&d, "input");
    forget_states(&d);
    plan_of(&d, "top")->acts[0] = ACT_DAMAGED;
    plan_of(&d, "top")->damaged = "input";
    run_well(&d, "top");
    assert_int_equal(plan_of(&d, "input")->tries, 1);
    assert_int_equal(plan_of(&d, "deep")->tries, 0);
    assert_int_equal(plan_of(&d, "top")->tries, 2);
    assert_int_equal(state_of(&d, "top"), NODE_DONE);
    desk_close(&d);
}

TEST(an_input_that_is_damaged_again_is_a_failure)
{
    struct desk d;
    struct error *failure = NULL, *err = NULL;
    desk_open(&d);
    add(&d, "input", "");
    add(&d, "top", "input");
    struct plan_of_node *top = plan_of(&d, "top");
    for (size_t i = 0; i < TRIES; i++)
        top->acts[i] = ACT_DAMAGED;
    top->damaged = "input";
    run_well(&d, "input");
    forget_states(&d);
    open_run(&d, "top");
    assert_int_equal(run_limited(&d, 1, false, &failure, &err), 0);
    assert_non_null(failure);
    assert_non_null(strstr(failure->message, "input in the cache was damaged"));
    assert_string_equal(failure->subject, "input");
    error_free(failure);
    assert_int_equal(top->tries, 2);
    desk_close(&d);
}

TEST(what_the_shared_cache_has_needs_no_inputs_until_it_is_lost)
{
    struct desk d;
    desk_open(&d);
    add(&d, "input", "");
    add(&d, "top", "input");
    plan_of(&d, "top")->acts[0] = ACT_PULL;
    run_well(&d, "input");
    // Only a record of the input is here, so the top's key is known; the shared cache has it.
    graph_find(&d.g, "input")->state = NODE_LOST;
    graph_key(graph_find(&d.g, "top"));
    graph_find(&d.g, "top")->state = NODE_SHARED;
    plan_of(&d, "input")->tries = 0;
    run_well(&d, "top");
    assert_int_equal(plan_of(&d, "input")->tries, 0);
    assert_int_equal(task_of(&d, "top")->outcome.kind, OUTCOME_PULLED);
    // It says so, and then has it no more: from the inputs.
    free(d.entries[--d.entry_count].content);
    graph_find(&d.g, "input")->state = NODE_LOST;
    graph_find(&d.g, "top")->state = NODE_SHARED;
    plan_of(&d, "top")->tries = 0;
    plan_of(&d, "top")->acts[0] = ACT_SHARED_LOST;
    run_well(&d, "top");
    assert_int_equal(plan_of(&d, "input")->tries, 1);
    assert_int_equal(plan_of(&d, "top")->tries, 2);
    assert_int_equal(task_of(&d, "top")->outcome.kind, OUTCOME_MADE);
    desk_close(&d);
}

TEST(an_input_that_was_got_leaves_the_shared_cache_what_it_has)
{
    struct desk d;
    desk_open(&d);
    add(&d, "common", "");
    add(&d, "other", "");
    add(&d, "shared", "common other");
    add(&d, "beside", "common");
    run_well(&d, "shared beside");
    forget_states(&d);
    // "common" is made again for "beside"; the key of "shared" is the same, and "other" is not
    // needed.
    while (d.entry_count)
        free(d.entries[--d.entry_count].content);
    d.shared_name = "shared";
    plan_of(&d, "shared")->acts[0] = ACT_PULL;
    graph_find(&d.g, "common")->state = NODE_LOST;
    graph_find(&d.g, "other")->state = NODE_LOST;
    struct error *failure = NULL, *err = NULL;
    open_run(&d, "shared beside");
    assert_int_equal(run_limited(&d, 1, false, &failure, &err), 0);
    assert_null(failure);
    assert_int_equal(plan_of(&d, "common")->tries, 1);
    assert_int_equal(plan_of(&d, "other")->tries, 0);
    assert_int_equal(task_of(&d, "shared")->outcome.kind, OUTCOME_PULLED);
    desk_close(&d);
}

TEST(who_waited_and_found_it_places_no_log)
{
    struct desk d;
    desk_open(&d);
    add(&d, "one", "");
    add(&d, "two", "");
    plan_of(&d, "one")->acts[0] = ACT_WAIT;
    run_well(&d, "one two");
    assert_int_equal(task_of(&d, "one")->outcome.kind, OUTCOME_FOUND);
    assert_non_null(strstr(d.said, "waiting one"));
    assert_null(strstr(d.said, "log one"));
    assert_non_null(strstr(d.said, "log two"));
    desk_close(&d);
}

TEST(a_lost_output_is_made_again_only_if_something_needs_it)
{
    struct desk d;
    desk_open(&d);
    add(&d, "input", "");
    add(&d, "top", "input");
    run_well(&d, "top");
    graph_find(&d.g, "input")->state = NODE_LOST;
    graph_find(&d.g, "top")->state = NODE_CACHED;
    d.shared->begun = 0;
    run_well(&d, "top");
    assert_int_equal(d.shared->begun, 0);
    free(d.entries[--d.entry_count].content);
    graph_find(&d.g, "top")->state = NODE_STALE;
    run_well(&d, "top");
    assert_int_equal(d.shared->begun, 2);
    desk_close(&d);
}

TEST(what_is_left_alone_is_not_made)
{
    struct desk d;
    desk_open(&d);
    add(&d, "input", "");
    add(&d, "top", "input");
    struct error *failure = NULL, *err = NULL;
    open_run(&d, "top");
    struct task *top = task_of(&d, "top");
    top->left_alone = top->only_inputs = true;
    assert_int_equal(run_limited(&d, 1, false, &failure, &err), 0);
    assert_int_equal(state_of(&d, "input"), NODE_DONE);
    assert_int_equal(plan_of(&d, "top")->tries, 0);
    assert_int_equal(state_of(&d, "top"), NODE_STALE);
    desk_close(&d);
}

TEST(an_interrupt_stops_everything)
{
    struct desk d;
    struct error *failure = NULL, *err = NULL;
    desk_open(&d);
    add(&d, "slow", "");
    add(&d, "top", "slow");
    plan_of(&d, "slow")->acts[0] = ACT_INTERRUPT;
    open_run(&d, "top");
    assert_int_equal(run_limited(&d, 2, true, &failure, &err), -1);
    assert_non_null(err);
    assert_int_equal(err->kind, ERROR_INTERRUPT);
    assert_null(failure);
    error_free(err);
    assert_int_equal(state_of(&d, "slow"), NODE_INTERRUPTED);
    assert_int_equal(task_of(&d, "slow")->pid, 0);
    assert_int_equal(plan_of(&d, "top")->tries, 0);
    desk_close(&d);
}

TEST(a_result_that_cannot_be_kept_ends_the_run)
{
    struct desk d;
    struct error *failure = NULL, *err = NULL;
    desk_open(&d);
    add(&d, "odd", "");
    add(&d, "beside", "");
    plan_of(&d, "odd")->makes = "refused";
    open_run(&d, "odd beside");
    assert_int_equal(run_limited(&d, 2, true, &failure, &err), -1);
    assert_string_equal(err->message, "odd is refused");
    assert_int_equal(state_of(&d, "odd"), NODE_FAILED);
    error_free(err);
    error_free(failure);
    desk_close(&d);
}

TEST(no_more_run_at_a_time_than_allowed)
{
    struct desk d;
    desk_open(&d);
    char name[16];
    cleanup_buf struct buf all = {0};
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "n%d", i);
        add(&d, name, "");
        buf_printf(&all, "%s%s", i ? " " : "", name);
    }
    add(&d, "top", all.data);
    struct error *failure = NULL, *err = NULL;
    open_run(&d, "top");
    assert_int_equal(run_limited(&d, 3, false, &failure, &err), 0);
    assert_int_equal(d.shared->begun, 41);
    assert_true(d.shared->most_running <= 3);
    assert_int_equal(d.shared->order[40], graph_find(&d.g, "top")->index);
    // What was planned first begins first.
    assert_int_equal(d.shared->order[0] < 3, true);
    desk_close(&d);
}

TEST(a_chain_is_made_from_its_end)
{
    struct desk d;
    desk_open(&d);
    char name[16], last[16] = "";
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "n%d", i);
        add(&d, name, last);
        memcpy(last, name, sizeof last);
    }
    run_well(&d, "n59");
    for (size_t i = 0; i < 60; i++)
        assert_int_equal(d.shared->order[i], i);
    desk_close(&d);
}
