// SPDX-License-Identifier: Apache-2.0
// Reads the tokens of TOML: comments, keys, strings, numbers, dates and times (TOML 1.0.0,
// "Comment" to "Bare Keys", "String" to "Local Time").
#include "toml/internal.h"

#include <errno.h>
#include <string.h>

// ---- characters ----

// Classes of bytes.
enum {
    IS_BARE = 1, // of a bare key
    IS_DIGIT = 2,
    IS_HEX = 4,
    IS_OCTAL = 8,
    IS_BINARY = 16,
    IS_CONTROL = 32, // not allowed in comments and strings
};

static unsigned class_of(int byte)
{
    static const struct {
        int first, last;
        unsigned class;
    } ranges[] = {
        {'0', '1', IS_BARE | IS_DIGIT | IS_HEX | IS_OCTAL | IS_BINARY},
        {'2', '7', IS_BARE | IS_DIGIT | IS_HEX | IS_OCTAL},
        {'8', '9', IS_BARE | IS_DIGIT | IS_HEX},
        {'a', 'f', IS_BARE | IS_HEX},
        {'A', 'F', IS_BARE | IS_HEX},
        {'g', 'z', IS_BARE},
        {'G', 'Z', IS_BARE},
        {'_', '_', IS_BARE},
        {'-', '-', IS_BARE},
        {0x00, 0x08, IS_CONTROL},
        {0x0a, 0x1f, IS_CONTROL},
        {0x7f, 0x7f, IS_CONTROL},
    };
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
        if (byte >= ranges[i].first && byte <= ranges[i].last)
            return ranges[i].class;
    return 0;
}

int toml_fail(struct toml_reader *r, size_t at, const char *format, ...)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at && i < r->length; i++) {
        unsigned char c = (unsigned char)r->text[i];
        column = c == '\n' ? 1 : (c & 0xc0) == 0x80 ? column : column + 1;
        line += c == '\n';
    }
    va_list args;
    va_start(args, format);
    cleanup_free char *why = xvasprintf(format, args);
    va_end(args);
    return error_user(r->err, "line %zu, column %zu: %s", line, column, why);
}

const char *toml_here(const struct toml_reader *r, char out[static 32])
{
    int c = toml_peek(r, 0);
    if (c < 0)
        return "the end of the file";
    if (toml_newline(r))
        return "the end of the line";
    snprintf(out, 32, c >= 0x20 && c < 0x7f ? "'%c'" : "the byte 0x%02x", c);
    return out;
}

size_t toml_newline(const struct toml_reader *r)
{
    if (toml_peek(r, 0) == '\n')
        return 1;
    return toml_peek(r, 0) == '\r' && toml_peek(r, 1) == '\n' ? 2 : 0;
}

void toml_skip_blanks(struct toml_reader *r)
{
    while (toml_peek(r, 0) == ' ' || toml_peek(r, 0) == '\t')
        r->at++;
}

int toml_skip_comment(struct toml_reader *r)
{
    if (toml_peek(r, 0) != '#')
        return 0;
    for (; toml_peek(r, 0) >= 0 && !toml_newline(r); r->at++)
        if (class_of(toml_peek(r, 0)) & IS_CONTROL)
            return toml_fail(r, r->at, "the control character U+%04X is not allowed in a comment",
                             (unsigned)toml_peek(r, 0));
    return 0;
}

// The length of the UTF-8 character here (RFC 3629), or 0 if it is none.
static size_t character_length(const struct toml_reader *r)
{
    static const struct {
        unsigned char first, last, low, high; // the lead byte; the range of the second byte
        size_t length;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    int c = toml_peek(r, 0);
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (c < forms[i].first || c > forms[i].last)
            continue;
        for (size_t k = 1; k < forms[i].length; k++) {
            int next = toml_peek(r, k);
            if (next < (k == 1 ? forms[i].low : 0x80) || next > (k == 1 ? forms[i].high : 0xbf))
                return 0;
        }
        return forms[i].length;
    }
    return 0;
}

int toml_check_utf8(struct toml_reader *r)
{
    for (size_t n; r->at < r->length; r->at += n)
        if (!(n = character_length(r)))
            return toml_fail(r, r->at, "this is not UTF-8 text");
    r->at = 0;
    return 0;
}

