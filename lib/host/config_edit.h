// SPDX-License-Identifier: Apache-2.0
// One edit of a text in TOML.
#ifndef KBUILD_HOST_CONFIG_EDIT_H
#define KBUILD_HOST_CONFIG_EDIT_H

#include "host/config.h"
#include "host/config_lines.h"

struct config_change {
    struct strlist path; // parts as toml.h has them
    enum config_operation operation;
    char *value; // TOML, or NULL
};

// Makes the edit if it is needed, and reads the result again to be sure of it.
int config_apply(struct lines *l, const struct config_change *c, struct error **err);

#endif
