// SPDX-License-Identifier: Apache-2.0
// Plans for several machines: what is written for made-up states of a graph.
#include "run_plan_help.h"

EACH_TEST(begin, end)

static const char *text_of(const json_t *line, const char *name)
{
    return json_string_value(json_object_get(line, name));
}

static size_t size_of(const json_t *line, const char *name)
{
    return json_array_size(json_object_get(line, name));
}

static void cost(const char *beginning, json_int_t ms, json_int_t cpu_ms, json_int_t peak_kib)
{
    struct node *node = node_of(beginning);
    json_auto_t *record = json_pack("{s:[], s:{s:I, s:I, s:I}}", "outputs", "cost", "ms", ms,
                                    "cpu_ms", cpu_ms, "peak_kib", peak_kib);
    digest_bytes(node->id, strlen(node->id), node->key);
    assert_int_equal(store_action_put(b->store, node->key, record, NULL), 0);
}

// ---- made-up graphs ----

TEST(a_plan_has_what_is_to_make_and_what_that_needs)
{
    add_target("top");
    set_all(NODE_STALE);
    cleanup_plan struct plan all = {0}, rest = {0}, none = {0};
    make_plan(GRAIN_NODE, &all);
    // low, top, the tree, the list, one builder for all
    assert_int_equal(json_array_size(all.nodes), 5);
    assert_string_equal(text_of(line_of(&all, "low:"), "state"), "to make");
    assert_int_equal(size_of(line_of(&all, "low:"), "needs"), 3);
    assert_int_equal(size_of(line_of(&all, "low:"), "build_on"), 1);
    assert_int_equal(size_of(line_of(&all, "source:tree"), "build_on"), 0); // any machine
    assert_true(json_is_true(json_object_get(line_of(&all, "source:tree"), "network")));
    assert_true(json_is_true(json_object_get(line_of(&all, "builder:tools"), "network")));
    assert_true(json_is_false(json_object_get(line_of(&all, "low:"), "network")));
    assert_string_equal(text_of(line_of(&all, "source:tree"), "target"), node_of("low:")->id);
    // What is found and needed has a line, and no command; what only found nodes need has none.
    node_of("low:")->state = NODE_SHARED;
    node_of("builder:tools")->state = NODE_SHARED;
    make_plan(GRAIN_NODE, &rest);
    assert_int_equal(json_array_size(rest.nodes), 3);
    assert_string_equal(text_of(line_of(&rest, "low:"), "state"), "found");
    assert_null(json_object_get(line_of(&rest, "low:"), "command"));
    assert_int_equal(size_of(line_of(&rest, "low:"), "needs"), 0); // it waits for nothing
    assert_non_null(json_object_get(line_of(&rest, "top:"), "command"));
    assert_null(plan_node(&rest, node_of("source:tree")->id));
    node_of("top:")->state = NODE_SHARED;
    make_plan(GRAIN_NODE, &none);
    assert_int_equal(json_array_size(none.nodes), 0);
}

TEST(what_only_this_machine_lost_is_to_make_and_what_is_not_resolved_is_said)
{
    add_target("top");
    set_all(NODE_LOST);
    node_of("source:tree")->identified = false;
    node_of("builder:tools")->identified = false;
    cleanup_plan struct plan p = {0};
    make_plan(GRAIN_NODE, &p);
    assert_string_equal(text_of(line_of(&p, "low:"), "state"), "to make");
    assert_string_equal(text_of(line_of(&p, "source:tree"), "state"), "to resolve");
    cleanup_free char *unresolved = plan_unresolved(&p);
    assert_non_null(strstr(unresolved, " and 1 more"));
}

TEST(a_job_of_the_grain_artifact_counts_each_of_its_inputs_once)
{
    add_target("top");
    set_all(NODE_STALE);
    cost("low:", 1000, 2000, 10);
    cost("source:tree", 100, 10, 20);
    cost("source:files", 200, 20, 5);
    cost("builder:tools", 400, 40, 30); // the list runs in it, and the artifact, too
    cleanup_plan struct plan p = {0};
    make_plan(GRAIN_ARTIFACT, &p);
    assert_int_equal(json_array_size(p.nodes), 2);
    const json_t *low = line_of(&p, "low:"), *sum = json_object_get(low, "resources");
    assert_int_equal(size_of(low, "needs"), 0);
    assert_int_equal(size_of(low, "build_on"), 1);
    assert_true(json_is_true(json_object_get(low, "network")));
    assert_int_equal(json_integer_value(json_object_get(sum, "ms")), 1700);
    assert_int_equal(json_integer_value(json_object_get(sum, "cpu_ms")), 2070);
    assert_int_equal(json_integer_value(json_object_get(sum, "peak_kib")), 30);
    assert_int_equal(size_of(line_of(&p, "top:"), "needs"), 1);
}

