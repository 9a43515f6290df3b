// SPDX-License-Identifier: Apache-2.0
// What the process of a node tells the scheduler while it works: one JSON object a line.
//   {"phase": "packing"}
//   {"waiting": "for another kbuild"}: nothing is done yet
//   {"progress": {"what", "done", "total", "unit"}}
//   {"log": "text", "warning": true}
//   an outcome (outcome.h), as the last one
#ifndef KBUILD_RUN_REPORT_H
#define KBUILD_RUN_REPORT_H

#include "graph/graph.h"
#include "run/outcome.h"

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
