// SPDX-License-Identifier: Apache-2.0
// Reads the tables of an OVMF image for the VMM, its SEV metadata, and the modules in its firmware
// volumes.
#include "measure/internal.h"

#include <lzma.h>
#include <string.h>

#define TABLE_END 32u // bytes between the table and the end of the image
#define ENTRY_TAIL (2u + GUID_SIZE)
#define METADATA_HEAD 16u
#define SECTION_SIZE 12u

static const unsigned char footer_guid[GUID_SIZE] =
    GUID(0x96b582de, 0x1fb2, 0x45f7, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d);

int ovmf_error(struct error **err, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *why = xvasprintf(format, args);
    va_end(args);
    return error_user(err, "reading firmware %s: %s", name, why);
}

// ---- SEV metadata ----

const unsigned char *ovmf_metadata(const char *name, const struct ovmf_image *f, const char *what,
                                   uint32_t distance, struct error **err)
{
    if (distance >= METADATA_HEAD && distance <= f->size)
        return f->bytes + f->size - distance;
    ovmf_error(err, name,
               "its table puts the %s metadata %u bytes before the end, and it has %llu: it is "
               "damaged or cut off at the start",
               what, distance, (unsigned long long)f->size);
    return NULL;
}

static int check_sev_section(const struct ovmf_image *f, const char *name,
                             const struct snp_section *s, struct error **err)
{
    bool single = s->type == SNP_SECRETS || s->type == SNP_CPUID || s->type == SNP_KERNEL_HASHES;
    uint64_t end = (uint64_t)s->address + s->size;
    if (s->address % X86_PAGE || s->size % X86_PAGE || s->size == 0)
        return ovmf_error(
            err, name,
            "a section of its SEV metadata (0x%x bytes at 0x%x) is not made of whole pages",
            s->size, s->address);
    if (single && s->size != X86_PAGE)
        return ovmf_error(err, name,
                          "a section of its SEV metadata (type %d) has 0x%x bytes, not one "
                          "page",
                          (int)s->type, s->size);
    if (end > f->address)
        return ovmf_error(
            err, name, "a section of its SEV metadata (0x%x bytes at 0x%x) overlaps the firmware",
            s->size, s->address);
    for (const struct snp_section *o = f->section; o < f->section + f->sections; o++)
        if (s->address < (uint64_t)o->address + o->size && o->address < end)
            return ovmf_error(err, name,
                              "two sections of its SEV metadata overlap, at 0x%x and 0x%x",
                              o->address, s->address);
    return 0;
}

static bool is_known_type(uint64_t type)
{
    return (type >= SNP_SEC_MEM && type <= SNP_SVSM_CAA) || type == SNP_KERNEL_HASHES;
}

static int read_sev_section(struct ovmf_image *f, const char *name, const unsigned char *p,
                            struct error **err)
{
    uint64_t type = get_le(p + 8, 4);
    if (!is_known_type(type))
        return ovmf_error(err, name,
                          "its SEV metadata has a section of type 0x%llx, which is unknown, and so "
                          "is how it is measured",
                          (unsigned long long)type);
    struct snp_section s = {(uint32_t)get_le(p, 4), (uint32_t)get_le(p + 4, 4),
                            (enum snp_section_type)type};
    if (check_sev_section(f, name, &s, err) < 0)
        return -1;
    f->section[f->sections++] = s;
    return 0;
}

int ovmf_read_sev_sections(const char *name, struct ovmf_image *f, struct error **err)
{
    if (!f->sev_distance)
        return ovmf_error(err, name,
                          "it has no SEV metadata (GUID dc886566-984a-4798-a75e-5585a7bf67cc), "
                          "so it cannot start SNP guests");
    const unsigned char *head = ovmf_metadata(name, f, "SEV", f->sev_distance, err);
    if (!head)
        return -1;
    if (memcmp(head, "ASEV", 4) != 0)
        return ovmf_error(err, name, "its SEV metadata does not begin with ASEV");
    uint64_t length = get_le(head + 4, 4), version = get_le(head + 8, 4);
    uint64_t count = get_le(head + 12, 4);
    if (version != 1)
        return ovmf_error(err, name, "its SEV metadata has version %llu, and 1 is known",
                          (unsigned long long)version);
    if (count > SNP_SECTIONS_MAX || length < METADATA_HEAD + count * SECTION_SIZE ||
        length > f->sev_distance)
        return ovmf_error(err, name,
                          "its SEV metadata has %llu sections in %llu bytes, which is impossible",
                          (unsigned long long)count, (unsigned long long)length);
    for (uint64_t i = 0; i < count; i++)
        if (read_sev_section(f, name, head + METADATA_HEAD + i * SECTION_SIZE, err) < 0)
            return -1;
    return 0;
}

