// SPDX-License-Identifier: Apache-2.0
// Entries of the shared cache: names, tags, what is accepted, and signatures.
#include "test.h"

#include "base/file.h"
#include "share/internal.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// The public key of RFC 8032, 7.1, TEST 1, and of TEST 2; the private one of TEST 1, as PKCS #8.
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

static char *folder;
static struct recipe_builder builder = {.name = (char *)"kernel"};
static char *output_names[] = {(char *)"x"};
static struct recipe recipe = {.name = (char *)"kernel-confidential",
                               .builder = &builder,
                               .outputs = {.items = output_names, .n = 1}};
static struct job job = {.recipe = &recipe};
static struct node node = {.kind = NODE_ARTIFACT, .name = (char *)"kernel-confidential:s390x"};

static int begin(void **state)
{
    const char *parent = getenv("TMPDIR");
    folder = make_temporary_directory(parent ? parent : "/tmp", "run-remote", NULL);
    job.target = arch_find("s390x", NULL);
    node.kind = NODE_ARTIFACT;
    node.name = (char *)"kernel-confidential:s390x";
    node.data = &job;
    digest_bytes("key text\n", 9, node.key);
    return folder ? 0 : -1;
}

static int end(void **state)
{
    remove_tree(folder, NULL);
    free(folder);
    return 0;
}

static char *file_of(const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", folder, name);
    assert_int_equal(file_write(path, text, strlen(text), 0600, NULL), 0);
    return path;
}

// ---- names ----

TEST_WITH(each_kind_of_node_has_its_repositories, begin, end)
{
    static const struct {
        enum node_kind kind;
        const char *name, *path;
    } cases[] = {
        {NODE_ARTIFACT, "kernel-confidential:s390x", "cached-artefacts/kernel-confidential"},
        {NODE_SOURCE, "source:linux", "cached-sources/linux"},
        {NODE_SOURCE, "source:Linux#2", "cached-sources/linux-2"},
        {NODE_SOURCE, "source:__a..b--c_", "cached-sources/a.b-c"},
        {NODE_SOURCE, "source:", "cached-sources/x"},
        {NODE_BUILDER, "builder:kernel", "cached-builders/kernel"},
        {NODE_ROOTFS, "rootfs:initrd:s390x", "cached-rootfs/initrd-s390x"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        node.kind = cases[i].kind;
        node.name = (char *)cases[i].name;
        cleanup_free char *path = entry_path(&node);
        assert_string_equal(path, cases[i].path);
    }
}

TEST_WITH(tags_come_from_the_key_and_builders_have_upstreams, begin, end)
{
    struct remote r = {.builders = (char *)"localhost:5000/builders"};
    cleanup_free char *tag = entry_tag(&r, &node);
    cleanup_free char *expected = xasprintf("kbuild-%s", node.key);
    assert_string_equal(tag, expected);
    node.kind = NODE_BUILDER;
    cleanup_free char *image = entry_tag(&r, &node);
    cleanup_free char *name = xasprintf("kernel-%.9s-s390x", node.key);
    assert_string_equal(image, name);
    r.builders = NULL;
    cleanup_free char *plain = entry_tag(&r, &node);
    assert_string_equal(plain, expected);
}

TEST_WITH(artifacts_get_upstreams_tags_too, begin, end)
{
    struct remote r = {.branch = "feature/a b"};
    cleanup_strlist struct strlist tags = {0}, release = {0};
    entry_upstream_tags(&r, &node, "3.12.0", "", &tags);
    cleanup_free char *all = strlist_join(&tags, " ");
    assert_string_equal(all, "latest-feature_a_b-s390x");
    r.branch = "main";
    r.release = true;
    entry_upstream_tags(&r, &node, "3.12.0", "0123abc", &release);
    cleanup_free char *more = strlist_join(&release, " ");
    assert_string_equal(more, "latest-main-s390x 3.12.0-s390x 0123abc-s390x");
}

// ---- what is accepted ----

#define DIGEST "0000000000000000000000000000000000000000000000000000000000000001"

static int read_entry(const char *key_text, const char *name, const char *digest)
{
    struct entry e = {0};
    cleanup_error struct error *err = NULL;
    json_t *record = json_pack("{s:s, s:[{s:s, s:s, s:s, s:i}]}", "key_text", key_text, "outputs",
                               "name", name, "digest", digest, "kind", "blob", "size", 1);
    cleanup_free char *inner = json_dumps(record, JSON_COMPACT);
    json_t *manifest = json_pack("{s:{s:s}}", "annotations", RECORD_ANNOTATION, inner);
    struct buf text = {0};
    cleanup_free char *outer = json_dumps(manifest, JSON_COMPACT);
    buf_puts(&text, outer);
    json_decref(record);
    json_decref(manifest);
    int result = entry_read(&node, &text, &e, &err);
    assert_true((result < 0) == (err != NULL));
    entry_free(&e);
    buf_free(&text);
    return result;
}

TEST_WITH(a_record_has_to_hash_to_the_key_and_name_clean_files, begin, end)
{
    assert_int_equal(read_entry("key text\n", "kata-static-x.tar.xz", DIGEST), 1);
    assert_int_equal(read_entry("other text\n", "kata-static-x.tar.xz", DIGEST), -1);
    static const char *const names[] = {
        "../x", "/x", "a/b", "", ".", "..", "a\nb", "targets", "kata-static-y.tar.xz", "hdr.bin"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(read_entry("key text\n", names[i], DIGEST), -1);
    assert_int_equal(read_entry("key text\n", "kata-static-x.tar.xz", "../../etc/passwd"), -1);
    node.kind = NODE_BUILDER; // whose tag may be another builder's
    assert_int_equal(read_entry("other text\n", "root", DIGEST), 0);
}

TEST_WITH(an_entry_that_is_no_json_is_refused, begin, end)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "{\"annotations\": []}",
                                        "{\"annotations\": {\"kbuild.record\": \"{\"}}",
                                        "{\"annotations\": {\"kbuild.record\": \"[]\"}}",
                                        "{\"annotations\": {\"kbuild.record\": 1}}"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct entry e = {0};
        cleanup_error struct error *err = NULL;
        struct buf text = {0};
        buf_puts(&text, texts[i]);
        assert_int_equal(entry_read(&node, &text, &e, &err), -1);
        assert_non_null(err);
        entry_free(&e);
        buf_free(&text);
    }
}

