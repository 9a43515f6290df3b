// SPDX-License-Identifier: Apache-2.0
// Following jobs that run elsewhere, with a made-up engine: what is submitted when, and what every
// end of a job leads to.
#include "test.h"

#include "run/follow.h"

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "run/internal.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

// What a job does: the states that the polls after its submission see, one a letter; the last one
// stays. 'q' waits, 'r' runs, 'd' done, 'f' failed with status 3, 'a' with 75, 'u' with 2, 'x' with
// 127, 'k' with 137, 'l' lost without a status, 'c' cancelled by others, 'e' by the engine, 'n'
// cancelled by the engine since a need failed; 'i' runs, and interrupts the one who follows.
struct act {
    const char *node, *states;
    size_t polls;
};

struct fixture {
    struct build *b;
    struct plan p;
    struct act acts[60];
    size_t n;
    struct buf said;    // "+a" submitted, "-" cancelled, "-waiting" only those that wait
    size_t open, most;  // submitted and not ended
    bool refuses, mute; // submissions; questions
    const char *rings;  // the submission of this node interrupts the one who follows
    int signal;         // with this; 0: SIGINT
    const char *hangs;  // that of this node does, until it is interrupted, and may have succeeded
    bool gives_up;      // so does a question
    const char *late;   // the submission of this node is not answered, the first time
    unsigned deaf;      // so many requests to cancel fail
    bool impatient;     // each request to cancel comes with one more interrupt
    size_t most_at_once, at_once; // submissions between two polls
    struct follow_history history;
    unsigned idle_ms, tries;
    const char *finds;    // the job of this node does not make it
    const char *machines; // a job gets the first that it may; NULL: m1
    struct buf kept;      // "a!m1 ", jobs that wait and are kept from machines
    const char *project;
};

static char *folder, *versions, *recipes, *cache;
static struct strlist recipe_list = {.items = &recipes, .n = 1};

static void quiet(enum log_level level, const char *line, void *context)
{
}

static int begin(void **state)
{
    static const char components[] = "one: {url: \"https://example.org/one\", version: v1}\n";
    const char *parent = getenv("TMPDIR");
    folder = make_temporary_directory(parent ? parent : "/tmp", "run-follow", NULL);
    versions = xasprintf("%s/versions.yaml", folder);
    recipes = xasprintf("%s/recipes", folder);
    cache = xasprintf("%s/cache", folder);
    assert_int_equal(make_directories(recipes, 0755, NULL), 0);
    assert_int_equal(file_write(versions, components, sizeof components - 1, 0644, NULL), 0);
    log_redirect(quiet, NULL);
    return 0;
}

static int end(void **state)
{
    log_redirect(NULL, NULL);
    remove_tree(folder, NULL);
    free(folder);
    free(versions);
    free(recipes);
    free(cache);
    return 0;
}

ALL_TESTS(begin, end)

// ---- the made-up engine ----

static struct act *act_of(struct fixture *d, const struct job_elsewhere *j)
{
    for (size_t i = 0; i < d->n; i++)
        if (!strcmp(d->acts[i].node, j->node->id))
            return &d->acts[i];
    fail();
    return NULL;
}

// The first machine that the job may get, to be freed; or NULL.
static char *machine_for(const struct fixture *d, const struct job_elsewhere *j)
{
    cleanup_strlist struct strlist all = {0};
    strlist_split(&all, d->machines ? d->machines : "m1", " ");
    for (size_t i = 0; i < all.n; i++)
        if (!strlist_has(&j->not_on, all.items[i]))
            return xstrdup(all.items[i]);
    return NULL;
}

// "a!m1!m2 ": a job, and the machines that it must not get.
static void say_job(struct buf *out, const struct job_elsewhere *j)
{
    buf_puts(out, j->node->id);
    for (size_t i = 0; i < j->not_on.n; i++)
        buf_printf(out, "!%s", j->not_on.items[i]);
    buf_puts(out, " ");
}

