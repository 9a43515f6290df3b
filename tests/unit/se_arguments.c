// SPDX-License-Identifier: Apache-2.0
// The loaders' argument blocks: where they are found, and what is not taken for one.
#include "test.h"

#include "se/format.h"

#include <stdint.h>

#define BLOB 8192u

static const struct se_component components[] = {
    {.address = 0x15000, .padded = 0x2000},
    {.address = 0x17000, .padded = 0x1000},
    {.address = 0x18000, .padded = 0x1000},
    {.address = 0x19000, .padded = 0x2000}, // stage3b
};

static struct stage3b_arguments good_arguments(void)
{
    return (struct stage3b_arguments){
        .part = {{0x15000, 0x1801}, {0x17000, 17}, {0x18000, 0}},
        .psw_mask = SE_PSW_MASK,
        .psw_address = SE_KERNEL_ENTRY,
    };
}

// Puts the block at the end of `length` bytes of code, and looks for it.
static size_t find(const struct stage3b_arguments *a, size_t length, size_t count, int index[3])
{
    static unsigned char blob[BLOB];
    struct stage3b_arguments found;
    memset(blob, 0, sizeof blob);
    memset(blob, 0x5A, length - STAGE3B_ARGUMENTS);
    stage3b_arguments_put(a, blob + length - STAGE3B_ARGUMENTS);
    size_t end = stage3b_arguments_find(blob, sizeof blob, components, count, &found, index);
    if (end) {
        assert_int_equal(found.psw_address, a->psw_address);
        assert_int_equal(found.part[0].size, a->part[0].size);
    }
    return end;
}

TEST(the_block_is_found_wherever_stage3b_ends)
{
    static const size_t lengths[] = {65, 4100, 4101, 5860, BLOB - 1, BLOB};
    // The address may end in zero bytes; up to eleven bytes of the block are zero then.
    static const uint64_t entries[] = {0x10000, 0, 1, 0x7fffffff};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
        for (size_t j = 0; j < ARRAY_LEN(entries); j++) {
            struct stage3b_arguments a = good_arguments();
            int index[3];
            a.psw_address = entries[j];
            assert_int_equal(find(&a, lengths[i], 4, index), lengths[i]);
            assert_int_equal(index[PART_KERNEL], 0);
            assert_int_equal(index[PART_COMMAND_LINE], 1);
            assert_int_equal(index[PART_INITRD], 2);
        }
}

TEST(a_block_that_does_not_fit_the_components_is_none)
{
    int index[3];
    struct stage3b_arguments a = good_arguments();
    assert_int_equal(find(&a, 5860, 4, index), 5860);
    a.part[0].size = 0x2001; // more than its pages
    assert_int_equal(find(&a, 5860, 4, index), 0);
    a.part[0].size = 0x1000; // fewer pages than there are
    assert_int_equal(find(&a, 5860, 4, index), 0);
    a.part[0].size = UINT64_MAX;
    assert_int_equal(find(&a, 5860, 4, index), 0);
    a = good_arguments();
    a.part[1].address = 0x16000; // no component begins there
    assert_int_equal(find(&a, 5860, 4, index), 0);
    a = good_arguments();
    a.part[2] = a.part[1]; // the same twice
    assert_int_equal(find(&a, 5860, 4, index), 0);
    a = good_arguments();
    a.part[2].address = 0; // one component that nothing speaks of
    assert_int_equal(find(&a, 5860, 4, index), 0);
    a = good_arguments();
    a.part[2].address = 0x19000; // stage3b is no initrd
    a.part[2].size = 0x1001;
    assert_int_equal(find(&a, 5860, 4, index), 0);
    a = good_arguments();
    a.psw_mask ^= 1;
    assert_int_equal(find(&a, 5860, 4, index), 0);
}

TEST(an_empty_component_is_nothing_to_search)
{
    unsigned char zeros[SE_PAGE] = {0};
    struct stage3b_arguments a;
    int index[3];
    assert_int_equal(stage3b_arguments_find(zeros, sizeof zeros, components, 4, &a, index), 0);
}

TEST(distances_to_header_and_ipib_are_relative)
{
    struct error *err = NULL;
    struct layout l;
    unsigned char page[SE_PAGE] = {0};
    assert_int_equal(layout_plan(0x26B8, 1, &l, &err), 0);
    assert_int_equal(l.arguments, 0x126A0);
    assert_int_equal(l.ipib, 0x13000);
    assert_int_equal(l.header, 0x14000);
    assert_int_equal(l.components, 0x15000);
    stage3a_arguments(&l, 640, page + 0x6A0);
    assert_int_equal(get_be64(page + 0x6A0), 0x1960);
    assert_int_equal(get_be64(page + 0x6A8), 0x280);
    assert_int_equal(get_be64(page + 0x6B0), 0x960);
    assert_int_equal(stage3a_arguments_find(page, sizeof page, 0x12000, 0x14000, 640, 0x13000),
                     0x126A0);
    assert_int_equal(stage3a_arguments_find(page, sizeof page, 0x12000, 0x14000, 720, 0x13000), 0);
    assert_int_equal(stage3a_arguments_find(page, sizeof page, 0x11000, 0x14000, 640, 0x13000), 0);
}

TEST(stage3a_ends_in_the_page_before_the_ipib)
{
    struct layout l;
    static const size_t good[] = {0x2001, 0x26B8, 0x3000}, bad[] = {0, 24, 0x2000, 0x3001};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(layout_plan(good[i], 95, &l, NULL), 0);
        assert_int_equal(l.header, 0x14000);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(layout_plan(bad[i], 95, &l, NULL), -1);
}
