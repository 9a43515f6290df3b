// SPDX-License-Identifier: Apache-2.0
// Shared by the files of lib/registry. Not for others.
#ifndef KBUILD_REGISTRY_INTERNAL_H
#define KBUILD_REGISTRY_INTERNAL_H

#include "registry/registry.h"

#include "base/process.h"
#include "base/input.h"
#include "http/libcurl.h"

#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#define MANIFEST_MAX ((size_t)4 << 20)

// The access that a request needs. The scope of its token follows from it.
enum registry_access { ACCESS_PULL, ACCESS_PUSH };

// ---- auth.c: WWW-Authenticate (RFC 9110, 11.6.1; RFC 6750, 3) ----
struct challenge {
    char *scheme;                          // in lower case: "bearer", "basic"
    char *realm, *service, *scope, *error; // or NULL
};
// Adds the challenges of one header's value to the list. Invalid parts are skipped.
struct challenges {
    struct challenge *items;
    size_t n, cap;
};
void challenges_add(struct challenges *list, const char *value);
const struct challenge *challenges_find(const struct challenges *list, const char *scheme);
void challenges_free(struct challenges *list);

// ---- url.c ----
// The scope of an address, from wide to narrow. A redirect may lead to the same or a wider scope,
// never to a narrower one: else a registry on the internet could direct requests to servers that
// only this network or machine can reach.
enum address_scope { SCOPE_WORLD, SCOPE_SITE, SCOPE_MACHINE };
enum address_scope scope_of_address(const struct sockaddr *address);
enum address_scope
scope_of_host(const char *host); // of a literal address or "localhost"; else WORLD
struct url {
    char *text;   // without a fragment
    char *origin; // "https://host:443"
    char *host;   // "host:port" as the text has it, for certs.d
    enum address_scope scope;
    bool secure;
};
// An absolute http(s) URL without user and password, or (with `base`) one relative to it.
int url_parse(const char *base, const char *text, struct url *out, struct error **err);
void url_free(struct url *u);
#define cleanup_url __attribute__((cleanup(url_free)))
// The text without its query, which may be secret, for messages; to be freed.
char *url_without_query(const char *url);
bool registry_is_local(const char *registry); // "localhost", 127.0.0.0/8, ::1, with or without port

// ---- conf.c: registries.conf ----
enum mirror_use { MIRROR_ALL, MIRROR_DIGESTS, MIRROR_TAGS }; // which reads use it
struct registry_place {
    char *registry, *repository;
    bool insecure; // plain http, or TLS with any certificate
    enum mirror_use use;
};
struct registry_places {
    struct registry_place own, *mirrors;
    size_t n; // mirrors
};
// The places of a repository. A blocked one is an error.
int registry_places_find(const struct reference *r, struct registry_places *out,
                         struct error **err);
void registry_places_free(struct registry_places *p);

// ---- credentials.c ----
struct credentials {
    char *user, *password; // or both NULL
    char *identity_token;  // OAuth2 refresh token, or NULL
};
// For "host:port" and a repository there; nothing found leaves all NULL.
int credentials_find(const char *registry, const char *repository, struct credentials *out,
                     struct error **err);
// From one file's JSON. *helper (to be freed) is set if a helper must be asked, for *server (to be
// freed).
int credentials_of_file(const json_t *file, const char *path, const char *registry,
                        const char *repository, struct credentials *out, char **helper,
                        struct error **err);
// Whether the helper of this name is installed. True for an invalid name, which is refused later.
bool credentials_has_helper(const char *helper);
int credentials_of_helper(const char *helper, const char *server, struct credentials *out,
                          struct error **err);
// From a helper's output ({"Username", "Secret"}) and its `status` (wait(2)).
int credentials_of_answer(const struct buf *answer, int status, struct credentials *out,
                          struct error **err);
const char *credentials_server(const char *registry); // its name in config files
void credentials_free(struct credentials *c);
void secret_free(char *secret); // overwrites and frees it

