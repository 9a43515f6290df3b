// SPDX-License-Identifier: Apache-2.0
// The parallel run of a graph: which nodes are wanted, which may start, a process each. It knows
// nodes and no recipes: the caller sets what the run makes (struct task, filled in before) and how
// a node is looked up, made and kept (struct schedule_actions). Also what a node's process says to
// the scheduler: its log, its reports, and the outcome.
#ifndef KBUILD_RUN_SCHEDULE_H
#define KBUILD_RUN_SCHEDULE_H

#include "base/error.h"
#include "base/memory.h"
#include "graph/graph.h"

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

// ---- outcome ----
// The result of one node: written once, by the process that makes it, and read once, by the
// scheduler.

enum outcome_kind {
    OUTCOME_NONE,          // its process ended without a report
    OUTCOME_MADE,          // here
    OUTCOME_FOUND,         // another process made it meanwhile
    OUTCOME_PULLED,        // from the shared cache
    OUTCOME_DAMAGED_INPUT, // an input was damaged, and has been moved aside
    OUTCOME_SHARED_LOST,   // the shared cache no longer has the outputs
    OUTCOME_FAILED
};

struct outcome {
    enum outcome_kind kind;
    json_t *record;      // of what was made, found or pulled; else NULL
    struct error *error; // of the last three; its subject is the id of a damaged input
};

// Did it succeed?
bool outcome_is_good(const struct outcome *o);
void outcome_free(struct outcome *o); // leaves OUTCOME_NONE
// As a line of the process's report, and back. outcome_read(): false if the line is no outcome.
json_t *outcome_json(const struct outcome *o);
bool outcome_read(const json_t *event, struct outcome *out);

// ---- reports ----
// What a node's process tells while it works: one JSON object a line.
//   {"phase": "packing"}
//   {"waiting": "for another kbuild"}: nothing is done yet
//   {"progress": {"what", "done", "total", "unit"}}
//   {"log": "text", "warning": true}
//   an outcome, as the last one

// From here on this process reports to this descriptor, which stays open: log lines, progress,
// phases.
void report_open(int fd);
void report_waiting(const char *what);
// An input of the node is damaged: that input is made again, then the node.
int input_damaged(const struct node *input, struct error **err);
void report_outcome(const struct outcome *o);

// Reading: the kinds of report lines.
enum report_kind {
    REPORT_NOTHING,
    REPORT_WAITING,
    REPORT_PHASE,
    REPORT_PROGRESS,
    REPORT_NOTE,
    REPORT_WARNING,
    REPORT_OUTCOME
};
// *text gets the text of the five kinds that have one, to be freed; *outcome that of the last kind.
enum report_kind report_read(const char *line, char **text, struct outcome *outcome);

// ---- the log of a node ----
// A pipe that its process and its steps write to, and a file that only kbuild opens. A step with
// the file itself could change its mode or content, or write to it after its end.

struct steplog {
    char *path;     // for people; NULL: there is none
    int pipe, file; // read from the pipe, written to the file; or -1
    bool cut;       // the file could not be written
    bool placed;    // the file has its name
};
#define STEPLOG_NONE                                                                               \
    {                                                                                              \
        .pipe = -1, .file = -1                                                                     \
    }

// Begins a log in an open file; takes over file and path. Returns the write end of the pipe.
int steplog_open(struct steplog *l, char *path, int file, struct error **err);
// Copies what has arrived into the file; closes the pipe at its end. True if something arrived.
bool steplog_copy(struct steplog *l);
void steplog_tail(const struct steplog *l, struct buf *out); // the last lines, 16 KiB at most
// The last `limit` bytes. Whether that is all of it.
bool steplog_end_of(const struct steplog *l, size_t limit, struct buf *out);
void steplog_end(struct steplog *l); // ends it; the path stays
void steplog_close(struct steplog *l);

// ---- tasks ----

// A phase ends where the next one begins, the last one with the process.
struct task_phase {
    char *name;
    long long began_ms; // of the monotonic clock
};

// The state of a node in a run. The scheduler owns it; others read it.
struct task {
    struct node *node;
    // The aim of the run, set before it starts.
    bool root;              // wanted for itself
    bool excluded_from_run; // not made by this run
    bool only_inputs;       // of this root, only the inputs are wanted

