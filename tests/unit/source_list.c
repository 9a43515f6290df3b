// SPDX-License-Identifier: Apache-2.0
// The lines that scripts of list sources print, and what records of them pin.
#include "test.h"

#include "source/list.h"

#include <stdint.h>
#include <string.h>

#define S1 "33333333333333333333333333333333cccccccccccccccccccccccccccccccc"
#define S2 "44444444444444444444444444444444cccccccccccccccccccccccccccccccc"
#define C1 "1111111111111111111111111111111111111111"

static int parse(const char *text, struct list *out, struct error **err)
{
    cleanup_strlist struct strlist folders = {0};
    strlist_add(&folders, "/srv/mirror");
    return list_parse(text, strlen(text), &folders, out, err);
}

TEST(lines_are_read)
{
    struct error *err = NULL;
    struct list l;
    int result = parse("archive https://h/a-1.tgz sha256=" S1 " purl=pkg:generic/a@1 a-1.tgz\n"
                       "archive !https://h/b http://u:p@m:8080/b file:///srv/mirror/b sha256=" S2
                       " x/b+1~%2C@=!,_\n"
                       "file https://h/c https://m/c c\n"
                       "git ssh://git@h/r commit=" C1 " git/r\n"
                       "ask https://h/config.json c\n"
                       "file pkg:generic/d@1?file_name=d.zip https://m/d purl=pkg:generic/d@1 d\n",
                       &l, &err);
    if (result)
        fail_msg("%s", err->message);
    assert_int_equal(l.n, 6);
    assert_int_equal(l.items[0].kind, LIST_ARCHIVE);
    assert_string_equal(l.items[0].urls.items[0], "https://h/a-1.tgz");
    assert_string_equal(l.items[0].digest, S1);
    assert_string_equal(l.items[0].purl, "pkg:generic/a@1");
    assert_string_equal(l.items[0].name, "a-1.tgz");
    assert_false(l.items[0].elsewhere);
    assert_true(l.items[1].elsewhere);
    assert_int_equal(l.items[1].urls.n, 3);
    assert_string_equal(l.items[1].urls.items[0], "https://h/b");
    assert_string_equal(l.items[2].urls.items[1], "https://m/c");
    assert_null(l.items[2].digest);
    assert_string_equal(l.items[3].digest, C1);
    assert_int_equal(l.items[4].kind, LIST_ASK); // its names are others
    assert_int_equal(l.items[4].number, 5);
    assert_true(l.items[5].elsewhere); // a purl is a name that nobody can be asked for
    assert_string_equal(l.items[5].urls.items[0], "pkg:generic/d@1?file_name=d.zip");
    assert_string_equal(l.items[5].purl, "pkg:generic/d@1");
    list_lines_free(&l);
    assert_int_equal(parse("nothing\n", &l, &err), 0);
    assert_int_equal(l.n, 0);
}

