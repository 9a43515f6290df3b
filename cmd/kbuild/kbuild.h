// SPDX-License-Identifier: Apache-2.0
// The command line of kbuild: parses words, calls the library, prints results; no other logic.
//
// verbs.c has the table of verbs and options. From it a command line is parsed (command_line.c),
// and help, the manual and completions are printed (help.c). options.c reads the common options and
// the environment. A verb gets both as struct global_options; a struct owns what its _free()
// function frees.
#ifndef KBUILD_CMD_KBUILD_H
#define KBUILD_CMD_KBUILD_H

#include "base/error.h"
#include "base/memory.h"
#include "base/print.h"
#include "recipe/settings.h"
#include "run/run.h"

#include <stdint.h>

// ---- the table of verbs and options ----

// An option. Its row defines it completely.
struct option {        // NOLINT(clang-analyzer-optin.performance.Padding): as its rows are read
    const char *name;  // "--until"
    char letter;       // 'o' for -o; 0: none
    const char *value; // placeholder in the help: "FILE". "gzip|zstd" are the only allowed values.
                       // NULL: no value.
    const char *help;  // one line
    bool repeatable;   // else giving it twice is an error
    unsigned flags;    // of enum option_flag
};
enum option_flag {
    MAY_BE_EMPTY = 1,
    // The value names what the verb writes, with "oci:" or "oci-archive:" or without:
    WRITES_DOCUMENT = 2, // a file that a program or a person reads; "-" is standard output
    WRITES_FILE = 4,     // any other file
    WRITES_FOLDER = 8,   // several, in this directory
    WRITES = WRITES_DOCUMENT | WRITES_FILE | WRITES_FOLDER
};

// The options that several verbs have in common, as bits of verb.common.
enum common_option {
    COMMON_OUTPUT,
    COMMON_ARCH,
    COMMON_JOBS,
    COMMON_SOURCES,
    COMMON_SOURCE,
    COMMON_OFFLINE,
    COMMON_REMOTE,
    COMMON_CONTINUE,
    COMMON_PREBUILT,
    COMMON_LOCKED,
    COMMON_KEEP_GOING,
    COMMON_BUILDER,
    COMMON_CACHE,
    COMMON_VERSIONS,
    COMMON_RECIPES,
    COMMON_FILE,
    COMMON_JSON,
    COMMON_QUIET,
    COMMON_OPTIONS
};
#define BIT(which) (1U << (which))
// Options on the project, as KBUILD_CACHE and KBUILD_SOURCES are: before a verb they are allowed
// even if the verb does not use them.
#define COMMON_SETTINGS                                                                            \
    (BIT(COMMON_SOURCES) | BIT(COMMON_SOURCE) | BIT(COMMON_BUILDER) | BIT(COMMON_CACHE) |          \
     BIT(COMMON_VERSIONS) | BIT(COMMON_RECIPES) | BIT(COMMON_FILE))
#define SOURCES_AND_BUILDER (BIT(COMMON_SOURCES) | BIT(COMMON_SOURCE) | BIT(COMMON_BUILDER))
extern const struct option common_options[COMMON_OPTIONS];

struct global_options;
// Returns the exit status, or -1 with *err set. `words` are the operands.
typedef int verb_function(struct global_options *g, struct strlist *words, struct error **err);

enum verb_flag {
    OWN_PARSER = 1,            // the words after its name are not parsed here
    FOR_ENGINES = 2,           // it exits with ERROR_AGAIN where another try may succeed
    SEVERAL_ARCHITECTURES = 4, // --arch may be a list, or "all"
    READS_OPTIONS = 8,         // it calls global_options_read() itself
    MAKES_NODE = 16            // one of a plan, on any machine
};

struct verb {             // NOLINT(clang-analyzer-optin.performance.Padding): as its rows are read
    const char *name;     // "merge"; "cache gc" is a verb below "cache"
    const char *operands; // "TARGET..."
    unsigned least, most; // how many
    enum { NO_TARGETS, TARGETS } names; // the operands are targets
    const char *help;                   // one line
    const char *details;                // paragraphs of plain text; NULL: none
    uint32_t common;                    // which of common_options it uses
    const struct option *options;
    size_t option_count;
    verb_function *run;
    unsigned flags; // of enum verb_flag
};
enum { ANY_NUMBER = 1000000 };
extern const struct verb verbs[];
extern const size_t verb_count;

