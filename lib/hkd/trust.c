// SPDX-License-Identifier: Apache-2.0
// Checks that host key documents are genuine, valid and not revoked: the last link of the chain,
// and the revocation lists of the signing key, which OpenSSL cannot check since the key is no CA.
#include "hkd/internal.h"

#include "base/error.h"
#include "base/libcrypto.h"

#include <string.h>
#include <strings.h>

// ---- one revocation list ----

// Extensions that change the scope of a list. With an unknown critical one the scope is unknown
// (RFC 5280, section 5.2).
static bool has_unknown_critical(const X509_CRL *crl)
{
    for (int i = 0; i < X509_CRL_get_ext_count(crl); i++) {
        X509_EXTENSION *e = X509_CRL_get_ext(crl, i);
        int nid = OBJ_obj2nid(X509_EXTENSION_get_object(e));
        if (X509_EXTENSION_get_critical(e) && nid != NID_issuing_distribution_point &&
            nid != NID_delta_crl && nid != NID_authority_key_identifier && nid != NID_crl_number)
            return true;
    }
    return false;
}

// A list of CAs, of attribute certificates, of some reasons, or of other issuers' certificates does
// not say that a host key is good.
static bool is_partial(const X509_CRL *crl)
{
    int critical;
    ISSUING_DIST_POINT *p =
        X509_CRL_get_ext_d2i(crl, NID_issuing_distribution_point, &critical, NULL);
    bool partial = p ? p->onlyCA > 0 || p->onlyattr > 0 || p->indirectCRL > 0 || p->onlysomereasons
                     : critical != -1;
    ISSUING_DIST_POINT_free(p);
    ERR_clear_error();
    return partial;
}

static char *crl_period_reason(const X509_CRL *crl, time_t now)
{
    const ASN1_TIME *from = X509_CRL_get0_lastUpdate(crl), *to = X509_CRL_get0_nextUpdate(crl);
    cleanup_free char *start = time_text(from);
    cleanup_free char *end = time_text(to);
    switch (to ? compare_period(from, to, now) : 2) {
    case 0:
        return NULL;
    case -1:
        return xasprintf("it is not valid yet: it is valid from %s", start);
    case 1:
        return xasprintf("it has expired on %s", end);
    case 2:
        return xstrdup("it has no date until which it is valid");
    default:
        return xstrdup("its dates cannot be read");
    }
}

// Why a list signed by the key does not count as the required list; NULL if it does.
static char *crl_ignored_reason(const X509_CRL *crl, time_t now)
{
    char *complaint = crl_period_reason(crl, now);
    if (complaint)
        return complaint;
    if (crl_is_delta(crl))
        return xstrdup("it is a delta list, which has only what changed since another one");
    if (is_partial(crl))
        return xstrdup("it is about some certificates or reasons only");
    if (has_unknown_critical(crl))
        return xstrdup("it has an unknown critical extension");
    if (crl_is_weak(crl))
        return xstrdup("it is signed with a digest that is too weak");
    return NULL;
}

static enum crl_status classify_crl(X509_CRL *crl, X509 *key, time_t now, char **reason)
{
    int critical;
    AUTHORITY_KEYID *id = X509_CRL_get_ext_d2i(crl, NID_authority_key_identifier, &critical, NULL);
    if (!authority_fits(id, critical, key)) {
        *reason = xstrdup("AKID mismatch: it is the list of another signing key");
        return CRL_REJECTED;
    }
    int good = X509_CRL_verify(crl, X509_get0_pubkey(key));
    ERR_clear_error();
    if (good != 1) {
        *reason =
            xstrdup("signature is not valid: it is damaged, forged, or of another signing key");
        return CRL_REJECTED;
    }
    *reason = crl_ignored_reason(crl, now);
    return *reason ? CRL_REVOKES : CRL_COUNTS;
}

// ---- all lists of a key ----

static bool has_crl_of_issuer(const struct trust_store *s, const X509_NAME *issuer)
{
    for (size_t i = 0; i < s->crl_count; i++)
        if (!X509_NAME_cmp(X509_CRL_get_issuer(s->crls[i].crl), issuer))
            return true;
    return false;
}

