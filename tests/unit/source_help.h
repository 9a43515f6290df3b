// SPDX-License-Identifier: Apache-2.0
// What the tests of engine/source share: a scratch folder with a store, a lock, and servers on
// loopback.
#ifndef KBUILD_TESTS_SOURCE_HELP_H
#define KBUILD_TESTS_SOURCE_HELP_H

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "source/source.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

struct place {
    char *folder;      // HOME and working folder of everything
    char *source_root; // the checkout, for tests/support
    struct store *store;
    struct lock *lock;
    struct buf said; // notes and warnings
    struct source_options o;
    pid_t server;
    int server_input;
    unsigned port;
};

static inline void remember(enum log_level level, const char *line, void *context)
{
    struct place *p = context;
    buf_printf(&p->said, "%s%s\n", level == LOG_WARNING ? "warning: " : "", line);
}

static inline void place_reopen(struct place *p)
{
    cleanup_free char *store = xasprintf("%s/store", p->folder);
    cleanup_free char *lock = xasprintf("%s/versions.lock", p->folder);
    cleanup_error struct error *err = NULL;
    if (p->lock)
        assert_int_equal(lock_save(p->lock, &err), 0);
    store_close(p->store);
    lock_free(p->lock);
    p->store = store_open(store, &err);
    p->lock = lock_load(lock, &err);
    assert_non_null(p->store);
    assert_non_null(p->lock);
    p->o.store = p->store;
    p->o.lock = p->lock;
}

// libgit2 looks at HOME once in its life, so all tests of a program share one.
static inline int home_begin(void **state)
{
    const char *base = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    char *home = make_temporary_directory(base, "kbuild-home", NULL);
    assert_non_null(home);
    setenv("HOME", home, 1);
    free(home);
    return 0;
}

static inline int home_end(void **state)
{
    return remove_tree(getenv("HOME"), NULL);
}

// libgit2 1.5 leaks its match data whenever a regular expression of its own does not match.
const char *__lsan_default_suppressions(void);
__attribute__((weak)) const char *__lsan_default_suppressions(void) // one for all files of the room
{
    return "leak:libpcre2\n";
}

static inline int place_begin(void **state)
{
    struct place *p = xcalloc(1, sizeof *p);
    p->folder = make_temporary_directory(getenv("HOME"), "test", NULL);
    assert_non_null(p->folder);
    p->source_root = getcwd(NULL, 0);
    setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    setenv("GIT_AUTHOR_NAME", "A", 1);
    setenv("GIT_AUTHOR_EMAIL", "a@example.org", 1);
    setenv("GIT_COMMITTER_NAME", "A", 1);
    setenv("GIT_COMMITTER_EMAIL", "a@example.org", 1);
    setenv("GIT_AUTHOR_DATE", "1600000000 +0000", 1);
    setenv("GIT_COMMITTER_DATE", "1600000001 +0000", 1);
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("http_proxy");
    unsetenv("https_proxy");
    unsetenv("all_proxy");
    log_redirect(remember, p);
    place_reopen(p);
    *state = p;
    return 0;
}

static inline int place_end(void **state)
{
    struct place *p = *state;
    if (p->server) {
        close(p->server_input);
        process_stop(p->server, 2000);
    }
    log_redirect(NULL, NULL);
    store_close(p->store);
    lock_free(p->lock);
    assert_int_equal(remove_tree(p->folder, NULL), 0);
    buf_free(&p->said);
    free(p->folder);
    free(p->source_root);
    free(p);
    return 0;
}

// Runs a bash script in the scratch folder; returns what it printed, without the last newline.
__attribute__((format(printf, 2, 3))) static inline char *sh(const struct place *p,
                                                             const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *script = xvasprintf(format, args);
    va_end(args);
    const char *const argv[] = {"bash", "-euc", script, NULL};
    struct process process = {.argv = (char *const *)argv, .directory = p->folder, .input = -1};
    struct buf out = {0};
    cleanup_error struct error *err = NULL;
    if (process_run(&process, &out, &err) < 0) {
        print_error("%s\nof: %s\n", err->message, script);
        fail();
    }
    if (out.len && out.data[out.len - 1] == '\n')
        out.data[out.len - 1] = '\0';
    return buf_take(&out);
}
// The same for its effect.
#define run_sh(...) free(sh(__VA_ARGS__))

static inline void assert_sh(const struct place *p, const char *script, const char *expected)
{
    cleanup_free char *out = sh(p, "%s", script);
    assert_string_equal(out, expected);
}

// Starts a server that prints its port and ends with its standard input.
static inline void start_http(struct place *p)
{
    cleanup_free char *script = xasprintf("%s/tests/support/http_server.py", p->source_root);
    const char *python = access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : "python3";
    const char *const argv[] = {python, script, p->folder, NULL};
    int input[2], output[2];
    char text[32] = "";
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    struct process process = {
        .argv = (char *const *)argv, .input = input[0], .output = output[1], .own_group = true};
    p->server = process_start(&process, NULL);
    assert_true(p->server > 0);
    close(input[0]);
    close(output[1]);
    p->server_input = input[1];
    for (size_t n = 0; n < sizeof text - 1 && !strchr(text, '\n'); n++)
        assert_int_equal(read(output[0], text + n, 1), 1);
    close(output[0]);
    p->port = (unsigned)strtoul(text, NULL, 10);
}

// A port of loopback that nobody listens on.
static inline unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static inline bool port_answers(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return answers;
}

// An empty folder for source_fetch(), in the scratch folder under this name.
static inline char *fresh_folder(const struct place *p, const char *name)
{
    char *path = xasprintf("%s/%s", p->folder, name);
    assert_int_equal(remove_tree(path, NULL), 0);
    assert_int_equal(mkdir(path, 0755), 0);
    return path;
}

static inline void assert_ok(int result, struct error **err)
{
    if (result < 0)
        print_error("%s\n(%s)\n", (*err)->message, (*err)->hint ? (*err)->hint : "");
    assert_int_equal(result, 0);
}

static inline void assert_says(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        print_error("\"%s\" does not say \"%s\"\n", text ? text : "(null)", part);
    assert_true(text && strstr(text, part));
}

static inline void assert_refused(int result, struct error **err, const char *part)
{
    assert_int_equal(result, -1);
    assert_says((*err)->message, part);
    error_free(*err);
    *err = NULL;
}

// Runs `work` in four processes at once, each with the store opened anew. All must succeed.
static inline void together(struct place *p, int (*work)(struct place *, unsigned, const void *),
                            const void *context)
{
    pid_t children[4];
    for (unsigned i = 0; i < ARRAY_LEN(children); i++) {
        children[i] = fork();
        if (children[i] == 0) {
            cleanup_free char *path = xasprintf("%s/store", p->folder);
            p->o.store = store_open(path, NULL);
            int result = p->o.store ? work(p, i, context) : -1;
            store_close(p->o.store);
            _exit(result < 0);
        }
        assert_true(children[i] > 0);
    }
    for (unsigned i = 0; i < ARRAY_LEN(children); i++) {
        int status = -1;
        assert_int_equal(process_wait(children[i], &status, NULL), 0);
        assert_int_equal(status, 0);
    }
}

#endif
