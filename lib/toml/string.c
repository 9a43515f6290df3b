// SPDX-License-Identifier: Apache-2.0
// Strings (TOML 1.0.0, "String"): basic and literal, of one line and of several.
#include "toml/room.h"

#include <string.h>

static void add_utf8(struct buf *out, uint32_t c)
{
    static const struct {
        uint32_t limit;
        unsigned char lead;
    } sizes[] = {{0x80, 0}, {0x800, 0xc0}, {0x10000, 0xe0}, {0x110000, 0xf0}};
    char bytes[4];
    size_t n = 0;
    while (c >= sizes[n].limit)
        n++;
    for (size_t i = n; i > 0; i--, c >>= 6)
        bytes[i] = (char)(0x80 | (c & 0x3f));
    bytes[0] = (char)(sizes[n].lead | c);
    buf_add(out, bytes, n + 1);
}

static const char escapes[][2] = {{'b', '\b'}, {'t', '\t'}, {'n', '\n'}, {'f', '\f'},
                                  {'r', '\r'}, {'"', '"'},  {'\\', '\\'}};

// \uXXXX and \UXXXXXXXX; here is the letter.
static int read_code_point(struct toml_reader *r, struct buf *out)
{
    size_t n = toml_peek(r, 0) == 'u' ? 4 : 8;
    uint32_t c = 0;
    for (size_t i = 1; i <= n; i++) {
        int digit = toml_peek(r, i);
        if (!(toml_class(digit) & TOML_IS_HEX))
            return toml_fail(r, r->at - 1, "an escape of this kind has %zu hex digits", n);
        c = c << 4 | (uint32_t)(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
    }
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return toml_fail(r, r->at - 1, "there is no character U+%04X", (unsigned)c);
    add_utf8(out, c);
    r->at += n + 1;
    return 0;
}

// A backslash at the end of a line: it and all blanks and line ends that follow are left out.
// Returns 1 if there is one here.
static int skip_continuation(struct toml_reader *r)
{
    size_t start = r->at;
    toml_skip_blanks(r);
    if (!toml_newline(r)) {
        r->at = start;
        return 0;
    }
    for (size_t n; (n = toml_newline(r)) > 0; toml_skip_blanks(r))
        r->at += n;
    return 1;
}

// Here is what follows the backslash.
static int read_escape(struct toml_reader *r, bool lines, struct buf *out)
{
    int c = toml_peek(r, 0);
    for (size_t i = 0; i < ARRAY_LEN(escapes); i++)
        if (c == escapes[i][0]) {
            buf_add(out, &escapes[i][1], 1);
            r->at++;
            return 0;
        }
    if (c == 'u' || c == 'U')
        return read_code_point(r, out);
    if (lines && skip_continuation(r))
        return 0;
    char here[32];
    return toml_fail(r, r->at - 1, "a backslash can't be followed by %s", toml_here(r, here));
}

static size_t count_quotes(const struct toml_reader *r, int quote)
{
    size_t n = 0;
    while (toml_peek(r, n) == quote)
        n++;
    return n;
}

// The quotes here, in a string of several lines: returns 1 if they end it. Up to two may stand
// directly before the three that end it, and belong to it.
static int read_quotes(struct toml_reader *r, int quote, struct buf *out)
{
    size_t n = count_quotes(r, quote);
    size_t take = n > 5 ? 5 : n, content = take >= 3 ? take - 3 : take;
    buf_add(out, r->text + r->at, content);
    r->at += take;
    return take >= 3;
}

// One character, escape or line end. Returns 1 at the end of the string.
static int read_item(struct toml_reader *r, size_t start, int quote, bool lines, struct buf *out)
{
    int c = toml_peek(r, 0);
    size_t newline = toml_newline(r);
    if (c < 0 || (newline && !lines))
        return toml_fail(r, start, "this string has no end");
    if (c == quote && lines)
        return read_quotes(r, quote, out);
    if (c == quote) {
        r->at++;
        return 1;
    }
    if (c == '\\' && quote == '"') {
        r->at++;
        return read_escape(r, lines, out);
    }
    if (newline) {
        buf_puts(out, "\n");
        r->at += newline;
        return 0;
    }
    if (toml_class(c) & TOML_IS_CONTROL)
        return toml_fail(r, r->at, "the control character U+%04X can't stand in a string",
                         (unsigned)c);
    buf_add(out, r->text + r->at, 1);
    r->at++;
    return 0;
}

int toml_read_string(struct toml_reader *r, bool may_span_lines, struct buf *out)
{
    size_t start = r->at;
    int quote = toml_peek(r, 0), done = 0;
    bool lines = may_span_lines && toml_peek(r, 1) == quote && toml_peek(r, 2) == quote;
    buf_add(out, "", 0);
    r->at += lines ? 3 : 1;
    if (lines)
        r->at += toml_newline(r); // the first line end is not part of it
    while (!done)
        done = read_item(r, start, quote, lines, out);
    return done < 0 ? -1 : 0;
}
