// SPDX-License-Identifier: Apache-2.0
// Root file systems from the package mirror that this host is configured with. What needs the
// mirror is skipped unless KBUILD_TEST_MIRROR=1: minutes, and hundreds of megabytes.
#include "sandbox_help.h"

#include "base/digest.h"

#include <jansson.h>
#include <pwd.h>
#include <sys/stat.h>

static struct distribution host;
static char *folder; // everything of this test
static char *builder;

static void make_rootfs(const char *packages, const char *arch, const char *destination,
                        const char *setup, json_t **record)
{
    struct error *err = NULL;
    struct strlist list = {0};
    strlist_split(&list, packages, " ");
    struct rootfs_spec spec = {
        .distribution = &host, .arch = arch_find(arch, &err), .packages = &list, .setup = setup};
    rootfs_unpack(&spec, destination, true, record, &err);
    fail_with(err);
    strlist_free(&list);
}

static int prepare(void **state)
{
    struct error *err = NULL;
    if (distribution_host(&host, &err) < 0)
        fail_with(err);
    folder = temporary_folder();
    builder = xasprintf("%s/builder", folder);
    return make_directories(builder, 0755, &err);
}

static int clean_up(void **state)
{
    struct error *err = NULL;
    remove_tree(folder, &err);
    fail_with(err);
    free(builder);
    free(folder);
    distribution_free(&host);
    return 0;
}

static void need_mirror(void)
{
    const char *wanted = getenv("KBUILD_TEST_MIRROR");
    if (!wanted || strcmp(wanted, "1") != 0)
        skip();
}

static void what_is_no_package_name_is_refused(void **state)
{
    // Each would mean something else to apt or mmdebstrap.
    static const char *const names[] = {"./x.deb", "/x.deb", "?essential", "~prequired", "-o=x",
                                        "a,b",     "a b",    "a=1",        "a/stable",   ""};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct error *err = NULL;
        struct strlist list = {0};
        strlist_add(&list, names[i]);
        struct rootfs_spec spec = {.distribution = &host, .arch = arch_host(), .packages = &list};
        json_t *record = NULL;
        assert_int_equal(rootfs_unpack(&spec, builder, true, &record, &err), -1);
        assert_non_null(strstr(err->message, "is not the name of a package"));
        error_free(err);
        strlist_free(&list);
    }
    struct strlist left = {0};
    assert_int_equal(list_directory(folder, &left, NULL), 0);
    assert_int_equal(left.n, 1); // the builder's own, empty folder
    strlist_free(&left);
}

static void a_builder_compiles_natively_and_across(void **state)
{
    need_mirror();
    write_text(folder, "setup.sh", "set -eu\necho setup-ran > /etc/setup-ran\n");
    char *setup = xasprintf("%s/setup.sh", folder), *build = xasprintf("%s/build", folder);
    json_t *record = NULL;
    make_rootfs("make gcc gcc-s390x-linux-gnu libc6-dev libc6-dev-s390x-cross bc bison flex "
                "libelf-dev libssl-dev kmod cpio rsync python3 perl xz-utils gettext patch "
                "libfdt-dev libfdt-dev:s390x", // of one architecture at a time, where in one root
                arch_host()->name, builder, setup, &record);
    assert_true(json_array_size(record) > 50);
    json_decref(record);
    write_text(build, "hello.c",
               "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n");
    struct sandbox_mount mount = {build, "/build", true};
    struct sandbox s = {.root = builder, .mounts = &mount, .mount_count = 1, .directory = "/build"};
    expect_output(s, "cat /etc/setup-ran; gcc -o hello hello.c && ./hello", "setup-ran\nhello\n");
    expect_output(s, "cc -o hello hello.c && c99 -o hello hello.c && ./hello", "hello\n");
    // e_machine of an ELF header (ELF specification, figure 4-3), big endian: EM_S390 is 22.
    expect_output(s,
                  "s390x-linux-gnu-gcc -static -o foreign hello.c && od -An -tx1 -j18 -N2 foreign",
                  " 00 16\n");
    write_text(build, "fdt.c",
               "#include <libfdt.h>\nint main(void) { return !fdt_strerror(0); }\n");
    expect_output(s, "gcc -static -o fdt fdt.c -lfdt && ./fdt && echo linked", "linked\n");
    expect_output(s,
                  "s390x-linux-gnu-gcc --sysroot=" SANDBOX_SYSROOT "/s390x-linux-gnu -static "
                  "-o fdt fdt.c -lfdt && od -An -tx1 -j18 -N2 fdt",
                  " 00 16\n");
    expect_output(
        s,
        "for t in make bc bison yacc flex kmod cpio rsync python3 perl xz msgfmt patch awk "
        "sed tar which find cmp gzip hostname sh bash; do "
        "command -v $t >/dev/null || echo $t is missing; done; "
        "python3 -c 'import ssl, json; print(1)'; perl -e 'use POSIX; print \"2\\n\"'; "
        "echo 6*7 | bc; echo a b | awk '{print $2}'",
        "1\n2\n42\nb\n");
    expect_refusal(s, "echo > /etc/x", "Read-only");
    cleanup_free char *emulator = find_program("qemu-s390x-static");
    if (!emulator)
        emulator = find_program("qemu-s390x");
    if (emulator) {
        char *program = xasprintf("%s/foreign", build);
        char *argv[] = {emulator, program, NULL};
        struct process p = {.argv = argv, .input = -1};
        struct buf out = {0};
        struct error *err = NULL;
        process_run(&p, &out, &err);
        fail_with(err);
        assert_string_equal(out.data, "hello\n");
        buf_free(&out);
        free(program);
    }
    free(setup);
    free(build);
}

