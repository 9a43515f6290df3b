// SPDX-License-Identifier: Apache-2.0
// Provable sealing: derived values and whole images. The known answers were computed from
// docs/provable-sealing.md by a program of its own (Python: hmac, hashlib, and the package
// cryptography), images included.
#include "test.h"

#include "se_provable.h"

#include <pthread.h>

static void expect_image(const struct fixture *f, const struct se_input *in, const char *sha256)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "provable.img");
    char hex[DIGEST_HEX_SIZE];
    assert_good(seal_to(in, path, &err));
    assert_good(digest_file(path, hex, NULL, &err));
    assert_string_equal(hex, sha256);
}

ALL_TESTS(fixture_begin, fixture_end)

TEST(the_known_image_is_made_from_the_known_secret)
{
    const struct fixture *f = *state;
    struct se_input in = provable(f);
    expect_image(f, &in, "ebe78932d91cafacc8a70b45bd9faa4c38affed00823ad20ec01fe32d1ad1be0");
    in.keys.cck = f->cck;
    expect_image(f, &in, "bbe29bb9282daf453bca4e819dd2937027d47a60701776b09162b3e0bd8e8bf0");
}

static void derive_with(const struct seal_inputs *in, const unsigned char *from,
                        struct secrets *out)
{
    cleanup_error struct error *err = NULL;
    cleanup_seal_kdf struct seal_kdf s;
    assert_good(seal_kdf_begin(from, SECRET_SIZE, &s, &err));
    assert_good(secrets_derive(&s, in, &(struct se_keys){0}, out, &err));
}

TEST(every_value_is_the_known_one)
{
    cleanup_error struct error *err = NULL;
    cleanup_inputs struct seal_inputs in;
    cleanup_secrets struct secrets s = {0};
    cleanup_seal_kdf struct seal_kdf kdf;
    known_inputs(*state, &in);
    count_up(secret, sizeof secret, 0);
    derive_with(&in, secret, &s);
    assert_hex(s.header_key, 32,
               "1a00a815c6ecefe46ba42c386a797d9cc7af33e362fd1980cae48859ca0e17f5");
    assert_hex(s.header_iv, 12, "20e390fa15da6ead3b9c0930");
    assert_hex(s.cck, 32, "5546e2f9af7645ffe7953df4cca1a5a27e48e7ec3c04d4ef1644cdd9bde17cf9");
    assert_hex(s.xts_key, 64,
               "07ec08ffef60adbc7d3acc2409eb94136923270362f2b4f913d1667b6965d4e2ed68b021dd274ac0508"
               "16025a88236edcdc68d2a9fa98c288b9e1f05fa80ccd6");
    static const char *const tweaks[] = {"db2374836cf1", "d0cdd47c3b79", "bd751b392206",
                                         "fc10fbd35d9b"};
    for (size_t i = 0; i < ARRAY_LEN(tweaks); i++)
        assert_hex(s.tweaks[i], 6, tweaks[i]);
    unsigned char point[POINT_SIZE], id[SEAL_ID_SIZE];
    assert_good(point_encode(s.customer, point, &err));
    assert_hex(point, 80,
               "0000000000000000000000000000018c1d2ae62917496a3a5fe26d6e92ed7d7c29025cc63ea838506eb"
               "dcbcd6a6ba936b41d6ab1b17629d8267ee88c14f7c50040dbc669d7a8f09e896029e1cf881910");
    assert_good(seal_kdf_begin(secret, sizeof secret, &kdf, &err));
    assert_good(seal_kdf_id(&kdf, id, &err));
    assert_hex(id, sizeof id, "934a45cf1fae6ae0188411266e0379e6c0a1ea26b0c39f7c8a0e94383fcffdaa");
}

// ---- other inputs, other values ----

