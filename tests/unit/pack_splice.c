// SPDX-License-Identifier: Apache-2.0
// Splicing: what kbuild packed is joined by copying, everything else is written anew, and the
// result is the union in either case.
#include "test.h"

#include "pack/internal.h"
#include "pack_help.h"

#include <lzma.h>
#include <sys/xattr.h>

static const struct merge_options options = {
    .version = "test", .prefix = "opt/kata", .pack = {.threads = 2}};

static struct merge_options options_for(enum pack_format format)
{
    struct merge_options o = options;
    o.pack.format = format;
    o.scratch = scratch;
    return o;
}

static const char *packed(const char *folder, const char *name, enum pack_format format,
                          struct listing *listing)
{
    struct error *err = NULL;
    struct pack_options o = {.epoch = EPOCH, .threads = 2, .format = format, .listing = listing};
    cleanup_close int fd = create(at("%s", name));
    no_error(pack_tree(at("%s", folder), fd, &o, &err), err);
    return at("%s", name);
}

static int merge_two(const char *a, const char *b, const char *out, const struct merge_options *o,
                     struct error **err)
{
    cleanup_strlist struct strlist paths = {0};
    strlist_add(&paths, at("%s", a));
    strlist_add(&paths, at("%s", b));
    cleanup_close int fd = create(at("%s", out));
    return merge_archives(&paths, fd, o, err);
}

__attribute__((format(printf, 1, 2))) static int sh(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cleanup_free char *script = xvasprintf(format, args);
    va_end(args);
    char *const argv[] = {(char *)"sh", (char *)"-euc", script, NULL};
    struct process p = {.argv = argv, .directory = scratch, .input = -1};
    struct buf out = {0};
    struct error *err = NULL;
    int result = process_run(&p, &out, &err);
    if (err)
        print_message("%s\n", err->message);
    error_free(err);
    buf_free(&out);
    return result;
}

// A small tree of its own shape; `seed` decides about it. Big files make several blocks.
static void grow_tree(const char *name, unsigned seed)
{
    fresh(name);
    unsigned state = seed * 2654435761u + 1;
    for (unsigned i = 0; i < 3 + seed % 9; i++) {
        state = state * 1103515245u + 12345u;
        cleanup_free char *content = xmalloc(100001);
        size_t length = state >> 8 & 0xffff;
        memset(content, 'a' + (int)(i % 26), length);
        content[length] = '\0';
        put(at("%s/opt/shared/%s%u/%u", name, name, state >> 28, i), content,
            state >> 20 & 1 ? 0755 : 0644);
    }
    struct error *err = NULL;
    no_error(make_directories(at("%s/opt/empty-%s", name, name), 0755, &err), err);
    assert_int_equal(symlink("../opt", at("%s/opt/link-%s", name, name)), 0);
    put(at("%s/opt/same", name), "the same in both", 0644);
    assert_int_equal(sh("ln %s/opt/same %s/opt/hard-%s", name, name, name), 0);
}

ALL_TESTS(make_scratch, drop_scratch)

TEST(a_splice_of_random_trees_unpacks_to_their_union)
{
    for (unsigned round = 0; round < 24; round++) {
        enum pack_format format = round % 2 ? FORMAT_ZSTD : FORMAT_XZ;
        const char *extension = pack_format_extension(format);
        struct merge_options o = options_for(format);
        struct error *err = NULL;
        grow_tree("a", round);
        grow_tree("b", round + 100);
        cleanup_free char *a = xasprintf("a.%s", extension), *b = xasprintf("b.%s", extension);
        packed("a", a, format, NULL);
        packed("b", b, format, NULL);
        no_error(merge_two(a, b, "merged", &o, &err), err);
        fresh("out");
        assert_int_equal(
            sh("mkdir -p union/opt/kata && cp -a a/. b/. union && echo test "
               ">union/opt/kata/VERSION\n"
               "tar -C out -I '%s' -xf merged && diff -r --no-dereference union out && rm -r union",
               format ? "zstd" : "xz"),
            0);
        fresh("out2");
        no_error(unpack_file_at(at("merged"), at("out2"), NULL, &err), err);
        assert_int_equal(sh("diff -r --no-dereference out out2"), 0);
    }
}

