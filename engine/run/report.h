// SPDX-License-Identifier: Apache-2.0
// The reports of a node's process to the scheduler while it works: one JSON object a line.
//   {"phase": "packing"}
//   {"waiting": "for another kbuild"}: nothing is done yet
//   {"progress": {"what", "done", "total", "unit"}}
//   {"log": "text", "warning": true}
//   an outcome, as the last one
#ifndef KBUILD_RUN_REPORT_H
#define KBUILD_RUN_REPORT_H

#include "base/error.h"
#include "graph/graph.h"

#include <jansson.h>
#include <stdbool.h>

// ---- outcome ----
// The result of one node: written once, by the process that makes it, and read once, by the
// scheduler.

enum outcome_kind {
    OUTCOME_NONE,          // its process ended without a report
    OUTCOME_MADE,          // here
    OUTCOME_FOUND,         // another process made it meanwhile
    OUTCOME_PULLED,        // from the shared cache
    OUTCOME_DAMAGED_INPUT, // an input was damaged, and has been moved aside
    OUTCOME_SHARED_LOST,   // the shared cache no longer has the outputs
    OUTCOME_FAILED
};

struct outcome {
    enum outcome_kind kind;
    json_t *record;      // of what was made, found or pulled; else NULL
    struct error *error; // of the last three; its subject is the id of a damaged input
};

// Did it succeed?
bool outcome_is_good(const struct outcome *o);
void outcome_free(struct outcome *o); // leaves OUTCOME_NONE
// As a line of the process's report, and back. outcome_read(): false if the line is no outcome.
json_t *outcome_json(const struct outcome *o);
bool outcome_read(const json_t *event, struct outcome *out);

// From here on this process reports to this descriptor, which stays open: log lines, progress,
// phases.
void report_open(int fd);
void report_waiting(const char *what);
// An input of the node is damaged: that input is made again, then the node.
int input_damaged(const struct node *input, struct error **err);
void report_outcome(const struct outcome *o);

// Reading: the kinds of report lines.
enum report_kind {
    REPORT_NOTHING,
    REPORT_WAITING,
    REPORT_PROGRESS,
    REPORT_NOTE,
    REPORT_WARNING,
    REPORT_OUTCOME
};
// *text gets the text of the four kinds that have one, to be freed; *outcome that of the last kind.
enum report_kind report_read(const char *line, char **text, struct outcome *outcome);

#endif
