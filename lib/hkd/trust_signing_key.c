// SPDX-License-Identifier: Apache-2.0
// Which certificate is an IBM Z signing key (12.2), and the names of its revocation lists (12.4).
#include "hkd/trust_store.h"

#include <openssl/err.h>
#include <string.h>

#define IBM "International Business Machines Corporation"
#define OU_END "Key Signing Service"
#define OLD_PLACE "Poughkeepsie"
#define NEW_PLACE "Armonk"

// The six entries of the subject, in the order in which old revocation lists name their issuer.
static const struct rule {
    int nid;
    bool end; // the value ends so; else it is one of the two
    const char *value, * or ;
} rules[] = {
    {NID_countryName, false, "US", NULL},
    {NID_organizationName, false, IBM, NULL},
    {NID_organizationalUnitName, true, OU_END, NULL},
    {NID_localityName, false, OLD_PLACE, NEW_PLACE},
    {NID_stateOrProvinceName, false, "New York", NULL},
    {NID_commonName, false, IBM, NULL},
};

// Byte by byte, whatever the string's type.
static bool value_is(const ASN1_STRING *value, const char *text, bool end)
{
    size_t length = (size_t)ASN1_STRING_length(value), wanted = strlen(text);
    const unsigned char *bytes = ASN1_STRING_get0_data(value);
    if (end ? length < wanted : length != wanted)
        return false;
    return memcmp(bytes + length - wanted, text, wanted) == 0;
}

static const ASN1_STRING *entry_value(const X509_NAME *name, int nid)
{
    int i = X509_NAME_get_index_by_NID(name, nid, -1);
    return i < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i));
}

bool is_signing_key(X509 *x)
{
    const X509_NAME *subject = X509_get_subject_name(x);
    if (X509_NAME_entry_count(subject) != (int)ARRAY_LEN(rules))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        const struct rule *r = &rules[i];
        const ASN1_STRING *value = entry_value(subject, r->nid);
        if (!value ||
            (!value_is(value, r->value, r->end) && (!r->or || !value_is(value, r->or, r->end))))
            return false;
    }
    return true;
}

bool is_key_of_store(const struct trust_store *s, const X509 *x)
{
    for (size_t i = 0; i < s->key_count; i++)
        if (!X509_cmp(s->keys[i].certificate.x, x))
            return true;
    return false;
}

int find_signing_keys(struct trust_store *s, struct error **err)
{
    s->keys = xcalloc(s->certificate_count, sizeof *s->keys);
    for (size_t i = 0; i < s->certificate_count; i++) {
        const struct trust_certificate *c = &s->certificates[i];
        if (!is_signing_key(c->x))
            continue;
        if (s->key_count && s->trust->one_signing_key) {
            error_user(err, "please specify only one IBM Z signing key; these are two: %s and %s",
                       s->keys[0].certificate.file, c->file);
            return error_hint(err, "leave out the one that did not sign the host key documents");
        }
        if (!is_key_of_store(s, c->x))
            s->keys[s->key_count++].certificate = *c;
    }
    if (s->key_count)
        return 0;
    error_user(err,
               "none of the %zu given certificates is an IBM Z signing key: please specify at "
               "least one IBM Z signing key",
               s->certificate_count);
    return error_hint(err, "its subject has O=" IBM ", L=" OLD_PLACE " or " NEW_PLACE
                           ", and an OU that ends in \"" OU_END
                           "\"; it is published beside the host key documents");
}

// ---- names of revocation lists ----

static X509_NAME *with_old_place(const X509_NAME *name)
{
    X509_NAME *out = X509_NAME_dup(name);
    int i = X509_NAME_get_index_by_NID(out, NID_localityName, -1);
    X509_NAME_ENTRY *entry = X509_NAME_get_entry(out, i);
    X509_NAME_ENTRY_set_data(entry, MBSTRING_UTF8, (const unsigned char *)OLD_PLACE, -1);
    // A name keeps its encodings; taking an entry out and back in makes them anew.
    entry = X509_NAME_delete_entry(out, i);
    X509_NAME_add_entry(out, entry, i, 0);
    X509_NAME_ENTRY_free(entry);
    return out;
}

static X509_NAME *reordered(const X509_NAME *name)
{
    X509_NAME *out = X509_NAME_new();
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        int at = X509_NAME_get_index_by_NID(name, rules[i].nid, -1);
        X509_NAME_add_entry(out, X509_NAME_get_entry(name, at), -1, 0);
    }
    return out;
}

size_t crl_names(X509 *signing_key, X509_NAME *out[static CRL_NAMES_MAX])
{
    const X509_NAME *subject = X509_get_subject_name(signing_key);
    size_t n = 0;
    out[n++] = X509_NAME_dup(subject);
    if (value_is(entry_value(subject, NID_localityName), NEW_PLACE, false)) {
        out[n] = with_old_place(subject);
        out[n + 1] = reordered(out[n]);
        n += 2;
    }
    out[n++] = reordered(subject);
    return n;
}
