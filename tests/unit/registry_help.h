// SPDX-License-Identifier: Apache-2.0
// What the tests of the registry client share: a scratch folder that is HOME, servers on loopback,
// and blobs of known content.
#ifndef KBUILD_TESTS_CACHE_REGISTRY_HELP_H
#define KBUILD_TESTS_CACHE_REGISTRY_HELP_H

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "registry/internal.h"
#include "registry/registry.h"

#include "../support/referrers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#define TEST_USER "test-user"
#define TEST_PASSWORD "TEST-password-7f3a"

static char *folder; // HOME, removed at the end

static inline void assert_good(int result, int expected, struct error *err)
{
    if (result != expected)
        print_error("%d: %s (%s)\n", result, err ? err->message : "no error",
                    err && err->hint ? err->hint : "");
    assert_int_equal(result, expected);
}

static inline void assert_says(const struct error *err, const char *part)
{
    if (!err || !strstr(err->message, part))
        print_error("\"%s\" does not say \"%s\"\n", err ? err->message : "(no error)", part);
    assert_true(err && strstr(err->message, part));
}

__attribute__((format(printf, 1, 2))) static inline char *sh(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *script = xvasprintf(format, args);
    va_end(args);
    const char *const argv[] = {"bash", "-euc", script, NULL};
    struct process p = {.argv = (char *const *)argv, .directory = folder, .input = -1};
    struct buf out = {0};
    cleanup_error struct error *err = NULL;
    if (process_run(&p, &out, &err) < 0) {
        print_error("%s\nof: %s\n", err->message, script);
        fail();
    }
    return buf_take(&out);
}

// Whether the registry has the blob: 1, 0, -1. By the first request of a client that pulls.
static inline int has_blob(struct registry *r, const char *digest, struct error **err)
{
    cleanup_free char *url = xasprintf("%s%s/blobs/sha256:%s", r->base, r->repository, digest);
    cleanup_registry_response struct registry_response s = {0};
    const struct registry_request q = {.method = "HEAD", .url = url};
    if (registry_send(r, &q, &s, err) < 0)
        return -1;
    if (s.status == 200 || s.status == 404)
        return s.status == 200;
    return response_is_denied(&s) ? auth_denied(r, &s, err) : registry_refused(r, &s, err);
}

// ---- servers ----
struct server {
    pid_t pid;
    int input; // it ends with this; -1: it is killed
    unsigned port;
};

static inline void server_stop(struct server *s)
{
    if (s->input >= 0)
        close(s->input);
    if (s->pid > 0)
        process_stop(s->pid, 2000);
    *s = (struct server){.input = -1};
}

// A script of tests/support that prints its port. The words are split at spaces.
static inline struct server script_start(const char *words)
{
    cleanup_strlist struct strlist argv = {0};
    int input[2], output[2];
    char text[32] = "";
    strlist_add(&argv, access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : "python3");
    strlist_split(&argv, words, " ");
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    struct process p = {
        .argv = argv.items, .input = input[0], .output = output[1], .own_group = true};
    struct server s = {.pid = process_start(&p, NULL), .input = input[1]};
    assert_true(s.pid > 0);
    close(input[0]);
    close(output[1]);
    for (size_t n = 0; n < sizeof text - 1 && !strchr(text, '\n'); n++)
        assert_int_equal(read(output[0], text + n, 1), 1);
    close(output[0]);
    s.port = (unsigned)strtoul(text, NULL, 10);
    return s;
}

// A port that nobody listens on; another process may take it, which the caller tries again for.
static inline unsigned free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &length), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static inline bool port_answers(unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return answers;
}

static inline bool have_docker_registry(void)
{
    cleanup_free char *found = find_program("docker-registry");
    if (!found)
        print_message("SKIPPED: docker-registry is not installed (tools/install-dependencies)\n");
    return found != NULL;
}

