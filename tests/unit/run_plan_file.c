// SPDX-License-Identifier: Apache-2.0
// Plans for several machines: what is written for made-up states of a graph, what a reader accepts
// of a text, and what a plan sets on the machine that makes a node.
#include "test.h"

#include "base/file.h"
#include "graph/job.h"
#include "run/plan_file.h"
#include "run/run.h"

#include <string.h>

// ---- a project ----

static char *folder, *versions, *recipes, *cache;
static struct build *b;

static void write_at(const char *name, const char *text)
{
    cleanup_free char *path = xasprintf("%s/%s", folder, name);
    assert_int_equal(make_parent(path, NULL), 0);
    assert_int_equal(file_write(path, text, strlen(text), 0644, NULL), 0);
}

static void write_recipe(const char *name, const char *text)
{
    static const char *const scripts[] = {"run.sh", "setup.sh"};
    cleanup_free char *recipe = xasprintf("recipes/%s/recipe.yaml", name);
    write_at(recipe, text);
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        cleanup_free char *script = xasprintf("recipes/%s/%s", name, scripts[i]);
        write_at(script, "true\n");
    }
}

static const char *const variables[] = {"TEST_TEXT", "TEST_FILE",   "TEST_FILES",
                                        "TEST_DIR",  "TEST_SECRET", "TOOLS_CONTAINER_BUILDER"};

static void forget_variables(void)
{
    for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
        unsetenv(variables[i]);
        variable_give(variables[i], NULL);
    }
}

static struct build *open_build(void)
{
    const struct build_options o = {.versions = versions,
                                    .recipes = recipes,
                                    .cache = cache,
                                    .output = "build",
                                    .jobs = 1,
                                    .remote = REMOTE_OFF};
    struct error *err = NULL;
    struct build *opened = build_open(&o, &err);
    assert_null(err);
    return opened;
}

static int begin(void **state)
{
    const char *parent = getenv("TMPDIR");
    folder = make_temporary_directory(parent ? parent : "/tmp", "run-plan-file", NULL);
    versions = xasprintf("%s/versions.yaml", folder);
    recipes = xasprintf("%s/recipes", folder);
    cache = xasprintf("%s/cache", folder);
    write_at("versions.yaml", "one: {url: \"https://example.org/one\", version: v1}\n");
    write_recipe("low", "description: x\nrun: run.sh\n"
                        "sources:\n"
                        "  tree: {version: one, git: \"{url}\", ref: \"{version}\"}\n"
                        "  files: {list: run.sh, of: tree}\n"
                        "builder: {name: tools, packages: [bash], setup: setup.sh}\n");
    write_recipe("top", "description: x\nrun: run.sh\nneeds: [low]\n"
                        "builder: {name: tools, packages: [bash], setup: setup.sh}\n"
                        "variables:\n"
                        "  TEST_TEXT: {}\n"
                        "  TEST_FILE: {type: file}\n"
                        "  TEST_FILES: {type: file, list: yes}\n"
                        "  TEST_DIR: {type: directory, pattern: \"*.crt\"}\n"
                        "  TEST_SECRET: {type: secret}\n"
                        "sign: {key: TEST_SECRET, certificate: TEST_FILE, files: \"*.ko\"}\n");
    forget_variables();
    b = open_build();
    return 0;
}

static int end(void **state)
{
    build_close(b);
    forget_variables();
    remove_tree(folder, NULL);
    free(folder);
    free(versions);
    free(recipes);
    free(cache);
    return 0;
}

EACH_TEST(begin, end)

static void add_target(const char *name)
{
    struct error *err = NULL;
    build_add_target(b, name, &err);
    assert_string_equal(err ? err->message : "", "");
}

static struct node *node_of(const char *beginning)
{
    struct node *found = NULL;
    for (size_t i = 0; i < b->graph.n; i++)
        if (starts_with(b->graph.nodes[i]->id, beginning)) {
            assert_null(found);
            found = b->graph.nodes[i];
        }
    assert_non_null(found);
    return found;
}

