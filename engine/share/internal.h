// SPDX-License-Identifier: Apache-2.0
// What the files of this directory share, and their tests. Not for others.
#ifndef KBUILD_SHARE_INTERNAL_H
#define KBUILD_SHARE_INTERNAL_H

#include "share/share.h"
#include "store/store.h"

#define ENTRY_TYPE "application/vnd.kbuild.entry.v1"
#define BLOB_TYPE "application/vnd.kbuild.blob.v1"
#define TREE_TYPE "application/vnd.kbuild.tree.v1.tar+zstd"
#define SIGNATURE_TYPE "application/vnd.kbuild.signature.v1"
#define RECORD_ANNOTATION "kbuild.record" // the action record, as JSON
#define OUTPUT_ANNOTATION "kbuild.output" // on a layer: which output it holds

// ---- share.c ----
enum remote_way { REMOTE_READ, REMOTE_WRITE };
bool remote_usable(const struct build *b, const struct node *node, enum remote_way way);
// Handles `why`: 0 if the build continues without the registry, else -1 and *err.
int remote_disable(struct build *b, enum remote_way way, struct error *why, struct error **err);
// After a failed push: `down` if the whole registry failed, which ends all pushing of the run, as
// three consecutive failed entries do. Otherwise the other results are still pushed.
int remote_push_failed(struct build *b, bool down, struct error *why, struct error **err);
// Warns once that the registry denies access to something, which then counts as missing.
void remote_warn_denied(struct remote *r, const char *what, enum registry_denial why);
// The repository with the entries of this node, for transfers of contents or for queries.
struct registry *remote_repository(const struct remote *r, const struct node *node, bool transfer,
                                   struct error **err);

// ---- entry.c ----
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

// The blob that a manifest without a config names as its config (OCI Image 1.1, manifest.md,
// "Guidance for an Empty Descriptor"): its descriptor, to be released; and the blob for a push,
// whose fd is the caller's.
json_t *empty_blob_descriptor(void);
int empty_blob_open(struct registry_blob *out, struct error **err);

// What refers to an entry: its documents and its signature.
struct referrer {
    const char *type;    // of the artifact and its content
    char *title;         // a file's name, or NULL
    const char *content; // a text, borrowed; or NULL
    json_t *annotations;
};
enum { ENTRY_DOCUMENTS = 2 };
struct referrers {
    struct referrer items[ENTRY_DOCUMENTS + 1];
    size_t n;
};
// Pushes all of them, the blobs of all in one go.
int entry_push_referrers(struct registry *registry, const struct entry *e,
                         const struct referrers *r, struct error **err);
void referrers_free(struct referrers *r);
// The provenance statement and the SPDX list of an artifact. Made before its manifest, whose
// annotations name them; pushed after it.
struct entry_documents {
    char *texts[ENTRY_DOCUMENTS]; // NULL: none
};
int entry_describe(struct build *b, const struct node *node, struct entry_documents *out,
                   json_t *annotations, struct error **err);
void entry_refer_documents(const struct node *node, const struct entry_documents *d,
                           struct referrers *out);
void entry_documents_free(struct entry_documents *d);
void entry_document_lines(const json_t *manifest, struct buf *out); // of what is signed

// ---- trust.c ----
// Tests the signing key. An error there is the user's: the build must not continue without the
// cache.
int remote_test_key(struct remote *r, struct error **err);
// The signed text: key, outputs, the digests of the provenance and of the whole record, and those
// of the documents in the manifest.
void entry_statement(const char *key, const struct entry *e, struct buf *out);
// 1: signed by a trusted key, or no keys are set; 0: not; -1: error.
int entry_trusted(struct remote *r, struct registry *registry, const struct node *node,
                  struct entry *e, struct error **err);
// 1: signed by the signing key, or there is no key; 0: not; -1: error.
int entry_signed(const struct remote *r, const struct node *node, const struct entry *e,
                 struct error **err);
// Whether a record is of something that came from a registry; and whether that is signed by one of
// the keys, or named by its digest.
bool record_from_registry(const struct node *node, const json_t *record);
bool record_signed(const struct trusted_keys *keys, const struct node *node, const json_t *record);
// The signature of the pushed manifest.
int entry_refer_signature(const struct remote *r, const struct node *node, const struct entry *e,
                          struct referrers *out, struct error **err);

// ---- signing.c ----
// 1: this machine may sign the result, which is in its store: it was made here, and so was all that
// went into it, or a key that the signer trusts signed that (KBUILD_TRUSTED_KEYS; without it, the
// signing key itself). 0: not, and *which came from elsewhere, or is NULL if there is no key; -1.
int remote_may_sign(struct build *b, const struct node *node, const json_t *record,
                    const struct node **which, struct error **err);
// Whether two records of one key have the same outputs.
bool records_agree(const json_t *one, const json_t *other);

// ---- pull.c ----
// The most that the content of a layer of this size may have.
uint64_t layer_content_limit(uint64_t size);
struct lookup {
    struct node *node;
    int found; // 1: found and trusted; 0: there is none; -1: error
    struct entry entry;
    struct error *why; // if that is -1
};
// Looks up many, several in parallel.
void remote_look_up(struct build *b, struct lookup *lookups, size_t n);
void lookup_free(struct lookup *l);
// As remote_has_content(), of this entry.
int entry_has_content(struct build *b, const struct node *node, const struct entry *e,
                      struct error **err);

// ---- artifact.c ----
// The manifest of a project: each layer is a descriptor with a clean name of its own and the digest
// of a tree. NULL: it is something else (ERROR_USAGE).
json_t *artifact_manifest(const struct buf *text, struct error **err);

#endif
