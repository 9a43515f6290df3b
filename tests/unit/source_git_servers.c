// SPDX-License-Identifier: Apache-2.0
// Git sources over git's own protocol and http, and what little is asked of a server.
#include "test.h"

#include "source_git_help.h"

// ---- servers ----
static void start_daemon(struct place *p)
{
    p->port = free_port();
    cleanup_free char *port = xasprintf("--port=%u", p->port);
    cleanup_free char *base = xasprintf("--base-path=%s", p->folder);
    const char *const argv[] = {"git", "daemon", "--reuseaddr",  "--listen=127.0.0.1",
                                port,  base,     "--export-all", "--log-destination=none",
                                NULL};
    int input[2];
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    struct process process = {.argv = (char *const *)argv, .input = input[0], .own_group = true};
    p->server = process_start(&process, NULL);
    close(input[0]);
    p->server_input = input[1];
    assert_true(p->server > 0);
    for (int i = 0; i < 500 && !port_answers(p->port); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

static void fetch_by_every_means(struct place *p, const char *base)
{
    cleanup_free char *url = xasprintf("%s/up", base);
    cleanup_free char *middle = sh(p, "git -C up rev-parse v0");
    get(p, url, "main", NULL);
    assert_sh(p, "cat out/third/middle/lib/inner/deep", "deep");
    get(p, url, "v1", NULL);
    assert_sh(p, "cat out/file", "one");
    run_sh(p, "rm -rf store/git");
    get(p, url, middle, NULL);
    assert_sh(p, "cat out/file", "one");
}

EACH_TEST(place_begin, place_end)
ALL_TESTS(home_begin, home_end)

// The first: git's configuration is read once in a process.
TEST(insteadof_is_honoured)
{
    struct place *p = *state;
    make_submodules(p);
    run_sh(p, "git config --global url.file://$PWD/.insteadOf https://upstream.invalid/");
    get(p, "https://upstream.invalid/up", "main", NULL);
    run_sh(p, "rm -f $HOME/.gitconfig");
    assert_sh(p, "cat out/third/middle/lib/inner/deep", "deep");
    assert_non_null(lock_find(p->lock, "https://upstream.invalid/up", "main"));
}

TEST(everything_works_over_gits_own_protocol)
{
    struct place *p = *state;
    make_submodules(p);
    start_daemon(p);
    cleanup_free char *base = xasprintf("git://127.0.0.1:%u", p->port);
    fetch_by_every_means(p, base);
}

TEST(everything_works_over_http)
{
    struct place *p = *state;
    make_submodules(p);
    start_http(p);
    cleanup_free char *base = xasprintf("http://127.0.0.1:%u/git", p->port);
    fetch_by_every_means(p, base);
}

TEST(a_server_that_hands_out_any_commit_is_asked_for_just_that)
{
    struct place *p = *state;
    make_repository(p);
    run_sh(p, "cd up; git config uploadpack.allowAnySHA1InWant true; git checkout -q -b other v0;"
              "head -c 2000000 /dev/urandom > big; git add -A; git commit -qm big;"
              "git checkout -q main; echo x > file; git commit -qam x; echo y > file;"
              "git commit -qam y");
    cleanup_free char *commit = sh(p, "git -C up rev-parse main~1");
    start_daemon(p);
    cleanup_free char *url = xasprintf("git://127.0.0.1:%u/up", p->port);
    get(p, url, commit, NULL);
    assert_sh(p, "cat out/file", "x");
    cleanup_free char *size = sh(p, "du -sk store/git | cut -f1");
    assert_true(strtol(size, NULL, 10) < 1000); // not the other branch
}

TEST(only_the_asked_for_branch_is_fetched)
{
    struct place *p = *state;
    make_repository(p);
    run_sh(p, "cd up; git checkout -q -b other; head -c 2000000 /dev/urandom > big; git add -A;"
              "git commit -qm big; git checkout -q main");
    start_daemon(p);
    cleanup_free char *url = xasprintf("git://127.0.0.1:%u/up", p->port);
    get(p, url, "main", NULL);
    cleanup_free char *size = sh(p, "du -sk store/git | cut -f1");
    assert_true(strtol(size, NULL, 10) < 1000);
}

// With libgit2 1.7 or newer; an older one fetches the branch's history, and all else must still
// work.
TEST(history_stays_away_where_libgit2_can)
{
    struct place *p = *state;
    make_repository(p);
    run_sh(p, "cd up; head -c 2000000 /dev/urandom > big; git add -A; git commit -qm big;"
              "git rm -q big; git commit -qm small; git tag v2; echo x > file; git commit -qam x;"
              "git branch side v1; git checkout -q side; echo s > file; git commit -qam s");
    cleanup_free char *old = sh(p, "git -C up rev-parse v2~1");
    start_daemon(p);
    cleanup_free char *url = xasprintf("git://127.0.0.1:%u/up", p->port);
    get(p, url, "v2", NULL);
    cleanup_free char *size = sh(p, "du -sk store/git | cut -f1");
#if LIBGIT2_VER_MAJOR > 1 || (LIBGIT2_VER_MAJOR == 1 && LIBGIT2_VER_MINOR >= 7)
    assert_true(strtol(size, NULL, 10) < 1000);
#else
    assert_true(strtol(size, NULL, 10) > 1000);
#endif
    // Later fetches into the same mirror, forwards, sideways and back into history.
    get(p, url, "main", NULL);
    assert_sh(p, "cat out/file", "x");
    get(p, url, "side", NULL);
    assert_sh(p, "cat out/file", "s");
    get(p, url, old, NULL);
    assert_sh(p, "stat -c %s out/big", "2000000");
}

TEST(an_upstream_that_cannot_be_reached_names_the_other_way)
{
    struct place *p = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *url = xasprintf("http://127.0.0.1:%u/up", free_port());
    struct source_spec spec = git_spec(url, "main");
    struct source_pin pin;
    spec.debian_too = true;
    assert_int_equal(source_resolve(&spec, &p->o, &pin, &err), -1);
    assert_says(err->message, "demo (externals.demo): fetching http://127.0.0.1:");
    assert_says(err->hint, "--sources=debian");
}
