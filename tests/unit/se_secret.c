// SPDX-License-Identifier: Apache-2.0
// Seal secrets from files: which are taken, which are refused.
#include "test.h"

#include "se_fixture.h"

#include "base/error.h"

#include <openssl/rand.h>
#include <sys/stat.h>

ALL_TESTS(fixture_begin, fixture_end)

TEST(secrets_that_are_none_are_refused)
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

TEST(secrets_that_can_be_guessed_are_refused)
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
TEST(random_secrets_are_taken)
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

TEST(a_line_feed_at_the_end_of_a_text_is_said)
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
