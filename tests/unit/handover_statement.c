// SPDX-License-Identifier: Apache-2.0
// Bundles of signed statements: which of them vouch for a file, and that no signature over
// something else does.
#include "test.h"

#include "base/file.h"
#include "handover/internal.h"
#include "provenance/provenance.h"

#include <string.h>

// The keys of RFC 8032, 7.1, TEST 1 and TEST 2.
#define TEST_PRIVATE                                                                               \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"                           \
    "-----END PRIVATE KEY-----\n"
#define TEST_PUBLIC                                                                                \
    "-----BEGIN PUBLIC KEY-----\n"                                                                 \
    "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"                               \
    "-----END PUBLIC KEY-----\n"
#define OTHER_PUBLIC                                                                               \
    "-----BEGIN PUBLIC KEY-----\n"                                                                 \
    "MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n"                               \
    "-----END PUBLIC KEY-----\n"
#define OURS "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static char *folder, *key;
static struct trusted_keys *keys, *other_keys;

static char *file_of(const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", folder, name);
    assert_int_equal(file_write(path, text, strlen(text), 0600, NULL), 0);
    return path;
}

static int begin(void **state)
{
    const char *parent = getenv("TMPDIR");
    folder = make_temporary_directory(parent ? parent : "/tmp", "handover", NULL);
    key = file_of("TEST-key.pem", TEST_PRIVATE);
    cleanup_free char *public = file_of("public.pem", TEST_PUBLIC);
    cleanup_free char *other = file_of("other.pem", OTHER_PUBLIC);
    keys = trusted_keys_load(public, NULL);
    other_keys = trusted_keys_load(other, NULL);
    return keys && other_keys ? 0 : -1;
}

static int end(void **state)
{
    trusted_keys_free(keys);
    trusted_keys_free(other_keys);
    remove_tree(folder, NULL);
    free(folder);
    free(key);
    return 0;
}

ALL_TESTS(begin, end)

static void sign_text(const char *text, struct buf *out)
{
    assert_int_equal(statement_sign(key, text, strlen(text), out, NULL), 0);
}

static void sign_release(const char *name, const char *digest, const char *release, struct buf *out)
{
    json_auto_t *statement = release_statement(name, digest, release);
    cleanup_free char *text = json_dumps(statement, JSON_COMPACT);
    sign_text(text, out);
}

static struct vouched_list read_bundle(const struct buf *text, const struct trusted_keys *by)
{
    struct vouched_list l = {0};
    assert_int_equal(bundle_read(text, "bundle", OURS, by, &l, NULL), 0);
    return l;
}

TEST(a_release_is_read_as_it_was_written)
{
    cleanup_buf struct buf text = {0};
    sign_release("kata-static-kernel.tar.xz", OURS, "3.20.0 rc/1", &text);
    struct vouched_list l = read_bundle(&text, keys);
    assert_int_equal(l.n, 1);
    assert_string_equal(l.items[0].name, "kata-static-kernel.tar.xz");
    cleanup_free char *release = statement_release(l.items[0].statement);
    assert_string_equal(release, "3.20.0 rc/1");
    assert_string_equal(provenance_at(json_object_get(l.items[0].statement, "predicate"), "purl"),
                        "pkg:generic/kata-static-kernel@3.20.0%20rc%2F1");
    vouched_free(&l);
    l = read_bundle(&text, other_keys);
    assert_int_equal(l.n, 0);
    assert_int_equal(l.others, 1);
    vouched_free(&l);
}

// Lines of others, and of kinds that nobody knows, do not disturb (in-toto, bundle.md).
TEST(only_statements_about_this_content_vouch)
{
    cleanup_buf struct buf text = {0};
    buf_puts(&text, "\n{\"unknown\": 1}\nnot JSON\n");
    sign_release("old", OTHER, "3.19.0", &text);
    sign_text("{\"_type\": \"https://in-toto.io/Statement/v1\", \"subject\": [{\"digest\": "
              "{\"sha256\": \"" OURS "\"}}], \"predicateType\": \"https://example.org/bad\"}",
              &text);
    sign_text("{\"_type\": \"https://in-toto.io/Statement/v0.1\", \"subject\": [{\"digest\": "
              "{\"sha256\": \"" OURS "\"}}], \"predicateType\": \"" RELEASE_TYPE "\"}",
              &text);
    sign_text("no statement", &text);
    struct vouched_list l = read_bundle(&text, keys);
    assert_int_equal(l.n, 0);
    assert_int_equal(l.lines, 4);
    assert_int_equal(l.other_files, 3);
    assert_string_equal(l.other_name, "old");
    assert_int_equal(l.other_kinds, 1);
    vouched_free(&l);
    sign_release("new", OURS, "3.20.0", &text);
    text.len--; // the last line may lack its line feed
    l = read_bundle(&text, keys);
    assert_int_equal(l.n, 1);
    assert_string_equal(l.items[0].name, "new");
    vouched_free(&l);
}

