// SPDX-License-Identifier: Apache-2.0
// Git sources from repositories made by git itself, through folders, git's protocol and http.
#include "source_help.h"

#include "source/git.h"

static struct source_spec git_spec(const char *url, const char *ref)
{
    return (struct source_spec){.kind = SOURCE_GIT,
                                .label = (char *)"demo (externals.demo)",
                                .url = (char *)url,
                                .ref = (char *)ref,
                                .submodules = true};
}

// A repository "up" with history: a branch main, a tag v1 (annotated) and v0 (light).
static void make_repository(struct place *p)
{
    run_sh(p, "t=$HOME/repository; [ -d $t ] || {\n"
              "git init -q -b main $t && cd $t\n"
              "echo one > file; mkdir dir; echo '#!/bin/sh' > dir/run; chmod +x dir/run\n"
              "ln -s ../file dir/link; ln -s /etc/passwd absolute\n"
              "echo 'secret export-ignore' > .gitattributes; echo text eol=crlf >> .gitattributes\n"
              "echo kept > secret; printf 'a\\nb\\n' > text\n"
              "git add -A; git commit -qm one; git tag v0; git tag -a v1 -m v1\n"
              "echo two > file; git commit -qam two; cd -; } >/dev/null; cp -a $t up");
}

static char *url_of(const struct place *p, const char *name)
{
    return xasprintf("%s/%s", p->folder, name);
}

// Resolves and fetches into <folder>/out; the pin is given back if wanted.
static void get(struct place *p, const char *url, const char *ref, struct source_pin *keep)
{
    cleanup_error struct error *err = NULL;
    struct source_spec spec = git_spec(url, ref);
    struct source_pin pin = {0};
    cleanup_free char *out = fresh_folder(p, "out");
    assert_ok(source_resolve(&spec, &p->o, &pin, &err), &err);
    assert_ok(source_fetch(&spec, &pin, &p->o, out, NULL, &err), &err);
    if (keep)
        *keep = pin;
    else
        source_pin_free(&pin);
}

static void a_branch_is_exported_as_it_was_committed(void **state)
{
    struct place *p = *state;
    make_repository(p);
    cleanup_free char *url = url_of(p, "up");
    struct source_pin pin;
    get(p, url, "main", &pin);
    cleanup_free char *commit = sh(p, "git -C up rev-parse main");
    cleanup_free char *tree = sh(p, "git -C up rev-parse main^{tree}");
    assert_string_equal(pin.commit, commit);
    assert_string_equal(pin.tree, tree);
    source_pin_free(&pin);
    assert_sh(p, "cd out; find . | LC_ALL=C sort | tr '\\n' ' '",
              ". ./.gitattributes ./absolute ./dir ./dir/link ./dir/run ./file ./secret ./text ");
    assert_sh(p, "cat out/file out/secret; readlink out/dir/link out/absolute",
              "two\nkept\n../file\n/etc/passwd");
    assert_sh(p, "stat -c %a out/file out/dir/run out/dir | tr '\\n' ' '", "644 755 755 ");
    // no filters: the bytes are the repository's
    assert_sh(p, "od -An -c out/text | tr -d ' \\n'", "a\\nb\\n");
    assert_sh(p, "find out -printf '%T@\\n' | sort -u", "1600000001.0000000000");
}

static void tags_of_both_kinds_lead_to_their_commit(void **state)
{
    struct place *p = *state;
    make_repository(p);
    cleanup_free char *url = url_of(p, "up");
    cleanup_free char *commit = sh(p, "git -C up rev-parse v1^{commit}");
    static const char *const refs[] = {"v0", "v1", "refs/tags/v1"};
    for (size_t i = 0; i < ARRAY_LEN(refs); i++) {
        struct source_pin pin;
        get(p, url, refs[i], &pin);
        assert_string_equal(pin.commit, commit);
        source_pin_free(&pin);
        assert_sh(p, "cat out/file", "one");
    }
}

static void a_commit_in_the_middle_of_history_is_found(void **state)
{
    struct place *p = *state;
    make_repository(p);
    cleanup_free char *url = url_of(p, "up");
    cleanup_free char *commit = sh(p, "cd up; echo x > file; git commit -qam x; git rev-parse HEAD;"
                                      "echo y > file; git commit -qam y");
    get(p, url, commit, NULL);
    assert_sh(p, "cat out/file", "x");
    // Abbreviated: the mirror has it now.
    commit[10] = '\0';
    get(p, url, commit, NULL);
    assert_sh(p, "cat out/file", "x");
}

