// SPDX-License-Identifier: Apache-2.0
// What changed between two key texts.
#include "graph/graph.h"

#include <string.h>

// Appends the lines of `lines` that `others` lacks.
static void only_in(const struct strlist *lines, const struct strlist *others, struct strlist *out)
{
    for (size_t i = 0; i < lines->n; i++)
        if (!strlist_has(others, lines->items[i]))
            strlist_add(out, lines->items[i]);
}

// The length of a line without its last word, so that lines about the same thing can be paired.
static size_t subject_length(const char *line)
{
    const char *blank = strrchr(line, ' ');
    return blank ? (size_t)(blank - line) : strlen(line);
}

static bool same_subject(const char *a, const char *b)
{
    size_t n = subject_length(a);
    return n == subject_length(b) && !strncmp(a, b, n);
}

void graph_explain_change(const char *old_text, const char *new_text, struct buf *out)
{
    struct strlist old_lines = {0}, new_lines = {0}, gone = {0}, came = {0};
    strlist_split(&old_lines, old_text, "\n");
    strlist_split(&new_lines, new_text, "\n");
    only_in(&old_lines, &new_lines, &gone);
    only_in(&new_lines, &old_lines, &came);
    for (size_t i = 0; i < gone.n; i++) {
        buf_printf(out, "- %s\n", gone.items[i]);
        for (size_t j = 0; j < came.n; j++) {
            if (came.items[j][0] && same_subject(gone.items[i], came.items[j])) {
                buf_printf(out, "+ %s\n", came.items[j]);
                came.items[j][0] = '\0'; // shown
                break;
            }
        }
    }
    for (size_t j = 0; j < came.n; j++)
        if (came.items[j][0])
            buf_printf(out, "+ %s\n", came.items[j]);
    strlist_free(&old_lines);
    strlist_free(&new_lines);
    strlist_free(&gone);
    strlist_free(&came);
}
