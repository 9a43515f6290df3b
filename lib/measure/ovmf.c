// SPDX-License-Identifier: Apache-2.0
// Reads OVMF's table of what matters to whoever starts it, and its SEV metadata.
#include "measure/ovmf.h"

#include "measure/measure.h"

#include <string.h>

#define TABLE_END 32u // bytes between the table and the end of the image
#define ENTRY_TAIL (2u + GUID_SIZE)
#define METADATA_HEAD 16u
#define SECTION_SIZE 12u

static const unsigned char footer_guid[GUID_SIZE] =
    GUID(0x96b582de, 0x1fb2, 0x45f7, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d);

int snp_firmware_error(struct error **err, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *why = xvasprintf(format, args);
    va_end(args);
    return error_user(err, "reading firmware %s: %s", name, why);
}

// ---- SEV metadata ----

const unsigned char *snp_firmware_metadata(const char *name, const struct snp_firmware *f,
                                           const char *what, uint32_t distance, struct error **err)
{
    if (distance >= METADATA_HEAD && distance <= f->size)
        return f->bytes + f->size - distance;
    snp_firmware_error(
        err, name,
        "its table puts the %s metadata %u bytes before the end, and it has %llu: it is "
        "damaged or cut off at the start",
        what, distance, (unsigned long long)f->size);
    return NULL;
}

static int check_section(const struct snp_firmware *f, const char *name,
                         const struct snp_section *s, struct error **err)
{
    bool single = s->type == SNP_SECRETS || s->type == SNP_CPUID || s->type == SNP_KERNEL_HASHES;
    uint64_t end = (uint64_t)s->address + s->size;
    if (s->address % X86_PAGE || s->size % X86_PAGE || s->size == 0)
        return snp_firmware_error(
            err, name,
            "a section of its SEV metadata (0x%x bytes at 0x%x) is not made of whole pages",
            s->size, s->address);
    if (single && s->size != X86_PAGE)
        return snp_firmware_error(err, name,
                                  "a section of its SEV metadata (type %d) has 0x%x bytes, not one "
                                  "page",
                                  (int)s->type, s->size);
    if (end > f->address)
        return snp_firmware_error(
            err, name,
            "a section of its SEV metadata (0x%x bytes at 0x%x) lies over the firmware itself",
            s->size, s->address);
    for (const struct snp_section *o = f->section; o < f->section + f->sections; o++)
        if (s->address < (uint64_t)o->address + o->size && o->address < end)
            return snp_firmware_error(err, name,
                                      "two sections of its SEV metadata overlap, at 0x%x and 0x%x",
                                      o->address, s->address);
    return 0;
}

static bool known_type(uint64_t type)
{
    return (type >= SNP_SEC_MEM && type <= SNP_SVSM_CAA) || type == SNP_KERNEL_HASHES;
}

static int read_section(struct snp_firmware *f, const char *name, const unsigned char *p,
                        struct error **err)
{
    uint64_t type = get_le(p + 8, 4);
    if (!known_type(type))
        return snp_firmware_error(
            err, name,
            "its SEV metadata has a section of type 0x%llx, which is unknown: "
            "how it is measured cannot be told",
            (unsigned long long)type);
    struct snp_section s = {(uint32_t)get_le(p, 4), (uint32_t)get_le(p + 4, 4),
                            (enum snp_section_type)type};
    if (check_section(f, name, &s, err) < 0)
        return -1;
    f->section[f->sections++] = s;
    return 0;
}

int snp_firmware_sections(const char *name, struct snp_firmware *f, struct error **err)
{
    if (!f->sev_distance)
        return snp_firmware_error(
            err, name,
            "it has no SEV metadata (GUID dc886566-984a-4798-a75e-5585a7bf67cc), "
            "so it cannot start SNP guests");
    const unsigned char *head = snp_firmware_metadata(name, f, "SEV", f->sev_distance, err);
    if (!head)
        return -1;
    if (memcmp(head, "ASEV", 4) != 0)
        return snp_firmware_error(err, name, "its SEV metadata does not begin with ASEV");
    uint64_t length = get_le(head + 4, 4), version = get_le(head + 8, 4);
    uint64_t count = get_le(head + 12, 4);
    if (version != 1)
        return snp_firmware_error(err, name, "its SEV metadata has version %llu, and 1 is known",
                                  (unsigned long long)version);
    if (count > SNP_SECTIONS_MAX || length < METADATA_HEAD + count * SECTION_SIZE ||
        length > f->sev_distance)
        return snp_firmware_error(
            err, name, "its SEV metadata has %llu sections in %llu bytes, which cannot be",
            (unsigned long long)count, (unsigned long long)length);
    for (uint64_t i = 0; i < count; i++)
        if (read_section(f, name, head + METADATA_HEAD + i * SECTION_SIZE, err) < 0)
            return -1;
    return 0;
}

// ---- entries of the table ----

