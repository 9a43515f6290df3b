// SPDX-License-Identifier: Apache-2.0
// Loads certificates and revocation lists from files, finds the signing keys among them, and
// describes certificates in words.
#include "hkd/internal.h"

#include "base/error.h"
#include "base/input.h"
#include "base/libcrypto.h"
#include "crypto/crypto.h"

#include <string.h>

// ---- reading ----

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
struct pem_counts {
    size_t blocks, certificates, crls;
    char label[64]; // of a block that is neither
};

static int add_pem_block(struct trust_store *s, const char *label, const unsigned char *der,
                         size_t length, const char *name, bool fetched,
                         struct pem_counts *pem_counts, struct error **err)
{
    pem_counts->blocks++;
    if (!strcmp(label, PEM_STRING_X509) || !strcmp(label, PEM_STRING_X509_OLD)) {
        X509 *x = certificate_from_der(der, length);
        if (!x)
            return error_user(err, "%s: certificate %zu in it is damaged", name,
                              pem_counts->certificates + 1);
        add_certificate(s, x, name);
        pem_counts->certificates++;
    } else if (!strcmp(label, PEM_STRING_X509_CRL)) {
        X509_CRL *crl = crl_from_der(der, length);
        if (!crl)
            return error_user(err, "%s: revocation list %zu in it is damaged", name,
                              pem_counts->crls + 1);
        add_crl(s, crl, name, fetched);
        pem_counts->crls++;
    } else if (ends_with(label, "PRIVATE KEY")) {
        error_user(err, "%s: it holds a private key", name);
        return error_hint(err, "keep private keys secret; give certificates and lists only");
    } else {
        snprintf(pem_counts->label, sizeof pem_counts->label, "%s", label);
    }
    return 0;
}