// ---- credentials.c: certificates ----
struct certs {
    struct buf ca;           // PEM, or empty
    char *certificate, *key; // paths, or NULL
};
// The certificates in certs.d for "host:port".
int certs_find(const char *host, struct certs *out, struct error **err);
void certs_free(struct certs *c);

// ---- http.c, perform.c: requests ----
struct response {
    long status;
    char *location, *content_type, *range, *content_range, *digest, *link, *subject, *min_chunk;
    struct challenges challenges;
    uint64_t length;         // Content-Length, or 0
    unsigned retry_after;    // seconds
    struct buf body;         // at most MANIFEST_MAX; of errors the first 64 KiB
    enum address_scope from; // scope of the server that answered
    char *url;               // final one, after redirects
    char *token;             // that was sent
    bool basic_sent;         // a user name and password were
    bool may_pass;           // it failed, but the failure is transient
    bool no_answer;          // ... with a timeout, or no connection
    CURL *curl;              // while it runs
};
void response_free(struct response *s);
#define cleanup_response __attribute__((cleanup(response_free)))

typedef int body_sink(void *context, const struct response *s, const char *bytes, size_t n,
                      struct error **err);
// Zero-initialise, then set; nothing is owned.
struct request {
    const char *method, *url;
    enum registry_access access;
    const char *mount_from; // a second repository, to be read, or NULL
    const char *accept, *content_type, *content_range, *range; // header values, or NULL
    bool outside; // not to the registry: no token of the registry, `basic` if that is set
    const struct credentials *basic;
    enum address_scope limit; // with `outside`: no connection to a narrower scope
    unsigned patience;        // factor of the allowed silence; 0: 1
    const void *bytes;        // the body: these, or (fd > 0) a part of a file
    int fd;
    uint64_t offset, length;
    uint64_t expected; // size of the answer; for the time limit
    bool json;         // a 200 without JSON is not from a registry, and is retried
    bool counted;      // the body counts for the progress of registry_push_blobs()
    body_sink *sink;   // where a body of status 200 or 206 goes; NULL: response.body
    void *context;
};
// One request, with redirects followed and 401 handled. 0: an answer of any status; -1: none.
int http_exchange(struct registry *r, const struct request *q, struct response *s,
                  struct error **err);
// The same, with retries. -1 also if the last answer was a transient failure.
int http_request(struct registry *r, const struct request *q, struct response *s,
                 struct error **err);
// An error with the registry's answer, without secrets.
int http_refused(struct registry *r, const struct response *s, struct error **err);
static inline bool http_is_denied(const struct response *s)
{
    return s->status == 401 || s->status == 403;
}
// One exchange with one server: no redirect, no retry. `token`: Bearer; `basic`; or neither.
struct http_hop {
    const struct request *q;
    const struct url *to;
    const struct credentials *basic;
    const char *token;
    enum address_scope limit; // refuses to connect to a narrower scope
};
int http_perform(struct registry *r, const struct http_hop *hop, struct response *s,
                 struct error **err);
// Whether SIGINT or SIGTERM is pending (the program blocks them).
bool http_interrupted(void);

struct retry retry_begin(const struct registry *r);
// Waits and returns true; false if no tries are left, or a retry is useless.
bool retry_wait(struct registry *r, struct retry *retry, const struct response *s);

void registry_set_wrong(struct registry *r); // for registry_was_wrong()

// ---- auth.c ----
struct token {
    char *scope; // what it is for; "": its own repository
    char *text;
    bool denied;    // the service issues none
    time_t refresh; // monotonic; expired from then on
};
// Gets the authorization of a request: *token (to be freed) or *basic, or neither.
int auth_prepare(struct registry *r, const struct request *q, char **token,
                 const struct credentials **basic, struct error **err);
// After a 401: 1 to send the request again, 0 not to.
int auth_answer(struct registry *r, const struct request *q, const struct response *s,
                struct error **err);
