// SPDX-License-Identifier: Apache-2.0
// Sources out of distribution packages. Packages made here test the unpacking; what needs a mirror
// runs with KBUILD_TEST_MIRROR=1 only, on the real linux-source and busybox.
#include "source_help.h"

#include "source/apt.h"
#include "source/debian.h"
#include "source/room.h"

// ---- the host's package sources ----
static void use_apt_folder(struct place *p)
{
    run_sh(p, "mkdir -p parts; printf 'Dir::Etc::sourcelist \"%%s/sources.list\";\\n"
              "Dir::Etc::sourceparts \"%%s/parts\";\\nDir::State::lists \"%%s/lists\";\\n"
              "Acquire::http::Proxy \"http://proxy.example:3128\";\\n"
              "APT::Update::Post-Invoke { \"touch %%s/hook\"; };\\n' $PWD $PWD $PWD $PWD > conf");
    cleanup_free char *conf = xasprintf("%s/conf", p->folder);
    setenv("APT_CONFIG", conf, 1);
    unsetenv("REPO_URL");
    unsetenv("REPO_URL_X86_64");
    unsetenv("REPO_COMPONENTS");
}

static int place_end_apt(void **state)
{
    unsetenv("APT_CONFIG");
    unsetenv("REPO_URL");
    unsetenv("REPO_URL_X86_64");
    unsetenv("REPO_COMPONENTS");
    return place_end(state);
}

static char *sources(const char *id, const char *codename, bool deb_src)
{
    struct buf out = {0};
    cleanup_error struct error *err = NULL;
    assert_ok(apt_sources(id, codename, deb_src, &out, &err), &err);
    return buf_take(&out);
}

static void one_line_sources_of_the_distribution_are_found(void **state)
{
    struct place *p = *state;
    use_apt_folder(p);
    run_sh(p, "cat > sources.list <<'E'\n"
              "# deb http://old.example/debian bookworm main\n"
              "deb [arch=amd64 signed-by=/k/debian-archive-keyring.gpg] http://m.example/debian "
              "bookworm main contrib # why\n"
              "deb-src http://m.example/debian bookworm main\n"
              "deb http://m.example/security bookworm-security main\n"
              "deb http://m.example/debian trixie main\n"
              "deb cdrom:[x]/ bookworm main\n"
              "deb http://flat.example/ ./\n"
              "deb http://third.example/ bookworm-pgdg main\n"
              "deb [signed-by=/k/vendor.gpg] http://vendor.example/ bookworm stable\n"
              "nonsense\ndeb\ndeb [broken http://x bookworm main\nE");
    cleanup_free char *out = sources("debian", "bookworm", false);
    assert_string_equal(out, "Types: deb\n"
                             "URIs: http://m.example/debian\n"
                             "Suites: bookworm\n"
                             "Components: main contrib\n"
                             "Signed-By: /k/debian-archive-keyring.gpg\n\n"
                             "Types: deb\n"
                             "URIs: http://m.example/security\n"
                             "Suites: bookworm-security\n"
                             "Components: main\n\n");
}

static void deb822_sources_of_the_distribution_are_found(void **state)
{
    struct place *p = *state;
    use_apt_folder(p);
    run_sh(p, "cat > parts/a.sources <<'E'\n"
              "# a comment\n"
              "Types: deb deb-src\n"
              "URIs: http://a.example/debian\n"
              "# in the middle\n"
              "suites: bookworm bookworm-updates trixie\n"
              "Components: main\n"
              " contrib\n"
              "Signed-By:\n"
              " -----BEGIN PGP PUBLIC KEY BLOCK-----\n"
              " .\n"
              " abc\n"
              " -----END PGP PUBLIC KEY BLOCK-----\n"
              "\n"
              "Enabled: no\n"
              "Types: deb\nURIs: http://off.example\nSuites: bookworm\nComponents: main\n"
              "\n"
              "Types: deb-src\nURIs: http://src.example\nSuites: bookworm\nComponents: main\nE\n"
              "echo 'deb http://b.example/ bookworm main' > parts/b.list.disabled\n"
              "echo 'deb http://a.example/debian/ bookworm main contrib' > parts/twice.list");
    cleanup_free char *out = sources("debian", "bookworm", true);
    assert_string_equal(out, "Types: deb deb-src\n"
                             "URIs: http://a.example/debian\n"
                             "Suites: bookworm bookworm-updates\n"
                             "Components: main contrib\n"
                             "Signed-By: \n"
                             " -----BEGIN PGP PUBLIC KEY BLOCK-----\n"
                             " .\n"
                             " abc\n"
                             " -----END PGP PUBLIC KEY BLOCK-----\n\n");
}

