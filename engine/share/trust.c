// SPDX-License-Identifier: Apache-2.0
// Decides whether a result from a registry is trusted: writes and verifies the signatures of
// entries, and checks the records of such results in the local cache, with the files that they
// produce.
//
// The signature of an entry is a manifest without content whose subject is the entry's manifest;
// its annotations are the signer and the signature, and the signed text (the statement) is computed
// again from the record. docs/trust-cache.md.
#include "share/internal.h"

#include "base/error.h"

#include <string.h>

#define KEY_ANNOTATION "kbuild.signature.key"
#define VALUE_ANNOTATION "kbuild.signature.ed25519"

enum { FETCHED_MAX = 256 };

static void digest_json(const json_t *value, char hex[static DIGEST_HEX_SIZE])
{
    cleanup_free char *text =
        value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII) : NULL;
    digest_bytes(text ? text : "", text ? strlen(text) : 0, hex);
}

void entry_statement(const char *key, const struct entry *e, struct buf *out)
{
    char digest[DIGEST_HEX_SIZE];
    const json_t *list = json_object_get(e->record, "outputs");
    buf_printf(out, "kbuild entry 2\nkey %s\n", key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        buf_printf(out, "output %s %s %s\n", json_string_value(json_object_get(o, "kind")),
                   json_string_value(json_object_get(o, "digest")),
                   json_string_value(json_object_get(o, "name")));
    }
    digest_json(json_object_get(e->record, "provenance"), digest);
    buf_printf(out, "provenance %s\n", digest);
    json_auto_t *bare = entry_record(e->record);
    digest_json(bare, digest);
    buf_printf(out, "record %s\n", digest);
    entry_document_lines(e->manifest, out);
}

// ---- keys ----

int remote_test_key(struct remote *r, struct error **err)
{
    struct signature ignored;
    if (!r->push || !r->signing_key || r->key_tested)
        return 0;
    const struct buf nothing = {.data = (char *)""};
    if (signature_make(r->signing_key, &nothing, &ignored, err) < 0)
        return error_wrap(err, "KBUILD_SIGNING_KEY");
    if (!r->keys && !(r->own = trusted_keys_own(r->signing_key, err)))
        return error_wrap(err, "KBUILD_SIGNING_KEY");
    r->key_tested = true;
    return 0;
}

// ---- search for a signature ----

// Examines the registry's list of signatures as it arrives. All signatures of an entry sign the
// same text, so the descriptor in the list is sufficient, and bad ones cost no request.
struct signature_search {
    struct registry *registry;
    const struct trusted_keys *keys; // any of these keys; or
    const struct signature *own;     // this signature
    const struct buf *statement;
    struct signature found;
    unsigned fetched; // manifests, if the list lacks their annotations
};

static bool read_signature(const json_t *of, struct signature *s)
{
    const json_t *annotations = json_object_get(of, "annotations");
    const char *key = json_string_value(json_object_get(annotations, KEY_ANNOTATION));
    const char *value = json_string_value(json_object_get(annotations, VALUE_ANNOTATION));
    if (!key || !value || strlen(key) != sizeof s->key - 1 || strlen(value) != sizeof s->value - 1)
        return false;
    memcpy(s->key, key, sizeof s->key);
    memcpy(s->value, value, sizeof s->value);
    return true;
}

static int fetch_signature(struct signature_search *s, const json_t *descriptor, struct error **err)
{
    cleanup_free char *what = xasprintf("sha256:%s", oci_descriptor_digest(descriptor, NULL));
    cleanup_free char *type = NULL;
    cleanup_buf struct buf text = {0};
    char digest[DIGEST_HEX_SIZE];
    if (++s->fetched > FETCHED_MAX)
        return error_user(err, "more than %d signatures in the list do not name their keys",
                          FETCHED_MAX);
    int found = registry_get_manifest(s->registry, what, &text, &type, digest, err);
    if (found <= 0)
        return found;
    json_auto_t *manifest = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    return read_signature(manifest, &s->found);
}

