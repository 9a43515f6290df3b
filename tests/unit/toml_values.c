// SPDX-License-Identifier: Apache-2.0
// The TOML reader against what the specification says, and against Python's tomllib.
#include "test.h"

#include "base/file.h"
#include "base/process.h"
#include "toml/toml.h"

#include <jansson.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

// ---- documents ----

static const char *const good[] = {
    "",
    "\n",
    "\r\n",
    "# only a comment",
    "# tab\tin it\n",
    "a = 1",
    "  a  =  1  # c\r\nb=2\r\n",
    "bare-key_1 = true\n1234 = false",
    "\"\" = 1\n'q' = 2\n\"\\u00e9\" = 3\n\"a.b\" = 4",
    "a . b . \"c\" = 1\na.d = 2",
    "3.14 = 'pi'",
    "s = \"\\b\\t\\n\\f\\r\\\"\\\\\\u00E9\\U0001F600\"",
    "s = 'c:\\no\\escape'",
    "s = \"\"\"\nfirst\nsecond \\\n   \n\t joined\"\"\"",
    "s = \"\"\"\r\na\r\nb\"\"\"",
    "s = \"\"\"\"\"two\"\"\"\"\"",
    "s = \"\"\"a \"\" b\"\"\"\nt = ''''x'''''",
    "s = '''\n\\ raw '' '''",
    "i = +99\nj = -0\nk = 1_000\nl = 9223372036854775807\nm = -9223372036854775808",
    "h = 0xDEAD_beef\no = 0o755\nb = 0b1101_01\nz = 0\ny = 0x0",
    "f = 1.0\ng = -0.01\nh = 5e+22\ni = 1_0.0_1E-2\nj = inf\nk = -inf\nl = +nan\nm = 0e0\nn = 0.0",
    "d = 1979-05-27T07:32:00Z\ne = 1979-05-27T00:32:00.999999-07:00\nf = 1979-05-27 07:32:00",
    "d = 1979-05-27t07:32:00.5z\ne = 1979-05-27\nf = 07:32:00\ng = 00:32:00.999999",
    "d = 2024-02-29\ne = 2000-02-29\nf = 9999-12-31 # c",
    "a = []\nb = [ ]\nc = [1, 2,]\nd = [ # c\n\n 1 # d\n , # e\n 'x', [2.0, []], ]",
    "a = [{x = 1}, {x = 2, y = [{}]}]",
    "t = {}\nu = { a = 1, b.c = 2, b.d = 3, \"e\" = {f = []} }",
    "[a]\n[b]\nx = 1\n[a.c]\n",
    "[a.b.c]\nx = 1\n[a]\ny = 2\n[a.b]\nz = 3",
    "[ a . \"b c\" . 'd' ] # c\nx = 1",
    "[[a]]\nx = 1\n[[a]]\n[[a]]\nx = 2\n[a.b]\ny = 1\n[[a.c]]\n[[a.c]]\nz = 3",
    "a.b.c = 1\na.b.d = 2\na.e = 3",
    "[fruit]\napple.color = 1\napple.taste.sweet = true\n[fruit.apple.texture]\nsmooth = true",
    "[a.b.c]\n[a]\nb.d = 1",
    "\"a\\u0000b\" = 1",
    "x = \"\xf0\x9f\x98\x80 \xed\x9f\xbf \xee\x80\x80\"",
};

