// SPDX-License-Identifier: Apache-2.0
// The world that a step runs in, as far as it must not matter: a second build in another one has to
// give the same bytes (docs/reproducibility.md).
#ifndef KBUILD_RUN_WORLD_H
#define KBUILD_RUN_WORLD_H

#include "sandbox/sandbox.h"

struct world {
    const char *scratch;  // folder for the step's work; NULL: in the cache, as always
    bool keep_processors; // do not hide a processor
    bool keep_clock;      // do not shift the time
};
// How the other world differs, a line each, and what could not be made to differ and why.
void world_describe(const struct world *w, struct strlist *differs, struct strlist *same);
// In the child that makes a node, before anything else: time zone, locale, processors.
void world_enter(const struct world *w);
// For a step: its user, its clock, and the variables that say otherwise. `environment` is the
// step's own.
void world_step(const struct world *w, struct sandbox *s, struct strlist *environment);
// The jobs that it is told to run.
unsigned world_jobs(unsigned jobs);

#endif
