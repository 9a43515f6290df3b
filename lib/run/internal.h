// SPDX-License-Identifier: Apache-2.0
// What the files of lib/run share. Not for other rooms.
#ifndef KBUILD_RUN_INTERNAL_H
#define KBUILD_RUN_INTERNAL_H

#include "run/jobserver.h"
#include "run/report.h"
#include "run/run.h"
#include "run/steplog.h"

#include "pack/pack.h"

#include <jansson.h>
#include <signal.h>

// Version of how steps, initrds and images are made; part of every artifact's key. Raise it when
// the same inputs would give other bytes.
#define RUN_FORMAT "4"

struct remote;
struct trusted_keys; // signature.h
struct work;         // work.h
struct build {
    struct build_options options;
    struct versions *versions;
    struct recipe_set *recipes;
    struct lock *lock;
    struct store *store;
    struct graph graph;
    struct distribution host;     // this machine's
    struct mirrors *mirrors;      // its package mirrors, while a run asks them; or NULL
    bool own_sources;             // `kbuild verify`: sources come from their origin
    struct remote *remote;        // the shared cache (remote.h), or NULL
    struct trusted_keys *trusted; // of KBUILD_TRUSTED_KEYS; NULL: everybody is trusted
    bool told_untrusted;          // that something in the local cache is not vouched for
    char *versions_digest;
    struct strlist notes; // what the user was told of the plan, and is told again at the end
    struct strlist asked, source_names; // the targets, and the names of sources that they may have
    bool targets_added;
    bool output_open; // output.c
    int output_fd;
    const char *until; // the phase to stop after; a step's result is its folder then (until.c)
};

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
    struct entry *entry; // and has this of it (remote.h); or NULL
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

// ---- ignored.c ----
// Says which variables are set and change nothing of what was planned: each once.
int say_ignored(struct build *b, struct error **err);

// ---- constants.c ----
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

// ---- local.c: single sources ----
struct choosing; // available.h
// What choices between recipes are made from; *o belongs to it.
struct choosing choosing_of(struct build *b, struct source_options *o);
void build_say(struct build *b, const char *text); // once, and in the summary
// The names that the user gave to --source are those of some recipe; of the targets that were
// asked for.
int check_source_names(struct build *b, struct error **err);
void note_source_names(struct build *b, const struct recipe *r, const struct arch *target);
int check_asked_source_names(struct build *b, struct error **err);
char *job_local(const struct job *job); // as node_local_text()
void say_local(struct build *b, const struct node *node);
void log_local_inputs(const struct node *node); // in the child: into the log

// ---- record.c ----
void record_output(json_t *record, const char *name, const char *digest, bool tree, uint64_t size);
// An output beside the tarballs, put into the output directory as it is.
void record_side_file(json_t *record, const char *name, const char *digest, uint64_t size);
// Reads a record's outputs into the node. False if the record is not usable.
bool outputs_from_record(struct node *node, const json_t *record);
void remember_build(struct build *b, const struct node *node); // for `kbuild explain`

// ---- tarball.c: a result becomes an output ----
struct tarball {
    const char *folder; // the name of a tree for messages, and
    int directory;      // its descriptor; or
    const struct pack_member *members;
    size_t count;
};
// Packs it as kata-static-<output>.tar.xz into the store, keeps its listing, and records it.
int output_tarball(struct build *b, const struct node *node, const char *output,
                   const struct tarball *t, json_t *record, struct error **err);

// ---- actions.c: what each action of a recipe does, one table ----
struct action {
    const char *name;
    // Refuses bad input before anything is made, and appends to the key what else decides.
    int (*identify)(struct build *b, struct node *node, struct error **err);
    // In the child: makes the outputs and the provenance.
    int (*make)(struct build *b, struct node *node, json_t *record, struct error **err);
    // Why its outputs are random by intent, and what makes them the same each time; NULL: they are
    // not.
    const char *(*random)(const struct job *job);
    // The names of the files that it leaves beside the tarballs; NULL: none.
    void (*side_files)(const struct recipe *r, struct strlist *out);
};
extern const struct action actions[]; // by enum recipe_action

// ---- packages.c: what builders and root file systems are made of ----
struct source_options source_options(struct build *b);
bool job_has_packages(const struct node *node); // and no image in their place
// Completes the identity of a node that is made of packages. Without `resolve` nothing is asked.
int identify_packages(struct build *b, struct node *node, bool resolve, struct error **err);
// The packages that it was identified by; to be freed with package_set_free().
int open_packages(struct build *b, const struct node *node, struct package_set *out,
                  struct error **err);
// Is what a record says of its packages that which its key says? Also true of all other nodes.
bool packages_match(const struct node *node, const json_t *record);

// ---- node_list.c: sources that are lists ----
// The name of the shared folder that a list's script lies in, to be freed; NULL: in the recipe's
// own.
char *list_shared_folder(const struct recipe_list *list);
// Does what a record says agree with versions.lock? With --locked it has to name all of it. Also
// true of all other nodes.
bool list_agrees(const struct build *b, const struct node *node, const json_t *record);
// The same as an error.
int list_check(struct build *b, const struct node *node, const json_t *record, struct error **err);
// Puts what the record pins into the lock, which is not saved.
void list_pin(struct build *b, const struct node *node, const json_t *record);

// ---- evaluate.c ----
int evaluate_node(struct build *b, struct node *node, struct error **err);

