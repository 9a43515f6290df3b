// SPDX-License-Identifier: Apache-2.0
// The ids of a plan: one for what is one node on every machine and for every target, another for
// everything else, whatever the order of the plan.
#include "test.h"

#include "base/file.h"
#include "graph/job.h"
#include "run/run.h"

#include <string.h>

static char *folder, *versions, *recipes, *cache;
static struct strlist recipe_list = {.items = &recipes, .n = 1};

static void write_recipe(const char *name, const char *text)
{
    cleanup_free char *directory = xasprintf("%s/%s", recipes, name);
    cleanup_free char *recipe = xasprintf("%s/recipe.yaml", directory);
    cleanup_free char *script = xasprintf("%s/run.sh", directory);
    cleanup_free char *setup = xasprintf("%s/setup.sh", directory);
    assert_int_equal(make_directories(directory, 0755, NULL), 0);
    assert_int_equal(file_write(recipe, text, strlen(text), 0644, NULL), 0);
    assert_int_equal(file_write(script, "true\n", 5, 0755, NULL), 0);
    assert_int_equal(file_write(setup, "true\n", 5, 0755, NULL), 0);
}

static int begin(void **state)
{
    static const char components[] = "one: {url: \"https://example.org/one\", version: v1}\n"
                                     "two: {url: \"https://example.org/two\", version: v1}\n"
                                     "of:\n"
                                     "  x86_64: {url: \"https://example.org/x\", version: v1}\n"
                                     "  s390x: {url: \"https://example.org/s\", version: v1}\n"
                                     "  aarch64: {url: \"https://example.org/s\", version: v1}\n"
                                     "  ppc64le: {url: \"https://example.org/p\", version: v1}\n";
    const char *parent = getenv("TMPDIR");
    folder = make_temporary_directory(parent ? parent : "/tmp", "run-plan", NULL);
    versions = xasprintf("%s/versions.yaml", folder);
    recipes = xasprintf("%s/recipes", folder);
    cache = xasprintf("%s/cache", folder);
    assert_int_equal(file_write(versions, components, sizeof components - 1, 0644, NULL), 0);
    // The builder "tools" is the same for all targets in `same` and `again`, another in `other`,
    // and one for each target in `cross`.
    write_recipe("same", "description: x\nrun: run.sh\n"
                         "sources:\n"
                         "  tree: {version: one, git: \"{url}\", ref: \"{version}\"}\n"
                         "  files: {list: run.sh, of: tree}\n"
                         "builder: {name: tools, packages: [bash], setup: setup.sh}\n");
    write_recipe("again", "description: x\nrun: run.sh\nneeds: [cross]\n"
                          "sources:\n"
                          "  tree: {version: one, git: \"{url}\", ref: \"{version}\"}\n"
                          "builder: {name: tools, packages: [bash], setup: setup.sh}\n");
    write_recipe("other", "description: x\nrun: run.sh\n"
                          "sources:\n"
                          "  tree: {version: two, git: \"{url}\", ref: \"{version}\"}\n"
                          "  files: {list: run.sh, of: tree}\n"
                          "builder: {name: tools, packages: [bash, make]}\n");
    write_recipe("cross",
                 "description: x\nrun: run.sh\n"
                 "sources: {tree: {version: \"of.{arch}\", git: \"{url}\", ref: \"{version}\"}}\n"
                 "builder: {name: tools, packages: [bash], libraries: [zlib1g-dev]}\n");
    return 0;
}

static int end(void **state)
{
    remove_tree(folder, NULL);
    free(folder);
    free(versions);
    free(recipes);
    free(cache);
    return 0;
}

ALL_TESTS(begin, end)

static struct build *open_build(void)
{
    const struct build_options o = {.versions = versions,
                                    .recipes = &recipe_list,
                                    .cache = cache,
                                    .output = "build",
                                    .jobs = 1,
                                    .remote = REMOTE_OFF};
    struct error *err = NULL;
    struct build *b = build_open(&o, &err);
    assert_null(err);
    return b;
}

static void plan(struct build *b, const char *name, const struct arch *target)
{
    struct error *err = NULL;
    const struct recipe *r = recipe_get(b->recipes, name, &err);
    assert_null(err);
    plan_artifact(b, r, target, &err);
    assert_string_equal(err ? err->message : "", "");
}

static const char *const names[] = {"same", "again", "other", "cross"};
enum { NAMES = ARRAY_LEN(names) };

