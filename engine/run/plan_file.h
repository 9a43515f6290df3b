// SPDX-License-Identifier: Apache-2.0
// The plan as lines of JSON, for running it on several machines. docs/plan.md is its schema.
//
// The first line, the header, says what the keys depend on; each other line is a node, after its
// needs. A machine that makes one node (build_run_node()) compares the header with itself first.
//
// Ownership: what a function returns is the caller's, with json_decref() or free(). A struct plan
// owns its JSON.
#ifndef KBUILD_RUN_PLAN_FILE_H
#define KBUILD_RUN_PLAN_FILE_H

#include "run/run.h"

// The version of the schema. A reader refuses another one.
#define PLAN_VERSION 1

// What one job makes: one node; or an artifact with those of its inputs that are no artifacts
// (sources, builders, root file systems), where starting a job costs more than fetching twice.
enum plan_grain { GRAIN_NODE, GRAIN_ARTIFACT };
extern const char *const plan_grains[]; // "node", "artifact", NULL

struct plan {
    json_t *header;
    json_t *nodes; // an array of the other lines
};
void plan_free(struct plan *p);
#define cleanup_plan __attribute__((cleanup(plan_free)))

// ---- making ----

// Queries the shared cache for all nodes, as a run does, but no content; what only this machine has
// counts as missing. To be called instead of build_evaluate(). An error if no registry is named, or
// if it cannot be used (ERROR_AGAIN, if it did not answer).
int build_ask_shared(struct build *b, struct error **err);
// The plan of what is left to do, with the inputs that it needs and that are there. The graph has
// been evaluated. `targets` are the words of the user, for the header.
int plan_make(struct build *b, const struct strlist *targets, enum plan_grain grain,
              struct plan *out, struct error **err);
// Pushes what the plan has to make and only this machine has. The number of nodes that were pushed,
// after which to plan again; -1: error.
int plan_publish(struct build *b, const struct plan *p, struct error **err);
// Asks the registry for the content of what the plan takes as found, and of the targets: a registry
// may have lost it, and still have its entry. The number of nodes that are to make because of that,
// after which to plan again; -1: error.
int plan_check_content(struct build *b, const struct plan *p, struct error **err);
// Appends all of it as text, a line each.
void plan_print(const struct plan *p, struct buf *out);
// The nodes of the plan that versions.lock does not resolve, as text for a message ("builder:x and
// 2 more"); to be freed. NULL: none. Other machines could not make them.
char *plan_unresolved(const struct plan *p);

// Makes one node of the graph, which has been evaluated: from inputs that are in the store or the
// shared cache, and of those only the ones that `grain` includes are made. What another machine
// made meanwhile is found. Result, record and log are pushed, the log also after a failure.
// ERROR_AGAIN: an input is in no cache, or the network failed; ERROR_STEP: the step failed.
int build_run_node(struct build *b, struct node *node, enum plan_grain grain, struct error **err);

// The log that build_run_node() pushed for the node's key of today, as remote_log_open() gives it.
// If there is none, that of an input that failed and is no artifact: it may have been made along.
struct pushed_log;
int build_remote_log(struct build *b, struct node *node, struct pushed_log *out,
                     struct error **err);

// ---- the project of a plan ----
// One artifact with all that a machine needs to make any node of the plan: recipes, versions.yaml,
// versions.lock, the files of public variables, local folders that are sources, and the plan. No
// secrets.

// Pushes it; *reference, to be freed, names it by its digest.
int plan_push(struct build *b, const struct plan *p, char **reference, struct error **err);
struct project {
    char *folder; // with versions.yaml and recipes/
    struct plan plan;
    struct artifact *sources;
    struct store *store;
};
// Gets it, as far as the cache lacks it. Keeps the cache open, so that nothing of it is removed.
int project_open(const char *cache, const char *reference, struct project *out, struct error **err);
// Adds the folders in it that are sources.
int project_choices(const struct project *p, struct source_choices *out, struct error **err);
void project_close(struct project *p);

// ---- reading ----

// `name` is for messages. Errors (ERROR_USAGE): no plan, another version of the schema, a field
// that is missing or of another type than docs/plan.md says, an id twice, a need that is in no
// earlier line. So what reads a plan need not look for them again.
int plan_parse(const char *name, const char *text, size_t length, struct plan *out,
               struct error **err);
// The line of the node with this id, or NULL.
const json_t *plan_node(const struct plan *p, const char *id);
enum plan_grain plan_grain_of(const struct plan *p);
// The text of a member of an object, or of an item of an array; "" if there is none. Borrowed.
const char *plan_text(const json_t *object, const char *name);
const char *plan_item(const json_t *array, size_t i);

// Prepares this process for a node of the plan, before build_open(): the options that change keys,
// the values of variables (variable_give()), and the environment: without secrets that it does not
// give to the node. `project` is the folder of a project, or NULL. An error (ERROR_USAGE) if a
// variable has another value here. The options borrow from the plan and from *choices.
int plan_apply(const struct plan *p, const json_t *node, const char *project,
               struct build_options *o, struct source_choices *choices, struct error **err);
// Where the project has a variable's file: the i-th of a list, or one of a directory. To be freed.
char *plan_variable_path(const char *project, const char *name, size_t i, const char *base,
                         bool directory);
// Before a plan is used: a login in the environment is for the registry that this machine names,
// and not for any that a plan names (status 2).
int plan_check_login(struct error **err);
// Sets the registry of the plan, for this process; a variable with another value is an error.
int plan_use_registry(const struct plan *p, struct error **err);
// Adds a node of the plan with its needs to the graph. NULL (ERROR_USAGE): it is not in this
// project, or a variable names other files here.
struct node *plan_add_node(struct build *b, const struct plan *p, const json_t *line,
                           struct error **err);
// The same without a plan: searches the recipes for the node with this id. `open` makes an empty
// build for each try; *out gets the one with the node.
struct node *plan_search(struct build *(*open)(void *context, struct error **err), void *context,
                         const char *id, struct build **out, struct error **err);
// Compares the header with this machine and project. An error (ERROR_USAGE) names what differs.
int plan_check(struct build *b, const struct plan *p, struct error **err);
// The same of who signs here, and who is trusted: the planner uses only results that one of its
// keys signed, and what this machine signs must be made of nothing else.
int plan_check_signing(struct build *b, const struct plan *p, struct error **err);

#endif
