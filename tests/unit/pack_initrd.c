// SPDX-License-Identifier: Apache-2.0
// Initrds: layers in, the bytes of a cpio out.
#include "test.h"

#include "pack_help.h"

static const struct initrd_options plain = {.epoch = EPOCH};
static const struct initrd_options packed = {.epoch = EPOCH, .compress = true};

static int make(const struct initrd_layer *layers, size_t n, const char *path,
                const struct initrd_options *o, struct error **err)
{
    cleanup_close int fd = create(path);
    return pack_initrd(layers, n, fd, o, err);
}

// "path mode[ -> target][ = content]" for each member, in order, read by libarchive itself.
static char *describe(const char *path)
{
    struct buf b = {0};
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    archive_read_support_filter_all(a);
    archive_read_support_format_cpio(a);
    assert_int_equal(archive_read_open_filename(a, path, 65536), ARCHIVE_OK);
    while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
        char content[64] = "";
        buf_printf(&b, "%s %o", archive_entry_pathname(e), archive_entry_mode(e));
        if (archive_entry_symlink(e))
            buf_printf(&b, " -> %s", archive_entry_symlink(e));
        if (archive_entry_filetype(e) == S_IFCHR || archive_entry_filetype(e) == S_IFBLK)
            buf_printf(&b, " %u:%u", (unsigned)archive_entry_rdevmajor(e),
                       (unsigned)archive_entry_rdevminor(e));
        if (archive_read_data(a, content, sizeof content - 1) > 0)
            buf_printf(&b, " = %s", content);
        assert_true(archive_entry_mtime(e) <= EPOCH);
        buf_puts(&b, "\n");
    }
    archive_read_free(a);
    return buf_take(&b);
}

static void expect_lines(const char *initrd, const char *const *lines, size_t n)
{
    cleanup_free char *text = describe(initrd);
    for (size_t i = 0; i < n; i++) {
        cleanup_free char *line = xasprintf("\n%s\n", lines[i]);
        cleanup_free char *all = xasprintf("\n%s", text);
        if (!strstr(all, line))
            fail_msg("\"%s\" is not in:\n%s", lines[i], text);
    }
}

// A root file system with merged /usr, as a tarball.
static const struct member rootfs[] = {
    {"./", S_IFDIR, NULL, false, 0700},        {"./bin", S_IFLNK, "usr/bin"},
    {"./sbin", S_IFLNK, "/usr/sbin"},          {"./usr/bin/", S_IFDIR, NULL, false, 0755},
    {"./usr/bin/sh", 0, "shell", false, 0755}, {"./usr/bin/bash", 0, "./usr/bin/sh", true, 0755},
    {"./usr/bin/su", 0, "su", false, 04755},   {"./usr/share/doc/a", 0, "doc"},
    {"./usr/share/doc-base", 0, "base"},       {"./etc/hosts", 0, "old"},
    {"./tmp/", S_IFDIR, NULL, false, 01777},   {"./dev/sda", S_IFBLK, NULL, false, 0660},
    {"./var/run", S_IFLNK, "../run"},          {NULL},
};
static const struct member agent[] = {
    {"./", S_IFDIR, NULL, false, 0755},
    {"./sbin/init", 0, "agent", false, 0755},
    {"./bin/tool", 0, "tool", false, 0744},
    {"./etc/hosts", 0, "new"},
    {"./tmp/", S_IFDIR, NULL, false, 0755},
    {"./var/run/x/y", 0, "y"},
    {NULL},
};

static void make_layers(struct initrd_layer *layers)
{
    write_archive(at("rootfs.tar.zst"), archive_write_set_format_pax_restricted,
                  archive_write_add_filter_zstd, rootfs);
    write_tar(at("agent.tar"), agent);
    layers[0] = (struct initrd_layer){
        .name = "rootfs", .archive = xstrdup(at("rootfs.tar.zst")), .keep_nodes = true};
    layers[1] = (struct initrd_layer){.name = "agent", .archive = xstrdup(at("agent.tar"))};
}

static void free_layers(struct initrd_layer *layers)
{
    free((char *)layers[0].archive);
    free((char *)layers[1].archive);
}

ALL_TESTS(make_scratch, drop_scratch)

TEST(layers_make_one_tree)
{
    static const char *const lines[] = {
        ". 40755",
        "bin 120777 -> usr/bin",
        "usr/sbin/init 100755 = agent", // through the link
        "usr/bin/tool 100744 = tool",
        "usr/bin/su 104755 = su",
        "etc/hosts 100644 = new", // the later layer's
        "tmp 41777",              // a directory stays as it was
        "run 40755",
        "run/x 40755",
        "run/x/y 100644 = y",
        "dev/sda 60660 1:3",
        "dev/console 20600 5:1",
        "dev/null 20666 1:3",
        "init 120777 -> /sbin/init",
        "proc 40755",
        "sys 40755",
    };
    struct initrd_layer layers[2];
    struct error *err = NULL;
    make_layers(layers);
    no_error(make(layers, 2, at("initrd"), &plain, &err), err);
    expect_lines(at("initrd"), lines, ARRAY_LEN(lines));
    cleanup_free char *text = describe(at("initrd"));
    assert_null(strstr(text, "= old"));
    assert_null(strstr(text, "\nsbin/init"));
    free_layers(layers);
}

