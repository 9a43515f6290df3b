// SPDX-License-Identifier: Apache-2.0
// Opens the header of an image with a host's private key or the header key, and decrypts small
// components; writes the parts of an opened image, or an unsealed one. If a tag is wrong, finds the
// single changed bit that explains it.
#include "base/file.h"
#include "base/libcrypto.h"
#include "se/internal.h"

// ---- locating damage ----
// A tag or a digest shows only that something changed. But a header has a few thousand bits, and
// OpenSSL checks a million short tags in a second: so each bit is tried. Each function returns a
// text to be freed, or NULL if no single bit explains the failure: then more bits were changed, or
// the key is another one.

static const struct {
    unsigned from;
    const char *name;
} header_fields[] = {
    {HEADER_MAGIC, "its magic number"},
    {HEADER_VERSION, "its version"},
    {HEADER_SIZE, "its size"},
    {HEADER_IV, "its IV"},
    {HEADER_RESERVED, "its reserved field"},
    {HEADER_SLOTS, "its number of key slots"},
    {HEADER_ENCRYPTED_SIZE, "the size of its encrypted area"},
    {HEADER_PAGES, "its number of component pages"},
    {HEADER_PCF, "its flags (pcf)"},
    {HEADER_CUSTOMER_KEY, "its customer key"},
    {HEADER_PLD, "its digest of the contents (pld)"},
    {HEADER_ALD, "its digest of the addresses (ald)"},
    {HEADER_TLD, "its digest of the tweaks (tld)"},
};

// The name of the field that byte `offset` of a header with `slots` key slots belongs to ("its IV",
// "the hash in key slot 2"); to be freed.
static char *header_field(uint64_t slots, uint64_t offset)
{
    if (offset < HEADER_SLOT_LIST) {
        size_t i = ARRAY_LEN(header_fields);
        while (offset < header_fields[--i].from)
            ;
        return xstrdup(header_fields[i].name);
    }
    uint64_t end = HEADER_SLOT_LIST + slots * SLOT_SIZE, at = offset - HEADER_SLOT_LIST;
    if (offset < end) {
        unsigned within = (unsigned)(at % SLOT_SIZE);
        return xasprintf("the %s in key slot %llu",
                         within < SLOT_WRAPPED ? "hash"
                         : within < SLOT_TAG   ? "wrapped key"
                                               : "tag",
                         (unsigned long long)(at / SLOT_SIZE) + 1);
    }
    return xstrdup(offset < end + AREA_SIZE ? "its encrypted area" : "its tag");
}

// "byte 0x14010, bit 0x08, in its IV".
static char *header_place(const struct se_image *image, uint64_t offset, unsigned char mask)
{
    unsigned long long at = image->header_offset + offset;
    cleanup_free char *field = header_field(image->slots, offset);
    return xasprintf("byte 0x%llx, bit 0x%02x, in %s", at, mask, field);
}

struct header_trial {
    EVP_CIPHER_CTX *context; // with the key
    size_t clear;            // bytes before the encrypted area
};

static bool header_fits(const struct header_trial *t, unsigned char *header)
{
    unsigned char area[AREA_SIZE];
    int n;
    unsigned char *sealed = header + t->clear;
    return EVP_DecryptInit_ex2(t->context, NULL, NULL, header + HEADER_IV, NULL) == 1 &&
           EVP_DecryptUpdate(t->context, NULL, &n, header, (int)t->clear) == 1 &&
           EVP_DecryptUpdate(t->context, area, &n, sealed, AREA_SIZE) == 1 &&
           EVP_CIPHER_CTX_ctrl(t->context, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, sealed + AREA_SIZE) ==
               1 &&
           EVP_DecryptFinal_ex(t->context, area, &n) == 1;
}