// After a 401 or 403 to a read. Registries that hide content from a user answer so for content that
// does not exist yet. 0: treat it as missing (registry_was_denied()); -1: the user name or password
// is wrong.
int auth_denied(struct registry *r, const struct response *s, struct error **err);
// Whether the text holds a password or token.
bool auth_is_in(struct registry *r, const char *text);
void auth_close(struct registry *r);

// ---- auth.c ----
// The URL-encoded form or query of a token request, and the parser of the answer. To be freed.
char *token_query(const char *service, const struct strlist *scopes, const char *identity_token);
int token_parse(const char *text, size_t length, char **token, long *seconds, struct error **err);

// ---- manifest.c ----
// Whether the bytes are a manifest or index that does not contradict itself or `media_type` (may be
// NULL). Returns its media type, to be freed; NULL on an error.
char *manifest_check(const char *bytes, size_t length, const char *media_type, struct error **err);
struct manifest_bytes {
    const void *bytes;
    size_t length;
    const char *media_type;
};
// PUT under a tag (unless the tag names these bytes already; then *s is empty) or a digest.
int manifest_put(struct registry *r, const char *what, const struct manifest_bytes *m,
                 struct response *s, struct error **err);
char *manifest_url(const struct registry *r, const char *what);

// ---- manifest.c ----
// The next page of a list, by the header Link: <...>; rel="next" (RFC 8288), of the answer that
// came from the URL `from`; to be freed. NULL if there is none, or it is not at `origin`.
char *link_next(const char *link, const char *from, const char *origin);

// ---- pull.c: SHA-256 beside the transfer ----
// Large blobs are hashed by a thread of their own, while the next bytes arrive.
struct blob_hasher;
struct blob_hasher *hasher_begin(uint64_t size);
void hasher_add(struct blob_hasher *h, const void *bytes, size_t length);
// Writes the hex digest and frees it.
void hasher_end(struct blob_hasher *h, char hex[static DIGEST_HEX_SIZE]);

// ---- pull.c ----
// Calls `one` for every item, in several threads if there are several items; after a failure no
// further item is begun, and the running ones end. -1 and the first error if one failed.
typedef int transfer_one(struct registry *r, void *item, struct error **err);
int transfer_all(struct registry *r, void *items, size_t count, size_t size, transfer_one *one,
                 struct error **err);

// Reports the progress of the running push.
void transfer_progress(struct registry *r);

// ---- open.c ----
struct registry {
    char *name;       // "localhost:5000"
    char *repository; // "a/b"
    char *base;       // "https://localhost:5000/v2/"
    char *origin;
    bool insecure;             // plain http
    bool unchecked;            // TLS with any certificate
    struct registry **mirrors; // tried first for reads
    size_t mirror_n;
    enum mirror_use use; // of a mirror
    unsigned parallel, tries, silence, pause_ms;
    uint64_t chunk;        // of an upload: maximum of one request
    bool stop;             // atomic: a transfer failed, others end
    bool down;             // atomic: no answer came, or the login is wrong
    bool wrong;            // atomic: a complete answer had wrong content
    long manifest_refusal; // status
    uint64_t moved, total; // atomic: bytes of the running push

    pthread_mutex_t auth_lock; // for the members below
    struct credentials credentials;
    bool looked_up;  // credentials were looked up
    char *not_found; // why they could not be looked up, or NULL
    char *realm, *service, *asked_scope;
    enum address_scope realm_limit; // of the registry that named the realm
    bool basic;                     // the registry wants Basic
    bool pinged;                    // /v2/ was asked for its challenge
    bool login_good;                // it was accepted
    enum registry_denial denied;
    struct token *tokens;
    size_t token_n, token_cap;

    pthread_mutex_t pool_lock;
    CURL **pool; // idle handles, with their connections
    size_t pool_n, pool_cap;
};

// ---- perform.c ----
// The mirror of this index if it may be used for this read, else NULL.
struct registry *registry_mirror(const struct registry *r, size_t index, bool by_digest);

CURL *pool_take(struct registry *r);
void pool_give(struct registry *r, CURL *c);
void pool_close(struct registry *r);

#endif
