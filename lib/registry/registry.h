// SPDX-License-Identifier: Apache-2.0
// A client of OCI registries: OCI Distribution Specification 1.1 (spec.md), OCI Image Format
// Specification 1.1 (manifest.md, image-index.md, descriptor.md), docker's schema 2 manifests. Over
// lib/http and jansson. docs/registry.md.
//
// All received content is checked against its digest before use; a mismatch is an error that names
// both. Transient failures (broken connections, 408, 429, 5xx) are retried with growing, jittered
// pauses that obey Retry-After. Credentials are not sent to another host after a redirect, and are
// in no message, event or log. All calls have time limits: for connecting, for silence, and in
// total. In a program that blocks the ending signals (base/process.h), a pending one ends a
// transfer within a second, with ERROR_INTERRUPT, and stays pending.
//
// Other sources: distribution's reference grammar (github.com/distribution/reference), "Token
// Authentication Specification" and "OAuth2" of distribution, RFC 6750, 7617 and 9110 (logins),
// containers-auth.json(5), containers-registries.conf(5), containers-certs.d(5).
//
// Ownership: what is passed in is borrowed for the call, and so is what a callback gets; texts that
// are returned are to be freed, JSON is to be released with json_decref(). A struct registry is the
// caller's until registry_close(), and belongs to one thread at a time; transfers use threads of
// their own.
//
// Units: sizes are bytes; a digest without "sha256:" is 64 lower-case hex digits.
//
// Errors: 0, or -1 with *err, unless a function says otherwise; NULL with *err from one that
// returns a pointer. A message says which object of which repository; whether the registry as a
// whole is at fault is told by registry_is_down() and registry_was_wrong().
#ifndef KBUILD_REGISTRY_REGISTRY_H
#define KBUILD_REGISTRY_REGISTRY_H

#include "base/digest.h"
#include "base/error.h"
#include "base/memory.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

// ---- references ----
// "localhost:5000/a/b:tag@sha256:..." in every legal form (distribution's reference grammar). A
// name without a registry is docker.io's, one without a slash there is below "library/".
struct reference {
    char *registry;   // "localhost:5000"
    char *repository; // "a/b"
    char *tag;        // or NULL
    char *digest;     // "sha256:<64 hex>", or NULL
};
int reference_parse(const char *text, struct reference *out, struct error **err);
bool reference_is_pinned(const char *text);      // names a digest
char *reference_text(const struct reference *r); // canonical; to be freed
void reference_free(struct reference *r);
bool reference_tag_is_valid(const char *tag); // 1 to 128 of [A-Za-z0-9_.-], the first not . or -
// Upstream's rule for tags (kata-artifacts, 4.2): characters outside [A-Za-z0-9_.-] become "_",
// non-printable ones are removed, and it is cut so that "<text>-<suffix>" has at most 127
// characters. To be freed.
char *registry_tag(const char *text, const char *suffix);

// ---- secrets ----
// A process with a password or a token leaves no core file, and only root can inspect it.
//
// For the beginning of main(): removes ARTEFACT_REGISTRY_USERNAME and ARTEFACT_REGISTRY_PASSWORD
// from the environment, so that no child process gets them.
void registry_take_login(void);
// Their values, if there was a user name. Else *user and *password are unchanged.
void registry_login(const char **user, const char **password);

// ---- one repository ----
struct registry;
struct registry_session; // below
struct registry_options {
    struct registry_session *session; // or NULL: registries.conf and connections of its own
    const char *user, *password;      // NULL: from the configuration files (docs/registry.md)
    bool plain_http;                  // also for other machines
    bool no_mirrors;                  // reads need the registry's current state
    unsigned parallel;                // transfers at a time; 0: 4
    unsigned tries;                   // of each request; 0: 5
    unsigned silence_seconds;         // a request ends after this long without data; 0: 30
    unsigned pause_ms;                // before the second try; doubles; 0: 250
};
// registries.conf may set its address and protocol (docs/registry.md); mirrors listed there are
// tried first for reads. No connection is made yet, except with `insecure` there: then TLS is
// probed. `o` may be NULL.
struct registry *registry_open(const struct reference *r, const struct registry_options *o,
                               struct error **err);
