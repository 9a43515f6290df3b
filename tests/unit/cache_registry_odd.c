// SPDX-License-Identifier: Apache-2.0
// The registry client against what real registries do rarely (tests/support/registry_server.py):
// tokens that end, uploads and downloads that break, redirects, lies, silence.
#include "cache/registry_room.h"
#include "cache_registry_help.h"

#define BODY_SIZE 3000000
#define BIG ((size_t)70 << 20) // more than one chunk

static struct server odd;
static char body_digest[DIGEST_HEX_SIZE];

static int begin(void **state)
{
    folder_begin(state);
    cleanup_free char *words = xasprintf("tests/support/registry_server.py %s/log", folder);
    odd = script_start(words);
    cleanup_free unsigned char *body = xmalloc(BODY_SIZE);
    for (size_t i = 0; i < BODY_SIZE; i++)
        body[i] = (unsigned char)(i % (BODY_SIZE / 12) * 7 % 251);
    digest_bytes(body, BODY_SIZE, body_digest);
    return 0;
}

static int end(void **state)
{
    server_stop(&odd);
    return folder_end(state);
}

static const struct registry_options quick = {.tries = 3, .pause_ms = 1, .silence_seconds = 1};

// The lines of the server's log about a repository.
static char *logged(const char *repository)
{
    return sh("grep -F '/%s/' log || true", repository);
}

static int pull(const char *repository, struct error **err)
{
    struct registry *r = open_at("127.0.0.1", odd.port, repository, &quick);
    struct registry_blob b = {.digest = body_digest, .size = BODY_SIZE, .fd = empty_file()};
    int result = registry_pull_blobs(r, &b, 1, err);
    if (result == 0)
        assert_content(b.fd, body_digest);
    else
        assert_int_equal(file_size(b.fd), 0);
    close(b.fd);
    registry_close(r);
    return result;
}

static void a_broken_download_goes_on_where_it_stopped(void **state)
{
    cleanup_error struct error *err = NULL;
    assert_good(pull("broken/x", &err), 0, err);
    cleanup_free char *log = logged("broken/x");
    assert_non_null(strstr(log, "bytes=1500000-"));
}

static void a_server_without_ranges_is_asked_for_all_of_it(void **state)
{
    cleanup_error struct error *err = NULL;
    assert_good(pull("whole/x", &err), 0, err);
}

static void a_range_that_was_not_asked_for_is_refused(void **state)
{
    cleanup_error struct error *err = NULL;
    assert_good(pull("other/x", &err), -1, err);
    assert_says(err, "another range");
}

static void wrong_bytes_are_refused_with_both_digests(void **state)
{
    cleanup_error struct error *err = NULL, *more = NULL;
    assert_good(pull("lie/x", &err), -1, err);
    assert_says(err, "its digest is sha256:");
    cleanup_free char *wanted = xasprintf("and not sha256:%s", body_digest);
    assert_says(err, wanted);
    assert_good(pull("long/x", &more), -1, more);
    assert_says(more, "more than the 3000000 bytes");
}

static void a_broken_upload_is_resumed(void **state)
{
    char digest[DIGEST_HEX_SIZE];
    cleanup_error struct error *err = NULL;
    struct registry *r = open_at("127.0.0.1", odd.port, "cut/x", &quick);
    struct registry_blob b = {.digest = digest, .size = BIG, .fd = make_blob(1, BIG, digest)};
    assert_good(registry_push_blobs(r, &b, 1, &err), 0, err);
    cleanup_free char *log = logged("cut/x");
    cleanup_free char *from = xasprintf("- %zu-", (size_t)40 << 20);
    assert_non_null(strstr(log, from));
    close(b.fd);
    registry_close(r);
}

