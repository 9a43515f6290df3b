// SPDX-License-Identifier: Apache-2.0
// What is done natively to an extracted root file system, on made-up trees and packages.
#include "test.h"

#include "sandbox/internal.h"
#include "sandbox_help.h"

#include "base/digest.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <sys/stat.h>

static char *below(const char *root, const char *path)
{
    static char *slots[4]; // a few results live at once
    static size_t next;
    char **slot = &slots[next++ % ARRAY_LEN(slots)];
    free(*slot);
    return *slot = xasprintf("%s/%s", root, path);
}

static void add_link(const char *root, const char *path, const char *target)
{
    assert_int_equal(make_parent(below(root, path), NULL), 0);
    assert_int_equal(symlink(target, below(root, path)), 0);
}

static void expect_link(const char *root, const char *path, const char *target)
{
    char text[4096];
    ssize_t n = readlink(below(root, path), text, sizeof text - 1);
    if (n < 0)
        fail_msg("%s is no link", path);
    text[n] = '\0';
    assert_string_equal(text, target);
}

static void expect_text(const char *root, const char *path, const char *text)
{
    struct buf b = {0};
    struct error *err = NULL;
    file_read(below(root, path), 1 << 20, &b, &err);
    fail_with(err);
    assert_string_equal(b.data ? b.data : "", text);
    buf_free(&b);
}

static bool there(const char *root, const char *path)
{
    struct stat st;
    return lstat(below(root, path), &st) == 0;
}

// ---- packages ----

struct tar_member {
    const char *name;
    unsigned mode;
    int uid, gid, mtime;
    const char *text;
};

static void make_tar(struct buf *out, const struct tar_member *members, size_t n)
{
    static char space[1 << 18];
    size_t used = 0;
    struct archive *a = archive_write_new();
    archive_write_set_format_gnutar(a);
    archive_write_add_filter_xz(a);
    assert_int_equal(archive_write_open_memory(a, space, sizeof space, &used), ARCHIVE_OK);
    for (size_t i = 0; i < n; i++) {
        struct archive_entry *e = archive_entry_new();
        archive_entry_set_pathname(e, members[i].name);
        archive_entry_set_mode(e, members[i].mode);
        archive_entry_set_uid(e, members[i].uid);
        archive_entry_set_gid(e, members[i].gid);
        archive_entry_set_mtime(e, members[i].mtime, 0);
        archive_entry_set_size(e, members[i].text ? (la_int64_t)strlen(members[i].text) : 0);
        if (S_ISLNK(members[i].mode)) {
            archive_entry_set_size(e, 0);
            archive_entry_set_symlink(e, members[i].text);
        }
        assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
        if (members[i].text && S_ISREG(members[i].mode))
            archive_write_data(a, members[i].text, strlen(members[i].text));
        archive_entry_free(e);
    }
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
    buf_add(out, space, used);
}

static void add_ar_member(struct buf *out, const char *name, const void *bytes, size_t n)
{
    // ar(5): name, mtime, uid, gid, mode, size, magic; members are padded to even lengths.
    buf_printf(out, "%-16s%-12d%-6d%-6d%-8o%-10zu`\n", name, 0, 0, 0, 0100644, n);
    buf_add(out, bytes, n);
    if (n % 2)
        buf_puts(out, "\n");
}

static void make_deb(struct buf *out, const char *control, const struct tar_member *members,
                     size_t n)
{
    struct buf tar = {0};
    buf_puts(out, "!<arch>\n");
    add_ar_member(out, "debian-binary", "2.0\n", 4);
    struct tar_member c = {"./control", S_IFREG | 0644, 0, 0, 0, control};
    make_tar(&tar, &c, 1);
    add_ar_member(out, "control.tar.xz", tar.data, tar.len);
    buf_free(&tar);
    make_tar(&tar, members, n);
    add_ar_member(out, "data.tar.xz", tar.data, tar.len);
    buf_free(&tar);
}

static const char control[] = "Package: tool\nVersion: 1:2.3-4\nArchitecture: s390x\n"
                              "Description: a tool\n Version: is not here\n";
static const struct tar_member members[] = {
    {"./", S_IFDIR | 0755, 0, 0, 1000, NULL},
    {"./bin/", S_IFDIR | 0755, 0, 0, 1001, NULL},
    {"./bin/su", S_IFREG | 04755, 0, 0, 1002, "su"},
    {"./var/", S_IFDIR | 0755, 0, 0, 1003, NULL},
    {"./var/local/", S_IFDIR | 02775, 0, 50, 1004, NULL},
    {"./bin/link", S_IFLNK | 0777, 0, 0, 1005, "su"},
};

