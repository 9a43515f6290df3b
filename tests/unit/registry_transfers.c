// SPDX-License-Identifier: Apache-2.0
// The registry client against Debian's docker-registry (distribution 2.8): plain, with passwords,
// and with TLS.
#include "test.h"

#include "registry_help.h"

#define BIG ((size_t)70 << 20) // more than one chunk
#define MANIFEST                                                                                   \
    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","           \
    "\"config\":{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"size\":%zu,"                \
    "\"digest\":\"sha256:%s\"},\"layers\":[]}"
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"

static struct server plain;

static int begin(void **state)
{
    folder_begin(state);
    plain = (struct server){.input = -1};
    if (have_docker_registry())
        plain = docker_registry_start("plain", "", "");
    return 0;
}

static int end(void **state)
{
    server_stop(&plain);
    return folder_end(state);
}

#define NEEDS_REGISTRY                                                                             \
    if (!plain.pid)                                                                                \
    skip()

static void push_one(struct registry *r, int fd, size_t size, const char *digest, bool known)
{
    cleanup_error struct error *err = NULL;
    struct registry_blob b = {.digest = digest, .size = size, .fd = fd};
    assert_good(registry_push_blobs(r, &b, 1, &err), 0, err);
    assert_int_equal(b.skipped, known);
}

ALL_TESTS(begin, end)

TEST(a_blob_comes_back_as_it_went)
{
    NEEDS_REGISTRY;
    static const size_t sizes[] = {0, 1, 2, 4096, 3000001, BIG};
    struct registry *r = open_at("localhost", plain.port, "a/b", NULL);
    struct registry_blob pushed[ARRAY_LEN(sizes)] = {0}, pulled[ARRAY_LEN(sizes)] = {0};
    char digests[ARRAY_LEN(sizes)][DIGEST_HEX_SIZE];
    cleanup_error struct error *err = NULL;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        pushed[i] = (struct registry_blob){
            .digest = digests[i], .size = sizes[i], .fd = make_blob(i, sizes[i], digests[i])};
        pulled[i] =
            (struct registry_blob){.digest = digests[i], .size = sizes[i], .fd = empty_file()};
        assert_good(has_blob(r, digests[i], &err), 0, err);
    }
    assert_good(registry_push_blobs(r, pushed, ARRAY_LEN(sizes), &err), 0, err);
    assert_good(registry_pull_blobs(r, pulled, ARRAY_LEN(sizes), &err), 0, err);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        assert_false(pushed[i].skipped);
        assert_false(pulled[i].missing);
        assert_good(has_blob(r, digests[i], &err), 1, err);
        assert_content(pulled[i].fd, digests[i]);
        close(pushed[i].fd);
        close(pulled[i].fd);
    }
    registry_close(r);
}

TEST(a_known_blob_is_not_sent_again)
{
    NEEDS_REGISTRY;
    char digest[DIGEST_HEX_SIZE];
    struct registry *r = open_at("localhost", plain.port, "a/known", NULL);
    int fd = make_blob(100, 5000, digest);
    push_one(r, fd, 5000, digest, false);
    close(fd);
    // What is not read need not be there.
    push_one(r, -1, 5000, digest, true);
    registry_close(r);
}

TEST(a_blob_of_another_repository_is_mounted)
{
    NEEDS_REGISTRY;
    char digest[DIGEST_HEX_SIZE];
    cleanup_error struct error *err = NULL;
    struct registry *from = open_at("localhost", plain.port, "a/from", NULL);
    struct registry *to = open_at("localhost", plain.port, "a/to", NULL);
    int fd = make_blob(101, 5000, digest), nothing = empty_file();
    push_one(from, fd, 5000, digest, false);
    // The file is empty, so anything but a mount fails.
    struct registry_blob b = {
        .digest = digest, .size = 5000, .fd = nothing, .mount_from = "a/from"};
    assert_good(registry_push_blobs(to, &b, 1, &err), 0, err);
    assert_good(has_blob(to, digest, &err), 1, err);
    // One that is not there is sent.
    close(fd);
    fd = make_blob(102, 5000, digest);
    b = (struct registry_blob){.digest = digest, .size = 5000, .fd = fd, .mount_from = "a/from"};
    assert_good(registry_push_blobs(to, &b, 1, &err), 0, err);
    close(fd);
    close(nothing);
    registry_close(from);
    registry_close(to);
}

