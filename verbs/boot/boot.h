// SPDX-License-Identifier: Apache-2.0
// `kbuild boot`: proves that a target boots, under QEMU or as a confidential guest; and extracts
// the files of a confidential guest's launch for `kbuild measure`. Targets are built with an open
// build (run/run.h); nothing that is passed in is kept.
#ifndef KBUILD_BOOT_BOOT_H
#define KBUILD_BOOT_BOOT_H

#include "run/run.h"

struct boot_options {
    const char *host_key; // private key (PEM) for a sealed image; NULL: searched in HKD_PATH
    const char *image;    // a sealed image instead of the target's; or NULL
    const char *member;   // where the image is, if that is a tarball
    const char *qemu;     // "host", or a path: instead of the recipe's; or NULL
    const char *root;     // a tree that represents the machine, as for the doctor; or NULL
    bool plain;           // no confidential guest, even if the machine supports one
    unsigned timeout;     // seconds for each start
    bool verbose;         // show the console
};
// Boots the parts in the boot section of the target (or group) under QEMU and checks init's JSON
// line: the kernel and the initrd, and, if it names them, a QEMU and a firmware that kbuild built.
// On a host that supports the confidential guests in the recipe, it starts one, and checks its
// console and its attestation report; elsewhere it reports that it did not. For a sealed image: the
// sealed image itself up to the loader's message, the decrypted parts, and the second stage with
// the decrypted parts in place. Prints a line per proof through log_note().
int build_boot(struct build *b, const char *target, const struct boot_options *o,
               struct error **err);

// The measured files of a launch. Paths lie in `folder`, a scratch folder of the cache. All owned.
struct launch_parts {
    char *folder;
    char *firmware, *kernel, *initrd; // initrd may be NULL
    char *append;                     // the command line that `kbuild boot` uses
    char *cpu;                        // QEMU's name of the model, or NULL
};
// Extracts the files from which the target's boot section starts that kind of guest. With `build`
// the target is built first; without, a target that is not in the cache is an error that names it,
// and nothing is written. A target without such files is an error. Free it also after an error.
int launch_parts_extract(struct build *b, const char *target, enum recipe_confidential kind,
                         bool build, struct launch_parts *out, struct error **err);
void launch_parts_free(struct launch_parts *p);

#endif
