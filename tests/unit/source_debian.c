// SPDX-License-Identifier: Apache-2.0
// Sources out of distribution packages. Packages made here test the unpacking; what needs a mirror
// runs with KBUILD_TEST_MIRROR=1 only, on the real linux-source and busybox.
#include "test.h"

#include "source_apt_help.h"

#include "recipe/versions.h"
#include "source/internal.h"

static void make_deb(struct place *p)
{
    run_sh(p, "mkdir -p d/DEBIAN d/usr/src demo-1.0/sub; echo hi > demo-1.0/sub/file\n"
              "find demo-1.0 -exec touch -d @1500000000 {} +\n"
              "tar -cJf d/usr/src/demo-1.0.tar.xz demo-1.0; echo x > d/usr/src/other.txt; ln -s "
              "/etc/hostname d/usr/src/link\n"
              "printf 'Package: demo-source\\nVersion: 1:1.0-1\\nArchitecture: all\\nMaintainer: A "
              "<a@example.org>\\nDescription: d\\n' > d/DEBIAN/control\n"
              "chmod -R go-w d; dpkg-deb --root-owner-group -Zxz -b d pool-demo.deb >/dev/null\n"
              "rm -rf d");
}

EACH_TEST(place_begin, place_end_apt)
ALL_TESTS(home_begin, home_end)

TEST(a_package_and_an_archive_inside_it_are_unpacked)
{
    struct place *p = *state;
    make_deb(p);
    cleanup_free char *deb = xasprintf("%s/pool-demo.deb", p->folder);
    cleanup_free char *content = fresh_folder(p, "content");
    cleanup_free char *out = fresh_folder(p, "out");
    cleanup_error struct error *err = NULL;
    int64_t newest = 0;
    assert_ok(deb_unpack(deb, content, &newest, &err), &err);
    assert_sh(p, "ls content/usr/src", "demo-1.0.tar.xz\nlink\nother.txt");
    assert_ok(deb_unpack_inside(content, "usr/src/demo-*.tar.xz", out, &newest, &err), &err);
    assert_sh(p, "cat out/sub/file", "hi");
    assert_int_equal(newest, 1500000000);
    assert_refused(deb_unpack_inside(content, "usr/src/none*", out, &newest, &err), &err,
                   "has no file usr/src/none*");
    assert_refused(deb_unpack_inside(content, "usr/src/*", out, &newest, &err), &err,
                   "more than one file");
    cleanup_free char *broken = xasprintf("%s/content/usr/src/other.txt", p->folder);
    assert_int_equal(deb_unpack(broken, out, &newest, &err), -1);
}

TEST(what_a_package_has_of_devices_and_setuid_is_not_kept)
{
    struct place *p = *state;
    cleanup_free char *deb = xasprintf("%s/odd.deb", p->folder);
    cleanup_free char *content = fresh_folder(p, "odd");
    cleanup_error struct error *err = NULL;
    int64_t newest = 0;
    run_sh(p, "mkdir -p d/DEBIAN d/usr/bin; echo x > d/usr/bin/x; chmod 6755 d/usr/bin/x\n"
              "printf 'Package: odd\nVersion: 1\nArchitecture: all\nMaintainer: A "
              "<a@example.org>\nDescription: d\n' > d/DEBIAN/control\n"
              "dpkg-deb --root-owner-group -Zxz -b d odd.deb >/dev/null\n");
    assert_ok(deb_unpack(deb, content, &newest, &err), &err);
    assert_sh(p, "stat -c %a odd/usr/bin/x; find odd -perm /7000", "755");
    run_sh(p, "mkfifo d/usr/bin/fifo; dpkg-deb --root-owner-group -Zxz -b d odd.deb >/dev/null\n"
              "rm -rf d");
    cleanup_free char *again = fresh_folder(p, "again");
    assert_refused(deb_unpack(deb, again, &newest, &err), &err, "usr/bin/fifo");
}

