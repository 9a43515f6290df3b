// SPDX-License-Identifier: Apache-2.0
// versions.yaml: values by their path.
#include "test.h"

#include "recipe/versions.h"

#include "base/file.h"
#include "recipe/recipe.h"

#include <stdint.h>
#include <string.h>

// Everything that the versions files of Kata's releases use of YAML, in words of our own.
static const char text[] =
    "#\n"
    "# comment before the marker\n"
    "#\n"
    "---\n"
    "description: |\n"
    "  A literal block,\n"
    "    indented: \"as it likes\", with 'quotes' and # no comment.\n"
    "\n"
    "  Second paragraph.\n"
    "\n"
    "format: |\n"
    "  <group>:\n"
    "    <key-1>: \"<value-1>\"\n"
    "\n"
    "assets:\n"
    "  hypervisor:\n"
    "    qemu:\n"
    "      url: \"https://github.com/qemu/qemu\"\n"
    "      version: \"v9.1.2\"\n"
    "      # a double-quoted text continued with a backslash, and blanks that count\n"
    "      uscan-opts: \"opts=uversionmangle=s/(\\\\d)[_\\\\.\\\\-\\\\+]?\\\n"
    "        ((RC|rc)\\\\d*)$/$1~$2/ \"\n"
    "      uscan-url: >-\n"
    "        https://github.com/qemu/qemu/tags\n"
    "        .*/v?(\\d\\S+)\\.tar\\.gz\n"
    "    cloud_hypervisor:\n"
    "      version: \"v45.0\"\n"
    "  image:\n"
    "    architecture:\n"
    "      aarch64:\n"
    "        name: &default-image-name \"ubuntu\"\n"
    "        version: &default-image-version \"latest\"\n"
    "      s390x:\n"
    "        name: *default-image-name\n"
    "        version: *default-image-version  # trailing comment\n"
    "        confidential:\n"
    "          name: *default-image-name\n"
    "          version: \"20.04\"\n"
    "    meta:\n"
    "      image-type: *default-image-name\n"
    "  kernel:\n"
    "    url: \"https://cdn.kernel.org/pub/linux/kernel/v6.x/\"\n"
    "    version: \"v6.12.22\"\n"
    "    sha256: \"\"\n"
    "    debian:\n"
    "      packages: [linux-source-6.12, linux-source-6.1]\n"
    "      file: \"usr/src/linux-source-*.tar.xz\"\n"
    "externals:\n"
    "  gperf: {url: http://ftpmirror.gnu.org/gperf/, version: 3.1}\n"
    "  libseccomp:\n"
    "    url: 'https://github.com/seccomp/libseccomp'\n"
    "    version: 2.5.5\n"
    "  unset:\n"
    "    version: ~\n"
    "  virtiofsd:\n"
    "    version: v1.13.1\n"
    "    meta:\n"
    "      binary: https://x/{a}.zip\n"
    "...\n";

static struct versions *load_text(const char *content, struct error **err)
{
    char path[] = "/tmp/kbuild-versions.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, path, content, strlen(content), err), 0);
    close(fd);
    struct versions *v = versions_load(path, err);
    unlink(path);
    if (v) { // for messages that do not depend on the name
        free(v->path);
        free(v->document->file);
        v->path = xstrdup("v.yaml");
        v->document->file = xstrdup("v.yaml");
    }
    return v;
}

static int set_up(void **state)
{
    *state = load_text(text, NULL);
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    versions_free(*state);
    return 0;
}

ALL_TESTS(set_up, tear_down)

