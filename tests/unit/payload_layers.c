// SPDX-License-Identifier: Apache-2.0
// Layers and images for kata-deploy: the same input gives the same bytes, and hostile input none.
#include "test.h"

#include "pack_help.h"
#include "payload/internal.h"

static struct store *store;

static int open_store(void **state)
{
    if (make_scratch(state) < 0)
        return -1;
    store = store_open(at("cache"), NULL);
    return store ? 0 : -1;
}

static int close_store(void **state)
{
    store_close(store);
    return drop_scratch(state);
}

// A layer of what is in a file of this name.
static int layer_of(const char *name, enum layer_filter filter, uint64_t max_bytes,
                    struct payload_layer *out, struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    const char *path = at("%s", name);
    digest_of(path, digest);
    cleanup_close int fd = open_again(path);
    struct layer_source from = {.fd = fd, .name = name, .digest = digest, .max_bytes = max_bytes};
    return payload_layer_make(store, &from, filter, INT64_MAX, out, err);
}

static void layer_free(struct payload_layer *l)
{
    free(l->media_type);
    free(l->made_of);
    *l = (struct payload_layer){0};
}

static void refused(const struct member *members, const char *why)
{
    struct error *err = NULL;
    struct payload_layer l = {0};
    write_tar(at("bad.tar"), members);
    expect_error(layer_of("bad.tar", LAYER_GZIP, 0, &l, &err), err, why);
    layer_free(&l);
}

static const struct member good[] = {
    {"./", S_IFDIR, NULL, false, 0700},
    {"./opt/kata/bin/qemu", 0, "qemu", false, 04755},
    {"./opt/kata/bin/again", 0, "./opt/kata/bin/qemu", true},
    {"./opt/kata/share/link", S_IFLNK, "../bin/qemu"},
    {NULL},
};

ALL_TESTS(open_store, close_store)

TEST(a_layer_holds_the_members_below_kata_artifacts)
{
    struct error *err = NULL;
    struct payload_layer l = {0};
    struct listing listing = {0};
    write_tar(at("good.tar"), good);
    no_error(layer_of("good.tar", LAYER_GZIP, 0, &l, &err), err);
    cleanup_close int fd = store_open_blob(store, l.digest, &err);
    no_error(list_archive(fd, "layer", &listing, &err), err);
    static const struct {
        const char *path;
        unsigned mode;
    } wanted[] = {{"opt", S_IFDIR | 0755},
                  {"opt/kata-artifacts", S_IFDIR | 0700},
                  {"opt/kata-artifacts/opt", S_IFDIR | 0755},
                  {"opt/kata-artifacts/opt/kata", S_IFDIR | 0755},
                  {"opt/kata-artifacts/opt/kata/bin", S_IFDIR | 0755},
                  {"opt/kata-artifacts/opt/kata/bin/qemu", S_IFREG | 0755},
                  {"opt/kata-artifacts/opt/kata/bin/again", S_IFREG | 0755},
                  {"opt/kata-artifacts/opt/kata/share", S_IFDIR | 0755},
                  {"opt/kata-artifacts/opt/kata/share/link", S_IFLNK | 0777}};
    assert_int_equal(listing.n, ARRAY_LEN(wanted));
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        const struct listing_entry *e = &listing.entries[i];
        assert_string_equal(e->path, wanted[i].path);
        if (!e->hardlink && !S_ISLNK(e->mode))
            assert_int_equal(e->mode, wanted[i].mode);
    }
    assert_string_equal(listing.entries[6].link, "opt/kata-artifacts/opt/kata/bin/qemu");
    assert_string_equal(listing.entries[8].link, "../bin/qemu");
    listing_free(&listing);
    layer_free(&l);
}

TEST(the_same_tarball_gives_the_same_layer)
{
    static const enum layer_filter filters[] = {LAYER_PLAIN, LAYER_GZIP, LAYER_ZSTD};
    struct error *err = NULL;
    write_tar(at("good.tar"), good);
    char diff_id[DIGEST_HEX_SIZE] = "";
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        struct payload_layer one = {0}, two = {0};
        no_error(layer_of("good.tar", filters[i], 0, &one, &err), err);
        // Another store knows nothing of the first.
        struct store *first = store;
        store = store_open(at("cache-%zu", i), &err);
        assert_non_null(store);
        no_error(layer_of("good.tar", filters[i], 0, &two, &err), err);
        store_close(store);
        store = first;
        assert_string_equal(one.digest, two.digest);
        assert_string_equal(one.diff_id, two.diff_id);
        assert_int_equal(one.newest, 1234567890);
        // The compression is no part of what the layer is.
        assert_true(!i || !strcmp(diff_id, one.diff_id));
        memcpy(diff_id, one.diff_id, sizeof diff_id);
        layer_free(&one);
        layer_free(&two);
    }
}

