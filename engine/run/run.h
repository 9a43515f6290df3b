// SPDX-License-Identifier: Apache-2.0
// Building: recipes and versions.yaml become a graph, the graph is run in parallel, results go to
// the output directory.
//
//   build.c         opens the state of a run        run.c         what to make, what to keep
//   plan*.c         recipes -> nodes                schedule.c    the parallel run; knows no recipe
//   evaluate.c      keys, what is to be made        child.c       starts a node's process
//   packages.c      packages of a node, pins        report.c      reports of that process
//   local.c         --source NAME=DIR               outcome.c     the result of that process
//   make.c          the work of that process        node_*.c      making, one kind of node each
//   step.c          what a script sees              sign.c        signs what a script leaves
//   output.c        output directory and logs       place.c       results -> output directory
//   tarball.c       a result -> a tarball           view.c        live view, lines, JSON events
//   steplog.c       the output of a step            until.c       stopping between phases
//   work.c          unfinished work, kept           prebuilt.c    artifacts of others
//   image_pin.c     image names -> digests          shell.c       interactive shell in a step
//   world.c         a second build environment      wanted.c      build/targets
//   ignored.c       variables without effect
#ifndef KBUILD_RUN_RUN_H
#define KBUILD_RUN_RUN_H

#include "graph/build.h"

// Loads versions.yaml and opens recipes, lock and cache.
struct build *build_open(const struct build_options *o, struct error **err);
void build_close(struct build *b);
struct graph *build_graph(struct build *b);
struct recipe_set *build_recipes(struct build *b);
const struct versions *build_versions(const struct build *b);
struct store *build_store(struct build *b);
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
// Finds out what is cached. With `resolve`, the network is queried for branches, tags and archives
// that the lock lacks, and the answers are recorded; without, such nodes stay NODE_UNKNOWN.
int build_evaluate(struct build *b, bool resolve, struct error **err);

// Makes everything that the targets need, and puts the results in the output directory.
int build_run(struct build *b, struct error **err);
// Makes only what needs the network: sources, builders and root file systems of the targets.
int build_fetch(struct build *b, struct error **err);
// Queries the distribution again for the packages of builders, root file systems and its own
// sources. Replaces the lines of versions.lock for them.
int build_update(struct build *b, struct error **err);
// Puts these packages into versions.lock.
int build_lock(struct build *b, struct error **err);
// Makes the inputs of a script target and runs its phases up to `phase`, in folders that are kept:
// <output>/<target>/builddir and destdir (work.h). The cache is not changed.
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

// The messages on variables that are set and have no effect on any target.
int ignored_texts(struct recipe_set *set, struct strlist *out, struct error **err);

// ---- for other verbs ----
// RUN_AGAIN: only the targets named by the user, from inputs that are present; nothing is placed.
enum run_what { RUN_ALL, RUN_NETWORK, RUN_INPUTS, RUN_AGAIN };
int run_nodes(struct build *b, enum run_what what, struct error **err);
// Why the outputs of an artifact are random by design, and what makes them reproducible; NULL: they
// are not random.
const char *build_random(const struct node *node);
// A new log for build_log_path(), to append to. output_log_place() lets it replace an old one; on a
// file system without unnamed files it replaces it at once.
int output_log_open(struct build *b, const char *path, struct error **err);
void output_log_place(struct build *b, const char *path, int log);

#endif
