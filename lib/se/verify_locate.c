// SPDX-License-Identifier: Apache-2.0
// Finds the single changed bit that explains why a tag or a digest of an image is wrong.
#include "se/verify_steps.h"

#include "base/memory.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>

static const struct {
    unsigned from;
    const char *name;
} fixed_fields[] = {
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

char *header_field(uint64_t slots, uint64_t offset)
{
    if (offset < HEADER_SLOT_LIST) {
        size_t i = ARRAY_LEN(fixed_fields);
        while (offset < fixed_fields[--i].from)
            ;
        return xstrdup(fixed_fields[i].name);
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

char *header_place(const struct se_image *image, uint64_t offset, unsigned char mask)
{
    unsigned long long at = image->header_offset + offset;
    cleanup_free char *field = header_field(image->slots, offset);
    return xasprintf("byte 0x%llx, bit 0x%02x, in %s", at, mask, field);
}

// ---- the header's tag ----

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

char *locate_in_header(const struct se_image *image, const unsigned char *header,
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

// ---- key slots ----

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

char *locate_in_slot(const struct se_image *image, EVP_PKEY *host, uint64_t slot)
{
    char *place = locate_in_wrapping(image, host, slot);
    return place ? place : locate_in_customer_key(image, host, slot);
}

char *locate_in_hash(const struct se_image *image, EVP_PKEY *host,
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

// ---- the IPIB ----

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