static void set_all(enum node_state state)
{
    for (size_t i = 0; i < b->graph.n; i++) {
        b->graph.nodes[i]->identified = true;
        b->graph.nodes[i]->state = state;
    }
}

static void make_plan(enum plan_grain grain, struct plan *out)
{
    struct error *err = NULL;
    cleanup_strlist struct strlist words = {0};
    strlist_add(&words, "top");
    assert_int_equal(plan_make(b, &words, grain, out, &err), 0);
    // What is printed is what a reader takes.
    cleanup_buf struct buf text = {0}, again = {0};
    cleanup_plan struct plan read = {0};
    plan_print(out, &text);
    plan_parse("a plan", text.data, text.len, &read, &err);
    assert_string_equal(err ? err->message : "", "");
    plan_print(&read, &again);
    assert_string_equal(text.data, again.data);
    assert_int_equal(plan_grain_of(&read), grain);
}

static const json_t *line_of(const struct plan *p, const char *beginning)
{
    const json_t *line = plan_node(p, node_of(beginning)->id);
    assert_non_null(line);
    return line;
}

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

static void set_files(void)
{
    static const char *const names[] = {"one.txt", "two.txt", "dir/a.crt", "dir/b.crt",
                                        "dir/no",  "secret",  NULL};
    for (size_t i = 0; names[i]; i++)
        write_at(names[i], names[i]);
    cleanup_free char *list = xasprintf("%s/two.txt,%s/one.txt", folder, folder);
    cleanup_free char *directory = xasprintf("%s/dir", folder);
    setenv("TEST_TEXT", "a text", 1);
    setenv("TEST_FILES", list, 1);
    setenv("TEST_DIR", directory, 1);
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

// ---- reading ----

#define HEADER_SOURCE(source)                                                                      \
    "{\"plan\":1,\"kbuild\":\"x\",\"targets\":[\"t\"],\"grain\":\"node\",\"depends\":{},"          \
    "\"sources\":\"upstream\",\"builder\":\"host\",\"source\":" source ",\"variables\":{},"        \
    "\"registry\":{}}"
#define HEADER HEADER_SOURCE("{}")
#define LINE(id, needs)                                                                            \
    "{\"node\":\"" id "\",\"kind\":\"artifact\",\"label\":\"l\",\"arch\":\"s390x\","               \
    "\"state\":\"to make\",\"needs\":[" needs "],\"network\":false,\"build_on\":[],"               \
    "\"secrets\":[],\"path_ms\":5,\"resources\":null}"

static void refused(const char *text, size_t length, const char *why)
{
    cleanup_error struct error *err = NULL;
    struct plan p;
    cleanup_free char *exact = xmalloc(length + 1); // for the sanitizer
    memcpy(exact, text, length);
    assert_int_equal(plan_parse("p", exact, length, &p, &err), -1);
    assert_int_equal(err->kind, ERROR_USAGE);
    assert_non_null(err->hint);
    if (!strstr(err->message, why))
        fail_msg("%s: not %s", err->message, why);
    assert_null(p.header);
    assert_null(p.nodes);
}

static void accepted(const char *text)
{
    cleanup_error struct error *err = NULL;
    cleanup_plan struct plan p = {0};
    plan_parse("p", text, strlen(text), &p, &err);
    assert_string_equal(err ? err->message : "", "");
}

TEST(damaged_texts_are_refused_with_the_line)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "p:1: it is empty"},
        {"\n", "p:1: it is no JSON object"},
        {"x", "p:1: it is no JSON object"},
        {"[]", "p:1: it does not begin with the header of a plan"},
        {"{}", "p:1: it does not begin"},
        {LINE("a", ""), "p:1: it does not begin"},
        {"{\"plan\":1,\"plan\":1}", "p:1: it is no JSON object"},
        {"{\"plan\":\"1\",\"depends\":{}}", "p:1: it does not begin"},
        {"{\"plan\":2,\"depends\":{}}", "p is a plan of version 2, and this kbuild reads 1"},
        {"{\"plan\":9223372036854775807,\"depends\":{}}", "version 9223372036854775807"},
        {"{\"plan\":0,\"depends\":{}}", "version 0"},
        {"{\"plan\":99999999999999999999,\"depends\":{}}", "no JSON object"},
        // A folder of this machine.
        {HEADER_SOURCE("{\"x\":\"/etc\"}"), "p:1: \"source\" chooses neither upstream nor debian"},
        {HEADER "\n" LINE("a", "") "\n\n", "p:3: it is no JSON object"},
        {HEADER "\n" LINE("a", "") "x\n", "p:2: it is no JSON object"},
        {HEADER "\n{\"node\":\"a\"", "p:2: it is no JSON object"}, // cut
        {HEADER "\n[]\n", "p:2: \"node\" is not a text"},
        {HEADER "\n" HEADER "\n", "p:2: \"node\" is not a text"},
        {HEADER "\n" LINE("a", "") "\n" LINE("a", ""), "p:3: its node is in an earlier line"},
        {HEADER "\n" LINE("", ""), "p:2: its node is in an earlier line, or has no id"},
        {HEADER "\n" LINE("a", "\"b\"") "\n" LINE("b", ""), "p:2: what its node needs"},
        {HEADER "\n" LINE("a", "\"a\""), "p:2: what its node needs"},
        {HEADER "\n" LINE("a", "1"), "p:2: \"needs\" is not a list of texts"},
        {HEADER "\n" LINE("a\\u0000b", ""), "p:2: it is no JSON object"},
        {HEADER "\n{\"node\":\"\xff\"}", "p:2: it is no JSON object"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        refused(cases[i].text, strlen(cases[i].text), cases[i].why);
    refused("a\0b", 3, "p:1: it is no JSON object");
    accepted(HEADER);
    accepted(HEADER_SOURCE("{\"x\":\"upstream\",\"y\":\"debian\"}"));
    accepted(HEADER "\n" LINE("a", "") "\n" LINE("b", "\"a\"") "\n");
}

