// SPDX-License-Identifier: Apache-2.0
// Sources out of distribution packages. Packages made here test the unpacking; what needs a mirror
// runs with KBUILD_TEST_MIRROR=1 only, on the real linux-source and busybox.
#include "source_help.h"

#include "source/apt.h"
#include "source/debian.h"
#include "source/packages.h"
#include "source/room.h"

// ---- the host's package sources ----
static void use_apt_folder(struct place *p)
{
    run_sh(p, "mkdir -p parts; printf 'Dir::Etc::sourcelist \"%%s/sources.list\";\\n"
              "Dir::Etc::sourceparts \"%%s/parts\";\\nDir::State::lists \"%%s/lists\";\\n"
              "Acquire::http::Proxy \"http://127.0.0.1:9\";\\n"
              "APT::Update::Post-Invoke { \"touch %%s/hook\"; };\\n' $PWD $PWD $PWD $PWD > conf");
    cleanup_free char *conf = xasprintf("%s/conf", p->folder);
    setenv("APT_CONFIG", conf, 1);
    unsetenv("REPO_URL");
    unsetenv("REPO_URL_X86_64");
    unsetenv("REPO_COMPONENTS");
    unsetenv("REPO_KEYRING");
}

static int place_end_apt(void **state)
{
    unsetenv("APT_CONFIG");
    unsetenv("REPO_URL");
    unsetenv("REPO_URL_X86_64");
    unsetenv("REPO_COMPONENTS");
    unsetenv("REPO_KEYRING");
    return place_end(state);
}

// What apt_sources() says, or its error in *err.
static int ask_sources(struct place *p, const char *id, const char *codename, const char *arch,
                       struct buf *out, struct error **err)
{
    static unsigned count;
    cleanup_free char *name = xasprintf("asked%u", count++);
    cleanup_free char *folder = fresh_folder(p, name);
    const struct apt_wanted wanted = {.id = id,
                                      .codename = codename,
                                      .arch = arch_find(arch ? arch : "x86_64", err),
                                      .source = !arch,
                                      .folder = folder};
    return apt_sources(&wanted, out, err);
}

static char *sources(struct place *p, const char *id, const char *codename, const char *arch)
{
    struct buf out = {0};
    cleanup_error struct error *err = NULL;
    assert_ok(ask_sources(p, id, codename, arch, &out, &err), &err);
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
              "deb-src [signed-by=/k/debian-archive-keyring.gpg] http://m.example/debian bookworm "
              "main\n"
              "deb http://m.example/security bookworm-security main\n"
              "deb http://n.example/debian trixie main\n"
              "deb cdrom:[x]/ bookworm main\n"
              "deb http://flat.example/ ./\n"
              "deb http://third.example/ bookworm-pgdg main\n"
              "deb [signed-by=/k/vendor.gpg] http://vendor.example/ bookworm stable\nE");
    cleanup_free char *out = sources(p, "debian", "bookworm", "x86_64");
    assert_string_equal(out, "Types: deb\n"
                             "URIs: http://m.example/debian/\n"
                             "Suites: bookworm\n"
                             "Components: main contrib\n"
                             "Architectures: amd64\n"
                             "Signed-By: /k/debian-archive-keyring.gpg\n\n"
                             "Types: deb\n"
                             "URIs: http://m.example/security/\n"
                             "Suites: bookworm-security\n"
                             "Components: main\n"
                             "Architectures: amd64\n\n");
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
              "echo 'deb http://c.example/debian/ bookworm main' > parts/more.list");
    cleanup_free char *out = sources(p, "debian", "bookworm", NULL);
    const char *key = "Signed-By: \n"
                      " -----BEGIN PGP PUBLIC KEY BLOCK-----\n"
                      " .\n"
                      " abc\n"
                      " -----END PGP PUBLIC KEY BLOCK-----\n\n";
    cleanup_free char *expected =
        xasprintf("Types: deb-src\nURIs: http://a.example/debian/\nSuites: bookworm\n"
                  "Components: main contrib\n%sTypes: deb-src\nURIs: http://a.example/debian/\n"
                  "Suites: bookworm-updates\nComponents: main contrib\n%sTypes: deb-src\n"
                  "URIs: http://c.example/debian/\nSuites: bookworm\nComponents: main\n\n",
                  key, key);
    assert_string_equal(out, expected);
}

