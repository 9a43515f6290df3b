// SPDX-License-Identifier: Apache-2.0
// Keeps listings of tarballs in the store, and reads them back in the next run.
#include "store/tarball_listings.h"

#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>

// 2: kbuild 1 also listed tarballs that the reader refuses now (pack/internal.h, "headers of a
// tar"), and a listing says that a tarball can be read.
static void key_of(const char *digest, char key[static DIGEST_HEX_SIZE])
{
    cleanup_free char *text = xasprintf("kbuild listing 2\narchive %s\n", digest);
    digest_bytes(text, strlen(text), key);
}

int listing_save(struct store *s, const char *digest, const struct listing *l, struct error **err)
{
    char key[DIGEST_HEX_SIZE], blob[DIGEST_HEX_SIZE];
    cleanup_buf struct buf bytes = {0};
    listing_write(l, &bytes);
    key_of(digest, key);
    if (store_put_bytes(s, bytes.data, bytes.len, blob, err) < 0)
        return -1;
    json_t *record = json_pack("{s:s, s:s, s:[{s:s, s:s, s:s, s:I}]}", "node", "listing", "archive",
                               digest, "outputs", "name", "listing", "digest", blob, "kind", "blob",
                               "size", (json_int_t)bytes.len);
    int result = store_action_put(s, key, record, err);
    json_decref(record);
    return result;
}

// 1: read; 0: there is none, or it is invalid.
static int read_listing(struct store *s, const char *blob, struct listing *out, struct error **err)
{
    cleanup_buf struct buf bytes = {0};
    cleanup_free char *path = store_blob_path(s, blob);
    int has = path ? store_has_blob(s, blob, err) : 0;
    if (has <= 0)
        return has;
    if (file_read(path, (size_t)1 << 30, &bytes, err) < 0)
        return -1;
    struct error *ignored = NULL;
    if (listing_read(bytes.data, bytes.len, out, &ignored) == 0)
        return 1;
    error_free(ignored);
    listing_free(out);
    return 0;
}

static int get(void *context, const char *digest, struct listing *out, struct error **err)
{
    struct listings *l = context;
    char key[DIGEST_HEX_SIZE];
    key_of(digest, key);
    json_auto_t *record = NULL;
    int found = store_action_get(l->store, key, &record, err);
    if (found <= 0)
        return found;
    const char *blob = json_string_value(
        json_object_get(json_array_get(json_object_get(record, "outputs"), 0), "digest"));
    return blob ? read_listing(l->store, blob, out, err) : 0;
}

// A cache that cannot be written (read-only, full) only makes the next merge slower.
static int put(void *context, const char *digest, const struct listing *listing, struct error **err)
{
    struct listings *l = context;
    struct error *ignored = NULL;
    listing_save(l->store, digest, listing, &ignored);
    error_free(ignored);
    return 0;
}

static int known(void *context, int fd, const char *path, char digest[static DIGEST_HEX_SIZE],
                 struct error **err)
{
    struct listings *l = context;
    struct stat file, blob;
    for (size_t i = 0; i < l->sums.n; i++) {
        const char *line = l->sums.items[i];
        if (strcmp(line + 66, path_base(path)) != 0)
            continue;
        cleanup_free char *hex = xstrndup(line, 64);
        cleanup_free char *blob_path = store_blob_path(l->store, hex);
        if (!blob_path || stat(blob_path, &blob) < 0 || fstat(fd, &file) < 0 ||
            !same_inode(&blob, &file))
            continue;
        int valid = store_has_blob(l->store, hex, err);
        if (valid <= 0)
            return valid;
        memcpy(digest, hex, DIGEST_HEX_SIZE);
        return 1;
    }
    return 0;
}

static void read_sums(struct listings *l, const char *directory)
{
    cleanup_strlist struct strlist names = {0};
    struct error *ignored = NULL;
    if (list_directory(directory, &names, &ignored) < 0)
        error_free(ignored);
    for (size_t i = 0; i < names.n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", directory, names.items[i]);
        cleanup_buf struct buf text = {0};
        cleanup_strlist struct strlist lines = {0};
        if (fnmatch("*-sha256sum", names.items[i], 0) || file_read(path, 1 << 20, &text, NULL) < 0)
            continue;
        strlist_split(&lines, text.data ? text.data : "", "\n");
        for (size_t k = 0; k < lines.n; k++)
            if (strlen(lines.items[k]) > 66)
                strlist_add(&l->sums, lines.items[k]);
    }
}

void listings_open(struct listings *out, struct store *s, const char *directory)
{
    *out = (struct listings){.store = s, .cache = {NULL, known, get, put}};
    out->cache.context = out;
    read_sums(out, directory);
}

void listings_close(struct listings *l)
{
    strlist_free(&l->sums);
}