// ---- signatures ----

static json_t *some_record(void)
{
    return json_pack("{s:s, s:s, s:i, s:[{s:s, s:s, s:s, s:i}], s:{s:s}}", "node", "n", "built_by",
                     "test", "epoch", 5, "outputs", "name", "o", "digest", DIGEST, "kind", "blob",
                     "size", 1, "provenance", "made", "here");
}

static void statement_of(const json_t *record, struct buf *out)
{
    const struct entry e = {.record = (json_t *)record};
    buf_free(out);
    entry_statement(node.key, &e, out);
}

TEST_WITH(the_statement_covers_the_whole_record, begin, end)
{
    cleanup_buf struct buf first = {0}, second = {0};
    json_t *record = some_record();
    statement_of(record, &first);
    assert_non_null(strstr(first.data, "kbuild entry 2\nkey "));
    assert_non_null(strstr(first.data, "\noutput blob " DIGEST " o\nprovenance "));
    // What the local store adds does not count.
    json_object_set_new(record, "key", json_string(node.key));
    json_object_set_new(record, "sha256", json_string(DIGEST));
    statement_of(record, &second);
    assert_string_equal(first.data, second.data);
    static const char *const members[] = {"epoch", "built_by", "summary", "provenance"};
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        json_t *changed = json_deep_copy(record);
        json_object_set_new(changed, members[i], json_string("other"));
        statement_of(changed, &second);
        assert_string_not_equal(first.data, second.data);
        json_decref(changed);
    }
    json_decref(record);
}

