// SPDX-License-Identifier: Apache-2.0
// Reads environment variables with two values, and those that decide trust.
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

int security_variable(const char *name, const char **out, struct error **err)
{
    const char *value = getenv(name);
    *out = value;
    if (!value || *value)
        return 0;
    *out = NULL;
    error_user(err, "%s is set and empty", name);
    return error_hint(err,
                      "unset it if that is meant; a CI job whose secret is not defined sets it "
                      "to nothing");
}

int security_variables_check(struct error **err)
{
    static const char *const names[] = {"KBUILD_TRUSTED_KEYS", "KBUILD_SIGNING_KEY",
                                        "KBUILD_KERNEL_KEYRING", "REPO_KEYRING"};
    const char *ignored;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (security_variable(names[i], &ignored, err) < 0)
            return -1;
    return 0;
}
