// SPDX-License-Identifier: Apache-2.0
// Follows a plan whose jobs run elsewhere: submits them to an engine, asks it for their states, and
// shows them as a run on this machine shows its nodes.
//
// An engine starts a job after those that it needs, tries a job of a dead machine again on another,
// and says what became of a job. What it runs is `kbuild run` (run/plan_file.h).
#ifndef KBUILD_RUN_FOLLOW_H
#define KBUILD_RUN_FOLLOW_H

#include "run/plan_file.h"

enum job_state {
    JOB_WAITING,   // not submitted yet
    JOB_SUBMITTED, // waits for its needs or for a machine
    JOB_RUNNING,
    JOB_DONE,
    JOB_FAILED,
    JOB_CANCELLED // by its user, or since a need failed
};

// One line of a plan that is to be made.
struct job_elsewhere {
    const json_t *line;
    enum job_state state;
    char *id;    // the engine's, once submitted
    char *where; // the machine; or NULL
    int status;  // exit status of a job that failed or was cancelled; -1: unknown
    struct node *node;
    struct job_elsewhere **needs;
    size_t need_count;
    long long path_ms; // the longest path is submitted first,
    size_t place;      // and the earlier in the plan
    char *said;        // why it failed, in the words of the job; or NULL
    char *waits;       // why it does not start, in the words of the engine; or NULL
    bool found;        // the job found its node, and did not make it
    bool replan;       // it failed, and only another plan says what is to be done now
    // Machines that it must not get; if the engine has no other, `nowhere` and JOB_FAILED.
    struct strlist not_on;
    bool nowhere;
    unsigned tries;       // that failed, before this one
    unsigned submissions; // before this one
    bool orphan;          // its submission is lost, since a need is tried again
    bool anywhere;        // also on machines where it failed
    struct error *last;   // why the try before this one failed; or NULL
    int last_status;      // with it
    // The engine's own: it knows the job; it will never start; a submission may have succeeded.
    bool seen, stuck, unsure;
    long long unseen_ms;  // since when it does not know it; 0: it does
    long long nowhere_ms; // since when no machine but those of `not_on` can take it; 0: one can
};

struct engine {
    void *context;
    const char *name;
    // Submits a job, and sets its id. `needs` that are done need not be named to the engine. 1: the
    // engine does not answer now, or takes no more jobs, and is to be asked again later; 2: no
    // machine fits but those of `not_on`. Ending signals are blocked: one that comes meanwhile
    // should not wait for long, and is left pending.
    int (*submit)(void *context, struct job_elsewhere *job, struct error **err);
    // Sets state, where, status (128 and the signal's number after a death by signal) of those that
    // were submitted and have not ended. It may give up for an ending signal (ERROR_INTERRUPT),
    // too, until all jobs were cancelled.
    int (*poll)(void *context, struct job_elsewhere *jobs, size_t n, struct error **err);
    // Cancels those jobs that were submitted, or may have been, and have not ended; with `waiting`
    // only those that do not run yet. One that was submitted without an answer becomes
    // JOB_SUBMITTED. The next polls say what became of them.
    int (*cancel)(void *context, struct job_elsewhere *jobs, size_t n, bool waiting,
                  struct error **err);
    // Keeps jobs that wait from the machines of their `not_on`, which was the same for all of them
    // and has grown. It need not succeed.
    void (*avoid)(void *context, struct job_elsewhere *const *jobs, size_t n);
};

struct follow_limits {
    size_t window;    // jobs that are submitted and have not ended, at most
    unsigned poll_ms; // between two questions, at most; less in a short run
    unsigned idle_ms; // for which nothing runs, until it is said why; 0: never
    bool keep_going;  // after a failure, with the jobs that do not depend on it
    unsigned tries;   // of a job whose machine seems to be at fault, at most; 0: one
    // The reference of the pushed project, for a hint that has the log of a failure; or NULL.
    const char *project;
};

// What was learned of nodes and machines, over all plans of a run. {0} to begin with; freed with
// follow_history_free().
struct follow_history {
    struct strlist failed;  // ids of nodes that failed for good: they are not tried again
    struct strlist logs;    // of these: whose step failed, so that there is a log
    struct error *worst;    // why: of a step, if one failed; or NULL
    struct error *again;    // of a node that can be made after another plan only; or NULL
    struct strlist avoided; // machines that get no more jobs
    json_t *tries;          // id -> machines of its tries that failed, in their order
    json_t *machines;       // name -> ids of different jobs that failed there in a row
};
void follow_history_free(struct follow_history *h);

// Runs all jobs of the plan but those of nodes that failed for good, and those that need them. A
// job whose machine may be at fault (a status that is not that of a failed step, a death by
// signal) is tried again on another machine; a machine where several failed in a row gets no more.
// 1: some failed, and the history says why; -1: an error of the engine, or after an interrupt, when
// no job is left: ERROR_INTERRUPT.
int plan_follow(struct build *b, const struct plan *p, const struct engine *e,
                const struct follow_limits *limits, struct follow_history *history,
                struct error **err);

#endif
