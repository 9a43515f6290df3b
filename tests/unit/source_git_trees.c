// SPDX-License-Identifier: Apache-2.0
// Git sources: submodules, and trees that mean harm.
#include "test.h"

#include "source_git_help.h"

// ---- submodules ----
EACH_TEST(place_begin, place_end)
ALL_TESTS(home_begin, home_end)

TEST(nested_submodules_are_exported_at_their_pinned_commits)
{
    struct place *p = *state;
    make_submodules(p);
    cleanup_free char *url = url_of(p, "up");
    cleanup_error struct error *err = NULL;
    struct source_spec spec = git_spec(url, "main");
    struct source_pin pin;
    cleanup_free char *out = fresh_folder(p, "out");
    json_t *provenance = NULL;
    assert_ok(source_resolve(&spec, &p->o, &pin, &err), &err);
    assert_ok(source_fetch(&spec, &pin, &p->o, out, &provenance, &err), &err);
    assert_sh(p, "cat out/third/middle/mid out/third/middle/lib/inner/deep", "mid\ndeep");
    assert_sh(p, "find out -printf '%T@\\n' | sort -u", "1600000001.0000000000");
    assert_int_equal(json_array_size(json_object_get(provenance, "submodules")), 2);
    json_decref(provenance);
    static const struct {
        enum submodules which;
        const char *files;
    } cases[] = {
        {SUBMODULES_NO, "third third/middle "},
        {SUBMODULES_DIRECT, "third third/middle third/middle/.gitmodules third/middle/lib "
                            "third/middle/lib/inner third/middle/mid "},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *bare = fresh_folder(p, "bare");
        spec.submodules = cases[i].which;
        assert_ok(source_fetch(&spec, &pin, &p->o, bare, NULL, &err), &err);
        assert_sh(p, "cd bare; find third | LC_ALL=C sort | tr '\\n' ' '", cases[i].files);
    }
    source_pin_free(&pin);
    // Everything is in the mirrors now.
    run_sh(p, "rm -rf up middle inner");
    p->o.offline = true;
    get(p, url, "main", NULL);
    assert_sh(p, "cat out/third/middle/lib/inner/deep", "deep");
}

TEST(a_submodule_without_url_leaves_an_empty_folder_and_a_warning)
{
    struct place *p = *state;
    make_submodules(p);
    run_sh(p, "cd up; git rm -q --cached .gitmodules; rm .gitmodules; git commit -qm x");
    cleanup_free char *url = url_of(p, "up");
    get(p, url, "main", NULL);
    assert_sh(p, "ls -A out/third/middle", "");
    assert_says(p->said.data, "has no url in .gitmodules");
}

