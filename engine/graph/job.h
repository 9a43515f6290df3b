// SPDX-License-Identifier: Apache-2.0
// The description of a node: its recipe, its roles, its values. The planner makes it; the state of
// a node in a run is in its task (run/schedule.h).
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
// The use of an input by the node that needs it.
struct role {
    enum role_kind kind;
    const char *name; // /src/<name>, /deps/<name>
    struct node *node;
};

// What the plan and the records say about a node (node->data); its state in a run is in its task
// (schedule.h).
struct job {
    const char *label; // the node's
    const struct recipe *recipe;
    const struct arch *target;
    bool asked;          // named by the user
    bool placed;         // its tarballs go to the output directory
    bool used;           // needed by the verb itself: made, but not placed
    bool made;           // by this process: its record counts, even if the cache ignores records
    bool asked_shared;   // the shared cache was asked for it
    struct entry *entry; // the entry found there (share/share.h); or NULL
    struct role *roles;
    size_t role_count, role_cap;
    struct variable_value *values;
    size_t value_count;
    struct strlist constants; // the recipe's environment, filled in: "NAME=value"
    struct strlist fetched;   // fetched to check the inputs: address, SHA-256, and so on
    // sources
    struct source_spec spec;
    struct source_pin pin;
    const struct recipe_list *list;    // of a list
    struct strlist arguments;          // of its script, filled in
    char list_script[DIGEST_HEX_SIZE]; // of all files that the script sees, and its arguments
    // builders and root file systems
    struct strlist packages, same; // names; groups of them that share one version
    struct distribution distribution;
    char *setup;       // absolute path of the setup script, or NULL
    struct work *work; // of an artifact: the work to resume (--continue), or NULL
    char *image_name;  // of a builder: the image used instead of packages, or NULL
    char *prebuilt;    // source of an artifact that is taken, not made (prebuilt.h), or NULL
    char image_digest[DIGEST_HEX_SIZE]; // of either image, once known
    char package_list[DIGEST_HEX_SIZE]; // of the resolved packages, once known
    bool pin_fresh;                     // this run resolved the digest of the image
    char *summary;                      // a note for the user on the result, or NULL
};

static inline struct job *job_of(const struct node *node)
{
    return node->data;
}

// ---- variables.c ----
// `target` may be NULL. So may `release`, the version of Kata Containers (release_version.h):
// variables_follow_release() says whether it is needed, and an unknown one counts as late.
int variables_resolve(const struct recipe *r, const struct arch *target, const char *release,
                      struct variable_value **out, struct error **err);
bool variables_follow_release(const struct recipe *r);
void variables_key(const struct variable_value *values, size_t count, struct buf *out);
const struct variable_value *variable_find(const struct job *job, const char *name);
const char *variable_text(const struct job *job, const char *name); // "" if unset
// Whether the part of the recipe with this condition applies.
bool condition_holds(const struct job *job, const struct recipe_condition *c);
// The same for a recipe that is not planned, whose variables may be wrong.
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

// A file tree does not prove that it matches a commit or the digest of an archive. Where proof is
// required, a source comes from its origin, where it is compared with the pin in the lock, and not
// from a registry.
static inline bool sources_from_origin(const struct build *b)
{
    return b->options.locked || b->own_sources;
}

// Whether the node has an input artifact or a variable's file with this name in the recipe.
bool job_has(const struct job *job, const char *name);

// The OCI image of a builder's root file system, in the store.
int builder_image(struct build *b, const struct node *node, const char *tree,
                  char image[static DIGEST_HEX_SIZE], struct error **err);

// ---- record.c ----
void record_output(json_t *record, const char *name, const char *digest, bool tree, uint64_t size);
// An output beside the tarballs, copied unchanged into the output directory.
void record_side_file(json_t *record, const char *name, const char *digest, uint64_t size);
// The resources used so far by this process and the children it waited for, and the time taken.
void record_cost(json_t *record, long long took_ms);
// Reads a record's outputs into the node. False if the record is not usable.
bool outputs_from_record(struct node *node, const json_t *record);
void remember_build(struct build *b, const struct node *node); // for `kbuild explain`

// ---- does a record match today's key and versions.lock? ----
bool job_has_packages(const struct node *node); // and no image instead of them
// Do the packages in the record match those in its key? True for nodes without packages.
bool packages_match(const struct node *node, const json_t *record);
// Does the record agree with versions.lock? With --locked the lock must contain all of it. True for
// nodes that are no lists.
bool list_agrees(const struct build *b, const struct node *node, const json_t *record);
// The same as an error.
int list_check(struct build *b, const struct node *node, const json_t *record, struct error **err);
// Adds what the record pins to the lock, without saving it.
void list_pin(struct build *b, const struct node *node, const json_t *record);
// The name of the line in versions.lock for a list's script, its arguments and its inputs, to be
// freed; NULL: there is none.
char *list_lock_url(const struct node *node);
const struct lock_entry *list_lock_line(const struct build *b, const struct node *node); // or NULL

// ---- files beside the tarballs in the output directory ----
// Of every target: <target>-<name>.
enum { SIDE_FILES = 3 };
extern const char *const side_file_names[SIDE_FILES];
void side_file_texts(const struct node *node, struct buf texts[static SIDE_FILES]);
// The other files that its action leaves there.
void side_files_of_action(const struct recipe *r, struct strlist *out);

#endif