static int add_pem_blocks(struct trust_store *s, const void *bytes, size_t length, const char *name,
                          bool fetched, struct pem_counts *pem_counts, struct error **err)
{
    BIO *bio = BIO_new_mem_buf(bytes, (int)length);
    if (!bio)
        return crypto_error(err, "reading %s", name);
    char *label, *header;
    unsigned char *der;
    long size;
    int result = 0;
    while (!result && PEM_read_bio(bio, &label, &header, &der, &size) == 1) {
        result = add_pem_block(s, label, der, (size_t)size, name, fetched, pem_counts, err);
        OPENSSL_clear_free(der, (size_t)size);
        OPENSSL_free(label);
        OPENSSL_free(header);
    }
    // At the end there is no start line. Anything else is a truncated block or no base64, and the
    // rest would be ignored silently.
    unsigned long why = ERR_peek_last_error();
    if (!result && why && ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
        result = error_user(err, "%s: block %zu in it is damaged", name, pem_counts->blocks + 1);
    ERR_clear_error();
    BIO_free(bio);
    return result;
}

static int no_content_error(const char *name, const char *what, size_t length,
                            const struct pem_counts *pem_counts, const char *instead,
                            struct error **err)
{
    if (!length)
        return error_user(err, "%s: it is empty", name);
    if (pem_counts->blocks && (instead || *pem_counts->label))
        return error_user(err, "%s: it holds no %s, but a %s", name, what,
                          instead ? instead : pem_counts->label);
    return error_user(err, "%s: it is not a %s, neither PEM nor DER", name, what);
}

int trust_parse_certificates(struct trust_store *s, const void *bytes, size_t length,
                             const char *name, struct error **err)
{
    struct pem_counts pem_counts = {0};
    if (add_pem_blocks(s, bytes, length, name, false, &pem_counts, err) < 0)
        return -1;
    if (!pem_counts.blocks) {
        X509 *x = certificate_from_der(bytes, length);
        if (x) {
            add_certificate(s, x, name);
            return 0;
        }
    }
    if (pem_counts.certificates)
        return 0;
    return no_content_error(name, "certificate", length, &pem_counts,
                            pem_counts.crls ? "revocation list" : NULL, err);
}

int trust_parse_crls(struct trust_store *s, const void *bytes, size_t length, const char *name,
                     bool fetched, struct error **err)
{
    struct pem_counts pem_counts = {0};
    size_t before = s->certificate_count;
    int result = add_pem_blocks(s, bytes, length, name, fetched, &pem_counts, err);
    // Certificates count only in files given as certificates.
    while (s->certificate_count > before) {
        struct trust_certificate *c = &s->certificates[--s->certificate_count];
        X509_free(c->x);
        free(c->file);
    }
    if (result < 0)
        return -1;
    if (!pem_counts.blocks) {
        X509_CRL *crl = crl_from_der(bytes, length);
        if (crl) {
            add_crl(s, crl, name, fetched);
            return 0;
        }
    }
    if (pem_counts.crls)
        return 0;
    return no_content_error(name, "revocation list (CRL)", length, &pem_counts,
                            pem_counts.certificates ? "certificate" : NULL, err);
}

// ---- files ----

static int load_trust_file(struct trust_store *s, const char *path, bool crls, struct error **err)
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

// The root must be alone in its file, so that a bundle is not trusted by accident.
static int load_root(struct trust_store *s, struct error **err)
{
    size_t before = s->certificate_count;
    const char *path = s->trust->root_ca;
    if (load_trust_file(s, path, false, err) < 0)
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
        if (load_trust_file(s, certificates->items[i], false, err) < 0)
            return -1;
    for (size_t i = 0; crls && i < crls->n; i++)
        if (load_trust_file(s, crls->items[i], true, err) < 0)
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

// ---- IBM Z signing keys, and the names of their revocation lists ----

#define IBM "International Business Machines Corporation"
#define OU_END "Key Signing Service"
#define OLD_PLACE "Poughkeepsie"
#define NEW_PLACE "Armonk"

// The six entries of the subject, in the order in which old revocation lists name their issuer.
static const struct subject_rule {
    int nid;
    bool end; // `value` is a suffix; else it or `or` is the whole
    const char *value, * or ;
} subject_rules[] = {
    {NID_countryName, false, "US", NULL},
    {NID_organizationName, false, IBM, NULL},
    {NID_organizationalUnitName, true, OU_END, NULL},
    {NID_localityName, false, OLD_PLACE, NEW_PLACE},
    {NID_stateOrProvinceName, false, "New York", NULL},
    {NID_commonName, false, IBM, NULL},
};

// Byte by byte, whatever the string's type.
static bool value_matches(const ASN1_STRING *value, const char *text, bool end)
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

static bool is_signing_key(X509 *x)
{
    const X509_NAME *subject = X509_get_subject_name(x);
    if (X509_NAME_entry_count(subject) != (int)ARRAY_LEN(subject_rules))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(subject_rules); i++) {
        const struct subject_rule *r = &subject_rules[i];
        const ASN1_STRING *value = entry_value(subject, r->nid);
        if (!value || (!value_matches(value, r->value, r->end) &&
                       (!r->or || !value_matches(value, r->or, r->end))))
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

static X509_NAME *copy_with_old_place(const X509_NAME *name)
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

static X509_NAME *copy_reordered(const X509_NAME *name)
{
    X509_NAME *out = X509_NAME_new();
    for (size_t i = 0; i < ARRAY_LEN(subject_rules); i++) {
        int at = X509_NAME_get_index_by_NID(name, subject_rules[i].nid, -1);
        X509_NAME_add_entry(out, X509_NAME_get_entry(name, at), -1, 0);
    }
    return out;
}

size_t crl_names(X509 *signing_key, X509_NAME *out[static CRL_NAMES_MAX])
{
    const X509_NAME *subject = X509_get_subject_name(signing_key);
    size_t n = 0;
    out[n++] = X509_NAME_dup(subject);
    if (value_matches(entry_value(subject, NID_localityName), NEW_PLACE, false)) {
        out[n] = copy_with_old_place(subject);
        out[n + 1] = copy_reordered(out[n]);
        n += 2;
    }
    out[n++] = copy_reordered(subject);
    return n;
}

// ---- certificates in words, and checks of their fields ----

char *name_text(const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes = NULL;
    // Control characters and non-ASCII bytes are escaped.
    if (bio)
        X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~XN_FLAG_DN_REV);
    long length = bio ? BIO_get_mem_data(bio, &bytes) : 0;
    char *text = xstrndup(length > 0 ? bytes : "", length > 0 ? (size_t)length : 0);
    BIO_free(bio);
    return text;
}

char *time_text(const ASN1_TIME *t)
{
    struct tm tm;
    char text[64] = "an unreadable date";
    if (t && ASN1_TIME_to_tm(t, &tm) == 1)
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm);
    ERR_clear_error();
    return xstrdup(text);
}

char *serial_text(const ASN1_INTEGER *n)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(n, NULL);
    char *hex = number ? BN_bn2hex(number) : NULL;
    char *text = xstrdup(hex ? hex : "unreadable");
    OPENSSL_free(hex);
    BN_free(number);
    ERR_clear_error();
    return text;
}

