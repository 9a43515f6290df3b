// SPDX-License-Identifier: Apache-2.0
// Where two texts, and two YAML values, differ; and what of them is kept.
#include "base/digest.h"
#include "base/file.h"
#include "graph/change.h"
#include "graph/lines.h"
#include "test.h"

#include <string.h>

static char *places(const char *before, const char *now)
{
    cleanup_line_ranges struct line_ranges r = {0};
    lines_compare(before, now, &r);
    return r.n ? lines_text(&r) : xstrdup("equal");
}

TEST(the_lines_that_differ_are_named)
{
    static const struct {
        const char *before, *now, *text;
    } rows[] = {
        {"a\nb\nc\n", "a\nb\nc\n", "equal"},
        {"", "", "equal"},
        {"a\nb\nc\n", "a\nx\nc\n", "line 2 changed: `b` -> `x`"},
        {"a\nb\nc\n", "x\nb\nc", "line 1 changed: `a` -> `x`"},
        {"a\nb\nc\n", "a\nb\nc\nd\n", "line 4 is new: `d`"},
        {"a\nc\n", "a\n\n\nc\n", "lines 2 to 3 are new"},
        {"a\nb\nc\n", "a\nc\n", "line 2 is gone: `b`"},
        {"a\nb\n", "b\n", "line 1 is gone: `a`"},
        {"a\nb\nc\nd\n", "a\n", "lines 2 to 4 are gone"},
        {"a\nb\nc\n", "x\n", "line 1 changed"}, // three lines became one
        {"a\nb\nc\nd\ne\n", "x\nb\nc\nd\ny\nz\n", "lines 1 and 5 to 6 changed"},
        {"1\n2\n3\n4\n5\n6\n7\n", "a\n2\nb\n4\nc\n6\nd\n",
         "lines 1, 3 and 5 changed, and 1 more place"},
        {"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "a\n2\nb\n4\nc\n6\nd\n8\ne\n",
         "lines 1, 3 and 5 changed, and 2 more places"},
        {"1\n2\n3\n4\n", "x\n2\n3\n", "line 1 changed and line 4 is gone"},
        {"1\n2\n3\n4\n", "2\n3\nx\n4\ny\n", "line 1 is gone and lines 3 and 5 are new"},
        {"1\n2\n3\n4\n5\n", "2\nx\n4\n5\ny\n", "line 1 is gone, line 2 changed and line 5 is new"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cleanup_free char *text = places(rows[i].before, rows[i].now);
        assert_string_equal(text, rows[i].text);
    }
}

TEST(a_long_line_is_named_without_its_text)
{
    char line[70];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    cleanup_free char *text = places("a\n", line);
    assert_string_equal(text, "line 1 changed");
}

TEST(addresses_are_shown_without_logins)
{
    static const struct {
        const char *now, *shown;
    } rows[] = {
        {"url=https://host/a", "url=https://host/a"},
        {"url=https://me:TEST-secret@host/a", "url=https://host/a"},
        {"get \"https://TEST-secret@host\" x@y", "get \"https://host\" x@y"},
        {"http://a:TEST-secret@b,ssh://c:TEST-secret@d/e f", "http://b,ssh://d/e f"},
        {"http://a http://u:TEST-secret@b/c", "http://a http://b/c"},
        {"https://u:TEST/secret@host/a", "https://host/a"}, // ambiguous
        {"://", "://"},
        {"https://host/a@v1 https://", "https://host/a@v1 https://"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cleanup_free char *text = places("", rows[i].now), *values = short_values("a", rows[i].now);
        cleanup_free char *line = xasprintf("line 1 is new: `%s`", rows[i].shown);
        cleanup_free char *both = xasprintf("`a` -> `%s`", rows[i].shown);
        json_auto_t *lines = lines_of_text(rows[i].now);
        assert_string_equal(text, line);
        assert_string_equal(values, both);
        assert_string_equal(json_string_value(json_array_get(lines, 0)), rows[i].shown);
    }
    cleanup_free char *text = places("http://u:old@host\n", "http://u:new@host\n");
    assert_string_equal(text, "line 1 changed");
}

TEST(very_many_different_lines_are_one_range)
{
    cleanup_buf struct buf before = {0}, now = {0};
    for (int i = 0; i < 1100; i++) {
        buf_printf(&before, "%d\n", i);
        buf_printf(&now, "%d\n", i % 2 ? i : -1 - i);
    }
    cleanup_free char *text = places(before.data, now.data);
    assert_string_equal(text, "lines 1 to 1099 changed");
}

static void assert_facts(const char *before, const char *now, const char *expected, size_t left_out)
{
    cleanup_line_ranges struct line_ranges r = {0};
    size_t n = 99;
    lines_compare(before, now, &r);
    json_auto_t *facts = lines_json(&r, &n);
    cleanup_free char *text = json_dumps(facts, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, expected);
    assert_int_equal(n, left_out);
}

TEST(the_facts_have_the_lines_of_both_texts)
{
    assert_facts("a\nb\nc\n", "a\nx\nc\n",
                 "[{\"before\":[\"b\"],\"change\":\"changed\",\"from\":2,\"now\":[\"x\"],\"to\":2,"
                 "\"was_from\":2,\"was_to\":2}]",
                 0);
    assert_facts("a\n", "a\nb\n", "[{\"change\":\"added\",\"from\":2,\"now\":[\"b\"],\"to\":2}]",
                 0);
    assert_facts("a\nb\nc\n", "a\n",
                 "[{\"before\":[\"b\",\"c\"],\"change\":\"removed\",\"from\":1,\"to\":1,"
                 "\"was_from\":2,\"was_to\":3}]",
                 0);
}

TEST(the_facts_are_bounded_and_control_characters_in_them_visible)
{
    cleanup_buf struct buf before = {0}, now = {0};
    for (int i = 0; i < 30; i++) {
        buf_printf(&before, "%d\nsame\n", i);
        buf_printf(&now, "%d\nsame\n", 100 + i);
    }
    cleanup_line_ranges struct line_ranges r = {0};
    size_t left_out;
    lines_compare(before.data, now.data, &r);
    json_auto_t *facts = lines_json(&r, &left_out);
    assert_int_equal(json_array_size(facts) + left_out, 30);
    assert_int_equal(left_out, 24);

    before.len = now.len = 0;
    for (int i = 0; i < 5; i++)
        buf_printf(&now, "\x1b[2J%0500d\n", i);
    json_auto_t *lines = lines_of_text(now.data);
    assert_int_equal(json_array_size(lines), 3);
    const char *line = json_string_value(json_array_get(lines, 2));
    assert_true(starts_with(line, "\\x1b[2J000"));
    assert_true(ends_with(line, " more bytes)"));
    assert_true(strlen(line) < 200);
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
        const char *was, *is; // scalars
    } rows[] = {
        {"A: 1\nB: 2\n", "A: 1\n\nB: 3\n", "B", 3, "2", "3"},
        {"A: 1\n", "A: 1\nB: 3\n", "B", 2, NULL, "3"},
        {"A: 1\nB: 2\n", "A: 1\n", "B", 1, "2", NULL},
        {"a: {b: [1, 2]}\n", "a:\n  b:\n  - 1\n  - 3\n", "a.b.1", 4, "2", "3"},
        {"a: [1, 2]\n", "\na: [1]\n", "a.1", 2, "2", NULL},
        {"a: 1\n", "a: [1]\n", "a", 1, "1", NULL},
        {"plain\n", "other\n", "", 1, "plain", "other"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct yaml_document *before = yaml(rows[i].before), *now = yaml(rows[i].now);
        struct yaml_difference d;
        yaml_compare(before->root, now->root, &d);
        assert_string_equal(d.path, rows[i].path);
        assert_int_equal(d.line, rows[i].line);
        assert_true(!rows[i].was ? !d.before : !strcmp(d.before->text, rows[i].was));
        if (rows[i].is)
            assert_string_equal(d.now->text, rows[i].is);
        else
            assert_true(!d.now || d.now->kind == YAML_LIST);
        free(d.path);
        yaml_document_free(before);
        yaml_document_free(now);
    }
}

// ---- which files are compared ----

TEST(a_file_is_read_only_if_it_is_the_text_that_the_key_has)
{
    char *folder = make_temporary_directory("/tmp", "kbuild-test", NULL);
    assert_non_null(folder);
    cleanup_free char *path = xasprintf("%s/file", folder), *large = xcalloc(1, LAST_TEXT_MAX + 2);
    memset(large, 'x', LAST_TEXT_MAX + 1);
    const struct {
        const char *content;
        size_t length;
        bool read;
    } rows[] = {
        {"a\nb\n", 4, true},          {"", 0, true},
        {"a\0b\n", 4, false},         {"a\xff\n", 3, false},
        {large, LAST_TEXT_MAX, true}, {large, LAST_TEXT_MAX + 1, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char digest[DIGEST_HEX_SIZE];
        cleanup_buf struct buf text = {0}, other = {0};
        digest_bytes(rows[i].content, rows[i].length, digest);
        assert_int_equal(file_write(path, rows[i].content, rows[i].length, 0644, NULL), 0);
        assert_int_equal(last_text_read(path, digest, &text), rows[i].read);
        digest[0] = digest[0] == '0' ? '1' : '0'; // it was another one when the key was made
        assert_false(last_text_read(path, digest, &other));
    }
    assert_int_equal(remove_tree(folder, NULL), 0);
    free(folder);
}
