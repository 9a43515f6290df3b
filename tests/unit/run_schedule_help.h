// SPDX-License-Identifier: Apache-2.0
// A graph with made-up actions for tests of the scheduler: nodes whose processes behave as they are
// told, a store in memory, and what the scheduler said.
#ifndef KBUILD_TESTS_RUN_SCHEDULE_HELP_H
#define KBUILD_TESTS_RUN_SCHEDULE_HELP_H

#include "test.h"

#include "run/schedule.h"

#include "base/error.h"
#include "base/file.h"

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

struct behaviour {
    enum act acts[TRIES];
    const char *makes, *damaged;
    int tries;             // so far; written by its processes
    bool inputs_were_here; // when it last began
};

// What all processes see.
struct shared {
    struct behaviour nodes[NODES];
    int running, most_running, sleeping;
    size_t begun;
    size_t order[NODES * TRIES]; // indexes, as they began
};

// The store: contents by key.
struct entry {
    char key[DIGEST_HEX_SIZE], *content;
};

struct fixture {
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
    struct fixture *d = context;
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
    ((struct fixture *)context)->shared_name = NULL;
}

static int open_log(void *context, struct task *t, struct error **err)
{
    return open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static bool inputs_are_here(const struct node *node)
{
    bool all = true;
    for (size_t i = 0; i < node->need_count; i++)
        all &= !node->needs[i].input || node_is_stored(node->needs[i].node);
    return all;
}

static void make(void *context, struct node *node, struct outcome *out)
{
    struct fixture *d = context;
    struct behaviour *p = &d->shared->nodes[node->index];
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
    struct fixture *d = context;
    const char *content = json_string_value(json_object_get(t->outcome.record, "content"));
    if (!strcmp(content, "refused"))
        return error_user(err, "%s is refused", t->node->name);
    content_becomes_output(t->node, content);
    struct entry *e = &d->entries[d->entry_count++];
    memcpy(e->key, t->node->key, DIGEST_HEX_SIZE);
    e->content = xstrdup(content);
    return 0;
}

static void say(struct fixture *d, const char *what, const struct task *t)
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

// ---- the fixture ----

static void fixture_open(struct fixture *d)
{
    *d = (struct fixture){.interrupt = getpid()};
    d->shared =
        mmap(NULL, sizeof *d->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(d->shared != MAP_FAILED);
}

static void fixture_close(struct fixture *d)
{
    schedule_close(&d->s);
    graph_free(&d->g);
    for (size_t i = 0; i < d->entry_count; i++)
        free(d->entries[i].content);
    munmap(d->shared, sizeof *d->shared);
}

// A node of this name whose content is its name, and the nodes that it needs.
static struct node *add(struct fixture *d, const char *name, const char *needs)
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

static struct behaviour *behaviour_of(struct fixture *d, const char *name)
{
    return &d->shared->nodes[graph_find(&d->g, name)->index];
}

static struct task *task_of(struct fixture *d, const char *name)
{
    return schedule_task(&d->s, graph_find(&d->g, name));
}

static inline enum node_state state_of(struct fixture *d, const char *name)
{
    return graph_find(&d->g, name)->state;
}

// Opens a run, and looks up what is there; roots: names.
static void open_run(struct fixture *d, const char *roots)
{
    schedule_close(&d->s);
    assert_int_equal(schedule_open(&d->s, &d->g, NULL), 0);
    cleanup_strlist struct strlist words = {0};
    strlist_split(&words, roots, " ");
    for (size_t i = 0; i < words.n; i++)
        task_of(d, words.items[i])->root = true;
}

static const struct schedule_actions *actions_of(struct fixture *d)
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

static int run_limited(struct fixture *d, unsigned jobs, bool keep_going, struct error **failure,
                       struct error **err)
{
    const struct schedule_limits limits = {.jobs = jobs, .keep_going = keep_going};
    *d->said = '\0';
    if (schedule_look_up(&d->s, actions_of(d), err) < 0)
        return -1;
    return schedule_run(&d->s, actions_of(d), &limits, failure, err);
}

static void run_well(struct fixture *d, const char *roots)
{
    struct error *failure = NULL, *err = NULL;
    open_run(d, roots);
    assert_int_equal(run_limited(d, 4, false, &failure, &err), 0);
    assert_null(failure);
    assert_null(err);
}

// As if a later process began with the same store.
static inline void forget_states(struct fixture *d)
{
    for (size_t i = 0; i < d->g.n; i++) {
        d->g.nodes[i]->state = NODE_UNKNOWN;
        d->shared->nodes[i].tries = 0;
    }
    d->shared->begun = 0;
    d->shared->most_running = 0;
}

#endif