// RFC 4055, section 3.1: no hash named means SHA-1.
static int pss_digest(const X509_ALGOR *algorithm)
{
    int type, nid = NID_undef;
    const void *value;
    X509_ALGOR_get0(NULL, &type, &value, algorithm);
    RSA_PSS_PARAMS *p =
        type == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, ASN1_ITEM_rptr(RSA_PSS_PARAMS)) : NULL;
    if (p)
        nid = p->hashAlgorithm ? OBJ_obj2nid(p->hashAlgorithm->algorithm) : NID_sha1;
    RSA_PSS_PARAMS_free(p);
    return nid;
}

bool signature_is_weak(const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *object;
    int digest = NID_undef, key;
    X509_ALGOR_get0(&object, NULL, NULL, algorithm);
    int nid = OBJ_obj2nid(object);
    if (nid == NID_rsassaPss)
        digest = pss_digest(algorithm);
    else if (OBJ_find_sigid_algs(nid, &digest, &key) != 1)
        digest = NID_undef;
    const EVP_MD *md = EVP_get_digestbynid(digest);
    ERR_clear_error();
    // A collision costs half of the digest's bits. MD5 and SHA-1 are far weaker than that, and have
    // too few bits anyway.
    return !md || EVP_MD_get_size(md) * 8 / 2 < TRUST_BITS_MIN;
}

bool crl_is_weak(const X509_CRL *crl)
{
    const X509_ALGOR *algorithm;
    X509_CRL_get0_signature(crl, NULL, &algorithm);
    return signature_is_weak(algorithm);
}

bool crl_is_delta(const X509_CRL *crl)
{
    return X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0;
}

int compare_period(const ASN1_TIME *from, const ASN1_TIME *to, time_t now)
{
    int started = X509_cmp_time(from, &now), ended = to ? X509_cmp_time(to, &now) : 0;
    ERR_clear_error();
    if (!started || !ended)
        return -2;
    return started > 0 ? -1 : ended < 0 ? 1 : 0;
}

int authority_fits(AUTHORITY_KEYID *id, int critical, X509 *issuer)
{
    int fits = id ? X509_check_akid(issuer, id) == X509_V_OK : critical == -1;
    AUTHORITY_KEYID_free(id);
    ERR_clear_error();
    return fits;
}

struct host_key_text host_key_text(const struct host_key *host)
{
    const X509 *x = host->document;
    struct host_key_text t = {
        .subject = name_text(X509_get_subject_name(x)),
        .issuer = name_text(X509_get_issuer_name(x)),
        .serial = serial_text(X509_get0_serialNumber(x)),
        .from = time_text(X509_get0_notBefore(x)),
        .to = time_text(X509_get0_notAfter(x)),
    };
    hex_encode(host->hash, sizeof host->hash, t.hash);
    return t;
}

void host_key_text_free(struct host_key_text *t)
{
    free(t->subject);
    free(t->issuer);
    free(t->serial);
    free(t->from);
    free(t->to);
}
