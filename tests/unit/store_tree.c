// SPDX-License-Identifier: Apache-2.0
// Trees of the store: taken in, listed and laid out again as they were.
#include "test.h"

#include "store_help.h"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

static void list(const char *path, struct buf *out)
{
    struct error *err = NULL;
    static const struct tree_options options = {0};
    tree_list(path, &options, out, &err);
    no_error(err);
}

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

EACH_TEST(set_up, tear_down)

TEST(a_listing_is_what_tree_h_says)
{
    struct fixture *f = *state;
    cleanup_free char *path = xasprintf("%s/t", f->folder);
    add_file(path, "a/z", "", 0644);
    add_file(path, "a!", "", 0600);
    add_file(path, "b c", "", 0711);
    add_file(path, "back\\slash\n\x01\xff", "", 0644);
    cleanup_free char *link = xasprintf("%s/link", path);
    assert_int_equal(symlink("to a\xc3\xa4", link), 0);
    cleanup_buf struct buf listing = {0};
    list(path, &listing);
    assert_string_equal(listing.data, "kbuild-tree 1\n"
                                      "d a\n"
                                      "f 0 " EMPTY_SHA256 " a/z\n"
                                      "f 0 " EMPTY_SHA256 " a!\n"
                                      "x 0 " EMPTY_SHA256 " b\\x20c\n"
                                      "f 0 " EMPTY_SHA256 " back\\x5cslash\\x0a\\x01\\xff\n"
                                      "l to\\x20a\\xc3\\xa4 link\n");
}

TEST(a_listing_reads_back_as_it_was_written)
{
    struct fixture *f = *state;
    cleanup_free char *path = xasprintf("%s/t", f->folder);
    static const char name[] = "every \\ byte\n\t\x7f\x80\xff'\"";
    add_file(path, name, "12345", 0755);
    cleanup_free char *link = xasprintf("%s/link", path);
    assert_int_equal(symlink("../\x01 out", link), 0);
    cleanup_buf struct buf text = {0};
    list(path, &text);
    cleanup_tree_reader struct tree_reader r = {.text = text.data, .length = text.len};
    assert_int_equal(tree_next(&r, NULL), 1);
    assert_int_equal(r.entry.kind, TREE_EXECUTABLE);
    assert_string_equal(r.entry.path, name);
    assert_int_equal(r.entry.size, 5);
    assert_null(r.entry.target);
    assert_int_equal(tree_next(&r, NULL), 1);
    assert_int_equal(r.entry.kind, TREE_LINK);
    assert_string_equal(r.entry.target, "../\x01 out");
    assert_int_equal(tree_next(&r, NULL), 0);
}

TEST(a_listing_that_is_none_is_refused)
{
    static const char *const bad[] = {
        "",
        "kbuild-tree 2\n",
        "kbuild-tree 1",
        "kbuild-tree 1\nd",
        "kbuild-tree 1\nd \n",
        "kbuild-tree 1\nd a",
        "kbuild-tree 1\nd a b\n",
        "kbuild-tree 1\nd ..\n",
        "kbuild-tree 1\nd a/../b\n",
        "kbuild-tree 1\nd /etc\n",
        "kbuild-tree 1\nd a//b\n",
        "kbuild-tree 1\nd \\x2e\\x2e\n", // ".." in disguise
        "kbuild-tree 1\nd a\\x00b\n",    // NUL
        "kbuild-tree 1\nd a\\x0\n",      // cut short
        "kbuild-tree 1\nd a\\x0A\n",     // not what tree_escape() writes
        "kbuild-tree 1\nd a\\n\n",
        "kbuild-tree 1\nd a\xc3\xa4\n",
        "kbuild-tree 1\nq a\n",
        "kbuild-tree 1\nf 0 a\n",
        "kbuild-tree 1\nf 00 " EMPTY_SHA256 " a\n",
        "kbuild-tree 1\nf -1 " EMPTY_SHA256 " a\n",
        "kbuild-tree 1\nf 99999999999999999999 " EMPTY_SHA256 " a\n",
        "kbuild-tree 1\nf 0 abc a\n",
        "kbuild-tree 1\nl a\n",
        "kbuild-tree 1\nl  a\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error *err = NULL;
        uint64_t bytes;
        if (tree_bytes(bad[i], strlen(bad[i]), &bytes, &err) == 0)
            fail_msg("accepted: %s", bad[i]);
        assert_non_null(err);
        error_free(err);
    }
}

