// SPDX-License-Identifier: Apache-2.0
// YAML documents: values, places in the file, and what is refused.
#include "test.h"

#include "recipe/versions.h"

#include <stdint.h>
#include <string.h>

static struct yaml_document *parse(const char *text)
{
    struct error *err = NULL;
    struct yaml_document *d = yaml_parse("f.yaml", text, strlen(text), &err);
    if (err)
        print_message("unexpected: %s\n", err->message);
    assert_non_null(d);
    assert_null(err);
    return d;
}

// The parse must fail with exactly this message.
static void refuse_bytes(const char *text, size_t length, const char *message)
{
    cleanup_error struct error *err = NULL;
    assert_null(yaml_parse("f.yaml", text, length, &err));
    assert_non_null(err);
    assert_string_equal(err->message, message);
    assert_int_equal(err->kind, ERROR_USER);
}

static void refuse(const char *text, const char *message)
{
    refuse_bytes(text, strlen(text), message);
}

static const char *text_at(const struct yaml_document *d, const char *path)
{
    const struct yaml *node = yaml_path(d->root, path);
    assert_non_null(node);
    assert_int_equal(node->kind, YAML_SCALAR);
    return node->text;
}

TEST(every_kind_of_scalar_is_read)
{
    struct yaml_document *d = parse("# comment\n"
                                    "---\n"
                                    "plain: a b  # trailing\n"
                                    "folded plain: one\n"
                                    "  two\n"
                                    "double: \"tab\\tand \\u00e9\"\n"
                                    "joined: \"one \\\n"
                                    "  two\"\n"
                                    "single: 'it''s'\n"
                                    "literal: |\n"
                                    "  first\n"
                                    "    second\n"
                                    "folded: >-\n"
                                    "  first\n"
                                    "  second\n"
                                    "with-dash_and_underscore: 1.10\n"
                                    "nothing:\n");
    assert_string_equal(text_at(d, "plain"), "a b");
    assert_string_equal(text_at(d, "folded plain"), "one two");
    assert_string_equal(text_at(d, "double"), "tab\tand \xc3\xa9");
    assert_string_equal(text_at(d, "joined"), "one two");
    assert_string_equal(text_at(d, "single"), "it's");
    assert_string_equal(text_at(d, "literal"), "first\n  second\n");
    assert_string_equal(text_at(d, "folded"), "first second");
    assert_string_equal(text_at(d, "with-dash_and_underscore"), "1.10");
    assert_string_equal(text_at(d, "nothing"), "");
    assert_false(yaml_path(d->root, "plain")->quoted);
    assert_true(yaml_path(d->root, "single")->quoted);
    assert_true(yaml_path(d->root, "literal")->quoted);
    yaml_document_free(d);
}

TEST(places_are_counted_from_one)
{
    struct yaml_document *d = parse("a: 1\nb:\n  c: [x, {d: y}]\n");
    const struct yaml *b = yaml_get(d->root, "b"), *c = yaml_get(b, "c");
    assert_int_equal(d->root->key_lines[1], 2);
    assert_int_equal(d->root->key_columns[1], 1);
    assert_int_equal(b->line, 3);
    assert_int_equal(b->column, 3);
    assert_int_equal(c->line, 3);
    assert_int_equal(c->column, 6);
    assert_int_equal(c->items[1]->items[0]->column, 14);
    assert_int_equal(c->items[1]->key_columns[0], 11);
    yaml_document_free(d);
}

TEST(an_alias_is_the_same_node_again)
{
    struct yaml_document *d = parse("a: &x {name: ubuntu}\nb: *x\nc: &x other\nd: *x\n");
    assert_ptr_equal(yaml_get(d->root, "a"), yaml_get(d->root, "b"));
    assert_string_equal(text_at(d, "b.name"), "ubuntu");
    assert_string_equal(text_at(d, "d"), "other"); // an anchor defined again means the later value
    yaml_document_free(d);
}

