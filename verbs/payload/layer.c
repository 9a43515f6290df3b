// SPDX-License-Identifier: Apache-2.0
// Files -> layers in the store. What was made once is remembered as an action record, whose key is
// made of all that decides the bytes; so an unchanged component is not even read again.
#include "payload/room.h"

#include "pack/names.h"
#include "pack/pack.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define LAYER_FORMAT "3" // raise it when the same file would give another layer

static const char *const media_types[] = {
    [LAYER_PLAIN] = OCI_LAYER, [LAYER_GZIP] = OCI_LAYER "+gzip", [LAYER_ZSTD] = OCI_LAYER "+zstd"};

struct payload_layer *payload_layers_add(struct payload_layers *l)
{
    l->items = xgrow(l->items, &l->cap, l->n + 1, sizeof *l->items);
    l->items[l->n] = (struct payload_layer){0};
    return &l->items[l->n++];
}

void payload_layers_free(struct payload_layers *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->items[i].media_type);
        free(l->items[i].made_of);
    }
    free(l->items);
    *l = (struct payload_layers){0};
}

// ---- remembering ----

static void layer_key(const struct layer_source *from, enum layer_filter filter, int64_t epoch,
                      char key[static DIGEST_HEX_SIZE])
{
    cleanup_free char *text = xasprintf(
        "kbuild payload layer " LAYER_FORMAT "\ncodec %s\nfile %s\nas %s\ntype %s\nepoch %lld\n",
        pack_codec_version(), from->digest, from->path ? from->path : "unpacked",
        media_types[filter], (long long)epoch);
    digest_bytes(text, strlen(text), key);
}

// 1 if the store has this layer.
static int recall(struct store *s, const char *key, struct payload_layer *out, struct error **err)
{
    struct error *why = NULL;
    json_t *record = store_action_get(s, key, &why);
    if (why) {
        if (err)
            *err = why;
        else
            error_free(why);
        return -1;
    }
    const json_t *layer = json_array_get(json_object_get(record, "outputs"), 0);
    const char *digest = json_string_value(json_object_get(layer, "digest"));
    const char *diff_id = json_string_value(json_object_get(record, "diff_id"));
    int has = digest && diff_id && digest_is_hex(digest) && digest_is_hex(diff_id)
                  ? store_has_blob(s, digest, err)
                  : 0;
    if (has > 0) {
        memcpy(out->digest, digest, DIGEST_HEX_SIZE);
        memcpy(out->diff_id, diff_id, DIGEST_HEX_SIZE);
        out->size = (uint64_t)json_integer_value(json_object_get(layer, "size"));
        out->newest = json_integer_value(json_object_get(record, "newest"));
    }
    json_decref(record);
    return has;
}

static int remember(struct store *s, const char *key, const struct layer_source *from,
                    const struct payload_layer *l, struct error **err)
{
    json_t *record = json_pack("{s:s, s:s, s:s, s:I, s:[{s:s, s:s, s:s, s:I}]}", "node",
                               "payload layer", "file", from->digest, "diff_id", l->diff_id,
                               "newest", (json_int_t)l->newest, "outputs", "name", "layer",
                               "digest", l->digest, "kind", "blob", "size", (json_int_t)l->size);
    int result = store_action_put(s, key, record, err);
    json_decref(record);
    return result;
}

// ---- making ----

static int on_content(void *context, const void *bytes, size_t length, struct error **err)
{
    return payload_layer_data(context, bytes, length, err);
}

static int copy_members(struct layer_out *l, const struct layer_source *from, struct error **err)
{
    WITH_UTF8_NAMES;
    cleanup_reader struct reader *reader = reader_open(from->fd, from->name, from->max_bytes, err);
    if (!reader)
        return -1;
    struct reader_member m;
    int more;
    while ((more = reader_next(reader, &m, err)) > 0) {
        bool content = S_ISREG(m.mode) && !m.hardlink;
        if (payload_layer_member(l, PAYLOAD_ROOT, &m, err) < 0 ||
            (content && reader_content(reader, on_content, l, err) < 0))
            return reader_wrap(reader, err);
        reader_progress(reader, "making a layer");
    }
    return more;
}