TEST(a_layer_that_is_known_is_not_made_again)
{
    struct error *err = NULL;
    struct payload_layer one = {0}, two = {0};
    char digest[DIGEST_HEX_SIZE];
    write_tar(at("good.tar"), good);
    digest_of(at("good.tar"), digest);
    no_error(layer_of("good.tar", LAYER_GZIP, 0, &one, &err), err);
    // No file is read: there is none.
    struct layer_source from = {.fd = -1, .name = "good.tar", .digest = digest};
    no_error(payload_layer_make(store, &from, LAYER_GZIP, INT64_MAX, &two, &err), err);
    assert_string_equal(one.digest, two.digest);
    assert_string_equal(one.diff_id, two.diff_id);
    assert_int_equal(one.size, two.size);
    layer_free(&two);
    // But another epoch is another layer, and a layer that is gone is made again.
    cleanup_close int fd = open_again(at("good.tar"));
    from.fd = fd;
    no_error(payload_layer_make(store, &from, LAYER_GZIP, 1000, &two, &err), err);
    assert_string_not_equal(one.digest, two.digest);
    assert_int_equal(two.newest, 1000);
    layer_free(&two);
    cleanup_free char *path = store_blob_path(store, one.digest);
    assert_int_equal(unlink(path), 0);
    no_error(payload_layer_make(store, &from, LAYER_GZIP, INT64_MAX, &two, &err), err);
    assert_string_equal(one.digest, two.digest);
    assert_int_equal(access(path, F_OK), 0);
    layer_free(&one);
    layer_free(&two);
}

TEST(what_has_no_place_in_a_payload_is_refused)
{
    refused((struct member[]){{"dev/null", S_IFCHR}, {NULL}}, "devices, fifos and sockets");
    refused((struct member[]){{"run/fifo", S_IFIFO}, {NULL}}, "devices, fifos and sockets");
    refused((struct member[]){{"opt/.wh.kata", 0, ""}, {NULL}}, ".wh.");
    refused((struct member[]){{"opt/.wh..wh..opq", 0, ""}, {NULL}}, ".wh.");
}

TEST(names_that_lead_elsewhere_are_refused)
{
    refused((struct member[]){{"../x", 0, "x"}, {NULL}}, "..");
    refused((struct member[]){{"/etc/passwd", 0, "x"}, {NULL}}, "/etc/passwd");
    refused((struct member[]){{"a", S_IFLNK, "/etc"}, {"a/passwd", 0, "x"}, {NULL}},
            "path goes through");
    refused((struct member[]){{"a", 0, "x"}, {"a/b", 0, "x"}, {NULL}}, "path goes through");
    refused((struct member[]){{"a", 0, "x"}, {"./a", S_IFLNK, "b"}, {NULL}}, "twice");
    refused((struct member[]){{"d", S_IFDIR}, {"d", S_IFLNK, "/etc"}, {NULL}}, "twice");
    refused((struct member[]){{"a", 0, "nowhere", true}, {NULL}}, "hard link");
}

TEST(a_bomb_and_what_is_no_tarball_are_refused)
{
    struct error *err = NULL;
    struct payload_layer l = {0};
    cleanup_free char *zeros = xcalloc(1, 1 << 20);
    memset(zeros, '0', (1 << 20) - 1);
    write_archive(at("bomb.tar.xz"), archive_write_set_format_pax_restricted,
                  archive_write_add_filter_xz, (struct member[]){{"zeros", 0, zeros}, {NULL}});
    expect_error(layer_of("bomb.tar.xz", LAYER_GZIP, 100000, &l, &err), err, "zeros");
    err = NULL;
    no_error(layer_of("bomb.tar.xz", LAYER_GZIP, 1 << 21, &l, &err), err);
    layer_free(&l);
    err = NULL;
    put(at("text"), "this is no archive", 0644);
    expect_error(layer_of("text", LAYER_GZIP, 0, &l, &err), err, "text");
    err = NULL;
    put(at("empty"), "", 0644);
    expect_error(layer_of("empty", LAYER_GZIP, 0, &l, &err), err, "empty");
    layer_free(&l);
}

TEST(a_failed_layer_leaves_nothing_behind)
{
    struct store_info before, after;
    struct error *err = NULL;
    no_error(store_info(store, &before, &err), err);
    refused((struct member[]){{"x", 0, "content"}, {"f", S_IFIFO}, {NULL}}, "fifo");
    no_error(store_info(store, &after, &err), err);
    assert_int_equal(before.blobs, after.blobs);
    assert_int_equal(before.actions, after.actions);
}

