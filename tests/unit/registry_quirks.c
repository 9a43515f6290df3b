// SPDX-License-Identifier: Apache-2.0
// The registry client against the habits of real registries (tests/support/quirk_registry.py, which
// names them): each is pushed to and read from, and gives back what it was given.
#include "test.h"

#include "registry/internal.h"
#include "registry_help.h"

#include <sys/resource.h>

#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define BIG ((size_t)11 << 20)

static struct server quirks;

static int begin(void **state)
{
    folder_begin(state);
    cleanup_free char *words = xasprintf("tests/support/quirk_registry.py %s/log", folder);
    quirks = script_start(words);
    return 0;
}

static int end(void **state)
{
    server_stop(&quirks);
    return folder_end(state);
}

static const struct registry_options quick = {.tries = 3, .pause_ms = 1};
static const struct registry_options user = {
    .tries = 3, .pause_ms = 1, .user = TEST_USER, .password = TEST_PASSWORD};

static struct registry *open_quirk(const char *repository, const struct registry_options *o)
{
    return open_at("127.0.0.1", quirks.port, repository, o);
}

static int push(struct registry *r, size_t size, char digest[static DIGEST_HEX_SIZE],
                struct error **err)
{
    struct registry_blob b = {.digest = digest, .size = size, .fd = make_blob(size, size, digest)};
    int result = registry_push_blobs(r, &b, 1, err);
    close(b.fd);
    return result;
}

static void assert_pulls(struct registry *r, size_t size, const char *digest)
{
    cleanup_error struct error *err = NULL;
    struct registry_blob b = {.digest = digest, .size = size, .fd = empty_file()};
    assert_good(registry_pull_blobs(r, &b, 1, &err), 0, err);
    assert_false(b.missing);
    assert_content(b.fd, digest);
    close(b.fd);
}

static unsigned count(const char *pattern)
{
    cleanup_free char *n = sh("grep -cE '%s' log || true", pattern);
    return (unsigned)atoi(n);
}

ALL_TESTS(begin, end)