TEST(a_tree_is_stored_and_found)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    put_tree(f->store, "text", digest);
    assert_int_equal(store_has_tree(f->store, digest, false, NULL), 1);
    assert_int_equal(store_has_tree(f->store, digest, true, NULL), 1);
    reopen(f);
    assert_int_equal(store_has_tree(f->store, digest, true, NULL), 1);
    cleanup_free char *path = store_tree_path(f->store, digest);
    cleanup_free char *file = xasprintf("%s/usr/share/text", path);
    cleanup_buf struct buf text = {0};
    assert_int_equal(file_read(file, 100, &text, NULL), 0);
    assert_string_equal(text.data, "text");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0755); // it was made 0700
    char other[DIGEST_HEX_SIZE];
    fake_key(1, other);
    assert_int_equal(store_has_tree(f->store, other, false, NULL), 0);
    assert_int_equal(store_has_tree(f->store, other, true, NULL), 0);
}

TEST(times_and_other_mode_bits_do_not_count)
{
    struct fixture *f = *state;
    char first[DIGEST_HEX_SIZE], second[DIGEST_HEX_SIZE];
    put_tree(f->store, "text", first);
    cleanup_free char *path = make_tree(f->store, "text");
    cleanup_free char *file = xasprintf("%s/usr/share/text", path);
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    assert_int_equal(utimensat(AT_FDCWD, file, times, 0), 0);
    assert_int_equal(chmod(file, 0666), 0);
    assert_int_equal(store_put_tree(f->store, path, second, NULL), 0);
    assert_string_equal(first, second);
    assert_false(path_exists(path)); // the second one is gone
    assert_int_equal(count_in(f, "trees"), 1);
}

TEST(everything_else_counts)
{
    struct fixture *f = *state;
    char original[DIGEST_HEX_SIZE], changed[DIGEST_HEX_SIZE];
    static const char *const changes[] = {
        "chmod +x usr/share/text", "printf x >>usr/share/text", "rm empty",
        "ln -snf usr/lib bin",     "mv hollow Hollow",          "rmdir hollow; touch hollow",
        "touch usr/new",           "mv empty 'empty '",         "rm bin; mkdir bin",
    };
    put_tree(f->store, "text", original);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        cleanup_free char *path = make_tree(f->store, "text");
        cleanup_free char *command = xasprintf("cd %s && %s", path, changes[i]);
        assert_int_equal(system(command), 0);
        assert_int_equal(store_put_tree(f->store, path, changed, NULL), 0);
        assert_string_not_equal(original, changed);
    }
    assert_int_equal(store_verify(f->store, NULL, NULL, NULL), 0);
}

TEST(the_time_of_the_root_is_kept)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *path = make_tree(f->store, "text");
    struct timespec times[2] = {{.tv_sec = 12345}, {.tv_sec = 1700000000}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(store_put_tree(f->store, path, digest, NULL), 0);
    cleanup_free char *there = store_tree_path(f->store, digest);
    struct stat st;
    assert_int_equal(stat(there, &st), 0);
    assert_int_equal(st.st_mtim.tv_sec, 1700000000);
}

TEST(an_empty_tree_is_a_tree)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE], expected[DIGEST_HEX_SIZE];
    cleanup_free char *path = store_temporary(f->store, "with/slash", NULL);
    assert_int_equal(store_put_tree(f->store, path, digest, NULL), 0);
    digest_bytes("kbuild-tree 1\n", 14, expected);
    assert_string_equal(digest, expected);
    assert_int_equal(store_has_tree(f->store, digest, true, NULL), 1);
}

