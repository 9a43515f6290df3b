// SPDX-License-Identifier: Apache-2.0
// Shared by the files of lib/http only.
#ifndef KBUILD_HTTP_INTERNAL_H
#define KBUILD_HTTP_INTERNAL_H

#include "http/http.h"

// ---- settings.c: the machine's settings ----
// Sets CAs, proxy and login for t->url on the handle, and git's extra headers in *t.
int settings_apply(struct http_transfer *t, struct error **err);
// The login of ~/.netrc, or of the file that NETRC names, for a host: 1 and *user and *password,
// to be freed, or 0. *file gets the path. The `default` entry counts, too.
int netrc_find(const char *host, const char *wanted_user, char **user, char **password, char **file,
               struct error **err);
// Why libcurl failed, to be freed: `reason` is its error buffer. Says which setting named the proxy
// if the proxy is at fault, and never holds the proxy's user name or password.
char *failure_text(const char *url, enum http_use use, CURLcode code, const char *reason);

// ---- client.c: what is worth another try ----
// Whether a failure is transient. A complete answer (CURLE_OK, CURLE_HTTP_RETURNED_ERROR) is judged
// by its status, anything else by libcurl's code: no name, no connection, or a broken one.
bool failure_is_transient(enum http_use use, CURLcode code, long status);
// Whether no connection could be made.
bool failure_is_no_connection(CURLcode code);
// The answer's Retry-After in seconds, an hour at most; 0: none.
unsigned retry_after_of(CURL *c);

// ---- url.c ----
// A part of a parsed url, to be freed, or NULL.
char *url_part(CURLU *u, CURLUPart part, unsigned flags);

#endif
