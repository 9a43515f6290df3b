// SPDX-License-Identifier: Apache-2.0
// The HTTP client of the whole program, over libcurl: archives, git, registries, revocation lists.
// A caller describes a transfer (struct http_transfer), and handles what comes in callbacks; this
// room sets up libcurl in one way for all of them:
//
//   proxies      https_proxy, http_proxy, all_proxy, no_proxy: libcurl's own reading, which counts
//                everywhere because every transport is libcurl; git's http.proxy for git
//   CAs          GIT_SSL_CAINFO, http.sslCAInfo, CURL_CA_BUNDLE, SSL_CERT_FILE, SSL_CERT_DIR
//   logins       the url's own, ~/.netrc; for git also http.extraHeader and credential helpers
//   time limits  for connecting, for silence, and in all
//   failures     which are transient, when to try again, and the message
//
// docs/machine.md is the table of the settings, which are read once in a process. git's
// configuration is here, too, as git itself sees it.
//
// A function that returns text gives it to the caller, who frees it. A transfer owns what its
// comment says, until http_release().
#ifndef KBUILD_HTTP_HTTP_H
#define KBUILD_HTTP_HTTP_H

#include "base/error.h"
#include "base/memory.h"
#include "base/process.h"
#include "http/libcurl.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/socket.h>

// ---- urls (url.c) ----
// Whether the end of a login in the url is unambiguous. It is not in `http:/user:password@host`,
// which libcurl accepts, or if a password contains a '/' that is not written %2F.
bool http_url_is_clear(const char *url);
// The url without user name and password, for messages and records; to be freed. From an ambiguous
// one everything that could be a login is removed.
char *http_url_shown(const char *url);
// The same for a text that should be no url at all, and may be one with any scheme and password.
char *http_text_shown(const char *text);
// The url as it may be stored: without the password, and without a user name that is a token (alone
// before the '@' of an http url). To be freed.
char *http_url_kept(const char *url);
// A part of the url by libcurl's parser, percent-decoded; to be freed. NULL if the url is invalid
// or has no such part.
char *http_url_part(const char *url, CURLUPart part);
// Whether scheme, host and port are the same.
bool http_same_server(const char *a, const char *b);
// Where the reference `location` leads to from the url `base`, without a login; to be freed. NULL
// if it is invalid.
char *http_url_join(const char *base, const char *location);

// The scope of an address, from wide to narrow. A redirect may lead to the same or a wider scope,
// never to a narrower one: else a server on the internet could direct requests to servers that
// only this network or machine can reach.
enum address_scope { SCOPE_WORLD, SCOPE_SITE, SCOPE_MACHINE };
enum address_scope scope_of_address(const struct sockaddr *address);
// Of a literal address or "localhost"; else SCOPE_WORLD.
enum address_scope scope_of_host(const char *host);
bool http_host_is_local(const char *host); // "localhost", 127.0.0.0/8, ::1, with or without port

struct http_url {
    char *text;   // without a fragment
    char *origin; // "https://host:443"
    char *host;   // "host:port" as the text has it
    enum address_scope scope;
    bool secure;
};
// An absolute http(s) URL without user and password, or (with `base`) one relative to it. *out is
// to be freed, and empty after an error.
int http_url_parse(const char *base, const char *text, struct http_url *out, struct error **err);
void http_url_free(struct http_url *u);
#define cleanup_http_url __attribute__((cleanup(http_url_free)))

// ---- a transfer (client.c) ----
//
//   http_prepare()   sets all common options on the handle; the caller may set more
//   http_perform()   runs it; or http_group_add(), to run it beside others
//   http_failed()    makes the error, if it failed
//   http_retry()     says whether, and when, to try again: then prepare it once more
//   http_release()
//
// What a transfer is for decides its limits, and what of the machine's settings applies to it.
enum http_use {
    HTTP_FILE,     // an archive, a sums file, also file://. Redirects are followed, never to http
                   // from https. An answer of status 400 or more is a failure
    HTTP_GIT,      // git's own settings count as well. The caller follows redirects
    HTTP_REGISTRY, // the caller handles logins, and follows redirects
    HTTP_CRL,      // a small file whose url is from a certificate that anybody may have made: no
                   // login. Redirects and failures as for HTTP_FILE, but also from https to http
};

// What a failure, or an answer's status, says about another try.
struct http_outcome {
    bool transient;       // another try may succeed
    bool no_answer;       // no connection could be made; to a registry: or no answer came in time
    unsigned retry_after; // seconds that the server asks for, an hour at most; or 0
};

struct http_group;
enum { HTTP_PAUSE = 1, HTTP_ENOUGH = 2 }; // results of on_body
// Zero-initialise, and set the first part, which is not owned.
struct http_transfer {
    enum http_use use;
    const char *url;
    CURL *curl;      // of http_handle() or of a pool
    bool redirected; // another server redirected to the url: it gets no login and no header
                     // but those that are set for it
    unsigned connect_seconds, idle_seconds, whole_seconds; // 0: those of the use
    // One header line. `name` is NULL at the beginning of an answer, of which there are several
    // where redirects are followed.
    void (*on_header)(void *context, const char *name, const char *value);
    // Bytes of a body; `status` and the headers are known. 0, or -1 and an error; HTTP_PAUSE: not
    // now, the same bytes come again after curl_easy_pause(); HTTP_ENOUGH: ends the transfer, which
    // counts as complete.
    int (*on_body)(void *context, const char *bytes, size_t length, struct error **err);
    // Called at least once a second, also without data; total: 0 if unknown. Returns false to end
    // the transfer.
    bool (*on_progress)(void *context, uint64_t received, uint64_t total);
    void *context;

