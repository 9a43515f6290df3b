// SPDX-License-Identifier: Apache-2.0
// Variables of the user's environment that can have two values only. Unset and empty are the same;
// any third value is an error, never one of the two.
#ifndef KBUILD_BASE_ENVIRONMENT_H
#define KBUILD_BASE_ENVIRONMENT_H

#include "base/error.h"

#include <stdbool.h>

// *out is whether it is `yes`; `otherwise` if it is not set.
int environment_choice(const char *name, const char *no, const char *yes, bool otherwise, bool *out,
                       struct error **err);
int environment_yes_no(const char *name, bool otherwise, bool *out, struct error **err);

#endif