static int check_signature(void *context, const json_t *descriptor, struct error **err)
{
    struct signature_search *s = context;
    int read = read_signature(descriptor, &s->found);
    if (!read)
        read = fetch_signature(s, descriptor, err);
    if (read <= 0)
        return read;
    return s->keys ? trusted_keys_accept(s->keys, &s->found, s->statement)
                   : !strcmp(s->found.key, s->own->key) && !strcmp(s->found.value, s->own->value);
}

static int search_signatures(struct signature_search *s, const struct entry *e, struct error **err)
{
    return registry_each_referrer(s->registry, e->digest, SIGNATURE_TYPE, check_signature, s, err);
}

// ---- the mark of a local record ----

static json_t *shared_mark(const struct buf *statement, const struct signature *by)
{
    if (!by)
        return json_object();
    return json_pack("{s:s#, s:s, s:s}", "statement", statement->data, (int)statement->len, "key",
                     by->key, "value", by->value);
}

void entry_mark(const struct entry *e, json_t *record)
{
    json_object_set_new(record, SHARED_MARK,
                        e->mark ? json_incref(e->mark) : shared_mark(NULL, NULL));
}

// ---- verification ----

// 1 if one of the trusted keys signed this entry under this key; e->mark is then set.
static int find_trusted(const struct trusted_keys *keys, struct registry *registry, const char *key,
                        struct entry *e, struct error **err)
{
    cleanup_buf struct buf statement = {0};
    entry_statement(key, e, &statement);
    struct signature_search s = {.registry = registry, .keys = keys, .statement = &statement};
    int result = search_signatures(&s, e, err);
    if (result > 0) {
        json_decref(e->mark);
        e->mark = shared_mark(&statement, &s.found);
    }
    return result;
}

int entry_trusted(struct remote *r, struct registry *registry, const struct node *node,
                  struct entry *e, struct error **err)
{
    // All are taken then; but this run signs nothing that it made from what it does not trust.
    if (!r->keys)
        return r->own && find_trusted(r->own, registry, node->key, e, err) < 0 ? -1 : 1;
    int result = find_trusted(r->keys, registry, node->key, e, err);
    job_of(node)->untrusted = !result;
    if (!result && !__atomic_exchange_n(&r->state->warned_untrusted, 1, __ATOMIC_RELAXED))
        log_warning("the shared cache has %s, but no key of KBUILD_TRUSTED_KEYS signed it: it is "
                    "not used",
                    node_label(node));
    return result;
}

// Whether every result file of the manifest has the digest in the record.
static bool layers_are_outputs(const struct entry *e)
{
    const json_t *list = json_object_get(e->record, "outputs");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(o, "name"));
        const json_t *layer = name ? entry_layer(e, name) : NULL;
        const char *title =
            json_string_value(json_object_get(json_object_get(layer, "annotations"), OCI_TITLE));
        const char *digest = json_string_value(json_object_get(o, "digest"));
        if (!layer || !title || !digest || strcmp(title, name) != 0 ||
            strcmp(oci_descriptor_digest(layer, NULL), digest) != 0)
            return false;
    }
    return json_array_size(list) > 0;
}

int entry_signed_by(const struct trusted_keys *keys, struct registry *registry, struct entry *e,
                    struct error **err)
{
    const json_t *annotations = json_object_get(e->manifest, "annotations");
    const char *text = json_string_value(json_object_get(annotations, RECORD_ANNOTATION));
    json_decref(e->record);
    e->record = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const char *key_text = json_string_value(json_object_get(e->record, "key_text"));
    if (!key_text)
        return 0;
    digest_bytes(key_text, strlen(key_text), e->key);
    return find_trusted(keys, registry, e->key, e, err);
}

int entry_trusted_for(const struct trusted_keys *keys, struct registry *registry,
                      const struct node *node, struct entry *e, struct error **err)
{
    int result = entry_signed_by(keys, registry, e, err);
    const char *of = json_string_value(json_object_get(e->record, "node"));
    if (result > 0 && (!of || strcmp(of, node->name) != 0 || !layers_are_outputs(e)))
        result = 0;
    return result;
}

// ---- signing ----

