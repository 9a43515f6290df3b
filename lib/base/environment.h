// SPDX-License-Identifier: Apache-2.0
// Variables of the user's environment that have rules: those that can have two values only (unset
// and empty are the same, and any third value is an error, never one of the two), and those that
// decide whom or what we trust.
#ifndef KBUILD_BASE_ENVIRONMENT_H
#define KBUILD_BASE_ENVIRONMENT_H

#include "base/error.h"

#include <stdbool.h>

// *out is whether it is `yes`; `otherwise` if it is not set.
int environment_choice(const char *name, const char *no, const char *yes, bool otherwise, bool *out,
                       struct error **err);
int environment_yes_no(const char *name, bool otherwise, bool *out, struct error **err);

// Of the second kind. An undefined secret of a CI job arrives as a variable that is set and empty:
// taken for "not set", it would switch trust off in silence, so that is an error. *out is the
// value, or NULL if it is not set.
int security_variable(const char *name, const char **out, struct error **err);
// The same for all that the program itself has (those of recipes are read when they are used).
int security_variables_check(struct error **err);

#endif
