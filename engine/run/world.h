// SPDX-License-Identifier: Apache-2.0
// A different environment for a second build of a step. It must not matter: the second build has to
// give the same bytes (docs/reproducibility.md).
#ifndef KBUILD_RUN_WORLD_H
#define KBUILD_RUN_WORLD_H

#include "sandbox/sandbox.h"

struct world {
    const char *scratch;  // folder for the step's work; NULL: in the cache, as usual
    bool keep_processors; // do not hide a processor
    bool keep_clock;      // do not shift the time
};
// The differences of this environment, a line each, and in `same` what could not be changed and
// why.
void world_describe(const struct world *w, struct strlist *differs, struct strlist *same);
// In the child that makes a node, first of all: time zone, locale, processors.
void world_enter(const struct world *w);
// For a step: its user, its clock, and the matching variables. `environment` is the step's own.
void world_step(const struct world *w, struct sandbox *s, struct strlist *environment);
// The number of jobs that the step is told to run.
unsigned world_jobs(unsigned jobs);

#endif
