// SPDX-License-Identifier: Apache-2.0
// The shared cache: results of nodes in an OCI registry. docs/shared-cache.md has the formats,
// docs/trust-cache.md the trust rules.
//
//   share.c     settings from the environment, failures, opening a repository
//   entry.c     names, tags and manifests of entries; checks of entries
//   trust.c     signatures of entries
//   referrer.c  what refers to an entry: signatures, provenance, SPDX
//   lookup.c    finds existing entries
//   pull.c      entry -> record and outputs in the local store
//   push.c      record and outputs -> entry
//   publish.c   pushes results cached earlier; upstream's tags
//
// An unusable registry never fails a build: the first failure is one warning, and the rest of the
// run does not use it. With --remote=require it is an error.
#ifndef KBUILD_SHARE_SHARE_H
#define KBUILD_SHARE_SHARE_H

#include "graph/job.h"

#include "registry/registry.h"
#include "share/vouch.h"
#include "store/store.h"

#define ENTRY_TYPE "application/vnd.kbuild.entry.v1"
#define BLOB_TYPE "application/vnd.kbuild.blob.v1"
#define TREE_TYPE "application/vnd.kbuild.tree.v1.tar+zstd"
#define SIGNATURE_TYPE "application/vnd.kbuild.signature.v1"
#define RECORD_ANNOTATION "kbuild.record" // the action record, as JSON
#define OUTPUT_ANNOTATION "kbuild.output" // on a layer: which output it holds

enum remote_way { REMOTE_READ, REMOTE_WRITE };

struct remote {
    char *artefacts; // "registry/repository" in front of "/cached-artefacts/<target>", or NULL
    char *builders;  // "registry/repository" of builder images, or NULL
    bool push, release;
    const char *branch, *signing_key;
    const struct trusted_keys *keys; // the build's
    bool key_tried;                  // the signing key was tested
    char *built_by, *commit;         // the commit is looked up on first use
    // Shared by all processes of the run.
    struct remote_state {
        int given_up[2]; // by enum remote_way
        int told_untrusted, told_denied, told_documents;
        int refused; // consecutive entries that the registry rejected
    } * state;
};

// An error before a run that must push without knowing where.
int remote_check(const struct build *b, struct error **err);
// Sets b->remote, or leaves it NULL if nothing is shared. Makes no connection.
int remote_open(struct build *b, struct error **err);
void remote_close(struct remote *r);
bool remote_usable(const struct build *b, const struct node *node, enum remote_way way);
// Warns once that the registry denies access to something, which then counts as missing.
void remote_tell_denied(struct remote *r, const char *what, enum registry_denial why);
// After a failed push: `down` if the whole registry failed, which ends all pushing of the run, as
// three consecutive failed entries do. Otherwise the other results are still pushed.
int remote_push_failed(struct build *b, bool down, struct error *why, struct error **err);
// Handles `why`: 0 if the build continues without the registry, else -1 and *err.
int remote_give_up(struct build *b, enum remote_way way, struct error *why, struct error **err);
// The repository with the entries of this node. `patient` for contents, else for queries.
struct registry *remote_repository(const struct remote *r, const struct node *node, bool patient,
                                   struct error **err);

// ---- entries ----
struct entry {
    struct buf text; // of the manifest, as received
    json_t *manifest, *record;
    json_t *mark;                 // its signature (vouch.h), once checked
    char digest[DIGEST_HEX_SIZE]; // of the manifest
    char key[DIGEST_HEX_SIZE];    // of the result
    uint64_t size;
};
void entry_free(struct entry *e);
void entry_forget(struct job *job); // that of a node, if one was found
// "cached-artefacts/kernel", "cached-sources/linux" ...: below the artefact repository.
char *entry_path(const struct node *node);
bool entry_is_image(const struct remote *r, const struct node *node); // of BUILDER_REGISTRY
char *entry_tag(const struct remote *r, const struct node *node);
// Upstream's tags of an artifact (kata-artifacts, 4.2).
void entry_upstream_tags(const struct remote *r, const struct node *node, const char *version,
                         const char *commit, struct strlist *out);
// Parses what the registry sent. 1: an entry of this node; 0: of something else; -1: damaged.
int entry_read(const struct node *node, const struct buf *manifest, struct entry *out,
               struct error **err);
