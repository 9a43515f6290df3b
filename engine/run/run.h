// SPDX-License-Identifier: Apache-2.0
// Building: recipes and versions.yaml become a graph, the graph is run in parallel, results go to
// the output directory.
//
//   run.c         opens a build, runs its plan    schedule.c    the parallel run of a graph
//   plan.c, plan_source.c  recipes -> nodes       child.c       a node's process: log, reports
//   inputs.c      packages, images -> digests     make.c        the work of that process
//   evaluate.c    keys, what is to be made        node_*.c      making, one kind of node each
//   notes.c       notes on the plan               tarball.c     packing what was made
//   output.c      output directory and its logs   step.c        what a script sees
//   logs.c        opening a log to read it        prebuilt.c    artifacts of others
//   place.c       results -> output directory     checkpoint.c  unfinished work, kept
//   view.c        live view, lines, JSON events   phases.c      --until, kbuild shell
//   se_trust.c    verification of host keys
//   expect.c      how long a plan may take        last_run.c    what is kept for the report
//   trace.c       a trace for other viewers
//   plan_file.c   a plan for several machines     plan_read.c   a node of it, on one of them
//   plan_parse.c  its text                        codec.c       the version in the keys
//   project.c     the files that they need
//   follow.c      jobs on other machines         follow_history.c  what they taught
//
// Four parts have headers of their own: schedule.h, se_trust.h, plan_file.h and follow.h.
//
// Ownership: the build owns its graph and all that it opened; build_close() frees it.
#ifndef KBUILD_RUN_RUN_H
#define KBUILD_RUN_RUN_H

#include "graph/job.h"

// What build_open() checks, and that a registry is named if results are to be pushed: an error if
// these options would be refused, whatever the target. Makes nothing, not even the cache.
int build_check(const struct build_options *o, struct error **err);

// Loads versions.yaml and opens recipes, lock and cache.
struct build *build_open(const struct build_options *o, struct error **err);
void build_close(struct build *b);
struct graph *build_graph(struct build *b);
const struct build_options *build_options(const struct build *b);

// Adds a target and all its needs to the graph. Errors before anything is made: an unknown target,
// an unsupported architecture, a missing required variable, a bad host key document, a cycle.
struct node *build_add_target(struct build *b, const char *name, struct error **err);
// The same for a name that may be a group's: each member counts as named by the user. The nodes are
// appended to `out` (may be NULL), whose array is the caller's.
struct targets {
    struct node **nodes;
    size_t n, cap;
};
int build_add_targets(struct build *b, const char *name, struct targets *out, struct error **err);
// The input of choices between recipes; it borrows *o.
struct recipe_selection recipe_selection_of(struct build *b, struct source_options *o);
// The node of a recipe, with all its needs, not marked as a target. A group has no node, and is an
// error.
struct node *plan_artifact(struct build *b, const struct recipe *r, const struct arch *target,
                           struct error **err);
// Finds out what is cached. With `resolve`, the network is queried for branches, tags and archives
// that the lock lacks, and the answers are recorded; without, such nodes stay NODE_UNKNOWN.
int build_evaluate(struct build *b, bool resolve, struct error **err);

// Makes everything that the targets need, and puts the results in the output directory.
int build_run(struct build *b, struct error **err);
// Makes the output directory, if it is not there: before work whose results go there.
int build_check_output(struct build *b, struct error **err);
// Places the results of the targets, which are in the cache or the shared cache; makes nothing:
// ERROR_AGAIN if one is in neither.
int build_place(struct build *b, struct error **err);
// The same after a failure: places those results that are there, and notes the others as pending,
// as build_run() does.
int build_place_made(struct build *b, struct error **err);
// Keeps what making the nodes took on other machines, as the records say that build_ask_shared()
// got: for the next plan (build_expected_cost()), and for `kbuild report`.
void build_keep_costs(struct build *b);
// Makes only what needs the network: sources, builders and root file systems of the targets.
int build_fetch(struct build *b, struct error **err);
// Queries the distribution again for the packages of builders, root file systems and its own
// sources. Replaces the lines of versions.lock for them.
int build_update(struct build *b, struct error **err);
// Puts these packages into versions.lock.
int build_lock(struct build *b, struct error **err);
// Makes the inputs of a script target and runs its phases up to `phase`, in folders that are kept:
// <output>/<target>/builddir and destdir (checkpoint.c). The cache is not changed.
int build_until(struct build *b, struct node *target, const char *phase, struct error **err);
// Opens an interactive shell in the sandbox of a script target, its inputs made first. *status gets
// the shell's exit status.
int build_shell(struct build *b, struct node *target, int *status, struct error **err);

