// SPDX-License-Identifier: Apache-2.0
// Why a node was made: the changed lines, variables and inputs that the record names, and below
// them the lines of its key.
#include "report/internal.h"

#include <string.h>

enum { CHANGE_SHOWN = 6 }; // lines of the key; more are folded, and all where there are reasons

static const struct reason_phrase {
    const char *name, *text;
} phrases[] = {
    {"first", "no earlier build of it is known here"},
    {"changed", "what it is made of has changed since its last build here"},
    {"lost", "the cache had its record, but not all of its content"},
    {"gone", "nothing changed, but the cache had no result for it"},
    {"asked", "USE_CACHE=no asked for it"},
};

static const char *phrase_of(const char *name)
{
    for (size_t i = 0; name && i < ARRAY_LEN(phrases); i++)
        if (!strcmp(phrases[i].name, name))
            return phrases[i].text;
    return "";
}

// ---- the lines of the key ----

static void add_key_lines(struct buf *out, const json_t *change)
{
    buf_puts(out, "<pre>");
    for (size_t i = 0; i < json_array_size(change); i++) {
        const char *line = json_string_value(json_array_get(change, i));
        const char *element = !line ? NULL : *line == '-' ? "del" : *line == '+' ? "ins" : "span";
        if (!line)
            continue;
        buf_printf(out, "<%s>", element);
        html_text(out, line);
        buf_printf(out, "</%s>\n", element);
    }
    buf_puts(out, "</pre>");
}

static void add_key_change(struct buf *out, const json_t *change, size_t shown)
{
    const size_t n = json_array_size(change);
    if (n > shown)
        buf_printf(out, "<details><summary>%zu line%s of its key</summary>", n, n > 1 ? "s" : "");
    if (n)
        add_key_lines(out, change);
    if (n > shown)
        buf_puts(out, "</details>");
}

// ---- lines of files ----

// Lines of one text. The record has the first ones of `count`; they are numbered from `first` on,
// if that is not 0.
static void add_lines(struct buf *out, const json_t *lines, char sign, long long first,
                      long long count)
{
    const char *element = sign == '-' ? "del" : "ins";
    const long long n = (long long)json_array_size(lines);
    for (long long i = 0; i < n; i++) {
        const char *line = json_string_value(json_array_get(lines, (size_t)i));
        if (!line)
            continue;
        buf_printf(out, "<%s>%c ", element, sign);
        if (first)
            buf_printf(out, "%lld: ", first + i);
        html_text(out, line);
        buf_printf(out, "</%s>\n", element);
    }
    if (n && count > n)
        buf_printf(out, "<%s>%c and %lld more line%s</%s>\n", element, sign, count - n,
                   count - n > 1 ? "s" : "", element);
}

// Lines `first` to `last`; 0: there is no such field.
static void add_range(struct buf *out, const json_t *range, const char *lines, char sign,
                      const char *first, const char *last, bool numbered)
{
    const long long from = report_integer(range, first), to = report_integer(range, last);
    add_lines(out, json_object_get(range, lines), sign, numbered ? from : 0,
              numbered ? to - from + 1 : 0);
}

// A file and the lines of it that changed. Of a value in a YAML file the record says in which line
// it begins, and its path.
static void add_file(struct buf *out, const json_t *reason, const json_t *lines)
{
    const char *name = report_string(reason, "name"), *path = report_string(reason, "path");
    const long long left_out = report_integer(reason, "lines_left_out");
    buf_puts(out, "<span class=\"mono\">");
    html_text(out, name ? name : "");
    buf_puts(out, "</span>");
    if (path) {
        buf_printf(out, " line %lld (<span class=\"mono\">",
                   report_integer(json_array_get(lines, 0), "from"));
        html_text(out, path);
        buf_puts(out, "</span>)");
    }
    buf_puts(out, "<pre>");
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *range = json_array_get(lines, i);
        add_range(out, range, "before", '-', "was_from", "was_to", !path);
        add_range(out, range, "now", '+', "from", "to", !path);
    }
    if (left_out)
        buf_printf(out, "<span>and %lld more place%s</span>\n", left_out, left_out > 1 ? "s" : "");
    buf_puts(out, "</pre>");
}

// ---- inputs ----

static const size_t *find_need(const struct report_run *run, const struct report_node *node,
                               const char *id)
{
    for (size_t i = 0; id && i < node->need_count; i++)
        if (!strcmp(run->nodes[node->needs[i]].id, id))
            return &node->needs[i];
    return NULL;
}

// "its input kernel changed", where its name leads to its entry.
static void add_input(struct buf *out, const struct report_run *run, size_t need, const char *text)
{
    const char *label = run->nodes[need].label;
    const char *at = *label ? strstr(text, label) : NULL;
    if (!at) {
        html_text(out, text);
        return;
    }
    cleanup_free char *begin = xstrndup(text, (size_t)(at - text));
    html_text(out, begin);
    html_node(out, run, need);
    html_text(out, at + strlen(label));
}

// ---- all of it ----

static void add_reason(struct buf *out, const struct report_run *run,
                       const struct report_node *node, const json_t *reason)
{
    const char *text = report_string(reason, "text");
    const json_t *lines = json_object_get(reason, "lines");
    const size_t *need = find_need(run, node, report_string(reason, "node"));
    if (!text)
        return;
    buf_puts(out, "<li>");
    if (need)
        add_input(out, run, *need, text);
    else if (json_array_size(lines))
        add_file(out, reason, lines);
    else
        html_text(out, text);
    buf_puts(out, "</li>\n");
}

void html_reason(struct buf *out, const struct report_run *run, const struct report_node *node)
{
    const size_t n = json_array_size(node->because);
    if (!n) {
        buf_puts(out, phrase_of(node->why));
        add_key_change(out, node->change, CHANGE_SHOWN);
        return;
    }
    buf_puts(out, "<ul class=\"because\">\n");
    for (size_t i = 0; i < n; i++)
        add_reason(out, run, node, json_array_get(node->because, i));
    buf_puts(out, "</ul>");
    add_key_change(out, node->change, 0);
}