void registry_close(struct registry *r);

// What repositories that are opened one after the other share: registries.conf, which is read once,
// and connections. Usable from several threads, by one process; to be closed after all that were
// opened with it.
struct registry_session *registry_session_open(void);
void registry_session_close(struct registry_session *s);

// Whether the last failure concerns the whole registry: no answer, or the login is refused. Else it
// concerns the requested object.
bool registry_is_down(const struct registry *r);
// Whether the registry sent content of another digest or size than requested, or no valid manifest.
// Mirrors do not count: after their failures the registry itself is used.
bool registry_was_wrong(const struct registry *r);
// Whether something was treated as missing because the registry denied access: many answer 401 or
// 403 for content that does not exist yet.
enum registry_denial { NOT_DENIED, DENIED_ANONYMOUS, DENIED_USER };
enum registry_denial registry_was_denied(const struct registry *r);

// Manifests and indexes, at most 4 MiB. `what` is a tag or "sha256:...". 1: found; 0: there is
// none; -1. media_type is to be freed; digest is that of the bytes.
int registry_get_manifest(struct registry *r, const char *what, struct buf *out, char **media_type,
                          char digest[static DIGEST_HEX_SIZE], struct error **err);
// The status of the last manifest that was refused, or 0.
long registry_manifest_refusal(const struct registry *r);
// A tag that already names these bytes is not written, since it may be immutable.
int registry_put_manifest(struct registry *r, const char *what, const void *bytes, size_t length,
                          const char *media_type, char digest[static DIGEST_HEX_SIZE],
                          struct error **err);

// Blobs. Digests are 64 hex digits, without "sha256:".
int registry_has_blob(struct registry *r, const char *digest, struct error **err); // 1, 0, -1
struct registry_blob {
    const char *digest;
    uint64_t size;
    int fd;                 // to read from or write to, from offset 0; a regular file
    const char *mount_from; // push: a repository of the same registry that may have it, or NULL
    bool missing;           // pull: set if the registry has none
    bool skipped;           // push: set if the registry had it
};
// Transfers all blobs, several at a time. A push checks first (HEAD), so that a blob in the
// registry is not sent; others are sent in one request, or in chunks if that fails; broken
// transfers are resumed. -1 if one failed. A push reports its progress (base/error.h).
int registry_push_blobs(struct registry *r, struct registry_blob *blobs, size_t count,
                        struct error **err);
int registry_pull_blobs(struct registry *r, struct registry_blob *blobs, size_t count,
                        struct error **err);

// The manifests that name `digest` as their subject, one descriptor after the other: those of the
// referrers API, then those of the tag "sha256-<digest>" (1.1, "Referrers Tag Schema"). An API that
// is missing, fails or returns no index counts as empty. `artifact_type` (or NULL) filters. `each`
// returns 1 to end, 0 for the next one, -1 on an error. Each page is freed before the next is read;
// more than 16 MiB or 200 pages in all is an error.
typedef int registry_visit_referrer(void *context, const json_t *descriptor, struct error **err);
int registry_each_referrer(struct registry *r, const char *digest, const char *artifact_type,
                           registry_visit_referrer *each, void *context, struct error **err);
// Pushes manifests with one subject, each by its digest. Unless the registry confirms that it lists
// a manifest (OCI-Subject), the descriptor is added to the index of the fallback tag: those of one
// call together, since each change of the index is three requests, one after the other.
struct registry_referrer {
    const char *text, *media_type;
    const json_t *descriptor; // as it stands in an index
};
int registry_put_referrers(struct registry *r, const char *subject, // its digest
                           const struct registry_referrer *referrers, size_t count,
                           struct error **err);

#endif
