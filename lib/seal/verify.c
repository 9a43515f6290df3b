// SPDX-License-Identifier: Apache-2.0
#include "seal/io.h"
#include "seal/read.h"
#include "seal/verify_steps.h"

#include <openssl/crypto.h>

static int check_proof(const struct se_proof *p, struct error **err)
{
    if (p->host_key || p->header_key || p->record)
        return p->secret && !p->record
                   ? error_user(err, "a seal secret proves nothing without the seal record")
                   : 0;
    return error_user(err,
                      "nothing to verify with: give a private host key, the header key, or a seal "
                      "record");
}

// The one of the three that opens the header, if there is one.
static bool find_opener(const struct verification *v, struct opener *out, const char **what)
{
    *out = (struct opener){0};
    if (v->derived) {
        out->header_key = v->secrets.header_key;
        *what = "the seal secret";
    } else if (v->proof->header_key) {
        out->header_key = v->proof->header_key;
        *what = "the header key";
    } else if (v->proof->host_key) {
        out->host = v->proof->host_key;
        *what = "the host key";
    }
    return out->header_key || out->host;
}

// Several flipped bits, or another image altogether: then nothing in the clear part fits either.
static bool another_image(const struct verification *v)
{
    unsigned char point[POINT_SIZE];
    return v->derived && point_encode(v->secrets.customer, point, NULL) == 0 &&
           memcmp(point, v->u.image.customer_key, sizeof point) != 0 &&
           memcmp(v->secrets.header_iv, v->u.image.iv, sizeof v->u.image.iv) != 0;
}

static int open_header(struct verification *v, struct error **err)
{
    struct opener opener;
    const char *what = NULL;
    cleanup_opened struct opened_header opened = {.slot = 0};
    if (!find_opener(v, &opener, &what)) {
        strlist_add(v->done,
                    "not checked: that the header is genuine, and what is encrypted (no key)");
        return 0;
    }
    if (header_open(&v->u.image, v->header, v->name, &opener, &opened, err) < 0) {
        if (another_image(v))
            error_hint(err,
                       "neither IV nor customer key are those of %s: it may be the record of "
                       "another image",
                       v->proof->record);
        return -1;
    }
    if (unlocked_take(&v->u, &opened, err) < 0)
        return -1;
    v->unlocked = true;
    strlist_addf(v->done, "header: authenticated with %s", what);
    if (opened.slot != UINT64_MAX)
        strlist_addf(v->done, "key slot: %llu of %llu", (unsigned long long)opened.slot + 1,
                     (unsigned long long)v->u.image.slots);
    if (v->u.xts) {
        v->encrypt = xts_new(opened.area + AREA_XTS_KEY, true, err);
        if (!v->encrypt)
            return -1;
    }
    return record_check_header(v, &opened, err);
}

// The digests alone, which anybody can check.
static int check_without_key(struct verification *v, struct error **err)
{
    if (image_check(v->u.fd, v->name, &v->u.image, false, err) < 0)
        return -1;
    strlist_add(v->done,
                "components: contents, addresses and tweaks have the digests of the header "
                "(pld, ald, tld)");
    return 0;
}

static int verify(struct verification *v, struct error **err)
{
    if (check_proof(v->proof, err) < 0 || record_prepare(v, err) < 0 ||
        image_parse(v->u.fd, v->name, &v->u.image, &v->header, err) < 0 ||
        open_header(v, err) < 0 || record_check_image(v, err) < 0 ||
        image_check_unprotected(v->u.fd, v->name, &v->u.image, err) < 0 || loader_check(v, err) < 0)
        return -1;
    if ((v->unlocked ? contents_check(v, err) : check_without_key(v, err)) < 0)
        return -1;
    return record_check_whole(v, err);
}

int se_verify(int fd, const char *name, const struct se_proof *proof,
              const struct se_originals *originals, struct strlist *done, struct error **err)
{
    struct verification v = {.name = name,
                             .proof = proof,
                             .originals = originals,
                             .done = done,
                             .u = {.fd = fd, .path = name}};
    int result = verify(&v, err);
    v.u.fd = -1; // the caller's
    unlocked_free(&v.u);
    free(v.header);
    EVP_CIPHER_CTX_free(v.encrypt);
    seal_record_free(&v.record);
    secrets_wipe(&v.secrets);
    return result;
}