static bool same_type(const json_t *one, const json_t *two)
{
    return json_is_boolean(one) ? json_is_boolean(two) : one->type == two->type;
}

// Each field with a value of every type, and without it.
static void vary_fields(const char *first, const char *last, const char *const *optional)
{
    static const char *const values[] = {"null",        "true", "-1",      "1.5", "1",
                                         "\"strange\"", "[1]",  "[\"x\"]", "{}",  "{\"x\":1}"};
    json_auto_t *line = json_loads(last ? last : first, 0, NULL);
    const char *name;
    json_t *value;
    json_object_foreach(line, name, value)
    {
        bool may_miss = false;
        for (size_t i = 0; optional[i]; i++)
            may_miss |= !strcmp(name, optional[i]);
        for (size_t i = 0; i <= ARRAY_LEN(values); i++) {
            json_auto_t *other = json_deep_copy(line);
            if (i == ARRAY_LEN(values))
                json_object_del(other, name);
            else
                json_object_set_new(other, name, json_loads(values[i], JSON_DECODE_ANY, NULL));
            cleanup_free char *changed = json_dumps(other, JSON_COMPACT);
            cleanup_free char *text = last ? xasprintf("%s\n%s", first, changed) : xstrdup(changed);
            cleanup_error struct error *err = NULL;
            cleanup_plan struct plan p = {0};
            int result = plan_parse("p", text, strlen(text), &p, &err);
            if (result == 0) // another text, list or object may be right; a missing field is not
                assert_true(may_miss || (i < ARRAY_LEN(values) &&
                                         same_type(json_object_get(other, name), value)));
            else
                assert_true(err->kind == ERROR_USAGE && err->hint);
        }
    }
}

