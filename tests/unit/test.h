// SPDX-License-Identifier: Apache-2.0
// Unit tests register themselves: a file of tests/unit is a list of TEST()s, and all files of a
// room are one program (tests/support/unit_main.c).
#ifndef KBUILD_TESTS_TEST_H
#define KBUILD_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

// A test of this file; its body follows. They run in the order of the file.
#define TEST(name) TEST_WITH(name, NULL, NULL)
// The same with functions of its own before and after it.
#define TEST_WITH(name, before, after)                                                             \
    static void body_of_##name(void **state);                                                      \
    static void name(void **state)                                                                 \
    {                                                                                              \
        body_of_##name(state);                                                                     \
        test_end();                                                                                \
    }                                                                                              \
    __attribute__((constructor)) static void register_##name(void)                                 \
    {                                                                                              \
        const struct CMUnitTest t = {#name, name, before, after, NULL};                            \
        test_register(__FILE__, __LINE__, &t);                                                     \
    }                                                                                              \
    static void body_of_##name(void **state)

// Ends a test that cannot run here. cmocka's own jumps out of the function, so that nothing with a
// cleanup attribute is freed, which the sanitizer finds. In the body of a TEST() only.
#undef skip
#define skip()                                                                                     \
    do {                                                                                           \
        test_skip(state);                                                                          \
        return;                                                                                    \
    } while (0)

// Functions before and after each TEST() of this file; before the first and after the last of them.
#define EACH_TEST(before, after) FILE_FUNCTIONS(each, before, after)
#define ALL_TESTS(before, after) FILE_FUNCTIONS(all, before, after)
#define FILE_FUNCTIONS(which, before, after)                                                       \
    __attribute__((constructor)) static void register_file_##which(void)                           \
    {                                                                                              \
        test_functions_##which(__FILE__, before, after);                                           \
    }

// A way to run this program again from within a test: `PROGRAM WORD`.
#define TEST_HELPER(word, function)                                                                \
    __attribute__((constructor)) static void register_helper_##function(void)                      \
    {                                                                                              \
        test_helper(word, function);                                                               \
    }

// ---- what the macros call ----
void test_register(const char *file, int line, const struct CMUnitTest *test); // copied
void test_functions_each(const char *file, CMFixtureFunction before, CMFixtureFunction after);
void test_functions_all(const char *file, CMFixtureFunction before, CMFixtureFunction after);
void test_helper(const char *word, int (*function)(void));
void test_skip(void **state);
void test_end(void); // tells cmocka that the body was skipped, if it was

#endif
