// SPDX-License-Identifier: Apache-2.0
// What a node is: its recipe, its roles, its values. Made by the planner; what happens to it in a
// run is its task's (run/schedule.h).
#ifndef KBUILD_GRAPH_JOB_H
#define KBUILD_GRAPH_JOB_H

#include "graph/build.h"

#include <jansson.h>

struct work; // run/work.h

// The value of one declared variable.
struct variable_value {
    const struct recipe_variable *variable;
    char *text;             // text and yes-no; a file's or directory's path as the user gave it
    struct strlist files;   // absolute paths, in the order of their names
    struct strlist digests; // of those
};

enum role_kind { ROLE_SOURCE, ROLE_BUILDER, ROLE_ROOTFS, ROLE_ARTIFACT };
// What an input is to the node that needs it.
struct role {
    enum role_kind kind;
    const char *name; // /src/<name>, /deps/<name>
    struct node *node;
};

// What the plan and the records know of a node (node->data); what happens to it in a run is its
// task's (schedule.h).
struct job {
    const char *label; // the node's
    const struct recipe *recipe;
    const struct arch *target;
    bool asked;          // named by the user
    bool placed;         // its tarballs go to the output directory
    bool used;           // by the verb itself: made, but not put anywhere
    bool made;           // by this process: its record counts, also where none of the cache does
    bool asked_shared;   // the shared cache was asked for it
    struct entry *entry; // and has this of it (share/share.h); or NULL
    struct role *roles;
    size_t role_count, role_cap;
    struct variable_value *values;
    size_t value_count;
    struct strlist constants; // the recipe's environment, filled in: "NAME=value"
    struct strlist fetched;   // what was fetched to judge the inputs: address, SHA-256, and so on
    // sources
    struct source_spec spec;
    struct source_pin pin;
    const struct recipe_list *list;    // of a list
    struct strlist arguments;          // its script's, filled in
    char list_script[DIGEST_HEX_SIZE]; // of what it runs: all files that it sees, and its arguments
    // builders and root file systems
    struct strlist packages, same; // names; groups of them that have one version
    struct distribution distribution;
    char *setup;       // absolute path of the setup script, or NULL
    struct work *work; // of an artifact: what it resumes from (--continue), or NULL
    char *image_name;  // of a builder: the image that it is instead of packages, or NULL
    char *prebuilt;    // where an artifact is taken from instead of made (prebuilt.h), or NULL
    char image_digest[DIGEST_HEX_SIZE]; // of either, once it is known
    char package_list[DIGEST_HEX_SIZE]; // of what packages are resolved to, once it is known
    bool pin_fresh;                     // of the image: this run found its digest out
    char *summary;                      // what the user should know of the result, or NULL
};

static inline struct job *job_of(const struct node *node)
{
    return node->data;
}

// ---- variables.c ----
// `target` may be NULL, and so may `release`, of which variables_follow_release() says whether it
// is wanted: the version of Kata Containers (release.h); one that is not known is a late one.
int variables_resolve(const struct recipe *r, const struct arch *target, const char *release,
                      struct variable_value **out, struct error **err);
bool variables_follow_release(const struct recipe *r);
void variables_key(const struct variable_value *values, size_t count, struct buf *out);
const struct variable_value *variable_find(const struct job *job, const char *name);
const char *variable_text(const struct job *job, const char *name); // "" if unset
// Whether a part of the recipe with this condition is there.
bool condition_holds(const struct job *job, const struct recipe_condition *c);
// The same of a recipe that is not planned, whose variables may be wrong.
bool condition_expected(const struct recipe *r, const struct recipe_condition *c);
void variables_free(struct variable_value *values, size_t count);

int constants_resolve(struct job *job, const struct versions *v, struct error **err);
void constants_key(const struct job *job, struct buf *out); // those that were filled in

// ---- job.c ----
struct job *job_new(struct node *node, const struct recipe *r, const struct arch *target,
                    const char *label);
void job_free(struct job *job);
// The role of this kind and name, or of this kind if name is NULL; NULL if there is none.
const struct role *job_role(const struct job *job, enum role_kind kind, const char *name);

// A tree of files does not show that it is what a commit or an archive's digest stands for. So
// where that has to be certain, a source comes from its origin, where it is compared with the
// lock's pin, and not from a registry.
static inline bool sources_from_origin(const struct build *b)
{
    return b->options.locked || b->own_sources;
}

// Whether an artifact or a file of a variable, which the recipe names so, goes into the node.
bool job_has(const struct job *job, const char *name);

// The OCI image of a builder's root file system, in the store.
int builder_image(struct build *b, const struct node *node, const char *tree,
                  char image[static DIGEST_HEX_SIZE], struct error **err);

// ---- record.c ----
void record_output(json_t *record, const char *name, const char *digest, bool tree, uint64_t size);
// An output beside the tarballs, put into the output directory as it is.
void record_side_file(json_t *record, const char *name, const char *digest, uint64_t size);
// What this process and what it waited for have used up to now, and how long it took.
void record_cost(json_t *record, long long took_ms);
// Reads a record's outputs into the node. False if the record is not usable.
bool outputs_from_record(struct node *node, const json_t *record);
void remember_build(struct build *b, const struct node *node); // for `kbuild explain`

// ---- does a record say what today's key and versions.lock say? ----
bool job_has_packages(const struct node *node); // and no image in their place
// Is what a record says of its packages that which its key says? Also true of all other nodes.
bool packages_match(const struct node *node, const json_t *record);
// Does what a record says agree with versions.lock? With --locked it has to name all of it. Also
// true of all other nodes.
bool list_agrees(const struct build *b, const struct node *node, const json_t *record);
// The same as an error.
int list_check(struct build *b, const struct node *node, const json_t *record, struct error **err);
// Puts what the record pins into the lock, which is not saved.
void list_pin(struct build *b, const struct node *node, const json_t *record);
// The line of versions.lock for what a list's script, its arguments and what it reads are: its
// name, to be freed; NULL: there is none.
char *list_lock_url(const struct node *node);
const struct lock_entry *list_lock_line(const struct build *b, const struct node *node); // or NULL

// ---- what lies beside the tarballs in the output directory ----
// Of every target: <target>-<name>.
enum { SIDE_FILES = 3 };
extern const char *const side_file_names[SIDE_FILES];
void side_file_texts(const struct node *node, struct buf texts[static SIDE_FILES]);
// What else its action leaves there.
void side_files_of_action(const struct recipe *r, struct strlist *out);

#endif
