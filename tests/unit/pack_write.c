// SPDX-License-Identifier: Apache-2.0
// Archives of ours: the same bytes each time, and blocks that a merge can copy.
#include "test.h"

#include "pack_help.h"

#include <lzma.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

static const struct pack_options options = {.epoch = EPOCH, .threads = 2};

static void set_time(const char *path, time_t seconds, long ns)
{
    const struct timespec times[] = {{seconds, ns}, {seconds, ns}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void pack_to(const char *folder, const char *archive, unsigned threads)
{
    const struct pack_options o = {.epoch = EPOCH, .threads = threads};
    struct error *err = NULL;
    cleanup_close int fd = create(archive);
    no_error(pack_tree(folder, fd, &o, &err), err);
}

// One tree in two ways: order of creation, umask, nanoseconds, owner.
static void make_tree(const char *name, bool other)
{
    const char *const files[] = {"opt/kata/bin/a", "opt/kata/bin/b", "opt/kata-x", "opt/z"};
    const char *tree = fresh(name);
    mode_t old = umask(other ? 0077 : 0002);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        const char *file = files[other ? ARRAY_LEN(files) - 1 - i : i];
        cleanup_free char *path = xasprintf("%s/%s", tree, file);
        put(path, file, other ? 0744 : 0775);
        set_time(path, 1600000000, other ? 999 : 1);
        if (other && geteuid() == 0)
            assert_int_equal(lchown(path, 12345, 54321), 0);
    }
    cleanup_free char *first = xasprintf("%s/opt/kata/bin/a", tree);
    cleanup_free char *second = xasprintf("%s/opt/kata/a", tree);
    cleanup_free char *link_path = xasprintf("%s/opt/kata/bin/link", tree);
    assert_int_equal(link(first, second), 0);
    assert_int_equal(symlink("../kata-x", link_path), 0);
    umask(old);
}

ALL_TESTS(make_scratch, drop_scratch)

TEST(the_same_tree_gives_the_same_bytes)
{
    make_tree("one", false);
    make_tree("two", true);
    pack_to(at("one"), at("one.tar.xz"), 1);
    pack_to(at("two"), at("two.tar.xz"), 2);
    expect_same_bytes(at("one.tar.xz"), at("two.tar.xz"));
}

TEST(members_are_sorted_and_normal)
{
    static const struct {
        const char *path;
        unsigned mode;
        const char *link;
    } expected[] = {
        {"", S_IFDIR | 0755, NULL},
        {"opt", S_IFDIR | 0755, NULL},
        {"opt/kata", S_IFDIR | 0755, NULL},
        {"opt/kata-x", S_IFREG | 0755, NULL},
        {"opt/kata/a", S_IFREG | 0755, NULL},
        {"opt/kata/bin", S_IFDIR | 0755, NULL},
        {"opt/kata/bin/a", S_IFREG | 0755, "opt/kata/a"}, // the first name is the file
        {"opt/kata/bin/b", S_IFREG | 0755, NULL},
        {"opt/kata/bin/link", S_IFLNK | 0777, "../kata-x"},
        {"opt/z", S_IFREG | 0755, NULL},
    };
    struct listing l = {0};
    struct error *err = NULL;
    make_tree("one", false);
    pack_to(at("one"), at("one.tar.xz"), 2);
    cleanup_close int fd = open_again(at("one.tar.xz"));
    no_error(list_archive(fd, "one.tar.xz", &l, &err), err);
    assert_int_equal(l.n, ARRAY_LEN(expected));
    for (size_t i = 0; i < l.n; i++) {
        assert_string_equal(l.entries[i].path, expected[i].path);
        assert_int_equal(l.entries[i].mode, expected[i].mode);
        if (expected[i].link)
            assert_string_equal(l.entries[i].link, expected[i].link);
        else
            assert_null(l.entries[i].link);
    }
    char hex[DIGEST_HEX_SIZE];
    digest_bytes("opt/kata/bin/a", 14, hex);
    assert_string_equal(l.entries[4].digest, hex);
    assert_true(l.entries[6].hardlink);
    listing_free(&l);
}

TEST(times_are_clamped_to_the_epoch)
{
    const char *tree = fresh("times");
    cleanup_free char *late = xasprintf("%s/late", tree), *early = xasprintf("%s/early", tree);
    put(late, "l", 0644);
    put(early, "e", 0644);
    set_time(late, EPOCH + 5, 5);
    set_time(early, 1000, 5);
    pack_to(tree, at("times.tar.xz"), 1);
    struct error *err = NULL;
    no_error(unpack_file_at(at("times.tar.xz"), fresh("times-out"), NULL, &err), err);
    struct stat st;
    assert_int_equal(stat(at("times-out/late"), &st), 0);
    assert_int_equal(st.st_mtim.tv_sec, EPOCH);
    assert_int_equal(stat(at("times-out/early"), &st), 0);
    assert_int_equal(st.st_mtim.tv_sec, 1000);
    assert_int_equal(st.st_mtim.tv_nsec, 0);
}

// 28 MiB that compress fast, over three blocks.
static void make_big_tree(const char *name)
{
    const char *tree = fresh(name);
    cleanup_free char *path = xasprintf("%s/big", tree);
    struct buf b = {0};
    cleanup_free char *same = xmalloc(1 << 16);
    memset(same, 's', 1 << 16);
    for (unsigned i = 0; b.len < 50u << 20; i++) {
        buf_printf(&b, "%u", i);
        buf_add(&b, same, 1 << 16);
    }
    struct error *err = NULL;
    no_error(file_write(path, b.data, b.len, 0644, &err), err);
    buf_free(&b);
}

TEST(the_bytes_do_not_depend_on_the_threads)
{
    make_big_tree("big");
    pack_to(at("big"), at("big1"), 1);
    pack_to(at("big"), at("big2"), 2);
    pack_to(at("big"), at("big4"), 4);
    expect_same_bytes(at("big1"), at("big2"));
    expect_same_bytes(at("big1"), at("big4"));
}

// Reads the index and the header of the last block (The .xz File Format 1.1.0, 2.1.2, 3.1 and 4).
TEST(the_end_is_in_a_block_of_its_own)
{
    make_big_tree("big");
    pack_to(at("big"), at("big.tar.xz"), 2);
    struct buf b = {0};
    struct error *err = NULL;
    no_error(file_read(at("big.tar.xz"), (size_t)1 << 26, &b, &err), err);
    lzma_stream s = LZMA_STREAM_INIT;
    lzma_index *index = NULL;
    assert_int_equal(lzma_file_info_decoder(&s, &index, UINT64_MAX, b.len), LZMA_OK);
    s.next_in = (uint8_t *)b.data;
    s.avail_in = b.len;
    lzma_ret r;
    while ((r = lzma_code(&s, LZMA_RUN)) == LZMA_SEEK_NEEDED) {
        s.next_in = (uint8_t *)b.data + s.seek_pos;
        s.avail_in = b.len - s.seek_pos;
    }
    assert_int_equal(r, LZMA_STREAM_END);
    lzma_end(&s);
    assert_int_equal(lzma_index_stream_count(index), 1);
    // Four equal blocks, as far as blocks of whole MiB can be, and the end.
    assert_int_equal(lzma_index_block_count(index), 5);
    lzma_index_iter last = {0}, block;
    lzma_index_iter_init(&block, index);
    while (!lzma_index_iter_next(&block, LZMA_INDEX_ITER_BLOCK)) {
        if (block.block.number_in_file < 4)
            assert_int_equal(block.block.uncompressed_size, 13 << 20);
        last = block;
    }
    assert_int_equal(last.block.uncompressed_size, 1024);

    const uint8_t *header = (const uint8_t *)b.data + last.block.compressed_file_offset;
    lzma_filter filters[LZMA_FILTERS_MAX + 1];
    lzma_block parsed = {.check = LZMA_CHECK_CRC64, .filters = filters};
    parsed.header_size = lzma_block_header_size_decode(header[0]);
    assert_int_equal(lzma_block_header_decode(&parsed, NULL, header), LZMA_OK);
    assert_int_equal(filters[0].id, LZMA_FILTER_LZMA2);
    assert_int_equal(((lzma_options_lzma *)filters[0].options)->dict_size, 4096);
    assert_int_equal(parsed.uncompressed_size, 1024); // sizes are in the headers
    free(filters[0].options);

    uint8_t out[1025];
    size_t in_at = last.block.compressed_file_offset + parsed.header_size, out_at = 0;
    filters[0].options = NULL;
    lzma_options_lzma small;
    lzma_lzma_preset(&small, 6);
    small.dict_size = 4096;
    filters[0].options = &small;
    assert_int_equal(lzma_block_buffer_decode(&parsed, NULL, (uint8_t *)b.data, &in_at, b.len, out,
                                              &out_at, sizeof out),
                     LZMA_OK);
    assert_int_equal(out_at, 1024);
    for (size_t i = 0; i < out_at; i++)
        assert_int_equal(out[i], 0);
    lzma_index_end(index, NULL);
    buf_free(&b);
}

TEST(tar_and_xz_agree)
{
    make_tree("one", false);
    pack_to(at("one"), at("one.tar.xz"), 2);
    struct error *err = NULL;
    struct buf out = {0};
    char *const test[] = {"xz", "-t", (char *)at("one.tar.xz"), NULL};
    char *const list[] = {"tar", "-tJf", (char *)at("one.tar.xz"), NULL};
    no_error(process_run(&(struct process){.argv = test}, NULL, &err), err);
    no_error(process_run(&(struct process){.argv = list}, &out, &err), err);
    assert_string_equal(out.data, "./\n./opt/\n./opt/kata/\n./opt/kata-x\n./opt/kata/a\n"
                                  "./opt/kata/bin/\n./opt/kata/bin/a\n./opt/kata/bin/b\n"
                                  "./opt/kata/bin/link\n./opt/z\n");
    buf_free(&out);
}

static int try_pack(const char *folder, struct error **err)
{
    cleanup_close int fd = create(at("try.tar.xz"));
    return pack_tree(folder, fd, &options, err);
}

TEST(what_is_no_file_is_refused_by_name)
{
    struct error *err = NULL;
    fresh("special");
    assert_int_equal(mkfifo(at("special/pipe"), 0644), 0);
    expect_error(try_pack(at("special"), &err), err, "pipe cannot be packed: it is a fifo");
    unlink(at("special/pipe"));

    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", at("special/sock"));
    assert_int_equal(bind(s, (struct sockaddr *)&address, sizeof address), 0);
    close(s);
    err = NULL;
    expect_error(try_pack(at("special"), &err), err, "sock cannot be packed: it is a socket");
    unlink(at("special/sock"));

    put(at("special/a\nb"), "x", 0644);
    err = NULL;
    expect_error(try_pack(at("special"), &err), err, "a\\x0ab cannot be packed");
    err = NULL;
    expect_error(try_pack(at("absent"), &err), err, "absent: No such file");
}

TEST(names_are_kept_byte_for_byte)
{
    static const char *const names[] = {"na\xc3\xafve", "raw\xff", "a b", "tab\tname"};
    const char *tree = fresh("names");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        cleanup_free char *path = xasprintf("%s/%s", tree, names[i]);
        put(path, names[i], 0644);
    }
    cleanup_free char *deep = xasprintf("%s/%0200d/%0200d/file", tree, 1, 2);
    put(deep, "deep", 0644);
    pack_to(tree, at("names.tar.xz"), 1);
    struct error *err = NULL;
    no_error(unpack_file_at(at("names.tar.xz"), fresh("names-out"), NULL, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        expect_content(at("names-out/%s", names[i]), names[i]);
    expect_content(at("names-out/%0200d/%0200d/file", 1, 2), "deep");
}

// A file may grow to 64 KiB only: what a full disk does, for anybody.
TEST(a_failing_write_is_an_error)
{
    const char *tree = fresh("noise");
    cleanup_free char *path = xasprintf("%s/noise", tree);
    struct buf b = {0};
    uint64_t x = 88172645463325252;
    for (size_t i = 0; i < 300000 / 8; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        buf_add(&b, &x, sizeof x);
    }
    struct error *err = NULL;
    no_error(file_write(path, b.data, b.len, 0644, &err), err);
    buf_free(&b);
    pack_to(tree, at("noise.tar.xz"), 1);

    struct rlimit old, small;
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){65536, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    fresh("noise-out");
    setrlimit(RLIMIT_FSIZE, &small);
    struct error *pack_err = NULL, *unpack_err = NULL;
    int packed = try_pack(tree, &pack_err);
    int unpacked = unpack_file_at(at("noise.tar.xz"), at("noise-out"), NULL, &unpack_err);
    setrlimit(RLIMIT_FSIZE, &old);
    expect_error(packed, pack_err, "File too large");
    expect_error(unpacked, unpack_err, "\"noise\": writing it: File too large");
}

TEST(a_full_device_is_an_error_with_a_hint)
{
    make_tree("one", false);
    struct error *err = NULL;
    cleanup_close int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        skip();
    assert_true(pack_tree(at("one"), fd, &options, &err) < 0);
    assert_non_null(strstr(err->message, "No space left on device"));
    assert_non_null(strstr(err->hint, "disk is full"));
    error_free(err);
    err = NULL;
    assert_true(pack_members(NULL, 0, fd, &options, &err) < 0);
    assert_non_null(strstr(err->message, "No space left on device"));
    error_free(err);
}

TEST(members_are_packed_as_given)
{
    put(at("source"), "content", 0600);
    const struct pack_member members[] = {
        {.path = "opt/kata/share/k.container", .link = "k-1"},
        {.path = "opt/kata/share/k-1", .source = at("source"), .mode = 0640},
        {.path = "empty", .directory = true},
    };
    struct error *err = NULL;
    cleanup_close int fd = create(at("members.tar.xz"));
    no_error(pack_members(members, 3, fd, &options, &err), err);
    struct listing l = {0};
    no_error(list_archive(fd, "members", &l, &err), err);
    struct buf names = {0};
    for (size_t i = 0; i < l.n; i++)
        buf_printf(&names, "%s:%o ", l.entries[i].path, l.entries[i].mode);
    assert_string_equal(names.data, ":40755 empty:40755 opt:40755 opt/kata:40755 "
                                    "opt/kata/share:40755 opt/kata/share/k-1:100640 "
                                    "opt/kata/share/k.container:120777 ");
    buf_free(&names);
    listing_free(&l);

    // In another order: the same bytes.
    const struct pack_member turned[] = {members[2], members[1], members[0]};
    cleanup_close int again = create(at("turned.tar.xz"));
    no_error(pack_members(turned, 3, again, &options, &err), err);
    expect_same_bytes(at("members.tar.xz"), at("turned.tar.xz"));
}

TEST(wrong_members_are_errors)
{
    put(at("source"), "content", 0600);
    const char *source = at("source");
    const struct {
        struct pack_member members[2];
        const char *why;
    } wrong[] = {
        {{{.path = "a", .source = source}, {.path = "a", .link = "b"}}, "named twice"},
        {{{.path = "../a", .source = source}, {.path = "b", .link = "a"}}, "not a clean"},
        {{{.path = "a", .source = source}, {.path = "a/b", .link = "x"}}, "a is not a directory"},
        {{{.path = "a"}, {.path = "b", .link = "x"}}, "no content"},
        {{{.path = "a", .source = "/nonexistent"}, {.path = "b", .link = "x"}}, "No such file"},
        {{{.path = "a", .source = "/"}, {.path = "b", .link = "x"}}, "not a file"},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct error *err = NULL;
        cleanup_close int fd = create(at("wrong.tar.xz"));
        expect_error(pack_members(wrong[i].members, 2, fd, &options, &err), err, wrong[i].why);
    }
}

TEST(the_codec_version_names_the_libraries)
{
    assert_non_null(strstr(pack_codec_version(), lzma_version_string()));
    assert_non_null(strstr(pack_codec_version(), archive_version_string()));
}
