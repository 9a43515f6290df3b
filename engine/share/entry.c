// SPDX-License-Identifier: Apache-2.0
// Makes names and tags of entries, reads their manifests, and writes and reads what refers to them:
// manifests whose subject is the entry (OCI Image 1.1, manifest.md, "Guidelines for Artifact
// Usage"), with its signature, its provenance and its SPDX list.
#include "share/internal.h"

#include "provenance/provenance.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

// ---- names ----

// A component of a repository's name (distribution's grammar): lower case, separated by one of ".",
// "_" and "-". Different nodes may share one repository; their tags differ.
static void add_component(struct buf *out, const char *name)
{
    bool separated = true; // none at the beginning
    for (; *name; name++) {
        unsigned char c = (unsigned char)tolower((unsigned char)*name);
        if (isalnum(c)) {
            buf_add(out, &c, 1);
            separated = false;
        } else if (!separated && isalnum((unsigned char)name[1])) {
            buf_puts(out, c == '_' || c == '.' ? (char[]){(char)c, '\0'} : "-");
            separated = true;
        }
    }
}

char *entry_path(const struct node *node)
{
    static const char *const folders[] = {
        [NODE_SOURCE] = "cached-sources/",
        [NODE_BUILDER] = "cached-builders/",
        [NODE_ROOTFS] = "cached-rootfs/",
        [NODE_ARTIFACT] = "cached-artefacts/",
    };
    struct buf out = {0};
    const struct job *job = job_of(node);
    const char *colon = strchr(node->name, ':');
    buf_puts(&out, folders[node->kind]);
    size_t before = out.len;
    add_component(&out, node->kind == NODE_ARTIFACT || !colon ? job->recipe->name : colon + 1);
    if (out.len == before)
        buf_puts(&out, "x");
    return buf_take(&out);
}

bool entry_is_image(const struct remote *r, const struct node *node)
{
    return r->builders && node->kind == NODE_BUILDER;
}

char *entry_tag(const struct remote *r, const struct node *node)
{
    const struct job *job = job_of(node);
    if (!entry_is_image(r, node))
        return xasprintf("kbuild-%s", node->key);
    cleanup_free char *text = xasprintf("%s-%.9s", job->recipe->builder->name, node->key);
    return registry_tag(text, job->target->name);
}

void entry_upstream_tags(const struct remote *r, const struct node *node, const char *version,
                         const char *commit, struct strlist *out)
{
    const char *arch = job_of(node)->target->name;
    cleanup_free char *latest = xasprintf("latest-%s", r->branch);
    const char *const texts[] = {latest, r->release ? version : NULL, commit};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (!texts[i] || !*texts[i])
            continue;
        cleanup_free char *tag = registry_tag(texts[i], arch);
        strlist_add_once(out, tag);
    }
}

// ---- outputs that a record may have ----

static bool is_tarball_of(const struct recipe *r, const char *name)
{
    static const char *const formats[] = {"xz", "zst"};
    for (size_t i = 0; i < r->outputs.n; i++)
        for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
            cleanup_free char *its =
                xasprintf("kata-static-%s.tar.%s", r->outputs.items[i], formats[f]);
            if (!strcmp(its, name))
                return true;
        }
    return false;
}

static bool is_side_file_of(const struct job *job, const char *name)
{
    cleanup_strlist struct strlist names = {0};
    side_files_of_action(job->recipe, &names);
    // A prebuilt artifact has upstream's files beside the tarballs.
    for (size_t i = 0; i < SIDE_FILES && job->prebuilt; i++)
        strlist_addf(&names, "%s-%s", job->recipe->name, side_file_names[i]);
    return strlist_has(&names, name);
}

bool output_allowed(const struct node *node, const struct output_claim *o)
{
    static const struct {
        enum node_kind of;
        const char *name, *kind;
    } fixed[] = {
        {NODE_SOURCE, "tree", "tree"},
        {NODE_BUILDER, "root", "tree"},
        {NODE_BUILDER, "image", "blob"},
        {NODE_ROOTFS, "rootfs.tar", "blob"},
    };
    if (node->kind == NODE_ARTIFACT && !strcmp(o->kind, "blob"))
        return o->side ? is_side_file_of(job_of(node), o->name)
                       : is_tarball_of(job_of(node)->recipe, o->name);
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        if (fixed[i].of == node->kind && !o->side && !strcmp(fixed[i].name, o->name) &&
            !strcmp(fixed[i].kind, o->kind))
            return true;
    return false;
}

