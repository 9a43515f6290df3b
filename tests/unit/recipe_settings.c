// SPDX-License-Identifier: Apache-2.0
// kbuild.yaml: what it becomes, what is refused, and who may write it.
#include "test.h"

#include "recipe/settings.h"
#include "recipe_help.h"

#include <sys/stat.h>

static char *home;

static int set_up_home(void **state)
{
    home = getenv("HOME") ? xstrdup(getenv("HOME")) : NULL;
    int result = set_up(state);
    const struct place *p = *state;
    setenv("XDG_CONFIG_HOME", "/config", 1);
    setenv("HOME", p->folder, 1);
    return result;
}

static int tear_down_home(void **state)
{
    unsetenv("XDG_CONFIG_HOME");
    if (home)
        setenv("HOME", home, 1);
    else
        unsetenv("HOME");
    free(home);
    return tear_down(state);
}

static int parse(const struct place *p, enum settings_owner owner, const char *text,
                 struct settings_file *out, struct error **err)
{
    cleanup_free char *path = xasprintf("%s/kbuild.yaml", p->folder);
    return settings_parse(path, owner, text, strlen(text), out, err);
}

static void has(const struct settings_file *f, enum setting which, size_t i, const char *text,
                size_t line)
{
    assert_true(f->values[which].items.n > i);
    assert_string_equal(f->values[which].items.items[i], text);
    assert_int_equal(f->values[which].lines[i], line);
}

// "DIR" in the texts is the test's folder.
static char *expand(const struct place *p, const char *text)
{
    const struct placeholder folder = {"DIR", p->folder};
    return placeholders_expand(text, &folder, 1);
}

static void refuses(const struct place *p, enum settings_owner owner, const char *text,
                    const char *message, const char *hint)
{
    struct settings_file f = {0};
    cleanup_error struct error *err = NULL;
    if (parse(p, owner, text, &f, &err) == 0)
        fail_msg("accepted: %s", text);
    settings_file_free(&f);
    cleanup_free char *relative = xasprintf("DIR/kbuild.yaml:%s", message);
    cleanup_free char *expected = expand(p, relative);
    assert_string_equal(err->message, expected);
    if (!hint)
        return;
    assert_non_null(err->hint);
    if (!strstr(err->hint, hint))
        fail_msg("'%s' lacks '%s'", err->hint, hint);
}

EACH_TEST(set_up_home, tear_down_home)

TEST(every_key_is_read_with_its_line)
{
    const struct place *p = *state;
    put(p, "kata/x", "");
    put(p, "own/x", "");
    put(p, "versions.yaml", "");
    put(p, "keys.pem", "");
    static const char text[] = "# mine\n"
                               "sources: debian\n"
                               "source:\n"
                               "  kata: kata\n"
                               "  linux: upstream\n"
                               "prebuilt: [agent, qemu=reg.example/q:1]\n"
                               "builder: image\n"
                               "arch: amd64\n"
                               "jobs: 4096\n"
                               "cache: ~/c\n"
                               "output: out/{arch}\n"
                               "versions: ./versions.yaml\n"
                               "recipes:\n"
                               "  - default\n"
                               "  - own\n"
                               "remote: require\n"
                               "registry: reg.example:5000\n"
                               "repository: a/b\n"
                               "builder-registry: reg.example/builders\n"
                               "target-branch: stable-3.2\n"
                               "trusted-keys: keys.pem\n";
    static const struct {
        enum setting which;
        size_t i;
        const char *text;
        size_t line;
    } expected[] = {
        {SETTING_SOURCES, 0, "debian", 2},
        {SETTING_SOURCE, 0, "kata=DIR/kata", 4},
        {SETTING_SOURCE, 1, "linux=upstream", 5},
        {SETTING_PREBUILT, 1, "qemu=reg.example/q:1", 6},
        {SETTING_BUILDER, 0, "image", 7},
        {SETTING_ARCH, 0, "amd64", 8},
        {SETTING_JOBS, 0, "4096", 9},
        {SETTING_CACHE, 0, "DIR/c", 10},
        {SETTING_OUTPUT, 0, "DIR/out/{arch}", 11},
        {SETTING_VERSIONS, 0, "DIR/versions.yaml", 12},
        {SETTING_RECIPES, 0, "default", 14},
        {SETTING_RECIPES, 1, "DIR/own", 15},
        {SETTING_REMOTE, 0, "require", 16},
        {SETTING_REGISTRY, 0, "reg.example:5000", 17},
        {SETTING_REPOSITORY, 0, "a/b", 18},
        {SETTING_BUILDER_REGISTRY, 0, "reg.example/builders", 19},
        {SETTING_TARGET_BRANCH, 0, "stable-3.2", 20},
        {SETTING_TRUSTED_KEYS, 0, "DIR/keys.pem", 21},
    };
    for (enum settings_owner owner = SETTINGS_PROJECT; owner <= SETTINGS_USER; owner++) {
        struct settings_file f = {0};
        cleanup_error struct error *err = NULL;
        if (parse(p, owner, text, &f, &err) < 0)
            fail_msg("%s", err->message);
        for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
            cleanup_free char *value = expand(p, expected[i].text);
            has(&f, expected[i].which, expected[i].i, value, expected[i].line);
        }
        settings_file_free(&f);
    }
}

