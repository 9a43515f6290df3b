// SPDX-License-Identifier: Apache-2.0
// Signatures of entries. A signature is a manifest without content whose subject is the entry's
// manifest; who signed and the signature itself are its annotations, and what was signed is made
// again from the record. docs/trust-cache.md.
#include "run/remote.h"

#include "base/log.h"

#include <string.h>

#define KEY_ANNOTATION "kbuild.signature.key"
#define VALUE_ANNOTATION "kbuild.signature.ed25519"

enum { SIGNATURE_LIMIT = 16 }; // so many are looked at

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
    json_t *bare = entry_record(e->record);
    digest_json(bare, digest);
    json_decref(bare);
    buf_printf(out, "record %s\n", digest);
    entry_document_lines(e->manifest, out);
}

// ---- keys ----

int remote_keys(struct remote *r, struct error **err)
{
    struct signature ignored;
    if (r->push && r->signing_key && !r->key_tried) {
        const struct buf nothing = {.data = (char *)""};
        if (signature_make(r->signing_key, &nothing, &ignored, err) < 0)
            return error_wrap(err, "KBUILD_SIGNING_KEY");
        r->key_tried = true;
    }
    if (!r->trusted || r->keys)
        return 0;
    r->keys = trusted_keys_load(r->trusted, err);
    return r->keys ? 0 : error_wrap(err, "KBUILD_TRUSTED_KEYS");
}

// ---- reading ----

static bool signed_by_trusted(const struct trusted_keys *keys, const json_t *manifest,
                              const char *subject, const struct buf *statement)
{
    const json_t *annotations = json_object_get(manifest, "annotations");
    const char *key = json_string_value(json_object_get(annotations, KEY_ANNOTATION));
    const char *value = json_string_value(json_object_get(annotations, VALUE_ANNOTATION));
    const char *of = descriptor_hex(json_object_get(manifest, "subject"));
    struct signature s;
    if (!key || !value || !of || strcmp(of, subject) != 0 || strlen(key) != sizeof s.key - 1 ||
        strlen(value) != sizeof s.value - 1)
        return false;
    memcpy(s.key, key, sizeof s.key);
    memcpy(s.value, value, sizeof s.value);
    return trusted_keys_accept(keys, &s, statement);
}

static int look_at(struct remote *r, struct registry *registry, const json_t *descriptor,
                   const char *subject, const struct buf *statement, struct error **err)
{
    const char *hex = descriptor_hex(descriptor);
    if (!hex)
        return 0;
    cleanup_free char *what = xasprintf("sha256:%s", hex);
    cleanup_free char *type = NULL;
    cleanup_buf struct buf text = {0};
    char digest[DIGEST_HEX_SIZE];
    int found = registry_get_manifest(registry, what, &text, &type, digest, err);
    if (found <= 0)
        return found;
    json_t *manifest = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    bool good = signed_by_trusted(r->keys, manifest, subject, statement);
    json_decref(manifest);
    return good;
}

// 1 if one of the trusted keys signed this entry under this key.
static int vouched(struct remote *r, struct registry *registry, const char *key,
                   const struct entry *e, struct error **err)
{
    cleanup_buf struct buf statement = {0};
    entry_statement(key, e, &statement);
    json_t *list = registry_referrers(registry, e->digest, SIGNATURE_TYPE, err);
    if (!list)
        return -1;
    int result = 0;
    for (size_t i = 0; i < json_array_size(list) && i < SIGNATURE_LIMIT && !result; i++)
        result = look_at(r, registry, json_array_get(list, i), e->digest, &statement, err);
    json_decref(list);
    return result;
}

int entry_trusted(struct remote *r, struct registry *registry, const struct node *node,
                  const struct entry *e, struct error **err)
{
    if (!r->trusted)
        return 1;
    int result = vouched(r, registry, node->key, e, err);
    if (!result && !__atomic_exchange_n(&r->state->told_untrusted, 1, __ATOMIC_RELAXED))
        log_warning("the shared cache has %s, but no key of KBUILD_TRUSTED_KEYS signed it: it is "
                    "not used",
                    node_label(node));
    return result;
}

// Whether every file of the manifest that is a result has the digest that the record says.
static bool layers_are_outputs(const struct entry *e)
{
    const json_t *list = json_object_get(e->record, "outputs");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(o, "name"));
        const json_t *layer = name ? entry_layer(e, name) : NULL;
        const char *title = json_string_value(
            json_object_get(json_object_get(layer, "annotations"), TITLE_ANNOTATION));
        const char *digest = json_string_value(json_object_get(o, "digest"));
        if (!layer || !title || !digest || strcmp(title, name) != 0 ||
            strcmp(descriptor_hex(layer), digest) != 0)
            return false;
    }
    return json_array_size(list) > 0;
}

int entry_vouched(struct remote *r, struct registry *registry, const struct node *node,
                  struct entry *e, struct error **err)
{
    const json_t *annotations = json_object_get(e->manifest, "annotations");
    const char *text = json_string_value(json_object_get(annotations, RECORD_ANNOTATION));
    json_decref(e->record);
    e->record = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const char *key_text = json_string_value(json_object_get(e->record, "key_text"));
    const char *of = json_string_value(json_object_get(e->record, "node"));
    if (!key_text || !of || strcmp(of, node->name) != 0 || !layers_are_outputs(e))
        return 0;
    digest_bytes(key_text, strlen(key_text), e->key);
    return vouched(r, registry, e->key, e, err);
}

// ---- writing ----

// Ed25519 signs the same text with the same bytes each time, so ours can be recognised.
static bool lists_signature(const json_t *list, const struct signature *s)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *a = json_object_get(json_array_get(list, i), "annotations");
        const char *key = json_string_value(json_object_get(a, KEY_ANNOTATION));
        const char *value = json_string_value(json_object_get(a, VALUE_ANNOTATION));
        if (key && value && !strcmp(key, s->key) && !strcmp(value, s->value))
            return true;
    }
    return false;
}

int entry_signed(const struct remote *r, const struct node *node, const struct entry *e,
                 struct error **err)
{
    if (!r->signing_key)
        return 1;
    struct signature s;
    cleanup_buf struct buf statement = {0};
    entry_statement(node->key, e, &statement);
    if (signature_make(r->signing_key, &statement, &s, err) < 0)
        return error_wrap(err, "KBUILD_SIGNING_KEY");
    struct registry *registry = remote_repository(r, node, false, err);
    json_t *list = registry ? registry_referrers(registry, e->digest, SIGNATURE_TYPE, err) : NULL;
    int result = list ? lists_signature(list, &s) : -1;
    json_decref(list);
    if (registry)
        registry_close(registry);
    return result;
}

int entry_sign(const struct remote *remote, struct registry *registry, const struct node *node,
               const struct entry *e, struct error **err)
{
    if (!remote->signing_key)
        return 0;
    struct signature s;
    cleanup_buf struct buf statement = {0};
    entry_statement(node->key, e, &statement);
    if (signature_make(remote->signing_key, &statement, &s, err) < 0)
        return error_wrap(err, "KBUILD_SIGNING_KEY");
    json_t *annotations = json_pack("{s:s, s:s}", KEY_ANNOTATION, s.key, VALUE_ANNOTATION, s.value);
    const struct referrer r = {.type = SIGNATURE_TYPE, .annotations = annotations};
    int result = entry_refer(registry, e, &r, err);
    json_decref(annotations);
    return result;
}
