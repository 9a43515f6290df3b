// SPDX-License-Identifier: Apache-2.0
// Builds and parses the PV header and the IPIB of a Secure Execution image.
#include "se/header.h"

#include "se/checks.h"

#include <openssl/crypto.h>

// Copies a given value, or draws one at random.
static int take(void *out, const void *given, size_t length, struct error **err)
{
    if (!given)
        return random_secret(out, length, err);
    memcpy(out, given, length);
    return 0;
}

int secrets_draw(struct secrets *s, const struct se_keys *keys, const struct se_fixed *fixed,
                 struct error **err)
{
    static const struct se_fixed nothing;
    const struct se_fixed *f = fixed ? fixed : &nothing;
    if (take(s->xts_key, keys->xts_key, sizeof s->xts_key, err) < 0 ||
        take(s->cck, keys->cck, sizeof s->cck, err) < 0 ||
        take(s->header_key, keys->header_key, sizeof s->header_key, err) < 0 ||
        take(s->header_iv, f->header_iv, sizeof s->header_iv, err) < 0 ||
        take(s->tweaks, f->tweaks, sizeof s->tweaks, err) < 0)
        return -1;
    s->customer = f->customer_key;
    if (s->customer && EVP_PKEY_up_ref(s->customer) != 1) {
        s->customer = NULL;
        return crypto_error(err, "using the given customer key");
    }
    if (!s->customer)
        s->customer = p521_generate(err);
    return s->customer ? 0 : -1;
}

void secrets_wipe(struct secrets *s)
{
    EVP_PKEY_free(s->customer); // OpenSSL wipes its private part
    OPENSSL_cleanse(s, sizeof *s);
}

static void put_fixed_part(const struct header_input *in, unsigned char *out)
{
    memcpy(out + HEADER_MAGIC, se_header_magic, sizeof se_header_magic);
    put_be32(out + HEADER_VERSION, HEADER_VERSION_1);
    put_be32(out + HEADER_SIZE, (uint32_t)header_size(in->host_count));
    memcpy(out + HEADER_IV, in->secrets->header_iv, sizeof in->secrets->header_iv);
    put_be32(out + HEADER_RESERVED, 0);
    put_be64(out + HEADER_SLOTS, in->host_count);
    put_be64(out + HEADER_ENCRYPTED_SIZE, AREA_SIZE);
    put_be64(out + HEADER_PAGES, in->pages);
    put_be64(out + HEADER_PCF, in->pcf);
    memcpy(out + HEADER_PLD, in->pld, sizeof in->pld);
    memcpy(out + HEADER_ALD, in->ald, sizeof in->ald);
    memcpy(out + HEADER_TLD, in->tld, sizeof in->tld);
}

static void put_area(const struct header_input *in, unsigned char area[static AREA_SIZE])
{
    memset(area, 0, AREA_SIZE);
    memcpy(area + AREA_CCK, in->secrets->cck, sizeof in->secrets->cck);
    memcpy(area + AREA_XTS_KEY, in->secrets->xts_key, sizeof in->secrets->xts_key);
    put_be64(area + AREA_PSW_MASK, SE_PSW_MASK);
    put_be64(area + AREA_PSW_ADDRESS, in->psw_address);
    put_be64(area + AREA_SCF, in->scf);
}

int header_build(const struct header_input *in, unsigned char *out, struct error **err)
{
    const struct secrets *s = in->secrets;
    put_fixed_part(in, out);
    if (point_encode(s->customer, out + HEADER_CUSTOMER_KEY, err) < 0)
        return -1;
    unsigned char *end = out + HEADER_SLOT_LIST;
    for (size_t i = 0; i < in->host_count; i++, end += SLOT_SIZE)
        if (slot_wrap(s->customer, in->hosts[i].key, s->header_key, end, err) < 0)
            return error_wrap(err, "%s", in->hosts[i].path);
    // The bytes before the encrypted area are final now, and are authenticated with it.
    unsigned char area[AREA_SIZE];
    put_area(in, area);
    struct gcm g = {
        .key = s->header_key, .iv = s->header_iv, .aad = out, .aad_length = (size_t)(end - out)};
    int result = gcm_encrypt(&g, area, sizeof area, end, end + AREA_SIZE, err);
    OPENSSL_cleanse(area, sizeof area);
    return result;
}

