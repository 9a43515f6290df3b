// SPDX-License-Identifier: Apache-2.0
// Shared by the files of lib/registry. Not for others.
#ifndef KBUILD_REGISTRY_INTERNAL_H
#define KBUILD_REGISTRY_INTERNAL_H

#include "registry/registry.h"

#include "base/input.h"
#include "base/process.h"
#include "http/http.h"
#include "store/store.h"

#include <pthread.h>
#include <time.h>

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
#define cleanup_challenges __attribute__((cleanup(challenges_free)))

// ---- open.c: registries.conf ----
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
// From a helper's output ({"Username", "Secret"}) and its `status` (wait(2)).
int credentials_of_answer(const struct buf *answer, int status, struct credentials *out,
                          struct error **err);
void credentials_free(struct credentials *c);

// ---- credentials.c: certificates ----
struct certs {
    struct buf ca;           // PEM, or empty
    char *certificate, *key; // paths, or NULL
};
// The certificates in certs.d for "host:port".
int certs_find(const char *host, struct certs *out, struct error **err);
void certs_free(struct certs *c);

// ---- request.c ----
struct registry_response {
    long status;
    char *location, *content_type, *range, *content_range, *digest, *link, *subject, *min_chunk;
    struct strlist challenges; // values of WWW-Authenticate
    uint64_t length;           // Content-Length, or 0
    struct buf body;           // at most OCI_MANIFEST_MAX; of errors the first 64 KiB
    enum address_scope from;   // scope of the server that answered
    char *url;                 // final one, after redirects
    char *token;               // that was sent
    bool basic_sent;           // a user name and password were
    struct http_outcome outcome;
};

// Where an upload continues: the last Location. Zero-initialise; url is to be freed. With `limited`
// it is another server than the registry, and no connection to a narrower scope than `limit` is
// allowed: a registry on the internet must not direct requests to servers of this network.
struct upload_place {
    char *url;
    bool limited;
    enum address_scope limit;
};
// Takes the Location of the answer; without one the place is unchanged. `origin` is the registry's.
int upload_place_update(struct upload_place *p, const char *origin,
                        const struct registry_response *s, struct error **err);
void registry_response_free(struct registry_response *s);
#define cleanup_registry_response __attribute__((cleanup(registry_response_free)))

typedef int body_sink(void *context, const struct registry_response *s, const char *bytes, size_t n,
                      struct error **err);
// Zero-initialise, then set; nothing is owned.
struct registry_request {
    const char *method, *url;
    enum registry_access access;
    const char *mount_from; // a second repository, to be read, or NULL
    const char *accept, *content_type, *content_range, *range; // header values, or NULL
    bool outside; // not to the registry: no token of the registry, `basic` if that is set
    const struct credentials *basic;
    bool limited; // set, or `outside`: no connection to a narrower scope than `limit`
    enum address_scope limit;
    unsigned extra_idle_seconds; // seconds of silence that are allowed besides the usual ones
    const void *bytes;           // the body: these, or (fd > 0) a part of a file
    int fd;
    uint64_t offset, length;
    uint64_t expected; // size of the answer; for the time limit
    bool json;         // a 200 without JSON is not from a registry, and is retried
    bool counted;      // the body counts for the progress of registry_push_blobs()
    body_sink *sink;   // where a body of status 200 or 206 goes; NULL: response.body
    void *context;
};
// One request, with redirects followed and 401 handled. 0: an answer of any status; -1: none.
int registry_exchange(struct registry *r, const struct registry_request *q,
                      struct registry_response *s, struct error **err);
// The same, with retries. -1 also if the last answer was a transient failure.
int registry_send(struct registry *r, const struct registry_request *q, struct registry_response *s,
                  struct error **err);
// An error with the registry's answer, without secrets.
int registry_refused(struct registry *r, const struct registry_response *s, struct error **err);
static inline bool response_is_denied(const struct registry_response *s)
{
    return s->status == 401 || s->status == 403;
}

// How requests to the registry are authorized. Doing so takes requests (to a token service), so
// request.c gets it by open.c.
struct registry_auth {
    // Gets the authorization of a request: *token (to be freed) or *basic, or neither.
    int (*prepare)(struct registry *r, const struct registry_request *q, char **token,
                   const struct credentials **basic, struct error **err);
    // After a 401 or 403: 1 to send the request again, 0 not to.
    int (*answer)(struct registry *r, const struct registry_request *q,
                  const struct registry_response *s, struct error **err);
};

struct retry retry_begin(const struct registry *r);
// Waits and returns true; false if no tries are left, or a retry is useless.
bool retry_wait(struct registry *r, struct retry *retry, const struct registry_response *s);

// Reports the progress of the running push.
void transfer_progress(struct registry *r);

// ---- auth.c ----
struct registry_token {
    char *scope; // what it is for; "": its own repository
    char *text;
    bool denied;       // the service issues none
    long long refresh; // seconds of the monotonic clock; expired from then on
};
extern const struct registry_auth registry_auth;
// After a 401 or 403 to a read. Registries that hide content from a user answer so for content that
// does not exist yet. 0: treat it as missing (registry_was_denied()); -1: the user name or password
// is wrong.
int auth_denied(struct registry *r, const struct registry_response *s, struct error **err);
void auth_close(struct registry *r);

// The answer of a token service. *token is to be freed.
int token_parse(const char *text, size_t length, char **token, long *seconds, struct error **err);

// ---- manifest.c ----
// Whether the bytes are a manifest or index that does not contradict itself or `media_type` (may be
// NULL). Returns its media type, to be freed; NULL on an error.
char *manifest_check(const char *bytes, size_t length, const char *media_type, struct error **err);
// The next page of a list, by the header Link: <...>; rel="next" (RFC 8288), of the answer that
// came from the URL `from`; to be freed. NULL if there is none, or it is not at `origin`.
char *link_next(const char *link, const char *from, const char *origin);

// ---- pull.c ----
// Calls `one` for every item, in several threads if there are several items; after a failure no
// further item is begun, and the running ones end. -1 and the first error if one failed.
typedef int transfer_one(struct registry *r, void *item, struct error **err);
int transfer_all(struct registry *r, void *items, size_t count, size_t size, transfer_one *one,
                 struct error **err);

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

    const struct registry_auth *auth;
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
    struct registry_token *tokens;
    size_t token_n, token_cap;

    struct http_pool *pool, own_pool; // the session's, or its own
};

void registry_set_wrong(struct registry *r); // for registry_was_wrong()
// The mirror of this index if it may be used for this read, else NULL.
struct registry *registry_mirror(const struct registry *r, size_t index, bool by_digest);

#endif
