// SPDX-License-Identifier: Apache-2.0
// Any bytes as what launch measurement reads: firmware with its tables, a kernel's header. A result
// or one error with a hint, never a crash.
//
// The first byte chooses: 0: the rest are changes (le16 where, a byte what) to the end of a good
// firmware, 1: the rest is the end of a firmware, 2: the rest is a kernel, 3: a CPU type, 4: the
// rest is a PE/COFF image, 5: the rest is a firmware volume, from its start.
#include "base/file.h"
#include "measure/internal.h"
#include "measure/measure.h"

#include <stdlib.h>
#include <string.h>

#define IMAGE_SIZE (4 * X86_PAGE)
#define GOOD_SIZE 512u // of its tables, at the end

static unsigned char good[GOOD_SIZE];

static unsigned char *entry(unsigned char *end, const unsigned char *guid, uint32_t a, uint32_t b)
{
    memcpy(end - GUID_SIZE, guid, GUID_SIZE);
    put_le(end - GUID_SIZE - 2, GUID_SIZE + 2 + 8, 2);
    put_le(end - GUID_SIZE - 6, b, 4);
    put_le(end - GUID_SIZE - 10, a, 4);
    return end - GUID_SIZE - 10;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const unsigned char guids[][GUID_SIZE] = {
        GUID(0x00f771de, 0x1a7e, 0x4fcb, 0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e),
        GUID(0x7255371f, 0x3a3b, 0x4b04, 0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54),
        GUID(0xdc886566, 0x984a, 0x4798, 0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc),
        GUID(0xe47a6535, 0x984a, 0x4798, 0x86, 0x5e, 0x46, 0x85, 0xa7, 0xbf, 0x8e, 0xc2),
        GUID(0x96b582de, 0x1fb2, 0x45f7, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d)};
    const uint32_t data[][2] = {{0x80B004, 0}, {0x810C00, 0x400}, {GOOD_SIZE, 0}, {400, 0}};
    unsigned char *tail = good + GOOD_SIZE - 32, *at = tail - GUID_SIZE - 2;
    for (size_t i = 0; i < ARRAY_LEN(data); i++)
        at = entry(at, guids[i], data[i][0], data[i][1]);
    memcpy(tail - GUID_SIZE, guids[4], GUID_SIZE);
    put_le(tail - GUID_SIZE - 2, (uint64_t)(tail - at), 2);
    const uint32_t sev[] = {0x56455341, 40, 1, 2, 0x800000, 0x1000, 1, 0x810000, 0x1000, 16};
    for (size_t i = 0; i < ARRAY_LEN(sev); i++)
        put_le(good + 4 * i, sev[i], 4);
    const uint32_t tdx[] = {0x46564454, 48, 1, 1, 0, 0x1000, 0xFFFFF000, 0, 0x1000, 0, 0, 1};
    for (size_t i = 0; i < ARRAY_LEN(tdx); i++)
        put_le(good + GOOD_SIZE - 400 + 4 * i, tdx[i], 4);
    return 0;
}

// Errors about firmware get their hint where the kind of launch is known.
static void check_firmware(int result, const struct error *err)
{
    if (result < 0 ? !err : err != NULL)
        abort();
}

static void check(int result, const struct error *err)
{
    if (result < 0 ? !err || !err->hint : err != NULL)
        abort();
}

static void as_firmware(const unsigned char *tail, size_t size)
{
    cleanup_free unsigned char *image = xcalloc(1, IMAGE_SIZE);
    memcpy(image + IMAGE_SIZE - size, tail, size);
    cleanup_error struct error *err = NULL, *sections = NULL, *mrtd = NULL, *look = NULL;
    struct ovmf_image f;
    int result = ovmf_parse("OVMF.fd", image, IMAGE_SIZE, &f, &err);
    check_firmware(result, err);
    struct ovmf_facts facts;
    check_firmware(ovmf_read_facts("OVMF.fd", image, IMAGE_SIZE, &facts, &look), look);
    if (result < 0)
        return;
    check_firmware(ovmf_read_sev_sections("OVMF.fd", &f, &sections), sections);
    for (size_t i = 0; i < f.sections; i++)
        if ((uint64_t)f.section[i].address + f.section[i].size > f.address)
            abort();
    unsigned char digest[MRTD_SIZE];
    check_firmware(tdx_mrtd("OVMF.fd", &f, size & 1, digest, &mrtd), mrtd);
}

static void as_changes(const unsigned char *data, size_t size)
{
    unsigned char tail[GOOD_SIZE];
    memcpy(tail, good, sizeof tail);
    for (; size >= 3; data += 3, size -= 3)
        tail[get_le(data, 2) % GOOD_SIZE] = data[2];
    as_firmware(tail, sizeof tail);
}

static void as_kernel(const unsigned char *data, size_t size)
{
    cleanup_error struct error *err = NULL, *line = NULL;
    // Only so much is looked at, whatever the size.
    size_t head = size < BZIMAGE_HEAD ? size : BZIMAGE_HEAD;
    cleanup_free unsigned char *copy = xmalloc(head ? head : 1);
    memcpy(copy, data, head);
    uint32_t limit = 0;
    int result = bzimage_check("vmlinuz", copy, size, &limit, &err);
    check(result, err);
    if (!result)
        check(bzimage_check_append("vmlinuz", "quiet", limit, &line), line);
}

static void as_image(const unsigned char *data, size_t size)
{
    cleanup_error struct error *err = NULL;
    cleanup_free unsigned char *copy = xmalloc(size ? size : 1);
    memcpy(copy, data, size);
    unsigned char digest[AUTHENTICODE_SIZE];
    check(authenticode_digest("vmlinuz", copy, size, digest, &err), err);
    unsigned major, minor;
    if (size >= BZIMAGE_HEAD)
        (void)bzimage_version(copy, size, &major, &minor);
}

static void as_volume(const unsigned char *data, size_t size)
{
    cleanup_error struct error *err = NULL;
    cleanup_free unsigned char *copy = xmalloc(size ? size : 1); // for the sanitizer
    memcpy(copy, data, size);
    struct ovmf_facts facts;
    check_firmware(ovmf_read_facts("OVMF.fd", copy, size, &facts, &err), err);
}

static void as_cpu(const unsigned char *data, size_t size)
{
    cleanup_free char *name = xstrndup((const char *)data, size < 200 ? size : 200);
    cleanup_error struct error *err = NULL;
    uint32_t signature;
    check(cpu_type_signature(name, &signature, &err), err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const kinds[])(const unsigned char *, size_t) = {
        as_changes, as_firmware, as_kernel, as_cpu, as_image, as_volume};
    if (size == 0 || size > IMAGE_SIZE)
        return 0;
    kinds[data[0] % ARRAY_LEN(kinds)](data + 1, size - 1);
    return 0;
}
