// SPDX-License-Identifier: Apache-2.0
// Folders in the place of sources: which files count, that the pin is the tree that the store
// makes of them, and that nothing else than the pinned content is ever a source.
#include "test.h"

#include "source_help.h"

static struct source_spec spec_of(const struct place *p, const char *folder)
{
    return (struct source_spec){.kind = SOURCE_LOCAL,
                                .label = (char *)"demo",
                                .url = xasprintf("%s/%s", p->folder, folder),
                                .submodules = SUBMODULES_YES};
}

// Pins, copies, stores; returns the tree's digest, to be freed.
static char *take(struct place *p, const char *folder, int64_t *epoch)
{
    struct source_spec spec = spec_of(p, folder);
    struct source_pin pin = {0};
    cleanup_error struct error *err = NULL;
    char digest[DIGEST_HEX_SIZE];
    struct stat st;
    cleanup_free char *to = store_temporary(p->store, "source", &err);
    assert_ok(to ? 0 : -1, &err);
    assert_ok(source_resolve(&spec, &p->o, &pin, &err), &err);
    assert_ok(source_fetch(&spec, &pin, &p->o, to, NULL, &err), &err);
    assert_int_equal(stat(to, &st), 0);
    *epoch = st.st_mtim.tv_sec;
    assert_int_equal(*epoch, pin.time);
    assert_ok(store_put_tree(p->store, to, digest, &err), &err);
    assert_string_equal(digest, pin.sha256);
    source_pin_free(&pin);
    free(spec.url);
    return xstrdup(digest);
}

EACH_TEST(place_begin, place_end)
ALL_TESTS(home_begin, home_end)

TEST(the_pin_is_the_tree_that_the_store_makes)
{
    struct place *p = *state;
    int64_t epoch;
    // names whose order depends on where '/' is sorted, and one that has to be escaped
    run_sh(p, "mkdir -p f/a/b f/a.d f/a-d 'f/a b' f/empty/deep; cd f; echo 1 >a/b/c; echo 2 >a.d/x;"
              "echo 3 >a-d/x; echo 4 >'a b/x'; echo 5 >a/bc; ln -s ../nowhere a/link; printf x "
              ">$'new\\nline';"
              "chmod 700 a/bc; chmod 044 a-d/x; chmod u+r a-d/x");
    cleanup_free char *plain = take(p, "f", &epoch);
    assert_int_equal(epoch, 315532800);
    run_sh(p, "cp -r f g; find g -exec touch -h -d 2001-01-01 {} +; mkdir g/a/.git; echo x "
              ">g/a/.git/HEAD");
    cleanup_free char *copy = take(p, "g", &epoch);
    assert_string_equal(plain, copy);
    run_sh(p, "chmod -x g/a/bc");
    cleanup_free char *other = take(p, "g", &epoch);
    assert_string_not_equal(plain, other);
}

TEST(git_says_which_files_count)
{
    struct place *p = *state;
    int64_t epoch;
    run_sh(
        p,
        "git init -q w; cd w; mkdir -p a gone; echo 1 >a/f; echo 2 >gone/f; echo '*.o' >.gitignore;"
        "touch forced.o; git add .; git add -f forced.o; git commit -qm one");
    cleanup_free char *clean = take(p, "w", &epoch);
    assert_int_equal(epoch, 1600000001);
    run_sh(p, "touch w/x.o; touch -d 2001-01-01 w/a/f; cp -r w v");
    cleanup_free char *same = take(p, "v", &epoch);
    assert_string_equal(clean, same);
    // what git has in its index, but the disk has not; a file in the place of a folder, and the
    // reverse; a file that is tracked though a rule says to ignore it
    run_sh(
        p,
        "cd w; rm -r gone a; echo new >gone; rm .gitignore; mkdir .gitignore; echo x >.gitignore/y;"
        "rm x.o; cd ..; mkdir plain; cp -r w/.gitignore w/gone w/forced.o plain");
    cleanup_free char *dirty = take(p, "w", &epoch);
    assert_int_equal(epoch, 1600000001);
    cleanup_free char *expected = take(p, "plain", &epoch);
    assert_string_equal(dirty, expected);
}