TEST(a_package_tells_what_it_is_and_what_is_in_it)
{
    char *folder = temporary_folder();
    struct buf deb = {0};
    make_deb(&deb, control, members, ARRAY_LEN(members));
    char *path = xasprintf("%s/x.deb", folder);
    assert_int_equal(file_write(path, deb.data, deb.len, 0644, NULL), 0);
    struct deb_package p;
    struct deb_files files = {0};
    struct error *err = NULL;
    deb_read(path, &p, &files, &err);
    fail_with(err);
    assert_string_equal(p.name, "tool");
    assert_string_equal(p.version, "1:2.3-4");
    assert_string_equal(p.architecture, "s390x");
    assert_int_equal(files.n, ARRAY_LEN(members));
    assert_string_equal(files.items[0].path, "");
    assert_string_equal(files.items[2].path, "bin/su");
    assert_int_equal(files.items[2].mode, S_IFREG | 04755);
    assert_string_equal(files.items[4].path, "var/local");
    assert_int_equal(files.items[4].gid, 50);
    assert_int_equal(files.items[4].mtime, 1004);
    deb_package_free(&p);
    deb_files_free(&files);

    // Cut off anywhere, it is an error that names the file, and nothing else.
    for (size_t n = 0; n < deb.len; n += n < 200 ? 1 : 37) {
        assert_int_equal(file_write(path, deb.data, n, 0644, NULL), 0);
        struct deb_files some = {0};
        err = NULL;
        assert_int_equal(deb_read(path, &p, &some, &err), -1);
        assert_non_null(strstr(err->message, "x.deb"));
        error_free(err);
        deb_files_free(&some);
    }
    buf_free(&deb);
    make_deb(&deb, "Package: tool\n", members, 1);
    assert_int_equal(file_write(path, deb.data, deb.len, 0644, NULL), 0);
    err = NULL;
    assert_int_equal(deb_read(path, &p, NULL, &err), -1);
    assert_non_null(strstr(err->message, "names no package"));
    error_free(err);
    buf_free(&deb);
    free(path);
    remove_tree(folder, NULL);
    free(folder);
}

static void expect_no_package(const char *path, const struct buf *deb, const char *why)
{
    struct deb_package p;
    struct deb_files files = {0};
    cleanup_error struct error *err = NULL;
    assert_int_equal(file_write(path, deb->data, deb->len, 0644, NULL), 0);
    assert_int_equal(deb_read(path, &p, &files, &err), -1);
    assert_non_null(strstr(err->message, why));
    deb_files_free(&files);
}

TEST(a_package_names_files_below_the_root_only)
{
    static const char *const names[] = {"./../x", "./usr/../../x", "./usr//x", "./usr/./x", ".."};
    char *folder = temporary_folder();
    cleanup_free char *path = xasprintf("%s/x.deb", folder);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct tar_member m = {names[i], S_IFREG | 0644, 0, 0, 0, "x"};
        cleanup_buf struct buf deb = {0};
        make_deb(&deb, control, &m, 1);
        expect_no_package(path, &deb, "whose name leads elsewhere");
    }
    remove_tree(folder, NULL);
    free(folder);
}

// libarchive has filters that are programs; it finds them by the first bytes.
TEST(a_package_starts_no_program)
{
    static const char lrzip[] = "LRZI\0\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    char *folder = temporary_folder();
    cleanup_free char *path = xasprintf("%s/x.deb", folder), *marker = xasprintf("%s/ran", folder);
    cleanup_free char *program = xasprintf("%s/lrzip", folder);
    cleanup_free char *script = xasprintf("#!/bin/sh\n: >%s\n", marker);
    cleanup_free char *old = xstrdup(getenv("PATH"));
    cleanup_buf struct buf deb = {0};
    make_deb(&deb, control, members, 0);
    add_ar_member(&deb, "data.tar.lrz", lrzip, sizeof lrzip);
    assert_int_equal(file_write(program, script, strlen(script), 0755, NULL), 0);
    setenv("PATH", folder, 1);
    expect_no_package(path, &deb, "x.deb");
    setenv("PATH", old, 1);
    assert_false(path_exists(marker));
    remove_tree(folder, NULL);
    free(folder);
}

// ---- merged /usr ----

