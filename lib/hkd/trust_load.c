// SPDX-License-Identifier: Apache-2.0
// Loads certificates and revocation lists from files (12.1), and finds the signing keys.
#include "base/error.h"

#include "base/input.h"
#include "crypto/crypto.h"
#include "hkd/internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

static void add_certificate(struct trust_store *s, X509 *x, const char *name)
{
    s->certificates =
        xrealloc(s->certificates, (s->certificate_count + 1) * sizeof *s->certificates);
    s->certificates[s->certificate_count++] =
        (struct trust_certificate){.x = x, .file = xstrdup(name)};
}

static void add_crl(struct trust_store *s, X509_CRL *crl, const char *name, bool fetched)
{
    s->crls = xrealloc(s->crls, (s->crl_count + 1) * sizeof *s->crls);
    s->crls[s->crl_count++] =
        (struct trust_crl){.crl = crl, .file = xstrdup(name), .fetched = fetched};
}

// A DER structure that ends where the bytes end; bytes behind it would be unchecked.
static X509 *certificate_from_der(const void *bytes, size_t length)
{
    const unsigned char *p = bytes;
    X509 *x = d2i_X509(NULL, &p, (long)length);
    if (x && p != (const unsigned char *)bytes + length) {
        X509_free(x);
        x = NULL;
    }
    ERR_clear_error();
    return x;
}

static X509_CRL *crl_from_der(const void *bytes, size_t length)
{
    const unsigned char *p = bytes;
    X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)length);
    if (crl && p != (const unsigned char *)bytes + length) {
        X509_CRL_free(crl);
        crl = NULL;
    }
    ERR_clear_error();
    return crl;
}

// What a file contains.
struct seen {
    size_t blocks, certificates, crls;
    char label[64]; // of a block that is neither
};

static int take_block(struct trust_store *s, const char *label, const unsigned char *der,
                      size_t length, const char *name, bool fetched, struct seen *seen,
                      struct error **err)
{
    seen->blocks++;
    if (!strcmp(label, PEM_STRING_X509) || !strcmp(label, PEM_STRING_X509_OLD)) {
        X509 *x = certificate_from_der(der, length);
        if (!x)
            return error_user(err, "%s: certificate %zu in it is damaged", name,
                              seen->certificates + 1);
        add_certificate(s, x, name);
        seen->certificates++;
    } else if (!strcmp(label, PEM_STRING_X509_CRL)) {
        X509_CRL *crl = crl_from_der(der, length);
        if (!crl)
            return error_user(err, "%s: revocation list %zu in it is damaged", name,
                              seen->crls + 1);
        add_crl(s, crl, name, fetched);
        seen->crls++;
    } else if (ends_with(label, "PRIVATE KEY")) {
        error_user(err, "%s: it holds a private key", name);
        return error_hint(err, "keep private keys secret; give certificates and lists only");
    } else {
        snprintf(seen->label, sizeof seen->label, "%s", label);
    }
    return 0;
}

