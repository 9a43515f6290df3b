// SPDX-License-Identifier: Apache-2.0
// What goes into an image comes out of it, whatever is absent and whatever its size.
#include "test.h"

#include "se_fixture.h"

#include "se/format.h"

static void assert_same_file(const char *a, const char *b)
{
    cleanup_buf struct buf one = {0}, other = {0};
    get_file(a, &one);
    get_file(b, &other);
    assert_int_equal(one.len, other.len);
    assert_memory_equal(one.data, other.data, one.len);
}

// Seals, opens with the key of one host, and compares all parts.
static void check_round_trip(const struct fixture *f, const struct se_input *in, EVP_PKEY *host)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "trip.img"), *parts = in_folder(f, "parts");
    assert_good(seal_to(in, path, &err));
    struct se_opened opened;
    assert_good(se_open(path, host, parts, &opened, &err));
    assert_true(opened.image.opened);
    assert_same_file(opened.kernel, in->kernel);
    assert_int_equal(opened.image.psw_mask, SE_PSW_MASK);
    if (in->initrd)
        assert_same_file(opened.initrd, in->initrd);
    else
        assert_true(!opened.initrd && opened.image.initrd == -1);
    if (in->command_line) {
        assert_string_equal(opened.command_line, in->command_line);
        cleanup_free char *file = xasprintf("%s/cmdline", parts);
        cleanup_buf struct buf text = {0};
        get_file(file, &text);
        assert_int_equal(text.len, in->command_line_length);
    } else {
        assert_true(!opened.command_line && opened.image.parameters == -1);
    }
    struct stat st;
    assert_int_equal(stat(opened.kernel, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    se_opened_free(&opened);
    assert_good(remove_tree(parts, &err));
}

ALL_TESTS(fixture_begin, fixture_end)

TEST(every_host_opens_the_image)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 2; i++)
        check_round_trip(f, &f->input, f->hosts[i].key);
}

TEST(randomly_drawn_keys_work_too)
{
    struct fixture *f = *state;
    struct se_input in = f->input;
    in.fixed = NULL;
    in.keys = (struct se_keys){0};
    check_round_trip(f, &in, f->hosts[0].key);
}

TEST(two_images_of_the_same_parts_share_no_secret)
{
    struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    struct se_input in = f->input;
    struct se_image images[2];
    in.fixed = NULL;
    in.keys = (struct se_keys){0};
    for (size_t i = 0; i < 2; i++) {
        cleanup_free char *path = in_folder(f, "random.img");
        assert_good(seal_to(&in, path, &err));
        assert_good(read_image(path, &images[i], &err));
    }
    assert_memory_not_equal(images[0].iv, images[1].iv, 12);
    assert_memory_not_equal(images[0].customer_key, images[1].customer_key, 160);
    assert_memory_not_equal(images[0].pld, images[1].pld, 64);
    assert_memory_not_equal(images[0].tld, images[1].tld, 64);
    assert_memory_not_equal(images[0].slot[0] + 32, images[1].slot[0] + 32, 32);
    assert_memory_equal(images[0].slot[0], images[1].slot[0], 32); // the host key's hash
    assert_memory_equal(images[0].ald, images[1].ald, 64);
    se_image_free(&images[0]);
    se_image_free(&images[1]);
}

TEST(initrd_and_command_line_may_be_absent)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        struct se_input in = f->input;
        if (i != 1)
            in.initrd = NULL;
        if (i != 0)
            in.command_line = NULL;
        check_round_trip(f, &in, f->hosts[1].key);
    }
}

// The indexes in the tweaks say what a component is: nothing is renumbered.
TEST(absent_parts_keep_their_tweak_index)
{
    struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "sparse.img");
    struct se_input in = f->input;
    in.command_line = NULL;
    assert_good(seal_to(&in, path, &err));
    struct se_image image;
    assert_good(read_image(path, &image, &err));
    assert_int_equal(image.component_count, 3);
    static const int indexes[] = {0, 2, 3};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(image.components[i].tweak[0] << 8 | image.components[i].tweak[1],
                         indexes[i]);
    se_image_free(&image);
}

TEST(empty_parts_take_one_page)
{
    struct fixture *f = *state;
    cleanup_free char *empty = in_folder(f, "empty");
    put_file(empty, "", 0);
    struct se_input in = f->input;
    in.initrd = empty;
    in.command_line = "";
    in.command_line_length = 0;
    check_round_trip(f, &in, f->hosts[0].key);
    cleanup_free char *path = in_folder(f, "trip.img");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    // kernel 18 pages, command line 1, initrd 1, stage3b 2
    assert_int_equal(st.st_size, 0x15000 + 22 * SE_PAGE);
}

TEST(sizes_around_a_page_are_kept)
{
    struct fixture *f = *state;
    cleanup_free char *path = in_folder(f, "around");
    for (size_t size = 4095; size <= 4097; size++) {
        cleanup_free unsigned char *bytes = xmalloc(size);
        memset(bytes, 0x77, size);
        put_file(path, bytes, size);
        struct se_input in = f->input;
        in.initrd = path;
        check_round_trip(f, &in, f->hosts[0].key);
        in = f->input;
        in.kernel = path;
        check_round_trip(f, &in, f->hosts[0].key);
        cleanup_free char *line = xmalloc(size + 1);
        memset(line, 'x', size);
        line[size] = '\0';
        in = f->input;
        in.command_line = line;
        in.command_line_length = size;
        check_round_trip(f, &in, f->hosts[0].key);
    }
}

