// SPDX-License-Identifier: Apache-2.0
// Verifies the chain from a signing key up to a root over OpenSSL, with revocation lists that it
// fetches where they are missing, and explains failures.
#include "hkd/internal.h"

#include "base/libcrypto.h"
#include "crypto/crypto.h"

#include <string.h>

// ---- fetching lists from distribution points (RFC 5280, section 4.2.1.13) ----

#define URLS_MAX 16 // of one certificate

static void add_distribution_urls(const GENERAL_NAMES *names, struct strlist *out)
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
            add_distribution_urls(name->name.fullname, out);
    }
    CRL_DIST_POINTS_free(points);
    ERR_clear_error();
}

// Whether the store has a list of this issuer that says it is complete and valid now.
static bool has_current_crl(const struct trust_store *s, const X509_NAME *issuer)
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
static void add_missing_crl(struct trust_store *s, const X509 *x, const struct strlist *urls)
{
    cleanup_free char *issuer = name_text(X509_get_issuer_name(x));
    cleanup_free char *addresses = strlist_join(urls, " ");
    cleanup_free char *text =
        urls->n ? xasprintf("that of '%s' is at %s", issuer, addresses)
                : xasprintf("that of '%s' has no address, ask its issuer for it", issuer);
    strlist_add_once(&s->missing, text);
}

void fetch_crls(struct trust_store *s, const X509 *x, bool missing)
{
    const struct trust *t = s->trust;
    cleanup_strlist struct strlist urls = {0};
    distribution_points(x, &urls);
    if (!t->fetch && missing)
        add_missing_crl(s, x, &urls);
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

// ---- what OpenSSL refused, in words: file, rule, and what to do ----

// What X509_verify_cert() refused. OpenSSL forgets the list when it returns, so its callback keeps
// it.
struct chain_fault {
    int code;      // X509_V_ERR_...
    X509 *x;       // owned
    X509_CRL *crl; // owned; NULL unless the fault is about one
};

static const char get_again[] = "it is damaged or forged: get it again from its publisher";
static const char get_current[] = "get the current certificate from its publisher";
static const char get_current_crl[] =
    "this says nothing about the host key itself; get the current list";
static const char look_at_clock[] = "check this machine's clock: `date -u`";
static const char stronger[] = "only a certificate with a stronger key and digest can be accepted";
static const char not_a_ca[] =
    "give the CA certificate that issued it; a host or server certificate can't stand in for it";

enum subject { OF_CERTIFICATE, OF_CRL };
enum detail { NO_DETAIL, FROM, TO, ISSUER, KEY_BITS };

static const struct chain_reason {
    int code;
    enum subject subject;
    enum detail detail;
    const char *rule, *hint;
} chain_reasons[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, OF_CERTIFICATE, TO, "has expired", get_current},
    {X509_V_ERR_CERT_NOT_YET_VALID, OF_CERTIFICATE, FROM, "is not valid yet", look_at_clock},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, OF_CERTIFICATE, ISSUER, "has a broken signature",
     get_again},
    {X509_V_ERR_CERT_REVOKED, OF_CERTIFICATE, NO_DETAIL, "was revoked",
     "a revocation is permanent; get the current certificates"},
    {X509_V_ERR_CA_KEY_TOO_SMALL, OF_CERTIFICATE, KEY_BITS, "has a key that is too weak", stronger},
    {X509_V_ERR_EE_KEY_TOO_SMALL, OF_CERTIFICATE, KEY_BITS, "has a key that is too weak", stronger},
    {X509_V_ERR_CA_MD_TOO_WEAK, OF_CERTIFICATE, NO_DETAIL,
     "is signed with a digest that is too weak", stronger},
    {X509_V_ERR_INVALID_CA, OF_CERTIFICATE, NO_DETAIL, "is no CA certificate, but issued another",
     not_a_ca},
    {X509_V_ERR_PATH_LENGTH_EXCEEDED, OF_CERTIFICATE, NO_DETAIL,
     "has more CAs below it than it allows", not_a_ca},
    {X509_V_ERR_CERT_CHAIN_TOO_LONG, OF_CERTIFICATE, NO_DETAIL,
     "is too far up: at most two intermediate CAs are allowed", "give the shorter chain"},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, OF_CERTIFICATE, NO_DETAIL,
     "is self-signed: no CA issued it", get_current},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, OF_CERTIFICATE, NO_DETAIL,
     "is a root that is not trusted here",
     "install it in this system's store, or name it as the root CA (--root-ca, SE_ROOT_CA_PATH) "
     "after checking that it is the one"},
    {X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER, OF_CERTIFICATE, NO_DETAIL,
     "has no authority key identifier", get_current},
    {X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER, OF_CERTIFICATE, NO_DETAIL,
     "has no subject key identifier", get_current},
    {X509_V_ERR_CRL_HAS_EXPIRED, OF_CRL, TO, "has expired", get_current_crl},
    {X509_V_ERR_CRL_NOT_YET_VALID, OF_CRL, FROM, "is not valid yet", look_at_clock},
    {X509_V_ERR_CRL_SIGNATURE_FAILURE, OF_CRL, ISSUER, "has a broken signature", get_again},
    {X509_V_ERR_KEYUSAGE_NO_CRL_SIGN, OF_CRL, NO_DETAIL,
     "is signed by a certificate that may not sign lists", get_again},
    {X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, OF_CRL, ISSUER, "is of an unknown issuer", get_again},
    {X509_V_ERR_DIFFERENT_CRL_SCOPE, OF_CRL, NO_DETAIL, "is about other certificates only",
     "give the complete list of this issuer"},
    {X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION, OF_CRL, NO_DETAIL,
     "has an unknown critical extension", "give the complete list of this issuer"},
};

