// SPDX-License-Identifier: Apache-2.0
// Escapes control and invisible characters in text, and prints it.
#include "base/ci_log.h"
#include "base/print.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

// ---- characters ----

struct range {
    uint32_t first, last;
};

// Unicode 16, UnicodeData.txt: control (Cc), format (Cf) without the joiners U+200C and U+200D,
// which words of some languages need, line and paragraph separators (Zl, Zp), and the fillers and
// selectors that take no room.
static const struct range hidden[] = {
    {0x00, 0x1f},     {0x7f, 0x9f},       {0xad, 0xad},       {0x034f, 0x034f},    {0x0600, 0x0605},
    {0x061c, 0x061c}, {0x06dd, 0x06dd},   {0x070f, 0x070f},   {0x115f, 0x1160},    {0x17b4, 0x17b5},
    {0x180b, 0x180f}, {0x200b, 0x200b},   {0x200e, 0x200f},   {0x2028, 0x202e},    {0x2060, 0x206f},
    {0x3164, 0x3164}, {0xfe00, 0xfe0e},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},    {0xfff0, 0xfffb},
    {0xfffe, 0xffff}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}, {0xf0000, 0x10ffff},
};

// Unicode 16, EastAsianWidth.txt: those that take two columns (W and F), in rough ranges.
static const struct range wide[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x23e9, 0x23f3},   {0x25fd, 0x25fe},
    {0x2614, 0x2615},   {0x2e80, 0xa4cf},   {0xa960, 0xa97f},   {0xac00, 0xd7a3},
    {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
    {0x16fe0, 0x18d08}, {0x1b000, 0x1b2fb}, {0x1f000, 0x1faff}, {0x20000, 0x3fffd},
};

static bool in_ranges(uint32_t c, const struct range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

// The length of the valid character at `p` (RFC 3629, section 4), or 0.
static size_t decode(const unsigned char *p, size_t left, uint32_t *c)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    if (!n || n > left)
        return 0;
    *c = n == 1 ? p[0] : p[0] & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        *c = *c << 6 | (p[i] & 0x3f);
    }
    bool valid = *c >= least[n] && *c <= 0x10ffff && !(*c >= 0xd800 && *c <= 0xdfff);
    return valid ? n : 0;
}

// Appends the character at `p`, and returns how many bytes of it were read.
static size_t add_character(struct buf *out, const unsigned char *p, size_t left)
{
    uint32_t c;
    size_t n = decode(p, left, &c);
    if (n && !in_ranges(c, hidden, ARRAY_LEN(hidden))) {
        buf_add(out, p, n);
        return n;
    }
    if (n && c == '\n')
        buf_puts(out, "\\n");
    else if (n && c == '\t')
        buf_puts(out, "\\t");
    else if (!n || c < 0x80)
        buf_printf(out, "\\x%02x", p[0]);
    else
        buf_printf(out, c > 0xffff ? "\\U%08x" : "\\u%04x", c);
    return n ? n : 1;
}

// ---- lines ----

void visible_line(struct buf *out, const char *text, size_t length, size_t limit)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t start = out->len, done = 0;
    buf_add(out, "", 0);
    while (done < length && out->len - start < limit)
        done += add_character(out, p + done, length - done);
    if (done < length)
        buf_printf(out, "... (%zu more bytes)", length - done);
}

// visible_line() of the part of a line between two tabs, and so on: tabs stay.
static void visible_with_tabs(struct buf *out, const char *line, size_t length, size_t limit)
{
    size_t start = out->len;
    for (;;) {
        const char *tab = length ? memchr(line, '\t', length) : NULL;
        size_t used = out->len - start, n = tab ? (size_t)(tab - line) : length;
        if (used >= limit || !tab) {
            visible_line(out, line, length, used < limit ? limit - used : 0);
            return;
        }
        size_t left = limit - used;
        visible_line(out, line, n < left ? n : left, left);
        if (n >= left) {
            buf_printf(out, "... (%zu more bytes)", length - left);
            return;
        }
        buf_puts(out, "\t");
        line = tab + 1;
        length -= n + 1;
    }
}

void visible_text(struct buf *out, const char *text, size_t length, size_t limit)
{
    buf_add(out, "", 0);
    while (length) {
        const char *newline = memchr(text, '\n', length);
        size_t n = newline ? (size_t)(newline - text) : length;
        visible_with_tabs(out, text, n, limit);
        if (newline)
            buf_puts(out, "\n");
        text += n + (newline != NULL);
        length -= n + (newline != NULL);
    }
}

static unsigned character_columns(const unsigned char *p, size_t left, size_t *length)
{
    uint32_t c;
    *length = decode(p, left, &c);
    if (!*length)
        *length = 1;
    else if (in_ranges(c, wide, ARRAY_LEN(wide)))
        return 2;
    return 1;
}

