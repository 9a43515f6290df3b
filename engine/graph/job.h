// SPDX-License-Identifier: Apache-2.0
// What the engine knows of a build and of its nodes: the options and the opened files of a run; the
// recipe, the inputs and the values of a node (the planner, engine/run/plan.c, fills them in; the
// state of a node in a run is in its task, run/schedule.h); action records; the choice among
// recipes.
//
// Ownership: a build owns its graph, a node its job, and a job what it points to, but for what
// belongs to recipes.
#ifndef KBUILD_GRAPH_JOB_H
#define KBUILD_GRAPH_JOB_H

#include "graph/graph.h"
#include "recipe/recipe.h"
#include "recipe/versions.h"
#include "source/source.h"
#include "store/store.h"

#include <jansson.h>

// ---- a run ----
// docs/keys.md lists which of it is part of a key.

// Version of how steps, initrds and images are made; part of every artifact's key. Raise it when
// the same inputs would give other bytes.
#define RUN_FORMAT "4"

enum remote_use { REMOTE_AUTO, REMOTE_OFF, REMOTE_REQUIRE }; // the shared cache
enum view_style { VIEW_AUTO, VIEW_PLAIN, VIEW_LIVE, VIEW_JSON };

// All options from the command line and the environment. Strings are borrowed.
struct build_options {
    const char *versions;           // path of versions.yaml
    bool installed;                 // which belongs to all users: its lock is the user's own
    const struct strlist *recipes;  // directories, the later over the earlier
    const char *cache;              // directory
    const char *output;             // directory, "build"
    const struct arch *output_arch; // {arch} in it was replaced by this one; or NULL
    const struct arch *arch; // of the target; NULL: the host's, or the only one a target supports
    unsigned jobs;           // at least 1
    bool debian;             // sources from the distribution
    const struct source_choices *choices; // of single sources; or NULL
    bool offline, locked, keep_going;
    bool use_cache;    // no: remake the targets and the artifacts they need
    bool anew;         // nothing that was made earlier counts: all is made by this process, in a
                       // store that is removed afterwards (store_open_new())
    bool host_builder; // --builder=host
    bool quiet;
    bool only_results;     // the view shows where the results are, and nothing of how they came
    bool temporary_output; // the output directory is one of store_temporary()
    const char *project;   // of a plan in a registry, whose recipes these are; or NULL
    bool resume;           // --continue: targets resume from the work that --until left
    const char *release;   // the version of Kata Containers, if a plan names it; or NULL
    bool from_plan; // for a plan of several machines: with a locked plan, sources may still come
                    // from the shared cache and from folders, and only the given lock counts
    bool foreign_recipes;   // from a registry: they read of the user's configuration only what
                            // KBUILD_CONFIGURATION names
    bool secrets_elsewhere; // a plan says who has them: an artifact is no error for lack of one,
                            // until it is made
    bool several; // targets of several architectures, each with an output directory of its own
    const char *prebuilt; // artifacts to take instead of make (run/prebuilt.c); or NULL
    const struct variation *variation; // set: results are compared and not kept (run/run.h)
    const char *trace;                 // file for a trace of the run (run/trace.c), or NULL
    enum view_style view;
    enum remote_use remote;
};

struct remote;
struct trusted_keys; // share/share.h
struct run_state;
struct build {
    struct build_options options;
    struct versions *versions;
    struct recipe_set *recipes;
    struct lock *lock;
    struct store *store;
    struct graph graph;
    struct remote *remote;        // the shared cache (share/share.h), or NULL
    struct trusted_keys *trusted; // of KBUILD_TRUSTED_KEYS; NULL: all are trusted
    bool own_sources;             // `kbuild verify`: sources come from their origin
    bool needs_remote;            // the verb makes no sense without the shared cache
    bool shared_only;      // what only the local store has counts as lost: other machines lack it
    const char *until;     // the phase to stop after; a step's result is its folder then; or NULL
    struct run_state *run; // what engine/run alone knows
};

