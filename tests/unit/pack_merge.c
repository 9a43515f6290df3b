// SPDX-License-Identifier: Apache-2.0
// The merge of archives: blocks are copied, conflicts are errors.
#include "test.h"

#include "pack_help.h"

static const struct merge_options options = {.version = "3.12.0-test",
                                             .pack = {.epoch = EPOCH, .threads = 2},
                                             .prefix = "opt/kata",
                                             .scratch = "."};

#define MEMBERS_MAX 6
struct component {
    const char *name;
    struct member members[MEMBERS_MAX];
};

static int merge(const struct component *c, size_t n, bool turned, const struct merge_options *o,
                 struct error **err)
{
    struct strlist paths = {0};
    for (size_t i = 0; i < n; i++) {
        const struct component *one = &c[turned ? n - 1 - i : i];
        write_archive(at("%s", one->name), archive_write_set_format_pax_restricted,
                      archive_write_add_filter_xz, one->members);
        strlist_add(&paths, at("%s", one->name));
    }
    cleanup_close int fd = create(at("merged.tar.xz"));
    int result = merge_archives(&paths, fd, o, err);
    strlist_free(&paths);
    return result;
}

static const struct component fitting[] = {
    {"kata-static-kernel.tar.xz",
     {{"./", S_IFDIR, NULL, false, 0755},
      {"./opt/kata/share/", S_IFDIR, NULL, false, 0700},
      {"./opt/kata/share/vmlinuz-1", 0, "kernel"},
      {"./opt/kata/share/vmlinuz.container", S_IFLNK, "vmlinuz-1"}}},
    {"kata-static-qemu.tar.xz",
     {{"./", S_IFDIR, NULL, false, 0700},
      {"./opt/kata/share/", S_IFDIR, NULL, false, 0755},
      {"./opt/kata/bin/qemu", 0, "qemu", false, 0744},
      {"./opt/kata/bin/qemu2", 0, "./opt/kata/bin/qemu", true},
      {"./opt/kata/share/vmlinuz-1", 0, "kernel"}}},
};

static char *listing_text(const char *path)
{
    struct buf b = {0};
    struct listing l = {0};
    struct error *err = NULL;
    cleanup_strlist struct strlist seen = {0};
    cleanup_close int fd = open_again(path);
    no_error(list_archive(fd, path, &l, &err), err);
    for (size_t i = 0; i < l.n; i++) {
        // Components share directories, and a splice keeps each one's own.
        if (S_ISDIR(l.entries[i].mode) && strlist_has(&seen, l.entries[i].path))
            continue;
        strlist_add(&seen, l.entries[i].path);
        buf_printf(&b, "%s %o %s\n", l.entries[i].path, l.entries[i].mode,
                   l.entries[i].link ? l.entries[i].link : "");
    }
    listing_free(&l);
    return buf_take(&b);
}

ALL_TESTS(make_scratch, drop_scratch)

TEST(components_that_fit_make_one_tarball)
{
    put(at("versions.yaml"), "assets: {}\n", 0644);
    struct merge_options o = options;
    o.versions_yaml = at("versions.yaml");
    struct error *err = NULL;
    no_error(merge(fitting, 2, false, &o, &err), err);
    cleanup_free char *text = listing_text(at("merged.tar.xz"));
    assert_string_equal(text, " 40755 \n"
                              "opt 40755 \n"
                              "opt/kata 40755 \n"
                              "opt/kata/share 40755 \n"
                              "opt/kata/share/vmlinuz-1 100644 \n"
                              "opt/kata/share/vmlinuz.container 120777 vmlinuz-1\n"
                              "opt/kata/bin 40755 \n"
                              "opt/kata/bin/qemu 100755 \n"
                              "opt/kata/bin/qemu2 100755 opt/kata/bin/qemu\n"
                              "opt/kata/VERSION 100644 \n"
                              "opt/kata/versions.yaml 100644 \n");
    no_error(unpack_file_at(at("merged.tar.xz"), fresh("merged"), NULL, &err), err);
    expect_content(at("merged/opt/kata/VERSION"), "3.12.0-test\n");
    expect_content(at("merged/opt/kata/versions.yaml"), "assets: {}\n");
    expect_content(at("merged/opt/kata/share/vmlinuz.container"), "kernel");
    expect_content(at("merged/opt/kata/bin/qemu2"), "qemu");
}

