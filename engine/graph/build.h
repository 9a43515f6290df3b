// SPDX-License-Identifier: Apache-2.0
// The state of one run: the user's options, and the files opened for it. docs/keys.md lists which
// of it is part of a key.
#ifndef KBUILD_GRAPH_BUILD_H
#define KBUILD_GRAPH_BUILD_H

#include "graph/graph.h"
#include "recipe/lock.h"
#include "recipe/recipe.h"
#include "recipe/versions.h"
#include "source/source.h"
#include "store/store.h"

// Version of how steps, initrds and images are made; part of every artifact's key. Raise it when
// the same inputs would give other bytes.
#define RUN_FORMAT "4"

enum remote_use { REMOTE_AUTO, REMOTE_OFF, REMOTE_REQUIRE }; // the shared cache
enum view_style { VIEW_AUTO, VIEW_PLAIN, VIEW_LIVE, VIEW_JSON };

// All options from the command line and the environment. Strings are borrowed.
struct build_options {
    const char *versions;           // path of versions.yaml
    const char *recipes;            // directory
    const char *cache;              // directory
    const char *output;             // directory, "build"
    const struct arch *output_arch; // {arch} in it was replaced by this one; or NULL
    const struct arch *arch; // of the target; NULL: the host's, or the only one a target supports
    unsigned jobs;           // at least 1
    bool debian;             // sources from the distribution
    const struct source_choices *choices; // of single sources; or NULL
    bool offline, locked, keep_going;
    bool use_cache;    // no: remake the targets and the artifacts they need
    bool host_builder; // --builder=host
    bool quiet;
    bool go_on;                // --continue: targets resume from the work that --until left
    const char *prebuilt;      // artifacts to take instead of make (prebuilt.h); or NULL
    const struct world *world; // set: results are compared and not kept (world.h)
    enum view_style view;
    enum remote_use remote;
};

struct remote;
struct trusted_keys; // share/vouch.h
struct build {
    struct build_options options;
    struct versions *versions;
    struct recipe_set *recipes;
    struct lock *lock;
    struct store *store;
    struct graph graph;
    struct distribution host;     // this machine's
    struct mirrors *mirrors;      // its package mirrors, while a run uses them; or NULL
    bool own_sources;             // `kbuild verify`: sources come from their origin
    struct remote *remote;        // the shared cache (share/share.h), or NULL
    struct trusted_keys *trusted; // of KBUILD_TRUSTED_KEYS; NULL: all are trusted
    bool told_untrusted;          // the warning about unsigned cache content was shown
    char *versions_digest;
    struct strlist notes; // notes on the plan, shown to the user now and at the end
    struct strlist asked, source_names; // the targets, and the names of their possible sources
    bool targets_added;
    bool output_open; // output.c
    int output_fd;
    const char *until; // the phase to stop after; a step's result is its folder then (until.c)
};

// Architecture that the node's output is for; NULL for a source.
const struct arch *node_arch(const struct node *node);
bool node_is_target(const struct node *node); // asked for by name
// The key text of the last successful build of this node, or NULL; to be freed.
char *build_last_key_text(struct build *b, const struct node *node);
// The cost of the build that made the node's outputs, for people: "1.0 s, of processors 0.9 s,
// largest process 12 MB"; to be freed. NULL: no record has it.
char *build_cost_text(struct build *b, const struct node *node);
// The path of the log with this label; to be freed.
char *build_log_path(const struct build_options *o, const char *label);

#endif