TEST_WITH(the_statement_covers_the_documents_that_the_manifest_names, begin, end)
{
    struct entry e = {.record = some_record()};
    cleanup_buf struct buf without = {0}, with = {0}, other = {0}, odd = {0};
    e.manifest = json_pack("{s:{s:s}}", "annotations", "else", "x");
    entry_statement(node.key, &e, &without);
    assert_null(strstr(without.data, "document"));
    json_t *annotations = json_object_get(e.manifest, "annotations");
    json_object_set_new(annotations, "kbuild.provenance", json_string("sha256:" DIGEST));
    entry_statement(node.key, &e, &with);
    assert_non_null(strstr(with.data, "\ndocument application/vnd.in-toto+json " DIGEST "\n"));
    json_object_set_new(annotations, "kbuild.spdx", json_string("sha256:" DIGEST));
    entry_statement(node.key, &e, &other);
    assert_non_null(strstr(other.data, "\ndocument application/spdx+json " DIGEST "\n"));
    // What is no digest is no line, and can't be one that reads as something else.
    json_object_set_new(annotations, "kbuild.provenance", json_string("sha256:x\nrecord y"));
    json_object_set_new(annotations, "kbuild.spdx", json_integer(1));
    entry_statement(node.key, &e, &odd);
    assert_string_equal(odd.data, without.data);
    entry_free(&e);
}

TEST_WITH(a_signature_is_accepted_of_a_trusted_key_only, begin, end)
{
    cleanup_free char *key = file_of("TEST-key.pem", TEST_PRIVATE);
    cleanup_free char *public = file_of("public.pem", TEST_PUBLIC);
    cleanup_free char *other = file_of("other.pem", OTHER_PUBLIC);
    cleanup_error struct error *err = NULL;
    struct signature s;
    cleanup_buf struct buf text = {0};
    buf_puts(&text, "what is signed");
    assert_int_equal(signature_make(key, &text, &s, &err), 0);
    struct trusted_keys *right = trusted_keys_load(public, &err);
    struct trusted_keys *wrong = trusted_keys_load(other, &err);
    assert_non_null(right);
    assert_non_null(wrong);
    assert_true(trusted_keys_accept(right, &s, &text));
    assert_false(trusted_keys_accept(wrong, &s, &text));
    for (size_t i = 0; i < strlen(s.value); i++) {
        struct signature altered = s;
        altered.value[i] = altered.value[i] == '0' ? '1' : '0';
        assert_false(trusted_keys_accept(right, &altered, &text));
    }
    text.data[0] ^= 1;
    assert_false(trusted_keys_accept(right, &s, &text));
    trusted_keys_free(right);
    trusted_keys_free(wrong);
}

// RFC 8032, 7.1, TEST 1: the empty message.
TEST_WITH(the_signature_is_that_of_the_rfc, begin, end)
{
    cleanup_free char *key = file_of("TEST-key.pem", TEST_PRIVATE);
    struct signature s;
    struct buf nothing = {.data = (char *)""};
    assert_int_equal(signature_make(key, &nothing, &s, NULL), 0);
    assert_string_equal(s.value,
                        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
}

TEST_WITH(a_directory_of_keys_is_read_whole, begin, end)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *key = file_of("TEST-key.txt", TEST_PRIVATE);
    assert_null(trusted_keys_load(folder, &err));
    assert_non_null(strstr(err->message, "no *.pem"));
    free(file_of("a.pem", OTHER_PUBLIC));
    free(file_of("b.pem", TEST_PUBLIC));
    struct trusted_keys *both = trusted_keys_load(folder, NULL);
    assert_non_null(both);
    struct signature s;
    cleanup_buf struct buf text = {0};
    buf_puts(&text, "x");
    assert_int_equal(signature_make(key, &text, &s, NULL), 0);
    assert_true(trusted_keys_accept(both, &s, &text));
    trusted_keys_free(both);
}

// Its owner could put keys of his own into it. Only root can give a file away.
TEST_WITH(keys_of_another_owner_are_refused, begin, end)
{
    cleanup_free char *path = file_of("keys.pem", TEST_PUBLIC);
    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(path, 4242, (gid_t)-1), 0);
    for (int directory = 0; directory < 2; directory++) {
        cleanup_error struct error *err = NULL;
        assert_null(trusted_keys_load(directory ? folder : path, &err));
        assert_non_null(strstr(err->message, "keys.pem belongs to user 4242"));
    }
    assert_int_equal(chown(path, 0, (gid_t)-1) | chown(folder, 4242, (gid_t)-1), 0);
    cleanup_error struct error *err = NULL;
    assert_null(trusted_keys_load(folder, &err));
    assert_non_null(strstr(err->message, "belongs to user 4242"));
}