// A root may be among the given certificates too; the file that made it a root is named.
static const char *certificate_file(const struct trust_store *s, const X509 *x)
{
    if (s->root.x && !X509_cmp(s->root.x, x))
        return s->root.file;
    for (size_t i = 0; i < s->certificate_count; i++)
        if (!X509_cmp(s->certificates[i].x, x))
            return s->certificates[i].file;
    return "in this system's store";
}

static char *certificate_text(const struct trust_store *s, const X509 *x)
{
    cleanup_free char *subject = name_text(X509_get_subject_name(x));
    return xasprintf("the certificate '%s' (%s)", subject, certificate_file(s, x));
}

static char *crl_text(const struct trust_store *s, X509_CRL *crl)
{
    cleanup_free char *issuer = name_text(X509_CRL_get_issuer(crl));
    for (size_t i = 0; i < s->crl_count; i++)
        if (!X509_CRL_match(s->crls[i].crl, crl))
            return xasprintf("the revocation list of '%s' (%s)", issuer, s->crls[i].file);
    return xasprintf("the revocation list of '%s'", issuer);
}

static char *detail_text(const struct chain_reason *w, const X509 *x, const X509_CRL *crl)
{
    const ASN1_TIME *from = crl ? X509_CRL_get0_lastUpdate(crl) : X509_get0_notBefore(x);
    const ASN1_TIME *to = crl ? X509_CRL_get0_nextUpdate(crl) : X509_get0_notAfter(x);
    cleanup_free char *date = time_text(w->detail == FROM ? from : to);
    cleanup_free char *issuer = name_text(crl ? X509_CRL_get_issuer(crl) : X509_get_issuer_name(x));
    switch (w->detail) {
    case FROM:
        return xasprintf(": it is valid from %s", date);
    case TO:
        return xasprintf(" on %s", date);
    case ISSUER:
        return xasprintf(": it is not one of its issuer '%s'", issuer);
    case KEY_BITS:
        return xasprintf(": %d bits of security, %d expected",
                         EVP_PKEY_get_security_bits(X509_get0_pubkey(x)), TRUST_BITS_MIN);
    case NO_DETAIL:
        break;
    }
    return xstrdup("");
}

