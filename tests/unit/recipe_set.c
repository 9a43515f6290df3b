// SPDX-License-Identifier: Apache-2.0
// Sets of recipes: which there are, which are asked for, and how quickly.
#include "test.h"

#include "recipe_help.h"

#include <time.h>

#define GOOD "description: x\nrun: build.sh\nbuilder: {packages: [gcc]}\n"

static void put_recipe(const struct place *p, const char *name, const char *text)
{
    cleanup_free char *file = xasprintf("%s/recipe.yaml", name);
    cleanup_free char *script = xasprintf("%s/build.sh", name);
    put(p, file, text);
    put(p, script, "");
}

EACH_TEST(set_up, tear_down)

TEST(names_are_the_folders_with_a_recipe)
{
    struct place *p = *state;
    put_recipe(p, "b", GOOD);
    put_recipe(p, "a-1", GOOD);
    put_recipe(p, "Not_Clean", GOOD);
    put(p, "common/build.sh", "");
    put(p, "recipe.yaml", GOOD);
    put(p, "README.md", "");
    struct recipe_set *set = open_set(p);
    struct strlist names = {0};
    assert_int_equal(recipe_names(set, &names, NULL), 0);
    cleanup_free char *all = strlist_join(&names, " ");
    assert_string_equal(all, "a-1 b");
    strlist_free(&names);
    assert_true(recipe_exists(set, "b"));
    static const char *const absent[] = {"c",    "common", "",       ".",        "..",
                                         "../x", "b/",     "b/../b", "Not_Clean"};
    for (size_t i = 0; i < ARRAY_LEN(absent); i++)
        assert_false(recipe_exists(set, absent[i]));
    recipe_set_free(set);
}

