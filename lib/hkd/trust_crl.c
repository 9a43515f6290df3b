// SPDX-License-Identifier: Apache-2.0
// Judges the revocation lists of a signing key (12.4), without OpenSSL since the key is no CA, and
// fetches missing ones.
#include "base/error.h"

#include "base/digest.h"
#include "hkd/internal.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>

// ---- one list ----

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

static char *period_complaint(const X509_CRL *crl, time_t now)
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
        return xstrdup("it does not say until when it is valid");
    default:
        return xstrdup("its dates cannot be read");
    }
}

// Why a list signed by the key does not count as the required list; NULL if it does.
static char *counting_complaint(const X509_CRL *crl, time_t now)
{
    char *complaint = period_complaint(crl, now);
    if (complaint)
        return complaint;
    if (crl_is_delta(crl))
        return xstrdup("it is a delta list, which has only what changed since another one");
    if (is_partial(crl))
        return xstrdup("it is about some certificates or reasons only");
    if (has_unknown_critical(crl))
        return xstrdup("it has a critical extension that nobody here understands");
    if (crl_is_weak(crl))
        return xstrdup("it is signed with a digest that is too weak");
    return NULL;
}

static enum crl_standing judge(X509_CRL *crl, X509 *key, time_t now, char **reason)
{
    int critical;
    AUTHORITY_KEYID *id = X509_CRL_get_ext_d2i(crl, NID_authority_key_identifier, &critical, NULL);
    if (!authority_fits(id, critical, key)) {
        *reason = xstrdup("AKID mismatch: it is the list of another signing key");
        return CRL_DROPPED;
    }
    int good = X509_CRL_verify(crl, X509_get0_pubkey(key));
    ERR_clear_error();
    if (good != 1) {
        *reason =
            xstrdup("signature is not valid: it is damaged, forged, or of another signing key");
        return CRL_DROPPED;
    }
    *reason = counting_complaint(crl, now);
    return *reason ? CRL_REVOKES : CRL_COUNTS;
}

// ---- all lists of a key ----

static bool has_crl(const struct trust_store *s, const X509_NAME *issuer)
{
    for (size_t i = 0; i < s->crl_count; i++)
        if (!X509_NAME_cmp(X509_CRL_get_issuer(s->crls[i].crl), issuer))
            return true;
    return false;
}

// Only lists of the first name that has any can count; lists of the other names can only revoke.
static void judge_key(struct trust_store *s, struct signing_key *key)
{
    X509_NAME *names[CRL_NAMES_MAX];
    size_t n = crl_names(key->certificate.x, names), hit = 0;
    while (hit < n && !has_crl(s, names[hit]))
        hit++;
    for (size_t i = 0; i < s->crl_count; i++) {
        const X509_NAME *issuer = X509_CRL_get_issuer(s->crls[i].crl);
        size_t at = hit;
        while (at < n && X509_NAME_cmp(names[at], issuer) != 0)
            at++;
        if (at == n)
            continue;
        key->standing[i] = judge(s->crls[i].crl, key->certificate.x, s->now, &key->reason[i]);
        if (key->standing[i] == CRL_COUNTS && X509_NAME_cmp(names[at], names[hit]) != 0) {
            key->standing[i] = CRL_REVOKES;
            key->reason[i] = xstrdup("there is one whose issuer name fits better");
        }
    }
    for (size_t i = 0; i < n; i++)
        X509_NAME_free(names[i]);
}

static void forget(struct signing_key *key)
{
    for (size_t i = 0; i < key->judged; i++)
        free(key->reason[i]);
    free(key->reason);
    free(key->standing);
}

void judge_crls(struct trust_store *s)
{
    for (size_t i = 0; i < s->key_count; i++) {
        struct signing_key *key = &s->keys[i];
        if (key->judged == s->crl_count)
            continue;
        forget(key);
        key->judged = s->crl_count;
        key->standing = xcalloc(s->crl_count, sizeof *key->standing);
        key->reason = xcalloc(s->crl_count, sizeof *key->reason);
        judge_key(s, key);
    }
}

// ---- a document ----

