// SPDX-License-Identifier: Apache-2.0
// What the user's environment may bring into a key, and what not.
#include "test.h"

#include "graph/job.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

static struct recipe_variable declared[3];
static struct recipe recipe = {.name = "test", .variables = declared, .variable_count = 1};

static const struct arch *target;
static const char *release;

static char *key_of(struct error **err)
{
    struct variable_value *values = NULL;
    if (variables_resolve(&recipe, target, release, &values, err) < 0)
        return NULL;
    struct buf out = {0};
    variables_key(values, recipe.variable_count, &out);
    variables_free(values, recipe.variable_count);
    return buf_take(&out);
}

static void expect_key(const char *wanted)
{
    struct error *err = NULL;
    char *key = key_of(&err);
    assert_null(err);
    assert_string_equal(key, wanted);
    free(key);
}

static void expect_error(const char *part)
{
    struct error *err = NULL;
    assert_null(key_of(&err));
    assert_non_null(strstr(err->message, part));
    error_free(err);
}

TEST(text_is_quoted_on_one_line)
{
    declared[0] =
        (struct recipe_variable){.name = "KB_TEST", .type = VARIABLE_TEXT, .default_ = "d"};
    unsetenv("KB_TEST");
    expect_key("variable KB_TEST \"d\"\n");
    setenv("KB_TEST", "a \"b\" \\ c", 1);
    expect_key("variable KB_TEST \"a \\\"b\\\" \\\\ c\"\n");
    setenv("KB_TEST", "", 1);
    expect_key("variable KB_TEST \"d\"\n");
    setenv("KB_TEST", "a\nb", 1);
    expect_error("line break");
    unsetenv("KB_TEST");
}

TEST(yes_no_takes_nothing_else)
{
    declared[0] =
        (struct recipe_variable){.name = "KB_TEST", .type = VARIABLE_YES_NO, .default_ = "no"};
    expect_key("variable KB_TEST \"no\"\n");
    setenv("KB_TEST", "true", 1);
    expect_error("must be yes or no");
    unsetenv("KB_TEST");
}

TEST(a_value_that_is_not_among_them_is_refused)
{
    char *values[] = {"go", "rust"};
    declared[0] = (struct recipe_variable){
        .name = "KB_TEST", .type = VARIABLE_TEXT, .values = {.items = values, .n = 2}};
    unsetenv("KB_TEST");
    expect_key("variable KB_TEST \"\"\n"); // unset is no value
    setenv("KB_TEST", "rust", 1);
    expect_key("variable KB_TEST \"rust\"\n");
    setenv("KB_TEST", "bad", 1);
    struct error *err = NULL;
    assert_null(key_of(&err));
    assert_string_equal(err->message, "test: KB_TEST is 'bad'");
    assert_string_equal(err->hint, "it is one of: go, rust");
    error_free(err);
    unsetenv("KB_TEST");
}

TEST(a_refused_value_says_why)
{
    struct recipe_refused refused[] = {{.is = "musl", .why = "nobody has it"},
                                       {.is = "yes", .why = "not there"}};
    declared[0] = (struct recipe_variable){
        .name = "KB_TEST", .type = VARIABLE_TEXT, .refused = refused, .refused_count = 2};
    refused[1].architectures[arch_find("ppc64le", NULL) - arch_table] = true;
    setenv("KB_TEST", "musl", 1);
    expect_error("test: KB_TEST=musl cannot be made: nobody has it");
    setenv("KB_TEST", "yes", 1);
    expect_key("variable KB_TEST \"yes\"\n"); // of no architecture
    target = arch_find("s390x", NULL);
    expect_key("variable KB_TEST \"yes\"\n");
    target = arch_find("ppc64le", NULL);
    expect_error("test: KB_TEST=yes cannot be made for ppc64le: not there");
    target = NULL;
    unsetenv("KB_TEST");
}

TEST(a_default_follows_the_release)
{
    declared[0] = (struct recipe_variable){
        .name = "KB_TEST", .type = VARIABLE_TEXT, .by_release = {"3.27", "old", "new"}};
    assert_true(variables_follow_release(&recipe));
    static const char *const cases[][2] = {
        {"3.26.0", "old"}, {"3.27.0", "new"},      {"v3.20.0", "old"}, {"3.100.0", "new"},
        {"4.1.0", "new"},  {"3.26.0-8-g1", "old"}, {"main", "new"},    {NULL, "new"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *wanted = xasprintf("variable KB_TEST \"%s\"\n", cases[i][1]);
        release = cases[i][0];
        expect_key(wanted);
    }
    setenv("KB_TEST", "mine", 1);
    release = "3.20.0";
    expect_key("variable KB_TEST \"mine\"\n");
    unsetenv("KB_TEST");
    release = NULL;
    declared[0] = (struct recipe_variable){.name = "KB_TEST", .type = VARIABLE_TEXT};
    assert_false(variables_follow_release(&recipe));
}

TEST(a_required_variable_says_what_it_is_for)
{
    declared[0] = (struct recipe_variable){.name = "KB_TEST",
                                           .type = VARIABLE_DIRECTORY,
                                           .pattern = "HKD-*.crt",
                                           .required = "No document."};
    unsetenv("KB_TEST");
    expect_error("No document.");
}

TEST(files_count_by_name_and_content)
{
    char folder[] = "/tmp/kbuild-test.XXXXXX";
    assert_non_null(mkdtemp(folder));
    declared[0] = (struct recipe_variable){.name = "KB_TEST",
                                           .type = VARIABLE_DIRECTORY,
                                           .pattern = "HKD-*.crt",
                                           .required = "No document."};
    setenv("KB_TEST", folder, 1);
    expect_error("No document.");
    char path[64];
    snprintf(path, sizeof path, "%s/HKD-2.crt", folder);
    assert_int_equal(file_write(path, "abc", 3, 0644, NULL), 0);
    snprintf(path, sizeof path, "%s/other", folder);
    assert_int_equal(file_write(path, "x", 1, 0644, NULL), 0);
    expect_key("variable KB_TEST file HKD-2.crt "
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n");
    setenv("KB_TEST", "/nowhere", 1);
    expect_error("/nowhere");
    unsetenv("KB_TEST");
    remove_tree(folder, NULL);
}
