// SPDX-License-Identifier: Apache-2.0
// What an image says about itself, in text and in JSON, of both layouts and with damage.
#include "test.h"

#include "se_layout_p.h"

#include "base/error.h"
#include "se/internal.h"

#include <jansson.h>

static struct buf warnings;

static void keep_line(enum log_level level, const char *line, void *context)
{
    buf_printf(&warnings, "%s\n", line);
}

static int begin(void **state)
{
    log_redirect(keep_line, NULL);
    return fixture_begin(state);
}

static int end(void **state)
{
    log_redirect(NULL, NULL);
    buf_free(&warnings);
    return fixture_end(state);
}

static int info_text(const char *path, const struct info_options *o, struct buf *out,
                     struct error **err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    int result = se_info_text(fd, path, o, out, err);
    close(fd);
    return result;
}

static json_t *info_json(const char *path, const struct info_options *o, bool pretty)
{
    cleanup_error struct error *err = NULL;
    cleanup_buf struct buf out = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    buf_free(&warnings);
    assert_good(se_info_json(fd, path, o, pretty, &out, &err));
    close(fd);
    assert_int_equal(out.data[out.len - 1], '\n');
    assert_int_equal(strchr(out.data, '\n') == out.data + out.len - 1, !pretty);
    json_t *all = json_loads(out.data, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(all);
    return all;
}

#define assert_line(text, line)                                                                    \
    do {                                                                                           \
        if (!strstr((text).data, line))                                                            \
            fail_msg("\"%s\" is not in:\n%s", line, (text).data);                                  \
    } while (0)

ALL_TESTS(begin, end)

TEST(both_layouts_are_shown)
{
    const struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *g = in_folder(f, "g.img"), *p = in_folder(f, "p.img");
    cleanup_buf struct buf of_g = {0}, of_p = {0};
    const struct info_options nothing = {0};
    assert_good(seal_to(&f->input, g, &err));
    put_image(f, p);
    assert_good(info_text(g, &nothing, &of_g, &err));
    assert_good(info_text(p, &nothing, &of_p, &err));
    assert_line(of_g, "version 1, 720 bytes at 0x14000, layout of genprotimg");
    assert_line(of_p, "version 1, 720 bytes at 0x14000, layout of pvimg");
    assert_line(of_g, "component pages   23\n");
    assert_line(of_g, "0x00000000000000e0 pckmo-deatdea pckmo-aes pckmo-ecc\n");
    assert_line(of_g, "key slots         2\n");
    assert_line(of_g, "1168c2b30940781f558e9f2a0b466ee5c17226fbe385982e25523069e7672b3e");
    assert_line(of_g, "ipib              4096 bytes at 0x13000");
    assert_line(of_p, "ipib              232 bytes at 0x2c000");
    assert_line(of_g, "   3  0x28000, 2 pages, tweak 0002212223242526\n");
    assert_line(of_p, "   2  0x27000, 2 pages, tweak 0032000000000001\n");
    assert_line(of_g, "good    ald, tld, pld");
    assert_line(of_p, "good    ald, tld, pld");
    assert_line(of_p, "not done: that the header is genuine");
    assert_null(strstr(of_g.data, "FAILED"));
    assert_null(strstr(of_p.data, "FAILED"));
}

TEST(metadata_of_another_version_is_warned_about)
{
    const struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "p2.img");
    cleanup_buf struct buf image = {0}, out = {0};
    put_image(f, path);
    get_file(path, &image);
    image.data[SE_METADATA_OFFSET + 19] = 2;
    put_file(path, image.data, image.len);
    buf_free(&warnings);
    assert_good(info_text(path, &(struct info_options){0}, &out, &err));
    assert_line(warnings, "metadata of version 2; only version 1 is known");
}

// pvimg's schema forbids fields that it does not know.
static void expect_fields(const json_t *object, const char *names)
{
    cleanup_strlist struct strlist wanted = {0};
    const char *key;
    json_t *value;
    strlist_split(&wanted, names, " ");
    json_object_foreach((json_t *)(uintptr_t)object, key, value) if (!strlist_has(&wanted, key))
        fail_msg("'%s' is not in the schema", key);
    for (size_t i = 0; i < wanted.n; i++)
        if (!json_object_get(object, wanted.items[i]))
            fail_msg("'%s' is missing", wanted.items[i]);
}

