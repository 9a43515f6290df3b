// SPDX-License-Identifier: Apache-2.0
// A secret variable: its public name is in the key, and nothing else of it.
#include "test.h"

#include "base/file.h"
#include "run/internal.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

static struct recipe_variable declared = {.name = "KB_TEST_SECRET", .type = VARIABLE_SECRET};
static struct recipe recipe = {.name = "test", .variables = &declared, .variable_count = 1};
static char *folder, *path;

static int begin(void **state)
{
    const char *parent = getenv("TMPDIR");
    folder = make_temporary_directory(parent ? parent : "/tmp", "run-secret", NULL);
    path = xasprintf("%s/secret", folder);
    return 0;
}

static int end(void **state)
{
    unsetenv("KB_TEST_SECRET");
    remove_tree(folder, NULL);
    free(folder);
    free(path);
    return 0;
}

static char *key_of(const void *bytes, size_t length, mode_t mode, struct error **err)
{
    struct variable_value *values = NULL;
    struct buf out = {0};
    assert_int_equal(file_write(path, bytes, length, mode, NULL), 0);
    setenv("KB_TEST_SECRET", path, 1);
    if (variables_resolve(&recipe, NULL, NULL, &values, err) < 0)
        return NULL;
    variables_key(values, 1, &out);
    variables_free(values, 1);
    return buf_take(&out);
}

ALL_TESTS(begin, end)

// The name was computed by a program of its own (see se_derive.c).
TEST(the_key_has_the_public_name_only)
{
    unsigned char bytes[64];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)((i * i * 37 + i * 11 + 5) % 251); // no pattern that is refused
    cleanup_error struct error *err = NULL;
    cleanup_free char *key = key_of(bytes, sizeof bytes, 0600, &err);
    assert_non_null(key);
    assert_string_equal(key, "variable KB_TEST_SECRET secret "
                             "b8c678d1fd5b78fbdf28291e907a007660d8dd342d60470ab3a713cf378db7e0\n");
    bytes[63] ^= 1;
    cleanup_free char *other = key_of(bytes, sizeof bytes, 0600, &err);
    assert_string_not_equal(key, other);
}

TEST(an_unset_secret_is_not_in_the_key)
{
    struct variable_value *values = NULL;
    struct buf out = {0};
    unsetenv("KB_TEST_SECRET");
    assert_int_equal(variables_resolve(&recipe, NULL, NULL, &values, NULL), 0);
    variables_key(values, 1, &out);
    variables_free(values, 1);
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

TEST(bad_secrets_are_refused_with_the_name_of_the_variable)
{
    cleanup_error struct error *err = NULL, *open_to_all = NULL;
    assert_null(key_of("short", 5, 0600, &err));
    assert_non_null(strstr(err->message, "KB_TEST_SECRET: "));
    assert_non_null(strstr(err->message, "has 5 bytes"));
    assert_null(key_of("0123456789abcdef0123456789abcdef", 32, 0644, &open_to_all));
    assert_non_null(strstr(open_to_all->message, "can be read by everybody"));
}