// Ed25519 signatures of the same text are equal, so the own one can be recognised.
int entry_signed(const struct remote *r, const struct node *node, const struct entry *e,
                 struct error **err)
{
    if (!r->signing_key)
        return 1;
    struct signature own;
    cleanup_buf struct buf statement = {0};
    entry_statement(node->key, e, &statement);
    if (signature_make(r->signing_key, &statement, &own, err) < 0)
        return error_wrap(err, "KBUILD_SIGNING_KEY");
    struct signature_search s = {.own = &own, .registry = remote_repository(r, node, false, err)};
    int result = s.registry ? search_signatures(&s, e, err) : -1;
    if (s.registry)
        registry_close(s.registry);
    return result;
}

int entry_refer_signature(const struct remote *remote, const struct node *node,
                          const struct entry *e, struct referrers *out, struct error **err)
{
    if (!remote->signing_key)
        return 0;
    struct signature s;
    cleanup_buf struct buf statement = {0};
    entry_statement(node->key, e, &statement);
    if (signature_make(remote->signing_key, &statement, &s, err) < 0)
        return error_wrap(err, "KBUILD_SIGNING_KEY");
    out->items[out->n++] = (struct referrer){
        .type = SIGNATURE_TYPE,
        .annotations = json_pack("{s:s, s:s}", KEY_ANNOTATION, s.key, VALUE_ANNOTATION, s.value)};
    return 0;
}

// ---- local records ----

static bool has_line(const char *text, const char *line)
{
    size_t n = strlen(line);
    for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
        if (!strncmp(p, line, n) && p[n] == '\n')
            return true;
    return false;
}

// Side files of a prebuilt artifact are not covered by the signature: they are its own sums, which
// were checked against the outputs. Those of an entry are outputs of its record like all others.
static bool statement_has_outputs(const struct node *node, const char *statement,
                                  const json_t *record)
{
    const json_t *list = json_object_get(record, "outputs");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        cleanup_free char *line =
            xasprintf("output %s %s %s", json_string_value(json_object_get(o, "kind")),
                      json_string_value(json_object_get(o, "digest")),
                      json_string_value(json_object_get(o, "name")));
        bool own = job_of(node)->prebuilt && json_is_true(json_object_get(o, "side"));
        if (!own && !has_line(statement, line))
            return false;
    }
    return true;
}

static bool mark_is_valid(const struct trusted_keys *keys, const struct node *node,
                          const json_t *record, const json_t *mark)
{
    const char *statement = json_string_value(json_object_get(mark, "statement"));
    const char *key = json_string_value(json_object_get(mark, "key"));
    const char *value = json_string_value(json_object_get(mark, "value"));
    struct signature s;
    if (!statement || !key || !value || strlen(key) != sizeof s.key - 1 ||
        strlen(value) != sizeof s.value - 1)
        return false;
    memcpy(s.key, key, sizeof s.key);
    memcpy(s.value, value, sizeof s.value);
    // A prebuilt artifact has another key here; an entry is found under its key.
    cleanup_free char *line = xasprintf("key %s", node->key);
    bool named = job_of(node)->prebuilt || job_of(node)->image_name;
    const struct buf text = {.data = (char *)statement, .len = strlen(statement)};
    return (named || has_line(statement, line)) && statement_has_outputs(node, statement, record) &&
           trusted_keys_accept(keys, &s, &text);
}

bool record_from_registry(const struct node *node, const json_t *record)
{
    const struct job *job = job_of(node);
    return json_object_get(record, SHARED_MARK) || job->prebuilt || job->image_name;
}

bool record_signed(const struct trusted_keys *keys, const struct node *node, const json_t *record)
{
    const struct job *job = job_of(node);
    const json_t *mark = json_object_get(record, SHARED_MARK);
    if (!mark && job->image_name && !job->prebuilt && reference_is_pinned(job->image_name))
        return true; // the name given by the user has its digest
    return mark_is_valid(keys, node, record, mark);
}

bool record_trusted(const struct build *b, const struct node *node, const json_t *record)
{
    if (!record_from_registry(node, record))
        return true;
    if (node->kind == NODE_SOURCE && sources_from_origin(b))
        return false;
    return outputs_allowed(node, record) &&
           (!b->trusted || record_signed(b->trusted, node, record));
}