static void avoid(void *context, struct job_elsewhere *const *jobs, size_t n)
{
    struct fixture *d = context;
    for (size_t i = 0; i < n; i++)
        say_job(&d->kept, jobs[i]);
}

static int submit(void *context, struct job_elsewhere *j, struct error **err)
{
    struct fixture *d = context;
    cleanup_free char *machine = machine_for(d, j);
    if (!machine)
        return 2;
    if (d->refuses)
        return error_user(err, "the queue is closed");
    if (d->late && !strcmp(d->late, j->node->id)) {
        d->late = NULL;
        buf_puts(&d->said, "? ");
        return 1;
    }
    d->most_at_once = ++d->at_once > d->most_at_once ? d->at_once : d->most_at_once;
    // Its needs have been submitted.
    for (size_t i = 0; i < j->need_count; i++)
        assert_non_null(j->needs[i]->id);
    if (d->rings && !strcmp(d->rings, j->node->id))
        kill(getpid(), d->signal ? d->signal : SIGINT);
    if (d->hangs && !strcmp(d->hangs, j->node->id)) {
        kill(getpid(), SIGINT);
        j->unsure = true;
        buf_puts(&d->said, "? ");
        return 1;
    }
    j->id = xstrdup(j->node->id);
    j->waits = xstrdup("no machine is free");
    buf_puts(&d->said, "+");
    say_job(&d->said, j);
    d->open++;
    d->most = d->open > d->most ? d->open : d->most;
    return 0;
}

static bool is_open(const struct job_elsewhere *j)
{
    return j->state == JOB_SUBMITTED || j->state == JOB_RUNNING;
}

static bool all_done(const struct job_elsewhere *j)
{
    for (size_t i = 0; i < j->need_count; i++)
        if (j->needs[i]->state != JOB_DONE)
            return false;
    return true;
}

static void set_state(struct fixture *d, struct job_elsewhere *j)
{
    static const struct {
        char letter;
        enum job_state state;
        int status;
    } states[] = {{'q', JOB_SUBMITTED, -1}, {'r', JOB_RUNNING, -1}, {'i', JOB_RUNNING, -1},
                  {'d', JOB_DONE, 0},       {'f', JOB_FAILED, 3},   {'a', JOB_FAILED, 75},
                  {'u', JOB_FAILED, 2},     {'o', JOB_FAILED, 1},   {'l', JOB_FAILED, -1},
                  {'x', JOB_FAILED, 127},   {'k', JOB_FAILED, 137}, {'c', JOB_CANCELLED, -1},
                  {'e', JOB_CANCELLED, 75}};
    struct act *a = act_of(d, j);
    char letter = a->states[a->polls];
    a->polls += a->states[a->polls + 1] != '\0';
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (states[i].letter == letter) {
            j->state = states[i].state;
            j->status = states[i].status;
            j->replan = letter == 'e';
            j->found = d->finds && !strcmp(d->finds, j->node->id);
            free(j->where);
            j->where = machine_for(d, j);
        }
    if (letter == 'i')
        kill(getpid(), SIGINT);
}

// A job begins after its needs, and is cancelled with them.
static int ask(void *context, struct job_elsewhere *jobs, size_t n, struct error **err)
{
    struct fixture *d = context;
    d->at_once = 0;
    if (d->mute)
        return error_user(err, "nobody is there");
    if (d->gives_up) {
        d->gives_up = false;
        kill(getpid(), SIGTERM);
        return error_set(err, ERROR_INTERRUPT, "running ask: interrupted");
    }
    for (size_t i = 0; i < n; i++) {
        struct job_elsewhere *j = &jobs[i];
        if (!is_open(j))
            continue;
        bool lost = false;
        for (size_t k = 0; k < j->need_count; k++)
            lost |= j->needs[k]->state == JOB_FAILED || j->needs[k]->state == JOB_CANCELLED;
        if (lost || j->orphan) {
            j->state = JOB_CANCELLED;
            j->status = ERROR_AGAIN;
            j->replan = true;
        } else if (all_done(j)) {
            set_state(d, j);
        }
        d->open -= !is_open(j);
    }
    return 0;
}

