// SPDX-License-Identifier: Apache-2.0
// Base + layers -> config and manifest (OCI image specification 1.1: config.md, manifest.md).
#include "payload/room.h"

#include <string.h>
#include <time.h>

char *payload_time(int64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;
    char text[64];
    if (!gmtime_r(&t, &tm) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
        return xstrdup(OCI_EPOCH);
    return xstrdup(text);
}

int descriptor_read(const json_t *descriptor, struct image_blob *out, struct error **err)
{
    const char *digest = oci_descriptor_digest(descriptor, NULL);
    if (!digest)
        return error_user(err, "a descriptor has no SHA-256 digest");
    if (!oci_descriptor_digest(descriptor, &out->size))
        return error_user(err, "the descriptor of sha256:%s has no size", digest);
    memcpy(out->digest, digest, DIGEST_HEX_SIZE);
    return 0;
}

json_t *payload_json(const struct buf *text, const char *what, struct error **err)
{
    json_error_t why;
    json_t *value =
        json_loadb(text->data ? text->data : "", text->len, JSON_REJECT_DUPLICATES, &why);
    if (json_is_object(value))
        return value;
    error_user(err, "%s is no JSON object%s%s", what, value ? "" : ": ", value ? "" : why.text);
    json_decref(value);
    return NULL;
}

void payload_image_free(struct payload_image *i)
{
    json_decref(i->config);
    payload_layers_free(&i->layers);
    *i = (struct payload_image){0};
}

static void extend_config(json_t *config, const struct payload_layers *layers)
{
    json_t *diff_ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
    json_t *history = json_object_get(config, "history");
    int64_t newest = 0;
    for (size_t i = 0; i < layers->n; i++) {
        const struct payload_layer *l = &layers->items[i];
        if (l->base)
            continue;
        cleanup_free char *id = xasprintf("sha256:%s", l->diff_id);
        cleanup_free char *when = payload_time(l->newest);
        cleanup_free char *how = xasprintf("kbuild payload: %s", l->made_of);
        json_array_append_new(diff_ids, json_string(id));
        json_array_append_new(history, json_pack("{s:s, s:s}", "created", when, "created_by", how));
        newest = l->newest > newest ? l->newest : newest;
    }
    cleanup_free char *created = payload_time(newest);
    json_object_set_new(config, "created", json_string(created));
}

// Sorted keys, so that equal values are equal blobs.
static int put_json(struct store *s, json_t *value, char digest[static DIGEST_HEX_SIZE],
                    uint64_t *size, struct error **err)
{
    cleanup_free char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text)
        return error_user(err, "a name in the image is not UTF-8");
    *size = strlen(text);
    return store_put_bytes(s, text, *size, digest, err);
}

int payload_image_compose(struct store *s, struct payload_image *i, struct error **err)
{
    extend_config(i->config, &i->layers);
    if (put_json(s, i->config, i->config_digest, &i->config_size, err) < 0)
        return -1;
    json_t *layers = json_array();
    for (size_t n = 0; n < i->layers.n; n++) {
        const struct payload_layer *l = &i->layers.items[n];
        json_array_append_new(layers, oci_descriptor(l->media_type, l->digest, l->size));
    }
    json_t *manifest =
        json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType", OCI_MANIFEST, "config",
                  oci_descriptor(OCI_CONFIG, i->config_digest, i->config_size), "layers", layers);
    int result = put_json(s, manifest, i->manifest, &i->manifest_size, err);
    json_decref(manifest);
    return result;
}
