// SPDX-License-Identifier: Apache-2.0
// Writes in-toto statements about files, and reads bundles of signed ones: which of them are about
// a file, and which key signed them. in-toto attestation framework, spec v1 (statement.md,
// bundle.md; predicates/release.md).
#include "handover/internal.h"

#include "provenance/provenance.h"

#include <string.h>
#include <time.h>

#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"

// ---- writing ----

// "kata-static-kernel.tar.xz" -> "kata-static-kernel"
static char *package_name(const char *name)
{
    const char *tar = strstr(name, ".tar.");
    return tar && tar > name ? xstrndup(name, (size_t)(tar - name)) : xstrdup(name);
}

json_t *release_statement(const char *name, const char *digest, const char *release)
{
    char at[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    cleanup_free char *plain = package_name(name);
    cleanup_free char *package = purl_escape(plain), *version = purl_escape(release);
    cleanup_free char *purl = xasprintf("pkg:generic/%s@%s", package, version);
    return json_pack("{s:s, s:[{s:s, s:{s:s}}], s:s, s:{s:s, s:s, s:s}}", "_type", STATEMENT_TYPE,
                     "subject", "name", name, "digest", "sha256", digest, "predicateType",
                     RELEASE_TYPE, "predicate", "purl", purl, "signedOn", at, "kbuild",
                     KBUILD_VERSION);
}

int statement_sign(const char *key_file, const void *payload, size_t length, struct buf *out,
                   struct error **err)
{
    struct signature s;
    unsigned char value[sizeof s.value / 2];
    cleanup_buf struct buf text = {0};
    cleanup_envelope struct envelope e = {.type = xstrdup(PROVENANCE_TYPE)};
    buf_add(&e.payload, payload, length);
    envelope_signed_text(&e, &text);
    if (signature_make(key_file, &text, &s, err) < 0)
        return -1;
    if (!hex_decode(s.value, value, sizeof value))
        abort(); // as it was written
    envelope_add_signature(&e, s.key, value, sizeof value);
    envelope_write(&e, out);
    return 0;
}

// ---- reading a statement ----

json_t *statement_parse(const void *bytes, size_t length)
{
    json_auto_t *all = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, NULL);
    const char *type = json_string_value(json_object_get(all, "_type"));
    return type && !strcmp(type, STATEMENT_TYPE) ? steal(all) : NULL;
}

bool statement_has_type(const json_t *statement, const char *predicate_type)
{
    return !strcmp(provenance_at(statement, "predicateType"), predicate_type);
}

const char *statement_subject(const json_t *statement, const char *digest)
{
    const json_t *list = json_object_get(statement, "subject");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        if (!strcmp(provenance_at(json_object_get(one, "digest"), "sha256"), digest))
            return provenance_at(one, "name");
    }
    return NULL;
}

char *statement_release(const json_t *statement)
{
    const json_t *predicate = json_object_get(statement, "predicate");
    return statement_has_type(statement, RELEASE_TYPE)
               ? purl_version(provenance_at(predicate, "purl"))
               : NULL;
}

// ---- reading a bundle ----

static void note_other_file(struct vouched_list *out, const json_t *statement)
{
    const json_t *first = json_array_get(json_object_get(statement, "subject"), 0);
    if (!out->other_files++)
        out->other_name = xstrdup(provenance_at(first, "name"));
}

// Both vouch for a content; any other (a list of vulnerabilities, say) may say that it is bad.
static bool vouches(const json_t *statement)
{
    return statement_has_type(statement, RELEASE_TYPE) ||
           statement_has_type(statement, PREDICATE_TYPE);
}

// The signature is verified before anything in the payload is looked at.
static void take_envelope(const struct envelope *e, const char *digest,
                          const struct trusted_keys *keys, struct vouched_list *out)
{
    cleanup_buf struct buf text = {0};
    struct trusted_signer by = {0};
    envelope_signed_text(e, &text);
    for (size_t i = 0; !by.key && i < e->n; i++)
        trusted_keys_signer(keys, &e->signatures[i].value, &text, &by);
    if (!by.key) {
        out->others++;
        return;
    }
    json_auto_t *statement =
        strcmp(e->type, PROVENANCE_TYPE) ? NULL : statement_parse(e->payload.data, e->payload.len);
    const char *name = statement_subject(statement, digest);
    if (!name) {
        note_other_file(out, statement);
    } else if (!vouches(statement)) {
        out->other_kinds++;
    } else {
        out->items = xgrow(out->items, &out->cap, out->n + 1, sizeof *out->items);
        out->items[out->n++] = (struct vouched){steal(statement), name, by};
    }
}

// 1: an envelope, which was given; 0: none; -1: the callback's error.
static int give_text(const char *text, size_t length, bundle_item *item, void *context,
                     struct error **err)
{
    struct envelope e;
    const char *why;
    if (!envelope_parse(text, length, &e, &why))
        return 0;
    int result = item(context, &e, text, length, err);
    envelope_free(&e);
    return result < 0 ? -1 : 1;
}

static bool is_blank(const char *text, size_t length)
{
    return strspn(text, " \t\r\n") >= length;
}

int bundle_each(const struct buf *text, const char *name, bundle_item *item, void *context,
                struct error **err)
{
    size_t lines = 0;
    const char *end = text->data + text->len;
    // One envelope that somebody made readable has many lines.
    int given = text->len ? give_text(text->data, text->len, item, context, err) : 0;
    if (given)
        return given < 0 ? -1 : 0;
    for (const char *p = text->data, *stop; p && p < end; p = stop + 1) {
        stop = memchr(p, '\n', (size_t)(end - p));
        stop = stop ? stop : end;
        if (++lines > LINES_MAX)
            return error_user(err, "%s has more than %d lines", name, LINES_MAX);
        given = give_text(p, (size_t)(stop - p), item, context, err);
        if (!given && !is_blank(p, (size_t)(stop - p)))
            given = item(context, NULL, p, (size_t)(stop - p), err);
        if (given < 0)
            return -1;
    }
    return 0;
}

struct bundle_reading {
    const char *digest;
    const struct trusted_keys *keys;
    struct vouched_list *out;
};

static int read_item(void *context, const struct envelope *e, const char *text, size_t length,
                     struct error **err)
{
    const struct bundle_reading *r = context;
    (void)text, (void)length, (void)err;
    if (!e) {
        r->out->unreadable++;
        return 0;
    }
    r->out->lines++;
    take_envelope(e, r->digest, r->keys, r->out);
    return 0;
}

int bundle_read(const struct buf *text, const char *name, const char *digest,
                const struct trusted_keys *keys, struct vouched_list *out, struct error **err)
{
    struct bundle_reading r = {digest, keys, out};
    return bundle_each(text, name, read_item, &r, err);
}

void vouched_free(struct vouched_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        json_decref(l->items[i].statement);
    free(l->items);
    free(l->other_name);
    *l = (struct vouched_list){0};
}
