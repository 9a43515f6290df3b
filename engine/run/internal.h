// SPDX-License-Identifier: Apache-2.0
// Declarations shared by the files of this directory. Not for others.
#ifndef KBUILD_RUN_INTERNAL_H
#define KBUILD_RUN_INTERNAL_H

#include "base/process.h"
#include "graph/job.h"
#include "run/run.h"
#include "run/schedule.h"

#include "pack/pack.h"
#include "registry/registry.h"
#include "sandbox/sandbox.h"
#include "source/packages.h"

// The part of a build that is for this directory alone.
struct run_state {
    struct distribution host;             // this machine's, once it is needed
    struct mirrors *mirrors;              // its package mirrors
    struct strlist targets, source_names; // asked for, and the names of their possible sources
    struct strlist notes;                 // on the plan, shown to the user now and at the end
    char *codec_version;                  // plan_codec_version()
    bool warned_untrusted;                // the warning about unsigned cache content was shown
    long long opened_ms;                  // when the build was opened, of the monotonic clock
    bool output_open;                     // output.c
    int output_fd;
};

// ---- notes.c ----
// Warns about variables that are set and have no effect on the plan: once for each.
int note_ignored_variables(struct build *b, struct error **err);
// Says which recipes, of a later directory, replace others.
void note_replaced_recipes(struct build *b);
void build_note(struct build *b, const char *text); // prints it once, and again in the summary
// An error if a name given to --source is in no recipe of the requested targets.
int check_source_names(struct build *b, struct error **err);
void note_source_names(struct build *b, const struct recipe *r, const struct arch *target);
int check_asked_source_names(struct build *b, struct error **err);
char *job_local(const struct job *job); // as node_local_text()
void note_local_source(struct build *b, const struct node *node);
void log_local_inputs(const struct node *node); // in the child: into the log

// ---- codec.c ----
// pack_codec_version(), without loading libarchive if an earlier process did. Belongs to the build.
const char *plan_codec_version(struct build *b);
// Loads it, for the children too, before the first node is made. An error if it is not the version
// in the keys: it was replaced since they were made.
int codec_hold(struct build *b, struct error **err);

// ---- plan.c ----
// Labels all nodes of the graph. A label that several would have is for none of them: each gets its
// id instead. To be called again when nodes were added.
void plan_labels(struct graph *g);

// Upstream's variable for an image to build in, "KERNEL_CONTAINER_BUILDER"; to be freed.
char *builder_image_variable(const struct recipe_builder *builder);

// ---- plan_file.c ----
// What keys depend on that differs between machines and checkouts: name -> text.
json_t *plan_depends(struct build *b, struct error **err);

// Copies the folders of the user into the store, as steps will see them, so that the keys of what
// is made of them are known.
int build_copy_folders(struct build *b, struct error **err);

// ---- plan_source.c ----
void plan_role(struct node *node, enum role_kind kind, const char *name, struct node *needed);
// "<name>:<digits of the digest of the text>": the id of a node, if others may have its name.
char *plan_id(const char *name, const struct buf *text);
// The key lines for the files of a folder: relative path, execute bit and digest. recipe.yaml is
// left out: its relevant parts are in the key one by one. `inner` is "" for the whole folder.
int plan_folder(const struct job *job, const char *title, const char *folder, const char *inner,
                struct buf *out, struct error **err);
// Plans the sources of an artifact that are trees; and its lists, which need these and its builder.
int plan_sources(struct build *b, struct node *node, struct error **err);
int plan_lists(struct build *b, struct node *node, struct error **err);

// ---- tarball.c ----
// A result becomes an output.
struct tarball {
    const char *folder; // the name of a tree for messages, and
    int directory;      // its descriptor; or
    const struct pack_member *members;
    size_t count;
};
// Packs it as kata-static-<output>.tar.xz into the store, keeps its listing, and records it.
int output_tarball(struct build *b, const struct node *node, const char *output,
                   const struct tarball *t, json_t *record, struct error **err);

// ---- make.c ----
// What each action of a recipe does.
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
// All work of a node's process: lock the key, check the caches again, make, record.
void make_node(struct build *b, struct node *node, struct outcome *out);

// ---- evaluate.c ----
int evaluate_node(struct build *b, struct node *node, struct error **err);
// An entry without its content is none, or nobody would ever make the node again: 1 if the registry
// has the entry that was looked up, and not its content; the node is then evaluated without it.
// Else 0; -1: error.
int forget_lost_content(struct build *b, struct node *node, struct error **err);
// Compares the key of a node from plan_add_node() with that of the plan, if both are known. An
// error (ERROR_USAGE) names both, and an input whose keys differ: nobody would look for the result.
int check_planned_key(const struct node *node, struct error **err);

