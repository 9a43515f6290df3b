// SPDX-License-Identifier: Apache-2.0
// What runs, and what an installation adds.
#include "test.h"

#include "recipe_help.h"

#define F "DIR/r/recipe.yaml:"
#define D "description: x\nbuilder: {packages: [gcc]}\n"

EACH_TEST(set_up, tear_down)

TEST(one_script_is_one_phase)
{
    struct place *p = *state;
    struct recipe_set *set = open_set(p);
    put(p, "r/build.sh", "");
    const struct recipe *r = good(set, p, D "run: build.sh\n");
    assert_int_equal(r->phase_count, 1);
    assert_string_equal(r->phases[0].name, "build");
    assert_string_equal(r->phases[0].script, "build.sh");
    assert_int_equal(r->link_count, 0);
    recipe_set_free(set);
}

TEST(phases_keep_the_order_of_the_file)
{
    struct place *p = *state;
    struct recipe_set *set = open_set(p);
    put(p, "r/b.sh", "");
    put(p, "common/a.sh", "");
    const struct recipe *r =
        good(set, p,
             D "phases: {setup: shared/common/a.sh, build: b.sh, again: b.sh}\n"
               "shared: [common]\n");
    assert_int_equal(r->phase_count, 3);
    assert_string_equal(r->phases[0].name, "setup");
    assert_string_equal(r->phases[0].script, "shared/common/a.sh");
    assert_string_equal(r->phases[2].name, "again");
    recipe_set_free(set);
}

TEST(links_are_for_all_architectures_unless_some_are_named)
{
    struct place *p = *state;
    struct recipe_set *set = open_set(p);
    put(p, "r/build.sh", "");
    const struct recipe *r = good(set, p,
                                  D "run: build.sh\n"
                                    "install:\n"
                                    "  links:\n"
                                    "    - {path: share/a, target: b}\n"
                                    "    - {path: share/c, target: d/e, architectures: [amd64]}\n");
    assert_int_equal(r->link_count, 2);
    assert_string_equal(r->links[0].path, "share/a");
    assert_string_equal(r->links[1].target, "d/e");
    size_t all = 0, some = 0;
    for (size_t i = 0; i < arch_count; i++) {
        all += r->links[0].architectures[i];
        some += r->links[1].architectures[i];
    }
    assert_int_equal(all, arch_count);
    assert_int_equal(some, 1);
    assert_true(r->links[1].architectures[arch_find("x86_64", NULL) - arch_table]);
    recipe_set_free(set);
}

TEST(mistakes_are_named_with_their_place)
{
    static const struct {
        const char *text, *message, *hint;
    } cases[] = {
        {D, F "1:1: a recipe with the action script needs the key 'run'",
         "or 'phases', if it runs in several"},
        {D "run: build.sh\nphases: {a: build.sh}\n", F "4:9: phases: there is 'run' already", NULL},
        {D "phases: {a: build.sh}\nrun: build.sh\n", F "4:6: run: there is 'phases' already", NULL},
        {D "phases: {}\n", F "3:9: phases: there is none", NULL},
        {D "phases: [build.sh]\n", F "3:9: phases: a map is expected here, but this is a list",
         NULL},
        {D "phases: {a: biuld.sh}\n", F "3:13: a: there is no file 'biuld.sh' in DIR/r",
         "did you mean 'build.sh'?"},
        {D "phases: {Setup: build.sh}\n",
         F "3:10: phases: 'Setup': a name is made of a-z 0-9 . _ -", NULL},
        {D "phases: {a: build.sh, a: build.sh}\n", F "3:23: duplicate key 'a' (first on line 3)",
         NULL},
        {"description: x\naction: initrd\nphases: {a: build.sh}\n",
         F "3:1: the key 'phases' has no meaning in a recipe with the action initrd", NULL},
        {D "run: build.sh\ninstall: {}\n", F "4:10: install needs the key 'links'", NULL},
        {D "run: build.sh\ninstall: {links: {a: b}}\n",
         F "4:18: links: a list is expected here, but this is a map", NULL},
        {D "run: build.sh\ninstall: {links: [{path: a}]}\n",
         F "4:19: a link needs the key 'target'", NULL},
        {D "run: build.sh\ninstall: {links: [{path: ../a, target: b}]}\n", NULL, NULL},
        {D "run: build.sh\ninstall: {links: [{path: a, target: /b}]}\n", NULL, NULL},
        {D "run: build.sh\ninstall: {links: [{path: a, target: b, architectures: []}]}\n",
         F "4:55: architectures: the list is empty", NULL},
    };
    const struct place *p = *state;
    put(p, "r/build.sh", "");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (cases[i].message) {
            refused(p, cases[i].text, cases[i].message, cases[i].hint);
            continue;
        }
        struct recipe_set *set = open_set(p);
        struct error *err = NULL;
        put(p, "r/recipe.yaml", cases[i].text);
        assert_null(recipe_get(set, "r", &err));
        assert_non_null(strstr(err->message, "recipe.yaml:4:"));
        error_free(err);
        recipe_set_free(set);
    }
}
