// SPDX-License-Identifier: Apache-2.0
// Provable sealing. The known answers were computed from docs/provable-sealing.md by a program of
// its own (Python: hmac, hashlib, and the package cryptography), images included.
#include "seal_fixture.h"

#include "seal/derive_record.h"

#include "base/log.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <sys/stat.h>

#define SECRET_SIZE 64u

static unsigned char secret[SECRET_SIZE]; // 00 01 .. 3F

static struct se_input provable(const struct fixture *f)
{
    struct se_input in = f->input;
    count_up(secret, sizeof secret, 0);
    in.fixed = NULL;
    in.keys = (struct se_keys){0};
    in.secret = secret;
    in.secret_length = sizeof secret;
    return in;
}

static void expect_image(const struct fixture *f, const struct se_input *in, const char *sha256)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *path = in_folder(f, "provable.img");
    char hex[DIGEST_HEX_SIZE];
    assert_good(seal_to(in, path, &err));
    assert_good(digest_file(path, hex, NULL, &err));
    assert_string_equal(hex, sha256);
}

static void the_known_image_is_made_from_the_known_secret(void **state)
{
    const struct fixture *f = *state;
    struct se_input in = provable(f);
    expect_image(f, &in, "ebe78932d91cafacc8a70b45bd9faa4c38affed00823ad20ec01fe32d1ad1be0");
    in.keys.cck = f->cck;
    expect_image(f, &in, "bbe29bb9282daf453bca4e819dd2937027d47a60701776b09162b3e0bd8e8bf0");
}

// The inputs of the known-answer image, as sealing collects them.
static void known_inputs(const struct fixture *f, struct seal_inputs *out)
{
    cleanup_buf struct buf kernel = {0}, initrd = {0};
    get_file(f->kernel, &kernel);
    get_file(f->initrd, &initrd);
    const struct {
        const void *bytes;
        size_t length;
    } parts[SEAL_PARTS] = {
        [SEAL_KERNEL] = {kernel.data, kernel.len},
        [SEAL_COMMAND_LINE] = {KNOWN_COMMAND_LINE, strlen(KNOWN_COMMAND_LINE)},
        [SEAL_INITRD] = {initrd.data, initrd.len},
        [SEAL_STAGE3A] = {f->stage3a, sizeof f->stage3a - 24},
        [SEAL_STAGE3B] = {f->stage3b, sizeof f->stage3b - 64},
    };
    *out = (struct seal_inputs){.pcf = SE_PCF_DEFAULT, .psw_address = 0x10000, .host_count = 2};
    out->hosts = xcalloc(2, POINT_SIZE);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(point_encode(f->hosts[i].key, out->hosts[i], NULL), 0);
    for (size_t i = 0; i < SEAL_PARTS; i++)
        assert_int_equal(seal_part_of_bytes(parts[i].bytes, parts[i].length, &out->part[i], NULL),
                         0);
}

static void derive_with(const struct seal_inputs *in, const unsigned char *from,
                        struct secrets *out)
{
    cleanup_error struct error *err = NULL;
    cleanup_sealer struct sealer s;
    assert_good(sealer_begin(from, SECRET_SIZE, &s, &err));
    assert_good(secrets_derive(&s, in, &(struct se_keys){0}, out, &err));
}

