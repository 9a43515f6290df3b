// SPDX-License-Identifier: Apache-2.0
// The registry client against what real registries do rarely (tests/support/registry_server.py):
// tokens that end, uploads and downloads that break, redirects, lies, silence.
#include "test.h"

#include "oci/oci.h"
#include "registry/internal.h"
#include "registry_help.h"

#include <netdb.h>
#include <sys/wait.h>

#define BODY_SIZE 3000000
#define BIG ((size_t)1000000) // two chunks of CHUNK_SIZE
#define CHUNK_SIZE 500000

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

ALL_TESTS(begin, end)

TEST(a_broken_download_goes_on_where_it_stopped)
{
    cleanup_error struct error *err = NULL;
    assert_good(pull("broken/x", &err), 0, err);
    cleanup_free char *log = logged("broken/x");
    assert_non_null(strstr(log, "bytes=1500000-"));
}

TEST(a_server_without_ranges_is_asked_for_all_of_it)
{
    cleanup_error struct error *err = NULL;
    assert_good(pull("whole/x", &err), 0, err);
}

TEST(a_range_that_was_not_asked_for_is_refused)
{
    cleanup_error struct error *err = NULL;
    assert_good(pull("other/x", &err), -1, err);
    assert_says(err, "another range");
}

TEST(wrong_bytes_are_refused_with_both_digests)
{
    cleanup_error struct error *err = NULL, *more = NULL;
    assert_good(pull("lie/x", &err), -1, err);
    assert_says(err, "its digest is sha256:");
    cleanup_free char *wanted = xasprintf("and not sha256:%s", body_digest);
    assert_says(err, wanted);
    assert_good(pull("long/x", &more), -1, more);
    assert_says(more, "more than the 3000000 bytes");
}

TEST(a_broken_upload_is_resumed)
{
    char digest[DIGEST_HEX_SIZE];
    cleanup_error struct error *err = NULL;
    struct registry *r = open_at("127.0.0.1", odd.port, "cut/x", &quick);
    r->chunk = CHUNK_SIZE;
    struct registry_blob b = {.digest = digest, .size = BIG, .fd = make_blob(1, BIG, digest)};
    assert_good(registry_push_blobs(r, &b, 1, &err), 0, err);
    cleanup_free char *log = logged("cut/x");
    cleanup_free char *from = xasprintf("- %d-", 400000);
    assert_non_null(strstr(log, from));
    close(b.fd);
    registry_close(r);
}

TEST(a_mount_costs_no_bytes)
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

TEST(a_token_is_renewed_in_the_middle_of_a_push)
{
    char digest[DIGEST_HEX_SIZE];
    cleanup_error struct error *err = NULL;
    const struct registry_options o = {.user = TEST_USER, .password = TEST_PASSWORD};
    struct registry *r = open_at("127.0.0.1", odd.port, "bearer/x", &o);
    r->chunk = CHUNK_SIZE / 4;
    struct registry_blob b = {.digest = digest, .size = BIG, .fd = make_blob(2, BIG, digest)};
    assert_good(registry_push_blobs(r, &b, 1, &err), 0, err);
    cleanup_free char *tokens = sh("grep -c '^GET /token?.* basic' log");
    assert_true(atoi(tokens) >= 2);
    cleanup_free char *scopes = sh("grep -c 'scope=repository%%3Abearer%%2Fx%%3Apull%%2Cpush' log");
    assert_true(atoi(scopes) >= 2);
    close(b.fd);
    registry_close(r);
}

TEST(an_identity_token_is_exchanged_and_in_no_address)
{
    char digest[DIGEST_HEX_SIZE];
    cleanup_error struct error *err = NULL;
    free(sh("mkdir -p .docker && echo '{\"auths\": {\"127.0.0.1:%u\": {\"auth\": \"MDAwMDo=\", "
            "\"identitytoken\": \"TEST-identity-91c5\"}}}' >.docker/config.json",
            odd.port));
    struct registry *r = open_at("127.0.0.1", odd.port, "oauth/x", NULL);
    r->chunk = CHUNK_SIZE / 4;
    struct registry_blob b = {.digest = digest, .size = BIG, .fd = make_blob(3, BIG, digest)};
    assert_good(registry_push_blobs(r, &b, 1, &err), 0, err);
    cleanup_free char *posts = sh("grep -c '^POST /oauth none' log");
    assert_true(atoi(posts) >= 3); // tokens end after three requests
    cleanup_free char *log = sh("cat log; rm -r .docker");
    assert_null(strstr(log, "TEST-identity"));
    close(b.fd);
    registry_close(r);
}

