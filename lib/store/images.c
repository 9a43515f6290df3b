// SPDX-License-Identifier: Apache-2.0
// <dir>/images/<name>: OCI image layouts of root file systems under their names, hard links to
// blobs.
#include "store/image_layout.h"
#include "store/room.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

int store_name_image(struct store *s, const char *manifest_digest, const char *name,
                     struct error **err)
{
    cleanup_free char *images = xasprintf("%s/images", s->directory);
    cleanup_free char *folder = xasprintf("%s/%s", images, name);
    if (!path_is_clean(name) || strchr(name, '/'))
        return error_user(err, "'%s' is no name for an image", name);
    if (at_mkdir(s, images, 0755) < 0 && errno != EEXIST)
        return error_errno(err, errno, "creating the directory %s", images);
    return oci_write_layout(s, manifest_digest, name, folder, err);
}

// Is the image's manifest still a blob of the store?
static bool image_is_kept(const struct store *s, const char *folder)
{
    cleanup_free char *path = xasprintf("%s/index.json", folder);
    cleanup_close int fd = at_open(s, path, O_RDONLY | O_NONBLOCK, 0);
    json_t *index = fd < 0 ? NULL : json_loadfd(fd, 0, NULL);
    const json_t *first = json_array_get(json_object_get(index, "manifests"), 0);
    const char *digest = oci_descriptor_digest(first, NULL);
    cleanup_free char *blob = digest ? store_blob_path(s, digest) : NULL;
    bool kept = blob && at_exists(s, blob);
    json_decref(index);
    return kept;
}

int images_sweep(struct store *s, struct error **err)
{
    cleanup_free char *images = xasprintf("%s/images", s->directory);
    cleanup_strlist struct strlist names = {0};
    if (!at_is_directory(s, images))
        return 0;
    if (at_list(s, images, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        cleanup_free char *folder = xasprintf("%s/%s", images, names.items[i]);
        if (!image_is_kept(s, folder) && at_remove(s, folder, err) < 0)
            return -1;
    }
    return 0;
}
