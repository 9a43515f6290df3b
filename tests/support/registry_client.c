// SPDX-License-Identifier: Apache-2.0
// A client of registries on lib/registry/registry.h, for tests and measurements. References are as
// in docker; DIR is an OCI image layout (image-layout.md).
//
//   registry_client pull REF DIR            an image or index with all that it names
//   registry_client push DIR REF            the first manifest of DIR's index.json
//   registry_client push-blob REF FILE...   prints digest, size, and "sent" or "known"
//   registry_client pull-blob REF DIGEST SIZE FILE
//   registry_client unpack REF DIR CACHE    an image's root file system into a new folder
//   registry_client referrers REF           of a reference with a digest, as JSON
//
// User and password come from TEST_REGISTRY_USER and TEST_REGISTRY_PASSWORD, or the usual files.
#include "base/file.h"
#include "oci/oci.h"
#include "referrers.h"
#include "registry/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static char *blob_path(const char *directory, const char *digest)
{
    return xasprintf("%s/blobs/sha256/%s", directory, digest);
}

static int open_blob(const char *path, int flags, struct error **err)
{
    int fd = open(path, flags | O_CLOEXEC, 0644);
    return fd < 0 ? error_errno(err, errno, "opening %s", path) : fd;
}

// Every {digest, size} that a manifest names, below `keys`.
static void collect(const json_t *manifest, struct registry_blob **list, size_t *n, size_t *cap)
{
    const json_t *parts[] = {json_object_get(manifest, "config"),
                             json_object_get(manifest, "layers")};
    for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
        size_t count = json_is_array(parts[p]) ? json_array_size(parts[p]) : parts[p] != NULL;
        for (size_t i = 0; i < count; i++) {
            const json_t *d = json_is_array(parts[p]) ? json_array_get(parts[p], i) : parts[p];
            const char *digest = json_string_value(json_object_get(d, "digest"));
            if (!digest || strncmp(digest, "sha256:", 7) != 0)
                continue;
            *list = xgrow(*list, cap, *n + 1, sizeof **list);
            (*list)[(*n)++] = (struct registry_blob){
                .digest = digest + 7,
                .size = (uint64_t)json_integer_value(json_object_get(d, "size")),
                .fd = -1};
        }
    }
}

static int move_blobs(struct registry *r, const json_t *manifest, const char *directory, bool push,
                      struct error **err)
{
    struct registry_blob *blobs = NULL;
    size_t n = 0, cap = 0;
    int result = 0;
    collect(manifest, &blobs, &n, &cap);
    for (size_t i = 0; i < n && result == 0; i++) {
        cleanup_free char *path = blob_path(directory, blobs[i].digest);
        blobs[i].fd = open_blob(path, push ? O_RDONLY : O_RDWR | O_CREAT, err);
        result = blobs[i].fd < 0 ? -1 : 0;
    }
    if (result == 0)
        result =
            push ? registry_push_blobs(r, blobs, n, err) : registry_pull_blobs(r, blobs, n, err);
    for (size_t i = 0; i < n; i++) {
        if (result == 0 && blobs[i].missing)
            result = error_user(err, "the registry has no blob sha256:%s", blobs[i].digest);
        if (blobs[i].fd >= 0)
            close(blobs[i].fd);
    }
    free(blobs);
    return result;
}

static int pull(struct registry *r, const char *what, const char *directory, int depth,
                json_t **descriptor, struct error **err)
{
    cleanup_buf struct buf bytes = {0};
    cleanup_free char *type = NULL;
    char digest[DIGEST_HEX_SIZE];
    int found = registry_get_manifest(r, what, &bytes, &type, digest, err);
    if (found <= 0 || depth > 4)
        return found < 0 ? -1 : error_user(err, "there is no manifest %s", what);
    cleanup_free char *path = blob_path(directory, digest);
    if (file_write(path, bytes.data, bytes.len, 0644, err) < 0)
        return -1;
    json_t *m = json_loadb(bytes.data, bytes.len, 0, NULL);
    const json_t *children = json_object_get(m, "manifests");
    int result = move_blobs(r, m, directory, false, err);
    for (size_t i = 0; result == 0 && i < json_array_size(children); i++)
        result = pull(r, json_string_value(json_object_get(json_array_get(children, i), "digest")),
                      directory, depth + 1, NULL, err);
    if (descriptor)
        *descriptor = json_pack("{s:s, s:s+, s:I}", "mediaType", type, "digest", "sha256:", digest,
                                "size", (json_int_t)bytes.len);
    json_decref(m);
    return result;
}

