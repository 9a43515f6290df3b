// SPDX-License-Identifier: Apache-2.0
// Finds the lines in which two versions of a text differ, and the place where two YAML values do.
#include "graph/lines.h"

#include "base/print.h"
#include "http/http.h"

#include <ctype.h>
#include <string.h>

// ---- lines ----

const char *const line_change_names[] = {"changed", "added", "removed"};

// Beyond this number of pairs of lines the common ones between the first and the last difference
// are not looked for.
#define PAIRS_MAX ((size_t)1 << 20)

// Lines as they are, empty ones too; the text is cut in place.
static void split_lines(char *text, struct strlist *out)
{
    for (char *line = text, *end; *line; line = end) {
        end = strchrnul(line, '\n');
        bool more = *end;
        *end = '\0';
        strlist_add(out, line);
        end += more;
    }
}

// `removed` lines after line `was` of the old text became `added` lines after line `is` of the new
// one.
static void add_range(struct line_ranges *out, size_t was, size_t removed, size_t is, size_t added)
{
    if (!added && !removed)
        return;
    out->items = xgrow(out->items, &out->cap, out->n + 1, sizeof *out->items);
    out->items[out->n++] = (struct line_range){
        .change = !added     ? LINES_REMOVED
                  : !removed ? LINES_ADDED
                             : LINES_CHANGED,
        .from = added ? is + 1 : is,
        .to = is + added,
        .was_from = removed ? was + 1 : was,
        .was_to = was + removed,
    };
}

// The middle parts: `a` has n lines, `b` m; a[0] and b[0] are line `first` + 1.
static void compare_middle(char *const *a, size_t n, char *const *b, size_t m, size_t first,
                           struct line_ranges *out)
{
    // common[i][k]: the most common lines of a[i..] and b[k..], in order
    size_t width = m + 1;
    cleanup_free unsigned *common = xcalloc((n + 1) * width, sizeof *common);
    for (size_t i = n; i-- > 0;)
        for (size_t k = m; k-- > 0;) {
            unsigned skip_a = common[(i + 1) * width + k], skip_b = common[i * width + k + 1];
            common[i * width + k] = !strcmp(a[i], b[k]) ? common[(i + 1) * width + k + 1] + 1
                                    : skip_a > skip_b   ? skip_a
                                                        : skip_b;
        }
    size_t i = 0, k = 0, added = 0, removed = 0;
    while (i < n || k < m) {
        if (i < n && k < m && !strcmp(a[i], b[k])) {
            add_range(out, first + i - removed, removed, first + k - added, added);
            added = removed = 0;
            i++;
            k++;
        } else if (k == m || (i < n && common[(i + 1) * width + k] >= common[i * width + k + 1])) {
            removed++;
            i++;
        } else {
            added++;
            k++;
        }
    }
    add_range(out, first + i - removed, removed, first + k - added, added);
}

void lines_compare(const char *before, const char *now, struct line_ranges *out)
{
    cleanup_free char *old_text = xstrdup(before), *new_text = xstrdup(now);
    struct strlist *old = &out->before, *new = &out->now;
    split_lines(old_text, old);
    split_lines(new_text, new);
    size_t start = 0, end = 0, least = old->n < new->n ? old->n : new->n;
    while (start < least && !strcmp(old->items[start], new->items[start]))
        start++;
    while (end < least - start &&
           !strcmp(old->items[old->n - 1 - end], new->items[new->n - 1 - end]))
        end++;
    size_t removed = old->n - start - end, added = new->n - start - end;
    if (removed && added && removed <= PAIRS_MAX / added)
        compare_middle(old->items + start, removed, new->items + start, added, start, out);
    else
        add_range(out, start, removed, start, added);
}

void line_ranges_free(struct line_ranges *r)
{
    free(r->items);
    strlist_free(&r->before);
    strlist_free(&r->now);
    *r = (struct line_ranges){0};
}

// ---- what is shown of a line ----

// Where the address begins whose "://" is at `colon`.
static const char *scheme_start(const char *text, const char *colon)
{
    while (colon > text && (isalnum((unsigned char)colon[-1]) || strchr("+-.", colon[-1])))
        colon--;
    return colon;
}

