// SPDX-License-Identifier: Apache-2.0
// What a run looks like: a live view on a terminal, plain lines in a pipe, one JSON event a line
// (docs/events.md).
#ifndef KBUILD_RUN_VIEW_H
#define KBUILD_RUN_VIEW_H

#include "run/internal.h"
#include "run/schedule.h"

// The wanted nodes must be marked before.
void view_open(struct build *b, const struct schedule *s);
void view_started(const struct task *t);
void view_progress(const struct task *t);
void view_waiting(const struct task *t); // for another process that makes the same
void view_ended(const struct task *t, const struct error *why);
// The results of all nodes; with `placed` also where they are.
void view_summary(struct build *b, bool placed);
void view_tick(void);
void view_close(void);

#endif