const json_t *entry_layer(const struct entry *e, const char *output); // or NULL
bool entry_derived(const struct node *node, const char *output);      // made from the others
// The record as pushed: without the local store's additions.
json_t *entry_record(const json_t *record);
void entry_mark(const struct entry *e, json_t *record); // adds the signature to a local record

// ---- trust ----
// Tests the signing key. An error there is the user's: the build must not continue without the
// cache.
int remote_keys(struct remote *r, struct error **err);
// The signed text: key, outputs, the digests of the provenance and of the whole record, and those
// of the documents in the manifest.
void entry_statement(const char *key, const struct entry *e, struct buf *out);
// 1: signed by a trusted key, or no keys are set; 0: not; -1: error.
int entry_trusted(struct remote *r, struct registry *registry, const struct node *node,
                  struct entry *e, struct error **err);
// 1: one of the keys signed the entry with this manifest, under the key of its own record, which is
// read; 0: not; -1: error.
int entry_signed_by(const struct trusted_keys *keys, struct registry *registry, struct entry *e,
                    struct error **err);
// 1: this manifest is an entry of the node's target and architecture, its layers are the outputs of
// its record, and a trusted key signed it; 0: not; -1: error. Its action key may be any. Reads the
// entry's record.
int entry_vouched(const struct trusted_keys *keys, struct registry *registry,
                  const struct node *node, struct entry *e, struct error **err);
// 1: signed by the signing key, or there is no key; 0: not; -1: error.
int entry_signed(const struct remote *r, const struct node *node, const struct entry *e,
                 struct error **err);
// Signs the pushed manifest if there is a key.
int entry_sign(const struct remote *r, struct registry *registry, const struct node *node,
               const struct entry *e, struct error **err);

// ---- referrers of an entry ----
struct referrer {
    const char *type;    // of the artifact and its content
    const char *title;   // a file's name, or NULL
    const char *content; // a text, or NULL
    json_t *annotations; // borrowed
};
int entry_refer(struct registry *registry, const struct entry *e, const struct referrer *r,
                struct error **err);
// The provenance statement and the SPDX list of an artifact. Made before its manifest, whose
// annotations name them; pushed after it.
enum { ENTRY_DOCUMENTS = 2 };
struct entry_documents {
    char *texts[ENTRY_DOCUMENTS]; // NULL: none
};
int entry_describe(struct build *b, const struct node *node, struct entry_documents *out,
                   json_t *annotations, struct error **err);
int entry_push_documents(struct registry *registry, const struct node *node, const struct entry *e,
                         const struct entry_documents *d, struct error **err);
void entry_documents_free(struct entry_documents *d);
void entry_document_lines(const json_t *manifest, struct buf *out); // of what is signed

// ---- look-up ----
struct lookup {
    struct node *node;
    int found; // as remote_ask() returns it
    struct entry entry;
    struct error *why; // if that is -1
};
// 1: found and trusted; 0: there is none; -1: error.
int remote_ask(struct build *b, struct node *node, struct entry *out, struct error **err);
// The same for many, several in parallel.
void remote_look_up(struct build *b, struct lookup *lookups, size_t n);
void lookup_free(struct lookup *l);

// ---- for the scheduler and the child ----
// Finds the records of nodes that the local store lacks, so that the keys of their dependants
// become known without any content. `evaluate` sets key and state of a node whose inputs became
// known. Found nodes are NODE_SHARED.
typedef int evaluate_action(struct build *b, struct node *node, struct error **err);
int remote_prefetch(struct build *b, struct node **order, size_t count, evaluate_action *evaluate,
                    struct error **err);
// The record, if all its outputs are in the local store now; NULL in *out: make it.
int remote_find(struct build *b, struct node *node, json_t **out, struct error **err);
// Pushes the result of a node that was made.
int remote_keep(struct build *b, struct node *node, const json_t *record, struct error **err);
// After the run: pushes results cached here that the registry lacks, and moves upstream's tags.
int remote_publish(struct build *b, struct node **order, size_t count, struct error **err);
void remote_floating_tags(struct build *b, const struct node *node, struct strlist *out);

#endif