// Addresses in it are without logins; to be freed.
static char *hide_logins(const char *text)
{
    struct buf out = {0};
    const char *colon = strstr(text, "://");
    while (colon) {
        const char *start = scheme_start(text, colon);
        const char *next = strstr(colon + 3, "://"),
                   *end = colon + 3 + strcspn(colon + 3, " \t\r\n");
        if (next && next < end)
            end = scheme_start(colon + 3, next);
        cleanup_free char *address = xstrndup(start, (size_t)(end - start));
        cleanup_free char *shown = http_url_shown(address);
        buf_add(&out, text, (size_t)(start - text));
        buf_puts(&out, shown);
        text = end;
        colon = next;
    }
    buf_puts(&out, text);
    return buf_take(&out);
}

// ---- lines for people ----

enum { RANGES_NAMED = 3, VALUE_SHORT = 60 };

static bool is_short(const char *value)
{
    return !value || (strlen(value) <= VALUE_SHORT && !strchr(value, '\n'));
}

char *short_values(const char *before, const char *now)
{
    cleanup_free char *was = before ? hide_logins(before) : NULL;
    cleanup_free char *is = now ? hide_logins(now) : NULL;
    if (!is_short(was) || !is_short(is) || (was && is && !strcmp(was, is)))
        return NULL;
    return was && is ? xasprintf("`%s` -> `%s`", was, is) : xasprintf("`%s`", was ? was : is);
}

// "line 2", "lines 2 to 4": without the word before the second one.
static void add_numbers(const struct line_range *l, struct buf *out)
{
    bool gone = l->change == LINES_REMOVED;
    size_t from = gone ? l->was_from : l->from, to = gone ? l->was_to : l->to;
    if (from == to)
        buf_printf(out, "%zu", from);
    else
        buf_printf(out, "%zu to %zu", from, to);
}

static bool is_one_line(const struct line_range *l)
{
    return l->change == LINES_REMOVED ? l->was_from == l->was_to : l->from == l->to;
}

// Ranges of one kind: "lines 1 and 5 to 6 changed".
static void add_alike(const struct line_range *l, size_t n, struct buf *out)
{
    static const char *const verbs[][2] = {[LINES_CHANGED] = {"changed", "changed"},
                                           [LINES_ADDED] = {"is new", "are new"},
                                           [LINES_REMOVED] = {"is gone", "are gone"}};
    bool one = n == 1 && is_one_line(l);
    buf_puts(out, one ? "line " : "lines ");
    for (size_t i = 0; i < n; i++) {
        buf_puts(out, !i ? "" : i + 1 == n ? " and " : ", ");
        add_numbers(&l[i], out);
    }
    buf_printf(out, " %s", verbs[l->change][!one]);
}

// Of a range that is one line in each text that has it.
static char *short_lines(const struct line_ranges *r, const struct line_range *l)
{
    bool was = l->change != LINES_ADDED, is = l->change != LINES_REMOVED;
    if ((was && l->was_from != l->was_to) || (is && l->from != l->to))
        return NULL;
    return short_values(was ? r->before.items[l->was_from - 1] : NULL,
                        is ? r->now.items[l->from - 1] : NULL);
}

char *lines_text(const struct line_ranges *r)
{
    cleanup_buf struct buf out = {0};
    size_t named = r->n > RANGES_NAMED ? RANGES_NAMED : r->n;
    for (size_t i = 0, alike; i < named; i += alike) {
        for (alike = 1; i + alike < named && r->items[i + alike].change == r->items[i].change;)
            alike++;
        buf_puts(&out, !i ? "" : i + alike == named && named == r->n ? " and " : ", ");
        add_alike(&r->items[i], alike, &out);
    }
    if (named < r->n)
        buf_printf(&out, ", and %zu more place%s", r->n - named, r->n - named > 1 ? "s" : "");
    cleanup_free char *values = r->n == 1 ? short_lines(r, r->items) : NULL;
    if (values)
        buf_printf(&out, ": %s", values);
    return buf_take(&out);
}