static int no_crl_counts(const struct trust_store *s, const struct signing_key *key,
                         struct error **err)
{
    cleanup_strlist struct strlist why = {0};
    for (size_t i = 0; i < s->crl_count; i++)
        if (key->reason[i])
            strlist_addf(&why, "%s: %s", s->crls[i].file, key->reason[i]);
    const char *file = key->certificate.file;
    if (!why.n) {
        error_user(err,
                   "IBM Z signing key: no CRL found: nothing tells whether it was revoked by %s",
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
static void warn_dropped(struct trust_store *s)
{
    for (size_t i = 0; i < s->crl_count; i++) {
        const char *reason = NULL;
        bool used = s->crls[i].warned;
        for (size_t k = 0; k < s->key_count && !used; k++) {
            used = s->keys[k].standing[i] == CRL_COUNTS;
            reason = s->keys[k].reason[i] ? s->keys[k].reason[i] : reason;
        }
        if (used || !reason)
            continue;
        log_warning("%s: CRL is not valid: %s", s->crls[i].file, reason);
        s->crls[i].warned = true;
    }
}

int check_revoked(const struct trust_store *s, const struct signing_key *key,
                  const struct host_key *host, struct error **err)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(host->document);
    for (size_t i = 0; i < s->crl_count; i++) {
        X509_REVOKED *entry;
        enum crl_standing standing = key->standing[i];
        // Any reason in the entry, and any age of the list.
        if ((standing != CRL_COUNTS && standing != CRL_REVOKES) ||
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

bool crl_counts(const struct trust_store *s, const struct signing_key *key)
{
    for (size_t i = 0; i < s->crl_count; i++)
        if (key->standing[i] == CRL_COUNTS)
            return true;
    return false;
}

int check_crl_counts(struct trust_store *s, const struct signing_key *key, struct error **err)
{
    if (crl_counts(s, key)) {
        warn_dropped(s);
        return 0;
    }
    return no_crl_counts(s, key, err);
}

// ---- trust fetch ----
// Revocation lists from distribution points (12.7; RFC 5280, section 4.2.1.13).

#define URLS_MAX 16 // of one certificate

static void add_urls(const GENERAL_NAMES *names, struct strlist *out)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        if (type != GEN_URI || out->n >= URLS_MAX)
            continue;
        const char *bytes = (const char *)ASN1_STRING_get0_data(value);
        size_t length = (size_t)ASN1_STRING_length(value);
        cleanup_free char *url = xstrndup(bytes, length);
        bool web = !strncasecmp(url, "http://", 7) || !strncasecmp(url, "https://", 8);
        bool plain = strlen(url) == length; // no NUL, and below no control characters
        for (size_t k = 0; k < length; k++)
            plain &= bytes[k] > ' ' && bytes[k] < 0x7f;
        if (web && plain && !strlist_has(out, url))
            strlist_add(out, url);
    }
}

void distribution_points(const X509 *x, struct strlist *out)
{
    CRL_DIST_POINTS *points = X509_get_ext_d2i(x, NID_crl_distribution_points, NULL, NULL);
    for (int i = 0; i < sk_DIST_POINT_num(points); i++) {
        const DIST_POINT_NAME *name = sk_DIST_POINT_value(points, i)->distpoint;
        if (name && name->type == 0) // a full name
            add_urls(name->name.fullname, out);
    }
    CRL_DIST_POINTS_free(points);
    ERR_clear_error();
}

bool has_current_crl(const struct trust_store *s, const X509_NAME *issuer)
{
    for (size_t i = 0; i < s->crl_count; i++) {
        const X509_CRL *crl = s->crls[i].crl;
        const ASN1_TIME *from = X509_CRL_get0_lastUpdate(crl), *to = X509_CRL_get0_nextUpdate(crl);
        if (!X509_NAME_cmp(X509_CRL_get_issuer(crl), issuer) && to &&
            compare_period(from, to, s->now) == 0 && !crl_is_weak(crl) && !crl_is_delta(crl))
            return true;
    }
    return false;
}

static int fetch_crl(struct trust_store *s, const char *url, struct error **err)
{
    const struct trust *t = s->trust;
    cleanup_buf struct buf bytes = {0};
    char digest[DIGEST_HEX_SIZE];
    if (t->fetch(t->context, url, TRUST_CRL_BYTES_MAX, &bytes, err) < 0 ||
        trust_parse_crls(s, bytes.data, bytes.len, url, true, err) < 0)
        return -1;
    digest_bytes(bytes.data, bytes.len, digest);
    log_note("fetched a revocation list of %zu bytes from %s (sha256 %s)", bytes.len, url, digest);
    if (t->fetched) {
        strlist_add(t->fetched, url);
        strlist_add(t->fetched, digest);
    }
    return 0;
}

// Records the missing list once, for the hint.
static void note_missing(struct trust_store *s, const X509 *x, const struct strlist *urls)
{
    cleanup_free char *issuer = name_text(X509_get_issuer_name(x));
    cleanup_free char *addresses = strlist_join(urls, " ");
    cleanup_free char *text =
        urls->n ? xasprintf("that of '%s' is at %s", issuer, addresses)
                : xasprintf("that of '%s' has no address, ask its issuer for it", issuer);
    if (!strlist_has(&s->missing, text))
        strlist_add(&s->missing, text);
}

void fetch_crls(struct trust_store *s, const X509 *x, bool missing)
{
    const struct trust *t = s->trust;
    cleanup_strlist struct strlist urls = {0};
    distribution_points(x, &urls);
    if (!t->fetch && missing)
        note_missing(s, x, &urls);
    if (!t->fetch || (!missing && !t->fetch_all))
        return;
    bool found = false;
    for (size_t i = 0; i < urls.n && !found; i++) {
        const char *url = urls.items[i];
        if (strlist_has(&s->asked, url))
            continue;
        strlist_add(&s->asked, url);
        cleanup_error struct error *err = NULL;
        if (fetch_crl(s, url, &err) < 0)
            strlist_add(&s->failures, err->message);
        else // several addresses are places of the same list
            found = has_current_crl(s, X509_get_issuer_name(x));
    }
}