// As on every Ubuntu host that builds for another architecture.
static void an_entry_is_asked_for_its_own_architectures_only(void **state)
{
    struct place *p = *state;
    use_apt_folder(p);
    run_sh(p, "echo 'deb [arch=amd64,i386] http://a.example/ubuntu noble main' > sources.list\n"
              "printf 'Types: deb\\nURIs: http://ports.example/ubuntu\\nSuites: noble\\n"
              "Components: main\\nArchitectures: s390x arm64\\n' > parts/p.sources");
    cleanup_free char *own = sources(p, "ubuntu", "noble", "x86_64");
    assert_says(own, "URIs: http://a.example/ubuntu/\n");
    assert_says(own, "Architectures: amd64\n");
    assert_null(strstr(own, "ports.example"));
    cleanup_free char *other = sources(p, "ubuntu", "noble", "s390x");
    assert_says(other, "URIs: http://ports.example/ubuntu/\n");
    assert_says(other, "Architectures: s390x\n");
    assert_null(strstr(other, "a.example"));
    cleanup_buf struct buf out = {0};
    cleanup_error struct error *err = NULL;
    assert_refused(ask_sources(p, "ubuntu", "noble", "ppc64le", &out, &err), &err,
                   "any package source of ubuntu noble for ppc64el");
}

static void folders_are_read_as_copies(void **state)
{
    struct place *p = *state;
    use_apt_folder(p);
    run_sh(p,
           "printf 'Types: deb\\nURIs: file:/srv/mirror\\nSuites: bookworm\\nComponents: main\\n\\n"
           "Types: deb\\nURIs: file:///srv/more\\nSuites: bookworm-updates\\nComponents: main\\n\\n"
           "Types: deb\\nURIs: mirror+file:%%s/list\\nSuites: bookworm-security\\n"
           "Components: main\\n' $PWD > parts/a.sources\n"
           "printf '# c\\nhttp://b.example/\\thttp\\nhttp://a.example/d/ priority:2\\n"
           "file:/srv/c/\\tpriority:1\\ttype:index\\n' > list");
    cleanup_free char *out = sources(p, "debian", "bookworm", "x86_64");
    assert_says(out, "URIs: copy:/srv/mirror/\n");
    assert_says(out, "URIs: copy:/srv/more/\n");
    assert_says(out, "URIs: copy:/srv/c/\nSuites: bookworm-security\n");
}

static void another_distribution_needs_repo_url(void **state)
{
    struct place *p = *state;
    use_apt_folder(p);
    run_sh(p, "echo 'deb http://m.example/debian bookworm main' > sources.list");
    cleanup_buf struct buf out = {0};
    cleanup_error struct error *err = NULL;
    assert_int_equal(ask_sources(p, "ubuntu", "noble", "x86_64", &out, &err), -1);
    assert_says(err->message, "ubuntu noble");
    assert_says(err->hint, "REPO_URL");
    error_free(steal(err));
    setenv("REPO_URL", "http://ports.example/ubuntu", 1);
    setenv("REPO_URL_X86_64", "http://x86.example/ubuntu", 1);
    setenv("REPO_COMPONENTS", "main universe", 1);
    cleanup_free char *amd64 = sources(p, "ubuntu", "noble", "x86_64");
    assert_says(amd64, "URIs: http://x86.example/ubuntu\nSuites: noble\nComponents: main universe\n"
                       "Architectures: amd64\n");
    cleanup_free char *s390x = sources(p, "ubuntu", "noble", "s390x");
    assert_says(s390x, "URIs: http://ports.example/ubuntu\n");
    assert_says(s390x, "Architectures: s390x\n");
    setenv("REPO_URL", "http://x/\nTrusted: yes", 1);
    assert_refused(ask_sources(p, "ubuntu", "noble", "s390x", &out, &err), &err, "REPO_URL");
}

// ---- signed mirrors, and whose keys count ----

// A key without a passphrase; its public half is <name>.gpg.
static void make_key(struct place *p, const char *name)
{
    run_sh(p,
           "mkdir -p -m 700 gpg; export GNUPGHOME=$PWD/gpg\n"
           "gpg --batch --quiet --passphrase '' --quick-gen-key 'TEST %s <%s@localhost>' ed25519 "
           "sign never 2>/dev/null\n"
           "gpg --batch --export %s@localhost > %s.gpg; gpgconf --kill gpg-agent",
           name, name, name, name);
}