TEST(the_order_of_the_inputs_does_not_matter)
{
    struct error *err = NULL;
    no_error(merge(fitting, 2, false, &options, &err), err);
    assert_int_equal(rename(at("merged.tar.xz"), at("first.tar.xz")), 0);
    no_error(merge(fitting, 2, true, &options, &err), err);
    expect_same_bytes(at("first.tar.xz"), at("merged.tar.xz"));
}

static const struct {
    const char *why;
    struct component components[2];
} wrong[] = {
    {"a.tar and b.tar disagree about \"x\": its content differs",
     {{"a.tar", {{"x", 0, "1"}}}, {"b.tar", {{"x", 0, "2"}}}}},
    {"disagree about \"x\": its mode differs",
     {{"a.tar", {{"x", 0, "1", false, 0755}}}, {"b.tar", {{"x", 0, "1", false, 0644}}}}},
    {"disagree about \"x\": its kind differs",
     {{"a.tar", {{"x", 0, "1"}}}, {"b.tar", {{"x", S_IFLNK, "1"}}}}},
    {"disagree about \"x\": its target differs",
     {{"a.tar", {{"x", S_IFLNK, "1"}}}, {"b.tar", {{"x", S_IFLNK, "2"}}}}},
    {"disagree about \"y\": its content differs", // also by way of a hard link
     {{"a.tar", {{"x", 0, "1"}, {"y", 0, "x", true}}}, {"b.tar", {{"y", 0, "2"}}}}},
    {"b.tar has \"d/x\", but \"d\" is a link in a.tar",
     {{"a.tar", {{"d", S_IFLNK, "e"}}}, {"b.tar", {{"d/x", 0, "2"}}}}},
    {"a.tar has \"d/x\", but \"d\" is a file in b.tar",
     {{"a.tar", {{"d/x", 0, "1"}}}, {"b.tar", {{"d", 0, "2"}}}}},
    {"a.tar has \"x\" twice, with another content",
     {{"a.tar", {{"x", 0, "1"}, {"x", 0, "2"}}}, {"b.tar", {{"y", 0, "2"}}}}},
    {"\"etc/hosts\" in a.tar, \"sys\" in b.tar, \"sys/x\" in b.tar",
     {{"a.tar", {{"./etc/hosts", 0, "1"}}},
      {"b.tar", {{"sys", S_IFDIR, NULL}, {"sys/x", 0, "2"}}}}},
    {"\".dockerenv\" in a.tar, \"etc/resolv.conf\" in b.tar",
     {{"a.tar", {{".dockerenv", 0, ""}}}, {"b.tar", {{"etc/resolv.conf", S_IFLNK, "x"}}}}},
    {"a.tar: \"null\" is a device node",
     {{"a.tar", {{"null", S_IFCHR, NULL}}}, {"b.tar", {{"y", 0, "2"}}}}},
    {"b.tar: \"h\" is a hard link to no file",
     {{"a.tar", {{"x", 0, "1"}}}, {"b.tar", {{"h", 0, "x", true}}}}},
    {"b.tar already has \"opt/kata/VERSION\"",
     {{"a.tar", {{"x", 0, "1"}}}, {"b.tar", {{"opt/kata/VERSION", 0, "2"}}}}},
    {"but \"opt/kata\" is a file in b.tar",
     {{"a.tar", {{"x", 0, "1"}}}, {"b.tar", {{"opt/kata", 0, "2"}}}}},
    {"contains \"..\"", {{"a.tar", {{"../x", 0, "1"}}}, {"b.tar", {{"y", 0, "2"}}}}},
};

