// SPDX-License-Identifier: Apache-2.0
// The known-answer image: the reference tool made the same bytes from these inputs, with its random
// numbers replaced (docs/se-image.md, test vectors).
#include "test.h"

#include "se_fixture.h"

#include "crypto/crypto.h"

ALL_TESTS(fixture_begin, fixture_end)

TEST(the_known_answer_image_is_made_byte_for_byte)
{
    struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "known.img");
    assert_good(seal_to(&f->input, path, &err));
    cleanup_buf struct buf image = {0};
    get_file(path, &image);
    assert_int_equal(image.len, 0x2C000);
    char hex[DIGEST_HEX_SIZE];
    digest_bytes(image.data + 0x14000, 720, hex);
    assert_string_equal(hex, "fc22627d44523b3300c78d9e2d6008f5a1440c0e8784166b2d5c8d95a126ce90");
    digest_bytes(image.data, image.len, hex);
    assert_string_equal(hex, "a69d473de8aa13421251b844a45498bffaf471b14b8332dce1be19a1827097cd");
    assert_hex(image.data, 8, "0008000180011000");
    assert_hex(image.data + 0x126A0, 24, "000000000000196000000000000002d00000000000000960");
    assert_hex(image.data + 0x15000, 32,
               "1edf36df5b1eb72016566bab7c3bf33f109375792805f094886369149c6ef62a");
    assert_hex(image.data + 0x16000, 32,
               "e36339efc36707a23d4839afaebc0496a324966c37a7953b6dd3dc6cdc725e18");
}

TEST(the_inspector_reports_the_known_values)
{
    struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "read.img");
    assert_good(seal_to(&f->input, path, &err));
    struct se_image image;
    assert_good(read_image(path, &image, &err));
    assert_false(image.layout_p);
    assert_int_equal(image.header_offset, 0x14000);
    assert_int_equal(image.header_size, 720);
    assert_int_equal(image.ipib_offset, 0x13000);
    assert_int_equal(image.ipib_size, 4096);
    assert_int_equal(image.pages, 23);
    assert_int_equal(image.slots, 2);
    assert_int_equal(image.pcf, 0xE0);
    assert_int_equal(image.component_count, 4);
    static const uint64_t addresses[] = {0x15000, 0x27000, 0x28000, 0x2A000};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(image.components[i].address, addresses[i]);
    assert_hex(image.pld, 64,
               "33f2f4a943e67ba706d3a0a95950edcde799906f05cae5c231c54f6b457d8c32"
               "47133fd9b21899d0d199fbf31d1d1a5731d4e2461e5be05d51c07137e5d57942");
    assert_hex(image.ald, 64,
               "178c9a2df855589bf31a78e19e1f6c181c85d26083ab50ab8dc17a226fbbbdc0"
               "9159194707831d3b72dcca2bb8b7cc6d32bf813b6de64c3c2f0b43ac4222f7c5");
    assert_hex(image.tld, 64,
               "bbe2587c01d2f1ced80fc1838a08a77709645912aee2b010e8a17ab8dbc0a9c2"
               "423c47de299e33d1e0c93d9a742cf57faa28903559e80e1edf38012fd8412a34");
    assert_hex(image.tag, 16, "d37e830957e901fe5aed879013d548da");
    assert_hex(image.customer_key, 80,
               "000000000000000000000000000001294fe67bd435cb127f9a99ad0ddf48d246751d948d79a61e6a"
               "af3af5d435c4898210f09208090c856dd0724b426f17c4d107396cbb4674d24bd5b118f0a94f3ded");
    assert_hex(image.slot[0], 80,
               "1168c2b30940781f558e9f2a0b466ee5c17226fbe385982e25523069e7672b3e"
               "b5944ac34698ec6af30182b6a4df973f2a60b55447b51202b83b0f782bb8dd3e"
               "9cf0102d354da84612ee37e3fdf49728");
    assert_hex(image.slot[1], 80,
               "85efe339a2ac2ccf53cc5b1e1c8ee9d137b904d7c457d9efdb57b798536bcec5"
               "31902590cc4ce59068c6841b43a95e7c36ca21892f17166fe0fbab02483d6529"
               "e309ca1afeeaf6330272279dc18221a3");
    se_image_free(&image);
}

TEST(components_in_clear_give_the_other_known_image)
{
    struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "clear.img");
    struct se_input in = f->input;
    in.pcf |= SE_PCF_NO_ENCRYPTION;
    assert_good(seal_to(&in, path, &err));
    char hex[DIGEST_HEX_SIZE];
    assert_good(digest_file(path, hex, NULL, &err));
    assert_string_equal(hex, "47974bc452bcb5bc9ef49c503e74b3b9ef0c5c0217bae8b053ff6010b90fff9d");
    struct se_image image;
    assert_good(read_image(path, &image, &err));
    assert_hex(image.tag, 16, "f55eca2fe1d4b93e0792ebbe1411a954");
    assert_hex(image.pld, 64,
               "662051330db9515c8f714f3cd104fedacef7d4dd7ef52f8c64b37cb2755266d5"
               "4ed1aed751f79f5bac93478c986880c8d0890f40515cc200b0601038a6d8f8fb");
    se_image_free(&image);
}

// The second host's shared secret begins with a zero byte, which a careless conversion loses.
TEST(key_agreement_keeps_leading_zeros)
{
    struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    static const char *const expected[] = {
        "42157f3ca6e9de86689c807802d0bf2d4f54f8b98351dc1155b6932832e1b01a",
        "9b9864c9bebad2dc85d6834b1d0c11f0d9ec81c6e51bfe2cd1f81ca6d4b5b231"};
    for (size_t i = 0; i < 2; i++) {
        unsigned char kek[32];
        assert_good(derive_kek(f->fixed.customer_key, f->hosts[i].key, kek, &err));
        assert_hex(kek, sizeof kek, expected[i]);
        assert_good(derive_kek(f->hosts[i].key, f->fixed.customer_key, kek, &err));
        assert_hex(kek, sizeof kek, expected[i]);
    }
}
