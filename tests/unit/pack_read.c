// SPDX-License-Identifier: Apache-2.0
// Archives of others: what is read of them and what is refused.
#include "test.h"

#include "pack_help.h"

static const struct {
    const char *what, *why;
    struct member members[4];
} hostile[] = {
    {"absolute", "its name is absolute", {{"/abs", 0, "x"}}},
    {"up", "contains \"..\"", {{"../canary", 0, "x"}}},
    {"up in the middle", "contains \"..\"", {{"a/../../canary", 0, "x"}}},
    {"newline", "\"a\\x0ab\" is refused: its name contains a newline", {{"a\nb", 0, "x"}}},
    {"absolute link", "\"l\": it is a link that leads out: /etc", {{"l", S_IFLNK, "/etc/passwd"}}},
    {"link up", "a link that leads out", {{"d/l", S_IFLNK, "../../canary"}}},
    {"link up and back", "a link that leads out", {{"l", S_IFLNK, "../out/x"}}},
    {"link out by way of a link",
     "by way of another link",
     {{"here", S_IFLNK, "."}, {"l", S_IFLNK, "here/../canary"}}},
    {"write through a link",
     "nothing is written through",
     {{"d", S_IFLNK, "sub"}, {"d/file", 0, "x"}}},
    {"write through a deep link",
     "nothing is written through",
     {{"a/b", S_IFLNK, "."}, {"a/b/c/file", 0, "x"}}},
    {"directory over a link", "but a file or link", {{"d", S_IFLNK, "sub"}, {"d", S_IFDIR, NULL}}},
    {"file over a directory",
     "there is a directory of that name",
     {{"d", S_IFDIR, NULL}, {"d", 0, "x"}}},
    {"directory through a file", "is a link or a file", {{"f", 0, "x"}, {"f/g", 0, "y"}}},
    {"hard link up", "contains \"..\"", {{"h", 0, "../canary", true}}},
    {"hard link to an absolute name", "its name is absolute", {{"h", 0, "/etc/passwd", true}}},
    {"hard link to nothing", "No such file", {{"h", 0, "absent", true}}},
    {"hard link to itself", "to itself", {{"h", 0, "x"}, {"h", 0, "h", true}}},
    {"hard link through a link",
     "nothing is written through",
     {{"s", S_IFLNK, "."}, {"f", 0, "x"}, {"h", 0, "s/f", true}}},
    {"hard link that moves a link",
     "leads out",
     {{"a/b/l", S_IFLNK, "../../x"}, {"l", 0, "a/b/l", true}}},
    {"hard link to a directory", "not a file", {{"d", S_IFDIR, NULL}, {"h", 0, "d", true}}},
    {"character device", "a device node, fifo or socket", {{"null", S_IFCHR, NULL}}},
    {"block device", "a device node, fifo or socket", {{"sda", S_IFBLK, NULL}}},
    {"fifo", "a device node, fifo or socket", {{"p", S_IFIFO, NULL}}},
};

ALL_TESTS(make_scratch, drop_scratch)

TEST(hostile_members_are_refused_by_name)
{
    fresh("jail");
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
        struct error *err = NULL;
        fresh("jail/in");
        put(at("jail/canary"), "alive", 0644);
        write_tar(at("hostile.tar"), hostile[i].members);
        expect_error(unpack_file_at(at("hostile.tar"), at("jail/in"), NULL, &err), err,
                     hostile[i].why);
        expect_content(at("jail/canary"), "alive");
        struct strlist names = {0};
        assert_int_equal(list_directory(at("jail"), &names, NULL), 0);
        assert_int_equal(names.n, 2);
        strlist_free(&names);
    }
}