// Whatever is spliced is there as it was: each input's data, byte by byte.
TEST(nothing_is_compressed_again)
{
    struct error *err = NULL;
    for (int format = FORMAT_XZ; format <= FORMAT_ZSTD; format++) {
        struct merge_options o = options_for((enum pack_format)format);
        const struct segment_format *f = segment_format((enum pack_format)format);
        grow_tree("a", 5);
        grow_tree("b", 6);
        packed("a", "a.tar", (enum pack_format)format, NULL);
        packed("b", "b.tar", (enum pack_format)format, NULL);
        no_error(merge_two("a.tar", "b.tar", "merged", &o, &err), err);
        cleanup_free char *merged = get(at("merged"));
        uint64_t at_byte = format ? 0 : LZMA_STREAM_HEADER_SIZE;
        static const char *const inputs[] = {"a.tar", "b.tar"};
        for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
            struct stat st;
            struct segment s;
            cleanup_close int fd = open_again(at("%s", inputs[i]));
            cleanup_free char *input = get(at("%s", inputs[i]));
            assert_int_equal(fstat(fd, &st), 0);
            assert_int_equal(f->open(fd, (uint64_t)st.st_size, &s, &err), 1);
            assert_memory_equal(merged + at_byte, input + s.data.offset, s.data.length);
            at_byte += s.data.length;
            f->close(&s);
        }
    }
}

TEST(a_merged_archive_can_be_merged_again)
{
    struct error *err = NULL;
    struct merge_options o = options_for(FORMAT_XZ), bare = o;
    bare.version = NULL;
    grow_tree("a", 1);
    grow_tree("b", 2);
    fresh("c");
    put(at("c/opt/c"), "c", 0644);
    packed("a", "a.tar.xz", FORMAT_XZ, NULL);
    packed("b", "b.tar.xz", FORMAT_XZ, NULL);
    packed("c", "c.tar.xz", FORMAT_XZ, NULL);
    no_error(merge_two("a.tar.xz", "b.tar.xz", "ab.tar.xz", &bare, &err), err);
    no_error(merge_two("ab.tar.xz", "c.tar.xz", "abc.tar.xz", &o, &err), err);
    assert_int_equal(sh("xz -t abc.tar.xz && tar -tJf abc.tar.xz | grep -qx ./opt/c"), 0);
}

// The listing that the packer gives is the one that reading gives, and survives being kept.
TEST(a_listing_is_the_same_from_packing_reading_and_keeping)
{
    struct error *err = NULL;
    grow_tree("a", 7);
    struct listing written = {0}, read = {0}, kept = {0};
    cleanup_buf struct buf one = {0}, two = {0}, three = {0};
    packed("a", "a.tar.xz", FORMAT_XZ, &written);
    cleanup_close int fd = open_again(at("a.tar.xz"));
    no_error(list_archive(fd, "a", &read, &err), err);
    listing_write(&written, &one);
    listing_write(&read, &two);
    assert_int_equal(one.len, two.len);
    assert_memory_equal(one.data, two.data, one.len);
    assert_true(written.normal);
    no_error(listing_read(one.data, one.len, &kept, &err), err);
    listing_write(&kept, &three);
    assert_int_equal(one.len, three.len);
    assert_memory_equal(one.data, three.data, one.len);
    // Cut anywhere but after an entry, it is refused.
    for (size_t n = 0; n < one.len; n += 7) {
        struct listing cut = {0};
        struct error *why = NULL;
        bool whole = n > 24 && one.data[n - 1] == '\n';
        assert_int_equal(listing_read(one.data, n, &cut, &why), whole ? 0 : -1);
        error_free(why);
        listing_free(&cut);
    }
    listing_free(&written);
    listing_free(&read);
    listing_free(&kept);
}

// ---- what looks like ours and is not ----

static bool can_be_cut(const char *name)
{
    struct stat st;
    struct segment s;
    struct error *err = NULL;
    cleanup_close int fd = open_again(at("%s", name));
    assert_int_equal(fstat(fd, &st), 0);
    int found = 0;
    for (int format = FORMAT_XZ; format <= FORMAT_ZSTD && !found; format++) {
        const struct segment_format *f = segment_format((enum pack_format)format);
        found = f->open(fd, (uint64_t)st.st_size, &s, &err);
        assert_null(err);
        if (found)
            f->close(&s);
    }
    return found;
}

