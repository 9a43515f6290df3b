// SPDX-License-Identifier: Apache-2.0
// versions.lock: read, written, and what is wrong in one.
#include "test.h"

#include "recipe/versions.h"

#include "base/file.h"

#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

#define C1 "1111111111111111111111111111111111111111"
#define C2 "2222222222222222222222222222222222222222"
#define T1 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define S1 "33333333333333333333333333333333cccccccccccccccccccccccccccccccc"
#define S2 "44444444444444444444444444444444cccccccccccccccccccccccccccccccc"

struct place {
    char *folder, *path;
};

static int set_up(void **state)
{
    struct place *p = xcalloc(1, sizeof *p);
    p->folder = make_temporary_directory("/tmp", "kbuild-lock", NULL);
    p->path = xasprintf("%s/versions.lock", p->folder);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    int result = remove_tree(p->folder, NULL);
    free(p->folder);
    free(p->path);
    free(p);
    return result;
}

static void write_file(const struct place *p, const char *text)
{
    assert_int_equal(file_write(p->path, text, strlen(text), 0644, NULL), 0);
}

static char *read_file_text(const struct place *p)
{
    struct buf b = {0};
    assert_int_equal(file_read(p->path, 1 << 20, &b, NULL), 0);
    return buf_take(&b);
}

static struct lock *load(const struct place *p)
{
    struct error *err = NULL;
    struct lock *l = lock_load(p->path, &err);
    if (err)
        print_message("unexpected: %s\n", err->message);
    assert_non_null(l);
    return l;
}

static void put_git(struct lock *l, const char *url, const char *ref, const char *commit)
{
    struct lock_entry e = {
        .url = (char *)url, .ref = (char *)ref, .commit = (char *)commit, .tree = (char *)T1};
    lock_put(l, &e);
}

static void put_archive(struct lock *l, const char *url, const char *sha256)
{
    struct lock_entry e = {.url = (char *)url, .sha256 = (char *)sha256};
    lock_put(l, &e);
}

static void save(struct lock *l)
{
    struct error *err = NULL;
    if (lock_save(l, &err) < 0)
        fail_msg("%s", err->message);
}

EACH_TEST(set_up, tear_down)

TEST(a_missing_file_is_an_empty_lock)
{
    struct place *p = *state;
    struct lock *l = load(p);
    assert_int_equal(l->n, 0);
    assert_null(lock_find(l, "https://x", NULL));
    save(l); // nothing changed: no file is made
    assert_false(path_exists(p->path));
    lock_free(l);
}

TEST(entries_are_written_sorted_and_read_back)
{
    struct place *p = *state;
    struct lock *l = load(p);
    put_git(l, "https://g/b", "v2", C2);
    put_git(l, "https://g/b", "v1", C1);
    put_git(l, "https://g/a b%", "odd ref\n", C1);
    put_archive(l, "https://z/x.tar.xz", S1);
    put_archive(l, "https://a/x.tar.xz", S2);
    save(l);
    lock_free(l);
    cleanup_free char *text = read_file_text(p);
    const char *entries = strstr(text, "archive https");
    assert_true(text[0] == '#');
    assert_string_equal(entries, "archive https://a/x.tar.xz sha256=" S2 "\n"
                                 "archive https://z/x.tar.xz sha256=" S1 "\n"
                                 "git https://g/a%20b%25 odd%20ref%0A commit=" C1 " tree=" T1 "\n"
                                 "git https://g/b v1 commit=" C1 " tree=" T1 "\n"
                                 "git https://g/b v2 commit=" C2 " tree=" T1 "\n");
    l = load(p);
    assert_int_equal(l->n, 5);
    assert_string_equal(lock_find(l, "https://g/a b%", "odd ref\n")->commit, C1);
    assert_string_equal(lock_find(l, "https://g/b", "v2")->commit, C2);
    assert_string_equal(lock_find(l, "https://z/x.tar.xz", NULL)->sha256, S1);
    assert_null(lock_find(l, "https://g/b", NULL)); // an archive of that url is something else
    assert_null(lock_find(l, "https://g/b", "v3"));
    assert_null(lock_find(l, "https://z/x.tar.xz", ""));
    lock_free(l);
}

TEST(comments_and_blank_lines_are_no_trouble)
{
    struct place *p = *state;
    write_file(p, "# ours\n\ngit https://g v1 commit=" C1 " tree=" T1 "\n# late\n");
    struct lock *l = load(p);
    put_archive(l, "https://a", S1);
    save(l);
    lock_free(l);
    cleanup_free char *text = read_file_text(p);
    assert_string_equal(text, "# ours\n# late\narchive https://a sha256=" S1 "\n"
                              "git https://g v1 commit=" C1 " tree=" T1 "\n");
}

