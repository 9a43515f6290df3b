// SPDX-License-Identifier: Apache-2.0
// A client of OCI registries: OCI Distribution 1.1 (spec.md), Image 1.1 (manifest.md,
// image-index.md, descriptor.md), docker's schema 2 manifests. Over libcurl and jansson.
// docs/registry.md.
//
// Every byte that arrives is checked against its digest before it is used; a mismatch is an error
// that names both. Failures that may pass (broken connections, 408, 429, 5xx) are tried again with
// growing, jittered pauses that obey Retry-After. Credentials never follow a redirect to another
// host, and are in no message, event or log. All calls are bounded in time: connecting, silence,
// and the whole. A program that holds SIGINT and SIGTERM back (signalfd) is not kept waiting: they
// end a transfer within a second, with ERROR_INTERRUPT, and stay pending.
#ifndef KBUILD_REGISTRY_REGISTRY_H
#define KBUILD_REGISTRY_REGISTRY_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"

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
// Upstream's rule for tags (kata-artifacts, 4.2): what is not of [A-Za-z0-9_.-] becomes "_",
// non-printable characters go, and it is cut so that "<text>-<suffix>" has at most 127 characters.
// To be freed.
char *registry_tag(const char *text, const char *suffix);

// ---- secrets ----
// A process that holds a password or a token leaves no core file, and only root can look into it.
//
// For the beginning of main(): takes ARTEFACT_REGISTRY_USERNAME and ARTEFACT_REGISTRY_PASSWORD out
// of the environment, so that no program that is started gets them.
void registry_take_login(void);
// What they said; if there was a user name. Else *user and *password stay as they are.
void registry_login(const char **user, const char **password);

// ---- one repository ----
struct registry;
struct registry_options {
    const char *user, *password; // NULL: from the configuration files (docs/registry.md)
    bool plain_http;             // also for hosts that are not this machine
    bool no_mirrors;             // what is read is to be as it is there now
    unsigned parallel;           // transfers at a time; 0: 4
    unsigned tries;              // of each request; 0: 5
    unsigned silence_seconds;    // a request ends when nothing came for so long; 0: 30
    unsigned pause_ms;           // before the second try; then it doubles; 0: 250
};
// Where it is, and how it is spoken to, may stand in registries.conf (docs/registry.md); its
// mirrors are asked first when something is read. No connection is made yet, unless that says
// `insecure`: then it is found out whether it speaks TLS. `o` may be NULL.
struct registry *registry_open(const struct reference *r, const struct registry_options *o,
                               struct error **err);
void registry_close(struct registry *r);

// Whether the last failure was of the whole registry: nobody answered, or it does not accept the
// login. Else it was about the one thing that was asked for.
bool registry_is_down(const struct registry *r);
// Whether it gave something that is not what was asked for by its digest and size, or is no
// manifest. Mirrors do not count: what they give is asked for again here.
bool registry_was_wrong(const struct registry *r);
// Whether something was taken for missing because the registry refused to show it: many answer 401
// or 403 for what does not exist yet.
enum registry_denial { NOT_DENIED, DENIED_ANONYMOUS, DENIED_USER };
enum registry_denial registry_was_denied(const struct registry *r);

// Manifests and indexes, at most 4 MiB. `what` is a tag or "sha256:...". 1: found; 0: there is
// none; -1. media_type is to be freed; digest is that of the bytes.
int registry_get_manifest(struct registry *r, const char *what, struct buf *out, char **media_type,
                          char digest[static DIGEST_HEX_SIZE], struct error **err);
// The status of the last manifest that was refused, or 0.
long registry_manifest_refusal(const struct registry *r);
// A tag that names these bytes already is not written again: it may be immutable.
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
// All of them, several at a time. A push asks first (HEAD), so a known blob costs no bytes; others
// go in one request, or in chunks where that fails, and a broken upload is resumed. A broken pull
// is resumed where it stopped. -1 if one failed. A push reports its progress (base/log.h).
int registry_push_blobs(struct registry *r, struct registry_blob *blobs, size_t count,
                        struct error **err);
int registry_pull_blobs(struct registry *r, struct registry_blob *blobs, size_t count,
                        struct error **err);

// The manifests that name `digest` as their subject, one descriptor after the other: those of the
// referrers API, then those of the tag "sha256-<digest>" (1.1, "Referrers Tag Schema"). An API that
// does not exist, fails or answers with no index has none. `artifact_type` (or NULL) filters.
// `each` returns 1 to end it, 0 for the next one, -1 on an error. Each page is let go before the
// next one comes; more than 16 MiB or 200 pages in all is an error.
typedef int registry_referrer(void *context, const json_t *descriptor, struct error **err);
int registry_each_referrer(struct registry *r, const char *digest, const char *artifact_type,
                           registry_referrer *each, void *context, struct error **err);
// All of them as a JSON array, each once; NULL on an error.
json_t *registry_referrers(struct registry *r, const char *digest, const char *artifact_type,
                           struct error **err);
// Pushes a manifest that has this subject, by its digest. Unless the registry says that it lists it
// (OCI-Subject), its descriptor is added to the index of that tag.
struct registry_refer {
    const char *text, *media_type;
    const char *subject;      // hex digest
    const json_t *descriptor; // as it stands in an index
};
int registry_put_referrer(struct registry *r, const struct registry_refer *m, struct error **err);

#endif