// ---- entries of the table ----

static void read_sev_entry(struct ovmf_image *f, const unsigned char *data)
{
    f->sev_distance = (uint32_t)get_le(data, 4);
}

static void read_tdx_entry(struct ovmf_image *f, const unsigned char *data)
{
    f->tdx_distance = (uint32_t)get_le(data, 4);
}

static void read_reset_entry(struct ovmf_image *f, const unsigned char *data)
{
    f->has_reset = true;
    f->reset_address = (uint32_t)get_le(data, 4);
}

// Builds without the hashes table have the entry, but with zeros.
static void read_hashes_entry(struct ovmf_image *f, const unsigned char *data)
{
    f->hashes_address = (uint32_t)get_le(data, 4);
    f->hashes_size = (uint32_t)get_le(data + 4, 4);
    f->has_hashes = f->hashes_address != 0;
}

static const struct ovmf_entry {
    unsigned char guid[GUID_SIZE];
    size_t least; // bytes of data
    const char *what;
    void (*read)(struct ovmf_image *f, const unsigned char *data);
} table_entries[] = {
    {GUID(0x00f771de, 0x1a7e, 0x4fcb, 0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e), 4,
     "SEV-ES reset block", read_reset_entry},
    {GUID(0x7255371f, 0x3a3b, 0x4b04, 0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54), 8,
     "table of kernel hashes", read_hashes_entry},
    {GUID(0xdc886566, 0x984a, 0x4798, 0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc), 4,
     "SEV metadata", read_sev_entry},
    {GUID(0xe47a6535, 0x984a, 0x4798, 0x86, 0x5e, 0x46, 0x85, 0xa7, 0xbf, 0x8e, 0xc2), 4,
     "TDX metadata", read_tdx_entry},
};

// ---- the table ----

static int read_entry(struct ovmf_image *f, const char *name, const unsigned char *guid,
                      const unsigned char *data, size_t length,
                      bool seen[static ARRAY_LEN(table_entries)], struct error **err)
{
    for (size_t i = 0; i < ARRAY_LEN(table_entries); i++) {
        if (memcmp(guid, table_entries[i].guid, GUID_SIZE) != 0)
            continue;
        if (length < table_entries[i].least || seen[i])
            return ovmf_error(err, name, "the entry for the %s in its table %s",
                              table_entries[i].what, seen[i] ? "is there twice" : "is too short");
        seen[i] = true;
        table_entries[i].read(f, data);
        return 0;
    }
    return 0; // another entry, not used here
}

