// SPDX-License-Identifier: Apache-2.0
// What a git repository and its server say, by the first byte: a file .git(m)odules, a (u)rl of a
// submodule, an (a)dvertisement in pieces, and all that a server sends over (g)it:// and (h)ttp.
// The last two go through libgit2's smart protocol and a server on this machine; it and libcurl are
// not instrumented, and have fuzzers of their own. A run of theirs is a connection or several,
// which is most of its time, so these are the slow ones. Every http request goes to a proxy, which
// is that server, so that no redirect leads anywhere else. Seeds: tests/fuzz/seeds/git/.
#include "fuzz.h"
#include "http/http.h"
#include "source/git_internal.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

enum { ANSWER_MAX = 1 << 16, WAIT_MS = 2000 };

// ---- the server: says the same to everybody ----

static struct {
    pthread_mutex_t lock;
    char bytes[ANSWER_MAX];
    size_t length;
} answer = {.lock = PTHREAD_MUTEX_INITIALIZER};
static unsigned port;

static void serve(int fd)
{
    static char bytes[ANSWER_MAX], request[4096];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, WAIT_MS) <= 0 || recv(fd, request, sizeof request, 0) <= 0)
        return;
    pthread_mutex_lock(&answer.lock);
    size_t length = answer.length;
    memcpy(bytes, answer.bytes, length);
    pthread_mutex_unlock(&answer.lock);
    send(fd, bytes, length, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    while (poll(&p, 1, WAIT_MS) > 0 && recv(fd, request, sizeof request, 0) > 0)
        ;
}

static void *server(void *listening)
{
    for (;;) {
        int fd = accept4(*(int *)listening, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL;
        serve(fd);
        close(fd);
    }
}

static void start_server(void)
{
    static int listening;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof a;
    pthread_t thread;
    listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(listening >= 0 && bind(listening, (struct sockaddr *)&a, sizeof a) == 0 &&
            listen(listening, 16) == 0 &&
            getsockname(listening, (struct sockaddr *)&a, &length) == 0);
    port = ntohs(a.sin_port);
    require(pthread_create(&thread, NULL, server, &listening) == 0);
    pthread_detach(thread);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char *const proxies[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                          "ALL_PROXY"};
    fuzz_begin("fuzz-git");
    start_server();
    cleanup_free char *proxy = xasprintf("http://127.0.0.1:%u", port);
    for (size_t i = 0; i < ARRAY_LEN(proxies); i++)
        setenv(proxies[i], proxy, 1);
    unsetenv("no_proxy");
    unsetenv("NO_PROXY");
    setenv("HOME", fuzz_folder, 1);
    setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    setenv("GIT_CONFIG_GLOBAL", "/dev/null", 1);
    mirror_library_begin();
    http_begin();
    return 0;
}

// ---- through libgit2 ----

static int on_transport(git_transport **out, git_remote *owner, void *outcome)
{
    return git_http_is_url(git_remote_url(owner)) ? git_http_transport(out, owner, outcome)
                                                  : git_stream_transport(out, owner, outcome);
}

static void connect_to(const char *scheme, const char *text, size_t length)
{
    if (length > ANSWER_MAX)
        return;
    pthread_mutex_lock(&answer.lock);
    memcpy(answer.bytes, text, length);
    answer.length = length;
    pthread_mutex_unlock(&answer.lock);

    struct git_outcome outcome = {0};
    cleanup_free char *url = xasprintf("%s://127.0.0.1:%u/r.git", scheme, port);
    git_remote *remote = NULL;
    git_remote_callbacks callbacks;
    const git_remote_head **heads = NULL;
    size_t n = 0;
    git_remote_init_callbacks(&callbacks, GIT_REMOTE_CALLBACKS_VERSION);
    callbacks.transport = on_transport;
    callbacks.payload = &outcome;
    require(git_remote_create_detached(&remote, url) == 0);
    int result = git_remote_connect(remote, GIT_DIRECTION_FETCH, &callbacks, NULL, NULL);
    if (result == 0 && git_remote_ls(&heads, &n, remote) == 0)
        for (size_t i = 0; i < n; i++)
            require(heads[i]->name != NULL);
    require(result != 0 || !outcome.failure);
    git_remote_free(remote);
    git_outcome_clear(&outcome);
}

static void try_git(const char *text, size_t length)
{
    connect_to("git", text, length);
}

static void try_http(const char *text, size_t length)
{
    connect_to("http", text, length);
}

// ---- texts ----

static void check_url(const char *parent, const char *url)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *full = url_of_submodule(parent, url, &err);
    require(!full == !!err);
    require(!full || (*full && *full != '-'));
    require(!full || url_is_local(parent) || !url_is_local(full));
    if (full && url_is_local(full))
        free(git_folder_of(full));
}

static void try_url(const char *text, size_t length)
{
    static const char *const parents[] = {"https://example.org/a/b.git", "git@example.org:a/b.git",
                                          "ssh://example.org/a", "/srv/git/a.git",
                                          "file:///srv/git/a.git"};
    for (size_t i = 0; i < ARRAY_LEN(parents); i++)
        check_url(parents[i], text);
}

static void try_modules(const char *text, size_t length)
{
    struct submodule_places places = {0};
    cleanup_error struct error *err = NULL;
    require_result(submodule_places_parse("r", text, length, &places, &err), err);
    for (size_t i = 0; i < places.n; i++) {
        const struct submodule_place *p = &places.items[i];
        if (p->url)
            check_url("https://example.org/a.git", p->url);
        if (p->path)
            (void)submodule_place_find(&places, p->path);
    }
    submodule_places_free(&places);
}

// In pieces it says what it says as a whole.
static void try_advertisement(const char *text, size_t length)
{
    cleanup_buf struct buf whole = {0}, seen = {0};
    bool expected = git_advertises_shallow(&whole, text, length), found = false;
    size_t piece = length ? 1 + (unsigned char)text[length - 1] % 60 : 1;
    for (size_t at = 0; at < length && !found; at += piece)
        found = git_advertises_shallow(&seen, text + at, length - at < piece ? length - at : piece);
    require(found == expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    // The slow ones are meant by their own letters only.
    static const struct fuzz_kind slow[] = {{'g', try_git}, {'h', try_http}};
    static const struct fuzz_kind kinds[] = {
        {'m', try_modules}, {'u', try_url}, {'a', try_advertisement}};
    if (size && (data[0] == 'g' || data[0] == 'h'))
        fuzz_run(slow, ARRAY_LEN(slow), data, size);
    else
        fuzz_run(kinds, ARRAY_LEN(kinds), data, size);
    return 0;
}