TEST(mistakes_are_named_with_their_place)
{
    const struct place *p = *state;
    put(p, "file", "");
    static const struct {
        const char *text, *message, *hint;
    } cases[] = {
        {"job: 3\n", "1:1: unknown key 'job' in kbuild.yaml", "did you mean 'jobs'?"},
        {"\nKBUILD_CACHE: x\n", "2:1: unknown key 'KBUILD_CACHE' in kbuild.yaml",
         "did you mean 'cache'?"},
        {"jobs: many\n", "1:7: jobs: 'many': the number of jobs must be from 1 to 4096", NULL},
        {"jobs: 0\n", "1:7: jobs: '0': the number of jobs must be from 1 to 4096", NULL},
        {"jobs: [3]\n", "1:7: jobs: a text is expected here, but this is a list", NULL},
        {"jobs:\n", "1:1: jobs: a text is expected here, but this is empty", NULL},
        {"jobs: 1\njobs: 2\n", "2:1: duplicate key 'jobs' (first on line 1)", NULL},
        {"sources: fedora\n", "1:10: sources: 'fedora' is no value of it",
         "it can be upstream or debian"},
        {"arch: vax\n", "1:7: arch: unknown architecture 'vax'", NULL},
        {"recipes: []\n", "1:10: recipes: the list is empty", NULL},
        {"recipes: [file]\n", "1:11: recipes: 'file' is not a directory", NULL},
        {"versions: nowhere\n", "1:11: versions: 'nowhere': No such file or directory",
         "paths are relative to "},
        {"source: {../x: debian}\n", "1:10: source: '../x' cannot be the name of a source", NULL},
        {"registry: me:pass@reg.example\n", "1:11: registry: an '@' has no place here",
         "skopeo login"},
        {"repository: a:tag\n", "1:13: repository: 'a:tag' has a tag", NULL},
        {"prebuilt: [\"a=me:pass@reg/x\"]\n",
         "1:12: prebuilt: TARGET or TARGET=REFERENCE is expected here", NULL},
        {"prebuilt: [\"a=me:pass@reg/x@sha256:aa\"]\n",
         "1:12: prebuilt: TARGET or TARGET=REFERENCE is expected here", NULL},
        {"prebuilt: [\"a=reg/x@sha256:aa,b=me:pass@reg/x\"]\n",
         "1:12: prebuilt: TARGET or TARGET=REFERENCE is expected here", NULL},
        {"- jobs\n", "1:1: a map is expected here, but this is a list", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        refuses(p, SETTINGS_USER, cases[i].text, cases[i].message, cases[i].hint);
}

TEST(secrets_are_refused_and_not_repeated)
{
    const struct place *p = *state;
    static const char *const keys[] = {"password",    "registry-password",         "TOKEN",
                                       "signing-key", "KBUILD_SIGNING_KEY",        "username",
                                       "key",         "ARTEFACT_REGISTRY_PASSWORD"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        cleanup_free char *text = xasprintf("%s: hunter2\n", keys[i]);
        cleanup_free char *message =
            xasprintf("1:1: '%s' names a secret, and kbuild.yaml never has one", keys[i]);
        refuses(p, SETTINGS_USER, text, message, "KBUILD_SIGNING_KEY");
    }
}

TEST(a_project_decides_nothing_for_the_machine)
{
    const struct place *p = *state;
    put(p, "sub/kata/x", "");
    cleanup_free char *link = xasprintf("%s/link", p->folder);
    assert_int_equal(symlink("/etc", link), 0);
    cleanup_free char *dangling = xasprintf("%s/sub/dangling", p->folder);
    assert_int_equal(symlink("/nowhere/x", dangling), 0);
    cleanup_free char *of_arch = xasprintf("%s/sub/s390x", p->folder);
    assert_int_equal(symlink("../..", of_arch), 0);
    static const struct {
        const char *text, *message, *hint;
    } cases[] = {
        {"builder: host\n",
         "1:10: builder: a project cannot say 'host': steps would see and use the programs of "
         "this machine",
         "give --builder=host, or put it into your own file, /config/kbuild/kbuild.yaml"},
        {"source: {kata: /etc}\n", "1:16: kata: '/etc' is outside of the project, DIR",
         "--source kata=DIR"},
        {"source: {kata: sub/../..}\n", "1:16: kata: 'sub/../..' is outside of the project, DIR",
         NULL},
        {"source: {kata: nowhere}\n", "1:16: kata: 'nowhere': No such file or directory", NULL},
        {"source: {kata: link}\n", "1:16: kata: 'link' is outside of the project, DIR", NULL},
        {"recipes: [~/..]\n", "1:11: recipes: '~/..' is outside of the project, DIR", NULL},
        {"versions: /etc/passwd\n", "1:11: versions: '/etc/passwd' is outside of the project, DIR",
         NULL},
        {"trusted-keys: /etc/passwd\n",
         "1:15: trusted-keys: '/etc/passwd' is outside of the project, DIR", NULL},
        {"output: ../x\n", "1:9: output: '../x' is outside of the project, DIR", "--output"},
        {"output: link\n", "1:9: output: 'link' is outside of the project, DIR", "--output"},
        {"output: link/new/x\n", "1:9: output: 'link/new/x' is outside of the project, DIR", NULL},
        {"output: sub/dangling\n", "1:9: output: 'sub/dangling' is outside of the project, DIR",
         NULL},
        {"output: sub/{arch}\n", "1:9: output: 'sub/{arch}' is outside of the project, DIR", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        refuses(p, SETTINGS_PROJECT, cases[i].text, cases[i].message, cases[i].hint);
        struct settings_file f = {0};
        assert_int_equal(parse(p, SETTINGS_USER, cases[i].text, &f, NULL), 0);
        settings_file_free(&f);
    }
}

TEST(the_rest_of_a_wrong_file_is_still_read)
{
    const struct place *p = *state;
    struct settings_file f = {0};
    cleanup_error struct error *err = NULL;
    assert_int_equal(parse(p, SETTINGS_USER, "job: 1\nregistri: x\njobs: 7\n", &f, &err), -1);
    assert_non_null(strstr(err->message, ":1:1: unknown key 'job'"));
    has(&f, SETTING_JOBS, 0, "7", 3);
    settings_file_free(&f);
}

TEST(a_file_of_others_is_refused_unless_it_is_named)
{
    const struct place *p = *state;
    put(p, "kbuild.yaml", "jobs: 2\n");
    cleanup_free char *path = xasprintf("%s/kbuild.yaml", p->folder);
    const struct {
        mode_t mode;
        uid_t owner;
        bool good;
    } cases[] = {{0644, geteuid(), true},
                 {0664, geteuid(), true},
                 {0666, geteuid(), false},
                 {0644, 65534, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (chown(path, cases[i].owner, (gid_t)-1) < 0) // only root can give files away
            continue;
        assert_int_equal(chmod(path, cases[i].mode), 0);
        for (int named = 0; named < 2; named++) {
            struct settings_file f = {0};
            cleanup_error struct error *err = NULL;
            int result = settings_read(path, SETTINGS_PROJECT, named, &f, &err);
            assert_int_equal(result == 0, cases[i].good || named);
            if (result < 0)
                assert_non_null(strstr(err->hint, "--settings none"));
            settings_file_free(&f);
        }
    }
}

TEST(a_file_is_small_and_a_file)
{
    const struct place *p = *state;
    cleanup_free char *path = xasprintf("%s/kbuild.yaml", p->folder);
    cleanup_buf struct buf text = {0};
    for (int i = 0; i < 8192; i++)
        buf_puts(&text, "# padding\n");
    put(p, "kbuild.yaml", text.data);
    for (int folder = 0; folder < 2; folder++) {
        struct settings_file f = {0};
        cleanup_error struct error *err = NULL;
        assert_int_equal(settings_read(path, SETTINGS_PROJECT, false, &f, &err), -1);
        assert_non_null(strstr(err->message, path));
        settings_file_free(&f);
        assert_int_equal(folder ? rmdir(path) : unlink(path), 0);
        assert_int_equal(mkdir(path, 0755), 0);
    }
}

TEST(the_users_file_is_where_the_specification_says)
{
    cleanup_free char *named = settings_user_path();
    assert_string_equal(named, "/config/kbuild/kbuild.yaml");
    setenv("XDG_CONFIG_HOME", "relative", 1);
    setenv("HOME", "/home/x", 1);
    cleanup_free char *usual = settings_user_path();
    assert_string_equal(usual, "/home/x/.config/kbuild/kbuild.yaml");
    unsetenv("HOME");
    assert_null(settings_user_path());
}
