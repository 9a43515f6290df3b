// SPDX-License-Identifier: Apache-2.0
// Computes the places of the parts of an image, and writes and finds the argument blocks of its
// loaders.
#include "se/layout.h"

const unsigned char se_header_magic[8] = {'I', 'B', 'M', 'S', 'e', 'c', 'E', 'x'};

int layout_plan(size_t stage3a_length, size_t hosts, struct layout *out, struct error **err)
{
    if (hosts == 0) {
        error_user(err, "no host key document given: nothing could start the image");
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
static void put_stage3a(uint64_t at, uint64_t header, uint64_t header_bytes, uint64_t ipib,
                        unsigned char out[static STAGE3A_ARGUMENTS])
{
    put_be64(out, header - at);
    put_be64(out + 8, header_bytes);
    put_be64(out + 16, ipib - at);
}

void stage3a_arguments(const struct layout *l, uint64_t header_bytes,
                       unsigned char out[static STAGE3A_ARGUMENTS])
{
    put_stage3a(l->arguments, l->header, header_bytes, l->ipib, out);
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
        put_stage3a(address + start, header, header_bytes, ipib, expected);
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
