// SPDX-License-Identifier: Apache-2.0
// The shared cache: results of nodes in an OCI registry, and which of them are trusted.
// docs/shared-cache.md has the formats, docs/trust-cache.md the trust rules.
//
//   share.c      settings from the environment, failures, opening a repository
//   entry.c      names, tags and manifests of entries, and what refers to them
//   pull.c       looks up entries; entry -> record and outputs in the local store
//   push.c       record and outputs -> entry; upstream's tags
//   log.c        logs beside entries
//   artifact.c   trees as artifacts of their own, by digest
//   trust.c      signatures of entries, and of results in the local cache
//   signing.c    what this machine may sign
//   signature.c  Ed25519 keys and signatures
//
// An unusable registry never fails a build: the first failure is one warning, and the rest of the
// run does not use it. With --remote=require it is an error.
//
// Ownership: the build owns the remote (remote_close()) and the trusted keys; a job owns its entry.
#ifndef KBUILD_SHARE_SHARE_H
#define KBUILD_SHARE_SHARE_H

#include "base/digest.h"
#include "base/error.h"
#include "base/memory.h"
#include "graph/job.h"
#include "registry/registry.h"

#include <stdbool.h>

// In the error of what cannot be made since something is missing that others make or push, an input
// or the project (ERROR_AGAIN): a later try finds it only if somebody has done that meanwhile.
#define INPUT_LOST "is in no cache"

// ---- a run ----

struct remote {
    char *artefacts; // "registry/repository" in front of "/cached-artefacts/<target>", or NULL
    char *builders;  // "registry/repository" of builder images, or NULL
    bool push, release;
    const char *branch, *signing_key;
    const struct trusted_keys *keys;  // the build's
    struct trusted_keys *own;         // where it has none: the signing key, if this run signs
    bool key_tested;                  // the signing key was
    char *built_by, *commit;          // the commit is looked up on first use
    struct registry_session *session; // while many are looked up; else NULL
    // Shared by all processes of the run.
    struct remote_state {
        int disabled[2]; // by enum remote_way
        int warned_untrusted, warned_denied, warned_documents;
        int refused; // consecutive entries that the registry rejected
    } * state;
};

// An error before a run that must push without knowing where.
int remote_check(const struct build *b, struct error **err);
// Sets b->remote, or leaves it NULL if nothing is shared. Makes no connection.
int remote_open(struct build *b, struct error **err);
void remote_close(struct remote *r);

// Finds the records of nodes that the local store lacks, so that the keys of their dependants
// become known without any content. `evaluate` sets key and state of a node whose inputs became
// known. Found nodes are NODE_SHARED.
typedef int evaluate_action(struct build *b, struct node *node, struct error **err);
int remote_prefetch(struct build *b, struct node **order, size_t count, evaluate_action *evaluate,
                    struct error **err);
// Pulls the result of a node. The record, if all its outputs are in the local store now; NULL in
// *out: make it.
int remote_pull(struct build *b, struct node *node, json_t **out, struct error **err);
// Pushes the result of a node that was made. An entry that the registry has meanwhile, and that
// counts, stays. 0; 1: one did, and has other bytes: the caller takes it; -1.
int remote_push(struct build *b, struct node *node, const json_t *record, struct error **err);
// After the run: pushes results cached here that the registry lacks, and moves upstream's tags.
// What it may not push is job->unpushed. A verb that needs the registry (b->needs_remote) also asks
// for the content of what is there.
int remote_publish(struct build *b, struct node **order, size_t count, struct error **err);

// Does the registry still have the content of the node's entry, which was looked up? 1, 0; -1:
// ERROR_AGAIN. Some remove blobs and keep manifests; one that refuses the question counts as having
// it.
int remote_has_content(struct build *b, const struct node *node, struct error **err);

// ---- trees as artifacts of their own ----
// What a run on several machines shares besides results: an artifact whose layers are trees, each
// with its name and its digest in an annotation, named by the digest of its manifest alone.
struct artifact_tree {
    char *name;
    char digest[DIGEST_HEX_SIZE]; // of the tree, in the store
};
struct artifact {
    struct artifact_tree *trees;
    size_t n, cap;
};
void artifact_add(struct artifact *a, const char *name, const char *digest);
const struct artifact_tree *artifact_find(const struct artifact *a, const char *name); // or NULL
void artifact_free(struct artifact *a);
#define cleanup_artifact __attribute__((cleanup(artifact_free)))
// Pushes it to <ARTEFACT_REGISTRY>/<ARTEFACT_REPOSITORY>/<folder>. *reference, to be freed, is
// "registry/repository@sha256:...".
int remote_artifact_push(struct build *b, const char *folder, const struct artifact *a,
                         char **reference, struct error **err);
