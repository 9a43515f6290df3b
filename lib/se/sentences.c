// SPDX-License-Identifier: Apache-2.0
// Makes genprotimg's messages for refused files.
#include "se/checks.h"

#include "base/file.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#define FILE_LIMIT (64u << 20) // of a revocation list, as in trust_load.c

static BIO *open_file(const char *path, struct buf *bytes)
{
    if (file_read(path, FILE_LIMIT, bytes, NULL) < 0)
        return NULL;
    return BIO_new_mem_buf(bytes->data ? bytes->data : "", (int)bytes->len);
}

// *more is true if a second certificate follows.
static X509 *load_certificate(const char *path, bool *more)
{
    cleanup_buf struct buf bytes = {0};
    BIO *bio = open_file(path, &bytes);
    X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    X509 *second = x ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    *more = second != NULL;
    X509_free(second);
    const unsigned char *der = (const unsigned char *)bytes.data;
    if (!x && bytes.len)
        x = d2i_X509(NULL, &der, (long)bytes.len);
    BIO_free(bio);
    ERR_clear_error();
    return x;
}

static bool holds_crl(const char *path)
{
    cleanup_buf struct buf bytes = {0};
    BIO *bio = open_file(path, &bytes);
    X509_CRL *crl = bio ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;
    const unsigned char *der = (const unsigned char *)bytes.data;
    if (!crl && bytes.len)
        crl = d2i_X509_CRL(NULL, &der, (long)bytes.len);
    BIO_free(bio);
    ERR_clear_error();
    X509_CRL_free(crl);
    return crl != NULL;
}

static char *sentence_of_certificate(const char *path)
{
    bool more;
    if (access(path, R_OK) < 0)
        return xasprintf("unable to read certificate: '%s'", path);
    X509 *x = load_certificate(path, &more);
    X509_free(x);
    return x ? NULL : xasprintf("unable to load certificate: '%s'", path);
}

char *sentence_of_document(const char *path)
{
    char *sentence = sentence_of_certificate(path);
    if (sentence)
        return sentence;
    // It is a certificate, so its key was refused.
    bool more;
    X509 *x = load_certificate(path, &more);
    EVP_PKEY *key = x ? X509_get0_pubkey(x) : NULL;
    char curve[64] = "";
    if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
        EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL) == 1)
        sentence = xasprintf("Host-key document doesn't use correct EC curveWrong NID used: '%d'",
                             OBJ_sn2nid(curve));
    else
        sentence = xstrdup("Host-key document doesn't use correct EC curveNo EC key found");
    X509_free(x);
    ERR_clear_error();
    return sentence;
}

static char *sentence_of_root(const char *path)
{
    bool more;
    X509 *x = load_certificate(path, &more);
    X509_free(x);
    if (!x)
        return xasprintf("failed to load root certificate from '%s'", path);
    return more ? xasprintf("multiple certificates in one PEM file is not supported: '%s'", path)
                : NULL;
}

char *sentence_of_trust(const struct trust *trust)
{
    char *sentence = NULL;
    for (size_t i = 0; trust->certificates && i < trust->certificates->n && !sentence; i++)
        sentence = sentence_of_certificate(trust->certificates->items[i]);
    for (size_t i = 0; trust->crls && i < trust->crls->n && !sentence; i++)
        if (!holds_crl(trust->crls->items[i]))
            sentence = xasprintf("unable to load CRL from: '%s'", trust->crls->items[i]);
    if (!sentence && trust->root_ca)
        sentence = sentence_of_root(trust->root_ca);
    return sentence;
}
