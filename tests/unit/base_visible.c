// SPDX-License-Identifier: Apache-2.0
// What comes from outside cannot steer a terminal, forge a line, or fill the screen.
#include "test.h"

#include "base/print.h"

#include <stdint.h>
#include <string.h>

static char *line(const char *text, size_t limit)
{
    struct buf out = {0};
    visible_line(&out, text, strlen(text), limit);
    return buf_take(&out);
}

TEST(hidden_characters_are_shown)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain, caf\u00e9 \u65e5\u672c \U0001f600 \\ %",
         "plain, caf\u00e9 \u65e5\u672c \U0001f600 \\ %"},
        {"\033[31mred\033]0;title\a", "\\x1b[31mred\\x1b]0;title\\x07"},
        {"a\rb\nc\td\177", "a\\x0db\\nc\\td\\x7f"},
        {"\xc2\x80\xc2\x9b"
         "31m\xc2\x9f",
         "\\u0080\\u009b31m\\u009f"},
        {"\u202aa\u202ba\u202ca\u202da\u202e", "\\u202aa\\u202ba\\u202ca\\u202da\\u202e"},
        {"\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
         "\\u2066\\u2067\\u2068\\u2069\\u200e\\u200f\\u061c"},
        {"a\u2028b\u2029c", "a\\u2028b\\u2029c"},
        {"pay\u200bpal\ufeff\u00ad", "pay\\u200bpal\\ufeff\\u00ad"},
        {"\U000e0041", "\\U000e0041"},
        {"\u0646\u200c\u0645 \u200d", "\u0646\u200c\u0645 \u200d"}, // joiners are part of words
        {"\x9b"
         "31m",
         "\\x9b31m"},                                            // C1 as one byte
        {"\xc0\x9b \xe0\x82\x9b", "\\xc0\\x9b \\xe0\\x82\\x9b"}, // overlong
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},                     // a surrogate
        {"\xf4\x90\x80\x80\xff", "\\xf4\\x90\\x80\\x80\\xff"},
        {"cut \xe2\x80", "cut \\xe2\\x80"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *out = line(cases[i].in, 1000);
        assert_string_equal(out, cases[i].out);
    }
}

// Whatever the bytes: the output is UTF-8 without any control, and bounded.
TEST(no_bytes_pass_that_are_dangerous)
{
    uint32_t seed = 1;
    for (int round = 0; round < 2000; round++) {
        char in[64];
        for (size_t i = 0; i < sizeof in; i++) {
            seed = seed * 1664525 + 1013904223;
            in[i] = "\x1b\x9b\xc2\xe2\x80\xae\xa8\xa9\xff\n\r\t\0a\xf0\x9f"[seed >> 28];
        }
        cleanup_buf struct buf out = {0}, again = {0};
        visible_line(&out, in, sizeof in, 1000);
        assert_int_equal(strlen(out.data), out.len);
        visible_line(&again, out.data, out.len, 10000);
        assert_string_equal(out.data, again.data); // nothing is left to be shown
    }
}

TEST(long_lines_are_cut)
{
    cleanup_free char *cut = line("0123456789", 4), *whole = line("0123", 4);
    assert_string_equal(cut, "0123... (6 more bytes)");
    assert_string_equal(whole, "0123");
    struct buf big = {0}, out = {0};
    for (int i = 0; i < 100000; i++)
        buf_puts(&big, i % 1000 ? "\033" : "\t");
    visible_text(&out, big.data, big.len, 1000);
    assert_in_range(out.len, 1000, 1100);
    assert_non_null(strstr(out.data, " more bytes)"));
    buf_free(&big);
    buf_free(&out);
}

TEST(lines_of_a_text_stay_lines)
{
    cleanup_buf struct buf out = {0};
    const char *text = "one\ttwo\nthree\033[2J\r\n\n0123456789\n\tlast";
    visible_text(&out, text, strlen(text), 22);
    assert_string_equal(out.data, "one\ttwo\nthree\\x1b[2J\\x0d\n\n0123456789\n\tlast");
}

TEST(only_arguments_are_escaped)
{
    cleanup_buf struct buf out = {0};
    buf_print(&out, "%s|%-6s|%6s|%.2s|%c|%d%%\n", "a\nb", "\u00e4", "x", "xyz", '\033', -3);
    assert_string_equal(out.data, "a\\nb|\u00e4     |     x|xy|\\x1b|-3%\n");
    out.len = 0;
    buf_print(&out, "%5zu %llu %lld %-4d| %04x %ld %u %.1f %*d %-*s| %.*s", (size_t)7, 1ULL << 63,
              -1LL, 5, 0xabU, -9L, 4294967295U, 2.25, 4, 12, 4, "ab", 3, "abcdef");
    assert_string_equal(out.data,
                        "    7 9223372036854775808 -1 5   | 00ab -9 4294967295 2.2   12 ab  | abc");
}

static char *printed(void (*print_it)(FILE *to, const char *text), const char *text)
{
    char *out = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&out, &n);
    print_it(f, text);
    fclose(f);
    return out;
}

static void as_message(FILE *to, const char *text)
{
    print_prefixed(to, "kbuild: error: ", text);
}

TEST(a_message_cannot_forge_another)
{
    cleanup_free char *out = printed(as_message, "no url 'a\nkbuild: hint: run this\n\033[1A'\n\n");
    assert_string_equal(out,
                        "kbuild: error: no url 'a\n    kbuild: hint: run this\n    \\x1b[1A'\n");
}

static void as_json(FILE *to, const char *text)
{
    json_t *e = json_pack("{s:o}", "text", json_visible(text));
    print_json(to, e, JSON_COMPACT);
    json_decref(e);
}

TEST(json_is_ascii_and_loses_nothing)
{
    cleanup_free char *out = printed(as_json, "\033\177\xc2\x9b\u202e");
    assert_string_equal(out, "{\"text\":\"\\u001B\\u007f\\u009B\\u202E\"}\n");
    cleanup_free char *invalid = printed(as_json, "a\xff");
    assert_string_equal(invalid, "{\"text\":\"a\\\\xff\"}\n");
}

TEST(json_text_keeps_its_value)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"{\n  \"a\": [\"caf\u00e9 \\u0041\"]\n}\n", "{\n  \"a\": [\"caf\u00e9 \\u0041\"]\n}\n"},
        {"[\"##[error]\", \"#\u200d#\u200b[a\", \"#[\", \"# #[\"]",
         "[\"##\\u005berror]\", \"#\u200d#\\u200b\\u005ba\", \"#[\", \"# #[\"]"},
        {"\"\177\xc2\x9b\u202e\U000e0041\"", "\"\\u007f\\u009b\\u202e\\udb40\\udc41\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_buf struct buf out = {0};
        visible_json(&out, cases[i].in, strlen(cases[i].in));
        assert_string_equal(out.data, cases[i].out);
        json_auto_t *before = json_loads(cases[i].in, JSON_DECODE_ANY, NULL);
        json_auto_t *after = json_loads(out.data, JSON_DECODE_ANY, NULL);
        assert_non_null(before);
        assert_true(json_equal(before, after));
    }
}

TEST(a_line_fits_its_columns)
{
    cleanup_free char *a = visible_columns("abc\u65e5\u672c\033", 6),
                      *b = visible_columns("a\033", 9);
    assert_string_equal(a, "abc\u65e5");
    assert_string_equal(b, "a\\x1b");
    assert_int_equal(visible_width("\u65e5a"), 3);
}