TEST(very_long_and_very_deep_names_are_refused)
{
    struct buf deep = {0}, long_name = {0};
    for (int i = 0; i < 200; i++)
        buf_puts(&deep, i ? "/d" : "d");
    for (int i = 0; i < 5000; i++)
        buf_puts(&long_name, i % 100 ? "n" : "/n");
    const struct member members[][2] = {{{deep.data, 0, "x"}}, {{long_name.data + 1, 0, "x"}}};
    static const char *const why[] = {"more than 128 directories", "longer than 4095 bytes"};
    for (size_t i = 0; i < 2; i++) {
        struct error *err = NULL;
        write_tar(at("long.tar"), members[i]);
        expect_error(unpack_file_at(at("long.tar"), fresh("long"), NULL, &err), err, why[i]);
    }
    buf_free(&deep);
    buf_free(&long_name);
}

static const struct member good[] = {
    {"dir/", S_IFDIR, NULL, false, 0555}, {"dir/file", 0, "content", false, 06755},
    {"dir/link", S_IFLNK, "../empty"},    {"empty", 0, ""},
    {"secret", 0, "s", false, 0600},      {NULL},
};

TEST(every_format_and_compression_is_read)
{
    static int (*const formats[])(struct archive *) = {
        archive_write_set_format_pax_restricted, archive_write_set_format_gnutar,
        archive_write_set_format_ustar, archive_write_set_format_cpio_newc,
        archive_write_set_format_zip};
    static int (*const filters[])(struct archive *) = {
        archive_write_add_filter_none, archive_write_add_filter_gzip,
        archive_write_add_filter_bzip2, archive_write_add_filter_xz, archive_write_add_filter_zstd};
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        for (size_t j = 0; j < ARRAY_LEN(filters); j++) {
            struct error *err = NULL;
            struct stat st;
            write_archive(at("good"), formats[i], filters[j], good);
            if (formats[i] == archive_write_set_format_zip && j) { // has a compression of its own
                expect_error(unpack_file_at(at("good"), fresh("good-out"), NULL, &err), err,
                             "not an archive that kbuild reads");
                continue;
            }
            no_error(unpack_file_at(at("good"), fresh("good-out"), NULL, &err), err);
            expect_content(at("good-out/dir/file"), "content");
            expect_content(at("good-out/dir/link"), "");
            assert_int_equal(stat(at("good-out/dir/file"), &st), 0);
            assert_int_equal(st.st_mode & 07777, 0755); // no setuid, no setgid
            assert_int_equal(st.st_mtim.tv_sec, 1234567890);
            assert_int_equal(st.st_uid, geteuid());
            assert_int_equal(stat(at("good-out/secret"), &st), 0);
            assert_int_equal(st.st_mode & 07777, 0600);
            assert_int_equal(stat(at("good-out/dir"), &st), 0);
            assert_int_equal(st.st_mode & 07777, 0755); // its owner can always write
            assert_int_equal(st.st_mtim.tv_sec, 1234567890);
        }
}

TEST(ar_archives_are_read)
{
    static const struct member members[] = {
        {"debian-binary", 0, "2.0\n"}, {"data", 0, "d"}, {NULL}};
    struct error *err = NULL;
    write_archive(at("x.deb"), archive_write_set_format_ar_bsd, NULL, members);
    no_error(unpack_file_at(at("x.deb"), fresh("deb"), NULL, &err), err);
    expect_content(at("deb/debian-binary"), "2.0\n");
    expect_content(at("deb/data"), "d");
}

TEST(a_pipe_will_do)
{
    write_archive(at("piped"), archive_write_set_format_pax_restricted, archive_write_add_filter_xz,
                  good);
    cleanup_free char *command = xasprintf("cat '%s'", at("piped"));
    FILE *pipe = popen(command, "re");
    struct error *err = NULL;
    int64_t newest = 0;
    no_error(unpack(fileno(pipe), "pipe", fresh("pipe-out"), NULL, &newest, &err), err);
    pclose(pipe);
    assert_int_equal(newest, 1234567890);
    expect_content(at("pipe-out/dir/file"), "content");
}

