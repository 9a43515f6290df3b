// SPDX-License-Identifier: Apache-2.0
// Starting a machine of any architecture under QEMU and watching its console.
#ifndef KBUILD_RUN_QEMU_H
#define KBUILD_RUN_QEMU_H

#include "recipe/arch.h"

#include <jansson.h>
#include <stdio.h>

struct machine {
    const struct arch *arch;
    const char *kernel, *initrd, *append; // initrd and append may be NULL
    unsigned timeout;                     // seconds
    FILE *console;                        // where the console is copied to, or NULL
    bool verbose;                         // and to standard error
};

// The kernel command line that this machine is started with (append, and the console where the kernel
// does not find it by itself); to be freed.
char *qemu_command_line(const struct machine *m);
// Runs until a line of the console holds `text`. It is an error if the machine ends, panics, or the
// time is over before.
int qemu_expect(const struct machine *m, const char *text, struct error **err);
// Runs until init has printed its JSON line, an object with the key "smoke-init", which *report gets
// (to be released with json_decref()).
int qemu_expect_init(const struct machine *m, json_t **report, struct error **err);

#endif