// ---- lines for programs ----

// What one reason may take, wherever it is kept.
enum { RANGES_KEPT = 6, LINES_KEPT = 3, LINE_KEPT = 160 };

// `count` lines from line `from` on.
static json_t *first_lines(const struct strlist *lines, size_t from, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count && i < LINES_KEPT; i++) {
        cleanup_free char *line = hide_logins(lines->items[from - 1 + i]);
        cleanup_buf struct buf shown = {0};
        visible_line(&shown, line, strlen(line), LINE_KEPT);
        json_array_append_new(list, json_string(shown.data));
    }
    return list;
}

json_t *lines_of_text(const char *text)
{
    cleanup_free char *copy = xstrdup(text);
    cleanup_strlist struct strlist lines = {0};
    split_lines(copy, &lines);
    return first_lines(&lines, 1, lines.n);
}

json_t *lines_json(const struct line_ranges *r, size_t *left_out)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->n && i < RANGES_KEPT; i++) {
        const struct line_range *l = &r->items[i];
        json_t *item = json_pack("{s:s, s:I, s:I}", "change", line_change_names[l->change], "from",
                                 (json_int_t)l->from, "to", (json_int_t)l->to);
        if (l->change != LINES_ADDED)
            json_object_update_new(
                item, json_pack("{s:I, s:I, s:o}", "was_from", (json_int_t)l->was_from, "was_to",
                                (json_int_t)l->was_to, "before",
                                first_lines(&r->before, l->was_from, l->was_to - l->was_from + 1)));
        if (l->change != LINES_REMOVED)
            json_object_set_new(item, "now", first_lines(&r->now, l->from, l->to - l->from + 1));
        json_array_append_new(list, item);
    }
    *left_out = r->n > RANGES_KEPT ? r->n - RANGES_KEPT : 0;
    return list;
}

// ---- YAML ----

static bool yaml_equal(const struct yaml *a, const struct yaml *b)
{
    cleanup_buf struct buf one = {0}, other = {0};
    yaml_print(a, &one);
    yaml_print(b, &other);
    return one.len == other.len && !memcmp(one.data, other.data, one.len);
}

static size_t find_key(const struct yaml *map, const char *key)
{
    size_t i = 0;
    while (i < map->n && strcmp(map->keys[i], key) != 0)
        i++;
    return i;
}

// The first child that is new, differs, or is gone: its index in `now` (now->n: it is gone), or in
// `before`.
static bool first_difference(const struct yaml *before, const struct yaml *now, size_t *in_before,
                             size_t *in_now)
{
    bool map = now->kind == YAML_MAP;
    for (*in_now = 0; *in_now < now->n; ++*in_now) {
        *in_before = map ? find_key(before, now->keys[*in_now]) : *in_now;
        if (*in_before >= before->n || !yaml_equal(before->items[*in_before], now->items[*in_now]))
            return true;
    }
    for (*in_before = 0; *in_before < before->n; ++*in_before)
        if (map ? find_key(now, before->keys[*in_before]) == now->n : *in_before >= now->n)
            return true;
    return false;
}

static void add_step(struct buf *path, const struct yaml *parent, size_t i)
{
    buf_puts(path, path->len ? "." : "");
    if (parent->kind == YAML_MAP)
        buf_puts(path, parent->keys[i]);
    else
        buf_printf(path, "%zu", i);
}

void yaml_compare(const struct yaml *before, const struct yaml *now, struct yaml_difference *out)
{
    cleanup_buf struct buf path = {0};
    size_t line = now->line, was, is;
    while (before && now && before->kind == now->kind && now->kind != YAML_SCALAR &&
           first_difference(before, now, &was, &is)) {
        if (is < now->n)
            line = now->kind == YAML_MAP ? now->key_lines[is] : now->items[is]->line;
        add_step(&path, is < now->n ? now : before, is < now->n ? is : was);
        before = was < before->n ? before->items[was] : NULL;
        now = is < now->n ? now->items[is] : NULL;
    }
    *out = (struct yaml_difference){line, buf_take(&path), before, now};
}