TEST(usr_is_merged)
{
    char *root = temporary_folder();
    struct error *err = NULL;
    write_text(root, "bin/only-bin", "1");
    write_text(root, "usr/bin/only-usr", "2");
    write_text(root, "lib/arch/deep/file", "3");
    write_text(root, "usr/lib/arch/deep/other", "4");
    write_text(root, "etc/file", "5");
    add_link(root, "lib/near", "arch/deep/file");
    add_link(root, "lib/arch/up-but-inside", "../near");
    add_link(root, "lib/arch/climbs", "../../etc/file");
    add_link(root, "sbin/across", "../bin/only-bin");
    add_link(root, "lib64/ld.so", "/lib/arch/deep/file");
    write_text(root, "usr/bin/tool", "6");
    add_link(root, "bin/tool", "/usr/bin/tool"); // for those who look in both places
    write_text(root, "bin/other", "7");
    add_link(root, "usr/bin/other", "../../bin/other");
    assert_int_equal(rootfs_merge_usr(root, &err), 0);

    expect_link(root, "bin", "usr/bin");
    expect_link(root, "sbin", "usr/sbin");
    expect_link(root, "lib", "usr/lib");
    expect_link(root, "lib64", "usr/lib64");
    assert_false(there(root, "lib32"));
    expect_text(root, "usr/bin/only-bin", "1");
    expect_text(root, "bin/only-usr", "2");
    expect_text(root, "usr/lib/arch/deep/file", "3");
    expect_text(root, "lib/arch/deep/other", "4");
    expect_text(root, "lib/near", "3");
    expect_text(root, "lib/arch/up-but-inside", "3");
    expect_link(root, "usr/lib/arch/climbs", "/etc/file");
    expect_link(root, "usr/sbin/across", "/usr/bin/only-bin");
    expect_link(root, "usr/lib64/ld.so", "/lib/arch/deep/file");
    expect_text(root, "usr/bin/tool", "6");
    expect_text(root, "usr/bin/other", "7");
    // Once more changes nothing.
    assert_int_equal(rootfs_merge_usr(root, &err), 0);
    expect_text(root, "bin/other", "7");
    remove_tree(root, NULL);
    free(root);
}

TEST(two_different_files_for_one_place_are_an_error)
{
    char *root = temporary_folder();
    struct error *err = NULL;
    write_text(root, "bin/tool", "a");
    write_text(root, "usr/bin/tool", "b");
    assert_int_equal(rootfs_merge_usr(root, &err), -1);
    assert_non_null(strstr(err->message, "/bin/tool and /usr/bin/tool"));
    error_free(err);
    remove_tree(root, NULL);
    free(root);
}

// ---- cleaning ----

TEST(what_differs_between_runs_is_removed)
{
    char *root = temporary_folder();
    struct error *err = NULL;
    write_text(root, "var/lib/apt/lists/x", "");
    write_text(root, "var/cache/apt/archives/x.deb", "");
    write_text(root, "var/lib/dpkg/status", "");
    write_text(root, "var/lib/kept/x", "");
    write_text(root, "etc/resolv.conf", "");
    write_text(root, "etc/apt/apt.conf.d/99mmdebstrap", "proxy with a password");
    write_text(root, "dev/null", "");
    write_text(root, "tmp/x", "");
    write_text(root, "usr/share/doc/tool/copyright", "licence");
    write_text(root, "usr/share/doc/tool/changelog", "");
    write_text(root, "usr/share/doc/other/README", "");
    write_text(root, "usr/share/man/man1/tool.1", "");
    assert_int_equal(rootfs_clean(root, false, &err), 0);
    assert_true(there(root, "usr/share/man/man1/tool.1"));
    assert_true(there(root, "usr/share/doc/tool/changelog"));
    assert_int_equal(rootfs_clean(root, true, &err), 0);
    static const char *const gone[] = {
        "var/lib/apt",
        "var/cache/apt",
        "var/lib/dpkg",
        "etc/resolv.conf",
        "etc/apt",
        "dev/null",
        "tmp/x",
        "usr/share/doc/tool/changelog",
        "usr/share/doc/other",
        "usr/share/man",
    };
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        if (there(root, gone[i]))
            fail_msg("%s is left", gone[i]);
    assert_true(there(root, "var/lib/kept/x") && there(root, "dev") && there(root, "tmp"));
    assert_true(there(root, "usr/share/doc/tool/copyright"));
    remove_tree(root, NULL);
    free(root);
}