bool outputs_allowed(const struct node *node, const json_t *record)
{
    const json_t *list = json_object_get(record, "outputs");
    cleanup_strlist struct strlist names = {0};
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const struct output_claim o = {
            .name = json_string_value(json_object_get(item, "name")),
            .kind = json_string_value(json_object_get(item, "kind")),
            .side = json_is_true(json_object_get(item, "side")),
        };
        const char *digest = json_string_value(json_object_get(item, "digest"));
        if (!o.name || !o.kind || !digest || !digest_is_hex(digest) || !output_allowed(node, &o) ||
            strlist_has(&names, o.name))
            return false;
        strlist_add(&names, o.name);
    }
    return names.n > 0;
}

// ---- manifests ----

json_t *entry_record(const json_t *record)
{
    json_t *copy = json_deep_copy(record);
    json_object_del(copy, "key");
    json_object_del(copy, "sha256");
    json_object_del(copy, SHARED_MARK);
    return copy;
}

static const char *annotation(const json_t *of, const char *name)
{
    return json_string_value(json_object_get(json_object_get(of, "annotations"), name));
}

const json_t *entry_layer(const struct entry *e, const char *output)
{
    const json_t *layers = json_object_get(e->manifest, "layers");
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const json_t *layer = json_array_get(layers, i);
        const char *its = annotation(layer, OUTPUT_ANNOTATION);
        if (its && !strcmp(its, output))
            return oci_descriptor_digest(layer, NULL) ? layer : NULL;
    }
    return NULL;
}

bool entry_derived(const struct node *node, const char *output)
{
    return node->kind == NODE_BUILDER && !strcmp(output, "image");
}

int entry_read(const struct node *node, const struct buf *manifest, struct entry *out,
               struct error **err)
{
    out->manifest = json_loadb(manifest->data ? manifest->data : "", manifest->len,
                               JSON_REJECT_DUPLICATES, NULL);
    const char *text = annotation(out->manifest, RECORD_ANNOTATION);
    if (!text)
        return error_user(err, "the entry has no record");
    out->size = manifest->len;
    out->record = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *key_text = json_string_value(json_object_get(out->record, "key_text"));
    if (!key_text)
        return error_user(err, "the record of the entry has no key");
    digest_bytes(key_text, strlen(key_text), out->key);
    if (strcmp(out->key, node->key) != 0 && node->kind == NODE_BUILDER)
        return 0; // a tag has only 9 digits of the key
    if (strcmp(out->key, node->key) != 0)
        return error_user(err, "the record of the entry has the key %s instead of %s", out->key,
                          node->key);
    if (!outputs_allowed(node, out->record))
        return error_user(err, "the record of the entry has outputs that %s does not have",
                          node_label(node));
    if (!packages_match(node, out->record))
        return error_user(err, "the record of the entry names other packages than its key");
    return 1;
}

void entry_free(struct entry *e)
{
    json_decref(e->manifest);
    json_decref(e->record);
    json_decref(e->mark);
    buf_free(&e->text);
    *e = (struct entry){0};
}

void entry_forget(struct job *job)
{
    if (job->entry)
        entry_free(job->entry);
    free(steal(job->entry));
}

// ---- referrers ----

// The documents on an artifact. The digest of each is an annotation of the entry, and so signed.
static const struct document {
    const char *annotation, *type, *suffix;
    json_t *(*make)(struct build *b, const struct node *node, struct error **err);
} documents[ENTRY_DOCUMENTS] = {
    {"kbuild.provenance", PROVENANCE_TYPE, PROVENANCE_FILE, provenance_statement},
    {"kbuild.spdx", SPDX_TYPE, SPDX_FILE, provenance_spdx},
};

// ---- the empty blob ----

#define EMPTY_CONTENT "{}"
#define EMPTY_DIGEST "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

json_t *empty_blob_descriptor(void)
{
    return oci_descriptor(OCI_EMPTY, EMPTY_DIGEST, strlen(EMPTY_CONTENT));
}

int empty_blob_open(struct registry_blob *out, struct error **err)
{
    const size_t size = strlen(EMPTY_CONTENT);
    cleanup_close int fd = nameless_file(NULL, err);
    if (fd < 0 || fd_write_all(fd, "an empty config", EMPTY_CONTENT, size, err) < 0)
        return -1;
    *out = (struct registry_blob){.digest = EMPTY_DIGEST, .size = size, .fd = steal_fd(&fd)};
    return 0;
}

// ---- referrers ----

// The blobs of all referrers: the empty config that they share, and their contents.
struct referrer_blobs {
    struct registry_blob list[ENTRY_DOCUMENTS + 2];
    char digests[ENTRY_DOCUMENTS + 2][DIGEST_HEX_SIZE];
    size_t n;
};