static void another_distribution_needs_repo_url(void **state)
{
    struct place *p = *state;
    use_apt_folder(p);
    run_sh(p, "echo 'deb http://m.example/debian bookworm main' > sources.list");
    struct buf out = {0};
    cleanup_error struct error *err = NULL;
    assert_int_equal(apt_sources("ubuntu", "noble", false, &out, &err), -1);
    assert_says(err->message, "ubuntu noble");
    assert_says(err->hint, "REPO_URL");
    error_free(steal(err));
    setenv("REPO_URL", "http://ports.example/ubuntu", 1);
    setenv("REPO_URL_X86_64", "http://x86.example/ubuntu", 1);
    setenv("REPO_COMPONENTS", "main universe", 1);
    cleanup_free char *both = sources("ubuntu", "noble", false);
    assert_says(both, "URIs: http://x86.example/ubuntu\nSuites: noble\nComponents: main universe\n"
                      "Architectures: amd64\n");
    assert_says(both,
                "URIs: http://ports.example/ubuntu\nSuites: noble\nComponents: main universe\n"
                "Architectures: arm64 ppc64el s390x\n");
    setenv("REPO_URL", "http://x/\nTrusted: yes", 1);
    assert_refused(apt_sources("ubuntu", "noble", false, &out, &err), &err, "REPO_URL");
    buf_free(&out);
}

static void apt_settings_keep_the_proxy_but_no_hooks(void **state)
{
    struct place *p = *state;
    use_apt_folder(p);
    cleanup_buf struct buf out = {0};
    cleanup_error struct error *err = NULL;
    assert_ok(apt_settings(&out, &err), &err);
    assert_says(out.data, "Acquire::http::Proxy \"http://proxy.example:3128\";\n");
    assert_null(strstr(out.data, "hook"));
    assert_says(out.data, "Acquire::Retries");
}

// ---- packages made here, and a mirror of them ----
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

static void a_package_and_an_archive_inside_it_are_unpacked(void **state)
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

// A package repository in a folder, unsigned but marked trusted, as this host's distribution.
static void make_mirror(struct place *p)
{
    cleanup_error struct error *err = NULL;
    struct distribution host;
    assert_ok(distribution_host(&host, &err), &err);
    cleanup_free char *id = host.id, *codename = host.codename;
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

static void the_first_package_that_exists_is_taken_and_kept_for_offline(void **state)
{
    struct place *p = *state;
    make_mirror(p);
    struct debian_source source = {.file = (char *)"/usr/src/demo-*.tar.xz"};
    strlist_add(&source.packages, "no-such-package");
    strlist_add(&source.packages, "demo-source");
    cleanup_error struct error *err = NULL;
    json_t *provenance = NULL;
    p->o.offline = true;
    assert_refused(get(p, &source, NULL, &err), &err, "the package no-such-package demo-source of");
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

static void a_source_package_is_unpacked_with_its_patches(void **state)
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

static void no_such_package_names_all_that_were_tried(void **state)
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

static void a_package_that_was_tampered_with_is_refused(void **state)
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

// ---- the real mirror ----
static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void real_sources_come_from_the_real_mirror(void **state)
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, place_begin, place_end_apt)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_line_sources_of_the_distribution_are_found),
        TEST(deb822_sources_of_the_distribution_are_found),
        TEST(another_distribution_needs_repo_url),
        TEST(apt_settings_keep_the_proxy_but_no_hooks),
        TEST(a_package_and_an_archive_inside_it_are_unpacked),
        TEST(the_first_package_that_exists_is_taken_and_kept_for_offline),
        TEST(a_source_package_is_unpacked_with_its_patches),
        TEST(no_such_package_names_all_that_were_tried),
        TEST(a_package_that_was_tampered_with_is_refused),
        TEST(real_sources_come_from_the_real_mirror),
    };
    return cmocka_run_group_tests(tests, home_begin, home_end);
}
