// SPDX-License-Identifier: Apache-2.0
// From a recipe's source and versions.yaml to what is asked for, and to its lines in a key.
#include "test.h"

#include "source_help.h"

static const char versions_text_[] =
    "assets:\n"
    "  kernel:\n"
    "    s390x:\n"
    "      version: v6.12.3\n"
    "      url: https://cdn.example.org/v{series}.x/\n"
    "      sha256: "
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
    "  plain:\n"
    "    version: v1.2\n"
    "    url: https://h/plain\n"
    "  packaged:\n"
    "    version: v2.0\n"
    "    url: https://h/packaged\n"
    "    debian:\n"
    "      packages: [linux-source-6.1]\n"
    "      file: usr/src/linux-source-*.tar.xz\n";

struct describing {
    struct place *p;
    struct versions *v;
    struct recipe r;
};

static int describing_begin(void **state)
{
    struct describing *d = xcalloc(1, sizeof *d);
    void *place;
    cleanup_error struct error *err = NULL;
    place_begin(&place);
    d->p = place;
    cleanup_free char *path = xasprintf("%s/versions.yaml", d->p->folder);
    assert_ok(file_write(path, versions_text_, sizeof versions_text_ - 1, 0644, &err), &err);
    d->v = versions_load(path, &err);
    assert_ok(d->v ? 0 : -1, &err);
    d->r = (struct recipe){.name = (char *)"demo",
                           .file = (char *)"demo/recipe.yaml",
                           .folder = xasprintf("%s/re[c]ipe", d->p->folder)};
    run_sh(d->p, "mkdir -p 're[c]ipe/patches/6' 're[c]ipe/patches/1'; cd 're[c]ipe/patches';"
                 "echo b > 6/b.patch; echo a > 6/a.patch; echo c > c.patch");
    *state = d;
    return 0;
}

static int describing_end(void **state)
{
    struct describing *d = *state;
    void *place = d->p;
    versions_free(d->v);
    free(d->r.folder);
    place_end(&place);
    free(d);
    return 0;
}

static int describe(struct describing *d, const struct recipe_source *s, struct source_spec *out,
                    struct error **err)
{
    return source_describe(&d->r, s, d->v, arch_find("s390x", NULL), &d->p->o, out, err);
}

EACH_TEST(describing_begin, describing_end)
ALL_TESTS(home_begin, home_end)

TEST(placeholders_are_filled_in)
{
    struct describing *d = *state;
    struct recipe_source s = {.name = (char *)"linux",
                              .version = (char *)"assets.kernel.{arch}",
                              .archive = (char *)"https://h/v{series}.x/linux-{number}.tar.xz",
                              .sums = (char *)"https://h/v{series}.x/sha256sums.asc"};
    strlist_add(&s.patches, "patches/{series}/*.patch");
    strlist_add(&s.patches, "patches/c.patch");
    strlist_add(&s.patches, "patches/{number}/*.patch"); // none for this version
    struct source_spec spec;
    cleanup_error struct error *err = NULL;
    assert_ok(describe(d, &s, &spec, &err), &err);
    assert_int_equal(spec.kind, SOURCE_ARCHIVE);
    assert_string_equal(spec.label, "linux (assets.kernel.s390x)");
    assert_string_equal(spec.url, "https://h/v6.x/linux-6.12.3.tar.xz");
    assert_string_equal(spec.sums, "https://h/v6.x/sha256sums.asc");
    assert_int_equal(strlen(spec.sha256), 64);
    assert_int_equal(spec.patches.n, 3);
    assert_true(ends_with(spec.patches.items[0], "re[c]ipe/patches/6/a.patch"));
    assert_true(ends_with(spec.patches.items[1], "re[c]ipe/patches/6/b.patch"));
    assert_true(ends_with(spec.patches.items[2], "re[c]ipe/patches/c.patch"));
    source_spec_free(&spec);
    strlist_free(&s.patches);
}

TEST(a_missing_patch_or_version_is_an_error_with_its_place)
{
    struct describing *d = *state;
    struct recipe_source s = {.name = (char *)"demo",
                              .version = (char *)"assets.plain",
                              .git = (char *)"{url}",
                              .ref = (char *)"{version}",
                              .line = 7};
    struct source_spec spec;
    cleanup_error struct error *err = NULL;
    strlist_add(&s.patches, "patches/none.patch");
    assert_refused(describe(d, &s, &spec, &err), &err, "none.patch does not exist");
    strlist_free(&s.patches);
    s.version = (char *)"assets.plan";
    assert_int_equal(describe(d, &s, &spec, &err), -1);
    assert_says(err->message, "demo/recipe.yaml:7: source demo: ");
    assert_says(err->hint, "assets.plain");
}