TEST(bad_lines_are_refused)
{
#define A "archive https://h/x sha256=" S1 " "
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "no line (a list without a file is the line \"nothing\")"},
        {"\n", "line 1: fields are separated by one blank, and none is empty: \"\""},
        {A "a\nhello world x\n", "line 2: a line begins with archive, file, git or ask"},
        {A "a\nnothing\n", "line 2: \"nothing\" is no line beside others"},
        {"<html>\n", "line 1: a line begins with"},
        {A "a", "line 1: it is cut: the newline at its end is missing"},
        {A " a\n", "one blank"},
        {A "a \n", "one blank"},
        {A "a b\n", "an archive line is: archive URL"},
        {"archive https://h/x a\n", "an archive line is"},
        {"archive sha256=" S1 " a\n", "an archive line is"},
        {"archive https://h/x sha256=" S1 "\n", "an archive line is"},
        {"archive https://h/x sha256=1234 a\n", "sha256= is followed by 64 lower-case hex digits"},
        {"archive https://h/x sha256=" S1 "00 a\n", "64 lower-case hex"},
        {"git https://h/x commit=" S1 " a\n", "commit= is followed by 40"},
        {"git https://h/x https://h/y commit=" C1 " a\n", "a git line is"},
        {"git /srv/mirror/x commit=" C1 " a\n", "the address of a repository begins with"},
        {"git file:///srv/mirror/x commit=" C1 " a\n", "the address of a repository begins with"},
        {"git ssh://-oProxyCommand=x/y commit=" C1 " a\n", "the address has no host"},
        {"ask https://h/x https://h/y a\n", "an ask line is"},
        {"file https://h/x sha256=" S1 " a\n", "an address begins with https:// or http://"},
        {A "../a\n", "the name is not a relative path"},
        {A "a/../b\n", "the name is not a relative path"},
        {A "/a\n", "the name is not a relative path"},
        {A "a/\n", "the name is not a relative path"},
        {A "a//b\n", "the name is not a relative path"},
        {A ".\n", "the name is not a relative path"},
        {A "-rf\n", "a part of the name begins with '-'"},
        {A "a/-b\n", "a part of the name begins with '-'"},
        {A "a\tb\n", "a name is made of letters"},
        {A "a\x1b[31m\n", "a name is made of letters"},
        {A "a\\b\n", "a name is made of letters"},
        {A "\xc3\xa9\n", "a name is made of letters"},
        {"file -https://h/x a\n", "an address begins with"},
        {"file --output=/etc/passwd a\n", "an address begins with"},
        {"file ftp://h/x a\n", "an address begins with"},
        {"file https:///x a\n", "the address has no host"},
        {"file https://h/\x7f a\n", "the address holds characters"},
        {"file https://a/b:c@h/x a\n", NULL},
        {"file http:/u:p@h/x a\n", "an address begins with"},
        {"file https://u:p/q@h/x a\n", "it is not clear where its login ends"},
        {"file !https://h/x a\n", NULL},
        {"file file:///srv/mirror/x a\n", "the first address of a line is http or https"},
        {"file https://h/x file:///etc/passwd a\n", "has to lie below a directory"},
        {"file https://h/x file:///srv/mirror2/x a\n", "has to lie below a directory"},
        {"file https://h/x file:///srv/mirror/../x a\n", "a file: address is file:///PATH"},
        {"file https://h/x file:///srv/mirror/%2e%2e/x a\n", "a file: address is file:///PATH"},
        {"file https://h/x file://host/srv/mirror/x a\n", "a file: address is file:///PATH"},
        {"ask file:///etc/passwd a\n", "has to lie below a directory"},
        {"ask pkg:generic/a@1 a\n", "an address begins with"},
        {"git pkg:generic/a@1 commit=" C1 " a\n", "the address of a repository begins with"},
        {"file https://h/x pkg:generic/a@1 a\n", "an address begins with"},
        {"file pkg: https://h/x a\n", "a purl is pkg:TYPE/NAME"},
        {"file pkg:x@1.0 https://h/x a\n", "a purl is pkg:TYPE/NAME"},
        {"file pkg:generic/ https://h/x a\n", "a purl is pkg:TYPE/NAME"},
        {"archive https://h/x sha256=" S1 " purl=pk:a a\n", "a purl begins with pkg:"},
        {"file pkg:generic/a@1 a\n", NULL},
        {"archive https://h/x sha256=" S1 " purl=npm/x a\n", "a purl begins with pkg:"},
        {A "a\n" A "b\n" A "a\n", "lines 1 and 3 both have the name a"},
        {A "a/b\n" A "a+c\n" A "a\n", "line 3 has the name a, which is a directory in line 1: a/b"},
        {"file 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6\n", "too many fields"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error *err = NULL;
        struct list l;
        int result = parse(cases[i].text, &l, &err);
        if (!cases[i].message) {
            assert_int_equal(result, 0);
            list_lines_free(&l);
            continue;
        }
        if (result == 0)
            fail_msg("accepted: %s", cases[i].text);
        if (!strstr(err->message, cases[i].message))
            fail_msg("%s\nis told: %s", cases[i].text, err->message);
        assert_int_equal(l.n, 0);
        error_free(err);
    }
    struct error *err = NULL;
    struct list l;
    static const char zero[] = "file https://h/x a\0b\n";
    assert_int_equal(list_parse(zero, sizeof zero - 1, NULL, &l, &err), -1);
    assert_non_null(strstr(err->message, "line 1: it holds a NUL character"));
    error_free(err);
}

