// SPDX-License-Identifier: Apache-2.0
// Revocation lists from distribution points (12.7; RFC 5280, section 4.2.1.13).
#include "base/digest.h"
#include "base/log.h"
#include "hkd/trust_store.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>

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
        bool plain = strlen(url) == length; // no NUL, and below nothing that could end a line
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

// Names it once, for the hint.
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
