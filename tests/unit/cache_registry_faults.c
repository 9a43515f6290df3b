// SPDX-License-Identifier: Apache-2.0
// Pushes and pulls through tests/support/fault_proxy.py: each ends, and none is said
// to be good that is not. FAULT_RUNS (100) and FAULT_SEED (1) vary it.
#include "cache_registry_help.h"

#define BLOBS 3
#define HANGING_SECONDS 200 // for all of it; run-unit's own limit is 300

static unsigned number(const char *name, unsigned standard)
{
    const char *text = getenv(name);
    return text && *text ? (unsigned)strtoul(text, NULL, 10) : standard;
}

struct set {
    struct registry_blob blobs[BLOBS];
    char digests[BLOBS][DIGEST_HEX_SIZE];
    char *manifest;
};

static void set_make(struct set *s, uint64_t seed)
{
    static const size_t sizes[] = {1, 3000, 60000, 1500000};
    struct buf text = {0};
    buf_puts(&text,
             "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\"");
    for (size_t i = 0; i < BLOBS; i++) {
        size_t size = sizes[(seed + i) % ARRAY_LEN(sizes)] + seed % 97;
        s->blobs[i] =
            (struct registry_blob){.digest = s->digests[i],
                                   .size = size,
                                   .fd = make_blob(seed * BLOBS + i, size, s->digests[i])};
        buf_printf(&text,
                   "%s{\"mediaType\":\"application/octet-stream\",\"size\":%zu,\"digest\":"
                   "\"sha256:%s\"}",
                   i == 0   ? ",\"config\":"
                   : i == 1 ? ",\"layers\":["
                            : ",",
                   size, s->digests[i]);
    }
    buf_puts(&text, "]}");
    s->manifest = buf_take(&text);
}

static void set_close(struct set *s)
{
    for (size_t i = 0; i < BLOBS; i++)
        close(s->blobs[i].fd);
    free(s->manifest);
}

static int push(struct registry *r, struct set *s, const char *tag, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    if (registry_push_blobs(r, s->blobs, BLOBS, err) < 0)
        return -1;
    return registry_put_manifest(r, tag, s->manifest, strlen(s->manifest),
                                 "application/vnd.oci.image.manifest.v1+json", digest, err);
}

// Pulls and compares. 0: all is what it should be; -1: an error, and nothing is left in the files.
static int pull(struct registry *r, const struct set *s, const char *tag, struct error **err)
{
    struct registry_blob got[BLOBS];
    cleanup_buf struct buf bytes = {0};
    cleanup_free char *type = NULL;
    char digest[DIGEST_HEX_SIZE], wanted[DIGEST_HEX_SIZE], what[80];
    digest_bytes(s->manifest, strlen(s->manifest), wanted);
    snprintf(what, sizeof what, "sha256:%s", wanted);
    int found = registry_get_manifest(r, tag ? tag : what, &bytes, &type, digest, err);
    if (found < 0)
        return -1;
    assert_int_equal(found, 1);
    assert_string_equal(bytes.data, s->manifest);
    for (size_t i = 0; i < BLOBS; i++) {
        got[i] = s->blobs[i];
        got[i].fd = empty_file();
    }
    int result = registry_pull_blobs(r, got, BLOBS, err);
    for (size_t i = 0; i < BLOBS; i++) {
        assert_false(result == 0 && got[i].missing);
        if (result == 0 || file_size(got[i].fd) > 0)
            assert_content(got[i].fd, got[i].digest);
        close(got[i].fd);
    }
    return result;
}

static void nothing_wrong_gets_through_and_nothing_hangs(void **state)
{
    if (!have_docker_registry())
        skip();
    unsigned runs = number("FAULT_RUNS", 100), seed = number("FAULT_SEED", 1);
    struct server real = docker_registry_start("faults", "", "");
    cleanup_free char *words = xasprintf("tests/support/fault_proxy.py %u %u", real.port, seed);
    struct server proxy = script_start(words);
    const struct registry_options o = {
        .tries = 6, .pause_ms = 4, .silence_seconds = 1, .parallel = 2};
    struct registry *straight = open_at("127.0.0.1", real.port, "f/x", NULL);
    unsigned good = 0, bad = 0;
    alarm(HANGING_SECONDS);
    for (unsigned i = 0; i < runs; i += 2) {
        struct set s;
        struct error *err = NULL;
        cleanup_free char *tag = xasprintf("t%u", i);
        set_make(&s, (uint64_t)seed * 100000 + i);
        struct registry *r = open_at("127.0.0.1", proxy.port, "f/x", &o);
        int pushed = push(r, &s, tag, &err);
        assert_true((pushed == 0) == (err == NULL));
        error_free(steal(err));
        registry_close(r);
        // What was said to be there is; else it is brought there, for the pull.
        if (pushed < 0)
            assert_good(push(straight, &s, tag, &err), 0, err);
        assert_good(pull(straight, &s, tag, &err), 0, err);
        r = open_at("127.0.0.1", proxy.port, "f/x", &o);
        int pulled = pull(r, &s, NULL, &err);
        assert_true((pulled == 0) == (err == NULL));
        error_free(steal(err));
        registry_close(r);
        good += (pushed == 0) + (pulled == 0);
        bad += (pushed < 0) + (pulled < 0);
        set_close(&s);
    }
    alarm(0);
    print_message("seed %u: %u came through, %u ended in an error\n", seed, good, bad);
    // Trying again is worth it: with no second try few would come through.
    assert_true(good > bad);
    registry_close(straight);
    server_stop(&proxy);
    server_stop(&real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_wrong_gets_through_and_nothing_hangs),
    };
    return cmocka_run_group_tests(tests, folder_begin, folder_end);
}
