// SPDX-License-Identifier: Apache-2.0
// The verbs of `kbuild se`, and kbuild under the names of other programs: genprotimg, and its
// successor pvimg. Their options, exit codes and messages, so that scripts for them run unchanged
// (docs/genprotimg.md).
#ifndef KBUILD_CMD_SE_H
#define KBUILD_CMD_SE_H

#include "kbuild.h"

#include "se/se.h"

// ---- se.c: the verbs ----

verb_function se_verb_seal, se_verb_open, se_verb_info, se_verb_verify, se_verb_reference,
    se_verb_test_key;
void se_verb_seal_help(void);

// ---- se.c: what an image was made of, and its proof: options of several verbs ----

struct proof_options {
    const char *host_key, *header_key, *record, *secret; // files, or NULL
};
struct proof_options proof_options_read(const struct global_options *g);
bool proof_options_given(const struct proof_options *w);
// The files that the options name. Zero-initialise; the struct owns what was loaded, also on
// failure, and must stay where it is.
struct loaded_proof {
    struct se_proof proof;
    unsigned char header_key[32];
    struct secret_memory secret;
};
int loaded_proof_read(struct loaded_proof *p, const struct proof_options *w, struct error **err);
void loaded_proof_free(struct loaded_proof *p);
// `kernel` and `initrd` are the names of the verb's options for these files.
int open_originals(const struct global_options *g, const char *kernel, const char *initrd,
                   struct se_originals *out, struct error **err);

// ---- members of the tarballs that the verbs take ----

#define KATA_SHARE "opt/kata/share/kata-containers/"
#define SE_IMAGE_MEMBER KATA_SHARE "kata-containers-se.img"

// ---- se_options.c: the options of sealing, of genprotimg, pvimg and kbuild, from one table ----

// The program whose command line it is. Other programs reject kbuild's own options.
enum seal_tool { TOOL_KBUILD = 1, TOOL_GENPROTIMG = 2, TOOL_PVIMG = 4 };

struct seal_command {
    struct seal_request request;
    bool help, help_all, help_experimental, version; // the first help found ends the parsing
    bool offline, online, overwrite, no_component_check;
    bool verbose, quiet;
    bool dash_v;         // -v, if ambiguous: decided after the last word
    const char *loaders; // --x-bootloader-directory, which is rejected
};

// Adds the files of `typed VALUE`: VALUE, or its parts between commas, as in pvimg. A file with the
// whole name is used, as in genprotimg before 2.36; it is an error if both are possible.
int add_listed_files(struct strlist *list, const char *typed, const char *value,
                     struct error **err);

// Parses the words in order, as genprotimg does, and stops at the first wrong one, with a usage
// error. Values point into the words.
int parse_seal_options(const struct strlist *words, enum seal_tool tool, struct seal_command *out,
                       struct error **err);
void print_seal_options(enum seal_tool tool, const struct seal_command *command);

// ---- se_seal.c ----

// Seals, for each of the programs.
int run_seal_command(struct seal_command *command, enum seal_tool tool, struct error **err);
// For --quiet: warnings and notes are not printed.
void discard_messages(void);

// ---- genprotimg.c: the other programs ----

// The version reported to scripts: the release with this behaviour.
#define GENPROTIMG_VERSION "2.34.0"
#define PVIMG_VERSION "2.43.0"

// The program in argv[0]: runs it and sets *status to its exit status. False: another name.
bool run_other_program(int argc, char **argv, int *status);

#ifdef KBUILD_TEST_HOOKS
// Replaces random values by those fixed in tests (genprotimg_hooks.c). In no installed program.
int test_hooks_apply(const struct seal_request *r, struct se_input *in, struct error **err);
#endif

#endif
