// SPDX-License-Identifier: Apache-2.0
// Writes the IPL information block of an image, and reads and checks one.
#include "se/ipib.h"

#include "se/io.h"

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

// The block without its entries: what it must be, given the number of entries.
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