TEST(directories_come_before_what_they_hold)
{
    struct initrd_layer layers[2];
    struct error *err = NULL;
    make_layers(layers);
    no_error(make(layers, 2, at("initrd"), &plain, &err), err);
    cleanup_free char *text = describe(at("initrd"));
    assert_true(starts_with(text, ". 40755\n"));
    assert_true(strstr(text, "\nusr/sbin 40755") < strstr(text, "\nusr/sbin/init "));
    assert_true(strstr(text, "\nrun/x 40755") < strstr(text, "\nrun/x/y "));
    assert_true(strstr(text, "\nusr 40755") < strstr(text, "\nusr/bin 40755"));
    free_layers(layers);
}

TEST(gzip_changes_nothing_and_names_nothing)
{
    struct initrd_layer layers[2];
    struct error *err = NULL;
    struct buf out = {0}, raw = {0}, gz = {0};
    make_layers(layers);
    no_error(make(layers, 2, at("initrd"), &plain, &err), err);
    no_error(make(layers, 2, at("initrd.gz"), &packed, &err), err);
    no_error(make(layers, 2, at("again.gz"), &packed, &err), err);
    expect_same_bytes(at("initrd.gz"), at("again.gz"));
    char *const argv[] = {"gzip", "-dc", (char *)at("initrd.gz"), NULL};
    no_error(process_run(&(struct process){.argv = argv}, &out, &err), err);
    no_error(file_read(at("initrd"), 1 << 20, &raw, &err), err);
    no_error(file_read(at("initrd.gz"), 1 << 20, &gz, &err), err);
    assert_int_equal(out.len, raw.len);
    assert_memory_equal(out.data, raw.data, raw.len);
    // RFC 1952, 2.3: no flags (so no name), no time, XFL 2 (best compression)
    assert_memory_equal(gz.data, "\x1f\x8b\x08\0\0\0\0\0\x02", 9);
    buf_free(&out);
    buf_free(&raw);
    buf_free(&gz);
    free_layers(layers);
}

// Device nodes need root: an ordinary user's cpio complains about them and continues.
static void unpack_with(const char *tool, const char *into)
{
    cleanup_free char *script =
        xasprintf("cd '%s' && %s -id <../initrd 2>/dev/null || true", into, tool);
    char *const argv[] = {"sh", "-c", script, NULL};
    struct error *err = NULL;
    no_error(process_run(&(struct process){.argv = argv}, NULL, &err), err);
}

