// SPDX-License-Identifier: Apache-2.0
// `kbuild boot`: proves that a target boots, under QEMU or as a confidential guest.
#ifndef KBUILD_BOOT_BOOT_H
#define KBUILD_BOOT_BOOT_H

#include "run/run.h"

struct boot_options {
    const char *host_key; // private key (PEM) for a sealed image; NULL: searched in HKD_PATH
    const char *image;    // a sealed image instead of the target's; or NULL
    const char *qemu;     // "host", or a path: instead of the recipe's; or NULL
    const char *root;     // a tree that represents the machine, as for the doctor; or NULL
    bool plain;           // no confidential guest, even if the machine supports one
    unsigned timeout;     // seconds for each start
    bool verbose;         // show the console
};
// Boots the parts in the boot section of the target (or group) under QEMU and checks init's JSON
// line: the kernel and the initrd, and, if it names them, a QEMU and a firmware that kbuild built.
// On a host that supports the confidential guests in the recipe, it starts one, and checks its
// console and its attestation report (confidential.h); elsewhere it reports that it did not. For a
// sealed image: the sealed image itself up to the loader's message, the decrypted parts, and the
// second stage with the decrypted parts in place. Prints a line per proof through log_note().
int build_boot(struct build *b, const char *target, const struct boot_options *o,
               struct error **err);

#endif