TEST(a_field_of_another_type_is_an_error_and_one_of_tomorrow_is_skipped)
{
    static const char *const none[] = {NULL};
    static const char *const optional[] = {"resources", "command", "target", "key", NULL};
    vary_fields(HEADER, NULL, none);
    vary_fields(HEADER, LINE("a", ""), optional);
    json_auto_t *header = json_loads(HEADER, 0, NULL);
    json_object_set_new(header, "tomorrow", json_pack("{s:i}", "x", 1));
    cleanup_free char *text = json_dumps(header, 0);
    accepted(text);
    refused(HEADER "\n{\"node\":\"a\",\"kind\":\"spaceship\"}",
            strlen(HEADER "\n{\"node\":\"a\",\"kind\":\"spaceship\"}"),
            "p:2: \"kind\" is \"spaceship\", which this kbuild does not know");
}

TEST(ids_of_a_megabyte_and_deep_nesting_do_no_harm)
{
    cleanup_buf struct buf text = {0};
    buf_puts(&text, HEADER "\n{\"node\":\"");
    for (size_t i = 0; i < 1 << 20; i++)
        buf_puts(&text, "a");
    buf_puts(&text, "\"}");
    refused(text.data, text.len, "p:2: \"kind\" is not a text");
    text.len = 0;
    buf_puts(&text, HEADER "\n{\"node\":");
    for (size_t i = 0; i < 1 << 20; i++)
        buf_puts(&text, "[");
    refused(text.data, text.len, "p:2: it is no JSON object");
}

// ---- on the machine that makes a node ----

struct applied {
    struct plan plan;
    struct build_options o;
    struct source_choices choices;
};

// The header's variables, and the secrets of its only node, as JSON.
static int apply_to(struct applied *a, const char *values, const char *secrets, const char *project,
                    struct error **err)
{
    *a = (struct applied){.o = {.versions = versions, .recipes = recipes}};
    assert_int_equal(plan_parse("p", HEADER "\n" LINE("top:s390x", ""),
                                strlen(HEADER "\n" LINE("top:s390x", "")), &a->plan, NULL),
                     0);
    json_t *line = json_array_get(a->plan.nodes, 0);
    json_object_set_new(a->plan.header, "variables", json_loads(values, 0, NULL));
    json_object_set_new(line, "secrets", json_loads(secrets, 0, NULL));
    return plan_apply(&a->plan, line, project, &a->o, &a->choices, err);
}

static void applied_free(struct applied *a)
{
    source_choices_free(&a->choices);
    plan_free(&a->plan);
}

static void refuses(const char *values, const char *secrets, const char *why)
{
    struct applied a;
    cleanup_error struct error *err = NULL;
    assert_int_equal(apply_to(&a, values, secrets, NULL, &err), -1);
    assert_int_equal(err->kind, ERROR_USAGE);
    if (!strstr(err->message, why))
        fail_msg("%s: not %s", err->message, why);
    applied_free(&a);
}

TEST(variables_are_set_and_another_value_is_an_error_that_names_it)
{
    struct applied a;
    cleanup_error struct error *err = NULL;
    assert_int_equal(apply_to(&a, "{\"TEST_TEXT\":{\"text\":\"planned\"}}", "[]", NULL, &err), 0);
    assert_string_equal(variable_value("TEST_TEXT"), "planned");
    assert_true(a.o.locked && a.o.from_plan && a.o.host_builder && !a.o.debian);
    applied_free(&a);
    // No program that this one starts gets it.
    assert_null(getenv("TEST_TEXT"));
    setenv("TEST_TEXT", "planned", 1);
    refuses("{\"TEST_TEXT\":{\"text\":\"other\"}}", "[]",
            "TEST_TEXT is planned here, and other in");
    refuses("{}", "[]", "TEST_TEXT is planned here, and not set in the plan");
    unsetenv("TEST_TEXT");
    setenv("TOOLS_CONTAINER_BUILDER", "image", 1);
    refuses("{}", "[]", "TOOLS_CONTAINER_BUILDER is image here, and not set in the plan");
}

