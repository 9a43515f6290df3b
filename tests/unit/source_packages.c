// SPDX-License-Identifier: Apache-2.0
// Lists of packages: how a set of names is resolved, kept, pinned and fetched.
#include "test.h"

#include "source_apt_help.h"

#include "source/packages.h"

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

EACH_TEST(place_begin, place_end_apt)
ALL_TESTS(home_begin, home_end)

TEST(a_list_stays_until_it_is_refreshed)
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

TEST(a_pinned_list_is_that_or_nothing)
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
    assert_refused(packages_open(&a.request, &other, now, &set, &err), &err, "have other versions");
    package_set_free(&set);
    make_package_mirror(p, "1:1.0-1", "1.0");
    assert_ok(packages_open(&a.request, &other, now, &set, &err), &err);
    assert_int_equal(set.n, 2);
    package_set_free(&set);
    store_close(other.store);
    strlist_free(&a.names);
}

TEST(other_bytes_than_the_list_says_are_refused)
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

TEST(packages_of_one_version_over_architectures)
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

// A package that only names the one of today, with what it depends on.
static void make_naming_package(struct place *p, const char *depends)
{
    run_sh(p,
           "rm -rf m; mkdir -p m/dists/bookworm/main/binary-s390x; cd m/dists/bookworm\n"
           "entry() { printf 'Package: %%s\nVersion: 6.1.9-1\nArchitecture: s390x\nFilename: "
           "pool/%%s.deb\nSize: 1\nSHA256: %%s\n%%s\n' $1 $1 $(echo $1 | sha256sum | cut -c1-64) "
           "\"${2:-}\"; }\n"
           "{ entry image-s390x \"Depends: %s\nBreaks: image-broken\n\"; entry image-6.1-s390x\n"
           "entry image-5.9-s390x; entry image-broken; entry firmware\n"
           "} > main/binary-s390x/Packages\n"
           "{ printf 'Origin: Debian\nSuite: bookworm\nCodename: bookworm\n"
           "Architectures: amd64 s390x\nComponents: main\nSHA256:\n'\n"
           "f=main/binary-s390x/Packages\n"
           "echo \" $(sha256sum < $f | cut -c1-64) $(stat -c %%s $f) $f\"; } > Release\n"
           "export GNUPGHOME=%s/gpg; gpg --batch --quiet --yes -u corp@localhost --clearsign -o "
           "InRelease Release 2>/dev/null; rm Release; gpgconf --kill gpg-agent",
           depends, p->folder);
}

TEST(a_dependency_is_taken_instead_of_the_package_that_names_it)
{
    struct place *p = *state;
    struct asking a;
    cleanup_error struct error *err = NULL;
    char itself[DIGEST_HEX_SIZE], followed[DIGEST_HEX_SIZE];
    struct package_set set = {0};
    ask_for_top(p, &a);
    make_naming_package(p, "firmware, image-6.1-s390x (= 6.1.9-1)");
    strlist_free(&a.names);
    strlist_add(&a.names, "image-amd64"); // of another architecture: it is not there
    strlist_add(&a.names, "image-s390x");
    a.request.kind = PACKAGES_FIRST;
    a.request.arch = arch_find("s390x", NULL);
    assert_ok(packages_resolve(&a.request, &p->o, itself, &err), &err);
    a.request.dependency = "image-*"; // another request
    assert_int_equal(packages_known(&a.request, &p->o, followed, &err), 0);
    assert_ok(packages_resolve(&a.request, &p->o, followed, &err), &err);
    assert_string_not_equal(itself, followed);
    assert_ok(packages_open(&a.request, &p->o, followed, &set, &err), &err);
    assert_int_equal(set.n, 1);
    assert_string_equal(set.chosen, "image-6.1-s390x");
    assert_string_equal(set.items[0].file, "image-6.1-s390x_6.1.9-1_s390x.deb");
    package_set_free(&set);
    // None, or which of two?
    make_naming_package(p, "firmware");
    assert_refused(packages_refresh(&a.request, &p->o, followed, &err), &err,
                   "image-s390x depends on no package image-*, which would be the source");
    make_naming_package(p, "image-6.1-s390x, image-5.9-s390x");
    assert_refused(packages_refresh(&a.request, &p->o, followed, &err), &err,
                   "image-s390x depends on image-5.9-s390x image-6.1-s390x, and only one package");
    // One of the two is enough for apt, so either could be what is installed.
    make_naming_package(p, "image-6.1-s390x | image-5.9-s390x");
    assert_refused(packages_refresh(&a.request, &p->o, followed, &err), &err, "image-5.9-s390x");
    strlist_free(&a.names);
}

TEST(what_is_no_package_name_is_refused)
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
        a.request = (struct packages_request){.kind = PACKAGES_BUILDER,
                                              .distribution = &a.distribution,
                                              .arch = arch_host(),
                                              .names = &a.names};
        assert_refused(packages_resolve(&a.request, &p->o, digest, &err), &err,
                       "is not the name of a package");
        strlist_free(&a.names);
    }
}