static int damaged(struct error **err, const char *name, const struct se_image *image,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));
static int damaged(struct error **err, const char *name, const struct se_image *image,
                   const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *why = xvasprintf(format, args);
    va_end(args);
    return error_user(err, "%s: the header at 0x%llx is damaged: %s", name,
                      (unsigned long long)image->header_offset, why);
}

// Checks the header's size fields before any of them is used to allocate or multiply.
static int check_sizes(const char *name, uint64_t size, const struct se_image *image,
                       struct error **err)
{
    uint64_t least = header_size(1), phs = image->header_size;
    if (phs > HEADER_MAX || phs < least)
        return damaged(err, name, image, "its size is %llu bytes, not between %llu and %u",
                       (unsigned long long)phs, (unsigned long long)least, HEADER_MAX);
    if (image->encrypted_size != AREA_SIZE)
        return damaged(err, name, image, "its encrypted area has %llu bytes, not %u",
                       (unsigned long long)image->encrypted_size, AREA_SIZE);
    // One changed bit never gives another possible size, so it shows which of the two is wrong.
    if (image->slots == 0 || image->slots > SE_MAX_HOST_KEYS || phs != header_size(image->slots))
        return damaged(err, name, image, "%s: %llu key slots do not fit its size, %llu bytes",
                       (phs - least) % SLOT_SIZE ? "its size is wrong"
                                                 : "its number of key slots is wrong",
                       (unsigned long long)image->slots, (unsigned long long)phs);
    if (image->header_offset > size || phs > size - image->header_offset)
        return damaged(err, name, image, "it goes beyond the end of the file");
    return 0;
}

static void take_apart(const unsigned char *h, struct se_image *image)
{
    memcpy(image->iv, h + HEADER_IV, sizeof image->iv);
    memcpy(image->customer_key, h + HEADER_CUSTOMER_KEY, sizeof image->customer_key);
    memcpy(image->pld, h + HEADER_PLD, sizeof image->pld);
    memcpy(image->ald, h + HEADER_ALD, sizeof image->ald);
    memcpy(image->tld, h + HEADER_TLD, sizeof image->tld);
    image->pages = get_be64(h + HEADER_PAGES);
    image->pcf = get_be64(h + HEADER_PCF);
    image->slot = xcalloc(image->slots, SLOT_SIZE);
    memcpy(image->slot, h + HEADER_SLOT_LIST, image->slots * SLOT_SIZE);
    memcpy(image->tag, h + image->header_size - TAG_SIZE, TAG_SIZE);
}

int header_read(int fd, const char *name, uint64_t size, struct se_image *image,
                unsigned char **bytes, struct error **err)
{
    unsigned char fixed[HEADER_SLOT_LIST];
    if (image->header_offset > size || size - image->header_offset < sizeof fixed)
        return error_user(err, "%s: the header at 0x%llx is cut off", name,
                          (unsigned long long)image->header_offset);
    if (read_at(fd, name, image->header_offset, fixed, sizeof fixed, err) < 0)
        return -1;
    if (memcmp(fixed, se_header_magic, sizeof se_header_magic) != 0)
        return damaged(err, name, image, "it does not begin with IBMSecEx");
    image->version = get_be32(fixed + HEADER_VERSION);
    if (image->version != HEADER_VERSION_1)
        return damaged(err, name, image, "its version is 0x%x, and only 0x100 is known",
                       image->version);
    image->header_size = get_be32(fixed + HEADER_SIZE);
    image->slots = get_be64(fixed + HEADER_SLOTS);
    image->encrypted_size = get_be64(fixed + HEADER_ENCRYPTED_SIZE);
    if (get_be32(fixed + HEADER_RESERVED) != 0)
        return damaged(err, name, image, "its reserved field is not zero");
    if (check_sizes(name, size, image, err) < 0)
        return -1;
    cleanup_free unsigned char *all = xmalloc(image->header_size);
    if (read_at(fd, name, image->header_offset, all, image->header_size, err) < 0)
        return -1;
    take_apart(all, image);
    if (bytes)
        *bytes = steal(all);
    return 0;
}