static void an_abbreviated_commit_that_is_not_there_must_be_given_in_full(void **state)
{
    struct place *p = *state;
    make_repository(p);
    cleanup_free char *url = url_of(p, "up");
    cleanup_error struct error *err = NULL;
    struct source_spec spec = git_spec(url, "0123456789");
    struct source_pin pin;
    assert_int_equal(source_resolve(&spec, &p->o, &pin, &err), -1);
    assert_says(err->message, "has no branch or tag named 0123456789");
    assert_says(err->hint, "full 40 digits");
}

static void a_wrong_ref_gets_the_nearest_name(void **state)
{
    struct place *p = *state;
    make_repository(p);
    run_sh(p, "git -C up branch stable-3.x");
    cleanup_free char *url = url_of(p, "up");
    cleanup_error struct error *err = NULL;
    struct source_spec spec = git_spec(url, "stable3.x");
    struct source_pin pin;
    assert_int_equal(source_resolve(&spec, &p->o, &pin, &err), -1);
    assert_string_equal(err->hint, "did you mean stable-3.x?");
}

static void the_lock_is_written_once_and_answers_without_the_repository(void **state)
{
    struct place *p = *state;
    make_repository(p);
    cleanup_free char *url = url_of(p, "up");
    get(p, url, "main", NULL);
    place_reopen(p);
    cleanup_free char *commit = sh(p, "git -C up rev-parse main");
    assert_string_equal(lock_find(p->lock, url, "main")->commit, commit);
    run_sh(p, "cd up; echo three > file; git commit -qam three; cd ..; mv up away");
    p->o.locked = p->o.offline = true;
    get(p, url, "main", NULL);
    assert_sh(p, "cat out/file", "two");
}

static void locked_refuses_what_is_not_in_the_lock(void **state)
{
    struct place *p = *state;
    make_repository(p);
    cleanup_free char *url = url_of(p, "up");
    cleanup_error struct error *err = NULL;
    struct source_spec spec = git_spec(url, "main");
    struct source_pin pin;
    p->o.locked = true;
    assert_refused(source_resolve(&spec, &p->o, &pin, &err), &err, "--locked allows nothing else");
}

static void offline_names_what_is_missing_and_uses_what_is_there(void **state)
{
    struct place *p = *state;
    make_repository(p);
    cleanup_free char *url = url_of(p, "up");
    cleanup_error struct error *err = NULL;
    struct source_spec spec = git_spec(url, "main");
    struct source_pin pin;
    p->o.offline = true;
    assert_refused(source_resolve(&spec, &p->o, &pin, &err), &err, "main of");
    p->o.offline = false;
    get(p, url, "main", NULL);
    run_sh(p, "rm -rf up versions.lock");
    lock_free(p->lock);
    p->lock = NULL;
    place_reopen(p); // without the lock the mirror still knows what the ref was
    p->o.offline = true;
    get(p, url, "main", NULL);
    assert_sh(p, "cat out/file", "two");
    struct source_spec other = git_spec(url, "v1");
    assert_refused(source_resolve(&other, &p->o, &pin, &err), &err, "--offline forbids");
    struct source_pin missing = {.commit = (char *)"0123456789012345678901234567890123456789",
                                 .tree = (char *)"0123456789012345678901234567890123456789"};
    cleanup_free char *out = fresh_folder(p, "out");
    assert_refused(source_fetch(&spec, &missing, &p->o, out, NULL, &err), &err,
                   "commit 0123456789012345678901234567890123456789 of");
}

static void a_moved_tag_is_an_error_that_explains(void **state)
{
    struct place *p = *state;
    make_repository(p);
    cleanup_free char *url = url_of(p, "up");
    cleanup_error struct error *err = NULL;
    struct source_spec spec = git_spec(url, "v1");
    struct source_pin pin;
    assert_ok(source_resolve(&spec, &p->o, &pin, &err), &err);
    run_sh(p, "git -C up tag -f -a v1 -m again main >/dev/null; rm -rf store/git");
    cleanup_free char *out = fresh_folder(p, "out");
    assert_int_equal(source_fetch(&spec, &pin, &p->o, out, NULL, &err), -1);
    assert_says(err->message, "the tag v1 of");
    assert_says(err->message, pin.commit);
    assert_says(err->hint, "versions.lock");
    source_pin_free(&pin);
}