static void a_mount_costs_no_bytes(void **state)
{
    cleanup_error struct error *err = NULL;
    static const char digest[] = "4444444444444444444444444444444444444444444444444444444444444444";
    struct registry *r = open_at("127.0.0.1", odd.port, "mount/x", &quick);
    struct registry_blob b = {.digest = digest, .size = 10, .fd = -1, .mount_from = "other/y"};
    assert_good(registry_push_blobs(r, &b, 1, &err), 0, err);
    cleanup_free char *log = logged("mount/x");
    assert_null(strstr(log, "PUT"));
    registry_close(r);
}

static void a_token_is_renewed_in_the_middle_of_a_push(void **state)
{
    char digest[DIGEST_HEX_SIZE];
    cleanup_error struct error *err = NULL;
    const struct registry_options o = {.user = TEST_USER, .password = TEST_PASSWORD};
    struct registry *r = open_at("127.0.0.1", odd.port, "bearer/x", &o);
    struct registry_blob b = {.digest = digest, .size = BIG, .fd = make_blob(2, BIG, digest)};
    assert_good(registry_push_blobs(r, &b, 1, &err), 0, err);
    cleanup_free char *tokens = sh("grep -c '^GET /token?.* basic' log");
    assert_true(atoi(tokens) >= 2);
    cleanup_free char *scopes = sh("grep -c 'scope=repository%%3Abearer%%2Fx%%3Apull%%2Cpush' log");
    assert_true(atoi(scopes) >= 2);
    close(b.fd);
    registry_close(r);
}

static void a_wrong_password_gets_no_token(void **state)
{
    cleanup_error struct error *err = NULL;
    const struct registry_options o = {.user = TEST_USER, .password = "TEST-wrong", .tries = 1};
    struct registry *r = open_at("127.0.0.1", odd.port, "bearer/y", &o);
    assert_good(registry_has_blob(r, body_digest, &err), -1, err);
    assert_says(err, "getting a token");
    assert_null(strstr(err->message, "TEST-wrong"));
    registry_close(r);
}

static void credentials_do_not_follow_a_redirect_to_another_host(void **state)
{
    cleanup_error struct error *err = NULL;
    const struct registry_options o = {.user = TEST_USER, .password = TEST_PASSWORD};
    struct registry *r = open_at("127.0.0.1", odd.port, "redirect/x", &o);
    struct registry_blob b = {.digest = body_digest, .size = BODY_SIZE, .fd = empty_file()};
    r->basic = true; // as after a 401
    assert_good(registry_pull_blobs(r, &b, 1, &err), 0, err);
    cleanup_free char *log = sh("cat log");
    assert_non_null(strstr(log, "/v2/redirect/x/blobs/"));
    cleanup_free char *ours = logged("redirect/x");
    assert_non_null(strstr(ours, " basic "));
    assert_non_null(strstr(log, "GET /elsewhere none"));
    assert_null(strstr(log, "GET /elsewhere basic"));
    close(b.fd);
    registry_close(r);
}

