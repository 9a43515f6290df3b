// SPDX-License-Identifier: Apache-2.0
// Checks that host key documents are genuine, valid and not revoked (12.5), and describes
// certificates in words.
#include "hkd/hkd.h"

#include "hkd/internal.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

struct trust_store *trust_open(const struct trust *trust, struct error **err)
{
    struct trust_store *s = xcalloc(1, sizeof *s);
    s->trust = trust;
    s->now = trust->now ? trust->now : time(NULL);
    if (trust_load(s, err) < 0 || find_signing_keys(s, err) < 0) {
        trust_close(s);
        return NULL;
    }
    for (size_t i = 0; i < s->key_count; i++)
        verify_chain(s, &s->keys[i]);
    return s;
}

void trust_close(struct trust_store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->key_count; i++) {
        error_free(s->keys[i].error);
        for (size_t k = 0; k < s->keys[i].judged; k++)
            free(s->keys[i].reason[k]);
        free(s->keys[i].reason);
        free(s->keys[i].standing);
    }
    free(s->keys);
    trust_unload(s);
    strlist_free(&s->asked);
    strlist_free(&s->failures);
    strlist_free(&s->missing);
    free(s);
}

// ---- which key signed it ----

static bool names_key(X509 *document, X509 *key)
{
    int critical;
    AUTHORITY_KEYID *id = X509_get_ext_d2i(document, NID_authority_key_identifier, &critical, NULL);
    return authority_fits(id, critical, key);
}

static bool signed_by(X509 *document, X509 *key)
{
    int good = X509_verify(document, X509_get0_pubkey(key));
    ERR_clear_error();
    return good == 1;
}

// Explains why no key fits: another signing key, or a changed document.
static int no_issuer(const struct trust_store *s, X509 *document, struct error **err)
{
    static const char rule[] = "no IBM Z signing key that issued this host-key document found";
    if (signed_by(document, document)) {
        error_user(err, "%s: it is signed by its own key", rule);
        return error_hint(err, "`kbuild se test-key` makes such documents; they are for images "
                               "without verification only");
    }
    int critical;
    AUTHORITY_KEYID *id = X509_get_ext_d2i(document, NID_authority_key_identifier, &critical, NULL);
    cleanup_free char *wanted = key_id_text(id ? id->keyid : NULL);
    cleanup_strlist struct strlist given = {0};
    bool named = false, same = false;
    for (size_t i = 0; i < s->key_count; i++) {
        X509 *key = s->keys[i].certificate.x;
        cleanup_free char *key_id = key_id_text(X509_get0_subject_key_id(key));
        strlist_addf(&given, "%s of %s", key_id, s->keys[i].certificate.file);
        named |= id && names_key(document, key);
        same |= id && !strcmp(key_id, wanted);
    }
    cleanup_free char *keys = strlist_join(&given, ", ");
    if (named) {
        error_user(err, "%s: it names %s, but the signature is broken", rule, keys);
        error_hint(err, "the document is damaged or forged: get it again from IBM Resource Link");
    } else if (same) {
        error_user(err, "%s: it names %s, but with another issuer or serial number", rule, keys);
        error_hint(err, "give the signing key certificate that belongs to this document");
    } else if (id) {
        error_user(err, "%s: it names the key %s, but given is %s", rule, wanted, keys);
        error_hint(err, "give the signing key certificate that belongs to this document");
    } else if (critical != -1) {
        error_user(err, "%s: its authority key identifier cannot be read", rule);
        error_hint(err, "the document is damaged: get it again from IBM Resource Link");
    } else {
        error_user(err,
                   "%s: its signature is of no key that was given, and it does not say of which",
                   rule);
        error_hint(err, "give the signing key certificate that belongs to this document; if it is "
                        "the one, the document is damaged or forged");
    }
    AUTHORITY_KEYID_free(id);
    return -1;
}

// ---- the document itself ----

static int check_document(const X509 *document, time_t now, struct error **err)
{
    const X509_ALGOR *algorithm;
    const ASN1_TIME *from = X509_get0_notBefore(document), *to = X509_get0_notAfter(document);
    cleanup_free char *start = time_text(from);
    cleanup_free char *end = time_text(to);
    switch (compare_period(from, to, now)) {
    case 0:
        break;
    case -1:
        error_user(err, "validity period is not valid: it is not valid before %s", start);
        return error_hint(err, "look at this machine's clock: `date -u`");
    case 1:
        error_user(err, "validity period is not valid: it has expired on %s", end);
        return error_hint(err, "get the machine's current document from IBM Resource Link");
    default:
        error_user(err, "validity period is not valid: its dates cannot be read");
        return error_hint(err, "the document is damaged: get it again from IBM Resource Link");
    }
    X509_get0_signature(NULL, &algorithm, document);
    if (signature_is_weak(algorithm)) {
        error_user(err, "it is signed with a digest that is too weak (%d bits expected)",
                   TRUST_BITS_MIN);
        return error_hint(err, "ask for a document that is signed with SHA-256 or better");
    }
    return 0;
}

