// SPDX-License-Identifier: Apache-2.0
// Verifies an image: opens the files, opens the header with each given key, checks everything in
// order, and compares the image with its seal record.
#include "se/internal.h"

#include "base/file.h"
#include "base/libcrypto.h"
#include "pack/pack.h"

#include <errno.h>
#include <sys/stat.h>

// ---- files: directly, from tarballs, from the standard input ----

// Extracts the first of the members that the tarball has.
static int extract_member(const char *tarball, const char *const *members, struct error **err)
{
    uint64_t size;
    cleanup_close int in = user_file_open(tarball, &size, err);
    if (in < 0)
        return -1;
    for (; *members; members++) {
        cleanup_close int out = nameless_file(NULL, err);
        struct error *why = NULL;
        if (out < 0)
            return -1;
        int result = unpack_member(in, tarball, *members, out, NULL, members[1] ? &why : err);
        error_free(why);
        if (result == 0)
            return steal_fd(&out);
        if (lseek(in, 0, SEEK_SET) < 0)
            return error_errno(err, errno, "reading %s", tarball);
    }
    return -1;
}

static void set_original(struct se_originals *o, enum se_original_kind kind, const char *path,
                         int fd)
{
    struct stat st;
    struct se_original *one = &o->of[kind];
    cleanup_close_p(&one->fd);
    free(one->name);
    one->name = xstrdup(path);
    one->fd = fd;
    one->size = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

int se_original_open(struct se_originals *o, enum se_original_kind kind, const char *path,
                     struct error **err)
{
    uint64_t size;
    int fd = user_file_open(path, &size, err);
    if (fd < 0)
        return -1;
    set_original(o, kind, path, fd);
    return 0;
}

int se_original_unpack(struct se_originals *o, enum se_original_kind kind, const char *tarball,
                       const char *const *members, struct error **err)
{
    int fd = extract_member(tarball, members, err);
    if (fd < 0)
        return -1;
    set_original(o, kind, tarball, fd);
    return 0;
}

void se_originals_free(struct se_originals *o)
{
    for (size_t i = 0; i < SE_ORIGINALS; i++) {
        cleanup_close_p(&o->of[i].fd);
        free(o->of[i].name);
    }
    *o = SE_ORIGINALS_NONE;
}

int se_image_open(const char *path, const char *member, char **name, struct error **err)
{
    const char *const members[] = {member, NULL};
    uint64_t size;
    if (strcmp(path, "-") == 0) {
        *name = xstrdup("standard input");
        return user_file_spool(STDIN_FILENO, *name, &size, err);
    }
    bool packed = strstr(path_base(path), ".tar") != NULL;
    int fd = packed ? extract_member(path, members, err) : user_file_open(path, &size, err);
    if (fd >= 0)
        *name = packed ? xasprintf("%s in %s", path_base(member), path) : xstrdup(path);
    return fd;
}

// ---- the seal record ----
// With the secret all secret values are derived again, which proves that they were not chosen in
// another way.

static int check_secret_id(const struct image_verification *v, const struct seal_kdf *s,
                           struct error **err)
{
    unsigned char id[SEAL_ID_SIZE];
    if (!v->record.provable)
        return error_user(err, "%s: this image was sealed without a secret", v->proof->record);
    if (seal_kdf_id(s, id, err) < 0)
        return -1;
    if (memcmp(id, v->record.id, sizeof id) == 0)
        return 0;
    error_user(err, "%s: it was sealed with another secret", v->proof->record);
    return error_hint(err, "the record's secret_id identifies it");
}

// The record does not hold a given header key, so the user must give it again.
static int check_given_header_key(const struct image_verification *v, const struct seal_kdf *s,
                                  const struct se_keys *keys, struct error **err)
{
    const struct seal_given *recorded = &v->record.inputs.given[GIVEN_HEADER_KEY];
    struct seal_inputs again = {0};
    if (recorded->given && !keys->header_key)
        return error_user(err, "%s: this image was sealed with a given header key; give it too",
                          v->proof->record);
    if (!recorded->given)
        return 0;
    if (seal_kdf_tag_keys(s, keys, &again, err) < 0)
        return -1;
    if (CRYPTO_memcmp(again.given[GIVEN_HEADER_KEY].tag, recorded->tag, SEAL_TAG_SIZE) != 0)
        return error_user(err, "%s: this image was sealed with another header key",
                          v->proof->record);
    return 0;
}

// Reads the record, and derives the values with the secret.
static int record_prepare(struct image_verification *v, struct error **err)
{
    if (!v->proof->record)
        return 0;
    if (seal_record_read(v->proof->record, &v->record, err) < 0)
        return -1;
    v->has_record = true;
    if (!v->proof->secret)
        return 0;
    cleanup_seal_kdf struct seal_kdf s = {{0}};
    struct se_keys keys = {0};
    if (v->record.inputs.given[GIVEN_HEADER_KEY].given)
        keys.header_key = v->proof->header_key;
    if (seal_kdf_begin(v->proof->secret->bytes, v->proof->secret->length, &s, err) < 0 ||
        check_secret_id(v, &s, err) < 0 || check_given_header_key(v, &s, &keys, err) < 0 ||
        secrets_derive(&s, &v->record.inputs, &keys, &v->secrets, err) < 0)
        return -1;
    v->derived = true;
    return 0;
}

static int record_differs(const struct image_verification *v, const char *what, struct error **err)
{
    return error_user(err, "%s: %s not what %s contains", v->name, what, v->proof->record);
}

// Makes slots and customer key again, and compares them.
static int check_slots(const struct image_verification *v, struct error **err)
{
    const struct se_image *image = &v->u.image;
    unsigned char point[POINT_SIZE], slot[SLOT_SIZE];
    if (point_encode(v->secrets.customer, point, err) < 0)
        return -1;
    if (memcmp(point, image->customer_key, sizeof point) != 0)
        return error_user(err, "%s: the customer key is not the one derived from the secret",
                          v->name);
    for (uint64_t i = 0; i < image->slots; i++) {
        cleanup_pkey EVP_PKEY *host = point_decode(v->record.inputs.hosts[i], err);
        if (!host)
            return error_wrap(err, "%s: host key %llu", v->proof->record,
                              (unsigned long long)i + 1);
        if (slot_wrap(v->secrets.customer, host, v->secrets.header_key, slot, err) < 0)
            return -1;
        if (memcmp(slot, image->slot[i], sizeof slot) != 0)
            return error_user(err, "%s: key slot %llu is not the one derived from the secret",
                              v->name, (unsigned long long)i + 1);
    }
    return 0;
}

static int check_area(const struct image_verification *v, const unsigned char *area,
                      struct error **err)
{
    const struct seal_given *given = v->record.inputs.given;
    const struct secrets *s = &v->secrets;
    if (!given[GIVEN_CCK].given && CRYPTO_memcmp(area + AREA_CCK, s->cck, sizeof s->cck) != 0)
        return error_user(err, "%s: the customer communication key is not the derived one",
                          v->name);
    if (!given[GIVEN_COMPONENT_KEY].given &&
        CRYPTO_memcmp(area + AREA_XTS_KEY, s->xts_key, sizeof s->xts_key) != 0)
        return error_user(err, "%s: the component key is not the derived one", v->name);
    return 0;
}

static int check_tweaks(const struct image_verification *v, struct error **err)
{
    const struct se_image *image = &v->u.image;
    for (size_t i = 0; i < image->component_count; i++) {
        int part = component_part(image, i);
        if (part < 0 || memcmp(image->components[i].tweak + 2, v->secrets.tweaks[part],
                               sizeof v->secrets.tweaks[0]) != 0)
            return error_user(err, "%s: the tweak of component %zu is not the derived one", v->name,
                              i + 1);
    }
    return 0;
}

// Checks that the header, whose tag matches, is the one that was sealed.
static int record_check_header(struct image_verification *v, const struct opened_header *opened,
                               struct error **err)
{
    if (!v->derived)
        return 0;
    const struct se_image *image = &v->u.image;
    if (image->slots != v->record.inputs.host_count)
        return record_differs(v, "the number of key slots is", err);
    if (memcmp(image->iv, v->secrets.header_iv, sizeof image->iv) != 0)
        return error_user(err, "%s: the header's IV is not the one derived from the secret",
                          v->name);
    if (image->scf != v->record.inputs.scf)
        return record_differs(v, "the secret flags (scf) are", err);
    if (check_slots(v, err) < 0 || check_area(v, opened->area, err) < 0 || check_tweaks(v, err) < 0)
        return -1;
    verification_note(v, verification_basis(v),
                      "seal record: every key, IV, tweak and key slot is the one derived from "
                      "the secret");
    return 0;
}

// Checks the clear values of the record.
static int record_check_image(struct image_verification *v, struct error **err)
{
    if (!v->has_record)
        return 0;
    const struct se_image *image = &v->u.image;
    const struct seal_inputs *in = &v->record.inputs;
    if (image->pcf != in->pcf)
        return record_differs(v, "the flags (pcf) are", err);
    if (image->slots != in->host_count)
        return record_differs(v, "the number of key slots is", err);
    for (uint64_t i = 0; i < image->slots; i++) {
        unsigned char hash[32];
        if (EVP_Digest(in->hosts[i], POINT_SIZE, hash, NULL, EVP_sha256(), NULL) != 1)
            return crypto_error(err, "hashing a public key");
        if (memcmp(hash, image->slot[i] + SLOT_HASH, sizeof hash) != 0) {
            cleanup_free char *what =
                xasprintf("the host key hash in key slot %llu is", (unsigned long long)i + 1);
            return record_differs(v, what, err);
        }
    }
    verification_note(v, verification_basis(v),
                      "seal record: flags and host keys are those it names");
    return 0;
}

static int check_original(struct image_verification *v, const struct se_original *o,
                          enum seal_part_name name, struct error **err)
{
    const struct seal_part *recorded = &v->record.inputs.part[name];
    const char *record = v->proof->record;
    struct seal_part given = {0};
    if (!recorded->present) {
        error_user(err,
                   "%s: it has no %s that could be %s: according to %s it was sealed without one",
                   v->name, seal_part_names[name], o->name, record);
        return error_hint(err, "leave out that file, or give the record of the image that has it");
    }
    if (seal_part_of_file(o->fd, o->name, o->size, &given, err) < 0)
        return -1;
    bool same_size = given.size == recorded->size;
    if (same_size && memcmp(given.sha512, recorded->sha512, sizeof given.sha512) == 0) {
        verification_note(v, verification_basis(v), "%s: %s, by its digest in the seal record",
                          seal_part_names[name], o->name);
        return 0;
    }
    if (same_size)
        error_user(err, "%s: its %s is not %s: according to %s it has another SHA-512", v->name,
                   seal_part_names[name], o->name, record);
    else
        error_user(err, "%s: its %s is not %s: according to %s it has %llu bytes, and %s has %llu",
                   v->name, seal_part_names[name], o->name, record,
                   (unsigned long long)recorded->size, o->name, (unsigned long long)given.size);
    return error_hint(err, "give the file that the image was sealed with; if this is it, the image "
                           "or its record is another one");
}

// Without a key: compares the originals with the digests of the record.
static int record_check_originals(struct image_verification *v, struct error **err)
{
    static const enum seal_part_name names[SE_ORIGINALS] = {[SE_ORIGINAL_KERNEL] = SEAL_KERNEL,
                                                            [SE_ORIGINAL_COMMAND_LINE] =
                                                                SEAL_COMMAND_LINE,
                                                            [SE_ORIGINAL_INITRD] = SEAL_INITRD};
    for (size_t i = 0; i < SE_ORIGINALS; i++) {
        const struct se_original *o = &v->originals->of[i];
        if (o->fd >= 0 && check_original(v, o, names[i], err) < 0)
            return -1;
        if (o->fd < 0)
            verification_note(v, SE_UNCHECKED, "not compared: the %s", seal_part_names[names[i]]);
    }
    return 0;
}

static int record_check_whole(struct image_verification *v, struct error **err)
{
    if (!v->has_record)
        return 0;
    char hex[DIGEST_HEX_SIZE];
    uint64_t size;
    if (lseek(v->u.fd, 0, SEEK_SET) < 0)
        return error_user(err, "reading %s: it cannot be read twice", v->name);
    if (digest_fd(v->u.fd, v->name, hex, &size, err) < 0)
        return -1;
    if (size != v->record.image_size)
        return record_differs(v, "its size is", err);
    if (strcmp(hex, v->record.image_sha256) != 0)
        return record_differs(v, "its SHA-256 is", err);
    verification_note(v, verification_basis(v),
                      "seal record: size and SHA-256 of the image are those it names");
    return 0;
}

// ---- verification ----

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

// The given keys that open the header.
struct named_key {
    struct unlock_key key;
    const char *what;
};
enum { KEYS_MAX = 3 };

static size_t list_keys(const struct image_verification *v, struct named_key out[static KEYS_MAX])
{
    const struct named_key all[KEYS_MAX] = {
        {{.header_key = v->derived ? v->secrets.header_key : NULL}, "the seal secret"},
        {{.header_key = v->proof->header_key}, "the header key"},
        {{.host = v->proof->host_key}, "the host key"},
    };
    size_t n = 0;
    for (size_t i = 0; i < KEYS_MAX; i++)
        if (all[i].key.header_key || all[i].key.host)
            out[n++] = all[i];
    return n;
}

// True if nothing in the clear part matches: another image, not several flipped bits.
static bool is_another_image(const struct image_verification *v)
{
    unsigned char point[POINT_SIZE];
    return v->derived && point_encode(v->secrets.customer, point, NULL) == 0 &&
           memcmp(point, v->u.image.customer_key, sizeof point) != 0 &&
           memcmp(v->secrets.header_iv, v->u.image.iv, sizeof v->u.image.iv) != 0;
}

// All other given keys must open the header, too.
static int open_with_other_keys(struct image_verification *v, const struct named_key *others,
                                size_t n, struct error **err)
{
    for (size_t i = 0; i < n; i++) {
        cleanup_opened struct opened_header opened = {.slot = 0};
        if (header_open(&v->u.image, v->header, v->name, &others[i].key, &opened, err) < 0)
            return -1;
        verification_note(v, verification_basis(v), "header: opens with %s, too", others[i].what);
    }
    return 0;
}

static int open_header(struct image_verification *v, struct error **err)
{
    struct named_key keys[KEYS_MAX];
    size_t n = list_keys(v, keys);
    cleanup_opened struct opened_header opened = {.slot = 0};
    if (!n) {
        verification_note(
            v, SE_UNCHECKED,
            "not checked: that the header is genuine, and what is encrypted (no key)");
        return 0;
    }
    if (header_open(&v->u.image, v->header, v->name, &keys[0].key, &opened, err) < 0) {
        if (is_another_image(v))
            error_hint(err,
                       "neither IV nor customer key are those of %s: it may be the record of "
                       "another image",
                       v->proof->record);
        return -1;
    }
    v->unlocked = true;
    if (open_with_other_keys(v, keys + 1, n - 1, err) < 0 || unlocked_take(&v->u, &opened, err) < 0)
        return -1;
    verification_note(v, verification_basis(v), "header: authenticated with %s", keys[0].what);
    if (opened.slot != UINT64_MAX)
        verification_note(v, verification_basis(v), "key slot: %llu of %llu",
                          (unsigned long long)opened.slot + 1,
                          (unsigned long long)v->u.image.slots);
    if (v->u.xts) {
        v->encrypt = xts_new(opened.area + AREA_XTS_KEY, true, err);
        if (!v->encrypt)
            return -1;
    }
    return record_check_header(v, &opened, err);
}

// Checks the digests, which needs no key.
static int check_without_key(struct image_verification *v, struct error **err)
{
    if (image_check(v->u.fd, v->name, &v->u.image, false, err) < 0)
        return -1;
    verification_note(v, verification_basis(v),
                      "components: contents, addresses and tweaks have the digests of the header "
                      "(pld, ald, tld)");
    return record_check_originals(v, err);
}

static int run_verification(struct image_verification *v, struct error **err)
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
              const struct se_originals *originals, struct se_findings *done, struct error **err)
{
    struct image_verification v = {.name = name,
                                   .proof = proof,
                                   .originals = originals,
                                   .done = done,
                                   .u = {.fd = fd, .path = name}};
    int result = run_verification(&v, err);
    v.u.fd = -1; // the caller's
    unlocked_free(&v.u);
    free(v.header);
    EVP_CIPHER_CTX_free(v.encrypt);
    seal_record_free(&v.record);
    secrets_wipe(&v.secrets);
    return result;
}
