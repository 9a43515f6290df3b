// SPDX-License-Identifier: Apache-2.0
// Remembers the digests of tarballs by path, inode, size and times, so that they are not hashed
// again.
#include "payload/room.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { SETTLED_SECONDS = 2 };

static int file_key(int fd, const char *path, bool *settled, char key[static DIGEST_HEX_SIZE])
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -1;
    cleanup_free char *absolute = path_absolute(path);
    cleanup_free char *text = xasprintf(
        "kbuild file 1\npath %s\ninode %llu %llu\nsize %lld\nmodified %lld.%09ld\nchanged "
        "%lld.%09ld\n",
        absolute, (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
        (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
        (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
    digest_bytes(text, strlen(text), key);
    time_t now = time(NULL);
    *settled =
        st.st_mtim.tv_sec < now - SETTLED_SECONDS && st.st_ctim.tv_sec < now - SETTLED_SECONDS;
    return 0;
}

static int known(void *context, int fd, const char *path, char digest[static DIGEST_HEX_SIZE],
                 struct error **err)
{
    struct payload_files *f = context;
    char key[DIGEST_HEX_SIZE];
    bool settled;
    int found = f->below->known(f->below->context, fd, path, digest, err);
    if (found || file_key(fd, path, &settled, key) < 0)
        return found;
    struct error *ignored = NULL; // then it is hashed
    json_t *record = store_action_get(f->store, key, &ignored);
    error_free(ignored);
    const char *hex = json_string_value(json_object_get(record, "file"));
    if (hex && digest_is_hex(hex)) {
        memcpy(digest, hex, DIGEST_HEX_SIZE);
        found = 1;
    }
    json_decref(record);
    return found;
}

static int get(void *context, const char *digest, struct listing *out, struct error **err)
{
    const struct payload_files *f = context;
    return f->below->get(f->below->context, digest, out, err);
}

static int put(void *context, const char *digest, const struct listing *listing, struct error **err)
{
    const struct payload_files *f = context;
    return f->below->put(f->below->context, digest, listing, err);
}

struct listing_keeper payload_files_open(struct payload_files *f, struct store *s,
                                         const struct listing_keeper *below)
{
    *f = (struct payload_files){s, below};
    return (struct listing_keeper){f, known, get, put};
}

int payload_files_remember(struct payload_files *f, const struct merge_plan *plan,
                           struct error **err)
{
    for (size_t i = 0; i < plan->n; i++) {
        const struct component *c = &plan->components[i];
        char key[DIGEST_HEX_SIZE];
        bool settled;
        if (!c->digest[0] || file_key(c->fd, c->path, &settled, key) < 0 || !settled)
            continue;
        json_t *record = store_action_get(f->store, key, NULL);
        const char *hex = json_string_value(json_object_get(record, "file"));
        int result = 0;
        if (!hex || strcmp(hex, c->digest) != 0) {
            json_decref(record);
            record = json_pack("{s:s, s:s, s:[]}", "node", "file", "file", c->digest, "outputs");
            result = store_action_put(f->store, key, record, err);
        }
        json_decref(record);
        if (result < 0)
            return -1;
    }
    return 0;
}
