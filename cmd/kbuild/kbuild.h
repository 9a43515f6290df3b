// SPDX-License-Identifier: Apache-2.0
// The command line: words in, library calls, results out. No logic lives here.
#ifndef KBUILD_CMD_KBUILD_H
#define KBUILD_CMD_KBUILD_H

#include "base/buf.h"
#include "base/error.h"
#include "run/run.h"

// The options that every verb takes, with their defaults filled in.
struct global_options {
    struct build_options build;
    bool json;
    char *versions, *recipes, *cache; // owned
};

// One verb. `words` are the words after it, options that are not global included. Returns the exit
// status, or -1 with *err set.
typedef int verb_function(struct global_options *g, struct strlist *words, struct error **err);
struct verb {
    const char *name;
    const char *usage; // after the name
    const char *help;  // one line
    verb_function *run;
    bool own_options; // -o, --output, -k and -q are its own, not the global ones
};
// NULL if there is none of that name; `word` may be NULL.
const struct verb *find_verb(const char *word);
extern const struct verb verbs[];
extern const size_t verb_count;

verb_function verb_build, verb_list, verb_plan, verb_explain, verb_fetch, verb_log, verb_shell,
    verb_merge, verb_pack, verb_unpack, verb_verify, verb_cache, verb_versions, verb_boot, verb_config, verb_doctor, verb_measure, verb_payload, verb_provenance, verb_se, verb_hkd,
    verb_install;

// Takes the global options out of argv; the rest lands in words.
int parse_global_options(int argc, char **argv, struct global_options *g, struct strlist *words,
                         struct error **err);
void free_global_options(struct global_options *g);

// An option of a verb: "--name VALUE", "--name=VALUE", or a flag. Removes it from words. Returns 1 if
// it was there, 0 if not, -1 on an error. *value points into *storage's strings.
struct verb_option {
    const char *name;   // "--host-key"
    const char *short_; // "-k" or NULL
    const char **value; // NULL for a flag
    struct strlist *values; // for an option that may be repeated
    bool *flag;
};
// Parses all options of a verb; an unknown one is a usage error with the nearest name. What remains
// in `words` are the operands.
int parse_verb_options(const char *verb, struct strlist *words, const struct verb_option *options,
                       size_t count, struct strlist *storage, struct error **err);
int usage_error(struct error **err, const char *verb, const char *why);
// What a verb does often depends on its words. `uses` are the options that count in this mode, with
// blanks between them ("--kernel --append"): a usage error if another one of `options` was given,
// since it would be read and then ignored. `mode` is for the message ("tdx without a kernel").
int check_mode(const char *verb, const char *mode, const char *uses,
               const struct verb_option *options, size_t count, struct error **err);

// Opens the build and adds the targets.
struct build *open_with_targets(struct global_options *g, const struct strlist *targets,
                                struct error **err);

#endif