static int cancel(void *context, struct job_elsewhere *jobs, size_t n, bool waiting,
                  struct error **err)
{
    struct fixture *d = context;
    if (d->impatient)
        kill(getpid(), SIGINT);
    if (d->deaf) {
        d->deaf--;
        return error_user(err, "nobody hears it");
    }
    buf_printf(&d->said, waiting ? "-waiting " : "- ");
    for (size_t i = 0; i < n; i++)
        if (jobs[i].unsure) {
            jobs[i].unsure = false;
            jobs[i].state = JOB_SUBMITTED;
            jobs[i].id = xstrdup(jobs[i].node->id);
            d->open++;
        }
    for (size_t i = 0; i < n; i++)
        if (is_open(&jobs[i]) && (!waiting || jobs[i].state == JOB_SUBMITTED))
            act_of(d, &jobs[i])->states = "c", act_of(d, &jobs[i])->polls = 0;
    return 0;
}

// ---- the fixture ----

static void open_fixture(struct fixture *d)
{
    const struct build_options o = {.versions = versions,
                                    .recipes = &recipe_list,
                                    .cache = cache,
                                    .output = "/proc/none", // nothing can be kept for a report
                                    .quiet = true,
                                    .view = VIEW_PLAIN,
                                    .remote = REMOTE_OFF};
    struct error *err = NULL;
    *d = (struct fixture){.b = build_open(&o, &err),
                          .p = {.header = json_object(), .nodes = json_array()}};
    assert_null(err);
}

static void close_fixture(struct fixture *d)
{
    build_close(d->b);
    plan_free(&d->p);
    buf_free(&d->said);
    follow_history_free(&d->history);
    buf_free(&d->kept);
}

// A node of the plan, after those that it needs; states NULL: it is there already.
static void add(struct fixture *d, const char *name, const char *needs, long long path_ms,
                const char *states)
{
    struct node *node = graph_add(build_graph(d->b), NODE_ARTIFACT, name, name);
    node->data = xcalloc(1, sizeof(struct job));
    json_t *ids = json_array();
    cleanup_strlist struct strlist words = {0};
    strlist_split(&words, needs, " ");
    for (size_t i = 0; i < words.n; i++) {
        graph_need(node, graph_find(build_graph(d->b), words.items[i]), true);
        json_array_append_new(ids, json_string(words.items[i]));
    }
    json_t *line =
        json_pack("{s:s, s:s, s:o, s:I}", "node", name, "state", states ? "to make" : "found",
                  "needs", ids, "path_ms", (json_int_t)path_ms);
    if (states) {
        json_object_set_new(line, "command", json_pack("[s]", "kbuild"));
        d->acts[d->n++] = (struct act){.node = node->id, .states = states};
    }
    json_array_append_new(d->p.nodes, line);
}

static int follow(struct fixture *d, size_t window, bool keep_going, struct error **err)
{
    const struct follow_limits limits = {.window = window,
                                         .poll_ms = 1,
                                         .idle_ms = d->idle_ms,
                                         .keep_going = keep_going,
                                         .tries = d->tries,
                                         .project = d->project};
    const struct engine e = {.context = d,
                             .name = "Toy",
                             .submit = submit,
                             .poll = ask,
                             .cancel = cancel,
                             .avoid = avoid};
    int result = plan_follow(d->b, &d->p, &e, &limits, &d->history, err);
    if (result > 0)
        *err = d->history.worst ? steal(d->history.worst) : steal(d->history.again);
    return result > 0 ? -1 : result;
}

static void follow_well(struct fixture *d, size_t window)
{
    struct error *err = NULL;
    int result = follow(d, window, false, &err);
    assert_string_equal(err ? err->message : "", "");
    assert_int_equal(result, 0);
    assert_int_equal(d->history.failed.n, 0);
}

static void assert_said(const struct fixture *d, const char *text)
{
    assert_string_equal(d->said.data ? d->said.data : "", text);
}