static int pull_layout(struct registry *r, const struct reference *ref, const char *directory,
                       struct error **err)
{
    cleanup_free char *blobs = xasprintf("%s/blobs/sha256", directory);
    cleanup_free char *layout = xasprintf("%s/oci-layout", directory);
    cleanup_free char *index = xasprintf("%s/index.json", directory);
    static const char version[] = "{\"imageLayoutVersion\": \"1.0.0\"}";
    json_t *descriptor = NULL;
    const char *what = ref->digest ? ref->digest : ref->tag ? ref->tag : "latest";
    if (make_directories(blobs, 0755, err) < 0 ||
        file_write(layout, version, strlen(version), 0644, err) < 0 ||
        pull(r, what, directory, 0, &descriptor, err) < 0)
        return -1;
    json_object_set_new(descriptor, "annotations",
                        json_pack("{s:s}", "org.opencontainers.image.ref.name", "pulled"));
    json_t *all = json_pack("{s:i, s:[o]}", "schemaVersion", 2, "manifests", descriptor);
    cleanup_free char *text = json_dumps(all, 0);
    json_decref(all);
    return file_write(index, text, strlen(text), 0644, err);
}

static int push(struct registry *r, const char *directory, const char *digest, const char *type,
                const char *tag, struct error **err)
{
    cleanup_buf struct buf bytes = {0};
    cleanup_free char *path = blob_path(directory, digest);
    char own[DIGEST_HEX_SIZE];
    if (file_read(path, (size_t)4 << 20, &bytes, err) < 0)
        return -1;
    json_t *m = json_loadb(bytes.data, bytes.len, 0, NULL);
    const json_t *children = json_object_get(m, "manifests");
    int result = move_blobs(r, m, directory, true, err);
    for (size_t i = 0; result == 0 && i < json_array_size(children); i++) {
        const json_t *d = json_array_get(children, i);
        const char *child = json_string_value(json_object_get(d, "digest"));
        result = push(r, directory, child + 7, json_string_value(json_object_get(d, "mediaType")),
                      child, err);
    }
    json_decref(m);
    return result < 0 ? result
                      : registry_put_manifest(r, tag, bytes.data, bytes.len, type, own, err);
}

static int push_layout(struct registry *r, const struct reference *ref, const char *directory,
                       struct error **err)
{
    cleanup_buf struct buf text = {0};
    cleanup_free char *index = xasprintf("%s/index.json", directory);
    if (file_read(index, (size_t)4 << 20, &text, err) < 0)
        return -1;
    json_t *all = json_loadb(text.data, text.len, 0, NULL);
    const json_t *first = json_array_get(json_object_get(all, "manifests"), 0);
    const char *digest = json_string_value(json_object_get(first, "digest"));
    const char *type = json_string_value(json_object_get(first, "mediaType"));
    int result = digest && type
                     ? push(r, directory, digest + 7, type, ref->tag ? ref->tag : "latest", err)
                     : error_user(err, "%s names no manifest", index);
    json_decref(all);
    return result;
}