TEST(foreign_archives_are_written_anew)
{
    // Each makes in.tar.* from the tree `a`.
    static const char *const makers[] = {
        "tar -C a -cJf in.tar .",
        "tar -C a -cf - . | xz --block-size=64KiB -T2 >in.tar",
        "tar -C a -cf - . | xz --check=crc32 >in.tar",
        "tar -C a -cf - . | xz --check=sha256 >in.tar",
        "tar -C a -czf in.tar .",
        "tar -C a -cf in.tar .",
        "tar -C a -cf - . | zstd >in.tar",
        // Several zstd frames; and the end in a frame of its own, but without the mark.
        "tar -C a -cf t .; head -c -10240 t | zstd >in.tar; tail -c 10240 t | zstd >>in.tar",
        // An end that is longer than ours, with a block boundary inside of it.
        "tar -C a -cf - -b 8192 . | xz --block-size=1MiB -T2 >in.tar",
    };
    grow_tree("a", 3);
    grow_tree("b", 4);
    packed("b", "other.tar.xz", FORMAT_XZ, NULL);
    struct merge_options o = options_for(FORMAT_XZ);
    for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
        struct error *err = NULL;
        assert_int_equal(sh("%s", makers[i]), 0);
        assert_false(can_be_cut("in.tar"));
        no_error(merge_two("in.tar", "other.tar.xz", "merged.tar.xz", &o, &err), err);
        fresh("out");
        assert_int_equal(sh("xz -t merged.tar.xz; tar -C out -xJf merged.tar.xz\n"
                            "rm -r out/opt/kata; rm -rf union; mkdir union; cp -a a/. b/. union\n"
                            "diff -r --no-dereference union out"),
                         0);
        assert_true(can_be_cut("merged.tar.xz"));
    }
}

// The packer's mark does not help an archive whose members are not as the packer writes them.
TEST(a_mark_alone_is_not_trusted)
{
    struct error *err = NULL;
    fresh("a");
    put(at("a/x"), "x", 0644);
    packed("a", "good.tar.xz", FORMAT_XZ, NULL);
    // The same anatomy around members that belong to somebody, by the tools of others.
    assert_int_equal(
        sh("chmod 600 a/x; tar -C a --owner=7 --group=7 -cf t .; head -c -1024 t >/dev/null\n"
           "python3 - <<'END'\n"
           "import lzma\n"
           "tar = open('t', 'rb').read().rstrip(b'\\0')\n"
           "tar += b'\\0' * (-len(tar) %% 512)\n"
           "open('data', 'wb').write(tar)\n"
           "END"),
        0);
    cleanup_free char *data = get(at("data"));
    struct stat st;
    assert_int_equal(stat(at("data"), &st), 0);
    // What xz.c does, by hand.
    lzma_stream s = LZMA_STREAM_INIT;
    lzma_mt mt = {.threads = 1, .block_size = 8 << 20, .preset = 6, .check = LZMA_CHECK_CRC64};
    assert_int_equal(lzma_stream_encoder_mt(&s, &mt), LZMA_OK);
    static uint8_t bytes[1 << 16], zeros[1024];
    s.next_out = bytes;
    s.avail_out = sizeof bytes;
    s.next_in = (uint8_t *)data;
    s.avail_in = (size_t)st.st_size;
    assert_int_equal(lzma_code(&s, LZMA_FULL_BARRIER), LZMA_STREAM_END);
    lzma_options_lzma small;
    lzma_lzma_preset(&small, 6);
    small.dict_size = 4096;
    lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &small}, {LZMA_VLI_UNKNOWN, NULL}};
    assert_int_equal(lzma_filters_update(&s, filters), LZMA_OK);
    s.next_in = zeros;
    s.avail_in = sizeof zeros;
    assert_int_equal(lzma_code(&s, LZMA_FINISH), LZMA_STREAM_END);
    no_error(file_write(at("bad.tar.xz"), bytes, sizeof bytes - s.avail_out, 0644, &err), err);
    lzma_end(&s);
    assert_true(can_be_cut("bad.tar.xz"));
    struct merge_options o = options_for(FORMAT_XZ);
    assert_int_equal(sh("mkdir -p e; rm -rf e/*"), 0);
    packed("e", "empty.tar.xz", FORMAT_XZ, NULL);
    no_error(merge_two("bad.tar.xz", "empty.tar.xz", "merged.tar.xz", &o, &err), err);
    assert_int_equal(sh("tar -tvJf merged.tar.xz | grep -q '^-rw-r--r-- root/root .*x$'"), 0);
}