TEST(descriptors_are_read_strictly)
{
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"{}", "SHA-256"},
        {"{\"digest\": \"sha256:../../etc/passwd\", \"size\": 1}", "SHA-256"},
        {"{\"digest\": \"sha512:" ZEROS "\", \"size\": 1}", "SHA-256"},
        {"{\"digest\": \"sha256:" ZEROS "0\", \"size\": 1}", "SHA-256"},
        {"{\"digest\": \"sha256:" ZEROS "\"}", "size"},
        {"{\"digest\": \"sha256:" ZEROS "\", \"size\": -1}", "size"},
        {"{\"digest\": \"sha256:" ZEROS "\", \"size\": \"1\"}", "size"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct image_blob out;
        struct error *err = NULL;
        json_t *d = json_loads(bad[i].text, 0, NULL);
        assert_non_null(d);
        expect_error(descriptor_read(d, &out, &err), err, bad[i].why);
        json_decref(d);
    }
}

TEST(an_image_is_the_same_every_time)
{
    struct error *err = NULL;
    struct arch arch = {.name = "s390x", .oci = "s390x"};
    char manifest[2][DIGEST_HEX_SIZE];
    write_tar(at("good.tar"), good);
    for (int i = 0; i < 2; i++) {
        struct payload_image image = {0};
        no_error(payload_base_load(store, NULL, &arch, false, &image, &err), err);
        struct payload_layer l = {0};
        no_error(layer_of("good.tar", LAYER_GZIP, 0, &l, &err), err);
        *payload_layers_add(&image.layers) = l;
        no_error(payload_image_compose(store, &image, &err), err);
        memcpy(manifest[i], image.manifest, DIGEST_HEX_SIZE);
        assert_string_equal(json_string_value(json_object_get(image.config, "architecture")),
                            "s390x");
        assert_string_equal(json_string_value(json_object_get(image.config, "created")),
                            "2009-02-13T23:31:30Z");
        payload_image_free(&image);
    }
    assert_string_equal(manifest[0], manifest[1]);
}

// ---- base images in layouts, most of them lies ----

static void put_blob(const char *folder, const char *text, char digest[static DIGEST_HEX_SIZE])
{
    digest_bytes(text, strlen(text), digest);
    put(at("%s/blobs/sha256/%s", folder, digest), text, 0644);
}

static void put_index(const char *folder, const char *digest, size_t size)
{
    cleanup_free char *text = xasprintf(
        "{\"schemaVersion\": 2, \"manifests\": [{\"digest\": \"sha256:%s\", \"size\": %zu}]}",
        digest, size);
    put(at("%s/index.json", folder), text, 0644);
}

static void base_refused(const char *folder, const char *why)
{
    struct error *err = NULL;
    struct payload_image image = {0};
    struct arch arch = {.name = "s390x", .oci = "s390x"};
    cleanup_free char *name = xasprintf("oci:%s", at("%s", folder));
    expect_error(payload_base_load(store, name, &arch, false, &image, &err), err, why);
    payload_image_free(&image);
}

TEST(a_base_image_for_another_machine_is_refused)
{
    char config[DIGEST_HEX_SIZE], manifest[DIGEST_HEX_SIZE];
    static const char text[] = "{\"architecture\": \"amd64\", \"os\": \"linux\", "
                               "\"rootfs\": {\"type\": \"layers\", \"diff_ids\": []}}";
    put_blob("other", text, config);
    cleanup_free char *m =
        xasprintf("{\"schemaVersion\": 2, \"config\": {\"digest\": \"sha256:%s\", "
                  "\"size\": %zu}, \"layers\": []}",
                  config, strlen(text));
    put_blob("other", m, manifest);
    put_index("other", manifest, strlen(m));
    base_refused("other", "linux/amd64");
}

TEST(a_base_image_that_lies_is_refused)
{
    char digest[DIGEST_HEX_SIZE];
    put_blob("lies", "{}", digest);
    put_index("lies", digest, 2);
    base_refused("lies", "descriptor");
    put(at("lies/blobs/sha256/%s", digest), "{ }", 0644);
    base_refused("lies", "damaged");
    put(at("lies/index.json"), "[]", 0644);
    base_refused("lies", "JSON object");
    put(at("lies/index.json"), "{\"manifests\": [", 0644);
    base_refused("lies", "JSON object");
    put(at("lies/index.json"), "{\"manifests\": []}", 0644);
    base_refused("lies", "contains 0 images");
    base_refused("missing", "index.json");
}

TEST(indexes_without_end_are_refused)
{
    char digest[DIGEST_HEX_SIZE];
    put_blob("deep", "{\"manifests\": []}", digest);
    for (int i = 0; i < 6; i++) {
        cleanup_free char *text = xasprintf("{\"manifests\": [{\"mediaType\": \"" OCI_INDEX
                                            "\", \"digest\": \"sha256:%s\", "
                                            "\"size\": 1}]}",
                                            digest);
        put_blob("deep", text, digest);
    }
    put_index("deep", digest, 1);
    base_refused("deep", "without end");
}
