// SPDX-License-Identifier: Apache-2.0
// The main program of a room's unit tests.
//   PROGRAM FILE [NAME]   runs those of one file, or one of them
//   PROGRAM WORD          what a test registered as a helper
#include "../unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct registered {
    struct CMUnitTest test;
    int line;
    size_t number; // of those of a line
};

struct group {
    const char *file;
    struct registered *tests;
    size_t n;
    CMFixtureFunction each_before, each_after, before, after;
};

struct helper {
    const char *word;
    int (*function)(void);
};

// Filled by constructors, before main().
static struct group groups[64];
static size_t group_count;
static struct helper helpers[16];
static size_t helper_count;

static struct group *group_of(const char *file)
{
    for (size_t i = 0; i < group_count; i++)
        if (!strcmp(groups[i].file, file))
            return &groups[i];
    if (group_count == sizeof groups / sizeof *groups)
        abort();
    groups[group_count] = (struct group){.file = file};
    return &groups[group_count++];
}

void test_register(const char *file, int line, const struct CMUnitTest *test)
{
    struct group *g = group_of(file);
    g->tests = realloc(g->tests, (g->n + 1) * sizeof *g->tests);
    if (!g->tests)
        abort();
    g->tests[g->n] = (struct registered){*test, line, g->n};
    g->n++;
}

void test_functions_each(const char *file, CMFixtureFunction before, CMFixtureFunction after)
{
    group_of(file)->each_before = before;
    group_of(file)->each_after = after;
}

void test_functions_all(const char *file, CMFixtureFunction before, CMFixtureFunction after)
{
    group_of(file)->before = before;
    group_of(file)->after = after;
}

void test_helper(const char *word, int (*function)(void))
{
    if (helper_count == sizeof helpers / sizeof *helpers)
        abort();
    helpers[helper_count++] = (struct helper){word, function};
}

static int skipped;

void test_skip(void **state)
{
    (void)state;
    skipped = 1;
}

void test_end(void)
{
    if (!skipped)
        return;
    skipped = 0;
    _skip(__FILE__, __LINE__);
}

// "tests/unit/run_schedule.c" is run_schedule.
static int is_named(const char *file, const char *name)
{
    const char *base = strrchr(file, '/');
    base = base ? base + 1 : file;
    size_t n = strcspn(base, ".");
    return n == strlen(name) && !strncmp(base, name, n);
}

// The order of constructors is the linker's.
static int by_line(const void *a, const void *b)
{
    const struct registered *x = a, *y = b;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int run(struct group *g, const char *name)
{
    struct CMUnitTest *tests = calloc(g->n + 1, sizeof *tests);
    size_t n = 0;
    if (!tests)
        abort();
    qsort(g->tests, g->n, sizeof *g->tests, by_line);
    for (size_t i = 0; i < g->n; i++) {
        struct CMUnitTest t = g->tests[i].test;
        t.setup_func = t.setup_func ? t.setup_func : g->each_before;
        t.teardown_func = t.teardown_func ? t.teardown_func : g->each_after;
        if (!name || !strcmp(t.name, name))
            tests[n++] = t;
    }
    int result = 2;
    if (n)
        result = _cmocka_run_group_tests(g->file, tests, n, g->before, g->after);
    else
        fprintf(stderr, "%s has no test of that name\n", g->file);
    free(tests);
    return result;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < helper_count; i++)
        if (!strcmp(helpers[i].word, word))
            return helpers[i].function();
    for (size_t i = 0; i < group_count; i++)
        if (is_named(groups[i].file, word))
            return run(&groups[i], argc > 2 ? argv[2] : NULL);
    fprintf(stderr, "usage: %s FILE [TEST], where FILE is one of tests/unit/ without its end\n",
            argv[0]);
    return 2;
}
