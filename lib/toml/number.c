// SPDX-License-Identifier: Apache-2.0
// Integers, floats, dates and times (TOML 1.0.0, "Integer" to "Local Time").
#include "toml/room.h"

#include <errno.h>
#include <string.h>

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