    // Of the last try; owned.
    struct curl_slist *headers; // of the request: git's http.extraHeader, and http_add_header()
    char *login_from;           // where a login came from, for messages, or NULL
    struct error *failure;      // of a callback
    CURLcode code;              // CURLE_OK: complete, whatever its status
    long status;
    struct http_outcome outcome;

    // Of client.c.
    struct http_group *group; // that runs it, or NULL
    long long began_ms;
    bool in_head, enough, too_slow;
    char reason[CURL_ERROR_SIZE];
};

// Loads and initialises libcurl: before any other use of it than http_handle(). Any number of
// times, from any thread.
void http_begin(void);
// A new handle, for curl_easy_cleanup().
CURL *http_handle(void);
// A setting of the machine that cannot be used (a CA file without a certificate,
// http.sslVerify=false) is an error that names it.
int http_prepare(struct http_transfer *t, struct error **err);
void http_add_header(struct http_transfer *t, const char *line);
void http_set_login(struct http_transfer *t, const char *user, const char *password);
// Sets the result in *t.
void http_perform(struct http_transfer *t);
// The error of a transfer that failed, without the url, and without the login of a proxy: which
// setting named the proxy, if that is at fault; an answer's status (HTTP_FILE, HTTP_CRL). A failure
// of a callback is handed on as it is. Returns -1.
int http_failed(struct http_transfer *t, struct error **err);
// Why it failed, for a note: the same text, to be freed.
char *http_reason(const struct http_transfer *t);
// Ends the transfer, and frees what it owns; the handle stays, with its connections.
void http_release(struct http_transfer *t);

// ---- other tries ----
// After a transient failure, with pauses that grow up to a minute. Random jitter keeps many
// machines from retrying at the same moment.
struct retry {
    unsigned left;     // tries after the first
    unsigned pause_ms; // before the next; doubles
};
// Whether a try may follow, and *ms to wait before it.
bool http_retry(struct retry *retry, enum http_use use, const struct http_outcome *o, unsigned *ms);
// Waits; `stop` (or NULL) is asked every 50 ms, and true ends it.
void http_pause(unsigned ms, bool (*stop)(void *context), void *context);
// For other transports: false when no tries are left; else waits, also for the seconds that the
// server asks for (0: none; a minute at most), and returns true.
bool retry_pause(struct retry *r, unsigned server_seconds);

// ---- several transfers at a time ----
// They share connections, by HTTP/2 where the server has it.
struct http_group {
    CURLM *multi;
    size_t running;
};
void http_group_open(struct http_group *g);
void http_group_close(struct http_group *g); // after its transfers were released
int http_group_add(struct http_group *g, struct http_transfer *t, struct error **err);
// Moves the bytes that are there, and calls `ended` (or NULL) for each transfer that ended, which
// may add others. The number of those that ended, or -1.
int http_group_run(struct http_group *g,
                   int (*ended)(void *context, struct http_transfer *t, struct error **err),
                   void *context, struct error **err);
// Waits until there is something to do, or for that long.
int http_group_wait(struct http_group *g, unsigned ms, struct error **err);

// ---- a pool of idle handles ----
// Each keeps its connections. Usable from several threads.
struct http_pool {
    pthread_mutex_t lock;
    CURL **idle;
    size_t n, cap;
};
void http_pool_open(struct http_pool *p);
void http_pool_close(struct http_pool *p);
CURL *http_pool_take(struct http_pool *p);
void http_pool_give(struct http_pool *p, CURL *c);

// ---- a small file, in memory ----
// Appends what `url` (http or https) points to, at most `limit` bytes, to out: an HTTP_CRL. One
// try. `context` is not used; it is there for struct trust.
int http_fetch(void *context, const char *url, size_t limit, struct buf *out, struct error **err);

// ---- slowness ----
// The rule for files and git, also over other transports: a transfer ends if all of it is slower
// than HTTP_WHOLE_SLOWEST bytes a second after HTTP_GRACE_SECONDS.
#define HTTP_WHOLE_SLOWEST 8192
#define HTTP_GRACE_SECONDS 600
bool http_is_too_slow(uint64_t elapsed_seconds, uint64_t bytes);

// ---- git's configuration (git_settings.c) ----
// As git itself sees it in the current folder (git-config(1)): all its files with their includes
// and conditions, and GIT_CONFIG_COUNT and its like. Read once, by `git config --list`; by libgit2
// where there is no git program, which then reads the user's and the system's files.

// The value of `<section>.<key>` for `url`, where a matching `<section>.<pattern>.<key>` wins as in
// git (git-config(1), "http.<url>.*"); NULL if there is none. A value may be empty. *out belongs to
// this room and stays valid.
int git_setting(const char *section, const char *key, const char *url, const char **out,
                struct error **err);
// The same for a key that may occur several times: all values in order; an empty value drops those
// before it.
int git_setting_list(const char *section, const char *key, const char *url, struct strlist *out,
                     struct error **err);
// git's reading of a truth value: yes, on, true, 1 and a key without a value are true.
bool git_setting_is_true(const char *value);
// The url after url.<base>.insteadOf: the longest match counts. To be freed.
char *git_url_instead(const char *url, struct error **err);

// Logins of credential helpers (git-credential(1)).
struct git_login {
    char *user, *password;
    struct buf text; // what `git credential fill` said, to be handed back
};
// Asks the helpers of git's configuration. Nobody is prompted. 1 and *out, or 0 if none knows.
int git_login_fill(const char *url, struct git_login *out, struct error **err);
// Tells the helpers whether the server accepted the login.
void git_login_report(const struct git_login *l, bool good);
void git_login_free(struct git_login *l);

#endif
