// SPDX-License-Identifier: Apache-2.0
// A single flipped bit anywhere but in the code of stage3a is found, and the message says where.
#include "test.h"

#include "se_fixture.h"

#include "se/format.h"

#define HEADER 0x14000u
#define HEADER_END (HEADER + 720u)

struct tamper {
    struct fixture *f;
    char *path, *parts;
};

static int begin(void **state)
{
    struct tamper *t = xcalloc(1, sizeof *t);
    if (fixture_begin((void **)&t->f) < 0)
        return -1;
    t->path = in_folder(t->f, "target.img");
    t->parts = in_folder(t->f, "parts");
    *state = t;
    return seal_to(&t->f->input, t->path, NULL);
}

static int end(void **state)
{
    struct tamper *t = *state;
    free(t->path);
    free(t->parts);
    fixture_end((void **)&t->f);
    free(t);
    return 0;
}

static void flip(const struct tamper *t, uint64_t offset, unsigned bit)
{
    int fd = open(t->path, O_RDWR | O_CLOEXEC);
    unsigned char byte;
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= (unsigned char)(1u << bit);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

// Flips one bit, opens, flips it back. The message must hold one of the words.
static void expect_found(const struct tamper *t, uint64_t offset, unsigned bit,
                         const char *const words[3])
{
    cleanup_error struct error *err = NULL;
    struct se_opened opened;
    flip(t, offset, bit);
    int result = se_open(t->path, t->f->hosts[0].key, t->parts, &opened, &err);
    flip(t, offset, bit);
    if (result == 0)
        fail_msg("bit %u of byte 0x%llx: not found", bit, (unsigned long long)offset);
    bool named = false;
    for (int i = 0; i < 3 && words[i]; i++)
        named |= strstr(err->message, words[i]) != NULL;
    if (!named)
        fail_msg("bit %u of byte 0x%llx: \"%s\"", bit, (unsigned long long)offset, err->message);
    assert_false(path_exists(t->parts));
}

ALL_TESTS(begin, end)

TEST(the_image_as_it_is_opens)
{
    struct tamper *t = *state;
    cleanup_error struct error *err = NULL;
    struct se_opened opened;
    assert_good(se_open(t->path, t->f->hosts[0].key, t->parts, &opened, &err));
    se_opened_free(&opened);
    assert_good(remove_tree(t->parts, &err));
}

TEST(every_byte_of_the_header_counts)
{
    static const char *const words[3] = {"header", "key slot"};
    for (uint64_t i = HEADER; i < HEADER_END; i++)
        expect_found(*state, i, i * 5 % 8, words);
}

TEST(the_message_tells_slots_and_header_apart)
{
    static const struct {
        unsigned offset;
        const char *message;
    } cases[] = {
        {HEADER_VERSION, "its version"},
        {HEADER_SIZE + 3, "do not fit its size"},
        {HEADER_RESERVED, "reserved"},
        {HEADER_SLOTS + 7, "key slots do not fit"},
        {HEADER_ENCRYPTED_SIZE + 7, "encrypted area"},
        {HEADER_PAGES + 7, "component pages"},
        {HEADER_PCF + 7, "its tag does not fit"},
        {HEADER_CUSTOMER_KEY, "customer key in the header is damaged: it is not a point"},
        {HEADER_CUSTOMER_KEY + 60, "customer key in the header is damaged"},
        {HEADER_PLD, "the header, 0x14000 to 0x142d0, is damaged"},
        {HEADER_SLOT_LIST, "none of its 2 key slots"},
        {HEADER_SLOT_LIST + 40, "key slot 1"},
        {HEADER_SLOT_LIST + 70, "key slot 1"},
        {HEADER_SLOT_LIST + SLOT_SIZE + 40, "the header, 0x14000 to 0x142d0, is damaged"},
        {719, "the header, 0x14000 to 0x142d0, is damaged"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_found(*state, HEADER + cases[i].offset, 0, (const char *const[3]){cases[i].message});
}

TEST(changes_in_components_are_found)
{
    static const char *const words[3] = {"the components, 0x15000 to 0x2c000"};
    for (uint64_t i = 0x15000; i < 0x2C000; i += 1021)
        expect_found(*state, i, i % 8, words);
    expect_found(*state, 0x15000, 0, words);
    expect_found(*state, 0x2BFFF, 7, words);
}

TEST(changes_in_the_ipib_are_found)
{
    static const char *const words[3] = {"IPIB"};
    for (uint64_t i = 0x13000; i < 0x13000 + IPIB_COMPONENTS + 4 * IPIB_ENTRY_SIZE; i++)
        expect_found(*state, i, i * 3 % 8, words);
    for (uint64_t i = 0x13200; i < 0x14000; i += 509)
        expect_found(*state, i, i % 8, words);
}

TEST(changes_in_what_no_digest_covers_are_found)
{
    for (uint64_t bit = 0; bit < 64; bit++)
        expect_found(*state, bit / 8, bit % 8, (const char *const[3]){"short PSW"});
    for (uint64_t bit = 0; bit < (uint64_t)8 * STAGE3A_ARGUMENTS; bit += 3)
        expect_found(*state, 0x126A0 + bit / 8, bit % 8,
                     (const char *const[3]){"arguments of stage3a"});
    static const uint64_t gaps[] = {0x8,     0x4321,  0xC000,  0xFFFF,
                                    0x126B8, 0x12FFF, 0x142D0, 0x14FFF};
    for (size_t i = 0; i < ARRAY_LEN(gaps); i++)
        expect_found(*state, gaps[i], i,
                     (const char *const[3]){"zeros only", "SeImgLnx", "stage3a"});
}

// Section 16: nothing in an image says what the code of stage3a must be. A change in it can keep
// the image from starting, and no more.
TEST(changes_in_the_code_of_stage3a_cannot_be_found)
{
    struct tamper *t = *state;
    cleanup_error struct error *err = NULL;
    struct se_opened opened;
    flip(t, 0x11004, 3);
    assert_good(se_open(t->path, t->f->hosts[0].key, t->parts, &opened, &err));
    flip(t, 0x11004, 3);
    se_opened_free(&opened);
    assert_good(remove_tree(t->parts, &err));
}

static void expect_inspector(const struct tamper *t, uint64_t offset, const char *message)
{
    cleanup_error struct error *err = NULL;
    struct se_image image;
    flip(t, offset, 4);
    int result = read_image(t->path, &image, &err);
    flip(t, offset, 4);
    if (message) {
        assert_int_equal(result, -1);
        assert_message(err, message);
    } else {
        assert_int_equal(result, 0);
        se_image_free(&image);
    }
}

TEST(the_inspector_finds_changes_without_a_key)
{
    for (uint64_t i = 0x15000; i < 0x2C000; i += 4093)
        expect_inspector(*state, i, "contents changed, or the header's digest of them (pld) did");
    expect_inspector(*state, HEADER + HEADER_PLD, "(pld)");
    expect_inspector(*state, HEADER + HEADER_ALD, "(ald)");
    expect_inspector(*state, HEADER + HEADER_TLD, "(tld)");
    expect_inspector(*state, 0x13000 + IPIB_COMPONENTS + 7, "(tld)");
    expect_inspector(*state, 0x13000 + IPIB_COMPONENTS + 8 + 5, "does not begin where");
    expect_inspector(*state, 0x126A7, "arguments of stage3a");
    // What only a key can tell.
    static const unsigned blind[] = {HEADER_IV,
                                     HEADER_PCF,
                                     HEADER_CUSTOMER_KEY,
                                     HEADER_SLOT_LIST,
                                     HEADER_SLOT_LIST + 2 * SLOT_SIZE,
                                     719};
    for (size_t i = 0; i < ARRAY_LEN(blind); i++)
        expect_inspector(*state, HEADER + blind[i], NULL);
}

// Every length up to the end of the header, roughly, and many behind: none is an image.
TEST(cut_off_images_are_refused)
{
    struct tamper *t = *state;
    cleanup_free char *path = in_folder(t->f, "cut.img");
    cleanup_buf struct buf whole = {0};
    get_file(t->path, &whole);
    for (size_t length = 0; length < whole.len; length += length < 0x13000 ? 4099 : 257) {
        cleanup_error struct error *err = NULL;
        struct se_image image;
        put_file(path, whole.data, length);
        assert_int_equal(read_image(path, &image, &err), -1);
        assert_message(err, path);
    }
    buf_add(&whole, "x", 1);
    put_file(path, whole.data, whole.len);
    cleanup_error struct error *err = NULL;
    struct se_image image;
    assert_int_equal(read_image(path, &image, &err), -1);
    assert_message(err, "1 bytes follow the end of the image");
}