// Whether its value is one of the words in o->value: these are lower case, placeholders are not.
bool option_has_choices(const struct option *o);
// The path in the value of an option that WRITES: without "oci:"; a pointer into it.
const char *output_path(const struct option *o, const char *value);
// The verb of this name; with `below` the one of both words. NULL if there is none.
const struct verb *verb_find(const char *word, const char *below);
// Whether there are verbs below this word ("cache").
bool verb_is_group(const char *word);
// "read these" of "se": the possible next words, for messages; to be freed.
char *verb_group_words(const char *group, const char *between);
// Calls `each` for the verb's own options, then for the common ones that it uses.
void verb_each_option(const struct verb *v, void (*each)(const struct option *o, void *context),
                      void *context);

// ---- a parsed command line ----

struct given_option {
    const struct option *option;
    char *value; // NULL for a flag
    bool before; // the verb
};
struct command_line {
    const struct verb *verb; // NULL: only help or the version was requested
    struct given_option *given;
    size_t n, cap;
    struct strlist operands;
    bool named; // the verb was given; else it is build
    bool help, version;
    struct strlist help_words; // of `help WORD...`: the topics
};

// Finds all errors in the words alone: unknown verbs and options, unused options, missing, needless
// and invalid values, too few and too many operands.
int command_line_parse(int argc, char **argv, struct command_line *out, struct error **err);
// The same for the words after a known verb.
int command_line_parse_words(const struct verb *v, const struct strlist *words,
                             struct command_line *out, struct error **err);
void command_line_free(struct command_line *c);
const char *command_line_value(const struct command_line *c, const char *name); // NULL: not given
bool command_line_given(const struct command_line *c, const char *name);
void command_line_values(const struct command_line *c, const char *name, struct strlist *out);

// A common option, even if the verb has its own with that name; "" for a given flag.
const char *command_line_common(const struct command_line *c, enum common_option which);
// For a verb that does not use some common options in one mode: an error if one was given.
int command_line_reject(const struct command_line *c, uint32_t common, const char *when,
                        struct error **err);

// For a verb with modes. `uses` are its own options in this mode, separated by blanks ("--kernel
// --append"): another one is a usage error, since it would be ignored. `mode` is for the message
// ("tdx without a kernel").
int command_line_mode(const struct command_line *c, const char *mode, const char *uses,
                      struct error **err);

int usage_error(struct error **err, const char *verb, const char *why);

// ---- help ----

void print_verb_help(const struct verb *v);
// Help on the verb, or the verbs below the word, in the words; without words the list of all verbs.
int print_help_of(const struct strlist *words, struct error **err);

// ---- places.c: the project, and the file with its settings ----

struct places {
    char *project;  // has versions.yaml and recipes/; if there is none: the current directory
    bool installed; // the project was made by `make install`, for all users
    char *settings; // the nearest kbuild.yaml, no higher than a project; or NULL
    // Why the one or the other cannot be used: others could have written it.
    struct error *project_fault, *settings_fault;
};
// The project is the nearest folder above the current one that has both, else one above the program
// (a checkout), or share/kbuild above it (an installation).
void places_find(struct places *out);
void places_free(struct places *p);

// ---- defaults.c: where the value of a setting comes from ----

enum setting_origin { SET_BY_OPTION, SET_BY_ENVIRONMENT, SET_BY_FILE, SET_BY_DEFAULT };
struct chosen_setting {
    enum setting_origin origin;
    struct strlist values; // none if there is no default
    const char *name;      // of the option or variable
    const struct settings_file *file;
    size_t line;
};
// A choice for one source: "NAME=VALUE".
struct chosen_source {
    const char *text;
    struct chosen_setting from; // without values
};

