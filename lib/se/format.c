// SPDX-License-Identifier: Apache-2.0
// Builds, parses and checks the structures of an image: layout, short PSW, argument blocks of the
// loaders, PV header and IPIB.
#include "se/format.h"

#include "base/libcrypto.h"
#include "se/internal.h"

// ---- layout and argument blocks (sections 3, 4, 6) ----

const unsigned char se_header_magic[8] = {'I', 'B', 'M', 'S', 'e', 'c', 'E', 'x'};

int layout_plan(size_t stage3a_length, size_t hosts, struct layout *out, struct error **err)
{
    if (hosts == 0) {
        error_user(err, "no host key document given: no machine could start the image");
        return error_hint(err, "name at least one; `kbuild se test-key DIR` makes one for tests");
    }
    if (hosts > SE_MAX_HOST_KEYS)
        return error_user(err,
                          "%zu host key documents are too many: the header would have %llu bytes, "
                          "and the limit is %u (%u documents)",
                          hosts, (unsigned long long)header_size(hosts), HEADER_MAX,
                          SE_MAX_HOST_KEYS);
    uint64_t end = SE_LOADER_ADDRESS + (uint64_t)stage3a_length;
    if (end <= SE_LOADER_LIMIT - SE_PAGE || end > SE_LOADER_LIMIT)
        return error_user(err,
                          "the loader stage3a has %zu bytes; it must have more than %u and at most "
                          "%u, so that the header lies where tools look for it",
                          stage3a_length, SE_LOADER_LIMIT - SE_PAGE - SE_LOADER_ADDRESS,
                          SE_LOADER_LIMIT - SE_LOADER_ADDRESS);
    out->arguments = end - STAGE3A_ARGUMENTS;
    out->ipib = page_up(end);
    out->header = out->ipib + SE_PAGE;
    out->components = out->header + page_up(header_size(hosts));
    return 0;
}

uint64_t short_psw(uint64_t entry)
{
    return SE_PSW_MASK | SE_SHORT_PSW_BIT12 | entry;
}

// All distances are relative to the block itself, and wrap around: the code is position
// independent.
static void stage3a_put(uint64_t at, uint64_t header, uint64_t header_bytes, uint64_t ipib,
                        unsigned char out[static STAGE3A_ARGUMENTS])
{
    put_be64(out, header - at);
    put_be64(out + 8, header_bytes);
    put_be64(out + 16, ipib - at);
}

void stage3a_arguments(const struct layout *l, uint64_t header_bytes,
                       unsigned char out[static STAGE3A_ARGUMENTS])
{
    stage3a_put(l->arguments, l->header, header_bytes, l->ipib, out);
}

uint64_t stage3a_arguments_find(const unsigned char *bytes, size_t length, uint64_t address,
                                uint64_t header, uint64_t header_bytes, uint64_t ipib)
{
    // The last match counts. Searches first for the bytes that do not depend on the place.
    unsigned char middle[8];
    put_be64(middle, header_bytes);
    uint64_t found = 0;
    const unsigned char *end = bytes + length, *p = bytes + sizeof middle;
    for (; p < end && (p = memmem(p, (size_t)(end - p), middle, sizeof middle)); p++) {
        unsigned char expected[STAGE3A_ARGUMENTS];
        size_t start = (size_t)(p - bytes) - sizeof middle;
        if (start + sizeof expected > length)
            break;
        stage3a_put(address + start, header, header_bytes, ipib, expected);
        if (memcmp(bytes + start, expected, sizeof expected) == 0)
            found = address + start;
    }
    return found;
}

void stage3b_arguments_put(const struct stage3b_arguments *a,
                           unsigned char out[static STAGE3B_ARGUMENTS])
{
    for (size_t i = 0; i < ARRAY_LEN(a->part); i++) {
        put_be64(out + 16 * i, a->part[i].address);
        put_be64(out + 16 * i + 8, a->part[i].size);
    }
    put_be64(out + 48, a->psw_mask);
    put_be64(out + 56, a->psw_address);
}

