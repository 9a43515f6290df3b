// SPDX-License-Identifier: Apache-2.0
// The verbs of `kbuild se`. Each gets the words after its name.
#ifndef KBUILD_CMD_SE_H
#define KBUILD_CMD_SE_H

#include "kbuild.h"

int se_verb_seal(struct strlist *words, struct error **err);

#endif