// For a wrong tag of the header with the right key.
static char *locate_in_header(const struct se_image *image, const unsigned char *header,
                              const unsigned char header_key[static 32])
{
    size_t size = image->header_size;
    cleanup_free unsigned char *copy = xmalloc(size);
    memcpy(copy, header, size);
    cleanup_cipher EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    struct header_trial t = {.context = context, .clear = size - AREA_SIZE - TAG_SIZE};
    char *place = NULL;
    if (!context || EVP_DecryptInit_ex2(context, EVP_aes_256_gcm(), header_key, NULL, NULL) != 1)
        return NULL;
    for (size_t i = 0; !place && i < 8 * size; i++) {
        unsigned char mask = (unsigned char)(1u << i % 8);
        copy[i / 8] ^= mask;
        if (header_fits(&t, copy))
            place = header_place(image, i / 8, mask);
        copy[i / 8] ^= mask;
    }
    ERR_clear_error();
    return place;
}

static bool slot_opens(EVP_PKEY *host, const unsigned char *point, const unsigned char *slot)
{
    unsigned char key[32];
    cleanup_pkey EVP_PKEY *customer = point_decode(point, NULL);
    bool opens = customer && slot_unwrap(host, customer, slot, key, NULL) == 1;
    OPENSSL_cleanse(key, sizeof key);
    return opens;
}

static char *locate_in_wrapping(const struct se_image *image, EVP_PKEY *host, uint64_t slot)
{
    static const unsigned char iv[12];
    cleanup_pkey EVP_PKEY *customer = point_decode(image->customer_key, NULL);
    unsigned char copy[SLOT_SIZE], kek[32], key[32];
    const struct gcm g = {.key = kek, .iv = iv};
    char *place = NULL;
    bool good = customer && derive_kek(host, customer, kek, NULL) == 0;
    memcpy(copy, image->slot[slot], sizeof copy);
    for (unsigned i = 8 * SLOT_WRAPPED; good && !place && i < 8 * SLOT_SIZE; i++) {
        unsigned char mask = (unsigned char)(1u << i % 8);
        copy[i / 8] ^= mask;
        if (gcm_decrypt(&g, copy + SLOT_WRAPPED, 32, key, copy + SLOT_TAG, NULL) == 1)
            place = header_place(image, HEADER_SLOT_LIST + slot * SLOT_SIZE + i / 8, mask);
        copy[i / 8] ^= mask;
    }
    OPENSSL_cleanse(kek, sizeof kek);
    OPENSSL_cleanse(key, sizeof key);
    return place;
}

// True if the two coordinates are a point of the curve: much faster than making a key.
static bool on_curve(const EC_GROUP *group, EC_POINT *point, const unsigned char *bytes)
{
    const size_t coordinate = POINT_SIZE / 2;
    BIGNUM *x = BN_bin2bn(bytes, (int)coordinate, NULL);
    BIGNUM *y = BN_bin2bn(bytes + coordinate, (int)coordinate, NULL);
    bool good = x && y && EC_POINT_set_affine_coordinates(group, point, x, y, NULL) == 1;
    BN_free(x);
    BN_free(y);
    return good;
}

// Almost no change of one bit leads from one point of the curve to another.
static char *locate_in_customer_key(const struct se_image *image, EVP_PKEY *host, uint64_t slot)
{
    unsigned char bytes[POINT_SIZE];
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_secp521r1);
    EC_POINT *point = group ? EC_POINT_new(group) : NULL;
    char *place = NULL;
    memcpy(bytes, image->customer_key, sizeof bytes);
    for (unsigned i = 0; point && !place && i < 8 * POINT_SIZE; i++) {
        unsigned char mask = (unsigned char)(1u << i % 8);
        bytes[i / 8] ^= mask;
        if (on_curve(group, point, bytes) && slot_opens(host, bytes, image->slot[slot]))
            place = header_place(image, HEADER_CUSTOMER_KEY + i / 8, mask);
        bytes[i / 8] ^= mask;
    }
    EC_POINT_free(point);
    EC_GROUP_free(group);
    ERR_clear_error();
    return place;
}

// For a wrong tag of key slot number `slot` of this host: the bit is in the slot, or in the
// customer key.
static char *locate_in_slot(const struct se_image *image, EVP_PKEY *host, uint64_t slot)
{
    char *place = locate_in_wrapping(image, host, slot);
    return place ? place : locate_in_customer_key(image, host, slot);
}

