// SPDX-License-Identifier: Apache-2.0
// What squeue says of a job: its line, and the state that this means.
#include "spread/internal.h"

#include "base/error.h"
#include "base/process.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

bool slurm_split_line(char *line, char *fields[static FIELDS])
{
    fields[0] = line;
    for (int i = 1; i < FIELDS; i++) {
        fields[i] = strchr(fields[i - 1], '|');
        if (!fields[i])
            return false;
        *fields[i]++ = '\0';
    }
    return true;
}

enum job_state slurm_state_of(const char *word)
{
    static const char *const waiting[] = {"PENDING",      "REQUEUED",     "REQUEUE_HOLD",
                                          "REQUEUE_FED",  "CONFIGURING",  "SUSPENDED",
                                          "SPECIAL_EXIT", "RESV_DEL_HOLD"};
    static const char *const running[] = {"RUNNING", "COMPLETING", "STAGE_OUT", "STOPPED",
                                          "SIGNALING"};
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++)
        if (!strcmp(word, waiting[i]))
            return JOB_SUBMITTED;
    for (size_t i = 0; i < ARRAY_LEN(running); i++)
        if (!strcmp(word, running[i]))
            return JOB_RUNNING;
    return !strcmp(word, "COMPLETED")   ? JOB_DONE
           : !strcmp(word, "CANCELLED") ? JOB_CANCELLED
                                        : JOB_FAILED;
}

static void replace(char **text, const char *by)
{
    free(*text);
    *text = xstrdup(by);
}

void slurm_say(struct job_elsewhere *j, const char *why)
{
    replace(&j->said, why);
}

// States of jobs that neither their script nor their user ended: their machine did,
static bool is_about_machine(const char *word)
{
    return !strcmp(word, "NODE_FAIL") || !strcmp(word, "BOOT_FAIL");
}

// or the controller.
static bool is_about_controller(const char *word)
{
    return !strcmp(word, "PREEMPTED") || !strcmp(word, "REVOKED");
}

// A job that will never start, and that nobody but its user or the administrator ends.
static bool waits_for_ever(const char *reason)
{
    static const char *const reasons[] = {"DependencyNeverSatisfied",
                                          "PartitionConfig",
                                          "launch_failed_requeued_held",
                                          "launch failed requeued held",
                                          "job_requeued_in_held_state",
                                          "job requeued in held state",
                                          "JobHeldUser",
                                          "JobHeldAdmin",
                                          "PartitionDown",
                                          "BadConstraints"};
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (!strcmp(reason, reasons[i]))
            return true;
    return false;
}

// It waits for, or Slurm cancelled it since it waited for, a job that did not succeed. A user who
// cancels a job leaves the reason that it had, as "Dependency".
static bool is_about_needs(const char *reason)
{
    return !strcmp(reason, "DependencyNeverSatisfied");
}

// No machine that it may get will be there.
static bool is_nowhere(const char *reason)
{
    return starts_with(reason, "ReqNodeNotAvail, UnavailableNodes") ||
           starts_with(reason, "ReqNodeNotAvail,_UnavailableNodes") ||
           starts_with(reason, "Nodes required for job are DOWN");
}

// As a shell says it: 128 and the number of a signal that ended the script. -1: it is not the
// script's, but that of a limit, or of who cancelled it.
static int status_of(const char *state, int status)
{
    const bool own = !strcmp(state, "FAILED") || !strcmp(state, "COMPLETED");
    if (!strcmp(state, "OUT_OF_MEMORY"))
        return 128 + SIGKILL;
    return !own || status <= 0   ? -1
           : WIFEXITED(status)   ? WEXITSTATUS(status)
           : WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                 : -1;
}

// The status is that of wait(2). Success is a state, never a status: a lost job has the status 0.
void slurm_set_state(struct job_elsewhere *j, char *const fields[static FIELDS], const char *said)
{
    j->state = slurm_state_of(fields[STATE]);
    j->status = status_of(fields[STATE], (int)strtol(fields[STATUS], NULL, 10));
    j->found = j->state == JOB_DONE && !strcmp(said, JOB_FOUND);
    if (j->state != JOB_SUBMITTED)
        replace(&j->where, fields[WHERE]);
    if (j->state == JOB_FAILED)
        replace(&j->said, *said ? said : fields[STATE]);
    // None of those that it needs has failed, if nobody knows of it: the number was another job's.
    if (j->state == JOB_CANCELLED && is_about_needs(fields[REASON])) {
        j->status = ERROR_AGAIN;
        j->replan = true;
        replace(&j->said, "Slurm gave the number of a job that it needs to another one");
    }
    j->replan |= is_about_controller(fields[STATE]);
    if (is_about_machine(fields[STATE]) || is_about_controller(fields[STATE]))
        j->status = ERROR_AGAIN;
    if (j->state == JOB_SUBMITTED) {
        free(j->waits);
        j->waits = xasprintf("squeue says %s", fields[REASON]);
    }
    const bool nowhere = j->state == JOB_SUBMITTED && j->not_on.n && is_nowhere(fields[REASON]);
    j->nowhere_ms = !nowhere ? 0 : j->nowhere_ms ? j->nowhere_ms : now_ms();
    if (j->state == JOB_SUBMITTED && waits_for_ever(fields[REASON])) {
        j->stuck = true;
        replace(&j->said, fields[REASON]);
    }
}

// Its machine could not start it, and Slurm holds it; after a restart of the controller also since
// the machine still has another job of its number.
static bool was_not_launched(const char *reason)
{
    return starts_with(reason, "launch failed") || starts_with(reason, "launch_failed");
}

void slurm_set_stuck(struct job_elsewhere *j)
{
    j->replan = is_about_needs(j->said);
    if (j->replan || was_not_launched(j->said))
        j->status = ERROR_AGAIN;
}
