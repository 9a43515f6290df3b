// SPDX-License-Identifier: Apache-2.0
// Reference values are those of the image, and come from a valid one only.
#include "test.h"

#include "se_fixture.h"

#include "se/se.h"

#include <jansson.h>

static int refer(const char *path, const struct se_originals *originals, struct buf *json,
                 struct buf *header, struct error **err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    int result = se_reference(fd, "the image", originals, json, header, err);
    close(fd);
    return result;
}

static const char *first(const json_t *values, const char *name)
{
    const json_t *list = json_object_get(values, name);
    assert_true(json_array_size(list) >= 1);
    return json_string_value(json_array_get(list, 0));
}

static void expect_part(const json_t *all, const char *name, const void *bytes, size_t length)
{
    char hex[DIGEST_HEX_SIZE];
    const json_t *part = json_object_get(all, name);
    digest_bytes(bytes, length, hex);
    assert_int_equal(json_integer_value(json_object_get(part, "size")), length);
    assert_string_equal(json_string_value(json_object_get(part, "sha256")), hex);
}

ALL_TESTS(fixture_begin, fixture_end)

TEST(the_values_are_those_of_the_known_image)
{
    const struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "known.img");
    cleanup_buf struct buf text = {0}, header = {0}, image = {0}, initrd = {0};
    cleanup_originals struct se_originals originals = SE_ORIGINALS_NONE;
    assert_good(seal_to(&f->input, path, &err));
    assert_good(se_original_open(&originals, SE_ORIGINAL_INITRD, f->initrd, &err));
    assert_good(refer(path, &originals, &text, &header, &err));
    get_file(path, &image);
    get_file(f->initrd, &initrd);
    json_t *all = json_loads(text.data, JSON_REJECT_DUPLICATES, NULL);
    const json_t *values = json_object_get(all, "reference_values");
    assert_string_equal(first(values, "se.tag"), "d37e830957e901fe5aed879013d548da");
    assert_int_equal(json_integer_value(json_array_get(json_object_get(values, "se.version"), 0)),
                     256);
    static const char *const names[] = {"se.image_phkh", "se.attestation_phkh"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(json_array_size(json_object_get(values, names[i])), 2);
        assert_string_equal(first(values, names[i]),
                            "1168c2b30940781f558e9f2a0b466ee5c17226fbe385982e25523069e7672b3e");
    }
    assert_int_equal(header.len, 720);
    assert_memory_equal(header.data, image.data + 0x14000, 720);
    expect_part(all, "header", header.data, header.len);
    expect_part(all, "image", image.data, image.len);
    expect_part(all, "initrd", initrd.data, initrd.len);
    assert_null(json_object_get(all, "kernel"));
    json_decref(all);
}

TEST(a_host_key_given_twice_is_named_once)
{
    const struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "twice.img");
    cleanup_buf struct buf text = {0};
    const struct host_key twice[2] = {f->hosts[0], f->hosts[0]};
    struct se_input in = f->input;
    in.hosts = twice;
    assert_good(seal_to(&in, path, &err));
    assert_good(refer(path, &SE_ORIGINALS_NONE, &text, NULL, &err));
    json_t *all = json_loads(text.data, 0, NULL);
    const json_t *values = json_object_get(all, "reference_values");
    assert_int_equal(json_array_size(json_object_get(values, "se.image_phkh")), 1);
    json_decref(all);
}

TEST(a_damaged_image_has_no_reference_values)
{
    const struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "damaged.img");
    cleanup_buf struct buf image = {0}, text = {0};
    assert_good(seal_to(&f->input, path, &err));
    get_file(path, &image);
    image.data[0x15000] ^= 1;
    put_file(path, image.data, image.len);
    assert_int_equal(refer(path, &SE_ORIGINALS_NONE, &text, NULL, &err), -1);
    assert_message(err, "contents changed");
    assert_int_equal(text.len, 0);
}