// The file of a given certificate that has the issuer's name but is not the issuer.
static const char *find_same_name(const struct trust_store *s, const X509_NAME *name)
{
    for (size_t i = 0; i < s->certificate_count; i++)
        if (!X509_NAME_cmp(X509_get_subject_name(s->certificates[i].x), name))
            return s->certificates[i].file;
    return NULL;
}

static int missing_issuer_error(const struct trust_store *s, const X509 *x, struct error **err)
{
    cleanup_free char *shown = certificate_text(s, x);
    const X509_NAME *issuer_name = X509_get_issuer_name(x);
    cleanup_free char *issuer = name_text(issuer_name);
    const char *other = find_same_name(s, issuer_name);
    if (other) {
        error_user(err, "%s: its issuer '%s' is missing; %s has that name, but another key", shown,
                   issuer, other);
        return error_hint(err, "one of the two is not genuine: get both again");
    }
    error_user(err, "%s: its issuer '%s' is missing", shown, issuer);
    if (s->trust->root_ca)
        return error_hint(err,
                          "add its certificate to the given ones (--cert, "
                          "INTERMEDIATE_CA_CERT_PATH); the only root is %s",
                          s->trust->root_ca);
    return error_hint(err,
                      "add its certificate to the given ones (--cert, "
                      "INTERMEDIATE_CA_CERT_PATH); if it is a root, install it in this system's "
                      "store (package ca-certificates) or name it (--root-ca, SE_ROOT_CA_PATH)");
}

void missing_crl_hint(const struct trust_store *s, struct error **err)
{
    static const char give_it[] = "give it as a file (--crl, HOST_KEY_CRL_PATH)";
    cleanup_free char *failures = strlist_join(&s->failures, "; ");
    cleanup_free char *missing = strlist_join(&s->missing, "; ");
    if (s->failures.n)
        error_hint(err, "%s; fetching failed: %s", give_it, failures);
    else if (s->missing.n == 1)
        error_hint(err, "%s: %s; without --offline and SE_ONLINE=no it is fetched from there",
                   give_it, missing);
    else if (s->missing.n)
        error_hint(
            err,
            "give each missing list as a file (--crl, HOST_KEY_CRL_PATH): %s; without --offline "
            "and SE_ONLINE=no they are fetched from there",
            missing);
    else
        error_hint(err, "%s; ask its issuer for it", give_it);
}

// The file of a given list of the issuer that is not used, and why; to be freed. NULL: none.
static char *find_unusable_crl(const struct trust_store *s, const X509_NAME *issuer)
{
    for (size_t i = 0; i < s->crl_count; i++) {
        const X509_CRL *crl = s->crls[i].crl;
        bool weak = crl_is_weak(crl);
        if ((weak || crl_is_delta(crl)) && !X509_NAME_cmp(X509_CRL_get_issuer(crl), issuer))
            return xasprintf("%s is %s", s->crls[i].file,
                             weak ? "signed with a digest that is too weak"
                                  : "a delta list, which has only what changed since another one");
    }
    return NULL;
}

static int missing_crl_error(const struct trust_store *s, const X509 *x, struct error **err)
{
    cleanup_free char *shown = certificate_text(s, x);
    cleanup_free char *issuer = name_text(X509_get_issuer_name(x));
    cleanup_free char *unusable = find_unusable_crl(s, X509_get_issuer_name(x));
    error_user(err,
               "it is unknown whether %s was revoked: no revocation list of its issuer '%s'%s%s",
               shown, issuer, unusable ? ": " : "", unusable ? unusable : "");
    missing_crl_hint(s, err);
    return -1;
}

