// SPDX-License-Identifier: Apache-2.0
// The network settings of the user's machine, read once and in one way for every transport over
// http and https: archives, git, registries, revocation lists. docs/machine.md is the table of
// them.
//
//   proxies      https_proxy, http_proxy, all_proxy, no_proxy: libcurl's own reading, which counts
//                everywhere because every transport is libcurl; git's http.proxy for git
//   CAs          GIT_SSL_CAINFO, http.sslCAInfo, CURL_CA_BUNDLE, SSL_CERT_FILE, SSL_CERT_DIR
//   logins       the url's own, ~/.netrc; for git also http.extraHeader and credential helpers
//   slowness     one rule that ends a transfer (http_is_too_slow)
//   failures     one rule for which are transient (http_may_pass)
//
// Nothing here makes a request: the callers own their handles and their number of tries.
#ifndef KBUILD_HTTP_HTTP_H
#define KBUILD_HTTP_HTTP_H

#include "base/memory.h"
#include "base/error.h"
#include "http/libcurl.h"

#include <stdint.h>

// Call it before any use of libcurl; any number of times, from any thread.
void http_begin(void);

// Whether the end of a login in the url is unambiguous. It is not in `http:/user:password@host`,
// which libcurl accepts, or if a password contains a '/' that is not written %2F.
bool http_url_is_clear(const char *url);
// The url without user name and password, for messages and records; to be freed. From an ambiguous
// one everything that could be a login is removed.
char *http_url_shown(const char *url);
// The url as it may be stored: without the password, and without a user name that is a token (alone
// before the '@' of an http url). To be freed.
char *http_url_kept(const char *url);

// A part of the url by libcurl's parser, percent-decoded; to be freed. NULL if the url is invalid
// or has no such part.
char *http_url_part(const char *url, CURLUPart part);
// Whether scheme, host and port are the same.
bool http_same_server(const char *a, const char *b);

// ---- a handle's settings ----
enum http_use {
    HTTP_FILE,     // an archive, a sums file
    HTTP_GIT,      // git's own settings count as well
    HTTP_REGISTRY, // the registry client handles logins
    HTTP_CRL,      // the url is from a certificate that anybody may have made: no login
};
// What lives as long as the transfer. Zero-initialise; http_settings_free() after the handle.
struct http_settings {
    bool redirected;            // set by the caller: another server redirected to the url, which
                                // gets no login and no header but those that are set for it
    struct curl_slist *headers; // of git's http.extraHeader; the caller may append and sets them
    char *login_from;           // where a login came from, for messages, or NULL
};
// Sets the machine's CAs, proxy and login for `url` on the handle; later settings of the caller
// take precedence. A setting that cannot be used (a CA file without a certificate,
// http.sslVerify=false) is an error that names it.
int http_settings_apply(CURL *c, const char *url, enum http_use use, struct http_settings *out,
                        struct error **err);
void http_settings_free(struct http_settings *s);

// ---- messages ----
// Why libcurl failed, for an error's message: `reason` is its error buffer. Says which setting
// named the proxy if the proxy is at fault, and never holds the proxy's user name or password.
// To be freed.
char *http_failure(const char *url, enum http_use use, CURLcode code, const char *reason);

// Overwrites and frees a secret. NULL is allowed.
void http_wipe(char *secret);

// ---- retries (again.c) ----
// Whether a failure is transient. A complete answer (CURLE_OK, CURLE_HTTP_RETURNED_ERROR) is judged
// by its status, anything else by libcurl's code: no name, no connection, or a broken one. A try
// ended for slowness is a CURLE_OPERATION_TIMEDOUT.
bool http_may_pass(enum http_use use, CURLcode code, long status);
// Whether no connection could be made.
bool http_no_way(CURLcode code);
// The answer's Retry-After in seconds, an hour at most; 0: none.
unsigned http_retry_after(CURL *c);

// ---- slowness ----
// A try ends if less than HTTP_SLOWEST bytes a second arrive for HTTP_IDLE_SECONDS (libcurl's
// CURLOPT_LOW_SPEED_*), or if the whole transfer is slower than HTTP_WHOLE_SLOWEST bytes a second
// after HTTP_GRACE_SECONDS.
#define HTTP_SLOWEST 1024L
#define HTTP_IDLE_SECONDS 60L
#define HTTP_WHOLE_SLOWEST 8192
#define HTTP_GRACE_SECONDS 600
bool http_is_too_slow(uint64_t elapsed_seconds, uint64_t bytes);

#endif