// The component that starts at `address` and holds `size` bytes, or -1.
static int component_at(const struct se_component *components, size_t count, uint64_t address,
                        uint64_t size)
{
    for (size_t i = 0; i < count; i++)
        if (components[i].address == address && size <= components[i].padded &&
            padded_size(size) == components[i].padded)
            return (int)i;
    return -1;
}

// True if the block at `p` describes these components: each of them but the last (stage3b itself)
// exactly once.
static bool stage3b_block_fits(const unsigned char *p, const struct se_component *components,
                               size_t count, struct stage3b_arguments *out, int index[static 3])
{
    size_t found = 0;
    for (size_t i = 0; i < ARRAY_LEN(out->part); i++) {
        uint64_t address = get_be64(p + 16 * i), size = get_be64(p + 16 * i + 8);
        out->part[i].address = address;
        out->part[i].size = size;
        index[i] = -1;
        if (address == 0 && size == 0)
            continue;
        index[i] = component_at(components, count - 1, address, size);
        if (index[i] < 0)
            return false;
        for (size_t j = 0; j < i; j++)
            if (index[j] == index[i])
                return false;
        found++;
    }
    out->psw_mask = get_be64(p + 48);
    out->psw_address = get_be64(p + 56);
    return index[PART_KERNEL] >= 0 && found == count - 1 && out->psw_mask == SE_PSW_MASK;
}

size_t stage3b_arguments_find(const unsigned char *stage3b, size_t length,
                              const struct se_component *components, size_t count,
                              struct stage3b_arguments *out, int index[static 3])
{
    size_t last = length;
    while (last && !stage3b[last - 1])
        last--;
    // The PSW mask is not zero, so at most its last three bytes and the address are: 11 bytes.
    for (size_t end = last; end <= last + 11 && end <= length; end++)
        if (end >= STAGE3B_ARGUMENTS &&
            stage3b_block_fits(stage3b + end - STAGE3B_ARGUMENTS, components, count, out, index))
            return end;
    return 0;
}

// ---- PV header (section 8) ----

static void header_put_clear(const struct header_input *in, unsigned char *out)
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

static void header_put_area(const struct header_input *in, unsigned char area[static AREA_SIZE])
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
    header_put_clear(in, out);
    if (point_encode(s->customer, out + HEADER_CUSTOMER_KEY, err) < 0)
        return -1;
    unsigned char *end = out + HEADER_SLOT_LIST;
    for (size_t i = 0; i < in->host_count; i++, end += SLOT_SIZE)
        if (slot_wrap(s->customer, in->hosts[i].key, s->header_key, end, err) < 0)
            return error_wrap(err, "%s", in->hosts[i].path);
    // The bytes before the encrypted area are final now, and are authenticated with it.
    unsigned char area[AREA_SIZE];
    header_put_area(in, area);
    struct gcm g = {
        .key = s->header_key, .iv = s->header_iv, .aad = out, .aad_length = (size_t)(end - out)};
    int result = gcm_encrypt(&g, area, sizeof area, end, end + AREA_SIZE, err);
    OPENSSL_cleanse(area, sizeof area);
    return result;
}