TEST(a_folder_inside_a_temporary_one_can_be_stored)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *path = make_tree(f->store, "text");
    cleanup_free char *inner = xasprintf("%s/usr", path);
    store_put_tree(f->store, inner, digest, &err);
    no_error(err);
    assert_true(path_exists(path));
    assert_int_equal(remove_tree(path, NULL), 0);
}

TEST(special_files_are_refused_by_name)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *path = make_tree(f->store, "text");
    cleanup_free char *special = xasprintf("%s/usr/odd\nname", path);
    assert_int_equal(mkfifo(special, 0644), 0);
    assert_int_equal(store_put_tree(f->store, path, digest, &err), -1);
    expect_error(&err, "/usr/odd\\x0aname is a fifo");
    assert_int_equal(unlink(special), 0);
    if (mknod(special, S_IFCHR | 0600, makedev(1, 3)) == 0) { // root
        assert_int_equal(store_put_tree(f->store, path, digest, &err), -1);
        expect_error(&err, "is a character device");
        assert_int_equal(unlink(special), 0);
    }
    cleanup_free char *name = xasprintf("%s/s", path);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(name) < sizeof address.sun_path) {
        memcpy(address.sun_path, name, strlen(name) + 1);
        cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(store_put_tree(f->store, path, digest, &err), -1);
        expect_error(&err, "/s is a socket");
    }
    assert_int_equal(count_in(f, "trees"), 0);
}

TEST(links_are_not_followed)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *path = store_temporary(f->store, "tree", NULL);
    cleanup_free char *out = xasprintf("%s/etc", path);
    cleanup_free char *loop = xasprintf("%s/loop", path);
    assert_int_equal(symlink("/etc", out), 0);
    assert_int_equal(symlink("loop", loop), 0);
    assert_int_equal(store_put_tree(f->store, path, digest, NULL), 0);
    cleanup_buf struct buf listing = {0};
    assert_int_equal(store_tree_listing(f->store, digest, &listing, NULL), 1);
    assert_string_equal(listing.data, "kbuild-tree 1\nl /etc etc\nl loop loop\n");
}

TEST(only_folders_below_tmp_can_be_stored)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *mine = xasprintf("%s/precious", f->folder);
    cleanup_free char *sneaky = xasprintf("%s/tmp/../../precious", f->cache);
    add_file(mine, "file", "", 0644);
    const char *const paths[] = {mine, sneaky, "/", "."};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        assert_int_equal(store_put_tree(f->store, paths[i], digest, &err), -1);
        expect_error(&err, "is not below");
    }
    cleanup_free char *folder = store_temporary(f->store, "x", NULL);
    cleanup_free char *link = xasprintf("%s/link", folder);
    assert_int_equal(symlink(mine, link), 0);
    assert_int_equal(store_put_tree(f->store, link, digest, &err), -1);
    expect_error(&err, "is not a directory");
    cleanup_free char *none = xasprintf("%s/none", folder);
    assert_int_equal(store_put_tree(f->store, none, digest, &err), -1);
    expect_error(&err, "none");
}

TEST(too_many_folders_inside_one_another_are_refused)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    char digest[DIGEST_HEX_SIZE];
    cleanup_free char *path = store_temporary(f->store, "deep", NULL);
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < TREE_DEPTH_MAX + 5; i++) {
        assert_int_equal(mkdirat(fd, "d", 0755), 0);
        int inner = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(inner >= 0);
        close(fd);
        fd = inner;
    }
    assert_int_equal(store_put_tree(f->store, path, digest, &err), -1);
    expect_error(&err, "inside one another");
}

