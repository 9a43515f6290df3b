// SPDX-License-Identifier: Apache-2.0
// Shared by the files of lib/http only.
#ifndef KBUILD_HTTP_INTERNAL_H
#define KBUILD_HTTP_INTERNAL_H

#include "http/http.h"

// ---- ca.c ----
int ca_apply(CURL *c, const char *url, struct error **err);

// ---- netrc.c ----
// The login of ~/.netrc, or of the file that NETRC names, for a host: 1 and *user and *password,
// to be freed, or 0. *file gets the path. The `default` entry counts, too.
int netrc_find(const char *host, const char *wanted_user, char **user, char **password, char **file,
               struct error **err);

#endif
