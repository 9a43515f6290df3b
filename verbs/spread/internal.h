// SPDX-License-Identifier: Apache-2.0
// The jobs of a plan, and what an engine is told of each.
//
// Ownership: a job list borrows from its plan and owns all else; job_list_free() releases it.
#ifndef KBUILD_SPREAD_INTERNAL_H
#define KBUILD_SPREAD_INTERNAL_H

#include "run/follow.h"
#include "spread/spread.h"

// Features of machines that a constraint names beside architectures.
#define FEATURE_NETWORK "network" // may fetch sources and packages
#define FEATURE_TRUSTED "trusted" // has the secrets of the plan

// One job of an engine: it makes one node.
struct job_request {
    const char *id;     // of the node; two jobs of one id must not run at once
    const char *name;   // for people: the node's label
    const json_t *line; // of the plan
    char *command;      // `kbuild run ...`, quoted for a shell
    bool project;       // the command needs no checkout and no variables of the environment
    char *constraint;   // the features that its machine must have: "x86_64&network"; NULL: none
    long long cpus, mem_mib;   // 0: no record says it
    long long path_ms;         // from its begin to the end of all that needs it; at least that of
                               // each job that needs this one
    size_t *needs, need_count; // places in the list of jobs that must have succeeded before
    size_t level;              // 0: it needs no other job; else one more than the highest it needs
};

struct job_list {
    struct job_request *items;
    size_t n;
};

// The jobs of the plan's nodes that are left to make: the longest path first, and so each after all
// that it needs. `project` as in spread_print().
int job_list_make(const struct plan *p, const char *project, struct job_list *out,
                  struct error **err);
void job_list_free(struct job_list *l);
#define cleanup_job_list __attribute__((cleanup(job_list_free)))

// The pauses in seconds between the tries of a command that exits with 75; 0: there is no other.
#define TRY_PAUSES "10 30 0"

// ---- Slurm ----

// Slurm as an engine, for the jobs of this list.
struct slurm {
    const struct job_request **by_line; // sorted by the address of their lines
    size_t n;
    char session[17];               // random: it is in the mark of each job
    bool answered;                  // the controller has, once
    long long silent_ms, refuse_ms; // since when it answers no question, takes no job; 0: it does
    long long full_ms;              // since when there is no place for a job, and none has one
    bool said_full;                 // that there is none
    size_t open;                    // jobs that were submitted and have not ended
    long long patience_ms;          // so long it may be silent
    long long lost_ms;              // not shown for so long, a job is lost
    int interrupt_ms;               // so long an interrupt waits for a program; 0: to its end
};
// Borrows the list. An error if there are no random bytes: two runs would have the same marks.
int slurm_open(struct slurm *s, const struct job_list *jobs, struct error **err);
struct engine slurm_engine(struct slurm *s); // borrows it
void slurm_close(struct slurm *s);

// A line of squeue.
enum slurm_field { ID, STATE, REASON, WHERE, STATUS, NAME, COMMENT, FIELDS };
#define SQUEUE_FORMAT "JobID:|,State:|,Reason:|,NodeList:|,exit_code:|,Name:|,Comment:"
// False: it is none. The fields are parts of the line.
bool slurm_split_line(char *line, char *fields[static FIELDS]);
// Of Slurm's word for a state.
enum job_state slurm_state_of(const char *word);
// Sets what the fields say of the job; `said` is its own comment, behind the mark.
void slurm_set_state(struct job_elsewhere *j, char *const fields[static FIELDS], const char *said);
// The status of a job that will never start, for the reason that it has said.
void slurm_set_stuck(struct job_elsewhere *j);
void slurm_say(struct job_elsewhere *j, const char *why);

// The script of a job, for sbatch: at most three tries while the command exits with 75, each after
// a longer pause, but one for an input that no cache has (INPUT_LOST); every other exit status is
// the script's own. Its last error becomes the job's comment, after the mark (or ""), and
// JOB_FOUND, if its first try found the node. To be freed.
#define JOB_FOUND "found"
char *job_script(const struct job_request *job, const char *mark);
// Adds the options of sbatch for the job, but for its dependencies: name, constraint, resources,
// what happens to it if a dependency fails or its machine dies.
void job_sbatch_options(const struct job_request *job, struct strlist *out);
// Adds the option with its dependencies: `after` are the numbers of the jobs that must have
// succeeded; another job of its name must have ended, too, whoever submitted it.
void job_sbatch_dependency(const struct strlist *after, struct strlist *out);

// Appends a word that a POSIX shell reads as this text.
void shell_quote(struct buf *out, const char *text);

#endif