TEST(every_feature_that_upstream_uses_is_read)
{
    static const struct {
        const char *path, *value;
    } cases[] = {
        {"description", "A literal block,\n"
                        "  indented: \"as it likes\", with 'quotes' and # no comment.\n"
                        "\n"
                        "Second paragraph.\n"},
        {"format", "<group>:\n  <key-1>: \"<value-1>\"\n"},
        {"assets.hypervisor.qemu.url", "https://github.com/qemu/qemu"},
        {"assets.hypervisor.qemu.uscan-opts",
         "opts=uversionmangle=s/(\\d)[_\\.\\-\\+]?((RC|rc)\\d*)$/$1~$2/ "},
        {"assets.hypervisor.qemu.uscan-url",
         "https://github.com/qemu/qemu/tags .*/v?(\\d\\S+)\\.tar\\.gz"},
        {"assets.hypervisor.cloud_hypervisor.version", "v45.0"},
        {"assets.image.architecture.s390x.version", "latest"},
        {"assets.image.architecture.s390x.confidential.name", "ubuntu"},
        {"assets.image.architecture.s390x.confidential.version", "20.04"},
        {"assets.image.meta.image-type", "ubuntu"},
        {"externals.gperf.version", "3.1"},
        {"externals.libseccomp.version", "2.5.5"},
        {"externals.unset.version", ""},
        {".externals.gperf.version", "3.1"},
        {"assets.kernel.debian.packages.1", "linux-source-6.1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error *err = NULL;
        const char *value = versions_text(*state, cases[i].path, &err);
        assert_null(err);
        assert_string_equal(value, cases[i].value);
    }
    assert_ptr_equal(versions_get(*state, ".", NULL), ((struct versions *)*state)->document->root);
}

TEST(a_missing_path_names_what_is_there)
{
    static const struct {
        const char *path, *message, *hint;
    } cases[] = {
        {"assets.hypervsor.qemu.url",
         "v.yaml:16:3: assets.hypervsor.qemu.url: there is no "
         "'hypervsor' in 'assets'",
         "did you mean assets.hypervisor?"},
        {"asset", "v.yaml:5:1: asset: there is no 'asset' at the top", "did you mean assets?"},
        {"externals.gperf.sha256",
         "v.yaml:49:10: externals.gperf.sha256: there is no 'sha256' in 'externals.gperf'",
         "known there: url, version"},
        {"externals.gperf.url.x",
         "v.yaml:49:16: externals.gperf.url.x: 'externals.gperf.url' is a text, it has nothing "
         "named 'x'",
         NULL},
        {"externals.unset.version.x",
         "v.yaml:54:14: externals.unset.version.x: 'externals.unset.version' is empty, it has "
         "nothing named 'x'",
         NULL},
        {"assets.kernel.debian.packages.7",
         "v.yaml:46:17: assets.kernel.debian.packages.7: there is no '7' in "
         "'assets.kernel.debian.packages'",
         NULL},
        {"assets..qemu", "v.yaml: 'assets..qemu' is not a dotted path",
         "write it as in assets.kernel.version; a name that holds dots goes in double quotes"},
        {"", "v.yaml: '' is not a dotted path",
         "write it as in assets.kernel.version; a name that holds dots goes in double quotes"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        assert_null(versions_get(*state, cases[i].path, &err));
        assert_string_equal(err->message, cases[i].message);
        if (cases[i].hint)
            assert_string_equal(err->hint, cases[i].hint);
        else
            assert_null(err->hint);
    }
}

TEST(a_map_is_no_text)
{
    cleanup_error struct error *err = NULL;
    assert_null(versions_text(*state, "externals.gperf", &err));
    assert_string_equal(err->message,
                        "v.yaml:49:10: externals.gperf: this is a map, but a text is needed");
}

TEST(placeholders_are_filled_in)
{
    static const struct {
        const char *component, *text, *result;
    } cases[] = {
        {"assets.kernel", "{url}linux-{number}.tar.xz",
         "https://cdn.kernel.org/pub/linux/kernel/v6.x/linux-6.12.22.tar.xz"},
        {"assets.kernel", "v{series}.x {version}", "v6.x v6.12.22"},
        {"externals.gperf", "{number}|{series}", "3.1|3"},             // no v to strip
        {"externals.virtiofsd", "{meta.binary}", "https://x/{a}.zip"}, // expanded once only
        {"externals.gperf", "{{version}} {{{version}}}", "{version} {3.1}"},
        {"externals.gperf", "", ""},
        // What a variant lacks, or leaves empty, is what stands above it.
        {"assets.kernel.debian", "{url}{version}",
         "https://cdn.kernel.org/pub/linux/kernel/v6.x/v6.12.22"},
        {"externals.unset", "{externals.gperf.version}", "3.1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error *err = NULL;
        const struct yaml *component = versions_get(*state, cases[i].component, &err);
        cleanup_free char *result = versions_expand(*state, component, cases[i].text, NULL, &err);
        assert_null(err);
        assert_string_equal(result, cases[i].result);
    }
}

TEST(the_values_that_were_filled_in_have_paths_lines_and_no_logins)
{
    static const char text[] =
        "a:\n  url: https://user:secret@host/x\n  \"b.c\":\n    version: v1.2\n"
        "    tags: [old, new]\n";
    static const struct version_value expected[] = {
        {(char *)"a.\"b.c\".version", (char *)"v1.2", 4},
        {(char *)"a.url", (char *)"https://host/x", 2},
        {(char *)"a.\"b.c\".tags.1", (char *)"new", 5}};
    cleanup_version_values struct version_values used = {0};
    struct versions v = {.document = yaml_parse("v.yaml", text, strlen(text), NULL)};
    assert_non_null(v.document);
    const struct yaml *component = yaml_path(v.document->root, "a.\"b.c\"");
    cleanup_free char *result =
        versions_expand(&v, component, "{number} {url} {tags.1} {version} {series}", &used, NULL);
    assert_string_equal(result, "1.2 https://user:secret@host/x new v1.2 1");
    assert_int_equal(used.n, ARRAY_LEN(expected));
    for (size_t i = 0; i < used.n; i++) {
        assert_string_equal(used.items[i].path, expected[i].path);
        assert_string_equal(used.items[i].text, expected[i].text);
        assert_int_equal(used.items[i].line, expected[i].line);
    }
    yaml_document_free(v.document);
}

TEST(wrong_placeholders_are_errors)
{
    static const struct {
        const char *component, *text, *message, *hint;
    } cases[] = {
        {"externals.gperf", "x{vresion}",
         "filling in 'x{vresion}': v.yaml:49:10: there is no "
         "'vresion' here",
         "did you mean {version}?"},
        {"externals.gperf", "{verion", "'{verion': unmatched '{'", NULL},
        {"externals.gperf", "a}b", "'a}b': unmatched '}'", NULL},
        {"externals.gperf", "{}", "'{}': unmatched '{'", NULL},
        {"externals.gperf", "{a{b}", "'{a{b}': unmatched '{'", NULL},
        {"externals.unset", "{number}",
         "filling in '{number}': v.yaml:54:5: there is no 'version' here", NULL},
        {"externals.virtiofsd", "{meta}",
         "filling in '{meta}': v.yaml:58:7: 'meta' is a map, but a text is needed", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        const struct yaml *component = versions_get(*state, cases[i].component, NULL);
        assert_null(versions_expand(*state, component, cases[i].text, NULL, &err));
        assert_string_equal(err->message, cases[i].message);
        if (cases[i].hint)
            assert_string_equal(err->hint, cases[i].hint);
    }
}

TEST(a_debian_source_is_read)
{
    struct error *err = NULL;
    struct versions *v = *state;
    struct debian_source *s =
        debian_source_parse(v->document, versions_get(v, "assets.kernel.debian", NULL), &err);
    assert_null(err);
    assert_int_equal(s->packages.n, 2);
    assert_string_equal(s->packages.items[0], "linux-source-6.12");
    assert_string_equal(s->file, "usr/src/linux-source-*.tar.xz");
    assert_null(s->source);
    debian_source_free(s);
}

TEST(a_wrong_debian_source_is_refused)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{}", "v.yaml:1:4: a debian source has either 'packages' or 'source'"},
        {"{packages: [], file: x}",
         "v.yaml:1:4: a debian source has either 'packages' or 'source'"},
        {"{packages: [ab], source: cd}",
         "v.yaml:1:4: a debian source has either 'packages' or 'source'"},
        {"{source: ab, file: x}",
         "v.yaml:1:23: 'file' is only for 'packages'; a source package is unpacked as a whole"},
        {"{source: '-o x'}", "v.yaml:1:13: source: '-o x': this cannot be the name of a package"},
        {"{packages: [ab], file: ../x}", "v.yaml:1:27: file: '../x': a path must be relative and "
                                         "without empty, '.' or '..' parts"},
        {"{package: [ab]}", "v.yaml:1:5: unknown key 'package' in a debian source"},
        {"[ab]", "v.yaml:1:4: a map is expected here, but this is a list"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        cleanup_free char *content = xasprintf("d: %s\n", cases[i].text);
        struct versions *v = load_text(content, &err);
        assert_non_null(v);
        assert_null(debian_source_parse(v->document, yaml_get(v->document->root, "d"), &err));
        assert_string_equal(err->message, cases[i].message);
        versions_free(v);
    }
}

TEST(a_file_that_is_no_map_is_refused)
{
    cleanup_error struct error *err = NULL;
    assert_null(load_text("- a\n", &err));
    assert_non_null(
        strstr(err->message, ":1:1: a versions file must be a map, but this is a list"));
}

TEST(our_own_versions_file_is_whole)
{
    // Tests are run from the repository's root.
    struct error *err = NULL;
    struct versions *v = versions_load("versions.yaml", &err);
    assert_null(err);
    static const char *const needed[] = {
        "assets.hypervisor.qemu.url",
        "assets.hypervisor.qemu-snp-experimental.tag",
        "assets.image.architecture.s390x.confidential.version",
        "assets.initrd.architecture.x86_64.confidential.name",
        "assets.initrd.architecture.s390x.confidential.version",
        "assets.kernel.url",
        "assets.kernel.confidential.version",
        "externals.ovmf.sev.package_output_dir",
        "externals.pause.repo",
        "externals.coco-guest-components.toolchain",
        "languages.rust.meta.newest-version",
    };
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        const char *value = versions_text(v, needed[i], &err);
        assert_null(err);
        assert_true(*value);
    }
    struct debian_source *s = debian_source_parse(
        v->document, versions_get(v, "assets.kernel.confidential.debian", NULL), &err);
    assert_null(err);
    debian_source_free(s);
    versions_free(v);
}
