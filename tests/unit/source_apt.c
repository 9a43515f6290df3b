// SPDX-License-Identifier: Apache-2.0
// The host's package sources: which entries of apt's configuration count, and whose keys.
#include "test.h"

#include "source_apt_help.h"

#include "source/internal.h"

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

EACH_TEST(place_begin, place_end_apt)
ALL_TESTS(home_begin, home_end)

TEST(one_line_sources_of_the_distribution_are_found)
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

TEST(deb822_sources_of_the_distribution_are_found)
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
TEST(an_entry_is_asked_for_its_own_architectures_only)
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

TEST(folders_are_read_as_copies)
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

TEST(another_distribution_needs_repo_url)
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

TEST(a_mirror_with_a_key_of_its_own_counts)
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
    assert_says(err->message, "is not signed"); // whichever program checks signatures for apt
}

// apt 3 has no Dir::Etc::trusted.
TEST(a_setting_that_apt_does_not_have_is_left_out)
{
    struct place *p = *state;
    cleanup_error struct error *err = NULL;
    use_apt_folder(p);
    make_key(p, "corp");
    make_signed_mirror(p, "m", "bookworm", "bookworm", "Example Corp", "corp");
    run_sh(p, "echo \"deb [signed-by=$PWD/corp.gpg] file:$PWD/m bookworm main\" > sources.list\n"
              "mkdir bin\n"
              "echo '#!/bin/sh' >bin/apt-config\n"
              "echo '[ \"$3\" = Dir::Etc::trusted/f ] || exec /usr/bin/apt-config \"$@\"' "
              ">>bin/apt-config\n"
              "chmod +x bin/apt-config");
    cleanup_free char *path = xstrdup(getenv("PATH"));
    cleanup_free char *other = xasprintf("%s/bin:%s", p->folder, path);
    setenv("PATH", other, 1);
    int result = update(p, &err);
    setenv("PATH", path, 1);
    assert_ok(result, &err);
}

TEST(a_mirror_that_is_named_brings_its_keyring)
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
TEST(another_name_of_the_suite_is_understood_without_lists)
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
TEST(third_parties_are_left_out_where_the_distribution_is_there)
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

TEST(apt_settings_keep_the_proxy_but_no_hooks)
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
