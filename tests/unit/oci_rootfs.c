// SPDX-License-Identifier: Apache-2.0
// Images of the store: what goes in comes out, and what it is when it was damaged.
#include "test.h"

#include "store_help.h"

#include "oci/oci.h"

#include "base/process.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <sys/resource.h>

static const struct oci_image amd64 = {"amd64", "kbuild builder kernel"};

static json_t *load_blob(struct store *s, const char *digest)
{
    cleanup_free char *path = store_blob_path(s, digest);
    json_t *value = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(value);
    return value;
}

static const char *text_at(const json_t *value, const char *key)
{
    const char *text = json_string_value(json_object_get(value, key));
    assert_non_null(text);
    return text;
}

static void store_image(struct store *s, const char *tree, char manifest[static DIGEST_HEX_SIZE])
{
    struct error *err = NULL;
    oci_store_rootfs(s, tree, &amd64, manifest, &err);
    no_error(err);
}

EACH_TEST(set_up, tear_down)

TEST(an_image_is_described_as_the_specification_says)
{
    struct fixture *f = *state;
    char tree[DIGEST_HEX_SIZE], digest[DIGEST_HEX_SIZE];
    put_tree(f->store, "text", tree);
    store_image(f->store, tree, digest);
    json_t *manifest = load_blob(f->store, digest);
    assert_int_equal(json_integer_value(json_object_get(manifest, "schemaVersion")), 2);
    assert_string_equal(text_at(manifest, "mediaType"),
                        "application/vnd.oci.image.manifest.v1+json");
    const json_t *layers = json_object_get(manifest, "layers");
    assert_int_equal(json_array_size(layers), 1);
    const json_t *layer = json_array_get(layers, 0);
    assert_string_equal(text_at(layer, "mediaType"), "application/vnd.oci.image.layer.v1.tar");
    const json_t *descriptor = json_object_get(manifest, "config");
    json_t *config = load_blob(f->store, text_at(descriptor, "digest") + strlen("sha256:"));
    assert_string_equal(text_at(config, "architecture"), "amd64");
    assert_string_equal(text_at(config, "os"), "linux");
    const json_t *ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
    assert_string_equal(json_string_value(json_array_get(ids, 0)), text_at(layer, "digest"));
    cleanup_free char *path = store_blob_path(f->store, text_at(layer, "digest") + 7);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(json_integer_value(json_object_get(layer, "size")), st.st_size);
    json_decref(config);
    json_decref(manifest);
}

TEST(the_same_tree_gives_the_same_image)
{
    struct fixture *f = *state;
    char tree[DIGEST_HEX_SIZE], first[DIGEST_HEX_SIZE], second[DIGEST_HEX_SIZE];
    cleanup_free char *path = make_tree(f->store, "text");
    add_file(path, "n\xc3\xa4me/\xff raw", "bytes", 0644);
    assert_int_equal(store_put_tree(f->store, path, tree, NULL), 0);
    store_image(f->store, tree, first);
    // another store, other times and modes, another locale
    cleanup_free char *other = xasprintf("%s/other", f->folder);
    struct store *s = store_open(other, NULL);
    cleanup_free char *again = make_tree(s, "text");
    add_file(again, "n\xc3\xa4me/\xff raw", "bytes", 0600);
    cleanup_free char *touch = xasprintf("find %s -exec touch -h -d 2001-01-01 {} +", again);
    assert_int_equal(system(touch), 0);
    assert_int_equal(store_put_tree(s, again, tree, NULL), 0);
    setlocale(LC_ALL, "C.UTF-8");
    store_image(s, tree, second);
    setlocale(LC_ALL, "C");
    store_close(s);
    assert_string_equal(first, second);
    static const struct oci_image s390x = {"s390x", "kbuild builder kernel"};
    assert_int_equal(oci_store_rootfs(f->store, tree, &s390x, second, NULL), 0);
    assert_string_not_equal(first, second);
}