static void every_value_is_the_known_one(void **state)
{
    cleanup_error struct error *err = NULL;
    cleanup_inputs struct seal_inputs in;
    cleanup_secrets struct secrets s = {0};
    cleanup_sealer struct sealer sealer;
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
    assert_good(sealer_begin(secret, sizeof secret, &sealer, &err));
    assert_good(sealer_id(&sealer, id, &err));
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

static void any_change_of_any_input_changes_every_value(void **state)
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
static void sealing_puts_every_input_into_the_derivation(void **state)
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

static void the_image_opens_as_any_other(void **state)
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

static void without_a_secret_two_images_share_nothing(void **state)
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

static void fixed_values_and_a_secret_exclude_each_other(void **state)
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

static void an_input_that_changes_meanwhile_is_refused(void **state)
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

// ---- secrets from files ----

static void secrets_that_are_none_are_refused(void **state)
{
    const struct fixture *f = *state;
    static const struct {
        size_t length;
        mode_t mode;
        const char *message; // NULL: taken
    } cases[] = {
        {32, 0600, NULL},
        {4096, 0400, NULL},
        {31, 0600, "has 31 bytes"},
        {0, 0600, "has 0 bytes"},
        {4097, 0600, "has 4097 bytes"},
        {64, 0644, "can be read by everybody"},
        {64, 0602, "can be written by everybody"},
        {64, 0660, "can be read by its group"},
        {64, 0620, "can be written by its group"},
    };
    cleanup_free char *path = in_folder(f, "secret");
    unsigned char bytes[5000];
    assert_int_equal(RAND_bytes(bytes, sizeof bytes), 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        struct secret_memory s = {0};
        put_file(path, bytes, cases[i].length);
        assert_int_equal(chmod(path, cases[i].mode), 0);
        if (cases[i].message) {
            assert_int_equal(se_secret_load(path, &s, &err), -1);
            assert_message(err, cases[i].message);
        } else {
            assert_good(se_secret_load(path, &s, &err));
            assert_int_equal(s.length, cases[i].length);
            assert_memory_equal(s.bytes, bytes, s.length);
        }
        secret_memory_free(&s);
    }
    cleanup_error struct error *missing = NULL, *foreign = NULL;
    struct secret_memory s = {0};
    assert_int_equal(se_secret_load(f->folder, &s, &missing), -1);
    assert_message(missing, "a directory, not a file");
    if (geteuid() != 0)
        return;
    put_file(path, bytes, 64);
    assert_int_equal(chown(path, 65534, 65534), 0);
    assert_int_equal(se_secret_load(path, &s, &foreign), -1);
    assert_message(foreign, "belongs to another user (uid 65534)");
}

static void secrets_that_can_be_guessed_are_refused(void **state)
{
    const struct fixture *f = *state;
    static const struct {
        const char *unit; // repeated until there are `length` bytes
        size_t unit_length, length;
    } weak[] = {
        {"", 1, 63},  // zero bytes
        {"x", 1, 64}, // one letter
        {"password", 8, 64},
        {"ab", 2, 4096},
        {"correct horse battery staple ", 29, 58}, // twice
        {"0123456789abcdef", 16, 32},
        {"abcdefghijklmnopqrstuvwxyz0123456789", 36, 36},
        {"01", 2, 32},
        {"31415926535897932384626433832795", 32, 32}, // 32 digits: some 106 bits at most
    };
    cleanup_free char *path = in_folder(f, "weak");
    unsigned char bytes[4096];
    struct secret_memory s = {0};
    for (size_t i = 0; i < ARRAY_LEN(weak); i++) {
        cleanup_error struct error *err = NULL;
        for (size_t k = 0; k < weak[i].length; k++)
            bytes[k] = (unsigned char)weak[i].unit[k % weak[i].unit_length];
        put_file(path, bytes, weak[i].length);
        assert_int_equal(chmod(path, 0600), 0);
        if (se_secret_load(path, &s, &err) == 0)
            fail_msg("'%s' was taken", weak[i].unit);
        assert_message(err, "can be guessed");
    }
    cleanup_error struct error *zeros = NULL;
    memset(bytes, 0, 64);
    bytes[63] = 1;
    put_file(path, bytes, 64);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(se_secret_load(path, &s, &zeros), -1);
    assert_message(zeros, "can be guessed");
}

// Random bytes of the least length must never be refused: far more are tried here than anybody
// makes.
static void random_secrets_are_taken(void **state)
{
    const struct fixture *f = *state;
    cleanup_free char *path = in_folder(f, "random");
    unsigned char bytes[64];
    for (size_t i = 0; i < 300; i++) {
        cleanup_error struct error *err = NULL;
        struct secret_memory s = {0};
        size_t length = i % 3 == 0 ? 32 : 64;
        assert_int_equal(RAND_bytes(bytes, (int)length), 1);
        for (size_t k = 0; i % 3 == 2 && k < length; k++) // as `openssl rand -hex 32` writes it
            bytes[k] = (unsigned char)"0123456789abcdef"[bytes[k] & 15];
        put_file(path, bytes, length);
        assert_int_equal(chmod(path, 0600), 0);
        assert_good(se_secret_load(path, &s, &err));
        secret_memory_free(&s);
    }
}

static void note_warning(enum log_level level, const char *line, void *context)
{
    if (level == LOG_WARNING)
        strlist_add(context, line);
}

static void a_line_feed_at_the_end_of_a_text_is_said(void **state)
{
    const struct fixture *f = *state;
    static const char text[] = "cae61c1d09e8f3c8b5a6c7d0a1b2f3e4958677f0e1d2c3b4a5968778695a4b3c\n";
    cleanup_free char *path = in_folder(f, "text");
    cleanup_strlist struct strlist warnings = {0};
    log_redirect(note_warning, &warnings);
    for (size_t i = 0; i < 3; i++) { // with it, without it, and in bytes that are no text
        struct secret_memory s = {0};
        cleanup_error struct error *err = NULL;
        char bytes[sizeof text];
        memcpy(bytes, text, sizeof text);
        bytes[0] = i == 2 ? '\x80' : 'c';
        put_file(path, bytes, strlen(text) - (i == 1));
        assert_int_equal(chmod(path, 0600), 0);
        int result = se_secret_load(path, &s, &err);
        secret_memory_free(&s);
        assert_good(result);
        assert_int_equal(warnings.n, 1);
    }
    log_redirect(NULL, NULL);
    assert_non_null(strstr(warnings.items[0], "ends in a line feed, which is part of the secret"));
}

// ---- records ----

static int record_to(const struct fixture *f, const struct se_input *in, const char *path,
                     struct error **err)
{
    cleanup_free char *image = in_folder(f, "recorded.img");
    cleanup_buf struct buf record = {0};
    int fd = open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    int result = se_seal_recorded(in, fd, &record, err);
    close(fd);
    if (!result)
        put_file(path, record.data, record.len);
    return result;
}

static void a_record_says_what_was_sealed(void **state)
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

static void a_record_holds_no_secret(void **state)
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
    cleanup_sealer struct sealer sealer;
    assert_good(sealer_begin(secret, sizeof secret, &sealer, &err));
    assert_good(sealer_tag_keys(&sealer, &in.keys, &known, &err));
    assert_good(secrets_derive(&sealer, &known, &in.keys, &s, &err));
    const struct {
        const unsigned char *bytes;
        size_t length;
    } secrets[] = {{secret, 32},    {sealer.prk, 64}, {s.header_key, 32},
                   {s.xts_key, 32}, {f->cck, 32},     {s.xts_key + 32, 32}};
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        char hex[129];
        hex_encode(secrets[i].bytes, secrets[i].length, hex);
        assert_null(strstr(text.data, hex));
    }
}

static void a_record_without_a_secret_still_tells_the_parts(void **state)
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

static void damaged_records_are_refused(void **state)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_known_image_is_made_from_the_known_secret),
        cmocka_unit_test(every_value_is_the_known_one),
        cmocka_unit_test(any_change_of_any_input_changes_every_value),
        cmocka_unit_test(sealing_puts_every_input_into_the_derivation),
        cmocka_unit_test(the_image_opens_as_any_other),
        cmocka_unit_test(without_a_secret_two_images_share_nothing),
        cmocka_unit_test(fixed_values_and_a_secret_exclude_each_other),
        cmocka_unit_test(an_input_that_changes_meanwhile_is_refused),
        cmocka_unit_test(secrets_that_are_none_are_refused),
        cmocka_unit_test(secrets_that_can_be_guessed_are_refused),
        cmocka_unit_test(random_secrets_are_taken),
        cmocka_unit_test(a_line_feed_at_the_end_of_a_text_is_said),
        cmocka_unit_test(a_record_says_what_was_sealed),
        cmocka_unit_test(a_record_holds_no_secret),
        cmocka_unit_test(a_record_without_a_secret_still_tells_the_parts),
        cmocka_unit_test(damaged_records_are_refused),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