static enum node_state state_of(const struct fixture *d, const char *name)
{
    return graph_find(build_graph(d->b), name)->state;
}

// An error of this kind that says this; freed.
static void assert_error(struct error *err, enum error_kind kind, const char *says)
{
    assert_non_null(err);
    if (!strstr(err->message, says))
        assert_string_equal(err->message, says);
    assert_int_equal(err->kind, kind);
    error_free(err);
}

// ---- tests ----

TEST(the_longest_path_is_submitted_first_and_needs_before_what_needs_them)
{
    struct fixture d;
    open_fixture(&d);
    add(&d, "there", "", 0, NULL);
    add(&d, "short", "there", 10, "rd");
    add(&d, "low", "", 90, "qrd");
    add(&d, "middle", "low", 90, "rd"); // takes no time itself
    add(&d, "other", "low", 50, "d");
    add(&d, "high", "middle other", 40, "rrd");
    follow_well(&d, 100);
    assert_said(&d, "+low +middle +other +high +short ");
    static const char *const made[] = {"short", "low", "middle", "other", "high"};
    for (size_t i = 0; i < ARRAY_LEN(made); i++)
        assert_int_equal(state_of(&d, made[i]), NODE_DONE);
    assert_int_equal(state_of(&d, "there"), NODE_CACHED);
    close_fixture(&d);
}

TEST(a_plan_without_jobs_needs_no_engine)
{
    struct fixture d;
    open_fixture(&d);
    d.refuses = true;
    add(&d, "there", "", 0, NULL);
    follow_well(&d, 1);
    assert_said(&d, "");
    close_fixture(&d);
}

TEST(no_more_than_the_window_are_submitted)
{
    struct fixture d;
    open_fixture(&d);
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        add(&d, names[i], i ? names[i - 1] : "", 100 - (long long)i, "qrd");
    follow_well(&d, 3);
    assert_int_equal(d.most, 3);
    assert_said(&d, "+a +b +c +d +e +f +g +h ");
    close_fixture(&d);
}

TEST(jobs_are_polled_while_others_are_submitted)
{
    struct fixture d;
    open_fixture(&d);
    cleanup_strlist struct strlist names = {0};
    for (int i = 0; i < 60; i++) {
        strlist_addf(&names, "n%02d", i);
        add(&d, names.items[i], "", 100 - i, "d");
    }
    follow_well(&d, 500);
    assert_true(d.most_at_once <= 20);
    close_fixture(&d);
}

TEST(a_submission_that_is_not_answered_is_tried_again)
{
    struct fixture d;
    open_fixture(&d);
    add(&d, "a", "", 90, "rd");
    add(&d, "b", "", 80, "rd");
    add(&d, "c", "", 70, "rd");
    d.late = "b";
    follow_well(&d, 9);
    assert_said(&d, "+a ? +b +c ");
    close_fixture(&d);
}

TEST(after_a_failure_what_runs_ends_and_what_waits_is_cancelled)
{
    struct fixture d;
    struct error *err = NULL;
    open_fixture(&d);
    add(&d, "bad", "", 90, "rf");
    add(&d, "above", "bad", 80, "d");
    add(&d, "running", "", 70, "rrrd");
    add(&d, "waiting", "", 60, "qqqqqd");
    add(&d, "later", "", 10, "d");
    assert_int_equal(follow(&d, 4, false, &err), -1);
    assert_error(err, ERROR_STEP, "bad failed on m1 with status 3");
    assert_said(&d, "+bad +above +running +waiting -waiting ");
    assert_int_equal(d.history.failed.n, 1);
    assert_string_equal(d.history.failed.items[0], "bad");
    assert_int_equal(state_of(&d, "bad"), NODE_FAILED);
    assert_int_equal(state_of(&d, "running"), NODE_DONE);
    static const char *const skipped[] = {"above", "waiting", "later"};
    for (size_t i = 0; i < ARRAY_LEN(skipped); i++)
        assert_int_equal(state_of(&d, skipped[i]), NODE_SKIPPED);
    close_fixture(&d);
}

