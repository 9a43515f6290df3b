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
//   failures     one judgement of which are worth another try (http_may_pass)
//
// Nothing here makes a request: the callers own their handles, and how often they try again.
#ifndef KBUILD_HTTP_HTTP_H
#define KBUILD_HTTP_HTTP_H

#include "base/buf.h"
#include "base/error.h"

#include <curl/curl.h>
#include <stdint.h>

// Before anything of libcurl; any number of times, from any thread.
void http_begin(void);

// Can it be told where a login in the url ends? Not in `http:/user:password@host`, which libcurl
// takes all the same, nor where a password has a '/' in it that is not written %2F.
bool http_url_is_clear(const char *url);
// The url without user name and password, for messages and records; to be freed. One that is not
// clear loses all that could be a login.
char *http_url_shown(const char *url);
// The url as it may be kept: without the password, and without a user name that is one (a token:
// what stands alone before the '@' of an http url). To be freed.
char *http_url_kept(const char *url);

// A part of the url by libcurl's parser, without percent signs; to be freed. NULL if the url has no
// such part or is none.
char *http_url_part(const char *url, CURLUPart part);
// Scheme, host and port are the same.
bool http_same_server(const char *a, const char *b);

// ---- a handle's settings ----
enum http_use {
    HTTP_FILE,     // an archive, a sums file
    HTTP_GIT,      // git's own settings count as well
    HTTP_REGISTRY, // logins are the registry client's business
    HTTP_CRL,      // a certificate, which may be anybody's, says where from: no login
};
// What lives as long as the transfer. Zero-initialise; http_settings_free() after the handle.
struct http_settings {
    bool redirected; // set by the caller: the url is one that another server redirected to, which
                     // gets no login and no header but those that are set for it
    struct curl_slist *headers; // of git's http.extraHeader; the caller may append and sets them
    char *login_from;           // where a login came from, for messages, or NULL
};
// Sets the CAs, the proxy and the login that the machine has for `url` on the handle; what the
// caller sets later goes before it. A setting that cannot be used (a CA file without a
// certificate, http.sslVerify=false) is an error that names it.
int http_settings_apply(CURL *c, const char *url, enum http_use use, struct http_settings *out,
                        struct error **err);
void http_settings_free(struct http_settings *s);

// ---- messages ----
// Why libcurl failed, for an error's message: `reason` is its error buffer. Says which setting
// named the proxy if the proxy is at fault, and never holds the proxy's user name or password.
// To be freed.
char *http_failure(const char *url, enum http_use use, CURLcode code, const char *reason);

// Overwrites a secret before it frees it. NULL is allowed.
void http_wipe(char *secret);

// ---- trying again (again.c) ----
// Whether another try may do better. A whole answer (CURLE_OK, CURLE_HTTP_RETURNED_ERROR) counts by
// its status, anything else by what libcurl says: no name, no connection, or one that broke. A try
// that was ended because it was too slow is a CURLE_OPERATION_TIMEDOUT.
bool http_may_pass(enum http_use use, CURLcode code, long status);
// Not even a connection could be made.
bool http_no_way(CURLcode code);
// The answer's Retry-After in seconds, an hour at most; 0: none.
unsigned http_retry_after(CURL *c);

// ---- slowness ----
// A try is over when less than HTTP_SLOWEST bytes a second came for HTTP_IDLE_SECONDS (libcurl's
// CURLOPT_LOW_SPEED_*), and when a transfer as a whole is slower than HTTP_WHOLE_SLOWEST bytes a
// second after HTTP_GRACE_SECONDS.
#define HTTP_SLOWEST 1024L
#define HTTP_IDLE_SECONDS 60L
#define HTTP_WHOLE_SLOWEST 8192
#define HTTP_GRACE_SECONDS 600
bool http_is_too_slow(uint64_t elapsed_seconds, uint64_t bytes);

#endif