// ---- a node ----

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
// (run/schedule.h).
struct job {
    const char *label; // the node's
    const struct recipe *recipe;
    const struct arch *target;
    bool asked;          // named by the user
    bool placed;         // its tarballs go to the output directory
    bool used;           // needed by the verb itself: made, but not placed
    bool made;           // or found by this process: its record counts, even if records are ignored
    bool made_here;      // made, and not found or pulled, by this process
    bool found_only;     // this run may find or pull it, and never makes it
    bool shared_queried; // the shared cache was asked for it
    bool untrusted;      // and has an entry that no trusted key signed
    bool unpushed;       // the registry lacks it, and this machine has it from another machine,
                         // whose results it must not sign: it makes its own
    const char *planned_key; // that of the plan that this run is of; NULL: it has none. Borrowed
    struct entry *entry;     // the entry found there (share/share.h); or NULL
    struct role *roles;
    size_t role_count, role_cap;
    struct variable_value *values;
    size_t value_count;
    struct strlist constants;        // the recipe's environment, filled in: "NAME=value"
    struct version_values filled_in; // what versions.yaml gave to its texts
    struct strlist fetched;          // fetched to check the inputs: address, SHA-256, and so on
    // sources
    struct source_spec spec;
    struct source_pin pin;
    const struct recipe_list *list;    // of a list
    struct strlist arguments;          // of its script, filled in
    char list_script[DIGEST_HEX_SIZE]; // of all files that the script sees, and its arguments
    // builders and root file systems
    struct strlist packages, same; // names; groups of them that share one version
    struct distribution distribution;
    char *setup;                   // absolute path of the setup script, or NULL
    struct checkpoint *checkpoint; // of an artifact: the work to resume (--continue), or NULL
    char *image_name;              // of a builder: the image used instead of packages, or NULL
    char *prebuilt; // source of an artifact that is taken, not made (run/prebuilt.c), or NULL
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
// Gives a variable of recipes a value in this process, instead of the environment's: no program
// that it starts gets it, whatever the name means to that (LD_PRELOAD). NULL: takes it back.
void variable_give(const char *name, const char *text);
// The value that it was given, else that of the environment; NULL: none.
const char *variable_value(const char *name);
// `target` may be NULL. So may `release`, the version of Kata Containers (release_version()):
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

// ---- release_version.c ----
// The version of Kata Containers of the components; to be freed. The first of
//   v->release
//   externals.kata.version of versions.yaml (a key of kbuild's own)
//   with RELEASE=yes the file VERSION beside versions.yaml
//   `git describe --tags` of the checkout that versions.yaml is in, as upstream; else its VERSION;
//   a folder is a checkout if it has all files in the key `checkout` of some source in `set`
// NULL: none of these has it. Without a set there are no checkouts. *origin, unless `origin` is
// NULL, gets words for people on where it comes from, to be freed.
char *release_version(const struct versions *v, struct recipe_set *set, char **origin);
// The same of a folder of the user's that takes the place of such a source; NULL: there is none.
char *release_version_chosen(struct recipe_set *set, const struct source_choices *choices,
                             char **origin);
// Whether the version may come from the source of this name.
bool release_version_reads(struct recipe_set *set, const char *source);
// Adds a line for each place that names another release: versions.yaml, and VERSION of the checkout
// that it is in.
void release_version_others(const struct versions *v, struct recipe_set *set, const char *version,
                            struct strlist *out);
// "v3.20.0" is 3.20.0, and "3.20.0-45-gc0ffee" is one that follows it.
bool release_version_same(const char *a, const char *b);
// Whether a version ("3.12.0", "3.12.0-45-gc0ffee") is of an earlier release; false for text that
// is no version.
bool version_before(const char *version, unsigned major, unsigned minor);

// ---- job.c ----
struct job *job_new(struct node *node, const struct recipe *r, const struct arch *target);
// Sets the label: "kernel", "source linux", "rootfs initrd:s390x"; `unique`: from the id, for a
// plan that has several nodes of that label.
void job_set_label(struct node *node, bool unique);
void job_free(struct job *job);
// The role of this kind and name, or of this kind if name is NULL; NULL if there is none.
const struct role *job_role(const struct job *job, enum role_kind kind, const char *name);

// A file tree does not prove that it matches a commit or the digest of an archive. Where proof is
// required, a source comes from its origin, where it is compared with the pin in the lock, and not
// from a registry.
static inline bool sources_from_origin(const struct build *b)
{
    return (b->options.locked && !b->options.from_plan) || b->own_sources;
}

// Whether the node has an input artifact or a variable's file with this name in the recipe.
bool job_has(const struct job *job, const char *name);

// The OCI image of a builder's root file system, in the store.
int builder_image(struct build *b, const struct node *node, const char *tree,
                  char image[static DIGEST_HEX_SIZE], struct error **err);

// A source that is a folder of the user: it is in no shared cache.
bool node_is_folder(const struct node *node);
// One of these, or an artifact that is taken from a registry: each machine gets it for itself.
bool node_is_unshared(const struct node *node);

// Architecture that the node's output is for; NULL for a source.
const struct arch *node_arch(const struct node *node);
// The path of the log with this label; to be freed.
char *build_log_path(const struct build_options *o, const char *label);
// Of a node of a plan that is in a registry: the command that shows its log, which is pushed there.
// The one here goes with the run, and no `kbuild shell` has the recipes. To be freed; or NULL.
char *remote_log_command(const struct build_options *o, const char *id);

// ---- record.c ----
void record_output(json_t *record, const char *name, const char *digest, bool tree, uint64_t size);
// An output beside the tarballs, copied unchanged into the output directory.
void record_side_file(json_t *record, const char *name, const char *digest, uint64_t size);
// The resources used so far by this process and the children it waited for, and the time taken.
void record_cost(json_t *record, long long took_ms);
// Reads a record's outputs into the node. False if the record is not usable.
bool outputs_from_record(struct node *node, const json_t *record);
// The cost of the build that made the node's outputs, for people: "1.0 s, of processors 0.9 s,
// largest process 12 MB"; to be freed. NULL: no record has it.
char *build_cost_text(struct build *b, const struct node *node);

// ---- last_build.c (change.h has the record) ----
void record_last_build(struct build *b, const struct node *node); // to explain the next one
// The same, if it is not what was recorded: for a result that the user asked for, and that was
// cached.
void note_last_build(struct build *b, const struct node *node);
// The key text of the last successful build of this node, or NULL; to be freed.
char *build_last_key_text(struct build *b, const struct node *node);
// The outputs of that build, as in its record; NULL: unknown.
json_t *build_last_outputs(struct build *b, const struct node *node);
// What making the node is likely to cost, as in records: the cost of its result, or of its last
// build here. NULL: unknown.
json_t *build_expected_cost(struct build *b, const struct node *node);
// The cost in a record, which may be of anybody: numbers that can be added up. NULL: it has none.
json_t *record_cost_of(const json_t *record);
// Keeps the cost in a record of another machine, for a node whose record this one does not have.
void record_cost_elsewhere(struct build *b, const struct node *node, const json_t *record);

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

// ---- available.c: which recipes can be made ----
// A distribution packages few projects, so that with --sources=debian many parts of a release lack
// a source. The keys `any` and `optional` in recipes handle this.

// The input of choices between recipes. Borrowed throughout.
struct recipe_selection {
    struct recipe_set *set;
    const struct versions *versions; // NULL: no recipe lacks a source
    const struct source_options *sources;
    const char *prebuilt; // artifacts to take instead of make (run/prebuilt.c), or NULL
    // Called for each recipe that is left out or replaced because a source is missing; or NULL.
    void (*say)(const char *text, void *context);
    void *context;
};

// The name of the missing source of `r` or of one of its mandatory needs, to be freed; NULL if none
// is missing. A recipe that cannot be read lacks nothing: planning reports its error.
char *recipe_missing_source(const struct recipe_selection *c, const struct recipe *r,
                            const struct arch *target);

// The recipe that fills a need of `r` (or a member, of a group): the first that exists, supports
// the architecture and lacks no source. If all lack a source: the first, and planning reports the
// error; NULL without an error if the need is optional: it is left out.
const struct recipe *choose_recipe(const struct recipe_selection *c, const struct recipe *r,
                                   const struct recipe_need *need, const struct arch *target,
                                   struct error **err);
// The architecture that `r` is built for: `wanted`, else this machine's, else its only one.
const struct arch *choose_arch(const struct recipe *r, const struct arch *wanted,
                               struct error **err);

// A struct recipe_selection without a build, for verbs that only read recipes. Zero-initialise it,
// and close it also after an error. versions.yaml is read only if it can matter.
struct recipes_view {
    struct recipe_set *set;
    struct versions *versions;
    struct source_options sources;
    struct recipe_selection selection;
};
int recipes_view_open(const struct build_options *o, struct recipes_view *out, struct error **err);
void recipes_view_close(struct recipes_view *v);
#define cleanup_recipes_view __attribute__((cleanup(recipes_view_close)))

// Adds the names of all sources that a target or its alternatives may use.
void source_names(struct recipe_set *set, const struct recipe *r, const struct arch *target,
                  struct strlist *out);

// ---- the lines of a key text (docs/keys.md) ----
enum key_line_kind { KEY_OTHER, KEY_VARIABLE, KEY_FILE, KEY_WORK };
struct key_line {
    enum key_line_kind kind;
    const char *text;  // the line, without its end
    char *name;        // of the variable; of the file, "recipe/build.sh"; "work builddir"; or NULL
    const char *value; // of the variable, of a file its digest; the digest of the file or tree
};
// `line` and its texts are valid during the call.
typedef void key_line_visit(const struct key_line *line, void *context);
// Nobody else reads key texts.
void key_text_read(const char *text, key_line_visit *visit, void *context);

#endif