unsigned visible_width(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    unsigned columns = 0;
    for (size_t left = strlen(text), n; left; p += n, left -= n)
        columns += character_columns(p, left, &n);
    return columns;
}

char *visible_columns(const char *text, unsigned columns)
{
    struct buf line = {0};
    visible_line(&line, text, strlen(text), VISIBLE_LINE_MAX);
    size_t kept = 0;
    for (unsigned used = 0; kept < line.len;) {
        size_t n;
        used += character_columns((unsigned char *)line.data + kept, line.len - kept, &n);
        if (used > columns)
            break;
        kept += n;
    }
    line.data[kept] = '\0';
    return buf_take(&line);
}

// ---- formats ----

// The analyzer does not follow a va_list in a structure.
// NOLINTBEGIN(clang-analyzer-valist.*)
struct format_arguments { // so that a va_list can be handed on by address
    va_list list;
};

// One conversion: "%-*.*llu" as "%-", width, precision, length, 'u'.
struct conversion {
    char flags[8];
    int width, precision; // -1: none
    unsigned longs;       // how many 'l'
    bool size, left;
    char type;
};

static int parse_number(const char **p, struct format_arguments *a)
{
    if (**p == '*') {
        (*p)++;
        return va_arg(a->list, int);
    }
    int n = 0;
    for (; **p >= '0' && **p <= '9'; (*p)++)
        n = n * 10 + (**p - '0');
    return n;
}

static struct conversion parse_conversion(const char **p, struct format_arguments *a)
{
    struct conversion c = {.width = 0, .precision = -1};
    for (size_t n = 0; **p && strchr("-+ #0", **p) && n < sizeof c.flags - 1; (*p)++) {
        c.left |= **p == '-';
        c.flags[n++] = **p;
    }
    c.width = parse_number(p, a);
    if (c.width < 0) { // as printf(): a flag '-' and the width
        c.left = true;
        c.width = -c.width;
    }
    if (**p == '.') {
        (*p)++;
        c.precision = parse_number(p, a);
    }
    for (; **p == 'l' || **p == 'z'; (*p)++) {
        c.longs += **p == 'l';
        c.size |= **p == 'z';
    }
    c.type = *(*p)++;
    return c;
}

static void add_padded(struct buf *out, const struct conversion *c, const char *text,
                       size_t columns)
{
    size_t pad = (size_t)c->width > columns ? (size_t)c->width - columns : 0;
    if (!c->left)
        buf_printf(out, "%*s", (int)pad, "");
    buf_puts(out, text);
    if (c->left)
        buf_printf(out, "%*s", (int)pad, "");
}

static void add_string(struct buf *out, const struct conversion *c, const char *text)
{
    cleanup_buf struct buf shown = {0};
    text = text ? text : "(null)";
    size_t n = c->precision < 0 ? strlen(text) : strnlen(text, (size_t)c->precision);
    visible_line(&shown, text, n, VISIBLE_LINE_MAX);
    add_padded(out, c, shown.data, visible_width(shown.data));
}

// The formats are rebuilt from what was parsed, and -Wformat has seen the original.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void add_integer(struct buf *out, const struct conversion *c, struct format_arguments *a)
{
    char format[32];
    snprintf(format, sizeof format, "%%%s*.*ll%c", c->flags, c->type);
    bool is_signed = c->type == 'd' || c->type == 'i';
    long long n;
    if (c->size)
        n = (long long)va_arg(a->list, size_t);
    else if (c->longs > 1)
        n = va_arg(a->list, long long);
    else if (c->longs)
        n = is_signed ? va_arg(a->list, long) : (long long)va_arg(a->list, unsigned long);
    else
        n = is_signed ? va_arg(a->list, int) : (long long)va_arg(a->list, unsigned);
    buf_printf(out, format, c->width, c->precision, n);
}

static void add_double(struct buf *out, const struct conversion *c, struct format_arguments *a)
{
    char format[32];
    snprintf(format, sizeof format, "%%%s*.*%c", c->flags, c->type);
    buf_printf(out, format, c->width, c->precision, va_arg(a->list, double));
}
#pragma GCC diagnostic pop

static void add_conversion(struct buf *out, const struct conversion *c, struct format_arguments *a)
{
    char one[2] = "";
    switch (c->type) {
    case '%':
        buf_puts(out, "%");
        break;
    case 's':
        add_string(out, c, va_arg(a->list, const char *));
        break;
    case 'c':
        one[0] = (char)va_arg(a->list, int);
        add_string(out, c, one);
        break;
    case 'f':
    case 'g':
        add_double(out, c, a);
        break;
    default:
        if (!c->type || !strchr("diuxXo", c->type))
            abort(); // a format of ours that buf_print() does not know
        add_integer(out, c, a);
    }
}