// A package repository in a folder, unsigned but marked trusted, as this host's distribution.
static void make_mirror(struct place *p)
{
    cleanup_error struct error *err = NULL;
    struct distribution host;
    assert_ok(distribution_host(&host, &err), &err);
    free(host.id);
    cleanup_free char *codename = host.codename;
    make_deb(p);
    run_sh(p,
           "mkdir -p m/pool m/dists/%s/main/binary-all m/dists/%s/main/source\n"
           "mv pool-demo.deb m/pool/demo-source_1.0-1_all.deb\n"
           "mkdir -p s/demo-1.0/debian/source; cd s/demo-1.0; echo orig > file; cd ..\n"
           "tar -czf demo_1.0.orig.tar.gz demo-1.0; cd demo-1.0; mkdir debian/patches\n"
           "echo '3.0 (quilt)' > debian/source/format\n"
           "printf 'Source: demo\\nMaintainer: A <a@example.org>\\nStandards-Version: 4.6.0\\n\\n"
           "Package: demo\\nArchitecture: all\\nDescription: d\\n' > debian/control\n"
           "printf 'demo (1.0-2) x; urgency=low\\n\\n  * y\\n\\n -- A <a@example.org>  Fri, 14 "
           "Jul 2017 02:40:00 +0000\\n' > debian/changelog\n"
           "printf -- '--- a/file\\n+++ b/file\\n@@ -1 +1 @@\\n-orig\\n+patched\\n' > "
           "debian/patches/p.patch; echo p.patch > debian/patches/series; cd ..\n"
           "dpkg-source -b demo-1.0 >/dev/null 2>&1; mv demo_1.0* ../m/pool; cd ../m\n"
           "arch=$(dpkg --print-architecture); b=dists/%s/main\n"
           "dpkg-scanpackages -m pool 2>/dev/null > $b/binary-all/Packages\n"
           "mkdir $b/binary-$arch; cp $b/binary-all/Packages $b/binary-$arch/\n"
           "dpkg-scansources pool 2>/dev/null > $b/source/Sources\n"
           "cd dists/%s; { printf 'Origin: Demo\\nCodename: %s\\nSuite: %s\\nArchitectures: '\n"
           "echo \"all $arch\"; echo 'Components: main'; echo 'SHA256:'\n"
           "for f in $(find main -type f); do echo \" $(sha256sum < $f | cut -c1-64) $(stat -c "
           "%%s $f) $f\"; done; } > Release",
           codename, codename, codename, codename, codename, codename);
    use_apt_folder(p);
    run_sh(p, "echo \"deb [trusted=yes] file:$PWD/m %s main\" > sources.list", codename);
}

static struct source_spec debian_spec(const struct debian_source *source)
{
    return (struct source_spec){.kind = SOURCE_DEBIAN, .label = (char *)"demo", .debian = source};
}

static int get(struct place *p, const struct debian_source *source, json_t **provenance,
               struct error **err)
{
    struct source_spec spec = debian_spec(source);
    struct source_pin pin = {0};
    cleanup_free char *out = fresh_folder(p, "out");
    int result = source_resolve(&spec, &p->o, &pin, err);
    if (result == 0)
        result = source_fetch(&spec, &pin, &p->o, out, provenance, err);
    source_pin_free(&pin);
    return result;
}

TEST(the_first_package_that_exists_is_taken_and_kept_for_offline)
{
    struct place *p = *state;
    make_mirror(p);
    struct debian_source source = {.file = (char *)"/usr/src/demo-*.tar.xz"};
    strlist_add(&source.packages, "no-such-package");
    strlist_add(&source.packages, "demo-source");
    cleanup_error struct error *err = NULL;
    json_t *provenance = NULL;
    p->o.offline = true;
    assert_refused(get(p, &source, NULL, &err), &err,
                   "the package list \"no-such-package demo-source\" of");
    p->o.offline = false;
    assert_ok(get(p, &source, &provenance, &err), &err);
    assert_sh(p, "cat out/sub/file; stat -c %Y out", "hi\n1500000000");
    assert_string_equal(json_string_value(json_object_get(provenance, "package")), "demo-source");
    assert_string_equal(json_string_value(json_object_get(provenance, "version")), "1:1.0-1");
    assert_sh(p, "ls hook 2>/dev/null || true; ls store/tmp | grep -v '[0-9]' || true", "");
    json_decref(provenance);
    run_sh(p, "rm -rf m");
    p->o.offline = true;
    assert_ok(get(p, &source, NULL, &err), &err);
    assert_sh(p, "cat out/sub/file", "hi");
    strlist_free(&source.packages);
}