static void store_unreadable_tree(struct fixture *f)
{
    cleanup_free char *cache = xasprintf("%s/users/cache", f->folder);
    struct store *s = store_open(cache, NULL);
    check(s);
    struct error *err = NULL;
    char digest[DIGEST_HEX_SIZE];
    char *path = make_tree(s, "text");
    char *file = xasprintf("%s/usr/share/text", path);
    char *folder = xasprintf("%s/usr/share", path);
    check(chmod(file, 0) == 0 && chmod(folder, 0) == 0);
    check(store_put_tree(s, path, digest, &err) == 0);
    check(store_has_tree(s, digest, true, NULL) == 1);
    store_close(s);
    free(path);
    free(file);
    free(folder);
    check((s = store_open(cache, NULL)));
    check(store_has_tree(s, digest, true, NULL) == 1);
    check(store_gc(s, 0, NULL, NULL) == 0);
    check(store_has_tree(s, digest, true, NULL) == 0);
    store_close(s);
}

TEST(a_tree_that_its_owner_can_not_read_is_mended)
{
    struct fixture *f = *state;
    cleanup_free char *users = xasprintf("%s/users", f->folder);
    assert_int_equal(mkdir(users, 0777), 0);
    assert_int_equal(chmod(users, 0777), 0);
    as_ordinary_user(store_unreadable_tree, f);
}

static const struct {
    const char *command, *what;
} damages[] = {
    {"printf X | dd of=usr/share/text bs=1 conv=notrunc 2>/dev/null",
     "usr/share/text has other content"},
    {"printf X >>usr/share/text", "usr/share/text has another size"},
    {"rm usr/share/text", "usr/share/text is missing"},
    {"touch usr/share/more", "usr/share/more does not belong there"},
    {"chmod -x usr/bin/tool", "usr/bin/tool has another executable bit"},
    {"ln -snf elsewhere bin", "bin points elsewhere"},
    {"rmdir hollow; touch hollow", "hollow is of another kind"},
    {"mkfifo pipe", "pipe is a fifo"},
    {"rm -r empty hollow usr bin", "bin is missing"},
};

TEST(a_damaged_tree_is_noticed_and_the_file_is_named)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        put_tree(f->store, "text", digest);
        cleanup_free char *path = store_tree_path(f->store, digest);
        cleanup_free char *command = xasprintf("cd %s && %s", path, damages[i].command);
        reopen(f);
        assert_int_equal(system(command), 0);
        assert_int_equal(store_has_tree(f->store, digest, false, NULL), 1); // not looked into
        assert_int_equal(store_has_tree(f->store, digest, true, NULL), 0);
        if (!warned_of(f, damages[i].what))
            fail_msg("no warning of \"%s\", but: %s", damages[i].what,
                     f->warnings.items[f->warnings.n - 1]);
        assert_int_equal(store_has_tree(f->store, digest, false, NULL), 0);
        assert_int_equal(count_in(f, "damaged"), i + 1);
    }
    put_tree(f->store, "text", digest);
    assert_int_equal(store_has_tree(f->store, digest, true, NULL), 1);
}

TEST(a_tree_is_hashed_once_in_a_process)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    put_tree(f->store, "text", digest);
    reopen(f);
    assert_int_equal(store_has_tree(f->store, digest, true, NULL), 1);
    cleanup_free char *path = store_tree_path(f->store, digest);
    add_file(path, "more", "", 0644);
    assert_int_equal(store_has_tree(f->store, digest, true, NULL), 1);
    reopen(f);
    assert_int_equal(store_has_tree(f->store, digest, true, NULL), 0);
}

TEST(a_lost_listing_is_made_again)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE];
    put_tree(f->store, "text", digest);
    cleanup_free char *blob = store_blob_path(f->store, digest);
    assert_int_equal(unlink(blob), 0);
    reopen(f);
    assert_int_equal(store_has_tree(f->store, digest, false, NULL), 1);
    cleanup_buf struct buf listing = {0};
    assert_int_equal(store_tree_listing(f->store, digest, &listing, NULL), 1);
    assert_true(path_exists(blob));
    // A damaged one too: the tree itself is the truth.
    flip_byte(blob, 20);
    reopen(f);
    assert_int_equal(store_has_tree(f->store, digest, true, NULL), 1);
    assert_int_equal(store_has_blob(f->store, digest, NULL), 1);
}