TEST(nothing_outside_of_the_root_is_touched)
{
    char *outside = temporary_folder(), *root = temporary_folder();
    struct error *err = NULL;
    write_text(outside, "lib/apt/x", "");
    write_text(outside, "share/doc/tool/changelog", "");
    add_link(root, "var", outside);
    add_link(root, "usr", outside);
    add_link(root, "etc", outside);
    add_link(root, "dev", outside);
    assert_int_equal(rootfs_clean(root, true, &err), 0);
    assert_int_equal(rootfs_complete(root, &err), 0);
    assert_true(there(outside, "lib/apt/x"));
    assert_true(there(outside, "share/doc/tool/changelog"));
    assert_false(there(outside, "passwd"));
    remove_tree(outside, NULL);
    remove_tree(root, NULL);
    free(outside);
    free(root);
}

// ---- packages of another architecture ----

TEST(links_of_a_sysroot_stay_in_it)
{
    char *root = temporary_folder();
    struct error *err = NULL;
    write_text(root, "usr/lib/powerpc64le-linux-gnu/ld64.so.2", "loader");
    // As libc6 for ppc64el has it; libc.so, a linker script, names /lib64/ld64.so.2.
    add_link(root, "usr/lib64/ld64.so.2", "/lib/powerpc64le-linux-gnu/ld64.so.2");
    add_link(root, "lib", "usr/lib");
    add_link(root, "lib64", "usr/lib64");
    add_link(root, "top", "/");
    add_link(root, "usr/root", "//");
    add_link(root, "usr/share/a/b/none", "/nowhere");
    sysroot_relative_links(root, &err);
    fail_with(err);
    expect_link(root, "usr/lib64/ld64.so.2", "../../lib/powerpc64le-linux-gnu/ld64.so.2");
    expect_text(root, "lib64/ld64.so.2", "loader");
    expect_link(root, "lib", "usr/lib");
    expect_link(root, "top", ".");
    expect_link(root, "usr/root", "../");
    expect_link(root, "usr/share/a/b/none", "../../../../nowhere");
    cleanup_free char *missing = xasprintf("%s/none", root);
    assert_int_equal(sysroot_relative_links(missing, &err), -1);
    assert_non_null(strstr(err->message, missing));
    error_free(err);
    remove_tree(root, NULL);
    free(root);
}

// ---- completing ----

TEST(links_users_and_certificates_are_added)
{
    char *root = temporary_folder();
    struct error *err = NULL;
    write_text(root, "usr/bin/mawk", "");
    write_text(root, "usr/bin/gcc", "");
    write_text(root, "usr/bin/dash", "");
    write_text(root, "usr/bin/bash", "");
    write_text(root, "usr/bin/yacc", "my own");
    write_text(root, "usr/bin/bison.yacc", "");
    write_text(root, "etc/group", "theirs\n");
    write_text(root, "usr/share/base-passwd/passwd.master", "root:*:0:0\n");
    write_text(root, "usr/share/base-passwd/group.master", "not used\n");
    write_text(root, "usr/share/ca-certificates/mozilla/B.crt", "B\n");
    write_text(root, "usr/share/ca-certificates/mozilla/A.crt", "A");
    write_text(root, "usr/share/ca-certificates/mozilla/README", "no");
    // The package openssl brings the folder's parent.
    assert_int_equal(mkdir(below(root, "etc/ssl"), 0755), 0);
    assert_int_equal(rootfs_complete(root, &err), 0);
    expect_link(root, "usr/bin/awk", "mawk");
    expect_link(root, "usr/bin/cc", "gcc");
    expect_link(root, "usr/bin/sh", "dash");
    expect_text(root, "usr/bin/yacc", "my own");
    assert_false(there(root, "usr/bin/c++"));
    expect_text(root, "etc/passwd", "root:*:0:0\n");
    expect_text(root, "etc/group", "theirs\n");
    expect_text(root, "etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");
    expect_text(root, "etc/ssl/certs/ca-certificates.crt", "A\nB\n");
    remove_tree(root, NULL);
    free(root);
}

