// SPDX-License-Identifier: Apache-2.0
// Partition tables and the NVDIMM header against bytes that sfdisk 2.38 and Kata's nsdax wrote.
#include "test.h"

#include "disk/disk.h"

#include "base/digest.h"

#include <stddef.h>
#include <string.h>

static void expect_table(const struct disk_partition *parts, unsigned count, const char *hex)
{
    unsigned char sector[DISK_SECTOR], zero[440] = {0};
    char text[2 * 72 + 1];
    mbr_write(sector, 0x12345678, parts, count);
    hex_encode(sector + 440, 72, text);
    assert_string_equal(text, hex);
    assert_memory_equal(sector, zero, sizeof zero);
}

// sfdisk with "label-id: 0x12345678", "start=6144, size=252928, type=83, bootable" and
// "start=259072, size=3072, type=83".
TEST(a_table_is_sfdisks)
{
    static const struct disk_partition parts[] = {{6144 * 512, (uint64_t)252928 * 512, true},
                                                  {(uint64_t)259072 * 512, 3072 * 512, false}};
    expect_table(parts, 2,
                 "785634120000"
                 "80612200832010100018000000dc0300"
                 "002011108351011000f40300000c0000"
                 "000000000000000000000000000000000000000000000000000000000000000055aa");
}

// The same on a disk of 9 GiB: "start=6144, size=16777216, bootable" and "start=18000000". What
// lies behind cylinder 1023 has the highest numbers there are.
TEST(far_sectors_are_cut_as_sfdisk_does)
{
    static const struct disk_partition parts[] = {
        {6144 * 512, (uint64_t)16777216 * 512, true},
        {(uint64_t)18000000 * 512, (uint64_t)874368 * 512, false}};
    expect_table(parts, 2,
                 "785634120000"
                 "8061220083feffff0018000000000001"
                 "00feffff83feffff80a8120180570d00"
                 "000000000000000000000000000000000000000000000000000000000000000055aa");
}

// `nsdax FILE 2097152 2097152`
TEST(the_nvdimm_header_is_nsdaxs)
{
    unsigned char block[DISK_BLOCK];
    char digest[DIGEST_HEX_SIZE];
    nvdimm_header_write(block, 2 * DISK_MIB, 2 * DISK_MIB);
    digest_bytes(block, sizeof block, digest);
    assert_string_equal(digest, "b502df4b37a7b6ba1f3c93416b77768a9f6df41ce2ec7fe46804180ca2191553");
}

static struct disk_layout layout_of(bool header, bool measured, uint64_t content, unsigned align)
{
    const struct disk_plan plan = {header, measured, content, align};
    struct disk_layout l;
    assert_int_equal(disk_layout(&plan, &l, NULL), 0);
    uint64_t end =
        l.parts[1].size ? l.parts[1].start + l.parts[1].size : l.parts[0].start + l.parts[0].size;
    assert_int_equal(end, l.size - l.disk);
    assert_true(l.parts[0].size >= content);
    return l;
}

TEST(images_are_laid_out_as_upstream_does)
{
    struct disk_layout l = layout_of(true, true, 100 * DISK_MIB, 128);
    assert_int_equal(l.size, 128 * DISK_MIB);
    assert_int_equal(l.disk, 2 * DISK_MIB);
    assert_int_equal(l.parts[0].start, DISK_MIB);
    assert_true(l.parts[0].active);
    assert_int_equal(l.parts[1].start, 124 * DISK_MIB); // 99 % of 126
    l = layout_of(true, false, 125 * DISK_MIB, 128);
    assert_int_equal(l.size, 128 * DISK_MIB);
    assert_int_equal(l.parts[1].size, 0);
    assert_false(l.parts[0].active);
    l = layout_of(true, false, 125 * DISK_MIB + 1, 128);
    assert_int_equal(l.size, 256 * DISK_MIB);
    l = layout_of(true, true, 124 * DISK_MIB, 128); // the hashes need room, too
    assert_int_equal(l.size, 256 * DISK_MIB);
    l = layout_of(false, true, 3 * DISK_MIB, 8);
    assert_int_equal(l.disk, 0);
    assert_int_equal(l.size, 8 * DISK_MIB);
    assert_int_equal(l.parts[1].start, 7 * DISK_MIB);
}

TEST(what_no_table_can_hold_is_refused)
{
    const struct disk_plan plan = {true, true, (uint64_t)3 << 40, 128};
    struct disk_layout l;
    struct error *err = NULL;
    assert_int_equal(disk_layout(&plan, &l, &err), -1);
    assert_non_null(strstr(err->message, "too large for an image"));
    error_free(err);
}