static int take_pem(struct trust_store *s, const void *bytes, size_t length, const char *name,
                    bool fetched, struct seen *seen, struct error **err)
{
    BIO *bio = BIO_new_mem_buf(bytes, (int)length);
    if (!bio)
        return crypto_error(err, "reading %s", name);
    char *label, *header;
    unsigned char *der;
    long size;
    int result = 0;
    while (!result && PEM_read_bio(bio, &label, &header, &der, &size) == 1) {
        result = take_block(s, label, der, (size_t)size, name, fetched, seen, err);
        OPENSSL_clear_free(der, (size_t)size);
        OPENSSL_free(label);
        OPENSSL_free(header);
    }
    // At the end there is no start line. Anything else is a truncated block or no base64, and the
    // rest would be ignored silently.
    unsigned long why = ERR_peek_last_error();
    if (!result && why && ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
        result = error_user(err, "%s: block %zu in it is damaged", name, seen->blocks + 1);
    ERR_clear_error();
    BIO_free(bio);
    return result;
}

static int nothing_found(const char *name, const char *what, size_t length, const struct seen *seen,
                         const char *instead, struct error **err)
{
    if (!length)
        return error_user(err, "%s: it is empty", name);
    if (seen->blocks && (instead || *seen->label))
        return error_user(err, "%s: it holds no %s, but a %s", name, what,
                          instead ? instead : seen->label);
    return error_user(err, "%s: it is not a %s, neither PEM nor DER", name, what);
}

int trust_parse_certificates(struct trust_store *s, const void *bytes, size_t length,
                             const char *name, struct error **err)
{
    struct seen seen = {0};
    if (take_pem(s, bytes, length, name, false, &seen, err) < 0)
        return -1;
    if (!seen.blocks) {
        X509 *x = certificate_from_der(bytes, length);
        if (x) {
            add_certificate(s, x, name);
            return 0;
        }
    }
    if (seen.certificates)
        return 0;
    return nothing_found(name, "certificate", length, &seen, seen.crls ? "revocation list" : NULL,
                         err);
}

int trust_parse_crls(struct trust_store *s, const void *bytes, size_t length, const char *name,
                     bool fetched, struct error **err)
{
    struct seen seen = {0};
    size_t before = s->certificate_count;
    int result = take_pem(s, bytes, length, name, fetched, &seen, err);
    // Certificates count only in files given as certificates.
    while (s->certificate_count > before) {
        struct trust_certificate *c = &s->certificates[--s->certificate_count];
        X509_free(c->x);
        free(c->file);
    }
    if (result < 0)
        return -1;
    if (!seen.blocks) {
        X509_CRL *crl = crl_from_der(bytes, length);
        if (crl) {
            add_crl(s, crl, name, fetched);
            return 0;
        }
    }
    if (seen.crls)
        return 0;
    return nothing_found(name, "revocation list (CRL)", length, &seen,
                         seen.certificates ? "certificate" : NULL, err);
}

// ---- files ----

static int load_file(struct trust_store *s, const char *path, bool crls, struct error **err)
{
    cleanup_buf struct buf bytes = {0};
    const char *what = crls ? "revocation list" : "certificate";
    int result = user_file_read(path, TRUST_CRL_BYTES_MAX, &bytes, err);
    if (!result && crls)
        result = trust_parse_crls(s, bytes.data, bytes.len, path, false, err);
    else if (!result)
        result = trust_parse_certificates(s, bytes.data, bytes.len, path, err);
    OPENSSL_cleanse(bytes.data, bytes.len); // secret, should it be a private key
    if (!result)
        return 0;
    if (err && !(*err)->hint)
        error_hint(err,
                   crls ? "give the revocation list (*.crl) that IBM publishes beside the host key"
                        : "give the signing key and the intermediate CA certificate that IBM "
                          "publishes beside the host key");
    return error_wrap(err, "%s", what);
}

// The root must be alone in its file, so that nobody trusts a bundle by accident.
static int load_root(struct trust_store *s, struct error **err)
{
    size_t before = s->certificate_count;
    const char *path = s->trust->root_ca;
    if (load_file(s, path, false, err) < 0)
        return error_wrap(err, "root CA");
    if (s->certificate_count != before + 1) {
        error_user(err, "root CA: %s: it holds %zu certificates, not one", path,
                   s->certificate_count - before);
        return error_hint(err, "put the root alone into the file; the others belong to the "
                               "certificates (--cert)");
    }
    s->root = s->certificates[--s->certificate_count];
    if (X509_STORE_add_cert(s->roots, s->root.x) != 1)
        return crypto_error(err, "root CA: %s", path);
    log_warning("the root of trust is %s, instead of this system's store", path);
    return 0;
}

static int open_system_directory(struct trust_store *s, struct error **err)
{
    X509_LOOKUP *lookup = X509_STORE_add_lookup(s->roots, X509_LOOKUP_hash_dir());
    if (!lookup || X509_LOOKUP_add_dir(lookup, NULL, X509_FILETYPE_DEFAULT) != 1)
        return crypto_error(err, "opening this system's certificate store");
    return 0;
}

bool trust_more_roots(struct trust_store *s)
{
    if (s->all_roots)
        return false;
    s->all_roots = true;
    X509_LOOKUP *lookup = X509_STORE_add_lookup(s->roots, X509_LOOKUP_file());
    bool added = lookup && X509_LOOKUP_load_file(lookup, NULL, X509_FILETYPE_DEFAULT) == 1;
    ERR_clear_error();
    return added;
}

int trust_load(struct trust_store *s, struct error **err)
{
    s->roots = X509_STORE_new();
    if (!s->roots)
        return crypto_error(err, "making a certificate store");
    const struct strlist *certificates = s->trust->certificates, *crls = s->trust->crls;
    for (size_t i = 0; certificates && i < certificates->n; i++)
        if (load_file(s, certificates->items[i], false, err) < 0)
            return -1;
    for (size_t i = 0; crls && i < crls->n; i++)
        if (load_file(s, crls->items[i], true, err) < 0)
            return -1;
    s->all_roots = s->trust->root_ca != NULL;
    return s->all_roots ? load_root(s, err) : open_system_directory(s, err);
}

void trust_unload(struct trust_store *s)
{
    for (size_t i = 0; i < s->certificate_count; i++) {
        X509_free(s->certificates[i].x);
        free(s->certificates[i].file);
    }
    for (size_t i = 0; i < s->crl_count; i++) {
        X509_CRL_free(s->crls[i].crl);
        free(s->crls[i].file);
    }
    X509_free(s->root.x);
    free(s->root.file);
    free(s->certificates);
    free(s->crls);
    X509_STORE_free(s->roots);
}

// ---- trust signing key ----
// Which certificate is an IBM Z signing key (12.2), and the names of its revocation lists (12.4).

#define IBM "International Business Machines Corporation"
#define OU_END "Key Signing Service"
#define OLD_PLACE "Poughkeepsie"
#define NEW_PLACE "Armonk"

// The six entries of the subject, in the order in which old revocation lists name their issuer.
static const struct rule {
    int nid;
    bool end; // `value` is a suffix; else it or `or` is the whole
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
    // A name caches its encodings; removing and adding an entry makes them anew.
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