static int add_blob(struct referrer_blobs *b, const char *text, struct error **err)
{
    char *digest = b->digests[b->n];
    cleanup_close int fd = nameless_file(NULL, err);
    if (fd < 0 || fd_write_all(fd, "a temporary file", text, strlen(text), err) < 0)
        return -1;
    digest_bytes(text, strlen(text), digest);
    b->list[b->n++] =
        (struct registry_blob){.digest = digest, .size = strlen(text), .fd = steal_fd(&fd)};
    return 0;
}

static int push_contents(struct registry *registry, const struct referrers *r, struct error **err)
{
    struct referrer_blobs b = {0};
    int result = r->n ? empty_blob_open(&b.list[0], err) : 0;
    b.n = r->n && !result;
    for (size_t i = 0; i < r->n && !result; i++)
        if (r->items[i].content)
            result = add_blob(&b, r->items[i].content, err);
    if (!result)
        result = registry_push_blobs(registry, b.list, b.n, err);
    for (size_t i = 0; i < b.n; i++)
        close(b.list[i].fd);
    return result;
}

static json_t *descriptor_of(const char *type, const char *text)
{
    char digest[DIGEST_HEX_SIZE];
    digest_bytes(text, strlen(text), digest);
    return oci_descriptor(type, digest, strlen(text));
}

static char *referrer_manifest(const struct entry *e, const struct referrer *r)
{
    json_t *layer = r->content ? descriptor_of(r->type, r->content) : empty_blob_descriptor();
    if (r->title)
        json_object_set_new(layer, "annotations", json_pack("{s:s}", OCI_TITLE, r->title));
    json_auto_t *manifest = json_pack(
        "{s:i, s:s, s:s, s:o, s:[o], s:o, s:O}", "schemaVersion", 2, "mediaType", OCI_MANIFEST,
        "artifactType", r->type, "config", empty_blob_descriptor(), "layers", layer, "subject",
        oci_descriptor(OCI_MANIFEST, e->digest, e->size), "annotations", r->annotations);
    return json_dumps(manifest, JSON_COMPACT | JSON_SORT_KEYS);
}

int entry_push_referrers(struct registry *registry, const struct entry *e,
                         const struct referrers *r, struct error **err)
{
    struct registry_referrer list[ARRAY_LEN(r->items)];
    if (push_contents(registry, r, err) < 0)
        return -1;
    for (size_t i = 0; i < r->n; i++) {
        char *text = referrer_manifest(e, &r->items[i]);
        json_t *descriptor = descriptor_of(OCI_MANIFEST, text);
        json_object_set_new(descriptor, "artifactType", json_string(r->items[i].type));
        json_object_set(descriptor, "annotations", r->items[i].annotations);
        list[i] = (struct registry_referrer){text, OCI_MANIFEST, descriptor};
    }
    int result = registry_put_referrers(registry, e->digest, list, r->n, err);
    for (size_t i = 0; i < r->n; i++) {
        free((char *)list[i].text);
        json_decref((json_t *)list[i].descriptor);
    }
    return result;
}

void referrers_free(struct referrers *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free(r->items[i].title);
        json_decref(r->items[i].annotations);
    }
}

// ---- provenance documents ----

int entry_describe(struct build *b, const struct node *node, struct entry_documents *out,
                   json_t *annotations, struct error **err)
{
    if (node->kind != NODE_ARTIFACT)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
        char digest[DIGEST_HEX_SIZE];
        json_auto_t *value = documents[i].make(b, node, err);
        if (!value)
            return error_wrap(err, "making its provenance");
        out->texts[i] = provenance_text(value);
        digest_bytes(out->texts[i], strlen(out->texts[i]), digest);
        cleanup_free char *name = xasprintf("sha256:%s", digest);
        json_object_set_new(annotations, documents[i].annotation, json_string(name));
    }
    return 0;
}

void entry_refer_documents(const struct node *node, const struct entry_documents *d,
                           struct referrers *out)
{
    for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
        const struct document *kind = &documents[i];
        if (!d->texts[i])
            continue;
        json_t *annotations = json_object();
        if (kind->make == provenance_statement) // where other tools look for the predicate
            json_object_set_new(annotations, "in-toto.io/predicate-type",
                                json_string(PREDICATE_TYPE));
        out->items[out->n++] = (struct referrer){
            .type = kind->type,
            .title = xasprintf("%s-%s", job_of(node)->recipe->name, kind->suffix),
            .content = d->texts[i],
            .annotations = annotations,
        };
    }
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
