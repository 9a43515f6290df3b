// SPDX-License-Identifier: Apache-2.0
// What the tests of launch measurement share: firmware images and kernels that are made here, byte
// by byte, so that a known answer belongs to something everybody can make. Every failure ends the
// test.
#ifndef KBUILD_TESTS_SEAL_SNP_FIXTURE_H
#define KBUILD_TESTS_SEAL_SNP_FIXTURE_H

#include "se_fixture.h"

#include "measure/internal.h"
#include "measure/measure.h"

#include <lzma.h>

#define FIRMWARE_SIZE 0x20000u
#define TABLE_END 32u
#define SEV_METADATA_OFFSET 0x1E000u
#define TDX_METADATA_OFFSET 0x1D000u
#define SNP_KERNEL_SIZE 20000u
#define SNP_INITRD_SIZE 9001u
#define SNP_APPEND "console=ttyS0 panic=1"

static const unsigned char guid_footer[] =
    GUID(0x96b582de, 0x1fb2, 0x45f7, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d);
static const unsigned char guid_reset[] =
    GUID(0x00f771de, 0x1a7e, 0x4fcb, 0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e);
static const unsigned char guid_hashes[] =
    GUID(0x7255371f, 0x3a3b, 0x4b04, 0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54);
static const unsigned char guid_sev[] =
    GUID(0xdc886566, 0x984a, 0x4798, 0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc);
static const unsigned char guid_tdx[] =
    GUID(0xe47a6535, 0x984a, 0x4798, 0x86, 0x5e, 0x46, 0x85, 0xa7, 0xbf, 0x8e, 0xc2);
static const unsigned char guid_other[] =
    GUID(0x4c2eb361, 0x7d9b, 0x4cc3, 0x80, 0x81, 0x12, 0x7c, 0x90, 0xd3, 0xd2, 0x94);

// A firmware; zero means "leave it out", but for the metadata's own fields.
struct firmware {
    uint32_t reset, hashes, hashes_size;
    bool sev, tdx;
    uint32_t section[16][3]; // address, size, type
    uint32_t sections;
    uint64_t tdx_section[8][6]; // offset, raw size, address, size, type, attributes
    uint32_t tdx_sections;
};

// OVMF's AmdSev platform in small: all sections, and the hashes at C00h of their page.
static inline struct firmware amdsev_firmware(void)
{
    return (struct firmware){
        .reset = 0x80B004,
        .hashes = 0x810C00,
        .hashes_size = 0x400,
        .sev = true,
        .section = {{0x800000, 0x9000, SNP_SEC_MEM},
                    {0x80A000, 0x3000, SNP_SEC_MEM},
                    {0x80D000, 0x1000, SNP_SECRETS},
                    {0x80E000, 0x1000, SNP_CPUID},
                    {0x80F000, 0x1000, SNP_SVSM_CAA},
                    {0x811000, 0xF000, SNP_SEC_MEM},
                    {0x810000, 0x1000, SNP_KERNEL_HASHES}},
        .sections = 7,
        .tdx = true,
        .tdx_section = {{0x1F000, 0x1000, 0xFFFFF000, 0x1000, 0, 1},
                        {0, 0x2000, 0xFFFE0000, 0x2000, 1, 0},
                        {0, 0, 0x810000, 0x2000, 3, 0},
                        {0, 0, 0x809000, 0x2000, 2, 0},
                        {0, 0, 0x100000, 0x400000, 4, 2}},
        .tdx_sections = 5,
    };
}

// Puts an entry before `end` and returns where it begins.
static inline unsigned char *put_entry(unsigned char *end, const unsigned char *guid,
                                       const uint32_t *data, size_t words)
{
    unsigned char *start = end - GUID_SIZE - 2 - 4 * words;
    memcpy(end - GUID_SIZE, guid, GUID_SIZE);
    put_le(end - GUID_SIZE - 2, GUID_SIZE + 2 + 4 * words, 2);
    for (size_t i = 0; i < words; i++)
        put_le(start + 4 * i, data[i], 4);
    return start;
}

static inline void put_sev_metadata(unsigned char *p, const struct firmware *f)
{
    memcpy(p, "ASEV", 4);
    put_le(p + 4, 16 + 12 * f->sections, 4);
    put_le(p + 8, 1, 4);
    put_le(p + 12, f->sections, 4);
    for (uint32_t i = 0; i < f->sections; i++)
        for (uint32_t k = 0; k < 3; k++)
            put_le(p + 16 + 12 * i + 4 * k, f->section[i][k], 4);
}

static inline void put_tdx_metadata(unsigned char *p, const struct firmware *f)
{
    static const size_t at[] = {0, 4, 8, 16, 24, 28}, bytes[] = {4, 4, 8, 8, 4, 4};
    memcpy(p, "TDVF", 4);
    put_le(p + 4, 16 + 32 * f->tdx_sections, 4);
    put_le(p + 8, 1, 4);
    put_le(p + 12, f->tdx_sections, 4);
    for (uint32_t i = 0; i < f->tdx_sections; i++)
        for (uint32_t k = 0; k < 6; k++)
            put_le(p + 16 + 32 * i + at[k], f->tdx_section[i][k], bytes[k]);
}

