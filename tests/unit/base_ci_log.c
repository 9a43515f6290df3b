// SPDX-License-Identifier: Apache-2.0
// What the runner of a CI reads: its commands are ours alone, and hold what they say they hold.
#include "test.h"

#include "base/ci_log.h"
#include "base/print.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int kept = -1, file = -1;

// Standard error is a file that the tests read; the environment is that of this runner.
static void begin(const char *runner)
{
    fflush(stderr);
    kept = dup(STDERR_FILENO);
    file = memfd_create("stderr", MFD_CLOEXEC);
    dup2(file, STDERR_FILENO);
    unsetenv("GITLAB_CI");
    unsetenv("KBUILD_CI_LOG");
    unsetenv("GITHUB_ACTIONS");
    unsetenv("GITHUB_WORKSPACE");
    if (*runner)
        setenv(runner, "true", 1);
    assert_int_equal(ci_log_open(NULL), 0);
}

// What was written to standard error, to be freed.
static char *end(void)
{
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    struct buf out = {0};
    char chunk[4096];
    buf_add(&out, "", 0);
    lseek(file, 0, SEEK_SET);
    for (ssize_t n; (n = read(file, chunk, sizeof chunk)) > 0;)
        buf_add(&out, chunk, (size_t)n);
    close(file);
    unsetenv("GITHUB_ACTIONS");
    unsetenv("GITLAB_CI");
    ci_log_open(NULL); // nobody reads
    return buf_take(&out);
}

static char *written(const char *runner, const char *text)
{
    begin(runner);
    output_write(stderr, text, strlen(text));
    return end();
}

TEST(text_is_no_command_to_githubs_runner)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"::error::x\n", ":\\x3aerror::x\n"},
        {"  \t ::add-mask::x\n", "  \t :\\x3aadd-mask::x\n"},
        {"a\n::endgroup::\n::b\n", "a\n:\\x3aendgroup::\n:\\x3ab\n"},
        {"std::string a::b ::c::d\n", "std::string a::b ::c::d\n"},
        {"kbuild: ::error::x\n", "kbuild: ::error::x\n"},
        {"a ##[error]b ##[c]\n", "a ##\\x5berror]b ##\\x5bc]\n"},
        {"###[error]\n", "###\\x5berror]\n"},
        {"#[derive] a[#] ##\n[x]\n", "#[derive] a[#] ##\n[x]\n"},
        // Blanks of Unicode are trimmed, and characters without a width are not compared.
        {"\u00a0\u3000::error::x\n", "\u00a0\u3000:\\x3aerror::x\n"},
        {"\u200d::error::x\n", "\u200d:\\x3aerror::x\n"},
        {":\u200d:error::x\n", ":\u200d\\x3aerror::x\n"},
        {"#\u200d#\u200c[error]x\n", "#\u200d#\u200c\\x5berror]x\n"},
        {":\n:\n", ":\n:\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *guarded = written("GITHUB_ACTIONS", cases[i].in);
        assert_string_equal(guarded, cases[i].out);
        cleanup_free char *gitlab = written("GITLAB_CI", cases[i].in);
        assert_string_equal(gitlab, cases[i].in);
        cleanup_free char *plain = written("", cases[i].in);
        assert_string_equal(plain, cases[i].in);
    }
}

// As the runner reads a line, with less care than it: any command counts.
static bool is_command(const char *line, size_t length)
{
    char text[256];
    size_t n = 0, blanks = 0;
    for (size_t i = 0; i < length && n < sizeof text - 1; i++)
        if ((unsigned char)line[i] < 0x80)
            text[n++] = line[i];
    text[n] = '\0';
    blanks = strspn(text, " \t\v\f\r");
    return !strncmp(text + blanks, "::", 2) || strstr(text, "##[");
}

TEST(no_text_in_any_parts_is_a_command)
{
    uint32_t seed = 7;
    begin("GITHUB_ACTIONS");
    for (int round = 0; round < 4000; round++) {
        char text[24];
        size_t n = 0;
        for (size_t length = seed % sizeof text; n < length; n++) {
            seed = seed * 1664525 + 1013904223;
            text[n] = "::::##[[ \t\na\xe2\x80\x8d:"[seed >> 28];
        }
        seed = seed * 1664525 + 1013904223;
        output_write(stderr, text, n);
    }
    cleanup_free char *all = end();
    assert_true(strlen(all) > 20000);
    for (const char *p = all; *p;) {
        size_t n = strcspn(p, "\n");
        assert_false(is_command(p, n));
        p += n + (p[n] == '\n');
    }
}

TEST(messages_of_several_lines_are_no_commands)
{
    begin("GITHUB_ACTIONS");
    print_prefixed(stderr, "kbuild: error: ", "a\n::error::b\n##[group]c");
    print_to(stderr, "%s\n", "::stop-commands::x");
    print_text(stderr, "\r::error::x\n\033[1A::debug::y", 26);
    cleanup_free char *all = end();
    assert_string_equal(all, "kbuild: error: a\n    :\\x3aerror::b\n    ##\\x5bgroup]c\n"
                             ":\\x3astop-commands::x\n"
                             "\\x0d::error::x\n\\x1b[1A::debug::y\n");
}

TEST(json_has_no_command_and_the_same_value)
{
    static const char hostile[] = "##[error]a ###[b \177[ ::c";
    json_auto_t *value = json_pack("{s:s, s:s}", hostile, hostile, "x", "##");
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    print_json(f, value, JSON_COMPACT);
    fclose(f);
    assert_null(strstr(text, "##["));
    assert_null(strchr(text, '\177'));
    assert_int_equal(strcspn(text, "\n"), size - 1);
    json_auto_t *again = json_loads(text, 0, NULL);
    assert_true(json_equal(value, again));
    free(text);
}

