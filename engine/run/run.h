// SPDX-License-Identifier: Apache-2.0
// Building: recipes and versions.yaml become a graph, the graph is run in parallel, results land in
// the output directory.
//
//   build.c       what a run works with, opened      run.c         what a run is for, what is kept
//   of it plan*.c       recipes -> nodes                   schedule.c    the parallel run: tasks,
//   and no recipe evaluate.c    keys, what is to be made           child.c       a node's process,
//   as the scheduler sees it packages.c    packages of a node, pins           report.c      what
//   that process says; outcome.c at its end local.c       --source NAME=DIR                  make.c
//   what it does; node_*.c, one kind each place.c       results -> output directory        step.c
//   what a script sees; sign.c what it leaves output.c      that directory, and its logs tarball.c
//   a result -> a tarball view.c        live view, lines, JSON events      steplog.c     what a
//   step prints until.c       stopping between phases            work.c        half-made work that
//   stays prebuilt*.c   artifacts of others                image_pin.c   names in registries ->
//   digests shell.c       looking around                     world.c       what must not matter to
//   a result wanted.c      build/targets                      ignored.c     variables that change
//   nothing
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

// Adds a target and all it needs to the graph. An unknown target, an architecture that it does not
// support, a missing required variable, a bad host key document, and a cycle are errors here,
// before anything is made.
struct node *build_add_target(struct build *b, const char *name, struct error **err);
// The same for a name that may be a group's: its members, each as if asked for by name. Their nodes
// are added to `out`, whose array is the caller's; it may be NULL.
struct targets {
    struct node **nodes;
    size_t n, cap;
};
int build_add_targets(struct build *b, const char *name, struct targets *out, struct error **err);
// Finds out what is cached. With `resolve`, branches, tags and archives that the lock does not know
// are asked of the network (and recorded); without, such nodes stay NODE_UNKNOWN.
int build_evaluate(struct build *b, bool resolve, struct error **err);

// Makes everything that the targets want, and puts the results in the output directory.
int build_run(struct build *b, struct error **err);
// Makes only what needs the network: sources, builders and root file systems of the targets.
int build_fetch(struct build *b, struct error **err);
// Asks the distribution anew which packages builders, root file systems and its own sources are
// made of. Lines of versions.lock that name them are replaced.
int build_update(struct build *b, struct error **err);
// Puts what they are made of into versions.lock.
int build_lock(struct build *b, struct error **err);
// Makes the inputs of a script target and runs its phases up to this one, in folders that stay:
// <output>/<target>/builddir and destdir (work.h). The cache gets nothing.
int build_until(struct build *b, struct node *target, const char *phase, struct error **err);
// Opens an interactive shell in the sandbox of a script target, its inputs made first. *status gets
// the shell's exit status.
int build_shell(struct build *b, struct node *target, int *status, struct error **err);

// Of a source that is somebody's own files: which, for people; to be freed. NULL for other nodes.
char *node_local_text(const struct node *node);
// The log of a target, to read from: of the build that made its result if that is in the cache,
// else of the last attempt in the output directory. A result that was made elsewhere has none here:
// an error that says so. ENOENT: nothing of that name was built into the output directory.
int build_log_open(struct build *b, const char *target, struct error **err);

// What is to be said of variables that are set and change nothing in any target.
int ignored_texts(struct recipe_set *set, struct strlist *out, struct error **err);

// ---- what other verbs are made of ----
// RUN_AGAIN: only what was asked for by name, from inputs that are there; nothing is placed.
enum run_what { RUN_ALL, RUN_NETWORK, RUN_INPUTS, RUN_AGAIN };
int run_nodes(struct build *b, enum run_what what, struct error **err);
// Why the outputs of an artifact are random by intent, and what makes them the same each time;
// NULL: they are not.
const char *build_random(const struct node *node);
// A new log for build_log_path(), to append to. It takes the place of an old one with
// output_log_place(), at once where the file system knows no files without a name.
int output_log_open(struct build *b, const char *path, struct error **err);
void output_log_place(struct build *b, const char *path, int log);

#endif
