// SPDX-License-Identifier: Apache-2.0
// The chain from a signing key up to a root (12.3), over OpenSSL.
#include "crypto/crypto.h"
#include "hkd/trust_store.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define SECURITY_LEVEL 2 // RSA of 2048 bits, no SHA-1

static const unsigned long chain_flags = X509_V_FLAG_X509_STRICT | X509_V_FLAG_TRUSTED_FIRST |
                                         X509_V_FLAG_CHECK_SS_SIGNATURE | X509_V_FLAG_POLICY_CHECK;
static const unsigned long crl_flags = X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;

static bool has_fetched(const struct trust_store *s, const X509_NAME *issuer)
{
    for (size_t i = 0; i < s->crl_count; i++)
        if (s->crls[i].fetched && !X509_NAME_cmp(X509_CRL_get_issuer(s->crls[i].crl), issuer))
            return true;
    return false;
}

// What was fetched wins over what was given (12.7). OpenSSL does not look at the digest of a list,
// and from some version on (3.0 does not, 3.5 does) takes a delta list alone for a complete one;
// what a delta list revokes is check_all_crls()'s business.
static STACK_OF(X509_CRL) * crls_of_chain(const struct trust_store *s)
{
    STACK_OF(X509_CRL) *out = sk_X509_CRL_new_null();
    for (size_t i = 0; i < s->crl_count; i++) {
        X509_CRL *crl = s->crls[i].crl;
        bool wins = s->crls[i].fetched || !has_fetched(s, X509_CRL_get_issuer(crl));
        if (wins && !crl_is_weak(crl) && !crl_is_delta(crl))
            sk_X509_CRL_push(out, crl);
    }
    return out;
}

// Signing keys are no links of a chain.
static STACK_OF(X509) * intermediates(const struct trust_store *s)
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

// One run of OpenSSL's check. *code gets what it found wrong; *chain gets the chain if it holds; to
// be freed with its elements.
static int check_chain(const struct trust_store *s, X509 *key, unsigned long flags,
                       STACK_OF(X509) * *chain, int *code, struct error **err)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *untrusted = intermediates(s);
    STACK_OF(X509_CRL) *crls = crls_of_chain(s);
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
        } else { // nothing about a certificate: it ran out of memory, say
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

// OpenSSL asks one list for each certificate. Here every list of the issuer counts, so that an old
// one beside it cannot hide a revocation, nor a new one that leaves it out.
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
            error_user(err, "the certificate '%s' was revoked, says %s", subject, s->crls[k].file);
            return error_hint(err, "a revoked certificate never becomes good again; get the "
                                   "current ones");
        }
    }
    return 0;
}

static int run(struct trust_store *s, struct signing_key *key, struct error **err)
{
    X509 *x = key->certificate.x;
    STACK_OF(X509) *chain = NULL;
    int code = X509_V_OK;
    // Without revocation lists first: they are asked for only at addresses that a good chain names.
    struct error *why = NULL;
    int result = check_chain(s, x, chain_flags, &chain, &code, &why);
    if (result < 0 && trust_more_roots(s)) {
        error_free(steal(why));
        result = check_chain(s, x, chain_flags, &chain, &code, &why);
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
        result = check_chain(s, x, chain_flags | crl_flags, &chain, &code, err);
    key->no_crl = result < 0 && code == X509_V_ERR_UNABLE_TO_GET_CRL;
    if (!result)
        result = check_all_crls(s, chain, err);
    sk_X509_pop_free(chain, X509_free);
    ERR_clear_error();
    return result;
}

void verify_chain(struct trust_store *s, struct signing_key *key)
{
    if (run(s, key, &key->error) < 0)
        error_wrap(&key->error, "IBM Z signing key %s", key->certificate.file);
}