    bool wanted;            // by a root, in the current state
    size_t waits;           // number of inputs whose outputs are not in the store yet
    bool counted_as_stored; // its dependants no longer wait for it
    struct task **dependants;
    size_t dependant_count, dependant_cap;

    // Its process, while it runs.
    pid_t pid;
    bool waiting; // for another process, with no other report since
    bool pulled;  // from the shared cache, where it was found
    int events;   // read end of its report, or -1
    struct buf pending;
    char *progress; // "1.2 of 3.4 MB", or NULL
    char *where;    // the machine, if that is another one; or NULL
    struct steplog log;
    char *log_hint; // how to read it, for an error; or NULL

    // The result. OUTCOME_NONE: it did not run.
    struct outcome outcome;
    long long started_ms, took_ms; // of the monotonic clock
    long long cpu_ms;              // of its process and all descendants
    long peak_kib;                 // resident, of the largest of these
    struct task_phase *phases;     // in order; waiting for another process is one
    size_t phase_count, phase_cap;
};

struct schedule {
    struct task *tasks; // needs first
    size_t n;
    size_t *places; // of a node in tasks, by its index in the graph
};

struct schedule_actions {
    void *context;
    // Computes a node's key, finds its outputs, and sets its state. Called when the outputs of its
    // inputs are known, and may be called again.
    int (*look_up)(void *context, struct node *node, struct error **err);
    // Opens a log for its process, and returns the descriptor to write to.
    int (*open_log)(void *context, struct task *t, struct error **err);
    // Gives that log its name; may be NULL.
    void (*place_log)(void *context, struct task *t);
    // In a process of its own: makes the node.
    void (*make)(void *context, struct node *node, struct outcome *out);
    // Keeps a good outcome: its record's outputs become the node's.
    int (*keep)(void *context, struct task *t, struct error **err);
    // The shared cache lacks outputs that it listed: look_up() must not set NODE_SHARED again. May
    // be NULL.
    void (*forget_shared)(void *context, struct node *node);
    // At the end of a batch of look_up().
    int (*looked_up)(void *context, struct error **err);
    // For the display; each may be NULL.
    void (*started)(void *context, const struct task *t);
    void (*progressed)(void *context, const struct task *t);
    void (*waiting)(void *context, const struct task *t); // for another process that makes the same
    void (*ended)(void *context, const struct task *t,
                  const struct error *why); // finding it also counts as an end
    void (*tick)(void *context);            // about ten times a second
};

struct schedule_limits {
    unsigned jobs;
    bool keep_going; // after a failure, with the nodes that do not depend on it
};

// The graph's nodes in order, none wanted yet. A cycle is an error.
int schedule_open(struct schedule *s, const struct graph *g, struct error **err);
struct task *schedule_task(const struct schedule *s, const struct node *node);
// Marks what the roots want, given the states of the nodes; true if some of it is to be made.
bool schedule_want(struct schedule *s);
// Looks up nodes that the caller's action made known, and marks again what is wanted.
int schedule_look_up(struct schedule *s, const struct schedule_actions *a, struct error **err);
// Makes what is wanted. *failure gets the first failure of a node, which does not make the call
// fail; the call fails if the run is interrupted, or if an action fails.
int schedule_run(struct schedule *s, const struct schedule_actions *a,
                 const struct schedule_limits *limits, struct error **failure, struct error **err);
void schedule_close(struct schedule *s);

// ---- the process of a node, for the scheduler ----

struct child_setup {
    const struct schedule_actions *actions;
    const sigset_t *mask; // of signals, as it was before the run blocked some
    int signals;          // the scheduler's signalfd, closed in the child
};
// Starts the process, in a process group of its own.
int child_start(struct task *t, const struct child_setup *c, struct error **err);
void task_forget_phases(struct task *t);
// Reads its report; closes t->events at the end.
void child_read(struct task *t, const struct schedule_actions *a);
// Copies its log.
void child_copy_log(struct task *t, const struct schedule_actions *a);
// Reads report and log to their ends: after that no process of the node is running.
void child_drain(struct task *t, const struct schedule_actions *a);

#endif