// ---- strings ----
// Basic and literal ones, of one line and of several.

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
        if (!(class_of(digit) & IS_HEX))
            return toml_fail(r, r->at - 1, "an escape of this kind has %zu hex digits", n);
        c = c << 4 | (uint32_t)(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
    }
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return toml_fail(r, r->at - 1, "there is no character U+%04X", (unsigned)c);
    add_utf8(out, c);
    r->at += n + 1;
    return 0;
}

// A backslash at the end of a line: skips it and all following blanks and line ends. Returns 1 if
// there is one here.
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

// Reads the text after the backslash.
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

// The quotes here, in a string of several lines: returns 1 if they end it. Up to two quotes
// directly before the closing three belong to the string.
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
    if (class_of(c) & IS_CONTROL)
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

// ---- keys ----

// The text of a name, bare or quoted; to be freed.
static char *name_text(const char *bytes, size_t length)
{
    bool bare = length > 0;
    for (size_t i = 0; i < length; i++)
        bare = bare && (class_of((unsigned char)bytes[i]) & IS_BARE);
    struct buf out = {0};
    if (bare) {
        buf_add(&out, bytes, length);
        return buf_take(&out);
    }
    buf_puts(&out, "\"");
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c < 0x20 || c == 0x7f)
            buf_printf(&out, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            buf_printf(&out, "\\%c", c);
        else
            buf_add(&out, &bytes[i], 1);
    }
    buf_puts(&out, "\"");
    return buf_take(&out);
}

char *toml_quote(const char *text)
{
    char *part = name_text(text, strlen(text));
    if (*part == '"')
        return part;
    char *quoted = xasprintf("\"%s\"", part);
    free(part);
    return quoted;
}

static int read_part(struct toml_reader *r, struct strlist *parts)
{
    cleanup_buf struct buf text = {0};
    int c = toml_peek(r, 0);
    char here[32];
    if (c == '"' || c == '\'') {
        if (toml_read_string(r, false, &text) < 0)
            return -1;
    } else {
        for (; class_of(toml_peek(r, 0)) & IS_BARE; r->at++)
            buf_add(&text, r->text + r->at, 1);
        if (!text.len)
            return toml_fail(r, r->at, "expected a key, found %s", toml_here(r, here));
    }
    cleanup_free char *part = name_text(text.data, text.len);
    strlist_add(parts, part);
    return 0;
}

int toml_read_key(struct toml_reader *r, struct toml_key *k)
{
    k->start = r->at;
    for (;;) {
        k->last = r->at;
        if (k->parts.n == TOML_DEPTH)
            return toml_fail(r, r->at, "a key of more than %d parts", TOML_DEPTH);
        if (read_part(r, &k->parts) < 0)
            return -1;
        k->end = r->at;
        toml_skip_blanks(r);
        if (toml_peek(r, 0) != '.') {
            r->at = k->end;
            return 0;
        }
        r->at++;
        toml_skip_blanks(r);
    }
}

// ---- numbers ----
// Integers, floats, dates and times.

// The length of "D(_?D)*" at `at` for digits of a class; 0 if there is none.
static size_t digits(const struct toml_reader *r, size_t ahead, unsigned class)
{
    size_t n = 0;
    while (class_of(toml_peek(r, ahead + n)) & class) {
        n++;
        if (toml_peek(r, ahead + n) == '_' && (class_of(toml_peek(r, ahead + n + 1)) & class))
            n++;
    }
    return n;
}

// Exactly `n` digits as a number from `low` to `high`; -1 if they are not there.
static int read_digits(const struct toml_reader *r, size_t ahead, size_t n, int low, int high)
{
    int value = 0;
    for (size_t i = 0; i < n; i++) {
        int c = toml_peek(r, ahead + i);
        if (!(class_of(c) & IS_DIGIT))
            return -1;
        value = 10 * value + (c - '0');
    }
    return value >= low && value <= high ? value : -1;
}

// hh:mm:ss[.fraction] -> its length, or 0.
static size_t time_length(const struct toml_reader *r, size_t ahead)
{
    if (read_digits(r, ahead, 2, 0, 23) < 0 || toml_peek(r, ahead + 2) != ':' ||
        read_digits(r, ahead + 3, 2, 0, 59) < 0 || toml_peek(r, ahead + 5) != ':' ||
        read_digits(r, ahead + 6, 2, 0, 59) < 0)
        return 0;
    size_t n = 8;
    if (toml_peek(r, ahead + n) == '.' && (class_of(toml_peek(r, ahead + n + 1)) & IS_DIGIT))
        for (n++; class_of(toml_peek(r, ahead + n)) & IS_DIGIT; n++)
            ;
    return n;
}