#define COMMON_FIELDS                                                                              \
    "kind verified magic_hex version sehs nks sea nep iv_hex pcf_hex pld_hex ald_hex tld_hex "     \
    "tag_hex cust_pub_key keyslots "

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    assert_non_null(text);
    return text;
}

TEST(json_has_the_fields_of_the_schema_and_no_others)
{
    const struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "json.img");
    assert_good(seal_to(&f->input, path, &err));
    json_t *all = info_json(path, &(struct info_options){0}, true);
    const json_t *data = json_object_get(all, "data"), *slot;
    expect_fields(all, "meta data");
    expect_fields(json_object_get(all, "meta"), "api_level version host time_epoch time");
    expect_fields(data, COMMON_FIELDS "cipher_data_b64");
    assert_string_equal(text_of(data, "kind"), "se_hdr");
    assert_true(json_is_false(json_object_get(data, "verified")));
    assert_string_equal(text_of(data, "magic_hex"), "49424d5365634578");
    assert_string_equal(text_of(data, "version"), "V1");
    assert_int_equal(json_integer_value(json_object_get(data, "sehs")), 720);
    assert_int_equal(json_integer_value(json_object_get(data, "nks")), 2);
    assert_int_equal(json_integer_value(json_object_get(data, "sea")), 128);
    assert_int_equal(json_integer_value(json_object_get(data, "nep")), 23);
    assert_string_equal(text_of(data, "pcf_hex"), "00000000000000e0");
    assert_string_equal(text_of(data, "iv_hex"), "a0a1a2a3a4a5a6a7a8a9aaab");
    assert_string_equal(text_of(data, "tag_hex"), "d37e830957e901fe5aed879013d548da");
    assert_int_equal(strlen(text_of(data, "cipher_data_b64")), 172);
    assert_int_equal(strlen(text_of(json_object_get(data, "cust_pub_key"), "coord_hex")), 320);
    assert_int_equal(json_array_size(json_object_get(data, "keyslots")), 2);
    slot = json_array_get(json_object_get(data, "keyslots"), 0);
    expect_fields(slot, "phkh_hex wrpk_hex kst_hex");
    assert_string_equal(text_of(slot, "wrpk_hex"),
                        "b5944ac34698ec6af30182b6a4df973f2a60b55447b51202b83b0f782bb8dd3e");
    assert_string_equal(text_of(slot, "kst_hex"), "9cf0102d354da84612ee37e3fdf49728");
    assert_line(warnings, "the header was not verified");
    json_decref(all);
}

TEST(secrets_are_shown_only_when_asked_for_and_with_the_key)
{
    const struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "secrets.img");
    struct info_options o = {.header_key = f->header_key};
    assert_good(seal_to(&f->input, path, &err));
    json_t *all = info_json(path, &o, false);
    const json_t *data = json_object_get(all, "data");
    expect_fields(data, COMMON_FIELDS "cipher_data_b64");
    assert_true(json_is_true(json_object_get(data, "verified")));
    assert_null(warnings.data);
    json_decref(all);
    o.show_secrets = true;
    all = info_json(path, &o, true);
    data = json_object_get(all, "data");
    expect_fields(data, COMMON_FIELDS "psw scf_hex cck_hex xts_hex");
    assert_string_equal(text_of(data, "kind"), "decrypted_se_hdr");
    assert_string_equal(text_of(json_object_get(data, "psw"), "addr_hex"), "000000000002a000");
    assert_string_equal(text_of(json_object_get(data, "psw"), "mask_hex"), "0000000180000000");
    assert_string_equal(text_of(data, "scf_hex"), "0000000000000000");
    assert_string_equal(text_of(data, "cck_hex"),
                        "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f");
    json_decref(all);
    o.header_key = NULL; // no key, no secrets
    all = info_json(path, &o, false);
    assert_null(json_object_get(json_object_get(all, "data"), "cck_hex"));
    json_decref(all);
    cleanup_buf struct buf text = {0};
    o = (struct info_options){.header_key = f->cck};
    assert_int_equal(info_text(path, &o, &text, &err), -1);
    assert_message(err, "its tag does not fit");
}