TEST(a_large_blob_gets_to_every_registry)
{
    static const struct {
        const char *repository, *way;
        unsigned times;
    } cases[] = {
        {"plain/large", "PUT /v2/plain/large/blobs.* 201 - 11534336", 1},
        {"ghcr/large", "PUT /v2/ghcr/large/blobs.* 201 - 11534336", 1},
        {"narrow/large", "PATCH /v2/narrow/large/.* 202 ", 3},
        {"chunks/large", "PATCH /v2/chunks/large/.* 202 ", 1},
        {"zot/large", "PATCH /v2/zot/large/.* 202 ", 3},
        {"least/large", "PATCH /v2/least/large/.* 202 .* (11534336|5242880|1048576)", 1},
        {"reset/large", "PUT /v2/reset/large/.* reset", 1},
        {"healthcheck/large", "POST /v2/healthcheck/large/.* 200 ", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char digest[DIGEST_HEX_SIZE];
        cleanup_error struct error *err = NULL;
        struct registry *r = open_quirk(cases[i].repository, &quick);
        print_message("%s\n", cases[i].repository);
        int result = push(r, BIG, digest, &err);
        assert_good(result, 0, err);
        assert_pulls(r, BIG, digest);
        assert_true(count(cases[i].way) >= cases[i].times);
        registry_close(r);
    }
}

static int get(struct registry *r, const char *what, struct error **err)
{
    cleanup_buf struct buf bytes = {0};
    cleanup_free char *type = NULL;
    char digest[DIGEST_HEX_SIZE];
    return registry_get_manifest(r, what, &bytes, &type, digest, err);
}

// A manifest with one layer, and a subject or none, under `tag`.
static char *put(struct registry *r, const char *tag, size_t size, const char *type,
                 char digest[static DIGEST_HEX_SIZE], struct error **err)
{
    char layer[DIGEST_HEX_SIZE];
    if (push(r, size, layer, err) < 0)
        return NULL;
    json_t *blob = json_pack("{s:s, s:s+, s:I}", "mediaType", "application/octet-stream", "digest",
                             "sha256:", layer, "size", (json_int_t)size);
    json_t *m = json_pack("{s:i, s:s, s:s, s:O, s:[o]}", "schemaVersion", 2, "mediaType",
                          OCI_MANIFEST, "artifactType", type, "config", blob, "layers", blob);
    char *text = json_dumps(m, JSON_COMPACT);
    json_decref(m);
    int result = registry_put_manifest(r, tag, text, strlen(text), OCI_MANIFEST, digest, err);
    if (result == 0)
        return text;
    free(text);
    return NULL;
}

TEST(what_does_not_exist_yet_is_missing_whatever_the_registry_says)
{
    static const char *const habits[] = {"quay", "dockerhub", "harbor", "gitlab", "artifactory"};
    for (size_t i = 0; i < ARRAY_LEN(habits); i++) {
        const struct registry_options wrong = {
            .tries = 2, .pause_ms = 1, .user = TEST_USER, .password = "TEST-wrong"};
        const struct {
            const struct registry_options *login;
            int result;
            enum registry_denial denied;
        } cases[] = {{&quick, 0, DENIED_ANONYMOUS}, {&user, 0, DENIED_USER}, {&wrong, -1, 0}};
        cleanup_free char *repository = xasprintf("%s/new", habits[i]);
        for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
            cleanup_error struct error *err = NULL;
            struct registry *r = open_quirk(repository, cases[k].login);
            int result = get(r, "v1", &err);
            print_message("%s %zu\n", habits[i], k);
            assert_good(result, cases[k].result, err);
            assert_int_equal(registry_was_denied(r), cases[k].denied);
            assert_int_equal(registry_is_down(r), result < 0);
            registry_close(r);
        }
        // It can be begun, and read.
        char digest[DIGEST_HEX_SIZE];
        cleanup_error struct error *err = NULL;
        struct registry *r = open_quirk(repository, &user);
        cleanup_free char *text = put(r, "v1", 1000, "application/vnd.oci.image.x", digest, &err);
        assert_good(text ? 0 : -1, 0, err);
        int result = get(r, "v1", &err);
        assert_good(result, 1, err);
        assert_int_equal(registry_was_denied(r), NOT_DENIED);
        registry_close(r);
        r = open_quirk(repository, &quick); // and not by everybody
        assert_null(put(r, "v2", 2000, "application/vnd.oci.image.x", digest, &err));
        assert_non_null(err->hint);
        assert_true(registry_is_down(r));
        registry_close(r);
    }
}

TEST(a_quota_is_not_a_matter_of_the_login)
{
    char digest[DIGEST_HEX_SIZE];
    cleanup_error struct error *err = NULL;
    struct registry *r = open_quirk("quota/x", &user);
    assert_int_equal(push(r, 1000, digest, &err), -1);
    assert_says(err, "upper limit");
    assert_non_null(strstr(err->hint, "quota"));
    assert_null(strstr(err->hint, "log in"));
    assert_false(registry_is_down(r));
    registry_close(r);
}

TEST(one_blob_that_is_refused_leaves_the_registry_usable)
{
    char digest[DIGEST_HEX_SIZE];
    cleanup_error struct error *err = NULL, *more = NULL;
    struct registry *r = open_quirk("picky/x", &quick);
    assert_int_equal(push(r, 2 << 20, digest, &err), -1);
    assert_says(err, "413");
    assert_false(registry_is_down(r));
    int result = push(r, 1000, digest, &more);
    assert_good(result, 0, more);
    registry_close(r);
}

TEST(a_tag_that_is_immutable_takes_the_same_twice)
{
    char digest[DIGEST_HEX_SIZE];
    cleanup_error struct error *err = NULL;
    struct registry *r = open_quirk("immutable/x", &quick);
    for (int i = 0; i < 2; i++) {
        cleanup_free char *text = put(r, "v1", 100, "application/x-test", digest, &err);
        assert_good(text ? 0 : -1, 0, err);
    }
    assert_null(put(r, "v1", 200, "application/x-test", digest, &err));
    assert_says(err, "immutable");
    registry_close(r);
}

