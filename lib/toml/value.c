// SPDX-License-Identifier: Apache-2.0
// Reads values: arrays, inline tables, strings, numbers, dates and times.
#include "toml/internal.h"

#include <errno.h>
#include <string.h>

static int enter(struct toml_reader *r)
{
    if (r->depth == TOML_DEPTH)
        return toml_fail(r, r->at, "more than %d arrays and tables within each other", TOML_DEPTH);
    r->depth++;
    r->at++;
    return 0;
}

// Skips blanks, line ends and comments between the elements of an array.
static int skip_lines(struct toml_reader *r)
{
    for (size_t n = 1; n;) {
        toml_skip_blanks(r);
        if (toml_skip_comment(r) < 0)
            return -1;
        n = toml_newline(r);
        r->at += n;
    }
    return 0;
}

static int read_element(struct toml_reader *r)
{
    struct toml_value element = {0};
    int result = toml_read_value(r, NULL, &element);
    buf_free(&element.string);
    return result;
}

static int read_array(struct toml_reader *r)
{
    if (enter(r) < 0)
        return -1;
    r->arrays++;
    bool more = true; // an element may follow
    for (;;) {
        if (skip_lines(r) < 0)
            return -1;
        char here[32];
        int c = toml_peek(r, 0);
        if (c == ']')
            break;
        if (!more && c != ',')
            return toml_fail(r, r->at, "expected ',' or ']', found %s", toml_here(r, here));
        if (!more)
            r->at++;
        else if (read_element(r) < 0)
            return -1;
        more = !more;
    }
    r->at++;
    r->arrays--;
    r->depth--;
    return 0;
}

// `table` is the key whose value it is, or NULL in an array: then its keys get a table that nothing
// else can name. The table is closed at its end.
static int read_inline_table(struct toml_reader *r, struct toml_name *table)
{
    if (enter(r) < 0)
        return -1;
    cleanup_free char *anonymous = xasprintf("{%zu}", r->anonymous++);
    if (!table)
        table = toml_name_new(r->toml, NULL, anonymous, TOML_NAME_VALUE);
    toml_skip_blanks(r);
    for (bool first = true; first ? toml_peek(r, 0) != '}' : true; first = false) {
        if (toml_read_pair(r, table, true) < 0)
            return -1;
        toml_skip_blanks(r);
        int c = toml_peek(r, 0);
        char here[32];
        if (c == '}')
            break;
        if (c != ',')
            return toml_fail(r, r->at, "expected ',' or '}', found %s", toml_here(r, here));
        r->at++;
        toml_skip_blanks(r);
    }
    r->at++;
    r->depth--;
    return 0;
}

static const struct {
    const char *word;
    bool value;
} booleans[] = {{"true", true}, {"false", false}};

static int read_boolean(struct toml_reader *r, struct toml_value *v)
{
    for (size_t i = 0; i < ARRAY_LEN(booleans); i++) {
        size_t n = strlen(booleans[i].word);
        if (r->length - r->at < n || memcmp(r->text + r->at, booleans[i].word, n) != 0)
            continue;
        v->kind = TOML_BOOLEAN;
        v->boolean = booleans[i].value;
        r->at += n;
        return 0;
    }
    return toml_fail(r, r->at, "expected a value; strings stand in quotes");
}

int toml_read_value(struct toml_reader *r, struct toml_name *name, struct toml_value *v)
{
    int result, c = toml_peek(r, 0);
    v->start = r->at;
    if (c == '"' || c == '\'') {
        v->kind = TOML_STRING;
        result = toml_read_string(r, true, &v->string);
    } else if (c == '[') {
        v->kind = TOML_ARRAY;
        result = read_array(r);
    } else if (c == '{') {
        v->kind = TOML_INLINE_TABLE;
        result = read_inline_table(r, name);
    } else if (c == 't' || c == 'f') {
        result = read_boolean(r, v);
    } else {
        result = toml_read_number(r, v);
    }
    v->end = r->at;
    return result;
}

// ---- string ----
// Strings (TOML 1.0.0, "String"): basic and literal, of one line and of several.

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

// ---- number ----
// Integers, floats, dates and times (TOML 1.0.0, "Integer" to "Local Time").

// The length of "D(_?D)*" at `at` for digits of a class; 0 if there is none.
static size_t digits(const struct toml_reader *r, size_t ahead, unsigned class)
{
    size_t n = 0;
    while (toml_class(toml_peek(r, ahead + n)) & class) {
        n++;
        if (toml_peek(r, ahead + n) == '_' && (toml_class(toml_peek(r, ahead + n + 1)) & class))
            n++;
    }
    return n;
}

// Exactly `n` digits as a number from `low` to `high`; -1 if they are not there.
static int field(const struct toml_reader *r, size_t ahead, size_t n, int low, int high)
{
    int value = 0;
    for (size_t i = 0; i < n; i++) {
        int c = toml_peek(r, ahead + i);
        if (!(toml_class(c) & TOML_IS_DIGIT))
            return -1;
        value = 10 * value + (c - '0');
    }
    return value >= low && value <= high ? value : -1;
}

// hh:mm:ss[.fraction] -> its length, or 0.
static size_t time_length(const struct toml_reader *r, size_t ahead)
{
    if (field(r, ahead, 2, 0, 23) < 0 || toml_peek(r, ahead + 2) != ':' ||
        field(r, ahead + 3, 2, 0, 59) < 0 || toml_peek(r, ahead + 5) != ':' ||
        field(r, ahead + 6, 2, 0, 59) < 0)
        return 0;
    size_t n = 8;
    if (toml_peek(r, ahead + n) == '.' && (toml_class(toml_peek(r, ahead + n + 1)) & TOML_IS_DIGIT))
        for (n++; toml_class(toml_peek(r, ahead + n)) & TOML_IS_DIGIT; n++)
            ;
    return n;
}

// Z or +hh:mm -> its length, or 0.
static size_t offset_length(const struct toml_reader *r, size_t ahead)
{
    int c = toml_peek(r, ahead);
    if (c == 'Z' || c == 'z')
        return 1;
    return (c == '+' || c == '-') && field(r, ahead + 1, 2, 0, 23) >= 0 &&
                   toml_peek(r, ahead + 3) == ':' && field(r, ahead + 4, 2, 0, 59) >= 0
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
    int year = field(r, 0, 4, 1, 9999), month = field(r, 5, 2, 1, 12);
    if (year < 0 || toml_peek(r, 4) != '-' || month < 0 || toml_peek(r, 7) != '-' ||
        field(r, 8, 2, 1, days_in(year, month)) < 0)
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
} prefixes[] = {{'x', TOML_IS_HEX, 16}, {'o', TOML_IS_OCTAL, 8}, {'b', TOML_IS_BINARY, 2}};

// The fraction and the exponent after an integer part -> their length, 0 if there is neither.
static size_t float_tail(const struct toml_reader *r, size_t ahead)
{
    size_t n = 0, more = toml_peek(r, ahead) == '.' ? digits(r, ahead + 1, TOML_IS_DIGIT) : 0;
    if (more)
        n += 1 + more;
    int e = toml_peek(r, ahead + n), sign = toml_peek(r, ahead + n + 1);
    size_t signs = sign == '+' || sign == '-' ? 1 : 0;
    more = e == 'e' || e == 'E' ? digits(r, ahead + n + 1 + signs, TOML_IS_DIGIT) : 0;
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
    size_t whole = toml_peek(r, sign) == '0' ? 1 : digits(r, sign, TOML_IS_DIGIT);
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
