// SPDX-License-Identifier: Apache-2.0
// Walks the firmware volumes of an image, unpacks the compressed ones, and looks at the programs in
// them.
#include "measure/firmware_volume.h"

#include "measure/ovmf.h"

#include <lzma.h>
#include <string.h>

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
// OvmfPkg/Tcg/TdTcg2Dxe, and where it was before.
static const unsigned char td_tcg2_guid[GUID_SIZE] =
    GUID(0xf062221e, 0xc607, 0x44c2, 0xb0, 0xb4, 0xc3, 0x88, 0x63, 0x31, 0xd3, 0x51);

struct bytes {
    const unsigned char *at;
    uint64_t size;
};

struct looker {
    const char *name;
    struct firmware_facts *facts;
    uint64_t unpacked;
    unsigned depth;
};

static struct bytes part_of(struct bytes b, uint64_t from, uint64_t size)
{
    return (struct bytes){b.at + from, size};
}

static uint64_t align(uint64_t place, uint64_t to)
{
    return (place + to - 1) / to * to;
}

// ---- programs ----

static void look_at_program(struct looker *l, struct bytes program)
{
    static const struct {
        const char *text;
        size_t length, fact;
    } texts[] = {
#define TEXT(text, fact) {text, sizeof(text), offsetof(struct firmware_facts, fact)}
        TEXT(" initrd=initrd", initrd_behind), TEXT("initrd=initrd ", initrd_before),
        TEXT("s\0h\0i\0m\0\0", shim), // a file's name, in UTF-16 with its NUL
#undef TEXT
    };
    l->facts->modules++;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (memmem(program.at, program.size, texts[i].text, texts[i].length))
            *(bool *)((char *)l->facts + texts[i].fact) = true;
}

// ---- compressed sections ----

static int unpack_failed(const struct looker *l, const char *why, struct error **err)
{
    return snp_firmware_error(err, l->name, "its compressed firmware volume cannot be unpacked: %s",
                              why);
}

static int unpack_lzma(const struct looker *l, struct bytes packed, struct bytes out,
                       struct error **err)
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
    return whole ? 0 : unpack_failed(l, "it is damaged", err);
}

static int look_at_sections(struct looker *l, struct bytes all, struct error **err);

static int look_at_packed(struct looker *l, struct bytes packed, struct error **err)
{
    if (packed.size < LZMA_HEAD)
        return unpack_failed(l, "it is too short", err);
    uint64_t size = get_le(packed.at + 5, 8);
    if (size > UNPACKED_MAX - l->unpacked)
        return unpack_failed(l, "it is larger than any firmware, or does not say how large it is",
                             err);
    cleanup_free unsigned char *bytes = xmalloc(size ? size : 1);
    const struct bytes unpacked = {bytes, size};
    l->unpacked += size;
    if (unpack_lzma(l, packed, unpacked, err) < 0)
        return -1;
    return look_at_sections(l, unpacked, err);
}

// ---- sections, files, volumes ----

static int look_at_volume(struct looker *l, struct bytes volume, struct error **err);

static int look_at_section(struct looker *l, struct bytes section, uint64_t head,
                           struct error **err)
{
    struct bytes data = part_of(section, head, section.size - head);
    switch (section.at[3]) {
    case SECTION_PE32:
    case SECTION_TE:
        look_at_program(l, data);
        return 0;
    case SECTION_VOLUME:
        return look_at_volume(l, data, err);
    case SECTION_GUID: {
        uint64_t place = data.size < GUID_SIZE + 4 ? 0 : get_le(data.at + GUID_SIZE, 2);
        if (place < head + GUID_SIZE + 4 || place > section.size)
            return 0;
        struct bytes content = part_of(section, place, section.size - place);
        return memcmp(data.at, lzma_guid, GUID_SIZE) == 0 ? look_at_packed(l, content, err)
                                                          : look_at_sections(l, content, err);
    }
    default:
        return 0;
    }
}

static int look_at_each_section(struct looker *l, struct bytes all, struct error **err)
{
    for (uint64_t at = 0; at + SECTION_HEAD <= all.size;) {
        uint64_t head = SECTION_HEAD, size = get_le(all.at + at, 3);
        if (size == 0xFFFFFF && at + 8 <= all.size) {
            head = 8;
            size = get_le(all.at + at + 4, 4);
        }
        if (size < head || size > all.size - at)
            return 0;
        if (look_at_section(l, part_of(all, at, size), head, err) < 0)
            return -1;
        at = align(at + size, 4);
    }
    return 0;
}

static int look_at_sections(struct looker *l, struct bytes all, struct error **err)
{
    if (l->depth == DEPTH_MAX)
        return 0;
    l->depth++;
    int result = look_at_each_section(l, all, err);
    l->depth--;
    return result;
}

static int look_at_file(struct looker *l, struct bytes file, uint64_t head, struct error **err)
{
    unsigned type = file.at[18];
    if (type == FILE_RAW || type == FILE_PAD)
        return 0;
    if (memcmp(file.at, td_tcg2_guid, GUID_SIZE) == 0)
        l->facts->measures = true;
    return look_at_sections(l, part_of(file, head, file.size - head), err);
}

// Where the files begin; 0 if the headers cannot be.
static uint64_t first_file(struct bytes volume)
{
    uint64_t head = get_le(volume.at + 48, 2), extended = get_le(volume.at + 52, 2);
    if (extended && extended + 20 <= volume.size)
        head = extended + get_le(volume.at + extended + 16, 4);
    return head < VOLUME_HEAD || head > volume.size ? 0 : align(head, 8);
}

static bool is_volume(struct bytes b)
{
    return b.size >= VOLUME_HEAD && memcmp(b.at + 40, "_FVH", 4) == 0 &&
           get_le(b.at + 32, 8) >= VOLUME_HEAD && get_le(b.at + 32, 8) <= b.size;
}

static int look_at_volume(struct looker *l, struct bytes volume, struct error **err)
{
    if (!is_volume(volume))
        return 0;
    volume.size = get_le(volume.at + 32, 8);
    uint64_t at = first_file(volume);
    while (at && at + FILE_HEAD <= volume.size) {
        uint64_t head = FILE_HEAD, size = get_le(volume.at + at + 20, 3);
        if (volume.at[at + 19] & 1 && at + 32 <= volume.size) {
            head = 32;
            size = get_le(volume.at + at + 24, 8);
        }
        if (size < head || size > volume.size - at)
            return 0; // free space
        if (look_at_file(l, part_of(volume, at, size), head, err) < 0)
            return -1;
        at = align(at + size, 8);
    }
    return 0;
}

int firmware_look(const char *name, const unsigned char *bytes, uint64_t size,
                  struct firmware_facts *out, struct error **err)
{
    const struct bytes image = {bytes, size};
    *out = (struct firmware_facts){0};
    struct looker l = {.name = name, .facts = out};
    for (uint64_t at = 0; at + VOLUME_HEAD <= size;) {
        struct bytes volume = part_of(image, at, size - at);
        if (!is_volume(volume)) {
            at += 8;
            continue;
        }
        if (look_at_volume(&l, volume, err) < 0)
            return -1;
        at = align(at + get_le(volume.at + 32, 8), 8);
    }
    return 0;
}
