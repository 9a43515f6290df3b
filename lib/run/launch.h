// SPDX-License-Identifier: Apache-2.0
// What a launch of a confidential guest measures, of a target that says how it is booted.
#ifndef KBUILD_RUN_LAUNCH_H
#define KBUILD_RUN_LAUNCH_H

#include "run/run.h"

// Paths lie in `folder`, a scratch folder of the cache. All owned.
struct launch_parts {
    char *folder;
    char *firmware, *kernel, *initrd; // initrd may be NULL
    char *append;                     // the command line that `kbuild boot` gives it
    char *cpu;                        // QEMU's name of the model, or NULL
};
// Builds the target and takes out what its boot section's part for that kind of guest is started
// from. A target without such a part is an error. Free it also after an error.
int launch_parts_take(struct build *b, const char *target, enum recipe_confidential kind,
                      struct launch_parts *out, struct error **err);
void launch_parts_free(struct launch_parts *p);
#define cleanup_launch_parts __attribute__((cleanup(launch_parts_free)))

#endif
