// SPDX-License-Identifier: Apache-2.0
// Images of the newer tool (layout "P", docs/se-image.md) are read and opened.
#include "test.h"

#include "se_layout_p.h"

ALL_TESTS(fixture_begin, fixture_end)

TEST(images_of_the_newer_tool_are_inspected)
{
    struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "p.img");
    put_image(f, path);
    struct se_image image;
    assert_good(read_image(path, &image, &err));
    assert_true(image.layout_p);
    assert_int_equal(image.header_offset, HEADER);
    assert_int_equal(image.ipib_offset, 0x2C000);
    assert_int_equal(image.ipib_size, 136 + 4 * 24);
    assert_int_equal(image.components[1].tweak[1], 50);
    se_image_free(&image);
}

TEST(images_of_the_newer_tool_are_opened)
{
    struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "p.img"), *parts = in_folder(f, "parts"),
                      *clear = in_folder(f, "clear.img");
    put_image(f, path);
    struct se_opened opened;
    assert_good(se_open(path, f->hosts[1].key, parts, &opened, &err));
    assert_int_equal(opened.image.initrd, 1);
    assert_int_equal(opened.image.parameters, 2);
    assert_string_equal(opened.command_line, KNOWN_COMMAND_LINE);
    char got[DIGEST_HEX_SIZE], want[DIGEST_HEX_SIZE];
    assert_good(digest_file(opened.initrd, got, NULL, &err));
    assert_good(digest_file(f->initrd, want, NULL, &err));
    assert_string_equal(got, want);
    se_opened_free(&opened);
    // To be run in an emulator, all of it has to be there, the IPIB too.
    assert_good(se_write_unsealed(path, f->hosts[0].key, clear, &err));
    cleanup_buf struct buf unsealed = {0};
    get_file(clear, &unsealed);
    assert_int_equal(unsealed.len, 0x2C000 + 136 + 4 * 24);
    assert_hex(unsealed.data, 8, "000800018002a000");
    assert_string_equal(unsealed.data + 0x29000, KNOWN_COMMAND_LINE);
}

TEST(damage_in_them_is_found)
{
    struct fixture *f = *state;
    static const struct {
        uint64_t offset;
        const char *message;
    } cases[] = {
        {0x5, "short PSW"},
        {0x15010, "contents changed"},
        {0x2C000, "its length"},
        {0x2C00C, "the type of block 0"},
        {0x2C06F, "the version"},
        {0x2C07F, "the header's address"},
        {0x2C08F, "tweaks in the IPIB changed"},
        {0x14010, "its tag does not fit"},
        {0xC00E, "damaged"},
        {0xC01A, "IPIB"},
    };
    cleanup_free char *path = in_folder(f, "damaged.img"), *parts = in_folder(f, "none");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        put_image(f, path);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        unsigned char byte;
        assert_int_equal(pread(fd, &byte, 1, (off_t)cases[i].offset), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)cases[i].offset), 1);
        close(fd);
        struct se_opened opened;
        assert_int_equal(se_open(path, f->hosts[0].key, parts, &opened, &err), -1);
        assert_message(err, cases[i].message);
    }
}