struct defaults {
    struct places places;
    struct settings_file files[2]; // of the project and of the user; path NULL: none
    struct error *fault;           // of the first file that cannot be used
    struct chosen_setting all[SETTINGS];
    bool project_recipes; // those of the project are among them, and were not named
};

// ---- verbs ----

// The input of a verb besides its operands: its options, and the values of the common ones.
struct global_options {
    struct command_line line;
    struct build_options build;
    struct source_choices choices;
    struct defaults defaults;
    bool json;
    struct strlist recipes;
    char *versions, *cache, *output; // owned
};

// Options of the verb, by name ("--until"); a name missing in the table ends the program.
const char *option_value(const struct global_options *g, const char *name); // NULL: not given
bool option_given(const struct global_options *g, const char *name);
void option_values(const struct global_options *g, const char *name, struct strlist *out); // adds

verb_function verb_build, verb_list, verb_plan, verb_explain, verb_why, verb_new, verb_fetch,
    verb_update, verb_lock, verb_run, verb_spread, verb_log, verb_shell, verb_boot, verb_install,
    verb_verify, verb_merge, verb_pack, verb_unpack, verb_hkd_verify, verb_doctor, verb_config,
    verb_measure, verb_payload_push, verb_payload_index, verb_payload_image, verb_provenance,
    verb_sign, verb_check, verb_report, verb_settings, verb_cache_info, verb_cache_verify,
    verb_cache_gc, verb_versions_get, verb_help, verb_version;

// Finds the files with settings and the value of each setting; g->line must be parsed. Faults of
// files are kept, for global_options_read().
void defaults_find(struct global_options *g);
void defaults_free(struct defaults *d);
// The value, or NULL.
const char *setting_text(const struct global_options *g, enum setting which);
// Calls `each` for every choice of a source that is not an option's, those first that count.
int each_source_of_files(const struct global_options *g,
                         int (*each)(const struct chosen_source *s, void *context,
                                     struct error **err),
                         void *context, struct error **err);
// "kbuild.yaml:3", "environment KBUILD_CACHE", "--cache", "default"; to be freed.
char *setting_origin_text(const struct chosen_setting *s);
// Gives the engine the settings that it takes from the environment. An error if a project's file
// would decide who gets a login.
int defaults_apply(const struct global_options *g, struct error **err);

// Fills in the values of the common options and the environment; g->line must be parsed.
int global_options_read(struct global_options *g, struct error **err);
void global_options_free(struct global_options *g);

// ---- outputs.c: what a verb writes ----

// A usage error if a result of this path would take the place of an input of the project, or of the
// directory of results; or if it is "-" and not WRITES_DOCUMENT. `shown` is what the user gave:
// "--trace FILE".
int output_check(const struct global_options *g, const char *shown, const char *path,
                 unsigned flags, struct error **err);
// The same for all results of the command line, and the directory of results.
int outputs_check(const struct global_options *g, struct error **err);

// The recipes, for a verb that works without them: *out is then NULL. They must exist if they are
// `needed` or given with --recipes.
int open_recipes(struct global_options *g, bool needed, struct recipe_set **out,
                 struct error **err);

// Checks that words are targets: one without a recipe is a usage error. With `verbs_too` the
// message also suggests verbs.
int check_targets(struct global_options *g, const struct strlist *words, bool verbs_too,
                  struct error **err);
// The plan of a run on several machines.
int plan_for_machines(struct global_options *g, struct strlist *words, struct error **err);
// The log of a node in the shared cache.
int log_of_machines(struct global_options *g, const char *id, struct error **err);
// Opens the build and adds the targets, each for those of the architectures that it supports.
struct build *open_for_several(struct global_options *g, const struct strlist *targets,
                               struct error **err);
// Sets what `check --reproduce` and `verify --against` build with: nothing of the cache and of a
// registry, or with --trust-cache what these have. A --remote without --trust-cache is an error.
int build_for_proof(struct global_options *g, struct error **err);
// Opens the build and adds the targets, for one architecture.
struct build *open_with_targets(struct global_options *g, const struct strlist *targets,
                                struct error **err);

#endif