// In words, and what to do about it.
static int explain_chain(const struct trust_store *s, const struct chain_fault *f,
                         struct error **err)
{
    const X509 *x = f->x;
    int code = f->code;
    if (code == X509_V_ERR_UNABLE_TO_GET_CRL)
        return missing_crl_error(s, x, err);
    if (code == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
        code == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
        code == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE)
        return missing_issuer_error(s, x, err);
    for (size_t i = 0; i < ARRAY_LEN(chain_reasons); i++) {
        const struct chain_reason *w = &chain_reasons[i];
        if (w->code != code)
            continue;
        X509_CRL *list = w->subject == OF_CRL ? f->crl : NULL;
        cleanup_free char *shown = list ? crl_text(s, list) : certificate_text(s, x);
        cleanup_free char *detail = detail_text(w, x, list);
        error_user(err, "%s %s%s", shown, w->rule, detail);
        return error_hint(err, "%s", w->hint);
    }
    cleanup_free char *shown = certificate_text(s, x);
    error_user(err, "%s: %s", shown, X509_verify_cert_error_string(code));
    return error_hint(err, "get the chain again from its publisher: what is wrong with it lies in "
                           "the certificate, not in how it is used");
}

// ---- the check ----

#define SECURITY_LEVEL 2 // RSA of 2048 bits, no SHA-1

static const unsigned long chain_flags = X509_V_FLAG_X509_STRICT | X509_V_FLAG_TRUSTED_FIRST |
                                         X509_V_FLAG_CHECK_SS_SIGNATURE | X509_V_FLAG_POLICY_CHECK;
static const unsigned long crl_flags = X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;

static bool has_fetched_crl(const struct trust_store *s, const X509_NAME *issuer)
{
    for (size_t i = 0; i < s->crl_count; i++)
        if (s->crls[i].fetched && !X509_NAME_cmp(X509_CRL_get_issuer(s->crls[i].crl), issuer))
            return true;
    return false;
}

// A fetched list replaces given ones. OpenSSL does not look at the digest of a list, and
// from some version on (3.0 does not, 3.5 does) takes a delta list alone for a complete one;
// check_all_crls() handles what a delta list revokes.
static STACK_OF(X509_CRL) * list_chain_crls(const struct trust_store *s)
{
    STACK_OF(X509_CRL) *out = sk_X509_CRL_new_null();
    for (size_t i = 0; i < s->crl_count; i++) {
        X509_CRL *crl = s->crls[i].crl;
        bool wins = s->crls[i].fetched || !has_fetched_crl(s, X509_CRL_get_issuer(crl));
        if (wins && !crl_is_weak(crl) && !crl_is_delta(crl))
            sk_X509_CRL_push(out, crl);
    }
    return out;
}

// Signing keys are no links of a chain.
static STACK_OF(X509) * list_intermediates(const struct trust_store *s)
{
    STACK_OF(X509) *out = sk_X509_new_null();
    for (size_t i = 0; i < s->certificate_count; i++)
        if (!is_key_of_store(s, s->certificates[i].x))
            sk_X509_push(out, s->certificates[i].x);
    return out;
}

// Keeps the first fault; the check ends with it.
static int keep_fault(int good, X509_STORE_CTX *ctx)
{
    if (good)
        return 1;
    struct chain_fault *f = X509_STORE_CTX_get_app_data(ctx);
    X509 *x = X509_STORE_CTX_get_current_cert(ctx);
    f->code = X509_STORE_CTX_get_error(ctx);
    f->x = x ? x : X509_STORE_CTX_get0_cert(ctx);
    f->crl = X509_STORE_CTX_get0_current_crl(ctx);
    X509_up_ref(f->x);
    if (f->crl)
        X509_CRL_up_ref(f->crl);
    return 0;
}

