// SPDX-License-Identifier: Apache-2.0
// Certificates and revocation lists, from files (12.1).
#include "base/log.h"
#include "base/user_file.h"
#include "crypto/crypto.h"
#include "hkd/trust_store.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

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

// A DER structure that ends where the bytes end; anything behind it was not looked at by anyone.
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

// What was seen in a file.
struct seen {
    size_t blocks, certificates, crls;
    char label[64]; // of a block that is neither
};

static int take_block(struct trust_store *s, const char *label, const unsigned char *der,
                      size_t length, const char *name, bool fetched, struct seen *seen,
                      struct error **err)
{
    seen->blocks++;
    if (!strcmp(label, PEM_STRING_X509) || !strcmp(label, PEM_STRING_X509_OLD)) {
        X509 *x = certificate_from_der(der, length);
        if (!x)
            return error_user(err, "%s: certificate %zu in it is damaged", name,
                              seen->certificates + 1);
        add_certificate(s, x, name);
        seen->certificates++;
    } else if (!strcmp(label, PEM_STRING_X509_CRL)) {
        X509_CRL *crl = crl_from_der(der, length);
        if (!crl)
            return error_user(err, "%s: revocation list %zu in it is damaged", name,
                              seen->crls + 1);
        add_crl(s, crl, name, fetched);
        seen->crls++;
    } else if (ends_with(label, "PRIVATE KEY")) {
        error_user(err, "%s: it holds a private key", name);
        return error_hint(err, "keep private keys secret; give certificates and lists only");
    } else {
        snprintf(seen->label, sizeof seen->label, "%s", label);
    }
    return 0;
}

static int take_pem(struct trust_store *s, const void *bytes, size_t length, const char *name,
                    bool fetched, struct seen *seen, struct error **err)
{
    BIO *bio = BIO_new_mem_buf(bytes, (int)length);
    if (!bio)
        return crypto_error(err, "reading %s", name);
    char *label, *header;
    unsigned char *der;
    long size;
    int result = 0;
    while (!result && PEM_read_bio(bio, &label, &header, &der, &size) == 1) {
        result = take_block(s, label, der, (size_t)size, name, fetched, seen, err);
        OPENSSL_clear_free(der, (size_t)size);
        OPENSSL_free(label);
        OPENSSL_free(header);
    }
    // At the end there is no start line. Anything else is a block that breaks off or is no base64,
    // and what follows it would be lost without a word.
    unsigned long why = ERR_peek_last_error();
    if (!result && why && ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
        result = error_user(err, "%s: block %zu in it is damaged", name, seen->blocks + 1);
    ERR_clear_error();
    BIO_free(bio);
    return result;
}

static int nothing_found(const char *name, const char *what, size_t length, const struct seen *seen,
                         const char *instead, struct error **err)
{
    if (!length)
        return error_user(err, "%s: it is empty", name);
    if (seen->blocks && (instead || *seen->label))
        return error_user(err, "%s: it holds no %s, but a %s", name, what,
                          instead ? instead : seen->label);
    return error_user(err, "%s: it is not a %s, neither PEM nor DER", name, what);
}

int trust_parse_certificates(struct trust_store *s, const void *bytes, size_t length,
                             const char *name, struct error **err)
{
    struct seen seen = {0};
    if (take_pem(s, bytes, length, name, false, &seen, err) < 0)
        return -1;
    if (!seen.blocks) {
        X509 *x = certificate_from_der(bytes, length);
        if (x) {
            add_certificate(s, x, name);
            return 0;
        }
    }
    if (seen.certificates)
        return 0;
    return nothing_found(name, "certificate", length, &seen, seen.crls ? "revocation list" : NULL,
                         err);
}

int trust_parse_crls(struct trust_store *s, const void *bytes, size_t length, const char *name,
                     bool fetched, struct error **err)
{
    struct seen seen = {0};
    size_t before = s->certificate_count;
    int result = take_pem(s, bytes, length, name, fetched, &seen, err);
    // Certificates count where certificates are named only.
    while (s->certificate_count > before) {
        struct trust_certificate *c = &s->certificates[--s->certificate_count];
        X509_free(c->x);
        free(c->file);
    }
    if (result < 0)
        return -1;
    if (!seen.blocks) {
        X509_CRL *crl = crl_from_der(bytes, length);
        if (crl) {
            add_crl(s, crl, name, fetched);
            return 0;
        }
    }
    if (seen.crls)
        return 0;
    return nothing_found(name, "revocation list (CRL)", length, &seen,
                         seen.certificates ? "certificate" : NULL, err);
}

// ---- files ----

static int load_file(struct trust_store *s, const char *path, bool crls, struct error **err)
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

// The root stands alone in its file, so that nobody trusts a bundle by accident.
static int load_root(struct trust_store *s, struct error **err)
{
    size_t before = s->certificate_count;
    const char *path = s->trust->root_ca;
    if (load_file(s, path, false, err) < 0)
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
        if (load_file(s, certificates->items[i], false, err) < 0)
            return -1;
    for (size_t i = 0; crls && i < crls->n; i++)
        if (load_file(s, crls->items[i], true, err) < 0)
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
