// SPDX-License-Identifier: Apache-2.0
// Takes the login from the environment once, and removes it there and in /proc.
#include "registry/internal.h"

#include <stdlib.h>
#include <string.h>

static char *taken_user, *taken_password;

static void take(const char *name, char **out)
{
    char *value = getenv(name);
    if (!value)
        return;
    secret_free(*out);
    *out = *value ? xstrdup(value) : NULL;
    explicit_bzero(value, strlen(value)); // /proc/PID/environ shows these very bytes
    unsetenv(name);
}

void registry_take_login(void)
{
    if (getenv("ARTEFACT_REGISTRY_PASSWORD"))
        secrets_guard();
    take("ARTEFACT_REGISTRY_USERNAME", &taken_user);
    take("ARTEFACT_REGISTRY_PASSWORD", &taken_password);
}

void registry_login(const char **user, const char **password)
{
    registry_take_login();
    if (!taken_user)
        return;
    *user = taken_user;
    *password = taken_password;
}
