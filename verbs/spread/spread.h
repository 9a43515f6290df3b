// SPDX-License-Identifier: Apache-2.0
// Runs a plan (run/plan_file.h) on the machines of an engine that knows "B after A": prints it in
// the engine's language, or submits it and follows the jobs. docs/spread.md.
//
//   jobs.c       the jobs of a plan             formats.c    their text for engines
//   slurm_job.c  a job as sbatch wants it       slurm.c      Slurm's sbatch, squeue and scancel
//   slurm_state.c  what squeue says of a job
//   spread.c     plan, push, submit, follow, place
//
// Ownership: plans and requests are borrowed, and nothing that is passed in is kept.
#ifndef KBUILD_SPREAD_SPREAD_H
#define KBUILD_SPREAD_SPREAD_H

#include "run/plan_file.h"

// Appends the plan in a format: "slurm", a script that submits; "github", matrices, a level each;
// "gitlab", a child pipeline; "make", a rule a node. `project` is the reference of the pushed
// project, or NULL: then the jobs run in a checkout like this one.
int spread_print(const char *format, const struct plan *p, const char *project, struct buf *out,
                 struct error **err);

struct spread_request {
    const struct strlist *targets; // the user's words, for the plan
    enum plan_grain grain;
    bool keep_going; // after a failure, with what does not depend on it
    // A new build with the targets added.
    struct build *(*open)(void *context, struct error **err);
    // Before the first job: can results be placed?
    int (*check_places)(void *context, struct error **err);
    // Places the results here, when all of them are in the shared cache. `after_jobs`: how they
    // came there was shown.
    int (*place)(void *context, bool after_jobs, struct error **err);
    // Places after a failure those that are there.
    int (*place_made)(void *context, struct error **err);
    void *context;
};
// Makes the targets on the machines of a Slurm cluster. Inputs that nothing pins are pinned in
// versions.lock first. What the shared cache loses meanwhile is made again, in at most three
// rounds. ERROR_INTERRUPT: the jobs are cancelled.
int spread_run(const struct spread_request *r, struct error **err);

#endif
