// SPDX-License-Identifier: Apache-2.0
// The loaders that no digest, or only a digest over everything, covers: known if they are our own.
#include "loader/stages.h"
#include "se/io.h"
#include "se/layout.h"
#include "se/verify_steps.h"

// So many bytes may differ for a loader to be ours, damaged, and not somebody else's. A flipped bit
// in an encrypted block changes all 16 of its bytes.
#define FEW 32u

struct template
{
    const unsigned char *bytes;
    size_t length;
};

static struct template own(const unsigned char *start, const unsigned char *end)
{
    return (struct template){start, stage_length(start, end)};
}

static size_t count_differences(const unsigned char *a, const unsigned char *b, size_t length,
                                size_t *first)
{
    size_t n = 0;
    for (size_t i = length; i-- > 0;)
        if (a[i] != b[i]) {
            *first = i;
            n++;
        }
    return n;
}

// The record's digest, over the code without arguments.
static int check_recorded(const struct verification *v, bool same_as_own, struct error **err)
{
    const struct seal_part *p = &v->record.inputs.part[SEAL_STAGE3A];
    struct seal_part found = {0};
    if (p->size > SE_LOADER_LIMIT - SE_LOADER_ADDRESS)
        return error_user(err, "%s: its stage3a is too large", v->proof->record);
    cleanup_free unsigned char *code = xmalloc(p->size + 1);
    if (read_at(v->u.fd, v->name, SE_LOADER_ADDRESS, code, p->size, err) < 0 ||
        seal_part_of_bytes(code, p->size, &found, err) < 0)
        return -1;
    if (memcmp(found.sha512, p->sha512, sizeof p->sha512) == 0)
        return 0;
    return error_user(err, "%s: the loader stage3a, from 0x%x on, is %s", v->name,
                      SE_LOADER_ADDRESS,
                      same_as_own ? "this program's, but not the one that was sealed"
                                  : "not the one that was sealed");
}

int loader_check(struct verification *v, struct error **err)
{
    const struct template t = own(stage3a_start, stage3a_end);
    const size_t length = t.length - STAGE3A_ARGUMENTS;
    cleanup_free unsigned char *code = xmalloc(length);
    if (read_at(v->u.fd, v->name, SE_LOADER_ADDRESS, code, length, err) < 0)
        return -1;
    size_t first = 0, n = count_differences(code, t.bytes, length, &first);
    if (n > 0 && n <= FEW)
        return error_user(err,
                          "%s: the loader stage3a is damaged at byte 0x%llx, bit 0x%02x (%zu bytes "
                          "differ from this program's own)",
                          v->name, (unsigned long long)SE_LOADER_ADDRESS + first,
                          code[first] ^ t.bytes[first], n);
    if (v->has_record) {
        if (check_recorded(v, n == 0, err) < 0)
            return -1;
        strlist_add(v->done, "loader: stage3a is the one of the seal record");
    } else if (n == 0) {
        strlist_add(v->done, "loader: stage3a is this program's own");
    } else {
        strlist_add(v->done, "not checked: the loader stage3a, which nothing protects and which is "
                             "not this program's own (a change can only keep the image from "
                             "starting)");
    }
    return 0;
}

// The size that a part has without padding, NUL included: by what it was made of, by the record, or
// by what stage3b says (0: unknown).
static uint64_t part_size(const struct verification *v, enum part part, uint64_t said)
{
    static const enum se_original_kind original[] = {[PART_KERNEL] = SE_ORIGINAL_KERNEL,
                                                     [PART_COMMAND_LINE] = SE_ORIGINAL_COMMAND_LINE,
                                                     [PART_INITRD] = SE_ORIGINAL_INITRD};
    static const enum seal_part_name recorded[] = {[PART_KERNEL] = SEAL_KERNEL,
                                                   [PART_COMMAND_LINE] = SEAL_COMMAND_LINE,
                                                   [PART_INITRD] = SEAL_INITRD};
    const struct se_original *o = &v->originals->of[original[part]];
    uint64_t nul = part == PART_COMMAND_LINE;
    if (v->intact)
        return said;
    if (v->has_record)
        return v->record.inputs.part[recorded[part]].size + nul;
    return o->fd >= 0 ? o->size + nul : said;
}

unsigned char *loader_expected(struct verification *v, size_t *length)
{
    const struct template t = own(stage3b_start, stage3b_end);
    const struct se_image *image = &v->u.image;
    const struct se_component *c = &image->components[image->stage3b];
    if (c->padded != page_up(t.length))
        return NULL;
    cleanup_free unsigned char *found = unlocked_load(&v->u, image->stage3b, NULL);
    size_t first = 0, code = t.length - STAGE3B_ARGUMENTS;
    if (!found || count_differences(found, t.bytes, code, &first) > FEW)
        return NULL;
    struct stage3b_arguments said = {.psw_address = SE_KERNEL_ENTRY}, a = {.psw_mask = SE_PSW_MASK};
    int index[3];
    if (!stage3b_arguments_find(found, c->padded, image->components, image->component_count, &said,
                                index))
        said = (struct stage3b_arguments){.psw_address = SE_KERNEL_ENTRY};
    a.psw_address = v->intact       ? said.psw_address
                    : v->has_record ? v->record.inputs.psw_address
                                    : SE_KERNEL_ENTRY;
    for (size_t i = 0; i < image->component_count; i++) {
        int part = component_part(image, i);
        if (part < 0 || part == PART_STAGE3B)
            continue;
        a.part[part].address = image->components[i].address;
        a.part[part].size = part_size(v, (enum part)part, said.part[part].size);
    }
    unsigned char *expected = xmalloc(t.length);
    memcpy(expected, t.bytes, t.length);
    stage3b_arguments_put(&a, expected + code);
    *length = t.length;
    return expected;
}
