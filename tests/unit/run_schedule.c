// SPDX-License-Identifier: Apache-2.0
// The scheduler, with made-up actions: what is made, in which order, and what every kind of outcome
// leads to.
#include "run_schedule_help.h"

static void quiet(enum log_level level, const char *line, void *context)
{
}

static int be_quiet(void **state)
{
    log_redirect(quiet, NULL);
    return 0;
}

ALL_TESTS(be_quiet, NULL)

TEST(what_is_requested_is_made_once_and_after_what_it_needs)
{
    struct fixture d;
    fixture_open(&d);
    add(&d, "source", "");
    add(&d, "left", "source");
    add(&d, "right", "source");
    add(&d, "top", "left right");
    add(&d, "other", "source");
    run_well(&d, "top");
    assert_int_equal(d.shared->begun, 4);
    assert_int_equal(behaviour_of(&d, "source")->tries, 1);
    assert_int_equal(behaviour_of(&d, "other")->tries, 0);
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
    fixture_close(&d);
}

TEST(an_equal_output_stops_a_rebuild)
{
    struct fixture d;
    fixture_open(&d);
    add(&d, "source", "");
    add(&d, "middle", "source");
    add(&d, "helper", "");
    add(&d, "top", "middle helper");
    behaviour_of(&d, "middle")->makes = "the same";
    run_well(&d, "top");
    forget_states(&d);
    // Another source, of which the middle makes the same: the top is found, and the helper is not
    // wanted.
    buf_puts(&graph_find(&d.g, "source")->identity, "new\n");
    behaviour_of(&d, "source")->makes = "new";
    run_well(&d, "top");
    assert_int_equal(d.shared->begun, 2);
    assert_int_equal(behaviour_of(&d, "top")->tries, 0);
    assert_int_equal(state_of(&d, "top"), NODE_CACHED);
    assert_non_null(strstr(d.said, "found top"));
    fixture_close(&d);
}

TEST(a_failure_ends_the_run_and_skips_what_depends_on_it)
{
    struct fixture d;
    struct error *failure = NULL, *err = NULL;
    fixture_open(&d);
    add(&d, "bad", "");
    add(&d, "over", "bad");
    add(&d, "further", "over");
    add(&d, "good", "");
    add(&d, "fine", "good");
    behaviour_of(&d, "bad")->acts[0] = ACT_FAIL;
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
    assert_int_equal(behaviour_of(&d, "good")->tries, 0);
    // With --keep-going what does not depend on it is made.
    forget_states(&d);
    open_run(&d, "further fine");
    assert_int_equal(run_limited(&d, 1, true, &failure, &err), 0);
    assert_non_null(failure);
    error_free(failure);
    assert_int_equal(state_of(&d, "further"), NODE_SKIPPED);
    assert_int_equal(state_of(&d, "fine"), NODE_DONE);
    assert_non_null(strstr(d.said, "failed bad"));
    fixture_close(&d);
}

TEST(a_failure_interrupts_what_runs_beside_it)
{
    struct fixture d;
    struct error *failure = NULL, *err = NULL;
    fixture_open(&d);
    add(&d, "slow", "");
    add(&d, "bad", "");
    behaviour_of(&d, "slow")->acts[0] = ACT_SLEEP_FOREVER;
    behaviour_of(&d, "bad")->acts[0] = ACT_FAIL_LATER;
    open_run(&d, "slow bad");
    assert_int_equal(run_limited(&d, 2, false, &failure, &err), 0);
    assert_string_equal(failure->message, "bad failed");
    error_free(failure);
    assert_int_equal(state_of(&d, "bad"), NODE_FAILED);
    assert_int_equal(state_of(&d, "slow"), NODE_INTERRUPTED);
    assert_int_equal(task_of(&d, "slow")->outcome.kind, OUTCOME_NONE);
    fixture_close(&d);
}

TEST(a_process_that_dies_without_a_word_is_a_failure)
{
    struct fixture d;
    struct error *failure = NULL, *err = NULL;
    fixture_open(&d);
    add(&d, "gone", "");
    behaviour_of(&d, "gone")->acts[0] = ACT_VANISH;
    open_run(&d, "gone");
    assert_int_equal(run_limited(&d, 1, false, &failure, &err), 0);
    assert_non_null(failure);
    assert_non_null(strstr(failure->message, "gone ended with"));
    error_free(failure);
    assert_int_equal(task_of(&d, "gone")->outcome.kind, OUTCOME_NONE);
    fixture_close(&d);
}

TEST(a_damaged_input_is_made_again_and_then_its_dependant)
{
    struct fixture d;
    fixture_open(&d);
    add(&d, "deep", "");
    add(&d, "input", "deep");
    add(&d, "top", "input");
    run_well(&d, "input");
    forget_states(&d);
    behaviour_of(&d, "top")->acts[0] = ACT_DAMAGED;
    behaviour_of(&d, "top")->damaged = "input";
    run_well(&d, "top");
    assert_int_equal(behaviour_of(&d, "input")->tries, 1);
    assert_int_equal(behaviour_of(&d, "deep")->tries, 0);
    assert_int_equal(behaviour_of(&d, "top")->tries, 2);
    assert_int_equal(state_of(&d, "top"), NODE_DONE);
    fixture_close(&d);
}

TEST(an_input_that_is_damaged_again_is_a_failure)
{
    struct fixture d;
    struct error *failure = NULL, *err = NULL;
    fixture_open(&d);
    add(&d, "input", "");
    add(&d, "top", "input");
    struct behaviour *top = behaviour_of(&d, "top");
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
    fixture_close(&d);
}