TEST(what_does_not_fit_is_an_error_that_names_both)
{
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct error *err = NULL;
        expect_error(merge(wrong[i].components, 2, i % 2, &options, &err), err, wrong[i].why);
    }
}

TEST(names_that_only_look_like_the_hosts_are_fine)
{
    static const struct component c = {"a.tar",
                                       {{"etc/hosts.d/x", 0, "1"},
                                        {"opt/etc/hosts", 0, "1"},
                                        {"device", 0, "1"},
                                        {"system/x", 0, "1"}}};
    struct error *err = NULL;
    no_error(merge(&c, 1, false, &options, &err), err);
}

TEST(missing_and_broken_inputs_are_named)
{
    struct error *err = NULL;
    struct strlist paths = {0};
    cleanup_close int fd = create(at("merged.tar.xz"));
    expect_error(merge_archives(&paths, fd, &options, &err), err, "nothing to merge");
    strlist_add(&paths, at("kata-static-gone.tar.xz"));
    err = NULL;
    expect_error(merge_archives(&paths, fd, &options, &err), err,
                 "kata-static-gone.tar.xz: No such");
    put(at("kata-static-gone.tar.xz"), "not a tarball", 0644);
    err = NULL;
    expect_error(merge_archives(&paths, fd, &options, &err), err,
                 "kata-static-gone.tar.xz: it is not an archive");
    strlist_free(&paths);
    struct merge_options o = options;
    o.versions_yaml = at("absent.yaml");
    err = NULL;
    expect_error(merge(fitting, 2, false, &o, &err), err, "absent.yaml: No such file");
    o.prefix = "/opt/kata";
    err = NULL;
    expect_error(merge(fitting, 2, false, &o, &err), err, "not a clean relative path");
}

// The first one is being copied by then.
TEST(a_broken_input_ends_a_copy_that_has_begun)
{
    struct error *err = NULL;
    struct strlist paths = {0};
    no_error(merge(fitting, 2, false, &options, &err), err);
    assert_int_equal(rename(at("merged.tar.xz"), at("kata-static-a.tar.xz")), 0);
    put(at("kata-static-b.tar.xz"), "not a tarball", 0644);
    strlist_add(&paths, at("kata-static-a.tar.xz"));
    strlist_add(&paths, at("kata-static-b.tar.xz"));
    cleanup_close int fd = create(at("merged.tar.xz"));
    expect_error(merge_archives(&paths, fd, &options, &err), err,
                 "kata-static-b.tar.xz: it is not an archive");
    strlist_free(&paths);
}

TEST(a_tarball_is_written_again_in_another_format)
{
    struct error *err = NULL;
    no_error(merge(fitting, 2, false, &options, &err), err);
    cleanup_free char *before = listing_text(at("merged.tar.xz"));
    assert_int_equal(rename(at("merged.tar.xz"), at("kata-static-one.tar.xz")), 0);
    const struct pack_options o = {.threads = 2, .format = FORMAT_ZSTD};
    cleanup_close int fd = create(at("merged.tar.xz"));
    no_error(recompress_archive(at("kata-static-one.tar.xz"), fd, &o, &err), err);
    cleanup_free char *after = listing_text(at("merged.tar.xz"));
    assert_string_equal(before, after);
    unsigned char magic[4];
    assert_int_equal(pread(fd, magic, sizeof magic, 0), 4);
    assert_memory_equal(magic, "\050\265\057\375", 4);
    put(at("kata-static-one.tar.xz"), "not a tarball", 0644);
    err = NULL;
    expect_error(recompress_archive(at("kata-static-one.tar.xz"), fd, &o, &err), err,
                 "kata-static-one.tar.xz: it is not an archive");
}
