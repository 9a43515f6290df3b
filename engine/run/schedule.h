// SPDX-License-Identifier: Apache-2.0
// The parallel run of a graph: which nodes are wanted, which may start, a process each. It knows
// nodes and no recipes: the caller sets what the run makes (struct task, filled in before) and how
// a node is looked up, made and kept (struct schedule_actions).
#ifndef KBUILD_RUN_SCHEDULE_H
#define KBUILD_RUN_SCHEDULE_H

#include "graph/graph.h"
#include "run/report.h"
#include "run/steplog.h"

#include <sys/types.h>

// The state of a node in a run. The scheduler owns it; others read it.
struct task {
    struct node *node;
    // The aim of the run, set before it starts.
    bool root;        // wanted for itself
    bool left_alone;  // not made by this run
    bool only_inputs; // of this root, only the inputs are wanted

    bool wanted;       // by a root, in the current state
    size_t waits;      // number of inputs whose outputs are not in the store yet
    bool counted_here; // its dependants no longer wait for it
    struct task **dependants;
    size_t dependant_count, dependant_cap;

    // Its process, while it runs.
    pid_t pid;
    bool waiting; // for another process, with no other report since
    int events;   // read end of its report, or -1
    struct buf pending;
    char *progress; // "1.2 of 3.4 MB", or NULL
    struct steplog log;

    // The result. OUTCOME_NONE: it did not run.
    struct outcome outcome;
    long long started_ms, took_ms; // of the monotonic clock
    long long cpu_ms;              // of its process and all descendants
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

#endif
