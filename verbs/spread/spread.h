// SPDX-License-Identifier: Apache-2.0
// Runs a plan (run/plan_file.h) on the machines of an engine that knows "B after A": prints it in
// the engine's language, or submits it and follows the jobs. docs/spread.md.
#ifndef KBUILD_SPREAD_SPREAD_H
#define KBUILD_SPREAD_SPREAD_H

#include "run/plan_file.h"

// Appends the plan in a format: "slurm", a script that submits; "github", matrices, a level each;
// "gitlab", a child pipeline; "make", a rule a node. `project` is the reference of the pushed
// project, or NULL: then the jobs run in a checkout like this one.
int spread_print(const char *format, const struct plan *p, const char *project, struct buf *out,
                 struct error **err);

#endif
