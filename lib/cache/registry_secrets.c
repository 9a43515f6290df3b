// SPDX-License-Identifier: Apache-2.0
// Where passwords must not get to: programs that are started, /proc, core files.
#include "cache/registry_room.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

// prctl(2), PR_SET_DUMPABLE: no core file, no tracing by other processes of the user, and the files
// of /proc/PID are root's. It holds for forked processes too and ends with exec(), where memory
// ends as well. RLIMIT_CORE would not do, for a core_pattern that is a pipe does not ask it
// (core(5)), and overwriting would not either, for libcurl and jansson have copies.
void secrets_guard(void)
{
    prctl(PR_SET_DUMPABLE, 0);
}

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
