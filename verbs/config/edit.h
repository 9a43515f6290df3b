// SPDX-License-Identifier: Apache-2.0
// One edit of a text in TOML.
#ifndef KBUILD_CONFIG_EDIT_H
#define KBUILD_CONFIG_EDIT_H

#include "config/config.h"
#include "config/lines.h"
#include "toml/toml.h"

struct config_change {
    struct strlist path; // parts as toml.h has them
    enum config_operation operation;
    char *value; // TOML, or NULL
    bool fold;   // who reads the file takes Key for key (Go's runtime, not runtime-rs)
};

// The entry of a key in a table of a document, or NULL. With `fold` the first part of the table and
// the key match in any case, the exact one first; *count, if not NULL, gets how many do.
struct toml_entry *config_find(const struct toml *t, char *const *path, size_t parts, bool fold,
                               size_t *count);

// The elements of a list of one-line strings. A value that is anything else is an error.
int config_list(const struct toml *t, const struct toml_value *v, struct strlist *out,
                struct error **err);

// Makes the edit if it is needed, and reads the result again to be sure of it.
int config_apply(struct lines *l, const struct config_change *c, struct error **err);

#endif
