// SPDX-License-Identifier: Apache-2.0
// Hostile tarballs and hostile trees: nothing lands outside, nothing is half done.
#include "test.h"

#include "pack_help.h"

#include "pack/pack.h"

static int run(const char *script)
{
    char *const argv[] = {(char *)"sh", (char *)"-euc", (char *)script, NULL};
    struct process p = {.argv = argv, .directory = scratch, .input = -1};
    struct error *err = NULL;
    int result = process_run(&p, NULL, &err);
    if (err)
        print_message("%s\n", err->message);
    error_free(err);
    return result;
}

// Installs a.tar, and b.tar if it is there, into root/usr.
static int install(const struct install_link *link, struct error **err)
{
    cleanup_strlist struct strlist paths = {0};
    static const char *const names[] = {"a.tar", "b.tar"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (path_exists(at("%s", names[i])))
            strlist_add(&paths, at("%s", names[i]));
    cleanup_free char *root = xstrdup(at("root"));
    const struct install_options o = {.from = "opt/kata",
                                      .prefix = "/usr",
                                      .root = root,
                                      .links = link,
                                      .link_count = link ? 1 : 0};
    return install_archives(&paths, &o, err);
}

#define FRESH "rm -rf root t u *.tar outside; mkdir -p root outside t/opt/kata u/opt/kata; "
#define PACK "tar -C t -cf a.tar ."

ALL_TESTS(make_scratch, drop_scratch)

TEST(bad_tarballs_change_nothing)
{
    static const char *const cases[][2] = {
        // a script that makes a.tar, and b.tar | what the message has
        {"mkdir t/etc; echo x >t/etc/hosts; " PACK, "host's own files"},
        {"echo x >t/opt/other; " PACK, "is not below /opt/kata"},
        {"echo x >t/opt/kata-more; " PACK, "is not below /opt/kata"},
        {"rmdir t/opt/kata; echo x >t/opt/kata; " PACK, "is not below /opt/kata"},
        {"ln -s /etc/passwd t/opt/kata/x; " PACK, "leads out of /opt/kata"},
        {"ln -s ../x t/opt/kata/x; " PACK, "leads out of /opt/kata"},
        {"mkfifo t/opt/kata/x; " PACK, "device node, fifo or socket"},
        {"echo x >t/opt/kata/x; echo y >u/opt/kata/x; " PACK "; tar -C u -cf b.tar .",
         "disagree about"},
        {"ln -s y t/opt/kata/x; mkdir -p u/opt/kata/x; echo y >u/opt/kata/x/z; " PACK
         "; tar -C u -cf b.tar .",
         "disagree about"},
        {"echo x >t/opt/kata/x; " PACK "; truncate -s 2600 a.tar", "a.tar"},
        {"echo x >t/opt/kata/y; mkdir -p root/usr/x; echo x >t/opt/kata/x; " PACK,
         "/usr/x is a directory"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error *err = NULL;
        cleanup_free char *script = xasprintf(FRESH "%s", cases[i][0]);
        assert_int_equal(run(script), 0);
        expect_error(install(NULL, &err), err, cases[i][1]);
        assert_int_equal(run("[ -z \"$(find root -type f -o -type l)\" ]"), 0);
    }
}

TEST(files_appear_when_all_of_them_are_written)
{
    struct error *err = NULL;
    assert_int_equal(run(FRESH
                         "mkdir t/opt/kata/d; echo new >t/opt/kata/d/x; ln -s d/x t/opt/kata/l; "
                         "ln t/opt/kata/d/x t/opt/kata/h; chmod 744 t/opt/kata/d/x; " PACK
                         "; mkdir -p root/usr/d; echo old >root/usr/d/x; cp -a root copy"),
                     0);
    no_error(install(NULL, &err), err);
    assert_int_equal(run("[ $(cat root/usr/l) = new ]; [ root/usr/h -ef root/usr/d/x ]; "
                         "[ $(stat -c %a root/usr/h) = 744 ]; "
                         "[ $(find root | wc -l) -eq 6 ]"),
                     0);
    // Again, over itself.
    no_error(install(NULL, &err), err);
    assert_int_equal(run("[ root/usr/h -ef root/usr/d/x ]; [ $(find root | wc -l) -eq 6 ]; "
                         "rm -r copy"),
                     0);
}

TEST(links_of_the_tree_stay_in_it)
{
    static const char *const links[] = {"/../../../../../outside", "../../../outside", "/outside",
                                        "/proc/self/root"};
    for (size_t i = 0; i < ARRAY_LEN(links); i++) {
        struct error *err = NULL;
        cleanup_free char *script =
            xasprintf(FRESH "echo x >t/opt/kata/x; " PACK "; ln -s %s root/usr", links[i]);
        assert_int_equal(run(script), 0);
        int result = install(NULL, &err);
        assert_int_equal(result, -1);
        error_free(err);
        assert_int_equal(run("[ -z \"$(ls outside)\" ]; [ $(find root | wc -l) -eq 2 ]"), 0);
    }
    // A link that is a file's place is replaced, not followed.
    struct error *err = NULL;
    assert_int_equal(
        run(FRESH "echo x >t/opt/kata/x; " PACK
                  "; mkdir root/usr; echo safe >outside/f; ln -s \"$PWD/outside/f\" root/usr/x"),
        0);
    no_error(install(NULL, &err), err);
    assert_int_equal(
        run("[ $(cat outside/f) = safe ]; [ ! -L root/usr/x ]; [ $(cat root/usr/x) = x ]"), 0);
}

TEST(an_own_link_must_lead_to_something_and_be_new)
{
    static const struct install_link good = {"share/short", "long"}, nowhere = {"share/short", "x"},
                                     taken = {"share/long", "long"};
    struct error *err = NULL;
    assert_int_equal(run(FRESH "mkdir t/opt/kata/share; echo x >t/opt/kata/share/long; " PACK), 0);
    expect_error(install(&nowhere, &err), err, "would lead to nothing");
    err = NULL;
    expect_error(install(&taken, &err), err, "in a tarball already");
    err = NULL;
    no_error(install(&good, &err), err);
    assert_int_equal(run("[ $(readlink root/usr/share/short) = long ]"), 0);
}