// RSASSA-PSS needs a key made for it (id-RSASSA-PSS, RFC 4055, section 1.2): any other key signs in
// the older way, and genprotimg accepts nothing else from it.
static bool algorithm_fits(const X509 *document, const EVP_PKEY *key)
{
    int nid = NID_undef;
    return OBJ_find_sigid_algs(X509_get_signature_nid(document), NULL, &nid) == 1 &&
           EVP_PKEY_type(nid) == EVP_PKEY_get_base_id(key);
}

static int refuse_algorithm(const X509 *document, const struct signing_key *key, struct error **err)
{
    int nid = X509_get_signature_nid(document);
    error_user(err, "its signature algorithm (%s) does not fit the key of %s", OBJ_nid2ln(nid),
               key->certificate.file);
    return error_hint(err,
                      "genprotimg refuses such a document, too: ask for one that is signed as the "
                      "key is meant to");
}

// The document's own list may be missing, too: the hint has all addresses at once.
static void hint_all_missing(struct trust_store *s, const struct host_key *host, struct error **err)
{
    judge_crls(s);
    for (size_t i = 0; i < s->key_count; i++)
        if (signed_by(host->document, s->keys[i].certificate.x) && !crl_counts(s, &s->keys[i]))
            fetch_crls(s, host->document, true); // offline: it only notes the address
    missing_crl_hint(s, err);
}

static int refuse_all_keys_bad(struct trust_store *s, const struct host_key *host,
                               struct error **err)
{
    for (size_t i = 0; i < s->key_count; i++)
        if (!s->keys[i].error)
            return 0;
    if (err)
        *err = error_copy(s->keys[0].error);
    if (err && s->keys[0].no_crl && !s->trust->fetch)
        hint_all_missing(s, host, err);
    return -1;
}

// The verdict of a key that signed the document: 0 good, 1 unknown (*why is set), -1 revoked.
static int ask_issuer(struct trust_store *s, const struct signing_key *key,
                      const struct host_key *host, struct error **why, struct error **err)
{
    if (key->error) {
        *why = error_copy(key->error);
        return 1;
    }
    if (!algorithm_fits(host->document, X509_get0_pubkey(key->certificate.x))) {
        refuse_algorithm(host->document, key, why);
        return 1;
    }
    // Only now, so that nothing is fetched from an address in a forged document.
    judge_crls(s);
    fetch_crls(s, host->document, !crl_counts(s, key));
    judge_crls(s);
    if (check_revoked(s, key, host, err) < 0)
        return -1;
    return check_crl_counts(s, key, why) < 0 ? 1 : 0;
}

// At least one signing key without a fault must have signed it, and none may have revoked it.
static int check_issuers(struct trust_store *s, const struct host_key *host, struct error **err)
{
    X509 *document = host->document;
    cleanup_error struct error *first = NULL;
    bool good = false;
    for (size_t i = 0; i < s->key_count; i++) {
        X509 *key = s->keys[i].certificate.x;
        if (!names_key(document, key) || !signed_by(document, key))
            continue;
        cleanup_error struct error *why = NULL;
        int verdict = ask_issuer(s, &s->keys[i], host, &why, err);
        if (verdict < 0)
            return -1;
        good |= verdict == 0;
        if (!first)
            first = steal(why);
    }
    if (good)
        return 0;
    if (!first)
        return no_issuer(s, document, err);
    if (err)
        *err = steal(first);
    return -1;
}

int trust_check(struct trust_store *s, const struct host_key *host, struct error **err)
{
    if (refuse_all_keys_bad(s, host, err) < 0 || check_issuers(s, host, err) < 0 ||
        check_document(host->document, s->now, err) < 0)
        return -1;
    return 0;
}

int host_keys_verify(const struct host_key *hosts, size_t count, const struct trust *trust,
                     struct error **err)
{
    struct trust_store *s = trust_open(trust, err);
    if (!s)
        return -1;
    int result = 0;
    for (size_t i = 0; i < count && !result; i++)
        if (trust_check(s, &hosts[i], err) < 0)
            result = error_wrap(err, "host key document: %s", hosts[i].path);
    trust_close(s);
    return result;
}

// ---- trust x509 ----
// Certificates in words, and the checks that documents and revocation lists have in common.

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

char *key_id_text(const ASN1_OCTET_STRING *id)
{
    char *hex = id ? OPENSSL_buf2hexstr(ASN1_STRING_get0_data(id), ASN1_STRING_length(id)) : NULL;
    char *text = xstrdup(hex ? hex : "none");
    OPENSSL_free(hex);
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

struct error *error_copy(const struct error *e)
{
    struct error *copy = NULL;
    error_set(&copy, e->kind, "%s", e->message);
    if (e->hint)
        error_hint(&copy, "%s", e->hint);
    return copy;
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
