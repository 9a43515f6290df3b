// SPDX-License-Identifier: Apache-2.0
// What the process of a node tells the scheduler while it works: one JSON object a line.
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
// What became of one node: written once, by the process that makes it, and read once, by the
// scheduler.

enum outcome_kind {
    OUTCOME_NONE,          // its process ended without a word
    OUTCOME_MADE,          // here
    OUTCOME_FOUND,         // another process had made it meanwhile
    OUTCOME_PULLED,        // out of the shared cache
    OUTCOME_DAMAGED_INPUT, // an input was damaged, and has been set aside
    OUTCOME_SHARED_LOST,   // the shared cache has not any more what it had
    OUTCOME_FAILED
};

struct outcome {
    enum outcome_kind kind;
    json_t *record;      // of what was made, found or pulled; else NULL
    struct error *error; // of the last three; its subject is the id of an input that was damaged
};

// Did it succeed?
bool outcome_is_good(const struct outcome *o);
void outcome_free(struct outcome *o); // leaves OUTCOME_NONE
// As a line of the process's report, and back. outcome_read(): false if it is none.
json_t *outcome_json(const struct outcome *o);
bool outcome_read(const json_t *event, struct outcome *out);

// From here on everything that this process says goes into this descriptor, which stays open: log
// lines, progress, phases.
void report_open(int fd);
void report_waiting(const char *what);
// An input of the node turned out to be damaged: it is made again, and the node after it.
int input_damaged(const struct node *input, struct error **err);
void report_outcome(const struct outcome *o);

// The other end: what a line says.
enum report_kind {
    REPORT_NOTHING,
    REPORT_WAITING,
    REPORT_PROGRESS,
    REPORT_NOTE,
    REPORT_WARNING,
    REPORT_OUTCOME
};
// *text gets what to show of the four that say something, to be freed; *outcome the last.
enum report_kind report_read(const char *line, char **text, struct outcome *outcome);

#endif