static void a_branch_that_moved_on_still_gives_the_locked_commit(void **state)
{
    struct place *p = *state;
    make_repository(p);
    cleanup_free char *url = url_of(p, "up");
    cleanup_error struct error *err = NULL;
    struct source_spec spec = git_spec(url, "main");
    struct source_pin pin;
    assert_ok(source_resolve(&spec, &p->o, &pin, &err), &err);
    run_sh(p, "cd up; echo new > file; git commit -qam new; rm -rf ../store/git");
    cleanup_free char *out = fresh_folder(p, "out");
    assert_ok(source_fetch(&spec, &pin, &p->o, out, NULL, &err), &err);
    assert_sh(p, "cat out/file", "two");
    // and one that a rewritten branch lost is explained
    run_sh(p, "cd up; git reset -q --hard v1; git reflog expire --expire=now --all; git gc -q "
              "--prune=now; rm -rf ../store/git");
    cleanup_free char *again = fresh_folder(p, "again");
    assert_int_equal(source_fetch(&spec, &pin, &p->o, again, NULL, &err), -1);
    assert_says(err->message, "has no commit");
    assert_says(err->hint, "rewritten");
    source_pin_free(&pin);
}

static void a_lock_with_another_tree_is_refused(void **state)
{
    struct place *p = *state;
    make_repository(p);
    cleanup_free char *url = url_of(p, "up");
    cleanup_error struct error *err = NULL;
    struct source_spec spec = git_spec(url, "main");
    struct source_pin pin;
    assert_ok(source_resolve(&spec, &p->o, &pin, &err), &err);
    memset(pin.tree, '0', 40);
    cleanup_free char *out = fresh_folder(p, "out");
    assert_refused(source_fetch(&spec, &pin, &p->o, out, NULL, &err), &err,
                   "versions.lock says 00");
    source_pin_free(&pin);
}

static void a_mirror_is_fetched_incrementally(void **state)
{
    struct place *p = *state;
    make_repository(p);
    run_sh(p, "head -c 3000000 /dev/urandom > up/big; cd up; git add -A; git commit -qm big");
    cleanup_free char *url = xasprintf("file://%s/up", p->folder);
    get(p, url, "main", NULL);
    cleanup_free char *before = sh(p, "du -sk store/git | cut -f1");
    run_sh(p, "cd up; echo new > file; git commit -qam new; git tag v2");
    get(p, url, "v2", NULL);
    assert_sh(p, "cat out/file", "new");
    cleanup_free char *after = sh(p, "du -sk store/git | cut -f1");
    assert_true(strtol(after, NULL, 10) - strtol(before, NULL, 10) < 1000);
    assert_sh(p, "ls store/git | grep -c '[.]git$'", "1");
}

static void a_damaged_mirror_is_fetched_again(void **state)
{
    struct place *p = *state;
    make_repository(p);
    cleanup_free char *url = url_of(p, "up");
    cleanup_error struct error *err = NULL;
    struct source_spec spec = git_spec(url, "main");
    struct source_pin pin;
    assert_ok(source_resolve(&spec, &p->o, &pin, &err), &err);
    // The content of one blob changes under its name.
    run_sh(p,
           "cd store/git/*.git; git unpack-objects -q < \"$(ls objects/pack/*.pack)\" || true;"
           "for f in objects/pack/*.pack; do mv $f x.pack; rm -f objects/pack/*;"
           "git unpack-objects -q < x.pack; rm x.pack; done;"
           "id=$(git rev-parse %s:file); f=objects/${id:0:2}/${id:2}; other=$(git rev-parse "
           "%s:text); cp -f objects/${other:0:2}/${other:2} $f",
           pin.commit, pin.commit);
    cleanup_free char *out = fresh_folder(p, "out");
    assert_ok(source_fetch(&spec, &pin, &p->o, out, NULL, &err), &err);
    assert_sh(p, "cat out/file", "two");
    assert_says(p->said.data, "is damaged at object");
    source_pin_free(&pin);
}