static char *layer_path(struct store *s, const char *manifest_digest)
{
    json_t *manifest = load_blob(s, manifest_digest);
    const json_t *layer = json_array_get(json_object_get(manifest, "layers"), 0);
    char *path = store_blob_path(s, text_at(layer, "digest") + 7);
    json_decref(manifest);
    return path;
}

TEST(the_layer_holds_the_tree)
{
    struct fixture *f = *state;
    char digest[DIGEST_HEX_SIZE], manifest[DIGEST_HEX_SIZE];
    static const struct {
        const char *path;
        mode_t mode;
        const char *content; // or target
    } expected[] = {
        {"bin", S_IFLNK | 0777, "usr/bin"},
        {"empty", S_IFREG | 0644, ""},
        {"hollow/", S_IFDIR | 0755, ""},
        {"tmp/", S_IFDIR | 01777, ""},
        {"usr/", S_IFDIR | 0755, ""},
        {"usr/bin/", S_IFDIR | 0755, ""},
        {"usr/bin/tool", S_IFREG | 0755, "#!/bin/sh\n"},
        {"usr/share/", S_IFDIR | 0755, ""},
        {"usr/share/text", S_IFREG | 0644, "some text"},
    };
    cleanup_free char *tree = make_tree(f->store, "some text");
    cleanup_free char *tmp = xasprintf("%s/tmp", tree);
    assert_int_equal(mkdir(tmp, 0755), 0);
    assert_int_equal(store_put_tree(f->store, tree, digest, NULL), 0);
    store_image(f->store, digest, manifest);
    cleanup_free char *path = layer_path(f->store, manifest);
    struct archive *a = archive_read_new();
    archive_read_support_format_tar(a);
    assert_int_equal(archive_read_open_filename(a, path, 10240), ARCHIVE_OK);
    struct archive_entry *e;
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_OK);
        assert_string_equal(archive_entry_pathname(e), expected[i].path);
        assert_int_equal(archive_entry_mode(e), expected[i].mode);
        assert_int_equal(archive_entry_mtime(e), 0);
        assert_int_equal(archive_entry_uid(e), 0);
        assert_int_equal(archive_entry_gid(e), 0);
        char content[100] = {0};
        if (S_ISLNK(expected[i].mode))
            snprintf(content, sizeof content, "%s", archive_entry_symlink(e));
        else
            assert_true(archive_read_data(a, content, sizeof content - 1) >= 0);
        assert_string_equal(content, expected[i].content);
    }
    assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_EOF);
    archive_read_free(a);
}

TEST(a_damaged_tree_makes_no_image)
{
    struct fixture *f = *state;
    char tree[DIGEST_HEX_SIZE], manifest[DIGEST_HEX_SIZE];
    static const char *const damages[] = {"printf X >usr/share/text",
                                          "printf longer >usr/share/text", "rm usr/share/text",
                                          "printf t >usr/share/text"};
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        put_tree(f->store, "text", tree);
        cleanup_free char *path = store_tree_path(f->store, tree);
        cleanup_free char *command = xasprintf("cd %s && %s", path, damages[i]);
        assert_int_equal(system(command), 0);
        struct error *err = NULL;
        assert_int_equal(oci_store_rootfs(f->store, tree, &amd64, manifest, &err), -1);
        expect_error(&err, "usr/share/text");
        reopen(f);
        assert_int_equal(store_has_tree(f->store, tree, true, NULL), 0);
    }
    struct store_info info;
    assert_int_equal(store_info(f->store, &info, NULL), 0);
    assert_int_equal(info.blobs, 1); // the listing of the tree that went, and no half layer
}

