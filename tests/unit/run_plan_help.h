// SPDX-License-Identifier: Apache-2.0
// A project of two targets for tests of plans, each with a builder and sources, whose nodes have
// the states that a test gives them.
#ifndef KBUILD_TESTS_RUN_PLAN_HELP_H
#define KBUILD_TESTS_RUN_PLAN_HELP_H

#include "test.h"

#include "base/file.h"
#include "graph/job.h"
#include "run/plan_file.h"
#include "run/run.h"

#include <string.h>

// For what not every file uses.
#define UNUSED __attribute__((unused))

static char *folder, *versions, *recipes, *cache;
static struct strlist recipe_list = {.items = &recipes, .n = 1};
static struct build *b;

static UNUSED void write_at(const char *name, const char *text)
{
    cleanup_free char *path = xasprintf("%s/%s", folder, name);
    assert_int_equal(make_parent(path, NULL), 0);
    assert_int_equal(file_write(path, text, strlen(text), 0644, NULL), 0);
}

static UNUSED void write_recipe(const char *name, const char *text)
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

static UNUSED void forget_variables(void)
{
    for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
        unsetenv(variables[i]);
        variable_give(variables[i], NULL);
    }
}

static UNUSED struct build *open_build(void)
{
    const struct build_options o = {.versions = versions,
                                    .recipes = &recipe_list,
                                    .cache = cache,
                                    .output = "build",
                                    .jobs = 1,
                                    .remote = REMOTE_OFF};
    struct error *err = NULL;
    struct build *opened = build_open(&o, &err);
    assert_null(err);
    return opened;
}

static UNUSED int begin(void **state)
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

static UNUSED int end(void **state)
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

static UNUSED void add_target(const char *name)
{
    struct error *err = NULL;
    build_add_target(b, name, &err);
    assert_string_equal(err ? err->message : "", "");
}

static UNUSED struct node *node_of(const char *beginning)
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

static UNUSED void set_all(enum node_state state)
{
    for (size_t i = 0; i < b->graph.n; i++) {
        b->graph.nodes[i]->identified = true;
        b->graph.nodes[i]->state = state;
    }
}

static UNUSED void make_plan(enum plan_grain grain, struct plan *out)
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

static UNUSED const json_t *line_of(const struct plan *p, const char *beginning)
{
    const json_t *line = plan_node(p, node_of(beginning)->id);
    assert_non_null(line);
    return line;
}

static UNUSED void set_files(void)
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

#endif