// ---- ipib ----
// Writes the IPL information block of an image, and reads and checks one.

#define BLOCK_OFFSET 8u // block 0 counts its length from here

static size_t ipib_bytes(size_t count)
{
    return IPIB_COMPONENTS + count * IPIB_ENTRY_SIZE;
}

void ipib_build(const struct se_component *components, size_t count, uint64_t header_bytes,
                unsigned char out[static SE_PAGE])
{
    memset(out, 0, SE_PAGE);
    put_be32(out + IPIB_LENGTH, SE_PAGE);
    out[IPIB_LIST_VERSION] = 1;
    put_be32(out + IPIB_BLOCK_LENGTH, (uint32_t)ipib_bytes(count) - BLOCK_OFFSET);
    out[IPIB_BLOCK_TYPE] = IPIB_TYPE_PV;
    put_be32(out + IPIB_COUNT, (uint32_t)count);
    put_be64(out + IPIB_HEADER_SIZE, header_bytes);
    for (size_t i = 0; i < count; i++) {
        unsigned char *entry = out + ipib_bytes(i);
        memcpy(entry, components[i].tweak, 8);
        put_be64(entry + 8, components[i].address);
        put_be64(entry + 16, components[i].padded);
    }
}

// The expected block without its entries, for this number of entries.
static void expected_head(const struct se_image *image, size_t count,
                          unsigned char out[static IPIB_COMPONENTS])
{
    unsigned char page[SE_PAGE];
    ipib_build(NULL, 0, image->header_size, page);
    put_be32(page + IPIB_COUNT, (uint32_t)count);
    put_be32(page + IPIB_BLOCK_LENGTH, (uint32_t)ipib_bytes(count) - BLOCK_OFFSET);
    if (image->layout_p) {
        put_be32(page + IPIB_LENGTH, (uint32_t)ipib_bytes(count));
        page[IPIB_PV_VERSION] = 1;
        put_be64(page + IPIB_HEADER_ADDRESS, image->header_offset);
    }
    memcpy(out, page, IPIB_COMPONENTS);
}

static const struct {
    unsigned from, to;
    const char *what;
} fields[] = {
    {IPIB_LENGTH, IPIB_FLAGS, "its length"},
    {IPIB_FLAGS, IPIB_LIST_VERSION, "its flags"},
    {IPIB_LIST_VERSION, IPIB_BLOCK_LENGTH, "its list version"},
    {IPIB_BLOCK_LENGTH, IPIB_BLOCK_TYPE, "the length of block 0"},
    {IPIB_BLOCK_TYPE, IPIB_BLOCK_TYPE + 1, "the type of block 0"},
    {IPIB_BLOCK_TYPE + 1, IPIB_PV_VERSION, "the load parameter or a reserved field"},
    {IPIB_PV_VERSION, IPIB_PV_VERSION + 1, "the version of the PV block"},
    {IPIB_PV_VERSION + 1, IPIB_COUNT, "a reserved field"},
    {IPIB_COUNT, IPIB_HEADER_ADDRESS, "the number of components"},
    {IPIB_HEADER_ADDRESS, IPIB_HEADER_SIZE, "the header's address"},
    {IPIB_HEADER_SIZE, IPIB_COMPONENTS, "the header's size"},
};

static int check_head(const char *name, const struct se_image *image, const unsigned char *head,
                      size_t count, struct error **err)
{
    unsigned char expected[IPIB_COMPONENTS];
    expected_head(image, count, expected);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (memcmp(head + fields[i].from, expected + fields[i].from,
                   fields[i].to - fields[i].from) != 0)
            return error_user(err, "%s: the IPIB at 0x%llx is damaged: %s is wrong", name,
                              (unsigned long long)image->ipib_offset, fields[i].what);
    return 0;
}