TEST(a_file_is_an_archive_of_another_word)
{
    struct place *p = *state;
    write_file(p, "archive https://b sha256=" S1 "\nfile https://a sha256=" S2 "\n");
    struct lock *l = load(p);
    assert_string_equal(lock_find(l, "https://a", NULL)->sha256, S2);
    struct lock_entry e = {.url = (char *)"https://c", .sha256 = (char *)S1, .file = true};
    lock_put(l, &e);
    save(l);
    lock_free(l);
    cleanup_free char *text = read_file_text(p);
    assert_non_null(strstr(text, "\nfile https://a sha256=" S2 "\narchive https://b sha256=" S1
                                 "\nfile https://c sha256=" S1 "\n"));
}

TEST(an_entry_is_replaced)
{
    struct place *p = *state;
    write_file(p, "archive https://a sha256=" S1 "\n");
    struct lock *l = load(p);
    put_archive(l, "https://a", S1); // the same: nothing to write
    assert_false(l->changed);
    put_archive(l, "https://a", S2);
    assert_true(l->changed);
    assert_int_equal(l->n, 1);
    save(l);
    assert_false(l->changed);
    lock_free(l);
    l = load(p);
    assert_string_equal(lock_find(l, "https://a", NULL)->sha256, S2);
    lock_free(l);
}

