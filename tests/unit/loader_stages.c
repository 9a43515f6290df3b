// SPDX-License-Identifier: Apache-2.0
// The loader stages as bytes: what the sealer and the image format rely on (image format, sections
// 3.1, 4, 6 and 7). That they run is shown by tests/e2e/loaders.bats.
#include "test.h"

#include "loader/stages.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { STAGE3A_ARGUMENTS = 24, STAGE3B_ARGUMENTS = 64, STAGE3A_ADDRESS = 0x10000 };

// How both the stub at 0x10000 and the relocator begin: lhi r1,1; sr r0,r0; sigp r1,r0,0x12; sam64.
static const unsigned char mode_switch[] = {0xa7, 0x18, 0x00, 0x01, 0x1b, 0x00,
                                            0xae, 0x10, 0x00, 0x12, 0x01, 0x0e};

static size_t stage3a_size(void)
{
    return stage_length(stage3a_start, stage3a_end);
}

static size_t stage3b_size(void)
{
    return stage_length(stage3b_start, stage3b_end);
}

static void assert_zero(const unsigned char *from, const unsigned char *to)
{
    for (; from < to; from++)
        assert_int_equal(*from, 0);
}

TEST(stage3a_ends_in_the_page_that_puts_the_header_at_0x14000)
{
    size_t end = STAGE3A_ADDRESS + stage3a_size();
    assert_true(end > 0x12000);
    assert_true(end <= 0x13000);
}

TEST(the_argument_blocks_are_last_and_empty)
{
    assert_true(stage3a_size() > STAGE3A_ARGUMENTS);
    assert_zero(stage3a_start + stage3a_size() - STAGE3A_ARGUMENTS, stage3a_end);
    assert_int_equal((STAGE3A_ADDRESS + stage3a_size() - STAGE3A_ARGUMENTS) % 8, 0);
    assert_true(stage3b_size() > STAGE3B_ARGUMENTS);
    assert_zero(stage3b_start + stage3b_size() - STAGE3B_ARGUMENTS, stage3b_end);
    assert_int_equal((stage3b_size() - STAGE3B_ARGUMENTS) % 8, 0);
}

TEST(both_entries_of_stage3a_switch_the_mode_first)
{
    assert_memory_equal(stage3a_start, mode_switch, sizeof(mode_switch));
    assert_memory_equal(stage3a_start + 0x1000, mode_switch, sizeof(mode_switch));
}

TEST(stage3a_does_not_look_like_linux)
{
    assert_memory_not_equal(stage3a_start + 8, "S390EP", 6);
    // With the maximum command line size at +0x430 being zero, a boot loader assumes the smallest.
    assert_zero(stage3a_start + 0x18, stage3a_start + 0x1000);
}

TEST(stage3b_starts_with_a_relocator_and_fits_below_its_stack)
{
    assert_memory_equal(stage3b_start, mode_switch, sizeof(mode_switch));
    // The loader behind the relocator begins in the same way; what is copied ends below 0xF000.
    const unsigned char *loader =
        memmem(stage3b_start + 1, stage3b_size() - 1, mode_switch, sizeof(mode_switch));
    assert_non_null(loader);
    assert_true(0xA000 + (uintptr_t)stage3b_end - (uintptr_t)loader <= 0xF000);
}

TEST(the_messages_are_in_the_stage_that_prints_them)
{
    static const char *const in_3a[] = {
        "Secure unpack facility is not available",
        "Protected boot setup has failed: ", "Protected boot has failed: "};
    static const char *const in_3b[] = {"Invalid kernel", "Command line is too large",
                                        "Command line needs to be null-terminated"};
    for (size_t i = 0; i < sizeof(in_3a) / sizeof(in_3a[0]); i++)
        assert_non_null(memmem(stage3a_start, stage3a_size(), in_3a[i], strlen(in_3a[i]) + 1));
    for (size_t i = 0; i < sizeof(in_3b) / sizeof(in_3b[0]); i++)
        assert_non_null(memmem(stage3b_start, stage3b_size(), in_3b[i], strlen(in_3b[i]) + 1));
}

TEST(nothing_of_the_build_machine_is_inside)
{
    static const char *const traces[] = {"GCC", "lib/loader", "/home", "/tmp", "/usr", ".c"};
    for (size_t i = 0; i < sizeof(traces) / sizeof(traces[0]); i++) {
        assert_null(memmem(stage3a_start, stage3a_size(), traces[i], strlen(traces[i])));
        assert_null(memmem(stage3b_start, stage3b_size(), traces[i], strlen(traces[i])));
    }
}
