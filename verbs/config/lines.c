// SPDX-License-Identifier: Apache-2.0
// Splits a text into lines, replaces some of them, and prints the difference as a unified diff.
#include "config/internal.h"

#include <string.h>

#define CONTEXT ((size_t)3) // lines around a change, as in diff -u

// Lines are TOML, so they contain no NUL.
static size_t count_lines(const char *text, size_t length)
{
    size_t n = length && text[length - 1] != '\n';
    for (size_t i = 0; i < length; i++)
        n += text[i] == '\n';
    return n;
}

// Fills `count` places with the lines of `text`; the first has number `origin`, or all are new.
static void fill_lines(struct line *out, size_t count, const char *text, size_t length,
                       size_t origin)
{
    for (size_t i = 0; i < count; i++) {
        const char *end = memchr(text, '\n', length);
        size_t n = end ? (size_t)(end - text) + 1 : length;
        out[i] = (struct line){xstrndup(text, n), n, origin ? origin + i : 0};
        text += n;
        length -= n;
    }
}

void lines_split(struct lines *l, const char *text, size_t length)
{
    l->n = count_lines(text, length);
    l->items = xgrow(l->items, &l->cap, l->n + 1, sizeof *l->items);
    fill_lines(l->items, l->n, text, length, 1);
}

void lines_replace(struct lines *l, size_t at, size_t count, const char *text, size_t length)
{
    size_t more = count_lines(text, length);
    for (size_t i = at; i < at + count; i++)
        free(l->items[i].text);
    l->items = xgrow(l->items, &l->cap, l->n + more + 1, sizeof *l->items);
    memmove(l->items + at + more, l->items + at + count, (l->n - at - count) * sizeof *l->items);
    fill_lines(l->items + at, more, text, length, 0);
    l->n = l->n - count + more;
}

void lines_join(const struct lines *l, struct buf *out)
{
    buf_add(out, "", 0);
    for (size_t i = 0; i < l->n; i++)
        buf_add(out, l->items[i].text, l->items[i].length);
}

size_t lines_find(const struct lines *l, size_t offset)
{
    size_t i = 0;
    for (; i < l->n && offset >= l->items[i].length; i++)
        offset -= l->items[i].length;
    return i;
}

size_t lines_offset(const struct lines *l, size_t index)
{
    size_t offset = 0;
    for (size_t i = 0; i < index; i++)
        offset += l->items[i].length;
    return offset;
}

size_t line_end_length(const struct line *line)
{
    size_t n = line->length;
    if (!n || line->text[n - 1] != '\n')
        return 0;
    return n > 1 && line->text[n - 2] == '\r' ? 2 : 1;
}

void lines_free(struct lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i].text);
    free(l->items);
    *l = (struct lines){0};
}

// ---- the diff ----

// A line of the diff: kept (' '), removed ('-') or added ('+').
struct diff_step {
    char sign;
    const struct line *line;
};

struct diff_steps {
    struct diff_step *items;
    size_t n, cap;
};

static void add_diff_step(struct diff_steps *s, char sign, const struct line *line)
{
    s->items = xgrow(s->items, &s->cap, s->n + 1, sizeof *s->items);
    s->items[s->n++] = (struct diff_step){sign, line};
}

// Kept lines are in order, so the lines between two of them were removed and added.
static void find_diff_steps(const struct lines *old, const struct lines *edited,
                            struct diff_steps *s)
{
    size_t done = 0; // lines of old
    for (size_t i = 0; i <= edited->n;) {
        size_t keep = i;
        while (keep < edited->n && !edited->items[keep].origin)
            keep++;
        size_t until = keep < edited->n ? edited->items[keep].origin - 1 : old->n;
        for (; done < until; done++)
            add_diff_step(s, '-', &old->items[done]);
        for (; i < keep; i++)
            add_diff_step(s, '+', &edited->items[i]);
        if (keep < edited->n)
            add_diff_step(s, ' ', &old->items[done++]);
        i = keep + 1;
    }
}

static void print_diff_step(const struct diff_step *s, struct buf *out)
{
    buf_printf(out, "%c", s->sign);
    buf_add(out, s->line->text, s->line->length);
    if (!line_end_length(s->line))
        buf_puts(out, "\n\\ No newline at end of file\n");
}

// "-12,3": where a side of a hunk starts and how many lines it has.
static void print_hunk_side(char sign, size_t before, size_t count, struct buf *out)
{
    buf_printf(out, "%c%zu", sign, count ? before + 1 : before);
    if (count != 1)
        buf_printf(out, ",%zu", count);
}

static void print_hunk(const struct diff_steps *s, size_t from, size_t to, struct buf *out)
{
    size_t before[2] = {0}, count[2] = {0}; // old, new
    for (size_t i = 0; i < to; i++) {
        size_t *n = i < from ? before : count;
        n[0] += s->items[i].sign != '+';
        n[1] += s->items[i].sign != '-';
    }
    buf_puts(out, "@@ ");
    print_hunk_side('-', before[0], count[0], out);
    buf_puts(out, " ");
    print_hunk_side('+', before[1], count[1], out);
    buf_puts(out, " @@\n");
    for (size_t i = from; i < to; i++)
        print_diff_step(&s->items[i], out);
}

// The end of the hunk that starts with the change at `i`: its last change is followed by more than
// twice the context, or by the end.
static size_t hunk_end(const struct diff_steps *s, size_t i)
{
    size_t last = i;
    for (; i < s->n && i - last <= 2 * CONTEXT + 1; i++)
        if (s->items[i].sign != ' ')
            last = i;
    return last + 1 + CONTEXT < s->n ? last + 1 + CONTEXT : s->n;
}

void lines_diff(const char *text, size_t length, const struct lines *edited, const char *label,
                struct buf *out)
{
    cleanup_lines struct lines old = {0};
    struct diff_steps s = {0};
    lines_split(&old, text, length);
    find_diff_steps(&old, edited, &s);
    bool named = false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.items[i].sign == ' ')
            continue;
        if (!named)
            buf_printf(out, "--- %s\n+++ %s\n", label, label);
        named = true;
        size_t end = hunk_end(&s, i);
        print_hunk(&s, i > CONTEXT ? i - CONTEXT : 0, end, out);
        i = end;
    }
    free(s.items);
}