static void nothing_of_the_host_or_of_the_run_is_in_a_builder(void **state)
{
    need_mirror();
    static const char *const absent[] = {
        "etc/resolv.conf", "etc/hostname", "etc/machine-id", "var/lib/apt",   "var/lib/dpkg",
        "var/cache/apt",   "dev/null",     "etc/passwd-",    "usr/share/man", "var/log/dpkg.log",
    };
    for (size_t i = 0; i < ARRAY_LEN(absent); i++) {
        char *path = xasprintf("%s/%s", builder, absent[i]);
        struct stat st;
        if (lstat(path, &st) == 0)
            fail_msg("%s is there", absent[i]);
        free(path);
    }
}

// The stream of a small foreign root file system, as whoever calls this.
static void stream(const char *name, char hex[static DIGEST_HEX_SIZE])
{
    struct error *err = NULL;
    char *temporary = xasprintf("%s/%s", folder, name), *tar = xasprintf("%s.tar", temporary);
    make_directories(temporary, 0755, &err);
    int fd = open(tar, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    struct strlist list = {0};
    strlist_split(&list, "busybox-static base-files libpam-modules-bin ca-certificates", " ");
    struct rootfs_spec spec = {
        .distribution = &host, .arch = arch_find("s390x", &err), .packages = &list};
    json_t *record = NULL;
    rootfs_tar(&spec, temporary, fd, &record, &err);
    fail_with(err);
    assert_true(json_array_size(record) > 3);
    json_decref(record);
    lseek(fd, 0, SEEK_SET);
    assert_int_equal(digest_fd(fd, tar, hex, NULL, &err), 0);
    close(fd);
    strlist_free(&list);
    free(temporary);
    free(tar);
}

static void a_foreign_root_file_system_is_the_same_for_root_and_for_others(void **state)
{
    need_mirror();
    char first[DIGEST_HEX_SIZE], second[DIGEST_HEX_SIZE];
    stream("first", first);
    if (geteuid() == 0) {
        // The second time as an ordinary user.
        struct passwd *nobody = getpwnam("nobody");
        assert_non_null(nobody);
        assert_int_equal(chmod(folder, 0777), 0);
        pid_t pid = fork();
        if (pid == 0) {
            if (setgid(nobody->pw_gid) == 0 && setuid(nobody->pw_uid) == 0)
                stream("second", second);
            fflush(NULL);
            _exit(0);
        }
        int status;
        assert_int_equal(process_wait(pid, &status, NULL), 0);
        assert_int_equal(status, 0);
        char *tar = xasprintf("%s/second.tar", folder);
        assert_int_equal(digest_file(tar, second, NULL, NULL), 0);
        free(tar);
    } else {
        stream("second", second);
    }
    assert_string_equal(first, second);
}

static void a_package_that_does_not_exist_is_named(void **state)
{
    need_mirror();
    struct error *err = NULL;
    struct strlist list = {0};
    strlist_add(&list, "no-such-package-anywhere");
    struct rootfs_spec spec = {.distribution = &host, .arch = arch_host(), .packages = &list};
    char *destination = xasprintf("%s/nothing", folder);
    make_directories(destination, 0755, &err);
    json_t *record = NULL;
    assert_int_equal(rootfs_unpack(&spec, destination, true, &record, &err), -1);
    assert_null(record);
    assert_non_null(strstr(err->message, "no-such-package-anywhere"));
    error_free(err);
    strlist_free(&list);
    free(destination);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_package_name_is_refused),
        cmocka_unit_test(a_builder_compiles_natively_and_across),
        cmocka_unit_test(nothing_of_the_host_or_of_the_run_is_in_a_builder),
        cmocka_unit_test(a_foreign_root_file_system_is_the_same_for_root_and_for_others),
        cmocka_unit_test(a_package_that_does_not_exist_is_named),
    };
    return cmocka_run_group_tests(tests, prepare, clean_up);
}