TEST(the_answer_of_a_front_end_is_none)
{
    char digest[DIGEST_HEX_SIZE];
    cleanup_error struct error *err = NULL;
    struct registry *r = open_quirk("healthcheck/y", &quick);
    cleanup_free char *text = put(r, "v1", 100, "application/x-test", digest, &err);
    assert_good(text ? 0 : -1, 0, err);
    int result = get(r, "v1", &err);
    assert_good(result, 1, err);
    assert_true(count("POST /v2/healthcheck/y/.* 200 ") == 1);
    assert_true(count("GET /v2/healthcheck/y/manifests/v1 200 ") == 2);
    registry_close(r);
}

// ---- referrers ----

static int refer(struct registry *r, const char *subject, size_t size, struct error **err)
{
    char layer[DIGEST_HEX_SIZE], digest[DIGEST_HEX_SIZE];
    int result = push(r, size, layer, err);
    json_t *m = json_pack("{s:i, s:s, s:s, s:{s:s, s:s+, s:i}, s:[], s:{s:s, s:s+, s:i}}",
                          "schemaVersion", 2, "mediaType", OCI_MANIFEST, "artifactType",
                          "application/x-test", "config", "mediaType", "application/x", "digest",
                          "sha256:", layer, "size", (int)size, "layers", "subject", "mediaType",
                          OCI_MANIFEST, "digest", "sha256:", subject, "size", 1);
    cleanup_free char *text = json_dumps(m, JSON_COMPACT);
    digest_bytes(text, strlen(text), digest);
    json_t *d =
        json_pack("{s:s, s:s+, s:i, s:s}", "mediaType", OCI_MANIFEST, "digest", "sha256:", digest,
                  "size", (int)strlen(text), "artifactType", "application/x-test");
    const struct registry_referrer q = {text, OCI_MANIFEST, d};
    if (result == 0)
        result = registry_put_referrers(r, subject, &q, 1, err);
    json_decref(d);
    json_decref(m);
    return result;
}

TEST(referrers_are_kept_wherever_the_registry_allows)
{
    static const struct {
        const char *habit;
        bool kept, tag; // tag: under the fallback tag
    } cases[] = {
        {"plain", true, true},    {"api", true, false},    {"api406", true, true},
        {"apiempty", true, true}, {"apihtml", true, true}, {"apibare", true, false},
        {"harbor", true, false},  {"zot", true, false},    {"nosubject", false, false},
        {"gitlab", false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        char subject[DIGEST_HEX_SIZE];
        cleanup_free char *name = xasprintf("%s/refer", cases[i].habit);
        struct registry *r = open_quirk(name, &user);
        print_message("%s\n", name);
        cleanup_free char *text = put(r, "v1", 100, "application/vnd.oci.image.x", subject, &err);
        assert_good(text ? 0 : -1, 0, err);
        for (size_t size = 200; size < 202; size++) {
            int result = refer(r, subject, size, &err);
            assert_good(result, cases[i].kept ? 0 : -1, err);
            error_free(steal(err));
        }
        json_t *list = registry_referrers(r, subject, "application/x-test", &err);
        assert_int_equal(json_array_size(list), cases[i].kept ? 2 : 0);
        assert_non_null(list);
        json_decref(list);
        cleanup_free char *pattern = xasprintf("PUT /v2/%s/manifests/sha256-.* 201", name);
        assert_int_equal(count(pattern), cases[i].tag ? 2 : 0);
        registry_close(r);
    }
}

static long memory_kib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

static int take_none(void *seen, const json_t *d, struct error **err)
{
    (*(unsigned *)seen)++;
    return 0;
}

TEST(a_list_without_end_ends)
{
    unsigned seen = 0;
    cleanup_error struct error *err = NULL;
    struct registry *r = open_quirk("endless/x", &quick);
    long before = memory_kib();
    assert_int_equal(registry_each_referrer(r, "11", NULL, take_none, &seen, &err), -1);
    assert_says(err, "more than");
    assert_true(seen > 1000);
    assert_true(memory_kib() - before < 400 << 10); // of which most is the sanitizer's
    registry_close(r);
}