TEST(what_does_not_have_its_digest_is_not_pushed)
{
    NEEDS_REGISTRY;
    char digest[DIGEST_HEX_SIZE];
    cleanup_error struct error *err = NULL;
    const struct registry_options o = {.pause_ms = 1, .tries = 2};
    struct registry *r = open_at("localhost", plain.port, "a/false", &o);
    int fd = make_blob(103, 5000, digest);
    digest[0] = digest[0] == '0' ? '1' : '0';
    struct registry_blob b = {.digest = digest, .size = 5000, .fd = fd};
    assert_good(registry_push_blobs(r, &b, 1, &err), -1, err);
    assert_says(err, digest);
    close(fd);
    registry_close(r);
}

TEST(a_missing_blob_is_said_to_be_missing)
{
    NEEDS_REGISTRY;
    char digest[DIGEST_HEX_SIZE];
    cleanup_error struct error *err = NULL;
    struct registry *r = open_at("localhost", plain.port, "a/none", NULL);
    int fd = make_blob(104, 10, digest);
    struct registry_blob b = {.digest = digest, .size = 10, .fd = fd};
    assert_good(registry_pull_blobs(r, &b, 1, &err), 0, err);
    assert_true(b.missing);
    assert_int_equal(file_size(fd), 0);
    close(fd);
    registry_close(r);
}

TEST(a_manifest_comes_back_by_tag_and_by_digest)
{
    NEEDS_REGISTRY;
    char digest[DIGEST_HEX_SIZE], own[DIGEST_HEX_SIZE], blob[DIGEST_HEX_SIZE];
    cleanup_error struct error *err = NULL;
    struct registry *r = open_at("localhost", plain.port, "a/m", NULL);
    int fd = make_blob(105, 200, blob);
    push_one(r, fd, 200, blob, false);
    close(fd);
    cleanup_free char *text = xasprintf(MANIFEST, (size_t)200, blob);
    cleanup_buf struct buf none = {0};
    char *type = NULL;
    assert_good(registry_get_manifest(r, "t", &none, &type, own, &err), 0, err);
    assert_good(registry_put_manifest(r, "t", text, strlen(text), OCI_MANIFEST, digest, &err), 0,
                err);
    cleanup_free char *by_digest = xasprintf("sha256:%s", digest);
    const char *const names[] = {"t", by_digest};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        cleanup_buf struct buf bytes = {0};
        assert_good(registry_get_manifest(r, names[i], &bytes, &type, own, &err), 1, err);
        assert_string_equal(bytes.data, text);
        assert_string_equal(type, OCI_MANIFEST);
        assert_string_equal(own, digest);
        free(steal(type));
    }
    registry_close(r);
}

TEST(referrers_are_kept_under_the_fallback_tag)
{
    NEEDS_REGISTRY;
    static const char subject[] =
        "1111111111111111111111111111111111111111111111111111111111111111";
    cleanup_error struct error *err = NULL;
    struct registry *r = open_at("localhost", plain.port, "a/r", NULL);
    json_t *list = registry_referrers(r, subject, NULL, &err);
    assert_int_equal(json_array_size(list), 0);
    assert_non_null(list);
    json_decref(list);
    // distribution 2.8 refuses an index of what it does not have.
    struct registry_referrer both[2];
    for (int i = 0; i < 2; i++) {
        char blob[DIGEST_HEX_SIZE], digest[DIGEST_HEX_SIZE];
        int fd = make_blob(200 + (uint64_t)i, 200, blob);
        push_one(r, fd, 200, blob, false);
        close(fd);
        char *text = xasprintf(MANIFEST, (size_t)200, blob);
        digest_bytes(text, strlen(text), digest);
        json_t *d = json_pack("{s:s, s:s+, s:i, s:s}", "mediaType", OCI_MANIFEST, "digest",
                              "sha256:", digest, "size", (int)strlen(text), "artifactType",
                              i ? "application/x-two" : "application/x-one");
        both[i] = (struct registry_referrer){text, OCI_MANIFEST, d};
    }
    // One, then both in one call, then what is there already.
    assert_good(registry_put_referrers(r, subject, both, 1, &err), 0, err);
    assert_good(registry_put_referrers(r, subject, both, 2, &err), 0, err);
    assert_good(registry_put_referrers(r, subject, both, 2, &err), 0, err);
    for (int i = 0; i < 2; i++) {
        free((char *)both[i].text);
        json_decref((json_t *)both[i].descriptor);
    }
    list = registry_referrers(r, subject, NULL, &err);
    assert_int_equal(json_array_size(list), 2);
    json_decref(list);
    list = registry_referrers(r, subject, "application/x-two", &err);
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
    registry_close(r);
}