TEST(a_wrong_password_gets_no_token)
{
    cleanup_error struct error *err = NULL;
    const struct registry_options o = {.user = TEST_USER, .password = "TEST-wrong", .tries = 1};
    struct registry *r = open_at("127.0.0.1", odd.port, "bearer/y", &o);
    assert_good(has_blob(r, body_digest, &err), -1, err);
    assert_says(err, "getting a token");
    assert_null(strstr(err->message, "TEST-wrong"));
    registry_close(r);
}

TEST(credentials_do_not_follow_a_redirect_to_another_host)
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

TEST(redirects_that_lead_astray_are_not_followed)
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

TEST(what_a_server_repeats_is_not_shown)
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

TEST(a_busy_server_is_asked_again_when_it_says)
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

TEST(silence_ends_a_request)
{
    cleanup_error struct error *err = NULL, *slow = NULL;
    assert_good(pull("hang/x", &err), -1, err);
    assert_good(pull("drip/x", &slow), -1, slow);
}

TEST(bad_manifests_are_refused)
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

TEST(referrers_come_from_all_pages)
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

static int pull_image(const char *repository, struct error **err)
{
    cleanup_free char *cache = xasprintf("%s/cache", folder);
    cleanup_free char *root = xasprintf("%s/root", folder);
    cleanup_free char *image = xasprintf("127.0.0.1:%u/%s:t", odd.port, repository);
    char digest[DIGEST_HEX_SIZE];
    assert_int_equal(make_directories(root, 0755, NULL), 0);
    struct store *s = store_open(cache, err);
    assert_non_null(s);
    bool unusable;
    int result = oci_pull_rootfs(s, image, "amd64", root, digest, &unusable, err);
    assert_true(unusable);
    store_close(s);
    return result;
}

TEST(an_index_leads_to_what_has_its_digest)
{
    cleanup_error struct error *deep = NULL, *loop = NULL;
    assert_good(pull_image("deep/x", &deep), -1, deep);
    assert_says(deep, "and not sha256:bbbb"); // an index in an index was followed to there
    assert_good(pull_image("self/x", &loop), -1, loop);
    assert_says(loop, "and not sha256:aaaa");
}

// ---- being interrupted ----
TEST(a_signal_that_is_held_back_ends_a_transfer)
{
    cleanup_error struct error *err = NULL;
    const struct registry_options o = {.silence_seconds = 15};
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, &before), 0);
    pid_t parent = getpid(), child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        usleep(300000);
        kill(parent, SIGINT);
        _exit(0);
    }
    struct registry *r = open_at("127.0.0.1", odd.port, "hang/x", &o);
    struct registry_blob b[2] = {{.digest = body_digest, .size = BODY_SIZE, .fd = empty_file()},
                                 {.digest = body_digest, .size = BODY_SIZE, .fd = empty_file()}};
    struct timespec begun, ended, none = {0};
    clock_gettime(CLOCK_MONOTONIC, &begun);
    assert_good(registry_pull_blobs(r, b, 2, &err), -1, err);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    assert_int_equal(err->kind, ERROR_INTERRUPT);
    // Long before the silence would have ended it; and the signal is still there for its owner.
    assert_true(ended.tv_sec - begun.tv_sec < 10);
    assert_int_equal(sigtimedwait(&set, NULL, &none), SIGINT);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    waitpid(child, NULL, 0);
    registry_close(r);
    close(b[0].fd);
    close(b[1].fd);
}

// ---- proxies ----
TEST(proxies_are_used_but_for_this_machine)
{
    cleanup_error struct error *err = NULL, *other = NULL;
    cleanup_free char *words =
        xasprintf("tests/support/http_proxy.py %u %s/proxy.log", odd.port, folder);
    struct server proxy = script_start(words);
    cleanup_free char *address = xasprintf("http://proxy-user:TEST-proxy@127.0.0.1:%u", proxy.port);
    const struct reference ref = {.registry = "registry.test", .repository = "echo/x"};
    const struct registry_options o = {
        .user = TEST_USER, .password = TEST_PASSWORD, .plain_http = true, .tries = 1};
    setenv("http_proxy", address, 1);
    struct registry *r = registry_open(&ref, &o, &err);
    assert_good(has_blob(r, body_digest, &err), -1, err); // echo refuses everything
    assert_says(err, "status 403");
    assert_null(strstr(err->message, "TEST-"));
    cleanup_free char *log = sh("cat proxy.log");
    assert_non_null(strstr(log, "HEAD http://registry.test/v2/echo/x/blobs/"));
    // Another registry, by no_proxy; it does not exist.
    setenv("no_proxy", "registry.test", 1);
    assert_good(has_blob(r, body_digest, &other), -1, other);
    unsetenv("no_proxy");
    registry_close(r);
    cleanup_error struct error *direct = NULL;
    assert_good(pull("straight/x", &direct), 0, direct);
    cleanup_free char *after = sh("cat proxy.log");
    assert_string_equal(log, after);
    unsetenv("http_proxy");
    server_stop(&proxy);
}