static void read_sev(struct snp_firmware *f, const unsigned char *data)
{
    f->sev_distance = (uint32_t)get_le(data, 4);
}

static void read_tdx(struct snp_firmware *f, const unsigned char *data)
{
    f->tdx_distance = (uint32_t)get_le(data, 4);
}

static void read_reset(struct snp_firmware *f, const unsigned char *data)
{
    f->has_reset = true;
    f->reset_address = (uint32_t)get_le(data, 4);
}

// Builds without the table have the entry, with zeros.
static void read_hashes(struct snp_firmware *f, const unsigned char *data)
{
    f->hashes_address = (uint32_t)get_le(data, 4);
    f->hashes_size = (uint32_t)get_le(data + 4, 4);
    f->has_hashes = f->hashes_address != 0;
}

static const struct entry {
    unsigned char guid[GUID_SIZE];
    size_t least; // bytes of data
    const char *what;
    void (*read)(struct snp_firmware *f, const unsigned char *data);
} entries[] = {
    {GUID(0x00f771de, 0x1a7e, 0x4fcb, 0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e), 4,
     "SEV-ES reset block", read_reset},
    {GUID(0x7255371f, 0x3a3b, 0x4b04, 0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54), 8,
     "table of kernel hashes", read_hashes},
    {GUID(0xdc886566, 0x984a, 0x4798, 0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc), 4,
     "SEV metadata", read_sev},
    {GUID(0xe47a6535, 0x984a, 0x4798, 0x86, 0x5e, 0x46, 0x85, 0xa7, 0xbf, 0x8e, 0xc2), 4,
     "TDX metadata", read_tdx},
};

// ---- the table ----

static int read_entry(struct snp_firmware *f, const char *name, const unsigned char *guid,
                      const unsigned char *data, size_t length,
                      bool seen[static ARRAY_LEN(entries)], struct error **err)
{
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        if (memcmp(guid, entries[i].guid, GUID_SIZE) != 0)
            continue;
        if (length < entries[i].least || seen[i])
            return snp_firmware_error(err, name, "the entry for the %s in its table %s",
                                      entries[i].what, seen[i] ? "is there twice" : "is too short");
        seen[i] = true;
        entries[i].read(f, data);
        return 0;
    }
    return 0; // something else that does not matter here
}

static int read_table(struct snp_firmware *f, const char *name, const unsigned char *end,
                      uint64_t left, struct error **err)
{
    bool seen[ARRAY_LEN(entries)] = {false};
    while (left) {
        uint64_t length = left < ENTRY_TAIL ? 0 : get_le(end - ENTRY_TAIL, 2);
        if (length < ENTRY_TAIL || length > left)
            return snp_firmware_error(err, name,
                                      "the table at its end is damaged: an entry of %llu "
                                      "bytes where %llu are left",
                                      (unsigned long long)length, (unsigned long long)left);
        if (read_entry(f, name, end - GUID_SIZE, end - length, length - ENTRY_TAIL, seen, err) < 0)
            return -1;
        end -= length;
        left -= length;
    }
    return 0;
}

int snp_firmware_parse(const char *name, const unsigned char *bytes, uint64_t size,
                       struct snp_firmware *out, struct error **err)
{
    *out = (struct snp_firmware){.bytes = bytes, .size = size, .address = FOUR_GIB - size};
    if (size >= 4 && memcmp(bytes, "IGVM", 4) == 0)
        return snp_firmware_error(err, name,
                                  "it is an IGVM file (of an SVSM, perhaps), whose pages are "
                                  "measured in another way: only OVMF images are known here");
    if (size == 0 || size % X86_PAGE)
        return snp_firmware_error(
            err, name,
            "its size (%llu bytes) is no multiple of 4 KiB: it is no firmware "
            "image, or it is cut off",
            (unsigned long long)size);
    if (size > LAUNCH_FIRMWARE_MAX)
        return snp_firmware_error(err, name, "it has %llu bytes, more than any firmware",
                                  (unsigned long long)size);
    const unsigned char *end = bytes + size - TABLE_END;
    if (memcmp(end - GUID_SIZE, footer_guid, GUID_SIZE) != 0)
        return snp_firmware_error(err, name,
                                  "OVMF's table is not at its end (GUID 96b582de-1fb2-45f7-baea-"
                                  "a366c55a082d): it is no OVMF image, or it is cut off");
    uint64_t length = get_le(end - ENTRY_TAIL, 2);
    if (length < ENTRY_TAIL || length > size - TABLE_END)
        return snp_firmware_error(err, name, "the table at its end says that it has %llu bytes",
                                  (unsigned long long)length);
    return read_table(out, name, end - ENTRY_TAIL, length - ENTRY_TAIL, err);
}

const struct snp_section *snp_firmware_section(const struct snp_firmware *f,
                                               enum snp_section_type type)
{
    for (size_t i = 0; i < f->sections; i++)
        if (f->section[i].type == type)
            return &f->section[i];
    return NULL;
}
