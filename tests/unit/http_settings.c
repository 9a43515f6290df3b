// SPDX-License-Identifier: Apache-2.0
// The machine's network settings: git's urls, netrc files, what a failure may say.
#include "test.h"

#include "http/internal.h"

#include "base/file.h"

#include <stdint.h>
#include <string.h>

static char *home;

// git's configuration is read once in a process, so all tests share this one.
static const char configuration[] =
    "[http]\n\tproxy = http://general:1\n\textraHeader = X-A: 1\n\tsslVerify\n"
    "[http \"https://example.org\"]\n\tproxy = http://host:1\n\textraHeader = X-B: 2\n"
    "[http \"https://example.org/team\"]\n\tproxy = http://path:1\n"
    "[http \"https://me@example.org\"]\n\tproxy = http://user:1\n"
    "[http \"https://*.example.net\"]\n\tproxy = http://wild:1\n"
    "[http \"https://deep.example.net\"]\n\tproxy =\n"
    "[http \"http://example.org\"]\n\tproxy = http://plain:1\n"
    "[http \"https://example.org:8443\"]\n\tproxy = http://port:1\n"
    "[http \"https://example.org/reset\"]\n\textraHeader =\n\textraHeader = X-C: 3\n"
    "[http \"nonsense\"]\n\tproxy = http://nonsense:1\n"
    "[url \"https://mirror.example/a/\"]\n\tinsteadOf = https://github.com/\n"
    "[url \"https://mirror.example/b/\"]\n\tinsteadOf = https://github.com/long/\n";

static int begin(void **state)
{
    home = make_temporary_directory("/tmp", "kbuild-http", NULL);
    assert_non_null(home);
    cleanup_free char *path = xasprintf("%s/.gitconfig", home);
    setenv("HOME", home, 1);
    setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    setenv("GIT_DIR", "/nonexistent", 1); // not the checkout that the tests run in
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("NETRC");
    return file_write(path, configuration, strlen(configuration), 0600, NULL);
}

static int end(void **state)
{
    int result = remove_tree(home, NULL);
    free(home);
    return result;
}

ALL_TESTS(begin, end)

TEST(a_setting_of_git_is_the_one_whose_url_fits_best)
{
    static const struct {
        const char *url, *proxy;
    } cases[] = {
        {"https://other.org/x", "http://general:1"},
        {"https://example.org/x", "http://host:1"},
        {"https://example.org:443/x", "http://host:1"},
        {"https://example.org/team/x", "http://path:1"},
        {"https://example.org/teams/x", "http://host:1"},
        {"https://me@example.org/x", "http://user:1"},
        {"https://you@example.org/x", "http://host:1"},
        {"https://a.example.net/x", "http://wild:1"},
        {"https://a.b.example.net/x", "http://general:1"},
        {"https://deep.example.net/x", ""},
        {"http://example.org/x", "http://plain:1"},
        {"https://example.org:8443/x", "http://port:1"},
        {"https://example.org.evil/x", "http://general:1"},
        {"git://example.org/x", "http://general:1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        const char *value = NULL;
        assert_int_equal(git_setting("http", "proxy", cases[i].url, &value, &err), 0);
        assert_string_equal(value, cases[i].proxy);
    }
}

TEST(headers_add_up_and_an_empty_one_drops_the_others)
{
    static const struct {
        const char *url, *headers;
    } cases[] = {
        {"https://other.org/", "X-A: 1"},
        {"https://example.org/", "X-A: 1|X-B: 2"},
        {"https://example.org/reset/x", "X-C: 3"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        cleanup_strlist struct strlist list = {0};
        assert_int_equal(git_setting_list("http", "extraheader", cases[i].url, &list, &err), 0);
        cleanup_free char *joined = strlist_join(&list, "|");
        assert_string_equal(joined, cases[i].headers);
    }
}

TEST(the_longest_insteadof_counts)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *one = git_url_instead("https://github.com/x/y", &err);
    cleanup_free char *two = git_url_instead("https://github.com/long/y", &err);
    cleanup_free char *none = git_url_instead("https://gitlab.com/x", &err);
    assert_string_equal(one, "https://mirror.example/a/x/y");
    assert_string_equal(two, "https://mirror.example/b/y");
    assert_string_equal(none, "https://gitlab.com/x");
}

TEST(a_netrc_file_is_read_as_curl_reads_it)
{
    static const struct {
        const char *text, *wanted, *user, *password; // of the host "h"; password NULL: none
    } cases[] = {
        {"machine h login u password p", NULL, "u", "p"},
        {"machine h\n\tlogin u\n\tpassword p\n", NULL, "u", "p"},
        {"machine other login x password y\nmachine H password p login u", NULL, "u", "p"},
        {"machine other login x password y", NULL, NULL, NULL},
        {"machine hh login x password y", NULL, NULL, NULL},
        {"machine h login a password 1\nmachine h login b password 2", "b", "b", "2"},
        {"machine h login a password 1", "b", NULL, NULL},
        {"machine h login \"u v\" password \"p \\\"q\\\\\"", NULL, "u v", "p \"q\\"},
        {"machine other login x password y default login u password p", NULL, "u", "p"},
        {"# machine h login x password y\nmachine h login u password p", NULL, "u", "p"},
        {"macdef init\nmachine h login x password y\n\nmachine h login u password p", NULL, "u",
         "p"},
        {"machine h login u account z password p", NULL, "u", "p"},
        {"machine h login u", NULL, NULL, NULL},
        {"machine", NULL, NULL, NULL},
        {"machine h login", NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
    };
    cleanup_free char *path = xasprintf("%s/netrc", home);
    setenv("NETRC", path, 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        cleanup_free char *user = NULL, *password = NULL, *file = NULL;
        assert_int_equal(file_write(path, cases[i].text, strlen(cases[i].text), 0600, NULL), 0);
        int found = netrc_find("h", cases[i].wanted, &user, &password, &file, &err);
        assert_int_equal(found, cases[i].password != NULL);
        if (found) {
            assert_string_equal(user, cases[i].user);
            assert_string_equal(password, cases[i].password);
        }
    }
    unsetenv("NETRC");
}

TEST(a_failure_never_says_the_login_of_a_proxy)
{
    static const char *const reasons[] = {
        "Unsupported proxy scheme for 'gopher://me:TESTsecret@p:1'",
        "Unsupported proxy syntax in 'gopher://me:TESTsecret@p:1': Bad",
        "something about me:TESTsecret",
    };
    setenv("https_proxy", "gopher://me:TESTsecret@p:1", 1);
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        cleanup_free char *text =
            failure_text("https://h/x", HTTP_FILE, CURLE_COULDNT_RESOLVE_PROXY, reasons[i]);
        assert_null(strstr(text, "TESTsecret"));
        assert_non_null(strstr(text, "https_proxy"));
    }
    cleanup_free char *other =
        failure_text("http://h/x", HTTP_FILE, CURLE_COULDNT_CONNECT, "Failed to connect to h");
    assert_string_equal(other, "Failed to connect to h");
    static const struct {
        const char *proxy, *reason;
    } plain[] = {
        // without a login there is nothing to hide, and the reason is the right one
        {"10.0.0.1", "Failed to connect to 10.0.0.1 port 1080"},
        {"[::1]:3128", "Failed to connect to ::1 port 3128"},
    };
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
        setenv("https_proxy", plain[i].proxy, 1);
        cleanup_free char *text =
            failure_text("https://h/x", HTTP_FILE, CURLE_COULDNT_CONNECT, plain[i].reason);
        cleanup_free char *wanted =
            xasprintf("%s (the proxy is the one that https_proxy names)", plain[i].reason);
        assert_string_equal(text, wanted);
    }
    unsetenv("https_proxy");
}

