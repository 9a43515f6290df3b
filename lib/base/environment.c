// SPDX-License-Identifier: Apache-2.0
// Reads variables that have two values.
#include "base/environment.h"

#include <stdlib.h>
#include <string.h>

int environment_choice(const char *name, const char *no, const char *yes, bool otherwise, bool *out,
                       struct error **err)
{
    const char *value = getenv(name);
    *out = otherwise;
    if (!value || !*value)
        return 0;
    *out = !strcmp(value, yes);
    if (*out || !strcmp(value, no))
        return 0;
    error_user(err, "%s is '%s'", name, value);
    return error_hint(err, "it can be %s or %s", yes, no);
}

int environment_yes_no(const char *name, bool otherwise, bool *out, struct error **err)
{
    return environment_choice(name, "no", "yes", otherwise, out, err);
}