// An archive in folder `m` with one package, whose Release file says these and is signed by `key`.
static void make_signed_mirror(struct place *p, const char *m, const char *suite,
                               const char *codename, const char *origin, const char *key)
{
    run_sh(p,
           "b=%s/dists/%s/main/binary-amd64; mkdir -p $b\n"
           "printf 'Package: demo\\nVersion: 1\\nArchitecture: amd64\\nMaintainer: x\\n"
           "Description: d\\nFilename: d.deb\\nSize: 1\\nSHA256: "
           "%s\\n\\n' $(printf '%%064d' 7) > $b/Packages\n"
           "cd %s/dists/%s; { printf 'Origin: %s\\nSuite: %s\\nCodename: %s\\n"
           "Architectures: amd64\\nComponents: main\\nSHA256:\\n'\n"
           "echo \" $(sha256sum < main/binary-amd64/Packages | cut -c1-64) $(stat -c %%s "
           "main/binary-amd64/Packages) main/binary-amd64/Packages\"; } > Release\n"
           "export GNUPGHOME=%s/gpg; gpg --batch --quiet --yes -u %s@localhost --clearsign -o "
           "InRelease Release 2>/dev/null; rm Release; gpgconf --kill gpg-agent",
           m, suite, "%s", m, suite, origin, suite, codename, p->folder, key);
}

// Does a private apt verify and read what apt_sources() found?
static int update(struct place *p, struct error **err)
{
    cleanup_buf struct buf out = {0};
    if (ask_sources(p, "debian", "bookworm", "x86_64", &out, err) < 0)
        return -1;
    cleanup_free char *folder = fresh_folder(p, "apt");
    struct apt *a = apt_open(folder, out.data, arch_find("x86_64", err), err);
    int result = a ? apt_update(a, false, err) : -1;
    const char *const show[] = {"apt-cache", "show", "demo", NULL};
    if (!result)
        result = apt_run(a, show, NULL, NULL, err);
    apt_close(a);
    return result;
}

static void a_mirror_with_a_key_of_its_own_counts(void **state)
{
    struct place *p = *state;
    cleanup_error struct error *err = NULL;
    use_apt_folder(p);
    make_key(p, "corp");
    make_key(p, "stranger");
    make_signed_mirror(p, "m", "bookworm", "bookworm", "Example Corp", "corp");
    // Named by the entry, in either format, without lists and with them.
    run_sh(p, "echo \"deb [signed-by=$PWD/corp.gpg] file:$PWD/m bookworm main\" > sources.list");
    assert_ok(update(p, &err), &err);
    run_sh(p, "mkdir -p lists/partial; APT_CONFIG=$PWD/conf apt-get -qq update "
              "-oAPT::Sandbox::User=root -oAPT::Update::Post-Invoke::=");
    assert_ok(update(p, &err), &err);
    run_sh(p,
           "rm -rf lists; : > sources.list\n"
           "gpg --homedir $PWD/gpg --enarmor < corp.gpg 2>/dev/null | sed 's/ARMORED FILE/PUBLIC "
           "KEY BLOCK/;/^Comment/d;s/^$/./;s/^/ /' > inline\n"
           "{ printf 'Types: deb\\nURIs: copy:%%s\\nSuites: bookworm\\nComponents: main\\n"
           "Signed-By:\\n' $PWD/m; cat inline; } > parts/a.sources");
    assert_ok(update(p, &err), &err);
    // Among those that apt trusts for everything.
    run_sh(p, "rm parts/a.sources; echo \"deb file:$PWD/m bookworm main\" > sources.list\n"
              "mkdir trusted; cp corp.gpg trusted/; echo \"Dir::Etc::trustedparts "
              "\\\"$PWD/trusted\\\";\" >> conf");
    assert_ok(update(p, &err), &err);
    // Not by another key, though that is trusted.
    run_sh(p,
           "echo \"deb [signed-by=$PWD/stranger.gpg] file:$PWD/m bookworm main\" > sources.list");
    assert_int_equal(update(p, &err), -1);
    assert_says(err->message, "NO_PUBKEY");
}