// Larger than the buffers of the digests together, and not a multiple of them.
TEST(parts_larger_than_all_buffers_are_streamed)
{
    struct fixture *f = *state;
    cleanup_free char *path = in_folder(f, "large");
    size_t size = ((size_t)3 << 20) + 12345;
    cleanup_free unsigned char *bytes = xmalloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * i >> 7);
    put_file(path, bytes, size);
    struct se_input in = f->input;
    in.initrd = path;
    check_round_trip(f, &in, f->hosts[0].key);
}

TEST(components_in_clear_are_read_back)
{
    struct fixture *f = *state;
    struct se_input in = f->input;
    in.pcf |= SE_PCF_NO_ENCRYPTION;
    check_round_trip(f, &in, f->hosts[0].key);
}

TEST(the_entry_of_the_kernel_lies_in_the_arguments_of_stage3b)
{
    struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "entry.img"), *parts = in_folder(f, "entry");
    struct se_input in = f->input;
    in.psw_address = 0x12345678;
    assert_good(seal_to(&in, path, &err));
    struct se_opened opened;
    assert_good(se_open(path, f->hosts[0].key, parts, &opened, &err));
    assert_int_equal(opened.image.psw_address, opened.image.components[3].address);
    cleanup_free char *stage3b = xasprintf("%s/stage3b", parts);
    cleanup_buf struct buf blob = {0};
    get_file(stage3b, &blob);
    assert_int_equal(blob.len, STAGE3B_SIZE);
    assert_int_equal(get_be64((unsigned char *)blob.data + blob.len - 8), 0x12345678);
    se_opened_free(&opened);
}

// Host keys that are all the same stand for many: a slot is made for each.
TEST(header_size_follows_the_number_of_hosts)
{
    struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "hosts.img"), *parts = in_folder(f, "hosts");
    static const struct {
        size_t hosts;
        uint64_t components;
    } cases[] = {{1, 0x15000}, {44, 0x15000}, {45, 0x16000}, {95, 0x16000}};
    struct host_key hosts[96];
    for (size_t i = 0; i < 96; i++)
        hosts[i] = f->hosts[i == 40];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct se_input in = f->input;
        in.hosts = hosts;
        in.host_count = cases[i].hosts;
        assert_good(seal_to(&in, path, &err));
        struct se_opened opened;
        EVP_PKEY *key = f->hosts[cases[i].hosts > 40].key;
        assert_good(se_open(path, key, parts, &opened, &err));
        assert_int_equal(opened.image.slots, cases[i].hosts);
        assert_int_equal(opened.image.header_offset, 0x14000);
        assert_int_equal(opened.image.header_size, 560 + 80 * cases[i].hosts);
        assert_int_equal(opened.image.components[0].address, cases[i].components);
        se_opened_free(&opened);
    }
    struct se_input in = f->input;
    in.hosts = hosts;
    in.host_count = 96;
    assert_int_equal(seal_to(&in, path, &err), -1);
    assert_message(err, "96 host key documents are too many");
}

TEST(a_strangers_key_does_not_open_the_image)
{
    struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "mine.img"), *parts = in_folder(f, "none");
    assert_good(seal_to(&f->input, path, &err));
    struct se_opened opened;
    assert_int_equal(se_open(path, f->fixed.customer_key, parts, &opened, &err), -1);
    assert_message(err, "none of its 2 key slots is for this host key");
    assert_false(path_exists(parts));
}

// Section 18: an emulator starts at stage3b, with everything in clear where it was.
TEST(the_unsealed_image_has_every_part_in_clear)
{
    struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "closed.img"), *out = in_folder(f, "unsealed.img");
    assert_good(seal_to(&f->input, path, &err));
    assert_good(se_write_unsealed(path, f->hosts[1].key, out, &err));
    cleanup_buf struct buf image = {0}, kernel = {0}, initrd = {0};
    get_file(out, &image);
    get_file(f->kernel, &kernel);
    get_file(f->initrd, &initrd);
    assert_int_equal(image.len, 0x2C000);
    assert_hex(image.data, 8, "000800018002a000");
    assert_memory_equal(image.data + 0x15000, kernel.data, kernel.len);
    assert_string_equal(image.data + 0x27000, KNOWN_COMMAND_LINE);
    assert_memory_equal(image.data + 0x28000, initrd.data, initrd.len);
    assert_memory_equal(image.data + 0x10000, f->stage3a, STAGE3A_SIZE - 24);
    assert_memory_equal(image.data + 0x2A000, f->stage3b, STAGE3B_SIZE - 64);
}

// The loaders that are built in, with random keys: what users get.
TEST(the_built_in_loaders_fit)
{
    struct fixture *f = *state;
    struct se_input in = f->input;
    in.stage3a = in.stage3b = NULL;
    in.fixed = NULL;
    in.keys = (struct se_keys){0};
    check_round_trip(f, &in, f->hosts[0].key);
    in.initrd = NULL;
    in.command_line = NULL;
    check_round_trip(f, &in, f->hosts[0].key);
}
