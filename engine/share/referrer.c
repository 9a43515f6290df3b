// SPDX-License-Identifier: Apache-2.0
// Writes and reads the referrers of an entry: manifests whose subject is the entry (OCI Image 1.1,
// manifest.md, "Guidelines for Artifact Usage"), with its signature and its provenance.
#include "share/share.h"

#include "provenance/provenance.h"

#include <string.h>

// The documents on an artifact. The digest of each is an annotation of the entry, and so signed.
static const struct document {
    const char *annotation, *type, *suffix;
    json_t *(*make)(struct build *b, const struct node *node, struct error **err);
} documents[ENTRY_DOCUMENTS] = {
    {"kbuild.provenance", PROVENANCE_TYPE, PROVENANCE_FILE, provenance_statement},
    {"kbuild.spdx", SPDX_TYPE, SPDX_FILE, provenance_spdx},
};

// ---- writing ----

static int add_blob(struct registry_blob *blob, int fd, const char *bytes, size_t length,
                    char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    digest_bytes(bytes, length, digest);
    *blob = (struct registry_blob){.digest = digest, .size = length, .fd = fd};
    return fd_write_all(blob->fd, "a temporary file", bytes, length, err);
}

static int put_manifest(struct registry *registry, const struct entry *e, const char *type,
                        json_t *manifest, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *text = json_dumps(manifest, JSON_COMPACT | JSON_SORT_KEYS);
    digest_bytes(text, strlen(text), digest);
    json_t *descriptor = oci_descriptor(OCI_MANIFEST, digest, strlen(text));
    json_object_set_new(descriptor, "artifactType", json_string(type));
    json_object_set(descriptor, "annotations", json_object_get(manifest, "annotations"));
    const struct registry_refer refer = {
        .text = text, .media_type = OCI_MANIFEST, .subject = e->digest, .descriptor = descriptor};
    int result = registry_put_referrer(registry, &refer, err);
    json_decref(descriptor);
    return result;
}

int entry_refer(struct registry *registry, const struct entry *e, const struct referrer *r,
                struct error **err)
{
    static const char empty[] = "{}";
    char config[DIGEST_HEX_SIZE], content[DIGEST_HEX_SIZE];
    cleanup_close int one = nameless_file(NULL, err), two = one < 0 ? -1 : nameless_file(NULL, err);
    struct registry_blob blobs[2];
    if (two < 0 || add_blob(&blobs[0], one, empty, strlen(empty), config, err) < 0 ||
        (r->content &&
         add_blob(&blobs[1], two, r->content, strlen(r->content), content, err) < 0) ||
        registry_push_blobs(registry, blobs, r->content ? 2 : 1, err) < 0)
        return -1;
    json_t *layer = r->content ? oci_descriptor(r->type, content, strlen(r->content))
                               : oci_descriptor(OCI_EMPTY, config, strlen(empty));
    if (r->title)
        json_object_set_new(layer, "annotations", json_pack("{s:s}", OCI_TITLE, r->title));
    json_t *manifest =
        json_pack("{s:i, s:s, s:s, s:o, s:[o], s:o, s:O}", "schemaVersion", 2, "mediaType",
                  OCI_MANIFEST, "artifactType", r->type, "config",
                  oci_descriptor(OCI_EMPTY, config, strlen(empty)), "layers", layer, "subject",
                  oci_descriptor(OCI_MANIFEST, e->digest, e->size), "annotations", r->annotations);
    int result = put_manifest(registry, e, r->type, manifest, err);
    json_decref(manifest);
    return result;
}

// ---- provenance documents ----

int entry_describe(struct build *b, const struct node *node, struct entry_documents *out,
                   json_t *annotations, struct error **err)
{
    if (node->kind != NODE_ARTIFACT)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
        char digest[DIGEST_HEX_SIZE];
        json_t *value = documents[i].make(b, node, err);
        if (!value)
            return error_wrap(err, "describing how it was made");
        out->texts[i] = provenance_text(value);
        json_decref(value);
        digest_bytes(out->texts[i], strlen(out->texts[i]), digest);
        cleanup_free char *name = xasprintf("sha256:%s", digest);
        json_object_set_new(annotations, documents[i].annotation, json_string(name));
    }
    return 0;
}

int entry_push_documents(struct registry *registry, const struct node *node, const struct entry *e,
                         const struct entry_documents *d, struct error **err)
{
    for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
        if (!d->texts[i])
            continue;
        const struct document *kind = &documents[i];
        cleanup_free char *title = xasprintf("%s-%s", job_of(node)->recipe->name, kind->suffix);
        json_t *annotations = json_object();
        if (kind->make == provenance_statement) // where other tools look for the predicate
            json_object_set_new(annotations, "in-toto.io/predicate-type",
                                json_string(PREDICATE_TYPE));
        const struct referrer r = {
            .type = kind->type, .title = title, .content = d->texts[i], .annotations = annotations};
        int result = entry_refer(registry, e, &r, err);
        json_decref(annotations);
        if (result < 0)
            return -1;
    }
    return 0;
}

void entry_documents_free(struct entry_documents *d)
{
    for (size_t i = 0; i < ARRAY_LEN(d->texts); i++)
        free(d->texts[i]);
}

void entry_document_lines(const json_t *manifest, struct buf *out)
{
    const json_t *annotations = json_object_get(manifest, "annotations");
    for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
        const char *digest = oci_digest_hex(
            json_string_value(json_object_get(annotations, documents[i].annotation)));
        if (digest)
            buf_printf(out, "document %s %s\n", documents[i].type, digest);
    }
}
