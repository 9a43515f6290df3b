// SPDX-License-Identifier: Apache-2.0
// kbuild under the names of other programs: genprotimg, and its successor pvimg. Their options,
// exit codes and messages, so that scripts for them run unchanged (docs/genprotimg.md).
#ifndef KBUILD_CMD_GENPROTIMG_H
#define KBUILD_CMD_GENPROTIMG_H

#include "se_options.h"

// The version reported to scripts: the release with this behaviour.
#define GENPROTIMG_VERSION "2.34.0"
#define PVIMG_VERSION "2.43.0"

// The program in argv[0]: runs it and sets *status to its exit status. False: another name.
bool run_other_program(int argc, char **argv, int *status);

// Each program with its words. As for a verb: the exit status, or -1 with *err set.
int run_genprotimg(struct strlist *words, struct error **err);
int run_pvimg(struct strlist *words, struct error **err);

// Seals; also `kbuild se seal` (se_seal.c).
int run_seal_command(struct seal_command *command, enum seal_tool tool, struct error **err);

#ifdef KBUILD_TEST_HOOKS
// Replaces random values by those fixed in tests (genprotimg_hooks.c). In no installed program.
int test_hooks_apply(const struct seal_request *r, struct se_input *in, struct error **err);
#endif

#endif