static void change_nothing(struct seal_inputs *in)
{
}
static void drop_the_initrd(struct seal_inputs *in)
{
    in->part[SEAL_INITRD] = (struct seal_part){0};
}
static void drop_the_command_line(struct seal_inputs *in)
{
    in->part[SEAL_COMMAND_LINE] = (struct seal_part){0};
}
static void grow_the_kernel(struct seal_inputs *in)
{
    in->part[SEAL_KERNEL].size++;
}
static void change_the_kernel(struct seal_inputs *in)
{
    in->part[SEAL_KERNEL].sha512[63] ^= 1;
}
static void change_the_command_line(struct seal_inputs *in)
{
    in->part[SEAL_COMMAND_LINE].sha512[0] ^= 1;
}
static void change_the_initrd(struct seal_inputs *in)
{
    in->part[SEAL_INITRD].sha512[17] ^= 0x80;
}
static void swap_kernel_and_initrd(struct seal_inputs *in)
{
    struct seal_part kernel = in->part[SEAL_KERNEL];
    in->part[SEAL_KERNEL] = in->part[SEAL_INITRD];
    in->part[SEAL_INITRD] = kernel;
}
static void change_stage3a(struct seal_inputs *in)
{
    in->part[SEAL_STAGE3A].sha512[1] ^= 2;
}
static void change_stage3b(struct seal_inputs *in)
{
    in->part[SEAL_STAGE3B].sha512[1] ^= 2;
}
static void change_a_host(struct seal_inputs *in)
{
    in->hosts[1][159] ^= 1;
}
static void drop_a_host(struct seal_inputs *in)
{
    in->host_count = 1;
}
static void swap_the_hosts(struct seal_inputs *in)
{
    unsigned char first[POINT_SIZE];
    memcpy(first, in->hosts[0], POINT_SIZE);
    memcpy(in->hosts[0], in->hosts[1], POINT_SIZE);
    memcpy(in->hosts[1], first, POINT_SIZE);
}
static void change_pcf(struct seal_inputs *in)
{
    in->pcf ^= 0x10;
}
static void change_scf(struct seal_inputs *in)
{
    in->scf = SE_SCF_CCK_EXTENSION;
}
static void swap_the_flags(struct seal_inputs *in)
{
    in->scf = in->pcf;
    in->pcf = 0;
}
static void change_the_psw(struct seal_inputs *in)
{
    in->psw_address += 8;
}
static void give_a_header_key(struct seal_inputs *in)
{
    in->given[GIVEN_HEADER_KEY].given = true;
}
static void give_a_cck(struct seal_inputs *in)
{
    in->given[GIVEN_CCK].given = true;
}
static void give_another_cck(struct seal_inputs *in)
{
    in->given[GIVEN_CCK] = (struct seal_given){true, {1}};
}
static void give_a_component_key(struct seal_inputs *in)
{
    in->given[GIVEN_COMPONENT_KEY].given = true;
}

static void expect_all_different(const struct secrets *a, const struct secrets *b)
{
    assert_memory_not_equal(a->header_key, b->header_key, sizeof a->header_key);
    assert_memory_not_equal(a->header_iv, b->header_iv, sizeof a->header_iv);
    assert_memory_not_equal(a->cck, b->cck, sizeof a->cck);
    assert_memory_not_equal(a->xts_key, b->xts_key, 32);
    assert_memory_not_equal(a->xts_key + 32, b->xts_key + 32, 32);
    for (size_t i = 0; i < PARTS; i++)
        assert_memory_not_equal(a->tweaks[i], b->tweaks[i], sizeof a->tweaks[i]);
    unsigned char one[POINT_SIZE], two[POINT_SIZE];
    assert_int_equal(point_encode(a->customer, one, NULL), 0);
    assert_int_equal(point_encode(b->customer, two, NULL), 0);
    assert_memory_not_equal(one, two, sizeof one);
}

TEST(any_change_of_any_input_changes_every_value)
{
    static void (*const changes[])(struct seal_inputs *) = {
        change_nothing,
        drop_the_initrd,
        drop_the_command_line,
        grow_the_kernel,
        change_the_kernel,
        change_the_command_line,
        change_the_initrd,
        swap_kernel_and_initrd,
        change_stage3a,
        change_stage3b,
        change_a_host,
        drop_a_host,
        swap_the_hosts,
        change_pcf,
        change_scf,
        swap_the_flags,
        change_the_psw,
        give_a_header_key,
        give_a_cck,
        give_another_cck,
        give_a_component_key,
    };
    struct secrets all[ARRAY_LEN(changes) + 1] = {0};
    count_up(secret, sizeof secret, 0);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        cleanup_inputs struct seal_inputs in;
        known_inputs(*state, &in);
        changes[i](&in);
        derive_with(&in, secret, &all[i]);
    }
    cleanup_inputs struct seal_inputs in;
    known_inputs(*state, &in);
    secret[63] ^= 1;
    derive_with(&in, secret, &all[ARRAY_LEN(changes)]);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        for (size_t j = 0; j < i; j++)
            expect_all_different(&all[i], &all[j]);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        secrets_wipe(&all[i]);
}