// ---- inputs.c ----
struct source_options source_options(struct build *b);
// What is asked of the package lists for a builder or a root file system. Borrows from the node.
struct packages_request packages_request_of(const struct node *node);
// The packages in its identity; to be freed with package_set_free().
int open_packages(struct build *b, const struct node *node, struct package_set *out,
                  struct error **err);
// Completes the identity of the node, if that is known; with `resolve` the network is asked.
int identify_packages(struct build *b, struct node *node, bool resolve, struct error **err);
int identify_image(struct build *b, struct node *node, bool resolve, struct error **err);

// The name of an image in a registry -> its digest, resolved once and kept in versions.lock as for
// other references, in a line "archive docker://<reference> sha256=<digest>". A tag that moves
// changes nothing until that line is removed.

// 1: `digest` is known: from the name, from the lock, or (with `resolve`) from the registry, and
// then it is in the lock; 0: unknown, and the registry may not be queried; -1: error. *fresh is set
// if this call resolved it.
int image_pin(struct build *b, const char *name, bool resolve, char digest[static DIGEST_HEX_SIZE],
              bool *fresh, struct error **err);
// Handles a failed fetch of the pinned `name`, with the reason in *err: if the pin is `unusable`, a
// line written by this run is removed from the lock; any other line is named in the hint.
void image_unpin(struct build *b, const struct job *job, const char *name, bool unusable,
                 struct error **err);
// The name with only this digest: "registry/repository@sha256:..."; to be freed, or NULL and an
// error.
char *image_pinned_name(const char *name, const char *digest, struct error **err);
// Opens the registry of this name, with upstream's variables for user and password if it is
// $ARTEFACT_REGISTRY.
struct registry *image_registry(const struct reference *name, struct error **err);

// With KBUILD_TRUSTED_KEYS an image must be named by its digest, or be a builder pushed by kbuild
// with a signature of one of these keys. 0: named by digest, or no keys are set; 1: signed, and
// *mark (share.h) and the digest of its tree are known; -1.
int image_check_signature(struct build *b, const struct node *node, json_t **mark,
                          char tree[static DIGEST_HEX_SIZE], struct error **err);

// ---- node_list.c: sources that are lists ----
// The name of the shared folder that holds a list's script, to be freed; NULL: the recipe's folder.
char *list_shared_folder(const struct recipe_list *list);

// ---- step.c ----
struct checkpoint;
// What a step sees. Folders are made below `scratch`, except /build and /out with a checkpoint; the
// struct owns the strings.
struct step {
    struct sandbox sandbox;
    struct sandbox_mount mounts[64];
    struct strlist environment, strings;
    char *argv[4];
    char *out, *deps, *inputs, *work;
};
int step_prepare(struct build *b, struct node *node, const char *scratch,
                 const struct checkpoint *w, struct step *s, struct error **err);
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
// An error about files that a step left is the step's failure (ERROR_STEP), unless its cause is the
// system: a full disk, or an interruption. Returns -1.
int step_fault(struct error **err);
// A step that failed while the file system of its work is full may succeed elsewhere, or when there
// is room again: then *err (ERROR_STEP) becomes the error of a full disk, with a hint, and the
// result is true. A step can leave some room, as compilers remove what they could not finish.
bool step_disk_is_full(const char *work, struct error **err);
// In the child that makes a node, first of all: time zone, locale, processors.
void variation_apply(const struct variation *w);

// ---- node_*.c ----
// In the child: makes the outputs and the provenance. identify_*(): as struct action.
int make_source(struct build *b, struct node *node, json_t *record, struct error **err);
int make_list(struct build *b, struct node *node, json_t *record, struct error **err);
int make_builder(struct build *b, struct node *node, json_t *record, struct error **err);
int make_rootfs(struct build *b, struct node *node, json_t *record, struct error **err);
int make_script(struct build *b, struct node *node, json_t *record, struct error **err);
int identify_script(struct build *b, struct node *node, struct error **err);
int make_initrd(struct build *b, struct node *node, json_t *record, struct error **err);
int identify_initrd(struct build *b, struct node *node, struct error **err);
int make_disk(struct build *b, struct node *node, json_t *record, struct error **err);
int identify_disk(struct build *b, struct node *node, struct error **err);
int make_se_image(struct build *b, struct node *node, json_t *record, struct error **err);
int identify_se_image(struct build *b, struct node *node, struct error **err);
const char *se_image_random(const struct job *job);
char *phase_script(const struct recipe_phase *p); // as the sandbox sees it; to be freed
// The number of a phase of the recipe; a name that it does not have is an error that lists them.
int find_phase(const struct recipe *r, const char *name, size_t *index, struct error **err);
// In the child: the phases up to b->until, in folders that stay (checkpoint.c).
int make_until(struct build *b, struct node *node, json_t *record, struct error **err);

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