TEST(debian_is_taken_from_versions_yaml_or_the_recipe)
{
    struct describing *d = *state;
    struct debian_source own = {.source = (char *)"pkg-{number}"};
    struct recipe_source s = {.name = (char *)"demo",
                              .version = (char *)"assets.packaged",
                              .git = (char *)"{url}",
                              .ref = (char *)"{version}",
                              .debian = &own};
    struct source_spec spec;
    cleanup_error struct error *err = NULL;
    assert_ok(describe(d, &s, &spec, &err), &err);
    assert_int_equal(spec.kind, SOURCE_GIT);
    assert_string_equal(spec.url, "https://h/packaged");
    assert_string_equal(spec.ref, "v2.0");
    assert_true(spec.debian_too);
    source_spec_free(&spec);
    d->p->o.debian = true;
    assert_ok(describe(d, &s, &spec, &err), &err);
    assert_int_equal(spec.kind, SOURCE_DEBIAN);
    assert_string_equal(spec.debian->packages.items[0], "linux-source-6.1");
    source_spec_free(&spec);
    s.version = (char *)"assets.plain";
    assert_ok(describe(d, &s, &spec, &err), &err);
    assert_string_equal(spec.debian->source, "pkg-1.2");
    source_spec_free(&spec);
    s.debian = NULL;
    assert_refused(describe(d, &s, &spec, &err), &err, "no distribution package is known");
}

static char *key_of(const struct source_spec *spec, const struct source_pin *pin)
{
    struct buf out = {0};
    cleanup_error struct error *err = NULL;
    assert_ok(source_key_text(spec, pin, &out, &err), &err);
    return buf_take(&out);
}

TEST(an_image_is_named_with_its_platform)
{
    static const struct {
        const char *image, *url;
    } cases[] = {
        {"docker://h:5000/a/b:{version}", "docker://h:5000/a/b:v1.2#linux/s390x"},
        {"h:5000/a/b", "docker://h:5000/a/b:latest#linux/s390x"},
        {"b", "docker://docker.io/library/b:latest#linux/s390x"},
        {"h:5000/A/b", NULL},
    };
    struct describing *d = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct recipe_source s = {.name = (char *)"pause",
                                  .version = (char *)"assets.plain",
                                  .image = (char *)cases[i].image};
        struct source_spec spec = {0};
        cleanup_error struct error *err = NULL;
        assert_int_equal(describe(d, &s, &spec, &err), cases[i].url ? 0 : -1);
        if (cases[i].url) {
            assert_int_equal(spec.kind, SOURCE_IMAGE);
            assert_string_equal(spec.url, cases[i].url);
        }
        source_spec_free(&spec);
    }
}

TEST(a_key_names_contents_and_not_places)
{
    struct describing *d = *state;
    struct source_spec git = {
        .kind = SOURCE_GIT, .url = (char *)"https://a", .submodules = SUBMODULES_YES};
    struct source_pin pin = {.commit = (char *)"c0", .tree = (char *)"t0", .sha256 = (char *)"s0"};
    cleanup_free char *one = key_of(&git, &pin);
    assert_string_equal(one, "git-commit c0\ngit-submodules yes\n");
    git.url = (char *)"https://mirror";
    cleanup_free char *two = key_of(&git, &pin);
    assert_string_equal(one, two);
    struct source_spec archive = {.kind = SOURCE_ARCHIVE};
    cleanup_free char *patch = xasprintf("%s/patches/c.patch", d->r.folder);
    strlist_add(&archive.patches, patch);
    cleanup_free char *three = key_of(&archive, &pin);
    assert_string_equal(three,
                        "archive-sha256 s0\npatch "
                        "a3a5e715f0cc574a73c3f9bebb6bc24f32ffd5b67b387244c2c909da779a1478\n");
    run_sh(d->p, "echo changed > 're[c]ipe/patches/c.patch'");
    cleanup_free char *four = key_of(&archive, &pin);
    assert_string_not_equal(three, four);
    strlist_free(&archive.patches);
    struct source_spec image = {.kind = SOURCE_IMAGE, .url = (char *)"docker://h/a:1#linux/s390x"};
    cleanup_free char *six = key_of(&image, &pin);
    assert_string_equal(six, "image-manifest sha256:s0\n");
    struct source_spec local = {.kind = SOURCE_LOCAL, .url = (char *)"/home/a"};
    pin.time = 7;
    cleanup_free char *seven = key_of(&local, &pin);
    assert_string_equal(seven, "local-tree s0\nlocal-time 7\n");
    struct debian_source source = {.file = (char *)"usr/src/*"};
    strlist_add(&source.packages, "a");
    strlist_add(&source.packages, "b");
    struct source_spec debian = {.kind = SOURCE_DEBIAN, .debian = &source};
    cleanup_free char *five = key_of(&debian, &pin);
    assert_string_equal(five, "debian-packages sha256:s0\ndebian-file usr/src/*\n");
    strlist_free(&source.packages);
}
