// SPDX-License-Identifier: Apache-2.0
// Reads images back (section 14): parses and checks what needs no key.
#include "se/internal.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <sys/stat.h>

// ---- without a key ----

// Tools put the header at 0x14000; some look for it up to 0x17000.
#define SCAN_PAGES 24u

// Layout P's metadata block (section 3.2).
#define METADATA_BYTES 28u
static const unsigned char metadata_magic[8] = {'S', 'e', 'I', 'm', 'g', 'L', 'n', 'x'};

// The page of a possible header whose magic number has a few wrong bits; or 0.
static uint64_t find_damaged_magic(int fd, uint64_t size)
{
    for (uint64_t at = SE_LOADER_ADDRESS; at < (uint64_t)SCAN_PAGES * SE_PAGE && at + 8 <= size;
         at += SE_PAGE) {
        unsigned char bytes[8];
        if (read_at(fd, "", at, bytes, sizeof bytes, NULL) < 0)
            return 0;
        uint64_t difference = get_be64(bytes) ^ get_be64(se_header_magic);
        if (__builtin_popcountll(difference) <= 4)
            return at;
    }
    return 0;
}

static int find_header(int fd, const char *name, uint64_t size, struct se_image *image,
                       struct error **err)
{
    unsigned char block[METADATA_BYTES] = {0};
    if (size >= SE_METADATA_OFFSET + sizeof block &&
        read_at(fd, name, SE_METADATA_OFFSET, block, sizeof block, err) < 0)
        return -1;
    if (memcmp(block, metadata_magic, sizeof metadata_magic) == 0) {
        image->layout_p = true;
        image->header_offset = get_be64(block + 8);
        image->ipib_offset = get_be64(block + 20);
        if (get_be32(block + 16) != 1)
            log_warning("%s: metadata of version %u; only version 1 is known", name,
                        get_be32(block + 16));
        if (image->header_offset % SE_PAGE || image->header_offset < SE_LOADER_ADDRESS)
            return error_user(err, "%s: its metadata puts the header at 0x%llx, where none can be",
                              name, (unsigned long long)image->header_offset);
        return 0;
    }
    for (uint64_t at = 0; at < (uint64_t)SCAN_PAGES * SE_PAGE && at + 8 <= size; at += SE_PAGE) {
        if (read_at(fd, name, at, block, 8, err) < 0)
            return -1;
        image->header_offset = at;
        if (memcmp(block, se_header_magic, sizeof se_header_magic) == 0)
            return 0;
    }
    uint64_t near = find_damaged_magic(fd, size);
    if (near)
        return error_user(err, "%s: the header at 0x%llx is damaged: its magic number is wrong",
                          name, (unsigned long long)near);
    error_user(err, "%s: it has no Secure Execution header", name);
    return error_hint(err, "give an image that `kbuild boot-image-se`, genprotimg or pvimg made");
}

static int check_gap(int fd, const char *name, uint64_t from, uint64_t to, struct error **err)
{
    unsigned char page[SE_PAGE];
    for (uint64_t at = from; at < to;) {
        size_t n = to - at < sizeof page ? (size_t)(to - at) : sizeof page;
        if (read_at(fd, name, at, page, n, err) < 0)
            return -1;
        if (!all_zero(page, n))
            return error_user(err,
                              "%s: something lies between 0x%llx and 0x%llx, where an image "
                              "has zeros only",
                              name, (unsigned long long)from, (unsigned long long)to);
        at += n;
    }
    return 0;
}

// Checks the bytes that no digest covers: short PSW, loader arguments, gaps. A change there only
// keeps the image from starting, but a message now is better. The loader's code is not known here.
int image_check_unprotected(int fd, const char *name, const struct se_image *image,
                            struct error **err)
{
    unsigned char psw[8] = {0};
    if (read_at(fd, name, 0, psw, sizeof psw, err) < 0)
        return -1;
    uint64_t value = get_be64(psw), entry = value - short_psw(0);
    if (image->layout_p) {
        if (entry < SE_LOADER_ADDRESS || entry >= image->header_offset)
            return error_user(err, "%s: the short PSW 0x%016llx does not lead to the loader", name,
                              (unsigned long long)value);
        return 0;
    }
    if (entry != SE_LOADER_ENTRY)
        return error_user(err, "%s: the short PSW is 0x%016llx, not 0x%016llx", name,
                          (unsigned long long)value,
                          (unsigned long long)short_psw(SE_LOADER_ENTRY));
    // The loader ends in the page before the IPIB; its end is not recorded.
    unsigned char last[SE_PAGE + STAGE3A_ARGUMENTS];
    uint64_t start = image->ipib_offset - SE_PAGE;
    size_t length = SE_PAGE;
    if (start >= SE_LOADER_ADDRESS + STAGE3A_ARGUMENTS) {
        start -= STAGE3A_ARGUMENTS;
        length += STAGE3A_ARGUMENTS;
    }
    if (read_at(fd, name, start, last, length, err) < 0)
        return -1;
    uint64_t found = stage3a_arguments_find(last, length, start, image->header_offset,
                                            image->header_size, image->ipib_offset);
    if (!found)
        return error_user(err,
                          "%s: the arguments of stage3a, before the IPIB at 0x%llx, do not "
                          "lead to the header",
                          name, (unsigned long long)image->ipib_offset);
    uint64_t header_end = image->header_offset + image->header_size;
    if (check_gap(fd, name, sizeof psw, SE_LOADER_ADDRESS, err) < 0 ||
        check_gap(fd, name, found + STAGE3A_ARGUMENTS, image->ipib_offset, err) < 0)
        return -1;
    return check_gap(fd, name, header_end, page_up(header_end), err);
}

