// SPDX-License-Identifier: Apache-2.0
// kbuild under the names of other programs: genprotimg, and pvimg that took its place. Their
// options, exit codes and messages, so that scripts written for them run unchanged
// (docs/genprotimg.md).
#ifndef KBUILD_CMD_GENPROTIMG_H
#define KBUILD_CMD_GENPROTIMG_H

#include "se_options.h"

// What the scripts that ask for a version are told: the release whose behaviour this is.
#define GENPROTIMG_VERSION "2.34.0"
#define PVIMG_VERSION "2.43.0"

// The program that argv[0] names: runs it and sets *status to its exit status. False: none of them.
bool run_other_program(int argc, char **argv, int *status);

// What each does with its words. Like a verb: the exit status, or -1 with *err set.
int run_genprotimg(struct strlist *words, struct error **err);
int run_pvimg(struct strlist *words, struct error **err);

// Seals; also `kbuild se seal` (se_seal.c).
int run_seal_command(struct seal_command *command, enum seal_tool tool, struct error **err);

#ifdef KBUILD_TEST_HOOKS
// Puts what tests fix in the place of what would be drawn (genprotimg_hooks.c). Not in any program
// that is installed.
int test_hooks_apply(const struct seal_request *r, struct se_input *in, struct error **err);
#endif

#endif