// The local folder of a source, as text for people; to be freed. NULL for other nodes.
char *node_local_text(const struct node *node);
// Opens the log of a target for reading: of the build that made its result if the result is in the
// cache, else of the last attempt in the output directory. A result made elsewhere has no log here:
// an error that says so. ENOENT: nothing of that name was built into the output directory.
int build_log_open(struct build *b, const char *target, struct error **err);

// The time that a build of an evaluated plan is likely to take: no less than its longest chain, nor
// than all of it spread over the jobs. `order`: graph_order().
struct expected_time {
    size_t to_make;                        // nodes
    size_t unknown;                        // those of them that no record has the time of
    long long all_ms, chain_ms, likely_ms; // of the others
};
void build_expected_time(struct build *b, struct node **order, struct expected_time *out);

// The messages on variables that are set and have no effect on any target.
int ignored_texts(struct recipe_set *set, struct strlist *out, struct error **err);

// ---- for other verbs ----
// RUN_AGAIN: only the targets named by the user, from inputs that are present; nothing is placed.
// RUN_FOUND: as RUN_ALL, but what is in no cache is an error (ERROR_AGAIN).
// RUN_THERE: the same, but what is in no cache is left out.
// RUN_FOLDERS: only sources that are folders of the user.
enum run_what { RUN_ALL, RUN_NETWORK, RUN_INPUTS, RUN_AGAIN, RUN_FOUND, RUN_THERE, RUN_FOLDERS };
int run_nodes(struct build *b, enum run_what what, struct error **err);
// Why the outputs of an artifact are random by design, and what makes them reproducible; NULL: they
// are not random.
const char *build_random(const struct node *node);
// A new log for build_log_path(), to append to. output_log_place() lets it replace an old one; on a
// file system without unnamed files it replaces it at once.
int output_log_open(struct build *b, const char *path, struct error **err);
void output_log_place(struct build *b, const char *path, int log);

// ---- build/targets ----
// <output directory>/targets: the requested files of the directory, whether their build succeeded
// or not. A merge of the directory requires all of them.
//
//   <SHA-256, or "pending"> <file> <target> <architecture>
//
// one line a tarball, sorted by file. "pending" is a file that a run was to make and could not: a
// tarball of that name is then from an earlier run. An interrupted run changes nothing. Runs add to
// the file; a line is replaced when its target is built again, and is removed only by hand.

struct output_target {
    char digest[DIGEST_HEX_SIZE]; // "" if it is pending
    char *file, *target, *arch;
};
struct output_targets {
    struct output_target *items;
    size_t n, cap;
};

// A directory without this file: an empty result.
int output_targets_read(const char *directory, struct output_targets *out, struct error **err);
void output_targets_free(struct output_targets *w);
#define cleanup_output_targets __attribute__((cleanup(output_targets_free)))

// ---- kbuild verify: another environment for a second build ----
// It must not matter: the second build has to give the same bytes (docs/reproducibility.md).

struct variation {
    const char *scratch;  // folder for the step's work; NULL: in the cache, as usual
    bool keep_processors; // do not hide a processor
    bool keep_clock;      // do not shift the time
};
// The differences of this environment, a line each, and in `same` what could not be changed and
// why.
void variation_describe(const struct variation *w, struct strlist *differs, struct strlist *same);

#endif
