// SPDX-License-Identifier: Apache-2.0
// What sources are called in statements and lists, from records of every kind.
#include "test.h"

#include "provenance/provenance.h"

#include <stdint.h>
#include <string.h>

static struct materials read_source(const char *record)
{
    struct materials m = {0};
    json_t *value = json_loads(record, 0, NULL);
    assert_non_null(value);
    materials_of_source("linux", "GPL-2.0-only", value, &m);
    json_decref(value);
    return m;
}

TEST(a_git_source_is_named_by_its_commit)
{
    struct materials m = read_source(
        "{\"provenance\": {\"kind\": \"git\", \"url\": \"https://github.com/qemu/qemu\", \"ref\": "
        "\"v9\","
        " \"commit\": \"abc\", \"submodules\": [{\"path\": \"roms/x\", \"url\": "
        "\"https://localhost/x\","
        " \"commit\": \"def\"}], \"patches\": [{\"name\": \"1.patch\", \"sha256\": \"123\"}]}}");
    assert_int_equal(m.n, 3);
    assert_string_equal(m.items[0].uri, "git+https://github.com/qemu/qemu@abc");
    assert_string_equal(m.items[0].version, "v9");
    assert_string_equal(m.items[0].algorithm, "gitCommit");
    assert_string_equal(m.items[0].digest, "abc");
    assert_string_equal(m.items[0].licence, "GPL-2.0-only");
    assert_string_equal(m.items[1].name, "linux: submodule roms/x");
    assert_string_equal(m.items[1].digest, "def");
    assert_null(m.items[1].licence);
    assert_int_equal(m.items[2].role, MATERIAL_PATCH);
    assert_string_equal(m.items[2].digest, "123");
    materials_free(&m);
}

TEST(an_archive_is_named_by_its_digest)
{
    struct materials m = read_source(
        "{\"provenance\": {\"kind\": \"archive\", \"sha256\": \"123\","
        " \"url\": \"https://cdn.kernel.org/pub/linux/kernel/v6.x/linux-6.7.tar.xz\"}}");
    assert_int_equal(m.n, 1);
    assert_string_equal(m.items[0].version, "linux-6.7.tar.xz");
    assert_string_equal(m.items[0].algorithm, "sha256");
    assert_string_equal(m.items[0].licence, "GPL-2.0-only");
    materials_free(&m);
}

TEST(a_package_has_a_package_url)
{
    struct materials m =
        read_source("{\"provenance\": {\"kind\": \"debian\", \"package\": \"g++-12 x\", "
                    "\"version\": \"1:2+b1\","
                    " \"distribution\": {\"id\": \"debian\", \"codename\": \"bookworm\"},"
                    " \"files\": [{\"name\": \"a.deb\", \"sha256\": \"1\"}, {\"name\": \"b.deb\", "
                    "\"sha256\": \"2\"}]}}");
    assert_int_equal(m.n, 2);
    assert_string_equal(m.items[0].name, "linux: a.deb");
    assert_string_equal(m.items[0].purl, "pkg:deb/debian/g%2B%2B-12%20x@1:2%2Bb1?distro=bookworm");
    assert_string_equal(m.items[1].digest, "2");
    assert_string_equal(m.items[0].supplier, "Debian");
    materials_free(&m);
}

TEST(a_record_that_makes_no_sense_says_nothing)
{
    static const char *const records[] = {
        "{}",
        "{\"provenance\": []}",
        "{\"provenance\": {\"kind\": 7}}",
        "{\"provenance\": {\"kind\": \"magic\", \"patches\": {\"name\": 1}}}",
        "{\"provenance\": {\"kind\": \"debian\", \"files\": \"none\"}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        struct materials m = read_source(records[i]);
        assert_int_equal(m.n, 0);
        materials_free(&m);
    }
    struct materials m =
        read_source("{\"provenance\": {\"kind\": \"git\", \"submodules\": [1, \"x\"]}}");
    assert_int_equal(m.n, 3); // nameless, but it does not fall over
    materials_free(&m);
}

TEST(packages_of_a_builder_are_listed)
{
    struct job job = {.distribution = {.id = (char *)"debian"}};
    struct materials m = {0};
    json_t *record =
        json_loads("{\"provenance\": {\"packages\": [{\"name\": \"bash\", \"version\": "
                   "\"5.2\", \"architecture\": \"amd64\"}]}}",
                   0, NULL);
    materials_of_packages(&job, record, &m);
    json_decref(record);
    assert_int_equal(m.n, 1);
    assert_string_equal(m.items[0].purl, "pkg:deb/debian/bash@5.2?arch=amd64");
    materials_free(&m);
}
