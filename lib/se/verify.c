// SPDX-License-Identifier: Apache-2.0
// Proving an image: what opens it, in which order it is looked at, and what is said of it.
#include "se/io.h"
#include "se/read.h"
#include "se/verify_steps.h"

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

// Everything that was given and opens the header.
struct named_opener {
    struct opener opener;
    const char *what;
};
enum { OPENERS = 3 };

static size_t list_openers(const struct verification *v, struct named_opener out[static OPENERS])
{
    const struct named_opener all[OPENERS] = {
        {{.header_key = v->derived ? v->secrets.header_key : NULL}, "the seal secret"},
        {{.header_key = v->proof->header_key}, "the header key"},
        {{.host = v->proof->host_key}, "the host key"},
    };
    size_t n = 0;
    for (size_t i = 0; i < OPENERS; i++)
        if (all[i].opener.header_key || all[i].opener.host)
            out[n++] = all[i];
    return n;
}

// Several flipped bits, or another image altogether: then nothing in the clear part fits either.
static bool another_image(const struct verification *v)
{
    unsigned char point[POINT_SIZE];
    return v->derived && point_encode(v->secrets.customer, point, NULL) == 0 &&
           memcmp(point, v->u.image.customer_key, sizeof point) != 0 &&
           memcmp(v->secrets.header_iv, v->u.image.iv, sizeof v->u.image.iv) != 0;
}

// What else was given has to open it, too: nothing that was given is left aside.
static int open_with_others(struct verification *v, const struct named_opener *others, size_t n,
                            struct error **err)
{
    for (size_t i = 0; i < n; i++) {
        cleanup_opened struct opened_header opened = {.slot = 0};
        if (header_open(&v->u.image, v->header, v->name, &others[i].opener, &opened, err) < 0)
            return -1;
        strlist_addf(v->done, "header: opens with %s, too", others[i].what);
    }
    return 0;
}

static int open_header(struct verification *v, struct error **err)
{
    struct named_opener openers[OPENERS];
    size_t n = list_openers(v, openers);
    cleanup_opened struct opened_header opened = {.slot = 0};
    if (!n) {
        strlist_add(v->done,
                    "not checked: that the header is genuine, and what is encrypted (no key)");
        return 0;
    }
    if (header_open(&v->u.image, v->header, v->name, &openers[0].opener, &opened, err) < 0) {
        if (another_image(v))
            error_hint(err,
                       "neither IV nor customer key are those of %s: it may be the record of "
                       "another image",
                       v->proof->record);
        return -1;
    }
    if (open_with_others(v, openers + 1, n - 1, err) < 0)
        return -1;
    if (unlocked_take(&v->u, &opened, err) < 0)
        return -1;
    v->unlocked = true;
    strlist_addf(v->done, "header: authenticated with %s", openers[0].what);
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
    return record_check_originals(v, err);
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