TEST(what_the_shared_cache_has_needs_no_inputs_until_it_is_lost)
{
    struct fixture d;
    fixture_open(&d);
    add(&d, "input", "");
    add(&d, "top", "input");
    behaviour_of(&d, "top")->acts[0] = ACT_PULL;
    run_well(&d, "input");
    // Only a record of the input is here, so the top's key is known; the shared cache has it.
    graph_find(&d.g, "input")->state = NODE_LOST;
    graph_key(graph_find(&d.g, "top"));
    graph_find(&d.g, "top")->state = NODE_SHARED;
    behaviour_of(&d, "input")->tries = 0;
    run_well(&d, "top");
    assert_int_equal(behaviour_of(&d, "input")->tries, 0);
    assert_int_equal(task_of(&d, "top")->outcome.kind, OUTCOME_PULLED);
    // It says so, and then has it no more: from the inputs.
    free(d.entries[--d.entry_count].content);
    graph_find(&d.g, "input")->state = NODE_LOST;
    graph_find(&d.g, "top")->state = NODE_SHARED;
    behaviour_of(&d, "top")->tries = 0;
    behaviour_of(&d, "top")->acts[0] = ACT_SHARED_LOST;
    run_well(&d, "top");
    assert_int_equal(behaviour_of(&d, "input")->tries, 1);
    assert_int_equal(behaviour_of(&d, "top")->tries, 2);
    assert_int_equal(task_of(&d, "top")->outcome.kind, OUTCOME_MADE);
    fixture_close(&d);
}

TEST(an_input_that_was_got_leaves_the_shared_cache_what_it_has)
{
    struct fixture d;
    fixture_open(&d);
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
    behaviour_of(&d, "shared")->acts[0] = ACT_PULL;
    graph_find(&d.g, "common")->state = NODE_LOST;
    graph_find(&d.g, "other")->state = NODE_LOST;
    struct error *failure = NULL, *err = NULL;
    open_run(&d, "shared beside");
    assert_int_equal(run_limited(&d, 1, false, &failure, &err), 0);
    assert_null(failure);
    assert_int_equal(behaviour_of(&d, "common")->tries, 1);
    assert_int_equal(behaviour_of(&d, "other")->tries, 0);
    assert_int_equal(task_of(&d, "shared")->outcome.kind, OUTCOME_PULLED);
    fixture_close(&d);
}

TEST(who_waited_and_found_it_places_no_log)
{
    struct fixture d;
    fixture_open(&d);
    add(&d, "one", "");
    add(&d, "two", "");
    behaviour_of(&d, "one")->acts[0] = ACT_WAIT;
    run_well(&d, "one two");
    assert_int_equal(task_of(&d, "one")->outcome.kind, OUTCOME_FOUND);
    assert_non_null(strstr(d.said, "waiting one"));
    assert_null(strstr(d.said, "log one"));
    assert_non_null(strstr(d.said, "log two"));
    fixture_close(&d);
}

TEST(a_lost_output_is_made_again_only_if_something_needs_it)
{
    struct fixture d;
    fixture_open(&d);
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
    fixture_close(&d);
}

TEST(what_is_left_alone_is_not_made)
{
    struct fixture d;
    fixture_open(&d);
    add(&d, "input", "");
    add(&d, "top", "input");
    struct error *failure = NULL, *err = NULL;
    open_run(&d, "top");
    struct task *top = task_of(&d, "top");
    top->excluded_from_run = top->only_inputs = true;
    assert_int_equal(run_limited(&d, 1, false, &failure, &err), 0);
    assert_int_equal(state_of(&d, "input"), NODE_DONE);
    assert_int_equal(behaviour_of(&d, "top")->tries, 0);
    assert_int_equal(state_of(&d, "top"), NODE_STALE);
    fixture_close(&d);
}

TEST(an_interrupt_stops_everything)
{
    struct fixture d;
    struct error *failure = NULL, *err = NULL;
    fixture_open(&d);
    add(&d, "slow", "");
    add(&d, "top", "slow");
    behaviour_of(&d, "slow")->acts[0] = ACT_INTERRUPT;
    open_run(&d, "top");
    assert_int_equal(run_limited(&d, 2, true, &failure, &err), -1);
    assert_non_null(err);
    assert_int_equal(err->kind, ERROR_INTERRUPT);
    assert_null(failure);
    error_free(err);
    assert_int_equal(state_of(&d, "slow"), NODE_INTERRUPTED);
    assert_int_equal(task_of(&d, "slow")->pid, 0);
    assert_int_equal(behaviour_of(&d, "top")->tries, 0);
    fixture_close(&d);
}

TEST(a_result_that_cannot_be_kept_ends_the_run)
{
    struct fixture d;
    struct error *failure = NULL, *err = NULL;
    fixture_open(&d);
    add(&d, "odd", "");
    add(&d, "beside", "");
    behaviour_of(&d, "odd")->makes = "refused";
    open_run(&d, "odd beside");
    assert_int_equal(run_limited(&d, 2, true, &failure, &err), -1);
    assert_string_equal(err->message, "odd is refused");
    assert_int_equal(state_of(&d, "odd"), NODE_FAILED);
    error_free(err);
    error_free(failure);
    fixture_close(&d);
}

TEST(no_more_run_at_a_time_than_allowed)
{
    struct fixture d;
    fixture_open(&d);
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
    fixture_close(&d);
}

TEST(a_chain_is_made_from_its_end)
{
    struct fixture d;
    fixture_open(&d);
    char name[16], last[16] = "";
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "n%d", i);
        add(&d, name, last);
        memcpy(last, name, sizeof last);
    }
    run_well(&d, "n59");
    for (size_t i = 0; i < 60; i++)
        assert_int_equal(d.shared->order[i], i);
    fixture_close(&d);
}