static int header_damaged(struct error **err, const char *name, const struct se_image *image,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));
static int header_damaged(struct error **err, const char *name, const struct se_image *image,
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
static int header_check_sizes(const char *name, uint64_t size, const struct se_image *image,
                              struct error **err)
{
    uint64_t least = header_size(1), phs = image->header_size;
    if (phs > HEADER_MAX || phs < least)
        return header_damaged(err, name, image, "its size is %llu bytes, not between %llu and %u",
                              (unsigned long long)phs, (unsigned long long)least, HEADER_MAX);
    if (image->encrypted_size != AREA_SIZE)
        return header_damaged(err, name, image, "its encrypted area has %llu bytes, not %u",
                              (unsigned long long)image->encrypted_size, AREA_SIZE);
    // One changed bit never gives another possible size, so it shows which of the two is wrong.
    if (image->slots == 0 || image->slots > SE_MAX_HOST_KEYS || phs != header_size(image->slots))
        return header_damaged(
            err, name, image, "%s: %llu key slots do not fit its size, %llu bytes",
            (phs - least) % SLOT_SIZE ? "its size is wrong" : "its number of key slots is wrong",
            (unsigned long long)image->slots, (unsigned long long)phs);
    if (image->header_offset > size || phs > size - image->header_offset)
        return header_damaged(err, name, image, "it goes beyond the end of the file");
    return 0;
}

static void header_parse(const unsigned char *h, struct se_image *image)
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
        return header_damaged(err, name, image, "it does not begin with IBMSecEx");
    image->version = get_be32(fixed + HEADER_VERSION);
    if (image->version != HEADER_VERSION_1)
        return header_damaged(err, name, image, "its version is 0x%x, and only 0x100 is known",
                              image->version);
    image->header_size = get_be32(fixed + HEADER_SIZE);
    image->slots = get_be64(fixed + HEADER_SLOTS);
    image->encrypted_size = get_be64(fixed + HEADER_ENCRYPTED_SIZE);
    if (get_be32(fixed + HEADER_RESERVED) != 0)
        return header_damaged(err, name, image, "its reserved field is not zero");
    if (header_check_sizes(name, size, image, err) < 0)
        return -1;
    cleanup_free unsigned char *all = xmalloc(image->header_size);
    if (read_at(fd, name, image->header_offset, all, image->header_size, err) < 0)
        return -1;
    header_parse(all, image);
    if (bytes)
        *bytes = steal(all);
    return 0;
}

// ---- IPIB (section 5) ----

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
static void ipib_expected_head(const struct se_image *image, size_t count,
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
} ipib_fields[] = {
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

static int ipib_check_head(const char *name, const struct se_image *image,
                           const unsigned char *head, size_t count, struct error **err)
{
    unsigned char expected[IPIB_COMPONENTS];
    ipib_expected_head(image, count, expected);
    for (size_t i = 0; i < ARRAY_LEN(ipib_fields); i++)
        if (memcmp(head + ipib_fields[i].from, expected + ipib_fields[i].from,
                   ipib_fields[i].to - ipib_fields[i].from) != 0)
            return error_user(err, "%s: the IPIB at 0x%llx is damaged: %s is wrong", name,
                              (unsigned long long)image->ipib_offset, ipib_fields[i].what);
    return 0;
}

static int component_error(struct error **err, const char *name, size_t i, const char *why)
{
    return error_user(err, "%s: component %zu in the IPIB %s", name, i + 1, why);
}

// Entries are in the order of their addresses. In layout G they follow each other without gaps.
static int ipib_check_components(const char *name, uint64_t size, const struct se_image *image,
                                 struct error **err)
{
    uint64_t next = image->header_offset + page_up(image->header_size), pages = 0;
    for (size_t i = 0; i < image->component_count; i++) {
        const struct se_component *c = &image->components[i];
        if (c->address % SE_PAGE || c->padded % SE_PAGE || c->padded == 0)
            return component_error(err, name, i, "is not made of whole pages");
        if (c->address < next)
            return component_error(err, name, i, "overlaps what lies before it");
        if (!image->layout_p && c->address != next)
            return component_error(err, name, i, "does not begin where the one before it ends");
        if (c->address > size || c->padded > size - c->address)
            return component_error(err, name, i, "goes beyond the end of the file");
        if (i && memcmp(c->tweak, c[-1].tweak, sizeof c->tweak) <= 0)
            return component_error(err, name, i,
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
    if (ipib_check_head(name, image, page, count, err) < 0)
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
    return ipib_check_components(name, size, image, err);
}