// Only lists of the first name that has any can count; lists of the other names can only revoke.
static void classify_crls_of_key(struct trust_store *s, struct signing_key *key)
{
    X509_NAME *names[CRL_NAMES_MAX];
    size_t n = crl_names(key->certificate.x, names), hit = 0;
    while (hit < n && !has_crl_of_issuer(s, names[hit]))
        hit++;
    for (size_t i = 0; i < s->crl_count; i++) {
        const X509_NAME *issuer = X509_CRL_get_issuer(s->crls[i].crl);
        size_t at = hit;
        while (at < n && X509_NAME_cmp(names[at], issuer) != 0)
            at++;
        if (at == n)
            continue;
        key->status[i] = classify_crl(s->crls[i].crl, key->certificate.x, s->now, &key->reason[i]);
        if (key->status[i] == CRL_COUNTS && X509_NAME_cmp(names[at], names[hit]) != 0) {
            key->status[i] = CRL_REVOKES;
            key->reason[i] = xstrdup("there is one whose issuer name fits better");
        }
    }
    for (size_t i = 0; i < n; i++)
        X509_NAME_free(names[i]);
}

static void free_crl_status(struct signing_key *key)
{
    for (size_t i = 0; i < key->status_count; i++)
        free(key->reason[i]);
    free(key->reason);
    free(key->status);
}

void classify_crls(struct trust_store *s)
{
    for (size_t i = 0; i < s->key_count; i++) {
        struct signing_key *key = &s->keys[i];
        if (key->status_count == s->crl_count)
            continue;
        free_crl_status(key);
        key->status_count = s->crl_count;
        key->status = xcalloc(s->crl_count, sizeof *key->status);
        key->reason = xcalloc(s->crl_count, sizeof *key->reason);
        classify_crls_of_key(s, key);
    }
}

// ---- a document ----

static int no_valid_crl_error(const struct trust_store *s, const struct signing_key *key,
                              struct error **err)
{
    cleanup_strlist struct strlist why = {0};
    for (size_t i = 0; i < s->crl_count; i++)
        if (key->reason[i])
            strlist_addf(&why, "%s: %s", s->crls[i].file, key->reason[i]);
    const char *file = key->certificate.file;
    if (!why.n) {
        error_user(err, "IBM Z signing key: no CRL found: it is unknown whether %s revoked it",
                   file);
        missing_crl_hint(s, err);
        return -1;
    }
    cleanup_free char *reasons = strlist_join(&why, "; ");
    error_user(err, "IBM Z signing key: no valid CRL found for %s: CRL is not valid: %s", file,
               reasons);
    return error_hint(err, "the host key itself may be good; get the current revocation list "
                           "(*.crl) from where the document comes from");
}

// Warns once for each list that no key uses although another one counts.
static void warn_rejected_crls(struct trust_store *s)
{
    for (size_t i = 0; i < s->crl_count; i++) {
        const char *reason = NULL;
        bool used = s->crls[i].warned;
        for (size_t k = 0; k < s->key_count && !used; k++) {
            used = s->keys[k].status[i] == CRL_COUNTS;
            reason = s->keys[k].reason[i] ? s->keys[k].reason[i] : reason;
        }
        if (used || !reason)
            continue;
        log_warning("%s: CRL is not valid: %s", s->crls[i].file, reason);
        s->crls[i].warned = true;
    }
}

// Refuses a document that a list of the key names.
static int check_revoked(const struct trust_store *s, const struct signing_key *key,
                         const struct host_key *host, struct error **err)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(host->document);
    for (size_t i = 0; i < s->crl_count; i++) {
        X509_REVOKED *entry;
        enum crl_status status = key->status[i];
        // Any reason in the entry, and any age of the list.
        if ((status != CRL_COUNTS && status != CRL_REVOKES) ||
            !X509_CRL_get0_by_serial(s->crls[i].crl, &entry, serial))
            continue;
        cleanup_free char *number = serial_text(serial);
        cleanup_free char *date = time_text(X509_REVOKED_get0_revocationDate(entry));
        error_user(err, "certificate revoked: %s lists its serial number %s, since %s",
                   s->crls[i].file, number, date);
        return error_hint(err, "do not use this host key; ask for the machine's current document");
    }
    return 0;
}

// After classify_crls().
static bool crl_counts(const struct trust_store *s, const struct signing_key *key)
{
    for (size_t i = 0; i < s->crl_count; i++)
        if (key->status[i] == CRL_COUNTS)
            return true;
    return false;
}

// Fails if no list of the key counts, since revocation is unknown then.
static int check_crl_counts(struct trust_store *s, const struct signing_key *key,
                            struct error **err)
{
    if (crl_counts(s, key)) {
        warn_rejected_crls(s);
        return 0;
    }
    return no_valid_crl_error(s, key, err);
}

// ---- the signing key of a document ----

