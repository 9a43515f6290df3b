// SPDX-License-Identifier: Apache-2.0
// Root file systems from packages: made here, and from the mirror that this host is configured
// with. What needs the mirror is skipped unless KBUILD_TEST_MIRROR=1: minutes, and hundreds of
// megabytes.
#include "test.h"

#include "sandbox_help.h"

#include "base/digest.h"

#include <pwd.h>
#include <sys/stat.h>

static struct distribution host;
static char *folder; // everything of this test
static char *builder;

// Resolves the packages and opens their list, with a store that the caller closes.
static void resolve(const char *packages, const struct arch *arch, enum packages_kind kind,
                    const char *cache, struct source_options *o, struct package_set *set)
{
    struct error *err = NULL;
    struct strlist list = {0};
    char digest[DIGEST_HEX_SIZE];
    strlist_split(&list, packages, " ");
    const struct packages_request r = {
        .kind = kind, .distribution = &host, .arch = arch, .names = &list};
    *o = (struct source_options){.store = store_open(cache, &err)};
    fail_with(err);
    if (packages_resolve(&r, o, digest, &err) == 0)
        packages_open(&r, o, digest, set, &err);
    fail_with(err);
    strlist_free(&list);
}

static void make_rootfs(const char *packages, const char *destination, const char *setup,
                        struct package_set *set)
{
    struct error *err = NULL;
    struct source_options o;
    char *cache = xasprintf("%s/cache", folder);
    resolve(packages, arch_host(), PACKAGES_BUILDER, cache, &o, set);
    const struct rootfs_spec spec = {
        .distribution = &host, .arch = arch_host(), .set = set, .options = &o, .setup = setup};
    rootfs_unpack(&spec, destination, true, &err);
    fail_with(err);
    store_close(o.store);
    free(cache);
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

static bool mirror_is_wanted(void)
{
    const char *wanted = getenv("KBUILD_TEST_MIRROR");
    return wanted && !strcmp(wanted, "1");
}

// A package made here, as if it had been resolved.
static void add_package(struct package_set *set, const char *name, const char *version)
{
    char *script =
        xasprintf("set -eu; cd '%s'; mkdir -p d/DEBIAN d/usr/share/%s\n"
                  "printf 'Package: %s\\nVersion: %s\\nArchitecture: all\\nMaintainer: A "
                  "<a@example.org>\\nDescription: d\\n' > d/DEBIAN/control\n"
                  "echo %s > d/usr/share/%s/version; chmod -R go-w d\n"
                  "dpkg-deb --root-owner-group -Znone -b d %s.deb >/dev/null; rm -r d",
                  folder, name, name, version, version, name, name);
    const char *const argv[] = {"bash", "-c", script, NULL};
    const struct process p = {.argv = (char *const *)argv, .input = -1};
    struct error *err = NULL;
    process_run(&p, NULL, &err);
    fail_with(err);
    set->items = xgrow(set->items, &set->cap, set->n + 1, sizeof *set->items);
    struct package *package = &set->items[set->n++];
    *package = (struct package){.of = xstrdup(arch_host()->debian),
                                .name = xstrdup(name),
                                .version = xstrdup(version),
                                .architecture = xstrdup("all"),
                                .file = xasprintf("%s_%s_all.deb", name, version),
                                .uri = xasprintf("copy:%s/%s.deb", folder, name)};
    char *path = xasprintf("%s/%s.deb", folder, name);
    digest_file(path, package->sha256, NULL, &err);
    fail_with(err);
    free(path);
    free(script);
}

static int extract(struct package_set *set, const char *name, struct error **err)
{
    char *cache = xasprintf("%s/cache", folder), *root = xasprintf("%s/%s", folder, name);
    struct source_options o = {.store = store_open(cache, err)};
    const struct rootfs_spec spec = {
        .distribution = &host, .arch = arch_host(), .set = set, .options = &o};
    int result = make_directories(root, 0755, err);
    if (!result)
        result = rootfs_unpack(&spec, root, false, err);
    store_close(o.store);
    free(cache);
    free(root);
    return result;
}

ALL_TESTS(prepare, clean_up)

// No mirror is needed: the packages are made here.
TEST(exactly_what_was_resolved_is_extracted)
{
    struct package_set set = {0};
    struct error *err = NULL;
    add_package(&set, "first", "1.0");
    add_package(&set, "second", "2:1.0+x-1");
    extract(&set, "exact", &err);
    fail_with(err);
    char *path = xasprintf("%s/exact/usr/share/second/version", folder);
    struct buf text = {0};
    file_read(path, 100, &text, &err);
    fail_with(err);
    assert_string_equal(text.data, "2:1.0+x-1\n");
    buf_free(&text);
    // The right bytes, but another version than was resolved: an index that lies.
    free(set.items[1].version);
    set.items[1].version = xstrdup("2:1.1-1");
    assert_int_equal(extract(&set, "other", &err), -1);
    assert_non_null(strstr(err->message, "second 2:1.0+x-1 (all), which was not resolved"));
    error_free(err);
    // Other bytes.
    err = NULL;
    set.items[1].sha256[0] ^= 1;
    assert_int_equal(extract(&set, "bytes", &err), -1);
    error_free(err);
    package_set_free(&set);
    free(path);
}

TEST(a_builder_compiles_natively_and_across)
{
    if (!mirror_is_wanted())
        skip();
    write_text(folder, "setup.sh", "set -eu\necho setup-ran > /etc/setup-ran\n");
    char *setup = xasprintf("%s/setup.sh", folder), *build = xasprintf("%s/build", folder);
    struct package_set set = {0};
    make_rootfs("make gcc gcc-s390x-linux-gnu libc6-dev libc6-dev-s390x-cross bc bison flex "
                "libelf-dev libssl-dev kmod cpio rsync python3 perl xz-utils gettext patch "
                "libfdt-dev libfdt-dev:s390x", // of one architecture at a time, where in one root
                builder, setup, &set);
    assert_true(set.n > 50);
    package_set_free(&set);
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

TEST(nothing_of_the_host_or_of_the_run_is_in_a_builder)
{
    if (!mirror_is_wanted())
        skip();
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
    const struct arch *s390x = arch_find("s390x", &err);
    struct package_set set = {0};
    struct source_options o;
    char *cache = xasprintf("%s.cache", temporary);
    resolve("busybox-static base-files libpam-modules-bin ca-certificates", s390x, PACKAGES_ROOTFS,
            cache, &o, &set);
    const struct rootfs_spec spec = {
        .distribution = &host, .arch = s390x, .set = &set, .options = &o};
    rootfs_tar(&spec, temporary, fd, &err);
    fail_with(err);
    assert_true(set.n > 3);
    package_set_free(&set);
    store_close(o.store);
    lseek(fd, 0, SEEK_SET);
    assert_int_equal(digest_fd(fd, tar, hex, NULL, &err), 0);
    close(fd);
    free(cache);
    free(temporary);
    free(tar);
}

TEST(a_foreign_root_file_system_is_the_same_for_root_and_for_others)
{
    if (!mirror_is_wanted())
        skip();
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

TEST(a_package_that_does_not_exist_is_named)
{
    if (!mirror_is_wanted())
        skip();
    struct error *err = NULL;
    struct strlist list = {0};
    char *cache = xasprintf("%s/cache", folder), digest[DIGEST_HEX_SIZE];
    strlist_add(&list, "no-such-package-anywhere");
    const struct packages_request r = {
        .kind = PACKAGES_ROOTFS, .distribution = &host, .arch = arch_host(), .names = &list};
    const struct source_options o = {.store = store_open(cache, &err)};
    assert_int_equal(packages_resolve(&r, &o, digest, &err), -1);
    assert_non_null(strstr(err->message, "no-such-package-anywhere"));
    error_free(err);
    strlist_free(&list);
    store_close(o.store);
    free(cache);
}