// Debian's docker-registry with further lines of its configuration's storage, http and auth.
static inline struct server docker_registry_with(const char *name, const char *storage,
                                                 const char *http, const char *auth)
{
    for (int tries = 0; tries < 5; tries++) {
        struct server s = {.input = -1, .port = free_port()};
        cleanup_free char *path = xasprintf("%s/%s.yml", folder, name);
        cleanup_free char *text = xasprintf("version: 0.1\n"
                                            "log: {level: error, accesslog: {disabled: true}}\n"
                                            "storage: {%s}\n"
                                            "http: {addr: \"127.0.0.1:%u\", secret: TEST%s}\n%s",
                                            storage, s.port, http, auth);
        const char *const argv[] = {"docker-registry", "serve", path, NULL};
        cleanup_close int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
        struct process p = {.argv = (char *const *)argv,
                            .input = -1,
                            .output = quiet,
                            .errors = quiet,
                            .own_group = true};
        assert_int_equal(file_write(path, text, strlen(text), 0600, NULL), 0);
        s.pid = process_start(&p, NULL);
        assert_true(s.pid > 0);
        for (int i = 0; i < 250; i++) {
            if (port_answers(s.port))
                return s;
            usleep(20000);
        }
        server_stop(&s);
    }
    fail_msg("docker-registry does not start");
    return (struct server){.input = -1};
}

// Its storage is a folder `name`.
static inline struct server docker_registry_start(const char *name, const char *http,
                                                  const char *auth)
{
    cleanup_free char *storage = xasprintf("filesystem: {rootdirectory: %s/%s}", folder, name);
    return docker_registry_with(name, storage, http, auth);
}

// ---- what is sent and fetched ----
// A file of `size` bytes that follow from `seed`, removed already; digest gets its digest.
static inline int make_blob(uint64_t seed, size_t size, char digest[static DIGEST_HEX_SIZE])
{
    cleanup_free char *path = xasprintf("%s/blob.XXXXXX", folder);
    cleanup_free uint64_t *words = xmalloc(size + 8);
    uint64_t x = seed * 2654435769u + 88172645463325252u;
    for (size_t i = 0; i <= size / 8; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17; // xorshift64
        words[i] = x;
    }
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd > 0);
    unlink(path);
    assert_int_equal(fd_write_all(fd, path, words, size, NULL), 0);
    digest_bytes(words, size, digest);
    return fd;
}

static inline int empty_file(void)
{
    cleanup_free char *path = xasprintf("%s/pulled.XXXXXX", folder);
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd > 0);
    unlink(path);
    return fd;
}

static inline uint64_t file_size(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return (uint64_t)st.st_size;
}

static inline void assert_content(int fd, const char *digest)
{
    char found[DIGEST_HEX_SIZE];
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(digest_fd(fd, "a pulled blob", found, NULL, NULL), 0);
    assert_string_equal(found, digest);
}

static inline struct registry *open_at(const char *host, unsigned port, const char *repository,
                                       const struct registry_options *o)
{
    cleanup_free char *text = xasprintf("%s:%u/%s", host, port, repository);
    struct reference ref;
    struct error *err = NULL;
    assert_good(reference_parse(text, &ref, &err), 0, err);
    struct registry *r = registry_open(&ref, o, &err);
    if (!r)
        print_error("%s\n", err->message);
    assert_non_null(r);
    reference_free(&ref);
    return r;
}

static inline int folder_begin(void **state)
{
    const char *base = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    static const char *const variables[] = {
        "http_proxy",    "https_proxy",        "all_proxy",       "HTTPS_PROXY",    "ALL_PROXY",
        "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"};
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        unsetenv(variables[i]);
    folder = make_temporary_directory(base, "kbuild-registry", NULL);
    assert_non_null(folder);
    setenv("HOME", folder, 1);
    return 0;
}

static inline int folder_end(void **state)
{
    int result = remove_tree(folder, NULL);
    free(folder);
    return result;
}

#endif