TEST(annotations_are_escaped_and_have_a_place)
{
    cleanup_error struct error *err = NULL, *other = NULL, *ended = NULL;
    begin("GITHUB_ACTIONS");
    setenv("GITHUB_WORKSPACE", "/home/runner/work", 1);
    error_user(&err, "100%% wrong:\n::error::a%%0Ab\r\033[0m\xff");
    error_hint(&err, "do\nthis, or: that");
    error_place(&err, "/home/runner/work/recipes/a,b:c%\n::x/recipe.yaml", 3, 14);
    error_place(&err, "elsewhere", 1, 1); // the first is that of the cause
    ci_annotate_error(err);
    ci_annotate_error(err); // once
    error_user(&other, "elsewhere");
    error_place(&other, "/home/runner/worker/x", 2, 0);
    ci_annotate_error(other);
    error_set(&ended, ERROR_INTERRUPT, "interrupted");
    ci_annotate_error(ended);
    ci_annotate_warning("a\n::warning::b");
    cleanup_free char *all = end();
    assert_string_equal(
        all, "::error title=kbuild,file=recipes/a%2Cb%3Ac%25\\n%3A%3Ax/recipe.yaml,line=3,col=14::"
             "100%25 wrong:%0A::error::a%250Ab\\x0d\\x1b[0m\\xff%0Ado%0Athis, or: that\n"
             "::error title=kbuild,file=/home/runner/worker/x,line=2::elsewhere\n"
             "::warning title=kbuild::a%0A::warning::b\n");
}

TEST(gitlab_and_people_get_no_annotations)
{
    static const char *const runners[] = {"GITLAB_CI", ""};
    cleanup_error struct error *err = NULL;
    error_user(&err, "not to be seen");
    for (size_t i = 0; i < ARRAY_LEN(runners); i++) {
        begin(runners[i]);
        ci_annotate_error(err);
        ci_annotate_warning("a");
        cleanup_free char *all = end();
        assert_string_equal(all, "");
    }
}

TEST(groups_are_balanced_and_their_titles_are_text)
{
    begin("GITHUB_ACTIONS");
    ci_group_end(); // none is open
    ci_group_begin("a%\n::endgroup::", false);
    ci_group_begin("b", true);
    ci_group_keep("c", false);
    ci_group_end();
    ci_group_end();
    ci_group_keep("d", false);
    ci_group_end();
    cleanup_free char *all = end();
    assert_string_equal(all, "::group::a%25%0A::endgroup::\n::endgroup::\n::group::b\n"
                             "::endgroup::\n::group::d\n::endgroup::\n");
    begin("");
    ci_group_begin("a", false);
    ci_group_end();
    cleanup_free char *none = end();
    assert_string_equal(none, "");
}

TEST(sections_of_gitlab_have_names_of_their_own)
{
    long long first, second, third;
    long pid;
    unsigned one, two, n = 0;
    begin("GITLAB_CI");
    ci_group_begin("a\r\033[0Ksection_end:1:x\r\n", false);
    ci_group_begin("b", true);
    ci_group_end();
    cleanup_free char *all = end();
    assert_int_equal(sscanf(all,
                            "\033[0Ksection_start:%lld:kbuild_%ld_%u\r\033[0K"
                            "a\\x0d\\x1b[0Ksection_end:1:x\\x0d\\n\n"
                            "\033[0Ksection_end:%lld:kbuild_%*d_%*u\r\033[0K\n"
                            "\033[0Ksection_start:%lld:kbuild_%*d_%u[collapsed=true]\r\033[0Kb\n%n",
                            &first, &pid, &one, &second, &third, &two, &n),
                     6);
    assert_int_equal(pid, getpid());
    assert_true(n > 0 && one != two && first <= second && second <= third);
}

static enum ci_runner runner_with(const char *said, const char *github, const char *gitlab)
{
    begin("");
    if (said)
        setenv("KBUILD_CI_LOG", said, 1);
    setenv("GITHUB_ACTIONS", github, 1);
    setenv("GITLAB_CI", gitlab, 1);
    enum ci_runner runner = CI_NONE;
    if (ci_log_open(NULL) == 0)
        runner = ci_log_runner();
    unsetenv("KBUILD_CI_LOG");
    free(end());
    return runner;
}

TEST(the_runner_is_found_or_named)
{
    assert_int_equal(runner_with(NULL, "true", "false"), CI_GITHUB);
    assert_int_equal(runner_with(NULL, "", "true"), CI_GITLAB);
    assert_int_equal(runner_with(NULL, "1", "yes"), CI_NONE);
    assert_int_equal(runner_with("", "true", ""), CI_GITHUB);
    assert_int_equal(runner_with("no", "true", "true"), CI_NONE);
    assert_int_equal(runner_with("gitlab", "true", ""), CI_GITLAB);
    assert_int_equal(runner_with("github", "", ""), CI_GITHUB);
    cleanup_error struct error *err = NULL;
    setenv("KBUILD_CI_LOG", "off", 1);
    assert_int_equal(ci_log_open(&err), -1);
    unsetenv("KBUILD_CI_LOG");
    assert_string_equal(err->message, "KBUILD_CI_LOG has the value 'off'");
    assert_string_equal(err->hint, "it can be github, gitlab or no");
}