static const struct {
    const char *text;
    unsigned line, column;
} bad[] = {
    {"a", 1, 2},
    {"a =", 1, 4},
    {"= 1", 1, 1},
    {"a = 1 b = 2", 1, 7},
    {"a = 1\na = 2", 2, 1},
    {"a = 1\n\"a\" = 2", 2, 1},
    {"a.b = 1\na = 2", 2, 1},
    {"a = 1\na.b = 2", 2, 1},
    {"a..b = 1", 1, 3},
    {"a. = 1", 1, 4},
    {"a b = 1", 1, 3},
    {"\"\"\"a\"\"\" = 1", 1, 3},
    {"\xc3\xa9 = 1", 1, 1},
    {"a = \xff", 1, 5},
    {"a = \"\xed\xa0\x80\"", 1, 6},
    {"a = \"\xc0\x80\"", 1, 6},
    {"a = \"\xf4\x90\x80\x80\"", 1, 6},
    {"a = \"\xe2\x82\"", 1, 6},
    {"\xef\xbb\xbf"
     "a = 1",
     1, 1},
    {"a = 1\rb = 2", 1, 6},
    {"# \x01", 1, 3},
    {"# \x7f", 1, 3},
    {"a = \"x\x01\"", 1, 7},
    {"a = \"x\ny\"", 1, 5},
    {"a = 'x\ny'", 1, 5},
    {"a = \"x", 1, 5},
    {"a = \"\"\"x\"\"", 1, 5},
    {"a = '''x''", 1, 5},
    {"a = \"\\x41\"", 1, 6},
    {"a = \"\\u12\"", 1, 6},
    {"a = \"\\ud800\"", 1, 6},
    {"a = \"\\U00110000\"", 1, 6},
    {"a = \"\"\"\\ x\"\"\"", 1, 8},
    {"a = \"\"\"\"\"\"\"\"\"", 1, 13},
    {"a = 01", 1, 6},
    {"a = 1__0", 1, 6},
    {"a = 1_", 1, 6},
    {"a = _1", 1, 5},
    {"a = 1.", 1, 6},
    {"a = .5", 1, 5},
    {"a = 1.e5", 1, 6},
    {"a = 1e", 1, 6},
    {"a = +0x1", 1, 7},
    {"a = 0X1", 1, 6},
    {"a = 0b2", 1, 6},
    {"a = 9223372036854775808", 1, 5},
    {"a = -9223372036854775809", 1, 5},
    {"a = 0x8000000000000000", 1, 5},
    {"a = Inf", 1, 5},
    {"a = True", 1, 5},
    {"a = truex", 1, 9},
    {"a = 2023-02-29", 1, 9},
    {"a = 2024-13-01", 1, 9},
    {"a = 2024-01-01T25:00:00", 1, 15},
    {"a = 24:00:00", 1, 7},
    {"a = 12:30", 1, 7},
    {"a = 2024-1-1", 1, 9},
    {"a = [1 2]", 1, 8},
    {"a = [1, , 2]", 1, 9},
    {"a = [,]", 1, 6},
    {"a = [1", 1, 7},
    {"a = {x = 1,}", 1, 12},
    {"a = {x = 1\n}", 1, 11},
    {"a = {\n}", 1, 6},
    {"a = {x = 1 y = 2}", 1, 12},
    {"a = {x = 1, x = 2}", 1, 13},
    {"a = {b.c = 1, b = 2}", 1, 15},
    {"a = {b = {}, b.c = 1}", 1, 14},
    {"a = [{x = 1, x = 2}]", 1, 14},
    {"[a]\n[a]", 2, 2},
    {"[a.b]\n[a]\nb = 1", 3, 1},
    {"[a]\nb = 1\n[a.b]", 3, 2},
    {"[a]\nb = 1\n[a.b.c]", 3, 2},
    {"a = {}\n[a.b]", 2, 2},
    {"a = {}\na.b = 1", 2, 1},
    {"a = [1]\n[[a]]", 2, 3},
    {"a = [{}]\n[a.b]", 2, 2},
    {"[a]\n[[a]]", 2, 3},
    {"[[a]]\n[a]", 2, 2},
    {"[[a.b]]\n[a]\nb.c = 1", 3, 1},
    {"a.b.c = 1\n[a.b]", 2, 2},
    {"[x]\na.b = 1\n[x.a]", 3, 2},
    {"[a.b.c.d]\n[a]\nb.c.d.k = 1", 3, 1},
    {"[a]\nb.c = 1\n[a.d]\n[x]\n[a.b.e]\n[a.b]", 6, 2},
    {"[a", 1, 3},
    {"[]", 1, 2},
    {"[a.]", 1, 4},
    {"[a]]", 1, 4},
    {"[[a]", 1, 4},
    {"[ [a]]", 1, 3},
    {"[[a] ]", 1, 4},
    {"[a] b = 1", 1, 5},
    {"[a\n]", 1, 3},
};

TEST(documents_of_the_specification_are_read)
{
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct error *err = NULL;
        struct toml *t = toml_parse(good[i], strlen(good[i]), &err);
        if (!t)
            print_message("%s\n%s\n", good[i], err->message);
        assert_non_null(t);
        assert_null(err);
        toml_free(t);
    }
}