// For an image without this host's hash, if `*slot` opens with its key.
static char *locate_in_hash(const struct se_image *image, EVP_PKEY *host,
                            const unsigned char hash[static 32], uint64_t *slot)
{
    for (uint64_t s = 0; s < image->slots; s++) {
        if (!slot_opens(host, image->customer_key, image->slot[s]))
            continue;
        unsigned i = 0;
        while (i < 31 && image->slot[s][i] == hash[i])
            i++;
        *slot = s;
        return header_place(image, HEADER_SLOT_LIST + s * SLOT_SIZE + i,
                            image->slot[s][i] ^ hash[i]);
    }
    return NULL;
}

static bool tweaks_fit(const struct se_image *image)
{
    unsigned char digest[64], tweak[16];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestInit_ex(context, EVP_sha512(), NULL) == 1;
    for (size_t i = 0; good && i < image->component_count; i++)
        for (uint64_t at = 0; good && at < image->components[i].padded; at += SE_PAGE) {
            page_tweak(image->components[i].tweak, at, tweak);
            good = EVP_DigestUpdate(context, tweak, sizeof tweak) == 1;
        }
    good = good && EVP_DigestFinal_ex(context, digest, NULL) == 1 &&
           memcmp(digest, image->tld, sizeof digest) == 0;
    EVP_MD_CTX_free(context);
    return good;
}

char *locate_in_tweaks(const struct se_image *image)
{
    for (size_t c = 0; c < image->component_count; c++) {
        unsigned char *tweak = image->components[c].tweak;
        unsigned long long at = image->ipib_offset + IPIB_COMPONENTS + c * IPIB_ENTRY_SIZE;
        for (unsigned i = 0; i < 64; i++) {
            unsigned char mask = (unsigned char)(1u << i % 8);
            tweak[i / 8] ^= mask;
            bool fits = tweaks_fit(image);
            tweak[i / 8] ^= mask;
            if (fits)
                return xasprintf(
                    "byte 0x%llx, bit 0x%02x, in the tweak of component %zu in the IPIB",
                    at + i / 8, mask, c + 1);
        }
    }
    return NULL;
}

// ---- opening ----

// For a loader of a few pages and a command line; anything larger is invalid.
#define LOAD_MAX (1u << 20)

static int find_slot(const struct se_image *image, EVP_PKEY *host, const char *name, uint64_t *slot,
                     struct error **err)
{
    unsigned char hash[32];
    if (point_hash(host, hash, err) < 0)
        return -1;
    for (*slot = 0; *slot < image->slots; ++*slot)
        if (memcmp(image->slot[*slot] + SLOT_HASH, hash, sizeof hash) == 0)
            return 0;
    cleanup_free char *place = locate_in_hash(image, host, hash, slot);
    error_user(err, "%s: none of its %llu key slots is for this host key%s%s", name,
               (unsigned long long)image->slots,
               place ? ", but one opens with it: the header is damaged at " : "",
               place ? place : "");
    return place ? -1 : error_hint(err, "use the key whose document the image was sealed with");
}

static int open_slot(const struct se_image *image, EVP_PKEY *host, const char *name,
                     struct opened_header *out, struct error **err)
{
    if (find_slot(image, host, name, &out->slot, err) < 0)
        return -1;
    struct error *why = NULL;
    cleanup_pkey EVP_PKEY *customer = point_decode(image->customer_key, &why);
    int good =
        customer ? slot_unwrap(host, customer, image->slot[out->slot], out->header_key, err) : 0;
    if (good == 0) {
        cleanup_free char *place = locate_in_slot(image, host, out->slot);
        cleanup_free char *at = place ? xasprintf(" at %s", place) : xstrdup("");
        if (!customer)
            error_user(err, "%s: the customer key in the header is damaged: %s%s", name,
                       why->message, at);
        else
            error_user(err,
                       "%s: key slot %llu, or the customer key in the header, is damaged%s: the "
                       "slot's tag does not fit",
                       name, (unsigned long long)out->slot + 1, at);
        good = -1;
    }
    error_free(why);
    return good < 0 ? -1 : 0;
}

