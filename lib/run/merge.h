// SPDX-License-Identifier: Apache-2.0
#ifndef KBUILD_RUN_MERGE_H
#define KBUILD_RUN_MERGE_H

#include "base/error.h"

// Joins directory/kata-static-*.tar.* to the file `output`, written in one step, with VERSION and
// `versions_yaml` where upstream puts them. Components for guests are left out, with a note. `jobs`
// bounds the threads of the encoder. What two components disagree about, and members that would
// overwrite a host's own configuration, are errors (lib/pack, merge_archives).
int merge_directory(const char *directory, const char *versions_yaml, const char *output,
                    unsigned jobs, struct error **err);

#endif