TEST(a_source_package_is_unpacked_with_its_patches)
{
    struct place *p = *state;
    make_mirror(p);
    struct debian_source source = {.source = (char *)"demo"};
    cleanup_error struct error *err = NULL;
    json_t *provenance = NULL;
    assert_ok(get(p, &source, &provenance, &err), &err);
    assert_sh(p, "cat out/file; stat -c %Y out", "patched\n1500000000");
    assert_string_equal(json_string_value(json_object_get(provenance, "version")), "1.0-2");
    assert_int_equal(json_array_size(json_object_get(provenance, "files")), 3);
    json_decref(provenance);
    run_sh(p, "rm -rf m");
    p->o.offline = true;
    assert_ok(get(p, &source, NULL, &err), &err);
    assert_sh(p, "cat out/file", "patched");
}

TEST(no_such_package_names_all_that_were_tried)
{
    struct place *p = *state;
    make_mirror(p);
    struct debian_source source = {0};
    strlist_add(&source.packages, "nope");
    strlist_add(&source.packages, "nada");
    cleanup_error struct error *err = NULL;
    assert_refused(get(p, &source, NULL, &err), &err, "has none of these packages: nope nada");
    strlist_free(&source.packages);
    struct debian_source option = {.source = (char *)"-o=x"};
    assert_refused(get(p, &option, NULL, &err), &err, "is not the name of a package");
}

TEST(a_package_that_was_tampered_with_is_refused)
{
    struct place *p = *state;
    make_mirror(p);
    run_sh(p, "printf x | dd of=$(ls m/pool/*.deb) bs=1 seek=200 conv=notrunc status=none");
    struct debian_source source = {0};
    strlist_add(&source.packages, "demo-source");
    cleanup_error struct error *err = NULL;
    assert_int_equal(get(p, &source, NULL, &err), -1);
    assert_says(err->message, "demo-source");
    strlist_free(&source.packages);
}

// A mirror whose index is of another day than its files.
TEST(a_file_that_the_mirror_lists_and_lacks_is_an_error_with_two_ways_out)
{
    struct place *p = *state;
    make_mirror(p);
    run_sh(p, "rm m/pool/*.deb");
    struct debian_source source = {0};
    strlist_add(&source.packages, "demo-source");
    cleanup_error struct error *err = NULL;
    assert_int_equal(get(p, &source, NULL, &err), -1);
    assert_says(err->message, "demo-source_1.0-1_all.deb");
    assert_says(err->hint, "kbuild update TARGET");
    assert_says(err->hint, "--source NAME=DIR");
    strlist_free(&source.packages);
}

// ---- the real mirror ----
static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

TEST(real_sources_come_from_the_real_mirror)
{
    struct place *p = *state;
    const char *wanted = getenv("KBUILD_TEST_MIRROR");
    if (!wanted || strcmp(wanted, "1") != 0)
        skip();
    struct debian_source linux_ = {.file = (char *)"usr/src/linux-source-*.tar.xz"};
    struct debian_source busybox = {.source = (char *)"busybox"};
    strlist_add(&linux_.packages, "linux-source-6.1");
    strlist_add(&linux_.packages, "linux-source");
    const struct debian_source *all[] = {&linux_, &busybox};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        for (int again = 0; again < 2; again++) {
            cleanup_error struct error *err = NULL;
            json_t *provenance = NULL;
            double before = seconds();
            assert_ok(get(p, all[i], &provenance, &err), &err);
            print_message("%s %s: %.1f s\n",
                          json_string_value(json_object_get(provenance, "version")),
                          again ? "again" : "first", seconds() - before);
            assert_sh(p, "test -f out/Makefile && echo yes", "yes");
            json_decref(provenance);
        }
    strlist_free(&linux_.packages);
}