TEST(with_keep_going_all_that_does_not_need_it_is_made)
{
    struct fixture d;
    struct error *err = NULL;
    open_fixture(&d);
    add(&d, "bad", "", 90, "rf");
    add(&d, "above", "bad", 80, "d");
    add(&d, "worse", "", 70, "rrl");
    add(&d, "good", "", 60, "qqqd");
    add(&d, "top", "good", 50, "rd");
    add(&d, "both", "above good", 40, "d"); // is not submitted: it is known then
    assert_int_equal(follow(&d, 2, true, &err), -1);
    assert_error(err, ERROR_STEP, "bad failed on m1 with status 3");
    assert_said(&d, "+bad +above +worse +good +top ");
    assert_int_equal(d.history.failed.n, 2);
    assert_string_equal(d.history.failed.items[1], "worse");
    assert_int_equal(state_of(&d, "top"), NODE_DONE);
    assert_int_equal(state_of(&d, "above"), NODE_SKIPPED);
    assert_int_equal(state_of(&d, "both"), NODE_SKIPPED);
    close_fixture(&d);
}

TEST(each_way_to_fail_has_its_error)
{
    static const struct {
        const char *states, *says;
        enum error_kind kind;
    } ways[] = {
        {"rf", "a failed on m1 with status 3", ERROR_STEP},
        {"ra", "a could not be made on m1", ERROR_AGAIN},
        {"ru", "a failed on m1 with status 2", ERROR_USAGE},
        {"ro", "a failed on m1 with status 1", ERROR_USER},
        {"rx", "a failed on m1 with status 127", ERROR_USER},
        {"rl", "a ended on m1 without a status: Toy cancelled or lost it", ERROR_USER},
        {"rc", "a ended on m1 without a status: Toy cancelled or lost it", ERROR_USER},
        {"qc", "a ended on m1 without a status: Toy cancelled or lost it", ERROR_USER},
        {"qe", "a could not be made on m1", ERROR_AGAIN},
    };
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct fixture d;
        struct error *err = NULL;
        open_fixture(&d);
        add(&d, "a", "", 1, ways[i].states);
        add(&d, "b", "a", 1, "d");
        assert_int_equal(follow(&d, 9, false, &err), -1);
        assert_error(err, ways[i].kind, ways[i].says);
        // The last is not for good.
        assert_int_equal(d.history.failed.n, strcmp(ways[i].states, "qe") != 0);
        assert_int_equal(state_of(&d, "a"), NODE_FAILED);
        assert_int_equal(state_of(&d, "b"), NODE_SKIPPED);
        close_fixture(&d);
    }
}

// Without the plan the log would be looked for under the key of other options.
TEST(the_hint_of_a_failed_step_names_the_project_of_the_run)
{
    struct fixture d;
    struct error *err = NULL;
    open_fixture(&d);
    d.project = "registry/projects@sha256:1";
    add(&d, "a", "", 1, "rf");
    assert_int_equal(follow(&d, 9, false, &err), -1);
    assert_string_equal(err->hint, "kbuild log a --remote --plan=oci:registry/projects@sha256:1 "
                                   "shows all that it said");
    assert_error(err, ERROR_STEP, "a failed on m1 with status 3");
    close_fixture(&d);
}

TEST(a_job_whose_machine_is_at_fault_is_tried_on_another_with_what_needs_it)
{
    static const char *const faults[] = {"rod", "rud", "rad", "rxd", "rkd"};
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        struct fixture d;
        open_fixture(&d);
        d.machines = "m1 m2";
        d.tries = 3;
        add(&d, "a", "", 90, faults[i]);
        add(&d, "b", "a", 80, "rd");
        add(&d, "c", "b", 70, "rd");
        add(&d, "other", "", 60, "qqqqqqqd");
        follow_well(&d, 9);
        assert_said(&d, "+a +b +c +other +a!m1 +b +c ");
        assert_int_equal(state_of(&d, "c"), NODE_DONE);
        assert_int_equal(state_of(&d, "other"), NODE_DONE);
        close_fixture(&d);
    }
}