TEST(an_unknown_target_gets_the_nearest_name)
{
    struct place *p = *state;
    put_recipe(p, "kernel", GOOD "outputs: [kernel, kernel-modules]\n");
    put_recipe(p, "qemu", "broken: [");
    struct recipe_set *set = open_set(p);
    static const struct {
        const char *name, *hint;
    } cases[] = {
        {"kernle", "did you mean kernel? `kbuild list` shows all targets"},
        {"kernel-modules", "it is an output of the target kernel"},
        {"../kernel", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        cleanup_free char *message = xasprintf("unknown target '%s'", cases[i].name);
        assert_null(recipe_get(set, cases[i].name, &err));
        assert_string_equal(err->message, message);
        assert_int_equal(err->kind, ERROR_USER);
        if (cases[i].hint)
            assert_string_equal(err->hint, cases[i].hint);
    }
    cleanup_error struct error *err = NULL;
    assert_null(recipe_get(set, "virtiofsd", &err));
    assert_true(starts_with(err->hint, "`kbuild list` shows all targets"));
    assert_null(recipe_get(set, "virtiofsd", NULL)); // an error that nobody wants
    recipe_set_free(set);
}

TEST(a_broken_recipe_harms_no_other)
{
    struct place *p = *state;
    put_recipe(p, "good", GOOD);
    put_recipe(p, "bad", "runn: x\n");
    struct recipe_set *set = open_set(p);
    for (int i = 0; i < 2; i++) { // the second time, too
        cleanup_error struct error *err = NULL;
        assert_null(recipe_get(set, "bad", &err));
        assert_non_null(strstr(err->message, "bad/recipe.yaml:1:1: unknown key 'runn'"));
        assert_non_null(recipe_get(set, "good", NULL));
    }
    recipe_set_free(set);
}

TEST(a_set_needs_a_folder)
{
    struct place *p = *state;
    put(p, "file", "");
    static const struct {
        const char *name, *why;
    } cases[] = {{"missing", "No such file or directory"}, {"file", "Not a directory"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        cleanup_free char *path = xasprintf("%s/%s", p->folder, cases[i].name);
        cleanup_free char *message = xasprintf("opening the recipes in %s: %s", path, cases[i].why);
        assert_null(open_directory(path, &err));
        assert_string_equal(err->message, message);
        assert_non_null(strstr(err->hint, "--recipes DIR"));
    }
}

TEST(messages_name_files_as_the_user_wrote_them)
{
    struct place *p = *state;
    put_recipe(p, "r", "runn: x\n");
    cleanup_free char *before = getcwd(NULL, 0);
    assert_int_equal(chdir(p->folder), 0);
    struct recipe_set *set = open_directory(".//", NULL);
    cleanup_error struct error *err = NULL;
    assert_null(recipe_get(set, "r", &err));
    assert_true(starts_with(err->message, "./r/recipe.yaml:1:1: "));
    cleanup_free char *absolute = recipe_set_path(set, "r");
    assert_int_equal(absolute[0], '/');
    assert_string_equal(recipe_set_origin(set, "r"), ".");
    recipe_set_free(set);
    assert_int_equal(chdir(before), 0);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// Twice as many recipes must take about twice as long, not four times: with generous room for a
// busy machine and for the sanitizers.
TEST(a_large_set_loads_in_linear_time)
{
    struct place *p = *state;
    enum { STEP = 500 };
    double spent[2] = {0};
    struct recipe_set *set = open_set(p);
    for (int i = 0; i < 3 * STEP; i++) {
        cleanup_free char
            *name = xasprintf("r%d", i),
            *text =
                xasprintf("description: number %d\nneeds: [r%d]\nbuilder: {packages: [gcc, make]}\n"
                          "run: build.sh\n",
                          i, i / 2);
        put_recipe(p, name, text);
    }
    for (int i = 0; i < 3 * STEP; i++) {
        cleanup_free char *name = xasprintf("r%d", i);
        double before = seconds();
        assert_non_null(recipe_get(set, name, NULL));
        spent[i >= STEP] += seconds() - before; // 500, then 1000
    }
    assert_true(spent[1] < 2 * spent[0] * 4);
    recipe_set_free(set);
}

// ---- several directories ----

static struct recipe_set *open_both(const struct place *p, struct error **err)
{
    cleanup_strlist struct strlist both = {0};
    strlist_addf(&both, "%s/shipped", p->folder);
    strlist_addf(&both, "%s/own/", p->folder);
    return recipe_set_open(&both, err);
}

TEST(a_later_directory_replaces_recipes_of_an_earlier_one)
{
    struct place *p = *state;
    put_recipe(p, "shipped/a", GOOD);
    put_recipe(p, "shipped/b", GOOD);
    put(p, "shipped/b/left", "");
    put_recipe(p, "own/b", "description: own\nrun: build.sh\nbuilder: {packages: [gcc]}\n");
    put_recipe(p, "own/c", GOOD);
    put(p, "shipped/README.md", "");
    put(p, "own/README.md", "");
    struct recipe_set *set = open_both(p, NULL);
    cleanup_strlist struct strlist names = {0};
    assert_int_equal(recipe_names(set, &names, NULL), 0);
    cleanup_free char *all = strlist_join(&names, " ");
    assert_string_equal(all, "a b c");
    assert_string_equal(recipe_get(set, "b", NULL)->description, "own");
    assert_string_equal(recipe_get(set, "a", NULL)->description, "x");
    cleanup_free char *origin = xasprintf("%s/own", p->folder);
    assert_string_equal(recipe_set_origin(set, "b"), origin);
    assert_int_equal(recipe_set_replaced(set)->n, 1);
    cleanup_free char *said = xasprintf("%s/b replaces %s/shipped/b", origin, p->folder);
    assert_string_equal(recipe_set_replaced(set)->items[0], said);
    // The copy is what counts, and no file of a replaced recipe.
    cleanup_free char *to = xasprintf("%s/copy", p->folder);
    assert_int_equal(make_directories(to, 0755, NULL), 0);
    assert_int_equal(recipe_set_copy(set, to, NULL), 0);
    cleanup_free char *left = xasprintf("%s/b/left", to), *c = xasprintf("%s/c/build.sh", to);
    assert_false(path_exists(left));
    assert_true(path_exists(c));
    recipe_set_free(set);
}

TEST(recipes_share_folders_across_directories)
{
    struct place *p = *state;
    put(p, "shipped/common/build.sh", "");
    put(p, "shipped/ignored.yaml", "OLD: shipped\n");
    put(p, "own/r/recipe.yaml",
        "description: x\nshared: [common]\nrun: shared/common/build.sh\nbuilder: {packages: "
        "[a1]}\n");
    struct recipe_set *set = open_both(p, NULL);
    cleanup_error struct error *err = NULL;
    if (!recipe_get(set, "r", &err))
        fail_msg("%s", err->message);
    cleanup_free char *path = recipe_set_path(set, "common/build.sh");
    cleanup_free char *expected = xasprintf("%s/shipped/common/build.sh", p->folder);
    assert_string_equal(path, expected);
    assert_string_equal(recipe_set_ignored(set, NULL)->list[0].why, "shipped");
    recipe_set_free(set);
    put(p, "own/ignored.yaml", "NEW: own\n");
    set = open_both(p, NULL);
    assert_int_equal(recipe_set_ignored(set, NULL)->count, 1);
    assert_string_equal(recipe_set_ignored(set, NULL)->list[0].why, "own");
    recipe_set_free(set);
}

TEST(a_folder_that_is_no_recipe_hides_none)
{
    struct place *p = *state;
    put_recipe(p, "shipped/kernel", GOOD);
    put(p, "own/kernel/fix.patch", "");
    cleanup_error struct error *err = NULL;
    assert_null(open_both(p, &err));
    assert_non_null(
        strstr(err->message, "own/kernel has no recipe.yaml, and would hide the recipe"));
    assert_non_null(strstr(err->hint, "kbuild new kernel --like kernel"));
}