// ---- passwords ----
static struct server guarded_start(void)
{
    free(sh("printf '%%s' %s | htpasswd -Bin -C 4 %s >htpasswd", TEST_PASSWORD, TEST_USER));
    cleanup_free char *auth =
        xasprintf("auth: {htpasswd: {realm: test, path: %s/htpasswd}}\n", folder);
    return docker_registry_start("guarded", "", auth);
}

static enum registry_denial denied; // of the last question

static int ask(unsigned port, const struct registry_options *o, struct error **err)
{
    static const char digest[] = "2222222222222222222222222222222222222222222222222222222222222222";
    struct registry *r = open_at("localhost", port, "team/x", o);
    int has = has_blob(r, digest, err);
    denied = registry_was_denied(r);
    registry_close(r);
    return has;
}

static void write_text(const char *path, mode_t mode, const char *text)
{
    cleanup_free char *full = xasprintf("%s/%s", folder, path);
    assert_int_equal(make_parent(full, NULL), 0);
    assert_int_equal(file_write(full, text, strlen(text), mode, NULL), 0);
}

TEST(passwords_are_found_where_docker_and_podman_keep_them)
{
    NEEDS_REGISTRY;
    struct server s = guarded_start();
    cleanup_free char *encoded =
        sh("printf '%%s:%%s' %s %s | base64 | tr -d '\\n'", TEST_USER, TEST_PASSWORD);
    cleanup_free char *helper =
        xasprintf("#!/bin/sh\n[ \"$#\" = 1 ] && [ \"$1\" = get ] && read -r "
                  "server || [ -n \"$server\" ] || exit 3\n"
                  "[ \"$server\" = localhost:%u ] || exit 4\n"
                  "echo '{\"Username\": \"%s\", \"Secret\": \"%s\"}'\n",
                  s.port, TEST_USER, TEST_PASSWORD);
    write_text("bin/docker-credential-test", 0755, helper);
    cleanup_free char *path = xasprintf("%s/bin:%s", folder, getenv("PATH"));
    setenv("PATH", path, 1);
    const struct {
        const char *file;
        char *text;
    } ways[] = {
        {".docker/config.json",
         xasprintf("{\"auths\": {\"localhost:%u\": {\"auth\": \"%s\"}}}", s.port, encoded)},
        {".docker/config.json",
         xasprintf("{\"auths\": {\"https://localhost:%u/v1/\": {\"auth\": \"%s\"}}}", s.port,
                   encoded)},
        {".config/containers/auth.json",
         xasprintf("{\"auths\": {\"localhost:%u/team\": {\"auth\": \"%s\"}, \"localhost:%u\": "
                   "{\"auth\": \"eDp5\"}}}",
                   s.port, encoded, s.port)},
        {".docker/config.json",
         xasprintf("{\"auths\": {\"localhost:%u\": {}}, \"credsStore\": \"test\"}", s.port)},
        {".docker/config.json",
         xasprintf("{\"credHelpers\": {\"localhost:%u\": \"test\"}}", s.port)},
        {"own.json", xasprintf("{\"auths\": {\"localhost:%u\": {\"username\": \"%s\", "
                               "\"password\": \"%s\"}}}",
                               s.port, TEST_USER, TEST_PASSWORD)},
    };
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        cleanup_error struct error *err = NULL, *without = NULL;
        assert_good(ask(s.port, NULL, &without), 0, without);
        assert_int_equal(denied, DENIED_ANONYMOUS);
        write_text(ways[i].file, 0600, ways[i].text);
        cleanup_free char *full = xasprintf("%s/%s", folder, ways[i].file);
        if (!strcmp(ways[i].file, "own.json"))
            setenv("REGISTRY_AUTH_FILE", full, 1);
        assert_good(ask(s.port, NULL, &err), 0, err);
        assert_int_equal(denied, NOT_DENIED);
        unsetenv("REGISTRY_AUTH_FILE");
        assert_int_equal(unlink(full), 0);
        free(ways[i].text);
    }
    cleanup_error struct error *err = NULL;
    assert_good(
        ask(s.port, &(struct registry_options){.user = TEST_USER, .password = TEST_PASSWORD}, &err),
        0, err);
    server_stop(&s);
}

