// SPDX-License-Identifier: Apache-2.0
// The command line: parses words, calls the library, prints results. No other logic.
#ifndef KBUILD_CMD_KBUILD_H
#define KBUILD_CMD_KBUILD_H

#include "verbs.h"

#include "base/print.h"
#include "run/run.h"

// The input of a verb besides its operands: its options, and the values of the common ones.
struct global_options {
    struct command_line line;
    struct build_options build;
    struct source_choices choices;
    bool json;
    char *versions, *recipes, *cache, *output; // owned
};

// Options of the verb, by name ("--until"); a name missing in the table ends the program.
const char *option_value(const struct global_options *g, const char *name); // NULL: not given
bool option_given(const struct global_options *g, const char *name);
void option_values(const struct global_options *g, const char *name, struct strlist *out); // adds

verb_function verb_build, verb_list, verb_plan, verb_explain, verb_fetch, verb_update, verb_lock,
    verb_log, verb_shell, verb_boot, verb_install, verb_verify, verb_merge, verb_pack, verb_unpack,
    verb_hkd_verify, verb_doctor, verb_config, verb_measure, verb_payload_push, verb_payload_index,
    verb_provenance, verb_cache_info, verb_cache_verify, verb_cache_gc, verb_versions_get,
    verb_help, verb_version;

// Fills in the values of the common options and the environment; g->line must be parsed.
int global_options_read(struct global_options *g, struct error **err);
void global_options_free(struct global_options *g);

// The recipes, for a verb that works without them: *out is then NULL. They must exist if they are
// `needed` or given with --recipes.
int open_recipes(struct global_options *g, bool needed, struct recipe_set **out,
                 struct error **err);

// Checks that words are targets: one without a recipe is a usage error. With `verbs_too` the
// message also suggests verbs.
int check_targets(struct global_options *g, const struct strlist *words, bool verbs_too,
                  struct error **err);
// Opens the build and adds the targets.
struct build *open_with_targets(struct global_options *g, const struct strlist *targets,
                                struct error **err);

#endif