// Hexadecimal, "none" for NULL; to be freed.
static char *key_id_text(const ASN1_OCTET_STRING *id)
{
    char *hex = id ? OPENSSL_buf2hexstr(ASN1_STRING_get0_data(id), ASN1_STRING_length(id)) : NULL;
    char *text = xstrdup(hex ? hex : "none");
    OPENSSL_free(hex);
    ERR_clear_error();
    return text;
}

static bool authority_matches(X509 *document, X509 *key)
{
    int critical;
    AUTHORITY_KEYID *id = X509_get_ext_d2i(document, NID_authority_key_identifier, &critical, NULL);
    return authority_fits(id, critical, key);
}

static bool signed_by(X509 *document, X509 *key)
{
    int valid = X509_verify(document, X509_get0_pubkey(key));
    ERR_clear_error();
    return valid == 1;
}

// Explains why no key fits: another signing key, or a changed document.
static int issuer_error(const struct trust_store *s, X509 *document, struct error **err)
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
        named |= id && authority_matches(document, key);
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
        error_user(err, "%s: it was signed with none of the given keys, and does not name its own",
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
        return error_hint(err, "check this machine's clock: `date -u`");
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

static int algorithm_error(const X509 *document, const struct signing_key *key, struct error **err)
{
    int nid = X509_get_signature_nid(document);
    error_user(err, "its signature algorithm (%s) does not fit the key of %s", OBJ_nid2ln(nid),
               key->certificate.file);
    return error_hint(err,
                      "genprotimg refuses such a document, too: ask for one that is signed as the "
                      "key is meant to");
}

// The document's own list may be missing, too: the hint has all addresses at once.
static void hint_all_missing_crls(struct trust_store *s, const struct host_key *host,
                                  struct error **err)
{
    classify_crls(s);
    for (size_t i = 0; i < s->key_count; i++)
        if (signed_by(host->document, s->keys[i].certificate.x) && !crl_counts(s, &s->keys[i]))
            fetch_crls(s, host->document, true); // offline: it only notes the address
    missing_crl_hint(s, err);
}

static struct error *error_copy(const struct error *e)
{
    struct error *copy = NULL;
    error_set(&copy, e->kind, "%s", e->message);
    if (e->hint)
        error_hint(&copy, "%s", e->hint);
    return copy;
}

static int check_any_key_valid(struct trust_store *s, const struct host_key *host,
                               struct error **err)
{
    for (size_t i = 0; i < s->key_count; i++)
        if (!s->keys[i].error)
            return 0;
    if (err)
        *err = error_copy(s->keys[0].error);
    if (err && s->keys[0].no_crl && !s->trust->fetch)
        hint_all_missing_crls(s, host, err);
    return -1;
}

// The verdict of a key that signed the document: 0 good, 1 unknown (*why is set), -1 revoked.
static int check_issuer(struct trust_store *s, const struct signing_key *key,
                        const struct host_key *host, struct error **why, struct error **err)
{
    if (key->error) {
        *why = error_copy(key->error);
        return 1;
    }
    if (!algorithm_fits(host->document, X509_get0_pubkey(key->certificate.x))) {
        algorithm_error(host->document, key, why);
        return 1;
    }
    // Only now, so that nothing is fetched from an address in a forged document.
    classify_crls(s);
    fetch_crls(s, host->document, !crl_counts(s, key));
    classify_crls(s);
    if (check_revoked(s, key, host, err) < 0)
        return -1;
    return check_crl_counts(s, key, why) < 0 ? 1 : 0;
}

// At least one signing key without a fault must have signed it, and none may have revoked it.
static int check_issuers(struct trust_store *s, const struct host_key *host, struct error **err)
{
    X509 *document = host->document;
    cleanup_error struct error *first = NULL;
    bool valid = false;
    for (size_t i = 0; i < s->key_count; i++) {
        X509 *key = s->keys[i].certificate.x;
        if (!authority_matches(document, key) || !signed_by(document, key))
            continue;
        cleanup_error struct error *why = NULL;
        int verdict = check_issuer(s, &s->keys[i], host, &why, err);
        if (verdict < 0)
            return -1;
        valid |= verdict == 0;
        if (!first)
            first = steal(why);
    }
    if (valid)
        return 0;
    if (!first)
        return issuer_error(s, document, err);
    if (err)
        *err = steal(first);
    return -1;
}

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
        free_crl_status(&s->keys[i]);
    }
    free(s->keys);
    trust_unload(s);
    strlist_free(&s->asked);
    strlist_free(&s->failures);
    strlist_free(&s->missing);
    free(s);
}

int trust_check(struct trust_store *s, const struct host_key *host, struct error **err)
{
    if (check_any_key_valid(s, host, err) < 0 || check_issuers(s, host, err) < 0 ||
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