static void add_format(struct buf *out, const char *format, struct format_arguments *a)
{
    buf_add(out, "", 0);
    while (*format) {
        size_t n = strcspn(format, "%");
        buf_add(out, format, n);
        format += n;
        if (!*format)
            break;
        format++;
        struct conversion c = parse_conversion(&format, a);
        add_conversion(out, &c, a);
    }
}

// ---- printing ----

void buf_print(struct buf *out, const char *format, ...)
{
    struct format_arguments a;
    va_start(a.list, format);
    add_format(out, format, &a);
    va_end(a.list);
}

void print(const char *format, ...)
{
    cleanup_buf struct buf text = {0};
    struct format_arguments a;
    va_start(a.list, format);
    add_format(&text, format, &a);
    va_end(a.list);
    output_write(stdout, text.data, text.len);
}

void print_to(FILE *to, const char *format, ...)
{
    cleanup_buf struct buf text = {0};
    struct format_arguments a;
    va_start(a.list, format);
    add_format(&text, format, &a);
    va_end(a.list);
    output_write(to, text.data, text.len);
}

// NOLINTEND(clang-analyzer-valist.*)

void print_text(FILE *to, const char *text, size_t length)
{
    cleanup_buf struct buf shown = {0};
    visible_text(&shown, text, length, SIZE_MAX);
    if (shown.len && shown.data[shown.len - 1] != '\n')
        buf_puts(&shown, "\n");
    output_write(to, shown.data, shown.len);
}

void print_stream(FILE *to, FILE *from)
{
    char chunk[65536];
    size_t n;
    if (isatty(fileno(to)) || output_is_read(to)) {
        cleanup_free char *line = NULL;
        size_t size = 0;
        for (ssize_t got; (got = getdelim(&line, &size, '\n', from)) > 0;)
            print_text(to, line, (size_t)got);
        return;
    }
    while ((n = fread(chunk, 1, sizeof chunk, from)))
        fwrite(chunk, 1, n, to);
}

void print_prefixed(FILE *to, const char *prefix, const char *text)
{
    cleanup_buf struct buf shown = {0}, out = {0};
    size_t length = strlen(text);
    while (length && text[length - 1] == '\n')
        length--;
    visible_text(&shown, text, length, VISIBLE_LINE_MAX);
    buf_puts(&out, prefix);
    for (const char *p = shown.data; p;) {
        const char *newline = strchr(p, '\n');
        buf_add(&out, p, newline ? (size_t)(newline - p) : strlen(p));
        buf_puts(&out, newline ? "\n    " : "\n");
        p = newline ? newline + 1 : NULL;
    }
    output_write(to, out.data, out.len);
}

json_t *json_visible(const char *text)
{
    json_t *whole = json_string(text);
    if (whole || !text)
        return whole;
    cleanup_buf struct buf shown = {0};
    visible_text(&shown, text, strlen(text), SIZE_MAX);
    return json_string(shown.data);
}

// Between the characters of a string, since nothing else in JSON is one of these. No line of JSON
// begins with "::".
void visible_json(struct buf *out, const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text;
    unsigned hashes = 0; // what has no width may stand between them
    buf_add(out, "", 0);
    for (size_t n; length; p += n, length -= n) {
        uint32_t c = 0;
        n = decode(p, length, &c);
        bool hides = n && in_ranges(c, hidden, ARRAY_LEN(hidden)) && c != '\n' && c != '\t';
        if (hides && c > 0xffff)
            buf_printf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                       0xdc00 + ((c - 0x10000) & 0x3ff));
        else if (hides || (c == '[' && hashes > 1))
            buf_printf(out, "\\u%04x", c);
        else if (n)
            buf_add(out, p, n);
        else
            buf_puts(out, "\\ufffd");
        hashes = c == '#' ? hashes + 1 : c < 0x80 && n ? 0 : hashes;
        n = n ? n : 1;
    }
}

void print_json(FILE *to, const json_t *value, size_t flags)
{
    if (!value)
        return;
    cleanup_free char *text = json_dumps(value, flags | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    cleanup_buf struct buf line = {0};
    visible_json(&line, text ? text : "", text ? strlen(text) : 0);
    buf_puts(&line, "\n");
    output_write(to, line.data, line.len);
}

void format_time(long long ms, char out[static 40])
{
    if (ms < 10000)
        snprintf(out, 40, "%.1f s", (double)ms / 1000);
    else if (ms < 600000)
        snprintf(out, 40, "%lld s", ms / 1000);
    else
        snprintf(out, 40, "%lld min %02lld s", ms / 60000, ms / 1000 % 60);
}

void print_line(const char *line, void *context)
{
    print("%s\n", line);
}