// FIRMWARE_SIZE bytes, to be freed.
static inline unsigned char *make_firmware(const struct firmware *f)
{
    unsigned char *image = xmalloc(FIRMWARE_SIZE);
    for (uint32_t i = 0; i < FIRMWARE_SIZE; i++)
        image[i] = (unsigned char)(i * 7 % 251);
    unsigned char *tail = image + FIRMWARE_SIZE - TABLE_END, *start = tail - GUID_SIZE - 2;
    if (f->reset)
        start = put_entry(start, guid_reset, &f->reset, 1);
    start = put_entry(start, guid_other, (const uint32_t[]){0, 0}, 2);
    start = put_entry(start, guid_hashes, (const uint32_t[]){f->hashes, f->hashes_size}, 2);
    if (f->sev)
        start = put_entry(start, guid_sev, &(uint32_t){FIRMWARE_SIZE - SEV_METADATA_OFFSET}, 1);
    if (f->tdx)
        start = put_entry(start, guid_tdx, &(uint32_t){FIRMWARE_SIZE - TDX_METADATA_OFFSET}, 1);
    memcpy(tail - GUID_SIZE, guid_footer, GUID_SIZE);
    put_le(tail - GUID_SIZE - 2, (uint64_t)(tail - start), 2);
    put_sev_metadata(image + SEV_METADATA_OFFSET, f);
    put_tdx_metadata(image + TDX_METADATA_OFFSET, f);
    return image;
}

// ---- programs in a firmware, as tests/support/make_firmware.py makes them ----

static const unsigned char guid_td_tcg2[] =
    GUID(0xf062221e, 0xc607, 0x44c2, 0xb0, 0xb4, 0xc3, 0x88, 0x63, 0x31, 0xd3, 0x51);
static const unsigned char guid_lzma[] =
    GUID(0xee4e5898, 0x3914, 0x4259, 0x9d, 0x6e, 0xdc, 0x7b, 0xd7, 0x94, 0x03, 0xcf);
#define BEHIND_COMMAND_LINE "\0 initrd=initrd"
#define BEFORE_COMMAND_LINE "\0initrd=initrd "
#define KNOWS_SHIM "s\0h\0i\0m\0\0"
#define VOLUME_OFFSET 0x4000u
#define VOLUME_SIZE 4096u

static inline void add_padded(struct buf *b, const void *bytes, size_t length, size_t to)
{
    buf_add(b, bytes, length);
    while (b->len % to)
        buf_add(b, "", 1);
}

static inline void add_section(struct buf *b, unsigned type, const struct buf *data)
{
    unsigned char head[4];
    put_le(head, 4 + data->len, 3);
    head[3] = (unsigned char)type;
    buf_add(b, head, sizeof head);
    add_padded(b, data->data, data->len, 4);
}

static inline void add_ffs_file(struct buf *b, const unsigned char *guid, unsigned type,
                                const struct buf *sections)
{
    unsigned char head[24] = {0};
    memcpy(head, guid, GUID_SIZE);
    head[18] = (unsigned char)type;
    put_le(head + 20, sizeof head + sections->len, 3);
    buf_add(b, head, sizeof head);
    add_padded(b, sections->data, sections->len, 8);
}

static inline void add_volume(struct buf *b, const struct buf *files)
{
    unsigned char head[72] = {0};
    put_le(head + 32, VOLUME_SIZE, 8);
    memcpy(head + 40, "_FVH", 4);
    put_le(head + 48, sizeof head, 2);
    buf_add(b, head, sizeof head);
    buf_add(b, files->data, files->len);
    assert_true(sizeof head + files->len <= VOLUME_SIZE);
    for (size_t n = sizeof head + files->len; n < VOLUME_SIZE; n++)
        buf_add(b, "\xff", 1);
}

static inline void add_lzma(struct buf *b, const struct buf *content)
{
    lzma_options_lzma o;
    lzma_stream s = LZMA_STREAM_INIT;
    unsigned char packed[VOLUME_SIZE];
    lzma_lzma_preset(&o, 1);
    o.dict_size = 1 << 16;
    assert_int_equal(lzma_alone_encoder(&s, &o), LZMA_OK);
    s.next_in = (const unsigned char *)content->data;
    s.avail_in = content->len;
    s.next_out = packed;
    s.avail_out = sizeof packed;
    assert_int_equal(lzma_code(&s, LZMA_FINISH), LZMA_STREAM_END);
    lzma_end(&s);
    put_le(packed + 5, content->len, 8); // edk2's tool writes the size
    buf_add(b, packed, sizeof packed - s.avail_out);
}

