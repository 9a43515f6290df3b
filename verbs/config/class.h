// SPDX-License-Identifier: Apache-2.0
// A runtime class of containerd that runs Kata: what its name stands for, and what a file of
// containerd must say for it to be added.
#ifndef KBUILD_CONFIG_CLASS_H
#define KBUILD_CONFIG_CLASS_H

#include "config/config.h"
#include "toml/toml.h"

// What the marks in the tables of edits stand for: "@PREFIX@" and so on. `shim` and
// `configuration` are owned.
struct config_marks {
    const char *prefix, *name;
    const char *default_class;  // of whoever names none, as a part of a path; or NULL
    char *shim, *configuration; // absolute
};

// Kata's own names (kata-deploy, RuntimeClass): the class kata-qemu-se runs the shim of the runtime
// in Go with configuration-qemu-se.toml, one that ends in -runtime-rs that of runtime-rs with its
// own; "kata" the one that configuration.toml leads to. Without a class only the prefix is set.
// A path that is not absolute is an error.
int config_marks_read(const struct config_request *request, const char *default_class,
                      struct config_marks *out, struct error **err);
void config_marks_free(struct config_marks *m);
// The same error before a file is looked at.
int config_paths_check(const struct config_request *request, struct error **err);
// The text with each mark replaced; within what is TOML (`quoted`) by what stands in a basic
// string.
char *config_marks_expand(const struct config_marks *m, const char *text, bool quoted);

// The first of the files that the class needs that is not on this machine, or NULL; to be freed.
char *config_absent(const struct config_request *request);

// What containerd's file says: its version, 2 or 3, and the class of whoever names none ("runc"). A
// file that says another version or none is an error, and so is one that switches off the plugin
// that classes belong to, names one that is neither there nor to be added, or has the class that is
// asked for as another runtime's.
struct config_containerd {
    unsigned version;
    char *default_class; // a part of a path, as toml.h has them; owned
};
int config_containerd_read(const struct toml *t, const struct config_request *request,
                           struct config_containerd *out, struct error **err);

#endif