TEST(a_cost_in_a_record_of_others_is_a_number_that_can_be_added_up)
{
    add_target("top");
    set_all(NODE_STALE);
    cost("low:", INT64_MAX, -5, INT64_MIN);
    cost("source:tree", INT64_MAX, INT64_MAX, INT64_MAX);
    cleanup_plan struct plan p = {0};
    make_plan(GRAIN_ARTIFACT, &p);
    const json_t *sum = json_object_get(line_of(&p, "low:"), "resources");
    assert_int_equal(json_integer_value(json_object_get(sum, "ms")), 2 * (json_int_t)INT32_MAX);
    assert_int_equal(json_integer_value(json_object_get(sum, "cpu_ms")), INT32_MAX);
    assert_int_equal(json_integer_value(json_object_get(sum, "peak_kib")), INT32_MAX);
}

TEST(a_job_of_the_grain_artifact_needs_no_network_for_inputs_that_are_there)
{
    add_target("top");
    set_all(NODE_STALE);
    node_of("source:tree")->state = node_of("source:files")->state = NODE_SHARED;
    node_of("builder:tools")->state = NODE_SHARED;
    cleanup_plan struct plan p = {0};
    make_plan(GRAIN_ARTIFACT, &p);
    assert_true(json_is_false(json_object_get(line_of(&p, "low:"), "network")));
    assert_int_equal(size_of(line_of(&p, "low:"), "needs"), 0);
}

static long long path_of(const struct plan *p, const char *beginning)
{
    return json_integer_value(json_object_get(line_of(p, beginning), "path_ms"));
}

TEST(the_path_is_the_longest_way_to_the_end)
{
    add_target("top");
    set_all(NODE_STALE);
    cost("top:", 7, 0, 0);
    cost("low:", 1000, 0, 0);
    cost("source:files", 60000, 0, 0);
    cost("builder:tools", 300, 0, 0);
    cleanup_plan struct plan p = {0}, found = {0};
    make_plan(GRAIN_NODE, &p);
    assert_int_equal(path_of(&p, "top:"), 8); // each of them a millisecond more
    assert_int_equal(path_of(&p, "low:"), 1009);
    assert_int_equal(path_of(&p, "source:files"), 61010);
    assert_int_equal(path_of(&p, "builder:tools"), 61311);
    assert_int_equal(path_of(&p, "source:tree"), 62010); // unknown: a second
    assert_true(json_is_null(json_object_get(line_of(&p, "source:tree"), "resources")));
    node_of("low:")->state = NODE_SHARED;
    make_plan(GRAIN_NODE, &found);
    assert_int_equal(path_of(&found, "low:"), 8); // itself it takes no time
}

TEST(a_plan_of_two_architectures_has_one_line_for_what_both_need)
{
    const struct arch *other = &arch_table[0] == arch_host() ? &arch_table[1] : &arch_table[0];
    add_target("top");
    b->options.arch = other;
    b->options.several = true;
    add_target("top");
    set_all(NODE_STALE);
    cleanup_plan struct plan p = {0};
    make_plan(GRAIN_NODE, &p);
    line_of(&p, "source:tree");
    cleanup_free char *id = xasprintf("top:%s", other->name);
    assert_string_equal(text_of(plan_node(&p, id), "arch"), other->name);
    // Built across, on a machine as this one.
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(plan_node(&p, id), "build_on"), 0)),
        arch_host()->name);
}

TEST(public_variables_are_in_the_header_and_secrets_are_names)
{
    set_files();
    add_target("top");
    set_all(NODE_STALE);
    // As the planner would set it, but for the certificate.
    struct job *job = job_of(node_of("top:"));
    for (size_t i = 0; i < job->value_count; i++)
        if (!strcmp(job->values[i].variable->name, "TEST_SECRET")) {
            strlist_add(&job->values[i].files, "/nowhere/secret");
            strlist_add(&job->values[i].digests, "TEST-SECRET-DIGEST");
        }
    setenv("TEST_SECRET", "/nowhere/secret", 1);
    cleanup_plan struct plan p = {0};
    make_plan(GRAIN_NODE, &p);
    const json_t *all = json_object_get(p.header, "variables");
    assert_int_equal(json_object_size(all), 3);
    assert_string_equal(text_of(json_object_get(all, "TEST_TEXT"), "text"), "a text");
    assert_int_equal(size_of(json_object_get(all, "TEST_FILES"), "files"), 2);
    assert_int_equal(size_of(json_object_get(all, "TEST_DIR"), "files"), 2);
    assert_int_equal(size_of(line_of(&p, "top:"), "secrets"), 1);
    assert_int_equal(size_of(line_of(&p, "low:"), "secrets"), 0);
    cleanup_buf struct buf text = {0};
    plan_print(&p, &text);
    assert_null(strstr(text.data, "nowhere"));
    assert_null(strstr(text.data, "TEST-SECRET-DIGEST"));
}