TEST(damage_is_found_and_named)
{
    grow_tree("a", 8);
    grow_tree("b", 9);
    packed("b", "b.tar.xz", FORMAT_XZ, NULL);
    struct merge_options o = options_for(FORMAT_XZ);
    for (unsigned i = 0; i < 200; i++) {
        struct error *err = NULL;
        packed("a", "a.tar.xz", FORMAT_XZ, NULL);
        struct stat st;
        assert_int_equal(stat(at("a.tar.xz"), &st), 0);
        cleanup_close int fd = open(at("a.tar.xz"), O_RDWR | O_CLOEXEC);
        if (i % 4 == 3) {
            assert_int_equal(ftruncate(fd, st.st_size * (i + 1) / 256), 0);
        } else {
            unsigned char byte;
            off_t where = i % 2 ? st.st_size - 1 - i / 2 : st.st_size * i / 200;
            assert_int_equal(pread(fd, &byte, 1, where), 1);
            byte ^= (unsigned char)(1u << i % 8);
            assert_int_equal(pwrite(fd, &byte, 1, where), 1);
        }
        expect_error(merge_two("a.tar.xz", "b.tar.xz", "merged.tar.xz", &o, &err), err, "a.tar.xz");
    }
}

TEST(extended_attributes_survive)
{
    // capabilities(7): VFS_CAP_REVISION_2, effective, CAP_NET_BIND_SERVICE permitted
    static const unsigned char capability[20] = {1, 0, 0, 2, 0, 4};
    struct error *err = NULL;
    fresh("a");
    fresh("b");
    put(at("a/tool"), "tool", 0755);
    put(at("b/x"), "x", 0644);
    if (setxattr(at("a/tool"), "user.origin", "here", 4, 0) < 0)
        skip(); // this file system has none
    bool root =
        setxattr(at("a/tool"), "security.capability", capability, sizeof capability, 0) == 0;
    packed("a", "a.tar.xz", FORMAT_XZ, NULL);
    packed("b", "b.tar.xz", FORMAT_XZ, NULL);
    // Also through a foreign format, which has to be written anew.
    assert_int_equal(sh("bsdtar --xattrs -C a -cf foreign.tar . 2>/dev/null || tar --xattrs "
                        "--xattrs-include='*' -C a -cf foreign.tar ."),
                     0);
    static const char *const inputs[] = {"a.tar.xz", "foreign.tar"};
    struct merge_options o = options_for(FORMAT_XZ);
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
        char value[64];
        no_error(merge_two(inputs[i], "b.tar.xz", "merged.tar.xz", &o, &err), err);
        const char *out = at("out%zu", i);
        no_error(remove_tree(out, &err), err);
        no_error(unpack_new(at("merged.tar.xz"), out, &err), err);
        assert_int_equal(getxattr(at("out%zu/tool", i), "user.origin", value, sizeof value), 4);
        assert_memory_equal(value, "here", 4);
        if (root) {
            assert_int_equal(
                getxattr(at("out%zu/tool", i), "security.capability", value, sizeof value), 20);
            assert_memory_equal(value, capability, 20);
        }
    }
}

TEST(unpacking_takes_an_empty_folder_only)
{
    struct error *err = NULL;
    grow_tree("a", 2);
    packed("a", "a.tar.xz", FORMAT_XZ, NULL);
    const char *out = fresh("target");
    no_error(unpack_new(at("a.tar.xz"), out, &err), err);
    assert_int_equal(sh("diff -r --no-dereference a target"), 0);
    expect_error(unpack_new(at("a.tar.xz"), at("target"), &err), err, "there is something already");
    // A failure leaves nothing.
    assert_int_equal(sh("head -c 200 a.tar.xz >cut.tar.xz"), 0);
    err = NULL;
    expect_error(unpack_new(at("cut.tar.xz"), at("new"), &err), err, "cut.tar.xz");
    assert_int_equal(sh("[ ! -e new ] && ! ls | grep -q '^new'"), 0);
}