TEST(what_changed_since_the_pin_is_no_source)
{
    struct place *p = *state;
    struct source_spec spec = spec_of(p, "f");
    static const char *const changes[] = {"echo 3 >f/a",  "rm f/b",      "echo >f/c",
                                          "chmod +x f/a", "ln -s a f/d", "rm f/a; mkdir f/a"};
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct source_pin pin = {0};
        cleanup_error struct error *err = NULL, *why = NULL;
        run_sh(p, "rm -rf f; mkdir f; echo 1 >f/a; echo 2 >f/b");
        cleanup_free char *to = store_temporary(p->store, "source", &err);
        assert_ok(source_resolve(&spec, &p->o, &pin, &err), &err);
        run_sh(p, "%s", changes[i]);
        assert_int_equal(source_fetch(&spec, &pin, &p->o, to, NULL, &why), -1);
        assert_non_null(strstr(why->message, "changed since it was looked at"));
        assert_non_null(strstr(why->hint, "run it again"));
        source_pin_free(&pin);
    }
    free(spec.url);
}

static void refused(struct place *p, const char *script, const char *why)
{
    struct source_spec spec = spec_of(p, "f");
    struct source_pin pin = {0};
    cleanup_error struct error *err = NULL;
    run_sh(p, "rm -rf f; %s", script);
    assert_int_equal(source_resolve(&spec, &p->o, &pin, &err), -1);
    if (!strstr(err->message, why))
        assert_string_equal(err->message, why);
    free(spec.url);
}

TEST(what_cannot_be_a_source_is_refused)
{
    struct place *p = *state;
    refused(p, "true", "opening");
    refused(p, "mkdir f", "holds no file");
    refused(p, "mkdir f; mkfifo f/x", "f/x is a fifo");
    refused(p, "mkdir f; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"f/s\")'",
            "f/s is a socket");
    refused(p, "git init -q --bare f", "bare git repository");
    refused(p, "git init -q f; echo '*' >f/.gitignore", "holds no file");
    refused(p, "mkdir -p f/.git; echo >f/a", "f/.git is no usable git repository");
    refused(p, "git init -q f; mkdir -p f/b/.git; echo >f/b/c",
            "f/b/.git is no usable git repository");
    refused(
        p,
        "git init -q f; git -C f commit -qm x --allow-empty; echo rubbish >f/.git/index; echo >f/a",
        "git");
}

TEST(choices_are_read)
{
    static const char *const wrong[] = {"a", "a=", "=b", "a=nowhere", "a=/etc/passwd", "a=~/x"};
    struct place *p = *state;
    struct source_choices c = {0};
    cleanup_error struct error *err = NULL;
    cleanup_free char *text = xasprintf("x=%s\n y=debian \n", p->folder);
    assert_ok(source_choices_environment(&c, text, &err), &err);
    assert_ok(source_choices_add(&c, "y=upstream", NULL, &err), &err);
    assert_ok(source_choices_add(&c, "z=upstream", NULL, &err), &err);
    assert_int_equal(c.n, 3);
    assert_string_equal(source_choice_of(&c, "x")->folder, p->folder);
    assert_int_equal(source_choice_of(&c, "y")->origin, ORIGIN_UPSTREAM);
    assert_null(source_choice_of(&c, "y")->where);
    assert_null(source_choice_of(&c, "w"));
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        cleanup_error struct error *why = NULL;
        assert_int_equal(source_choices_add(&c, wrong[i], NULL, &why), -1);
        assert_int_equal(why->kind, ERROR_USAGE);
        assert_non_null(why->hint);
    }
    cleanup_error struct error *twice = NULL;
    assert_int_equal(source_choices_add(&c, "z=debian", NULL, &twice), -1);
    assert_non_null(strstr(twice->message, "named twice"));
    // The environment's is an error where it is used.
    cleanup_error struct error *unused = NULL;
    assert_ok(source_choices_environment(&c, "v=nowhere", &err), &err);
    assert_ok(source_choice_check(source_choice_of(&c, "x"), &err), &err);
    assert_int_equal(source_choice_check(source_choice_of(&c, "v"), &unused), -1);
    assert_int_equal(unused->kind, ERROR_USAGE);
    assert_says(unused->message, "KBUILD_SOURCE: v=nowhere: No such file");
    assert_non_null(unused->hint);
    source_choices_free(&c);
}