static int get_in_child(struct place *p, unsigned number, const void *context)
{
    struct source_spec spec = git_spec(context, number % 2 ? "v1" : "main");
    cleanup_free char *name = xasprintf("out%u", number);
    cleanup_free char *out = fresh_folder(p, name);
    struct source_pin pin = {0};
    int result = source_resolve(&spec, &p->o, &pin, NULL);
    if (result == 0)
        result = source_fetch(&spec, &pin, &p->o, out, NULL, NULL);
    source_pin_free(&pin);
    return result;
}

static void many_kbuilds_share_a_mirror(void **state)
{
    struct place *p = *state;
    make_repository(p);
    cleanup_free char *url = url_of(p, "up");
    together(p, get_in_child, url);
    assert_sh(p, "cat out0/file out1/file out2/file out3/file", "two\none\ntwo\none");
}

// A fetch that dies at any moment leaves a mirror that the next one can use.
static void a_killed_fetch_does_no_harm(void **state)
{
    struct place *p = *state;
    make_repository(p);
    run_sh(p, "cd up; head -c 2000000 /dev/urandom > big; git add -A; git commit -qm big");
    cleanup_free char *url = url_of(p, "up");
    for (long us = 500; us < 200000; us *= 2) {
        pid_t child = fork();
        if (child == 0) {
            get_in_child(p, 0, url);
            _exit(0);
        }
        nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
        kill(child, SIGKILL);
        assert_int_equal(process_wait(child, &(int){0}, NULL), 0);
    }
    get(p, url, "main", NULL);
    assert_sh(p,
              "cmp up/big out/big && ls store/git/*.git/objects/pack | grep -vc '^pack-' || true",
              "0");
}

// What a kill at the worst moments leaves behind, put there by hand so that each is met every time.
static void leftovers_of_a_killed_fetch_are_swept(void **state)
{
    struct place *p = *state;
    make_repository(p);
    cleanup_free char *url = url_of(p, "up");
    get(p, url, "main", NULL);
    run_sh(p,
           "cd store/git/*.git; touch HEAD.lock config.lock packed-refs.lock objects/pack/tmp_1\n"
           "for r in refs/kbuild/ref/*; do touch $r.lock; done");
    run_sh(p, "cd up; git checkout -qb next; echo more > more; git add -A; git commit -qm more");
    get(p, url, "next", NULL);
    assert_sh(p, "cat out/more; find store/git/*.git -name '*.lock' -o -name 'tmp_*'", "more");
    // Killed while the mirror was made: no HEAD yet.
    run_sh(p, "cd store/git/*.git; rm HEAD; touch HEAD.lock");
    get(p, url, "next", NULL);
    assert_sh(p, "cat out/more", "more");
}

// ---- submodules ----
static void make_submodules(struct place *p)
{
    make_repository(p);
    run_sh(p,
           "[ -d $HOME/submodules ] || { g='git -c protocol.file.allow=always'\n"
           "git init -q -b main inner; cd inner; echo deep > deep; git add -A; git commit -qm a\n"
           "cd ..; git init -q -b main middle; cd middle; echo mid > mid\n"
           "$g submodule --quiet add ../inner lib/inner; git add -A; git commit -qm a; cd ..\n"
           "cd up; $g submodule --quiet add ../middle third/middle; git add -A\n"
           "git commit -qm sub; cd ../inner; echo later > deep; git commit -qam later; cd ..\n"
           "mkdir $HOME/submodules; mv up middle inner $HOME/submodules; }\n"
           "rm -rf up; cp -a $HOME/submodules/* .");
}

static void nested_submodules_are_exported_at_their_pinned_commits(void **state)
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
    spec.submodules = false;
    cleanup_free char *bare = fresh_folder(p, "bare");
    assert_ok(source_fetch(&spec, &pin, &p->o, bare, NULL, &err), &err);
    assert_sh(p, "find bare/third | sort | tr '\\n' ' '", "bare/third bare/third/middle ");
    source_pin_free(&pin);
    // Everything is in the mirrors now.
    run_sh(p, "rm -rf up middle inner");
    p->o.offline = true;
    get(p, url, "main", NULL);
    assert_sh(p, "cat out/third/middle/lib/inner/deep", "deep");
}

static void a_submodule_without_url_leaves_an_empty_folder_and_a_warning(void **state)
{
    struct place *p = *state;
    make_submodules(p);
    run_sh(p, "cd up; git rm -q --cached .gitmodules; rm .gitmodules; git commit -qm x");
    cleanup_free char *url = url_of(p, "up");
    get(p, url, "main", NULL);
    assert_sh(p, "ls -A out/third/middle", "");
    assert_says(p->said.data, "has no url in .gitmodules");
}

