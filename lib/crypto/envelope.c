// SPDX-License-Identifier: Apache-2.0
// Reads and writes DSSE envelopes, and makes the bytes that their signatures are over.
#include "crypto/envelope.h"

#include "base/libcrypto.h"

#include <jansson.h>
#include <string.h>

// ---- base64 (RFC 4648, sections 4 and 5: a reader of envelopes takes both alphabets) ----

// One alphabet within a text: a text with characters of both is none.
static bool to_standard(const char *text, size_t n, char *out)
{
    bool standard = memchr(text, '+', n) || memchr(text, '/', n);
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        bool url = c == '-' || c == '_';
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     c == '+' || c == '/';
        if (!plain && !(url && !standard))
            return false;
        out[i] = (char)(c == '-' ? '+' : c == '_' ? '/' : c);
    }
    return true;
}

// Appends the bytes; false if the text is not what an encoder writes.
static bool base64_decode(const char *text, struct buf *out)
{
    size_t length = strlen(text), n = length;
    buf_add(out, "", 0);
    while (n && length - n < 2 && text[n - 1] == '=')
        n--;
    if (length % 4 || length > INT32_MAX / 2)
        return false;
    if (!length)
        return true;
    cleanup_free char *plain = xstrdup(text), *again = xmalloc(length + 1);
    cleanup_free unsigned char *bytes = xmalloc(length / 4 * 3 + 1);
    if (!to_standard(text, n, plain) ||
        EVP_DecodeBlock(bytes, (const unsigned char *)plain, (int)length) < 0)
        return false;
    size_t decoded = length / 4 * 3 - (length - n);
    // Bits that belong to no byte must be zero: one content has one text.
    EVP_EncodeBlock((unsigned char *)again, bytes, (int)decoded);
    if (strcmp(again, plain) != 0)
        return false;
    buf_add(out, bytes, decoded);
    return true;
}

static json_t *base64_json(const struct buf *bytes)
{
    cleanup_free char *text = xmalloc(4 * ((bytes->len + 2) / 3) + 1);
    *text = '\0';
    if (bytes->len)
        EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes->data, (int)bytes->len);
    return json_string(text);
}

// ---- reading ----

static bool read_signatures(const json_t *list, struct envelope *out, const char **why)
{
    *why = "its signatures are no list";
    if (!json_is_array(list))
        return false;
    *why = "it has more signatures than anybody needs";
    if (json_array_size(list) > ENVELOPE_SIGNATURES_MAX)
        return false;
    *why = "a signature in it is not base64 text";
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i), *id = json_object_get(one, "keyid");
        const char *value = json_string_value(json_object_get(one, "sig"));
        struct envelope_signature *s = &out->signatures[out->n++];
        *s = (struct envelope_signature){
            .key_id = xstrdup(json_is_string(id) ? json_string_value(id) : "")};
        if (!value || !base64_decode(value, &s->value) || s->value.len > ENVELOPE_SIGNATURE_MAX)
            return false;
    }
    return true;
}

bool envelope_parse(const char *text, size_t length, struct envelope *out, const char **why)
{
    json_auto_t *all = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    const char *type = json_string_value(json_object_get(all, "payloadType"));
    const char *payload = json_string_value(json_object_get(all, "payload"));
    *out = (struct envelope){0};
    *why = "it is no JSON object with payload, payloadType and signatures";
    if (!type || !payload)
        return false;
    out->type = xstrdup(type);
    *why = "its payload is not base64 text";
    if (base64_decode(payload, &out->payload) &&
        read_signatures(json_object_get(all, "signatures"), out, why))
        return true;
    envelope_free(out);
    return false;
}

// ---- writing ----

void envelope_add_signature(struct envelope *e, const char *key_id, const void *value,
                            size_t length)
{
    if (e->n == ENVELOPE_SIGNATURES_MAX)
        abort(); // what is read has no more, and a writer adds one
    struct envelope_signature *s = &e->signatures[e->n++];
    *s = (struct envelope_signature){.key_id = xstrdup(key_id)};
    buf_add(&s->value, value, length);
}

void envelope_write(const struct envelope *e, struct buf *out)
{
    json_auto_t *all = json_object();
    json_t *list = json_array();
    json_object_set_new(all, "payload", base64_json(&e->payload));
    json_object_set_new(all, "payloadType", json_string(e->type));
    json_object_set_new(all, "signatures", list);
    for (size_t i = 0; i < e->n; i++) {
        const struct envelope_signature *s = &e->signatures[i];
        json_t *one = json_object();
        if (*s->key_id)
            json_object_set_new(one, "keyid", json_string(s->key_id));
        json_object_set_new(one, "sig", base64_json(&s->value));
        json_array_append_new(list, one);
    }
    cleanup_free char *text = json_dumps(all, JSON_COMPACT | JSON_ENSURE_ASCII);
    if (!text)
        out_of_memory();
    buf_printf(out, "%s\n", text);
}

void envelope_signed_text(const struct envelope *e, struct buf *out)
{
    buf_printf(out, "DSSEv1 %zu %s %zu ", strlen(e->type), e->type, e->payload.len);
    buf_add(out, e->payload.data ? e->payload.data : "", e->payload.len);
}

void envelope_free(struct envelope *e)
{
    for (size_t i = 0; i < e->n; i++) {
        free(e->signatures[i].key_id);
        buf_free(&e->signatures[i].value);
    }
    free(e->type);
    buf_free(&e->payload);
    e->n = 0;
    e->type = NULL;
}
