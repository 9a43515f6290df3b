// SPDX-License-Identifier: Apache-2.0
// A runtime class of containerd that runs Kata: what its name stands for, and what a file of
// containerd must say for it to be added.
#ifndef KBUILD_HOST_CONFIG_CLASS_H
#define KBUILD_HOST_CONFIG_CLASS_H

#include "host/config.h"
#include "host/toml.h"

// What the marks in the tables of edits stand for: "@PREFIX@" and so on. `shim` and
// `configuration` are owned.
struct config_marks {
    const char *prefix, *name;
    char *shim, *configuration; // absolute
};

// Kata's own names (kata-deploy, RuntimeClass): the class kata-qemu-se runs the shim of the runtime
// in Go with configuration-qemu-se.toml, one that ends in -runtime-rs that of runtime-rs with its
// own; "kata" the one that configuration.toml leads to. Without a class only the prefix is set.
int config_marks_read(const struct config_request *request, struct config_marks *out,
                      struct error **err);
void config_marks_free(struct config_marks *m);
// The text with each mark replaced; within what is TOML (`quoted`) by what stands in a basic
// string.
char *config_marks_expand(const struct config_marks *m, const char *text, bool quoted);

// The first of the files that the class needs that is not on this machine, or NULL; to be freed.
char *config_absent(const struct config_request *request);

// The version of containerd's file, 2 or 3. A file that says another or none, and one that switches
// off the plugin that classes belong to, is an error.
int config_containerd_version(const struct toml *t, unsigned *out, struct error **err);

#endif