static void write_an_image_with_a_limit(struct fixture *f)
{
    struct rlimit limit = {1 << 20, 1 << 20};
    struct error *err = NULL;
    char tree[DIGEST_HEX_SIZE], manifest[DIGEST_HEX_SIZE];
    struct store *s = store_open(f->cache, NULL);
    char *path = make_tree(s, "text");
    char *big = xasprintf("%s/big", path);
    write_text(big, "", 0644);
    check(truncate(big, 4 << 20) == 0);
    check(store_put_tree(s, path, tree, NULL) == 0);
    free(path);
    free(big);
    signal(SIGXFSZ, SIG_IGN);
    check(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    check(oci_store_rootfs(s, tree, &amd64, manifest, &err) == -1);
    check(err->errnum == EFBIG);
    error_free(err);
    check(store_verify(s, NULL, NULL, NULL) == 0);
    struct store_info info;
    check(store_info(s, &info, NULL) == 0 && info.blobs == 0);
    store_close(s);
    check(count_work(f) == 0);
}

TEST(an_image_that_can_not_be_written_whole_leaves_nothing)
{
    struct fixture *f = *state;
    pid_t child = fork();
    if (child == 0) {
        write_an_image_with_a_limit(f);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

TEST(a_name_that_removes_files_in_a_layer_is_refused)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    char tree[DIGEST_HEX_SIZE], manifest[DIGEST_HEX_SIZE];
    cleanup_free char *path = store_temporary(f->store, "t", NULL);
    add_file(path, "usr/.wh.bin", "", 0644);
    assert_int_equal(store_put_tree(f->store, path, tree, NULL), 0);
    assert_int_equal(oci_store_rootfs(f->store, tree, &amd64, manifest, &err), -1);
    expect_error(&err, "usr/.wh.bin");
    fake_key(1, tree);
    assert_int_equal(oci_store_rootfs(f->store, tree, &amd64, manifest, &err), -1);
    expect_error(&err, "no such tree");
}

TEST(gc_and_verify_follow_an_image_to_its_layer)
{
    struct fixture *f = *state;
    char tree[DIGEST_HEX_SIZE], manifest[DIGEST_HEX_SIZE], key[DIGEST_HEX_SIZE];
    put_tree(f->store, "text", tree);
    store_image(f->store, tree, manifest);
    fake_key(1, key);
    put_record(f->store, key, manifest, "blob");
    struct store_info before, after;
    assert_int_equal(store_info(f->store, &before, NULL), 0);
    used_ago(f, "verified", tree, 100000);
    used_ago(f, "actions", key, 1000);
    char newer[DIGEST_HEX_SIZE];
    put_text(f->store, "newer", newer);
    // Room for the image but not for the tree, which no record names.
    struct error *err = NULL;
    store_gc(f->store, before.blob_bytes + 5, NULL, &err);
    no_error(err);
    assert_int_equal(store_info(f->store, &after, NULL), 0);
    assert_int_equal(after.trees, 0);
    assert_int_equal(after.blobs, 4); // manifest, config, layer, and the newer one
    // Room for one byte less: the image goes whole.
    store_gc(f->store, before.blob_bytes + 4, NULL, &err);
    no_error(err);
    assert_int_equal(store_info(f->store, &after, NULL), 0);
    assert_int_equal(after.blobs, 1);
    assert_int_equal(after.actions, 0);

    put_tree(f->store, "text", tree);
    store_image(f->store, tree, manifest);
    put_record(f->store, key, manifest, "blob");
    cleanup_free char *layer = layer_path(f->store, manifest);
    flip_byte(layer, 600);
    assert_int_equal(store_verify(f->store, NULL, NULL, NULL), 1);
    json_t *record;
    assert_int_equal(store_action_get(f->store, key, &record, NULL), 0);
    assert_null(record);
}

static bool run(char *const argv[], struct buf *out)
{
    struct process p = {.argv = argv};
    struct error *err = NULL;
    process_run(&p, out, &err);
    if (err)
        print_message("%s\n", err->message);
    bool fine = !err;
    error_free(err);
    return fine;
}

TEST(skopeo_reads_the_layout)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    cleanup_free char *skopeo = find_program("skopeo");
    if (!skopeo)
        skip();
    char tree[DIGEST_HEX_SIZE], manifest[DIGEST_HEX_SIZE];
    static const char *const names[] = {"kernel-0123456789ab-x86_64", "initramfs-0123-s390x"};
    cleanup_free char *layout = xasprintf("%s/layout", f->folder);
    for (size_t i = 0; i < 2; i++) {
        cleanup_free char *path = make_tree(f->store, names[i]);
        add_file(path, "n\xc3\xa4me/\xff raw", "bytes", 0644);
        assert_int_equal(store_put_tree(f->store, path, tree, NULL), 0);
        store_image(f->store, tree, manifest);
        oci_write_layout(f->store, manifest, names[i], layout, &err);
        no_error(err);
    }
    for (size_t i = 0; i < 2; i++) {
        cleanup_free char *reference = xasprintf("oci:%s:%s", layout, names[i]);
        cleanup_buf struct buf out = {0};
        assert_true(run((char *[]){skopeo, "inspect", reference, NULL}, &out));
        assert_non_null(strstr(out.data, "\"Architecture\": \"amd64\""));
        if (i == 1)
            assert_non_null(strstr(out.data, manifest));
        // A copy reads the layer, checks its digests, and unpacks it as a registry client would.
        cleanup_free char *copy = xasprintf("dir:%s/copy%zu", f->folder, i);
        assert_true(
            run((char *[]){skopeo, "--insecure-policy", "copy", reference, copy, NULL}, NULL));
    }
}

TEST(a_layout_is_made_of_hard_links_and_can_be_written_again)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    char tree[DIGEST_HEX_SIZE], first[DIGEST_HEX_SIZE], second[DIGEST_HEX_SIZE];
    cleanup_free char *layout = xasprintf("%s/a/layout", f->folder);
    put_tree(f->store, "first", tree);
    store_image(f->store, tree, first);
    put_tree(f->store, "second", tree);
    store_image(f->store, tree, second);
    for (int i = 0; i < 2; i++) {
        oci_write_layout(f->store, first, "one", layout, &err);
        no_error(err);
        oci_write_layout(f->store, first, "two", layout, &err);
        no_error(err);
        oci_write_layout(f->store, second, "one", layout, &err);
        no_error(err);
    }
    cleanup_free char *blob = xasprintf("%s/blobs/sha256/%s", layout, first);
    struct stat st;
    assert_int_equal(stat(blob, &st), 0);
    assert_int_equal(st.st_nlink, 2);
    cleanup_free char *index = xasprintf("%s/index.json", layout);
    json_t *parsed = json_load_file(index, 0, NULL);
    const json_t *list = json_object_get(parsed, "manifests");
    assert_int_equal(json_array_size(list), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *image = json_array_get(list, i);
        bool one = !strcmp(
            text_at(json_object_get(image, "annotations"), "org.opencontainers.image.ref.name"),
            "one");
        assert_string_equal(text_at(image, "digest") + 7, one ? second : first);
    }
    json_decref(parsed);
}