TEST(paths_reach_dotted_keys_and_lists)
{
    struct yaml_document *d = parse("a: {\"b.c\": {d: [x, y]}}\n");
    assert_string_equal(text_at(d, "a.\"b.c\".d.1"), "y");
    static const char *const nowhere[] = {"",
                                          ".",
                                          "a.",
                                          "a..b",
                                          "a.b",
                                          "a.\"b.c",
                                          "a.\"b.c\"x",
                                          "a.\"b.c\".d.2",
                                          "a.\"b.c\".d.x",
                                          "a.\"b.c\".d.-1",
                                          "a.\"b.c\".d.0.e",
                                          "a.\"b.c\".d.99999999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(nowhere); i++)
        assert_null(yaml_path(d->root, nowhere[i]));
    assert_null(yaml_get(yaml_path(d->root, "a.\"b.c\".d"), "0"));
    yaml_document_free(d);
}

TEST(null_is_told_from_text)
{
    struct yaml_document *d = parse("a: ~\nb: null\nc: 'null'\nd:\ne: ''\nf: {}\ng: no\n");
    static const struct {
        const char *key;
        bool null;
    } cases[] = {{"a", true},  {"b", true},  {"c", false}, {"d", true},
                 {"e", false}, {"f", false}, {"g", false}, {"missing", true}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(yaml_is_null(yaml_get(d->root, cases[i].key)), cases[i].null);
    yaml_document_free(d);
}

TEST(an_empty_document_is_an_empty_map)
{
    static const char *const texts[] = {"", "\n\n", "# only a comment\n", "---\n", "---\n...\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct yaml_document *d = parse(texts[i]);
        assert_int_equal(d->root->kind, YAML_MAP);
        assert_int_equal(d->root->n, 0);
        yaml_document_free(d);
    }
}

TEST(wrong_documents_are_refused_with_their_place)
{
    refuse("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: duplicate key 'a' (first on line 1)");
    refuse("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document begins here; only one is allowed");
    refuse("a: *x\n", "f.yaml:1:4: the alias *x names no anchor before it");
    refuse("a: &x [1, *x]\n", "f.yaml:1:11: the alias *x is inside the value it names");
    refuse("? [a, b]\n: 1\n", "f.yaml:1:3: a key must be plain text, not a map or a list");
    refuse("a: \"x\\0y\"\n", "f.yaml:1:4: a NUL character in a text");
    refuse("a: !include b\n", "f.yaml:1:4: the tag !include is not supported");
    refuse("a: !!int 3\n", "f.yaml:1:4: the tag tag:yaml.org,2002:int is not supported");
    refuse("a: &x {b: 1}\nc:\n  <<: *x\n",
           "f.yaml:3:3: merge keys (<<) are not supported; use an alias for a value");
}

TEST(broken_syntax_is_refused_with_its_place)
{
    // The words after the place are libyaml's and change with its version.
    static const struct {
        const char *text, *place;
    } cases[] = {
        {"a: [1, 2\nb: 3\n", "f.yaml:2:2: "},
        {"a:\tb\n\tc: d\n", "f.yaml:2:1: "},
        {"a: \xff\n", "f.yaml:1:4: "},
        {"a: 1\nbc: \x01\n", "f.yaml:2:5: "},
        {"a: \"never closed\n", "f.yaml:2:1: "},
        {"a: b: c\n", "f.yaml:1:5: "},
        {"a: %x\n", "f.yaml:1:4: "},
        {"a: \xed\xa0\x80\n", "f.yaml:1:4: "},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        assert_null(yaml_parse("f.yaml", cases[i].text, strlen(cases[i].text), &err));
        if (!starts_with(err->message, cases[i].place))
            assert_string_equal(err->message, cases[i].place);
    }
}

TEST(a_key_cannot_play_with_the_terminal)
{
    refuse("\"\\e[2J\\n\": 1\n\"\\e[2J\\n\": 1\n",
           "f.yaml:2:1: duplicate key '?[2J?' (first on line 1)");
}

TEST(many_keys_are_checked_quickly)
{
    struct buf text = {0};
    for (int i = 0; i < 60000; i++)
        buf_printf(&text, "k%d: 1\n", (i * 7919) % 60000);
    struct yaml_document *d = parse(text.data);
    assert_int_equal(d->root->n, 60000);
    yaml_document_free(d);
    buf_puts(&text, "k31: 1\n");
    cleanup_error struct error *err = NULL;
    assert_null(yaml_parse("f.yaml", text.data, text.len, &err));
    assert_non_null(strstr(err->message, "f.yaml:60001:1: duplicate key 'k31'"));
    buf_free(&text);
}

TEST(many_anchors_are_found_quickly)
{
    struct buf text = {0};
    for (int i = 0; i < 50000; i++)
        buf_printf(&text, "- &a%d x\n", i);
    for (int i = 0; i < 50000; i++)
        buf_printf(&text, "- *a%d\n", i);
    struct yaml_document *d = parse(text.data);
    assert_ptr_equal(d->root->items[7], d->root->items[50007]);
    yaml_document_free(d);
    buf_free(&text);
}

TEST(bombs_are_refused)
{
    struct buf text = {0};
    buf_puts(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        buf_printf(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            buf_printf(&text, "%s*a%d", k ? ", " : "", i - 1);
        buf_puts(&text, "]\n");
    }
    cleanup_error struct error *err = NULL;
    assert_null(yaml_parse("f.yaml", text.data, text.len, &err));
    assert_string_equal(err->message,
                        "f.yaml:6:45: the aliases expand to more than 1000000 values");
    buf_free(&text);
}

TEST(the_limits_are_where_they_are_said_to_be)
{
    char nested[2 * 65 + 1] = {0};
    memset(nested, '[', 64);
    memset(nested + 64, ']', 64);
    yaml_document_free(parse(nested));
    memset(nested, '[', 65);
    memset(nested + 65, ']', 65);
    refuse(nested, "f.yaml:1:65: nested more than 64 deep");

    // Aliases make it deeper, too: 40 + 24 is fine, 40 + 25 is not.
    struct buf text = {0};
    for (int extra = 24; extra <= 25; extra++) {
        text.len = 0;
        buf_printf(&text, "- &a %.*s%.*s\n", 40 - 2, nested, 40 - 2, nested + 65);
        buf_printf(&text, "- %.*s*a%.*s\n", extra + 1, nested, extra + 1, nested + 65);
        if (extra == 24)
            yaml_document_free(parse(text.data));
        else
            refuse(text.data, "f.yaml:2:29: nested more than 64 deep");
    }
    text.len = 0;
    for (int i = 0; i < 199999; i++)
        buf_puts(&text, "- \n");
    yaml_document_free(parse(text.data));
    buf_puts(&text, "- \n");
    refuse(text.data, "f.yaml:200000:2: more than 200000 values in one document");
    buf_free(&text);

    cleanup_free char *large = xmalloc(((size_t)4 << 20) + 1);
    memset(large, '#', ((size_t)4 << 20) + 1);
    refuse_bytes(large, ((size_t)4 << 20) + 1, "f.yaml: larger than the limit of 4194304 bytes");
}

static char *printed(const struct yaml_document *d, const char *path)
{
    struct buf out = {0};
    yaml_print(path ? yaml_path(d->root, path) : d->root, &out);
    return buf_take(&out);
}

TEST(values_print_as_yq_prints_them)
{
    struct yaml_document *d = parse("a: &x\n"
                                    "  url: \"https://x/#y\"\n"
                                    "  version: v1.10   # why\n"
                                    "b: {c: *x, e: , t: \"one\\ntwo\\n\"}\n"
                                    "'yes or': no\n");
    cleanup_free char *scalar = printed(d, "a.version"), *map = printed(d, "b"),
                      *null = printed(d, "b.e"), *quoted = printed(d, "a.url");
    assert_string_equal(scalar, "v1.10\n");
    assert_string_equal(quoted, "https://x/#y\n");
    assert_string_equal(null, "null\n");
    assert_string_equal(map, "c:\n"
                             "  url: \"https://x/#y\"\n"
                             "  version: v1.10\n"
                             "e:\n"
                             "t: |\n"
                             "  one\n"
                             "  two\n");
    yaml_document_free(d);
}

static void assert_same(const struct yaml *a, const struct yaml *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->n, b->n);
    assert_int_equal(yaml_is_null(a), yaml_is_null(b));
    if (a->kind == YAML_SCALAR)
        assert_string_equal(a->text, b->text);
    for (size_t i = 0; i < a->n; i++) {
        if (a->kind == YAML_MAP)
            assert_string_equal(a->keys[i], b->keys[i]);
        assert_same(a->items[i], b->items[i]);
    }
}

TEST(what_is_printed_reads_back_the_same)
{
    struct yaml_document *d =
        parse("plain: a\n"
              "marker: ...\n"
              "another: --- a\n"
              "flow: {dash: -}\n"
              "null text: 'null'\n"
              "colon: 'a: b'\n"
              "hash: 'a #b'\n"
              "dash: '- a'\n"
              "': key': [[], {}, [a, [b, {c: d}]]]\n"
              "leading: \"  a\\nb\"\n"
              "trailing: \"a\\n\\n\\n\"\n"
              "blank line: \"a\\n\\nb\"\n"
              "breaks: \"a\\r\\nb\\u2028c\\u0085\"\n"
              "strange: \"\\a\\e\\x7f\\u00ff\\U0001F600\"\n"
              "'': empty key\n"
              "long: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb "
              "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc'\n");
    cleanup_free char *text = printed(d, NULL);
    struct yaml_document *again = parse(text);
    assert_same(d->root, again->root);
    cleanup_free char *text_again = printed(again, NULL);
    assert_string_equal(text, text_again);
    yaml_document_free(again);
    yaml_document_free(d);
}

TEST(a_file_that_cannot_be_read_is_named)
{
    cleanup_error struct error *err = NULL, *folder = NULL;
    assert_null(yaml_load("/nonexistent/versions.yaml", &err));
    assert_string_equal(err->message,
                        "reading /nonexistent/versions.yaml: No such file or directory");
    assert_null(yaml_load("/", &folder));
    assert_string_equal(folder->message, "reading /: it is a directory, not a file");
}
