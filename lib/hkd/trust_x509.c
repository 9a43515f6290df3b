// SPDX-License-Identifier: Apache-2.0
// Certificates in words, and the checks that documents and revocation lists have in common.
#include "hkd/trust_store.h"
#include "hkd/trust_text.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

char *name_text(const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes = NULL;
    // Control characters and what is not ASCII come out escaped.
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