static void submodule_urls_are_resolved_like_git_does(void **state)
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

static void a_password_in_a_url_is_never_shown(void **state)
{
    cleanup_free char *shown = url_shown("https://me:secret@h/a@b?c=@d");
    assert_string_equal(shown, "https://h/a@b?c=@d");
    cleanup_free char *ssh = url_shown("git@h:a/b");
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

static void hostile_names_are_refused_and_nothing_is_written_outside(void **state)
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
        {"raw 60000 a $blob", "is neither file, folder, link nor submodule"},
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

static void a_tree_that_unfolds_without_end_is_stopped(void **state)
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
    assert_refused(source_fetch(&spec, &pin, &p->o, out, NULL, &err), &err, "256 folders deep");
    source_pin_free(&pin);
}

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

static void everything_works_over_gits_own_protocol(void **state)
{
    struct place *p = *state;
    make_submodules(p);
    start_daemon(p);
    cleanup_free char *base = xasprintf("git://127.0.0.1:%u", p->port);
    fetch_by_every_means(p, base);
}

static void everything_works_over_http(void **state)
{
    struct place *p = *state;
    make_submodules(p);
    start_http(p);
    cleanup_free char *base = xasprintf("http://127.0.0.1:%u/git", p->port);
    fetch_by_every_means(p, base);
}

static void a_server_that_hands_out_any_commit_is_asked_for_just_that(void **state)
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

static void only_the_asked_for_branch_is_fetched(void **state)
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
static void history_stays_away_where_libgit2_can(void **state)
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

static void insteadof_is_honoured(void **state)
{
    struct place *p = *state;
    make_submodules(p);
    run_sh(p, "git config --global url.file://$PWD/.insteadOf https://upstream.invalid/");
    get(p, "https://upstream.invalid/up", "main", NULL);
    run_sh(p, "rm -f $HOME/.gitconfig");
    assert_sh(p, "cat out/third/middle/lib/inner/deep", "deep");
    assert_non_null(lock_find(p->lock, "https://upstream.invalid/up", "main"));
}

static void an_upstream_that_cannot_be_reached_names_the_other_way(void **state)
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, place_begin, place_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_branch_is_exported_as_it_was_committed),
        TEST(tags_of_both_kinds_lead_to_their_commit),
        TEST(a_commit_in_the_middle_of_history_is_found),
        TEST(an_abbreviated_commit_that_is_not_there_must_be_given_in_full),
        TEST(a_wrong_ref_gets_the_nearest_name),
        TEST(the_lock_is_written_once_and_answers_without_the_repository),
        TEST(locked_refuses_what_is_not_in_the_lock),
        TEST(offline_names_what_is_missing_and_uses_what_is_there),
        TEST(a_moved_tag_is_an_error_that_explains),
        TEST(a_branch_that_moved_on_still_gives_the_locked_commit),
        TEST(a_lock_with_another_tree_is_refused),
        TEST(a_mirror_is_fetched_incrementally),
        TEST(a_damaged_mirror_is_fetched_again),
        TEST(many_kbuilds_share_a_mirror),
        TEST(a_killed_fetch_does_no_harm),
        TEST(leftovers_of_a_killed_fetch_are_swept),
        TEST(nested_submodules_are_exported_at_their_pinned_commits),
        TEST(a_submodule_without_url_leaves_an_empty_folder_and_a_warning),
        TEST(submodule_urls_are_resolved_like_git_does),
        TEST(a_password_in_a_url_is_never_shown),
        TEST(hostile_names_are_refused_and_nothing_is_written_outside),
        TEST(a_tree_that_unfolds_without_end_is_stopped),
        TEST(everything_works_over_gits_own_protocol),
        TEST(everything_works_over_http),
        TEST(a_server_that_hands_out_any_commit_is_asked_for_just_that),
        TEST(only_the_asked_for_branch_is_fetched),
        TEST(history_stays_away_where_libgit2_can),
        TEST(insteadof_is_honoured),
        TEST(an_upstream_that_cannot_be_reached_names_the_other_way),
    };
    return cmocka_run_group_tests(tests, home_begin, home_end);
}
