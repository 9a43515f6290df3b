// SPDX-License-Identifier: Apache-2.0
// Revocation lists from distribution points (12.7; RFC 5280, section 4.2.1.13).
#include "seal/trust_store.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>

#define CRL_BYTES_MAX (1u << 20)
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

void fetch_crls(struct trust_store *s, const X509 *x)
{
    const struct trust *t = s->trust;
    if (!t->fetch)
        return;
    cleanup_strlist struct strlist urls = {0};
    distribution_points(x, &urls);
    for (size_t i = 0; i < urls.n; i++) {
        const char *url = urls.items[i];
        if (strlist_has(&s->asked, url))
            continue;
        strlist_add(&s->asked, url);
        cleanup_error struct error *err = NULL;
        cleanup_buf struct buf bytes = {0};
        if (t->fetch(t->context, url, CRL_BYTES_MAX, &bytes, &err) < 0 ||
            trust_parse_crls(s, bytes.data, bytes.len, url, true, &err) < 0)
            strlist_add(&s->failures, err->message);
    }
}