// Gets what the store lacks of it. The reference must name a digest. ERROR_AGAIN if the registry
// does not answer or does not have it. The login of the environment is used
// if ARTEFACT_REGISTRY is this registry.
int artifact_pull(struct store *s, const char *reference, struct artifact *out, struct error **err);

// ---- logs ----

// Pushes a log of making the node, whose key is known, as the tag "log-<key>" beside its entries.
// The entry does not refer to it, and it is none: a failure is never cached. At most the last 16
// MiB.
int remote_log_push(struct build *b, const struct node *node, int log, bool failed,
                    struct error **err);
// The log that was pushed last for the node's key. 1: *out is it, to be closed; 0: there is none;
// -1.
struct pushed_log {
    char *about; // a line on it for people: "the log of ID, key KEY: failed by MACHINE"; NULL: none
    int fd;
    bool failed;
};
void pushed_log_close(struct pushed_log *log);
#define cleanup_pushed_log __attribute__((cleanup(pushed_log_close)))
int remote_log_open(struct build *b, const struct node *node, struct pushed_log *out,
                    struct error **err);

// ---- entries ----

struct entry {
    struct buf text; // of the manifest, as received
    json_t *manifest, *record;
    json_t *mark;                 // its signature (SHARED_MARK), once checked
    char digest[DIGEST_HEX_SIZE]; // of the manifest
    char key[DIGEST_HEX_SIZE];    // of the result
    uint64_t size;
};
void entry_free(struct entry *e);
void entry_forget(struct job *job); // that of a node, if one was found

// 1: one of the keys signed the entry with this manifest, under the key of its own record, which is
// read; 0: not; -1: error.
int entry_signed_by(const struct trusted_keys *keys, struct registry *registry, struct entry *e,
                    struct error **err);
// 1: this manifest is an entry of the node's target and architecture, its layers are the outputs of
// its record, and a trusted key signed it; 0: not; -1: error. Its action key may be any. Reads the
// entry's record.
int entry_trusted_for(const struct trusted_keys *keys, struct registry *registry,
                      const struct node *node, struct entry *e, struct error **err);

// ---- records ----

// A result from a registry has a mark in its local record, which is never pushed: an object
// {"statement", "key", "value"} (the checked statement and its signature), which is empty if no
// signature was required (`true` in records of older versions). Each run decides by today's keys
// whether the result counts as cached; results that were made here need no signature.
#define SHARED_MARK "shared"
void entry_mark(const struct entry *e, json_t *record); // adds the mark
// Whether a local record may be used: if it came from a registry, it is signed by one of today's
// keys (if there are any), has only files that its recipe allows, and is no source that must come
// from its origin.
bool record_trusted(const struct build *b, const struct node *node, const json_t *record);

// Whether the node may have this output. Names become files in the output directory, so a record
// from elsewhere may only have names that the recipe itself would produce.
struct output_claim {
    const char *name, *kind; // kind: "tree", "blob"
    bool side;               // beside the tarballs
};
bool output_allowed(const struct node *node, const struct output_claim *o);
// The same for all outputs of a record: each once, and all with a digest.
bool outputs_allowed(const struct node *node, const json_t *record);

// ---- signatures ----

// Ed25519 signatures (RFC 8032) over OpenSSL, with keys as PEM files: private ones as `openssl
// genpkey -algorithm ed25519` writes them (PKCS #8), public ones as `openssl pkey -pubout` does
// (SPKI). A key is named by the SHA-256 of its public part as DER (SPKI).
struct signature {
    char key[DIGEST_HEX_SIZE]; // of the signer
    char value[2 * 64 + 1];    // in hex
};
// Signs with the private key in the file. No message contains the key.
int signature_make(const char *key_file, const struct buf *text, struct signature *out,
                   struct error **err);

// Public keys: all of a PEM file, or of every *.pem of a directory. An empty set is an error, so
// that a wrong path never means that all are trusted, or none. So is what somebody else could
// change: of another owner, or writable by everybody.
struct trusted_keys;
struct trusted_keys *trusted_keys_load(const char *path, struct error **err);
// What the private key in the file signs, and nothing else.
struct trusted_keys *trusted_keys_own(const char *key_file, struct error **err);
void trusted_keys_free(struct trusted_keys *t);
void trusted_keys_names(const struct trusted_keys *t, struct strlist *out); // adds
// Is this a signature of the text by one of the keys?
bool trusted_keys_accept(const struct trusted_keys *t, const struct signature *s,
                         const struct buf *text);
// The same for the bytes of a signature whose key is not named, or not reliably.
struct trusted_signer {
    const char *key, *file; // its name, and the file that it was read from; the set's
};
bool trusted_keys_signer(const struct trusted_keys *t, const struct buf *value,
                         const struct buf *text, struct trusted_signer *out);

#endif