TEST(a_message_shows_no_login_and_no_endless_line)
{
    struct error *err = NULL;
    struct list l;
    assert_int_equal(parse("file https://user:SECRET@h/x ../a\n", &l, &err), -1);
    assert_null(strstr(err->message, "SECRET"));
    assert_non_null(strstr(err->message, "https://h/x"));
    error_free(err);
    err = NULL;
    // Also where the message ends within it.
    struct buf text = {0};
    buf_puts(&text, "file https://h/");
    for (size_t i = 0; i < 165; i++)
        buf_puts(&text, "x");
    buf_puts(&text, " https://user:SECRET@h/a-longer-path ../a\n");
    assert_int_equal(parse(text.data, &l, &err), -1);
    assert_null(strstr(err->message, "SEC"));
    assert_non_null(strstr(err->message, "..."));
    error_free(err);
    err = NULL;
    text.len = 0;
    for (size_t i = 0; i < 100000; i++)
        buf_puts(&text, "x");
    buf_puts(&text, "\n");
    assert_int_equal(parse(text.data, &l, &err), -1);
    assert_true(strlen(err->message) < 400);
    error_free(err);
    buf_free(&text);
}

TEST(there_is_a_bound)
{
    struct error *err = NULL;
    struct list l;
    struct buf text = {0};
    for (size_t i = 0; i < LIST_LINES_MAX; i++)
        buf_printf(&text, "archive https://h/%zu sha256=" S1 " n%zu\n", i, i);
    assert_int_equal(parse(text.data, &l, &err), 0);
    assert_int_equal(l.n, LIST_LINES_MAX);
    list_lines_free(&l);
    buf_puts(&text, "archive https://h/x sha256=" S1 " x\n");
    assert_int_equal(parse(text.data, &l, &err), -1);
    assert_string_equal(err->message, "there are more than 100000 lines");
    error_free(err);
    buf_free(&text);
}

TEST(folders_are_found_in_configuration)
{
    cleanup_strlist struct strlist all = {0}, urls = {0};
    static const char text[] = "dir = \"/srv/mirror/\"\nproxy=file:///opt/p,https://x/y|direct\n"
                               "[/etc/../x] / //host/x 'relative/x' [\"/a\"]";
    list_folders(text, true, &all);
    cleanup_free char *joined = strlist_join(&all, " ");
    assert_string_equal(joined, "/srv/mirror /opt/p /a");
    list_folders(text, false, &urls);
    assert_int_equal(urls.n, 1);
    assert_string_equal(urls.items[0], "/opt/p");
}

TEST(pins_are_compared_with_the_lock)
{
    struct error *err = NULL;
    struct lock *lock = lock_load("/nonexistent/versions.lock", &err);
    assert_non_null(lock);
    json_t *entries =
        json_pack("[{s:s, s:s, s:s}, {s:s, s:s, s:s}]", "kind", "archive", "url", "https://h/a",
                  "sha256", S1, "kind", "file", "url", "https://h/b", "sha256", S1);
    assert_int_equal(list_pins_compare(entries, lock), LIST_PINS_NEW);
    list_pins_put(entries, lock);
    assert_int_equal(lock->n, 1); // an archive has its digest in the list
    assert_true(lock->entries[0].file);
    assert_int_equal(list_pins_compare(entries, lock), LIST_PINS_HOLD);
    lock_put(lock, &(struct lock_entry){
                       .url = (char *)"https://h/b", .sha256 = (char *)S2, .file = true});
    assert_int_equal(list_pins_compare(entries, lock), LIST_PINS_OTHER);
    json_object_set_new(json_array_get(entries, 1), "sha256", json_string("x"));
    assert_int_equal(list_pins_compare(entries, lock), LIST_PINS_OTHER);
    json_decref(entries);
    lock_free(lock);
}