TEST(a_tree_belongs_to_its_maker_without_special_bits)
{
    char *root = temporary_folder();
    struct error *err = NULL;
    write_text(root, "bin/su", "");
    write_text(root, "private/file", "");
    assert_int_equal(chmod(below(root, "bin/su"), 06711), 0);
    assert_int_equal(chmod(below(root, "private/file"), 0600), 0);
    assert_int_equal(chmod(below(root, "private"), 0700), 0);
    add_link(root, "dangling", "/nowhere");
    if (geteuid() == 0)
        assert_int_equal(lchown(below(root, "dangling"), 4, 4), 0);
    assert_int_equal(rootfs_own(root, &err), 0);
    struct stat st;
    assert_int_equal(stat(below(root, "bin/su"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(stat(below(root, "private"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(stat(below(root, "private/file"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(lstat(below(root, "dangling"), &st), 0);
    assert_int_equal(st.st_uid, geteuid());
    assert_int_equal(mkfifo(below(root, "pipe"), 0600), 0);
    assert_int_equal(rootfs_own(root, &err), -1);
    assert_non_null(strstr(err->message, "pipe"));
    error_free(err);
    remove_tree(root, NULL);
    free(root);
}

// ---- the stream ----

static void write_stream(const char *root, const char *deb, const char *tar,
                         char hex[static DIGEST_HEX_SIZE])
{
    struct error *err = NULL;
    struct deb_files files = {0};
    struct deb_package p;
    deb_read(deb, &p, &files, &err);
    fail_with(err);
    int fd = open(tar, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    rootfs_write_tar(root, &files, fd, &err);
    fail_with(err);
    assert_int_equal(digest_file(tar, hex, NULL, &err), 0);
    close(fd);
    deb_files_free(&files);
    deb_package_free(&p);
}

TEST(owners_and_modes_are_those_of_the_packages)
{
    char *folder = temporary_folder(), *root = xasprintf("%s/root", folder),
         *deb = xasprintf("%s/x.deb", folder), *tar = xasprintf("%s/x.tar", folder);
    struct buf bytes = {0};
    make_deb(&bytes, control, members, ARRAY_LEN(members));
    assert_int_equal(file_write(deb, bytes.data, bytes.len, 0644, NULL), 0);
    buf_free(&bytes);
    // The tree as an ordinary user with a strict mask has it after the merge.
    mode_t old = umask(077);
    write_text(root, "usr/bin/su", "su");
    assert_int_equal(chmod(below(root, "usr/bin/su"), 0700), 0);
    assert_int_equal(link(below(root, "usr/bin/su"), below(root, "usr/bin/su-hard")), 0);
    add_link(root, "usr/bin/link", "su");
    add_link(root, "bin", "usr/bin");
    write_text(root, "etc/f\xc5\x91tan.conf", "ours");
    assert_int_equal(make_directories(below(root, "var/local"), 0700, NULL), 0);
    umask(old);

    char first[DIGEST_HEX_SIZE], second[DIGEST_HEX_SIZE];
    write_stream(root, deb, tar, first);
    char *locale = xstrdup(setlocale(LC_ALL, NULL));
    setlocale(LC_ALL, "C.UTF-8");
    write_stream(root, deb, tar, second);
    assert_string_equal(first, second);
    setlocale(LC_ALL, locale);
    free(locale);

    static const struct {
        const char *name;
        unsigned mode;
        int gid, mtime;
    } expected[] = {
        {"./", S_IFDIR | 0755, 0, 1000},
        {"./bin", S_IFLNK | 0777, 0, 1005},
        {"./etc/", S_IFDIR | 0755, 0, 1005},
        {"./etc/f\xc5\x91tan.conf", S_IFREG | 0644, 0, 1005},
        {"./usr/", S_IFDIR | 0755, 0, 1005},
        {"./usr/bin/", S_IFDIR | 0755, 0, 1001},
        {"./usr/bin/link", S_IFLNK | 0777, 0, 1005},
        {"./usr/bin/su", S_IFREG | 04755, 0, 1002},
        {"./usr/bin/su-hard", S_IFREG | 0755, 0, 1005},
        {"./var/", S_IFDIR | 0755, 0, 1003},
        {"./var/local/", S_IFDIR | 02775, 50, 1004},
    };
    struct archive *a = archive_read_new();
    archive_read_support_format_tar(a);
    assert_int_equal(archive_read_open_filename(a, tar, 10240), ARCHIVE_OK);
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        struct archive_entry *e;
        assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_OK);
        assert_string_equal(archive_entry_pathname(e), expected[i].name);
        if (!archive_entry_hardlink(e))
            assert_int_equal(archive_entry_mode(e), expected[i].mode);
        assert_int_equal(archive_entry_uid(e), 0);
        assert_int_equal(archive_entry_gid(e), expected[i].gid);
        assert_int_equal(archive_entry_mtime(e), expected[i].mtime);
    }
    struct archive_entry *e;
    assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_EOF);
    archive_read_free(a);
    remove_tree(folder, NULL);
    free(folder);
    free(root);
    free(deb);
    free(tar);
}
