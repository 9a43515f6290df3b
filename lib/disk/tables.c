// SPDX-License-Identifier: Apache-2.0
// Computes the layout of a disk image, writes its partition tables and NVDIMM header, and makes
// UUIDs.
#include "disk/disk.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <string.h>

// ---- MBR ----

enum { HEADS = 255, SECTORS = 63, PER_CYLINDER = HEADS * SECTORS, CYLINDERS = 1024 };
enum { TABLE = 446, ENTRY = 16, LINUX = 0x83 };

static void put_chs(unsigned char *p, uint64_t sector)
{
    uint64_t cylinder = sector / PER_CYLINDER;
    unsigned head = (unsigned)(sector / SECTORS % HEADS), s = (unsigned)(sector % SECTORS) + 1;
    if (cylinder >= CYLINDERS) {
        cylinder = CYLINDERS - 1;
        head = HEADS - 1;
        s = SECTORS;
    }
    p[0] = (unsigned char)head;
    p[1] = (unsigned char)(s | (cylinder >> 8) << 6);
    p[2] = (unsigned char)cylinder;
}

void mbr_write(unsigned char sector[static DISK_SECTOR], uint32_t signature,
               const struct disk_partition *partitions, unsigned count)
{
    memset(sector, 0, DISK_SECTOR);
    put_le(sector + 440, signature, 4);
    for (unsigned i = 0; i < count; i++) {
        unsigned char *e = sector + TABLE + (size_t)ENTRY * i;
        uint64_t start = partitions[i].start / DISK_SECTOR, n = partitions[i].size / DISK_SECTOR;
        e[0] = partitions[i].active ? 0x80 : 0;
        put_chs(e + 1, start);
        e[4] = LINUX;
        put_chs(e + 5, start + n - 1);
        put_le(e + 8, start, 4);
        put_le(e + 12, n, 4);
    }
    sector[510] = 0x55;
    sector[511] = 0xaa;
}

uint64_t mbr_first_partition(const unsigned char sector[static DISK_SECTOR])
{
    return get_le(sector + TABLE + 8, 4) * DISK_SECTOR;
}

// ---- NVDIMM ----

// struct nd_pfn_sb: offset of each field that is not 0, and of the checksum, which is the last.
enum { MINOR = 54, DATA_OFFSET = 56, MODE = 72, ALIGN = 84, CHECKSUM = DISK_BLOCK - 8 };

static uint64_t fletcher64(const unsigned char *block)
{
    uint32_t low = 0;
    uint64_t high = 0;
    for (unsigned i = 0; i < DISK_BLOCK; i += 4) {
        low += (uint32_t)get_le(block + i, 4);
        high += low;
    }
    return high << 32 | low;
}

void nvdimm_header_write(unsigned char block[static DISK_BLOCK], uint64_t data_offset,
                         uint32_t align)
{
    static const char signature[] = "NVDIMM_PFN_INFO";
    memset(block, 0, DISK_BLOCK);
    memcpy(block, signature, sizeof signature);
    put_le(block + MINOR, 2, 2);
    put_le(block + DATA_OFFSET, data_offset, 8);
    put_le(block + MODE, 1, 4);
    put_le(block + ALIGN, align, 4);
    put_le(block + CHECKSUM, fletcher64(block), 8);
}

// ---- layout ----

static uint64_t round_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) / to * to;
}

int disk_layout(const struct disk_plan *plan, struct disk_layout *out, struct error **err)
{
    const uint64_t limit = (uint64_t)1 << 40; // a partition table ends at 2 TiB
    uint64_t align = plan->align * DISK_MIB, first = DISK_MIB;
    *out = (struct disk_layout){.disk = plan->header ? DISK_HEADER : 0};
    if (plan->content > limit)
        return error_user(err, "a file system of %llu MiB is too large for an image",
                          (unsigned long long)(plan->content / DISK_MIB));
    uint64_t content = first + round_up(plan->content, DISK_MIB);
    for (out->size = round_up(out->disk + content, align);; out->size += align) {
        uint64_t disk = out->size - out->disk;
        uint64_t end = plan->measured ? disk * 99 / 100 / DISK_MIB * DISK_MIB : disk;
        if (end < content)
            continue;
        out->parts[0] = (struct disk_partition){first, end - first, plan->measured};
        if (plan->measured)
            out->parts[1] = (struct disk_partition){end, disk - end, false};
        return 0;
    }
}

int disk_read_at(int fd, const char *shown, void *bytes, size_t length, uint64_t offset,
                 struct error **err)
{
    ssize_t n = fd_read_at(fd, bytes, length, offset);
    if (n < 0)
        return error_errno(err, errno, "reading %s", shown);
    return (size_t)n < length ? error_user(err, "reading %s: it ends early", shown) : 0;
}

int disk_write_tables(int fd, const char *shown, const struct disk_layout *layout,
                      uint32_t signature, struct error **err)
{
    unsigned char block[DISK_BLOCK];
    unsigned count = layout->parts[1].size ? 2 : 1;
    mbr_write(block, signature, layout->parts, count);
    if (fd_write_at(fd, shown, block, DISK_SECTOR, layout->disk, err) < 0)
        return -1;
    if (!layout->disk)
        return 0;
    // The same partitions, as seen from the start of the file.
    struct disk_partition moved[2] = {layout->parts[0], layout->parts[1]};
    for (unsigned i = 0; i < count; i++)
        moved[i].start += layout->disk;
    mbr_write(block, signature, moved, count);
    if (fd_write_at(fd, shown, block, DISK_SECTOR, 0, err) < 0)
        return -1;
    nvdimm_header_write(block, layout->disk, (uint32_t)(2 * DISK_MIB));
    return fd_write_at(fd, shown, block, DISK_BLOCK, NVDIMM_HEADER_AT, err);
}

// ---- uuid ----
// UUIDs as text, and from content.

// Where the text has its hyphens.
static bool is_hyphen(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

void uuid_text(const unsigned char uuid[static UUID_SIZE], char out[static UUID_TEXT])
{
    char hex[2 * UUID_SIZE + 1];
    const char *p = hex;
    hex_encode(uuid, UUID_SIZE, hex);
    for (size_t i = 0; i < UUID_TEXT - 1; i++)
        out[i] = is_hyphen(i) ? '-' : *p++;
    out[UUID_TEXT - 1] = '\0';
}

bool uuid_read(const char *text, unsigned char out[static UUID_SIZE])
{
    char hex[2 * UUID_SIZE + 1] = "", *p = hex;
    if (strlen(text) != UUID_TEXT - 1)
        return false;
    for (size_t i = 0; i < UUID_TEXT - 1; i++)
        if (!is_hyphen(i))
            *p++ = text[i];
        else if (text[i] != '-')
            return false;
    return hex_decode(hex, out, UUID_SIZE);
}

void derive(const char digest[static DIGEST_HEX_SIZE], const char *purpose, void *out, size_t size)
{
    char hex[DIGEST_HEX_SIZE];
    unsigned char all[DIGEST_SIZE];
    cleanup_free char *text = xasprintf("kbuild %s %s", purpose, digest);
    digest_bytes(text, strlen(text), hex);
    if (hex_decode(hex, all, DIGEST_SIZE))
        memcpy(out, all, size);
}

void uuid_derive(const char digest[static DIGEST_HEX_SIZE], const char *purpose,
                 unsigned char out[static UUID_SIZE])
{
    derive(digest, purpose, out, UUID_SIZE);
    out[6] = (out[6] & 0x0f) | 0x80; // version 8
    out[8] = (out[8] & 0x3f) | 0x80; // variant
}