TEST(what_is_no_toml_is_refused_with_line_and_column)
{
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        cleanup_error struct error *err = NULL;
        struct toml *t = toml_parse(bad[i].text, strlen(bad[i].text), &err);
        cleanup_free char *place = xasprintf("line %u, column %u: ", bad[i].line, bad[i].column);
        if (t || !starts_with(err->message, place))
            print_message("%s\nwanted %s, got %s\n", bad[i].text, place, t ? "none" : err->message);
        assert_null(t);
        assert_true(starts_with(err->message, place));
    }
}

TEST(a_nul_is_refused)
{
    cleanup_error struct error *err = NULL;
    assert_null(toml_parse("a = \"\0\"", 7, &err));
    assert_non_null(strstr(err->message, "line 1, column 6"));
}

TEST(depth_and_size_are_bounded)
{
    static const char *const deep[][2] = {{"[", ""}, {"{a=", ""}, {"a.", "b = 1"}};
    for (size_t i = 0; i < ARRAY_LEN(deep); i++) {
        cleanup_buf struct buf text = {0};
        cleanup_error struct error *err = NULL;
        buf_puts(&text, i < 2 ? "x = " : "");
        for (unsigned k = 0; k < 200000; k++)
            buf_puts(&text, deep[i][0]);
        buf_puts(&text, deep[i][1]);
        assert_null(toml_parse(text.data, text.len, &err));
        assert_non_null(strstr(err->message, "more than 64"));
    }
    cleanup_buf struct buf large = {0};
    cleanup_error struct error *err = NULL;
    while (large.len <= TOML_SIZE)
        buf_puts(&large, "# a line that says nothing, many times\n");
    assert_null(toml_parse(large.data, large.len, &err));
    assert_non_null(strstr(err->message, "limit"));
}

// Two hundred thousand keys must not take more than a moment.
TEST(many_keys_are_read)
{
    cleanup_buf struct buf text = {0};
    for (unsigned i = 0; i < 200000; i++)
        buf_printf(&text, "key%u = %u\n", i, i);
    struct error *err = NULL;
    struct toml *t = toml_parse(text.data, text.len, &err);
    assert_non_null(t);
    assert_int_equal(t->entry_count, 200000);
    char *path[] = {"key199999"};
    assert_int_equal(toml_find(t, path, 1)->entry->value.integer, 199999);
    toml_free(t);
}

TEST(positions_and_values_are_those_of_the_text)
{
    static const char text[] = "[a]\n  b.\"c d\" = \"x\\ty\" # c\n";
    struct error *err = NULL;
    struct toml *t = toml_parse(text, strlen(text), &err);
    assert_non_null(t);
    assert_int_equal(t->entry_count, 1);
    const struct toml_entry *e = t->entries[0];
    cleanup_free char *path = toml_path(e->name);
    assert_string_equal(path, "a.b.\"c d\"");
    assert_int_equal(e->key, 6);
    assert_int_equal(e->last, 8);
    assert_int_equal(e->key_end, 13);
    assert_memory_equal(text + e->value.start, "\"x\\ty\"", e->value.end - e->value.start);
    assert_string_equal(e->value.string.data, "x\ty");
    assert_int_equal(t->headers[0].end, 3);
    toml_free(t);
}

TEST(single_values_and_keys_are_read)
{
    static const struct {
        const char *text;
        int result;
    } values[] = {{"1", 0},    {"\"x\"", 0},  {"[1, 2]", 0}, {"x", -1},        {"1 2", -1},
                  {"1\n", -1}, {"1 # c", -1}, {"", -1},      {"1\nb = 2", -1}, {"{a = 1}", 0}};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct toml_value v = {0};
        cleanup_error struct error *err = NULL;
        assert_int_equal(toml_value_parse(values[i].text, strlen(values[i].text), &v, &err),
                         values[i].result);
        assert_int_equal(!!err, values[i].result < 0);
        buf_free(&v.string);
    }
    cleanup_strlist struct strlist parts = {0};
    cleanup_error struct error *err = NULL;
    assert_int_equal(toml_key_parse("a.'b c'", &parts, &err), 0);
    assert_int_equal(parts.n, 2);
    assert_string_equal(parts.items[1], "\"b c\"");
    assert_int_equal(toml_key_parse("a b", &parts, &err), -1);
}