static void a_mirror_that_is_named_brings_its_keyring(void **state)
{
    struct place *p = *state;
    cleanup_error struct error *err = NULL;
    use_apt_folder(p);
    make_key(p, "corp");
    make_signed_mirror(p, "m", "bookworm", "bookworm", "Example Corp", "corp");
    cleanup_free char *url = xasprintf("file:%s/m", p->folder);
    cleanup_free char *keyring = xasprintf("%s/corp.gpg", p->folder);
    setenv("REPO_URL", url, 1);
    assert_int_equal(update(p, &err), -1);
    assert_says(err->hint, "REPO_KEYRING");
    error_free(steal(err));
    setenv("REPO_KEYRING", keyring, 1);
    assert_ok(update(p, &err), &err);
    setenv("REPO_KEYRING", "/nowhere/x.gpg", 1);
    assert_refused(update(p, &err), &err, "reading REPO_KEYRING, /nowhere/x.gpg");
    unsetenv("REPO_KEYRING");
    run_sh(p, "mkdir trusted; cp corp.gpg trusted/; echo \"Dir::Etc::trustedparts "
              "\\\"$PWD/trusted\\\";\" >> conf");
    assert_ok(update(p, &err), &err);
}

// As in a fresh container, whose lists were removed.
static void another_name_of_the_suite_is_understood_without_lists(void **state)
{
    struct place *p = *state;
    use_apt_folder(p);
    make_key(p, "corp");
    make_signed_mirror(p, "m", "stable", "bookworm", "Debian", "corp");
    make_signed_mirror(p, "m", "stable-security", "bookworm-security", "Debian", "corp");
    make_signed_mirror(p, "m", "testing", "trixie", "Debian", "corp");
    make_signed_mirror(p, "m", "production", "bookworm", "Corp", "corp");
    run_sh(p, "for s in stable stable-security testing; do\n"
              "echo \"deb [signed-by=$PWD/corp.gpg] file:$PWD/m $s main\"; done > sources.list");
    cleanup_free char *out = sources(p, "debian", "bookworm", "x86_64");
    assert_says(out, "Suites: stable\n");
    assert_says(out, "Suites: stable-security\n");
    assert_null(strstr(out, "testing"));
    run_sh(p, "echo \"deb [signed-by=$PWD/corp.gpg] file:$PWD/m production main\" > sources.list");
    cleanup_free char *production = sources(p, "debian", "bookworm", "x86_64");
    assert_says(production, "Suites: production\n");
}

// The Origin decides where there are two; the other one would add packages of its own.
static void third_parties_are_left_out_where_the_distribution_is_there(void **state)
{
    struct place *p = *state;
    use_apt_folder(p);
    make_key(p, "corp");
    make_signed_mirror(p, "own", "bookworm", "bookworm", "Debian", "corp");
    make_signed_mirror(p, "third", "bookworm", "bookworm", "Vendor", "corp");
    run_sh(p, "for m in third own; do echo \"deb [signed-by=$PWD/corp.gpg] file:$PWD/$m bookworm "
              "main\"; done > sources.list");
    cleanup_free char *out = sources(p, "debian", "bookworm", "x86_64");
    assert_says(out, "/own/\n");
    assert_null(strstr(out, "/third/"));
}