TEST(broken_lines_are_named)
{
    struct place *p = *state;
    static const struct {
        const char *text;
        int line;
        const char *why;
    } cases[] = {
        {"hg https://x\n", 1, "a line begins with git, archive, file or #"},
        {"\n\n<<<<<<< HEAD\n", 3, "a line begins with git, archive, file or #"},
        {" # indented\n", 1, "a line begins with git, archive, file or #"},
        {"git https://x v1 commit=" C1 "\n", 1,
         "a git line is: git <url> <ref> commit=<hex> "
         "tree=<hex>"},
        {"git https://x v1 commit=" C1 " tree=" T1 " more\n", 1,
         "a git line is: git <url> <ref> commit=<hex> tree=<hex>"},
        {"git https://x v1 commit=" C1 " tree=" T1 " more and yet more\n", 1,
         "a git line is: git <url> <ref> commit=<hex> tree=<hex>"},
        {"git https://x v1 tree=" T1 " commit=" C1 "\n", 1, "commit= must be 40 or 64 hex digits"},
        {"git https://x v1 commit=11 tree=" T1 "\n", 1, "commit= must be 40 or 64 hex digits"},
        {"git https://x v1 commit=" C1 " tree=" S1 "3\n", 1, "tree= must be 40 or 64 hex digits"},
        {"git https://x %zz commit=" C1 " tree=" T1 "\n", 1, "the ref is empty or badly encoded"},
        {"git https://x a%00 commit=" C1 " tree=" T1 "\n", 1, "the ref is empty or badly encoded"},
        {"git https://x a%2 commit=" C1 " tree=" T1 "\n", 1, "the ref is empty or badly encoded"},
        {"git  v1 commit=" C1 " tree=" T1 "\n", 1, "the url is empty or badly encoded"},
        {"archive https://x sha256=" C1 "\n", 1, "sha256= must be 64 hex digits"},
        {"archive https://x sha256=" S1 "\r\r\n", 1, "sha256= must be 64 hex digits"},
        {"archive https://x  sha256=" S1 "\n", 1, "an archive line is: archive <url> sha256=<hex>"},
        {"archive https://x sha256=" S1 "\narchive https://x sha256=" S2 "\n", 2,
         "this contradicts an earlier line for the same source"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        write_file(p, cases[i].text);
        assert_null(lock_load(p->path, &err));
        cleanup_free char *expected = xasprintf("%s:%d: %s", p->path, cases[i].line, cases[i].why);
        assert_string_equal(err->message, expected);
        assert_non_null(err->hint);
    }
}

TEST(a_nul_in_the_file_is_an_error)
{
    struct place *p = *state;
    static const char text[] = "# a\n# \0\n";
    assert_int_equal(file_write(p->path, text, sizeof text - 1, 0644, NULL), 0);
    cleanup_error struct error *err = NULL;
    assert_null(lock_load(p->path, &err));
    assert_non_null(strstr(err->message, "versions.lock:2: a NUL character"));
}

TEST(the_same_line_twice_is_one_entry)
{
    struct place *p = *state;
    write_file(p, "archive https://x sha256=" S1 "\narchive https://x sha256=" S1 "\n");
    struct lock *l = load(p);
    assert_int_equal(l->n, 1);
    lock_free(l);
}

TEST(what_others_added_meanwhile_is_kept)
{
    struct place *p = *state;
    write_file(p, "archive https://gone sha256=" S1 "\n");
    struct lock *ours = load(p), *theirs = load(p);
    put_archive(theirs, "https://theirs", S1);
    save(theirs);
    put_archive(ours, "https://ours", S2);
    save(ours);
    assert_non_null(lock_find(ours, "https://theirs", NULL)); // and is known from now on
    lock_free(theirs);
    // A line that was removed meanwhile does not come back.
    write_file(p, "archive https://theirs sha256=" S1 "\n");
    put_archive(ours, "https://more", S2);
    save(ours);
    lock_free(ours);
    struct lock *l = load(p);
    assert_int_equal(l->n, 2);
    assert_non_null(lock_find(l, "https://theirs", NULL));
    assert_non_null(lock_find(l, "https://more", NULL));
    lock_free(l);
}

TEST(a_source_that_changed_between_two_runs_is_an_error)
{
    struct place *p = *state;
    struct lock *ours = load(p), *theirs = load(p);
    put_git(theirs, "https://g", "main", C2);
    save(theirs);
    put_git(ours, "https://g", "main", C1);
    cleanup_error struct error *err = NULL;
    assert_int_equal(lock_save(ours, &err), -1);
    assert_non_null(strstr(err->message, "another kbuild has meanwhile recorded https://g main as "
                                         "" C2 ", but this one used " C1));
    lock_free(ours);
    lock_free(theirs);
    struct lock *l = load(p); // and the file is as it was
    assert_string_equal(lock_find(l, "https://g", "main")->commit, C2);
    lock_free(l);
}

TEST(many_writers_lose_nothing)
{
    struct place *p = *state;
    enum { WRITERS = 8, EACH = 12 };
    pid_t pids[WRITERS];
    for (int w = 0; w < WRITERS; w++) {
        pids[w] = fork();
        assert_true(pids[w] >= 0);
        if (pids[w])
            continue;
        int failed = 0;
        for (int i = 0; i < EACH && !failed; i++) {
            struct lock *l = lock_load(p->path, NULL);
            char url[64];
            snprintf(url, sizeof url, "https://w%d/%d", w, i);
            if (!l)
                _exit(1);
            put_archive(l, url, S1);
            failed = lock_save(l, NULL);
            lock_free(l);
        }
        _exit(failed ? 1 : 0);
    }
    for (int w = 0; w < WRITERS; w++) {
        int status;
        assert_int_equal(waitpid(pids[w], &status, 0), pids[w]);
        assert_int_equal(status, 0);
    }
    struct lock *l = load(p);
    assert_int_equal(l->n, WRITERS * EACH);
    lock_free(l);
    struct strlist names = {0}; // nothing but the file is left
    assert_int_equal(list_directory(p->folder, &names, NULL), 0);
    assert_int_equal(names.n, 1);
    strlist_free(&names);
}

TEST(a_lock_that_cannot_be_written_is_an_error)
{
    struct place *p = *state;
    cleanup_free char *path = xasprintf("%s/missing/versions.lock", p->folder);
    struct lock *l = lock_load(path, NULL);
    put_archive(l, "https://a", S1);
    cleanup_error struct error *err = NULL;
    assert_int_equal(lock_save(l, &err), -1);
    assert_non_null(strstr(err->message, "No such file or directory"));
    assert_true(l->changed);
    lock_free(l);
}

TEST(a_lock_that_would_be_too_large_stays_as_it_was)
{
    struct place *p = *state;
    static const char old[] = "archive https://old sha256=" S1 "\n";
    enum { MIB = 1 << 20 };
    write_file(p, old);
    struct lock *l = load(p);
    cleanup_free char *url = xcalloc(1, MIB);
    memset(url, 'x', MIB - 1);
    memcpy(url, "https://", 8);
    for (int i = 0; i < 16; i++) {
        url[8] = (char)('a' + i);
        put_archive(l, url, S1);
    }
    cleanup_error struct error *err = NULL;
    assert_int_equal(lock_save(l, &err), -1);
    assert_non_null(strstr(err->message, "the limit is 16777216 bytes"));
    assert_non_null(strstr(err->hint, "remove lines"));
    assert_true(l->changed);
    lock_free(l);
    cleanup_free char *text = read_file_text(p);
    assert_string_equal(text, old);
}