TEST(names_do_not_depend_on_the_locale)
{
    static const struct member members[] = {{"na\xc3\xafve", 0, "x"}, {NULL}};
    struct error *err = NULL;
    struct listing l = {0};
    const struct pack_options o = {.epoch = EPOCH, .threads = 1};
    const char *tree = fresh("utf8");
    put(at("utf8/na\xc3\xafve"), "x", 0644);
    cleanup_close int fd = create(at("utf8.tar.xz"));
    no_error(pack_tree(tree, fd, &o, &err), err); // this process is in the C locale
    no_error(list_archive(fd, "utf8", &l, &err), err);
    assert_string_equal(l.entries[1].path, members[0].name);
    listing_free(&l);
}

static size_t slurp(const char *path, char **bytes)
{
    struct buf b = {0};
    struct error *err = NULL;
    no_error(file_read(path, (size_t)1 << 26, &b, &err), err);
    size_t n = b.len;
    *bytes = buf_take(&b);
    return n;
}

static int list_bytes(const char *bytes, size_t n, struct listing *l, struct error **err)
{
    struct error *write_err = NULL;
    no_error(file_write(at("bytes"), bytes, n, 0644, &write_err), write_err);
    cleanup_close int fd = open_again(at("bytes"));
    return list_archive(fd, "bytes", l, err);
}

TEST(every_truncation_is_noticed)
{
    static int (*const filters[])(struct archive *) = {
        archive_write_add_filter_gzip, archive_write_add_filter_bzip2, archive_write_add_filter_xz,
        archive_write_add_filter_zstd};
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        cleanup_free char *bytes = NULL;
        write_archive(at("whole"), archive_write_set_format_pax_restricted, filters[i], good);
        size_t n = slurp(at("whole"), &bytes);
        for (size_t length = 0; length < n; length += 3) {
            struct listing l = {0};
            struct error *err = NULL;
            if (list_bytes(bytes, length, &l, &err) == 0)
                fail_msg("filter %zu: %zu of %zu bytes pass for an archive", i, length, n);
            error_free(err);
            listing_free(&l);
        }
    }
}

TEST(every_flipped_byte_in_an_xz_is_noticed)
{
    cleanup_free char *bytes = NULL;
    write_archive(at("whole"), archive_write_set_format_pax_restricted, archive_write_add_filter_xz,
                  good);
    size_t n = slurp(at("whole"), &bytes);
    for (size_t i = 0; i < n; i++) {
        struct listing l = {0};
        struct error *err = NULL;
        bytes[i] ^= 0x10;
        if (list_bytes(bytes, n, &l, &err) == 0)
            fail_msg("byte %zu of %zu can be flipped", i, n);
        bytes[i] ^= 0x10;
        error_free(err);
        listing_free(&l);
    }
}

TEST(what_is_no_archive_is_refused)
{
    struct listing l = {0};
    struct error *err = NULL;
    expect_error(list_bytes("", 0, &l, &err), err, "it is empty");
    err = NULL;
    expect_error(list_bytes("hello, world", 12, &l, &err), err, "not an archive that kbuild reads");
    err = NULL;
    cleanup_close int fd = open(scratch, O_RDONLY | O_CLOEXEC);
    expect_error(list_archive(fd, "folder", &l, &err), err, "folder: it is a directory");
    listing_free(&l);
}

TEST(archives_put_together_with_cat_are_refused)
{
    cleanup_free char *bytes = NULL;
    write_archive(at("whole"), archive_write_set_format_pax_restricted, archive_write_add_filter_xz,
                  good);
    size_t n = slurp(at("whole"), &bytes);
    struct buf twice = {0};
    buf_add(&twice, bytes, n);
    buf_add(&twice, bytes, n);
    struct listing l = {0};
    struct error *err = NULL;
    expect_error(list_bytes(twice.data, twice.len, &l, &err), err, "continues after the end");
    listing_free(&l);
    buf_free(&twice);
}