// A volume with a compressed volume with the program that starts kernels, and perhaps TdTcg2Dxe.
static inline void add_modules(struct buf *b, const char *loader, size_t length, bool measures)
{
    cleanup_buf struct buf program = {0}, sections = {0}, files = {0}, inner = {0}, packed = {0},
                           guided = {0}, file = {0};
    buf_add(&program, loader, length);
    add_section(&sections, 0x10, &program);
    add_ffs_file(&files, guid_other, 7, &sections);
    if (measures)
        add_ffs_file(&files, guid_td_tcg2, 7, &sections);
    cleanup_buf struct buf volume = {0};
    add_volume(&volume, &files);
    add_section(&inner, 0x17, &volume);
    buf_add(&packed, guid_lzma, GUID_SIZE);
    buf_add(&packed, "\x18\0\1\0", 4); // the data begin at 24
    add_lzma(&packed, &inner);
    add_section(&guided, 2, &packed);
    add_ffs_file(&file, guid_other, 11, &guided);
    add_volume(b, &file);
}

// SNP_KERNEL_SIZE bytes that look like a bzImage, to be freed: protocol 2.15, 4 setup sectors, a
// 64-bit entry, command lines of up to 2047 bytes.
static inline unsigned char *make_bzimage(void)
{
    unsigned char *k = xmalloc(SNP_KERNEL_SIZE);
    for (uint32_t i = 0; i < SNP_KERNEL_SIZE; i++)
        k[i] = (unsigned char)(i * 5 % 249);
    k[0x1F1] = 4;
    put_le(k + 0x1FE, 0xAA55, 2);
    memcpy(k + 0x202, "HdrS", 4);
    put_le(k + 0x206, 0x20F, 2);
    put_le(k + 0x236, 0x3F, 2);
    put_le(k + 0x238, 2047, 4);
    return k;
}

struct snp_fixture {
    char *folder, *firmware, *kernel, *initrd; // paths
    struct launch_inputs in;                   // of an SNP launch of all of them
};

static inline char *snp_put(const struct snp_fixture *f, const char *name, const void *bytes,
                            size_t length)
{
    char *path = xasprintf("%s/%s", f->folder, name);
    put_file(path, bytes, length);
    return path;
}

// Replaces the firmware.
static inline void snp_put_firmware(struct snp_fixture *f, const struct firmware *values)
{
    cleanup_free unsigned char *image = make_firmware(values);
    put_file(f->firmware, image, FIRMWARE_SIZE);
}

// Replaces the firmware by one with programs in it.
static inline void snp_put_modules(struct snp_fixture *f, const char *loader, size_t length,
                                   bool measures)
{
    struct firmware values = amdsev_firmware();
    cleanup_free unsigned char *image = make_firmware(&values);
    cleanup_buf struct buf volume = {0};
    add_modules(&volume, loader, length, measures);
    memcpy(image + VOLUME_OFFSET, volume.data, volume.len);
    put_file(f->firmware, image, FIRMWARE_SIZE);
}

static inline int snp_setup(void **state)
{
    struct snp_fixture *f = xcalloc(1, sizeof *f);
    f->folder = make_temporary_directory("/tmp", "kbuild-snp-", NULL);
    assert_non_null(f->folder);
    struct firmware values = amdsev_firmware();
    cleanup_free unsigned char *image = make_firmware(&values), *kernel = make_bzimage();
    unsigned char initrd[SNP_INITRD_SIZE];
    for (uint32_t i = 0; i < sizeof initrd; i++)
        initrd[i] = (unsigned char)(i * 3 % 241);
    f->firmware = snp_put(f, "OVMF.fd", image, FIRMWARE_SIZE);
    f->kernel = snp_put(f, "vmlinuz", kernel, SNP_KERNEL_SIZE);
    f->initrd = snp_put(f, "initrd.img", initrd, sizeof initrd);
    f->in = (struct launch_inputs){.kind = LAUNCH_SNP,
                                   .firmware = f->firmware,
                                   .kernel = f->kernel,
                                   .initrd = f->initrd,
                                   .append = SNP_APPEND,
                                   .first_vcpus = 1,
                                   .last_vcpus = 1,
                                   .cpu_signature = cpu_signature(23, 1, 2),
                                   .guest_features = SNP_FEATURE_ACTIVE};
    *state = f;
    return 0;
}

static inline int snp_teardown(void **state)
{
    struct snp_fixture *f = *state;
    remove_tree(f->folder, NULL);
    free(f->folder);
    free(f->firmware);
    free(f->kernel);
    free(f->initrd);
    free(f);
    return 0;
}

// The digest of one launch as hexadecimal text.
static inline void snp_digest_hex(const struct launch_inputs *in,
                                  char hex[static 2 * LAUNCH_DIGEST_MAX + 1])
{
    cleanup_error struct error *err = NULL;
    cleanup_measurement struct launch_measurement m = {0};
    assert_good(launch_measure(in, &m, &err));
    assert_int_equal(m.count, 1);
    hex_encode(m.digest[0], m.digest_size, hex);
}

#endif