static int open_encrypted_area(const struct se_image *image, const unsigned char *header,
                               const char *name, const struct unlock_key *key,
                               struct opened_header *out, struct error **err)
{
    size_t clear = image->header_size - AREA_SIZE - TAG_SIZE;
    struct gcm g = {.key = out->header_key, .iv = image->iv, .aad = header, .aad_length = clear};
    int good = gcm_decrypt(&g, header + clear, AREA_SIZE, out->area, image->tag, err);
    if (good != 0)
        return good < 0 ? -1 : 0;
    cleanup_free char *place = locate_in_header(image, header, out->header_key);
    unsigned long long end = image->header_offset + image->header_size;
    error_user(err, "%s: the header, 0x%llx to 0x%llx, is damaged%s%s: its tag does not fit", name,
               (unsigned long long)image->header_offset, end, place ? " at " : "",
               place ? place : "");
    if (place)
        return -1;
    if (key->header_key)
        return error_hint(err, "or this is not the key that it was encrypted with");
    return error_hint(err, "more than one bit was changed: copy or build the image again");
}

int header_open(const struct se_image *image, const unsigned char *header, const char *name,
                const struct unlock_key *key, struct opened_header *out, struct error **err)
{
    out->slot = UINT64_MAX;
    if (key->header_key)
        memcpy(out->header_key, key->header_key, sizeof out->header_key);
    else if (open_slot(image, key->host, name, out, err) < 0)
        return -1;
    return open_encrypted_area(image, header, name, key, out, err);
}

void opened_wipe(struct opened_header *h)
{
    OPENSSL_cleanse(h, sizeof *h);
}

// The header is authentic here; a wrong value is from the tool that made the image.
int unlocked_take(struct unlocked *u, const struct opened_header *header, struct error **err)
{
    struct se_image *image = &u->image;
    const unsigned char *area = header->area;
    image->psw_mask = get_be64(area + AREA_PSW_MASK);
    image->psw_address = get_be64(area + AREA_PSW_ADDRESS);
    image->scf = get_be64(area + AREA_SCF);
    if (get_be32(area + AREA_ITEMS) != 0 || get_be32(area + AREA_RESERVED) != 0)
        return error_user(err, "%s: the header has optional items, and none are known", u->path);
    if (image->psw_mask != SE_PSW_MASK)
        return error_user(err, "%s: the header's PSW mask is 0x%llx", u->path,
                          (unsigned long long)image->psw_mask);
    for (size_t i = 0; i < image->component_count; i++)
        if (image->components[i].address == image->psw_address)
            image->stage3b = (int)i;
    if (image->stage3b < 0 || (size_t)image->stage3b + 1 != image->component_count)
        return error_user(err, "%s: the header's PSW leads to 0x%llx, not to the last component",
                          u->path, (unsigned long long)image->psw_address);
    u->xts = xts_new(area + AREA_XTS_KEY, false, err);
    if (!u->xts)
        return error_wrap(err, "%s", u->path);
    if (image->pcf & SE_PCF_NO_ENCRYPTION) {
        EVP_CIPHER_CTX_free(u->xts);
        u->xts = NULL;
    }
    return 0;
}

unsigned char *unlocked_load(const struct unlocked *u, int index, struct error **err)
{
    const struct se_component *c = &u->image.components[index];
    if (c->padded > LOAD_MAX) {
        error_user(err, "%s: component %d has %llu bytes, too many for what it is", u->path,
                   index + 1, (unsigned long long)c->padded);
        return NULL;
    }
    cleanup_free unsigned char *bytes = xmalloc(c->padded);
    if (read_at(u->fd, u->path, c->address, bytes, c->padded, err) < 0 ||
        (u->xts && xts_pages(u->xts, c->tweak, 0, bytes, c->padded, err) < 0))
        return NULL;
    return steal(bytes);
}