TEST(a_plan_sets_only_what_recipes_declare)
{
    cleanup_free char *path = xstrdup(getenv("PATH"));
    refuses("{\"PATH\":{\"text\":\"/evil\"}}", "[]", "the plan sets PATH");
    refuses("{\"LD_PRELOAD\":{\"text\":\"/evil\"}}", "[]", "the plan sets LD_PRELOAD");
    refuses("{\"KBUILD_SIGNING_KEY\":{\"text\":\"/x\"}}", "[]", "the plan sets KBUILD_SIGNING_KEY");
    refuses("{\"../x\":{\"files\":[]}}", "[]", "the plan sets ../x");
    refuses("{\"TEST_SECRET\":{\"text\":\"/x\"}}", "[]", "the plan sets TEST_SECRET");
    refuses("{\"TEST_TEXT\":{\"text\":5}}", "[]", "value of TEST_TEXT is damaged");
    refuses("{\"TEST_TEXT\":5}", "[]", "value of TEST_TEXT is damaged");
    refuses("{\"TEST_FILE\":{\"files\":[5]}}", "[]", "value of TEST_FILE is damaged");
    assert_string_equal(getenv("PATH"), path);
}

TEST(a_plan_takes_no_folder_of_the_machine)
{
    static const char *const origins[] = {"/", "/etc", ".", "", "upstream "};
    for (size_t i = 0; i < ARRAY_LEN(origins); i++) {
        struct applied a;
        cleanup_error struct error *err = NULL;
        assert_int_equal(apply_to(&a, "{}", "[]", NULL, NULL), 0);
        source_choices_free(&a.choices);
        a.choices = (struct source_choices){0};
        json_object_set_new(a.plan.header, "source", json_pack("{s:s}", "x", origins[i]));
        const json_t *line = json_array_get(a.plan.nodes, 0);
        assert_int_equal(plan_apply(&a.plan, line, NULL, &a.o, &a.choices, &err), -1);
        assert_int_equal(err->kind, ERROR_USAGE);
        assert_non_null(strstr(err->message, "choice of the source x is damaged"));
        applied_free(&a);
    }
}

TEST(a_secret_that_the_plan_does_not_give_leaves_the_environment)
{
    struct applied a;
    cleanup_error struct error *err = NULL;
    setenv("TEST_SECRET", "/here", 1);
    assert_int_equal(apply_to(&a, "{}", "[\"TEST_SECRET\"]", NULL, &err), 0);
    assert_string_equal(getenv("TEST_SECRET"), "/here");
    applied_free(&a);
    assert_int_equal(apply_to(&a, "{}", "[]", NULL, &err), 0);
    assert_null(getenv("TEST_SECRET"));
    applied_free(&a);
    refuses("{}", "[\"TEST_SECRET\"]", "top:s390x needs the secret TEST_SECRET");
}

static int apply_files(struct applied *a, const char *name, const char *type, const char *content,
                       const char *project, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    digest_bytes(content, strlen(content), digest);
    cleanup_free char *values =
        xasprintf("{\"%s\":{\"type\":\"%s\",\"text\":\"dir\",\"files\":[{\"path\":\"%s/dir/a.crt\","
                  "\"sha256\":\"%s\"}]}}",
                  name, type, folder, digest);
    return apply_to(a, values, "[]", project, err);
}

