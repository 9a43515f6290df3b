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

void entry_statement(const char *key, const json_t *record, struct buf *out)
{
    char digest[DIGEST_HEX_SIZE];
    const json_t *list = json_object_get(record, "outputs");
    buf_printf(out, "kbuild entry 1\nkey %s\n", key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        buf_printf(out, "output %s %s %s\n", json_string_value(json_object_get(o, "kind")),
                   json_string_value(json_object_get(o, "digest")),
                   json_string_value(json_object_get(o, "name")));
    }
    digest_json(json_object_get(record, "provenance"), digest);
    buf_printf(out, "provenance %s\n", digest);
    json_t *bare = entry_record(record);
    digest_json(bare, digest);
    json_decref(bare);
    buf_printf(out, "record %s\n", digest);
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

int entry_trusted(struct remote *r, struct registry *registry, const struct node *node,
                  const struct entry *e, struct error **err)
{
    if (!r->trusted)
        return 1;
    cleanup_buf struct buf statement = {0};
    entry_statement(node->key, e->record, &statement);
    json_t *list = registry_referrers(registry, e->digest, SIGNATURE_TYPE, err);
    if (!list)
        return -1;
    int result = 0;
    for (size_t i = 0; i < json_array_size(list) && i < SIGNATURE_LIMIT && !result; i++)
        result = look_at(r, registry, json_array_get(list, i), e->digest, &statement, err);
    json_decref(list);
    if (!result && !__atomic_exchange_n(&r->state->told_untrusted, 1, __ATOMIC_RELAXED))
        log_warning("the shared cache has %s, but no key of KBUILD_TRUSTED_KEYS signed it: it is "
                    "not used",
                    node_label(node));
    return result;
}

// ---- writing ----

static int push_empty(struct registry *registry, char digest[static DIGEST_HEX_SIZE],
                      struct error **err)
{
    cleanup_fclose FILE *file = tmpfile();
    digest_bytes("{}", 2, digest);
    if (!file || fd_write_all(fileno(file), "a temporary file", "{}", 2, err) < 0)
        return file ? -1 : error_user(err, "no temporary file can be made");
    struct registry_blob blob = {.digest = digest, .size = 2, .fd = fileno(file)};
    return registry_push_blobs(registry, &blob, 1, err);
}

int entry_sign(const struct remote *r, struct registry *registry, const struct node *node,
               const struct entry *e, struct error **err)
{
    if (!r->signing_key)
        return 0;
    struct signature s;
    char empty[DIGEST_HEX_SIZE], digest[DIGEST_HEX_SIZE];
    cleanup_buf struct buf statement = {0};
    entry_statement(node->key, e->record, &statement);
    if (signature_make(r->signing_key, &statement, &s, err) < 0)
        return error_wrap(err, "KBUILD_SIGNING_KEY");
    if (push_empty(registry, empty, err) < 0)
        return -1;
    json_t *annotations = json_pack("{s:s, s:s}", KEY_ANNOTATION, s.key, VALUE_ANNOTATION, s.value);
    json_t *manifest = json_pack(
        "{s:i, s:s, s:s, s:o, s:[o], s:o, s:O}", "schemaVersion", 2, "mediaType", MANIFEST_TYPE,
        "artifactType", SIGNATURE_TYPE, "config", entry_descriptor(EMPTY_TYPE, empty, 2), "layers",
        entry_descriptor(EMPTY_TYPE, empty, 2), "subject",
        entry_descriptor(MANIFEST_TYPE, e->digest, e->size), "annotations", annotations);
    cleanup_free char *text = json_dumps(manifest, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(manifest);
    digest_bytes(text, strlen(text), digest);
    cleanup_free char *what = xasprintf("sha256:%s", digest);
    json_t *descriptor = entry_descriptor(MANIFEST_TYPE, digest, strlen(text));
    json_object_set_new(descriptor, "artifactType", json_string(SIGNATURE_TYPE));
    json_object_set_new(descriptor, "annotations", annotations);
    int result =
        registry_put_manifest(registry, what, text, strlen(text), MANIFEST_TYPE, digest, err);
    if (!result)
        result = registry_add_referrer(registry, e->digest, descriptor, err);
    json_decref(descriptor);
    return result;
}