// Identifies the components, and their sizes without padding, by stage3b's arguments.
int unlocked_identify(struct unlocked *u, struct error **err)
{
    struct se_image *image = &u->image;
    struct se_component *c = &image->components[image->stage3b];
    cleanup_free unsigned char *blob = unlocked_load(u, image->stage3b, err);
    if (!blob)
        return -1;
    struct stage3b_arguments a;
    int index[3];
    size_t end = stage3b_arguments_find(blob, c->padded, image->components, image->component_count,
                                        &a, index);
    if (!end)
        return error_user(err, "%s: the arguments of stage3b do not fit the components", u->path);
    c->size = end;
    for (size_t i = 0; i < ARRAY_LEN(index); i++)
        if (index[i] >= 0)
            image->components[index[i]].size = a.part[i].size;
    image->kernel = index[PART_KERNEL];
    image->parameters = index[PART_COMMAND_LINE];
    image->initrd = index[PART_INITRD];
    image->opened = true;
    return 0;
}

static int unlock(const char *path, EVP_PKEY *host_key, struct unlocked *out, struct error **err)
{
    struct unlocked u = {.path = path};
    const struct unlock_key key = {.host = host_key};
    uint64_t size;
    u.fd = user_file_open(path, &size, err);
    if (u.fd < 0)
        return -1;
    cleanup_free unsigned char *header = NULL;
    cleanup_opened struct opened_header opened = {.slot = 0};
    int result = -1;
    // The header's tag comes before the digests, so that the message names the part that changed.
    if (image_parse(u.fd, path, &u.image, &header, err) == 0 &&
        header_open(&u.image, header, path, &key, &opened, err) == 0 &&
        unlocked_take(&u, &opened, err) == 0 && image_check(u.fd, path, &u.image, true, err) == 0)
        result = unlocked_identify(&u, err);
    if (result < 0)
        unlocked_free(&u);
    else
        *out = u;
    return result;
}

void unlocked_free(struct unlocked *u)
{
    cleanup_close_p(&u->fd);
    EVP_CIPHER_CTX_free(u->xts);
    se_image_free(&u->image);
    *u = (struct unlocked){.fd = -1};
}

// ---- the parts of an opened image ----

// All parts are complete before any gets its name, so that a failure leaves no part behind.
struct part_drafts {
    struct file_draft of[PARTS];
};

static void part_drafts_abandon(struct part_drafts *d)
{
    for (size_t i = 0; i < PARTS; i++)
        file_draft_abandon(&d->of[i]);
}
#define cleanup_part_drafts __attribute__((cleanup(part_drafts_abandon)))

static const char *const part_file_names[PARTS] = {
    [PART_KERNEL] = "kernel",
    [PART_COMMAND_LINE] = "cmdline",
    [PART_INITRD] = "initrd",
    [PART_STAGE3B] = "stage3b",
};

// Returns the command line, after checking that it has one NUL, at its end, and zeros behind.
static int read_command_line(const struct unlocked *u, char **out, struct error **err)
{
    const struct se_component *c = &u->image.components[u->image.parameters];
    cleanup_free unsigned char *bytes = unlocked_load(u, u->image.parameters, err);
    if (!bytes)
        return -1;
    if (c->size == 0 || strnlen((char *)bytes, c->padded) != c->size - 1 ||
        !all_zero(bytes + c->size, c->padded - c->size))
        return error_user(err, "%s: the kernel command line does not end in its only NUL byte",
                          u->path);
    *out = (char *)steal(bytes);
    return 0;
}

static int draft_part(const struct unlocked *u, int index, const char *path,
                      struct file_draft *draft, struct error **err)
{
    const struct se_component *c = &u->image.components[index];
    if (file_draft_begin(draft, path, err) < 0)
        return -1;
    struct component_target target = {
        .fd = draft->fd, .name = path, .keep = c->size, .zero_tail = true};
    if (index == u->image.parameters)
        target = (struct component_target){.fd = draft->fd, .name = path, .keep = c->size - 1};
    return component_decrypt(u->fd, u->path, c, u->xts, &target, err);
}