// Through sealing itself: every field of se_input that changes the image changes its keys.
TEST(sealing_puts_every_input_into_the_derivation)
{
    const struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    unsigned char stage3a[STAGE3A_SIZE], stage3b[STAGE3B_SIZE];
    memcpy(stage3a, f->stage3a, sizeof stage3a);
    memcpy(stage3b, f->stage3b, sizeof stage3b);
    stage3a[5000] ^= 1;
    stage3b[100] ^= 1;
    const struct host_key swapped[2] = {f->hosts[1], f->hosts[0]};
    struct se_input in[12];
    for (size_t i = 0; i < ARRAY_LEN(in); i++)
        in[i] = provable(f);
    in[1].initrd = NULL;
    in[2].command_line = NULL;
    in[3].command_line_length--;
    in[4].kernel = f->initrd;
    in[5].initrd = f->kernel;
    in[6].hosts = swapped;
    in[7].pcf = 0;
    in[8].psw_address = 0x11000;
    in[9].stage3a = stage3a;
    in[10].stage3b = stage3b;
    in[11].keys.cck = f->cck;
    unsigned char ivs[ARRAY_LEN(in)][12];
    cleanup_free char *path = in_folder(f, "other.img");
    for (size_t i = 0; i < ARRAY_LEN(in); i++) {
        struct se_image image;
        assert_good(seal_to(&in[i], path, &err));
        assert_good(read_image(path, &image, &err));
        memcpy(ivs[i], image.iv, sizeof ivs[i]);
        se_image_free(&image);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(ivs[i], ivs[j], sizeof ivs[i]);
    }
}

TEST(the_image_opens_as_any_other)
{
    const struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "opens.img"), *parts = in_folder(f, "parts");
    struct se_input in = provable(f);
    struct se_opened opened;
    assert_good(seal_to(&in, path, &err));
    assert_good(se_open(path, f->hosts[1].key, parts, &opened, &err));
    assert_string_equal(opened.command_line, KNOWN_COMMAND_LINE);
    se_opened_free(&opened);
}

TEST(without_a_secret_two_images_share_nothing)
{
    const struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "drawn.img");
    struct se_input in = provable(f);
    in.secret = NULL;
    struct se_image one, two;
    assert_good(seal_to(&in, path, &err));
    assert_good(read_image(path, &one, &err));
    assert_good(seal_to(&in, path, &err));
    assert_good(read_image(path, &two, &err));
    assert_memory_not_equal(one.iv, two.iv, sizeof one.iv);
    assert_memory_not_equal(one.pld, two.pld, sizeof one.pld);
    assert_memory_not_equal(one.tld, two.tld, sizeof one.tld);
    assert_memory_not_equal(one.customer_key, two.customer_key, sizeof one.customer_key);
    se_image_free(&one);
    se_image_free(&two);
}

TEST(fixed_values_and_a_secret_exclude_each_other)
{
    const struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "both.img");
    struct se_input in = provable(f);
    in.fixed = &f->fixed;
    assert_int_equal(seal_to(&in, path, &err), -1);
    assert_message(err, "not both");
}

// ---- a file that is written to meanwhile ----

struct toucher {
    const char *path;
    volatile int stop;
};

static void *touch_on(void *argument)
{
    struct toucher *t = argument;
    for (long i = 1; !t->stop; i++)
        utimensat(AT_FDCWD, t->path, (struct timespec[2]){{i, 0}, {i, 0}}, 0);
    return NULL;
}

TEST(an_input_that_changes_meanwhile_is_refused)
{
    const struct fixture *f = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "racing.img"), *initrd = in_folder(f, "racing-initrd");
    const size_t size = (size_t)4 << 20;
    cleanup_free unsigned char *bytes = xcalloc(1, size);
    put_file(initrd, bytes, size);
    struct se_input in = provable(f);
    in.initrd = initrd;
    struct toucher toucher = {.path = initrd};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, touch_on, &toucher), 0);
    int result = seal_to(&in, path, &err);
    toucher.stop = 1;
    pthread_join(thread, NULL);
    assert_int_equal(result, -1);
    assert_message(err, "racing-initrd changed while it was sealed");
}