TEST(a_header_alone_is_enough)
{
    const struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "known.img"), *header = in_folder(f, "hdr.bin");
    cleanup_buf struct buf image = {0}, text = {0};
    struct info_options o = {.header_key = f->header_key};
    assert_good(seal_to(&f->input, path, &err));
    get_file(path, &image);
    put_file(header, image.data + 0x14000, 720);
    assert_good(info_text(header, &o, &text, &err));
    assert_line(text, "720 bytes at 0x0, alone");
    assert_line(text, "yes, its tag fits the header key");
    assert_null(strstr(text.data, "ipib"));
    json_decref(info_json(header, &o, true));
}

TEST(damage_is_told_and_is_no_error)
{
    const struct fixture *f = *state;
    static const struct {
        size_t offset;
        const char *line;
    } cases[] = {
        {0x15123, "FAILED  pld: the contents"},
        {0x13000 + IPIB_COMPONENTS + 7, "FAILED  tld: the tweaks"},
        {0x13000, "its length is wrong"},
        {4, "the short PSW is"},
    };
    cleanup_free char *path = in_folder(f, "damaged.img");
    cleanup_buf struct buf image = {0};
    assert_int_equal(seal_to(&f->input, path, NULL), 0);
    get_file(path, &image);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        cleanup_buf struct buf text = {0};
        image.data[cases[i].offset] ^= 1;
        put_file(path, image.data, image.len);
        image.data[cases[i].offset] ^= 1;
        assert_good(info_text(path, &(struct info_options){0}, &text, &err));
        assert_line(text, cases[i].line);
        json_decref(info_json(path, &(struct info_options){0}, true));
        assert_line(warnings, strchr(cases[i].line, 'F') == cases[i].line ? cases[i].line + 8
                                                                          : cases[i].line);
    }
}

TEST(documents_are_found_among_the_slots)
{
    const struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *folder = in_folder(f, "documents"), *path = in_folder(f, "owned.img"),
                      *other = in_folder(f, "documents/notes.txt"), *document = NULL, *key = NULL;
    cleanup_strlist struct strlist documents = {0};
    cleanup_buf struct buf text = {0};
    assert_good(make_directories(folder, 0700, &err));
    assert_good(host_key_make_test(folder, &document, &key, &err));
    put_file(other, "not a key", 9);
    assert_good(info_documents(folder, &documents, &err));
    assert_int_equal(documents.n, 1); // neither the private key nor the notes
    struct host_key host = {0};
    struct se_input in = f->input;
    assert_good(host_key_load(document, &host, &err));
    in.hosts = &host;
    in.host_count = 1;
    assert_good(seal_to(&in, path, &err));
    host_key_free(&host);
    struct info_options o = {.documents = &documents};
    assert_good(info_text(path, &o, &text, &err));
    assert_line(text, "/HKD-TEST-");
    assert_null(strstr(text.data, "no slot for"));
    buf_free(&text);
    assert_good(seal_to(&f->input, path, &err));
    assert_good(info_text(path, &o, &text, &err));
    assert_line(text, "(none of the documents)");
    assert_line(text, "no slot for");
}

TEST(flags_have_names)
{
    cleanup_strlist struct strlist pcf = {0}, scf = {0};
    flag_names_pcf(0x8000000030000072u, &pcf);
    flag_names_scf(0x6000000000000001u, &scf);
    cleanup_free char *one = strlist_join(&pcf, " "), *two = strlist_join(&scf, " ");
    assert_string_equal(one, "unknown-bit-0 dump no-component-encryption pckmo-aes pckmo-ecc "
                             "pckmo-hmac backup-keys");
    assert_string_equal(two, "cck-extension-secret cck-update unknown-bit-63");
}

TEST(what_is_no_image_is_refused)
{
    const struct fixture *f = *state;
    cleanup_error struct error *err = NULL, *short_key = NULL;
    cleanup_buf struct buf text = {0};
    assert_int_equal(info_text(f->kernel, &(struct info_options){0}, &text, &err), -1);
    assert_message(err, "no Secure Execution header");
    unsigned char key[32];
    assert_int_equal(header_key_load(f->initrd, key, &short_key), -1);
    assert_message(short_key, "has 5000 bytes, not 32");
}
