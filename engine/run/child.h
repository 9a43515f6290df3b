// SPDX-License-Identifier: Apache-2.0
// The process of a node, as the scheduler sees it.
#ifndef KBUILD_RUN_CHILD_H
#define KBUILD_RUN_CHILD_H

#include "run/schedule.h"

#include <signal.h>

struct child_setup {
    const struct schedule_actions *actions;
    const sigset_t *mask; // of signals, as it was before the scheduler blocked some
    int signals;          // the scheduler's signalfd, closed in the child
};
// Starts the process, in a process group of its own.
int child_start(struct task *t, const struct child_setup *c, struct error **err);
// Reads its report; closes t->events at the end.
void child_read(struct task *t, const struct schedule_actions *a);
// Copies its log.
void child_copy_log(struct task *t, const struct schedule_actions *a);
// Reads report and log to their ends: after that no process of the node is running.
void child_drain(struct task *t, const struct schedule_actions *a);

#endif