int image_find_fault(int fd, const char *name, const struct se_image *image, enum image_fault *out,
                     struct error **err)
{
    unsigned char pld[64], ald[64], tld[64];
    if (components_digest(fd, name, image, pld, ald, tld, err) < 0)
        return -1;
    *out = memcmp(ald, image->ald, sizeof ald) != 0   ? FAULT_ADDRESSES
           : memcmp(tld, image->tld, sizeof tld) != 0 ? FAULT_TWEAKS
           : memcmp(pld, image->pld, sizeof pld) != 0 ? FAULT_CONTENTS
                                                      : FAULT_NONE;
    return 0;
}

static int check_digests(int fd, const char *name, const struct se_image *image, bool genuine,
                         struct error **err)
{
    static const struct {
        const char *digest, *what;
    } faults[] = {
        [FAULT_ADDRESSES] = {"ald", "addresses in the IPIB"},
        [FAULT_TWEAKS] = {"tld", "tweaks in the IPIB"},
        [FAULT_CONTENTS] = {"pld", "contents"},
    };
    enum image_fault fault;
    if (image_find_fault(fd, name, image, &fault, err) < 0)
        return -1;
    if (fault == FAULT_NONE)
        return 0;
    unsigned long long start = image->header_offset + page_up(image->header_size), end = start;
    for (size_t i = 0; i < image->component_count; i++)
        end = image->components[i].address + image->components[i].padded;
    error_user(err,
               "%s: the components, 0x%llx to 0x%llx, are not those that were sealed: "
               "their %s changed%s%s%s",
               name, start, end, faults[fault].what,
               genuine ? "" : ", or the header's digest of them (",
               genuine ? "" : faults[fault].digest, genuine ? "" : ") did");
    return error_hint(err, "the image is damaged: copy or build it again");
}

static int image_file_size(int fd, const char *name, uint64_t *size, struct error **err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "reading %s", name);
    if (!S_ISREG(st.st_mode))
        return error_user(err, "reading %s: it is not a file", name);
    *size = (uint64_t)st.st_size;
    return 0;
}

int image_parse_header(int fd, const char *name, struct se_image *out, unsigned char **header,
                       struct error **err)
{
    uint64_t size = 0;
    struct se_image image = {.kernel = -1, .parameters = -1, .initrd = -1, .stage3b = -1};
    if (image_file_size(fd, name, &size, err) < 0 || find_header(fd, name, size, &image, err) < 0 ||
        header_read(fd, name, size, &image, header, err) < 0) {
        se_image_free(&image);
        return -1;
    }
    *out = image;
    return 0;
}

int image_parse(int fd, const char *name, struct se_image *out, unsigned char **header,
                struct error **err)
{
    uint64_t size = 0;
    struct se_image image;
    if (image_file_size(fd, name, &size, err) < 0 ||
        image_parse_header(fd, name, &image, header, err) < 0)
        return -1;
    if (ipib_read(fd, name, size, &image, err) < 0) {
        se_image_free(&image);
        return -1;
    }
    *out = image;
    return 0;
}

int image_check(int fd, const char *name, const struct se_image *image, bool genuine,
                struct error **err)
{
    if (image_check_unprotected(fd, name, image, err) < 0)
        return -1;
    return check_digests(fd, name, image, genuine, err);
}

int se_read(int fd, const char *name, struct se_image *out, struct error **err)
{
    struct se_image image = {0};
    if (image_parse(fd, name, &image, NULL, err) < 0)
        return -1;
    if (image_check(fd, name, &image, false, err) < 0) {
        se_image_free(&image);
        return -1;
    }
    *out = image;
    return 0;
}

void se_image_free(struct se_image *image)
{
    free(image->slot);
    free(image->components);
    *image = (struct se_image){0};
}