int se_open(const char *path, EVP_PKEY *host_key, const char *folder, struct se_opened *out,
            struct error **err)
{
    cleanup_unlocked struct unlocked u = {.fd = -1};
    cleanup_part_drafts struct part_drafts part_drafts = {
        {FILE_DRAFT_NONE, FILE_DRAFT_NONE, FILE_DRAFT_NONE, FILE_DRAFT_NONE}};
    cleanup_free char *command_line = NULL;
    if (unlock(path, host_key, &u, err) < 0)
        return -1;
    if (u.image.parameters >= 0 && read_command_line(&u, &command_line, err) < 0)
        return -1;
    if (make_directories(folder, 0700, err) < 0)
        return -1;
    const int index[PARTS] = {[PART_KERNEL] = u.image.kernel,
                              [PART_COMMAND_LINE] = u.image.parameters,
                              [PART_INITRD] = u.image.initrd,
                              [PART_STAGE3B] = u.image.stage3b};
    char *name[PARTS];
    int result = 0;
    for (size_t i = 0; i < PARTS; i++)
        name[i] = index[i] < 0 ? NULL : xasprintf("%s/%s", folder, part_file_names[i]);
    for (size_t i = 0; !result && i < PARTS; i++)
        if (name[i])
            result = draft_part(&u, index[i], name[i], &part_drafts.of[i], err);
    for (size_t i = 0; !result && i < PARTS; i++)
        if (name[i])
            result = file_draft_commit(&part_drafts.of[i], 0600, err);
    if (!result)
        *out = (struct se_opened){.kernel = steal(name[PART_KERNEL]),
                                  .initrd = steal(name[PART_INITRD]),
                                  .command_line = steal(command_line),
                                  .image = u.image};
    if (!result)
        u.image = (struct se_image){0}; // moved to the caller
    for (size_t i = 0; i < PARTS; i++)
        free(name[i]);
    return result;
}

void se_opened_free(struct se_opened *o)
{
    se_image_free(&o->image);
    free(o->kernel);
    free(o->initrd);
    free(o->command_line);
    *o = (struct se_opened){0};
}

// ---- an unsealed image (section 17) ----
// For an emulator, as the ultravisor would start it: components in clear at their addresses, and a
// short PSW that leads to stage3b.

// Copies a part that is not a component.
static int copy_range(int from, const char *name, int to, uint64_t at, uint64_t end,
                      struct error **err)
{
    unsigned char page[SE_PAGE];
    while (at < end) {
        size_t n = end - at < sizeof page ? (size_t)(end - at) : sizeof page;
        if (read_at(from, name, at, page, n, err) < 0 ||
            write_at(to, "the unsealed image", at, page, n, err) < 0)
            return -1;
        at += n;
    }
    return 0;
}

int se_write_unsealed(const char *path, EVP_PKEY *host_key, const char *out_path,
                      struct error **err)
{
    cleanup_unlocked struct unlocked u = {.fd = -1};
    cleanup_draft struct file_draft draft = FILE_DRAFT_NONE;
    if (unlock(path, host_key, &u, err) < 0 || file_draft_begin(&draft, out_path, err) < 0 ||
        copy_range(u.fd, path, draft.fd, 0, u.image.components[0].address, err) < 0)
        return -1;
    for (size_t i = 0; i < u.image.component_count; i++) {
        const struct se_component *c = &u.image.components[i];
        struct component_target target = {
            .fd = draft.fd, .name = out_path, .at = c->address, .keep = c->padded};
        if (component_decrypt(u.fd, path, c, u.xts, &target, err) < 0)
            return -1;
    }
    // In layout P the IPIB comes last.
    if (u.image.layout_p && copy_range(u.fd, path, draft.fd, u.image.ipib_offset,
                                       u.image.ipib_offset + u.image.ipib_size, err) < 0)
        return -1;
    unsigned char psw[8];
    put_be64(psw, short_psw(u.image.psw_address));
    if (write_at(draft.fd, out_path, 0, psw, sizeof psw, err) < 0)
        return -1;
    return file_draft_commit(&draft, 0600, err);
}