static int push_blobs(struct registry *r, char **files, size_t n, struct error **err)
{
    struct registry_blob *blobs = xcalloc(n, sizeof *blobs);
    char(*digests)[DIGEST_HEX_SIZE] = xcalloc(n, DIGEST_HEX_SIZE);
    int result = 0;
    for (size_t i = 0; i < n && result == 0; i++) {
        // FILE or DIGEST:FILE, where hashing it here is not to be measured.
        const char *name = files[i];
        struct stat st = {0};
        blobs[i].digest = digests[i];
        if (strlen(name) > 65 && name[64] == ':') {
            memcpy(digests[i], name, 64);
            name += 65;
        } else {
            result = digest_file(name, digests[i], NULL, err);
        }
        blobs[i].fd = result ? -1 : open_blob(name, O_RDONLY, err);
        if (blobs[i].fd < 0 || fstat(blobs[i].fd, &st) < 0)
            result = -1;
        blobs[i].size = (uint64_t)st.st_size;
    }
    if (result == 0)
        result = registry_push_blobs(r, blobs, n, err);
    for (size_t i = 0; i < n; i++) {
        if (result == 0)
            printf("%s %llu %s\n", blobs[i].digest, (unsigned long long)blobs[i].size,
                   blobs[i].skipped ? "known" : "sent");
        if (blobs[i].fd > 0)
            close(blobs[i].fd);
    }
    free(digests);
    free(blobs);
    return result;
}

static int pull_blob(struct registry *r, char **arguments, struct error **err)
{
    struct registry_blob b = {.digest = arguments[0], .size = strtoull(arguments[1], NULL, 10)};
    b.fd = open_blob(arguments[2], O_RDWR | O_CREAT, err);
    if (b.fd < 0)
        return -1;
    int result = registry_pull_blobs(r, &b, 1, err);
    close(b.fd);
    return result == 0 && b.missing ? error_user(err, "the registry has none") : result;
}

static int unpack_image(const char *image, const char *directory, const char *cache,
                        struct error **err)
{
    char digest[DIGEST_HEX_SIZE];
    bool unusable;
    struct store *s = store_open(cache, err);
    int result = s ? make_directories(directory, 0755, err) : -1;
    if (result == 0)
        result = oci_pull_rootfs(s, image, "amd64", directory, digest, &unusable, err);
    if (result == 0)
        puts(digest);
    if (s)
        store_close(s);
    return result;
}

static int print_referrers(struct registry *r, const struct reference *ref, struct error **err)
{
    json_t *all = ref->digest ? registry_referrers(r, ref->digest + 7, NULL, err)
                              : (error_user(err, "a digest is needed"), NULL);
    if (!all)
        return -1;
    json_dumpf(all, stdout, JSON_INDENT(1));
    putchar('\n');
    json_decref(all);
    return 0;
}

static int run(int n, char **words, struct error **err)
{
    const char *verb = n > 2 ? words[1] : "";
    const struct registry_options o = {.user = getenv("TEST_REGISTRY_USER"),
                                       .password = getenv("TEST_REGISTRY_PASSWORD")};
    struct reference ref = {0};
    bool pushes = !strcmp(verb, "push");
    if (n < 3 || reference_parse(words[pushes && n > 3 ? 3 : 2], &ref, err) < 0)
        return n < 3 ? error_user(err, "usage: registry_client VERB REF ...") : -1;
    struct registry *r = registry_open(&ref, &o, err);
    int result = -1;
    if (!r)
        result = -1;
    else if (!strcmp(verb, "pull") && n == 4)
        result = pull_layout(r, &ref, words[3], err);
    else if (pushes && n == 4)
        result = push_layout(r, &ref, words[2], err);
    else if (!strcmp(verb, "push-blob") && n > 3)
        result = push_blobs(r, words + 3, (size_t)n - 3, err);
    else if (!strcmp(verb, "pull-blob") && n == 6)
        result = pull_blob(r, words + 3, err);
    else if (!strcmp(verb, "unpack") && n == 5)
        result = unpack_image(words[2], words[3], words[4], err);
    else if (!strcmp(verb, "referrers") && n == 3)
        result = print_referrers(r, &ref, err);
    else
        error_user(err, "there is no \"%s\" with %d words", verb, n - 2);
    registry_close(r);
    reference_free(&ref);
    return result;
}

int main(int argc, char **argv)
{
    struct error *err = NULL;
    if (run(argc, argv, &err) == 0)
        return 0;
    fprintf(stderr, "registry_client: %s%s%s\n", err->message, err->hint ? "\nhint: " : "",
            err->hint ? err->hint : "");
    error_free(err);
    return 1;
}