TEST(a_fault_is_final_after_a_try_on_each_machine_and_what_may_pass_after_three)
{
    static const struct {
        const char *states, *said, *says;
        enum error_kind kind;
    } faults[] = {
        {"o", "+a +a!m1 ", "a failed on m2 with status 1", ERROR_USER},
        {"u", "+a +a!m1 ", "a failed on m2 with status 2", ERROR_USAGE},
        {"x", "+a +a!m1 ", "a failed on m2 with status 127", ERROR_USER},
        {"k", "+a +a!m1 +a ", "a failed on m1 with status 137", ERROR_USER},
        {"a", "+a +a!m1 +a ", "a could not be made on m1", ERROR_AGAIN},
        {"f", "+a ", "a failed on m1 with status 3", ERROR_STEP},
        {"l", "+a ", "a ended on m1 without a status", ERROR_USER},
    };
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        struct fixture d;
        struct error *err = NULL;
        open_fixture(&d);
        d.machines = "m1 m2";
        d.tries = 3;
        add(&d, "a", "", 90, faults[i].states);
        add(&d, "b", "", 80, "d"); // no machine is at fault in a row
        assert_int_equal(follow(&d, 1, true, &err), -1);
        assert_null(d.history.again);
        assert_true(strlist_has(&d.history.failed, "a"));
        assert_int_equal(d.history.logs.n, faults[i].kind == ERROR_STEP);
        assert_error(err, faults[i].kind, faults[i].says);
        cleanup_free char *said = xasprintf("%s+b ", faults[i].said);
        assert_said(&d, said);
        close_fixture(&d);
    }
}

TEST(a_machine_where_jobs_fail_in_a_row_gets_no_more)
{
    struct fixture d;
    open_fixture(&d);
    d.machines = "m1 m2";
    d.tries = 3;
    add(&d, "a", "", 90, "xd");
    add(&d, "b", "", 80, "xd");
    add(&d, "c", "", 70, "qqd");
    add(&d, "d", "", 60, "d");
    follow_well(&d, 3);
    assert_said(&d, "+a +b +c +a!m1 +b!m1 +d!m1 ");
    assert_string_equal(d.kept.data, "c!m1 ");
    assert_int_equal(d.history.avoided.n, 1);
    close_fixture(&d);
    // A step that failed there, or a job that was done, is none of its faults.
    open_fixture(&d);
    d.machines = "m1 m2";
    d.tries = 3;
    add(&d, "a", "", 90, "xd");
    add(&d, "b", "", 80, "d");
    add(&d, "c", "", 70, "xd");
    follow_well(&d, 1);
    assert_int_equal(d.history.avoided.n, 0);
    // If no other is left, it gets them.
    assert_said(&d, "+a +a!m1 +b +c +c!m1 ");
    close_fixture(&d);
    open_fixture(&d);
    d.tries = 3;
    strlist_add(&d.history.avoided, "m1");
    add(&d, "a", "", 90, "d");
    follow_well(&d, 1);
    assert_said(&d, "+a ");
    close_fixture(&d);
}

TEST(what_another_plan_may_mend_does_not_hide_a_failed_step_nor_the_other_way_round)
{
    static const char *const orders[][2] = {{"rf", "rrrred"}, {"rrrrf", "red"}};
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        struct fixture d;
        struct error *err = NULL;
        open_fixture(&d);
        d.tries = 3;
        add(&d, "bad", "", 90, orders[i][0]);
        add(&d, "above", "bad", 80, "d");
        add(&d, "lost", "", 70, orders[i][1]);
        add(&d, "top", "lost", 60, "d");
        assert_int_equal(follow(&d, 9, true, &err), -1);
        assert_non_null(d.history.again);
        assert_int_equal(d.history.failed.n, 1);
        assert_error(err, ERROR_STEP, "bad failed on m1 with status 3");
        err = NULL;
        // The next plan: the failed step does not run again.
        buf_free(&d.said);
        d.said = (struct buf){0};
        assert_int_equal(follow(&d, 9, true, &err), -1);
        assert_said(&d, "+lost +top ");
        assert_null(d.history.again);
        assert_int_equal(state_of(&d, "top"), NODE_DONE);
        assert_int_equal(state_of(&d, "bad"), NODE_FAILED);
        assert_int_equal(state_of(&d, "above"), NODE_SKIPPED);
        close_fixture(&d);
    }
}