static int bad_component(struct error **err, const char *name, size_t i, const char *why)
{
    return error_user(err, "%s: component %zu in the IPIB %s", name, i + 1, why);
}

// Entries are in the order of their addresses. In layout G they follow each other without gaps.
static int check_components(const char *name, uint64_t size, const struct se_image *image,
                            struct error **err)
{
    uint64_t next = image->header_offset + page_up(image->header_size), pages = 0;
    for (size_t i = 0; i < image->component_count; i++) {
        const struct se_component *c = &image->components[i];
        if (c->address % SE_PAGE || c->padded % SE_PAGE || c->padded == 0)
            return bad_component(err, name, i, "is not made of whole pages");
        if (c->address < next)
            return bad_component(err, name, i, "overlaps what lies before it");
        if (!image->layout_p && c->address != next)
            return bad_component(err, name, i, "does not begin where the one before it ends");
        if (c->address > size || c->padded > size - c->address)
            return bad_component(err, name, i, "goes beyond the end of the file");
        if (i && memcmp(c->tweak, c[-1].tweak, sizeof c->tweak) <= 0)
            return bad_component(err, name, i,
                                 "has a tweak that is not larger than the one before");
        next = c->address + c->padded;
        pages += c->padded / SE_PAGE;
    }
    if (pages != image->pages)
        return error_user(err, "%s: the header counts %llu component pages, the IPIB %llu", name,
                          (unsigned long long)image->pages, (unsigned long long)pages);
    uint64_t end = image->layout_p ? image->ipib_offset + image->ipib_size : next;
    if (image->layout_p && image->ipib_offset < next)
        return error_user(err, "%s: the IPIB overlaps a component", name);
    if (end != size)
        return error_user(err, "%s: %llu bytes follow the end of the image", name,
                          (unsigned long long)(size - end));
    return 0;
}

int ipib_read(int fd, const char *name, uint64_t size, struct se_image *image, struct error **err)
{
    unsigned char page[SE_PAGE] = {0};
    if (!image->layout_p) {
        if (image->header_offset < SE_LOADER_ADDRESS + 2 * SE_PAGE)
            return error_user(err,
                              "%s: the header at 0x%llx leaves no room for a loader and an IPIB",
                              name, (unsigned long long)image->header_offset);
        image->ipib_offset = image->header_offset - SE_PAGE;
    }
    if (image->ipib_offset % SE_PAGE || image->ipib_offset > size ||
        size - image->ipib_offset < IPIB_COMPONENTS + IPIB_ENTRY_SIZE)
        return error_user(err, "%s: there is no whole IPIB at 0x%llx", name,
                          (unsigned long long)image->ipib_offset);
    uint64_t room = size - image->ipib_offset;
    if (read_at(fd, name, image->ipib_offset, page, room < SE_PAGE ? room : SE_PAGE, err) < 0)
        return -1;
    uint32_t count = get_be32(page + IPIB_COUNT);
    if (count == 0 || count > IPIB_MAX_COMPONENTS || ipib_bytes(count) > room)
        return error_user(err, "%s: the IPIB at 0x%llx is damaged: it lists %u components", name,
                          (unsigned long long)image->ipib_offset, count);
    if (check_head(name, image, page, count, err) < 0)
        return -1;
    image->ipib_size = image->layout_p ? ipib_bytes(count) : SE_PAGE;
    if (!all_zero(page + ipib_bytes(count), image->layout_p ? 0 : SE_PAGE - ipib_bytes(count)))
        return error_user(err,
                          "%s: the IPIB at 0x%llx is damaged: something follows its last entry",
                          name, (unsigned long long)image->ipib_offset);
    image->components = xcalloc(count, sizeof *image->components);
    image->component_count = count;
    for (size_t i = 0; i < count; i++) {
        const unsigned char *entry = page + ipib_bytes(i);
        struct se_component *c = &image->components[i];
        memcpy(c->tweak, entry, 8);
        c->address = get_be64(entry + 8);
        c->padded = get_be64(entry + 16);
        c->size = UINT64_MAX;
    }
    return check_components(name, size, image, err);
}
