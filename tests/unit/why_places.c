// SPDX-License-Identifier: Apache-2.0
// Where two texts, and two YAML values, differ.
#include "test.h"
#include "why/internal.h"

#include <string.h>

static char *places(const char *before, const char *now)
{
    struct line_ranges r = {0};
    lines_compare(before, now, &r);
    char *text = r.n ? lines_text(&r) : xstrdup("equal");
    free(r.items);
    return text;
}

TEST(the_lines_that_differ_are_named)
{
    static const struct {
        const char *before, *now, *text;
    } rows[] = {
        {"a\nb\nc\n", "a\nb\nc\n", "equal"},
        {"", "", "equal"},
        {"a\nb\nc\n", "a\nx\nc\n", "line 2"},
        {"a\nb\nc\n", "x\nb\nc", "line 1"},
        {"a\nb\nc\n", "a\nb\nc\nd\n", "line 4"},
        {"a\nc\n", "a\n\n\nc\n", "lines 2 to 3"},
        {"a\nb\nc\n", "a\nc\n", "after line 1"},
        {"a\nb\n", "b\n", "before line 1"},
        {"a\nb\nc\nd\ne\n", "x\nb\nc\nd\ny\nz\n", "lines 1 and 5 to 6"},
        {"1\n2\n3\n4\n5\n6\n7\n", "a\n2\nb\n4\nc\n6\nd\n", "lines 1, 3, 5 and others"},
        {"1\n2\n3\n4\n", "x\n2\n3\n", "lines 1 and after 3"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cleanup_free char *text = places(rows[i].before, rows[i].now);
        assert_string_equal(text, rows[i].text);
    }
}

TEST(very_many_different_lines_are_one_range)
{
    cleanup_buf struct buf before = {0}, now = {0};
    for (int i = 0; i < 1100; i++) {
        buf_printf(&before, "%d\n", i);
        buf_printf(&now, "%d\n", i % 2 ? i : -1 - i);
    }
    cleanup_free char *text = places(before.data, now.data);
    assert_string_equal(text, "lines 1 to 1099");
}

static struct yaml_document *yaml(const char *text)
{
    struct yaml_document *d = yaml_parse("t", text, strlen(text), NULL);
    assert_non_null(d);
    return d;
}

TEST(the_first_yaml_value_that_differs_has_a_line_and_a_path)
{
    static const struct {
        const char *before, *now, *path;
        size_t line;
    } rows[] = {
        {"A: 1\nB: 2\n", "A: 1\n\nB: 3\n", "B", 3},
        {"A: 1\n", "A: 1\nB: 3\n", "B", 2},
        {"A: 1\nB: 2\n", "A: 1\n", "", 1},
        {"a: {b: [1, 2]}\n", "a:\n  b:\n  - 1\n  - 3\n", "a.b", 4},
        {"a: 1\n", "a: [1]\n", "a", 1},
        {"plain\n", "other\n", "", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct yaml_document *before = yaml(rows[i].before), *now = yaml(rows[i].now);
        size_t line;
        cleanup_free char *path = yaml_compare(before->root, now->root, &line);
        assert_string_equal(path, rows[i].path);
        assert_int_equal(line, rows[i].line);
        yaml_document_free(before);
        yaml_document_free(now);
    }
}