TEST(a_job_that_found_its_node_has_not_made_it)
{
    struct fixture d;
    open_fixture(&d);
    d.finds = "a";
    add(&d, "a", "", 2, "rd");
    add(&d, "b", "", 1, "rd");
    cleanup_buf struct buf text = {0};
    cleanup_close int errors = dup(STDERR_FILENO), file = nameless_file(NULL, NULL);
    d.b->options.quiet = false;
    dup2(file, STDERR_FILENO);
    follow_well(&d, 9);
    dup2(errors, STDERR_FILENO);
    lseek(file, 0, SEEK_SET);
    assert_int_equal(fd_read_all(file, "notes", 65536, &text, NULL), 0);
    assert_non_null(strstr(text.data, "1 made, 1 pulled"));
    close_fixture(&d);
}

TEST(if_no_job_starts_it_is_said_why_once)
{
    static const char note[] = "Toy starts none of the 2 jobs that wait: no machine is free\n";
    struct fixture d;
    cleanup_buf struct buf text = {0};
    cleanup_close int errors = dup(STDERR_FILENO), file = nameless_file(NULL, NULL);
    open_fixture(&d);
    d.idle_ms = 1;
    add(&d, "a", "", 2, "qqqqd");
    add(&d, "b", "a", 1, "d");
    dup2(file, STDERR_FILENO);
    follow_well(&d, 9);
    dup2(errors, STDERR_FILENO);
    lseek(file, 0, SEEK_SET);
    assert_int_equal(fd_read_all(file, "notes", 65536, &text, NULL), 0);
    const char *first = strstr(text.data ? text.data : "", note);
    assert_non_null(first);
    assert_null(strstr(first + 1, note));
    close_fixture(&d);
}

TEST(a_job_of_a_machine_that_died_waits_and_runs_again)
{
    struct fixture d;
    open_fixture(&d);
    add(&d, "a", "", 2, "rrqqrd");
    add(&d, "b", "a", 1, "d");
    follow_well(&d, 9);
    assert_said(&d, "+a +b ");
    assert_int_equal(state_of(&d, "a"), NODE_DONE);
    close_fixture(&d);
}

TEST(an_interrupt_cancels_all_jobs_and_waits_for_them)
{
    struct fixture d;
    struct error *err = NULL;
    sigset_t before, after;
    open_fixture(&d);
    d.impatient = true;
    add(&d, "done", "", 90, "d");
    add(&d, "running", "", 80, "rri");
    add(&d, "above", "running", 70, "d");
    add(&d, "waiting", "", 60, "q");
    add(&d, "later", "", 50, "d");
    sigprocmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(follow(&d, 3, true, &err), -1);
    assert_error(err, ERROR_INTERRUPT, "interrupted; its jobs are cancelled");
    assert_said(&d, "+done +running +above +waiting - ");
    assert_int_equal(d.open, 0);
    assert_int_equal(d.history.failed.n, 0);
    assert_int_equal(state_of(&d, "done"), NODE_DONE);
    assert_int_equal(state_of(&d, "running"), NODE_INTERRUPTED);
    // Those that did not begin are not listed as interrupted.
    static const char *const never_begun[] = {"above", "waiting", "later"};
    for (size_t i = 0; i < ARRAY_LEN(never_begun); i++)
        assert_int_equal(state_of(&d, never_begun[i]), NODE_STALE);
    sigprocmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(sigismember(&after, SIGINT), sigismember(&before, SIGINT));
    close_fixture(&d);
}