// The time of a file is when it was built, which is no property of its content: none is written.
static int copy_file(struct layer_out *l, const struct layer_source *from, struct error **err)
{
    struct stat st;
    if (fstat(from->fd, &st) < 0)
        return error_errno(err, errno, "reading %s", from->name);
    struct reader_member m = {.path = from->path,
                              .mode = S_IFREG | 0644,
                              .size = (uint64_t)st.st_size,
                              .size_known = true};
    if (payload_layer_member(l, PAYLOAD_ROOT, &m, err) < 0)
        return error_wrap(err, "%s", from->name);
    cleanup_free char *chunk = xmalloc(1 << 18);
    for (off_t at = 0;;) {
        ssize_t n = pread(from->fd, chunk, 1 << 18, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "reading %s", from->name);
        if (n == 0)
            return at == st.st_size
                       ? 0
                       : error_user(err, "%s was changed while it was read", from->name);
        at += n;
        if (payload_layer_data(l, chunk, (size_t)n, err) < 0)
            return error_wrap(err, "%s", from->name);
    }
}

typedef int fill_layer(struct layer_out *l, const void *context, struct error **err);

static int make(struct store *s, fill_layer *fill, const void *context, enum layer_filter filter,
                int64_t epoch, unsigned threads, struct payload_layer *out, struct error **err)
{
    struct blob_draft draft = {.fd = -1};
    if (store_blob_begin(s, &draft, err) < 0)
        return -1;
    cleanup_layer struct layer_out *l = payload_layer_open(draft.fd, filter, epoch, threads, err);
    if (!l || fill(l, context, err) < 0 ||
        payload_layer_finish(l, out->diff_id, &out->newest, err) < 0) {
        store_blob_abandon(&draft);
        return -1;
    }
    return store_blob_commit(s, &draft, out->digest, &out->size, err);
}

static int fill_from(struct layer_out *l, const void *context, struct error **err)
{
    const struct layer_source *from = context;
    return from->path ? copy_file(l, from, err) : copy_members(l, from, err);
}

int payload_layer_make(struct store *s, const struct layer_source *from, enum layer_filter filter,
                       int64_t epoch, struct payload_layer *out, struct error **err)
{
    char key[DIGEST_HEX_SIZE];
    layer_key(from, filter, epoch, key);
    int known = recall(s, key, out, err);
    if (known < 0)
        return -1;
    if (!known && (make(s, fill_from, from, filter, epoch, from->threads, out, err) < 0 ||
                   remember(s, key, from, out, err) < 0))
        return -1;
    out->media_type = xstrdup(media_types[filter]);
    out->made_of = xstrdup(from->name);
    return 0;
}

// ---- texts ----

struct texts {
    const struct layer_text *items;
    size_t n;
};

static int fill_texts(struct layer_out *l, const void *context, struct error **err)
{
    WITH_UTF8_NAMES;
    const struct texts *t = context;
    for (size_t i = 0; i < t->n; i++) {
        const struct layer_text *text = &t->items[i];
        struct reader_member m = {
            .path = text->path, .mode = S_IFREG | 0644, .size = text->length, .size_known = true};
        if (payload_layer_member(l, PAYLOAD_ROOT, &m, err) < 0 ||
            (text->length && payload_layer_data(l, text->bytes, text->length, err) < 0))
            return -1;
    }
    return 0;
}

int payload_layer_make_texts(struct store *s, const struct layer_text *texts, size_t count,
                             const char *made_of, enum layer_filter filter,
                             struct payload_layer *out, struct error **err)
{
    struct texts t = {texts, count};
    if (make(s, fill_texts, &t, filter, INT64_MAX, 1, out, err) < 0)
        return -1;
    out->media_type = xstrdup(media_types[filter]);
    out->made_of = xstrdup(made_of);
    return 0;
}
