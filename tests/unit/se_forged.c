// SPDX-License-Identifier: Apache-2.0
// Images whose header is authentic, made by someone who holds its key, and yet is not right.
#include "test.h"

#include "se_fixture.h"

#include "se/internal.h"

#define HEADER 0x14000u
#define HEADER_BYTES 720u
#define CLEAR (HEADER_BYTES - AREA_SIZE - TAG_SIZE)

struct forgery {
    struct fixture *f;
    char *path;
    int fd;
    unsigned char header[HEADER_BYTES], area[AREA_SIZE];
};

// Seals the known image, without encryption of components if asked to, and opens its header.
static void take(struct forgery *g, struct fixture *f, uint64_t flags)
{
    cleanup_error struct error *err = NULL;
    struct se_input in = f->input;
    in.pcf |= flags;
    *g = (struct forgery){.f = f, .path = in_folder(f, "forged.img")};
    assert_good(seal_to(&in, g->path, &err));
    g->fd = open(g->path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(g->fd, g->header, HEADER_BYTES, HEADER), HEADER_BYTES);
    struct gcm gcm = {f->header_key, g->header + HEADER_IV, g->header, CLEAR};
    assert_int_equal(gcm_decrypt(&gcm, g->header + CLEAR, AREA_SIZE, g->area,
                                 g->header + CLEAR + AREA_SIZE, &err),
                     1);
}

// Puts the digests of the components as they are now, and a tag that fits, into the header; then
// opens the image.
static void expect(struct forgery *g, const char *message)
{
    cleanup_error struct error *err = NULL, *opening = NULL;
    struct se_component components[4];
    static const uint64_t places[] = {0x15000, 0x27000, 0x28000, 0x2A000, 0x2C000};
    for (size_t i = 0; i < 4; i++) {
        components[i] =
            (struct se_component){.address = places[i], .padded = places[i + 1] - places[i]};
        components[i].tweak[1] = (unsigned char)i;
        memcpy(components[i].tweak + 2, g->f->tweaks[i], 6);
    }
    struct se_image image = {.components = components, .component_count = 4};
    assert_good(components_digest(g->fd, g->path, &image, g->header + HEADER_PLD,
                                  g->header + HEADER_ALD, g->header + HEADER_TLD, &err));
    struct gcm gcm = {g->f->header_key, g->header + HEADER_IV, g->header, CLEAR};
    assert_good(gcm_encrypt(&gcm, g->area, AREA_SIZE, g->header + CLEAR,
                            g->header + CLEAR + AREA_SIZE, &err));
    assert_int_equal(pwrite(g->fd, g->header, HEADER_BYTES, HEADER), HEADER_BYTES);
    close(g->fd);
    cleanup_free char *parts = in_folder(g->f, "parts");
    struct se_opened opened;
    int result = se_open(g->path, g->f->hosts[0].key, parts, &opened, &opening);
    if (message) {
        assert_int_equal(result, -1);
        assert_message(opening, message);
        cleanup_strlist struct strlist left = {0};
        if (path_exists(parts))
            assert_int_equal(list_directory(parts, &left, NULL), 0);
        assert_int_equal(left.n, 0);
    } else {
        assert_int_equal(result, 0);
        se_opened_free(&opened);
    }
    assert_good(remove_tree(parts, &err));
    free(g->path);
}

ALL_TESTS(fixture_begin, fixture_end)

TEST(a_header_that_was_only_sealed_again_opens)
{
    struct forgery g;
    take(&g, *state, 0);
    expect(&g, NULL);
    take(&g, *state, SE_PCF_NO_ENCRYPTION);
    expect(&g, NULL);
}

TEST(unknown_contents_of_the_encrypted_area_are_refused)
{
    static const struct {
        unsigned offset;
        unsigned char value;
        const char *message;
    } cases[] = {
        {AREA_ITEMS + 3, 1, "optional items"},
        {AREA_RESERVED, 1, "optional items"},
        {AREA_PSW_MASK, 1, "the header's PSW mask"},
        {AREA_PSW_ADDRESS + 7, 1, "not to the last component"},
        {AREA_PSW_ADDRESS + 5, 1, "not to the last component"}, // to the kernel, 0x15000
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct forgery g;
        take(&g, *state, 0);
        if (cases[i].offset == AREA_PSW_ADDRESS + 5)
            put_be64(g.area + AREA_PSW_ADDRESS, 0x15000);
        else
            g.area[cases[i].offset] = cases[i].value;
        expect(&g, cases[i].message);
    }
    struct forgery g;
    take(&g, *state, 0);
    memcpy(g.area + AREA_XTS_KEY, g.area + AREA_XTS_KEY + 32, 32);
    expect(&g, "the two halves of the component key are equal");
}

TEST(another_component_key_gives_no_loader)
{
    struct forgery g;
    take(&g, *state, 0);
    g.area[AREA_XTS_KEY] ^= 1;
    expect(&g, "the arguments of stage3b do not fit the components");
}

TEST(wrong_contents_of_components_are_refused)
{
    static const struct {
        uint64_t offset;
        const char *message;
    } cases[] = {
        {0x26FFF, "the padding of the component at 0x15000 is not zero"},
        {0x29FFF, "the padding of the component at 0x28000 is not zero"},
        {0x27010, "does not end in its only NUL byte"}, // where the NUL is
        {0x27FFF, "does not end in its only NUL byte"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct forgery g;
        take(&g, *state, SE_PCF_NO_ENCRYPTION);
        assert_int_equal(pwrite(g.fd, "x", 1, (off_t)cases[i].offset), 1);
        expect(&g, cases[i].message);
    }
    struct forgery g;
    take(&g, *state, SE_PCF_NO_ENCRYPTION);
    assert_int_equal(pwrite(g.fd, "\0", 1, 0x27004), 1); // a NUL inside
    expect(&g, "does not end in its only NUL byte");
}