static void redirects_that_lead_astray_are_not_followed(void **state)
{
    static const struct {
        const char *repository, *says;
    } cases[] = {
        {"file/x", "not one of http or https"},
        {"user/x", "holds a user name"},
        {"loop/x", "more than 10 redirects"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        assert_good(pull(cases[i].repository, &err), -1, err);
        assert_says(err, cases[i].says);
    }
}

static void what_a_server_repeats_is_not_shown(void **state)
{
    cleanup_error struct error *err = NULL;
    const struct registry_options o = {.user = TEST_USER, .password = TEST_PASSWORD};
    struct registry *r = open_at("127.0.0.1", odd.port, "echo/x", &o);
    cleanup_buf struct buf bytes = {0};
    char *type, digest[DIGEST_HEX_SIZE];
    assert_good(registry_get_manifest(r, "t", &bytes, &type, digest, &err), -1, err);
    assert_says(err, "status 403");
    assert_null(strstr(err->message, TEST_PASSWORD));
    assert_null(strstr(err->message, "Basic"));
    registry_close(r);
}

static void a_busy_server_is_asked_again_when_it_says(void **state)
{
    cleanup_error struct error *err = NULL;
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_good(pull("busy/x", &err), 0, err);
    clock_gettime(CLOCK_MONOTONIC, &after);
    // Not how fast it is, but that it waited: Retry-After: 1.
    assert_true(
        (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 1000);
}

static void silence_ends_a_request(void **state)
{
    cleanup_error struct error *err = NULL, *slow = NULL;
    assert_good(pull("hang/x", &err), -1, err);
    assert_good(pull("drip/x", &slow), -1, slow);
}

static void bad_manifests_are_refused(void **state)
{
    static const struct {
        const char *repository, *says;
    } cases[] = {
        {"huge/x", "larger than 4194304 bytes"},
        {"json/x", "it is no manifest"},
        {"both/x", "both manifests and layers"},
        {"none/x", "not of its type"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL, *other = NULL;
        cleanup_buf struct buf bytes = {0};
        char *type, digest[DIGEST_HEX_SIZE], what[80];
        struct registry *r = open_at("127.0.0.1", odd.port, cases[i].repository, &quick);
        assert_good(registry_get_manifest(r, "t", &bytes, &type, digest, &err), -1, err);
        assert_says(err, cases[i].says);
        snprintf(what, sizeof what, "sha256:%s", body_digest);
        assert_good(registry_get_manifest(r, what, &bytes, &type, digest, &other), -1, other);
        assert_int_equal(bytes.len, 0);
        registry_close(r);
    }
}

static void referrers_come_from_all_pages(void **state)
{
    cleanup_error struct error *err = NULL;
    struct registry *r = open_at("127.0.0.1", odd.port, "refer/x", &quick);
    json_t *all = registry_referrers(r, body_digest, NULL, &err);
    assert_int_equal(json_array_size(all), 3);
    json_decref(all);
    all = registry_referrers(r, body_digest, "application/x-test", &err);
    assert_int_equal(json_array_size(all), 2);
    json_decref(all);
    registry_close(r);
}

// ---- what is decided without a server ----
static void addresses_are_as_near_as_they_are(void **state)
{
    static const struct {
        const char *host;
        enum nearness nearness;
    } known[] = {{"example.org", NEAR_WORLD},       {"8.8.8.8", NEAR_WORLD},
                 {"[2001:db8::1]", NEAR_WORLD},     {"172.15.0.1", NEAR_WORLD},
                 {"172.32.0.1", NEAR_WORLD},        {"10.0.0.1", NEAR_SITE},
                 {"172.16.0.1", NEAR_SITE},         {"192.168.1.1", NEAR_SITE},
                 {"100.64.0.1", NEAR_SITE},         {"[fd00::1]", NEAR_SITE},
                 {"localhost", NEAR_MACHINE},       {"x.localhost", NEAR_MACHINE},
                 {"127.0.0.1", NEAR_MACHINE},       {"127.1", NEAR_MACHINE},
                 {"2130706433", NEAR_MACHINE},      {"0x7f000001", NEAR_MACHINE},
                 {"0.0.0.0", NEAR_MACHINE},         {"[::1]", NEAR_MACHINE},
                 {"169.254.169.254", NEAR_MACHINE}, {"[fe80::1]", NEAR_MACHINE},
                 {"[::ffff:10.0.0.1]", NEAR_SITE},  {"[64:ff9b::7f00:1]", NEAR_MACHINE}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (host_nearness(known[i].host) != known[i].nearness)
            fail_msg("%s", known[i].host);
}

static void only_this_machine_is_spoken_to_without_tls(void **state)
{
    static const struct {
        const char *registry;
        bool local;
    } known[] = {{"localhost", true},   {"localhost:5000", true},
                 {"127.0.0.1:1", true}, {"127.9.8.7", true},
                 {"[::1]:5000", true},  {"localhost.example.org", false},
                 {"128.0.0.1", false},  {"127.0.0.1.nip.io", false},
                 {"docker.io", false},  {"10.0.0.1:5000", false},
                 {"[::2]", false},      {"registry", false}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        struct reference ref = {.registry = (char *)known[i].registry, .repository = "a"};
        struct registry *r = registry_open(&ref, NULL, NULL);
        assert_non_null(r);
        if (r->insecure != known[i].local)
            fail_msg("%s", known[i].registry);
        registry_close(r);
    }
}

static void challenges_are_taken_apart(void **state)
{
    struct challenges c = {0};
    challenges_add(&c,
                   "Negotiate abc==, Basic realm=\"a, \\\"b\\\"\" , BEARER realm = \"https://t/x\","
                   "service=s,scope=\"repository:a:pull,push repository:b:pull\",error=x,realm=y");
    const struct challenge *basic = challenges_find(&c, "basic");
    const struct challenge *bearer = challenges_find(&c, "bearer");
    assert_non_null(basic);
    assert_non_null(bearer);
    assert_string_equal(basic->realm, "a, \"b\"");
    assert_string_equal(bearer->realm, "https://t/x");
    assert_string_equal(bearer->service, "s");
    assert_string_equal(bearer->scope, "repository:a:pull,push repository:b:pull");
    assert_null(challenges_find(&c, "digest"));
    challenges_free(&c);
    challenges_add(&c, "Bearer realm=\"never ends");
    assert_null(challenges_find(&c, "bearer")->realm);
    challenges_free(&c);
}

static void no_secret_goes_to_a_token_service_that_is_nearer_or_plain(void **state)
{
    static const char *const realms[] = {"http://auth.example.org/t", "https://10.0.0.1/t",
                                         "https://127.0.0.1:1/t", "file:///etc/passwd",
                                         "https://u:p@auth.example.org/t"};
    const struct reference ref = {.registry = "registry.invalid", .repository = "a"};
    const struct registry_options o = {.user = TEST_USER, .password = TEST_PASSWORD, .tries = 1};
    for (size_t i = 0; i < ARRAY_LEN(realms); i++) {
        cleanup_error struct error *err = NULL;
        struct registry *r = registry_open(&ref, &o, &err);
        struct response s = {.status = 401};
        cleanup_free char *value = xasprintf("Bearer realm=\"%s\"", realms[i]);
        const struct request q = {.method = "GET"};
        challenges_add(&s.challenges, value);
        assert_good(auth_answer(r, &q, &s, &err), -1, err);
        assert_says(err, "token service");
        assert_null(strstr(err->message, "getting a token"));
        response_free(&s);
        registry_close(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_download_goes_on_where_it_stopped),
        cmocka_unit_test(a_server_without_ranges_is_asked_for_all_of_it),
        cmocka_unit_test(a_range_that_was_not_asked_for_is_refused),
        cmocka_unit_test(wrong_bytes_are_refused_with_both_digests),
        cmocka_unit_test(a_broken_upload_is_resumed),
        cmocka_unit_test(a_mount_costs_no_bytes),
        cmocka_unit_test(a_token_is_renewed_in_the_middle_of_a_push),
        cmocka_unit_test(a_wrong_password_gets_no_token),
        cmocka_unit_test(credentials_do_not_follow_a_redirect_to_another_host),
        cmocka_unit_test(redirects_that_lead_astray_are_not_followed),
        cmocka_unit_test(what_a_server_repeats_is_not_shown),
        cmocka_unit_test(a_busy_server_is_asked_again_when_it_says),
        cmocka_unit_test(silence_ends_a_request),
        cmocka_unit_test(bad_manifests_are_refused),
        cmocka_unit_test(referrers_come_from_all_pages),
        cmocka_unit_test(addresses_are_as_near_as_they_are),
        cmocka_unit_test(only_this_machine_is_spoken_to_without_tls),
        cmocka_unit_test(challenges_are_taken_apart),
        cmocka_unit_test(no_secret_goes_to_a_token_service_that_is_nearer_or_plain),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