// Updates the file at the end of a run: the results of these nodes have been placed, those of the
// other targets are pending. Writes only if something changed.
int output_targets_note(struct build *b, struct node **placed, size_t placed_count,
                        struct error **err);

// ---- checkpoint.c ----
// The work of a step that stopped between two phases. It is kept in the output directory, for a
// person to change and to resume from:
//
//   <target>/builddir       what the step sees as /build
//   <target>/destdir        what the step sees as /out
//   <target>/builddir.json  which step it is and which phases are done (checkpoint.c)
//
// Changes by hand are an input like any other. The key of the result is that of the untouched step
// plus lines for the content of the folders:
//
//   work after <phase>
//   work builddir <digest>  the tree's (store/store.h)
//   work destdir <digest>
//   work times <digest>     of the files' modification times, which decide what make rebuilds
//
// The result is therefore never taken for that of the recipe alone, and never shared.

struct checkpoint {
    char *builddir, *destdir, *record; // absolute paths
    char *shown;                       // the builddir as messages name it
    size_t reached;                    // number of phases that are done
    char *key_text;                    // of the untouched step
    char *content;                     // digest of both folders as kbuild left them; NULL: a killed
                                       // run left them
    bool edited;                       // a phase has run after changes by hand
    char *lines;                       // key lines, set by checkpoint_resume()
    char *listing_digest;              // and the content that they describe
};

// 1: *out is the work of this node's target; 0: there is none; -1: its record cannot be used.
int checkpoint_load(struct build *b, const struct node *node, struct checkpoint **out,
                    struct error **err);
// New, empty folders for a node whose key is known. Existing folders are removed if they have no
// changes by hand, as far as kbuild can know, else an error.
struct checkpoint *checkpoint_begin(struct build *b, const struct node *node, struct error **err);
// After a run that failed: records the content, so that changes by hand are detected later.
void checkpoint_record_content(struct build *b, const struct node *node);
int checkpoint_save(const struct node *node, const struct checkpoint *w, struct error **err);
// Whether it belongs to the step that this key text describes; else an error that says what
// changed.
int checkpoint_check(const struct node *node, const struct checkpoint *w, const char *key_text,
                     struct error **err);
// Runs beneath_strip() on both folders.
int checkpoint_strip(const struct checkpoint *w, struct error **err);
// The digest of both folders' content.
int checkpoint_content(const struct checkpoint *w, char **digest, struct error **err);
// With --continue: if the node has kept work, its key becomes that of resuming it, and
// job->checkpoint set.
int checkpoint_resume(struct build *b, struct node *node, struct error **err);
// With --continue: an error if no target has kept work.
int checkpoint_expected(struct build *b, struct error **err);
// Without --continue: reports kept work that is not used.
void checkpoint_report_unused(struct build *b);
// Copies both folders to the folders of a step.
int checkpoint_copy(const struct checkpoint *w, const char *builddir, const char *destdir,
                    struct error **err);
void checkpoint_free(struct checkpoint *w); // NULL is allowed

// ---- prebuilt.c ----
// Artifacts that are taken instead of made: artefacts that upstream's pipelines push to a registry
// with `oras push` (kata-artifacts, 4.2), or that kbuild pushed there. docs/shared-cache.md.
//
// Such an artefact does not record its inputs, so it cannot be found under an action key, and it is
// taken only if the user names it: KBUILD_PREBUILT or --prebuilt, "target[=reference],...". Its
// digest is pinned in versions.lock, and the key of the node has this digest. Artifacts made from
// it have keys over its content, as with any other input.

// An error unless all of the list are targets, each from a valid reference if one is given.
int prebuilt_check(struct build *b, struct error **err);
// 1: this target is taken, *reference (to be freed) says from where; 0: it is made; -1: the list is
// invalid, or names a target without a recipe.
int prebuilt_find(struct build *b, const char *target, const struct arch *arch, char **reference,
                  struct error **err);
// Pins it and sets the node's identity.
int identify_prebuilt(struct build *b, struct node *node, bool resolve, struct error **err);
// In the child: pulls it, checks its sums and, with KBUILD_TRUSTED_KEYS, its signature.
int make_prebuilt(struct build *b, struct node *node, json_t *record, struct error **err);

// ---- the files of such an artefact ----
struct prebuilt_file {
    const char *title; // a clean file name; belongs to the manifest
    const char *digest;
    uint64_t size;
};
struct prebuilt_files {
    struct prebuilt_file *items;
    size_t n;
};
// The files that a manifest names. A name with a path, or one that occurs twice, is an error.
int prebuilt_files_read(const json_t *manifest, struct prebuilt_files *out, struct error **err);
// The tarball of an output: "kata-static-<output>.tar.xz" or ".tar.zst"; or NULL.
const struct prebuilt_file *prebuilt_tarball(const struct prebuilt_files *f, const char *output);
// Checks files against the text of a <target>-sha256sum (the format of coreutils' sha256sum; names
// may have folders in front). Every listed file must match, and the target's tarball must be
// listed.
int prebuilt_check_sums(const struct prebuilt_files *f, const char *target, const char *sums,
                        struct error **err);