// All that the plan knows of a node, which makes its key: without the paths of this machine.
static char *content(const struct node *node)
{
    const struct job *job = job_of(node);
    cleanup_buf struct buf text = {0};
    buf_printf(&text, "%d %s\n%s", (int)node->kind, node->name,
               node->identity.data ? node->identity.data : "");
    if (job->spec.url)
        buf_printf(&text, "%s %s\n", job->spec.url, job->spec.ref);
    for (size_t i = 0; i < node->need_count; i++)
        buf_printf(&text, "need %s\n", node->needs[i].node->id);
    return buf_take(&text);
}

// Every id of `a` is in `b`, with the same content; other ids have other contents.
static void compare(const struct graph *a, const struct graph *b)
{
    for (size_t i = 0; i < a->n; i++) {
        cleanup_free char *mine = content(a->nodes[i]);
        assert_non_null(graph_find(b, a->nodes[i]->id));
        for (size_t k = 0; k < b->n; k++) {
            cleanup_free char *its = content(b->nodes[k]);
            assert_int_equal(!strcmp(mine, its), !strcmp(a->nodes[i]->id, b->nodes[k]->id));
        }
    }
}

TEST(ids_do_not_depend_on_the_order_and_are_one_for_one_content)
{
    struct build *all = open_build(), *reverse = open_build();
    for (size_t i = 0; i < NAMES; i++)
        for (size_t a = 0; a < arch_count; a++)
            plan(all, names[i], &arch_table[a]);
    for (size_t i = NAMES; i-- > 0;)
        for (size_t a = arch_count; a-- > 0;)
            plan(reverse, names[i], &arch_table[a]);
    assert_int_equal(build_graph(all)->n, build_graph(reverse)->n);
    compare(build_graph(all), build_graph(reverse));
    compare(build_graph(all), build_graph(all));
    build_close(reverse);
    // The plan of one target has the same ids as that of all.
    for (size_t i = 0; i < NAMES; i++)
        for (size_t a = 0; a < arch_count; a++) {
            struct build *one = open_build();
            plan(one, names[i], &arch_table[a]);
            compare(build_graph(one), build_graph(all));
            build_close(one);
        }
    build_close(all);
}

static const struct node *builder_of(struct build *b, const char *name, const struct arch *target)
{
    cleanup_free char *id = xasprintf("%s:%s", name, target->name);
    const struct role *role = job_role(job_of(graph_find(build_graph(b), id)), ROLE_BUILDER, NULL);
    return role->node;
}

TEST(a_builder_is_named_by_what_it_runs_on_and_builds_for)
{
    struct build *b = open_build();
    const struct arch *host = arch_host(), *other = NULL;
    for (size_t a = 0; a < arch_count; a++)
        other = &arch_table[a] == host ? other : &arch_table[a];
    for (size_t i = 0; i < NAMES; i++) {
        plan(b, names[i], host);
        plan(b, names[i], other);
    }
    cleanup_free char *native = xasprintf("builder:tools:%s:", host->name);
    cleanup_free char *crossed = xasprintf("builder:tools:%s-%s:", host->name, other->name);
    assert_true(starts_with(builder_of(b, "same", host)->id, native));
    assert_ptr_equal(builder_of(b, "same", host), builder_of(b, "same", other));
    assert_ptr_equal(builder_of(b, "same", host), builder_of(b, "again", other));
    assert_ptr_not_equal(builder_of(b, "same", host), builder_of(b, "other", host));
    assert_true(starts_with(builder_of(b, "cross", host)->id, native));
    assert_true(starts_with(builder_of(b, "cross", other)->id, crossed));
    assert_string_equal(builder_of(b, "cross", other)->name, "builder:tools"); // as keys have it
    build_close(b);
}

static const struct node *source_of(struct build *b, const char *target, const char *name)
{
    cleanup_free char *id = xasprintf("%s:%s", target, arch_host()->name);
    return job_role(job_of(graph_find(build_graph(b), id)), ROLE_SOURCE, name)->node;
}

TEST(a_label_that_two_sources_have_is_for_neither)
{
    struct build *b = open_build();
    struct error *err = NULL;
    assert_non_null(build_add_target(b, "same", &err));
    const struct node *tree = source_of(b, "same", "tree");
    assert_string_equal(node_label(tree), "source tree");
    assert_non_null(build_add_target(b, "other", &err));
    const struct node *another = source_of(b, "other", "tree");
    assert_ptr_not_equal(tree, another);
    cleanup_free char *label = xasprintf("source %s", tree->id + strlen("source:"));
    assert_string_equal(node_label(tree), label);
    assert_string_equal(job_of(tree)->label, label);
    assert_string_not_equal(node_label(another), label);
    assert_string_equal(tree->name, another->name);
    build_close(b);
}