TEST(an_interrupt_ends_the_submission_and_is_told_until_it_is_heard)
{
    struct fixture d;
    struct error *err = NULL;
    open_fixture(&d);
    d.rings = "b";
    d.deaf = 2;
    add(&d, "a", "", 90, "r");
    add(&d, "b", "", 80, "r");
    add(&d, "c", "", 70, "r");
    assert_int_equal(follow(&d, 3, true, &err), -1);
    assert_error(err, ERROR_INTERRUPT, "interrupted; its jobs are cancelled");
    assert_said(&d, "+a +b - ");
    assert_int_equal(d.open, 0);
    close_fixture(&d);
}

// The terminal is closed, or its connection is lost.
TEST(a_hangup_is_an_interrupt_unless_it_was_ignored)
{
    struct fixture d;
    struct error *err = NULL;
    open_fixture(&d);
    d.rings = "a";
    d.signal = SIGHUP;
    add(&d, "a", "", 90, "r");
    add(&d, "b", "", 80, "r");
    assert_int_equal(follow(&d, 3, true, &err), -1);
    assert_error(err, ERROR_INTERRUPT, "interrupted; its jobs are cancelled");
    assert_said(&d, "+a - ");
    assert_int_equal(d.open, 0);
    close_fixture(&d);
    // nohup
    signal(SIGHUP, SIG_IGN);
    signals_on_entry();
    open_fixture(&d);
    d.rings = "a";
    d.signal = SIGHUP;
    err = NULL;
    add(&d, "a", "", 90, "d");
    int result = follow(&d, 3, true, &err);
    signal(SIGHUP, SIG_DFL);
    signals_on_entry();
    assert_int_equal(result, 0);
    close_fixture(&d);
}

TEST(an_interrupt_ends_a_submission_that_hangs_and_a_question)
{
    struct fixture d;
    struct error *err = NULL;
    open_fixture(&d);
    d.hangs = "b";
    add(&d, "a", "", 90, "r");
    add(&d, "b", "", 80, "r");
    assert_int_equal(follow(&d, 3, true, &err), -1);
    assert_error(err, ERROR_INTERRUPT, "interrupted; its jobs are cancelled");
    assert_said(&d, "+a ? - ");
    assert_int_equal(d.open, 0);
    close_fixture(&d);
    open_fixture(&d);
    d.gives_up = true;
    err = NULL;
    add(&d, "a", "", 90, "r");
    assert_int_equal(follow(&d, 3, true, &err), -1);
    assert_error(err, ERROR_INTERRUPT, "interrupted; its jobs are cancelled");
    assert_said(&d, "+a - ");
    assert_int_equal(d.open, 0);
    close_fixture(&d);
}

TEST(an_engine_that_fails_leaves_no_job_behind)
{
    struct fixture d;
    struct error *err = NULL;
    open_fixture(&d);
    add(&d, "a", "", 2, "r");
    d.mute = true;
    assert_int_equal(follow(&d, 9, false, &err), -1);
    assert_error(err, ERROR_USER, "nobody is there");
    assert_said(&d, "+a - ");
    close_fixture(&d);
    err = NULL;
    open_fixture(&d);
    add(&d, "a", "", 2, "r");
    d.refuses = true;
    assert_int_equal(follow(&d, 9, false, &err), -1);
    assert_error(err, ERROR_USER, "submitting a to Toy: the queue is closed");
    close_fixture(&d);
}

TEST(a_node_that_the_project_lacks_is_an_error)
{
    struct fixture d;
    struct error *err = NULL;
    open_fixture(&d);
    json_array_append_new(d.p.nodes, json_pack("{s:s, s:s, s:[], s:[s]}", "node", "x:s390x",
                                               "state", "to make", "needs", "command", "kbuild"));
    assert_int_equal(follow(&d, 9, false, &err), -1);
    assert_error(err, ERROR_USER, "the plan has the node x:s390x, and this project does not");
    close_fixture(&d);
}