// ---- node_*.c, in the child ----
int make_source(struct build *b, struct node *node, json_t *record, struct error **err);
int make_list(struct build *b, struct node *node, json_t *record, struct error **err);
int make_builder(struct build *b, struct node *node, json_t *record, struct error **err);
int make_rootfs(struct build *b, struct node *node, json_t *record, struct error **err);
int make_script(struct build *b, struct node *node, json_t *record, struct error **err);
int make_initrd(struct build *b, struct node *node, json_t *record, struct error **err);
int make_se_image(struct build *b, struct node *node, json_t *record, struct error **err);
const char *se_image_random(const struct job *job);
void se_image_side_files(const struct recipe *r, struct strlist *out);
// The OCI image of a builder's root file system, in the store.
int builder_image(struct build *b, const struct node *node, const char *tree,
                  char image[static DIGEST_HEX_SIZE], struct error **err);
int identify_script(struct build *b, struct node *node, struct error **err); // sign.c
// In the child: signs what the scripts left in the directory `out`, if the user asks for it
// (sign.c).
int sign_outputs(const struct job *job, int out, struct error **err);
int make_disk(struct build *b, struct node *node, json_t *record, struct error **err);
int identify_disk(struct build *b, struct node *node, struct error **err);
void disk_side_files(const struct recipe *r, struct strlist *out);

// ---- node_initrd.c: layers, of an initrd or of an image ----
struct layer_list {
    struct initrd_layer *items;
    size_t n;
    struct strlist strings; // paths
};
// Those that are there, in order; to be freed also after an error.
int layers_collect(struct build *b, const struct job *job, struct layer_list *l,
                   struct error **err);
void layer_list_free(struct layer_list *l);
// What people are told of the init inside.
void layers_record(const struct job *job, json_t *record);
// "{os}", "{osversion}" and "{arch}" in a name filled in; to be freed.
char *layers_expand_name(const struct job *job, const char *text);
// Packs `file` as the recipe's output, with its link and one more file (or NULL) beside it.
int layers_pack(struct build *b, const struct node *node, const char *file,
                const struct pack_member *beside, json_t *record, struct error **err);

int identify_initrd(struct build *b, struct node *node, struct error **err);
int identify_se_image(struct build *b, struct node *node, struct error **err);
// The whole work of a node's process: lock the key, look again, make, record.
void make_node(struct build *b, struct node *node, struct outcome *out);
// What a step sees. Folders are made below `scratch`, but for /build and /out if there is a `work`;
// the strings belong to it.
struct step {
    struct sandbox sandbox;
    struct sandbox_mount mounts[64];
    struct strlist environment, strings;
    char *argv[4];
    char *out, *deps, *inputs, *work;
};
int step_prepare(struct build *b, struct node *node, const char *scratch, const struct work *w,
                 struct step *s, struct error **err);
void step_free(struct step *s);
// The parts of that, for whoever runs something else in a sandbox. The text is taken over.
const char *step_keep(struct step *s, char *text);
int step_mount(struct step *s, const char *source, const char *destination, bool writable,
               struct error **err);
// A tree of the store, verified to the last byte. NULL on failure.
const char *step_tree(struct build *b, struct step *s, const struct node *node, const char *output,
                      struct error **err);
// A folder of the recipe: a copy, if some of it is for other architectures only. `name` is "", or
// "shared/<name>/".
int step_folder(const struct job *job, struct step *s, const char *scratch, const char *folder,
                const char *name, const char *at, struct error **err);
// Runs one of its phases, in a sandbox of its own.
int step_run(const struct node *node, struct step *s, size_t phase_index, struct error **err);
char *phase_script(const struct recipe_phase *p); // as the sandbox sees it; to be freed
// In the child: the phases up to b->until, in the folder that stays (until.c).
int make_until(struct build *b, struct node *node, json_t *record, struct error **err);
// ---- run.c ----
// RUN_AGAIN: only what was asked for by name, from inputs that are there; nothing is placed.
enum run_what { RUN_ALL, RUN_NETWORK, RUN_INPUTS, RUN_AGAIN };
int run_nodes(struct build *b, enum run_what what, struct error **err);

// ---- output.c ----
// The output directory, made if need be; its owner is this user or root. The descriptor belongs to
// the build.
int output_folder(struct build *b, struct error **err);
// A folder in it, never through a link; to be closed.
int output_subfolder(struct build *b, const char *name, struct error **err);
// A new log for build_log_path(), to append to. It takes the place of an old one with
// output_log_place(), at once where the file system knows no files without a name.
int output_log_open(struct build *b, const char *path, struct error **err);
void output_log_place(struct build *b, const char *path, int log);
// After a success: keeps the log beside the record in the store, or removes it if the result was
// made elsewhere.
void output_log_keep(struct build *b, const struct node *node, const struct steplog *log,
                     bool made_here);

// ---- place.c ----
int place_outputs(struct build *b, const struct node *node, struct error **err);
// Refuses what would be two files of one name in the output directory: of one recipe, whatever is
// placed, and of the targets that are placed.
int place_check_recipe(const struct recipe *r, struct error **err);
int place_check(struct build *b, struct error **err);
// What is put beside the tarballs: <target>-<name>.
enum { PLACE_SIDE_FILES = 3 };
extern const char *const place_side_names[PLACE_SIDE_FILES];
void place_side_texts(const struct node *node, struct buf texts[static PLACE_SIDE_FILES]);

#endif
