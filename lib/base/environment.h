// SPDX-License-Identifier: Apache-2.0
// Environment variables with rules: those with two possible values (unset and empty are the same,
// any other value is an error), and those that decide whom or what is trusted.
#ifndef KBUILD_BASE_ENVIRONMENT_H
#define KBUILD_BASE_ENVIRONMENT_H

#include "base/error.h"

#include <stdbool.h>

// *out: true for `yes`, false for `no`, `otherwise` if it is not set.
int environment_choice(const char *name, const char *no, const char *yes, bool otherwise, bool *out,
                       struct error **err);
int environment_yes_no(const char *name, bool otherwise, bool *out, struct error **err);

// A variable that decides trust. An undefined secret of a CI job is a variable that is set and
// empty: taken for "not set", it would switch trust off silently, so it is an error. *out is the
// value, or NULL if it is not set.
int security_variable(const char *name, const char **out, struct error **err);
// Checks all such variables of the program itself (those of recipes are read when they are used).
int security_variables_check(struct error **err);

#endif
