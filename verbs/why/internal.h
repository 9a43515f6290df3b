// SPDX-License-Identifier: Apache-2.0
// Declarations shared by the files of this directory. Not for others.
#ifndef KBUILD_WHY_INTERNAL_H
#define KBUILD_WHY_INTERNAL_H

#include "base/print.h"
#include "graph/change.h"
#include "why/why.h"

// ---- place.c: where two texts differ ----

enum line_change { LINES_CHANGED, LINES_ADDED, LINES_REMOVED };
extern const char *const line_change_names[];
struct line_range {
    enum line_change change;
    size_t from, to; // lines of the new text, from 1; of removed ones the line after which they
                     // were (0: before the first)
};
struct line_ranges {
    struct line_range *items;
    size_t n, cap;
};
// The ranges of lines that differ, in order. Of texts that differ in very many lines it is one.
void lines_compare(const char *before, const char *now, struct line_ranges *out);
// "line 3", "lines 3 to 5, 9 and 12", "line 3 (new)"; to be freed.
char *lines_text(const struct line_ranges *r);
json_t *lines_json(const struct line_ranges *r);

// The first place where two YAML values differ: its line in the file of `now`, and its path below
// them ("CFLAGS", "2", ""); to be freed.
char *yaml_compare(const struct yaml *before, const struct yaml *now, size_t *line);

// ---- reason.c ----
// The reason that a change of a key text is, but for inputs; false for a change that follows from
// others. `texts` are those of the last build, or NULL.
bool reason_of_change(struct build *b, const struct node *node, const struct key_change *change,
                      const json_t *texts, struct why_reason *out);
// Those that count only if there is no other.
bool change_is_weak(const struct key_change *change);

#endif
