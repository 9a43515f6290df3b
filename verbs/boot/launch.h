// SPDX-License-Identifier: Apache-2.0
// The measured files of a confidential guest's launch, for a target with a boot section.
#ifndef KBUILD_BOOT_LAUNCH_H
#define KBUILD_BOOT_LAUNCH_H

#include "run/run.h"

// Paths lie in `folder`, a scratch folder of the cache. All owned.
struct launch_parts {
    char *folder;
    char *firmware, *kernel, *initrd; // initrd may be NULL
    char *append;                     // the command line that `kbuild boot` uses
    char *cpu;                        // QEMU's name of the model, or NULL
};
// Extracts the files from which the target's boot section starts that kind of guest. With `build`
// the target is built first; without, a target that is not in the cache is an error that names it,
// and nothing is written. A target without such files is an error. Free it also after an error.
int launch_parts_take(struct build *b, const char *target, enum recipe_confidential kind,
                      bool build, struct launch_parts *out, struct error **err);
void launch_parts_free(struct launch_parts *p);
#define cleanup_launch_parts __attribute__((cleanup(launch_parts_free)))

#endif
