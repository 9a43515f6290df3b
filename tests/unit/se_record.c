// SPDX-License-Identifier: Apache-2.0
// Seal records: what they say, what they must not say, and which are refused.
#include "test.h"

#include "se_provable.h"

#include "se/internal.h"

static int record_to(const struct fixture *f, const struct se_input *in, const char *path,
                     struct error **err)
{
    cleanup_free char *image = in_folder(f, "recorded.img");
    cleanup_buf struct buf record = {0};
    int fd = open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    int result = se_seal(in, fd, &record, err);
    close(fd);
    if (!result)
        put_file(path, record.data, record.len);
    return result;
}

ALL_TESTS(fixture_begin, fixture_end)

TEST(a_record_says_what_was_sealed)
{
    const struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "record.json");
    cleanup_record struct seal_record r = {0};
    cleanup_inputs struct seal_inputs known;
    struct se_input in = provable(f);
    assert_good(record_to(f, &in, path, &err));
    assert_good(seal_record_read(path, &r, &err));
    assert_true(r.provable);
    assert_hex(r.id, sizeof r.id,
               "934a45cf1fae6ae0188411266e0379e6c0a1ea26b0c39f7c8a0e94383fcffdaa");
    assert_string_equal(r.image_sha256,
                        "ebe78932d91cafacc8a70b45bd9faa4c38affed00823ad20ec01fe32d1ad1be0");
    assert_int_equal(r.image_size, 0x2C000);
    // What was read gives the very text that the values were derived from.
    known_inputs(f, &known);
    cleanup_buf struct buf text = {0}, expected = {0};
    seal_inputs_text(&r.inputs, &text);
    seal_inputs_text(&known, &expected);
    assert_string_equal(text.data, expected.data);
}

TEST(a_record_holds_no_secret)
{
    const struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "record.json");
    cleanup_buf struct buf text = {0};
    cleanup_inputs struct seal_inputs known;
    cleanup_secrets struct secrets s = {0};
    struct se_input in = provable(f);
    in.keys.cck = f->cck;
    assert_good(record_to(f, &in, path, &err));
    get_file(path, &text);
    known_inputs(f, &known);
    cleanup_seal_kdf struct seal_kdf kdf;
    assert_good(seal_kdf_begin(secret, sizeof secret, &kdf, &err));
    assert_good(seal_kdf_tag_keys(&kdf, &in.keys, &known, &err));
    assert_good(secrets_derive(&kdf, &known, &in.keys, &s, &err));
    const struct {
        const unsigned char *bytes;
        size_t length;
    } secrets[] = {{secret, 32},    {kdf.prk, 64}, {s.header_key, 32},
                   {s.xts_key, 32}, {f->cck, 32},  {s.xts_key + 32, 32}};
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        char hex[129];
        hex_encode(secrets[i].bytes, secrets[i].length, hex);
        assert_null(strstr(text.data, hex));
    }
}

TEST(a_record_without_a_secret_still_tells_the_parts)
{
    const struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "record.json");
    cleanup_record struct seal_record r = {0};
    assert_good(record_to(f, &f->input, path, &err));
    assert_good(seal_record_read(path, &r, &err));
    assert_false(r.provable);
    assert_int_equal(r.inputs.part[SEAL_INITRD].size, INITRD_SIZE);
    assert_string_equal(r.image_sha256,
                        "a69d473de8aa13421251b844a45498bffaf471b14b8332dce1be19a1827097cd");
}

TEST(damaged_records_are_refused)
{
    const struct fixture *f = *state;
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        {"{", "", "line 2"},
        {"\"kbuild_seal_record\": 1", "\"kbuild_seal_record\": 2", "no seal record of version 1"},
        {"\"sha512\": \"", "\"sha512\": \"x", "'kernel' is missing or wrong"},
        {"\"public_key\": \"", "\"public_key\": \"0", "'host_keys' is missing or wrong"},
        {"\"host_keys\"", "\"keys\"", "'host_keys' is missing or wrong"},
        {"\"scf\": \"", "\"scf\": \"+", "'scf' is missing or wrong"},
        {"\"secret_id\": \"", "\"secret_id\": \"-", "'secret_id' is missing or wrong"},
        {"\"sha256\": \"", "\"sha256\": \"0", "'image' is missing or wrong"},
        {"\"size\": 70196", "\"size\": -1", "'kernel' is missing or wrong"},
        {"\"cck\": null", "\"cck\": 5", "'given_keys' is missing or wrong"},
    };
    cleanup_error struct error *first = NULL;
    cleanup_free char *path = in_folder(f, "record.json");
    cleanup_buf struct buf text = {0};
    struct se_input in = provable(f);
    if (record_to(f, &in, path, &first) < 0)
        fail_msg("%s", first->message);
    get_file(path, &text);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        struct seal_record r = {0};
        const char *at = strstr(text.data, cases[i].from);
        assert_non_null(at);
        cleanup_free char *changed = xasprintf("%.*s%s%s", (int)(at - text.data), text.data,
                                               cases[i].to, at + strlen(cases[i].from));
        put_file(path, changed, strlen(changed));
        assert_int_equal(seal_record_read(path, &r, &err), -1);
        assert_message(err, cases[i].message);
    }
}