TEST(submodule_urls_are_resolved_like_git_does)
{
    static const struct {
        const char *parent, *url, *expected;
    } cases[] = {
        {"https://h/a/b.git", "../c.git", "https://h/a/c.git"},
        {"https://h/a/b/", "../c", "https://h/a/c"},
        {"https://h/a/b", "./c", "https://h/a/b/c"},
        {"https://h/a/b", "../../x/c", "https://h/x/c"},
        {"git@h:a/b.git", "../c.git", "git@h:a/c.git"},
        {"git@h:b.git", "../c.git", "git@h:c.git"},
        {"/srv/a", "../b", "/srv/b"},
        {"https://h/a", "https://other/x", "https://other/x"},
        {"https://h/a/b", "../../../../c", NULL}, // out of the host
        {"https://h/a", "/etc", NULL},            // this machine's files
        {"https://h/a", "file:///etc", NULL},
        {"https://h/a", "FILE:///etc", NULL},
        {"https://h/a", "-oProxyCommand=x", NULL}, // an option
        {"https://h/a", "ssh://-oProxyCommand=x/y", NULL},
        {"https://h/a", "https://h/a\nb", NULL},
        {"https://h/a", "", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        cleanup_free char *url = url_of_submodule(cases[i].parent, cases[i].url, &err);
        if (cases[i].expected)
            assert_string_equal(url, cases[i].expected);
        else
            assert_null(url);
    }
}

TEST(a_password_in_a_url_is_never_shown)
{
    cleanup_free char *shown = http_url_shown("https://me:secret@h/a@b?c=@d");
    assert_string_equal(shown, "https://h/a@b?c=@d");
    cleanup_free char *ssh = http_url_shown("git@h:a/b");
    assert_string_equal(ssh, "git@h:a/b");
    struct place *p = *state;
    cleanup_error struct error *err = NULL;
    cleanup_free char *url = xasprintf("http://me:secret@127.0.0.1:%u/x", free_port());
    struct source_spec spec = git_spec(url, "main");
    struct source_pin pin;
    assert_int_equal(source_resolve(&spec, &p->o, &pin, &err), -1);
    assert_null(strstr(err->message, "secret"));
    assert_null(strstr(p->said.data ? p->said.data : "", "secret"));
}

// ---- hostile trees ----
// Makes a branch of a tree that git itself would not write.
static void make_hostile(struct place *p, const char *branch, const char *entries)
{
    run_sh(
        p,
        "[ -d bad ] || git init -q -b main bad; cd bad\n"
        "hash() { git hash-object -w --literally --stdin \"$@\"; }\n"
        "raw() { printf '%%s %%s\\0' \"$1\" \"$2\"; printf \"$(sed 's/../\\\\x&/g' <<< $3)\"; }\n"
        "blob=$(echo evil | hash); target=$(printf ../../escape | hash)\n"
        "sub=$(raw 100644 x $blob | hash -t tree); tree=$({ %s; } | hash -t tree)\n"
        "git update-ref refs/heads/%s $(git commit-tree $tree -m bad)",
        entries, branch);
}

TEST(hostile_names_are_refused_and_nothing_is_written_outside)
{
    struct place *p = *state;
    static const struct {
        const char *entries, *why;
    } cases[] = {
        {"raw 100644 .. $blob", "has a name that no repository may use"},
        {"raw 40000 .. $sub", "has a name that no repository may use"},
        {"raw 40000 .git $sub", "has a name that no repository may use"},
        {"raw 40000 .GIT $sub", "has a name that no repository may use"},
        {"raw 100644 a/b $blob", "has a name that no repository may use"},
        {"raw 100644 . $blob", "has a name that no repository may use"},
        // a link, and then a folder of the same name to write through
        {"raw 120000 a $target; raw 40000 a $sub", "File exists"},
        {"raw 120000 a $target; raw 100644 a $blob", "File exists"},
        {"raw 60000 a $blob", "is neither file, directory, link nor submodule"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *branch = xasprintf("case%zu", i);
        make_hostile(p, branch, cases[i].entries);
        cleanup_free char *url = url_of(p, "bad");
        cleanup_error struct error *err = NULL;
        struct source_spec spec = git_spec(url, branch);
        struct source_pin pin;
        cleanup_free char *out = fresh_folder(p, "out");
        int result = source_resolve(&spec, &p->o, &pin, &err);
        if (result == 0) {
            result = source_fetch(&spec, &pin, &p->o, out, NULL, &err);
            source_pin_free(&pin);
        }
        assert_refused(result, &err, cases[i].why);
        assert_sh(p, "ls -d escape x ../x 2>/dev/null || true", "");
    }
}

TEST(a_tree_that_unfolds_without_end_is_stopped)
{
    struct place *p = *state;
    run_sh(p, "git init -q -b main bad; cd bad; deep=$(printf 'a/%%.0s' $(seq 300))\n"
              "printf 'commit refs/heads/main\\ncommitter A <a@example.org> 1600000000 +0000\\n"
              "data 0\\nM 100644 inline %%sfile\\ndata 0\\n' $deep | git fast-import --quiet");
    cleanup_free char *url = url_of(p, "bad");
    cleanup_error struct error *err = NULL;
    struct source_spec spec = git_spec(url, "main");
    struct source_pin pin;
    cleanup_free char *out = fresh_folder(p, "out");
    assert_ok(source_resolve(&spec, &p->o, &pin, &err), &err);
    assert_refused(source_fetch(&spec, &pin, &p->o, out, NULL, &err), &err, "256 directories deep");
    source_pin_free(&pin);
}

// What git itself reads from the same text; "" if it refuses the text.
static char *git_reads(const struct place *p, const char *text)
{
    cleanup_free char *path = xasprintf("%s/modules", p->folder);
    assert_int_equal(file_write(path, text, strlen(text), 0600, NULL), 0);
    return sh(p, "git config -f modules --get submodule.a.url || true");
}

TEST(gitmodules_are_read_as_git_reads_them)
{
    struct place *p = *state;
    static const char *const texts[] = {
        "[submodule \"a\"]\n\tpath = x\n\turl = ../u\n",
        "[submodule \"a\"] url = u ; comment\n",
        "[submodule \"a\"]\nurl=u v  # comment\n",
        "[submodule \"a\"]\nurl = \"u # v\"\n",
        "[submodule \"a\"]\nurl = u\\\nv\n",
        "[submodule \"a\"]\nurl = \"u\\\"\\\\\\tv\" w\n",
        "[submodule \"a\"]\nURL = one\nurl = two\n",
        "[SubModule \"a\"]\r\nurl = u\r\n",
        "\xef\xbb\xbf[submodule \"a\"]\nurl = u",
        "# c\n;c\n\n[core]\nurl = x\n[submodule \"a\"]\nurl = u\n[submodule \"b\"]\nurl = y\n",
        "[submodule \"\\a\"]\nurl = u\n",
        "[submodule \"A\"]\nurl = u\n",
        "[submodule \"a\"]\nurl = u\\q\n",
        "[submodule \"a\"]\nurl = \"u\n",
        "[submodule \"a]\nurl = u\n",
        "[submodule \"a\"\nurl = u\n",
        "[submodule \"a\"]\nur l = u\n",
        "[submodule \"a\"]\n= u\n",
        "[submodule]\nurl = u\n",
        "url = u\n",
        "",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct submodule_places places = {0};
        cleanup_error struct error *err = NULL;
        cleanup_free char *git = git_reads(p, texts[i]);
        const char *url = "";
        if (submodule_places_parse("up", texts[i], strlen(texts[i]), &places, &err) == 0)
            for (size_t k = 0; k < places.n; k++)
                if (places.items[k].url && (!strstr(texts[i], "\"b\"") || k == 0))
                    url = places.items[k].url;
        if (i == 11) // "A" is another name
            url = "";
        if (strcmp(url, git) != 0)
            print_error("text %zu\n", i);
        assert_string_equal(url, git);
        submodule_places_free(&places);
    }
}

TEST(gitmodules_read_no_file_of_this_machine)
{
    struct place *p = *state;
    make_repository(p);
    run_sh(p, "mkfifo pipe; printf '[submodule \"s\"]\\npath=s\\nurl=./host\\n' > host\n"
              "cd up; printf '[include]\\npath = ../../pipe\\npath = %%s/host\\n[include]\\npath = "
              "%%s/pipe\\n' $PWD/.. $PWD/.. > .gitmodules\n"
              "git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),s\n"
              "git add .gitmodules; git commit -qm include");
    cleanup_free char *url = url_of(p, "up");
    get(p, url, "main", NULL); // it neither waits for the pipe nor finds the url
    assert_says(p->said.data, "the submodule s has no url in .gitmodules");
}