static int read_table(struct ovmf_image *f, const char *name, const unsigned char *end,
                      uint64_t left, struct error **err)
{
    bool seen[ARRAY_LEN(table_entries)] = {false};
    while (left) {
        uint64_t length = left < ENTRY_TAIL ? 0 : get_le(end - ENTRY_TAIL, 2);
        if (length < ENTRY_TAIL || length > left)
            return ovmf_error(err, name,
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

int ovmf_parse(const char *name, const unsigned char *bytes, uint64_t size, struct ovmf_image *out,
               struct error **err)
{
    *out = (struct ovmf_image){.bytes = bytes, .size = size, .address = FOUR_GIB - size};
    if (size >= 4 && memcmp(bytes, "IGVM", 4) == 0)
        return ovmf_error(err, name,
                          "it is an IGVM file (of an SVSM, perhaps), whose pages are "
                          "measured in another way: only OVMF images are known here");
    if (size == 0 || size % X86_PAGE)
        return ovmf_error(err, name,
                          "its size (%llu bytes) is no multiple of 4 KiB: it is no firmware "
                          "image, or it is cut off",
                          (unsigned long long)size);
    if (size > LAUNCH_FIRMWARE_MAX)
        return ovmf_error(err, name, "it has %llu bytes, more than any firmware",
                          (unsigned long long)size);
    const unsigned char *end = bytes + size - TABLE_END;
    if (memcmp(end - GUID_SIZE, footer_guid, GUID_SIZE) != 0)
        return ovmf_error(err, name,
                          "OVMF's table is not at its end (GUID 96b582de-1fb2-45f7-baea-"
                          "a366c55a082d): it is no OVMF image, or it is cut off");
    uint64_t length = get_le(end - ENTRY_TAIL, 2);
    if (length < ENTRY_TAIL || length > size - TABLE_END)
        return ovmf_error(err, name, "the table at its end says that it has %llu bytes",
                          (unsigned long long)length);
    return read_table(out, name, end - ENTRY_TAIL, length - ENTRY_TAIL, err);
}

const struct snp_section *ovmf_sev_section(const struct ovmf_image *f, enum snp_section_type type)
{
    for (size_t i = 0; i < f->sections; i++)
        if (f->section[i].type == type)
            return &f->section[i];
    return NULL;
}

// ---- firmware volumes ----
// Walks the firmware volumes of an image, unpacks compressed ones, and inspects the programs in
// them.

#define UNPACKED_MAX (64u << 20) // of all sections together; OVMF's have 16 MiB
#define LZMA_MEMORY (64u << 20)  // for the dictionary; OVMF's has 16 MiB
#define LZMA_HEAD 13u            // properties, le32 dictionary, le64 size
#define DEPTH_MAX 8u             // volumes and sections in each other; OVMF has 4
#define VOLUME_HEAD 56u
#define FILE_HEAD 24u
#define SECTION_HEAD 4u

enum file_type { FILE_RAW = 0x01, FILE_PAD = 0xF0 };
enum section_type {
    SECTION_GUID = 0x02,
    SECTION_PE32 = 0x10,
    SECTION_TE = 0x12,
    SECTION_VOLUME = 0x17
};

static const unsigned char lzma_guid[GUID_SIZE] =
    GUID(0xee4e5898, 0x3914, 0x4259, 0x9d, 0x6e, 0xdc, 0x7b, 0xd7, 0x94, 0x03, 0xcf);
// OvmfPkg/Tcg/TdTcg2Dxe, and its former place.
static const unsigned char td_tcg2_guid[GUID_SIZE] =
    GUID(0xf062221e, 0xc607, 0x44c2, 0xb0, 0xb4, 0xc3, 0x88, 0x63, 0x31, 0xd3, 0x51);

struct byte_span {
    const unsigned char *at;
    uint64_t size;
};

struct volume_scan {
    const char *name;
    struct ovmf_facts *facts;
    uint64_t unpacked;
    unsigned depth;
};

static struct byte_span span_part(struct byte_span b, uint64_t from, uint64_t size)
{
    return (struct byte_span){b.at + from, size};
}

static uint64_t align_up(uint64_t place, uint64_t to)
{
    return (place + to - 1) / to * to;
}

// ---- programs ----

static void scan_program(struct volume_scan *scan, struct byte_span program)
{
    static const struct {
        const char *text;
        size_t length, fact;
    } texts[] = {
#define TEXT(text, fact) {text, sizeof(text), offsetof(struct ovmf_facts, fact)}
        TEXT(" initrd=initrd", initrd_behind), TEXT("initrd=initrd ", initrd_before),
        TEXT("s\0h\0i\0m\0\0", shim), // a file's name, in UTF-16 with its NUL
#undef TEXT
    };
    scan->facts->modules++;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (memmem(program.at, program.size, texts[i].text, texts[i].length))
            *(bool *)((char *)scan->facts + texts[i].fact) = true;
}

// ---- compressed sections ----

static int unpack_error(const struct volume_scan *scan, const char *why, struct error **err)
{
    return ovmf_error(err, scan->name, "its compressed firmware volume cannot be unpacked: %s",
                      why);
}

static int unpack_lzma(const struct volume_scan *scan, struct byte_span packed,
                       struct byte_span out, struct error **err)
{
    lzma_stream s = LZMA_STREAM_INIT;
    if (lzma_alone_decoder(&s, LZMA_MEMORY) != LZMA_OK)
        out_of_memory();
    s.next_in = packed.at;
    s.avail_in = packed.size;
    s.next_out = (unsigned char *)out.at;
    s.avail_out = out.size;
    lzma_ret result = lzma_code(&s, LZMA_FINISH);
    bool whole = !s.avail_out && (result == LZMA_STREAM_END || result == LZMA_OK);
    lzma_end(&s);
    return whole ? 0 : unpack_error(scan, "it is damaged", err);
}

static int scan_sections(struct volume_scan *scan, struct byte_span all, struct error **err);

static int scan_packed_section(struct volume_scan *scan, struct byte_span packed,
                               struct error **err)
{
    if (packed.size < LZMA_HEAD)
        return unpack_error(scan, "it is too short", err);
    uint64_t size = get_le(packed.at + 5, 8);
    if (size > UNPACKED_MAX - scan->unpacked)
        return unpack_error(scan, "it is larger than any firmware, or does not say how large it is",
                            err);
    cleanup_free unsigned char *bytes = xmalloc(size ? size : 1);
    const struct byte_span unpacked = {bytes, size};
    scan->unpacked += size;
    if (unpack_lzma(scan, packed, unpacked, err) < 0)
        return -1;
    return scan_sections(scan, unpacked, err);
}

// ---- sections, files, volumes ----

static int scan_volume(struct volume_scan *scan, struct byte_span volume, struct error **err);

static int scan_section(struct volume_scan *scan, struct byte_span section, uint64_t head,
                        struct error **err)
{
    struct byte_span data = span_part(section, head, section.size - head);
    switch (section.at[3]) {
    case SECTION_PE32:
    case SECTION_TE:
        scan_program(scan, data);
        return 0;
    case SECTION_VOLUME:
        return scan_volume(scan, data, err);
    case SECTION_GUID: {
        uint64_t place = data.size < GUID_SIZE + 4 ? 0 : get_le(data.at + GUID_SIZE, 2);
        if (place < head + GUID_SIZE + 4 || place > section.size)
            return 0;
        struct byte_span content = span_part(section, place, section.size - place);
        return memcmp(data.at, lzma_guid, GUID_SIZE) == 0 ? scan_packed_section(scan, content, err)
                                                          : scan_sections(scan, content, err);
    }
    default:
        return 0;
    }
}

static int scan_each_section(struct volume_scan *scan, struct byte_span all, struct error **err)
{
    for (uint64_t at = 0; at + SECTION_HEAD <= all.size;) {
        uint64_t head = SECTION_HEAD, size = get_le(all.at + at, 3);
        if (size == 0xFFFFFF && at + 8 <= all.size) {
            head = 8;
            size = get_le(all.at + at + 4, 4);
        }
        if (size < head || size > all.size - at)
            return 0;
        if (scan_section(scan, span_part(all, at, size), head, err) < 0)
            return -1;
        at = align_up(at + size, 4);
    }
    return 0;
}

static int scan_sections(struct volume_scan *scan, struct byte_span all, struct error **err)
{
    if (scan->depth == DEPTH_MAX)
        return 0;
    scan->depth++;
    int result = scan_each_section(scan, all, err);
    scan->depth--;
    return result;
}

static int scan_file(struct volume_scan *scan, struct byte_span file, uint64_t head,
                     struct error **err)
{
    unsigned type = file.at[18];
    if (type == FILE_RAW || type == FILE_PAD)
        return 0;
    if (memcmp(file.at, td_tcg2_guid, GUID_SIZE) == 0)
        scan->facts->measures = true;
    return scan_sections(scan, span_part(file, head, file.size - head), err);
}

// The offset of the first file; 0 if the headers are invalid.
static uint64_t first_file_offset(struct byte_span volume)
{
    uint64_t head = get_le(volume.at + 48, 2), extended = get_le(volume.at + 52, 2);
    if (extended && extended + 20 <= volume.size)
        head = extended + get_le(volume.at + extended + 16, 4);
    return head < VOLUME_HEAD || head > volume.size ? 0 : align_up(head, 8);
}

static bool is_volume(struct byte_span b)
{
    return b.size >= VOLUME_HEAD && memcmp(b.at + 40, "_FVH", 4) == 0 &&
           get_le(b.at + 32, 8) >= VOLUME_HEAD && get_le(b.at + 32, 8) <= b.size;
}

static int scan_volume(struct volume_scan *scan, struct byte_span volume, struct error **err)
{
    if (!is_volume(volume))
        return 0;
    volume.size = get_le(volume.at + 32, 8);
    uint64_t at = first_file_offset(volume);
    while (at && at + FILE_HEAD <= volume.size) {
        uint64_t head = FILE_HEAD, size = get_le(volume.at + at + 20, 3);
        if (volume.at[at + 19] & 1 && at + 32 <= volume.size) {
            head = 32;
            size = get_le(volume.at + at + 24, 8);
        }
        if (size < head || size > volume.size - at)
            return 0; // free space
        if (scan_file(scan, span_part(volume, at, size), head, err) < 0)
            return -1;
        at = align_up(at + size, 8);
    }
    return 0;
}

int ovmf_read_facts(const char *name, const unsigned char *bytes, uint64_t size,
                    struct ovmf_facts *out, struct error **err)
{
    const struct byte_span image = {bytes, size};
    *out = (struct ovmf_facts){0};
    struct volume_scan scan = {.name = name, .facts = out};
    for (uint64_t at = 0; at + VOLUME_HEAD <= size;) {
        struct byte_span volume = span_part(image, at, size - at);
        if (!is_volume(volume)) {
            at += 8;
            continue;
        }
        if (scan_volume(&scan, volume, err) < 0)
            return -1;
        at = align_up(at + get_le(volume.at + 32, 8), 8);
    }
    return 0;
}
