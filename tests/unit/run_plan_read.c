// SPDX-License-Identifier: Apache-2.0
// Plans for several machines: what a reader accepts of a text, and what a plan sets on the machine
// that makes a node.
#include "run_plan_help.h"

EACH_TEST(begin, end)

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
    *a = (struct applied){.o = {.versions = versions, .recipes = &recipe_list}};
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

// Its recipes choose the names: one may be that of a password of this machine.
TEST(a_project_is_not_told_what_a_variable_is_here)
{
    static const char *const plans[] = {"{}", "{\"TEST_TEXT\":{\"text\":\"guess\"}}"};
    static const char *const says[] = {"another text here, and not set in the plan",
                                       "another text here, and guess in the plan"};
    setenv("TEST_TEXT", "password", 1);
    for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
        struct applied a;
        cleanup_error struct error *err = NULL;
        assert_int_equal(apply_to(&a, plans[i], "[]", folder, &err), -1);
        assert_int_equal(err->kind, ERROR_USAGE);
        assert_non_null(strstr(err->message, says[i]));
        assert_null(strstr(err->message, "password"));
        applied_free(&a);
    }
    setenv("TEST_SECRET", "password", 1);
    refuses("{}", "[\"TEST_SECRET\"]", "needs the secret TEST_SECRET, and here that names no file");
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
    refuses("{\"TEST_FILE\":{\"type\":\"file\",\"files\":[5]}}", "[]",
            "value of TEST_FILE is damaged");
    // A step would be without its file, or have another in its place.
    refuses("{\"TEST_FILE\":{\"type\":\"file\",\"text\":\"x\",\"files\":[]}}", "[]",
            "value of TEST_FILE is damaged: it names no file");
    refuses("{\"TEST_FILE\":{\"text\":\"/etc/hostname\"}}", "[]", "value of TEST_FILE is damaged");
    refuses("{\"TEST_FILE\":{\"type\":\"directory\",\"text\":\"/etc\",\"files\":[]}}", "[]",
            "value of TEST_FILE is damaged: recipes declare it as another type");
    refuses("{\"TEST_DIR\":{\"type\":\"file\",\"text\":\"x\",\"files\":[]}}", "[]",
            "value of TEST_DIR is damaged");
    refuses("{\"TEST_DIR\":{\"type\":\"tree\",\"text\":\"/\",\"files\":[]}}", "[]",
            "value of TEST_DIR is damaged");
    refuses("{\"TEST_TEXT\":{\"type\":\"file\",\"text\":\"\",\"files\":[]}}", "[]",
            "value of TEST_TEXT is damaged");
    refuses("{\"TEST_DIR\":{\"type\":\"directory\",\"text\":\"/nonexistent\",\"files\":[]}}", "[]",
            "TEST_DIR of the plan: /nonexistent is not a directory");
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
    setenv("TEST_SECRET", versions, 1);
    assert_int_equal(apply_to(&a, "{}", "[\"TEST_SECRET\"]", NULL, &err), 0);
    assert_string_equal(getenv("TEST_SECRET"), versions);
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

TEST(what_is_no_file_is_not_read)
{
    cleanup_free char *pipe = xasprintf("%s/pipe", folder);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    const char *const paths[] = {pipe, "/dev/zero", folder};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        cleanup_free char *values =
            xasprintf("{\"TEST_FILE\":{\"type\":\"file\",\"text\":\"\",\"files\":[{\"path\":\"%s\","
                      "\"sha256\":\"%064d\"}]}}",
                      paths[i], 0);
        cleanup_free char *why = xasprintf("TEST_FILE of the plan: %s is not a file", paths[i]);
        refuses(values, "[]", why);
    }
}

TEST(an_empty_directory_is_one)
{
    struct applied a;
    cleanup_error struct error *err = NULL;
    cleanup_free char *empty = xasprintf("%s/empty", folder);
    cleanup_free char *project = xasprintf("%s/project", folder);
    cleanup_free char *inside = xasprintf("%s/variables/TEST_DIR", project);
    cleanup_free char *values =
        xasprintf("{\"TEST_DIR\":{\"type\":\"directory\",\"text\":\"%s\",\"files\":[]}}", empty);
    assert_int_equal(make_directories(empty, 0755, NULL), 0);
    assert_int_equal(make_directories(inside, 0755, NULL), 0);
    assert_int_equal(apply_to(&a, values, "[]", NULL, &err), 0);
    assert_string_equal(variable_value("TEST_DIR"), empty);
    applied_free(&a);
    assert_int_equal(apply_to(&a, values, "[]", project, &err), 0);
    assert_string_equal(variable_value("TEST_DIR"), inside);
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

TEST(another_version_that_makes_the_same_is_no_other_machine)
{
    cleanup_error struct error *err = NULL;
    cleanup_plan struct plan p = {0};
    add_target("top");
    set_all(NODE_STALE);
    make_plan(GRAIN_NODE, &p);
    json_object_set_new(p.header, "kbuild", json_string("9.9.9"));
    assert_int_equal(plan_check(b, &p, NULL), 0);
    // One that does not is named.
    json_object_set_new(json_object_get(p.header, "depends"), "format", json_string("999"));
    assert_int_equal(plan_check(b, &p, &err), -1);
    assert_non_null(strstr(err->message, "format is "));
    assert_non_null(strstr(err->hint, "it was planned by kbuild 9.9.9, and this is "));
}

TEST(the_registry_of_a_plan_is_a_repository)
{
    static const char *const wrong[][2] = {
        {"127.0.0.1:1/kata", "127.0.0.1:1"}, {"127.0.0.1:1/kata", "127.0.0.1:1/x:tag"},
        {"user:pw@127.0.0.1:1/kata", NULL},  {"127.0.0.1:1/../x", NULL},
        {"127.0.0.1:1/kata:tag", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        cleanup_error struct error *err = NULL;
        cleanup_plan struct plan p = {.header =
                                          json_pack("{s:{s:s, s:s*}}", "registry", "artefacts",
                                                    wrong[i][0], "builders", wrong[i][1])};
        assert_int_equal(plan_use_registry(&p, &err), -1);
        assert_int_equal(err->kind, ERROR_USAGE);
        assert_non_null(strstr(err->message, "the registry of the plan: "));
        assert_null(getenv("BUILDER_REGISTRY"));
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