TEST(a_wrong_password_is_refused_and_not_shown)
{
    NEEDS_REGISTRY;
    struct server s = guarded_start();
    cleanup_error struct error *err = NULL;
    const struct registry_options o = {.user = TEST_USER, .password = "TEST-wrong-secret"};
    assert_good(ask(s.port, &o, &err), -1, err);
    assert_says(err, "401");
    assert_null(strstr(err->message, "TEST-wrong-secret"));
    assert_null(strstr(err->hint, "TEST-wrong-secret"));
    server_stop(&s);
}

TEST(a_broken_helper_is_an_error_that_names_it)
{
    NEEDS_REGISTRY;
    struct server s = guarded_start();
    static const struct {
        const char *helper, *says;
    } cases[] = {{"echo '{\"Secret\": \"TEST-leak\"}'", "no Username"},
                 {"echo TEST-leak >&1; exit 3", "exit status 3"},
                 {"true", "no Username"}};
    write_text(".docker/config.json", 0600, "{\"credsStore\": \"broken\"}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        cleanup_free char *text = xasprintf("#!/bin/sh\n%s\n", cases[i].helper);
        write_text("bin/docker-credential-broken", 0755, text);
        assert_good(ask(s.port, NULL, &err), -1, err);
        assert_says(err, "docker-credential-broken");
        assert_says(err, cases[i].says);
        assert_null(strstr(err->message, "TEST-leak"));
    }
    cleanup_error struct error *err = NULL;
    write_text(".docker/config.json", 0600, "{\"credsStore\": \"../../bin/sh\"}");
    assert_good(ask(s.port, NULL, &err), -1, err);
    free(sh("rm .docker/config.json"));
    server_stop(&s);
}

// ---- TLS ----
// A registry of another name, which only the proxy knows the way to. The proxy sees no secret.
static void through_a_tunnel(const struct server *s)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *words =
        xasprintf("tests/support/http_proxy.py %u %s/proxy.log", s->port, folder);
    struct server proxy = script_start(words);
    cleanup_free char *address = xasprintf("http://127.0.0.1:%u", proxy.port);
    const struct reference ref = {.registry = "registry.test", .repository = "team/x"};
    const struct registry_options o = {.user = TEST_USER, .password = TEST_PASSWORD, .tries = 1};
    free(
        sh("cp -r .config/containers/certs.d/localhost:%u .config/containers/certs.d/registry.test",
           s->port));
    setenv("https_proxy", address, 1);
    struct registry *r = registry_open(&ref, &o, &err);
    static const char digest[] = "2222222222222222222222222222222222222222222222222222222222222222";
    assert_good(has_blob(r, digest, &err), 0, err);
    unsetenv("https_proxy");
    cleanup_free char *log = sh("cat proxy.log");
    assert_non_null(strstr(log, "CONNECT registry.test:443 "));
    assert_null(strstr(log, "authorization"));
    registry_close(r);
    server_stop(&proxy);
}

TEST(tls_needs_the_registrys_own_ca_and_certificate)
{
    NEEDS_REGISTRY;
    free(sh("mkdir -p tls && cd tls && for n in server client; do\n"
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout $n.key -out $n.crt -days 2 "
            "-subj /CN=TEST-$n -addext subjectAltName=DNS:localhost,DNS:registry.test,IP:127.0.0.1 "
            "2>/dev/null; done"));
    cleanup_free char *http =
        xasprintf(", tls: {certificate: %s/tls/server.crt, key: %s/tls/server.key, clientcas: "
                  "[%s/tls/client.crt]}",
                  folder, folder, folder);
    struct server s = docker_registry_start("tls", http, "");
    cleanup_error struct error *unknown = NULL, *nameless = NULL, *err = NULL;
    const struct registry_options quick = {.tries = 1};
    assert_good(ask(s.port, &quick, &unknown), -1, unknown); // plain http does not do
    free(sh("mkdir -p .config/containers/certs.d/localhost:%u && cp tls/server.crt "
            ".config/containers/certs.d/localhost:%u/ca.crt",
            s.port, s.port));
    assert_good(ask(s.port, &quick, &nameless), -1, nameless);
    free(sh("cd .config/containers/certs.d/localhost:%u && cp $HOME/tls/client.crt c.cert && cp "
            "$HOME/tls/client.key c.key",
            s.port));
    assert_good(ask(s.port, &quick, &err), 0, err);
    through_a_tunnel(&s);
    // Another CA's is not trusted.
    cleanup_error struct error *other = NULL;
    free(sh("cp tls/client.crt .config/containers/certs.d/localhost:%u/ca.crt", s.port));
    assert_good(ask(s.port, &quick, &other), -1, other);
    assert_says(other, "certificate");
    assert_non_null(other->hint);
    server_stop(&s);
}