// Z or +hh:mm -> its length, or 0.
static size_t offset_length(const struct toml_reader *r, size_t ahead)
{
    int c = toml_peek(r, ahead);
    if (c == 'Z' || c == 'z')
        return 1;
    return (c == '+' || c == '-') && read_digits(r, ahead + 1, 2, 0, 23) >= 0 &&
                   toml_peek(r, ahead + 3) == ':' && read_digits(r, ahead + 4, 2, 0, 59) >= 0
               ? 6
               : 0;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

// A date, with a time and an offset if they follow -> its length; 0 if there is none.
static size_t date_length(const struct toml_reader *r)
{
    int year = read_digits(r, 0, 4, 1, 9999), month = read_digits(r, 5, 2, 1, 12);
    if (year < 0 || toml_peek(r, 4) != '-' || month < 0 || toml_peek(r, 7) != '-' ||
        read_digits(r, 8, 2, 1, days_in(year, month)) < 0)
        return 0;
    int between = toml_peek(r, 10);
    size_t n = between == 'T' || between == 't' || between == ' ' ? time_length(r, 11) : 0;
    return n ? 11 + n + offset_length(r, 11 + n) : 10;
}

static int to_integer(struct toml_reader *r, size_t start, int base, struct toml_value *v)
{
    cleanup_buf struct buf plain = {0};
    buf_add(&plain, "", 0);
    for (size_t i = start; i < r->at; i++)
        if (r->text[i] != '_')
            buf_add(&plain, &r->text[i], 1);
    errno = 0;
    v->kind = TOML_INTEGER;
    v->integer = strtoll(plain.data, NULL, base);
    return errno ? toml_fail(r, v->start, "the number does not fit 64 bits") : 0;
}

static const struct {
    char letter;
    unsigned class;
    int base;
} prefixes[] = {{'x', IS_HEX, 16}, {'o', IS_OCTAL, 8}, {'b', IS_BINARY, 2}};

// The fraction and the exponent after an integer part -> their length, 0 if there is neither.
static size_t float_tail(const struct toml_reader *r, size_t ahead)
{
    size_t n = 0, more = toml_peek(r, ahead) == '.' ? digits(r, ahead + 1, IS_DIGIT) : 0;
    if (more)
        n += 1 + more;
    int e = toml_peek(r, ahead + n), sign = toml_peek(r, ahead + n + 1);
    size_t signs = sign == '+' || sign == '-' ? 1 : 0;
    more = e == 'e' || e == 'E' ? digits(r, ahead + n + 1 + signs, IS_DIGIT) : 0;
    return more ? n + 1 + signs + more : n;
}

static int read_decimal(struct toml_reader *r, struct toml_value *v)
{
    size_t start = r->at, sign = toml_peek(r, 0) == '+' || toml_peek(r, 0) == '-' ? 1 : 0;
    if (r->length - r->at >= sign + 3 &&
        (!memcmp(r->text + r->at + sign, "inf", 3) || !memcmp(r->text + r->at + sign, "nan", 3))) {
        v->kind = TOML_FLOAT;
        r->at += sign + 3;
        return 0;
    }
    size_t whole = toml_peek(r, sign) == '0' ? 1 : digits(r, sign, IS_DIGIT);
    if (!whole) {
        char here[32];
        return toml_fail(r, r->at, "expected a value, found %s", toml_here(r, here));
    }
    size_t tail = float_tail(r, sign + whole);
    r->at += sign + whole + tail;
    if (!tail)
        return to_integer(r, start, 10, v);
    v->kind = TOML_FLOAT;
    return 0;
}

int toml_read_number(struct toml_reader *r, struct toml_value *v)
{
    size_t n = date_length(r);
    if (!n)
        n = time_length(r, 0);
    if (n) {
        v->kind = TOML_TIME;
        r->at += n;
        return 0;
    }
    for (size_t i = 0; toml_peek(r, 0) == '0' && i < ARRAY_LEN(prefixes); i++) {
        n = toml_peek(r, 1) == prefixes[i].letter ? digits(r, 2, prefixes[i].class) : 0;
        if (n) {
            size_t start = r->at + 2;
            r->at += 2 + n;
            return to_integer(r, start, prefixes[i].base, v);
        }
    }
    return read_decimal(r, v);
}
