// SPDX-License-Identifier: Apache-2.0
// Where two versions of a text differ, line by line, and where two YAML values do: what `kbuild
// why`, `kbuild explain` and the record of a run (docs/report.md) name of a file that changed.
// Addresses in what is shown of a line are without logins.
//
// Ownership: struct line_ranges owns its lines; a struct yaml_difference its path, its values
// belong to the documents.
#ifndef KBUILD_GRAPH_LINES_H
#define KBUILD_GRAPH_LINES_H

#include "base/memory.h"
#include "recipe/versions.h"

#include <jansson.h>

// ---- lines ----

enum line_change { LINES_CHANGED, LINES_ADDED, LINES_REMOVED };
extern const char *const line_change_names[]; // "changed", "added", "removed"
struct line_range {
    enum line_change change;
    size_t from, to;         // lines of the new text, from 1; of removed ones the line after which
                             // they were (0: before the first)
    size_t was_from, was_to; // lines of the old text; of added ones the line after which they are
};
struct line_ranges {
    struct line_range *items; // in order
    size_t n, cap;
    struct strlist before, now; // the lines of both texts
};
// The ranges of lines that differ. Of texts that differ in very many lines it is one. `out` is
// zero-initialised.
void lines_compare(const char *before, const char *now, struct line_ranges *out);
void line_ranges_free(struct line_ranges *r);
#define cleanup_line_ranges __attribute__((cleanup(line_ranges_free)))

// "line 12 changed: `a` -> `b`", "line 2 is new: `c`", "lines 2 to 4 are gone", "lines 1 and 5
// changed and line 9 is new"; to be freed. The numbers of lines that are gone are those that they
// had. Lines are named with their text if there is one and it is short.
char *lines_text(const struct line_ranges *r);
// The same for programs, bounded:
//   [{"change", "from", "to", "was_from", "was_to": but for added lines,
//     "before", "now": the first lines of the range, cut, control characters visible}]
// *left_out gets the number of ranges beyond the bound.
json_t *lines_json(const struct line_ranges *r, size_t *left_out);
// The first lines of a text in that form.
json_t *lines_of_text(const char *text);
// "`a` -> `b`", "`b`" if the other one is NULL; to be freed. NULL: one of them is long or has
// several lines, or they differ in logins only.
char *short_values(const char *before, const char *now);

// ---- YAML ----

// The first place where two values differ.
struct yaml_difference {
    size_t line; // in the file of the new one; of what is gone, that of the map or list
    char *path;  // below the values: "CFLAGS", "2", ""
    const struct yaml *before, *now; // NULL: it is new, or gone
};
void yaml_compare(const struct yaml *before, const struct yaml *now, struct yaml_difference *out);

#endif