// ---- where a token service is ----
TEST(an_address_is_judged_when_it_is_connected_to)
{
    cleanup_error struct error *err = NULL;
    struct registry *r = open_at("127.0.0.1", odd.port, "near/x", &quick);
    cleanup_free char *url = xasprintf("http://127.0.0.1:%u/elsewhere?near", odd.port);
    struct registry_request q = {.method = "GET", .url = url, .outside = true, .limit = SCOPE_SITE};
    cleanup_registry_response struct registry_response s = {0};
    assert_good(registry_exchange(r, &q, &s, &err), -1, err);
    assert_says(err, "has a private address");
    cleanup_free char *log = sh("cat log");
    assert_null(strstr(log, "/elsewhere?near"));
    q.limit = SCOPE_MACHINE;
    assert_good(registry_exchange(r, &q, &s, &err), 0, NULL);
    assert_int_equal(s.from, SCOPE_MACHINE);
    registry_close(r);
}

TEST(an_upload_continues_at_no_narrower_scope)
{
    static const char origin[] = "http://registry.example:80";
    static const struct {
        enum address_scope from;
        const char *location, *said; // NULL: allowed
    } cases[] = {
        {SCOPE_WORLD, "http://registry.example/v2/x/blobs/uploads/1", NULL},
        {SCOPE_WORLD, "/v2/x/blobs/uploads/1?_state=a", NULL},
        {SCOPE_WORLD, "http://store.example/1", NULL},
        {SCOPE_WORLD, "http://10.1.2.3/1", "to the private address 10.1.2.3"},
        {SCOPE_WORLD, "http://127.0.0.1:5000/1", "to the private address 127.0.0.1:5000"},
        {SCOPE_WORLD, "http://[fe80::1]/1", "to the private address"},
        {SCOPE_SITE, "http://10.1.2.3/1", NULL},
        {SCOPE_SITE, "http://localhost/1", "to the private address localhost"},
        {SCOPE_MACHINE, "http://127.0.0.1:5000/1", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        struct upload_place place = {0};
        const struct registry_response s = {
            .url = (char *)"http://registry.example/v2/x/blobs/uploads/",
            .location = (char *)cases[i].location,
            .from = cases[i].from};
        assert_good(upload_place_update(&place, origin, &s, &err), cases[i].said ? -1 : 0, err);
        if (cases[i].said)
            assert_says(err, cases[i].said);
        else
            assert_non_null(place.url);
        free(place.url);
    }
}

TEST(a_chain_of_upload_locations_keeps_the_widest_scope)
{
    cleanup_error struct error *err = NULL;
    struct upload_place place = {0};
    struct registry_response s = {.url = (char *)"http://registry.example/",
                                  .location = (char *)"http://store.example/1",
                                  .from = SCOPE_WORLD};
    assert_good(upload_place_update(&place, "http://registry.example:80", &s, &err), 0, err);
    assert_true(place.limited);
    assert_int_equal(place.limit, SCOPE_WORLD);
    s = (struct registry_response){.url = (char *)"http://store.example/1",
                                   .location = (char *)"http://127.0.0.1/2",
                                   .from = SCOPE_MACHINE}; // where that name led to
    assert_good(upload_place_update(&place, "http://registry.example:80", &s, &err), -1, err);
    assert_says(err, "private address");
    free(place.url);
}

// A name of this machine's that does not look like one, or NULL.
static char *own_name(void)
{
    char name[256] = "";
    gethostname(name, sizeof name - 1);
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    if (getaddrinfo(name, NULL, &hints, &found) != 0)
        return NULL;
    bool own =
        scope_of_address(found->ai_addr) == SCOPE_MACHINE && scope_of_host(name) == SCOPE_WORLD;
    freeaddrinfo(found);
    return own ? xstrdup(name) : NULL;
}

TEST(a_token_service_whose_name_leads_here_gets_no_secret)
{
    cleanup_free char *name = own_name();
    if (!name) {
        print_message("SKIPPED: the name of this machine is not in /etc/hosts\n");
        skip();
    }
    const struct registry_options o = {.user = TEST_USER, .password = TEST_PASSWORD, .tries = 1};
    struct registry *r = open_at("127.0.0.1", odd.port, "bearer/x", &o);
    const struct registry_request q = {.method = "GET"};
    for (int near = SCOPE_WORLD; near <= SCOPE_MACHINE; near++) {
        cleanup_error struct error *err = NULL;
        cleanup_registry_response struct registry_response s = {.status = 401,
                                                                .from = (enum address_scope)near};
        cleanup_free char *value =
            xasprintf("Bearer realm=\"http://%s:%u/token?from=%d\"", name, odd.port, near);
        strlist_add(&s.challenges, value);
        int result = registry_auth.answer(r, &q, &s, &err);
        assert_good(result, near == SCOPE_MACHINE ? 1 : -1, err);
        if (result < 0)
            assert_says(err, "has a private address");
    }
    cleanup_free char *log = sh("cat log");
    assert_null(strstr(log, "/token?from=0"));
    assert_null(strstr(log, "/token?from=1"));
    assert_non_null(strstr(log, "/token?from=2"));
    registry_close(r);
}

// ---- what is decided without a server ----
TEST(addresses_have_the_scopes_that_they_have)
{
    static const struct {
        const char *host;
        enum address_scope scope;
    } known[] = {{"example.org", SCOPE_WORLD},       {"8.8.8.8", SCOPE_WORLD},
                 {"[2001:db8::1]", SCOPE_WORLD},     {"172.15.0.1", SCOPE_WORLD},
                 {"172.32.0.1", SCOPE_WORLD},        {"10.0.0.1", SCOPE_SITE},
                 {"172.16.0.1", SCOPE_SITE},         {"192.168.1.1", SCOPE_SITE},
                 {"100.64.0.1", SCOPE_SITE},         {"[fd00::1]", SCOPE_SITE},
                 {"localhost", SCOPE_MACHINE},       {"x.localhost", SCOPE_MACHINE},
                 {"127.0.0.1", SCOPE_MACHINE},       {"127.1", SCOPE_MACHINE},
                 {"2130706433", SCOPE_MACHINE},      {"0x7f000001", SCOPE_MACHINE},
                 {"0.0.0.0", SCOPE_MACHINE},         {"[::1]", SCOPE_MACHINE},
                 {"169.254.169.254", SCOPE_MACHINE}, {"[fe80::1]", SCOPE_MACHINE},
                 {"[::ffff:10.0.0.1]", SCOPE_SITE},  {"[64:ff9b::7f00:1]", SCOPE_MACHINE}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (scope_of_host(known[i].host) != known[i].scope)
            fail_msg("%s", known[i].host);
}

TEST(only_this_machine_is_spoken_to_without_tls)
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

TEST(challenges_are_taken_apart)
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

TEST(no_secret_goes_to_a_token_service_of_a_narrower_scope_or_plain)
{
    static const char *const realms[] = {"http://auth.example.org/t", "https://10.0.0.1/t",
                                         "https://127.0.0.1:1/t", "file:///etc/passwd",
                                         "https://u:p@auth.example.org/t"};
    const struct reference ref = {.registry = "registry.invalid", .repository = "a"};
    const struct registry_options o = {.user = TEST_USER, .password = TEST_PASSWORD, .tries = 1};
    for (size_t i = 0; i < ARRAY_LEN(realms); i++) {
        cleanup_error struct error *err = NULL;
        struct registry *r = registry_open(&ref, &o, &err);
        struct registry_response s = {.status = 401};
        cleanup_free char *value = xasprintf("Bearer realm=\"%s\"", realms[i]);
        const struct registry_request q = {.method = "GET"};
        strlist_add(&s.challenges, value);
        assert_good(registry_auth.answer(r, &q, &s, &err), -1, err);
        assert_says(err, "token service");
        assert_null(strstr(err->message, "getting a token"));
        registry_response_free(&s);
        registry_close(r);
    }
}

static int put_manifest(const char *repository, struct error **err)
{
    static const char manifest[] = "{\"schemaVersion\": 2}";
    char digest[DIGEST_HEX_SIZE];
    struct registry *r = open_at("127.0.0.1", odd.port, repository, &quick);
    int result = registry_put_manifest(r, "tag", manifest, sizeof manifest - 1,
                                       "application/vnd.oci.image.manifest.v1+json", digest, err);
    registry_close(r);
    return result;
}

TEST(a_digest_that_others_disturbed_is_sent_again)
{
    cleanup_error struct error *err = NULL, *always = NULL;
    assert_good(put_manifest("racy/x", &err), 0, err);
    cleanup_free char *count = sh("grep -c '^PUT /v2/racy/x/manifests/tag ' log");
    assert_int_equal(atoi(count), 3);
    assert_good(put_manifest("wrong/x", &always), -1, always);
    assert_says(always, "status 400 (DIGEST_INVALID: no)");
    cleanup_free char *tries = sh("grep -c '^PUT /v2/wrong/x/manifests/tag ' log");
    assert_int_equal(atoi(tries), 3);
}
