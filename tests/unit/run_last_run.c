// SPDX-License-Identifier: Apache-2.0
// What a run keeps for the report: phases, the chain that ended last, slots, and trace events.
#include "run_schedule_help.h"

#include "run/internal.h"

static void ran(struct fixture *d, const char *name, long long begin, long long end)
{
    struct task *t = task_of(d, name);
    t->started_ms = begin;
    t->took_ms = end - begin;
    t->node->state = NODE_DONE;
}

static void assert_chain(struct fixture *d, const char *expected)
{
    size_t n;
    cleanup_free const struct task **chain = last_run_chain(&d->s, &n);
    cleanup_strlist struct strlist names = {0};
    for (size_t i = 0; i < n; i++)
        strlist_add(&names, chain[i]->node->name);
    cleanup_free char *text = strlist_join(&names, " ");
    assert_string_equal(text, expected);
}

TEST(the_phases_of_a_node_are_kept_and_those_of_an_earlier_try_are_not)
{
    struct fixture d;
    fixture_open(&d);
    add(&d, "low", "");
    add(&d, "top", "low");
    add(&d, "waits", "");
    behaviour_of(&d, "low")->acts[0] = ACT_SHARED_LOST;
    behaviour_of(&d, "waits")->acts[0] = ACT_WAIT;
    d.shared_name = "low";
    run_well(&d, "top waits");
    const struct task *low = task_of(&d, "low"), *waits = task_of(&d, "waits");
    assert_int_equal(d.shared->nodes[low->node->index].tries, 2);
    assert_int_equal(low->phase_count, 1);
    assert_string_equal(low->phases[0].name, "working");
    assert_true(low->phases[0].began_ms >= low->started_ms);
    assert_true(low->phases[0].began_ms <= low->started_ms + low->took_ms);
    assert_true(low->peak_kib > 0);
    assert_int_equal(waits->phase_count, 1);
    assert_string_equal(waits->phases[0].name, "waiting for another");
    fixture_close(&d);
}

TEST(the_chain_is_of_those_that_others_waited_for)
{
    struct fixture d;
    fixture_open(&d);
    add(&d, "early", "");
    add(&d, "late", "");
    add(&d, "cached", "");
    add(&d, "middle", "early late cached");
    add(&d, "top", "middle late");
    add(&d, "beside", "early");
    open_run(&d, "top");
    assert_chain(&d, "");
    ran(&d, "early", 1, 50);
    ran(&d, "late", 20, 80);
    ran(&d, "middle", 80, 90);
    ran(&d, "top", 95, 200);
    ran(&d, "beside", 50, 150);
    assert_chain(&d, "late middle top");
    ran(&d, "beside", 50, 300);
    assert_chain(&d, "early beside");
    fixture_close(&d);
}

TEST(no_two_nodes_are_in_one_slot_at_once)
{
    struct fixture d;
    fixture_open(&d);
    static const char *const names[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        add(&d, names[i], "");
    open_run(&d, "a b c d");
    ran(&d, "a", 1, 10);
    ran(&d, "b", 5, 20);
    ran(&d, "c", 10, 15);
    ran(&d, "d", 12, 30);
    cleanup_free unsigned *slots = last_run_slots(&d.s);
    static const unsigned expected[] = {0, 1, 0, 2};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(slots[task_of(&d, names[i]) - d.s.tasks], expected[i]);
    fixture_close(&d);
}
