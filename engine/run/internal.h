// SPDX-License-Identifier: Apache-2.0
// Declarations shared by the files of this directory. Not for others.
#ifndef KBUILD_RUN_INTERNAL_H
#define KBUILD_RUN_INTERNAL_H

#include "base/process.h"
#include "graph/job.h"
#include "run/report.h"
#include "run/run.h"
#include "run/steplog.h"

#include "pack/pack.h"
#include "sandbox/sandbox.h"
#include "source/packages.h"

#include <signal.h>

// ---- ignored.c ----
// Warns about variables that are set and have no effect on the plan: once for each.
int say_ignored(struct build *b, struct error **err);

// ---- local.c: single sources ----
struct choosing; // available.h
// The input of choices between recipes; it borrows *o.
struct choosing choosing_of(struct build *b, struct source_options *o);
void build_say(struct build *b, const char *text); // prints it once, and again in the summary
// An error if a name given to --source is in no recipe of the requested targets.
int check_source_names(struct build *b, struct error **err);
void note_source_names(struct build *b, const struct recipe *r, const struct arch *target);
int check_asked_source_names(struct build *b, struct error **err);
char *job_local(const struct job *job); // as node_local_text()
void say_local(struct build *b, const struct node *node);
void log_local_inputs(const struct node *node); // in the child: into the log

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
    // Rejects bad input before anything is made, and appends to the key what else decides.
    int (*identify)(struct build *b, struct node *node, struct error **err);
    // In the child: makes the outputs and the provenance.
    int (*make)(struct build *b, struct node *node, json_t *record, struct error **err);
    // Why its outputs are random by design, and what makes them reproducible; NULL: not random.
    const char *(*random)(const struct job *job);
};
extern const struct action actions[]; // by enum recipe_action

// ---- packages.c: the packages of builders and root file systems ----
struct source_options source_options(struct build *b);
// Completes the identity of a node that is made of packages. Without `resolve`: no queries.
int identify_packages(struct build *b, struct node *node, bool resolve, struct error **err);
// The packages in its identity; to be freed with package_set_free().
int open_packages(struct build *b, const struct node *node, struct package_set *out,
                  struct error **err);

// ---- node_list.c: sources that are lists ----
// The name of the shared folder that holds a list's script, to be freed; NULL: the recipe's folder.
char *list_shared_folder(const struct recipe_list *list);

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
int identify_script(struct build *b, struct node *node, struct error **err); // sign.c
// In the child: signs what the scripts left in the directory `out`, if the user asks for it.
int sign_outputs(const struct job *job, int out, struct error **err);
int make_disk(struct build *b, struct node *node, json_t *record, struct error **err);
int identify_disk(struct build *b, struct node *node, struct error **err);

// ---- node_initrd.c: layers, of an initrd or of an image ----
struct layer_list {
    struct initrd_layer *items;
    size_t n;
    struct strlist strings; // paths
};
// The layers that apply, in order; to be freed also after an error.
int layers_collect(struct build *b, const struct job *job, struct layer_list *l,
                   struct error **err);
void layer_list_free(struct layer_list *l);
// Records a note for people about the init inside.
void layers_record(const struct job *job, json_t *record);
// "{os}", "{osversion}" and "{arch}" in a name filled in; to be freed.
char *layers_expand_name(const struct job *job, const char *text);
// Packs `file` as the recipe's output, with its link and one more file (or NULL) beside it.
int layers_pack(struct build *b, const struct node *node, const char *file,
                const struct pack_member *beside, json_t *record, struct error **err);

int identify_initrd(struct build *b, struct node *node, struct error **err);
int identify_se_image(struct build *b, struct node *node, struct error **err);
// All work of a node's process: lock the key, check the caches again, make, record.
void make_node(struct build *b, struct node *node, struct outcome *out);
// What a step sees. Folders are made below `scratch`, except /build and /out with a `work`; the
// struct owns the strings.
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
// Parts of it, for other uses of the sandbox. Takes the text over.
const char *step_keep(struct step *s, char *text);
int step_mount(struct step *s, const char *source, const char *destination, bool writable,
               struct error **err);
// A tree of the store, verified to the last byte. NULL on failure.
const char *step_tree(struct build *b, struct step *s, const struct node *node, const char *output,
                      struct error **err);
// A folder of the recipe: a copy, if parts of it are for other architectures only. `name` is "" or
// "shared/<name>/".
int step_folder(const struct job *job, struct step *s, const char *scratch, const char *folder,
                const char *name, const char *at, struct error **err);
// Runs one phase, in a sandbox of its own.
int step_run(const struct node *node, struct step *s, size_t phase_index, struct error **err);
// An error about files that a step left is the step's failure (ERROR_STEP), unless its cause is the
// system: a full disk, or an interruption. Returns -1.
int step_fault(struct error **err);
char *phase_script(const struct recipe_phase *p); // as the sandbox sees it; to be freed
// In the child: the phases up to b->until, in the folders that are kept (until.c).
int make_until(struct build *b, struct node *node, json_t *record, struct error **err);
// The number of a phase of the recipe; a name that it does not have is an error that lists them.
int find_phase(const struct recipe *r, const char *name, size_t *index, struct error **err);
// ---- output.c ----
// Opens or makes the output directory; its owner must be this user or root. The build owns the
// descriptor.
int output_folder(struct build *b, struct error **err);
// A folder in it, never through a link; to be closed.
int output_subfolder(struct build *b, const char *name, struct error **err);
// After a success: keeps the log beside the record in the store, or removes it if the result was
// made elsewhere.
void output_log_keep(struct build *b, const struct node *node, const struct steplog *log,
                     bool made_here);

// ---- place.c ----
int place_outputs(struct build *b, const struct node *node, struct error **err);
// An error if two files would have one name in the output directory: within one recipe, placed or
// not, and among the targets that are placed.
int place_check_recipe(const struct recipe *r, struct error **err);
int place_check(struct build *b, struct error **err);

#endif