TEST(bombs_are_stopped_at_the_limit)
{
    // 64 MiB of zeros in some 10 KB, as content and as an endless stream before any member.
    size_t size = (size_t)64 << 20;
    char *zeros = xcalloc(1, size + 1);
    memset(zeros, 'z', size);
    const struct member members[] = {{"bomb", 0, zeros}, {NULL}};
    const struct unpack_options o = {.max_bytes = 1 << 20};
    static int (*const formats[])(struct archive *) = {archive_write_set_format_pax_restricted,
                                                       archive_write_set_format_zip};
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        struct error *err = NULL;
        write_archive(at("bomb"), formats[i], i ? NULL : archive_write_add_filter_xz, members);
        expect_error(unpack_file_at(at("bomb"), fresh("bomb-out"), &o, &err), err,
                     "\"bomb\": the content is larger than the limit of 1048576 bytes");
        struct stat st;
        assert_true(stat(at("bomb-out/bomb"), &st) < 0 || st.st_size <= 1 << 20);
    }
    free(zeros);
}

// A newc header (Linux, early-userspace/buffer-format) whose name is 4 GiB - 1 long, and 32 MiB of
// it.
TEST(a_name_without_end_is_refused)
{
    struct buf b = {0};
    buf_puts(&b, "070701");
    for (int field = 0; field < 13; field++)
        buf_puts(&b, field == 11 ? "ffffffff" : field == 1 ? "000081a4" : "00000001");
    char *name = xmalloc((size_t)32 << 20);
    memset(name, 'n', (size_t)32 << 20);
    buf_add(&b, name, (size_t)32 << 20);
    struct error *err = NULL;
    no_error(file_write(at("endless.cpio"), b.data, b.len, 0644, &err), err);
    expect_error(unpack_file_at(at("endless.cpio"), fresh("endless"), NULL, &err), err,
                 "a header is larger than the limit of 8 MiB");
    free(name);
    buf_free(&b);
}

TEST(a_sparse_file_counts_with_its_holes)
{
    // 1 TiB without a byte of data: a few KB as a tarball.
    cleanup_free char *script = xasprintf(
        "cd '%s' && truncate -s 1T sparse-in && tar --sparse -cf sparse sparse-in", scratch);
    char *const argv[] = {"sh", "-c", script, NULL};
    struct error *err = NULL;
    no_error(process_run(&(struct process){.argv = argv}, NULL, &err), err);
    expect_error(unpack_file_at(at("sparse"), fresh("sparse-out"), NULL, &err), err,
                 "larger than the limit");
}

TEST(the_top_folder_can_be_dropped)
{
    static const struct member members[] = {{"./top/", S_IFDIR, NULL, false, 0755},
                                            {"./top/a", 0, "a"},
                                            {"./top/d/b", 0, "./top/a", true},
                                            {"./top/d/l", S_IFLNK, "../a"},
                                            {NULL}};
    static const struct member two_tops[] = {{"top/a", 0, "a"}, {"other/b", 0, "b"}, {NULL}};
    static const struct member no_top[] = {{"a", 0, "a"}, {NULL}};
    const struct unpack_options o = {.strip_first = true};
    struct error *err = NULL;
    write_tar(at("top.tar"), members);
    no_error(unpack_file_at(at("top.tar"), fresh("top"), &o, &err), err);
    expect_content(at("top/a"), "a");
    expect_content(at("top/d/b"), "a");
    expect_content(at("top/d/l"), "a");
    write_tar(at("top.tar"), two_tops);
    expect_error(unpack_file_at(at("top.tar"), fresh("top"), &o, &err), err,
                 "\"other/b\": it is not in");
    err = NULL;
    write_tar(at("top.tar"), no_top);
    expect_error(unpack_file_at(at("top.tar"), fresh("top"), &o, &err), err, "\"a\": it is not in");
}

TEST(a_later_member_replaces_an_earlier_one)
{
    static const struct member members[] = {{"f", 0, "old"},        {"g", 0, "f", true},
                                            {"f", 0, "new"},        {"l", S_IFLNK, "f"},
                                            {"l", 0, "now a file"}, {NULL}};
    struct error *err = NULL;
    write_tar(at("again.tar"), members);
    no_error(unpack_file_at(at("again.tar"), fresh("again"), NULL, &err), err);
    expect_content(at("again/f"), "new");
    expect_content(at("again/g"), "old");
    expect_content(at("again/l"), "now a file");
}