TEST(what_is_kept_of_a_url_is_no_password)
{
    static const struct {
        const char *url, *kept;
    } cases[] = {
        {"https://u:p@h/x", "https://h/x"},
        {"https://token@h/x", "https://h/x"},
        {"ssh://git@h/x", "ssh://git@h/x"},
        {"ssh://git:p@h/x", "ssh://git@h/x"},
        {"git@h:x/y", "git@h:x/y"},
        {"https://h/a@b:c", "https://h/a@b:c"},
        {"https://u:p@q@h/x", "https://h/x"},
        {"/a/b", "/a/b"},
        {"docker://u:p@h/x", "docker://u@h/x"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *kept = http_url_kept(cases[i].url);
        assert_string_equal(kept, cases[i].kept);
    }
}

TEST(of_a_url_that_is_not_clear_nothing_is_shown_that_could_be_a_login)
{
    static const struct {
        const char *url, *shown;
        bool clear;
    } cases[] = {
        {"https://h/x@1.0", "https://h/x@1.0", true},
        {"https://me:p@h:8080/x@1.0", "https://h:8080/x@1.0", true},
        {"http://u@[::1]:80/x", "http://[::1]:80/x", true},
        {"git@h:group/x", "git@h:group/x", true},
        {"ssh://git@h:22/x", "ssh://h:22/x", true},
        {"file:///a:b@c", "file:///a:b@c", true},
        {"docker://h:1/x@sha256:0", "docker://h:1/x@sha256:0", true},
        {"/a/b@c", "/a/b@c", true},
        {"https://me:p/q@h/x", "https://h/x", false},
        {"https://me:p?q@h/x", "https://h/x", false},
        {"https://me:p#q@h/x", "https://h/x", false},
        {"https://me:p/q@r@h/x", "https://h/x", false},
        {"https:/me:p@h/x", "https://h/x", false},
        {"HTTP:me:p@h/x", "HTTP://h/x", false},
        {"http:\\\\me:p@h/x", "http://h/x", false},
        {"https:///me:p@h/x", "https://h/x", false},
        {"me:p@h:80/x", "h:80/x", false},
        {"https://h:80a/x", "https://h:80a/x", false},
        {"https://", "https://", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *shown = http_url_shown(cases[i].url);
        assert_string_equal(shown, cases[i].shown);
        assert_int_equal(http_url_is_clear(cases[i].url), cases[i].clear);
    }
}

TEST(a_text_shows_no_login_whatever_it_should_be)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"upstream", "upstream"},
        {"/home/me@work/a:b", "/home/me@work/a:b"},
        {"https://h/x@1.0", "https://h/x@1.0"},
        {"docker://h:1/x@sha256:0", "docker://h:1/x@sha256:0"},
        {"docker://me:p@h:1/x@sha256:0", "docker://h:1/x@sha256:0"},
        {"https://me:p@h/x@1.0", "https://h/x@1.0"},
        {"ssh://me:p/q@h/x", "ssh://h/x"},
        {"kata=https://me:p@q@h/x", "kata=https://h/x"},
        {"kata=http:/me:p@h/x", "kata=http:/h/x"},
        {"me:p@h/x", "h/x"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *shown = http_text_shown(cases[i].text);
        assert_string_equal(shown, cases[i].shown);
    }
}

TEST(a_transfer_has_a_slowest_rate)
{
    assert_false(http_is_too_slow(600, 0));
    assert_true(http_is_too_slow(601, 0));
    assert_false(http_is_too_slow(700, 100 * 8192));
    assert_true(http_is_too_slow(701, 100 * 8192));
}
