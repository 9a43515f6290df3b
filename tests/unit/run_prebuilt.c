// SPDX-License-Identifier: Apache-2.0
// What is believed of an artefact that somebody else pushed: its file names and its sums.
#include "test.h"

#include "run/internal.h"

#include <stdint.h>
#include <string.h>

#define ONE "1111111111111111111111111111111111111111111111111111111111111111"
#define TWO "2222222222222222222222222222222222222222222222222222222222222222"

static json_t *layer(const char *title, const char *digest)
{
    cleanup_free char *name = xasprintf("sha256:%s", digest);
    return json_pack("{s:s, s:i, s:{s:s}}", "digest", name, "size", 5, "annotations",
                     "org.opencontainers.image.title", title);
}

static int read_titles(const char *const titles[], size_t n, struct prebuilt_files *out,
                       json_t **manifest, struct error **err)
{
    json_t *layers = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(layers, layer(titles[i], ONE));
    *manifest = json_pack("{s:o}", "layers", layers);
    *out = (struct prebuilt_files){0};
    return prebuilt_files_read(*manifest, out, err);
}

TEST(names_that_lead_elsewhere_are_refused)
{
    static const char *const bad[] = {"../x", "/x", "a/b", "", ".", "..", "a\nb", "./../x"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        cleanup_error struct error *err = NULL;
        struct prebuilt_files files;
        json_t *manifest;
        assert_int_equal(read_titles(&bad[i], 1, &files, &manifest, &err), -1);
        assert_non_null(strstr(err->message, "outside the artifact"));
        free(files.items);
        json_decref(manifest);
    }
}

TEST(a_file_that_is_there_twice_is_refused)
{
    static const char *const titles[] = {"a", "b", "./a"};
    cleanup_error struct error *err = NULL;
    struct prebuilt_files files;
    json_t *manifest;
    assert_int_equal(read_titles(titles, 3, &files, &manifest, &err), -1);
    assert_non_null(strstr(err->message, "a twice"));
    free(files.items);
    json_decref(manifest);
}

TEST(a_manifest_of_anything_else_has_no_files)
{
    static const char *const texts[] = {
        "{}", "[]", "{\"layers\": 1}", "{\"layers\": [1, {}, {\"annotations\": []}]}",
        "{\"layers\": [{\"annotations\": {\"org.opencontainers.image.title\": 5}}]}"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        cleanup_error struct error *err = NULL;
        struct prebuilt_files files = {0};
        json_t *manifest = json_loads(texts[i], 0, NULL);
        assert_int_equal(prebuilt_files_read(manifest, &files, &err), 0);
        assert_int_equal(files.n, 0);
        free(files.items);
        json_decref(manifest);
    }
    cleanup_error struct error *err = NULL;
    struct prebuilt_files files = {0};
    json_t *manifest = json_loads("{\"layers\": [{\"digest\": \"md5:1\", \"annotations\": "
                                  "{\"org.opencontainers.image.title\": \"a\"}}]}",
                                  0, NULL);
    assert_int_equal(prebuilt_files_read(manifest, &files, &err), -1);
    free(files.items);
    json_decref(manifest);
}

static struct prebuilt_file items[] = {{"kata-static-x.tar.zst", ONE, 5},
                                       {"kata-static-x-modules.tar.xz", TWO, 5},
                                       {"x-version", TWO, 5}};
static const struct prebuilt_files three = {items, ARRAY_LEN(items)};

TEST(tarballs_are_found_in_either_format)
{
    assert_ptr_equal(prebuilt_tarball(&three, "x"), &items[0]);
    assert_ptr_equal(prebuilt_tarball(&three, "x-modules"), &items[1]);
    assert_null(prebuilt_tarball(&three, "version"));
}

TEST(sums_name_the_target_and_what_they_name_is_right)
{
    static const struct {
        const char *text, *why; // NULL: it is good
    } cases[] = {
        {ONE "  kata-static-x.tar.zst\n", NULL},
        {ONE " *kata-static-x.tar.zst", NULL},
        {ONE "  /somewhere/build/kata-static-x.tar.zst\n" TWO "  kata-static-x-modules.tar.xz\n",
         NULL},
        {TWO "  kata-static-x-modules.tar.xz\n", "does not name kata-static-x.tar"},
        {"", "does not name"},
        {"\n\n", "does not name"},
        {TWO "  kata-static-x.tar.zst\n", "but its x-sha256sum says 2222"},
        {ONE "  kata-static-x.tar.zst\n" ONE "  x-version\n", "x-version has the SHA-256 2222"},
        {ONE "  kata-static-x.tar.zst\n" ONE "  other\n", "names other, which it does not have"},
        {ONE " kata-static-x.tar.zst\n", "line 1"},
        {ONE "  kata-static-x.tar.zst\nrubbish\n", "line 2"},
        {ONE "  ", "line 1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_error struct error *err = NULL;
        int result = prebuilt_check_sums(&three, "x", cases[i].text, &err);
        assert_int_equal(result, cases[i].why ? -1 : 0);
        if (cases[i].why)
            assert_non_null(strstr(err->message, cases[i].why));
    }
}