// Runs OpenSSL's check once. *code gets the fault; *chain gets a valid chain, to be freed with its
// elements.
static int run_openssl_check(const struct trust_store *s, X509 *key, unsigned long flags,
                             STACK_OF(X509) * *chain, int *code, struct error **err)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *untrusted = list_intermediates(s);
    STACK_OF(X509_CRL) *crls = list_chain_crls(s);
    struct chain_fault fault = {0};
    int result = -1;
    if (!ctx || X509_STORE_CTX_init(ctx, s->roots, key, untrusted) != 1) {
        crypto_error(err, "preparing the check of a chain of certificates");
    } else {
        X509_VERIFY_PARAM *p = X509_STORE_CTX_get0_param(ctx);
        X509_STORE_CTX_set0_crls(ctx, crls);
        X509_STORE_CTX_set_verify_cb(ctx, keep_fault);
        X509_STORE_CTX_set_app_data(ctx, &fault);
        X509_VERIFY_PARAM_set_flags(p, flags);
        X509_VERIFY_PARAM_set_depth(p, TRUST_DEPTH_MAX);
        X509_VERIFY_PARAM_set_purpose(p, X509_PURPOSE_ANY);
        X509_VERIFY_PARAM_set_auth_level(p, SECURITY_LEVEL);
        X509_VERIFY_PARAM_set_time(p, s->now);
        if (X509_verify_cert(ctx) == 1) {
            *chain = X509_STORE_CTX_get1_chain(ctx);
            result = 0;
        } else if (fault.x) {
            result = explain_chain(s, &fault, err);
        } else { // not about a certificate: out of memory, for example
            result = crypto_error(err, "checking a chain of certificates");
        }
    }
    *code = fault.code;
    X509_free(fault.x);
    X509_CRL_free(fault.crl);
    ERR_clear_error();
    X509_STORE_CTX_free(ctx);
    sk_X509_CRL_free(crls);
    sk_X509_free(untrusted);
    return result;
}

// OpenSSL uses one list for each certificate. Here every list of the issuer counts, so that neither
// an old list nor a newer one that omits it can hide a revocation.
static int check_all_crls(const struct trust_store *s, const STACK_OF(X509) * chain,
                          struct error **err)
{
    int n = sk_X509_num(chain);
    for (int i = 0; i < n; i++) {
        X509 *x = sk_X509_value(chain, i), *issuer = sk_X509_value(chain, i + 1 < n ? i + 1 : i);
        for (size_t k = 0; k < s->crl_count; k++) {
            X509_CRL *crl = s->crls[k].crl;
            X509_REVOKED *entry;
            if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_issuer_name(x)) != 0 ||
                !X509_CRL_get0_by_cert(crl, &entry, x) ||
                X509_CRL_verify(crl, X509_get0_pubkey(issuer)) != 1)
                continue;
            cleanup_free char *subject = name_text(X509_get_subject_name(x));
            error_user(err, "the certificate '%s' was revoked, according to %s", subject,
                       s->crls[k].file);
            return error_hint(err, "a revocation is permanent; get the current certificates");
        }
    }
    return 0;
}

static int verify_key_chain(struct trust_store *s, struct signing_key *key, struct error **err)
{
    X509 *x = key->certificate.x;
    STACK_OF(X509) *chain = NULL;
    int code = X509_V_OK;
    // Without revocation lists first: they are fetched only from addresses in a valid chain.
    struct error *why = NULL;
    int result = run_openssl_check(s, x, chain_flags, &chain, &code, &why);
    if (result < 0 && trust_more_roots(s)) {
        error_free(steal(why));
        result = run_openssl_check(s, x, chain_flags, &chain, &code, &why);
    }
    if (result < 0) {
        *err = why;
        return -1;
    }
    if (sk_X509_num(chain) < 2) {
        result = error_user(err, "it is trusted by itself: there must be at least one root and "
                                 "one leaf certificate in the chain of trust");
        error_hint(err, "take the signing key out of the trusted certificates; the root CA is what "
                        "is trusted");
    }
    for (int i = 0; !result && i < sk_X509_num(chain); i++) {
        const X509 *link = sk_X509_value(chain, i);
        fetch_crls(s, link, !has_current_crl(s, X509_get_issuer_name(link)));
    }
    sk_X509_pop_free(steal(chain), X509_free);
    if (!result)
        result = run_openssl_check(s, x, chain_flags | crl_flags, &chain, &code, err);
    key->no_crl = result < 0 && code == X509_V_ERR_UNABLE_TO_GET_CRL;
    if (!result)
        result = check_all_crls(s, chain, err);
    sk_X509_pop_free(chain, X509_free);
    ERR_clear_error();
    return result;
}

void verify_chain(struct trust_store *s, struct signing_key *key)
{
    if (verify_key_chain(s, key, &key->error) < 0)
        error_wrap(&key->error, "IBM Z signing key %s", key->certificate.file);
}
