// SPDX-License-Identifier: Apache-2.0
// Finds the lines in which two versions of a text differ, and the place where two YAML values do.
#include "why/internal.h"

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

static void add_range(struct line_ranges *out, size_t from, size_t added, size_t removed)
{
    if (!added && !removed)
        return;
    out->items = xgrow(out->items, &out->cap, out->n + 1, sizeof *out->items);
    out->items[out->n++] = (struct line_range){
        .change = !added     ? LINES_REMOVED
                  : !removed ? LINES_ADDED
                             : LINES_CHANGED,
        .from = added ? from + 1 : from,
        .to = added ? from + added : from,
    };
}

// The middle parts: `a` has n lines, `b` m; b[0] is line `first` + 1.
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
            add_range(out, first + k - added, added, removed);
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
    add_range(out, first + k - added, added, removed);
}

void lines_compare(const char *before, const char *now, struct line_ranges *out)
{
    cleanup_free char *old_text = xstrdup(before), *new_text = xstrdup(now);
    cleanup_strlist struct strlist old = {0}, new = {0};
    split_lines(old_text, &old);
    split_lines(new_text, &new);
    size_t start = 0, end = 0, least = old.n < new.n ? old.n : new.n;
    while (start < least && !strcmp(old.items[start], new.items[start]))
        start++;
    while (end < least - start && !strcmp(old.items[old.n - 1 - end], new.items[new.n - 1 - end]))
        end++;
    size_t removed = old.n - start - end, added = new.n - start - end;
    if (removed && added && removed <= PAIRS_MAX / added)
        compare_middle(old.items + start, removed, new.items + start, added, start, out);
    else
        add_range(out, start, added, removed);
}

enum { RANGES_SHOWN = 3 };

char *lines_text(const struct line_ranges *r)
{
    cleanup_buf struct buf out = {0};
    size_t shown = r->n > RANGES_SHOWN ? RANGES_SHOWN : r->n;
    bool one = r->n == 1 && r->items[0].from == r->items[0].to;
    buf_puts(&out, r->n == 1 && r->items[0].change == LINES_REMOVED ? ""
                   : one                                            ? "line "
                                                                    : "lines ");
    for (size_t i = 0; i < shown; i++) {
        const struct line_range *l = &r->items[i];
        buf_puts(&out, !i ? "" : i + 1 == shown && shown == r->n ? " and " : ", ");
        if (l->change == LINES_REMOVED && l->from)
            buf_printf(&out, r->n == 1 ? "after line %zu" : "after %zu", l->from);
        else if (l->change == LINES_REMOVED)
            buf_puts(&out, "before line 1");
        else if (l->from == l->to)
            buf_printf(&out, "%zu", l->from);
        else
            buf_printf(&out, "%zu to %zu", l->from, l->to);
    }
    if (shown < r->n)
        buf_puts(&out, " and others");
    return buf_take(&out);
}

json_t *lines_json(const struct line_ranges *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->n; i++)
        json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "change",
                                              line_change_names[r->items[i].change], "from",
                                              (json_int_t)r->items[i].from, "to",
                                              (json_int_t)r->items[i].to));
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

// The first child that is new or differs: its index in `now` and its value before, or NULL.
static bool first_difference(const struct yaml *before, const struct yaml *now, size_t *index,
                             const struct yaml **was)
{
    for (*index = 0; *index < now->n; ++*index) {
        size_t k = now->kind == YAML_MAP ? find_key(before, now->keys[*index]) : *index;
        *was = k < before->n ? before->items[k] : NULL;
        if (!*was || !yaml_equal(*was, now->items[*index]))
            return true;
    }
    return false;
}

char *yaml_compare(const struct yaml *before, const struct yaml *now, size_t *line)
{
    cleanup_buf struct buf path = {0};
    *line = now->line;
    while (before && before->kind == now->kind && now->kind != YAML_SCALAR) {
        size_t i;
        const struct yaml *was;
        if (!first_difference(before, now, &i, &was))
            break; // something was removed from here
        *line = now->kind == YAML_MAP ? now->key_lines[i] : now->items[i]->line;
        if (now->kind == YAML_MAP)
            buf_printf(&path, "%s%s", path.len ? "." : "", now->keys[i]);
        before = was;
        now = now->items[i];
    }
    return buf_take(&path);
}