static void apt_settings_keep_the_proxy_but_no_hooks(void **state)
{
    struct place *p = *state;
    use_apt_folder(p);
    cleanup_buf struct buf out = {0};
    cleanup_error struct error *err = NULL;
    assert_ok(apt_settings(&out, &err), &err);
    assert_says(out.data, "Acquire::http::Proxy \"http://127.0.0.1:9\";\n");
    assert_null(strstr(out.data, "hook"));
    assert_says(out.data, "Acquire::Retries");
    // One line for the whole machine does not let unsigned packages in.
    assert_null(strstr(out.data, "Insecure"));
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

static void what_a_package_has_of_devices_and_setuid_is_not_kept(void **state)
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

// ---- lists of packages ----

// A mirror of two packages, one of which needs the other, each of a given version, signed by corp.
static void make_package_mirror(struct place *p, const char *top, const char *needed)
{
    run_sh(p,
           "rm -rf m; mkdir -p m/dists/bookworm/main/binary-amd64 m/pool\n"
           "deb() { mkdir -p d/DEBIAN d/usr/share/$1; echo $2 > d/usr/share/$1/version\n"
           "printf 'Package: %%s\\nVersion: %%s\\nArchitecture: all\\nMaintainer: A "
           "<a@example.org>\\nDescription: d\\n%%s' $1 $2 \"$3\" > d/DEBIAN/control\n"
           "chmod -R go-w d; find d -exec touch -d @1500000000 {} +\n"
           "SOURCE_DATE_EPOCH=1500000000 dpkg-deb --root-owner-group -Znone -b d m/pool/$1.deb "
           ">/dev/null; rm -r d; }\n"
           "deb top %s 'Depends: needed\n'; deb needed %s ''; cd m\n"
           "dpkg-scanpackages -m pool 2>/dev/null > dists/bookworm/main/binary-amd64/Packages\n"
           "cd dists/bookworm; { printf 'Origin: Debian\\nSuite: bookworm\\nCodename: bookworm\\n"
           "Architectures: amd64\\nComponents: main\\nSHA256:\\n'; f=main/binary-amd64/Packages\n"
           "echo \" $(sha256sum < $f | cut -c1-64) $(stat -c %%s $f) $f\"; } > Release\n"
           "export GNUPGHOME=%s/gpg; gpg --batch --quiet --yes -u corp@localhost --clearsign -o "
           "InRelease Release 2>/dev/null; rm Release; gpgconf --kill gpg-agent",
           top, needed, p->folder);
}

struct asking {
    struct strlist names;
    struct distribution distribution;
    struct packages_request request;
};

static void ask_for_top(struct place *p, struct asking *a)
{
    use_apt_folder(p);
    make_key(p, "corp");
    make_package_mirror(p, "1:1.0-1", "1.0");
    run_sh(p, "echo \"deb [signed-by=$PWD/corp.gpg] file:$PWD/m bookworm main\" > sources.list");
    *a = (struct asking){.distribution = {(char *)"debian", (char *)"bookworm"}};
    strlist_add(&a->names, "top");
    a->request = (struct packages_request){.kind = PACKAGES_ROOTFS,
                                           .distribution = &a->distribution,
                                           .arch = arch_find("x86_64", NULL),
                                           .names = &a->names};
}

static void a_list_stays_until_it_is_refreshed(void **state)
{
    struct place *p = *state;
    struct asking a;
    cleanup_error struct error *err = NULL;
    char first[DIGEST_HEX_SIZE], again[DIGEST_HEX_SIZE], second[DIGEST_HEX_SIZE];
    ask_for_top(p, &a);
    assert_int_equal(packages_known(&a.request, &p->o, first, &err), 0);
    assert_ok(packages_resolve(&a.request, &p->o, first, &err), &err);
    struct package_set set = {0};
    assert_ok(packages_open(&a.request, &p->o, first, &set, &err), &err);
    assert_int_equal(set.n, 2);
    assert_string_equal(set.items[1].name, "top");
    assert_string_equal(set.items[1].version, "1:1.0-1");
    package_set_free(&set);
    // Only what it needs changed, and that is another list.
    make_package_mirror(p, "1:1.0-1", "1.1");
    assert_int_equal(packages_known(&a.request, &p->o, again, &err), 1);
    assert_string_equal(first, again);
    assert_ok(packages_refresh(&a.request, &p->o, second, &err), &err);
    assert_string_not_equal(first, second);
    // Nothing changed but the Release file: the same list.
    make_package_mirror(p, "1:1.0-1", "1.1");
    run_sh(p, "cd m/dists/bookworm; export GNUPGHOME=../../../gpg\n"
              "gpg --batch --quiet -d InRelease > Release 2>/dev/null\n"
              "printf 'Label: new\\n' | cat - Release > R; gpg --batch --quiet --yes -u "
              "corp@localhost --clearsign -o InRelease R 2>/dev/null; rm Release R");
    assert_ok(packages_refresh(&a.request, &p->o, again, &err), &err);
    assert_string_equal(second, again);
    strlist_free(&a.names);
}

static void a_pinned_list_is_that_or_nothing(void **state)
{
    struct place *p = *state;
    struct asking a;
    cleanup_error struct error *err = NULL;
    char first[DIGEST_HEX_SIZE], now[DIGEST_HEX_SIZE];
    struct package_set set = {0};
    ask_for_top(p, &a);
    p->o.locked = true;
    assert_refused(packages_resolve(&a.request, &p->o, first, &err), &err, "--locked");
    p->o.locked = false;
    assert_ok(packages_resolve(&a.request, &p->o, first, &err), &err);
    p->o.locked = true; // what is remembered is not what is locked
    assert_refused(packages_resolve(&a.request, &p->o, now, &err), &err, "--locked");
    p->o.locked = false;
    assert_ok(packages_pin(&a.request, &p->o, now, &err), &err);
    p->o.locked = true;
    assert_ok(packages_resolve(&a.request, &p->o, now, &err), &err);
    assert_string_equal(first, now);
    // Somebody else, who has the lock and an empty cache: first today's mirror is that of then.
    run_sh(p, "mkdir other");
    cleanup_free char *cache = xasprintf("%s/other", p->folder);
    struct source_options other = p->o;
    other.store = store_open(cache, &err);
    make_package_mirror(p, "1:1.0-1", "1.1");
    assert_ok(packages_resolve(&a.request, &other, now, &err), &err);
    assert_string_equal(first, now); // without asking
    assert_refused(packages_open(&a.request, &other, now, &set, &err), &err, "moved on");
    package_set_free(&set);
    make_package_mirror(p, "1:1.0-1", "1.0");
    assert_ok(packages_open(&a.request, &other, now, &set, &err), &err);
    assert_int_equal(set.n, 2);
    package_set_free(&set);
    store_close(other.store);
    strlist_free(&a.names);
}

static void other_bytes_than_the_list_says_are_refused(void **state)
{
    struct place *p = *state;
    struct asking a;
    cleanup_error struct error *err = NULL;
    char digest[DIGEST_HEX_SIZE];
    struct package_set set = {0};
    ask_for_top(p, &a);
    assert_ok(packages_resolve(&a.request, &p->o, digest, &err), &err);
    assert_ok(packages_open(&a.request, &p->o, digest, &set, &err), &err);
    json_t *list = packages_to_json(&set);
    assert_int_equal(packages_are(list, digest), 1);
    json_object_set_new(json_array_get(list, 0), "version", json_string("0.9"));
    assert_int_equal(packages_are(list, digest), 0);
    json_object_del(json_array_get(list, 0), "version");
    assert_int_equal(packages_are(list, digest), 0);
    json_decref(list);
    cleanup_free char *good = fresh_folder(p, "good"), *bad = fresh_folder(p, "bad");
    assert_ok(packages_download(&set, "amd64", &p->o, good, &err), &err);
    run_sh(p, "printf x | dd of=m/pool/needed.deb bs=1 seek=200 conv=notrunc status=none");
    assert_int_equal(packages_download(&set, "amd64", &p->o, bad, &err), -1);
    assert_says(err->hint, "kbuild update");
    package_set_free(&set);
    strlist_free(&a.names);
}

// A mirror with indexes for two architectures: tool and what it needs in exactly its version for
// amd64, lib for s390x; signed by corp.
static void make_two_indexes(struct place *p, const char *lib_versions)
{
    run_sh(
        p,
        "rm -rf m; mkdir -p m/dists/bookworm/main/binary-amd64 m/dists/bookworm/main/binary-s390x\n"
        "cd m/dists/bookworm\n"
        "entry() { printf 'Package: %%s\\nVersion: %%s\\nArchitecture: %%s\\nFilename: "
        "pool/%%s_%%s_%%s.deb\\n"
        "Size: 1\\nSHA256: %%s\\n%%s\\n' $1 $2 $3 $1 $2 $3 $(echo $* | sha256sum | cut -c1-64) "
        "\"${4:-}\"; }\n"
        "for v in 2.0-1 1.5-1 1.0-1; do entry tool $v amd64 \"Depends: tool-part (= $v)\n\"; "
        "entry tool-part $v amd64; done > main/binary-amd64/Packages\n"
        "for v in %s; do entry lib $v s390x; done > main/binary-s390x/Packages\n"
        "{ printf 'Origin: Debian\\nSuite: bookworm\\nCodename: bookworm\\n"
        "Architectures: amd64 s390x\\nComponents: main\\nSHA256:\\n'\n"
        "for f in main/binary-*/Packages; do echo \" $(sha256sum < $f | cut -c1-64) $(stat -c %%s "
        "$f) $f\"; done\n"
        "} > Release\n"
        "export GNUPGHOME=%s/gpg; gpg --batch --quiet --yes -u corp@localhost --clearsign -o "
        "InRelease Release 2>/dev/null; rm Release; gpgconf --kill gpg-agent",
        lib_versions, p->folder);
}

static const char *version_of(const struct package_set *set, const char *name)
{
    for (size_t i = 0; i < set->n; i++)
        if (!strcmp(set->items[i].name, name))
            return set->items[i].version;
    return NULL;
}

static void packages_of_one_version_over_architectures(void **state)
{
    struct place *p = *state;
    struct asking a;
    cleanup_error struct error *err = NULL;
    char free_choice[DIGEST_HEX_SIZE], bound[DIGEST_HEX_SIZE];
    cleanup_strlist struct strlist same = {0};
    struct package_set set = {0};
    ask_for_top(p, &a);
    make_two_indexes(p, "1.0-1 1.5-1+b2 1.5-1+b1 1.7-1");
    strlist_free(&a.names);
    strlist_add(&a.names, "tool");
    strlist_add(&a.names, "tool-part");
    strlist_add(&a.names, "lib:s390x");
    assert_ok(packages_resolve(&a.request, &p->o, free_choice, &err), &err);
    strlist_add(&same, "lib,tool,tool-part");
    a.request.same = &same; // another request
    assert_int_equal(packages_known(&a.request, &p->o, bound, &err), 0);
    assert_ok(packages_resolve(&a.request, &p->o, bound, &err), &err);
    assert_string_not_equal(free_choice, bound);
    assert_ok(packages_open(&a.request, &p->o, bound, &set, &err), &err);
    assert_string_equal(version_of(&set, "tool"), "1.5-1");
    assert_string_equal(version_of(&set, "tool-part"), "1.5-1");
    assert_string_equal(version_of(&set, "lib"), "1.5-1+b2");
    package_set_free(&set);
    // What no version is shared by is said with what there is.
    make_two_indexes(p, "1.5-2 1.5-1+c1");
    assert_refused(packages_refresh(&a.request, &p->o, bound, &err), &err,
                   "tool for amd64: 2.0-1, 1.5-1, 1.0-1; tool-part for amd64: 2.0-1, 1.5-1, 1.0-1; "
                   "lib for s390x: 1.5-2, 1.5-1+c1");
    make_two_indexes(p, "");
    assert_refused(packages_refresh(&a.request, &p->o, bound, &err), &err, "lib for s390x: none");
    strlist_free(&a.names);
}

static void what_is_no_package_name_is_refused(void **state)
{
    // Each would mean something else to apt.
    static const char *const names[] = {
        "./x.deb", "/x.deb",   "?essential", "~prequired", "-o=x", "a,b", "a b",
        "a=1",     "a/stable", "a:",         "a:b-c",      "a+ b", "",    "A"};
    struct place *p = *state;
    struct asking a;
    char digest[DIGEST_HEX_SIZE];
    use_apt_folder(p);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        cleanup_error struct error *err = NULL;
        a = (struct asking){.distribution = {(char *)"debian", (char *)"bookworm"}};
        strlist_add(&a.names, names[i]);
        a.request =
            (struct packages_request){PACKAGES_BUILDER, &a.distribution, arch_host(), &a.names,
                                      NULL};
        assert_refused(packages_resolve(&a.request, &p->o, digest, &err), &err,
                       "is not the name of a package");
        strlist_free(&a.names);
    }
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
        TEST(an_entry_is_asked_for_its_own_architectures_only),
        TEST(folders_are_read_as_copies),
        TEST(a_mirror_with_a_key_of_its_own_counts),
        TEST(a_mirror_that_is_named_brings_its_keyring),
        TEST(another_name_of_the_suite_is_understood_without_lists),
        TEST(third_parties_are_left_out_where_the_distribution_is_there),
        TEST(another_distribution_needs_repo_url),
        TEST(apt_settings_keep_the_proxy_but_no_hooks),
        TEST(a_package_and_an_archive_inside_it_are_unpacked),
        TEST(what_a_package_has_of_devices_and_setuid_is_not_kept),
        TEST(the_first_package_that_exists_is_taken_and_kept_for_offline),
        TEST(a_source_package_is_unpacked_with_its_patches),
        TEST(no_such_package_names_all_that_were_tried),
        TEST(a_package_that_was_tampered_with_is_refused),
        TEST(a_list_stays_until_it_is_refreshed),
        TEST(a_pinned_list_is_that_or_nothing),
        TEST(other_bytes_than_the_list_says_are_refused),
        TEST(packages_of_one_version_over_architectures),
        TEST(what_is_no_package_name_is_refused),
        TEST(real_sources_come_from_the_real_mirror),
    };
    return cmocka_run_group_tests(tests, home_begin, home_end);
}