// ---- against tomllib ----

static uint64_t random_state = 20240229;
static unsigned draw(size_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((random_state >> 33) % below);
}

static json_t *entries_of(const struct toml *t)
{
    json_t *all = json_object();
    for (size_t i = 0; i < t->entry_count; i++) {
        const struct toml_value *v = &t->entries[i]->value;
        cleanup_free char *path = toml_path(t->entries[i]->name);
        json_t *value = v->kind == TOML_STRING    ? json_stringn(v->string.data, v->string.len)
                        : v->kind == TOML_INTEGER ? json_integer(v->integer)
                        : v->kind == TOML_BOOLEAN ? json_boolean(v->boolean)
                                                  : json_null();
        json_object_set_new(all, path, json_pack("[i, o]", (int)v->kind, value));
    }
    return all;
}

static void add_case(json_t *cases, const char *text, size_t length)
{
    cleanup_free char *hex = xmalloc(2 * length + 1);
    for (size_t i = 0; i < length; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)text[i]);
    hex[2 * length] = '\0';
    cleanup_error struct error *err = NULL;
    // A copy of its own size, so that reading beyond it is seen.
    char *copy = xmalloc(length + !length);
    memcpy(copy, text, length);
    struct toml *t = toml_parse(copy, length, &err);
    json_array_append_new(cases, json_pack("{s:s, s:b, s:o}", "hex", hex, "ok", t != NULL,
                                           "entries", t ? entries_of(t) : json_object()));
    toml_free(t);
    free(copy);
}

static const char *any_document(void)
{
    return draw(4) ? good[draw(ARRAY_LEN(good))] : bad[draw(ARRAY_LEN(bad))].text;
}

// One to three documents one after the other, with up to four bytes changed, added or removed.
static void add_mutation(json_t *cases)
{
    static const char alphabet[] = "\"'#=.,[]{}\\\n\r\t -_+:0123456789abefnotuxTZE\x01\x7f\xc3\xa9";
    cleanup_buf struct buf text = {0};
    for (unsigned n = 1 + draw(3); n; n--)
        buf_printf(&text, "%s%s", any_document(), draw(3) ? "\n" : "");
    for (unsigned n = draw(5); n && text.len; n--) {
        size_t at = draw(text.len);
        char c = alphabet[draw(sizeof alphabet - 1)];
        switch (draw(3)) {
        case 0:
            text.data[at] = c;
            break;
        case 1:
            memmove(text.data + at, text.data + at + 1, text.len - at - 1);
            text.len--;
            break;
        default:
            buf_add(&text, &c, 1);
            memmove(text.data + at + 1, text.data + at, text.len - 1 - at);
            text.data[at] = c;
        }
    }
    add_case(cases, text.data, text.len);
}

TEST(verdicts_and_values_are_those_of_tomllib)
{
    json_t *cases = json_array();
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        add_case(cases, good[i], strlen(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        add_case(cases, bad[i].text, strlen(bad[i].text));
    for (unsigned i = 0; i < 6000; i++)
        add_mutation(cases);
    struct error *err = NULL;
    cleanup_free char *folder = make_temporary_directory("/tmp", "kbuild-toml", &err);
    assert_non_null(folder);
    cleanup_free char *file = xasprintf("%s/cases.json", folder);
    assert_int_equal(json_dump_file(cases, file, JSON_COMPACT | JSON_ENSURE_ASCII), 0);
    json_decref(cases);
    char *argv[] = {"python3", "tests/support/compare-tomllib", file, NULL};
    struct process p = {.argv = argv, .input = -1};
    int status = -1;
    pid_t pid = process_start(&p, &err);
    if (pid > 0)
        assert_int_equal(process_wait(pid, &status, &err), 0);
    error_free(err);
    assert_int_equal(remove_tree(folder, NULL), 0);
    if (pid < 0 || WEXITSTATUS(status) == 77) {
        print_message("SKIPPED: the comparison with tomllib needs Python 3.11\n");
        skip();
    }
    assert_int_equal(status, 0);
}