// ---- last_run.c ----
#define LAST_RUN_FORMAT "kbuild run 1" // docs/report.md; raise it when a field changes its meaning
#define LAST_RUN_FILE "run.json"       // in the output directory
enum { LAST_RUN_MAX = 256 << 20 };

// What was known of a node when its process began.
struct node_start {
    const char *reason; // "first", "changed", "lost", "gone", "asked"; NULL: it is pulled
    char *change;       // of "changed": the lines of the key that differ
    json_t *because;    // of "changed": what that means, and which lines of files (graph/reason.h)
    json_t *before;     // outputs of its last build here, or NULL
    const char *where;  // the machine that it ran on, or NULL: this one; borrowed
};
struct last_run {
    struct build *b;
    const struct schedule *s;
    const char *verb;
    long long began_ms, made_ms; // of the monotonic clock; 0: nodes are still being made
    struct node_start *starts;   // by the place of the task
    struct last_build *roots;    // of the results, before this run; NULL: not read yet
    size_t root_count;
};
void last_run_open(struct build *b, struct last_run *l, const struct schedule *s, const char *verb);
// Before the process of a task starts.
void last_run_starts(struct last_run *l, const struct task *t);
// Writes the record in one step; a failure is a warning. `why`: the run failed.
void last_run_write(struct last_run *l, const struct error *why);
void last_run_close(struct last_run *l);
// The outcome of a node in a word: made, pulled, found, cached, failed, interrupted, skipped, left,
// not needed.
const char *last_run_state(const struct task *t);
// The chain of nodes that decided when the run ended, in order: each is the last to end of what the
// next one needs. To be freed.
const struct task **last_run_chain(const struct schedule *s, size_t *n);
// By the place of a task: the slot in which it ran, from 0, such that no two overlap. To be freed.
unsigned *last_run_slots(const struct schedule *s);

// ---- trace.c ----
json_t *trace_events(const struct last_run *l);
// Into a file that was begun, which it commits.
int trace_write(const struct last_run *l, struct file_draft *file, struct error **err);

// ---- summary.c ----
#define EVENTS_SCHEMA 1 // docs/events.md; raise it when a field changes its meaning

struct run_summary {
    struct build *b;
    const struct schedule *s;
    long long ms;            // of the whole run
    bool placed;             // the results are in the output directory
    const struct error *why; // the run failed; or NULL
};
void summary_print(const struct run_summary *sum); // on standard error
json_t *summary_json(const struct run_summary *sum);
// As Markdown, in which no name and no message is markup.
void summary_markdown(const struct run_summary *sum, struct buf *out);
// Appends that to the summary of a job of GitHub Actions, if this is one; a failure is a warning.
void summary_for_job(const struct run_summary *sum);
// "s390x"; "" of a source.
const char *node_arch_name(const struct node *node);
// Pulled, or taken instead of made.
bool task_was_taken(const struct task *t);

// ---- view.c ----
// What a run looks like: a live view on a terminal, plain lines in a pipe, one JSON event a line
// (docs/events.md).
// The wanted nodes must be marked before.
void view_open(struct build *b, const struct schedule *s);
void view_started(const struct task *t);
void view_progress(const struct task *t);
void view_waiting(const struct task *t); // for another process that makes the same
void view_ended(const struct task *t, const struct error *why);
// The results of all nodes; with `placed` also where they are. `why`: the run failed.
void view_summary(struct build *b, bool placed, const struct error *why);
void view_estimate(long long left_ms); // the time that is left; 0: not known
void view_tick(void);
void view_close(void);

// ---- what a run on other machines has learned (follow.h) ----
struct follow_history;

// The error to report; NULL: nothing failed. Borrowed.
const struct error *history_failure(const struct follow_history *h);
// Takes the error. `again`: not for good.
void history_add_failure(struct follow_history *h, const char *id, bool again, struct error *why);
// After a try that the machine may have failed: the number of tries of the node.
size_t history_add_try(struct follow_history *h, const char *id, const char *machine);
// Ids of the different jobs that failed on the machine in a row, if they are so many that it gets
// no more from now on; else NULL. Borrowed.
const json_t *history_add_fault(struct follow_history *h, const char *id, const char *machine);
// A job was done there, or its step failed. NULL: on no machine.
void history_clear_faults(struct follow_history *h, const char *machine);

#endif