TEST(cpio_and_busybox_unpack_it)
{
    static const char *const tools[] = {"cpio", "busybox cpio"};
    struct initrd_layer layers[2];
    struct error *err = NULL;
    make_layers(layers);
    no_error(make(layers, 2, at("initrd"), &plain, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
        struct stat a, b;
        unpack_with(tools[i], fresh("cpio-out"));
        expect_content(at("cpio-out/usr/sbin/init"), "agent");
        expect_content(at("cpio-out/bin/bash"), "shell");
        expect_content(at("cpio-out/bin/sh"), "shell");
        expect_content(at("cpio-out/etc/hosts"), "new");
        assert_int_equal(stat(at("cpio-out/bin/sh"), &a), 0);
        assert_int_equal(stat(at("cpio-out/bin/bash"), &b), 0);
        assert_int_equal(a.st_ino, b.st_ino);
        assert_int_equal(stat(at("cpio-out/usr/bin/tool"), &a), 0);
        assert_int_equal(a.st_mode & 0777, 0744);
    }
    free_layers(layers);
}

TEST(globs_leave_paths_out)
{
    struct initrd_layer layers[2];
    struct error *err = NULL;
    struct strlist exclude = {0};
    make_layers(layers);
    strlist_add(&exclude, "usr/share/doc");  // with all below
    strlist_add(&exclude, "usr/bin/s[h-t]"); // its hard link stays whole
    layers[0].exclude = &exclude;
    no_error(make(layers, 2, at("initrd"), &plain, &err), err);
    cleanup_free char *text = describe(at("initrd"));
    assert_null(strstr(text, "usr/share/doc/a"));
    assert_null(strstr(text, "usr/bin/sh "));
    assert_non_null(strstr(text, "usr/share/doc-base 100644 = base\n"));
    assert_non_null(strstr(text, "usr/bin/bash 100755 = shell\n"));
    strlist_free(&exclude);
    free_layers(layers);
}

TEST(a_folder_is_a_layer_too)
{
    fresh("folder");
    mode_t old = umask(0077);
    put(at("folder/init"), "#!/bin/sh", 0700);
    put(at("folder/etc/conf"), "conf", 0600);
    assert_int_equal(link(at("folder/etc/conf"), at("folder/conf2")), 0);
    umask(old);
    const struct initrd_layer layer = {.name = "folder", .folder = at("folder")};
    static const char *const lines[] = {"init 100755 = #!/bin/sh", "etc 40755", "conf2 100644",
                                        "etc/conf 100644 = conf"};
    struct error *err = NULL;
    no_error(make(&layer, 1, at("initrd"), &plain, &err), err);
    expect_lines(at("initrd"), lines, ARRAY_LEN(lines));
}

static const struct {
    const char *why;
    bool nodes;
    struct member first[4], second[3];
} wrong[] = {
    {"neither an /init nor a /sbin/init", true, {{"etc/x", 0, "x"}}, {{"y", 0, "y"}}},
    {"which is no executable file", true, {{"init", 0, "x"}}, {{"y", 0, "y"}}},
    {"which is no executable file", true, {{"init", S_IFDIR, NULL}}, {{"y", 0, "y"}}},
    {"neither an /init", true, {{"init", S_IFLNK, "absent"}}, {{"y", 0, "y"}}},
    {"\"null\": it is a device node", false, {{"null", S_IFCHR, NULL}}, {{"y", 0, "y"}}},
    {"\"p\": it is a fifo", false, {{"p", S_IFIFO, NULL}}, {{"y", 0, "y"}}},
    {"behind a link that leads out", true, {{"d", S_IFLNK, "../.."}}, {{"d/x", 0, "x"}}},
    {"links that go in circles", true, {{"d", S_IFLNK, "d"}}, {{"d/x", 0, "x"}}},
    {"\"f\" above it is not a directory", true, {{"f", 0, "x"}}, {{"f/x", 0, "x"}}},
    {"\"d\" is none here and a directory in an", true, {{"d", S_IFDIR, NULL}}, {{"d", 0, "x"}}},
    {"\"f\" is a directory here", true, {{"f", 0, "x"}}, {{"f", S_IFDIR, NULL}}},
    {"contains \"..\"", true, {{"../f", 0, "x"}}, {{"y", 0, "y"}}},
    {"hard link to no file", true, {{"h", 0, "absent", true}}, {{"y", 0, "y"}}},
};

TEST(wrong_layers_are_errors_that_name_them)
{
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct error *err = NULL;
        write_tar(at("first.tar"), wrong[i].first);
        write_tar(at("second.tar"), wrong[i].second);
        const struct initrd_layer layers[] = {
            {.name = "first", .archive = at("first.tar"), .keep_nodes = wrong[i].nodes},
            {.name = "second", .archive = at("second.tar")}};
        expect_error(make(layers, 2, at("initrd"), &plain, &err), err, wrong[i].why);
    }
    struct error *err = NULL;
    const struct initrd_layer absent = {.name = "missing", .archive = at("none.tar")};
    expect_error(make(&absent, 1, at("initrd"), &plain, &err), err, "layer missing: opening");
}

TEST(owners_are_those_of_the_root_file_system_only)
{
    struct archive *a = archive_write_new();
    struct archive_entry *e = archive_entry_new();
    archive_write_set_format_pax_restricted(a);
    assert_int_equal(archive_write_open_filename(a, at("owned.tar")), ARCHIVE_OK);
    archive_entry_set_pathname(e, "init");
    archive_entry_set_mode(e, S_IFREG | 0755);
    archive_entry_set_size(e, 0);
    archive_entry_set_uid(e, 1234);
    archive_entry_set_gid(e, 4321);
    assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
    archive_entry_free(e);
    archive_write_free(a);
    for (int root = 0; root < 2; root++) {
        const struct initrd_layer layer = {
            .name = "owned", .archive = at("owned.tar"), .keep_nodes = root};
        struct error *err = NULL;
        struct buf b = {0};
        no_error(make(&layer, 1, at("initrd"), &plain, &err), err);
        no_error(file_read(at("initrd"), 1 << 20, &b, &err), err);
        // newc: magic, inode, mode, uid, gid, each eight hex digits after the six of the magic
        const char *name = memmem(b.data, b.len, "000081ed", 8);
        assert_non_null(name);
        assert_memory_equal(name + 8, root ? "000004d2000010e1" : "0000000000000000", 16);
        buf_free(&b);
    }
}

TEST(a_full_device_is_an_error)
{
    struct initrd_layer layers[2];
    make_layers(layers);
    cleanup_close int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        skip();
    for (int i = 0; i < 2; i++) {
        struct error *err = NULL;
        expect_error(pack_initrd(layers, 2, fd, i ? &packed : &plain, &err), err,
                     "writing the initrd: No space left");
    }
    free_layers(layers);
}
