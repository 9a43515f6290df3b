// SPDX-License-Identifier: Apache-2.0
// The command line: words in, library calls, results out. No logic lives here.
#ifndef KBUILD_CMD_KBUILD_H
#define KBUILD_CMD_KBUILD_H

#include "verbs.h"

#include "base/visible.h"
#include "run/run.h"

// What a verb is given besides its operands: its options, and what the common ones say.
struct global_options {
    struct command_line line;
    struct build_options build;
    struct source_choices choices;
    bool json;
    char *versions, *recipes, *cache, *output; // owned
};

// Options of the verb, by name ("--until"); a name that the table does not have ends the program.
const char *option_value(const struct global_options *g, const char *name); // NULL: not given
bool option_given(const struct global_options *g, const char *name);
void option_values(const struct global_options *g, const char *name, struct strlist *out); // adds

verb_function verb_build, verb_list, verb_plan, verb_explain, verb_fetch, verb_update, verb_lock,
    verb_log, verb_shell, verb_boot, verb_install, verb_verify, verb_merge, verb_pack, verb_unpack,
    verb_hkd_verify, verb_doctor, verb_config, verb_measure, verb_payload_push, verb_payload_index,
    verb_provenance, verb_cache_info, verb_cache_verify, verb_cache_gc, verb_versions_get,
    verb_help, verb_version;

// Fills in everything that the common options and the environment say; g->line has been parsed.
int global_options_read(struct global_options *g, struct error **err);
void global_options_free(struct global_options *g);

// The recipes, for a verb that can do without: *out is NULL then. Those that were named with
// --recipes, or are `needed`, have to be there.
int open_recipes(struct global_options *g, bool needed, struct recipe_set **out,
                 struct error **err);

// Words that are to be targets: one that no recipe has is a wrong command line. With `verbs_too` it
// may have been meant as a verb.
int check_targets(struct global_options *g, const struct strlist *words, bool verbs_too,
                  struct error **err);
// Opens the build and adds the targets.
struct build *open_with_targets(struct global_options *g, const struct strlist *targets,
                                struct error **err);

#endif
