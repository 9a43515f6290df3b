// SPDX-License-Identifier: Apache-2.0
// Git sources from repositories made by git itself: refs, the lock, mirrors, kills.
#include "test.h"

#include "source_git_help.h"

EACH_TEST(place_begin, place_end)
ALL_TESTS(home_begin, home_end)

TEST(a_branch_is_exported_as_it_was_committed)
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

TEST(tags_of_both_kinds_lead_to_their_commit)
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

TEST(a_commit_in_the_middle_of_history_is_found)
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

TEST(an_abbreviated_commit_that_is_not_there_must_be_given_in_full)
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

TEST(a_wrong_ref_gets_the_nearest_name)
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

TEST(the_lock_is_written_once_and_answers_without_the_repository)
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

// 002 is what ordinary users have in many distributions.
TEST(the_cache_can_be_opened_again_whatever_the_umask)
{
    struct place *p = *state;
    make_repository(p);
    cleanup_free char *url = url_of(p, "up");
    mode_t mask = umask(0);
    get(p, url, "main", NULL);
    umask(mask);
    place_reopen(p);
    assert_sh(p, "stat -c %a store/git", "755");
}

TEST(locked_refuses_what_is_not_in_the_lock)
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

TEST(offline_names_what_is_missing_and_uses_what_is_there)
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

TEST(a_moved_tag_is_an_error_that_explains)
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

TEST(a_branch_that_moved_on_still_gives_the_locked_commit)
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

TEST(a_lock_with_another_tree_is_refused)
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

TEST(a_mirror_is_fetched_incrementally)
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

TEST(a_damaged_mirror_is_fetched_again)
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

TEST(many_kbuilds_share_a_mirror)
{
    struct place *p = *state;
    make_repository(p);
    cleanup_free char *url = url_of(p, "up");
    together(p, get_in_child, url);
    assert_sh(p, "cat out0/file out1/file out2/file out3/file", "two\none\ntwo\none");
}

// A fetch that dies at any moment leaves a mirror that the next one can use.
TEST(a_killed_fetch_does_no_harm)
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
TEST(leftovers_of_a_killed_fetch_are_swept)
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
