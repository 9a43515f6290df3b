// SPDX-License-Identifier: Apache-2.0
// The config and the manifest of a root file system's image; the layer is made by layer.c.
#include "oci/layer.h"
#include "oci/oci.h"

#include "store/image_layout.h"

#include <string.h>

// Takes the reference. Sorted keys, so that equal values are equal blobs.
static int put_json(struct store *s, json_t *value, char digest[static DIGEST_HEX_SIZE],
                    uint64_t *size, struct error **err)
{
    cleanup_free char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(value);
    if (!text)
        return error_user(err, "a name of the image is not UTF-8");
    *size = strlen(text);
    return store_put_bytes(s, text, *size, digest, err);
}

static json_t *image_config(const struct oci_image *image, const char *layer)
{
    cleanup_free char *diff_id = xasprintf("sha256:%s", layer);
    return json_pack("{s:s, s:s, s:s, s:{}, s:{s:s, s:[s]}, s:[{s:s, s:s}]}", "architecture",
                     image->architecture, "os", "linux", "created", OCI_EPOCH, "config", "rootfs",
                     "type", "layers", "diff_ids", diff_id, "history", "created", OCI_EPOCH,
                     "created_by", image->created_by);
}

int oci_store_rootfs(struct store *s, const char *tree_digest, const struct oci_image *image,
                     char manifest_digest[static DIGEST_HEX_SIZE], struct error **err)
{
    char layer[DIGEST_HEX_SIZE], config[DIGEST_HEX_SIZE];
    uint64_t layer_size, config_size, manifest_size;
    if (oci_store_layer(s, tree_digest, layer, &layer_size, err) < 0 ||
        put_json(s, image_config(image, layer), config, &config_size, err) < 0)
        return error_wrap(err, "making an OCI image of the tree %s", tree_digest);
    cleanup_free char *tree = xasprintf("sha256:%s", tree_digest);
    json_t *manifest = json_pack(
        "{s:i, s:s, s:o, s:[o], s:{s:s}}", "schemaVersion", 2, "mediaType", OCI_MANIFEST, "config",
        oci_descriptor(OCI_CONFIG, config, config_size), "layers",
        oci_descriptor(OCI_LAYER, layer, layer_size), "annotations", TREE_ANNOTATION, tree);
    if (put_json(s, manifest, manifest_digest, &manifest_size, err) < 0)
        return error_wrap(err, "making an OCI image of the tree %s", tree_digest);
    return 0;
}