TEST_WITH(the_signer_is_found_without_the_name_of_its_key, begin, end)
{
    cleanup_free char *key = file_of("TEST-key.txt", TEST_PRIVATE);
    free(file_of("a.pem", OTHER_PUBLIC));
    cleanup_free char *file = file_of("b.pem", TEST_PUBLIC);
    struct trusted_keys *both = trusted_keys_load(folder, NULL);
    struct signature s;
    struct trusted_signer by = {0};
    cleanup_buf struct buf text = {0}, value = {0};
    unsigned char bytes[64];
    buf_puts(&text, "x");
    assert_int_equal(signature_make(key, &text, &s, NULL), 0);
    assert_true(hex_decode(s.value, bytes, sizeof bytes));
    buf_add(&value, bytes, sizeof bytes);
    assert_true(trusted_keys_signer(both, &value, &text, &by));
    assert_string_equal(by.key, s.key);
    assert_string_equal(by.file, file);
    value.len--; // shorter, and longer
    assert_false(trusted_keys_signer(both, &value, &text, &by));
    value.len++;
    buf_add(&value, "", 1);
    assert_false(trusted_keys_signer(both, &value, &text, &by));
    trusted_keys_free(both);
}

TEST_WITH(what_is_no_ed25519_key_is_refused_without_a_word_of_it, begin, end)
{
    static const char *const texts[] = {"", "SECRETSECRET", TEST_PUBLIC};
    struct signature s;
    struct buf nothing = {.data = (char *)""};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        cleanup_error struct error *err = NULL;
        cleanup_free char *path = file_of("bad.pem", texts[i]);
        assert_int_equal(signature_make(path, &nothing, &s, &err), -1);
        assert_null(strstr(err->message, "SECRET"));
        assert_non_null(strstr(err->message, "not an Ed25519 private key"));
    }
    cleanup_error struct error *why = NULL;
    cleanup_free char *path = file_of("bad.pem", TEST_PRIVATE);
    assert_null(trusted_keys_load(path, &why));
    assert_non_null(strstr(why->message, "does not hold Ed25519 public keys"));
}

// ---- what was made elsewhere ----

TEST_WITH(the_own_key_is_trusted_and_no_other, begin, end)
{
    cleanup_free char *private = file_of("own.pem", TEST_PRIVATE);
    cleanup_free char *other_file = file_of("other.pub.pem", OTHER_PUBLIC);
    const struct buf text = {.data = (char *)"text", .len = 4};
    struct signature s;
    struct trusted_keys *own = trusted_keys_own(private, NULL);
    struct trusted_keys *other = trusted_keys_load(other_file, NULL);
    assert_non_null(own);
    assert_int_equal(signature_make(private, &text, &s, NULL), 0);
    assert_true(trusted_keys_accept(own, &s, &text));
    assert_false(trusted_keys_accept(other, &s, &text));
    trusted_keys_free(own);
    trusted_keys_free(other);
    cleanup_error struct error *err = NULL;
    assert_null(trusted_keys_own(other_file, &err));
    assert_int_equal(err->kind, ERROR_USER);
}

TEST(records_agree_if_each_output_has_the_same_bytes)
{
    json_auto_t *one = json_loads("{\"outputs\":[{\"name\":\"a\",\"digest\":\"1\"},"
                                  "{\"name\":\"b\",\"digest\":\"2\"}],\"built_by\":\"x\"}",
                                  0, NULL);
    json_auto_t *two = json_loads("{\"outputs\":[{\"name\":\"b\",\"digest\":\"2\"},"
                                  "{\"name\":\"a\",\"digest\":\"1\"}],\"built_by\":\"y\"}",
                                  0, NULL);
    json_t *outputs = json_object_get(two, "outputs");
    assert_true(records_agree(one, two));
    json_object_set_new(json_array_get(outputs, 0), "digest", json_string("3"));
    assert_false(records_agree(one, two));
    json_array_remove(outputs, 0);
    assert_false(records_agree(one, two));
    assert_false(records_agree(two, one));
}