TEST(bad_names_and_bad_places_are_errors)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    char tree[DIGEST_HEX_SIZE], manifest[DIGEST_HEX_SIZE], other[DIGEST_HEX_SIZE];
    static const char *const names[] = {"", "a b", "a\nb", "-x", "\"", "\xff"};
    cleanup_free char *layout = xasprintf("%s/layout", f->folder);
    put_tree(f->store, "text", tree);
    store_image(f->store, tree, manifest);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(oci_write_layout(f->store, manifest, names[i], layout, &err), -1);
        expect_error(&err, "can't be the name of an image");
    }
    put_text(f->store, "{\"schemaVersion\":2}", other);
    assert_int_equal(oci_write_layout(f->store, other, "name", layout, &err), -1);
    expect_error(&err, "is not the manifest of an image");
    fake_key(1, other);
    assert_int_equal(oci_write_layout(f->store, other, "name", layout, &err), -1);
    expect_error(&err, "no valid blob");
    add_file(layout, "index.json", "{}", 0644);
    assert_int_equal(oci_write_layout(f->store, manifest, "name", layout, &err), -1);
    expect_error(&err, "is not the index of an OCI image layout");
    static const struct oci_image odd = {"amd64", "\xff"};
    assert_int_equal(oci_store_rootfs(f->store, tree, &odd, manifest, &err), -1);
    expect_error(&err, "not UTF-8");
}
