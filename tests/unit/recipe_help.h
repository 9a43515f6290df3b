// SPDX-License-Identifier: Apache-2.0
// A folder of recipes for one test.
#ifndef TESTS_UNIT_RECIPE_HELP_H
#define TESTS_UNIT_RECIPE_HELP_H

#include "base/file.h"
#include "recipe/recipe.h"

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct place {
    char *folder; // holds the recipes
};

static inline int set_up(void **state)
{
    struct place *p = xcalloc(1, sizeof *p);
    p->folder = make_temporary_directory("/tmp", "kbuild-recipes", NULL);
    *state = p;
    return p->folder ? 0 : -1;
}

static inline int tear_down(void **state)
{
    struct place *p = *state;
    int result = remove_tree(p->folder, NULL);
    free(p->folder);
    free(p);
    return result;
}

// Writes <folder>/<path>, making the folders on the way.
static inline void put(const struct place *p, const char *path, const char *text)
{
    cleanup_free char *full = xasprintf("%s/%s", p->folder, path);
    if (make_parent(full, NULL) < 0)
        fail_msg("making %s", full);
    FILE *f = fopen(full, "w"); // not file_write(), which waits for the disk
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static inline struct recipe_set *open_directory(const char *path, struct error **err)
{
    char *items[] = {(char *)path};
    const struct strlist one = {.items = items, .n = 1};
    return recipe_set_open(&one, err);
}

static inline struct recipe_set *open_set(const struct place *p)
{
    struct error *err = NULL;
    struct recipe_set *set = open_directory(p->folder, &err);
    if (!set)
        fail_msg("%s", err->message);
    return set;
}

// Loads the recipe "r" with this text; it must be good.
static inline const struct recipe *good(struct recipe_set *set, const struct place *p,
                                        const char *text)
{
    struct error *err = NULL;
    put(p, "r/recipe.yaml", text);
    const struct recipe *r = recipe_get(set, "r", &err);
    if (!r)
        fail_msg("%s", err->message);
    return r;
}

// Loads the recipe "r" with this text; it must be refused with this message and hint (NULL: any).
// The folder of the test is written "DIR" in them.
static inline void refused(const struct place *p, const char *text, const char *message,
                           const char *hint)
{
    struct recipe_set *set = open_set(p);
    struct error *err = NULL;
    put(p, "r/recipe.yaml", text);
    const struct recipe *r = recipe_get(set, "r", &err);
    if (r)
        fail_msg("accepted: %s", text);
    struct buf plain = {0};
    for (const char *at = err->message; *at;) {
        bool here = starts_with(at, p->folder);
        buf_add(&plain, here ? "DIR" : at, here ? 3 : 1);
        at += here ? strlen(p->folder) : 1;
    }
    assert_string_equal(plain.data, message);
    if (hint) {
        assert_non_null(err->hint);
        assert_string_equal(err->hint, hint);
    }
    buf_free(&plain);
    error_free(err);
    recipe_set_free(set);
}

#endif