TEST(cpio_hard_links_have_their_content)
{
    struct error *err = NULL;
    fresh("hard");
    put(at("hard/a"), "shared", 0644);
    assert_int_equal(link(at("hard/a"), at("hard/b")), 0);
    cleanup_free char *script = xasprintf("cd '%s' && printf 'a\\nb\\n' | cpio -o -H newc --quiet "
                                          ">../hard.cpio",
                                          at("hard"));
    char *const argv[] = {"sh", "-c", script, NULL};
    no_error(process_run(&(struct process){.argv = argv}, NULL, &err), err);
    no_error(unpack_file_at(at("hard.cpio"), fresh("hard-out"), NULL, &err), err);
    expect_content(at("hard-out/a"), "shared");
    expect_content(at("hard-out/b"), "shared");
    cleanup_close int fd = open_again(at("hard.cpio")), out = create(at("hard-a"));
    no_error(unpack_member(fd, "hard.cpio", "a", out, NULL, &err), err);
    expect_content(at("hard-a"), "shared");
}

// ---- one member ----

static const struct member linked[] = {
    {"./opt/share/vmlinuz.container", S_IFLNK, "vmlinuz-6.7"},
    {"./opt/share/vmlinuz-6.7", 0, "kernel"},
    {"./share", S_IFLNK, "opt/share"},
    {"./abs", S_IFLNK, "/share/vmlinuz.container"},
    {"./opt/up", S_IFLNK, "../share/../share/vmlinuz.container"},
    {"./loop", S_IFLNK, "loop"},
    {"./out", S_IFLNK, "../../etc/passwd"},
    {"./hard", 0, "./opt/share/vmlinuz-6.7", true},
    {"./twice", 0, "first"},
    {"./twice", 0, "second"},
    {NULL},
};

TEST(a_member_is_found_through_links)
{
    static const struct {
        const char *member, *resolved, *content;
    } found[] = {
        {"opt/share/vmlinuz-6.7", "opt/share/vmlinuz-6.7", "kernel"},
        {"./opt/share/vmlinuz.container", "opt/share/vmlinuz-6.7", "kernel"},
        {"share/vmlinuz.container", "opt/share/vmlinuz-6.7", "kernel"},
        {"/abs", "opt/share/vmlinuz-6.7", "kernel"},
        {"opt/up", "opt/share/vmlinuz-6.7", "kernel"}, // ".." is that of where a link leads
        {"hard", "hard", "kernel"},
        {"twice", "twice", "second"},
    };
    write_archive(at("linked"), archive_write_set_format_pax_restricted,
                  archive_write_add_filter_xz, linked);
    for (size_t i = 0; i < ARRAY_LEN(found); i++) {
        struct error *err = NULL;
        cleanup_free char *resolved = NULL;
        cleanup_close int fd = open_again(at("linked")), out = create(at("member"));
        no_error(unpack_member(fd, "linked", found[i].member, out, &resolved, &err), err);
        assert_string_equal(resolved, found[i].resolved);
        expect_content(at("member"), found[i].content);
    }
}

TEST(a_member_that_is_not_there_is_an_error)
{
    static const struct {
        const char *member, *why;
    } wrong[] = {
        {"absent", "no \"absent\" in it"}, {"loop", "go in circles"},   {"out", "lead out"},
        {"opt/share", "no \"opt/share\""}, {"../x", "contains \"..\""}, {".", "not a file"},
        {"", "its name is empty"},
    };
    write_tar(at("linked.tar"), linked);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct error *err = NULL;
        cleanup_close int fd = open_again(at("linked.tar")), out = create(at("member"));
        expect_error(unpack_member(fd, "linked", wrong[i].member, out, NULL, &err), err,
                     wrong[i].why);
    }
}