TEST(files_are_those_of_the_project_or_where_they_were)
{
    struct applied a;
    cleanup_error struct error *err = NULL, *why = NULL;
    cleanup_free char *directory = xasprintf("%s/dir/", folder);
    cleanup_free char *project = xasprintf("%s/project", folder);
    cleanup_free char *inside = xasprintf("%s/variables/TEST_DIR", project);
    write_at("dir/a.crt", "content");
    write_at("project/variables/TEST_DIR/a.crt", "content");
    assert_int_equal(apply_files(&a, "TEST_DIR", "directory", "content", NULL, &err), 0);
    assert_string_equal(variable_value("TEST_DIR"), directory); // wherever this process is
    applied_free(&a);
    assert_int_equal(apply_files(&a, "TEST_DIR", "directory", "content", project, &err), 0);
    assert_string_equal(variable_value("TEST_DIR"), inside);
    applied_free(&a);
    assert_int_equal(apply_files(&a, "TEST_FILE", "file", "other", NULL, &err), -1);
    assert_int_equal(err->kind, ERROR_USAGE);
    assert_non_null(strstr(err->message, "a.crt is "));
    applied_free(&a);
    assert_int_equal(apply_files(&a, "TEST_FILE", "file", "content", project, &why), -1);
    assert_int_equal(why->kind, ERROR_USAGE);
    assert_non_null(strstr(why->message, "TEST_FILE of the plan"));
    applied_free(&a);
}

TEST(more_files_in_a_directory_than_were_planned_are_another_plan)
{
    set_files();
    add_target("top");
    set_all(NODE_STALE);
    cleanup_plan struct plan p = {0};
    cleanup_error struct error *err = NULL;
    make_plan(GRAIN_NODE, &p);
    struct build *worker = open_build();
    assert_non_null(plan_add_node(worker, &p, line_of(&p, "top:"), &err));
    build_close(worker);
    write_at("dir/c.crt", "one more");
    worker = open_build();
    assert_null(plan_add_node(worker, &p, line_of(&p, "top:"), &err));
    assert_int_equal(err->kind, ERROR_USAGE);
    assert_non_null(strstr(err->message, "the files of TEST_DIR are others here"));
    build_close(worker);
}

TEST(another_project_is_named_by_what_differs)
{
    add_target("top");
    set_all(NODE_STALE);
    cleanup_plan struct plan p = {0};
    make_plan(GRAIN_NODE, &p);
    json_t *depends = json_object_get(p.header, "depends");
    assert_int_equal(plan_check(b, &p, NULL), 0);
    const char *name;
    json_t *value;
    json_auto_t *names = json_deep_copy(depends);
    assert_int_equal(json_object_size(names), 7);
    json_object_foreach(names, name, value)
    {
        cleanup_error struct error *err = NULL, *missing = NULL;
        json_object_set_new(depends, name, json_string("TEST"));
        assert_int_equal(plan_check(b, &p, &err), -1);
        assert_int_equal(err->kind, ERROR_USAGE);
        cleanup_free char *is = xasprintf(": %s is ", name);
        assert_non_null(strstr(err->message, is));
        assert_non_null(strstr(err->message, "TEST in the plan"));
        json_object_del(depends, name);
        assert_int_equal(plan_check(b, &p, &missing), -1);
        json_object_set(depends, name, value);
    }
}

static struct build *open_again(void *context, struct error **err)
{
    return open_build();
}

TEST(a_node_is_found_by_its_id_alone)
{
    add_target("top");
    for (size_t i = 0; i < b->graph.n; i++) {
        struct build *other = NULL;
        struct node *node = plan_search(open_again, NULL, b->graph.nodes[i]->id, &other, NULL);
        assert_non_null(node);
        assert_string_equal(node->id, b->graph.nodes[i]->id);
        build_close(other);
    }
    static const char *const wrong[] = {
        "", ":", "top", "top:", "top:vax", "none:s390x", "source:tree:000000000000"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct build *other = NULL;
        cleanup_error struct error *err = NULL;
        assert_null(plan_search(open_again, NULL, wrong[i], &other, &err));
        assert_int_equal(err->kind, ERROR_USAGE);
        if (other)
            build_close(other);
    }
}