// One signature of several is enough, wherever it is, and whatever it is called.
TEST(a_trusted_signature_among_others_counts)
{
    cleanup_buf struct buf line = {0}, text = {0};
    struct envelope e;
    cleanup_envelope struct envelope more = {0};
    const char *why;
    sign_release("x", OURS, "1", &line);
    assert_true(envelope_parse(line.data, line.len, &e, &why));
    more.type = xstrdup(e.type);
    buf_add(&more.payload, e.payload.data, e.payload.len);
    envelope_add_signature(&more, e.signatures[0].key_id, "short", 5);
    envelope_add_signature(&more, "another", e.signatures[0].value.data, 64);
    envelope_write(&more, &text);
    envelope_free(&e);
    struct vouched_list l = read_bundle(&text, keys);
    assert_int_equal(l.n, 1);
    vouched_free(&l);
}

// The same key signs entries of a registry: neither signature is one of the other.
TEST(a_signature_of_an_entry_is_none_of_a_file)
{
    json_auto_t *statement = release_statement("x", OURS, "1");
    cleanup_free char *payload = json_dumps(statement, JSON_COMPACT);
    const struct buf bare = {.data = payload, .len = strlen(payload)};
    cleanup_envelope struct envelope e = {.type = xstrdup(PROVENANCE_TYPE)};
    cleanup_buf struct buf text = {0}, line = {0};
    struct signature s;
    unsigned char value[64];
    assert_int_equal(signature_make(key, &bare, &s, NULL), 0);
    assert_true(hex_decode(s.value, value, sizeof value));
    buf_add(&e.payload, payload, strlen(payload));
    envelope_add_signature(&e, s.key, value, sizeof value);
    envelope_write(&e, &text);
    struct vouched_list l = read_bundle(&text, keys);
    assert_int_equal(l.n, 0);
    assert_int_equal(l.others, 1);
    vouched_free(&l);
    // And that of an envelope is none over its payload, which an entry's statement would be.
    struct envelope real;
    const char *why;
    sign_text("kbuild entry 2\nkey " OURS "\n", &line);
    assert_true(envelope_parse(line.data, line.len, &real, &why));
    hex_encode(real.signatures[0].value.data, 64, s.value);
    assert_false(trusted_keys_accept(keys, &s, &real.payload));
    envelope_free(&real);
}

TEST(every_byte_of_an_envelope_counts)
{
    cleanup_buf struct buf text = {0};
    sign_release("x", OURS, "1", &text);
    // The name of the key is a hint that nobody vouches for.
    size_t hint = (size_t)(strstr(text.data, "\"keyid\"") - text.data);
    size_t end = (size_t)(strstr(text.data, ",\"sig\"") - text.data);
    for (size_t i = 0; i + 1 < text.len; i++) {
        char old = text.data[i];
        text.data[i] = old == 'A' ? 'B' : 'A';
        struct vouched_list l = read_bundle(&text, keys);
        if (l.n && (i < hint || i >= end))
            fail_msg("byte %zu does not count", i);
        vouched_free(&l);
        text.data[i] = old;
    }
}

TEST(an_endless_bundle_is_refused)
{
    cleanup_buf struct buf text = {0};
    cleanup_error struct error *err = NULL;
    struct vouched_list l = {0};
    for (size_t i = 0; i <= LINES_MAX; i++)
        buf_puts(&text, "\n");
    assert_int_equal(bundle_read(&text, "bundle", OURS, keys, &l, &err), -1);
    assert_non_null(strstr(err->message, "more than 4096 lines"));
}
